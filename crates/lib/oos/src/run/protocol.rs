//! What a run and whoever drives it tell each other.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::Loaded;
use super::notice::Notice;
use super::records::{Context, LogEntry};
use super::request::{ApiError, HttpAnswer, HttpRequest, Request};

/// What is to be started.
#[derive(Clone, Debug)]
pub struct Start {
    /// The identifier of the execution: `exec-` and hex digits.
    pub id: String,
    /// The template.
    pub template: Arc<Loaded>,
    /// Its name, or nothing.
    pub template_name: String,
    /// Its version, or nothing.
    pub template_version: String,
    /// What was given for its parameters.
    pub parameters: Map<String, Value>,
    /// Under whose name, where and how.
    pub context: Context,
}

/// A template that was looked up.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its name as it is stored.
    pub name: String,
    /// Its version, or nothing.
    pub version: String,
    /// What it says.
    pub template: Arc<Loaded>,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The execution begins.
    Begin,
    /// The run was loaded: what was under way is to be asked for again.
    Resume,
    /// Time went by.
    Time,
    /// A call was answered.
    Called {
        /// The task execution.
        task: String,
        /// The number of the command.
        serial: u32,
        /// What came of it.
        result: Result<Value, ApiError>,
    },
    /// An HTTP request was answered.
    Answered {
        /// The task execution.
        task: String,
        /// The number of the command.
        serial: u32,
        /// The answer, or why there is none.
        result: Result<HttpAnswer, String>,
    },
    /// A template was looked up.
    Found {
        /// The task execution.
        task: String,
        /// The number of the command.
        serial: u32,
        /// The template, or why there is none.
        result: Result<Found, String>,
    },
    /// A parameter of the parameter store was read.
    Read {
        /// The task execution.
        task: String,
        /// The number of the command.
        serial: u32,
        /// The value, or why there is none.
        result: Result<Value, String>,
    },
    /// Somebody decided something.
    Notify(Notice),
    /// Somebody wants an execution to end.
    Cancel {
        /// The execution.
        execution: String,
    },
    /// An event or an alarm came, or somebody fires the trigger by hand.
    Fire {
        /// The body of the event.
        content: Value,
    },
    /// An execution that waits for its trigger gets other parameters; those that are not given stay.
    Renew {
        /// Values by the names of parameters.
        parameters: Map<String, Value>,
    },
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Call an API.
    Call {
        /// The task execution.
        task: String,
        /// The number of the command, for the event.
        serial: u32,
        /// The call.
        request: Box<Request>,
    },
    /// Make an HTTP request.
    Http {
        /// The task execution.
        task: String,
        /// The number of the command, for the event.
        serial: u32,
        /// The request.
        request: HttpRequest,
    },
    /// Look a template up.
    Find {
        /// The task execution.
        task: String,
        /// The number of the command, for the event.
        serial: u32,
        /// Its name, in any letter case.
        name: String,
        /// Its version, where it was given.
        version: Option<String>,
    },
    /// Read a parameter of the parameter store.
    Read {
        /// The task execution.
        task: String,
        /// The number of the command, for the event.
        serial: u32,
        /// Its name.
        name: String,
        /// Whether it is an encrypted one.
        secret: bool,
    },
}

/// What changed since the last look.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Executions, by identifier.
    pub executions: Vec<String>,
    /// Task executions, by identifier.
    pub tasks: Vec<String>,
    /// What happened, oldest first.
    pub logs: Vec<LogEntry>,
    /// Digests of templates that came in.
    pub templates: Vec<String>,
}

impl Changes {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.executions.is_empty()
            && self.tasks.is_empty()
            && self.logs.is_empty()
            && self.templates.is_empty()
    }
}
