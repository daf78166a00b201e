//! `ListActions`: what the tasks of templates can do.

use kiln_ecs::error::ApiError;
use kiln_factory::executions::Kept;
use kiln_oos::template::Action;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::request::{self, put, read, slice};
use super::templates::description;
use crate::ecs::Call;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Request {
    #[serde(rename = "OOSActionName")]
    name: Option<String>,
}

pub(super) async fn list_actions(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: Request = read(call)?;
    call.allowed("", "*")?;
    let paging = request::paging(call)?;
    let limit = paging.size(20)?;
    // The last one is another spelling of the first.
    let core = Action::CORE.iter().filter(|(name, _)| *name != "ACS::ExecuteApi");
    let products = call.oos().shelf.iter().filter(|kept| kept.is_action);
    let mut all: Vec<(String, Value)> = core
        .map(|(name, told)| ((*name).to_owned(), atomic(name, told)))
        .chain(products.map(|kept| (kept.name.clone(), product(kept))))
        .collect();
    if let Some(part) = request.name.map(|name| name.to_ascii_lowercase()) {
        all.retain(|(name, _)| name.to_ascii_lowercase().contains(&part));
    }
    let (page, next) = slice(all, &paging, limit)?;
    let mut answer = Map::new();
    let actions: Vec<Value> = page.into_iter().map(|(_, action)| action).collect();
    answer.insert("Actions".to_owned(), Value::from(actions));
    answer.insert("MaxResults".to_owned(), Value::from(limit));
    put(&mut answer, "NextToken", next);
    Ok(Value::Object(answer))
}

fn atomic(name: &str, told: &str) -> Value {
    let kind = match name {
        "ACS::TimerTrigger" | "ACS::EventTrigger" | "ACS::AlarmTrigger" => "Atomic.Trigger",
        "ACS::ExecuteAPI" | "ACS::WaitFor" | "ACS::CheckFor" | "ACS::ExecuteHttpRequest" => {
            "Atomic.API"
        }
        "ACS::Template" => "Atomic.Embedded",
        _ => "Atomic.Control",
    };
    json!({"OOSActionName": name, "ActionType": kind, "Description": told})
}

fn product(kept: &Kept) -> Value {
    let document = kiln_oos::document::parse(&kept.loaded.text).map(|node| node.to_value());
    let document = document.unwrap_or_default();
    let name = kept.name.split("::").nth(1).unwrap_or_default();
    json!({
        "OOSActionName": kept.name,
        "ActionType": format!("Product.{name}"),
        "Properties": document.get("Parameters").map_or("{}".to_owned(), Value::to_string),
        "TemplateVersion": "v1",
        "Description": kept.loaded.template.description.clone().map(description),
    })
}
