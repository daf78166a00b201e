//! New images: a disk that any [`Source`](crate::Source) shows, written as one stream in a format.
//!
//! Sources are only read here; what is written is a stream that the caller made for it. Memory does
//! not grow with the disk: batches of clusters go to a fixed number of threads and come back in
//! order, and tables are put out as soon as they are complete.

mod behind;
mod blocks;
mod layout;
mod out;
mod pack;
mod pass;
mod plan;
mod qcow2;
mod raw;
mod vdi;
mod vhd;
mod vmdk;

pub use self::behind::write_behind;
pub use self::qcow2::qcow2;
pub use self::raw::raw;
pub use self::vdi::vdi;
pub use self::vhd::{VHD_MAX_BYTES, vhd};
pub use self::vmdk::{VmdkOptions, vmdk};

/// The largest disk that is written: QEMU and the clouds have smaller ones.
pub const DISK_MAX_BYTES: u64 = 64 << 40;

/// The most threads one writer may have.
pub const THREADS_MAX: usize = 256;

/// Clusters have 64 KiB, as those of `qemu-img` have where nothing else is asked for.
const CLUSTER_BITS: u32 = 16;
const CLUSTER_BYTES: u64 = 1 << CLUSTER_BITS;

/// Clusters in one batch, which has 1 MiB so.
const BATCH_CLUSTERS: u64 = 16;

/// How to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The zstd level from 1 to 22, or nothing for an image without compressed clusters. Only qcow2
    /// has them.
    pub zstd_level: Option<i32>,
    /// Threads that read and compress, from 1 to [`THREADS_MAX`]; the caller's own writes.
    pub threads: usize,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The length of the file.
    pub size_bytes: u64,
    /// Bytes of the disk that the file has clusters for, as they are when unpacked.
    pub allocated_bytes: u64,
    /// The disk as the guest sees it: a multiple of 512, or of more where the format says so.
    pub virtual_size_bytes: u64,
}
