//! Arithmetic as `Fn::Eval` has it: integers and decimals, `+ - * / % ( )`.
//!
//! ```text
//! sum     = product {("+" | "-") product}
//! product = signed {("*" | "/" | "%") signed}
//! signed  = {"-" | "+"} operand
//! operand = digits ["." digits] | "(" sum ")"
//! ```
//!
//! Integers stay exact and never turn into decimals behind the author's back: one that 64 bits
//! cannot hold is an error. The only way from integers to a decimal is a division that leaves a
//! remainder. `%` has the sign of its left side, as in jq.

use serde_json::Value;

use crate::value::Number;

/// Far above what arithmetic in a template needs: the longest seen has 8 characters.
const MAX_BYTES: usize = 1000;

/// How deep parentheses may nest.
const MAX_DEPTH: usize = 50;

/// Why an expression has no value. Characters count from 1.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum EvalError {
    #[error("is longer than the limit of {MAX_BYTES} bytes")]
    Long,
    #[error("nests parentheses deeper than the limit of {MAX_DEPTH}")]
    Deep,
    #[error("ends where a number should stand")]
    End,
    #[error("has `{found}` where {wanted} should stand, at character {at}")]
    Unexpected { found: char, wanted: &'static str, at: usize },
    #[error("does not close the parenthesis of character {opened_at}")]
    Open { opened_at: usize },
    #[error("divides by zero at character {at}")]
    ZeroDivision { at: usize },
    #[error("has a number at character {at} that 64 bits cannot hold")]
    Overflow { at: usize },
}

/// The value of an expression.
pub(super) fn eval(text: &str) -> Result<Value, EvalError> {
    if text.len() > MAX_BYTES {
        return Err(EvalError::Long);
    }
    let mut parser = Parser { chars: text.chars().collect(), at: 0 };
    let number = parser.sum(0)?;
    if let Some(found) = parser.peek() {
        return Err(parser.unexpected(found, "an operator"));
    }
    number.to_json().ok_or(EvalError::Overflow { at: 1 })
}

/// `None` where 64 bits, or a finite float, cannot hold the sum.
pub(super) fn add(a: Number, b: Number) -> Option<Number> {
    combine(a, b, i128::checked_add, |a, b| a + b)
}

fn combine(
    a: Number,
    b: Number,
    exact: fn(i128, i128) -> Option<i128>,
    rounded: fn(f64, f64) -> f64,
) -> Option<Number> {
    let number = match (a, b) {
        (Number::Int(a), Number::Int(b)) => Number::Int(exact(a, b)?),
        (a, b) => Number::Float(rounded(a.as_f64(), b.as_f64())),
    };
    number.to_json().is_some().then_some(number)
}

/// `b` is not zero.
fn divide(a: Number, b: Number) -> Option<Number> {
    match (a, b) {
        (Number::Int(dividend), Number::Int(divisor)) if dividend.checked_rem(divisor)? != 0 => {
            combine(Number::Float(a.as_f64()), b, i128::checked_div, |a, b| a / b)
        }
        _ => combine(a, b, i128::checked_div, |a, b| a / b),
    }
}

struct Parser {
    chars: Vec<char>,
    at: usize,
}

impl Parser {
    /// The next character that is not a blank.
    fn peek(&mut self) -> Option<char> {
        while self.chars.get(self.at).is_some_and(|c| c.is_whitespace()) {
            self.at += 1;
        }
        self.chars.get(self.at).copied()
    }

    /// Step over the next character if it is one of `wanted`; where it stood, counted from 1.
    fn take(&mut self, wanted: &[char]) -> Option<(char, usize)> {
        let found = self.peek().filter(|c| wanted.contains(c))?;
        self.at += 1;
        Some((found, self.at))
    }

    fn unexpected(&self, found: char, wanted: &'static str) -> EvalError {
        EvalError::Unexpected { found, wanted, at: self.at + 1 }
    }

    fn sum(&mut self, depth: usize) -> Result<Number, EvalError> {
        let mut left = self.product(depth)?;
        while let Some((operator, at)) = self.take(&['+', '-']) {
            let right = self.product(depth)?;
            let sum = match operator {
                '+' => add(left, right),
                _ => combine(left, right, i128::checked_sub, |a, b| a - b),
            };
            left = sum.ok_or(EvalError::Overflow { at })?;
        }
        Ok(left)
    }

    fn product(&mut self, depth: usize) -> Result<Number, EvalError> {
        let mut left = self.signed(depth)?;
        while let Some((operator, at)) = self.take(&['*', '/', '%']) {
            let right = self.signed(depth)?;
            if operator != '*' && right.as_f64() == 0.0 {
                return Err(EvalError::ZeroDivision { at });
            }
            let product = match operator {
                '*' => combine(left, right, i128::checked_mul, |a, b| a * b),
                '/' => divide(left, right),
                _ => combine(left, right, i128::checked_rem, |a, b| a % b),
            };
            left = product.ok_or(EvalError::Overflow { at })?;
        }
        Ok(left)
    }

