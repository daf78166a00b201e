//! Task executions: `ListTaskExecutions` and `ListResourceExecutionStatus`.

use std::collections::BTreeMap;

use kiln_ecs::error::ApiError;
use kiln_factory::executions::{ExecutionView, TaskView};
use kiln_oos::run::Status;
use kiln_store::{TaskExecutionQuery, TaskExecutionSort, TaskRow};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::errors;
use super::executions::{Sort, row};
use super::request::{self, SortOrder, bound, needed, put, read, time};
use super::view::{self, template_id, template_owner};
use crate::ecs::Call;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct List {
    account_id: Option<String>,
    end_date_after: Option<String>,
    end_date_before: Option<String>,
    execution_id: Option<String>,
    include_child_task_execution: bool,
    parent_task_execution_id: Option<String>,
    region_id: Option<String>,
    sort_field: Sort,
    sort_order: SortOrder,
    start_date_after: Option<String>,
    start_date_before: Option<String>,
    status: Option<Status>,
    task_action: Option<String>,
    task_execution_id: Option<String>,
    task_name: Option<String>,
}

/// `ListTaskExecutions`.
pub(super) async fn list_task_executions(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: List = read(call)?;
    let id = request.execution_id.as_deref().unwrap_or("*");
    call.allowed(request.region_id.as_deref().unwrap_or_default(), &format!("execution/{id}"))?;
    let query = TaskExecutionQuery {
        account: call.account().to_owned(),
        execution: request.execution_id,
        id: request.task_execution_id,
        name: request.task_name,
        action: request.task_action,
        status: request.status.map(|status| status.name().to_owned()),
        parent: request.parent_task_execution_id,
        include_items: request.include_child_task_execution,
        only_resources: false,
        created_from: bound("StartDateAfter", request.start_date_after.as_ref(), false)?,
        created_to: bound("StartDateBefore", request.start_date_before.as_ref(), true)?,
        ended_from: bound("EndDateAfter", request.end_date_after.as_ref(), false)?,
        ended_to: bound("EndDateBefore", request.end_date_before.as_ref(), true)?,
        sort: match request.sort_field {
            Sort::StartDate => TaskExecutionSort::Created,
            Sort::EndDate => TaskExecutionSort::Ended,
            Sort::Status => TaskExecutionSort::Status,
        },
        is_ascending: request.sort_order == SortOrder::Ascending,
        page: request::paging(call)?.page(20)?,
    };
    if request.account_id.as_deref().is_some_and(|account| account != call.account()) {
        return Ok(json!({"TaskExecutions": [], "MaxResults": query.page.limit}));
    }
    let records = call.oos().executions.records();
    let page = records.list_tasks(&query).await.map_err(errors::store)?;
    let mut answer = Map::new();
    answer.insert("TaskExecutions".to_owned(), Value::from(shown(call, &page.items).await?));
    answer.insert("MaxResults".to_owned(), Value::from(query.page.limit));
    put(&mut answer, "NextToken", page.next);
    Ok(Value::Object(answer))
}

/// Tasks, each with the identifier of the template that its execution runs.
async fn shown(call: &Call<'_>, rows: &[TaskRow]) -> Result<Vec<Value>, ApiError> {
    let records = call.oos().executions.records();
    let mut templates: BTreeMap<&str, String> = BTreeMap::new();
    let mut shown = Vec::with_capacity(rows.len());
    for row in rows {
        if !templates.contains_key(row.execution.as_str()) {
            let own = records.execution(call.account(), &row.execution).await;
            let id = match own.map_err(errors::store)? {
                Some(own) => {
                    let view: ExecutionView = view::read(&own.view)?;
                    let owner = template_owner(&view.account, &view.template_name);
                    template_id(owner, &view.template_name, &view.template)
                }
                // It was deleted in this moment.
                None => String::new(),
            };
            templates.insert(&row.execution, id);
        }
        let template = templates.get(row.execution.as_str()).map_or("", String::as_str);
        shown.push(view::task(&view::read::<TaskView>(&row.view)?, template));
    }
    Ok(shown)
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Resources {
    execution_id: Option<String>,
}

/// `ListResourceExecutionStatus`: the items of loops that are resources, by their identifiers.
pub(super) async fn list_resource_execution_status(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: Resources = read(call)?;
    let id = needed("ExecutionId", request.execution_id.as_ref())?;
    let own = row(call, id).await?;
    call.allowed(&own.region, &format!("execution/{id}"))?;
    let page = request::paging(call)?.page(10)?;
    let limit = page.limit;
    let query = TaskExecutionQuery {
        account: call.account().to_owned(),
        execution: Some(id.to_owned()),
        only_resources: true,
        is_ascending: true,
        page,
        ..TaskExecutionQuery::default()
    };
    let records = call.oos().executions.records();
    let page = records.list_tasks(&query).await.map_err(errors::store)?;
    let mut found = Vec::new();
    for row in &page.items {
        let view: TaskView = view::read(&row.view)?;
        found.push(json!({
            "ResourceId": row.resource,
            "ExecutionId": view.execution,
            "ExecutionTime": time(view.created),
            "Status": view.status.name(),
            "Outputs": Value::Object(view.outputs.clone()).to_string(),
        }));
    }
    let mut answer = Map::new();
    answer.insert("ResourceExecutionStatus".to_owned(), Value::from(found));
    answer.insert("MaxResults".to_owned(), Value::from(limit));
    put(&mut answer, "NextToken", page.next);
    Ok(Value::Object(answer))
}
