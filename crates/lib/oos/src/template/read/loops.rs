//! Loops: their items, their rate, and what makes one value of many.

use super::{Names, join, map_of, nothing, only, wrong_kind};
use crate::diagnostic::{Code, Span};
use crate::document::{Key, Kind, Node};
use crate::expr::{Expr, Reader};
use crate::functions::Function;
use crate::template::{Aggregate, Loop};

const LOOP: &[&str] = &["Items", "RateControl", "Outputs"];

/// Keys of `RateControl` that may stand under `Loop` themselves.
pub(crate) const RATE: &[&str] =
    &["Mode", "Concurrency", "MaxErrors", "Batch", "ConcurrencyInBatches", "BatchPauseOption"];

/// Functions that take what the items gave together.
const AGGREGATES: &[Function] = &[
    Function::ListJoin,
    Function::Sum,
    Function::Min,
    Function::Max,
    Function::First,
    Function::Last,
    Function::MergeList,
];

pub(super) fn read_loop(node: &Node, path: &str, reader: &mut Reader<'_>) -> Loop {
    let Kind::Map(entries) = &node.kind else {
        wrong_kind(node, path, "a map", reader);
        return Loop { items: nothing(&node.span), rate: None, outputs: Vec::new() };
    };
    let known: Vec<_> = LOOP.iter().chain(RATE).copied().collect();
    only(entries, &known, path, "a loop", reader);
    let items = match node.get("Items") {
        Some(items) => Expr::read(items, &join(path, "Items"), reader),
        None => {
            reader.diagnostics.error(Code::Loop, path, &node.span, "`Items` is missing");
            nothing(&node.span)
        }
    };
    let rate = match node.get("RateControl") {
        Some(rate) => Some(Expr::read(rate, &join(path, "RateControl"), reader)),
        None => direct_rate(entries, node, path, reader),
    };
    Loop { items, rate, outputs: aggregates(node.get("Outputs"), path, reader) }
}

/// Keys of the rate that stand under `Loop` themselves.
fn direct_rate(
    entries: &[(Key, Node)],
    node: &Node,
    path: &str,
    reader: &mut Reader<'_>,
) -> Option<Expr> {
    let own = entries.iter().filter(|(key, _)| RATE.contains(&key.name.as_str()));
    let own: Vec<_> = own.cloned().collect();
    if own.is_empty() {
        return None;
    }
    let rate = Node { kind: Kind::Map(own), span: node.span.clone() };
    Some(Expr::read(&rate, path, reader))
}

fn aggregates(node: Option<&Node>, path: &str, reader: &mut Reader<'_>) -> Vec<Aggregate> {
    let path = join(path, "Outputs");
    let (mut names, mut found) = (Names::default(), Vec::new());
    for (key, own) in map_of(node, &path, reader) {
        let path = join(&path, &key.name);
        names.add(&key.name, "an output", &path, &key.span, reader);
        let known = &["AggregateType", "AggregateField"];
        only(map_of(Some(own), &path, reader), known, &path, "a loop's output", reader);
        let function = own.get("AggregateType").and_then(Node::text);
        let function = function.and_then(|name| AGGREGATES.iter().find(|own| own.name() == name));
        if function.is_none() {
            let span = own.get("AggregateType").map_or(&key.span, |own| &own.span);
            let told = "`AggregateType` must name a function that takes items together";
            let names: Vec<_> = AGGREGATES.iter().map(|own| own.name()).collect();
            let help = Some(format!("one of {}", names.join(", ")));
            reader.diagnostics.error_with_help(Code::Loop, &path, span, told, help);
        }
        let field = own.get("AggregateField").and_then(Node::text);
        if field.is_none() {
            let told = "`AggregateField` must name an output of the task";
            reader.diagnostics.error(Code::Loop, &path, &key.span, told);
        }
        let function = *function.unwrap_or(&Function::ListJoin);
        let (name, field) = (key.name.clone(), field.unwrap_or_default().to_owned());
        found.push(Aggregate { name, function, field });
    }
    found
}

pub(super) fn loop_of_action(
    node: &Node,
    path: &str,
    head: &Span,
    reader: &mut Reader<'_>,
) -> Loop {
    let path = join(path, "Properties");
    let get = |name: &str| node.get("Properties").and_then(|own| own.get(name));
    let items = match get("LoopItems") {
        Some(own) => Expr::read(own, &join(&path, "LoopItems"), reader),
        None => {
            reader.diagnostics.error(Code::Property, &path, head, "`LoopItems` is missing");
            nothing(head)
        }
    };
    let rate =
        get("LoopRateControl").map(|own| Expr::read(own, &join(&path, "LoopRateControl"), reader));
    Loop { items, rate, outputs: Vec::new() }
}
