//! The VHD footer and the header of a dynamic disk.
//!
//! Decodes and judges byte slices and never opens a file. Layout: Microsoft, "Virtual Hard Disk
//! Image Format Specification", version 1.0; all numbers are big-endian.

use crate::fields::Fields;
use crate::{Fault, Kind};

/// Bytes of a footer.
pub(crate) const FOOTER_BYTES: usize = 512;
/// Bytes of a dynamic disk's header.
pub(crate) const DYNAMIC_BYTES: usize = 1024;
/// The largest disk by geometry. An image with it says nothing about its size by geometry.
const GEOMETRY_MAX_SECTORS: u64 = 65_535 * 16 * 255;
/// Applications whose size is `Current Size`; for the others QEMU believes the geometry.
const SIZED_BY_FIELD: [&[u8]; 6] = [b"win ", b"qem2", b"d2v ", b"tap\0", b"CTXS", b"wa\0\0"];

/// Why a footer or header was refused: the field, the byte it starts at, the value found there.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum FooterError {
    #[error("not a VHD footer: it starts with {found:02x?}")]
    Cookie { found: Vec<u8> },
    #[error("the footer has {have} bytes, not 512")]
    Truncated { have: usize },
    #[error("footer checksum {found:#010x} at byte 64 should be {computed:#010x}")]
    Checksum { found: u32, computed: u32 },
    #[error("footer version {found:#x} at byte 12 is not 1.0")]
    Version { found: u32 },
    #[error("disk type {found} at byte 60 is not fixed (2) or dynamic (3)")]
    Type { found: u32 },
    #[error("the image is a differencing VHD, which kiln does not read")]
    Differencing,
    #[error("current size {found} at byte 48 is not a multiple of 512")]
    Size { found: u64 },
    #[error("not a dynamic disk header: it starts with {found:02x?}")]
    DynamicCookie { found: Vec<u8> },
    #[error("the dynamic disk header has {have} bytes, not 1024")]
    DynamicTruncated { have: usize },
    #[error("dynamic disk header checksum {found:#010x} at byte 36 should be {computed:#010x}")]
    DynamicChecksum { found: u32, computed: u32 },
    #[error("dynamic disk header version {found:#x} at byte 24 is not 1.0")]
    DynamicVersion { found: u32 },
    #[error("block size {found} at byte 32 is not a power of two from 512 to 256 MiB")]
    BlockSize { found: u32 },
    #[error("max table entries {found} at byte 28 is too small: {need} blocks cover the disk")]
    TableEntries { found: u32, need: u64 },
}

impl FooterError {
    /// What a caller can do about it.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Cookie { .. } => Kind::OtherFormat,
            Self::Version { .. }
            | Self::DynamicVersion { .. }
            | Self::Differencing
            | Self::BlockSize { .. } => Kind::Unsupported,
            _ => Kind::Corrupt,
        }
    }

    /// What the image is refused for, where that is known.
    pub(crate) fn fault(&self) -> Option<Fault> {
        match self {
            Self::BlockSize { .. } => Some(Fault::UnitSize),
            Self::TableEntries { .. } | Self::Size { .. } => Some(Fault::SizeFields),
            Self::Differencing => Some(Fault::DependsOnOther),
            Self::DynamicTruncated { .. } => Some(Fault::Truncated),
            _ => None,
        }
    }
}

/// How the disk is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiskType {
    Fixed,
    Dynamic,
}

/// A checked footer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Footer {
    pub(crate) disk_type: DiskType,
    /// `Current Size`, the disk as the guest sees it.
    pub(crate) size_bytes: u64,
    /// What the geometry makes of it, where QEMU would believe that instead.
    pub(crate) geometry_bytes: Option<u64>,
    /// `Data Offset`: where the dynamic disk header is.
    pub(crate) dynamic_at: u64,
}

