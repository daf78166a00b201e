//! Runs as rows of the store, and back.

use jiff::Timestamp;
use kiln_oos::run::{Execution, Run, TaskRun};
use kiln_store::{ExecutionRow, TaskRow};
use serde::Serialize;

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
        parent: view.parent.clone(),
        name: view.name.clone(),
        action: view.action.clone(),
        status: view.status.name().to_owned(),
        position: i64::from(own.position),
        created: nanoseconds(own.created),
        ended: own.ended.map_or(0, nanoseconds),
        record: json(own)?,
        view: json(&view)?,
    })
}

fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Failure::Records(error.to_string()))
}
