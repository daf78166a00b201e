//! `ListExecutionLogs`: what happened in an execution and below it, oldest first.

use kiln_ecs::error::ApiError;
use kiln_store::LogQuery;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::errors;
use super::executions::row;
use super::request::{self, bad_token, needed, put, read, stored_time};
use crate::ecs::Call;

/// The one type that entries of the engine have.
const SYSTEM: &str = "System";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Request {
    execution_id: Option<String>,
    log_type: Option<String>,
    task_execution_id: Option<String>,
}

pub(super) async fn list_execution_logs(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: Request = read(call)?;
    let id = needed("ExecutionId", request.execution_id.as_ref())?;
    let own = row(call, id).await?;
    call.allowed(&own.region, &format!("execution/{id}"))?;
    let paging = request::paging(call)?;
    let limit = paging.size(1)?;
    if request.log_type.as_deref().is_some_and(|kind| kind != SYSTEM) {
        return Ok(json!({"ExecutionLogs": [], "IsTruncated": false, "MaxResults": limit}));
    }
    let after = match paging.token() {
        Some(token) => token.parse().map_err(|_| bad_token())?,
        None => 0,
    };
    let query = LogQuery {
        execution: id.to_owned(),
        include_below: true,
        task: request.task_execution_id,
        after,
        limit,
    };
    let logs = call.oos().executions.records().logs(&query).await.map_err(errors::store)?;
    let entry = |row: &kiln_store::LogRow| {
        json!({
            "LogType": SYSTEM,
            "Message": row.message,
            "TaskExecutionId": row.task,
            "Timestamp": stored_time(row.at),
        })
    };
    let mut answer = Map::new();
    let entries: Vec<Value> = logs.rows.iter().map(entry).collect();
    answer.insert("ExecutionLogs".to_owned(), Value::from(entries));
    answer.insert("IsTruncated".to_owned(), Value::from(logs.is_truncated));
    answer.insert("MaxResults".to_owned(), Value::from(limit));
    put(&mut answer, "NextToken", logs.is_truncated.then(|| logs.last.to_string()));
    Ok(Value::Object(answer))
}
