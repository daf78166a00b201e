//! jq: selectors and programs whose text is known must compile.

use serde_json::Value;

use super::properties::constant;
use crate::diagnostic::{Code, Diagnostics, Severity};
use crate::expr::{Expr, ExprKind};
use crate::functions::Function;
use crate::template::{Action, Task};

/// The programs of `Fn::Jq` in all expressions.
pub(super) fn check(expressions: &[(String, &Expr)], diagnostics: &mut Diagnostics) {
    for (path, expr) in expressions {
        expr.walk(&mut |own| {
            if let ExprKind::Call(Function::Jq, argument) = &own.kind
                && let ExprKind::List(items) = &argument.kind
                && let [which, script, _] = items.as_slice()
            {
                program(which, script, path, diagnostics);
            }
        });
    }
}

fn program(which: &Expr, script: &Expr, path: &str, diagnostics: &mut Diagnostics) {
    if let Some(value) = which.constant()
        && !matches!(value.as_str(), Some("First" | "All"))
    {
        let told = "the first item of Fn::Jq must be `First` or `All`";
        diagnostics.error(Code::Function, path, &which.span, told);
    }
    match script.constant() {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => {
            // Compiling costs: programs beyond those that are kept need not be looked at.
            if diagnostics.is_full(Severity::Error) {
                return;
            }
            if let Err(error) = crate::jq::compile(&text) {
                let told = format!("the jq program does not compile: {error}");
                diagnostics.error(Code::Function, path, &script.span, told);
            }
        }
        Some(other) => {
            let kind = crate::value::kind(&other);
            let told = format!("a jq program is a string, and this is {kind}");
            diagnostics.error(Code::Function, path, &script.span, told);
        }
    }
}

/// The selectors of a task.
pub(super) fn selectors(task: &Task, path: &str, diagnostics: &mut Diagnostics) {
    // Those of an ACS::Loop are references to tasks inside.
    if !matches!(task.action, Action::Loop { .. }) {
        for output in &task.outputs {
            let path = format!("{path}.Outputs.{}.ValueSelector", output.name);
            selector(output.selector.constant(), &output.selector, &path, diagnostics);
        }
    }
    let path = format!("{path}.Properties.PropertySelector");
    let own = constant(&task.properties, "PropertySelector");
    // That it must be a string is said where properties are checked.
    if own.as_ref().is_some_and(Value::is_string) {
        selector(own, &task.properties, &path, diagnostics);
    }
}

fn selector(value: Option<Value>, expr: &Expr, path: &str, diagnostics: &mut Diagnostics) {
    let Some(value) = value else { return };
    let Some(text) = value.as_str() else {
        let told = "a selector is a jq path or program, and so a string";
        return diagnostics.error(Code::Function, path, &expr.span, told);
    };
    if let Err(error) = crate::jq::compile(&crate::jq::selector(text)) {
        let told = format!("the selector does not compile: {error}");
        diagnostics.error(Code::Function, path, &expr.span, told);
    }
}
