//! A disk of several extents, one after the other.

use crate::fields::{length_u64, length_usize};
use crate::source::check_range;
use crate::{BlockSource, Error, Extent, ExtentKind, Result, Source};

/// Sources in a row.
#[derive(Debug)]
pub(super) struct Joined {
    /// By their start, with no gap between them.
    parts: Vec<Part>,
    size_bytes: u64,
}

#[derive(Debug)]
struct Part {
    start: u64,
    size_bytes: u64,
    /// None is a part of zeroes.
    source: Option<Source>,
}

impl Joined {
    /// Join `parts`: how much of the disk each is, and its source; none is zeroes.
    pub(super) fn new(sizes: Vec<(u64, Option<Source>)>) -> Result<Self> {
        let mut size_bytes = 0_u64;
        let mut parts = Vec::with_capacity(sizes.len());
        for (part_bytes, source) in sizes {
            parts.push(Part { start: size_bytes, size_bytes: part_bytes, source });
            size_bytes = size_bytes
                .checked_add(part_bytes)
                .ok_or_else(|| Error::corrupt("the extents together are larger than any disk"))?;
        }
        parts.retain(|part| part.size_bytes > 0);
        Ok(Self { parts, size_bytes })
    }

    /// The part that holds `offset`, and where in it that is.
    fn part_at(&self, offset: u64) -> Result<(&Part, u64)> {
        let after = self.parts.partition_point(|part| part.start <= offset);
        let part = after.checked_sub(1).and_then(|index| self.parts.get(index));
        let part = part.ok_or_else(|| Error::corrupt("no extent holds this byte").at(offset))?;
        Ok((part, offset.saturating_sub(part.start)))
    }
}

impl BlockSource for Joined {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        check_range(self.size_bytes, offset, buf.len())?;
        let (mut offset, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let (part, within) = self.part_at(offset)?;
            let length = length_usize(part.size_bytes.saturating_sub(within)).min(rest.len());
            let (now, after) = rest.split_at_mut(length.max(1));
            match &part.source {
                Some(source) => source.read_at(within, now)?,
                None => now.fill(0),
            }
            offset = offset.saturating_add(length_u64(now.len()));
            rest = after;
        }
        Ok(())
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        check_range(self.size_bytes, offset, 1)?;
        let (part, within) = self.part_at(offset)?;
        let rest = part.size_bytes.saturating_sub(within);
        match &part.source {
            None => Ok(Extent { length_bytes: rest, kind: ExtentKind::Zero }),
            Some(source) => {
                let extent = source.extent_at(within)?;
                Ok(Extent { length_bytes: extent.length_bytes.min(rest), ..extent })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemSource;

    #[test]
    fn reads_go_across_the_seams() {
        let one = MemSource::shared(vec![1_u8; 3]);
        let two = MemSource::shared(vec![2_u8; 2]);
        let joined =
            Joined::new(vec![(3, Some(one)), (0, None), (2, None), (2, Some(two))]).unwrap();
        let mut all = [9; 7];
        joined.read_at(0, &mut all).unwrap();
        assert_eq!(all, [1, 1, 1, 0, 0, 2, 2]);
        let zero = joined.extent_at(3).unwrap();
        assert_eq!(zero, Extent { length_bytes: 2, kind: ExtentKind::Zero });
        assert_eq!(joined.extent_at(6).unwrap().length_bytes, 1);
        assert_eq!(joined.read_at(6, &mut [0; 2]).unwrap_err().kind(), crate::Kind::OutOfRange);
    }
}
