//! Lists: parts of them, several made one, sets, batches.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::argument::{Call, unfold};
use super::error::FunctionError;
use crate::value::{canonical, text};

/// `[index, list]` or `[key, map]`. What is not there is null, and so is anything in null: an
/// output of a task that did not run.
pub(super) fn select(call: Call<'_>) -> Result<Value, FunctionError> {
    let [key, container] = call.items()?;
    if matches!(key.value, Value::Array(_) | Value::Object(_)) {
        return Err(key.must_be("an index or a key"));
    }
    let container_value = unfold(container.value);
    let found = match &*container_value {
        Value::Null => None,
        Value::Object(map) => map.get(&*text(key.value)),
        Value::Array(_) if key.value.is_null() => None,
        Value::Array(items) => {
            let index = key.whole_number("a whole number, the index in a list")?;
            position(index, items.len()).and_then(|index| items.get(index))
        }
        _ => return Err(container.must_be("a list or a map")),
    };
    Ok(found.cloned().unwrap_or_default())
}

/// An index that counts from the end where it is negative, as a position; `len` itself is one.
fn position(index: i128, len: usize) -> Option<usize> {
    let from_start = if index < 0 { index.checked_add(i128::try_from(len).ok()?)? } else { index };
    usize::try_from(from_start).ok().filter(|position| *position <= len)
}

/// `[start, end, list]`: ends outside of the list are moved to where it ends.
pub(super) fn range_select(call: Call<'_>) -> Result<Value, FunctionError> {
    let [start, end, list] = call.items()?;
    let items = list.list()?;
    let at = |index: i128| {
        let outside = if index < 0 { 0 } else { items.len() };
        position(index, items.len()).unwrap_or(outside)
    };
    let start = at(start.whole_number("a whole number, the first index")?);
    let end = at(end.whole_number("a whole number, the index after the last")?);
    Ok(items.get(start..end).unwrap_or_default().into())
}

pub(super) fn first(call: Call<'_>) -> Result<Value, FunctionError> {
    end_of(call, <[Value]>::first)
}

pub(super) fn last(call: Call<'_>) -> Result<Value, FunctionError> {
    end_of(call, <[Value]>::last)
}

fn end_of(
    call: Call<'_>,
    end: impl Fn(&[Value]) -> Option<&Value>,
) -> Result<Value, FunctionError> {
    if call.argument.is_null() {
        return Ok(Value::Null);
    }
    Ok(end(&call.whole().list()?).cloned().unwrap_or_default())
}

/// The arguments as one list; a single argument is a list of one.
pub(super) fn list_join(call: Call<'_>) -> Result<Value, FunctionError> {
    Ok(match call.argument {
        list @ Value::Array(_) => list.clone(),
        other => Value::Array(vec![other.clone()]),
    })
}

/// Lists made one, one level deep. `[one list]` is what a template writes for a reference to a
/// list of lists, `['{{ aggregate }}']`. Null stands for a loop item that gave nothing, and is
/// dropped wherever it stands; what is no list is taken as it is.
pub(super) fn merge_list(call: Call<'_>) -> Result<Value, FunctionError> {
    if call.argument.is_null() {
        return Ok(Value::Array(Vec::new()));
    }
    let argument = call.whole().list()?;
    let lists = match &*argument {
        [Value::Array(only)] => only,
        several => several,
    };
    let mut merged = Vec::new();
    for list in lists {
        let items = match list {
            Value::Array(items) => items.as_slice(),
            item => std::slice::from_ref(item),
        };
        merged.extend(items.iter().filter(|item| !item.is_null()).cloned());
    }
    Ok(merged.into())
}

pub(super) fn union(call: Call<'_>) -> Result<Value, FunctionError> {
    Ok(Sets::of(call)?.pick(|_, _| true))
}

pub(super) fn intersection(call: Call<'_>) -> Result<Value, FunctionError> {
    Ok(Sets::of(call)?.pick(|lists, all| lists == all))
}

/// What is not in all of the lists: union minus intersection, as documented. Where the second list
/// is part of the first, that is the first without the second.
pub(super) fn difference(call: Call<'_>) -> Result<Value, FunctionError> {
    Ok(Sets::of(call)?.pick(|lists, all| lists < all))
}

/// The distinct items of several lists, in order of appearance, each with how many lists have it.
struct Sets {
    items: Vec<(Value, usize)>,
    n_lists: usize,
}

