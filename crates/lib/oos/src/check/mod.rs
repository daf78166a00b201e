//! What can be wrong with a template that can be read: names that stand for nothing, jumps to
//! nowhere, properties that an action does not have, and the like. All findings at once.

mod defaults;
mod flow;
mod names;
mod properties;

use crate::diagnostic::{Code, Diagnostics};
use crate::document::Node;
use crate::expr::{Expr, ExprKind};
use crate::functions::Function;
use crate::template::{Action, Catalogue, Loop, Task, Template, join};

/// Check a template that was read from `node`.
pub(crate) fn check(
    template: &Template,
    node: &Node,
    catalogue: &dyn Catalogue,
    diagnostics: &mut Diagnostics,
) {
    defaults::check(template, diagnostics);
    for (name, condition) in &template.conditions {
        let path = join("Conditions", name);
        let is_condition = matches!(
            condition.kind,
            ExprKind::Call(Function::Equals | Function::And | Function::Or | Function::Not, _)
        );
        if !is_condition {
            let told = "a condition is Fn::Equals, Fn::And, Fn::Or or Fn::Not";
            diagnostics.error(Code::Function, &path, &condition.span, told);
        }
    }
    names::check(template, diagnostics);
    let nodes = node.get("Tasks").map(Node::items).unwrap_or_default();
    tasks(&template.tasks, nodes, "Tasks", catalogue, diagnostics);
    triggers(template, diagnostics);
}

fn tasks(
    tasks_of: &[Task],
    nodes: &[Node],
    path: &str,
    catalogue: &dyn Catalogue,
    diagnostics: &mut Diagnostics,
) {
    flow::check(tasks_of, path, diagnostics);
    for (at, task) in tasks_of.iter().enumerate() {
        let path = format!("{path}[{at}]");
        let inner = join(&path, "Properties");
        let own = nodes
            .iter()
            .find(|node| node.get("Name").and_then(Node::text) == Some(task.name.as_str()));
        let node = own.and_then(|own| own.get("Properties"));
        properties::check(task, node, &inner, catalogue, diagnostics);
        selectors(task, &path, diagnostics);
        if let Some(looped) = &task.looped {
            check_loop(task, looped, &join(&path, "Loop"), diagnostics);
        }
        if let Action::Loop { tasks: inner_tasks } = &task.action {
            let list = join(&inner, "LoopTasks");
            let nodes = node.and_then(|own| own.get("LoopTasks")).map(Node::items);
            tasks(inner_tasks, nodes.unwrap_or_default(), &list, catalogue, diagnostics);
        }
    }
}

/// Selectors and programs whose text is known must be jq.
fn selectors(task: &Task, path: &str, diagnostics: &mut Diagnostics) {
    if !matches!(task.action, Action::Loop { .. }) {
        for output in &task.outputs {
            let path = format!("{path}.Outputs.{}.ValueSelector", output.name);
            compile(&output.selector, &path, diagnostics);
        }
    }
    if let Some(selector) = properties::entry(&task.properties, "PropertySelector") {
        compile(&selector, &format!("{path}.Properties.PropertySelector"), diagnostics);
    }
    let mut scripts = Vec::new();
    task.properties.walk(&mut |expr| {
        if let ExprKind::Call(Function::Jq, argument) = &expr.kind
            && let ExprKind::List(items) = &argument.kind
            && let Some(script) = items.get(1)
        {
            scripts.push(script.clone());
        }
    });
    for script in scripts {
        let Some(text) = script.constant().and_then(|own| own.as_str().map(str::to_owned)) else {
            continue;
        };
        if let Err(error) = crate::jq::compile(&text) {
            let told = format!("the jq program does not compile: {error}");
            diagnostics.error(Code::Function, &join(path, "Properties"), &script.span, told);
        }
    }
}

fn compile(selector: &Expr, path: &str, diagnostics: &mut Diagnostics) {
    let Some(value) = selector.constant() else { return };
    let Some(text) = value.as_str() else {
        let told = "a selector is a jq path or program, and so a string";
        return diagnostics.error(Code::Function, path, &selector.span, told);
    };
    if let Err(error) = crate::jq::compile(&crate::jq::selector(text)) {
        let told = format!("the selector does not compile: {error}");
        diagnostics.error(Code::Function, path, &selector.span, told);
    }
}

fn check_loop(task: &Task, looped: &Loop, path: &str, diagnostics: &mut Diagnostics) {
    let can_loop = matches!(
        task.action,
        Action::ExecuteApi
            | Action::WaitFor
            | Action::CheckFor
            | Action::Template { .. }
            | Action::Product { .. }
            | Action::ExecuteHttpRequest
            | Action::Notify
            | Action::Loop { .. }
    );
    if !can_loop {
        let told = format!("`{}` cannot be looped", task.action.name());
        let help = Some("put it into the LoopTasks of an ACS::Loop".to_owned());
        diagnostics.error_with_help(Code::Loop, path, &task.span, told, help);
    }
    if let Some(serde_json::Value::Object(_)) = looped.items.constant() {
        let told = "`Items` must be a list, and is a map";
        diagnostics.error(Code::Loop, &join(path, "Items"), &looped.items.span, told);
    }
    if let Some(rate) = &looped.rate
        && let Some(value) = rate.constant()
        && let Err(error) = crate::run::rate::Plan::new(Vec::new(), &value, None)
    {
        diagnostics.error(Code::Loop, &join(path, "RateControl"), &rate.span, error);
    }
    for aggregate in &looped.outputs {
        let is_there =
            |own: &crate::template::TaskOutput| own.name.eq_ignore_ascii_case(&aggregate.field);
        if !task.outputs.iter().any(is_there) {
            let told = format!(
                "`{}` takes `{}`, which is no output of the task",
                aggregate.name, aggregate.field
            );
            let names = task.outputs.iter().map(|own| own.name.as_str());
            let help = crate::template::closest(&aggregate.field, names)
                .map(|near| format!("did you mean `{near}`?"));
            let path = format!("{path}.Outputs.{}", aggregate.name);
            diagnostics.error_with_help(Code::Loop, &path, &task.span, told, help);
        }
    }
}

fn triggers(template: &Template, diagnostics: &mut Diagnostics) {
    fn look(tasks: &[Task], path: &str, is_top: bool, diagnostics: &mut Diagnostics) {
        for (at, task) in tasks.iter().enumerate() {
            let path = format!("{path}[{at}]");
            if task.action.is_trigger() && !(is_top && at == 0) {
                let told = "a trigger must be the first task, and the only trigger";
                diagnostics.error(Code::Trigger, &path, &task.span, told);
            }
            if let Action::Loop { tasks } = &task.action {
                look(tasks, &format!("{path}.Properties.LoopTasks"), false, diagnostics);
            }
        }
    }
    look(&template.tasks, "Tasks", true, diagnostics);
}
