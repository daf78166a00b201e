//! Extent trees: what maps the blocks of a file since ext4.
//!
//! The root is in the inode, with room for four entries; each deeper node fills a block. Linux
//! Documentation/filesystems/ext4/ifork.rst, "Extent Tree".

use std::sync::Arc;

use kiln_disk::{Error, Result};

use super::ExtFs;
use super::device::Role;
use super::inode::Inode;
use super::le::{crc32c, join, slice_at, u16_at, u32_at};
use super::map::Run;

const MAGIC: u16 = 0xf30a;
/// Deeper than any file of 2^32 blocks needs (EXT4_MAX_EXTENT_DEPTH).
const MAX_DEPTH: u16 = 5;
/// Header and entries have the same size.
const ENTRY_BYTES: usize = 12;
/// Longer extents are allocated and not written: they read as zeroes, and their length is what is
/// above (EXT_INIT_MAX_LEN).
const MAX_WRITTEN_BLOCKS: u32 = 32768;

/// The node being searched: in the inode, or a block of its own.
enum Node<'a> {
    Root(&'a [u8]),
    Block(Arc<[u8]>),
}

impl Node<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Root(bytes) => bytes,
            Self::Block(bytes) => bytes,
        }
    }
}

impl ExtFs {
    /// The run that the logical block `logical` of `inode` begins, by its extent tree.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a tree that breaks its format.
    pub(super) fn map_extents(&self, inode: &Inode, logical: u64) -> Result<Run> {
        let number = inode.number;
        let mut node = Node::Root(&inode.i_block);
        check_node(number, node.bytes(), None)?;
        let mut depth = u16_at(node.bytes(), 6)?;
        // The first logical block behind what the node covers.
        let mut end = u64::from(u32::MAX) + 1;
        if logical >= end {
            return Ok(Run { physical: None, n_blocks: u64::MAX - logical });
        }
        loop {
            let (position, next) = search(node.bytes(), logical)?;
            end = next.unwrap_or(end).min(end);
            let Some(position) = position else {
                return Ok(Run { physical: None, n_blocks: end.saturating_sub(logical).max(1) });
            };
            let entry = slice_at(node.bytes(), position, ENTRY_BYTES)?;
            if depth == 0 {
                return self.extent_run(number, entry, logical, end);
            }
            depth -= 1;
            let child = join(u32::from(u16_at(entry, 8)?), u32_at(entry, 4)?);
            node = Node::Block(self.device.block(child, Role::Extents(number), |bytes| {
                check_node(number, bytes, Some(depth))?;
                self.check_node_checksum(inode, bytes)
            })?);
        }
    }

    /// The rest of the extent `entry` from `logical` on, or the hole behind it up to `end`.
    fn extent_run(&self, number: u32, entry: &[u8], logical: u64, end: u64) -> Result<Run> {
        let first = u64::from(u32_at(entry, 0)?);
        let length = u32::from(u16_at(entry, 4)?);
        let is_written = length <= MAX_WRITTEN_BLOCKS;
        let n_blocks = u64::from(if is_written { length } else { length - MAX_WRITTEN_BLOCKS });
        let physical = join(u32::from(u16_at(entry, 6)?), u32_at(entry, 8)?);
        let skipped = logical.saturating_sub(first);
        if skipped >= n_blocks {
            return Ok(Run { physical: None, n_blocks: end.saturating_sub(logical).max(1) });
        }
        let stop = physical.saturating_add(n_blocks);
        if physical <= u64::from(self.superblock.first_data_block) || stop > self.device.n_blocks()
        {
            return Err(Error::corrupt(format!(
                "inode {number}: extent of {n_blocks} blocks at block {physical} is outside the \
                 filesystem"
            )));
        }
        Ok(Run {
            physical: is_written.then_some(physical.saturating_add(skipped)),
            n_blocks: n_blocks - skipped,
        })
    }

    fn check_node_checksum(&self, inode: &Inode, bytes: &[u8]) -> Result<()> {
        if !self.superblock.features.metadata_csum() {
            return Ok(());
        }
        let max = usize::from(u16_at(bytes, 4)?);
        let tail = ENTRY_BYTES * (max + 1);
        let stored = u32_at(bytes, tail)?;
        let computed = crc32c(inode.checksum_seed, slice_at(bytes, 0, tail)?);
        if stored == computed {
            return Ok(());
        }
        Err(Error::corrupt(format!(
            "inode {}: extent block checksum {stored:#010x}, computed {computed:#010x}",
            inode.number
        )))
    }
}

/// Judge a node: magic, depth (`wanted`, or for the root any that is allowed), counts, and that
/// the logical blocks rise.
fn check_node(number: u32, bytes: &[u8], wanted: Option<u16>) -> Result<()> {
    let magic = u16_at(bytes, 0)?;
    if magic != MAGIC {
        return Err(Error::corrupt(format!(
            "inode {number}: extent node starts with {magic:#06x} and not with {MAGIC:#06x}"
        )));
    }
    let (entries, max) = (u16_at(bytes, 2)?, u16_at(bytes, 4)?);
    let room = bytes.len() / ENTRY_BYTES - 1;
    if entries > max || usize::from(max) > room {
        return Err(Error::corrupt(format!(
            "inode {number}: extent node with {entries} of {max} entries, where {room} fit"
        )));
    }
    let depth = u16_at(bytes, 6)?;
    if depth != wanted.unwrap_or(depth) || depth > MAX_DEPTH {
        return Err(Error::corrupt(format!(
            "inode {number}: extent node of depth {depth}, {}",
            match wanted {
                Some(wanted) => format!("where {wanted} is due"),
                None => format!("more than {MAX_DEPTH}"),
            }
        )));
    }
    let mut last = None;
    for entry in 1..=usize::from(entries) {
        let logical = u32_at(bytes, entry * ENTRY_BYTES)?;
        if last.is_some_and(|last| last >= logical) {
            return Err(Error::corrupt(format!(
                "inode {number}: extent {entry} at logical block {logical} is out of order"
            )));
        }
        last = Some(logical);
    }
    Ok(())
}

/// The byte of the last entry that starts at or before `logical`, and where the one behind it
/// starts.
fn search(bytes: &[u8], logical: u64) -> Result<(Option<usize>, Option<u64>)> {
    let entries = usize::from(u16_at(bytes, 2)?);
    let start_of = |entry: usize| u32_at(bytes, (entry + 1) * ENTRY_BYTES).map(u64::from);
    // How many entries start at or before `logical`.
    let (mut low, mut high) = (0, entries);
    while low < high {
        let middle = low + (high - low) / 2;
        if start_of(middle)? <= logical {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let next = if low < entries { Some(start_of(low)?) } else { None };
    Ok(((low > 0).then_some(low * ENTRY_BYTES), next))
}
