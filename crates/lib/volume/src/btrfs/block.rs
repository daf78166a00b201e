//! A tree block: a header of 101 bytes, then either pointers to blocks one level down or items
//! with their data growing towards them from the end.
//!
//! Everything that can be judged by the block alone is judged when it is decoded, so that what
//! walks over it needs no checks of its own: items lie inside, keys ascend strictly.
//! Source: `struct btrfs_header`, `btrfs_item` and `btrfs_key_ptr` in the kernel's
//! `include/uapi/linux/btrfs_tree.h`.

use std::fmt;

use super::field::{u8_at, u32_at, u64_at, uuid_at};
use super::superblock::Superblock;

/// Levels of a tree are 0..=7: the kernel's `BTRFS_MAX_LEVEL`.
pub(super) const MAX_LEVEL: u8 = 8;
const HEADER_BYTES: usize = 101;
const ITEM_BYTES: usize = 25;
const POINTER_BYTES: usize = 33;
const KEY_BYTES: usize = 17;

/// What an item is about: an object, a type, and a number whose meaning the type decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) objectid: u64,
    pub(super) kind: u8,
    pub(super) offset: u64,
}

impl Key {
    pub(super) const BYTES: usize = KEY_BYTES;

    pub(super) const fn new(objectid: u64, kind: u8, offset: u64) -> Self {
        Self { objectid, kind, offset }
    }

    /// The key in the first 17 bytes of `bytes`.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self::new(u64_at(bytes, 0)?, u8_at(bytes, 8)?, u64_at(bytes, 9)?))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} {} {})", self.objectid, self.kind, self.offset)
    }
}

/// Where a block is and what its parent says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pointer {
    pub(super) logical: u64,
    pub(super) level: u8,
    pub(super) generation: u64,
    /// The first key, unless the pointer is that of a root.
    pub(super) first: Option<Key>,
}

/// A decoded block.
#[derive(Debug)]
pub(super) struct Block {
    bytes: Vec<u8>,
    level: u8,
    generation: u64,
    n_items: usize,
}

impl Block {
    /// Decode and judge the block that was read for the logical address `logical`. The error says
    /// what is wrong with it, without its place.
    pub(super) fn decode(bytes: Vec<u8>, logical: u64, sb: &Superblock) -> Result<Self, String> {
        sb.checksum.verify(&bytes)?;
        let short = || "it ends inside its header".to_owned();
        let bytenr = u64_at(&bytes, 0x30).ok_or_else(short)?;
        if bytenr != logical {
            return Err(format!("its header says that it is block {bytenr}"));
        }
        if uuid_at(&bytes, 0x20) != Some(sb.metadata_uuid) {
            return Err("its header has the id of another filesystem".to_owned());
        }
        let level = u8_at(&bytes, 0x64).ok_or_else(short)?;
        if level >= MAX_LEVEL {
            return Err(format!("level {level} is above 7"));
        }
        let generation = u64_at(&bytes, 0x50).ok_or_else(short)?;
        let n_items = u32_at(&bytes, 0x60).ok_or_else(short)?;
        let entry_bytes = if level == 0 { ITEM_BYTES } else { POINTER_BYTES };
        let room = bytes.len().saturating_sub(HEADER_BYTES) / entry_bytes;
        let n_items = usize::try_from(n_items)
            .ok()
            .filter(|&n| n <= room)
            .ok_or_else(|| format!("{n_items} items where {room} have room"))?;
        let block = Self { bytes, level, generation, n_items };
        block.check_keys()?;
        if level == 0 {
            block.check_items()?
        }
        Ok(block)
    }

    fn check_keys(&self) -> Result<(), String> {
        if self.level > 0 && self.n_items == 0 {
            return Err(format!("a block of level {} without pointers", self.level));
        }
        let mut last = None;
        for index in 0..self.n_items {
            let key = self.key(index);
            if index > 0 && key <= last {
                return Err(format!("key {index} is not above the key before it"));
            }
            last = key;
        }
        Ok(())
    }

    fn check_items(&self) -> Result<(), String> {
        let data = self.bytes.get(HEADER_BYTES..).unwrap_or(&[]);
        let heads_end = self.n_items.saturating_mul(ITEM_BYTES);
        for index in 0..self.n_items {
            let (offset, size) = self.item_range(index).unwrap_or((usize::MAX, 0));
            let inside = offset.checked_add(size).is_some_and(|end| end <= data.len());
            if offset < heads_end || !inside {
                return Err(format!(
                    "item {index} has its {size} bytes at {offset}, outside {heads_end}..{}",
                    data.len()
                ));
            }
        }
        Ok(())
    }

    /// What `pointer` promises and the block does not keep.
    pub(super) fn check_against(&self, pointer: &Pointer) -> Result<(), String> {
        if self.level != pointer.level {
            return Err(format!("level {} where {} was expected", self.level, pointer.level));
        }
        if self.generation != pointer.generation {
            return Err(format!(
                "generation {} where {} was expected",
                self.generation, pointer.generation
            ));
        }
        match pointer.first {
            Some(first) if self.key(0) != Some(first) => Err(match self.key(0) {
                Some(found) => format!("first key {found} where {first} was expected"),
                None => format!("no item where {first} was expected"),
            }),
            _ => Ok(()),
        }
    }

    pub(super) fn level(&self) -> u8 {
        self.level
    }

    pub(super) fn n_items(&self) -> usize {
        self.n_items
    }

    pub(super) fn key(&self, index: usize) -> Option<Key> {
        self.entry(index).and_then(Key::decode)
    }

    pub(super) fn last_key(&self) -> Option<Key> {
        self.key(self.n_items.checked_sub(1)?)
    }

    /// The data of an item of a leaf.
    pub(super) fn item(&self, index: usize) -> Option<&[u8]> {
        let (offset, size) = self.item_range(index)?;
        self.bytes.get(HEADER_BYTES..)?.get(offset..)?.get(..size)
    }

    /// The pointer at `index` of an inner block.
    pub(super) fn pointer(&self, index: usize) -> Option<Pointer> {
        let entry = self.entry(index)?;
        Some(Pointer {
            logical: u64_at(entry, KEY_BYTES)?,
            level: self.level.checked_sub(1)?,
            generation: u64_at(entry, KEY_BYTES + 8)?,
            first: Key::decode(entry),
        })
    }

    /// The last entry whose key is not above `key`. `None`: all are above it.
    pub(super) fn at_or_before(&self, key: Key) -> Option<usize> {
        let (mut low, mut high) = (0, self.n_items);
        while low < high {
            let middle = low.midpoint(high);
            if self.key(middle).is_some_and(|found| found <= key) {
                low = middle.saturating_add(1);
            } else {
                high = middle;
            }
        }
        low.checked_sub(1)
    }

    fn entry(&self, index: usize) -> Option<&[u8]> {
        if index >= self.n_items {
            return None;
        }
        let size = if self.level == 0 { ITEM_BYTES } else { POINTER_BYTES };
        let start = index.checked_mul(size)?.checked_add(HEADER_BYTES)?;
        self.bytes.get(start..)?.get(..size)
    }

    fn item_range(&self, index: usize) -> Option<(usize, usize)> {
        let entry = self.entry(index)?;
        let offset = usize::try_from(u32_at(entry, KEY_BYTES)?).ok()?;
        let size = usize::try_from(u32_at(entry, KEY_BYTES + 4)?).ok()?;
        Some((offset, size))
    }
}
