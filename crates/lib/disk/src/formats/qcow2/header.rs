//! The qcow2 header: 72 bytes in version 2, at least 104 in version 3, and its extensions.
//!
//! Decodes and judges a byte slice and never opens a file. Layout: QEMU docs/interop/qcow2,
//! "Header" and "Header extensions".

use crate::fields::{Fields, length_usize, place, round_up};
use crate::{Fault, Kind};

/// QEMU's own limit (`QCOW_MAX_L1_SIZE`). It is enough for 16 TiB in 4 KiB clusters.
const L1_MAX_BYTES: u64 = 32 << 20;

/// "must not be longer than 1023 bytes", says the specification.
const BACKING_NAME_MAX_BYTES: u32 = 1023;

const INCOMPATIBLE_DIRTY: u64 = 1 << 0;
const INCOMPATIBLE_CORRUPT: u64 = 1 << 1;
const INCOMPATIBLE_DATA_FILE: u64 = 1 << 2;
const INCOMPATIBLE_COMPRESSION: u64 = 1 << 3;
const INCOMPATIBLE_EXTENDED_L2: u64 = 1 << 4;
const COMPATIBLE_LAZY_REFCOUNTS: u64 = 1 << 0;

const EXTENSION_END: u32 = 0;
const EXTENSION_BACKING_FORMAT: u32 = 0xe279_2aca;

/// Why a header was refused: the field, the byte it starts at, the value found there.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum HeaderError {
    #[error("not qcow2: the image starts with {found:02x?}")]
    Magic { found: Vec<u8> },
    #[error("the image ends at byte {have}, inside a header of {need} bytes")]
    Truncated { have: usize, need: usize },
    #[error("version {found} at byte 4 is neither 2 nor 3")]
    Version { found: u32 },
    #[error("cluster_bits {found} at byte 20 is outside 9..=21")]
    ClusterBits { found: u32 },
    #[error("the image is encrypted (crypt_method {method} at byte 32 is {name})")]
    Encrypted { method: u32, name: &'static str },
    #[error("header_length {found} at byte 100 is not a multiple of 8 from 104 to {limit}")]
    Length { found: u32, limit: u64 },
    #[error("the data is in an external data file (bit 2 at byte 72), which kiln does not open")]
    DataFile,
    #[error("incompatible features {found:#x} at byte 72 are not known")]
    Features { found: u64 },
    #[error("compression type {found} at byte 104 is neither 0 (zlib) nor 1 (zstd)")]
    Compression { found: u8 },
    #[error("compression type {found} at byte 104 and its feature bit do not agree")]
    CompressionBit { found: u8 },
    #[error(
        "extended L2 entries need clusters of 16 KiB or more; cluster_bits at byte 20 is {found}"
    )]
    SubclusterBits { found: u32 },
    #[error("refcount_order {found} at byte 96 is larger than 6")]
    RefcountOrder { found: u32 },
    #[error("l1_size {found} at byte 36 is too small: {need} entries cover the disk")]
    L1TooSmall { found: u32, need: u64 },
    #[error("l1_size {found} at byte 36 is more than the {limit} entries allowed")]
    L1TooLarge { found: u32, limit: u64 },
    #[error("l1_table_offset {found} at byte 40 is not a multiple of the cluster size")]
    L1Offset { found: u64 },
    #[error("a backing file name of {length} bytes at byte {offset} does not fit in the header")]
    BackingName { offset: u64, length: u32 },
    #[error("the header extension at byte {at} has {length} bytes, more than the header holds")]
    Extension { at: usize, length: u32 },
}

impl HeaderError {
    /// What a caller can do about it.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Magic { .. } => Kind::OtherFormat,
            Self::Version { .. }
            | Self::Encrypted { .. }
            | Self::Features { .. }
            | Self::Compression { .. }
            | Self::L1TooLarge { .. } => Kind::Unsupported,
            Self::DataFile => Kind::ExternalReference,
            _ => Kind::Corrupt,
        }
    }

    /// What the image is refused for, where that is known.
    pub(crate) fn fault(&self) -> Option<Fault> {
        match self {
            Self::Encrypted { .. } => Some(Fault::Encrypted),
            Self::ClusterBits { .. } | Self::SubclusterBits { .. } => Some(Fault::UnitSize),
            Self::L1TooSmall { .. } => Some(Fault::SizeFields),
            Self::L1TooLarge { .. } => Some(Fault::TooLarge),
            Self::Truncated { .. } => Some(Fault::Truncated),
            _ => None,
        }
    }
}

