//! What templates do with JSON values whatever their kind: write them into text, compare them,
//! name their kind.
//!
//! Both the expressions (`{{ }}` inside a text) and the functions (`Fn::Join`, `Fn::Equals`) follow
//! these rules, so they stand once. Values are at most as deep as the parser that made them allows.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::io;

use serde_json::Value;

/// The text of a value that stands inside other text.
///
/// A string is itself, without quotes and without escapes; a number is its JSON text; a boolean is
/// `true` or `false`; a list or a map is compact JSON; null is empty.
pub fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::Bool(true) => Cow::Borrowed("true"),
        Value::Bool(false) => Cow::Borrowed("false"),
        Value::String(text) => Cow::Borrowed(text),
        Value::Number(number) => Cow::Owned(number.to_string()),
        // `Display` of a value is its compact JSON.
        Value::Array(_) | Value::Object(_) => Cow::Owned(value.to_string()),
    }
}

/// [`text`], given up as soon as it is longer than `max_bytes`: `None`.
pub(crate) fn text_within(value: &Value, max_bytes: usize) -> Option<Cow<'_, str>> {
    let text = match value {
        Value::Array(_) | Value::Object(_) => {
            let mut capped = Capped { bytes: Vec::new(), max_bytes };
            serde_json::to_writer(&mut capped, value).ok()?;
            Cow::Owned(String::from_utf8(capped.bytes).ok()?)
        }
        _ => text(value),
    };
    (text.len() <= max_bytes).then_some(text)
}

/// A buffer that refuses what would make it longer than it may be.
struct Capped {
    bytes: Vec<u8>,
    max_bytes: usize,
}

impl io::Write for Capped {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if more.len() > self.max_bytes.saturating_sub(self.bytes.len()) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Levels of lists and maps that a value may have. What is stored is read again by a reader that
/// goes 128 deep.
const MAX_DEPTH: usize = 100;

/// How a value is that [`is_too_deep`].
pub const TOO_DEEP: &str = "nested deeper than 100 levels";

/// Whether a value has more levels of lists and maps than can be kept.
#[must_use]
pub fn is_too_deep(value: &Value) -> bool {
    fn is_deeper(value: &Value, than: usize) -> bool {
        match value {
            Value::Array(items) => than == 0 || items.iter().any(|own| is_deeper(own, than - 1)),
            Value::Object(map) => than == 0 || map.values().any(|own| is_deeper(own, than - 1)),
            _ => false,
        }
    }
    is_deeper(value, MAX_DEPTH)
}

/// Whether two values are the same to a template: `Fn::Equals`, DesiredValues, AllowedValues.
///
/// Numbers compare by value (1 is 1.0), 64-bit integers without rounding; the keys of a map have
/// no order; text is compared as it is, not trimmed. A string never equals a number.
pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            Number::from(a).compare(Number::from(b)) == Ordering::Equal
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

/// A text that two values share exactly when they are [`equal`], to find equal values by hashing.
pub(crate) fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write_canonical(value, &mut out);
    out
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Number(number) => out.push_str(&Number::from(number).canonical()),
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            out.push('{');
            for (key, value) in entries {
                write_canonical(&Value::String(key.clone()), out);
                out.push(':');
                write_canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        // JSON quotes a string, so that no text can look like another kind or run into the next.
        Value::Null | Value::Bool(_) | Value::String(_) => out.push_str(&value.to_string()),
    }
}

/// The kind of a value as error messages name it: "a list".
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// A number that knows whether it is exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    /// Any integer that JSON text of 64 bits can hold, signed or not.
    Int(i128),
    /// Finite.
    Float(f64),
}

impl From<&serde_json::Number> for Number {
    fn from(number: &serde_json::Number) -> Self {
        match number.as_i128() {
            Some(int) => Self::Int(int),
            // A JSON number that is no integer is a finite float, so the default is never met.
            None => Self::Float(number.as_f64().unwrap_or(0.0)),
        }
    }
}

