//! Conditions: `Fn::Equals`, `Fn::Not`, `Fn::And`, `Fn::Or`, `Fn::If`.
//!
//! The arguments are evaluated when they come here. That only the chosen branch of `Fn::If` is, and
//! that `Fn::And` and `Fn::Or` stop early, is up to the evaluator of expressions.

use serde_json::Value;

use super::argument::{Call, Operand};
use super::error::{Fault, FunctionError, Place};
use crate::value::equal;

const WANTED: &str = "true or false";

/// A condition outside of any function: true or false, also as text in any case.
///
/// # Errors
///
/// Any other value, null as well: a condition that nobody can answer must not choose a way.
pub fn truth(value: &Value) -> Result<bool, FunctionError> {
    as_truth(value).ok_or_else(|| FunctionError {
        function: None,
        fault: Fault::wrong(Place::Condition, WANTED, value),
    })
}

fn as_truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

impl Operand<'_> {
    fn truth(&self) -> Result<bool, FunctionError> {
        as_truth(self.value).ok_or_else(|| self.must_be(WANTED))
    }
}

pub(super) fn equals(call: Call<'_>) -> Result<Value, FunctionError> {
    let [a, b] = call.items()?;
    Ok(equal(a.value, b.value).into())
}

pub(super) fn not(call: Call<'_>) -> Result<Value, FunctionError> {
    Ok((!call.single().truth()?).into())
}

pub(super) fn and(call: Call<'_>) -> Result<Value, FunctionError> {
    Ok(first_that_is(false, call)?.is_none().into())
}

pub(super) fn or(call: Call<'_>) -> Result<Value, FunctionError> {
    Ok(first_that_is(true, call)?.is_some().into())
}

/// Left to right, not looking past the answer, as the evaluator does.
fn first_that_is(sought: bool, call: Call<'_>) -> Result<Option<usize>, FunctionError> {
    let list = call.whole();
    let conditions = list.list()?;
    if conditions.len() < 2 {
        return Err(call.shape(call.argument));
    }
    for (index, condition) in conditions.iter().enumerate() {
        if list.item(index, condition).truth()? == sought {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

pub(super) fn choose(call: Call<'_>) -> Result<Value, FunctionError> {
    let [condition, then, otherwise] = call.items()?;
    Ok(if condition.truth()? { then.value.clone() } else { otherwise.value.clone() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Function::*, tests::check};
    use super::*;

    #[test]
    fn equals() {
        check(Equals, json!([1, 1.0]), Ok(json!(true)));
        check(Equals, json!(["1", 1]), Ok(json!(false)));
        check(Equals, json!(["a", "a "]), Ok(json!(false)));
        check(Equals, json!([null, null]), Ok(json!(true)));
        check(Equals, json!([[], []]), Ok(json!(true)));
        check(Equals, json!([{}, []]), Ok(json!(false)));
        check(Equals, json!([{"a": 1, "b": 2}, {"b": 2, "a": 1}]), Ok(json!(true)));
        check(Equals, json!(["", null]), Ok(json!(false)));
        let shape = "Fn::Equals: the argument must be [a, b], and ";
        check(Equals, json!([1]), Err(&format!("{shape}has 1 item")));
        check(Equals, json!([]), Err(&format!("{shape}is empty")));
        check(Equals, json!([1, 2, 3]), Err(&format!("{shape}has 3 items")));
        check(Equals, json!({"a": 1}), Err(&format!("{shape}is a map")));
    }

    #[test]
    fn not() {
        check(Not, json!(true), Ok(json!(false)));
        check(Not, json!([false]), Ok(json!(true)));
        check(Not, json!("False"), Ok(json!(true)));
        check(Not, json!(null), Err("Fn::Not: the argument must be true or false, and is null"));
        check(Not, json!(["x"]), Err("Fn::Not: the first item must be true or false, and is `x`"));
        check(
            Not,
            json!([true, true]),
            Err("Fn::Not: the argument must be a condition, and has 2 items"),
        );
    }

    #[test]
    fn and_or() {
        for (function, argument, expected) in [
            (And, json!([true, "true"]), true),
            (And, json!([true, true, false]), false),
            (And, json!([false, "not looked at"]), false),
            (Or, json!([false, "FALSE"]), false),
            (Or, json!([false, true]), true),
            (Or, json!([true, "not looked at"]), true),
        ] {
            check(function, argument, Ok(json!(expected)));
        }
        check(
            And,
            json!([true, 1]),
            Err("Fn::And: the second item must be true or false, and is 1"),
        );
        check(
            Or,
            json!([false, []]),
            Err("Fn::Or: the second item must be true or false, and is a list"),
        );
        check(
            Or,
            json!([true]),
            Err("Fn::Or: the argument must be [condition, condition, …], and has 1 item"),
        );
        check(And, json!(true), Err("Fn::And: the argument must be a list, and is a boolean"));
    }

    #[test]
    fn if_chooses() {
        check(If, json!([true, 1, 2]), Ok(json!(1)));
        check(If, json!(["false", 1, null]), Ok(json!(null)));
        check(
            If,
            json!([null, 1, 2]),
            Err("Fn::If: the first item must be true or false, and is null"),
        );
        check(
            If,
            json!([true, 1]),
            Err("Fn::If: the argument must be [condition, then, else], and has 2 items"),
        );
    }

    #[test]
    fn a_condition_is_true_or_false() {
        for (value, expected) in [
            (json!(true), Ok(true)),
            (json!("TRUE"), Ok(true)),
            (json!("false"), Ok(false)),
            (json!("yes"), Err("a condition must be true or false, and is `yes`")),
            (json!(1), Err("a condition must be true or false, and is 1")),
            (json!(null), Err("a condition must be true or false, and is null")),
            (json!([true]), Err("a condition must be true or false, and is a list")),
        ] {
            assert_eq!(
                truth(&value).map_err(|error| error.to_string()),
                expected.map_err(str::to_owned)
            );
        }
    }
}
