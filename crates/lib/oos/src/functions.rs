//! Stand-in.
#![allow(missing_docs, clippy::all)]
use serde_json::Value;
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    If,
    And,
    Or,
    Not,
    Equals,
    Join,
    Select,
    ListJoin,
    Sum,
    Min,
    Max,
    First,
    Last,
    MergeList,
}
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    pub bytes: usize,
    pub items: usize,
}
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("x")]
pub struct FunctionError;
impl Function {
    pub fn name(self) -> &'static str {
        ""
    }
    pub fn named(_: &str) -> Option<Self> {
        None
    }
    pub fn closest(_: &str) -> Option<Self> {
        None
    }
    pub fn usage(self) -> &'static str {
        ""
    }
    pub fn check_shape(self, _: Option<usize>) -> Result<(), String> {
        Ok(())
    }
}
pub fn apply(
    _: Function,
    _: &Value,
    _: Limits,
    _: &dyn Fn(&str, &Value) -> Result<Vec<Value>, String>,
) -> Result<Value, FunctionError> {
    Err(FunctionError)
}
pub fn truth(_: &Value) -> Result<bool, FunctionError> {
    Err(FunctionError)
}
