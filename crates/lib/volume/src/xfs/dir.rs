//! Directories: in the inode, or in data blocks. The hash index beyond 32 GiB is not needed: a
//! lookup reads all names of the directory once and keeps them for the next.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use kiln_disk::{Error, Result};

use super::Xfs;
use super::bytes::{crc_holds, index, u8_at, u16_at, u32_at, u64_at};
use super::inode::{Format, Inode};
use crate::field::length_u64;
use crate::fs::{DirEntry, FileType, Node};

/// Where the data blocks of a directory end and its index begins.
const LEAF_OFFSET_BYTES: u64 = 32 << 30;

/// A directory beyond this weight is not kept for lookups, but read for each of them.
const MAX_NAMES_WEIGHT: usize = 8 << 20;
/// What an entry of [`Names`] weighs beside its name: the map's own bytes for it, and the node.
const ENTRY_WEIGHT: usize = 64;

type Each<'a> = &'a mut dyn FnMut(DirEntry) -> ControlFlow<()>;

/// The names of a directory that was looked into.
#[derive(Debug, Default)]
pub(super) struct Names {
    nodes: HashMap<Vec<u8>, Node>,
    weight: usize,
}

/// The entry `name` of `dir`.
pub(super) fn lookup(fs: &Xfs, dir: &Inode, name: &[u8]) -> Result<Option<Node>> {
    if let Some(names) = fs.names.get(dir.ino, |names| names.weight) {
        return Ok(names.nodes.get(name).copied());
    }
    let (mut names, mut found) = (Names::default(), None);
    read(fs, dir, &mut |entry| {
        if found.is_none() && entry.name == name {
            found = Some(entry.node);
        }
        names.weight = names.weight.saturating_add(entry.name.len() + ENTRY_WEIGHT);
        if names.weight <= MAX_NAMES_WEIGHT {
            names.nodes.entry(entry.name).or_insert(entry.node);
        } else if found.is_some() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    if names.weight <= MAX_NAMES_WEIGHT {
        let weight = names.weight.saturating_add(ENTRY_WEIGHT);
        fs.names.insert(dir.ino, Arc::new(names), weight);
    }
    Ok(found)
}

/// Call `each` for every entry of `dir`.
pub(super) fn read(fs: &Xfs, dir: &Inode, each: Each<'_>) -> Result<()> {
    if dir.stat.file_type != FileType::Directory {
        return Err(Error::corrupt(format!("xfs inode {} is not a directory", dir.ino)));
    }
    if dir.data.format == Format::Local {
        return short_form(fs, dir, each);
    }
    let block_bytes = u64::from(fs.sb.block_bytes);
    let n_blocks = u64::from(fs.sb.dir_block_bytes) / block_bytes;
    let extents = fs.extents(dir, false)?;
    let limit = LEAF_OFFSET_BYTES / block_bytes;
    let mut bytes = vec![0; index(fs.sb.dir_block_bytes)];
    let mut next = 0;
    for extent in extents.iter() {
        let mut at = next.max(extent.file_block / n_blocks * n_blocks);
        while at < extent.end().min(limit) {
            let Some(offset) = fs.mapped_offset(&extents, at, n_blocks)? else {
                let message = format!("xfs inode {}: directory block {at} has a hole", dir.ino);
                return Err(Error::corrupt(message));
            };
            fs.read_mapped(&extents, at * block_bytes, &mut bytes)?;
            let block = DataBlock { fs, ino: dir.ino, number: at, offset, bytes: &bytes };
            if block.entries(each)?.is_break() {
                return Ok(());
            }
            at += n_blocks;
        }
        next = at;
    }
    Ok(())
}

fn short_form(fs: &Xfs, dir: &Inode, each: Each<'_>) -> Result<()> {
    let corrupt = |what| Error::corrupt(format!("xfs inode {}: directory: {what}", dir.ino));
    let bytes = dir.data.bytes.get(..index(dir.stat.size_bytes));
    let bytes = bytes.ok_or_else(|| corrupt("it reaches past the inode"))?;
    let ino_bytes = if u8_at(bytes, 1) > 0 { 8 } else { 4 };
    let mut at = 2 + ino_bytes;
    for _ in 0..u8_at(bytes, 0) {
        let name_end = at + 3 + usize::from(u8_at(bytes, at));
        let ino_at = name_end + usize::from(fs.sb.has_ftype);
        let (Some(name), true) = (bytes.get(at + 3..name_end), ino_at + ino_bytes <= bytes.len())
        else {
            return Err(corrupt("an entry reaches past its end"));
        };
        if name.is_empty() {
            return Err(corrupt("an entry without a name"));
        }
        let ino = if ino_bytes == 8 { u64_at(bytes, ino_at) } else { u32_at(bytes, ino_at).into() };
        let file_type = fs.sb.has_ftype.then(|| u8_at(bytes, name_end)).and_then(file_type);
        if emit(name, ino, file_type, each).is_break() {
            return Ok(());
        }
        at = ino_at + ino_bytes;
    }
    Ok(())
}

/// A data block of a directory: a header, entries and free ranges, each a multiple of 8 bytes.
struct DataBlock<'a> {
    fs: &'a Xfs,
    ino: u64,
    /// The file block it begins at.
    number: u64,
    /// Where it begins in the volume, in bytes.
    offset: u64,
    bytes: &'a [u8],
}

impl DataBlock<'_> {
    fn corrupt(&self, at: usize, what: &str) -> Error {
        let Self { ino, number, .. } = self;
        Error::corrupt(format!("xfs inode {ino}: directory block {number}: {what}"))
            .at(self.offset.saturating_add(length_u64(at)))
    }

    /// Judge the header. Where the entries begin and where they end.
    fn bounds(&self) -> Result<(usize, usize)> {
        let has_crc = self.fs.sb.has_crc;
        let (single, many, header): (&[u8], &[u8], _) =
            if has_crc { (b"XDB3", b"XDD3", 64) } else { (b"XD2B", b"XD2D", 16) };
        let is_single = self.bytes.starts_with(single);
        if !is_single && !self.bytes.starts_with(many) {
            return Err(self.corrupt(0, "wrong magic"));
        }
        if has_crc && !crc_holds(self.bytes, 4) {
            return Err(self.corrupt(4, "wrong checksum"));
        }
        if has_crc && u64_at(self.bytes, 8) != self.offset / 512 {
            return Err(self.corrupt(8, "it says to be another block"));
        }
        if has_crc && u64_at(self.bytes, 40) != self.ino {
            return Err(self.corrupt(40, "it belongs to another inode"));
        }
        let size = self.bytes.len();
        if !is_single {
            return Ok((header, size));
        }
        // The only block of a directory holds its index too, at the end and counted there.
        let count_at = size.saturating_sub(8);
        let n_leaves = index(u32_at(self.bytes, count_at));
        match count_at.checked_sub(n_leaves.saturating_mul(8)) {
            Some(end) if end >= header => Ok((header, end)),
            _ => Err(self.corrupt(count_at, "its index is too long")),
        }
    }

    fn entries(&self, each: Each<'_>) -> Result<ControlFlow<()>> {
        let (mut at, end) = self.bounds()?;
        let has_ftype = self.fs.sb.has_ftype;
        while at < end {
            let is_free = u16_at(self.bytes, at) == 0xffff;
            let name_end = at + 9 + usize::from(u8_at(self.bytes, at + 8));
            let length = if is_free {
                usize::from(u16_at(self.bytes, at + 2))
            } else {
                (name_end - at + usize::from(has_ftype) + 2).next_multiple_of(8)
            };
            if length < 8 || length % 8 != 0 {
                return Err(self.corrupt(at + 2, "a free range of impossible length"));
            }
            if at + length > end {
                return Err(self.corrupt(at, "an entry reaches past its end"));
            }
            // Both kinds end with their own offset, which tells that the lengths before are right.
            if usize::from(u16_at(self.bytes, at + length - 2)) != at {
                return Err(self.corrupt(at, "an entry does not end with its own offset"));
            }
            let name = self.bytes.get(at + 9..name_end).unwrap_or_default();
            if !is_free && name.is_empty() {
                return Err(self.corrupt(at + 8, "an entry without a name"));
            }
            let code = has_ftype.then(|| u8_at(self.bytes, name_end));
            let ino = u64_at(self.bytes, at);
            if !is_free && emit(name, ino, code.and_then(file_type), each).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            at += length;
        }
        Ok(ControlFlow::Continue(()))
    }
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
