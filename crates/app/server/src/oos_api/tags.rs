//! Tags and resource groups of templates, executions and parameters.

use std::collections::BTreeMap;

use kiln_ecs::error::ApiError;
use kiln_store::{ExecutionChange, ResourceTag, StoreError, TagChange, TagKind};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::errors;
use super::request::{self, MAX_TAGS, list, needed, needed_list, put, read, region};
use crate::ecs::Call;

/// Resources of one request.
const MAX_RESOURCES: usize = 50;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Request {
    all: bool,
    key: Option<String>,
    new_resource_group_id: Option<String>,
    region_id: Option<String>,
    resource_id: Option<String>,
    resource_ids: Option<String>,
    resource_type: Option<String>,
    tag_keys: Option<String>,
    tags: BTreeMap<String, String>,
}

impl Request {
    fn kind(&self) -> Result<TagKind, ApiError> {
        kind(needed("ResourceType", self.resource_type.as_ref())?)
    }
}

fn kind(word: &str) -> Result<TagKind, ApiError> {
    let all = [TagKind::Execution, TagKind::Template, TagKind::Parameter, TagKind::SecretParameter];
    all.into_iter().find(|kind| kind.word().eq_ignore_ascii_case(word)).ok_or_else(|| {
        let told = "template, execution, parameter or secretparameter is expected.";
        ApiError::invalid_parameter("ResourceType", told)
    })
}

/// The entity of a kind, in the codes of errors.
const fn entity(kind: TagKind) -> &'static str {
    match kind {
        TagKind::Execution => "Execution",
        TagKind::Template => "Template",
        TagKind::Parameter | TagKind::SecretParameter => "Parameter",
    }
}

/// `TagResources`: all of the resources, or none.
pub(super) async fn tag_resources(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: Request = read(call)?;
    if request.tags.is_empty() {
        return Err(ApiError::missing_parameter("Tags"));
    }
    request::tags(&request.tags)?;
    change(call, &request, &TagChange::Add(request.tags.clone())).await
}

/// `UntagResources`.
pub(super) async fn untag_resources(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: Request = read(call)?;
    let keys = list("TagKeys", request.tag_keys.as_ref(), MAX_TAGS)?;
    let removed = match (keys.is_empty(), request.all) {
        (false, _) => TagChange::Remove(keys),
        (true, true) => TagChange::Clear,
        (true, false) => return Err(ApiError::missing_parameter("TagKeys")),
    };
    change(call, &request, &removed).await
}

async fn change(call: &Call<'_>, request: &Request, change: &TagChange) -> Result<Value, ApiError> {
    needed("RegionId", request.region_id.as_ref())?;
    let region = region(call, request.region_id.as_ref())?;
    let kind = request.kind()?;
    let ids = needed_list("ResourceIds", request.resource_ids.as_ref(), MAX_RESOURCES)?;
    for id in &ids {
        call.allowed(&region, &format!("{}/{id}", kind.word()))?;
    }
    let done = call.oos().tags.change(call.account(), kind, &ids, change, MAX_TAGS).await;
    match done {
        Ok(true) => Ok(json!({})),
        Ok(false) => Err(ApiError::invalid_parameter("Tags", "A resource may have 20 tags.")),
        Err(StoreError::NotFound { what }) => {
            let name = what.rsplit(' ').next().unwrap_or_default();
            Err(errors::absent(entity(kind), name))
        }
        Err(error) => Err(errors::store(error)),
    }
}

