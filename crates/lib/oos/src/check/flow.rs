//! Jumps: to tasks that are there, forward, and no task that nothing reaches.

use crate::diagnostic::{Code, Diagnostics};
use crate::template::{Action, Next, Task, closest};

pub(super) fn check(tasks: &[Task], path: &str, diagnostics: &mut Diagnostics) {
    for (at, task) in tasks.iter().enumerate() {
        for (key, next) in jumps(task) {
            let Next::Task(name) = next else { continue };
            let path = format!("{path}[{at}].{key}");
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
                    diagnostics.error_with_help(Code::Jump, &path, &task.span, told, help);
                }
                Some(to) if to <= at => {
                    let told = format!(
                        "`{key}` of the task `{}` leads back to `{name}`: a run ends after 1000 tasks",
                        task.name
                    );
                    diagnostics.warning(Code::Jump, &path, &task.span, told);
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

/// Where a run may go after a task, with the keys that say so.
fn jumps(task: &Task) -> Vec<(&'static str, &Next)> {
    let mut jumps = vec![("OnError", &task.on_error), ("OnCancel", &task.on_cancel)];
    match &task.action {
        Action::Choice { choices, default } => {
            jumps.push(("DefaultTask", default));
            jumps.extend(choices.iter().map(|(_, next)| ("NextTask", next)));
        }
        _ => jumps.push(("OnSuccess", &task.on_success)),
    }
    jumps
}

fn unreachable(tasks: &[Task], path: &str, diagnostics: &mut Diagnostics) {
    let mut reached = vec![false; tasks.len()];
    let mut pending = vec![0];
    while let Some(at) = pending.pop() {
        let Some(task) = tasks.get(at) else { continue };
        if std::mem::replace(&mut reached[at], true) {
            continue;
        }
        if task.when.is_some() || task.action.is_trigger() {
            pending.push(at + 1);
        }
        for (_, next) in jumps(task) {
            match next {
                Next::Next => pending.push(at + 1),
                Next::End => {}
                Next::Task(name) => pending.extend(index_of(tasks, name)),
            }
        }
    }
    for (at, task) in tasks.iter().enumerate().filter(|(at, _)| !reached[*at]) {
        let told = format!("nothing leads to the task `{}`", task.name);
        diagnostics.warning(Code::Jump, &format!("{path}[{at}]"), &task.span, told);
    }
}
