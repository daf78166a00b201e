//! What can be wrong with a template that can be read: names that stand for nothing, jumps to
//! nowhere, properties that an action does not have, and the like. All findings at once.
//!
//! The template says what is meant and its nodes say where it stands: tasks and nodes go side by
//! side, because the reader leaves none out.

mod circle;
mod conditions;
mod defaults;
mod flow;
mod loops;
mod names;
mod properties;
mod scripts;

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span};
use crate::document::{Kind, Node};
use crate::expr::Expr;
use crate::template::{Action, Catalogue, MAX_INNER, Task, Template, join};

/// Check a template that was read from `node`, which was read from `source`.
pub(crate) fn check(
    template: &Template,
    node: &Node,
    source: &str,
    catalogue: &dyn Catalogue,
    diagnostics: &mut Diagnostics,
) {
    Context { source, catalogue, depth: 0 }.template(template, node, diagnostics);
}

/// What the checks of tasks need to know about the world around.
struct Context<'a> {
    source: &'a str,
    catalogue: &'a dyn Catalogue,
    /// How many templates this one stands in.
    depth: u32,
}

impl Context<'_> {
    fn template(&self, template: &Template, node: &Node, diagnostics: &mut Diagnostics) {
        defaults::check(template, node, diagnostics);
        names::check(template, diagnostics);
        let expressions = expressions(template);
        conditions::check(template, &expressions, diagnostics);
        scripts::check(&expressions, diagnostics);
        self.tasks(&template.tasks, node.get("Tasks"), "Tasks", diagnostics);
        self.triggers(&template.tasks, "Tasks", self.depth == 0, diagnostics);
    }

    fn tasks(
        &self,
        tasks: &[Task],
        list: Option<&Node>,
        path: &str,
        diagnostics: &mut Diagnostics,
    ) {
        let nodes = list.map(Node::items).unwrap_or_default();
        flow::check(tasks, nodes, path, diagnostics);
        for (at, (task, node)) in tasks.iter().zip(nodes).enumerate() {
            let path = format!("{path}[{at}]");
            properties::check(task, node, &path, self.catalogue, diagnostics);
            scripts::selectors(task, &path, diagnostics);
            loops::check(task, node, &path, diagnostics);
            polling(task, node, &path, diagnostics);
            let inner = |key: &str| node.at(&["Properties", key]);
            match &task.action {
                Action::Loop { tasks } => {
                    let path = join(&path, "Properties.LoopTasks");
                    self.tasks(tasks, inner("LoopTasks"), &path, diagnostics);
                }
                Action::Template { content: Some(_) } => {
                    if let Some(node) = inner("TemplateContent") {
                        let path = join(&path, "Properties.TemplateContent");
                        self.inner_template(node, &path, diagnostics);
                    }
                }
                _ => {}
            }
        }
    }

    /// A template inside of this one has names and paths of its own.
    fn inner_template(&self, node: &Node, path: &str, diagnostics: &mut Diagnostics) {
        let depth = self.depth.saturating_add(1);
        if depth > MAX_INNER {
            return;
        }
        // What reading finds was reported when the outer template was read.
        let mut known = Diagnostics::default();
        let Some(template) = Template::read_inside(node, self.source, path, depth, &mut known)
        else {
            return;
        };
        let mut found = Diagnostics::default();
        let inner = Context { source: self.source, catalogue: self.catalogue, depth };
        inner.template(&template, node, &mut found);
        for finding in found.list() {
            diagnostics.push(Diagnostic { path: join(path, &finding.path), ..finding.clone() });
        }
    }

    /// A trigger starts the rest of the template: it is the first task, and no child has one.
    fn triggers(&self, tasks: &[Task], path: &str, is_top: bool, diagnostics: &mut Diagnostics) {
        for (at, task) in tasks.iter().enumerate() {
            let path = format!("{path}[{at}]");
            if task.action.is_trigger() && !(is_top && at == 0) {
                let told = match self.depth {
                    0 => "a trigger must be the first task, and the only trigger",
                    _ => "a template inside of another one cannot have a trigger",
                };
                diagnostics.error(Code::Trigger, &path, &task.span, told);
            }
            if let Action::Loop { tasks } = &task.action {
                self.triggers(tasks, &join(&path, "Properties.LoopTasks"), false, diagnostics);
            }
        }
    }
}

/// Keys that say how often to look do nothing where nothing is looked at again.
fn polling(task: &Task, node: &Node, path: &str, diagnostics: &mut Diagnostics) {
    let is_known =
        !matches!(&task.action, Action::Product { name } if !crate::template::is_product(name));
    if matches!(task.action, Action::WaitFor | Action::CheckFor) || !is_known {
        return;
    }
    for (key, _) in node.entries() {
        let is_polling =
            ["Retries", "DelayType", "Delay", "BackOff", "MaxRetryInterval"].contains(&&*key.name);
        if is_polling {
            let told = format!("`{}` has no effect on {}", key.name, task.action.name());
            let help = Some("only ACS::WaitFor and ACS::CheckFor look again".to_owned());
            let path = join(path, &key.name);
            diagnostics.warning_with_help(Code::Structure, &path, &key.span, told, help);
        }
    }
}

/// Each expression of a template with the place where it stands.
fn expressions(template: &Template) -> Vec<(String, &Expr)> {
    let mut found = Vec::new();
    let parameters = template.parameters.iter();
    found.extend(parameters.filter_map(|own| {
        Some((format!("Parameters.{}.Default", own.name), own.default.as_ref()?))
    }));
    found.extend(template.ram_role.iter().map(|role| ("RamRole".to_owned(), role)));
    found.extend(template.conditions.iter().map(|(name, own)| (join("Conditions", name), own)));
    let outputs = template.outputs.iter();
    found.extend(outputs.map(|own| (format!("Outputs.{}.Value", own.name), &own.value)));
    of_tasks(&template.tasks, "Tasks", &mut found);
    found
}

fn of_tasks<'a>(tasks: &'a [Task], path: &str, found: &mut Vec<(String, &'a Expr)>) {
    for (at, task) in tasks.iter().enumerate() {
        let path = format!("{path}[{at}]");
        found.extend(task.when.iter().map(|when| (join(&path, "When"), when)));
        found.push((join(&path, "Properties"), &task.properties));
        for own in &task.outputs {
            found.push((format!("{path}.Outputs.{}.ValueSelector", own.name), &own.selector));
        }
        if let Some(looped) = &task.looped {
            found.push((join(&path, "Loop.Items"), &looped.items));
            found.extend(looped.rate.iter().map(|rate| (join(&path, "Loop.RateControl"), rate)));
        }
        match &task.action {
            Action::Choice { choices, .. } => {
                let choices = choices.iter().enumerate();
                found.extend(choices.map(|(at, (when, _))| {
                    (format!("{path}.Properties.Choices[{at}].When"), when)
                }));
            }
            Action::Loop { tasks } => {
                of_tasks(tasks, &join(&path, "Properties.LoopTasks"), found);
            }
            _ => {}
        }
    }
}

/// Where the value of a key stands, else where the thing itself does.
fn place<'a>(node: &'a Node, way: &[&str], otherwise: &'a Span) -> &'a Span {
    node.at(way).map_or(otherwise, |own| &own.span)
}

/// What a node is, unless it has to be worked out: then it may be anything.
fn is_open(node: &Node) -> bool {
    match &node.kind {
        Kind::Text(text) => text.contains("{{"),
        Kind::Map(entries) => entries.iter().any(|(key, _)| key.name.starts_with("Fn::")),
        _ => false,
    }
}
