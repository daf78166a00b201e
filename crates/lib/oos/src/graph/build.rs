//! From the list of tasks to nodes and edges.

use std::collections::HashMap;

use serde_json::Value;

use super::{Edge, EdgeKind, Graph, LeftOut, MAX_EDGES, MAX_TASKS, Node, NodeIndex, NodeKind};
use super::{Options, label, words};
use crate::expr::{Expr, ExprKind};
use crate::template::{Action, Loop, Next, Task, Template};

/// How many characters of a name or a description are kept.
const MAX_NAME: usize = 200;
const MAX_DESCRIPTION: usize = 2_000;

/// How many characters of a loop's items are shown, so that its rate has room beside them.
const MAX_ITEMS_NAME: usize = 24;

/// How deep loops inside loops are taken apart. A deeper one is a single node.
const MAX_DEPTH: usize = 8;

/// How many tasks and edges are looked at to find out what is reachable, drawn or not.
const MAX_SEEN_TASKS: usize = 10_000;
const MAX_SEEN_EDGES: usize = 100_000;

impl Graph {
    /// The flow of `template`, without the failures that end it at once.
    #[must_use]
    pub fn of(template: &Template) -> Self {
        Self::with(template, Options::default())
    }

    /// The flow of `template`.
    #[must_use]
    pub fn with(template: &Template, options: Options) -> Self {
        let mut builder = Builder::default();
        let start = builder.add(plain(NodeKind::Start, "start"));
        let tasks = builder.add_tasks(&template.tasks, None, 0);
        let end = builder.add(plain(NodeKind::End, "end"));
        let failed = builder.add(plain(NodeKind::Failed, "failed"));
        builder.failed = failed;
        builder.link(start, tasks.first().map_or(end, |task| task.entry), EdgeKind::Next, None);
        builder.link_tasks(&template.tasks, &tasks, Ends { success: end, failed });
        builder.finish(start, options)
    }
}

/// A task's place in the graph: the same node twice, unless it is a loop that was taken apart.
struct Placed {
    entry: NodeIndex,
    exit: NodeIndex,
    inner: Vec<Placed>,
}

/// Where `ACS::END` leads: out of a loop's turn, or out of the template.
#[derive(Clone, Copy)]
struct Ends {
    success: NodeIndex,
    failed: NodeIndex,
}

#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    /// Edges, and whether each is drawn only where asked for.
    edges: Vec<(Edge, bool)>,
    left_out: LeftOut,
    failed: NodeIndex,
}

