//! Directories: in the inode, or in data blocks. The hash index beyond 32 GiB is not needed to
//! list, and a lookup reads the data blocks in order.

use std::ops::ControlFlow;

use kiln_disk::{Error, Result};

use super::Xfs;
use super::bytes::{crc_holds, index, u8_at, u16_at, u32_at, u64_at};
use super::inode::{Format, Inode};
use crate::fs::{DirEntry, FileType, Node};

/// Where the data blocks of a directory end and its index begins.
const LEAF_OFFSET_BYTES: u64 = 32 << 30;

type Each<'a> = &'a mut dyn FnMut(DirEntry) -> ControlFlow<()>;

/// Call `each` for every entry of `dir`.
pub(super) fn read(fs: &Xfs, dir: &Inode, each: Each<'_>) -> Result<()> {
    if dir.stat.file_type != FileType::Directory {
        return Err(Error::corrupt(format!("xfs inode {} is not a directory", dir.ino)));
    }
    if dir.data.format == Format::Local {
        return short_form(fs, dir, each);
    }
    let block_bytes = u64::from(fs.sb.block_bytes);
    let dir_blocks = u64::from(fs.sb.dir_block_bytes) / block_bytes;
    let extents = fs.extents(dir, false)?;
    let limit = LEAF_OFFSET_BYTES / block_bytes;
    // The tree holds no more than the filesystem, so neither does a sound directory.
    let mut budget = fs.sb.n_blocks;
    let mut buf = vec![0; index(fs.sb.dir_block_bytes)];
    let mut next = 0;
    for extent in extents.iter() {
        let end = extent.file_block + extent.n_blocks;
        let mut at = next.max(extent.file_block / dir_blocks * dir_blocks);
        while at < end.min(limit) {
            budget = budget.checked_sub(dir_blocks).ok_or_else(|| {
                Error::corrupt(format!("xfs inode {}: directory larger than its disk", dir.ino))
            })?;
            fs.read_mapped(&extents, at * block_bytes, &mut buf)?;
            if data_block(fs, dir, at, &buf, each)?.is_break() {
                return Ok(());
            }
            at += dir_blocks;
        }
        next = at;
    }
    Ok(())
}

fn corrupt(dir: &Inode, block: u64, what: &str) -> Error {
    Error::corrupt(format!("xfs inode {}: directory block {block}: {what}", dir.ino))
}

fn short_form(fs: &Xfs, dir: &Inode, each: Each<'_>) -> Result<()> {
    let bytes = &dir.data.bytes;
    let ino_bytes = if u8_at(bytes, 1) > 0 { 8 } else { 4 };
    let mut at = 2 + ino_bytes;
    for _ in 0..u8_at(bytes, 0).max(u8_at(bytes, 1)) {
        let name_end = at + 3 + usize::from(u8_at(bytes, at));
        let ino_at = name_end + usize::from(fs.sb.has_ftype);
        let (Some(name), true) = (bytes.get(at + 3..name_end), ino_at + ino_bytes <= bytes.len())
        else {
            return Err(corrupt(dir, 0, "an entry reaches past the inode"));
        };
        let ino = if ino_bytes == 8 { u64_at(bytes, ino_at) } else { u32_at(bytes, ino_at).into() };
        let file_type = fs.sb.has_ftype.then(|| u8_at(bytes, name_end)).and_then(file_type);
        if emit(name, ino, file_type, each).is_break() {
            return Ok(());
        }
        at = ino_at + ino_bytes;
    }
    Ok(())
}

fn data_block(
    fs: &Xfs,
    dir: &Inode,
    number: u64,
    block: &[u8],
    each: Each<'_>,
) -> Result<ControlFlow<()>> {
    let (single, many, header): (&[u8], &[u8], _) =
        if fs.sb.has_crc { (b"XDB3", b"XDD3", 64) } else { (b"XD2B", b"XD2D", 16) };
    let mut end = block.len();
    if block.starts_with(single) {
        let n_leaves = index(u32_at(block, end.saturating_sub(8)));
        let tail = n_leaves.saturating_mul(8).saturating_add(8);
        end = end.checked_sub(tail).ok_or_else(|| corrupt(dir, number, "its index is too long"))?;
    } else if !block.starts_with(many) {
        return Err(corrupt(dir, number, "wrong magic"));
    }
    if fs.sb.has_crc && !crc_holds(block, 4) {
        return Err(corrupt(dir, number, "wrong checksum"));
    }
    if fs.sb.has_crc && u64_at(block, 40) != dir.ino {
        return Err(corrupt(dir, number, "it belongs to another inode"));
    }
    let mut at = header;
    while at < end {
        if u16_at(block, at) == 0xffff {
            let length = usize::from(u16_at(block, at + 2));
            if length < 8 || length % 8 != 0 {
                return Err(corrupt(dir, number, "a free range of impossible length"));
            }
            at += length;
            continue;
        }
        let name_end = at + 9 + usize::from(u8_at(block, at + 8));
        let length = (name_end - at + usize::from(fs.sb.has_ftype) + 2).next_multiple_of(8);
        let (Some(name), true) = (block.get(at + 9..name_end), at + length <= end) else {
            return Err(corrupt(dir, number, "an entry reaches past its end"));
        };
        let file_type = fs.sb.has_ftype.then(|| u8_at(block, name_end)).and_then(file_type);
        if emit(name, u64_at(block, at), file_type, each).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        at += length;
    }
    Ok(ControlFlow::Continue(()))
}

fn emit(name: &[u8], ino: u64, file_type: Option<FileType>, each: Each<'_>) -> ControlFlow<()> {
    if !DirEntry::is_legal_name(name) {
        return ControlFlow::Continue(());
    }
    each(DirEntry { name: name.to_vec(), node: Node { tree: 0, ino }, file_type })
}

fn file_type(code: u8) -> Option<FileType> {
    Some(match code {
        1 => FileType::Regular,
        2 => FileType::Directory,
        3 => FileType::CharDevice,
        4 => FileType::BlockDevice,
        5 => FileType::Fifo,
        6 => FileType::Socket,
        7 => FileType::Symlink,
        _ => return None,
    })
}
