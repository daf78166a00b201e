//! The qcow2 writer: one pass over the disk, and the layout.

use std::io::{Seek, Write};
use std::ops::ControlFlow;

use super::layout::Layout;
use super::pack::{Cluster, Packing};
use super::pass::{Store, check, pass};
use super::{CLUSTER_BYTES, DISK_MAX_BYTES, Options, Written};
use crate::fields::round_up;
use crate::{Error, Result, Source};

/// Levels that zstd has; the negative ones are left out.
const ZSTD_LEVELS: std::ops::RangeInclusive<i32> = 1..=22;

/// Write the disk in `source` as a qcow2 image of version 3 with clusters of 64 KiB.
///
/// Clusters of zeroes are left out, compressed ones packed without gaps between them, and those
/// that do not shrink stored plain. The same source and level give the same file, whatever the
/// number of threads.
///
/// `out` is an empty file: it is written from byte 0 on without going back, but for the header at
/// the very end, so what is left after an error is no image. It is flushed and not synced.
///
/// `progress` gets the bytes of the disk that are done, in order; the last call has all of them.
/// It also runs while zeroes are passed over, so that it can always stop the work.
///
/// Memory: for each thread 5 MiB and what zstd needs at the level for 64 KiB; 2 MiB for the batch
/// that is being written; tables of 0.2 MiB, and for a disk of 64 TiB another 3 MiB.
///
/// # Errors
///
/// [`crate::Kind::Unsupported`] for options or a disk size out of bounds, [`crate::Kind::Cancelled`] where
/// `progress` breaks, [`crate::Kind::Io`] with the system's message where `out` fails, and whatever
/// reading `source` gives.
pub fn qcow2(
    source: &Source,
    out: impl Write + Seek,
    options: &Options,
    progress: &dyn Fn(u64) -> ControlFlow<()>,
) -> Result<Written> {
    check(source.size_bytes(), DISK_MAX_BYTES, options.threads)?;
    let packing = packing(options.zstd_level)?;
    let virtual_size_bytes = round_up(source.size_bytes(), 512);
    let mut layout = Layout::begin(out, virtual_size_bytes.div_ceil(CLUSTER_BYTES))?;
    pass(source, packing, options.threads, progress, &mut layout)?;
    let (size_bytes, stored) = layout.finish(virtual_size_bytes, options.zstd_level.is_some())?;
    let allocated_bytes = stored.saturating_mul(CLUSTER_BYTES);
    Ok(Written { size_bytes, allocated_bytes, virtual_size_bytes })
}

fn packing(zstd_level: Option<i32>) -> Result<Packing> {
    match zstd_level {
        None => Ok(Packing::None),
        Some(level) if ZSTD_LEVELS.contains(&level) => Ok(Packing::Zstd(level)),
        Some(level) => Err(Error::unsupported(format!("zstd level {level} is not from 1 to 22"))),
    }
}

impl<W: Write + Seek> Store for Layout<W> {
    fn store(&mut self, number: u64, cluster: &Cluster) -> Result<()> {
        match cluster {
            Cluster::Zero => Ok(()),
            Cluster::Plain(bytes) => self.plain(number, bytes),
            Cluster::Packed(frame) => self.packed(number, frame),
        }
    }
}
