//! Tags of instances, disks, snapshots, images and launch templates.

use indexmap::IndexMap;
use serde_json::{Value, json};

use crate::{
    error::ApiFault,
    operations::{Operation, Request},
    paging::page,
    world::{World, done},
};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::ecs("AddTags", add_tags),
    Operation::ecs("ListTagResources", list_tag_resources),
    Operation::ecs("RemoveTags", remove_tags),
    Operation::ecs("TagResources", tag_resources),
    Operation::ecs("UntagResources", untag_resources),
];

/// Tags of one resource, as the tag operations document it.
const MAX_TAGS: usize = 20;

type Tags = IndexMap<String, String>;

/// Tags as answers have them.
pub(crate) fn tag_fields(tags: &Tags) -> Value {
    let tags: Vec<_> =
        tags.iter().map(|(key, value)| json!({ "TagKey": key, "TagValue": value })).collect();
    json!({ "Tag": tags })
}

/// Whether `tags` has all that are wanted; one without a value is wanted with any.
pub(crate) fn has_tags(tags: &Tags, wanted: &Tags) -> bool {
    wanted
        .iter()
        .all(|(key, value)| tags.get(key).is_some_and(|found| value.is_empty() || found == value))
}

impl World {
    fn tags_mut(&mut self, resource_type: &str, id: &str) -> Option<&mut Tags> {
        match resource_type {
            "instance" => self.instances.get_mut(id).map(|each| &mut each.tags),
            "disk" => self.disks.get_mut(id).map(|each| &mut each.tags),
            "snapshot" => self.snapshots.get_mut(id).map(|each| &mut each.tags),
            "image" => self.images.get_mut(id).map(|each| &mut each.tags),
            "launchtemplate" => self.launch_templates.get_mut(id).map(|each| &mut each.tags),
            _ => None,
        }
    }

    fn tagged(&self, resource_type: &str) -> Vec<(&str, &Tags)> {
        match resource_type {
            "instance" => self.instances.values().map(|each| (&*each.id, &each.tags)).collect(),
            "disk" => self.disks.values().map(|each| (&*each.id, &each.tags)).collect(),
            "snapshot" => self.snapshots.values().map(|each| (&*each.id, &each.tags)).collect(),
            "image" => self.images.values().map(|each| (&*each.id, &each.tags)).collect(),
            "launchtemplate" => {
                self.launch_templates.values().map(|each| (&*each.id, &each.tags)).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn resource_type(request: &Request<'_>) -> Result<String, ApiFault> {
    let missing = || {
        let message = "The parameter - ResourceType should not be null";
        ApiFault::new(404, "MissingParameter.ResourceType", message)
    };
    let name = request.parameters.text("ResourceType").ok_or_else(missing)?;
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "instance" | "disk" | "snapshot" | "image" | "launchtemplate" => Ok(name),
        _ => Err(ApiFault::not_found("ResourceType")),
    }
}

/// Change the tags of all resources that the request names, or of none.
fn change(
    world: &mut World,
    request: &Request<'_>,
    change: impl Fn(&mut Tags),
) -> Result<Value, ApiFault> {
    let resource_type = resource_type(request)?;
    let ids = request.parameters.required_list("ResourceId")?;
    let mut changed = Vec::new();
    for id in ids {
        let message = "The specified ResourceIds are not found in our records.";
        let missing = || ApiFault::new(404, "InvalidResourceId.NotFound", message);
        let mut tags = world.tags_mut(&resource_type, &id).ok_or_else(missing)?.clone();
        change(&mut tags);
        if tags.len() > MAX_TAGS {
            let message = "The quota of tags on resource is beyond permitted range.";
            return Err(ApiFault::new(400, "OperationDenied.QuotaExceed", message));
        }
        changed.push((id, tags));
    }
    for (id, new) in changed {
        if let Some(tags) = world.tags_mut(&resource_type, &id) {
            *tags = new;
        }
    }
    done()
}

fn tag_resources(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let new = request.parameters.tags()?;
    if new.is_empty() {
        let message = "The parameter - Tags should not be null";
        return Err(ApiFault::new(404, "MissingParameter.Tags", message));
    }
    change(world, request, |tags| tags.extend(new.clone()))
}

fn add_tags(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    tag_resources(world, request)
}

fn untag_resources(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let keys = request.parameters.list("TagKey")?.unwrap_or_default();
    let is_all = keys.is_empty() && request.parameters.flag("All")?.unwrap_or(false);
    change(world, request, |tags| tags.retain(|key, _| !is_all && !keys.contains(key)))
}

fn remove_tags(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let gone = request.parameters.tags()?;
    change(world, request, |tags| tags.retain(|key, _| !gone.contains_key(key)))
}

fn list_tag_resources(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let resource_type = resource_type(request)?;
    let ids = request.parameters.list("ResourceId")?;
    let wanted = request.parameters.tags()?;
    if ids.is_none() && wanted.is_empty() {
        return Err(ApiFault::missing("ResourceId"));
    }
    let is_wanted = |(id, tags): &(&str, &Tags)| {
        ids.as_ref().is_none_or(|ids| ids.iter().any(|wanted| wanted == id))
            && has_tags(tags, &wanted)
    };
    let found: Vec<_> = (world.tagged(&resource_type).into_iter().filter(is_wanted))
        .flat_map(|(id, tags)| tags.iter().map(move |(key, value)| (id, key, value)))
        .collect();
    let page = page(request, &found, |(id, key, value)| {
        json!({
            "ResourceId": id, "ResourceType": resource_type, "TagKey": key, "TagValue": value,
        })
    })?;
    Ok(page.answer("TagResources", "TagResource"))
}
