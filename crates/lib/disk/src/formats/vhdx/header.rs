//! The fixed places of a VHDX file: identifier, the two headers, the region table, the metadata.
//!
//! Decodes and judges byte slices and never opens a file. Layout: [MS-VHDX] 2.2 and 2.6; all
//! numbers are little-endian.

use crate::fields::{Fields, length_u64, length_usize};
use crate::{Fault, Kind};

/// A GUID as it is stored.
pub(crate) type Guid = [u8; 16];

/// Bytes of a header, its checksum included.
pub(crate) const HEADER_BYTES: usize = 4096;
/// Bytes of a region table.
pub(crate) const REGION_TABLE_BYTES: usize = 64 << 10;
/// Bytes of a metadata table, before the items.
pub(crate) const METADATA_TABLE_BYTES: usize = 64 << 10;
/// The specification's own limits: 2047 entries fill a table of 64 KiB.
const ENTRIES_MAX: usize = 2047;

const REGION_BAT: Guid = guid(0x2dc2_7766, 0xf623, 0x4200, 0x9d64_115e_9bfd_4a08);
const REGION_METADATA: Guid = guid(0x8b7c_a206, 0x4790, 0x4b9a, 0xb8fe_575f_050f_886e);
const ITEM_PARAMETERS: Guid = guid(0xcaa1_6737, 0xfa36, 0x4d43, 0xb3b6_33f0_aa44_e76b);
const ITEM_SIZE: Guid = guid(0x2fa5_4224, 0xcd1b, 0x4876, 0xb211_5dbe_d83b_f4b8);
const ITEM_LOGICAL: Guid = guid(0x8141_bf1d, 0xa96f, 0x4709, 0xba47_f233_a8fa_ab5f);
const ITEM_PHYSICAL: Guid = guid(0xcda3_48c7, 0x445d, 0x4471, 0x9cc9_e988_5251_c556);
const ITEM_PAGE_83: Guid = guid(0xbeca_12ab, 0xb2e6, 0x4523, 0x93ef_c309_e000_c746);
const ITEM_PARENT: Guid = guid(0xa8d3_5f2d, 0xb30b, 0x454d, 0xabf7_d3d8_4834_ab0c);

/// A GUID from its printed groups: the first three are stored little-endian.
const fn guid(a: u32, b: u16, c: u16, rest: u64) -> Guid {
    let ([a0, a1, a2, a3], [b0, b1], [c0, c1]) =
        (a.to_le_bytes(), b.to_le_bytes(), c.to_le_bytes());
    let [d0, d1, d2, d3, d4, d5, d6, d7] = rest.to_be_bytes();
    [a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, d2, d3, d4, d5, d6, d7]
}

