//! Tasks: what each does, where a run goes after it, and what it gives to others.

use serde_json::Value;

use super::loops::{loop_of_action, read_loop};
use super::{
    MAX_INNER, MAX_NAME, Names, closest, flag, join, kind_of, map_of, nothing, only, short,
    text_or_map, whole, wrong_kind,
};
use crate::diagnostic::{Code, Span};
use crate::document::{Kind, Node};
use crate::expr::{Expr, ExprKind, Reader};
use crate::template::{Action, DelayType, Next, Polling, Task, TaskOutput};

/// Tasks of a template, and of a loop.
const MAX_TASKS: usize = 100;

const TASK: &[&str] = &[
    "Name",
    "Action",
    "Description",
    "When",
    "Properties",
    "Outputs",
    "Loop",
    "OnError",
    "OnSuccess",
    "OnCancel",
    "IsCritical",
    "Retries",
    "DelayType",
    "Delay",
    "BackOff",
    "MaxRetryInterval",
];

pub(super) fn tasks(node: &Node, path: &str, depth: u32, reader: &mut Reader<'_>) -> Vec<Task> {
    let Kind::List(items) = &node.kind else {
        wrong_kind(node, path, "a list of tasks", reader);
        return Vec::new();
    };
    if items.is_empty() {
        let told = "`Tasks` is empty, and a template has a task at least";
        reader.diagnostics.error(Code::Structure, path, &node.span, told);
    }
    if items.len() > MAX_TASKS {
        let told = format!("{} tasks, more than {MAX_TASKS}", items.len());
        reader.diagnostics.error(Code::TooLarge, path, &node.span, told);
    }
    let mut names = Names::default();
    let items = items.iter().enumerate().take(MAX_TASKS);
    items
        .map(|(at, item)| task(item, &format!("{path}[{at}]"), &mut names, depth, reader))
        .collect()
}

fn task(node: &Node, path: &str, names: &mut Names, depth: u32, reader: &mut Reader<'_>) -> Task {
    let entries = node.entries();
    let is_map = matches!(node.kind, Kind::Map(_));
    if !is_map {
        let told = format!("a task must be a map, and is {}", node.what());
        reader.diagnostics.error(Code::Structure, path, &node.span, told);
    }
    only(entries, TASK, path, "a task", reader);
    let head = entries.first().map_or(node.span.clone(), |(key, _)| key.span.clone());
    let need = |name: &str, reader: &mut Reader<'_>| match node.get(name) {
        Some(Node { kind: Kind::Text(text), span }) => Some((text.clone(), span.clone())),
        Some(other) => {
            wrong_kind(other, &join(path, name), "a string", reader);
            None
        }
        None if !is_map => None,
        None => {
            let told = format!("`{name}` is missing");
            reader.diagnostics.error(Code::Structure, path, &head, told);
            None
        }
    };
    let name = need("Name", reader);
    if let Some((name, span)) = &name {
        names.add(name, "a task", &join(path, "Name"), span, reader);
    }
    let (name, span) = name.unwrap_or_else(|| (String::new(), head.clone()));
    let (action, taken): (_, &[&str]) = match need("Action", reader) {
        Some((own, span)) => action(node, &own, &span, path, depth, reader),
        None => (unknown(String::new()), &[]),
    };
    let mut looped = node.get("Loop").map(|own| read_loop(own, &join(path, "Loop"), reader));
    if matches!(action, Action::Loop { .. }) {
        if let Some(own) = node.get("Loop") {
            let told = "an ACS::Loop has its items in `LoopItems`, and no `Loop`";
            reader.diagnostics.error(Code::Loop, &join(path, "Loop"), &own.span, told);
        }
        looped = Some(loop_of_action(node, path, &head, reader));
    }
    Task {
        name,
        span,
        properties: properties(node.get("Properties"), taken, &join(path, "Properties"), reader),
        description: node
            .get("Description")
            .map(|own| text_or_map(own, &join(path, "Description"), reader)),
        when: node.get("When").map(|own| Expr::read(own, &join(path, "When"), reader)),
        outputs: task_outputs(node.get("Outputs"), &join(path, "Outputs"), reader),
        looped,
        on_success: next(node, "OnSuccess", Next::Next, path, reader),
        on_error: next(node, "OnError", Next::End, path, reader),
        on_cancel: next(node, "OnCancel", Next::End, path, reader),
        is_critical: node
            .get("IsCritical")
            .is_none_or(|own| flag(own, &join(path, "IsCritical"), reader)),
        polling: polling(node, path, reader),
        action,
    }
}

