//! References: to what is declared, and to tasks that come before.

use crate::diagnostic::{Code, Diagnostics, Severity, Span};
use crate::expr::{Expr, ExprKind, Pseudo, Reference, Target};
use crate::template::{Action, Task, Template, closest, join};

/// Where a reference stands, and what is in sight there.
struct Place<'a> {
    template: &'a Template,
    /// Tasks in sight, innermost list first, each with the number of the task that refers.
    lists: Vec<(&'a [Task], usize)>,
    path: String,
    /// Whether there is an item of a loop.
    has_item: bool,
    /// Whether tasks are in sight at all.
    has_tasks: bool,
}

pub(super) fn check(template: &Template, diagnostics: &mut Diagnostics) {
    let outside = |path: String, has_tasks: bool| Place {
        template,
        lists: vec![(&template.tasks, template.tasks.len())],
        path,
        has_item: false,
        has_tasks,
    };
    for own in &template.parameters {
        let place = outside(format!("Parameters.{}.Default", own.name), false);
        own.default.iter().for_each(|expr| place.check(expr, diagnostics));
    }
    if let Some(role) = &template.ram_role {
        outside("RamRole".to_owned(), false).check(role, diagnostics);
    }
    for (name, condition) in &template.conditions {
        outside(join("Conditions", name), true).check(condition, diagnostics);
    }
    for own in &template.outputs {
        outside(format!("Outputs.{}.Value", own.name), true).check(&own.value, diagnostics);
    }
    tasks(template, &template.tasks, &[], "Tasks", false, diagnostics);
}