/// Why a structure was refused. Byte numbers count from the start of the structure.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum HeaderError {
    #[error("not VHDX: the file starts with {found:02x?}")]
    Magic { found: Vec<u8> },
    #[error("the {what} has {have} bytes, not {need}")]
    Truncated { what: &'static str, have: usize, need: usize },
    #[error("the {what} starts with {found:02x?}")]
    Signature { what: &'static str, found: [u8; 4] },
    #[error("{what} checksum {found:#010x} at byte 4 should be {computed:#010x}")]
    Checksum { what: &'static str, found: u32, computed: u32 },
    #[error("version {found} at byte 66 is not 1")]
    Version { found: u16 },
    #[error("log version {found} at byte 64 is not 0")]
    LogVersion { found: u16 },
    #[error("log of {length} bytes at {offset}: both must be multiples of 1 MiB")]
    LogPlace { offset: u64, length: u32 },
    #[error("the {what} claims {found} entries, more than 2047")]
    Entries { what: &'static str, found: u32 },
    #[error("region {id:02x?} is required and not known")]
    Region { id: Guid },
    #[error("the region table has no {0}")]
    NoRegion(&'static str),
    #[error("metadata item {id:02x?} is required and not known")]
    Item { id: Guid },
    #[error("the metadata has no {0}")]
    NoItem(&'static str),
    #[error("the metadata item {0} reaches past its region")]
    ItemPlace(&'static str),
    #[error("the image is a differencing VHDX, which kiln does not read")]
    Differencing,
    #[error("block size {found} is not a power of two from 1 MiB to 256 MiB")]
    BlockSize { found: u32 },
    #[error("{what} sector size {found} is neither 512 nor 4096")]
    SectorSize { what: &'static str, found: u32 },
    #[error("virtual disk size {found} is not a multiple of the sector size")]
    Size { found: u64 },
}

impl HeaderError {
    /// What a caller can do about it.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Magic { .. } => Kind::OtherFormat,
            Self::Version { .. }
            | Self::LogVersion { .. }
            | Self::Region { .. }
            | Self::Item { .. }
            | Self::Differencing => Kind::Unsupported,
            _ => Kind::Corrupt,
        }
    }

    /// What the image is refused for, where that is known.
    pub(crate) fn fault(&self) -> Option<Fault> {
        match self {
            Self::BlockSize { .. } | Self::SectorSize { .. } => Some(Fault::UnitSize),
            Self::Size { .. } => Some(Fault::SizeFields),
            Self::Differencing => Some(Fault::DependsOnOther),
            Self::Truncated { .. } => Some(Fault::Truncated),
            _ => None,
        }
    }
}

/// Check signature and CRC-32C of a structure of exactly `N` bytes with the sum at byte 4.
fn checked<'a, const N: usize>(
    bytes: &'a [u8],
    what: &'static str,
    signature: &[u8; 4],
) -> Result<Fields<'a>, HeaderError> {
    let Some(whole) = bytes.first_chunk::<N>() else {
        return Err(HeaderError::Truncated { what, have: bytes.len(), need: N });
    };
    let fields = Fields(whole);
    let found: [u8; 4] = fields.bytes(0);
    if &found != signature {
        return Err(HeaderError::Signature { what, found });
    }
    let (found, computed) = (fields.le_u32(4), sum(whole));
    // The fuzzer cannot guess checksums, so they do not count in its build.
    if found != computed && !cfg!(fuzzing) {
        return Err(HeaderError::Checksum { what, found, computed });
    }
    Ok(fields)
}

/// CRC-32C of `bytes` with the four bytes of the sum itself, from byte 4 on, taken as zero.
pub(crate) fn sum(bytes: &[u8]) -> u32 {
    let head = bytes.get(..4).unwrap_or(bytes);
    let tail = bytes.get(8..).unwrap_or_default();
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(head), &[0; 4]), tail)
}

/// One of the two headers; the one with the higher sequence number is current.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Header {
    pub(crate) sequence: u64,
    /// Entries of the log with this identifier are still to be replayed; zero means none.
    pub(crate) log_guid: Guid,
    pub(crate) log_offset: u64,
    pub(crate) log_length_bytes: u32,
}

impl Header {
    /// Decode one header.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let fields = checked::<HEADER_BYTES>(bytes, "header", b"head")?;
        let version = fields.le_u16(66);
        if version != 1 {
            return Err(HeaderError::Version { found: version });
        }
        let (offset, length) = (fields.le_u64(72), fields.le_u32(68));
        if offset % (1 << 20) != 0 || length % (1 << 20) != 0 {
            return Err(HeaderError::LogPlace { offset, length });
        }
        let log_guid = fields.bytes(48);
        let log_version = fields.le_u16(64);
        if log_version != 0 && log_guid != [0; 16] {
            return Err(HeaderError::LogVersion { found: log_version });
        }
        let sequence = fields.le_u64(8);
        Ok(Self { sequence, log_guid, log_offset: offset, log_length_bytes: length })
    }
}

/// A region of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) offset: u64,
    pub(crate) length_bytes: u32,
}

/// The two regions that every VHDX file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Regions {
    pub(crate) bat: Region,
    pub(crate) metadata: Region,
}

impl Regions {
    /// Decode one region table.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let fields = checked::<REGION_TABLE_BYTES>(bytes, "region table", b"regi")?;
        let count = fields.le_u32(8);
        let (mut bat, mut metadata) = (None, None);
        for at in entries("region table", count, 16)? {
            let id: Guid = fields.bytes(at);
            let region = Region {
                offset: fields.le_u64(at.saturating_add(16)),
                length_bytes: fields.le_u32(at.saturating_add(24)),
            };
            match id {
                REGION_BAT => bat = Some(region),
                REGION_METADATA => metadata = Some(region),
                _ if fields.le_u32(at.saturating_add(28)) & 1 != 0 => {
                    return Err(HeaderError::Region { id });
                }
                _ => {}
            }
        }
        Ok(Self {
            bat: bat.ok_or(HeaderError::NoRegion("block allocation table"))?,
            metadata: metadata.ok_or(HeaderError::NoRegion("metadata region"))?,
        })
    }
}

