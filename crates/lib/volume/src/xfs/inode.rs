//! The inode core: 100 bytes in version 4 filesystems, 176 in version 5, then the data fork and
//! the attribute fork. Layout: "XFS Algorithms & Data Structures", "On-disk Inode".

use kiln_disk::{Error, Result};

use super::bytes::{crc_holds, index, u8_at, u16_at, u32_at, u64_at};
use super::superblock::Superblock;
use crate::fs::{FileType, Stat};

/// What a fork holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Device,
    Local,
    Extents,
    Btree,
}

/// One of the two forks of an inode.
#[derive(Debug)]
pub(super) struct Fork {
    pub(super) format: Format,
    pub(super) n_extents: u64,
    pub(super) bytes: Vec<u8>,
}

/// A decoded inode.
#[derive(Debug)]
pub(super) struct Inode {
    pub(super) ino: u64,
    pub(super) stat: Stat,
    pub(super) realtime: bool,
    /// Blocks of both forks and of their trees, as the inode counts them.
    pub(super) n_blocks: u64,
    pub(super) data: Fork,
    pub(super) attr: Option<Fork>,
}

impl Inode {
    /// Decode the inode that `bytes` are.
    pub(super) fn decode(sb: &Superblock, ino: u64, bytes: &[u8]) -> Result<Self> {
        let corrupt = |what: String| Error::corrupt(format!("xfs inode {ino}: {what}"));
        if !bytes.starts_with(b"IN") {
            return Err(corrupt("the magic is not IN".to_owned()));
        }
        let version = u8_at(bytes, 4);
        if (version == 3) != sb.has_crc || !(1..=3).contains(&version) {
            return Err(corrupt(format!("version {version} does not fit the superblock")));
        }
        if sb.has_crc && !crc_holds(bytes, 100) {
            return Err(corrupt("wrong checksum".to_owned()));
        }
        if sb.has_crc && u64_at(bytes, 152) != ino {
            return Err(corrupt(format!("it says to be inode {}", u64_at(bytes, 152))));
        }
        let mode = u16_at(bytes, 2);
        let file_type = FileType::from_mode(mode.into())
            .ok_or_else(|| corrupt(format!("mode {mode:#o} has no file type")))?;
        let flags2 = if sb.has_crc { u64_at(bytes, 120) } else { 0 };
        let (data, attr) = forks(bytes, sb.has_crc, flags2 & 0x10 != 0).map_err(corrupt)?;
        let size_bytes = u64_at(bytes, 56);
        if i64::try_from(size_bytes).is_err() {
            return Err(corrupt(format!("size {size_bytes} is negative")));
        }
        let flags = u16_at(bytes, 90);
        let is_device = matches!(file_type, FileType::CharDevice | FileType::BlockDevice);
        let device = u32_at(&data.bytes, 0);
        let stat = Stat {
            file_type,
            mode: mode & 0o7777,
            uid: u32_at(bytes, 8),
            gid: u32_at(bytes, 12),
            size_bytes,
            n_links: if version == 1 { u16_at(bytes, 6).into() } else { u32_at(bytes, 16) },
            mtime_s: mtime_s(u64_at(bytes, 40), flags2 & 8 != 0),
            immutable: flags & 8 != 0,
            device: is_device.then_some((device >> 18 & 0x3fff, device & 0x3_ffff)),
        };
        Ok(Self { ino, stat, realtime: flags & 1 != 0, n_blocks: u64_at(bytes, 64), data, attr })
    }
}

/// Seconds since 1970: the upper half of the old form, nanoseconds since 1901 in the big one.
fn mtime_s(raw: u64, big: bool) -> i64 {
    if big {
        return i64::try_from(raw / 1_000_000_000).unwrap_or(0) - (1 << 31);
    }
    let [a, b, c, d, ..] = raw.to_be_bytes();
    i32::from_be_bytes([a, b, c, d]).into()
}

fn forks(bytes: &[u8], has_crc: bool, big: bool) -> Result<(Fork, Option<Fork>), String> {
    let start = if has_crc { 176 } else { 100 };
    let area = bytes.get(start..).ok_or("it is cut short")?;
    let at = usize::from(u8_at(bytes, 82)) * 8;
    if at >= area.len() {
        return Err(format!("the attribute fork at byte {at} is outside it"));
    }
    let (n_data, n_attr) = match big {
        true => (u64_at(bytes, 24), u64::from(u32_at(bytes, 76))),
        false => (u32_at(bytes, 76).into(), u16_at(bytes, 80).into()),
    };
    let (data, attr) = if at == 0 { (area, None) } else { (&area[..at], Some(&area[at..])) };
    let data = fork("data", u8_at(bytes, 5), n_data, data)?;
    let attr = attr.map(|attr| fork("attribute", u8_at(bytes, 83), n_attr, attr)).transpose()?;
    Ok((data, attr))
}

fn fork(name: &str, format: u8, n_extents: u64, bytes: &[u8]) -> Result<Fork, String> {
    let format = match format {
        0 if name == "data" => Format::Device,
        1 => Format::Local,
        2 => Format::Extents,
        3 => Format::Btree,
        other => return Err(format!("{name} fork format {other} is unknown")),
    };
    if format == Format::Extents && index(n_extents) > bytes.len() / 16 {
        return Err(format!("{n_extents} extents do not fit the {name} fork"));
    }
    Ok(Fork { format, n_extents, bytes: bytes.to_vec() })
}
