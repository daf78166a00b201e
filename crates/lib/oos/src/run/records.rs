//! What a run is made of: executions and task executions, as they are stored and shown.
//!
//! ```text
//! Started ─► Running ◄─► Waiting ─► Success | Failed | Cancelled
//! ```
//!
//! A task execution is also `Pending` while nothing of it has begun, and `Skipped` at its end. Final
//! states never change.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Where an execution or a task execution stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// Recorded, nothing done.
    Started,
    /// Held back by a limit of kiln's.
    Queued,
    /// A task that is next.
    Pending,
    /// At work.
    Running,
    /// Somebody or something has to come first.
    Waiting,
    /// Ended well.
    Success,
    /// Ended badly.
    Failed,
    /// Ended by somebody.
    Cancelled,
    /// A task whose condition did not hold.
    Skipped,
}

impl Status {
    /// Whether nothing happens any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Success | Self::Failed | Self::Cancelled | Self::Skipped)
    }

    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Started => "Started",
            Self::Queued => "Queued",
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Waiting => "Waiting",
            Self::Success => "Success",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
            Self::Skipped => "Skipped",
        }
    }
}

/// What a waiting execution waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Waiting {
    /// The approval of people.
    Approve,
    /// Somebody who lets a dangerous call go on.
    HighRisk,
    /// The next step of a run in single steps.
    Debug,
    /// What to do about a failed task.
    FailurePause,
    /// Somebody who lets the next batch of a loop go on.
    BatchPause,
    /// A time, an event or an alarm.
    Trigger,
    /// Somebody who lets it go on.
    Pause,
}

/// How a run meets trouble, and how fast it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// All tasks in order.
    #[default]
    Automatic,
    /// A failed task waits for somebody.
    FailurePause,
    /// Each task waits for somebody.
    Debug,
}

/// When loops that run in batches pause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoopMode {
    /// Never.
    #[default]
    Automatic,
    /// After the first batch.
    FirstBatchPause,
    /// After each batch.
    EveryBatchPause,
}

/// Whether dangerous calls wait for somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SafetyCheck {
    /// They do not.
    #[default]
    Skip,
    /// Each of them does.
    ConfirmEveryHighRiskAction,
}

/// Under whose name, where and how an execution runs. Children have what their parent has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// The region.
    pub region: String,
    /// The account, digits.
    pub account: String,
    /// Who started it.
    pub user: String,
    /// The mode.
    pub mode: Mode,
    /// The mode of loops, where it was given.
    pub loop_mode: Option<LoopMode>,
    /// The safety check.
    pub safety_check: SafetyCheck,
}

/// What an execution came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// Somebody started it.
    Root,
    /// A task started its template.
    Task(String),
    /// It is one turn of an `ACS::Loop`: the tasks inside of it for one item.
    Turn(String),
    /// A trigger fired.
    Trigger(String),
}

/// An execution of a template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    /// `exec-…`; that of a child is the identifier of the task execution it came from.
    pub id: String,
    /// The execution it belongs to.
    pub parent: Option<String>,
    /// What it came from.
    pub origin: Origin,
    /// How many executions are above it.
    pub depth: u32,
    /// The digest of its template's text.
    pub template: String,
    /// The name of its template, where it has one.
    pub template_name: String,
    /// The version of its template, where it has one.
    pub template_version: String,
    /// Values of its parameters, by their declared names.
    pub parameters: Map<String, Value>,
    /// Under whose name, where and how it runs.
    pub context: Context,
    /// The role it runs as; shown only.
    pub ram_role: String,
    /// Where it stands.
    pub status: Status,
    /// Why it failed or waits.
    pub message: String,
    /// What it waits for.
    pub waiting: Option<Waiting>,
    /// What it gives back, once it ended.
    pub outputs: Map<String, Value>,
    /// The item of the loop it runs in.
    pub item: Option<Value>,
    /// When it was recorded.
    pub created: Timestamp,
    /// When something last changed.
    pub updated: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How many tasks were started in it.
    pub n_started: u32,
    /// What the first critical task that failed said.
    pub failure: Option<String>,
    /// Whether somebody wants it to end.
    pub is_cancelling: bool,
    /// Whether it was to end once, and only cleans up since.
    pub is_cancelled: bool,
    /// The task that stands next, where it waits before it.
    pub next: Option<usize>,
    /// When its trigger last fired, and fires next.
    pub trigger: Option<Firing>,
    /// How it ends, as soon as what its outputs need was read.
    #[serde(default)]
    pub ending: Option<Ending>,
    /// Of a child that a task started: the parameters that it was given. They are values of a run, and
    /// what looks like a reference in them, from an answer perhaps, is none.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub given: BTreeSet<String>,
    /// Texts of encrypted parameters that were read, while it has not ended: what is shown of a run
    /// that is loaded again is masked by them. Only the root has them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub secrets: BTreeSet<String>,
}

