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
use kiln_ecs::error::ApiError;
use serde_json::Value;

use super::Call;

/// Runs an action. The value is a JSON object, to which the gateway adds `RequestId`.
pub(super) type Handler = for<'a> fn(&'a Call<'a>) -> BoxFuture<'a, Result<Value, ApiError>>;

/// The table of actions: `(name, handler)`. A handler is
/// `async fn name(call: &Call<'_>) -> Result<Value, ApiError>`.
const ACTIONS: &[(&str, Handler)] = &[
    ("CancelCopyImage", |call| Box::pin(copy_image::cancel_copy_image(call))),
    ("CancelTask", |call| Box::pin(delete_image::cancel_task(call))),
    ("CopyImage", |call| Box::pin(copy_image::copy_image(call))),
    ("DeleteImage", |call| Box::pin(delete_image::delete_image(call))),
    ("DescribeImageFromFamily", |call| Box::pin(describe_images::describe_image_from_family(call))),
    ("DescribeImageSharePermission", |call| {
        Box::pin(share_permission::describe_image_share_permission(call))
    }),
    ("DescribeImageSupportInstanceTypes", |call| {
        Box::pin(places::describe_image_support_instance_types(call))
    }),
    ("DescribeImages", |call| Box::pin(describe_images::describe_images(call))),
    ("DescribeInstanceTypes", |call| Box::pin(places::describe_instance_types(call))),
    ("DescribeRegions", |call| Box::pin(places::describe_regions(call))),
    ("DescribeTaskAttribute", |call| Box::pin(tasks::describe_task_attribute(call))),
    ("DescribeTasks", |call| Box::pin(tasks::describe_tasks(call))),
    ("DescribeZones", |call| Box::pin(places::describe_zones(call))),
    ("ExportImage", |call| Box::pin(export_image::export_image(call))),
    ("ImportImage", |call| Box::pin(import_image::import_image(call))),
    ("ListTagResources", |call| Box::pin(tags::list_tag_resources(call))),
    ("ModifyImageAttribute", |call| Box::pin(modify_image_attribute::modify_image_attribute(call))),
    ("ModifyImageSharePermission", |call| {
        Box::pin(share_permission::modify_image_share_permission(call))
    }),
    ("TagResources", |call| Box::pin(tags::tag_resources(call))),
    ("UntagResources", |call| Box::pin(tags::untag_resources(call))),
];

/// The action's name and handler, or `None` where there is no such action. Names are
/// case-sensitive.
#[must_use]
pub(super) fn find(name: &str) -> Option<(&'static str, Handler)> {
    ACTIONS.iter().find(|(known, _)| *known == name).copied()
}
