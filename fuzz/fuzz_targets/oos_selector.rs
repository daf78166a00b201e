//! Any text as a selector over an answer: the short cut for plain paths gives what the whole language
//! gives, and a task that has the selector ends and gives the same.
#![no_main]

#[path = "../../crates/lib/oos/tests/start/mod.rs"]
mod start;

use std::sync::Arc;

use jiff::Timestamp;
use kiln_oos::jq::{Budget, Kind, compile, selector};
use kiln_oos::run::{Command, Event, Loaded, Run, Settings, Status};
use serde_json::{Map, Value, json};

use self::start::start;

/// A run of one call that is answered with `answer`.
fn outputs(selector: &str, answer: &Value) -> (Status, Map<String, Value>) {
    let text = json!({
        "FormatVersion": "OOS-2019-06-01",
        "Tasks": [{
            "Name": "a", "Action": "ACS::ExecuteAPI", "Properties": {"Service": "ECS", "API": "X"},
            "Outputs": {"x": {"Type": "List", "ValueSelector": selector}},
        }],
        "Outputs": {"x": {"Type": "List", "Value": "{{ a.x }}"}},
    });
    let loaded = Arc::new(Loaded::new(&text.to_string()).expect("a sound template"));
    let start = start("exec-00000000000000000000", loaded);
    let now = Timestamp::UNIX_EPOCH;
    let settings = Settings { max_work: 20_000, ..Settings::default() };
    let mut run = Run::new(start, settings, now).expect("no parameters");
    let commands = run.advance(now, Event::Begin);
    let [Command::Call { task, serial, .. }] = commands.as_slice() else { panic!("one call") };
    let (task, serial) = (task.clone(), *serial);
    run.advance(now, Event::Called { task, serial, result: Ok(answer.clone()) });
    assert!(run.is_over());
    (run.root().status, run.root().outputs.clone())
}

libfuzzer_sys::fuzz_target!(|text: &str| {
    // The first line is the answer where it is JSON.
    let (first, rest) = text.split_once('\n').unwrap_or(("null", text));
    let answer = serde_json::from_str(first).unwrap_or(Value::Null);
    // Names in braces are the template's matter.
    if rest.contains("{{") || rest.len() > 10_000 {
        return;
    }
    let script = selector(rest);
    let Ok(filter) = compile(&script) else { return };
    let budget = Budget { steps: 20_000, bytes: 1 << 20, results: 1000 };
    let short = filter.run(&answer, budget);
    assert!(short.steps <= budget.steps);
    // A pipe is no plain path.
    let Ok(whole) = compile(&format!("({script}\n) | .")) else { return };
    let whole = whole.run(&answer, budget);
    let is_exhausted = |outcome: &kiln_oos::jq::Outcome| {
        outcome.error.as_ref().is_some_and(|error| error.kind() == Kind::Exhausted)
    };
    if is_exhausted(&short) || is_exhausted(&whole) {
        return;
    }
    assert_eq!(short.results, whole.results);
    assert_eq!(short.error.map(|e| e.to_string()), whole.error.map(|e| e.to_string()));
    let (status, outputs) = outputs(rest, &answer);
    if status == Status::Success {
        assert_eq!(outputs["x"], Value::Array(short.results));
    }
});
