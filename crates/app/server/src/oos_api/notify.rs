//! `NotifyExecution` and `TriggerExecution`: what people decide about executions that wait.

use kiln_ecs::error::ApiError;
use kiln_factory::executions::{ExecutionView, root_of};
use kiln_oos::run::{Notice, NoticeKind, Status};
use serde::Deserialize;
use serde_json::{Value, json};

use super::executions::row;
use super::once::{self, Attempt};
use super::request::{self, client_token, needed, read, region};
use super::{caller, errors, view};
use crate::ecs::Call;

/// Task executions that one decision names.
const MAX_TASKS: usize = 100;

/// The longest remark, in characters.
const MAX_NOTE: usize = 1000;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Notify {
    execution_id: Option<String>,
    execution_status: Option<String>,
    loop_item: Option<String>,
    notify_note: Option<String>,
    notify_type: Option<String>,
    parameters: Option<String>,
    task_execution_id: Option<String>,
    task_execution_ids: Option<String>,
    task_name: Option<String>,
}

impl Notify {
    fn kind(&self) -> Result<NoticeKind, ApiError> {
        Ok(match needed("NotifyType", self.notify_type.as_ref())? {
            "Approve" => NoticeKind::Approve,
            "Reject" => NoticeKind::Reject,
            "ExecuteTask" => NoticeKind::ExecuteTask {
                name: self.task_name.clone(),
                properties: request::object("Parameters", self.parameters.as_ref())?,
            },
            "CancelTask" => NoticeKind::CancelTask,
            "CompleteExecution" => NoticeKind::CompleteExecution(self.status()?),
            "RetryTask" => NoticeKind::RetryTask,
            "SkipTask" => NoticeKind::SkipTask,
            _ => {
                let told = "Approve, Reject, ExecuteTask, CancelTask, CompleteExecution, \
                            RetryTask or SkipTask is expected.";
                return Err(ApiError::invalid_parameter("NotifyType", told));
            }
        })
    }

    fn status(&self) -> Result<Status, ApiError> {
        match self.execution_status.as_deref() {
            None | Some("Success") => Ok(Status::Success),
            Some("Failed") => Ok(Status::Failed),
            Some("Cancelled") => Ok(Status::Cancelled),
            Some(_) => {
                let told = "Success, Failed or Cancelled is expected.";
                Err(ApiError::invalid_parameter("ExecutionStatus", told))
            }
        }
    }
}

/// `NotifyExecution`.
pub(super) async fn notify_execution(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: Notify = read(call)?;
    let id = needed("ExecutionId", request.execution_id.as_ref())?;
    let kind = request.kind()?;
    let own = row(call, id).await?;
    call.allowed(&own.region, &format!("execution/{id}"))?;
    if matches!(&kind, NoticeKind::ExecuteTask { properties, .. } if !properties.is_empty()) {
        caller::may_give(call.caller, &own.executed_by)?;
    }
    let mut tasks =
        request::list("TaskExecutionIds", request.task_execution_ids.as_ref(), MAX_TASKS)?;
    tasks.extend(request.task_execution_id);
    let note = request.notify_note.unwrap_or_default();
    if note.chars().count() > MAX_NOTE {
        let told = format!("It has up to {MAX_NOTE} characters.");
        return Err(ApiError::invalid_parameter("NotifyNote", &told));
    }
    let notice = Notice {
        execution: id.to_owned(),
        kind,
        tasks,
        item: request.loop_item,
        user: caller::starter(call.caller),
        note,
    };
    let oos = call.oos();
    oos.executions.notify(notice).await.map_err(errors::failure)?;
    oos.engine.wake(root_of(id)).await;
    Ok(json!({}))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Trigger {
    client_token: Option<String>,
    content: Option<String>,
    execution_id: Option<String>,
    region_id: Option<String>,
    #[serde(rename = "Type")]
    kind: Option<String>,
}

/// `TriggerExecution`: fire a trigger by hand.
pub(super) async fn trigger_execution(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: Trigger = read(call)?;
    let id = needed("ExecutionId", request.execution_id.as_ref())?;
    let kind = needed("Type", request.kind.as_ref())?;
    needed("RegionId", request.region_id.as_ref())?;
    let region = region(call, request.region_id.as_ref())?;
    let own = row(call, id).await?;
    call.allowed(&own.region, &format!("execution/{id}"))?;
    let view: ExecutionView = view::read(&own.view)?;
    let category = match kind {
        "Event" => "EventTrigger",
        "Alarm" => "AlarmTrigger",
        "Timer" => "TimerTrigger",
        _ => {
            let told = "Event, Alarm or Timer is expected.";
            return Err(ApiError::invalid_parameter("Type", told));
        }
    };
    if view.category != category {
        let told = format!("The execution is of the category {}.", view.category);
        return Err(ApiError::invalid_parameter("Type", &told));
    }
    let content = match &request.content {
        // A body that is no JSON is a text.
        Some(text) => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str())),
        None => json!({}),
    };
    let attempt = Attempt::of(call, &region, client_token(request.client_token.as_ref())?);
    if let Some(before) = once::before(call, attempt.as_ref()).await? {
        return Ok(before);
    }
    let oos = call.oos();
    let token = attempt.map(|attempt| attempt.with(json!({})));
    let fired = oos.executions.fire_once(id, content, token.as_ref()).await;
    let answer = once::answered(fired.map_err(errors::failure)?, |()| Ok(json!({})))?;
    oos.engine.wake(root_of(id)).await;
    Ok(answer)
}