impl Builder {
    fn add(&mut self, node: Node) -> NodeIndex {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn link(&mut self, from: NodeIndex, to: NodeIndex, kind: EdgeKind, label: Option<String>) {
        self.link_as(Edge { from, to, kind, label }, false);
    }

    fn link_as(&mut self, edge: Edge, is_quiet: bool) {
        if self.edges.len() < MAX_SEEN_EDGES {
            self.edges.push((edge, is_quiet));
        } else {
            self.left_out.n_edges += 1;
        }
    }

    fn add_tasks(
        &mut self,
        tasks: &[Task],
        parent: Option<NodeIndex>,
        depth: usize,
    ) -> Vec<Placed> {
        let mut placed = Vec::new();
        for task in tasks {
            if self.nodes.len() >= MAX_SEEN_TASKS {
                self.left_out.n_tasks += tasks.len() - placed.len();
                break;
            }
            let entry = self.add(node_of(task, parent));
            let own = match &task.action {
                Action::Loop { tasks } if depth < MAX_DEPTH && !tasks.is_empty() => {
                    let inner = self.add_tasks(tasks, Some(entry), depth + 1);
                    let item_end =
                        Node { parent: Some(entry), ..plain(NodeKind::ItemEnd, "item done") };
                    Placed { entry, exit: self.add(item_end), inner }
                }
                _ => Placed { entry, exit: entry, inner: Vec::new() },
            };
            placed.push(own);
        }
        placed
    }

    fn link_tasks(&mut self, tasks: &[Task], placed: &[Placed], ends: Ends) {
        let mut by_name = HashMap::new();
        for (task, own) in tasks.iter().zip(placed) {
            by_name.entry(task.name.to_ascii_lowercase()).or_insert(own.entry);
        }
        for (at, (task, own)) in tasks.iter().zip(placed).enumerate() {
            let following = placed.get(at + 1).map_or(ends.success, |next| next.entry);
            let resolve = |next: &Next| match next {
                Next::Next => following,
                Next::End => ends.success,
                Next::Task(name) => {
                    by_name.get(&name.to_ascii_lowercase()).copied().unwrap_or(ends.failed)
                }
            };
            self.link_success(task, own, following, &resolve);
            self.link_failure(task, own, following, ends, &resolve);
            if let Action::Loop { tasks } = &task.action
                && let Some(first) = own.inner.first()
            {
                self.link(own.entry, first.entry, EdgeKind::Next, None);
                // A turn that fails is one of the errors that the loop counts: it, too, ends there.
                self.link_tasks(tasks, &own.inner, Ends { success: own.exit, failed: own.exit });
            }
        }
    }

    fn link_success(
        &mut self,
        task: &Task,
        own: &Placed,
        following: NodeIndex,
        resolve: &dyn Fn(&Next) -> NodeIndex,
    ) {
        let leaves_for_next = match &task.action {
            Action::Choice { choices, default } => {
                for (when, next) in choices {
                    self.link(own.exit, resolve(next), EdgeKind::Branch, Some(label::short(when)));
                }
                let otherwise = (!choices.is_empty()).then(|| "otherwise".to_owned());
                self.link(own.exit, resolve(default), EdgeKind::Otherwise, otherwise);
                false
            }
            _ => {
                let to = resolve(&task.on_success);
                let kind = if to == following { EdgeKind::Next } else { EdgeKind::Success };
                self.link(own.exit, to, kind, None);
                to == following
            }
        };
        if task.when.is_some() && !leaves_for_next {
            self.link(own.entry, following, EdgeKind::Skip, Some("skipped".to_owned()));
        }
    }

    fn link_failure(
        &mut self,
        task: &Task,
        own: &Placed,
        following: NodeIndex,
        ends: Ends,
        resolve: &dyn Fn(&Next) -> NodeIndex,
    ) {
        let to = match &task.on_error {
            Next::End => ends.failed,
            // After the last task the execution ends, and it fails where a failure counts.
            Next::Next if following == ends.success && task.is_critical => ends.failed,
            next => resolve(next),
        };
        let error = Edge { from: own.exit, to, kind: EdgeKind::Error, label: None };
        let cancelled = (task.on_cancel != Next::End).then(|| resolve(&task.on_cancel));
        match cancelled {
            Some(cancelled) if cancelled == to && task.on_error != Next::End => {
                self.link(own.exit, to, EdgeKind::ErrorOrCancel, None);
            }
            Some(cancelled) => {
                self.link_as(error, task.on_error == Next::End);
                self.link(own.exit, cancelled, EdgeKind::Cancel, None);
            }
            None => self.link_as(error, task.on_error == Next::End),
        }
    }

    /// Mark what is reachable, and leave out what is too much or was not asked for.
    fn finish(mut self, start: NodeIndex, options: Options) -> Graph {
        self.mark_reachable(start);
        let mut edges: Vec<Edge> = Vec::new();
        let mut kept = self.kept();
        for (edge, is_quiet) in std::mem::take(&mut self.edges) {
            if is_quiet && !(options.failing_ends && self.nodes[edge.from].is_reachable) {
                continue;
            }
            if edges.len() >= MAX_EDGES || !kept[edge.from] || !kept[edge.to] {
                self.left_out.n_edges += 1;
                continue;
            }
            edges.push(edge);
        }
        kept[self.failed] = edges.iter().any(|edge| edge.to == self.failed);
        edges.sort_by_key(|edge| edge.from);
        let mut numbers = vec![0; self.nodes.len()];
        let mut nodes = Vec::new();
        for (at, node) in self.nodes.into_iter().enumerate() {
            numbers[at] = nodes.len();
            if kept[at] {
                let parent = node.parent.map(|parent| numbers[parent]);
                nodes.push(Node { parent, ..node });
            }
        }
        for edge in &mut edges {
            (edge.from, edge.to) = (numbers[edge.from], numbers[edge.to]);
        }
        Graph { nodes, edges, left_out: self.left_out }
    }

    /// Which nodes stay: a loop stays where its tasks do.
    fn kept(&mut self) -> Vec<bool> {
        let mut n_tasks = 0;
        let mut kept = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let is_kept = match node.kind {
                NodeKind::ItemEnd => node.parent.is_some_and(|parent| kept[parent]),
                kind if kind.is_task() => n_tasks < MAX_TASKS,
                _ => true,
            };
            if node.kind.is_task() {
                n_tasks += 1;
                self.left_out.n_tasks += usize::from(!is_kept);
            }
            kept.push(is_kept);
        }
        kept
    }

