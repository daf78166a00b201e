//! Conditions: what stands where true or false is wanted, and conditions that name each other.

use std::collections::HashMap;

use serde_json::Value;

use super::circle::Dependencies;
use crate::diagnostic::{Code, Diagnostics};
use crate::expr::{Expr, ExprKind};
use crate::functions::{Function, truth};
use crate::template::{Template, did_you_mean, join};

pub(super) fn check(
    template: &Template,
    expressions: &[(String, &Expr)],
    diagnostics: &mut Diagnostics,
) {
    let dependencies = dependencies(template);
    for (at, (name, condition)) in template.conditions.iter().enumerate() {
        let is_condition = matches!(
            condition.kind,
            ExprKind::Call(Function::Equals | Function::And | Function::Or | Function::Not, _)
        );
        if !is_condition {
            let told = "a condition is Fn::Equals, Fn::And, Fn::Or or Fn::Not";
            let path = join("Conditions", name);
            diagnostics.error(Code::Function, &path, &condition.span, told);
        }
        if let Some(way) = dependencies.way_back(at) {
            let told = format!("the condition `{name}` depends on itself: {way}");
            let path = join("Conditions", name);
            diagnostics.error(Code::Reference, &path, &condition.span, told);
        }
    }
    for (path, expr) in expressions {
        let is_when = path.ends_with(".When");
        for own in is_when.then_some(*expr).into_iter().chain(inside(expr)) {
            truth_or_name(template, own, path, diagnostics);
        }
    }
}

/// A constant where a condition is wanted is true, false, or the name of a condition.
fn truth_or_name(template: &Template, expr: &Expr, path: &str, diagnostics: &mut Diagnostics) {
    let ExprKind::Value(value) = &expr.kind else { return };
    let is_sound = match value {
        Value::String(name) if template.condition(name).is_some() => true,
        // Reading put null where it reported something already.
        Value::Null => true,
        other => truth(other).is_ok(),
    };
    if is_sound {
        return;
    }
    let (told, help) = match value {
        Value::String(name) => (
            "this text is neither true, false nor the name of a condition".to_owned(),
            did_you_mean(name, template.conditions.iter().map(|(own, _)| own.as_str())),
        ),
        other => {
            (format!("a condition is wanted here, and this is {}", crate::value::kind(other)), None)
        }
    };
    diagnostics.error_with_help(Code::Function, path, &expr.span, told, help);
}

/// The expressions inside of `expr` that are asked for true or false.
fn inside(expr: &Expr) -> Vec<&Expr> {
    let mut found = Vec::new();
    expr.walk(&mut |own| {
        let ExprKind::Call(function, argument) = &own.kind else { return };
        let items = match &argument.kind {
            ExprKind::List(items) => items.as_slice(),
            _ => std::slice::from_ref(&**argument),
        };
        match function {
            Function::If => found.extend(items.first()),
            Function::And | Function::Or | Function::Not => found.extend(items),
            _ => {}
        }
    });
    found
}

/// Which conditions each condition names.
fn dependencies(template: &Template) -> Dependencies<'_> {
    let names: Vec<_> = template.conditions.iter().map(|(name, _)| name.as_str()).collect();
    let numbers: HashMap<_, _> = names.iter().enumerate().map(|(at, name)| (*name, at)).collect();
    let of = |(_, expr): &(String, Expr)| {
        let named = inside(expr).into_iter().filter_map(|own| match &own.kind {
            ExprKind::Value(Value::String(name)) => numbers.get(name.as_str()).copied(),
            _ => None,
        });
        named.collect()
    };
    let on = template.conditions.iter().map(of).collect();
    Dependencies { names, on }
}