impl Footer {
    /// Decode a footer, or its copy at the start of a dynamic disk.
    ///
    /// # Errors
    ///
    /// `OtherFormat` unless the cookie matches; differencing disks and other versions are
    /// `Unsupported`, everything else `Corrupt`.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FooterError> {
        if !bytes.starts_with(b"conectix") {
            return Err(FooterError::Cookie { found: bytes.iter().take(8).copied().collect() });
        }
        let footer: &[u8; FOOTER_BYTES] =
            bytes.first_chunk().ok_or(FooterError::Truncated { have: bytes.len() })?;
        let fields = Fields(footer);
        let (found, computed) = (fields.be_u32(64), checksum(footer, 64));
        // The fuzzer cannot guess checksums, so they do not count in its build.
        if found != computed && !cfg!(fuzzing) {
            return Err(FooterError::Checksum { found, computed });
        }
        let version = fields.be_u32(12);
        if version != 0x0001_0000 {
            return Err(FooterError::Version { found: version });
        }
        let disk_type = match fields.be_u32(60) {
            2 => DiskType::Fixed,
            3 => DiskType::Dynamic,
            4 => return Err(FooterError::Differencing),
            found => return Err(FooterError::Type { found }),
        };
        let size_bytes = fields.be_u64(48);
        if size_bytes % 512 != 0 {
            return Err(FooterError::Size { found: size_bytes });
        }
        let geometry_bytes = geometry_bytes(fields);
        Ok(Self { disk_type, size_bytes, geometry_bytes, dynamic_at: fields.be_u64(16) })
    }
}

/// The size that QEMU takes from the geometry, which Virtual PC shows to its guests.
fn geometry_bytes(fields: Fields<'_>) -> Option<u64> {
    let creator: [u8; 4] = fields.bytes(28);
    if SIZED_BY_FIELD.contains(&creator.as_slice()) {
        return None;
    }
    let cylinders = u64::from(fields.be_u16(56));
    let [heads, sectors] = fields.bytes::<2>(58).map(u64::from);
    let total = cylinders.saturating_mul(heads).saturating_mul(sectors);
    (total != 0 && total != GEOMETRY_MAX_SECTORS).then_some(total.saturating_mul(512))
}

/// The header of a dynamic disk.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dynamic {
    pub(crate) table_at: u64,
    pub(crate) table_entries: u32,
    /// Bytes of data in a block, without its sector bitmap.
    pub(crate) block_bytes: u32,
}

impl Dynamic {
    /// Decode the header of a dynamic disk of `size_bytes`.
    pub(crate) fn decode(bytes: &[u8], size_bytes: u64) -> Result<Self, FooterError> {
        if !bytes.starts_with(b"cxsparse") {
            let found = bytes.iter().take(8).copied().collect();
            return Err(FooterError::DynamicCookie { found });
        }
        let header: &[u8; DYNAMIC_BYTES] =
            bytes.first_chunk().ok_or(FooterError::DynamicTruncated { have: bytes.len() })?;
        let fields = Fields(header);
        let (found, computed) = (fields.be_u32(36), checksum(header, 36));
        if found != computed && !cfg!(fuzzing) {
            return Err(FooterError::DynamicChecksum { found, computed });
        }
        let version = fields.be_u32(24);
        if version != 0x0001_0000 {
            return Err(FooterError::DynamicVersion { found: version });
        }
        let block_bytes = fields.be_u32(32);
        if !block_bytes.is_power_of_two() || !(512..=256 << 20).contains(&block_bytes) {
            return Err(FooterError::BlockSize { found: block_bytes });
        }
        let table_entries = fields.be_u32(28);
        let need = size_bytes.div_ceil(block_bytes.into());
        if u64::from(table_entries) < need {
            return Err(FooterError::TableEntries { found: table_entries, need });
        }
        Ok(Self { table_at: fields.be_u64(16), table_entries, block_bytes })
    }
}

