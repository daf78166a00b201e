//! Numbers: the smallest, the largest, the sum, and arithmetic written as text.

use std::cmp::Ordering;

use serde_json::Value;

use super::argument::{Call, Operand};
use super::error::FunctionError;
use super::eval;
use crate::value::Number;

pub(super) fn min(call: Call<'_>) -> Result<Value, FunctionError> {
    extreme(call, Ordering::Less)
}

pub(super) fn max(call: Call<'_>) -> Result<Value, FunctionError> {
    extreme(call, Ordering::Greater)
}

/// The first number that is `sought` than all before it.
fn extreme(call: Call<'_>, sought: Ordering) -> Result<Value, FunctionError> {
    let mut best: Option<Number> = None;
    for_each_number(call, |_, number| {
        if best.is_none_or(|best| number.compare(best) == sought) {
            best = Some(number);
        }
        Ok(())
    })?;
    best.and_then(Number::to_json).ok_or_else(|| call.whole().must_be("a list that is not empty"))
}

/// Integers add up exactly; as soon as one number is not whole, the sum is a decimal.
pub(super) fn sum(call: Call<'_>) -> Result<Value, FunctionError> {
    let mut sum = Number::Int(0);
    for_each_number(call, |operand, number| {
        sum = eval::add(sum, number)
            .ok_or_else(|| call.failed(&operand.place, "makes the sum larger than 64 bits hold"))?;
        Ok(())
    })?;
    sum.to_json().ok_or_else(|| call.failed(&call.whole().place, "has no sum"))
}

fn for_each_number(
    call: Call<'_>,
    mut each: impl FnMut(&Operand<'_>, Number) -> Result<(), FunctionError>,
) -> Result<(), FunctionError> {
    let argument = call.whole();
    for (index, item) in argument.list()?.iter().enumerate() {
        let operand = argument.item(index, item);
        each(&operand, operand.number()?)?;
    }
    Ok(())
}

/// `["expression"]`; a number is its own value, so that `['{{ days }}']` works for any type.
pub(super) fn eval(call: Call<'_>) -> Result<Value, FunctionError> {
    let operand = call.single();
    match operand.value {
        Value::Number(_) => Ok(operand.value.clone()),
        Value::String(text) => {
            eval::eval(text).map_err(|error| call.failed(&operand.place, error.to_string()))
        }
        _ => Err(operand.must_be("an expression such as `2 * (3 + 4)`")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Function::*, tests::check};

    #[test]
    fn min_and_max() {
        check(Min, json!([3, 1.5, "2"]), Ok(json!(1.5)));
        check(Max, json!([3, 1.5, "12"]), Ok(json!(12)));
        check(
            Max,
            json!([9007199254740992.0, 9007199254740993u64]),
            Ok(json!(9007199254740993u64)),
        );
        check(Min, json!("[2, 1]"), Ok(json!(1)));
        check(Min, json!([1, 1.0]), Ok(json!(1)));
        for function in [Min, Max] {
            let name = function.name();
            let empty = format!("{name}: the argument must be [number, …], and is empty");
            check(function, json!([]), Err(&empty));
            let empty_text =
                format!("{name}: the argument must be a list that is not empty, and is `[]`");
            check(function, json!("[]"), Err(&empty_text));
            let null = format!("{name}: the second item must be a number, and is null");
            check(function, json!([1, null]), Err(&null));
        }
    }

    #[test]
    fn sum() {
        check(Sum, json!([1, 2, "3"]), Ok(json!(6)));
        check(Sum, json!([1, 0.5]), Ok(json!(1.5)));
        check(Sum, json!([]), Ok(json!(0)));
        check(Sum, json!([9007199254740993i64, 1]), Ok(json!(9007199254740994i64)));
        check(Sum, json!([u64::MAX, -1]), Ok(json!(u64::MAX - 1)));
        check(
            Sum,
            json!([u64::MAX, 1]),
            Err("Fn::Sum: the second item makes the sum larger than 64 bits hold"),
        );
        check(
            Sum,
            json!([1e308, 1, 1e308]),
            Err("Fn::Sum: the third item makes the sum larger than 64 bits hold"),
        );
        check(Sum, json!([1, 2, 3, "x"]), Err("Fn::Sum: item 4 must be a number, and is `x`"));
        check(Sum, json!(5), Err("Fn::Sum: the argument must be a list, and is 5"));
    }

    #[test]
    fn eval() {
        check(Eval, json!(["-30*24"]), Ok(json!(-720)));
        check(Eval, json!("1 + 1"), Ok(json!(2)));
        check(Eval, json!([7]), Ok(json!(7)));
        check(Eval, json!(["1/0"]), Err("Fn::Eval: the first item divides by zero at character 2"));
        check(
            Eval,
            json!([null]),
            Err(
                "Fn::Eval: the first item must be an expression such as `2 * (3 + 4)`, and is null",
            ),
        );
        check(
            Eval,
            json!(["1", "2"]),
            Err("Fn::Eval: the argument must be [expression], and has 2 items"),
        );
    }
}
