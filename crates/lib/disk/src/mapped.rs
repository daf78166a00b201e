//! From a format's mapping to a block source: the reading that all mapped formats share.
//!
//! A format only answers "where is this byte, and how far does that go" ([`Mapping`]). Joining of
//! neighbours, backing files, decompression, zero runs and ends of files are dealt with once, here.

use std::sync::Arc;

use crate::cache::Cache;
use crate::fields::{length_u64, length_usize, round_up};
use crate::source::check_range;
use crate::unpack::{Codec, Unpacker};
use crate::{BlockSource, Error, Extent, ExtentKind, Result, Source};

/// Where a run of guest bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Nowhere: they are zero.
    Zero,
    /// As they are, from this byte of the file on.
    Stored(u64),
    /// In the backing file at the same offset; zero where there is none or it is shorter.
    Below,
    /// Compressed.
    Packed(Packed),
}

/// One compressed cluster or grain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    /// The guest offset of its first byte.
    pub(crate) guest_start: u64,
    /// Where it is stored.
    pub(crate) stored_at: u64,
    /// How its length is known.
    pub(crate) framing: Framing,
}

/// How the length of compressed data is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// The table says it, rounded up; less may be there at the end of the file.
    AtMost(u64),
    /// VMDK: a header of 12 bytes before the data ends in its length.
    GrainMarker,
}

/// A run of guest bytes with one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// From the offset that was asked for on; never 0.
    pub(crate) length_bytes: u64,
    pub(crate) target: Target,
}

impl Run {
    /// Whether `next`, which begins where this run ends, is more of the same.
    pub(crate) fn continues_with(&self, next: &Self) -> bool {
        match (self.target, next.target) {
            (Target::Zero, Target::Zero) | (Target::Below, Target::Below) => true,
            (Target::Stored(here), Target::Stored(there)) => {
                here.checked_add(self.length_bytes) == Some(there)
            }
            _ => false,
        }
    }
}

/// What a format knows: which bytes are where.
pub(crate) trait Mapping: std::fmt::Debug + Send + Sync {
    /// The disk as the guest sees it, in bytes.
    fn size_bytes(&self) -> u64;

    /// What one compressed run unpacks to, in bytes. Only asked where there are any.
    fn unit_bytes(&self) -> u64 {
        64 << 10
    }

    /// The end of the file may lie inside the last piece of this many bytes; what is missing of
    /// it is zero. 1 where writers always fill up what they allocate.
    fn ragged_end_bytes(&self) -> u64 {
        1
    }

    /// The run that begins at `offset`, which is inside the disk. Neighbours that continue it are
    /// joined for as long as that is cheap and the run is shorter than `wanted` bytes.
    fn run_at(&self, offset: u64, wanted: u64) -> Result<Run>;
}

/// A mapping over a file, as a block source.
#[derive(Debug)]
pub(crate) struct Mapped<M> {
    mapping: M,
    file: Source,
    /// The path or URL of the file, for errors.
    location: String,
    below: Option<Source>,
    unpacker: Unpacker,
    unpacked: Cache,
}

impl<M: Mapping> Mapped<M> {
    pub(crate) fn new(mapping: M, file: Source, location: &str, codec: Codec) -> Self {
        let unpacked = Cache::of_blocks(mapping.unit_bytes());
        let (location, unpacker) = (location.to_owned(), Unpacker::new(codec));
        Self { mapping, file, location, below: None, unpacker, unpacked }
    }

    /// Read what the file does not have from `below`.
    pub(crate) fn over(self, below: Option<Source>) -> Self {
        Self { below, ..self }
    }

    /// The run at `offset`, cut at the end of the disk.
    fn run(&self, offset: u64, wanted: u64) -> Result<Run> {
        let rest = self.mapping.size_bytes().saturating_sub(offset);
        let run = self.mapping.run_at(offset, wanted.min(rest))?;
        // A mapping that made no progress would have the callers spin for ever.
        Ok(Run { length_bytes: run.length_bytes.clamp(1, rest.max(1)), ..run })
    }

    /// Fill `buf` from `stored_at` on, with zeroes past a ragged end of the file. Data further past
    /// the end means that the file is truncated.
    fn read_stored(&self, stored_at: u64, buf: &mut [u8]) -> Result<()> {
        let size = self.file.size_bytes();
        let end = stored_at.saturating_add(length_u64(buf.len()));
        if end <= size {
            return self.file.read_at(stored_at, buf);
        }
        if end > round_up(size, self.mapping.ragged_end_bytes()) || stored_at >= size {
            return Err(self.truncated(stored_at, end));
        }
        let there = length_usize(size.saturating_sub(stored_at)).min(buf.len());
        let (head, tail) = buf.split_at_mut(there);
        tail.fill(0);
        self.file.read_at(stored_at, head)
    }

    fn truncated(&self, stored_at: u64, end: u64) -> Error {
        let size = self.file.size_bytes();
        Error::corrupt(format!(
            "data up to byte {end} is past the end of the file, which has {size} bytes"
        ))
        .at(stored_at)
        .truncated()
    }

    fn read_below(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let Some(below) = &self.below else {
            buf.fill(0);
            return Ok(());
        };
        let there = length_usize(below.size_bytes().saturating_sub(offset)).min(buf.len());
        let (head, tail) = buf.split_at_mut(there);
        tail.fill(0);
        if head.is_empty() { Ok(()) } else { below.read_at(offset, head) }
    }

