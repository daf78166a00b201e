//! Runs as rows of the store, and back.

use jiff::Timestamp;
use kiln_oos::run::{Execution, Run, TaskRun};
use kiln_store::{ExecutionRow, TaskRow};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::view::{ExecutionView, TaskView};
use super::{Failure, Result};

/// Nanoseconds since 1970, as the store has times.
pub(super) fn nanoseconds(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)
}

pub(super) fn execution(run: &Run, own: &Execution) -> Result<ExecutionRow> {
    let view = ExecutionView::of(run, own);
    Ok(ExecutionRow {
        id: own.id.clone(),
        root: run.root().id.clone(),
        parent: view.parent.clone(),
        firing: run.firing_of(&own.id).unwrap_or_default().to_owned(),
        account: view.account.clone(),
        region: view.region.clone(),
        template_name: view.template_name.clone(),
        status: view.status.name().to_owned(),
        mode: format!("{:?}", view.mode),
        category: view.category.clone(),
        executed_by: view.executed_by.clone(),
        ram_role: view.ram_role.clone(),
        description: String::new(),
        resource_group: String::new(),
        tags: std::collections::BTreeMap::new(),
        depth: i64::from(own.depth),
        created: nanoseconds(own.created),
        ended: own.ended.map_or(0, nanoseconds),
        record: json(own)?,
        view: json(&view)?,
    })
}

pub(super) fn task(run: &Run, own: &TaskRun) -> Result<TaskRow> {
    let view = TaskView::of(run, own);
    Ok(TaskRow {
        id: own.id.clone(),
        execution: own.execution.clone(),
        root: run.root().id.clone(),
        firing: run.firing_of(&own.execution).unwrap_or_default().to_owned(),
        parent: view.parent.clone(),
        name: view.name.clone(),
        action: view.action.clone(),
        resource: resource(&view).unwrap_or_default().to_owned(),
        status: view.status.name().to_owned(),
        position: place(own),
        created: nanoseconds(own.created),
        ended: own.ended.map_or(0, nanoseconds),
        record: json(own)?,
        view: json(&view)?,
    })
}

/// The place of a task execution among those of its execution: tasks as they were started, items
/// behind the task whose loop they are of.
fn place(own: &TaskRun) -> i64 {
    const ITEMS: i64 = 1_000_000;
    let id = own.parent.as_deref().unwrap_or(&own.id);
    let ordinal: i64 = id.rsplit(".t").next().and_then(|tail| tail.parse().ok()).unwrap_or(0);
    let item = match &own.parent {
        Some(_) => i64::from(own.position) + 1,
        None => 0,
    };
    ordinal.saturating_mul(ITEMS).saturating_add(item)
}

/// The resource that an item of a loop is.
fn resource(task: &TaskView) -> Option<&str> {
    let item = task.item.as_ref().filter(|_| !task.parent.is_empty())?;
    resource_id(item)
}

/// The identifier of a resource in an item: `i-…`, or an object that has one.
fn resource_id(item: &Value) -> Option<&str> {
    let text = match item {
        Value::Object(map) => ["InstanceId", "ImageId", "DiskId", "SnapshotId", "ResourceId"]
            .iter()
            .find_map(|name| map.get(*name)?.as_str())?,
        other => other.as_str()?,
    };
    let (kind, rest) = text.split_once('-')?;
    let is_word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
    (kind.len() <= 4 && rest.len() <= 64 && is_word(kind) && is_word(rest)).then_some(text)
}

/// A record of the store.
pub(super) fn read<T: DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|error| Failure::Records(format!("the {what} cannot be read: {error}")))
}

fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Failure::Records(error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn resources_are_told_from_other_items() {
        for (item, found) in [
            (json!("i-bp1"), Some("i-bp1")),
            (json!({"InstanceId": "i-1", "x": 1}), Some("i-1")),
            (json!("sg-1"), Some("sg-1")),
            (json!("one"), None),
            (json!("cn-hangzhou-a"), None),
            (json!(5), None),
        ] {
            assert_eq!(resource_id(&item), found, "{item}");
        }
    }
}
