//! The helper machine: a small virtual machine with kiln's agent in it, which mounts the disks of a
//! guest and edits them.
//!
//! A filesystem made by somebody else is mounted by that machine's kernel and no other: it can harm
//! the machine, which has no network, holds nothing but the disks it was given, and is gone with
//! kiln. No root is needed on the host, and nothing of the guest runs unless [`Options::exec`] says
//! so.
//!
//! The kernel is one of the host's own ([`Kernel::find`]), the initramfs is made for the run: the
//! agent, and the modules for the filesystems that the run is about. [`Session::start`] gives a
//! machine that has said hello; its methods are the edits; [`Session::finish`] brings everything to
//! the disks and ends it. A session that is dropped earlier leaves disks in any state: they are
//! overlays, and the caller throws them away.

mod calls;
mod error;
mod initramfs;
mod kernel;
mod machine;
mod session;
mod wire;

use std::time::Duration;

use crate::qemu::{Accelerator, Qemu, WorkDir};

pub use calls::MountOptions;
pub use error::{HelperError, Result};
pub use initramfs::AGENT;
pub use kernel::Kernel;
pub use kiln_rpc::{
    Attributes, AttributesChange, Disk as SeenDisk, Edited, Entry, Exec, ExecEnd, Failure,
    FileKind, Part, Partition, Segment, Space, Stat, Stripe, Volume, Xattr,
};
pub use machine::{Disk, Format};
pub use session::{Session, Timings};

/// What a run needs of the kernel beyond disks and the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Driver {
    /// ext2, ext3 and ext4.
    Ext4,
    /// XFS.
    Xfs,
    /// btrfs.
    Btrfs,
    /// FAT, as EFI system partitions have it.
    Vfat,
    /// Logical volumes.
    DeviceMapper,
}

impl Driver {
    /// What mounts the filesystem that `mount` would call `fstype`. `None`: nothing that kiln knows.
    pub fn of_fstype(fstype: &str) -> Option<Self> {
        match fstype {
            "ext2" | "ext3" | "ext4" => Some(Self::Ext4),
            "xfs" => Some(Self::Xfs),
            "btrfs" => Some(Self::Btrfs),
            "vfat" | "msdos" => Some(Self::Vfat),
            _ => None,
        }
    }
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// From the start of QEMU to the agent's greeting.
    pub boot: Duration,
    /// For a call, whose content has a second for each MiB in addition.
    pub call: Duration,
}

impl Default for Timeouts {
    /// Twenty times what the slowest machine that was measured takes, under emulation.
    fn default() -> Self {
        Self { boot: Duration::from_secs(120), call: Duration::from_secs(300) }
    }
}

/// What happens, for who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The machine is being prepared.
    Preparing,
    /// It boots.
    Booting,
    /// It is there.
    Ready,
    /// A call goes on.
    Bytes {
        /// Done of it.
        done: u64,
        /// To do. 0: not known.
        total: u64,
    },
    /// Everything is being written to the disks.
    Finishing,
}

/// Hears of progress.
pub type OnProgress = Box<dyn FnMut(Progress) + Send>;

/// A helper machine to be started.
pub struct Options<'a> {
    /// The emulator.
    pub qemu: &'a Qemu,
    /// Where the machine's files go.
    pub work: &'a WorkDir,
    /// What runs it.
    pub accelerator: Accelerator,
    /// What it boots.
    pub kernel: &'a Kernel,
    /// What it is about.
    pub disks: Vec<Disk>,
    /// What those need.
    pub drivers: Vec<Driver>,
    /// Whether programs of the guest may run.
    pub exec: bool,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// Hears of progress.
    pub on_progress: Option<OnProgress>,
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Options");
        shown.field("accelerator", &self.accelerator).field("kernel", &self.kernel);
        shown.field("disks", &self.disks).field("drivers", &self.drivers);
        shown.field("exec", &self.exec).finish_non_exhaustive()
    }
}
