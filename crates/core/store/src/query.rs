//! What can be asked for in a list, and a page of the answer.

use jiff::Timestamp;
use kiln_model::{Architecture, ImageStatus, OsType, TaskAction, TaskStatus};

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// How many there are on all pages.
    pub total: u64,
    /// Those of this page.
    pub items: Vec<T>,
}

/// Which of the images that the caller may see are meant. None set: no image at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The caller's own.
    pub own: bool,
    /// Those of others that are shared with the caller.
    pub shared: bool,
    /// Those of others that everyone may see.
    pub public: bool,
}

/// Which images are listed: those that fulfil everything that is set, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageQuery {
    /// Region; always needed.
    pub region: String,
    /// Account that asks; always needed.
    pub caller: String,
    /// Which of those that the caller may see.
    pub scope: Scope,
    /// Only images of this account.
    pub owner: Option<String>,
    /// Only these identifiers; empty: all.
    pub ids: Vec<String>,
    /// A part of the name, in any case of letters; `*` stands for anything.
    pub name: Option<String>,
    /// The image family.
    pub family: Option<String>,
    /// Where they are in their lives; `None`: anywhere.
    pub statuses: Option<Vec<ImageStatus>>,
    /// The processor.
    pub architecture: Option<Architecture>,
    /// The kind of operating system.
    pub os_type: Option<OsType>,
    /// A snapshot that one of the disks has.
    pub snapshot: Option<String>,
    /// The resource group.
    pub resource_group: Option<String>,
    /// Tags that all must be there; without a value, any value will do.
    pub tags: Vec<(String, Option<String>)>,
    /// Made then or later.
    pub created_from: Option<Timestamp>,
    /// Made then or earlier.
    pub created_to: Option<Timestamp>,
    /// Whether they have cloud-init.
    pub has_cloud_init: Option<bool>,
    /// How many are left out at the beginning.
    pub skip: usize,
    /// How many are answered at most.
    pub take: usize,
}

/// Which tasks are listed: those that fulfil everything that is set, newest first, never copies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskQuery {
    /// Region; always needed.
    pub region: String,
    /// Account that owns them; always needed.
    pub owner: String,
    /// Only these identifiers; empty: all.
    pub ids: Vec<String>,
    /// What they do.
    pub action: Option<TaskAction>,
    /// Where they are.
    pub status: Option<TaskStatus>,
    /// Only those of these images; empty: of all.
    pub images: Vec<String>,
    /// Asked for then or later.
    pub created_from: Option<Timestamp>,
    /// Asked for then or earlier.
    pub created_to: Option<Timestamp>,
    /// How many are left out at the beginning.
    pub skip: usize,
    /// How many are answered at most.
    pub take: usize,
}
