//! Random templates, answers in random orders, and kills after every event: a run is never stuck,
//! ends what it began, and one that is loaded again after each event ends like one that was not.
//!
//! A failing seed is in the message; `seeds(n..=n)` runs it alone.

mod random;

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;
use kiln_oos::run::{Command, Event, Loaded, Run, Settings, Status};
use random::start::start;
use random::{Kills, ROOT, Random, play, seeds};
use serde_json::{Value, json};

#[test]
fn runs_end_in_any_order_of_answers() {
    seeds(1..=300, false, |seed, text| {
        play(seed, text, Kills::None, Some(Random(seed)));
    });
}

#[test]
fn a_run_that_is_killed_after_every_event_ends_the_same() {
    let (mut n_effects, mut n_stored) = (0, 0);
    seeds(1..=150, true, |seed, text| {
        let whole = play(seed, text, Kills::None, None);
        let killed = play(seed, text, Kills::Each, None);
        assert_eq!(whole, killed, "seed {seed}\n{text}");
        n_effects += whole.effects.len();
        if let Some(stored) = whole.outputs.get("stored") {
            let outputs = (stored, &whole.outputs["gone"]);
            assert_eq!(outputs, (&json!("a value a secret"), &Value::Null), "seed {seed}\n{text}");
            n_stored += 1;
        }
    });
    assert!(n_stored > 50, "{n_stored} outputs of the parameter store prove nothing");
    assert!(n_effects > 100, "{n_effects} effects prove nothing");
}

/// Ten thousand items, a hundred at a time: what is stored for one item does not grow with their
/// number.
#[test]
fn the_steps_of_a_long_loop_stay_small() {
    let items: Vec<_> = (0..10_000).collect();
    let text = json!({"FormatVersion": "OOS-2019-06-01", "Tasks": [{
        "Name": "each", "Action": "ACS::Sleep", "Properties": {"Duration": "1S"},
    }, {
        "Name": "calls", "Action": "ACS::ExecuteAPI",
        "Properties": {"Service": "ECS", "API": "CreateThing"},
        "Loop": {"Items": {"Fn::Jq": ["First", "[range(10000)]", null]},
                 "RateControl": {"Concurrency": 100, "MaxErrors": "100%"}},
    }]});
    assert_eq!(items.len(), 10_000);
    let mut now: Timestamp = "2026-01-31T08:00:00Z".parse().unwrap();
    let start = start(ROOT, Arc::new(Loaded::new(&text.to_string()).unwrap()));
    let mut run = Run::new(start, Settings::default(), now).unwrap();
    let mut commands: VecDeque<_> = run.advance(now, Event::Begin).into();
    let (mut most_at_once, mut most_changed, mut n_answers) = (0, 0, 0);
    while !run.is_over() {
        most_at_once = most_at_once.max(commands.len());
        let event = match commands.pop_front() {
            Some(Command::Call { task, serial, .. }) => {
                n_answers += 1;
                Event::Called { task, serial, result: Ok(json!({})) }
            }
            _ => {
                now = run.next_time().unwrap();
                Event::Time
            }
        };
        commands.extend(run.advance(now, event));
        let changed = run.take_changes();
        if n_answers > 0 && n_answers < 10_000 {
            most_changed = most_changed.max(changed.tasks.len() + changed.executions.len());
        }
    }
    assert_eq!((run.root().status, n_answers, most_at_once), (Status::Success, 10_000, 100));
    assert!(most_changed <= 4, "{most_changed} records for one answer");
}
