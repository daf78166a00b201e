//! The qcow2 writer: plan, threads and layout put together.

use std::io::{Seek, Write};
use std::ops::ControlFlow;

use super::layout::Layout;
use super::pack::{Cluster, Packed, Packers};
use super::plan::{Plan, Step};
use super::{CLUSTER_BYTES, DISK_MAX_BYTES, Options, THREADS_MAX, Written};
use crate::fields::round_up;
use crate::{Error, Kind, Result, Source};

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
/// Memory: for each thread 3 MiB and what zstd needs at the level for 64 KiB; 2 MiB for the batch
/// that is being written; tables of 0.2 MiB, and for a disk of 64 TiB another 3 MiB.
///
/// # Errors
///
/// [`Kind::Unsupported`] for options or a disk size out of bounds, [`Kind::Cancelled`] where
/// `progress` breaks, [`Kind::Io`] with the system's message where `out` fails, and whatever
/// reading `source` gives.
pub fn qcow2(
    source: &Source,
    out: impl Write + Seek,
    options: &Options,
    progress: &dyn Fn(u64) -> ControlFlow<()>,
) -> Result<Written> {
    check(options, source.size_bytes())?;
    let virtual_size_bytes = round_up(source.size_bytes(), 512);
    let layout = Layout::begin(out, virtual_size_bytes.div_ceil(CLUSTER_BYTES))?;
    let mut writer = Writer { layout, size_bytes: source.size_bytes(), done_bytes: 0, progress };
    std::thread::scope(|scope| {
        let packers = Packers::start(scope, &**source, options)?;
        writer.run(Plan::new(&**source), packers)
    })?;
    let (size_bytes, stored) =
        writer.layout.finish(virtual_size_bytes, options.zstd_level.is_some())?;
    let allocated_bytes = stored.saturating_mul(CLUSTER_BYTES);
    Ok(Written { size_bytes, allocated_bytes, virtual_size_bytes })
}

fn check(options: &Options, size_bytes: u64) -> Result<()> {
    if options.threads == 0 || options.threads > THREADS_MAX {
        return Err(Error::unsupported(format!(
            "threads is {}, which is not from 1 to {THREADS_MAX}",
            options.threads
        )));
    }
    if let Some(level) = options.zstd_level
        && !ZSTD_LEVELS.contains(&level)
    {
        return Err(Error::unsupported(format!("zstd level {level} is not from 1 to 22")));
    }
    if size_bytes > DISK_MAX_BYTES {
        return Err(Error::unsupported(format!(
            "a disk of {size_bytes} bytes is larger than the 64 TiB that are written"
        )));
    }
    Ok(())
}

struct Writer<'a, W: Write + Seek> {
    layout: Layout<W>,
    size_bytes: u64,
    done_bytes: u64,
    progress: &'a dyn Fn(u64) -> ControlFlow<()>,
}

impl<W: Write + Seek> Writer<'_, W> {
    fn run(&mut self, mut plan: Plan<'_>, mut packers: Packers) -> Result<()> {
        self.tell()?;
        while let Some(step) = plan.step()? {
            match step {
                Step::Batch(batch) => {
                    if packers.is_full()
                        && let Some(packed) = packers.take()?
                    {
                        self.store(packed)?;
                    }
                    packers.give(batch)?;
                }
                Step::Nothing => self.tell()?,
            }
        }
        while let Some(packed) = packers.take()? {
            self.store(packed)?;
        }
        self.done_bytes = self.size_bytes;
        self.tell()
    }

    fn store(&mut self, (batch, clusters): Packed) -> Result<()> {
        for (number, cluster) in (batch.first..).zip(clusters) {
            match cluster {
                Cluster::Zero => {}
                Cluster::Plain(bytes) => self.layout.plain(number, &bytes)?,
                Cluster::Packed(frame) => self.layout.packed(number, &frame)?,
            }
        }
        let end = batch.first.saturating_add(batch.clusters).saturating_mul(CLUSTER_BYTES);
        self.done_bytes = end.min(self.size_bytes);
        self.tell()
    }

    fn tell(&self) -> Result<()> {
        match (self.progress)(self.done_bytes) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::new(Kind::Cancelled, "writing was cancelled")),
        }
    }
}