/// The ones' complement of the sum of all bytes, those of the checksum at `at` left out.
pub(crate) fn checksum(bytes: &[u8], at: usize) -> u32 {
    let own = at..at.saturating_add(4);
    let others = bytes.iter().enumerate().filter(|(n, _)| !own.contains(n));
    !others.fold(0_u32, |sum, (_, byte)| sum.wrapping_add(u32::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(bytes: &mut [u8], at: usize) {
        let sum = checksum(bytes, at).to_be_bytes();
        bytes[at..at + 4].copy_from_slice(&sum);
    }

    fn sound_footer() -> Vec<u8> {
        let mut footer = vec![0; FOOTER_BYTES];
        footer[..8].copy_from_slice(b"conectix");
        footer[13] = 1;
        footer[22..24].copy_from_slice(&[2, 0]);
        footer[28..32].copy_from_slice(b"win ");
        footer[48..56].copy_from_slice(&(1_u64 << 20).to_be_bytes());
        footer[63] = 3;
        seal(&mut footer, 64);
        footer
    }

    fn sound_dynamic() -> Vec<u8> {
        let mut header = vec![0; DYNAMIC_BYTES];
        header[..8].copy_from_slice(b"cxsparse");
        header[16..24].copy_from_slice(&1536_u64.to_be_bytes());
        header[25] = 1;
        header[31] = 1;
        header[32..36].copy_from_slice(&(2_u32 << 20).to_be_bytes());
        seal(&mut header, 36);
        header
    }

    #[test]
    fn each_spoiled_footer_byte_is_named() {
        assert!(Footer::decode(&sound_footer()).is_ok());
        for (at, value, sealed, kind, message) in [
            (
                0,
                b'C',
                true,
                Kind::OtherFormat,
                "not a VHD footer: it starts with [43, 6f, 6e, 65, 63, 74, 69, 78]",
            ),
            (
                200,
                1,
                false,
                Kind::Corrupt,
                "footer checksum 0xfffffb1e at byte 64 should be 0xfffffb1d",
            ),
            (13, 2, true, Kind::Unsupported, "footer version 0x20000 at byte 12 is not 1.0"),
            (
                63,
                4,
                true,
                Kind::Unsupported,
                "the image is a differencing VHD, which kiln does not read",
            ),
            (63, 5, true, Kind::Corrupt, "disk type 5 at byte 60 is not fixed (2) or dynamic (3)"),
            (
                55,
                1,
                true,
                Kind::Corrupt,
                "current size 1048577 at byte 48 is not a multiple of 512",
            ),
        ] {
            let mut footer = sound_footer();
            footer[at] = value;
            if sealed {
                seal(&mut footer, 64);
            }
            let error = Footer::decode(&footer).unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
        }
        assert_eq!(
            Footer::decode(&sound_footer()[..511]).unwrap_err(),
            FooterError::Truncated { have: 511 }
        );
    }

    #[test]
    fn each_spoiled_dynamic_byte_is_named() {
        assert!(Dynamic::decode(&sound_dynamic(), 1 << 20).is_ok());
        for (at, value, message) in [
            (0, b'C', "not a dynamic disk header: it starts with [43, 78, 73, 70, 61, 72, 73, 65]"),
            (25, 2, "dynamic disk header version 0x20000 at byte 24 is not 1.0"),
            (35, 1, "block size 2097153 at byte 32 is not a power of two from 512 to 256 MiB"),
            (31, 0, "max table entries 0 at byte 28 is too small: 1 blocks cover the disk"),
        ] {
            let mut header = sound_dynamic();
            header[at] = value;
            seal(&mut header, 36);
            let error = Dynamic::decode(&header, 1 << 20).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    /// Virtual PC and old QEMU are read by geometry elsewhere; the others by their size field.
    #[test]
    fn the_geometry_counts_only_for_those_who_use_it() {
        for (creator, expected) in
            [(b"vpc ", Some(2 * 4 * 17 * 512)), (b"win ", None), (b"wa\0\0", None)]
        {
            let mut footer = sound_footer();
            footer[28..32].copy_from_slice(creator);
            footer[56..60].copy_from_slice(&[0, 2, 4, 17]);
            seal(&mut footer, 64);
            assert_eq!(Footer::decode(&footer).unwrap().geometry_bytes, expected);
        }
    }
}
