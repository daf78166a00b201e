//! What all functions have in common. The cases of each function stand beside it.

use serde_json::{Value, json};

use super::*;

/// Assert what a function gives: a value, or an error of this message.
#[track_caller]
pub(super) fn check(function: Function, argument: Value, expected: Result<Value, &str>) {
    check_within(Limits::default(), function, argument, expected);
}

#[track_caller]
pub(super) fn check_within(
    limits: Limits,
    function: Function,
    argument: Value,
    expected: Result<Value, &str>,
) {
    let found = apply(function, &argument, limits, &stand_in_for_jq);
    let found = found.map_err(|error| error.to_string());
    // As text too: equality of values neither sees the order of keys nor 1 beside 1.0.
    assert_eq!(
        found.as_ref().map(Value::to_string).map_err(String::as_str),
        expected.as_ref().map(Value::to_string).map_err(|error| *error),
        "{} of {argument}",
        function.name()
    );
}

/// Two programs are enough to see what goes in and what comes out.
fn stand_in_for_jq(program: &str, input: &Value) -> Result<Vec<Value>, String> {
    match (program, input) {
        ("each" | ".[]", Value::Array(items)) => Ok(items.clone()),
        ("keep", input) => Ok(vec![input.clone()]),
        (_, input) => Err(format!("cannot iterate over {}", crate::value::kind(input))),
    }
}

#[test]
fn every_example_is_true() {
    for function in Function::ALL.iter().copied() {
        let (argument, result) = function.example();
        let argument: Value = serde_json::from_str(argument).unwrap();
        if function.is_supported() {
            check(function, argument, Ok(serde_json::from_str(result).unwrap()));
        } else {
            assert_eq!(result, "", "{}", function.name());
        }
    }
}

#[test]
fn names_lead_back_to_functions() {
    assert_eq!(Function::ALL.len(), 38);
    for function in Function::ALL.iter().copied() {
        assert_eq!(function.name(), format!("Fn::{function:?}"));
        assert_eq!(Function::named(function.name()), Some(function));
        assert_eq!(Function::closest(function.name()), Some(function));
        assert_eq!(Function::closest(&function.name().to_uppercase()), Some(function));
        assert_eq!(Function::closest(&format!("{function:?}x")), Some(function));
        assert!(function.about().ends_with('.') && !function.usage().is_empty());
    }
    for unknown in ["Fn::equals", "fn::Equals", "Equals", "Fn::Equals ", ""] {
        assert_eq!(Function::named(unknown), None, "{unknown}");
    }
}

#[test]
fn slips_are_recognised_and_strangers_are_not() {
    for (written, meant) in [
        ("Fn::equals", Some(Function::Equals)),
        ("Join", Some(Function::Join)),
        ("Fn::Joins", Some(Function::Join)),
        ("Fn::Base64Deocde", Some(Function::Base64Decode)),
        ("Fn::FormatTime", Some(Function::FormatUTCTime)),
        ("Fn::GetAtt", None),
        ("Fn::", None),
        ("", None),
        ("日本", None),
    ] {
        assert_eq!(Function::closest(written), meant, "{written}");
    }
    assert_eq!(Function::closest(&"Fn::Join".repeat(1000)), None);
}

#[test]
fn shapes_are_checked_before_a_run() {
    for (function, items, expected) in [
        (Function::Equals, Some(2), Ok(())),
        (Function::Equals, None, Ok(())),
        (
            Function::Equals,
            Some(3),
            Err("Fn::Equals: the argument must be [a, b], and has 3 items"),
        ),
        (Function::And, Some(5), Ok(())),
        (
            Function::And,
            Some(1),
            Err("Fn::And: the argument must be [condition, condition, …], and has 1 item"),
        ),
        (Function::Not, Some(1), Ok(())),
        (Function::Not, Some(0), Err("Fn::Not: the argument must be a condition, and is empty")),
        (Function::Sum, Some(0), Ok(())),
        (
            Function::Base64Encode,
            Some(1),
            Err("Fn::Base64Encode: the argument must be a string, and is a list"),
        ),
    ] {
        assert_eq!(function.check_shape(items), expected.map_err(str::to_owned));
    }
}

