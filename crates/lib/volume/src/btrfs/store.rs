//! Blocks by their logical address, and walks over trees made of them.
//!
//! A walk cannot run in circles: a block must be one level below its parent, begin with the key
//! that its parent names and end below the next key of the parent. Keys ascend strictly within a
//! block, so no block is met twice, and a walk is over after at most as many blocks as there are.

use std::sync::Arc;

use kiln_disk::{Error, Kind, Result, Source};

use super::block::{Block, Key, Pointer};
use super::cache::Cache;
use super::chunk::{CHUNK_ITEM, CHUNK_TREE_OBJECTID, ChunkMap};
use super::superblock::Superblock;

/// Of decoded tree blocks: a root filesystem of 4 GiB has about 100 MiB of them, and the upper
/// levels with the leaves of the directories on one path are a few hundred KiB.
const CACHE_BYTES: u64 = 8 << 20;

/// The device, and how to find logical addresses on it.
#[derive(Debug)]
pub(super) struct Store {
    source: Source,
    pub(super) superblock: Superblock,
    chunks: ChunkMap,
    blocks: Cache<u64, Arc<Block>>,
}

impl Store {
    /// Read the chunk tree, which everything else needs.
    pub(super) fn open(source: Source, superblock: Superblock) -> Result<Self> {
        let devid = superblock.devid;
        let chunks = ChunkMap::from_sys_array(&superblock.sys_chunks, devid)?;
        let per_generation = CACHE_BYTES / 2 / u64::from(superblock.node_bytes);
        let per_generation = usize::try_from(per_generation).unwrap_or(64);
        let mut store = Self { source, superblock, chunks, blocks: Cache::new(per_generation) };
        let mut all = ChunkMap::from_sys_array(&store.superblock.sys_chunks, devid)?;
        let first = Key::new(CHUNK_TREE_OBJECTID, CHUNK_ITEM, 0);
        let mut cursor = store.at_or_after(&store.superblock.chunk_root, first)?;
        while let Some((key, item)) = cursor.current() {
            if (key.objectid, key.kind) != (CHUNK_TREE_OBJECTID, CHUNK_ITEM) {
                break;
            }
            all.insert(key.offset, item, devid)?;
            cursor.advance()?;
        }
        store.chunks = all;
        Ok(store)
    }

    /// The block that `pointer` leads to, from the first copy that is sound.
    fn block(&self, pointer: &Pointer) -> Result<Arc<Block>> {
        let logical = pointer.logical;
        if let Some(block) = self.blocks.get(&logical) {
            return match block.check_against(pointer) {
                Ok(()) => Ok(block),
                Err(why) => Err(Error::corrupt(format!("tree block {logical}: {why}"))),
            };
        }
        let node_bytes = self.superblock.node_bytes;
        let unmapped = || Error::corrupt(format!("tree block {logical}: no chunk holds it"));
        let mapped = self.chunks.map(logical).ok_or_else(unmapped)?;
        if mapped.length < u64::from(node_bytes) {
            return Err(Error::corrupt(format!("tree block {logical}: its chunk ends inside it")));
        }
        let mut first_error = None;
        for physical in mapped.copies {
            match self.block_copy(pointer, physical) {
                Ok(block) => {
                    let block = Arc::new(block);
                    self.blocks.insert(logical, Arc::clone(&block));
                    return Ok(block);
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.unwrap_or_else(unmapped))
    }

    fn block_copy(&self, pointer: &Pointer, physical: u64) -> Result<Block> {
        let logical = pointer.logical;
        let corrupt = |why| Error::corrupt(format!("tree block {logical}: {why}")).at(physical);
        let size = usize::try_from(self.superblock.node_bytes)
            .map_err(|_| Error::unsupported("a tree block larger than memory"))?;
        let mut bytes = vec![0; size];
        self.read_device(physical, &mut bytes)?;
        let block = Block::decode(bytes, logical, &self.superblock).map_err(corrupt)?;
        block.check_against(pointer).map_err(corrupt)?;
        Ok(block)
    }

    /// Fill `buf` with file data from the logical address `logical` on.
    pub(super) fn read_data(&self, logical: u64, buf: &mut [u8]) -> Result<()> {
        let (mut logical, mut rest) = (logical, buf);
        while !rest.is_empty() {
            let mapped = self.chunks.map(logical).ok_or_else(|| {
                Error::corrupt(format!("file data at logical address {logical}: no chunk holds it"))
            })?;
            let length = usize::try_from(mapped.length).unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = rest.split_at_mut(length);
            let mut result = Ok(());
            for physical in mapped.copies {
                result = self.read_device(physical, now);
                if result.is_ok() {
                    break;
                }
            }
            result?;
            // `length` is at most what the chunk has left, and chunks end within 64 bits.
            logical = logical.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
            rest = later;
        }
        Ok(())
    }

    /// A read outside the device is the filesystem's fault, or the image was cut off.
    fn read_device(&self, physical: u64, buf: &mut [u8]) -> Result<()> {
        self.source.read_at(physical, buf).map_err(|error| match error.kind() {
            Kind::OutOfRange => Error::corrupt(format!(
                "{} bytes that btrfs has outside the {} bytes of the volume",
                buf.len(),
                self.source.size_bytes()
            ))
            .at(physical)
            .hint("the image may have been cut off: compare its size with the original's"),
            _ => error,
        })
    }

    /// Where the copies of a block are on the device.
    #[cfg(test)]
    pub(super) fn physical(&self, logical: u64) -> Vec<u64> {
        self.chunks.map(logical).unwrap().copies
    }

    /// A walk that starts at the last item not above `key`, or at the first of all.
    pub(super) fn at_or_before(&self, root: &Pointer, key: Key) -> Result<Cursor<'_>> {
        let mut cursor = Cursor { store: self, path: Vec::new() };
        cursor.descend(*root, None, Some(key))?;
        Ok(cursor)
    }

    /// A walk that starts at the first item not below `key`.
    pub(super) fn at_or_after(&self, root: &Pointer, key: Key) -> Result<Cursor<'_>> {
        let mut cursor = self.at_or_before(root, key)?;
        if cursor.current().is_some_and(|(found, _)| found < key) {
            cursor.advance()?;
        }
        Ok(cursor)
    }

