//! The blocks of the filesystem: bounds, the journal's overlay, and a cache for metadata.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use kiln_disk::{Error, Result, Source};

use super::le::index;
use crate::cache::Cache;

/// Metadata that is kept: the inode tables, directories and extent blocks of a whole small guest.
const CACHE_BYTES: usize = 8 << 20;
/// The first bytes of a journal block; a data block that starts with them is logged without.
pub(super) const JOURNAL_MAGIC: [u8; 4] = 0xc03b_3998_u32.to_be_bytes();

/// What a cached block was checked as. A block may be claimed twice, by a directory and by an
/// inode table; each claim is checked for itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Role {
    /// No checksum of its own: inode tables, block maps, symlinks.
    Plain,
    /// Group descriptors.
    Descriptors,
    /// A directory block of this inode.
    Directory(u32),
    /// An extent node of this inode.
    Extents(u32),
    /// A block of extended attributes.
    Xattrs,
}

/// Where the journal holds the newest copy of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Logged {
    /// The block of the journal, counted from the start of the filesystem.
    pub(super) block: u64,
    /// Whether the first four bytes were the journal's magic and are logged as zeroes.
    pub(super) escaped: bool,
}

/// The newest copies of blocks that the journal holds, by the block they belong to. Only places
/// are kept, so memory is bounded by the number of journal blocks and not by their size.
pub(super) type Overlay = BTreeMap<u64, Logged>;

/// The filesystem's blocks.
pub(super) struct Device {
    source: Source,
    block_size: u64,
    n_blocks: u64,
    overlay: Overlay,
    cache: Cache<(u64, Role), Arc<[u8]>>,
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({} blocks of {} bytes)", self.n_blocks, self.block_size)
    }
}

impl Device {
    /// The `n_blocks` blocks that `source` starts with. The caller has seen to it that they lie
    /// inside it.
    pub(super) fn new(source: Source, block_size: u64, n_blocks: u64, overlay: Overlay) -> Self {
        Self { source, block_size, n_blocks, overlay, cache: Cache::new(CACHE_BYTES) }
    }

    /// The size of a block in bytes.
    pub(super) fn block_size(&self) -> u64 {
        self.block_size
    }

    /// The number of blocks.
    pub(super) fn n_blocks(&self) -> u64 {
        self.n_blocks
    }

    /// Fill `buf` with the bytes from `skip` in block `block` on; they may go on over later blocks.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the blocks are not inside the filesystem.
    pub(super) fn read(&self, block: u64, skip: u64, buf: &mut [u8]) -> Result<()> {
        let length = u64::try_from(buf.len()).unwrap_or(u64::MAX);
        let end = self.n_blocks.saturating_mul(self.block_size);
        let start = block
            .checked_mul(self.block_size)
            .and_then(|start| start.checked_add(skip))
            .filter(|start| start.checked_add(length).is_some_and(|stop| stop <= end))
            .ok_or_else(|| self.outside(block))?;
        self.source.read_at(start, buf)?;
        if self.overlay.is_empty() || length == 0 {
            return Ok(());
        }
        self.apply_overlay(start, start.saturating_add(length), buf)
    }

    /// Replace what the journal holds newer copies of, in `buf`, the bytes `start..stop`.
    fn apply_overlay(&self, start: u64, stop: u64, buf: &mut [u8]) -> Result<()> {
        let last = (stop - 1) / self.block_size;
        for (&block, logged) in self.overlay.range(start / self.block_size..=last) {
            let mut copy = vec![0; index(self.block_size)];
            self.read_logged(*logged, &mut copy)?;
            let block_start = block * self.block_size;
            let from = block_start.max(start);
            let to = (block_start + self.block_size).min(stop);
            let new = copy.get(index(from - block_start)..index(to - block_start));
            let target = buf.get_mut(index(from - start)..index(to - start));
            if let (Some(target), Some(new)) = (target, new) {
                target.copy_from_slice(new);
            }
        }
        Ok(())
    }

    fn read_logged(&self, logged: Logged, copy: &mut [u8]) -> Result<()> {
        let start = logged
            .block
            .checked_mul(self.block_size)
            .filter(|_| logged.block < self.n_blocks)
            .ok_or_else(|| self.outside(logged.block))?;
        self.source.read_at(start, copy)?;
        if logged.escaped
            && let Some(head) = copy.first_chunk_mut()
        {
            *head = JOURNAL_MAGIC;
        }
        Ok(())
    }

    /// A block of metadata, from the cache if it was read as `role` before. `check` judges it
    /// when it is read.
    ///
    /// # Errors
    ///
    /// `Corrupt` where it is not inside the filesystem, and what `check` says.
    pub(super) fn block(
        &self,
        block: u64,
        role: Role,
        check: impl FnOnce(&[u8]) -> Result<()>,
    ) -> Result<Arc<[u8]>> {
        let weight = index(self.block_size);
        if let Some(bytes) = self.cache.get((block, role), |_| weight) {
            return Ok(bytes);
        }
        let mut bytes = vec![0; weight];
        self.read(block, 0, &mut bytes)?;
        check(&bytes).map_err(|error| match error.offset_bytes() {
            Some(_) => error,
            None => error.at(block.saturating_mul(self.block_size)),
        })?;
        let bytes: Arc<[u8]> = bytes.into();
        self.cache.insert((block, role), Arc::clone(&bytes), weight);
        Ok(bytes)
    }

    fn outside(&self, block: u64) -> Error {
        Error::corrupt(format!(
            "block {block} is outside the {} blocks of the filesystem",
            self.n_blocks
        ))
    }
}