/// How clusters are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    Zlib,
    Zstd,
}

/// A header that was checked as far as it can be without the rest of the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Header {
    pub(crate) version: u32,
    /// The disk as the guest sees it.
    pub(crate) size_bytes: u64,
    pub(crate) cluster_bits: u32,
    pub(crate) l1_entries: u32,
    pub(crate) l1_offset: u64,
    pub(crate) snapshots: u32,
    pub(crate) dirty: bool,
    pub(crate) corrupt: bool,
    pub(crate) lazy_refcounts: bool,
    pub(crate) extended_l2: bool,
    pub(crate) compression: Compression,
    /// Where the name of the backing file is and how many bytes it has.
    pub(crate) backing_name: Option<(u64, u32)>,
    /// The format of the backing file, if it is recorded.
    pub(crate) backing_format: Option<String>,
}

impl Header {
    /// Decode the header that `image` starts with; `image` should hold the whole first cluster or
    /// 64 KiB of it. The extensions must end there.
    ///
    /// # Errors
    ///
    /// `OtherFormat` unless the magic matches; what kiln does not read is `Unsupported` or
    /// `ExternalReference`, everything else `Corrupt`.
    pub(crate) fn decode(image: &[u8]) -> Result<Self, HeaderError> {
        if !image.starts_with(b"QFI\xfb") {
            return Err(HeaderError::Magic { found: image.iter().take(4).copied().collect() });
        }
        need(image, 72)?;
        let fields = Fields(image);
        let version = fields.be_u32(4);
        if !(2..=3).contains(&version) {
            return Err(HeaderError::Version { found: version });
        }
        let cluster_bits = fields.be_u32(20);
        if !(9..=21).contains(&cluster_bits) {
            return Err(HeaderError::ClusterBits { found: cluster_bits });
        }
        check_encryption(fields.be_u32(32))?;
        let mut header = Self {
            version,
            size_bytes: fields.be_u64(24),
            cluster_bits,
            l1_entries: fields.be_u32(36),
            l1_offset: fields.be_u64(40),
            snapshots: fields.be_u32(60),
            dirty: false,
            corrupt: false,
            lazy_refcounts: false,
            extended_l2: false,
            compression: Compression::Zlib,
            backing_name: None,
            backing_format: None,
        };
        let header_bytes = if version == 3 { header.decode_v3(image)? } else { 72 };
        header.check_l1()?;
        header.decode_backing_name(fields.be_u64(8), fields.be_u32(16))?;
        header.decode_extensions(image, header_bytes)?;
        Ok(header)
    }

    pub(crate) fn cluster_bytes(&self) -> u64 {
        1_u64.checked_shl(self.cluster_bits).unwrap_or(u64::MAX)
    }

    /// Bytes of one L2 entry.
    pub(crate) fn l2_entry_bytes(&self) -> u64 {
        if self.extended_l2 { 16 } else { 8 }
    }

    /// Guest bytes that one L2 table covers: at most 2^(21 + 21 - 3).
    pub(crate) fn l2_covers_bytes(&self) -> u64 {
        let (entries, _) = place(self.cluster_bytes(), self.l2_entry_bytes());
        entries.saturating_mul(self.cluster_bytes())
    }

