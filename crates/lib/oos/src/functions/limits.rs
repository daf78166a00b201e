//! How large the result of a function may be.
//!
//! A template of a few lines can ask for gigabytes: text replaced by longer text, step after step.
//! A function that can write more than it reads asks here before it does.

use serde_json::Value;

use super::argument::Call;
use super::error::FunctionError;

/// Limits that the functions obey.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of all the text in a result, in bytes.
    pub bytes: usize,
    /// Items of lists and entries of maps in a result, at any depth.
    pub items: usize,
}

impl Default for Limits {
    /// 4 MiB is far above what any API takes in a request; 100 000 is a hundred times the items
    /// that a loop may have.
    fn default() -> Self {
        Self { bytes: 4 << 20, items: 100_000 }
    }
}

/// What a value takes of the limits. Sums stop at the largest number instead of overflowing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cost {
    pub(super) bytes: usize,
    pub(super) items: usize,
}

impl Cost {
    pub(super) fn of(value: &Value) -> Self {
        match value {
            // About what they take as text, so that a list of nulls is not free.
            Value::Null | Value::Bool(_) => Self { bytes: 4, items: 0 },
            Value::Number(_) => Self { bytes: 8, items: 0 },
            Value::String(text) => Self { bytes: text.len(), items: 0 },
            Value::Array(items) => {
                let own = Self { bytes: 0, items: items.len() };
                items.iter().map(Self::of).fold(own, Self::plus)
            }
            Value::Object(map) => {
                let own = Self { bytes: map.keys().map(String::len).sum(), items: map.len() };
                map.values().map(Self::of).fold(own, Self::plus)
            }
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            items: self.items.saturating_add(other.items),
        }
    }

    pub(super) fn times(self, n: usize) -> Self {
        Self { bytes: self.bytes.saturating_mul(n), items: self.items.saturating_mul(n) }
    }

    pub(super) fn check(self, call: &Call<'_>) -> Result<(), FunctionError> {
        if self.bytes > call.limits.bytes {
            return Err(call.too_long());
        }
        if self.items > call.limits.items {
            return Err(call.too_many());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_cost_what_they_hold() {
        for (value, bytes, items) in [
            (json!("abc"), 3, 0),
            (json!(["abc", "é"]), 5, 2),
            (json!({"key": [1, null]}), 3 + 8 + 4, 3),
            (json!([]), 0, 0),
        ] {
            assert_eq!(Cost::of(&value), Cost { bytes, items }, "{value}");
        }
        let all = Cost { bytes: usize::MAX, items: usize::MAX };
        assert_eq!(all.plus(all).times(3), all);
    }
}
