//! A logical volume as a block source: runs of extents on other sources.

use kiln_disk::{BlockSource, Error, Extent, Kind, Result, Source};

use crate::field::length_u64;

/// A run of bytes of a logical volume, over one or several places.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// First byte in the logical volume.
    pub(crate) start_bytes: u64,
    pub(crate) length_bytes: u64,
    /// Bytes on one place before the next one follows; at least 1. With one place it is not used.
    pub(crate) stripe_bytes: u64,
    /// Source and first byte there.
    pub(crate) places: Vec<(Source, u64)>,
}

impl Run {
    /// Where byte `within` of the run is, and for how many bytes it goes on there.
    fn locate(&self, within: u64) -> Option<(&Source, u64, u64)> {
        let left = self.length_bytes.checked_sub(within).filter(|&left| left > 0)?;
        if let [(source, start)] = &self.places[..] {
            return Some((source, start.checked_add(within)?, left));
        }
        let n_places = length_u64(self.places.len());
        let stripe = within.checked_div(self.stripe_bytes)?;
        let in_stripe = within.checked_rem(self.stripe_bytes)?;
        let place = usize::try_from(stripe.checked_rem(n_places)?).ok()?;
        let (source, start) = self.places.get(place)?;
        let row = stripe.checked_div(n_places)?.checked_mul(self.stripe_bytes)?;
        let at = start.checked_add(row)?.checked_add(in_stripe)?;
        Some((source, at, left.min(self.stripe_bytes.checked_sub(in_stripe)?)))
    }

    /// The last byte, plus one, that it uses of each place.
    pub(crate) fn end_on_places(&self) -> u64 {
        let n_places = length_u64(self.places.len()).max(1);
        self.length_bytes.div_ceil(n_places)
    }
}

/// A logical volume.
#[derive(Debug)]
pub(crate) struct Mapping {
    /// By start, without gaps.
    runs: Vec<Run>,
    size_bytes: u64,
}

impl Mapping {
    /// A volume of `runs`, which are sorted and leave no gaps.
    pub(crate) fn new(runs: Vec<Run>) -> Self {
        let size_bytes =
            runs.last().map_or(0, |run| run.start_bytes.saturating_add(run.length_bytes));
        Self { runs, size_bytes }
    }

    fn locate(&self, offset: u64) -> Result<(&Source, u64, u64)> {
        let after = self.runs.partition_point(|run| run.start_bytes <= offset);
        after
            .checked_sub(1)
            .and_then(|index| self.runs.get(index))
            .and_then(|run| run.locate(offset.checked_sub(run.start_bytes)?))
            .ok_or_else(|| {
                let size = self.size_bytes;
                let message = format!("a read outside the {size} bytes of a logical volume");
                Error::new(Kind::OutOfRange, message).at(offset)
            })
    }
}

impl BlockSource for Mapping {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, mut offset: u64, mut buf: &mut [u8]) -> Result<()> {
        while !buf.is_empty() {
            let (source, at, available) = self.locate(offset)?;
            let n = usize::try_from(available).unwrap_or(usize::MAX).min(buf.len());
            let (now, rest) = std::mem::take(&mut buf).split_at_mut(n);
            source.read_at(at, now)?;
            offset = offset.saturating_add(length_u64(n));
            buf = rest;
        }
        Ok(())
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        let (source, at, available) = self.locate(offset)?;
        let extent = source.extent_at(at)?;
        Ok(Extent { length_bytes: extent.length_bytes.min(available), ..extent })
    }
}
