//! A long operation as a record: what it does, how far it is, how it ended.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::image::ObjectName;

/// What a task does. Copies are tasks too, which the API does not list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TaskAction {
    /// Makes an image of objects.
    ImportImage,
    /// Makes objects of an image.
    ExportImage,
    /// Makes an image of an image.
    CopyImage,
}

/// Where a task is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TaskStatus {
    /// It waits for another one.
    Waiting,
    /// It is at work.
    Processing,
    /// All of it is done.
    Finished,
    /// It ended by an error.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl TaskStatus {
    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Cancelled)
    }
}

/// How one disk of a task fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Where it is.
    pub status: TaskStatus,
    /// The object that is read or written.
    pub object: Option<ObjectName>,
    /// How much is done, 0 to 100.
    pub progress: u8,
    /// Error code, in the vocabulary of the API.
    pub error_code: Option<String>,
    /// What went wrong, for people.
    pub error_message: Option<String>,
}

/// A task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// `t-…`; also the identifier of its durable orchestration.
    pub id: String,
    /// Region that it works in.
    pub region: String,
    /// Account that asked for it.
    pub owner: String,
    /// What it does.
    pub action: TaskAction,
    /// Where it is.
    pub status: TaskStatus,
    /// Image that it makes or reads.
    pub image: String,
    /// For an export: the format, lower case.
    pub format: Option<String>,
    /// For an import: whether the image is checked at the end.
    pub is_checked: bool,
    /// Whether someone asked it to end.
    pub is_cancelled: bool,
    /// When it was asked for.
    pub created: Timestamp,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// One for each disk, in their order.
    pub steps: Vec<Step>,
}

impl Task {
    /// How much is done, 0 to 100: the mean of its steps.
    #[must_use]
    pub fn progress(&self) -> u8 {
        let n_steps = u32::try_from(self.steps.len()).unwrap_or(u32::MAX).max(1);
        let sum: u32 = self.steps.iter().map(|step| u32::from(step.progress.min(100))).sum();
        u8::try_from(sum / n_steps).unwrap_or(100)
    }
}