/// Whatever `check_shape` refuses, `apply` refuses with the same words.
#[test]
fn shapes_are_the_same_before_a_run_and_in_it() {
    for function in Function::ALL.iter().copied().filter(|function| function.is_supported()) {
        for n in 0..5 {
            if let Err(message) = function.check_shape(Some(n)) {
                check(function, json!(vec![0; n]), Err(&message));
            }
        }
    }
}

#[test]
fn functions_that_kiln_lacks_say_so() {
    check(
        Function::CalculateTimeByOpsWindow,
        json!({}),
        Err(
            "Fn::CalculateTimeByOpsWindow: not supported by kiln: the form of its time window is not public",
        ),
    );
    check(
        Function::FindMatchedPackage,
        json!([{}, ""]),
        Err(
            "Fn::FindMatchedPackage: not supported by kiln: the form of software packages, and how \
             one is chosen, are not public",
        ),
    );
}

/// What a function gives must obey the limits also where it computes nothing.
#[test]
fn long_lists_are_refused() {
    let limits = Limits { items: 3, ..Limits::default() };
    for (function, argument) in [
        (Function::MergeList, json!([[1, 2], [3, 4]])),
        (Function::Union, json!([[1, 2], [3, 4]])),
        (Function::MergeMap, json!([{"a": 1, "b": 2}, {"c": 3, "d": 4}])),
        (Function::ConvertMapToList, json!({"a": 1, "b": 2})),
        (Function::CalculateBatch, json!([4, [1, 2, 3, 4]])),
        (Function::Jq, json!(["All", "each", [1, 2, 3, 4]])),
    ] {
        let name = function.name();
        let error = format!("{name}: the result would have more than the limit of 3 items");
        check_within(limits, function, argument, Err(&error));
    }
    check_within(limits, Function::Select, json!([0, [[1, 2, 3, 4]]]), Ok(json!([1, 2, 3, 4])));
}

/// Each of these would take hours if a function looked at everything for everything.
#[test]
fn large_arguments_take_one_pass() {
    let dollars = "${".repeat(1 << 20);
    check(Function::Sub, json!([dollars, {"a": 1}]), Ok(json!(dollars)));
    let (low, high): (Vec<u32>, Vec<u32>) = ((0..50_000).collect(), (40_000..90_000).collect());
    let all: Vec<u32> = (0..90_000).collect();
    check(Function::Union, json!([low, high]), Ok(json!(all)));
}

/// Awkward values of every kind, alone and in every position of lists of up to three.
#[test]
fn no_argument_panics() {
    let awkward = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e308),
        json!(-5e-324),
        json!(""),
        json!("-9223372036854775808"),
        json!("1e999"),
        json!("日本🦀${é}"),
        json!("${${"),
        json!("%Y%é%"),
        json!("First"),
        json!("powershell"),
        json!("9999-12-31T23:59:59Z"),
        json!("-009999-01-01T00:00:00Z"),
        json!("23:59:60Z"),
        json!("((((-1%0"),
        json!("::/0"),
        json!("[[[\"a\"]], {\"k\": []}]"),
        json!("{\"k\": \"é\"}"),
        json!([]),
        json!([[]]),
        json!([null, [null], {}]),
        json!([1, "1", 1.0, [1]]),
        json!({}),
        json!({"": "", "é": null}),
        json!({"a": [1, 2], "b": []}),
    ];
    let jq = |_: &str, input: &Value| Ok(vec![input.clone(); 2]);
    let small = Limits { bytes: 3, items: 1 };
    let mut applied = 0;
    let mut apply_all = |argument: &Value| {
        for function in Function::ALL.iter().copied() {
            for limits in [Limits::default(), small] {
                if let Err(error) = apply(function, argument, limits, &jq) {
                    assert!(error.to_string().starts_with(function.name()));
                }
                applied += 1;
            }
        }
    };
    for a in &awkward {
        apply_all(a);
        apply_all(&json!([a]));
        for b in &awkward {
            apply_all(&json!([a, b]));
            for c in awkward.iter().step_by(3) {
                apply_all(&json!([a, b, c]));
            }
        }
    }
    assert!(applied > 100_000, "{applied}");
}
