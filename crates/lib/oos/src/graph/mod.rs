//! A template's flow as a graph, and that graph as a picture or as text for other tools.
//!
//! A template is a list, and what runs after what is spread over it: the order, `OnSuccess`,
//! `OnError`, `OnCancel`, the branches of choices, tasks that are skipped. [`Graph::of`] gathers it
//! in one place; [`Graph::svg`] draws it, [`Graph::mermaid`] and [`Graph::dot`] write it for tools
//! that draw themselves.
//!
//! Nothing here needs a template that was checked: a jump to a task that is not there leads to the
//! failed end, as it does in a run. How much is drawn is bounded, and what is left out is counted.

mod build;
mod dot;
mod label;
mod layout;
mod mermaid;
mod plan;
mod routes;
mod svg;
#[cfg(test)]
mod tests;
mod words;

/// How many tasks are drawn at most. Templates have 100 tasks at most, those inside loops apart.
const MAX_TASKS: usize = 200;

/// How many edges are drawn at most.
const MAX_EDGES: usize = 400;

/// A template's flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    /// The start first, then the tasks in the order of the text, then the ends.
    pub nodes: Vec<Node>,
    /// What leads where, in the order of the nodes that they leave.
    pub edges: Vec<Edge>,
    /// What is not in the graph because it would be too large.
    pub left_out: LeftOut,
}

/// What a graph says less than its template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// The number of tasks.
    pub n_tasks: usize,
    /// The number of edges, those of the tasks left out among them.
    pub n_edges: usize,
}

/// The number of a node in [`Graph::nodes`].
pub type NodeIndex = usize;

/// A place in the flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// The name of the task; of other nodes what they are called in a picture.
    pub name: String,
    /// The action as the task names it, empty where the node is no task.
    pub action: String,
    /// What the action is about: the API that is called, how long it sleeps.
    pub detail: Option<String>,
    /// The description of the task.
    pub description: Option<String>,
    /// The condition without which the task is skipped.
    pub when: Option<String>,
    /// `for each …, 10 at a time`, where the task is a loop.
    pub looped: Option<String>,
    /// The `ACS::Loop` that the task is inside of.
    pub parent: Option<NodeIndex>,
    /// Whether any way leads there from the start, failures and cancellations included.
    pub is_reachable: bool,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// Where an execution starts.
    Start,
    /// A call: of an API, of a URL, or a message to a webhook.
    Call,
    /// A call again and again.
    Wait,
    /// A call and a judgement.
    Check,
    /// Where to go on.
    Choice,
    /// A pause of a known length.
    Sleep,
    /// Another template, or a cloud product action, which is one.
    Child,
    /// It waits for people.
    Approval,
    /// It starts the rest.
    Trigger,
    /// Tasks, once for each item. They have this node as [`Node::parent`].
    Loop,
    /// Where the tasks of a loop are done with one item. What comes after the loop starts here.
    ItemEnd,
    /// Where an execution ends.
    End,
    /// Where an execution ends because a task failed.
    Failed,
}

impl NodeKind {
    /// A short name: the class in a picture.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Call => "call",
            Self::Wait => "wait",
            Self::Check => "check",
            Self::Choice => "choice",
            Self::Sleep => "sleep",
            Self::Child => "child",
            Self::Approval => "approval",
            Self::Trigger => "trigger",
            Self::Loop => "loop",
            Self::ItemEnd => "item-end",
            Self::End => "end",
            Self::Failed => "failed",
        }
    }

    /// Whether it is a task of the template.
    #[must_use]
    pub const fn is_task(self) -> bool {
        !matches!(self, Self::Start | Self::ItemEnd | Self::End | Self::Failed)
    }
}

/// A way from one node to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Where it leaves.
    pub from: NodeIndex,
    /// Where it leads.
    pub to: NodeIndex,
    /// When it is taken.
    pub kind: EdgeKind,
    /// What is written beside it: the condition of a branch.
    pub label: Option<String>,
}

/// When an edge is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EdgeKind {
    /// After success, to what follows in the text.
    Next,
    /// After success, to somewhere else.
    Success,
    /// A choice whose condition holds.
    Branch,
    /// A choice none of whose conditions holds.
    Otherwise,
    /// The task is skipped, and that leads elsewhere than its success does.
    Skip,
    /// After a failure.
    Error,
    /// After a failure or a cancellation, where both lead to the same place.
    ErrorOrCancel,
    /// After a cancellation.
    Cancel,
}

impl EdgeKind {
    /// A short name: the class in a picture.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Success => "success",
            Self::Branch => "branch",
            Self::Otherwise => "otherwise",
            Self::Skip => "skip",
            Self::Error | Self::ErrorOrCancel => "error",
            Self::Cancel => "cancel",
        }
    }
}

/// What a graph shows beyond the usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether the failures that end the execution at once are edges too. Nearly every task has
    /// one, so that they hide the rest.
    pub failing_ends: bool,
}

impl Node {
    /// What the task does, in a few words: `WaitFor · ECS DescribeInstances`.
    #[must_use]
    pub fn summary(&self) -> String {
        let action = self.action.strip_prefix("ACS::").unwrap_or(&self.action);
        match &self.detail {
            Some(detail) => format!("{action} · {detail}"),
            None => action.to_owned(),
        }
    }
}

impl LeftOut {
    /// What to tell whoever looks, where anything is left out.
    #[must_use]
    pub fn note(self) -> Option<String> {
        (self != Self::default())
            .then(|| format!("not shown: {} tasks and {} edges", self.n_tasks, self.n_edges))
    }
}

/// What is written in a node: its name first.
fn lines(node: &Node) -> Vec<String> {
    let mut lines = vec![node.name.clone()];
    if !node.action.is_empty() {
        lines.push(node.summary());
    }
    lines.extend(node.when.iter().map(|when| format!("when {when}")));
    lines.extend(node.looped.clone());
    lines
}
