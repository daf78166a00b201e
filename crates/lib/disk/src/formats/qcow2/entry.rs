//! One L2 entry: what it says about a cluster, or about one of its 32 subclusters.
//!
//! Pure: two numbers in, one meaning out. Layout: QEMU docs/interop/qcow2, "Standard Cluster
//! Descriptor", "Compressed Clusters Descriptor" and "Extended L2 Entries".

use super::header::Header;

const COMPRESSED: u64 = 1 << 62;
const ZERO: u64 = 1;
/// Bits 9 to 55: a file offset in an L1 entry or in the entry of a standard cluster.
pub(crate) const OFFSET_MASK: u64 = 0x00ff_ffff_ffff_fe00;

/// An entry as it is stored; `bitmap` is 0 unless the image has extended L2 entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) word: u64,
    pub(crate) bitmap: u64,
}

/// What an entry says about the bytes of one cluster or subcluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Unallocated,
    Zero,
    /// The cluster begins at this byte of the file.
    Standard(u64),
    /// At this byte of the file, in at most so many bytes.
    Compressed(u64, u64),
}

/// Why an entry has no meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EntryError {
    #[error("L2 entry {0:#018x}: the cluster offset is not a multiple of the cluster size")]
    Unaligned(u64),
    #[error("L2 entry {0:#018x} is a zero cluster, which version 2 does not have")]
    ZeroInVersion2(u64),
    #[error("subcluster bitmap {0:#018x} marks a subcluster both allocated and zero")]
    BothBits(u64),
    #[error("subcluster bitmap {0:#018x} marks a subcluster allocated where no cluster is")]
    NoCluster(u64),
}

impl Entry {
    /// What the entry says about subcluster `sub`; 0 where the image has none.
    pub(crate) fn meaning(self, header: &Header, sub: u32) -> Result<Meaning, EntryError> {
        if self.word & COMPRESSED != 0 {
            return Ok(self.compressed(header.cluster_bits));
        }
        let offset = self.word & OFFSET_MASK;
        if !offset.is_multiple_of(header.cluster_bytes()) {
            return Err(EntryError::Unaligned(self.word));
        }
        if header.extended_l2 {
            return self.subcluster(offset, sub);
        }
        if self.word & ZERO != 0 {
            return match header.version {
                2 => Err(EntryError::ZeroInVersion2(self.word)),
                _ => Ok(Meaning::Zero),
            };
        }
        Ok(if offset == 0 { Meaning::Unallocated } else { Meaning::Standard(offset) })
    }

    fn subcluster(self, offset: u64, sub: u32) -> Result<Meaning, EntryError> {
        let bit = |at: u32| self.bitmap.checked_shr(at).unwrap_or(0) & 1 != 0;
        match (bit(sub), bit(sub.saturating_add(32))) {
            (true, true) => Err(EntryError::BothBits(self.bitmap)),
            (true, false) if offset == 0 => Err(EntryError::NoCluster(self.bitmap)),
            (true, false) => Ok(Meaning::Standard(offset)),
            (false, true) => Ok(Meaning::Zero),
            (false, false) => Ok(Meaning::Unallocated),
        }
    }

    /// The offset has no fixed width: the sector count takes `cluster_bits - 8` bits above it.
    fn compressed(self, cluster_bits: u32) -> Meaning {
        let offset_bits = 70_u32.saturating_sub(cluster_bits); // 62 - (cluster_bits - 8)
        let descriptor = self.word & COMPRESSED.saturating_sub(1);
        let sectors = descriptor.checked_shr(offset_bits).unwrap_or(0);
        let mask = 1_u64.checked_shl(offset_bits).unwrap_or(0).saturating_sub(1);
        let offset = descriptor & mask;
        // The count is of further 512-byte sectors: the first one may begin before the data.
        let length = sectors.saturating_add(1).saturating_mul(512).saturating_sub(offset % 512);
        Meaning::Compressed(offset, length)
    }
}

#[cfg(test)]
mod tests {
    use super::super::header::{Header, sound};
    use super::*;

    #[test]
    fn every_kind_of_entry_has_its_meaning() {
        let v3 = Header::decode(&sound()).unwrap();
        let v2 = Header { version: 2, ..v3.clone() };
        let extended = Header { extended_l2: true, ..v3.clone() };
        let at = 0x5_0000;
        for (header, word, bitmap, sub, meaning) in [
            (&v3, 0, 0, 0, Ok(Meaning::Unallocated)),
            (&v3, at | 1 << 63, 0, 0, Ok(Meaning::Standard(at))),
            (&v3, 1, 0, 0, Ok(Meaning::Zero)),
            (&v3, at | 1, 0, 0, Ok(Meaning::Zero)),
            (&v2, 1, 0, 0, Err(EntryError::ZeroInVersion2(1))),
            (&v3, at | 0x200, 0, 0, Err(EntryError::Unaligned(0x5_0200))),
            (&v3, 1 << 62 | 2 << 54 | 0x1234, 0, 0, Ok(Meaning::Compressed(0x1234, 1536 - 0x34))),
            (&extended, at, 1 << 3, 3, Ok(Meaning::Standard(at))),
            (&extended, at, 1 << 3, 4, Ok(Meaning::Unallocated)),
            (&extended, at, 1 << 36, 4, Ok(Meaning::Zero)),
            (&extended, at, 1 << 36 | 1 << 4, 4, Err(EntryError::BothBits(1 << 36 | 1 << 4))),
            (&extended, 0, 1 << 4, 4, Err(EntryError::NoCluster(1 << 4))),
        ] {
            assert_eq!(
                Entry { word, bitmap }.meaning(header, sub),
                meaning,
                "{word:#x} {bitmap:#x}"
            );
        }
    }
}