/// Stands for an action that cannot be read, and was reported. Its name is not that of a product
/// action, by which it is told from one.
fn unknown(name: String) -> Action {
    Action::Product { name }
}

/// The action, and the properties that are in it and not to be worked out with the others.
fn action(
    node: &Node,
    name: &str,
    span: &Span,
    path: &str,
    depth: u32,
    reader: &mut Reader<'_>,
) -> (Action, &'static [&'static str]) {
    let properties = node.get("Properties");
    let get = |name: &str| properties.and_then(|own| own.get(name));
    let inner = join(path, "Properties");
    let core = Action::CORE.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
    match core.map(|(own, _)| *own) {
        Some("ACS::ExecuteAPI") => (Action::ExecuteApi, &[]),
        Some("ACS::WaitFor") => (Action::WaitFor, &[]),
        Some("ACS::CheckFor") => (Action::CheckFor, &[]),
        Some("ACS::Choice") => {
            (choice(properties, &inner, span, reader), &["Choices", "DefaultTask"])
        }
        Some("ACS::Sleep") => (Action::Sleep, &[]),
        Some("ACS::Template") => {
            let content = get("TemplateContent").map(|own| {
                let path = join(&inner, "TemplateContent");
                if depth < MAX_INNER {
                    super::read(own, &path, depth + 1, reader);
                } else {
                    let told = format!("templates and loops are nested deeper than {MAX_INNER}");
                    reader.diagnostics.error(Code::TooLarge, &path, &own.span, told);
                }
                own.to_value()
            });
            (Action::Template { content }, &["TemplateContent"])
        }
        Some("ACS::SelectTargets") => (Action::SelectTargets, &[]),
        Some("ACS::Approve") => (Action::Approve, &[]),
        Some("ACS::Notify") => (Action::Notify, &[]),
        Some("ACS::Pause") => (Action::Pause, &[]),
        Some("ACS::ExecuteHttpRequest") => (Action::ExecuteHttpRequest, &[]),
        Some("ACS::TimerTrigger") => (Action::TimerTrigger, &[]),
        Some("ACS::EventTrigger") => (Action::EventTrigger, &[]),
        Some("ACS::AlarmTrigger") => (Action::AlarmTrigger, &[]),
        Some("ACS::Loop") => {
            let tasks = match get("LoopTasks") {
                Some(own) if depth < MAX_INNER => {
                    tasks(own, &join(&inner, "LoopTasks"), depth + 1, reader)
                }
                Some(own) => {
                    let told = format!("templates and loops are nested deeper than {MAX_INNER}");
                    reader.diagnostics.error(Code::TooLarge, &inner, &own.span, told);
                    Vec::new()
                }
                None => {
                    let told = "`LoopTasks` is missing";
                    reader.diagnostics.error(Code::Property, &inner, span, told);
                    Vec::new()
                }
            };
            (Action::Loop { tasks }, &["LoopItems", "LoopRateControl", "LoopTasks"])
        }
        _ if is_product(name) => (Action::Product { name: name.to_owned() }, &[]),
        _ => {
            let told = format!("`{}` is not an action", short(name));
            let near = closest(name, Action::CORE.iter().map(|(own, _)| *own));
            let help = Some(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    "actions are ACS::ExecuteAPI and the like, or ACS::PRODUCT::NAME".to_owned()
                }
            });
            let path = join(path, "Action");
            reader.diagnostics.error_with_help(Code::Action, &path, span, told, help);
            (unknown(name.to_owned()), &[])
        }
    }
}

/// `ACS::ECS::RunCommand`.
pub(crate) fn is_product(name: &str) -> bool {
    let parts: Vec<_> = name.split("::").collect();
    let is_word = |part: &&str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    parts.len() == 3
        && parts.first().is_some_and(|head| head.eq_ignore_ascii_case("ACS"))
        && parts.iter().all(is_word)
        && name.len() <= MAX_NAME
}

fn properties(node: Option<&Node>, taken: &[&str], path: &str, reader: &mut Reader<'_>) -> Expr {
    let Some(node) = node else {
        return Expr { kind: ExprKind::Value(Value::Object(serde_json::Map::new())), span: 0..0 };
    };
    if !matches!(node.kind, Kind::Map(_) | Kind::Null) {
        wrong_kind(node, path, "a map", reader);
        return nothing(&node.span);
    }
    if taken.is_empty() {
        return Expr::read(node, path, reader);
    }
    let rest = node.entries().iter().filter(|(key, _)| !taken.contains(&key.name.as_str()));
    let rest = Node { kind: Kind::Map(rest.cloned().collect()), span: node.span.clone() };
    Expr::read(&rest, path, reader)
}

