//! From a type to pairs, for clients.
//!
//! This goes by way of JSON, in which a map and a struct look alike: both are flattened. What has
//! to travel as JSON text in one parameter is a `String` in its type, or serialises to one.

use super::{MAX_DEPTH, ParamError};
use serde::Serialize;
use serde_json::Value;

/// The pairs of a request: structs as `Name.Field`, lists as `Name.N` from 1, `None` left out.
///
/// # Errors
///
/// `Invalid` where `request` is not a struct, is nested deeper than names may be, or cannot be
/// serialised at all.
pub fn to_params<T: Serialize>(request: &T) -> Result<Vec<(String, String)>, ParamError> {
    let value = serde_json::to_value(request).map_err(|error| invalid("", &error.to_string()))?;
    if !value.is_object() {
        return Err(invalid("", "A struct is expected."));
    }
    let mut pairs = Vec::new();
    flatten("", &value, 0, &mut pairs)?;
    Ok(pairs)
}

fn invalid(name: &str, why: &str) -> ParamError {
    ParamError::Invalid { name: name.to_owned(), why: why.to_owned() }
}

fn flatten(
    path: &str,
    value: &Value,
    depth: usize,
    pairs: &mut Vec<(String, String)>,
) -> Result<(), ParamError> {
    if depth > MAX_DEPTH {
        return Err(invalid(path, "The request is nested too deeply."));
    }
    let join = |name: &str| match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    match value {
        Value::Null => {}
        Value::Bool(value) => pairs.push((path.to_owned(), value.to_string())),
        Value::Number(value) => pairs.push((path.to_owned(), value.to_string())),
        Value::String(value) => pairs.push((path.to_owned(), value.clone())),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                flatten(&join(&(at + 1).to_string()), item, depth + 1, pairs)?;
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                flatten(&join(name), field, depth + 1, pairs)?;
            }
        }
    }
    Ok(())
}