/// `ListTagResources`.
pub(super) async fn list_tag_resources(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: Request = read(call)?;
    needed("RegionId", request.region_id.as_ref())?;
    let region = region(call, request.region_id.as_ref())?;
    let kind = request.kind()?;
    call.allowed(&region, &format!("{}/*", kind.word()))?;
    let ids = list("ResourceIds", request.resource_ids.as_ref(), MAX_RESOURCES)?;
    let page = request::paging(call)?.page(1)?;
    let tags = &call.oos().tags;
    let found = tags.list(call.account(), kind, &ids, &request.tags, &page).await;
    let found = found.map_err(errors::store)?;
    let shown = |tag: &ResourceTag| {
        json!({
            "ResourceId": as_asked(&ids, &tag.resource),
            "ResourceType": kind.word(),
            "TagKey": tag.name,
            "TagValue": tag.value,
        })
    };
    let mut answer = Map::new();
    let items: Vec<Value> = found.items.iter().map(shown).collect();
    answer.insert("TagResources".to_owned(), json!({"TagResource": items}));
    put(&mut answer, "NextToken", found.next);
    Ok(Value::Object(answer))
}

/// The resource as the request spells it: templates are found in any letter case.
fn as_asked<'a>(ids: &'a [String], resource: &'a str) -> &'a str {
    ids.iter().find(|id| id.eq_ignore_ascii_case(resource)).map_or(resource, String::as_str)
}

/// `ListTagKeys`.
pub(super) async fn list_tag_keys(call: &Call<'_>) -> Result<Value, ApiError> {
    let (kind, limit, after) = words(call, 10)?;
    let read = u32::try_from(limit.saturating_add(1)).unwrap_or(u32::MAX);
    let after = after.unwrap_or_default();
    let found = call.oos().tags.keys(call.account(), kind, &after, read).await;
    Ok(page("Keys", found.map_err(errors::store)?, limit))
}

/// `ListTagValues`.
pub(super) async fn list_tag_values(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: Request = read(call)?;
    let (kind, limit, after) = words(call, 1)?;
    let key = needed("Key", request.key.as_ref())?;
    let read = u32::try_from(limit.saturating_add(1)).unwrap_or(u32::MAX);
    let found = call.oos().tags.values(call.account(), kind, key, after.as_deref(), read).await;
    Ok(page("Values", found.map_err(errors::store)?, limit))
}

fn words(
    call: &Call<'_>,
    least: i64,
) -> Result<(Option<TagKind>, usize, Option<String>), ApiError> {
    let request: Request = read(call)?;
    let kind = request.resource_type.as_deref().map(kind).transpose()?;
    call.allowed("", "*")?;
    let paging = request::paging(call)?;
    Ok((kind, paging.size(least)?, paging.token().map(str::to_owned)))
}

/// A page of words of which one more was read; the next one goes on behind the last.
fn page(name: &str, mut words: Vec<String>, limit: usize) -> Value {
    let is_more = words.len() > limit;
    words.truncate(limit);
    let mut answer = Map::new();
    put(&mut answer, "NextToken", words.last().filter(|_| is_more).cloned());
    answer.insert(name.to_owned(), Value::from(words));
    answer.insert("MaxResults".to_owned(), Value::from(limit));
    Value::Object(answer)
}

/// `ChangeResourceGroup`.
pub(super) async fn change_resource_group(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: Request = read(call)?;
    let kind = request.kind()?;
    let id = needed("ResourceId", request.resource_id.as_ref())?;
    let group = needed("NewResourceGroupId", request.new_resource_group_id.as_ref())?;
    call.allowed("", &format!("{}/{id}", kind.word()))?;
    let (oos, account) = (call.oos(), call.account());
    let is_there = match kind {
        TagKind::Template => oos.templates.set_resource_group(account, id, group).await,
        TagKind::Parameter | TagKind::SecretParameter => {
            let is_secret = kind == TagKind::SecretParameter;
            oos.parameters.set_resource_group(account, is_secret, id, group).await
        }
        TagKind::Execution => {
            let change = ExecutionChange {
                resource_group: Some(group.to_owned()),
                ..ExecutionChange::default()
            };
            let done = oos.executions.records().update(account, id, &change, None).await;
            match done {
                Err(StoreError::NotFound { .. }) => Ok(false),
                done => done.map(|_| true),
            }
        }
    };
    match is_there.map_err(errors::store)? {
        true => Ok(json!({})),
        false => Err(errors::absent(entity(kind), id)),
    }
}
