//! Which clusters must be read, in order and in batches, from what the source knows of its zeroes.

use super::{BATCH_CLUSTERS, CLUSTER_BYTES};
use crate::{BlockSource, ExtentKind, Result};

/// Neighbouring clusters that one thread reads and packs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// The number of the first cluster of the disk.
    pub(super) first: u64,
    /// From 1 to [`BATCH_CLUSTERS`].
    pub(super) clusters: u64,
}

/// What the next look at the source gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Batch(Batch),
    /// Zeroes. Told so that a caller can stop within a map of millions of extents.
    Nothing,
}

/// Walks the extents of a source once. A cluster that holds a byte of data is planned once.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    source: &'a dyn BlockSource,
    /// Where the next extent begins.
    offset: u64,
    /// The clusters from here to `end` are known to hold data and are not yet planned.
    next: u64,
    end: u64,
}

impl<'a> Plan<'a> {
    pub(super) fn new(source: &'a dyn BlockSource) -> Self {
        Self { source, offset: 0, next: 0, end: 0 }
    }

    /// The next step, or nothing at the end of the disk.
    pub(super) fn step(&mut self) -> Result<Option<Step>> {
        let size_bytes = self.source.size_bytes();
        loop {
            if self.end.saturating_sub(self.next) >= BATCH_CLUSTERS {
                return Ok(self.cut().map(Step::Batch));
            }
            if self.offset >= size_bytes {
                return Ok(self.cut().map(Step::Batch));
            }
            let begin = self.offset;
            let extent = self.source.extent_at(begin)?;
            self.offset = begin.saturating_add(extent.length_bytes.max(1)).min(size_bytes);
            if extent.kind == ExtentKind::Zero {
                return Ok(Some(self.cut().map_or(Step::Nothing, Step::Batch)));
            }
            let first = begin / CLUSTER_BYTES;
            if self.next == self.end {
                // `next` may be past `first`: the end of the previous extent is in that cluster.
                self.next = first.max(self.next);
                self.end = self.next;
            }
            self.end = self.end.max(self.offset.div_ceil(CLUSTER_BYTES));
        }
    }

    /// Take a batch off the clusters that are known to hold data.
    fn cut(&mut self) -> Option<Batch> {
        let first = self.next;
        let clusters = self.end.saturating_sub(first).min(BATCH_CLUSTERS);
        self.next = first.saturating_add(clusters);
        (clusters > 0).then_some(Batch { first, clusters })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Extent;

    /// Data where a range says so, told in extents of at most 100 000 bytes.
    #[derive(Debug)]
    struct Ranges(u64, &'static [(u64, u64)]);

    impl BlockSource for Ranges {
        fn size_bytes(&self) -> u64 {
            self.0
        }
        fn read_at(&self, _: u64, _: &mut [u8]) -> Result<()> {
            Ok(())
        }
        fn extent_at(&self, offset: u64) -> Result<Extent> {
            let inside = self.1.iter().find(|range| (range.0..range.1).contains(&offset));
            let after = self.1.iter().map(|range| range.0).find(|begin| *begin > offset);
            let (end, kind) = match inside {
                Some(range) => (range.1.min(offset + 100_000), ExtentKind::Data),
                None => (after.unwrap_or(self.0), ExtentKind::Zero),
            };
            Ok(Extent { length_bytes: end - offset, kind })
        }
    }

    fn planned(source: &Ranges) -> Vec<(u64, u64)> {
        let mut plan = Plan::new(source);
        let steps = std::iter::from_fn(|| plan.step().unwrap());
        steps
            .filter_map(|step| match step {
                Step::Batch(batch) => Some((batch.first, batch.clusters)),
                Step::Nothing => None,
            })
            .collect()
    }

    #[test]
    fn every_cluster_with_data_is_planned_once_and_no_other() {
        const C: u64 = CLUSTER_BYTES;
        for (size, ranges, expected) in [
            (0, &[][..], &[][..]),
            (40 * C, &[], &[]),
            (40 * C + 1, &[(0, 40 * C + 1)], &[(0, 16), (16, 16), (32, 9)]),
            (9 * C, &[(C - 1, C + 1)], &[(0, 2)]),
            // Three extents meet in cluster 1; the gap before the last is larger than a cluster.
            (
                9 * C,
                &[(0, C + 1), (C + 9, C + 10), (C + 20, 2 * C), (7 * C + 5, 9 * C)],
                &[(0, 2), (7, 2)],
            ),
        ] {
            assert_eq!(planned(&Ranges(size, ranges)), expected, "{size} {ranges:?}");
        }
    }
}