fn choice(properties: Option<&Node>, path: &str, span: &Span, reader: &mut Reader<'_>) -> Action {
    let get = |name: &str| properties.and_then(|own| own.get(name));
    let default = match get("DefaultTask") {
        Some(own) => goto(own, &join(path, "DefaultTask"), reader),
        None => {
            let told = "`DefaultTask` is missing";
            let help = Some("name the task that is next where no condition holds".to_owned());
            reader.diagnostics.error_with_help(Code::Property, path, span, told, help);
            Next::End
        }
    };
    let list = join(path, "Choices");
    let items = match get("Choices") {
        Some(Node { kind: Kind::List(items), .. }) => items.as_slice(),
        Some(other) => {
            wrong_kind(other, &list, "a list", reader);
            &[]
        }
        None => {
            reader.diagnostics.error(Code::Property, path, span, "`Choices` is missing");
            &[]
        }
    };
    let mut choices = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let path = format!("{list}[{at}]");
        only(map_of(Some(item), &path, reader), &["When", "NextTask"], &path, "a choice", reader);
        match (item.get("When"), item.get("NextTask")) {
            (Some(when), Some(to)) => {
                let when = Expr::read(when, &join(&path, "When"), reader);
                choices.push((when, goto(to, &join(&path, "NextTask"), reader)));
            }
            _ => {
                let told = "a choice needs `When` and `NextTask`";
                reader.diagnostics.error(Code::Property, &path, &item.span, told);
            }
        }
    }
    Action::Choice { choices, default }
}

fn goto(node: &Node, path: &str, reader: &mut Reader<'_>) -> Next {
    match node.text() {
        Some("ACS::END" | "END") => Next::End,
        Some("ACS::NEXT" | "NEXT" | "CONTINUE") => Next::Next,
        Some(text) => Next::Task(text.to_owned()),
        None => {
            wrong_kind(node, path, "the name of a task, ACS::NEXT or ACS::END", reader);
            Next::End
        }
    }
}

fn next(node: &Node, name: &str, default: Next, path: &str, reader: &mut Reader<'_>) -> Next {
    match node.get(name) {
        Some(own) => goto(own, &join(path, name), reader),
        None => default,
    }
}

fn task_outputs(node: Option<&Node>, path: &str, reader: &mut Reader<'_>) -> Vec<TaskOutput> {
    let (mut names, mut found) = (Names::default(), Vec::new());
    for (key, own) in map_of(node, path, reader) {
        let path = join(path, &key.name);
        names.add(&key.name, "an output", &path, &key.span, reader);
        let known = &["Type", "ValueSelector"];
        only(map_of(Some(own), &path, reader), known, &path, "a task's output", reader);
        let kind = kind_of(own.get("Type"), &join(&path, "Type"), reader);
        let selector = match own.get("ValueSelector") {
            Some(selector) => Expr::read(selector, &join(&path, "ValueSelector"), reader),
            None => {
                let told = "`ValueSelector` is missing";
                reader.diagnostics.error(Code::Structure, &path, &key.span, told);
                Expr { kind: ExprKind::Value(".".into()), span: key.span.clone() }
            }
        };
        found.push(TaskOutput { name: key.name.clone(), kind, selector });
    }
    found
}

fn polling(node: &Node, path: &str, reader: &mut Reader<'_>) -> Polling {
    let mut polling = Polling::default();
    let mut number = |name: &str, least: u64, most: u64| {
        let own = node.get(name)?;
        let value = whole(own).filter(|value| (least..=most).contains(value));
        if value.is_none() {
            let told = format!("`{name}` must be a whole number from {least} to {most}");
            reader.diagnostics.error(Code::Property, &join(path, name), &own.span, told);
        }
        value.and_then(|value| u32::try_from(value).ok())
    };
    polling.retries = number("Retries", 0, 300);
    if let Some(delay) = number("Delay", 1, 3600) {
        polling.delay = delay;
    }
    if let Some(back_off) = number("BackOff", 1, 3600) {
        polling.back_off = back_off;
    }
    if let Some(most) = number("MaxRetryInterval", 1, 1800) {
        polling.max_retry_interval = most;
    }
    if let Some(own) = node.get("DelayType") {
        polling.delay_type = match own.text() {
            Some("Exponential") => DelayType::Exponential,
            Some("Constant") => DelayType::Constant,
            Some("Linear") => DelayType::Linear,
            _ => {
                let told = "`DelayType` must be Exponential, Constant or Linear";
                let path = join(path, "DelayType");
                reader.diagnostics.error(Code::Property, &path, &own.span, told);
                DelayType::default()
            }
        };
    }
    polling
}
