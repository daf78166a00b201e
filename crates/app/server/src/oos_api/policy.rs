//! What a template may do, told before it runs: the calls that it makes, itself and by the
//! templates that it names.
//!
//! A template is walked once, however often it is named, and a name that is only known when the
//! execution runs (`{{ template }}`) is passed over: what it stands for cannot be told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kiln_ecs::error::ApiError;
use kiln_oos::expr::{Expr, ExprKind};
use kiln_oos::run::{Found, is_high_risk};
use kiln_oos::template::{Action, Parameter, Task, Template};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::request::{needed, object, put, read};
use super::{caller, executions, library};
use crate::ecs::Call;

/// Templates that are walked for one request.
const MAX_TEMPLATES: usize = 200;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Request {
    parameters: Option<String>,
    ram_role: Option<String>,
    template_content: Option<String>,
    template_name: Option<String>,
    #[serde(rename = "TemplateURL")]
    template_url: Option<String>,
    template_version: Option<String>,
}

impl Request {
    async fn template(&self, call: &Call<'_>) -> Result<Found, ApiError> {
        if let Some(text) = &self.template_content {
            return library::inline(call, text);
        }
        if let Some(url) = &self.template_url {
            return library::inline(call, &executions::fetched(call, url).await?);
        }
        let name = needed("TemplateName", self.template_name.as_ref())?;
        library::named(call, name, self.template_version.as_deref()).await
    }
}

/// A call of an API in a template.
#[derive(Debug)]
struct Made {
    service: String,
    api: String,
    is_risky: bool,
    task: String,
    template: String,
}

/// The text of a property where it needs nothing of the run; properties are found in any case.
fn constant<'a>(properties: &'a Expr, name: &str) -> Option<&'a str> {
    match &properties.kind {
        ExprKind::Value(Value::Object(map)) => {
            let own = map.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
            own.and_then(|(_, value)| value.as_str())
        }
        ExprKind::Map(entries) => {
            let own = entries.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
            own.and_then(|(_, value)| match &value.kind {
                ExprKind::Value(value) => value.as_str(),
                _ => None,
            })
        }
        _ => None,
    }
}

/// What a list of tasks calls, and which templates it names.
fn gather(tasks: &[Task], name: &str, made: &mut Vec<Made>, named: &mut Vec<String>) {
    for task in tasks {
        match &task.action {
            Action::ExecuteApi | Action::WaitFor | Action::CheckFor => {
                let text = |property| constant(&task.properties, property);
                let (Some(service), Some(api)) = (text("Service"), text("API")) else { continue };
                made.push(Made {
                    service: service.to_owned(),
                    api: api.to_owned(),
                    is_risky: is_high_risk(api, text("Risk")),
                    task: task.name.clone(),
                    template: name.to_owned(),
                });
            }
            Action::SelectTargets => made.push(Made {
                service: "ECS".to_owned(),
                api: "DescribeInstances".to_owned(),
                is_risky: false,
                task: task.name.clone(),
                template: name.to_owned(),
            }),
            Action::Loop { tasks } => gather(tasks, name, made, named),
            Action::Template { content: Some(content) } => {
                if let Ok(inner) = kiln_oos::template::load(&content.to_string()) {
                    gather(&inner.tasks, name, made, named);
                }
            }
            Action::Template { content: None } => {
                named.extend(constant(&task.properties, "TemplateName").map(str::to_owned));
            }
            Action::Product { name } => named.push(name.clone()),
            _ => {}
        }
    }
}

