//! How an activity ends: what the journal keeps of it, and what the owner of a task is told.

use kiln_sandbox::{Refusal, SandboxError};
use kiln_store::StoreError;
use serde::{Deserialize, Serialize};

/// How an activity ended. The orchestration goes on by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Outcome {
    /// All of it is done.
    Done,
    /// Its turn has not come.
    Wait,
    /// Someone asked for an end.
    Cancelled,
    /// It failed.
    Failed(Fault),
}

/// Why an activity failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fault {
    /// In the vocabulary of the API.
    pub(super) code: String,
    /// For people: what is wrong, and what to do about it.
    pub(super) message: String,
    /// Whether the same may go well in a while.
    pub(super) is_passing: bool,
}

/// What ends an activity early.
#[derive(Debug)]
pub(super) enum Stop {
    /// It was cancelled.
    Cancelled,
    /// It cannot go on.
    Fault(Fault),
}

impl Fault {
    /// A fault that trying again does not mend.
    pub(super) fn lasting(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), is_passing: false }
    }

    /// A fault of something around the operation, which may pass.
    pub(super) fn passing(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), is_passing: true }
    }

    /// A file of this machine: a full disk may be given room, the rest is for its operator too.
    pub(super) fn file(what: &str, error: &std::io::Error) -> Self {
        let hint = if error.kind() == std::io::ErrorKind::StorageFull {
            "; make room in the spool folder"
        } else {
            ""
        };
        Self::passing("InternalError", format!("{what}: {error}{hint}"))
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        let fault = if error.is_transient() {
            Fault::passing("ServiceUnavailable", error.to_string())
        } else {
            Fault::lasting("InternalError", error.to_string())
        };
        Self::Fault(fault)
    }
}

impl From<SandboxError> for Stop {
    fn from(error: SandboxError) -> Self {
        match error {
            SandboxError::Cancelled => Self::Cancelled,
            other => Self::Fault(of_sandbox(&other)),
        }
    }
}

/// What a child that failed says about the image.
fn of_sandbox(error: &SandboxError) -> Fault {
    match error {
        SandboxError::Start { .. } | SandboxError::Seal { .. } => {
            Fault::passing("InternalError", error.to_string())
        }
        SandboxError::NotConverted { refusal, message, hint } => {
            let hint = hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            of_image(refusal, format!("{message}{hint}"))
        }
        SandboxError::Refused { message, hint, .. } => {
            let hint = hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            Fault::lasting("InvalidImageFormat.Malformed", format!("{message}{hint}"))
        }
        _ => Fault::lasting("ImportImageFailed", error.to_string()),
    }
}

fn of_image(refusal: &Refusal, message: String) -> Fault {
    match refusal {
        Refusal::Read => Fault::passing("InvalidOSSObject.Unreadable", message),
        Refusal::Write => Fault::passing("InternalError", message),
        Refusal::SizeFields => Fault::lasting("InvalidVHDImage.IncorrectSize", message),
        Refusal::UnitSize => Fault::lasting("InvalidBlockSize.NotSupport", message),
        Refusal::TooLarge => Fault::lasting("InvalidImageSize", message),
        _ => Fault::lasting("InvalidImageFormat.Malformed", message),
    }
}

impl From<Stop> for Outcome {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Cancelled => Self::Cancelled,
            Stop::Fault(fault) => Self::Failed(fault),
        }
    }
}