    fn mark_reachable(&mut self, start: NodeIndex) {
        let mut leads_to = vec![Vec::new(); self.nodes.len()];
        for (edge, _) in &self.edges {
            leads_to[edge.from].push(edge.to);
        }
        for (at, node) in self.nodes.iter().enumerate() {
            // No item at all: the loop is done at once.
            if let (NodeKind::ItemEnd, Some(parent)) = (node.kind, node.parent) {
                leads_to[parent].push(at);
            }
        }
        let mut ahead = vec![start];
        while let Some(at) = ahead.pop() {
            if !std::mem::replace(&mut self.nodes[at].is_reachable, true) {
                ahead.extend_from_slice(&leads_to[at]);
            }
        }
    }
}

fn plain(kind: NodeKind, name: &str) -> Node {
    Node {
        kind,
        name: name.to_owned(),
        action: String::new(),
        detail: None,
        description: None,
        when: None,
        looped: None,
        parent: None,
        is_reachable: false,
    }
}

fn node_of(task: &Task, parent: Option<NodeIndex>) -> Node {
    Node {
        kind: kind_of(&task.action),
        name: words::line(&task.name, MAX_NAME),
        action: words::line(task.action.name(), MAX_NAME),
        detail: detail(task),
        description: task.description.as_ref().and_then(in_english),
        when: task.when.as_ref().map(label::short),
        looped: task.looped.as_ref().map(badge),
        parent,
        is_reachable: false,
    }
}

const fn kind_of(action: &Action) -> NodeKind {
    match action {
        Action::ExecuteApi
        | Action::ExecuteHttpRequest
        | Action::SelectTargets
        | Action::Notify => NodeKind::Call,
        Action::WaitFor => NodeKind::Wait,
        Action::CheckFor => NodeKind::Check,
        Action::Choice { .. } => NodeKind::Choice,
        Action::Sleep => NodeKind::Sleep,
        Action::Template { .. } | Action::Product { .. } => NodeKind::Child,
        Action::Approve | Action::Pause => NodeKind::Approval,
        Action::TimerTrigger | Action::EventTrigger | Action::AlarmTrigger => NodeKind::Trigger,
        Action::Loop { .. } => NodeKind::Loop,
    }
}

fn detail(task: &Task) -> Option<String> {
    let own = |name: &str| property(&task.properties, name);
    match task.action {
        Action::ExecuteApi | Action::WaitFor | Action::CheckFor => {
            let api = own("API").or_else(|| own("Api"))?;
            Some(match own("Service") {
                Some(service) => format!("{service} {api}"),
                None => api,
            })
        }
        Action::Sleep => own("Duration"),
        Action::Template { .. } => own("TemplateName"),
        Action::SelectTargets => own("ResourceType"),
        Action::ExecuteHttpRequest => own("URL"),
        _ => None,
    }
}

/// A property in a few words, whether or not something has to be worked out beside it.
fn property(expr: &Expr, name: &str) -> Option<String> {
    match &expr.kind {
        ExprKind::Value(Value::Object(entries)) => {
            let kind = ExprKind::Value(entries.get(name)?.clone());
            Some(label::short(&Expr { kind, span: expr.span.clone() }))
        }
        _ => expr.entry(name).map(label::short),
    }
}

/// A text, or the English one of several languages, or else the first.
fn in_english(text: &Value) -> Option<String> {
    let text = match text {
        Value::String(text) => text,
        Value::Object(texts) => texts.get("en").or_else(|| texts.values().next())?.as_str()?,
        _ => return None,
    };
    let line = words::line(text, MAX_DESCRIPTION);
    (!line.is_empty()).then_some(line)
}

/// `for each …, 10 at a time`.
fn badge(looped: &Loop) -> String {
    let items = words::line(&label::short(&looped.items), MAX_ITEMS_NAME);
    let items = format!("for each of {items}");
    let Some(rate) = &looped.rate else { return items };
    if property(rate, "Mode").is_some_and(|mode| mode.starts_with("Batch")) {
        return match property(rate, "Batch") {
            Some(sizes) => format!("{items}, in batches of {sizes}"),
            None => format!("{items}, in batches"),
        };
    }
    match property(rate, "Concurrency") {
        Some(one) if one == "1" => format!("{items}, one at a time"),
        Some(many) => format!("{items}, {many} at a time"),
        None => items,
    }
}