/// The offsets of `count` entries of 32 bytes from `start` on.
fn entries(
    what: &'static str,
    count: u32,
    start: usize,
) -> Result<impl Iterator<Item = usize>, HeaderError> {
    let number = length_usize(count.into());
    if number > ENTRIES_MAX {
        return Err(HeaderError::Entries { what, found: count });
    }
    Ok((0..number).map(move |n| n.saturating_mul(32).saturating_add(start)))
}

/// The metadata items that matter to a reader.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Metadata {
    pub(crate) block_bytes: u32,
    pub(crate) size_bytes: u64,
    pub(crate) sector_bytes: u32,
    pub(crate) leave_allocated: bool,
}

impl Metadata {
    /// Decode the metadata region; `bytes` is all of it, or its first megabyte.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        if bytes.len() < METADATA_TABLE_BYTES {
            let need = METADATA_TABLE_BYTES;
            return Err(HeaderError::Truncated { what: "metadata table", have: bytes.len(), need });
        }
        let fields = Fields(bytes);
        if !bytes.starts_with(b"metadata") {
            let found = fields.bytes(0);
            return Err(HeaderError::Signature { what: "metadata table", found });
        }
        let (mut parameters, mut size, mut logical) = (None, None, None);
        for at in entries("metadata table", fields.le_u16(10).into(), 32)? {
            let id: Guid = fields.bytes(at);
            let place =
                (fields.le_u32(at.saturating_add(16)), fields.le_u32(at.saturating_add(20)));
            match id {
                ITEM_PARAMETERS => parameters = Some(item(bytes, place, "file parameters")?),
                ITEM_SIZE => size = Some(item(bytes, place, "virtual disk size")?),
                ITEM_LOGICAL => logical = Some(item(bytes, place, "logical sector size")?),
                ITEM_PARENT => return Err(HeaderError::Differencing),
                ITEM_PHYSICAL | ITEM_PAGE_83 => {}
                _ if fields.le_u32(at.saturating_add(24)) & 4 != 0 => {
                    return Err(HeaderError::Item { id });
                }
                _ => {}
            }
        }
        let parameters: [u8; 8] = parameters.ok_or(HeaderError::NoItem("file parameters"))?;
        let flags = Fields(&parameters).le_u32(4);
        let metadata = Self {
            block_bytes: Fields(&parameters).le_u32(0),
            size_bytes: u64::from_le_bytes(size.ok_or(HeaderError::NoItem("virtual disk size"))?),
            sector_bytes: u32::from_le_bytes(
                logical.ok_or(HeaderError::NoItem("logical sector size"))?,
            ),
            leave_allocated: flags & 1 != 0,
        };
        if flags & 2 != 0 {
            return Err(HeaderError::Differencing);
        }
        metadata.check()
    }

    fn check(self) -> Result<Self, HeaderError> {
        if !self.block_bytes.is_power_of_two() || !(1 << 20..=256 << 20).contains(&self.block_bytes)
        {
            return Err(HeaderError::BlockSize { found: self.block_bytes });
        }
        if ![512, 4096].contains(&self.sector_bytes) {
            return Err(HeaderError::SectorSize { what: "logical", found: self.sector_bytes });
        }
        if self.size_bytes.checked_rem(self.sector_bytes.into()) != Some(0) {
            return Err(HeaderError::Size { found: self.size_bytes });
        }
        Ok(self)
    }

    /// Payload blocks between two sector bitmap entries of the block table: 2^23 sectors' worth.
    pub(crate) fn chunk_ratio(&self) -> u64 {
        let chunk_bytes = u64::from(self.sector_bytes).saturating_mul(1 << 23);
        chunk_bytes.checked_div(self.block_bytes.into()).unwrap_or(1).max(1)
    }
}

