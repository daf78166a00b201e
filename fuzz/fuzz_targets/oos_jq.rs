//! Any text as a jq script over an input of its own: an error or results, within a small budget, and
//! the same the second time.
#![no_main]

use kiln_oos::jq::{Budget, compile};

libfuzzer_sys::fuzz_target!(|text: &str| {
    // The first line is the input where it is JSON.
    let (first, rest) = text.split_once('\n').unwrap_or(("null", text));
    let input = serde_json::from_str(first).unwrap_or(serde_json::Value::Null);
    let Ok(filter) = compile(rest) else { return };
    let budget = Budget { steps: 20_000, bytes: 1 << 20, results: 100 };
    let outcome = filter.run(&input, budget);
    assert!(outcome.results.len() <= budget.results);
    let again = filter.run(&input, budget);
    assert_eq!((outcome.results, outcome.error), (again.results, again.error));
});
