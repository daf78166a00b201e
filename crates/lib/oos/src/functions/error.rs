//! Why a function could not be applied: which one, where in its argument, what was wrong there.
//!
//! A message never shows a part of a value: what masks the secrets of a run looks for whole
//! values, and would not know the first forty letters of one. Short values are shown whole.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use super::Function;
use crate::value::kind;

/// Values of more characters than this are described and not shown.
const SHOWN_CHARS: usize = 40;

/// A function that could not be applied to its argument.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionError {
    /// Absent where a condition stands outside of any function, as in `When: maybe`.
    pub function: Option<Function>,
    /// What was wrong.
    pub fault: Fault,
}

impl std::error::Error for FunctionError {}

impl fmt::Display for FunctionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.function {
            Some(function) => write!(f, "{}: {}", function.name(), self.fault),
            None => self.fault.fmt(f),
        }
    }
}

/// What was wrong with an argument.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The argument as a whole does not have the form that the function takes.
    #[error("the argument must be {usage}, and {found}")]
    Shape {
        /// [`Function::usage`].
        usage: &'static str,
        /// "has 3 items", "is a map".
        found: String,
    },
    /// One value is of the wrong kind, or does not say what it must say.
    #[error("{place} must be {wanted}, and is {found}")]
    Wrong {
        /// Where it stands.
        place: Place,
        /// What would be right: "a list".
        wanted: Cow<'static, str>,
        /// What is there: "a map", or a short text as it is.
        found: String,
    },
    /// The values are of the right kinds, and the computation failed.
    #[error("{place} {why}")]
    Failed {
        /// Where the cause stands.
        place: Place,
        /// "divides by zero at character 3".
        why: String,
    },
    /// The result would be too long.
    #[error("the result would be longer than the limit of {limit_bytes} bytes")]
    TooLong {
        /// [`super::Limits::bytes`].
        limit_bytes: usize,
    },
    /// The result would have too many items.
    #[error("the result would have more than the limit of {limit_items} items")]
    TooMany {
        /// [`super::Limits::items`].
        limit_items: usize,
    },
    /// The function is known and kiln does not have it.
    #[error("not supported by kiln: {0}")]
    Unsupported(&'static str),
}

impl Fault {
    pub(super) fn wrong(
        place: Place,
        wanted: impl Into<Cow<'static, str>>,
        found: &Value,
    ) -> Fault {
        Self::Wrong { place, wanted: wanted.into(), found: describe(found) }
    }

    pub(super) fn of(self, function: Function) -> FunctionError {
        FunctionError { function: Some(function), fault: self }
    }
}

/// A place in the argument of a function. Items count from 0 here and from "first" in messages.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Place {
    /// A condition outside of any function.
    Condition,
    /// The argument as a whole.
    Argument,
    /// An item of the argument.
    Item(usize),
    /// An item of a list that is itself part of the argument.
    ItemOf(usize, Box<Place>),
    /// The value of a key in a map that is part of the argument.
    ValueOf(String, Box<Place>),
}

impl Place {
    /// The place of item `index` in the list that is at `self`.
    pub(super) fn item(&self, index: usize) -> Self {
        match self {
            Self::Argument => Self::Item(index),
            place => Self::ItemOf(index, Box::new(place.clone())),
        }
    }

    /// The place of the value of `key` in the map that is at `self`.
    pub(super) fn value_of(&self, key: &str) -> Self {
        Self::ValueOf(shown(key), Box::new(self.clone()))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Condition => f.write_str("a condition"),
            Self::Argument => f.write_str("the argument"),
            Self::Item(index) => match ["first", "second", "third"].get(*index) {
                Some(ordinal) => write!(f, "the {ordinal} item"),
                None => write!(f, "item {}", index.saturating_add(1)),
            },
            Self::ItemOf(index, outer) => write!(f, "item {} of {outer}", index.saturating_add(1)),
            Self::ValueOf(key, outer) => write!(f, "the value of {key} in {outer}"),
        }
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::String(text) => shown(text),
        Value::Number(number) => number.to_string(),
        _ => kind(value).to_owned(),
    }
}

fn shown(text: &str) -> String {
    match text.chars().nth(SHOWN_CHARS) {
        None => format!("`{text}`"),
        Some(_) => format!("a text of {} bytes", text.len()),
    }
}
