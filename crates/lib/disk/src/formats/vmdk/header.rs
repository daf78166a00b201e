//! The header of a hosted sparse extent ("KDMV"): 512 bytes at the start of the file, and for
//! stream-optimised files once more in a footer.
//!
//! Decodes and judges a byte slice and never opens a file. Layout: VMware, "Virtual Disk Format
//! 5.0", "Hosted Sparse Extent Header"; all numbers are little-endian, offsets are in sectors.

use crate::fields::Fields;
use crate::{Fault, Kind};

/// Bytes of a header.
pub(crate) const HEADER_BYTES: usize = 512;
/// In `gdOffset`: the grain directory is behind the data, and the footer knows where.
const AT_END: u64 = u64::MAX;

const FLAG_NEWLINE_TEST: u32 = 1 << 0;
const FLAG_ZERO_GRAIN: u32 = 1 << 2;
const FLAG_COMPRESSED: u32 = 1 << 16;
const FLAG_MARKERS: u32 = 1 << 17;

/// Why a header was refused: the field, the byte it starts at, the value found there.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum HeaderError {
    #[error("not a VMDK extent: the file starts with {found:02x?}")]
    Magic { found: Vec<u8> },
    #[error("the extent ends at byte {have}, inside a header of 512 bytes")]
    Truncated { have: usize },
    #[error("version {found} at byte 4 is not 1, 2 or 3")]
    Version { found: u32 },
    #[error("the newline characters at byte 73 were changed: the file was copied as text")]
    Newline,
    #[error("capacity of {found} sectors at byte 12 is more than 64 TiB")]
    Capacity { found: u64 },
    #[error("grain size {found} at byte 20 is not a power of two from 8 to 4096 sectors")]
    GrainSize { found: u64 },
    #[error("numGTEsPerGT {found} at byte 44 is not from 1 to 512")]
    TableEntries { found: u32 },
    #[error("compression algorithm {found} at byte 77 is not 1 (deflate)")]
    Compression { found: u16 },
    #[error("the grains are compressed but have no markers (flags {found:#x} at byte 8)")]
    NoMarkers { found: u32 },
}

impl HeaderError {
    /// What a caller can do about it.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Magic { .. } => Kind::OtherFormat,
            Self::Version { .. }
            | Self::Capacity { .. }
            | Self::Compression { .. }
            | Self::NoMarkers { .. } => Kind::Unsupported,
            _ => Kind::Corrupt,
        }
    }

    /// What the image is refused for, where that is known.
    pub(crate) fn fault(&self) -> Option<Fault> {
        match self {
            Self::GrainSize { .. } => Some(Fault::UnitSize),
            Self::Capacity { .. } => Some(Fault::TooLarge),
            Self::Truncated { .. } => Some(Fault::Truncated),
            _ => None,
        }
    }
}

/// A checked header.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Header {
    pub(crate) size_bytes: u64,
    pub(crate) grain_bytes: u64,
    /// Entries of one grain table.
    pub(crate) table_entries: u64,
    /// Where the grain directory is in bytes; none means that the footer says.
    pub(crate) directory_at: Option<u64>,
    /// Where the embedded descriptor is and how many bytes it has; 0 bytes where there is none.
    pub(crate) descriptor: (u64, u64),
    pub(crate) compressed: bool,
    /// A table entry of 1 means a grain of zeroes.
    pub(crate) zero_grains: bool,
    pub(crate) unclean: bool,
}

