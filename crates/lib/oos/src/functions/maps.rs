//! Maps: several made one, maps out of lists and lists out of maps.

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
    let mut columns: Map<String, Value> = Map::new();
    for_each_map(call, |operand, map| {
        for (key, value) in map {
            let list = operand.entry(key, value).list()?;
            columns.insert(key.clone(), list.into_owned().into());
        }
        Ok(())
    })?;
    let columns: Vec<(&String, &[Value])> = columns
        .iter()
        .map(|(key, value)| (key, value.as_array().map_or(&[][..], Vec::as_slice)))
        .collect();
    let n_rows = columns.iter().map(|(_, column)| column.len()).max().unwrap_or(0);

    // One long element beside a long list would be copied into every row.
    let mut cost = Cost::default();
    for (key, column) in &columns {
        let repeated = column.last().map_or_else(Cost::default, Cost::of);
        cost = (column.iter().map(Cost::of).fold(cost, Cost::plus))
            .plus(repeated.times(n_rows - column.len()))
            .plus(Cost { bytes: key.len(), items: 1 }.times(n_rows));
    }
    cost.plus(Cost { bytes: 0, items: n_rows }).check(&call)?;

    let row = |row: usize| -> Map<String, Value> {
        let cell =
            |column: &[Value]| column.get(row).or(column.last()).cloned().unwrap_or_default();
        columns.iter().map(|(key, column)| ((*key).clone(), cell(column))).collect()
    };
    Ok((0..n_rows).map(row).collect())
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