/// The `N` bytes of an item, which lies behind the table.
fn item<const N: usize>(
    bytes: &[u8],
    (offset, length): (u32, u32),
    what: &'static str,
) -> Result<[u8; N], HeaderError> {
    let at = length_usize(offset.into());
    let there = bytes.get(at..).and_then(|rest| rest.first_chunk::<N>());
    match there {
        Some(item) if at >= METADATA_TABLE_BYTES && u64::from(length) >= length_u64(N) => Ok(*item),
        _ => Err(HeaderError::ItemPlace(what)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(bytes: &mut [u8]) {
        let sum = sum(bytes).to_le_bytes();
        bytes[4..8].copy_from_slice(&sum);
    }

    fn sound_header() -> Vec<u8> {
        let mut header = vec![0; HEADER_BYTES];
        header[..4].copy_from_slice(b"head");
        header[8] = 5;
        header[66] = 1;
        header[70] = 0x10;
        header[74] = 0x10;
        seal(&mut header);
        header
    }

    fn sound_regions() -> Vec<u8> {
        let mut table = vec![0; REGION_TABLE_BYTES];
        table[..4].copy_from_slice(b"regi");
        table[8] = 2;
        table[16..32].copy_from_slice(&REGION_BAT);
        table[34] = 0x30;
        table[48..64].copy_from_slice(&REGION_METADATA);
        table[66] = 0x20;
        seal(&mut table);
        table
    }

    fn sound_metadata() -> Vec<u8> {
        let mut region = vec![0; METADATA_TABLE_BYTES + 64];
        region[..8].copy_from_slice(b"metadata");
        region[10] = 3;
        for (n, (id, length)) in
            [(ITEM_PARAMETERS, 8), (ITEM_SIZE, 8), (ITEM_LOGICAL, 4)].into_iter().enumerate()
        {
            let at = 32 + n * 32;
            region[at..at + 16].copy_from_slice(&id);
            let offset = u32::try_from(METADATA_TABLE_BYTES + n * 8).unwrap();
            region[at + 16..at + 20].copy_from_slice(&offset.to_le_bytes());
            region[at + 20] = length;
            region[at + 24] = 4;
        }
        region[METADATA_TABLE_BYTES + 2] = 0x20;
        region[METADATA_TABLE_BYTES + 10] = 0x10;
        region[METADATA_TABLE_BYTES + 17] = 2;
        region
    }

    #[test]
    fn each_spoiled_header_byte_is_named() {
        assert_eq!(Header::decode(&sound_header()).unwrap().sequence, 5);
        for (at, value, kind, message) in [
            (0, b'H', Kind::Corrupt, "the header starts with [48, 65, 61, 64]"),
            (66, 2, Kind::Unsupported, "version 2 at byte 66 is not 1"),
            (
                69,
                1,
                Kind::Corrupt,
                "log of 1048832 bytes at 1048576: both must be multiples of 1 MiB",
            ),
        ] {
            let mut header = sound_header();
            header[at] = value;
            seal(&mut header);
            let error = Header::decode(&header).unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
        }
        let mut header = sound_header();
        header[4000] = 1;
        let error = Header::decode(&header).unwrap_err();
        assert!(matches!(error, HeaderError::Checksum { what: "header", .. }), "{error}");
    }

    #[test]
    fn each_spoiled_region_byte_is_named() {
        assert_eq!(Regions::decode(&sound_regions()).unwrap().bat.offset, 0x30_0000);
        for (at, value, message) in [
            (1, b'E', "the region table starts with [72, 45, 67, 69]"),
            (9, 8, "the region table claims 2050 entries, more than 2047"),
            (8, 1, "the region table has no metadata region"),
            (16, 0, "the region table has no block allocation table"),
        ] {
            let mut table = sound_regions();
            table[at] = value;
            seal(&mut table);
            assert_eq!(Regions::decode(&table).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn each_spoiled_metadata_byte_is_named() {
        let metadata = Metadata::decode(&sound_metadata()).unwrap();
        assert_eq!(metadata.chunk_ratio(), 2048);
        for (at, value, kind, message) in [
            (0, b'M', Kind::Corrupt, "the metadata table starts with [4d, 65, 74, 61]"),
            (11, 8, Kind::Corrupt, "the metadata table claims 2051 entries, more than 2047"),
            (10, 2, Kind::Corrupt, "the metadata has no logical sector size"),
            (51, 1, Kind::Corrupt, "the metadata item file parameters reaches past its region"),
            (
                65536,
                1,
                Kind::Corrupt,
                "block size 2097153 is not a power of two from 1 MiB to 256 MiB",
            ),
            (
                65540,
                2,
                Kind::Unsupported,
                "the image is a differencing VHDX, which kiln does not read",
            ),
            (
                65544,
                1,
                Kind::Corrupt,
                "virtual disk size 1048577 is not a multiple of the sector size",
            ),
            (65552, 1, Kind::Corrupt, "logical sector size 513 is neither 512 nor 4096"),
        ] {
            let mut region = sound_metadata();
            region[at] = value;
            let error = Metadata::decode(&region).unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
        }
    }
}