    /// Judge what version 3 added and give the length of the header.
    fn decode_v3(&mut self, image: &[u8]) -> Result<usize, HeaderError> {
        need(image, 104)?;
        let fields = Fields(image);
        let length = fields.be_u32(100);
        let limit = self.cluster_bytes().min(4096);
        if length < 104 || length % 8 != 0 || u64::from(length) > limit {
            return Err(HeaderError::Length { found: length, limit });
        }
        need(image, length_usize(length.into()))?;
        let incompatible = fields.be_u64(72);
        let known = INCOMPATIBLE_DIRTY
            | INCOMPATIBLE_CORRUPT
            | INCOMPATIBLE_DATA_FILE
            | INCOMPATIBLE_COMPRESSION
            | INCOMPATIBLE_EXTENDED_L2;
        if incompatible & !known != 0 {
            return Err(HeaderError::Features { found: incompatible & !known });
        }
        if incompatible & INCOMPATIBLE_DATA_FILE != 0 {
            return Err(HeaderError::DataFile);
        }
        let [compression] = if length > 104 { fields.bytes::<1>(104) } else { [0] };
        self.compression = match compression {
            0 => Compression::Zlib,
            1 => Compression::Zstd,
            found => return Err(HeaderError::Compression { found }),
        };
        if (compression != 0) != (incompatible & INCOMPATIBLE_COMPRESSION != 0) {
            return Err(HeaderError::CompressionBit { found: compression });
        }
        self.extended_l2 = incompatible & INCOMPATIBLE_EXTENDED_L2 != 0;
        if self.extended_l2 && self.cluster_bits < 14 {
            return Err(HeaderError::SubclusterBits { found: self.cluster_bits });
        }
        let order = fields.be_u32(96);
        if order > 6 {
            return Err(HeaderError::RefcountOrder { found: order });
        }
        self.dirty = incompatible & INCOMPATIBLE_DIRTY != 0;
        self.corrupt = incompatible & INCOMPATIBLE_CORRUPT != 0;
        self.lazy_refcounts = fields.be_u64(80) & COMPATIBLE_LAZY_REFCOUNTS != 0;
        Ok(length_usize(length.into()))
    }

    fn check_l1(&self) -> Result<(), HeaderError> {
        let (limit, covers) = (L1_MAX_BYTES / 8, self.l2_covers_bytes());
        if u64::from(self.l1_entries) > limit {
            return Err(HeaderError::L1TooLarge { found: self.l1_entries, limit });
        }
        let (need, _) = place(round_up(self.size_bytes, covers), covers);
        if u64::from(self.l1_entries) < need {
            return Err(HeaderError::L1TooSmall { found: self.l1_entries, need });
        }
        if !self.l1_offset.is_multiple_of(self.cluster_bytes()) {
            return Err(HeaderError::L1Offset { found: self.l1_offset });
        }
        Ok(())
    }

    fn decode_backing_name(&mut self, offset: u64, length: u32) -> Result<(), HeaderError> {
        if offset == 0 || length == 0 {
            return Ok(());
        }
        let end = offset.saturating_add(length.into());
        if length > BACKING_NAME_MAX_BYTES || end > self.cluster_bytes() {
            return Err(HeaderError::BackingName { offset, length });
        }
        self.backing_name = Some((offset, length));
        Ok(())
    }

    fn decode_extensions(&mut self, image: &[u8], from: usize) -> Result<(), HeaderError> {
        // The name of the backing file follows the extensions; without one the cluster ends them.
        let end = self.backing_name.map_or(self.cluster_bytes(), |(offset, _)| offset);
        let area = image.get(..length_usize(end)).unwrap_or(image);
        let mut at = from;
        while let Some(rest) = area.get(at..).filter(|rest| rest.len() >= 8) {
            let (code, length) = (Fields(rest).be_u32(0), Fields(rest).be_u32(4));
            if code == EXTENSION_END {
                break;
            }
            let padded = length_usize(u64::from(length).next_multiple_of(8));
            let body = rest.get(8..).unwrap_or_default();
            let Some(data) = body.get(..length_usize(length.into())) else {
                return Err(HeaderError::Extension { at, length });
            };
            if code == EXTENSION_BACKING_FORMAT {
                self.backing_format = Some(String::from_utf8_lossy(data).into_owned());
            }
            at = at.saturating_add(8).saturating_add(padded);
        }
        Ok(())
    }
}

fn check_encryption(method: u32) -> Result<(), HeaderError> {
    let name = match method {
        0 => return Ok(()),
        1 => "AES",
        2 => "LUKS",
        _ => "not known",
    };
    Err(HeaderError::Encrypted { method, name })
}

fn need(image: &[u8], need: usize) -> Result<(), HeaderError> {
    if image.len() < need {
        return Err(HeaderError::Truncated { have: image.len(), need });
    }
    Ok(())
}

