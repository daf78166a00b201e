//! Directories: blocks of entries, read from the first to the last.
//!
//! The hash tree of a large directory needs no code of its own: its inner blocks are made to look
//! like entries without an inode, so that a linear scan passes over them. Linux
//! Documentation/filesystems/ext4/directory.rst.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use kiln_disk::{Error, Result};

use super::ExtFs;
use super::device::Role;
use super::features::INCOMPAT_FILETYPE;
use super::inode::Inode;
use super::le::{crc32c, slice_at, u8_at, u16_at, u32_at};
use super::map::encrypted;
use crate::fs::{DirEntry, FileType, Node};

/// Some million names; the largest directory seen in a guest has ten thousand.
const MAX_DIR_BYTES: u64 = 128 << 20;
/// Inode, length, name length, type: what an entry has before its name.
const ENTRY_HEADER_BYTES: usize = 8;
/// The type byte of the entry that holds a block's checksum (EXT4_FT_DIR_CSUM).
const TYPE_CHECKSUM: u8 = 0xde;
const TAIL_BYTES: usize = 12;

/// Directories up to this size are kept by name: some 50,000 names, at most 15 MB of memory.
const MAX_INDEXED_BYTES: u64 = 2 << 20;

/// The inodes of a directory by name.
pub(super) type Names = HashMap<Box<[u8]>, u32>;

/// An entry as it lies in its block.
pub(super) struct RawEntry<'a> {
    pub(super) inode: u32,
    pub(super) name: &'a [u8],
    pub(super) type_byte: u8,
}

