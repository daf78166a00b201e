//! Maps: several made one, maps out of lists and lists out of maps.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::Cost;
use super::argument::{Call, Operand};
use super::error::FunctionError;
use crate::value::text;

/// The maps of an argument that lists them, or that lists one list of them, as a reference does.
/// Null stands for a map that is not there.
fn for_each_map(
    call: Call<'_>,
    mut each: impl FnMut(Operand<'_>, &Map<String, Value>) -> Result<(), FunctionError>,
) -> Result<(), FunctionError> {
    let argument = call.whole();
    let maps = argument.list()?;
    let (outer, maps) = match &*maps {
        [only @ Value::Array(maps)] => (argument.item(0, only), maps.as_slice()),
        maps => (argument.clone(), maps),
    };
    for (index, map) in maps.iter().enumerate().filter(|(_, map)| !map.is_null()) {
        let operand = outer.item(index, map);
        let map = operand.map()?;
        each(operand.clone(), &map)?;
    }
    Ok(())
}

pub(super) fn merge_map(call: Call<'_>) -> Result<Value, FunctionError> {
    let mut merged = Map::new();
    for_each_map(call, |_, map| {
        merged.extend(map.iter().map(|(key, value)| (key.clone(), value.clone())));
        Ok(())
    })?;
    Ok(merged.into())
}

/// Maps of lists as a list of maps: as long as the longest list, the others repeat their last
/// element. A list without any gives null.
///
/// # Source
///
/// The function of the same name in Resource Orchestration Service.
pub(super) fn merge_map_to_list(call: Call<'_>) -> Result<Value, FunctionError> {
    let columns = Columns::of(call)?;
    columns.cost().check(&call)?;
    Ok(columns.rows())
}

/// Lists under the keys that they have in each row.
struct Columns(IndexMap<String, Vec<Value>>);

impl Columns {
    fn of(call: Call<'_>) -> Result<Self, FunctionError> {
        let mut columns = IndexMap::new();
        for_each_map(call, |operand, map| {
            for (key, value) in map {
                columns.insert(key.clone(), operand.entry(key, value).list()?.into_owned());
            }
            Ok(())
        })?;
        Ok(Self(columns))
    }

    fn n_rows(&self) -> usize {
        self.0.values().map(Vec::len).max().unwrap_or(0)
    }

    /// What the rows will cost, known before there are any: one long element beside a long list
    /// is copied into every row.
    fn cost(&self) -> Cost {
        let n_rows = self.n_rows();
        self.0.iter().fold(Cost { bytes: 0, items: n_rows }, |cost, (key, column)| {
            let repeated = Cost::of(column.last().unwrap_or(&Value::Null));
            column
                .iter()
                .map(Cost::of)
                .fold(cost, Cost::plus)
                .plus(repeated.times(n_rows - column.len()))
                .plus(Cost { bytes: key.len(), items: 1 }.times(n_rows))
        })
    }

    fn rows(&self) -> Value {
        let cell = |column: &Vec<Value>, row: usize| {
            column.get(row).or(column.last()).cloned().unwrap_or_default()
        };
        let row = |row: usize| -> Map<String, Value> {
            self.0.iter().map(|(key, column)| (key.clone(), cell(column, row))).collect()
        };
        (0..self.n_rows()).map(row).collect()
    }
}

/// `[keys, values]`: of a key that comes twice the later value counts.
pub(super) fn map_join(call: Call<'_>) -> Result<Value, FunctionError> {
    let [keys_operand, values_operand] = call.items()?;
    let (keys, values) = (keys_operand.list()?, values_operand.list()?);
    if keys.len() != values.len() {
        let wanted = format!("as long as the first, which has length {}", keys.len());
        let found = format!("must be {wanted}, and has length {}", values.len());
        return Err(call.failed(&values_operand.place, found));
    }
    let mut joined = Map::new();
    for (index, (key, value)) in keys.iter().zip(&*values).enumerate() {
        if matches!(key, Value::Null | Value::Array(_) | Value::Object(_)) {
            return Err(keys_operand.item(index, key).must_be("a string"));
        }
        joined.insert(text(key).into_owned(), value.clone());
    }
    Ok(joined.into())
}

pub(super) fn convert_map_to_list(call: Call<'_>) -> Result<Value, FunctionError> {
    let map = call.single().map()?;
    Ok(map.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect())
}

#[cfg(test)]
mod tests {
    use super::super::{Function::*, Limits, tests::check, tests::check_within};
    use super::*;

    #[test]
    fn merge_map() {
        for (argument, expected) in [
            (json!([{"a": 1, "b": 2}, {"b": 3, "c": 4}]), json!({"a": 1, "b": 3, "c": 4})),
            (json!([[{"a": 1}, {"b": 2}]]), json!({"a": 1, "b": 2})),
            (json!([{"a": 1}, null]), json!({"a": 1})),
            (json!([{"a": 1}, "{\"b\": 2}"]), json!({"a": 1, "b": 2})),
            (json!([]), json!({})),
        ] {
            check(MergeMap, argument, Ok(expected));
        }
        check(
            MergeMap,
            json!([{}, 1]),
            Err("Fn::MergeMap: the second item must be a map, and is 1"),
        );
        check(
            MergeMap,
            json!([[{}, []]]),
            Err("Fn::MergeMap: item 2 of the first item must be a map, and is a list"),
        );
        check(MergeMap, json!({}), Err("Fn::MergeMap: the argument must be a list, and is a map"));
    }

    #[test]
    fn merge_map_to_list() {
        for (argument, expected) in [
            (
                json!([{"k": ["a", "b"]}, {"v": [1, 2]}]),
                json!([{"k": "a", "v": 1}, {"k": "b", "v": 2}]),
            ),
            (
                json!([{"k": ["a", "b", "c"], "v": [1]}]),
                json!([{"k": "a", "v": 1}, {"k": "b", "v": 1}, {"k": "c", "v": 1}]),
            ),
            (json!([{"k": ["a"], "v": []}]), json!([{"k": "a", "v": null}])),
            (json!([{"k": ["a"]}, {"k": ["b"]}]), json!([{"k": "b"}])),
            (json!([{"k": "[\"a\"]"}]), json!([{"k": "a"}])),
            (json!([[{"k": [1]}, {"v": [2]}]]), json!([{"k": 1, "v": 2}])),
            (json!([{"k": []}]), json!([])),
            (json!([]), json!([])),
        ] {
            check(MergeMapToList, argument, Ok(expected));
        }
        check(
            MergeMapToList,
            json!([{"k": [1]}, {"v": 2}]),
            Err("Fn::MergeMapToList: the value of `v` in the second item must be a list, and is 2"),
        );
        check(
            MergeMapToList,
            json!([[1]]),
            Err("Fn::MergeMapToList: item 1 of the first item must be a map, and is 1"),
        );
    }

    /// The limit is asked before the rows are made, so what it is asked must be what they cost.
    #[test]
    fn the_cost_of_rows_is_known_before_them() {
        for argument in [
            json!([{"k": ["a", "b", "c"], "long key": [[1, {"deep": "value"}]]}]),
            json!([{"k": [1, 2]}, {"v": []}]),
            json!([{"k": []}]),
        ] {
            let limits = Limits::default();
            let call = Call { function: MergeMapToList, argument: &argument, limits };
            let columns = Columns::of(call).unwrap();
            assert_eq!(columns.cost(), Cost::of(&columns.rows()), "{argument}");
        }
    }

    /// A megabyte in one cell and a thousand rows would be a gigabyte.
    #[test]
    fn repeated_elements_count_against_the_limit() {
        let argument = json!([{"k": vec![0; 1000]}, {"v": ["x".repeat(1_000_000)]}]);
        check(
            MergeMapToList,
            argument,
            Err("Fn::MergeMapToList: the result would be longer than the limit of 4194304 bytes"),
        );
        let limits = Limits { items: 8, ..Limits::default() };
        let argument = json!([{"k": [1, 2, 3], "v": [1]}]);
        check_within(
            limits,
            MergeMapToList,
            argument,
            Err("Fn::MergeMapToList: the result would have more than the limit of 8 items"),
        );
    }

    #[test]
    fn map_join() {
        check(MapJoin, json!([["a", "b"], [1, null]]), Ok(json!({"a": 1, "b": null})));
        check(MapJoin, json!([["a", "a"], [1, 2]]), Ok(json!({"a": 2})));
        check(MapJoin, json!([[1, true], ["x", "y"]]), Ok(json!({"1": "x", "true": "y"})));
        check(MapJoin, json!([[], []]), Ok(json!({})));
        check(
            MapJoin,
            json!([["a"], [1, 2]]),
            Err(
                "Fn::MapJoin: the second item must be as long as the first, which has length 1, and has length 2",
            ),
        );
        check(
            MapJoin,
            json!([["a", null], [1, 2]]),
            Err("Fn::MapJoin: item 2 of the first item must be a string, and is null"),
        );
        check(
            MapJoin,
            json!([{}, [1]]),
            Err("Fn::MapJoin: the first item must be a list, and is a map"),
        );
    }

    #[test]
    fn convert_map_to_list() {
        let expected = json!([{"Key": "b", "Value": 1}, {"Key": "a", "Value": [2]}]);
        check(ConvertMapToList, json!([{"b": 1, "a": [2]}]), Ok(expected.clone()));
        check(ConvertMapToList, json!({"b": 1, "a": [2]}), Ok(expected));
        check(ConvertMapToList, json!(["{\"a\": 1}"]), Ok(json!([{"Key": "a", "Value": 1}])));
        check(ConvertMapToList, json!([{}]), Ok(json!([])));
        check(
            ConvertMapToList,
            json!(["x"]),
            Err("Fn::ConvertMapToList: the first item must be a map, and is `x`"),
        );
        check(
            ConvertMapToList,
            json!([{}, {}]),
            Err("Fn::ConvertMapToList: the argument must be [map], and has 2 items"),
        );
    }
}
