//! Repairing an image: plan, edit a disk laid over it in a helper VM, judge the result, publish it.
//!
//! The input is opened for reading only. All work is on an overlay and on a copy in a private folder
//! beside the output; the output appears by one rename, after the repaired disk was read again from
//! the first byte and is what the plan promised. Whatever fails before, a killed kiln included,
//! leaves nothing behind.

mod boot;
mod copy;
mod editor;
mod run;
mod verify;
mod volumes;

use std::path::PathBuf;
use std::time::Duration;

use kiln_compute::qemu::Accel;
use kiln_disk::{Format, Image, OpenOptions};
use kiln_guest::repair::{Bundle, Options, Plan, Repair, plan};
use kiln_guest::{Declared, Inspection, Item};

use crate::{Error, Result};

pub use boot::made_for;
pub use run::repair;

/// What is to be repaired, and how.
#[derive(Clone, Debug)]
pub struct Job {
    /// Path of the image.
    pub input: String,
    /// How to open it.
    pub open: OpenOptions,
    /// What the caller says about it.
    pub declared: Declared,
    /// The wanted repairs.
    pub repairs: Vec<&'static Repair>,
    /// How they plan.
    pub options: Options,
    /// What they may install.
    pub bundle: Bundle,
}

/// Where the repaired image goes.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its path. Its folder must exist.
    pub output: PathBuf,
    /// Its format; the input's where none is given.
    pub format: Option<Format>,
    /// Replace what is there.
    pub overwrite: bool,
}

/// The machine that edits.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// How it is accelerated.
    pub accel: Accel,
    /// Its kernel; one of the host's where none is given.
    pub kernel: Option<PathBuf>,
    /// Boot the result before it is published.
    pub verify_boot: Option<kiln_compute::boot::Options>,
}

/// An image with what would be done to it.
#[derive(Debug)]
pub struct Planned {
    /// The opened image.
    pub image: Image,
    /// What was found on it.
    pub inspection: Inspection,
    /// What would be done. `None`: a log has to be replayed first, by the helper VM, because the
    /// files that kiln can read may be older than those that the guest would see.
    pub plan: Option<Plan>,
}

/// What became of a repair.
#[derive(Debug)]
pub struct Repaired {
    /// What was done.
    pub plan: Plan,
    /// What the items say of the output.
    pub items: Vec<Item>,
    /// Files that were immutable or append-only, and are so again.
    pub unlocked: Vec<String>,
    /// What the programs of the guest printed, where some ran.
    pub output: Vec<String>,
    /// How the result booted, where that was asked for.
    pub boot: Option<kiln_compute::boot::Report>,
    /// Where the time went.
    pub times: Times,
}

/// Where the time of a repair went. What did not happen is zero.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// Reading the image and planning.
    pub plan: Duration,
    /// From starting QEMU to the agent's greeting.
    pub machine: Duration,
    /// Mounting.
    pub mount: Duration,
    /// Making the edits.
    pub edits: Duration,
    /// Unmounting, flushing, ending the machine.
    pub unmount: Duration,
    /// Waiting for the copy of the image, which is made meanwhile.
    pub copy: Duration,
    /// Writing the changes into the copy.
    pub commit: Duration,
    /// Reading the result and judging it.
    pub verify: Duration,
    /// Booting the result.
    pub boot: Duration,
    /// All of it.
    pub total: Duration,
}

/// How far a repair is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Reading the image and planning.
    Planning,
    /// Replaying the log of an image that was not shut down.
    Replaying,
    /// Starting the helper VM.
    Starting,
    /// Making edits.
    Editing {
        /// So many are made.
        done: usize,
        /// Of so many.
        total: usize,
    },
    /// Running a program of the guest.
    Running(String),
    /// Waiting for the copy of the image.
    Copying,
    /// Judging the result.
    Verifying,
    /// Booting the result.
    Booting,
}

/// Open the image and plan. Reads only.
///
/// # Errors
///
/// Where the image cannot be read, or nothing on it can be repaired.
pub fn prepare(job: &Job) -> Result<Planned> {
    let (image, inspection) = look(&job.input, &job.open, &job.declared)?;
    let is_stale = match inspection.guest() {
        Some(guest) => !volumes::stale_mounts(guest)?.is_empty(),
        None => false,
    };
    let plan = if is_stale { None } else { Some(plan_of(job, &inspection)?) };
    Ok(Planned { image, inspection, plan })
}

fn plan_of(job: &Job, inspection: &Inspection) -> Result<Plan> {
    plan(inspection, &job.repairs, &job.options, &job.bundle).map_err(Error::Refused)
}

fn look(location: &str, options: &OpenOptions, declared: &Declared) -> Result<(Image, Inspection)> {
    let image = kiln_disk::open(location, options)?;
    let layout = kiln_volume::scan(std::slice::from_ref(&image.source));
    Ok((image, kiln_guest::inspect(layout, declared.clone())))
}
