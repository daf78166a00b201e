//! Expressions in a few words: what a branch asks, what a loop goes over.

use serde_json::Value;

use super::words;
use crate::expr::{Expr, ExprKind, Piece, Pseudo, Reference, Target};
use crate::functions::Function;

/// How many characters a label has at most.
const MAX_CHARS: usize = 40;

/// How deep an expression is followed; what is deeper is an ellipsis.
const MAX_DEPTH: usize = 12;

/// How many items of a list, or operands of a function, are looked at. A label has no room for more.
const MAX_ITEMS: usize = 24;

/// `expr` in at most 40 characters.
///
/// An output is named without its task: which task it is of can be seen in the picture around it.
pub(super) fn short(expr: &Expr) -> String {
    words::line(&text(expr, Binding::Loose, 0), MAX_CHARS)
}

/// How tightly the operator around an expression binds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    /// Nothing is around it.
    Loose,
    /// `or`.
    Or,
    /// `and`.
    And,
    /// `not`, `=`.
    Tight,
}

fn text(expr: &Expr, around: Binding, depth: usize) -> String {
    if depth > MAX_DEPTH {
        return "…".to_owned();
    }
    match &expr.kind {
        ExprKind::Value(value) => constant(value, depth),
        ExprKind::Reference(own) => reference(own),
        ExprKind::Text(pieces) => pieces.iter().take(MAX_ITEMS).map(piece).collect(),
        ExprKind::List(items) => format!("[{}]", list(items, depth)),
        ExprKind::Map(entries) => {
            let entry = |(key, item): &(String, Expr)| {
                format!(
                    "{}: {}",
                    words::line(key, MAX_CHARS),
                    text(item, Binding::Loose, depth + 1)
                )
            };
            let entries: Vec<_> = entries.iter().take(MAX_ITEMS).map(entry).collect();
            format!("{{{}}}", entries.join(", "))
        }
        ExprKind::Call(function, argument) => call(*function, argument, around, depth),
    }
}

fn call(function: Function, argument: &Expr, around: Binding, depth: usize) -> String {
    let operands = operands(argument);
    let all = |binding| {
        let own = |operand| text(operand, binding, depth + 1);
        operands.iter().map(own).collect::<Vec<_>>()
    };
    let (written, own) = match (function, operands.as_slice()) {
        (Function::Equals, [left, right]) => (equation(left, right, "=", depth), Binding::Tight),
        (Function::Or, _) => match alternatives(&operands, depth) {
            Some(written) => (written, Binding::Or),
            None => (all(Binding::Or).join(" or "), Binding::Or),
        },
        (Function::And, _) => (all(Binding::And).join(" and "), Binding::And),
        (Function::Not, [operand]) => match equals_of(operand) {
            Some([left, right]) => (equation(&left, &right, "≠", depth), Binding::Tight),
            None => (format!("not {}", text(operand, Binding::Tight, depth + 1)), Binding::Tight),
        },
        (Function::If, [when, yes, no]) => {
            let part = |operand| text(operand, Binding::Loose, depth + 1);
            let written = format!("if {} then {} else {}", part(when), part(yes), part(no));
            return if around == Binding::Loose { written } else { format!("({written})") };
        }
        _ => {
            let name = function.name().trim_start_matches("Fn::");
            return format!("{name}({})", all(Binding::Loose).join(", "));
        }
    };
    // `a = b = c` would be read wrongly, and so would `a or b and c`.
    if own < around || (own == Binding::Tight && around == Binding::Tight) {
        format!("({written})")
    } else {
        written
    }
}

/// `left = right`, with what is known before a run on the right: it is the question's answer.
fn equation(left: &Expr, right: &Expr, sign: &str, depth: usize) -> String {
    let (left, right) = asked_first(left, right);
    let side = |operand| text(operand, Binding::Tight, depth + 1);
    format!("{} {sign} {}", side(left), side(right))
}

fn asked_first<'a>(left: &'a Expr, right: &'a Expr) -> (&'a Expr, &'a Expr) {
    let is_constant = |operand: &Expr| matches!(operand.kind, ExprKind::Value(_));
    if is_constant(left) && !is_constant(right) { (right, left) } else { (left, right) }
}

/// `x = 1 or 2`, where all of `operands` ask the same thing.
fn alternatives(operands: &[Expr], depth: usize) -> Option<String> {
    let mut written = String::new();
    let mut asked = None;
    for operand in operands {
        let [left, right] = equals_of(operand)?;
        let (left, right) = asked_first(&left, &right);
        let (left, right) =
            (text(left, Binding::Tight, depth + 1), text(right, Binding::Tight, depth + 1));
        match &asked {
            None => {
                written = format!("{left} = {right}");
                asked = Some(left);
            }
            Some(asked) if *asked == left => {
                written.push_str(" or ");
                written.push_str(&right);
            }
            Some(_) => return None,
        }
    }
    asked.map(|_| written)
}

fn equals_of(expr: &Expr) -> Option<[Expr; 2]> {
    match &expr.kind {
        ExprKind::Call(Function::Equals, argument) => operands(argument).try_into().ok(),
        _ => None,
    }
}

fn operands(argument: &Expr) -> Vec<Expr> {
    match &argument.kind {
        ExprKind::List(items) => items.iter().take(MAX_ITEMS).cloned().collect(),
        ExprKind::Value(Value::Array(items)) => {
            let item = |value: &Value| Expr {
                kind: ExprKind::Value(value.clone()),
                span: argument.span.clone(),
            };
            items.iter().take(MAX_ITEMS).map(item).collect()
        }
        _ => vec![argument.clone()],
    }
}

fn list(items: &[Expr], depth: usize) -> String {
    let item = |item| text(item, Binding::Loose, depth + 1);
    let items: Vec<_> = items.iter().take(MAX_ITEMS).map(item).collect();
    items.join(", ")
}

fn constant(value: &Value, depth: usize) -> String {
    match value {
        _ if depth > MAX_DEPTH => "…".to_owned(),
        Value::Null => "null".to_owned(),
        Value::Bool(own) => own.to_string(),
        Value::Number(own) => own.to_string(),
        Value::String(own) if own.trim().is_empty() => "\"\"".to_owned(),
        Value::String(own) => words::line(own, MAX_CHARS),
        Value::Array(items) => {
            let items = items.iter().take(MAX_ITEMS).map(|item| constant(item, depth + 1));
            format!("[{}]", items.collect::<Vec<_>>().join(", "))
        }
        Value::Object(entries) => {
            let entry = |(key, item): (&String, &Value)| {
                format!("{}: {}", words::line(key, MAX_CHARS), constant(item, depth + 1))
            };
            let entries: Vec<_> = entries.iter().take(MAX_ITEMS).map(entry).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

fn piece(piece: &Piece) -> String {
    match piece {
        Piece::Text(own) => words::line(own, MAX_CHARS),
        Piece::Reference(own) => format!("{{{}}}", reference(own)),
    }
}

fn reference(reference: &Reference) -> String {
    let name = match &reference.target {
        Target::Parameter(name) | Target::Unknown(name) | Target::Store { name, .. } => name,
        Target::Output { output, .. } => output,
        Target::Path { task, path } => &format!("{task}{path}"),
        Target::Pseudo(Pseudo::TaskLoopItem) => "item",
        Target::Pseudo(own) => {
            let named = Pseudo::ALL.iter().find(|(_, pseudo)| pseudo == own);
            named.map_or("", |(name, _)| name.trim_start_matches("ACS::"))
        }
    };
    words::line(name, MAX_CHARS)
}
