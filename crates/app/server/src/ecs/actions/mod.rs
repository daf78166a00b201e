//! The actions, one file each: they judge parameters, ask or change the records, and answer.

pub(super) mod check;
mod copy_image;
mod delete_image;
mod describe_images;
mod errors;
mod export_image;
mod idempotence;
mod import;
mod import_image;
#[cfg(test)]
mod model_tests;
mod modify_image_attribute;
mod owned;
mod paging;
mod places;
mod refusal;
mod share_permission;
mod tags;
mod tasks;
#[cfg(test)]
pub(crate) mod testing;
mod texts;
mod wire;

use futures::future::BoxFuture;
use kiln_ecs::answer::{AnswerError, Format};
use kiln_ecs::error::ApiError;
use kiln_ecs::types::describe_images::DescribeImagesResponse;
use serde_json::Value;

pub(crate) use self::errors::store as store_error;
pub(crate) use self::idempotence::token_of;
use super::Call;

/// What an action answers with, without its `RequestId`.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A JSON object.
    Fields(Value),
    /// The one answer that is long and often asked for: it is written without a detour.
    Images(Box<DescribeImagesResponse>),
}

impl Answer {
    /// The body in a format.
    pub(crate) fn text(
        self,
        format: Format,
        action: &str,
        request_id: &str,
    ) -> Result<String, AnswerError> {
        match self {
            Self::Fields(fields) => format.answer_fields(action, request_id, fields),
            Self::Images(images) => format.answer_lean(action, request_id, &*images),
        }
    }
}

/// Runs an action.
pub(crate) type Handler = for<'a> fn(&'a Call<'a>) -> BoxFuture<'a, Result<Answer, ApiError>>;

fn fields<'a>(
    work: impl Future<Output = Result<Value, ApiError>> + Send + 'a,
) -> BoxFuture<'a, Result<Answer, ApiError>> {
    Box::pin(async move { work.await.map(Answer::Fields) })
}

/// The table of actions: `(name, handler)`. A handler is
/// `async fn name(call: &Call<'_>) -> Result<Value, ApiError>`, its answer a JSON object.
const ACTIONS: &[(&str, Handler)] = &[
    ("CancelCopyImage", |call| fields(copy_image::cancel_copy_image(call))),
    ("CancelTask", |call| fields(delete_image::cancel_task(call))),
    ("CopyImage", |call| fields(copy_image::copy_image(call))),
    ("DeleteImage", |call| fields(delete_image::delete_image(call))),
    ("DescribeImageFromFamily", |call| fields(describe_images::describe_image_from_family(call))),
    ("DescribeImageSharePermission", |call| {
        fields(share_permission::describe_image_share_permission(call))
    }),
    ("DescribeImageSupportInstanceTypes", |call| {
        fields(places::describe_image_support_instance_types(call))
    }),
    ("DescribeImages", |call| Box::pin(describe_images::describe_images(call))),
    ("DescribeInstanceTypes", |call| fields(places::describe_instance_types(call))),
    ("DescribeRegions", |call| fields(places::describe_regions(call))),
    ("DescribeTaskAttribute", |call| fields(tasks::describe_task_attribute(call))),
    ("DescribeTasks", |call| fields(tasks::describe_tasks(call))),
    ("DescribeZones", |call| fields(places::describe_zones(call))),
    ("ExportImage", |call| fields(export_image::export_image(call))),
    ("ImportImage", |call| fields(import_image::import_image(call))),
    ("ListTagResources", |call| fields(tags::list_tag_resources(call))),
    ("ModifyImageAttribute", |call| fields(modify_image_attribute::modify_image_attribute(call))),
    ("ModifyImageSharePermission", |call| {
        fields(share_permission::modify_image_share_permission(call))
    }),
    ("TagResources", |call| fields(tags::tag_resources(call))),
    ("UntagResources", |call| fields(tags::untag_resources(call))),
];

/// The action's name and handler, or `None` where there is no such action. Names are
/// case-sensitive.
#[must_use]
pub(crate) fn find(name: &str) -> Option<(&'static str, Handler)> {
    ACTIONS.iter().find(|(known, _)| *known == name).copied()
}