/// All calls of a template and of those that it names.
async fn calls(call: &Call<'_>, first: Found) -> Result<Vec<Made>, ApiError> {
    let mut made = Vec::new();
    let mut seen = BTreeSet::from([first.name.to_ascii_lowercase()]);
    let mut next = VecDeque::from([first]);
    while let Some(found) = next.pop_front() {
        let mut named = Vec::new();
        gather(&found.template.template.tasks, &found.name, &mut made, &mut named);
        for name in named {
            if seen.len() >= MAX_TEMPLATES || !seen.insert(name.to_ascii_lowercase()) {
                continue;
            }
            match library::named(call, &name, None).await {
                Ok(found) => next.push_back(found),
                // A template may name one that is made later.
                Err(error) if error.status == 404 => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(made)
}

/// `ecs:RunInstances`, once each.
fn actions_of(made: &[Made]) -> BTreeSet<String> {
    made.iter().map(|own| format!("{}:{}", own.service.to_lowercase(), own.api)).collect()
}

fn policy(actions: &BTreeSet<String>) -> String {
    let statement = match actions.is_empty() {
        true => json!([]),
        false => json!([{"Action": actions, "Effect": "Allow", "Resource": "*"}]),
    };
    json!({"Version": "1", "Statement": statement}).to_string()
}

/// `GenerateExecutionPolicy`: the policy that a template needs, and what of it the role, or the
/// caller, does not have.
pub(super) async fn generate_execution_policy(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: Request = read(call)?;
    call.allowed("", &format!("template/{}", request.template_name.as_deref().unwrap_or("*")))?;
    let found = request.template(call).await?;
    let needed = actions_of(&calls(call, found).await?);
    let role = request.ram_role.as_deref().unwrap_or_default();
    let who = caller::acting(call.accounts, call.caller, role)?;
    let missing = needed.iter().filter(|action| !who.may(action, "*")).cloned().collect();
    Ok(json!({"Policy": policy(&needed), "MissingPolicy": policy(&missing)}))
}

/// `ListExecutionRiskyTasks`: by API, the tasks and templates that make a dangerous call.
pub(super) async fn list_execution_risky_tasks(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: Request = read(call)?;
    let name = needed("TemplateName", request.template_name.as_ref())?;
    call.allowed("", &format!("template/{name}"))?;
    let found = library::named(call, name, request.template_version.as_deref()).await?;
    let mut risky: BTreeMap<(String, String), (BTreeSet<String>, BTreeSet<String>)> =
        BTreeMap::new();
    for own in calls(call, found).await?.into_iter().filter(|own| own.is_risky) {
        let (tasks, templates) = risky.entry((own.service, own.api)).or_default();
        tasks.insert(own.task);
        templates.insert(own.template);
    }
    let shown = |((service, api), (tasks, templates)): (_, (_, _))| -> Value {
        let (service, api): (String, String) = (service, api);
        let (tasks, templates): (BTreeSet<String>, BTreeSet<String>) = (tasks, templates);
        json!({"Service": service, "API": api, "Task": tasks, "Template": templates})
    };
    let tasks: Vec<Value> = risky.into_iter().map(shown).collect();
    Ok(json!({"RiskyTasks": tasks}))
}

/// `GetTemplateParameterConstraints`: what a template declares that its parameters may be.
pub(super) async fn get_template_parameter_constraints(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: Request = read(call)?;
    call.allowed("", &format!("template/{}", request.template_name.as_deref().unwrap_or("*")))?;
    object("Parameters", request.parameters.as_ref())?;
    let found = request.template(call).await?;
    Ok(json!({"ParameterConstraints": constraints(&found.template.template)}))
}

/// By parameter, all that its declaration says of its values.
fn constraints(template: &Template) -> Map<String, Value> {
    let declared = |own: &Parameter| {
        let mut fields = Map::new();
        put(&mut fields, "AllowedValues", own.allowed_values.clone());
        put(&mut fields, "AllowedPattern", own.allowed_pattern.clone());
        put(&mut fields, "MinLength", own.min_length);
        put(&mut fields, "MaxLength", own.max_length);
        put(&mut fields, "MinValue", own.min_value.map(number));
        put(&mut fields, "MaxValue", own.max_value.map(number));
        put(&mut fields, "ConstraintDescription", own.constraint_description.clone());
        (!fields.is_empty()).then(|| (own.name.clone(), Value::Object(fields)))
    };
    template.parameters.iter().filter_map(declared).collect()
}

/// A bound as templates write it: without a fraction where it has none.
fn number(bound: f64) -> Value {
    let text = bound.to_string();
    text.parse::<i64>().map_or_else(|_| Value::from(bound), Value::from)
}