impl Execution {
    /// Whether nothing happens in it any more but that its outputs may still be worked out.
    pub(super) const fn is_ending(&self) -> bool {
        self.status.is_final() || self.ending.is_some()
    }
}

/// The end of an execution whose outputs are being worked out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// As what it ends.
    pub status: Status,
    /// Why, or nothing.
    pub message: String,
    /// What was read for them so far: kept, so that a run which is killed at each of them gets on.
    pub read: Vec<Read>,
}

/// A parameter of the parameter store that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// Its name.
    pub name: String,
    /// Whether it is an encrypted one.
    pub secret: bool,
    /// Its value; nothing where it cannot be read.
    pub value: Option<Value>,
}

/// What is known of a trigger.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Firing {
    /// How often it fired.
    pub n_fired: u32,
    /// When it last fired.
    pub last: Option<Timestamp>,
    /// When it fires next.
    pub next: Option<Timestamp>,
    /// How the last child ended.
    pub last_status: Option<Status>,
    /// What the last child said.
    pub last_message: String,
    /// What the last child gave back.
    #[serde(default)]
    pub last_outputs: Map<String, Value>,
    /// Whether a child is at work.
    pub is_firing: bool,
}

impl Firing {
    /// What its execution waits for.
    pub(super) fn waits(&self) -> Option<Waiting> {
        (!self.is_firing).then_some(Waiting::Trigger)
    }
}

/// What a task execution is doing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Phase {
    /// Nothing yet, or nothing any more.
    #[default]
    Idle,
    /// Values of the parameter store are being read.
    Reading,
    /// A template is being looked up.
    Finding,
    /// A request is under way.
    Calling,
    /// The next request, or the end, comes at a time.
    Until(Timestamp),
    /// A child execution is at work.
    Child,
    /// The items of its loop are at work.
    Looping,
    /// Somebody has to let it go on.
    Held(Waiting),
}

/// A task execution: one run of a task, or of one item of its loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskRun {
    /// `exec-….t0001`, items `exec-….t0001.0001`.
    pub id: String,
    /// The execution it belongs to.
    pub execution: String,
    /// The name of its task.
    pub name: String,
    /// The number of its task in the template.
    pub index: usize,
    /// Its action.
    pub action: String,
    /// The task execution whose loop it is an item of.
    pub parent: Option<String>,
    /// The item.
    pub item: Option<Value>,
    /// The batch of the item, from 1.
    pub batch: Option<u32>,
    /// The number of the item, from 0.
    pub position: u32,
    /// Where it stands.
    pub status: Status,
    /// Why it failed or waits.
    pub message: String,
    /// Its properties, worked out, secrets masked.
    pub properties: Option<Value>,
    /// Properties that somebody gave it in place of those of the template.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub given: Map<String, Value>,
    /// What it gave.
    pub outputs: Map<String, Value>,
    /// What it got, where the template looks into it directly.
    pub result: Option<Value>,
    /// What it is doing.
    pub phase: Phase,
    /// Looks at an answer that was not as wanted yet.
    pub n_answered: u32,
    /// Tries of the same request that failed for a passing reason.
    pub n_passing: u32,
    /// The last error of a request.
    pub last_error: Option<String>,
    /// The child execution.
    pub child: Option<String>,
    /// The plan of its loop.
    pub plan: Option<crate::run::rate::Plan>,
    /// Where the run goes, where the task itself decides.
    pub goto: Option<String>,
    /// Who approved.
    pub approvers: Vec<String>,
    /// Whether somebody let the dangerous call go on.
    pub is_confirmed: bool,
    /// What was remarked when it was let go on.
    pub note: String,
    /// When it was recorded; `ACS::CurrentUTCTime` throughout it.
    pub created: Timestamp,
    /// When something last changed.
    pub updated: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

/// What happened, as people read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// The execution.
    pub execution: String,
    /// The task execution, where it is about one.
    pub task: Option<String>,
    /// When.
    pub at: Timestamp,
    /// What.
    pub message: String,
}
