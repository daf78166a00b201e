//! Jumps: to tasks that are there, forward, and no task that nothing reaches.

use crate::diagnostic::{Code, Diagnostics, Span};
use crate::document::Node;
use crate::template::{Action, Next, Task, closest, join};

/// A way from a task to another one.
struct Jump<'a> {
    /// The key that says so: `OnError`, `Properties.Choices[0].NextTask`.
    key: String,
    to: &'a Next,
    span: &'a Span,
}

pub(super) fn check(tasks: &[Task], nodes: &[Node], path: &str, diagnostics: &mut Diagnostics) {
    for (at, (task, node)) in tasks.iter().zip(nodes).enumerate() {
        for jump in jumps(task, Some(node)) {
            let Next::Task(name) = jump.to else { continue };
            let path = join(&format!("{path}[{at}]"), &jump.key);
            let key = jump.key.rsplit('.').next().unwrap_or_default();
            match index_of(tasks, name) {
                None => {
                    let told = format!(
                        "`{key}` of the task `{}` leads to `{name}`, which is no task",
                        task.name
                    );
                    let names = tasks.iter().map(|own| own.name.as_str());
                    let help = Some(match closest(name, names) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => "name a task, ACS::NEXT or ACS::END".to_owned(),
                    });
                    diagnostics.error_with_help(Code::Jump, &path, jump.span, told, help);
                }
                Some(to) if to <= at => {
                    let told = format!(
                        "`{key}` of the task `{}` leads back to `{name}`: a run ends after 1000 tasks",
                        task.name
                    );
                    diagnostics.warning(Code::Jump, &path, jump.span, told);
                }
                Some(_) => {}
            }
        }
    }
    unreachable(tasks, path, diagnostics);
}

fn index_of(tasks: &[Task], name: &str) -> Option<usize> {
    tasks.iter().position(|own| own.name.eq_ignore_ascii_case(name))
}

/// Where a run may go after a task.
fn jumps<'a>(task: &'a Task, node: Option<&'a Node>) -> Vec<Jump<'a>> {
    let place = |node: Option<&'a Node>| node.map_or(&task.span, |own| &own.span);
    let of_task = |key: &str, to| {
        let span = place(node.and_then(|own| own.get(key)));
        Jump { key: key.to_owned(), to, span }
    };
    let mut jumps = vec![of_task("OnError", &task.on_error), of_task("OnCancel", &task.on_cancel)];
    let Action::Choice { choices, default } = &task.action else {
        jumps.push(of_task("OnSuccess", &task.on_success));
        return jumps;
    };
    let property = |key: &str| node.and_then(|own| own.at(&["Properties", key]));
    let key = "Properties.DefaultTask".to_owned();
    jumps.push(Jump { key, to: default, span: place(property("DefaultTask")) });
    // Choices that lack a key were reported, and are not among those of the task.
    let items = property("Choices").map(Node::items).unwrap_or_default().iter().enumerate();
    let mut items = items.filter(|(_, own)| own.get("When").and(own.get("NextTask")).is_some());
    for (_, to) in choices {
        let item = items.next();
        let at = item.map_or(0, |(at, _)| at);
        let key = format!("Properties.Choices[{at}].NextTask");
        let span = place(item.and_then(|(_, own)| own.get("NextTask")));
        jumps.push(Jump { key, to, span });
    }
    jumps
}

fn unreachable(tasks: &[Task], path: &str, diagnostics: &mut Diagnostics) {
    let mut reached = vec![false; tasks.len()];
    let mut pending = vec![0];
    while let Some(at) = pending.pop() {
        let Some(task) = tasks.get(at) else { continue };
        match reached.get_mut(at) {
            Some(is_reached) if !*is_reached => *is_reached = true,
            _ => continue,
        }
        if task.when.is_some() || task.action.is_trigger() {
            pending.push(at + 1);
        }
        for jump in jumps(task, None) {
            match jump.to {
                Next::Next => pending.push(at + 1),
                Next::End => {}
                Next::Task(name) => pending.extend(index_of(tasks, name)),
            }
        }
    }
    let unreached = tasks.iter().zip(reached).enumerate().filter(|(_, (_, reached))| !reached);
    for (at, (task, _)) in unreached {
        let told = format!("nothing leads to the task `{}`", task.name);
        diagnostics.warning(Code::Jump, &format!("{path}[{at}]"), &task.span, told);
    }
}
