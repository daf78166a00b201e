//! The actions, one file each: they judge parameters, ask or change the records, and answer.

pub mod check;
mod describe_images;
pub mod errors;
pub mod idempotence;
pub mod import;
#[cfg(test)]
mod model_tests;
mod modify_image_attribute;
mod owned;
pub mod paging;
mod places;
mod share_permission;
mod tags;
mod tasks;
#[cfg(test)]
pub(crate) mod testing;
pub mod wire;

use futures::future::BoxFuture;
use kiln_ecs::error::ApiError;
use serde_json::Value;

use super::Call;

/// Runs an action. The value is a JSON object, to which the gateway adds `RequestId`.
pub type Handler = for<'a> fn(&'a Call<'a>) -> BoxFuture<'a, Result<Value, ApiError>>;

/// The table of actions: `(name, handler)`. A handler is
/// `async fn name(call: &Call<'_>) -> Result<Value, ApiError>`.
const ACTIONS: &[(&str, Handler)] = &[
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
pub fn find(name: &str) -> Option<(&'static str, Handler)> {
    ACTIONS.iter().find(|(known, _)| *known == name).copied()
}