impl Sets {
    /// Items are found by their canonical text: comparing each with each would take hours for
    /// lists as long as the limits allow.
    fn of(call: Call<'_>) -> Result<Self, FunctionError> {
        let argument = call.whole();
        let lists = argument.list()?;
        if lists.is_empty() {
            return Err(call.shape(call.argument));
        }
        let mut sets = Self { items: Vec::new(), n_lists: lists.len() };
        let mut known: HashMap<String, usize> = HashMap::new();
        for (index, list) in lists.iter().enumerate() {
            let mut in_this_list = HashSet::new();
            for item in &*argument.item(index, list).list()? {
                let at = *known.entry(canonical(item)).or_insert_with(|| {
                    sets.items.push((item.clone(), 0));
                    sets.items.len() - 1
                });
                if in_this_list.insert(at) {
                    sets.items[at].1 += 1;
                }
            }
        }
        Ok(sets)
    }

    /// The items of which `keep(how many lists have it, how many lists there are)`.
    fn pick(self, keep: impl Fn(usize, usize) -> bool) -> Value {
        let kept = self.items.into_iter().filter(|(_, n)| keep(*n, self.n_lists));
        kept.map(|(item, _)| item).collect()
    }
}

/// `[batches, list]`: sizes that differ by one at most, larger ones first. A list shorter than the
/// number of batches has fewer of them, since a batch of nothing would never end a loop.
pub(super) fn calculate_batch(call: Call<'_>) -> Result<Value, FunctionError> {
    let [batches, list] = call.items()?;
    const WANTED: &str = "a whole number of at least 1";
    let n_batches = batches.whole_number(WANTED)?;
    if n_batches < 1 {
        return Err(batches.must_be(WANTED));
    }
    let n_items = list.list()?.len();
    let n_batches = usize::try_from(n_batches).unwrap_or(usize::MAX).min(n_items);
    if n_batches == 0 {
        return Ok(Value::Array(Vec::new()));
    }
    if n_batches > call.limits.items {
        return Err(call.too_many());
    }
    let (size, n_larger) = (n_items / n_batches, n_items % n_batches);
    Ok((0..n_batches).map(|batch| size + usize::from(batch < n_larger)).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Function::*, tests::check};

    #[test]
    fn select() {
        for (argument, expected) in [
            (json!([0, ["a", "b"]]), json!("a")),
            (json!(["1", ["a", "b"]]), json!("b")),
            (json!([1.0, ["a", "b"]]), json!("b")),
            (json!([-1, ["a", "b"]]), json!("b")),
            (json!(["-2", ["a", "b"]]), json!("a")),
            (json!([2, ["a", "b"]]), json!(null)),
            (json!([-3, ["a", "b"]]), json!(null)),
            (json!([i64::MIN, ["a"]]), json!(null)),
            (json!([u64::MAX, ["a"]]), json!(null)),
            (json!([0, []]), json!(null)),
            (json!([null, ["a"]]), json!(null)),
            (json!(["k", {"k": [1]}]), json!([1])),
            (json!(["x", {"k": 1}]), json!(null)),
            (json!([7, {"7": "seven"}]), json!("seven")),
            (json!([null, {"k": 1}]), json!(null)),
            (json!([1, "[\"a\", \"b\"]"]), json!("b")),
            (json!(["k", " {\"k\": \"v\"}"]), json!("v")),
            (json!(["k", null]), json!(null)),
        ] {
            check(Select, argument, Ok(expected));
        }
        for (argument, error) in [
            (json!([[], ["a"]]), "the first item must be an index or a key, and is a list"),
            (
                json!(["k", ["a"]]),
                "the first item must be a whole number, the index in a list, and is `k`",
            ),
            (
                json!([0.5, ["a"]]),
                "the first item must be a whole number, the index in a list, and is 0.5",
            ),
            (json!([0, "text"]), "the second item must be a list or a map, and is `text`"),
            (json!([0, "[1, 2"]), "the second item must be a list or a map, and is `[1, 2`"),
            (json!([0, 5]), "the second item must be a list or a map, and is 5"),
            (json!("x"), "the argument must be [index, list] or [key, map], and is a string"),
        ] {
            check(Select, argument, Err(&format!("Fn::Select: {error}")));
        }
    }

    #[test]
    fn range_select() {
        for (argument, expected) in [
            (json!([0, -1, [1, 2, 3]]), json!([1, 2])),
            (json!([1, 3, [1, 2, 3]]), json!([2, 3])),
            (json!(["-2", "3", [1, 2, 3]]), json!([2, 3])),
            (json!([-9, 9, [1, 2, 3]]), json!([1, 2, 3])),
            (json!([2, 1, [1, 2, 3]]), json!([])),
            (json!([5, 9, [1, 2, 3]]), json!([])),
            (json!([0, -1, []]), json!([])),
            (json!([0, 1, "[7, 8]"]), json!([7])),
        ] {
            check(RangeSelect, argument, Ok(expected));
        }
        check(
            RangeSelect,
            json!(["a", 1, []]),
            Err(
                "Fn::RangeSelect: the first item must be a whole number, the first index, and is `a`",
            ),
        );
        check(
            RangeSelect,
            json!([0, null, []]),
            Err(
                "Fn::RangeSelect: the second item must be a whole number, the index after the last, and is null",
            ),
        );
        check(
            RangeSelect,
            json!([0, 1, null]),
            Err("Fn::RangeSelect: the third item must be a list, and is null"),
        );
    }

    #[test]
    fn first_and_last() {
        check(First, json!([1, 2, 3]), Ok(json!(1)));
        check(Last, json!([1, 2, 3]), Ok(json!(3)));
        check(First, json!([]), Ok(json!(null)));
        check(Last, json!([]), Ok(json!(null)));
        check(Last, json!(null), Ok(json!(null)));
        check(First, json!("[\"a\", \"b\"]"), Ok(json!("a")));
        check(First, json!({"a": 1}), Err("Fn::First: the argument must be a list, and is a map"));
        check(Last, json!("ab"), Err("Fn::Last: the argument must be a list, and is `ab`"));
    }

    #[test]
    fn list_join() {
        check(ListJoin, json!(["a", ["b"], null]), Ok(json!(["a", ["b"], null])));
        check(ListJoin, json!("a"), Ok(json!(["a"])));
    }

    #[test]
    fn merge_list() {
        for (argument, expected) in [
            (json!([[1, 2], [3]]), json!([1, 2, 3])),
            (json!([[1, [2]], [3]]), json!([1, [2], 3])),
            (json!([[[1], [2, 3]]]), json!([1, 2, 3])),
            (json!([["a", "b"]]), json!(["a", "b"])),
            (json!([[null, null]]), json!([])),
            (json!([null, null]), json!([])),
            (json!([[1, null], null, [2]]), json!([1, 2])),
            (json!([[], [[]]]), json!([[]])),
            (json!([]), json!([])),
            (json!(null), json!([])),
            (json!(["a", ["b"]]), json!(["a", "b"])),
            (json!("[[1], [2]]"), json!([1, 2])),
        ] {
            check(MergeList, argument, Ok(expected));
        }
        check(MergeList, json!(3), Err("Fn::MergeList: the argument must be a list, and is 3"));
    }

    #[test]
    fn sets() {
        let lists = json!([[3, "a", 1, 3], [1.0, 2, "a"], ["a", 1]]);
        check(Union, lists.clone(), Ok(json!([3, "a", 1, 2])));
        check(Intersection, lists.clone(), Ok(json!(["a", 1])));
        check(Difference, lists, Ok(json!([3, 2])));
        check(Difference, json!([["a", "b", "c"], ["b"]]), Ok(json!(["a", "c"])));
        check(Union, json!([["a", "a"], "[\"b\"]"]), Ok(json!(["a", "b"])));
        check(
            Intersection,
            json!([[{"x": 1, "y": 2}], [{"y": 2, "x": 1}]]),
            Ok(json!([{"x": 1, "y": 2}])),
        );
        check(Intersection, json!([["1"], [1]]), Ok(json!([])));
        check(Intersection, json!([["a", "a"], ["b"]]), Ok(json!([])));
        check(
            Union,
            json!([[1], null]),
            Err("Fn::Union: the second item must be a list, and is null"),
        );
        check(
            Difference,
            json!([]),
            Err("Fn::Difference: the argument must be [list, list, …], and is empty"),
        );
    }

    #[test]
    fn calculate_batch() {
        for (batches, n_items, expected) in [
            (json!(3), 10, json!([4, 3, 3])),
            (json!("2"), 4, json!([2, 2])),
            (json!(5), 2, json!([1, 1])),
            (json!(1), 7, json!([7])),
            (json!(3), 0, json!([])),
            (json!(u64::MAX), 2, json!([1, 1])),
        ] {
            check(CalculateBatch, json!([batches, vec![0; n_items]]), Ok(expected));
        }
        check(CalculateBatch, json!([2, "[1,2,3]"]), Ok(json!([2, 1])));
        for wrong in [json!(0), json!(-1), json!(1.5)] {
            let error = format!(
                "Fn::CalculateBatch: the first item must be a whole number of at least 1, and is {wrong}"
            );
            check(CalculateBatch, json!([wrong, [1]]), Err(&error));
        }
        check(
            CalculateBatch,
            json!([1, "x"]),
            Err("Fn::CalculateBatch: the second item must be a list, and is `x`"),
        );
    }
}