impl Header {
    /// Decode the header that `extent` starts with.
    ///
    /// # Errors
    ///
    /// `OtherFormat` unless the magic matches; versions and compressions that kiln does not know
    /// are `Unsupported`, everything else `Corrupt`.
    pub(crate) fn decode(extent: &[u8]) -> Result<Self, HeaderError> {
        if !extent.starts_with(b"KDMV") {
            return Err(HeaderError::Magic { found: extent.iter().take(4).copied().collect() });
        }
        let header: &[u8; HEADER_BYTES] =
            extent.first_chunk().ok_or(HeaderError::Truncated { have: extent.len() })?;
        let fields = Fields(header);
        let version = fields.le_u32(4);
        if !(1..=3).contains(&version) {
            return Err(HeaderError::Version { found: version });
        }
        let flags = fields.le_u32(8);
        if flags & FLAG_NEWLINE_TEST != 0 && &fields.bytes::<4>(73) != b"\n \r\n" {
            return Err(HeaderError::Newline);
        }
        let compressed = flags & FLAG_COMPRESSED != 0;
        check_compression(compressed, flags, fields.le_u16(77))?;
        let capacity = fields.le_u64(12);
        if capacity > super::super::VIRTUAL_SIZE_MAX_BYTES / 512 {
            return Err(HeaderError::Capacity { found: capacity });
        }
        let grain = fields.le_u64(20);
        if !grain.is_power_of_two() || !(8..=4096).contains(&grain) {
            return Err(HeaderError::GrainSize { found: grain });
        }
        let table_entries = fields.le_u32(44);
        if !(1..=512).contains(&table_entries) {
            return Err(HeaderError::TableEntries { found: table_entries });
        }
        // The redundant directory at byte 48 leads to the same grains; writers that set its flag
        // and leave it empty exist, so it is not looked at. QEMU does not read it either.
        let directory = fields.le_u64(56);
        Ok(Self {
            size_bytes: capacity.saturating_mul(512),
            grain_bytes: grain.saturating_mul(512),
            table_entries: table_entries.into(),
            directory_at: (directory != AT_END).then_some(directory.saturating_mul(512)),
            descriptor: (
                fields.le_u64(28).saturating_mul(512),
                fields.le_u64(36).saturating_mul(512),
            ),
            compressed,
            zero_grains: flags & FLAG_ZERO_GRAIN != 0,
            unclean: fields.bytes::<1>(72) != [0],
        })
    }

    /// Bytes that one grain table covers.
    pub(crate) fn table_covers_bytes(&self) -> u64 {
        self.table_entries.saturating_mul(self.grain_bytes).max(1)
    }
}

fn check_compression(compressed: bool, flags: u32, algorithm: u16) -> Result<(), HeaderError> {
    if compressed && algorithm != 1 {
        return Err(HeaderError::Compression { found: algorithm });
    }
    if compressed && flags & FLAG_MARKERS == 0 {
        return Err(HeaderError::NoMarkers { found: flags });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Vec<u8> {
        let mut header = vec![0; HEADER_BYTES];
        header[..4].copy_from_slice(b"KDMV");
        header[4] = 1;
        header[8] = 1;
        header[13] = 8;
        header[20] = 128;
        header[45] = 2;
        header[56] = 21;
        header[73..77].copy_from_slice(b"\n \r\n");
        header
    }

    #[test]
    fn each_spoiled_byte_is_named() {
        assert_eq!(Header::decode(&sound()).unwrap().directory_at, Some(21 * 512));
        for (at, value, kind, message) in [
            (
                0,
                b'C',
                Kind::OtherFormat,
                "not a VMDK extent: the file starts with [43, 44, 4d, 56]",
            ),
            (4, 4, Kind::Unsupported, "version 4 at byte 4 is not 1, 2 or 3"),
            (10, 1, Kind::Unsupported, "compression algorithm 0 at byte 77 is not 1 (deflate)"),
            (
                19,
                1,
                Kind::Unsupported,
                "capacity of 72057594037929984 sectors at byte 12 is more than 64 TiB",
            ),
            (
                20,
                7,
                Kind::Corrupt,
                "grain size 7 at byte 20 is not a power of two from 8 to 4096 sectors",
            ),
            (45, 3, Kind::Corrupt, "numGTEsPerGT 768 at byte 44 is not from 1 to 512"),
            (
                75,
                b'\n',
                Kind::Corrupt,
                "the newline characters at byte 73 were changed: the file was copied as text",
            ),
        ] {
            let mut header = sound();
            header[at] = value;
            let error = Header::decode(&header).unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
        }
        let error = Header::decode(&sound()[..511]).unwrap_err();
        assert_eq!(error, HeaderError::Truncated { have: 511 });
        let mut header = sound();
        header[10] = 1;
        header[77] = 1;
        let error = Header::decode(&header).unwrap_err();
        assert_eq!(error, HeaderError::NoMarkers { found: 0x1_0001 });
    }
}
