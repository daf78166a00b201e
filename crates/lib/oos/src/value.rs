//! Stand-in.
#![allow(missing_docs, clippy::all)]
use serde_json::Value;
use std::borrow::Cow;
pub fn text(_: &Value) -> Cow<'_, str> {
    Cow::Borrowed("")
}
pub fn equal(a: &Value, b: &Value) -> bool {
    a == b
}
pub fn kind(_: &Value) -> &'static str {
    ""
}
