//! What an operator can set about the work on images.

use std::path::PathBuf;

/// Where and how the work on images is done.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The program that is the sandbox when asked to (kiln itself).
    pub program: PathBuf,
    /// A folder of this process alone, with room for one compressed disk an operation.
    pub spool: PathBuf,
    /// Long operations at once; at least 1.
    pub concurrency: usize,
    /// Threads of one conversion; at least 1.
    pub threads: usize,
    /// The zstd level of stored disks, 1 to 22.
    pub zstd_level: i32,
}
