//! Reading the argument of a function: each reader asks for a kind of value at a place, and says
//! where it did not find it.
//!
//! The readers are as lenient as working templates need: numbers may stand in text, lists and maps
//! may be JSON text (outputs of commands arrive so), and an output of a task that did not run is
//! null, which is no text.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::error::{Fault, FunctionError, Place};
use super::{Function, Limits};
use crate::value::{self, Number};

/// One application of a function.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) function: Function,
    pub(super) argument: &'a Value,
    pub(super) limits: Limits,
}

/// A value with its place in the argument.
#[derive(Clone)]
pub(super) struct Operand<'a> {
    pub(super) value: &'a Value,
    pub(super) place: Place,
    function: Function,
}

impl<'a> Call<'a> {
    /// The argument as one value.
    pub(super) fn whole(&self) -> Operand<'a> {
        Operand { value: self.argument, place: Place::Argument, function: self.function }
    }

    /// The value itself, or the only item of a list: both ways of writing are in use.
    pub(super) fn single(&self) -> Operand<'a> {
        match self.argument {
            Value::Array(items) if items.len() == 1 => {
                Operand { value: &items[0], place: Place::Item(0), function: self.function }
            }
            _ => self.whole(),
        }
    }

    /// The items of an argument that is a list of exactly `N`.
    pub(super) fn items<const N: usize>(&self) -> Result<[Operand<'a>; N], FunctionError> {
        let values: &[Value; N] = match self.argument {
            Value::Array(items) => {
                items.as_slice().try_into().map_err(|_| self.shape(self.argument))?
            }
            other => return Err(self.shape(other)),
        };
        Ok(std::array::from_fn(|index| Operand {
            value: &values[index],
            place: Place::Item(index),
            function: self.function,
        }))
    }

    /// The error of an argument that does not have the form of the function.
    pub(super) fn shape(&self, found: &Value) -> FunctionError {
        match found {
            Value::Array(items) => self.function.wrong_items(items.len()),
            other => {
                let found = format!("is {}", value::kind(other));
                Fault::Shape { usage: self.function.usage(), found }.of(self.function)
            }
        }
    }

    pub(super) fn failed(&self, place: &Place, why: impl Into<String>) -> FunctionError {
        Fault::Failed { place: place.clone(), why: why.into() }.of(self.function)
    }

    pub(super) fn too_long(&self) -> FunctionError {
        Fault::TooLong { limit_bytes: self.limits.bytes }.of(self.function)
    }

    pub(super) fn too_many(&self) -> FunctionError {
        Fault::TooMany { limit_items: self.limits.items }.of(self.function)
    }

    /// A text to write the result into, which stops at the limit.
    pub(super) fn text(&self) -> Text<'_, 'a> {
        Text { call: self, out: String::new() }
    }
}

impl<'a> Operand<'a> {
    /// The error of a value that is not `wanted`.
    pub(super) fn must_be(&self, wanted: impl Into<Cow<'static, str>>) -> FunctionError {
        Fault::wrong(self.place.clone(), wanted, self.value).of(self.function)
    }

    /// The text of anything but lists and maps; null is empty, as it is inside other text.
    pub(super) fn text(&self) -> Result<Cow<'a, str>, FunctionError> {
        match self.value {
            Value::Array(_) | Value::Object(_) => Err(self.must_be("a string")),
            scalar => Ok(value::text(scalar)),
        }
    }

    pub(super) fn number(&self) -> Result<Number, FunctionError> {
        Number::of(self.value).ok_or_else(|| self.must_be("a number"))
    }

    pub(super) fn whole_number(&self, wanted: &'static str) -> Result<i128, FunctionError> {
        Number::of(self.value).and_then(Number::whole).ok_or_else(|| self.must_be(wanted))
    }

    pub(super) fn list(&self) -> Result<Cow<'a, [Value]>, FunctionError> {
        match unfold(self.value) {
            Cow::Borrowed(Value::Array(items)) => Ok(Cow::Borrowed(items)),
            Cow::Owned(Value::Array(items)) => Ok(Cow::Owned(items)),
            _ => Err(self.must_be("a list")),
        }
    }

    pub(super) fn map(&self) -> Result<Cow<'a, Map<String, Value>>, FunctionError> {
        match unfold(self.value) {
            Cow::Borrowed(Value::Object(map)) => Ok(Cow::Borrowed(map)),
            Cow::Owned(Value::Object(map)) => Ok(Cow::Owned(map)),
            _ => Err(self.must_be("a map")),
        }
    }

    /// An item of the list that this is; `value` may be part of text that was unfolded.
    pub(super) fn item<'b>(&self, index: usize, value: &'b Value) -> Operand<'b> {
        Operand { value, place: self.place.item(index), function: self.function }
    }

    /// The value of a key of the map that this is.
    pub(super) fn entry<'b>(&self, key: &str, value: &'b Value) -> Operand<'b> {
        Operand { value, place: self.place.value_of(key), function: self.function }
    }
}

/// A list or a map out of text that holds JSON of one; anything else as it is.
pub(super) fn unfold(value: &Value) -> Cow<'_, Value> {
    match value {
        Value::String(text) if text.trim_start().starts_with(['[', '{']) => {
            serde_json::from_str(text).map_or(Cow::Borrowed(value), Cow::Owned)
        }
        _ => Cow::Borrowed(value),
    }
}

/// The text of a result while it is written.
pub(super) struct Text<'c, 'a> {
    call: &'c Call<'a>,
    out: String,
}

impl Text<'_, '_> {
    pub(super) fn push(&mut self, more: &str) -> Result<(), FunctionError> {
        if more.len() > self.left_bytes() {
            return Err(self.call.too_long());
        }
        self.out.push_str(more);
        Ok(())
    }

    /// The text of a value of any kind.
    pub(super) fn push_value(&mut self, value: &Value) -> Result<(), FunctionError> {
        let text = value::text_within(value, self.left_bytes());
        self.push(&text.ok_or_else(|| self.call.too_long())?)
    }

    pub(super) fn done(self) -> Value {
        Value::String(self.out)
    }

    fn left_bytes(&self) -> usize {
        self.call.limits.bytes.saturating_sub(self.out.len())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// `apply` measures results too, but only when they are there.
    #[test]
    fn text_stops_at_the_limit_while_it_is_written() {
        let limits = Limits { bytes: 4, ..Limits::default() };
        let call = Call { function: Function::Join, argument: &Value::Null, limits };
        let mut text = call.text();
        text.push("abc").unwrap();
        assert_eq!(text.push("de"), Err(call.too_long()));
        assert_eq!(text.push_value(&json!([])), Err(call.too_long()));
        text.push_value(&json!(7)).unwrap();
        assert_eq!(text.done(), json!("abc7"));
    }
}
