//! Booting an image and telling how far it comes.
//!
//! The image is read only, below an overlay that is thrown away. What the guest says on its serial
//! console is read by [`Recogniser`]; that it has an address is seen by [`Wire`]. A failure that is
//! certain ends the wait early; a guest that says nothing is waited for until the timeout.

mod console;
mod firmware;
mod machine;
mod recognise;
mod stage;
mod trouble;
mod watch;
mod wire;

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::Serialize;

use crate::qemu::Accel;

pub use firmware::Firmware;
pub use recognise::Recogniser;
pub use stage::{Reached, Stage};
pub use trouble::Failure;
pub use watch::run;
pub use wire::Wire;

/// What the disk is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bus {
    /// `virtio-blk`.
    Virtio,
    /// NVMe.
    Nvme,
    /// `virtio-scsi`.
    Scsi,
}

impl Bus {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Virtio => "virtio",
            Self::Nvme => "nvme",
            Self::Scsi => "scsi",
        }
    }
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// A login prompt.
    Login,
    /// An address by DHCP, and a login prompt from a guest that talks to its serial console.
    Network,
    /// The end of cloud-init, and a login prompt. The guest gets a data source.
    CloudInit,
    /// A line on the console that holds this text.
    Marker(String),
}

impl Goal {
    /// Its name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Network => "network",
            Self::CloudInit => "cloud-init",
            Self::Marker(_) => "marker",
        }
    }
}

/// How to boot.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the disk is attached to.
    pub bus: Bus,
    /// What starts it.
    pub firmware: Firmware,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Processors.
    pub cpus: u32,
    /// How long to wait for the goal.
    pub timeout: Duration,
    /// What runs the guest.
    pub accel: Accel,
    /// What to wait for.
    pub until: Goal,
    /// Whether cloud-init gets a data source, as in an instance: a disk labelled `cidata`. Without one
    /// it stays switched off.
    pub data_source: bool,
}

impl Default for Options {
    /// The smallest instance that clouds offer, and a timeout that an emulated guest on a busy host
    /// keeps, and one that waits 90 s for a missing device, too.
    fn default() -> Self {
        Self {
            bus: Bus::Virtio,
            firmware: Firmware::Bios,
            memory_mib: 1024,
            cpus: 2,
            timeout: Duration::from_secs(300),
            accel: Accel::Auto,
            until: Goal::Login,
            data_source: false,
        }
    }
}

/// How far an image came.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The image.
    pub image: String,
    /// What the disk was attached to.
    pub bus: &'static str,
    /// What started it.
    pub firmware: &'static str,
    /// What ran it: `kvm` or `tcg`.
    pub accelerator: &'static str,
    /// What was waited for.
    pub goal: &'static str,
    /// Whether it came.
    pub reached: bool,
    /// How long it was waited for.
    #[serde(serialize_with = "stage::seconds")]
    pub seconds: Duration,
    /// The stages that were passed, in their order in time.
    pub stages: Vec<Reached>,
    /// The line with the marker, where one was wanted.
    pub marker: Option<Reached>,
    /// The address the guest got by DHCP.
    pub address: Option<Ipv4Addr>,
    /// Why the goal was not reached.
    pub failure: Option<Failure>,
    /// Lines that hint at why; the guest's words. Empty where the goal was reached.
    pub clues: Vec<String>,
    /// How often the guest restarted by itself.
    pub n_restarts: u32,
    /// How much the console said; more than the log holds where it was cut.
    pub console_bytes: u64,
}

/// What happens while a guest is waited for.
#[derive(Debug)]
pub enum Progress<'a> {
    /// It passed a stage.
    Stage(&'a Reached),
    /// Nothing in particular; the time since its start.
    Waiting(Duration),
}