impl Number {
    /// A number, or a string that holds one in decimal digits: `3`, `"-3"`, `" 2.5 "`.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => Some(number.into()),
            Value::String(text) => Self::parse(text.trim()),
            _ => None,
        }
    }

    /// An integer outside 64 bits is no number here: as a float it would silently be another one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        if digits.starts_with(|c: char| c.is_ascii_digit())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
        {
            return text.parse().ok().map(Self::Int).filter(|number| number.to_json().is_some());
        }
        // The standard parser also knows "inf" and "nan", which JSON does not.
        let plain = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
        let float = text.parse().ok().filter(|float: &f64| plain && float.is_finite())?;
        Some(Self::Float(float))
    }

    /// The whole number it is, if it is one: 3.0 is 3.
    pub(crate) fn whole(self) -> Option<i128> {
        match self {
            Self::Int(int) => Some(int),
            // Every whole float of this size converts exactly.
            Self::Float(float) if float.fract() == 0.0 && float.abs() < 1e30 => Some(float as i128),
            Self::Float(_) => None,
        }
    }

    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            Self::Float(float) => float,
        }
    }

    /// Order by value, exact also where an integer has more digits than a float can hold.
    pub(crate) fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(&b),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
            (Self::Int(_), Self::Float(_)) => other.compare(self).reverse(),
            (Self::Float(float), Self::Int(int)) => {
                // The cast saturates, and integers of 64 bits are far from where it does.
                let floor = float.floor();
                let above = if float > floor { Ordering::Greater } else { Ordering::Equal };
                (floor as i128).cmp(&int).then(above)
            }
        }
    }

    /// `None` where JSON has no such number: an integer of more than 64 bits, an infinite float.
    pub(crate) fn to_json(self) -> Option<Value> {
        match self {
            Self::Int(int) => (i64::try_from(int).map(Value::from))
                .or_else(|_| u64::try_from(int).map(Value::from))
                .ok(),
            Self::Float(float) => serde_json::Number::from_f64(float).map(Value::Number),
        }
    }

    fn canonical(self) -> String {
        match (self, self.whole()) {
            (_, Some(int)) => int.to_string(),
            (Self::Float(float), None) => format!("{float:e}"),
            (Self::Int(int), None) => int.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_become_text() {
        for (value, expected) in [
            (json!(null), ""),
            (json!(true), "true"),
            (json!(false), "false"),
            (json!("a \"b\"\n"), "a \"b\"\n"),
            (json!(7), "7"),
            (json!(u64::MAX), "18446744073709551615"),
            (json!(1.5), "1.5"),
            (json!(["a", 1, null]), r#"["a",1,null]"#),
            (json!({"b": 1, "a": {"c": []}}), r#"{"b":1,"a":{"c":[]}}"#),
        ] {
            assert_eq!(text(&value), expected);
            assert_eq!(text_within(&value, expected.len()).as_deref(), Some(expected));
            if let Some(shorter) = expected.len().checked_sub(1) {
                assert_eq!(text_within(&value, shorter), None, "{value}");
            }
        }
    }

    /// Equal values, and near misses; the canonical text must agree with `equal` on every pair.
    #[test]
    fn equality_and_canonical_text_agree() {
        let classes = [
            vec![json!(null)],
            vec![json!("")],
            vec![json!("null")],
            vec![json!(false)],
            vec![json!("false")],
            vec![json!(0), json!(0.0), json!(-0.0)],
            vec![json!(1), json!(1.0)],
            vec![json!("1")],
            vec![json!(" 1")],
            vec![json!(1.5)],
            vec![json!(-1.5)],
            vec![json!(1e300)],
            vec![json!(9007199254740993u64)],
            vec![json!(9007199254740992u64), json!(9007199254740992.0)],
            vec![json!(u64::MAX)],
            vec![json!(18446744073709551616.0)],
            vec![json!(i64::MIN), json!(-9223372036854775808.0)],
            vec![json!([])],
            vec![json!([1, "2"]), json!([1.0, "2"])],
            vec![json!(["2", 1])],
            vec![json!([1, 2, "2"])],
            vec![json!({})],
            vec![json!({"a": 1, "b": [2]}), json!({"b": [2.0], "a": 1})],
            vec![json!({"a": 1, "b": null})],
            vec![json!({"a": 1, "c": null})],
            vec![json!({"a": 1})],
        ];
        for (i, these) in classes.iter().enumerate() {
            for (j, those) in classes.iter().enumerate() {
                for (a, b) in these.iter().flat_map(|a| those.iter().map(move |b| (a, b))) {
                    assert_eq!(equal(a, b), i == j, "{a} and {b}");
                    assert_eq!(canonical(a) == canonical(b), i == j, "{a} and {b}");
                }
            }
        }
    }

    #[test]
    fn numbers_are_read_and_ordered_exactly() {
        for (text, expected) in [
            ("3", Some(Number::Int(3))),
            ("-3", Some(Number::Int(-3))),
            ("+03", Some(Number::Int(3))),
            ("2.5", Some(Number::Float(2.5))),
            ("1e3", Some(Number::Float(1000.0))),
            ("18446744073709551615", Some(Number::Int(u64::MAX.into()))),
            ("18446744073709551616", None),
            ("99999999999999999999999999999999999999999999", None),
            ("1e999", None),
            ("", None),
            ("-", None),
            ("--1", None),
            ("inf", None),
            ("NaN", None),
            ("0x10", None),
            ("1 2", None),
            ("٣", None),
        ] {
            assert_eq!(Number::parse(text), expected, "{text}");
        }
        let ordered = [
            Number::Float(-1e300),
            Number::Float(-1.5),
            Number::Int(-1),
            Number::Float(-0.5),
            Number::Int(0),
            Number::Int(9007199254740992),
            Number::Int(9007199254740993),
            Number::Float(9007199254740994.0),
            Number::Float(1e300),
        ];
        for (i, a) in ordered.iter().enumerate() {
            for (j, b) in ordered.iter().enumerate() {
                assert_eq!(a.compare(*b), i.cmp(&j), "{a:?} and {b:?}");
            }
        }
    }

    #[test]
    fn kinds_have_names() {
        let named = [json!(null), json!(true), json!(1), json!(""), json!([]), json!({})];
        let expected = ["null", "a boolean", "a number", "a string", "a list", "a map"];
        assert_eq!(named.each_ref().map(kind), expected);
    }
}
