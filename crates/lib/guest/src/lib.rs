//! What is installed on a disk and whether it will boot and behave as a cloud instance.
//!
//! `inspect` turns a scanned disk into an [`Inspection`]: the operating systems, their kernels, the
//! boot chain. The check items judge an inspection and never read a disk by themselves; the repairs
//! plan what would mend it. Nothing here opens a socket, runs a program or writes to a disk.

mod boot;
mod check;
mod initramfs;
mod inspect;
mod kernel;
mod packages;
pub mod repair;
mod services;
mod syntax;
#[cfg(test)]
mod testing;

pub use boot::{Boot, BootChain, BootEntry, BootFact, Firmware, FirmwareKind, Loader};
pub use check::{
    CHECKS, Check, EXTRA_CHECKS, Evidence, Finding, Item, Level, Outcome, Status, Summary, find,
    nvme_drivers, run, select, suggest, virtio_drivers,
};
pub use initramfs::{
    CpioError, CpioWriter, Generator, Initramfs, Segment, SegmentError, SegmentFile,
    SegmentRefusal, SegmentRequest, driver_segment,
};
pub use inspect::{
    Declared, Family, Guest, Inspection, MountedVolume, OsInfo, Role, VolumeRole, inspect,
};
pub use kernel::{
    IndexError, IndexWriter, Kernel, KernelConfig, KernelImage, Modules, compare_versions,
    index_entries, unpack_module,
};
pub use kiln_volume::{Error, Kind, Result};
pub use packages::{Package, PackageDb, PackageDbKind};