    /// The item of exactly `key`.
    pub(super) fn item(&self, root: &Pointer, key: Key) -> Result<Option<Vec<u8>>> {
        let cursor = self.at_or_before(root, key)?;
        Ok(cursor.current().filter(|(found, _)| *found == key).map(|(_, item)| item.to_vec()))
    }
}

/// A place in a tree.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    store: &'a Store,
    /// From the root to a leaf. Empty: past the last item.
    path: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    block: Arc<Block>,
    index: usize,
    /// All keys in the block are below this one.
    end: Option<Key>,
}

impl Cursor<'_> {
    /// The item here. `None`: the tree has no more.
    pub(super) fn current(&self) -> Option<(Key, &[u8])> {
        let step = self.path.last()?;
        Some((step.block.key(step.index)?, step.block.item(step.index)?))
    }

    /// To the next item.
    pub(super) fn advance(&mut self) -> Result<()> {
        while let Some(mut step) = self.path.pop() {
            step.index = step.index.saturating_add(1);
            if step.index >= step.block.n_items() {
                continue;
            }
            let down = child(&step);
            self.path.push(step);
            return match down {
                Some((pointer, end)) => self.descend(pointer, end, None),
                None => Ok(()),
            };
        }
        Ok(())
    }

    /// Go down to a leaf: to the last item not above `key`, or to the first of all.
    fn descend(&mut self, pointer: Pointer, end: Option<Key>, key: Option<Key>) -> Result<()> {
        let (mut pointer, mut end) = (pointer, end);
        loop {
            let block = self.store.block(&pointer)?;
            if let (Some(last), Some(end)) = (block.last_key(), end)
                && last >= end
            {
                return Err(Error::corrupt(format!(
                    "tree block {}: key {last} belongs to the block after it",
                    pointer.logical
                )));
            }
            let index = key.and_then(|key| block.at_or_before(key)).unwrap_or(0);
            let step = Step { block, index, end };
            let down = child(&step);
            self.path.push(step);
            match down {
                Some(next) => (pointer, end) = next,
                None => return Ok(()),
            }
        }
    }
}

/// Where a step of an inner block leads, and the key that ends it. `None` in a leaf. The level
/// falls by one with each pointer, so going down takes at most 8 steps.
fn child(step: &Step) -> Option<(Pointer, Option<Key>)> {
    if step.block.level() == 0 {
        return None;
    }
    let end = step.block.key(step.index.saturating_add(1)).or(step.end);
    Some((step.block.pointer(step.index)?, end))
}
