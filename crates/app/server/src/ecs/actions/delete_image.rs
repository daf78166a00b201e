//! `DeleteImage` and `CancelTask`: spec sections 11.5 and 12.

use kiln_ecs::error::ApiError;
use kiln_ecs::types::images::DeleteImageRequest;
use kiln_ecs::types::tasks::CancelTaskRequest;
use serde_json::{Value, json};

use super::check;
use super::refusal::{Of, api_error};
use crate::ecs::Call;

pub(super) async fn delete_image(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: DeleteImageRequest = call.parse()?;
    let region = call.region(request.region_id.as_deref().unwrap_or_default())?.id.as_str();
    let image = check::needed("ImageId", request.image_id.as_ref())?;
    call.authorize("ecs:DeleteImage", &call.resource(region, &format!("image/{image}")))?;
    let is_dry = request.dry_run == Some(true);
    let deleted = call.service.images.delete(call.account(), region, image, !is_dry).await;
    deleted.map_err(|refusal| api_error(Of::Delete, &refusal))?;
    if is_dry {
        return Err(check::dry_run());
    }
    Ok(json!({}))
}

pub(super) async fn cancel_task(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: CancelTaskRequest = call.parse()?;
    let region = call.region(request.region_id.as_deref().unwrap_or_default())?.id.as_str();
    let task = check::needed("TaskId", request.task_id.as_ref())?;
    call.authorize("ecs:CancelTask", &call.resource(region, &format!("task/{task}")))?;
    let cancelled = call.service.images.cancel_task(call.account(), region, task).await;
    cancelled.map_err(|refusal| api_error(Of::CancelTask, &refusal))?;
    Ok(json!({}))
}