fn tasks<'a>(
    template: &'a Template,
    list: &'a [Task],
    outer: &[(&'a [Task], usize)],
    path: &str,
    is_inside: bool,
    diagnostics: &mut Diagnostics,
) {
    for (at, task) in list.iter().enumerate() {
        let path = format!("{path}[{at}]");
        let mut lists = vec![(list, at)];
        lists.extend(outer.iter().copied());
        let has_item = is_inside || task.looped.is_some();
        let place = |key: &str, has_item: bool| Place {
            template,
            lists: lists.clone(),
            path: join(&path, key),
            has_item,
            has_tasks: true,
        };
        if let Some(when) = &task.when {
            place("When", has_item).check(when, diagnostics);
        }
        place("Properties", has_item).check(&task.properties, diagnostics);
        if let Some(looped) = &task.looped {
            place("Loop.Items", is_inside).check(&looped.items, diagnostics);
            looped
                .rate
                .iter()
                .for_each(|rate| place("Loop.RateControl", is_inside).check(rate, diagnostics));
        }
        match &task.action {
            Action::Choice { choices, .. } => {
                for (at, (when, _)) in choices.iter().enumerate() {
                    let key = format!("Properties.Choices[{at}].When");
                    place(&key, has_item).check(when, diagnostics);
                }
            }
            Action::Loop { tasks: inner } => {
                let key = join(&path, "Properties.LoopTasks");
                tasks(template, inner, &lists, &key, true, diagnostics);
                // Its outputs name the tasks inside.
                let mut lists = vec![(inner.as_slice(), inner.len())];
                lists.extend(outer.iter().copied());
                for own in &task.outputs {
                    let path = format!("{path}.Outputs.{}.ValueSelector", own.name);
                    let (has_item, has_tasks, lists) = (true, true, lists.clone());
                    Place { template, lists, path, has_item, has_tasks }
                        .check(&own.selector, diagnostics);
                }
                continue;
            }
            _ => {}
        }
        for own in &task.outputs {
            let key = format!("Outputs.{}.ValueSelector", own.name);
            place(&key, has_item).check(&own.selector, diagnostics);
        }
    }
}

impl Place<'_> {
    fn check(&self, expr: &Expr, diagnostics: &mut Diagnostics) {
        for reference in expr.references() {
            self.reference(reference, diagnostics);
        }
        expr.walk(&mut |inner| {
            if let ExprKind::Call(function, _) = &inner.kind
                && !function.is_supported()
            {
                let told = format!("{} is not supported by kiln: it fails", function.name());
                diagnostics.warning(Code::Function, &self.path, &inner.span, told);
            }
        });
    }

    fn reference(&self, reference: &Reference, diagnostics: &mut Diagnostics) {
        let span = &reference.span;
        match &reference.target {
            Target::Parameter(name) => {
                if self.template.parameter(name).is_none() && !diagnostics.is_full(Severity::Error)
                {
                    let task = self.lists.iter().flat_map(|(tasks, _)| tasks.iter());
                    let is_task = task.into_iter().any(|own| own.name.eq_ignore_ascii_case(name));
                    let known = self.template.parameters.iter().map(|own| own.name.as_str());
                    let help = match closest(name, known) {
                        _ if is_task && self.has_tasks => Some(format!(
                            "a task is named with its output: {{{{ {name}.output }}}}"
                        )),
                        Some(near) => Some(format!("did you mean `{near}`?")),
                        None => Some("declare it under Parameters".to_owned()),
                    };
                    let told = format!("`{name}` is not a parameter of the template");
                    self.report(span, told, help, diagnostics);
                }
            }
            Target::Output { task, output } => self.output(task, Some(output), span, diagnostics),
            Target::Path { task, .. } => self.output(task, None, span, diagnostics),
            Target::Pseudo(Pseudo::TaskLoopItem) if !self.has_item => {
                let told =
                    "ACS::TaskLoopItem stands for the item of a loop, and there is none here";
                self.report(span, told.to_owned(), None, diagnostics);
            }
            Target::Pseudo(_) | Target::Store { .. } => {}
            Target::Unknown(name) => {
                let told = format!("`{name}` is not a pseudo parameter");
                let known = Pseudo::ALL.iter().map(|(own, _)| *own);
                let help = closest(name, known).map(|near| format!("did you mean `{near}`?"));
                self.report(span, told, help, diagnostics);
            }
        }
    }

    fn output(
        &self,
        name: &str,
        output: Option<&String>,
        span: &Span,
        diagnostics: &mut Diagnostics,
    ) {
        let found = self.lists.iter().filter(|_| self.has_tasks).find_map(|(tasks, at)| {
            let index = tasks.iter().position(|own| own.name.eq_ignore_ascii_case(name))?;
            Some((tasks.get(index)?, index, *at))
        });
        let Some((task, index, at)) = found else {
            return self.no_task(name, span, diagnostics);
        };
        if index >= at {
            let told = match index == at {
                true => format!("the task `{}` refers to its own result: it is null", task.name),
                false => format!("the task `{}` comes later: its outputs are null here", task.name),
            };
            diagnostics.warning(Code::Reference, &self.path, span, told);
        }
        let Some(output) = output else { return };
        if crate::run::declares_output(task, output) {
            return;
        }
        let looped = task.looped.iter().flat_map(|looped| &looped.outputs);
        let known: Vec<_> = task
            .outputs
            .iter()
            .map(|own| own.name.as_str())
            .chain(looped.map(|own| own.name.as_str()))
            .collect();
        let told = format!("`{output}` is not an output of the task `{}`", task.name);
        let help = match closest(output, known.iter().copied()) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if known.is_empty() => Some("declare it under the task's Outputs".to_owned()),
            None => Some(format!("its outputs are {}", known.join(", "))),
        };
        self.report(span, told, help, diagnostics);
    }

    fn no_task(&self, name: &str, span: &Span, diagnostics: &mut Diagnostics) {
        if diagnostics.is_full(Severity::Error) {
            return;
        }
        let mut tasks = self.lists.iter().flat_map(|(tasks, _)| tasks.iter());
        if !self.has_tasks && tasks.any(|own| own.name.eq_ignore_ascii_case(name)) {
            let told = format!("the task `{name}` cannot be named here: no task has run yet");
            return self.report(span, told, None, diagnostics);
        }
        let names = self.lists.iter().flat_map(|(tasks, _)| tasks.iter());
        let near = closest(name, names.map(|own| own.name.as_str()));
        let help = match near.filter(|_| self.has_tasks) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None => self.template.parameter(name).map(|own| {
                let own = &own.name;
                format!("`{own}` is a parameter: Fn::Select and Fn::Jq take a part of it")
            }),
        };
        let told = format!("`{name}` is not a task");
        self.report(span, told, help, diagnostics);
    }

    fn report(
        &self,
        span: &Span,
        told: String,
        help: Option<String>,
        diagnostics: &mut Diagnostics,
    ) {
        diagnostics.error_with_help(Code::Reference, &self.path, span, told, help);
    }
}