    fn read_packed(&self, packed: Packed, offset: u64, buf: &mut [u8]) -> Result<()> {
        let unit = self.mapping.unit_bytes();
        let skip = length_usize(offset.saturating_sub(packed.guest_start));
        if skip == 0 && length_u64(buf.len()) == unit {
            return self.unpack(packed, buf);
        }
        let block = match self.unpacked.get(packed.guest_start) {
            Some(block) => block,
            None => {
                let mut block = vec![0; length_usize(unit)];
                self.unpack(packed, &mut block)?;
                let block: Arc<[u8]> = block.into();
                self.unpacked.insert(packed.guest_start, Arc::clone(&block));
                block
            }
        };
        let part = block.get(skip..).and_then(|rest| rest.get(..buf.len()));
        buf.copy_from_slice(part.ok_or_else(|| Error::corrupt("a read across two clusters"))?);
        Ok(())
    }

    fn unpack(&self, packed: Packed, out: &mut [u8]) -> Result<()> {
        let stored = self.fetch_packed(packed)?;
        let cut =
            matches!(packed.framing, Framing::AtMost(most) if length_u64(stored.len()) < most);
        let produced = self.unpacker.unpack(&stored, out).map_err(|error| {
            let error = error.at(packed.stored_at);
            if cut { error.truncated() } else { error }
        })?;
        // Only the last grain of a disk may hold less: as much of it as the disk has.
        let rest = self.mapping.size_bytes().saturating_sub(packed.guest_start);
        let needed = length_usize(rest).min(out.len());
        if produced < needed {
            return Err(Error::corrupt(format!(
                "compressed data holds {produced} bytes where {needed} are needed"
            ))
            .at(packed.stored_at));
        }
        if let Some(tail) = out.get_mut(produced..) {
            tail.fill(0);
        }
        Ok(())
    }

    fn fetch_packed(&self, packed: Packed) -> Result<Vec<u8>> {
        let (start, length) = match packed.framing {
            Framing::AtMost(length) => {
                let there = self.file.size_bytes().saturating_sub(packed.stored_at);
                (packed.stored_at, length.min(there))
            }
            Framing::GrainMarker => self.grain_marker(packed)?,
        };
        // Incompressible data grows by a few bytes for each block of the stream, never twofold.
        let limit = self.mapping.unit_bytes().saturating_mul(2).saturating_add(4096);
        let end = start.saturating_add(length);
        if length == 0 || end > self.file.size_bytes() {
            return Err(self.truncated(start, end));
        }
        if length > limit {
            let told =
                format!("compressed data of {length} bytes is more than the {limit} allowed");
            return Err(Error::corrupt(told).at(start));
        }
        let mut stored = vec![0; length_usize(length)];
        self.file.read_at(start, &mut stored)?;
        Ok(stored)
    }

    fn grain_marker(&self, packed: Packed) -> Result<(u64, u64)> {
        let mut marker = [0; 12];
        let end = packed.stored_at.saturating_add(12);
        if end > self.file.size_bytes() {
            return Err(self.truncated(packed.stored_at, end));
        }
        self.file.read_at(packed.stored_at, &mut marker)?;
        let fields = crate::fields::Fields(&marker);
        let (sector, length) = (fields.le_u64(0), fields.le_u32(8));
        if sector.checked_mul(512) != Some(packed.guest_start) {
            let expected = packed.guest_start / 512;
            let told = format!("the grain marker is for sector {sector}, not for {expected}");
            return Err(Error::corrupt(told).at(packed.stored_at));
        }
        Ok((end, u64::from(length)))
    }

    fn below_extent(&self, offset: u64) -> Result<Extent> {
        let zero = Extent { length_bytes: u64::MAX, kind: ExtentKind::Zero };
        match &self.below {
            Some(below) if offset < below.size_bytes() => below.extent_at(offset),
            _ => Ok(zero),
        }
    }

    /// A hole of the file under a stored run is zero too: preallocated images are mostly holes.
    fn stored_extent(&self, stored_at: u64) -> Result<Extent> {
        let data = Extent { length_bytes: u64::MAX, kind: ExtentKind::Data };
        if stored_at >= self.file.size_bytes() {
            return Ok(data);
        }
        self.file.extent_at(stored_at)
    }

    fn read_runs(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let (mut offset, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let run = self.run(offset, length_u64(rest.len()))?;
            let length = length_usize(run.length_bytes).min(rest.len());
            let (part, after) = rest.split_at_mut(length);
            match run.target {
                Target::Zero => part.fill(0),
                Target::Stored(at) => self.read_stored(at, part)?,
                Target::Below => self.read_below(offset, part)?,
                Target::Packed(packed) => self.read_packed(packed, offset, part)?,
            }
            offset = offset.saturating_add(length_u64(length));
            rest = after;
        }
        Ok(())
    }

    fn extent(&self, offset: u64) -> Result<Extent> {
        let run = self.run(offset, u64::MAX)?;
        let whole = |kind| Extent { length_bytes: u64::MAX, kind };
        let extent = match run.target {
            Target::Zero => whole(ExtentKind::Zero),
            Target::Packed(_) => whole(ExtentKind::Data),
            Target::Below => self.below_extent(offset)?,
            Target::Stored(at) => self.stored_extent(at)?,
        };
        Ok(Extent { length_bytes: extent.length_bytes.min(run.length_bytes), ..extent })
    }
}

impl<M: Mapping> BlockSource for Mapped<M> {
    fn size_bytes(&self) -> u64 {
        self.mapping.size_bytes()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        check_range(self.size_bytes(), offset, buf.len())?;
        self.read_runs(offset, buf).map_err(|error| error.in_location(self.location.as_str()))
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        check_range(self.size_bytes(), offset, 1)?;
        self.extent(offset).map_err(|error| error.in_location(self.location.as_str()))
    }
}
