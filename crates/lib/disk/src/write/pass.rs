//! One pass over a disk, the same for each format: plan, threads, and results in order.

use std::ops::ControlFlow;

use super::pack::{Cluster, Packed, Packers, Packing};
use super::plan::{Plan, Step};
use super::{CLUSTER_BYTES, DISK_MAX_BYTES, THREADS_MAX};
use crate::{Error, Kind, Result, Source};

/// Where a format puts the clusters of the disk. They come in order; those of zeroes do not come.
pub(super) trait Store {
    fn store(&mut self, number: u64, cluster: &Cluster) -> Result<()>;
}

/// Refuse what no format is written with.
pub(super) fn check(size_bytes: u64, limit: u64, threads: usize) -> Result<()> {
    if threads == 0 || threads > THREADS_MAX {
        let told = format!("threads is {threads}, which is not from 1 to {THREADS_MAX}");
        return Err(Error::unsupported(told));
    }
    if size_bytes > limit {
        let gib = limit >> 30;
        let limit =
            if limit == DISK_MAX_BYTES { "64 TiB".to_owned() } else { format!("{gib} GiB") };
        return Err(Error::unsupported(format!(
            "a disk of {size_bytes} bytes is larger than the {limit} that are written"
        )));
    }
    Ok(())
}

/// Read the disk and give each cluster with data to `store`.
pub(super) fn pass(
    source: &Source,
    packing: Packing,
    threads: usize,
    progress: &dyn Fn(u64) -> ControlFlow<()>,
    store: &mut impl Store,
) -> Result<()> {
    let mut pass = Pass { store, size_bytes: source.size_bytes(), done_bytes: 0, progress };
    std::thread::scope(|scope| {
        let packers = Packers::start(scope, &**source, packing, threads)?;
        pass.run(Plan::new(&**source), packers)
    })
}

struct Pass<'a, S> {
    store: &'a mut S,
    size_bytes: u64,
    done_bytes: u64,
    progress: &'a dyn Fn(u64) -> ControlFlow<()>,
}

impl<S: Store> Pass<'_, S> {
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
            if cluster != Cluster::Zero {
                self.store.store(number, &cluster)?;
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
