//! The actions, one file each: they judge parameters, ask or change the records, and answer.

mod describe_regions;

use futures::future::BoxFuture;
use kiln_ecs::error::ApiError;
use serde_json::Value;

use super::Call;

/// Runs an action. The value is a JSON object, to which the gateway adds `RequestId`.
pub type Handler = for<'a> fn(&'a Call<'a>) -> BoxFuture<'a, Result<Value, ApiError>>;

/// The table of actions: `(name, handler)`. A handler is
/// `async fn name(call: &Call<'_>) -> Result<Value, ApiError>`.
const ACTIONS: &[(&str, Handler)] =
    &[("DescribeRegions", |call| Box::pin(describe_regions::describe_regions(call)))];

/// The action's name and handler, or `None` where there is no such action. Names are
/// case-sensitive.
#[must_use]
pub fn find(name: &str) -> Option<(&'static str, Handler)> {
    ACTIONS.iter().find(|(known, _)| *known == name).copied()
}