    /// Signs are a loop, so that a row of them needs no stack.
    fn signed(&mut self, depth: usize) -> Result<Number, EvalError> {
        let mut negative_at = None;
        while let Some((sign, at)) = self.take(&['-', '+']) {
            if sign == '-' {
                negative_at = negative_at.xor(Some(at));
            }
        }
        let number = self.operand(depth)?;
        let Some(at) = negative_at else { return Ok(number) };
        combine(Number::Int(-1), number, i128::checked_mul, |a, b| a * b)
            .ok_or(EvalError::Overflow { at })
    }

    fn operand(&mut self, depth: usize) -> Result<Number, EvalError> {
        if let Some((_, opened_at)) = self.take(&['(']) {
            if depth == MAX_DEPTH {
                return Err(EvalError::Deep);
            }
            let inner = self.sum(depth + 1)?;
            return match (self.take(&[')']), self.peek()) {
                (Some(_), _) => Ok(inner),
                (None, None) => Err(EvalError::Open { opened_at }),
                (None, Some(found)) => Err(self.unexpected(found, "an operator or `)`")),
            };
        }
        let found = self.peek().ok_or(EvalError::End)?;
        let start = self.at;
        let digits = self.chars[start..].iter().take_while(|c| c.is_ascii_digit() || **c == '.');
        let digits: String = digits.collect();
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.unexpected(found, "a number"));
        }
        if let Some((second_point, _)) = digits.match_indices('.').nth(1) {
            self.at += second_point;
            return Err(self.unexpected('.', "an operator"));
        }
        self.at += digits.len();
        Number::parse(&digits).ok_or(EvalError::Overflow { at: start + 1 })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expressions_have_values() {
        for (text, expected) in [
            ("7", json!(7)),
            ("-30*24", json!(-720)),
            ("--3*24", json!(72)),
            ("- + -3", json!(3)),
            ("1 + 2 * 3", json!(7)),
            ("(1 + 2) * 3", json!(9)),
            ("10 - 4 - 3", json!(3)),
            ("100 / 10 / 5", json!(2)),
            ("2 * -3", json!(-6)),
            ("7 / 2", json!(3.5)),
            ("7 % 3", json!(1)),
            ("-7 % 3", json!(-1)),
            ("7.5 % 2", json!(1.5)),
            ("1.5 * 3", json!(4.5)),
            ("0.5", json!(0.5)),
            ("2.", json!(2.0)),
            (" ( ( 4 ) ) ", json!(4)),
            ("9007199254740993 * 1", json!(9007199254740993i64)),
            ("18446744073709551615", json!(u64::MAX)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("9223372036854775807 + 1 - 1", json!(i64::MAX)),
        ] {
            assert_eq!(eval(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn faults_are_named_with_their_place() {
        for (text, error) in [
            ("", "ends where a number should stand"),
            ("1 +", "ends where a number should stand"),
            ("1 + * 2", "has `*` where a number should stand, at character 5"),
            ("1 2", "has `2` where an operator should stand, at character 3"),
            ("1.2.3", "has `.` where an operator should stand, at character 4"),
            (".5", "has `.` where a number should stand, at character 1"),
            ("abs(1)", "has `a` where a number should stand, at character 1"),
            ("2e3", "has `e` where an operator should stand, at character 2"),
            ("é+1", "has `é` where a number should stand, at character 1"),
            ("(1", "does not close the parenthesis of character 1"),
            ("(1 2)", "has `2` where an operator or `)` should stand, at character 4"),
            ("1)", "has `)` where an operator should stand, at character 2"),
            ("()", "has `)` where a number should stand, at character 2"),
            ("1 / 0", "divides by zero at character 3"),
            ("1 % (2 - 2)", "divides by zero at character 3"),
            ("1 / 0.0", "divides by zero at character 3"),
            ("18446744073709551616", "has a number at character 1 that 64 bits cannot hold"),
            ("18446744073709551615 + 1", "has a number at character 22 that 64 bits cannot hold"),
            (
                "18446744073709551615 * 18446744073709551615 * 0",
                "has a number at character 22 that 64 bits cannot hold",
            ),
            ("-18446744073709551615", "has a number at character 1 that 64 bits cannot hold"),
        ] {
            assert_eq!(eval(text).unwrap_err().to_string(), error, "{text}");
        }
    }

    #[test]
    fn length_and_depth_are_bounded() {
        let nested = |depth: usize| format!("{}1{}", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(eval(&nested(MAX_DEPTH)), Ok(json!(1)));
        assert_eq!(eval(&nested(MAX_DEPTH + 1)), Err(EvalError::Deep));
        let signs = |bytes: usize| format!("{}1", "-".repeat(bytes - 1));
        assert_eq!(eval(&signs(MAX_BYTES)), Ok(json!(-1)));
        assert_eq!(eval(&signs(MAX_BYTES + 1)), Err(EvalError::Long));
        let huge = format!("{}.5", "9".repeat(400));
        assert_eq!(eval(&huge), Err(EvalError::Overflow { at: 1 }));
    }
}
