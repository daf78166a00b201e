//! Loops: which actions can be looped, over what, at what rate, and what the items give together.

use serde_json::{Map, Value};

use super::{is_open, place};
use crate::diagnostic::{Code, Diagnostics};
use crate::document::{Kind, Node};
use crate::run::MAX_ITEMS;
use crate::run::rate::Plan;
use crate::template::{Action, Loop, RATE, Task, closest, did_you_mean, join};

pub(super) fn check(task: &Task, node: &Node, path: &str, diagnostics: &mut Diagnostics) {
    let Some(looped) = &task.looped else { return };
    let (way, path): (&[&str], _) = match task.action {
        Action::Loop { .. } => (&["Properties"], join(path, "Properties")),
        _ => (&["Loop"], join(path, "Loop")),
    };
    let Some(own) = node.at(way) else { return };
    if !can_loop(&task.action) {
        let told = format!("`{}` cannot be looped", task.action.name());
        let help = Some("put it into the LoopTasks of an ACS::Loop".to_owned());
        diagnostics.error_with_help(Code::Loop, &path, &own.span, told, help);
    }
    items(looped, &path, diagnostics);
    let (rates, key) = match task.action {
        Action::Loop { .. } => (own.get("LoopRateControl"), "LoopRateControl"),
        _ => (own.get("RateControl"), "RateControl"),
    };
    match rates {
        Some(rates) => rate(rates, &join(&path, key), diagnostics),
        // The keys of a rate may stand under `Loop` themselves.
        None if key == "RateControl" && looped.rate.is_some() => {
            let entries = own.entries().iter();
            let rates = entries.filter(|(key, _)| RATE.contains(&&*key.name)).cloned().collect();
            let rates = Node { kind: Kind::Map(rates), span: own.span.clone() };
            rate(&rates, &path, diagnostics);
        }
        None => {}
    }
    aggregates(task, looped, own, &path, diagnostics);
}

fn can_loop(action: &Action) -> bool {
    match action {
        Action::ExecuteApi
        | Action::WaitFor
        | Action::CheckFor
        | Action::Template { .. }
        | Action::Product { .. }
        | Action::ExecuteHttpRequest
        | Action::Notify
        | Action::Loop { .. } => true,
        Action::Choice { .. }
        | Action::Sleep
        | Action::SelectTargets
        | Action::Approve
        | Action::Pause
        | Action::TimerTrigger
        | Action::EventTrigger
        | Action::AlarmTrigger => false,
    }
}

fn items(looped: &Loop, path: &str, diagnostics: &mut Diagnostics) {
    let told = match looped.items.constant() {
        Some(Value::Object(_)) => {
            "the items of a loop must be a list, and this is a map".to_owned()
        }
        Some(Value::Array(items)) if items.len() > MAX_ITEMS => {
            format!("{} items, and a loop has {MAX_ITEMS} at most", items.len())
        }
        _ => return,
    };
    diagnostics.error(Code::Loop, &join(path, "Items"), &looped.items.span, told);
}

/// What of a rate is known must be sound; the rest is worked out when the loop begins.
fn rate(node: &Node, path: &str, diagnostics: &mut Diagnostics) {
    if is_open(node) || matches!(node.kind, Kind::Null) {
        return;
    }
    let mut known = Map::new();
    for (key, value) in node.entries() {
        if !RATE.contains(&&*key.name) {
            unknown_key(&key.name, &key.span, path, diagnostics);
            continue;
        }
        if let Some(text) = value.text()
            && text.trim_end().ends_with(',')
        {
            let told = format!("the value of `{}` ends with a comma, which is left out", key.name);
            diagnostics.warning(Code::Loop, &join(path, &key.name), &value.span, told);
        }
        let is_known = !is_open(value) && !value.items().iter().any(is_open);
        if is_known {
            known.insert(key.name.clone(), value.to_value());
        } else if key.name == "Batch" {
            // Some size, so that mode Batch does not miss it.
            known.insert(key.name.clone(), Value::from(1));
        }
    }
    let value = match node.kind {
        Kind::Map(_) => Value::Object(known),
        _ => node.to_value(),
    };
    // One item: sizes are looked at only where there is something to divide.
    if let Err(error) = Plan::new(vec![Value::Null], &value, None) {
        let key =
            node.entries().iter().find(|(key, _)| error.starts_with(&format!("{} ", key.name)));
        let span = key.map_or(&node.span, |(_, value)| &value.span);
        diagnostics.error(Code::Loop, path, span, error);
    }
}

/// A key that is nearly one of a rate was meant to be it; another one may be the console's.
fn unknown_key(
    name: &str,
    span: &std::ops::Range<usize>,
    path: &str,
    diagnostics: &mut Diagnostics,
) {
    let told = format!("`{name}` is not a key of a rate");
    match did_you_mean(name, RATE.iter().copied()) {
        Some(help) => {
            diagnostics.error_with_help(Code::Loop, path, span, told, Some(help));
        }
        None => {
            let help = Some(format!("its keys are {}", RATE.join(", ")));
            diagnostics.warning_with_help(Code::Loop, path, span, told, help);
        }
    }
}

fn aggregates(task: &Task, looped: &Loop, node: &Node, path: &str, diagnostics: &mut Diagnostics) {
    for own in &looped.outputs {
        let is_there =
            task.outputs.iter().any(|output| output.name.eq_ignore_ascii_case(&own.field));
        // Without a name, the lack of it was reported.
        if is_there || own.field.is_empty() {
            continue;
        }
        let told = format!("`{}` takes `{}`, which is no output of the task", own.name, own.field);
        let names: Vec<_> = task.outputs.iter().map(|output| output.name.as_str()).collect();
        let help = Some(match closest(&own.field, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => "declare it under the task's Outputs".to_owned(),
            None => format!("its outputs are {}", names.join(", ")),
        });
        let span = place(node, &["Outputs", &own.name, "AggregateField"], &task.span);
        let path = format!("{path}.Outputs.{}", own.name);
        diagnostics.error_with_help(Code::Loop, &path, span, told, help);
    }
}
