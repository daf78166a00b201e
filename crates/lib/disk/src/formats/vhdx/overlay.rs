//! Changes laid over a file in memory: what the file would be after its log was replayed.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::log::Change;
use crate::fields::{length_u64, length_usize};
use crate::source::check_range;
use crate::{BlockSource, Error, Result, Source};

/// How far a log may make the file grow. A real one adds a few tables and blocks.
const GROWTH_MAX_BYTES: u64 = 1 << 30;

/// A file under the changes of its log.
#[derive(Debug)]
pub(crate) struct Overlay {
    base: Source,
    size_bytes: u64,
    /// By their start; they never overlap.
    patches: BTreeMap<u64, Patch>,
}

/// New content up to `end`.
#[derive(Clone, Debug)]
struct Patch {
    end: u64,
    /// The bytes and where they begin in the file, which a cut leaves as it was; none is zeroes.
    bytes: Option<(u64, Arc<[u8]>)>,
}

impl Overlay {
    /// Lay `changes` over `base`, later ones over earlier ones.
    ///
    /// # Errors
    ///
    /// [`crate::Kind::Corrupt`] where they would make the file grow beyond reason.
    pub(crate) fn new(base: Source, changes: Vec<Change>) -> Result<Self> {
        let before = base.size_bytes();
        let ends = changes.iter().map(|change| change.offset.saturating_add(change.length_bytes));
        let size_bytes = ends.fold(before, u64::max);
        if size_bytes > before.saturating_add(GROWTH_MAX_BYTES) {
            let told = format!("the log makes a file of {size_bytes} bytes out of {before}");
            return Err(Error::corrupt(told));
        }
        let mut overlay = Self { base, size_bytes, patches: BTreeMap::new() };
        for change in changes {
            overlay.put(change);
        }
        Ok(overlay)
    }

    fn put(&mut self, change: Change) {
        let (start, end) = (change.offset, change.offset.saturating_add(change.length_bytes));
        if start == end {
            return;
        }
        self.split(start);
        self.split(end);
        let covered: Vec<u64> = self.patches.range(start..end).map(|(at, _)| *at).collect();
        for at in covered {
            self.patches.remove(&at);
        }
        let bytes = change.bytes.map(|bytes| (start, Arc::from(bytes)));
        self.patches.insert(start, Patch { end, bytes });
    }

    /// Make sure that no patch reaches across `at`.
    fn split(&mut self, at: u64) {
        let across = self.patches.range_mut(..at).next_back().filter(|(_, patch)| patch.end > at);
        if let Some((_, patch)) = across {
            let rest = patch.clone();
            patch.end = at;
            self.patches.insert(at, rest);
        }
    }

    fn read_base(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let there = length_usize(self.base.size_bytes().saturating_sub(offset)).min(buf.len());
        let (head, tail) = buf.split_at_mut(there);
        tail.fill(0);
        if head.is_empty() { Ok(()) } else { self.base.read_at(offset, head) }
    }

    /// The patch that holds `offset`, and where it or the gap before the next one ends.
    fn patch_at(&self, offset: u64) -> (Option<&Patch>, u64) {
        let before = self.patches.range(..=offset).next_back().map(|(_, patch)| patch);
        if let Some(patch) = before.filter(|patch| patch.end > offset) {
            return (Some(patch), patch.end);
        }
        let after = (Bound::Excluded(offset), Bound::Unbounded);
        let next = self.patches.range(after).next().map(|(at, _)| *at);
        (None, next.unwrap_or(u64::MAX))
    }
}

impl BlockSource for Overlay {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        check_range(self.size_bytes, offset, buf.len())?;
        let (mut offset, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let (patch, end) = self.patch_at(offset);
            let length = length_usize(end.saturating_sub(offset)).min(rest.len());
            let (part, after) = rest.split_at_mut(length);
            match patch.map(|patch| &patch.bytes) {
                None => self.read_base(offset, part)?,
                Some(None) => part.fill(0),
                Some(Some((start, bytes))) => {
                    let skip = length_usize(offset.saturating_sub(*start));
                    for (to, from) in part.iter_mut().zip(bytes.iter().skip(skip)) {
                        *to = *from;
                    }
                }
            }
            offset = offset.saturating_add(length_u64(length));
            rest = after;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemSource;

    #[test]
    fn later_changes_lie_over_earlier_ones_and_over_the_file() {
        let change = |offset, length_bytes, fill: u8| Change {
            offset,
            length_bytes,
            bytes: (fill != 0).then(|| vec![fill; length_usize(length_bytes)]),
        };
        let base = MemSource::shared(vec![9_u8; 10]);
        let changes = vec![change(2, 6, 1), change(4, 2, 0), change(5, 2, 3), change(11, 3, 4)];
        let overlay = Overlay::new(base, changes).unwrap();
        let mut all = [0; 14];
        overlay.read_at(0, &mut all).unwrap();
        assert_eq!(all, [9, 9, 1, 1, 0, 3, 3, 1, 9, 9, 0, 4, 4, 4]);
        for at in 0..14 {
            let mut one = [0];
            overlay.read_at(at, &mut one).unwrap();
            assert_eq!(one[0], all[length_usize(at)]);
        }
    }

    #[test]
    fn growth_beyond_reason_is_refused() {
        let change = Change { offset: 1 << 40, length_bytes: 4096, bytes: None };
        let error = Overlay::new(MemSource::shared(vec![0_u8; 10]), vec![change]).unwrap_err();
        assert_eq!(error.to_string(), "the log makes a file of 1099511631872 bytes out of 10");
    }
}
