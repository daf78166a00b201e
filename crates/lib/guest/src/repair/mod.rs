//! Repairs: what mends the findings of the check items.
//!
//! A repair only plans. It reads the guest and adds [`Edit`]s to a [`Draft`]; [`apply`] writes them
//! later, through an [`Editor`]. Planning lays the edits over the disk in memory and judges the result
//! by every check item, so a plan that would not mend, or would break something else, is refused
//! before anything is written.

mod aegis;
#[cfg(test)]
mod agent_tests;
mod apply;
mod assist;
mod bundle;
mod cloud_init;
mod cmdline;
mod dhcp;
mod diff;
mod draft;
mod drivers;
mod edit;
mod fstab;
mod growpart;
mod grub;
mod lines;
mod manifest;
mod package;
mod plan;
mod refusal;
#[cfg(test)]
mod refusal_tests;
mod select;
mod selinux;
mod service;
mod space;
mod staging;
mod standardized_time_zone;
#[cfg(test)]
mod testing;
mod units;
mod waits;
mod yaml_text;

use kiln_volume::Error;

pub use apply::{Editor, apply};
pub use bundle::{Bundle, BundleError};
pub use diff::unified;
pub use draft::{Draft, GuestCommand};
pub use edit::{Attributes, Change, Content, Digest, Edit, Entry};
pub use plan::{Plan, Step, StepResult, plan, worse};
pub use refusal::{Refusal, codes};
pub use select::{Mode, SelectError, select};
pub use staging::{Mark, Staging};

/// All repairs, in the order in which they are planned: the boot entries and the root first,
/// because the choice of the kernel depends on them, drivers next, what is installed last.
#[rustfmt::skip] // one a line
pub static REPAIRS: &[&Repair] = &[
    &fstab::FSTAB,
    &grub::GRUB,
    &drivers::VIRTIO,
    &drivers::NVME,
    &dhcp::DHCP,
    &selinux::SELINUX,
    &cloud_init::CLOUD_INIT,
    &growpart::GROWPART,
    &assist::ASSIST,
    &aegis::AEGIS,
    &standardized_time_zone::STANDARDIZED_TIME_ZONE,
];

/// One way to mend what one check item finds.
#[derive(Clone, Copy, Debug)]
pub struct Repair {
    /// The name in the repair vocabularies, for example `fstab`.
    pub name: &'static str,
    /// The check items that it answers, its own first: `Grub`, and `BootMode`, which a loader that
    /// GRUB's repair copies mends.
    pub items: &'static [&'static str],
    /// One line for `--help` and tables: what it does.
    pub summary: &'static str,
    /// Add the edits that would mend the guest. Nothing to mend is no edit and no error.
    pub plan: fn(&mut Draft) -> Result<(), Stop>,
}

/// Why a repair planned nothing.
#[derive(Clone, Debug)]
pub enum Stop {
    /// It is refused, and nothing is wrong with kiln or the disk.
    Refused(Refusal),
    /// What it has to know could not be read.
    Unreadable(Error),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Unreadable(error)
    }
}

impl From<Stop> for Refusal {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Refused(refusal) => refusal,
            Stop::Unreadable(error) => error.into(),
        }
    }
}

/// What the caller wants of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Keep what is replaced or removed as `<name>.kiln-orig`, and a manifest.
    pub backup: bool,
    /// Plan what can be mended where another repair is refused.
    pub best_effort: bool,
    /// Programs of the guest may be run, in a throw-away VM without network.
    pub exec: bool,
    /// `selinux` makes the guest permissive, and does not switch SELinux off.
    pub selinux_permissive: bool,
    /// `dhcp` keeps a static address and drops only what binds it to old hardware.
    pub preserve_static: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            backup: true,
            best_effort: false,
            exec: false,
            selinux_permissive: false,
            preserve_static: false,
        }
    }
}