impl ExtFs {
    /// Call `each` for every entry that names an inode, but `.` and `..`.
    ///
    /// # Errors
    ///
    /// `Corrupt` where a block breaks the format or holds a name that no directory may hold,
    /// `Unsupported` for an encrypted directory and one of more than 128 MiB.
    pub(super) fn scan_dir(
        &self,
        inode: &Inode,
        each: &mut dyn FnMut(&RawEntry<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        let number = inode.number;
        if inode.stat.file_type != FileType::Directory {
            return Err(Error::corrupt(format!("inode {number} is not a directory")));
        }
        if inode.is_encrypted() {
            return Err(encrypted(inode, "the names in it"));
        }
        if inode.has_inline_data() {
            return self.scan_inline(inode, each);
        }
        let block_size = self.device.block_size();
        let n_blocks = inode.stat.size_bytes.div_ceil(block_size);
        if n_blocks.saturating_mul(block_size) > MAX_DIR_BYTES {
            let size = inode.stat.size_bytes;
            return Err(Error::unsupported(format!("inode {number}: a directory of {size} bytes")));
        }
        if n_blocks > self.device.n_blocks() {
            let size = inode.stat.size_bytes;
            return Err(Error::corrupt(format!(
                "inode {number}: a directory of {size} bytes, larger than the filesystem"
            )));
        }
        let mut logical = 0;
        while logical < n_blocks {
            let run = self.map(inode, logical)?;
            let n = run.n_blocks.min(n_blocks - logical);
            for block in run.physical.into_iter().flat_map(|first| first..first.saturating_add(n)) {
                let bytes = self.device.block(block, Role::Directory(number), |bytes| {
                    self.check_block(inode, bytes)
                })?;
                if self.scan_block(inode, &bytes, each)?.is_break() {
                    return Ok(());
                }
            }
            logical = logical.saturating_add(n);
        }
        Ok(())
    }

    /// The inode that `name` has in the directory `inode`.
    ///
    /// The names of a directory are kept by name, since paths go through the same few again and
    /// again; a directory too large for that, or spoiled behind the name, is scanned for it.
    ///
    /// # Errors
    ///
    /// As [`ExtFs::scan_dir`].
    pub(super) fn find_name(&self, inode: &Inode, name: &[u8]) -> Result<Option<u32>> {
        if inode.stat.size_bytes <= MAX_INDEXED_BYTES
            && let Ok(names) = self.names_of(inode)
        {
            return Ok(names.get(name).copied());
        }
        let mut found = None;
        self.scan_dir(inode, &mut |entry| {
            if entry.name != name {
                return ControlFlow::Continue(());
            }
            found = Some(entry.inode);
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    fn names_of(&self, inode: &Inode) -> Result<Arc<Names>> {
        // One more than its names, so that an empty directory has a weight as well.
        if let Some(names) = self.names.get(inode.number, |names| names.len() + 1) {
            return Ok(names);
        }
        let mut names = Names::new();
        self.scan_dir(inode, &mut |entry| {
            names.entry(entry.name.into()).or_insert(entry.inode);
            ControlFlow::Continue(())
        })?;
        let names = Arc::new(names);
        self.names.insert(inode.number, Arc::clone(&names), names.len() + 1);
        Ok(names)
    }

    /// The entry as callers see it.
    pub(super) fn dir_entry(&self, raw: &RawEntry<'_>) -> DirEntry {
        DirEntry {
            name: raw.name.to_vec(),
            node: Node { tree: 0, ino: u64::from(raw.inode) },
            file_type: file_type(raw.type_byte),
        }
    }

    /// An inline directory: the parent's number, entries in the rest of `i_block`, and more of
    /// them in an attribute. There is no `.` and no `..`.
    fn scan_inline(
        &self,
        inode: &Inode,
        each: &mut dyn FnMut(&RawEntry<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        const PARENT_BYTES: usize = 4;
        let first = inode.i_block.get(PARENT_BYTES..).unwrap_or_default();
        if self.scan_block(inode, first, each)?.is_continue() {
            let rest = self.inline_rest(inode)?;
            let _done = self.scan_block(inode, &rest, each)?;
        }
        Ok(())
    }

    fn scan_block(
        &self,
        inode: &Inode,
        bytes: &[u8],
        each: &mut dyn FnMut(&RawEntry<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let has_type = self.superblock.features.incompat & INCOMPAT_FILETYPE != 0;
        let mut at = 0;
        while at < bytes.len() {
            let entry = bytes.get(at..).unwrap_or_default();
            let length = entry_length(inode, entry)?;
            let target = u32_at(entry, 0)?;
            if target != 0 {
                let (name_length, type_byte) = match has_type {
                    true => (usize::from(u8_at(entry, 6)?), u8_at(entry, 7)?),
                    // Without types the length has 16 bits; the kernel reads the low ones.
                    false => (usize::from(u16_at(entry, 6)? & 0xff), 0),
                };
                let name = entry
                    .get(..length)
                    .and_then(|entry| slice_at(entry, ENTRY_HEADER_BYTES, name_length).ok())
                    .ok_or_else(|| {
                        Error::corrupt(format!(
                            "directory inode {}: a name of {name_length} bytes in an entry of \
                             {length}",
                            inode.number
                        ))
                    })?;
                let raw = RawEntry { inode: target, name, type_byte };
                if name != b"." && name != b".." {
                    check_name(inode, name)?;
                    if each(&raw).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
            at += length;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Judge a block by its checksum: in the last entry of a leaf, behind the hashes of an inner
    /// block.
    fn check_block(&self, inode: &Inode, bytes: &[u8]) -> Result<()> {
        if !self.superblock.features.metadata_csum() {
            return Ok(());
        }
        let tail_at = bytes.len().saturating_sub(TAIL_BYTES);
        let tail = bytes.get(tail_at..).unwrap_or_default();
        let is_leaf = u32_at(tail, 0)? == 0
            && u16_at(tail, 4)? == 12
            && u8_at(tail, 6)? == 0
            && u8_at(tail, 7)? == TYPE_CHECKSUM;
        let (stored, computed) = if let Some(count_at) = index_count_at(inode, bytes)? {
            let limit = usize::from(u16_at(bytes, count_at)?);
            let count = usize::from(u16_at(bytes, count_at + 2)?);
            let tail_at = count_at + limit * 8;
            let crc = crc32c(inode.checksum_seed, slice_at(bytes, 0, count_at + count * 8)?);
            let crc = crc32c(crc, slice_at(bytes, tail_at, 4)?);
            (u32_at(bytes, tail_at + 4)?, crc32c(crc, &[0; 4]))
        } else if is_leaf {
            (u32_at(tail, 8)?, crc32c(inode.checksum_seed, slice_at(bytes, 0, tail_at)?))
        } else {
            return Err(Error::corrupt(format!(
                "directory inode {}: a block without a checksum",
                inode.number
            )));
        };
        if stored == computed {
            return Ok(());
        }
        Err(Error::corrupt(format!(
            "directory inode {}: block checksum {stored:#010x}, computed {computed:#010x}",
            inode.number
        )))
    }
}

/// Where the limit and count are in an inner block of a hash tree; `None` for a leaf. The kernel's
/// `get_dx_countlimit`.
fn index_count_at(inode: &Inode, bytes: &[u8]) -> Result<Option<usize>> {
    if !inode.is_indexed() {
        return Ok(None);
    }
    let first = record_length(u16_at(bytes, 4)?);
    if first == bytes.len() {
        return Ok(Some(8));
    }
    let is_root = first == 12 && record_length(u16_at(bytes, 12 + 4)?) == bytes.len() - 12;
    // The root's own header: a zero, the hash version, and its length of 8.
    let is_root = is_root && u32_at(bytes, 24)? == 0 && u8_at(bytes, 29)? == 8;
    Ok(is_root.then_some(32))
}

fn entry_length(inode: &Inode, entry: &[u8]) -> Result<usize> {
    let length = match entry.get(4..6) {
        Some(_) => record_length(u16_at(entry, 4)?),
        None => 0,
    };
    let is_sound = length >= ENTRY_HEADER_BYTES && length % 4 == 0 && length <= entry.len();
    if is_sound {
        return Ok(length);
    }
    Err(Error::corrupt(format!(
        "directory inode {}: an entry of {length} bytes where {} are left",
        inode.number,
        entry.len()
    )))
}

/// In blocks of 64 KiB a length may need 17 bits: the kernel's `ext4_rec_len_from_disk`.
fn record_length(raw: u16) -> usize {
    match raw {
        0 | u16::MAX => 65536,
        raw => usize::from(raw & 0xfffc) | (usize::from(raw & 3) << 16),
    }
}

fn check_name(inode: &Inode, name: &[u8]) -> Result<()> {
    if DirEntry::is_legal_name(name) {
        return Ok(());
    }
    let number = inode.number;
    let name = name.escape_ascii();
    Err(Error::corrupt(format!("directory inode {number}: the name \"{name}\" is not a file name")))
}

fn file_type(byte: u8) -> Option<FileType> {
    Some(match byte {
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