/// The smallest sound header of version 3: 1 MiB in clusters of 64 KiB, the L1 table at 196608.
#[cfg(test)]
pub(crate) fn sound() -> Vec<u8> {
    let mut image = vec![0; 512];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"QFI\xfb");
    put(4, &3_u32.to_be_bytes());
    put(20, &16_u32.to_be_bytes());
    put(24, &(1_u64 << 20).to_be_bytes());
    put(36, &1_u32.to_be_bytes());
    put(40, &196_608_u64.to_be_bytes());
    put(96, &4_u32.to_be_bytes());
    put(100, &112_u32.to_be_bytes());
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One byte of a sound header is spoiled at a time; the error must name that byte.
    #[test]
    fn each_spoiled_byte_is_named() {
        assert!(Header::decode(&sound()).is_ok()); // or the cases below would prove nothing
        for (at, value, kind, message) in [
            (3, 0, Kind::OtherFormat, "not qcow2: the image starts with [51, 46, 49, 00]"),
            (7, 9, Kind::Unsupported, "version 9 at byte 4 is neither 2 nor 3"),
            (7, 1, Kind::Unsupported, "version 1 at byte 4 is neither 2 nor 3"),
            (23, 8, Kind::Corrupt, "cluster_bits 8 at byte 20 is outside 9..=21"),
            (23, 22, Kind::Corrupt, "cluster_bits 22 at byte 20 is outside 9..=21"),
            (
                35,
                2,
                Kind::Unsupported,
                "the image is encrypted (crypt_method 2 at byte 32 is LUKS)",
            ),
            (35, 1, Kind::Unsupported, "the image is encrypted (crypt_method 1 at byte 32 is AES)"),
            (39, 0, Kind::Corrupt, "l1_size 0 at byte 36 is too small: 1 entries cover the disk"),
            (
                36,
                1,
                Kind::Unsupported,
                "l1_size 16777217 at byte 36 is more than the 4194304 entries allowed",
            ),
            (
                47,
                8,
                Kind::Corrupt,
                "l1_table_offset 196616 at byte 40 is not a multiple of the cluster size",
            ),
            (
                79,
                4,
                Kind::ExternalReference,
                "the data is in an external data file (bit 2 at byte 72), which kiln does not open",
            ),
            (79, 0x20, Kind::Unsupported, "incompatible features 0x20 at byte 72 are not known"),
            (99, 7, Kind::Corrupt, "refcount_order 7 at byte 96 is larger than 6"),
            (
                103,
                96,
                Kind::Corrupt,
                "header_length 96 at byte 100 is not a multiple of 8 from 104 to 4096",
            ),
            (
                103,
                113,
                Kind::Corrupt,
                "header_length 113 at byte 100 is not a multiple of 8 from 104 to 4096",
            ),
            (
                104,
                2,
                Kind::Unsupported,
                "compression type 2 at byte 104 is neither 0 (zlib) nor 1 (zstd)",
            ),
            (
                104,
                1,
                Kind::Corrupt,
                "compression type 1 at byte 104 and its feature bit do not agree",
            ),
        ] {
            let mut image = sound();
            image[at] = value;
            let error = Header::decode(&image).unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
        }
    }

    #[test]
    fn a_header_that_ends_early_says_where() {
        for (have, need) in [(4, 72), (71, 72), (72, 104), (111, 112)] {
            let error = Header::decode(&sound()[..have]).unwrap_err();
            assert_eq!(error, HeaderError::Truncated { have, need });
        }
    }

    #[test]
    fn the_backing_name_and_extensions_stay_inside_the_header() {
        let mut image = sound();
        image[8..16].copy_from_slice(&400_u64.to_be_bytes());
        image[16..20].copy_from_slice(&9_u32.to_be_bytes());
        image[112..116].copy_from_slice(&EXTENSION_BACKING_FORMAT.to_be_bytes());
        image[116..120].copy_from_slice(&3_u32.to_be_bytes());
        image[120..123].copy_from_slice(b"raw");
        let header = Header::decode(&image).unwrap();
        assert_eq!(header.backing_name, Some((400, 9)));
        assert_eq!(header.backing_format.as_deref(), Some("raw"));

        image[119] = 0xff;
        image[118] = 0xff;
        let error = Header::decode(&image).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the header extension at byte 112 has 65535 bytes, more than the header holds"
        );
        image[16..20].copy_from_slice(&1024_u32.to_be_bytes());
        let error = Header::decode(&image).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a backing file name of 1024 bytes at byte 400 does not fit in the header"
        );
    }
}
