//! Bounded memory for what was read or decompressed once.
//!
//! A second-chance queue: an entry that was used since it was last looked at goes round once more,
//! any other is dropped. It costs constant time, needs no clock, and one sequential pass over the
//! disk does not throw out the tables that every read needs.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Result;
use crate::fields::{length_u64, length_usize};
use crate::{Error, Source};

/// What one cache may hold. Two of them (tables, decompressed clusters) exist per open format.
pub(crate) const CACHE_BYTES: u64 = 16 << 20;

/// At most a fixed number of byte blocks, found by their offset.
pub(crate) struct Cache {
    blocks: Mutex<Blocks>,
    capacity: usize,
}

#[derive(Default)]
struct Blocks {
    by_key: HashMap<u64, Slot>,
    queue: VecDeque<u64>,
}

struct Slot {
    block: Arc<[u8]>,
    used: bool,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cache({} blocks)", self.capacity)
    }
}

impl Cache {
    /// A cache of as many blocks of `block_bytes` as [`CACHE_BYTES`] holds, and at least 4.
    pub(crate) fn of_blocks(block_bytes: u64) -> Self {
        let capacity = length_usize(CACHE_BYTES / block_bytes.max(512)).max(4);
        Self { blocks: Mutex::default(), capacity }
    }

    pub(crate) fn get(&self, key: u64) -> Option<Arc<[u8]>> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = blocks.by_key.get_mut(&key)?;
        slot.used = true;
        Some(Arc::clone(&slot.block))
    }

    pub(crate) fn insert(&self, key: u64, block: Arc<[u8]>) {
        let mut guard = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let blocks = &mut *guard;
        while blocks.by_key.len() >= self.capacity {
            let Some(oldest) = blocks.queue.pop_front() else { break };
            match blocks.by_key.get_mut(&oldest) {
                Some(slot) if slot.used => {
                    slot.used = false;
                    blocks.queue.push_back(oldest);
                }
                _ => {
                    blocks.by_key.remove(&oldest);
                }
            }
        }
        if blocks.by_key.insert(key, Slot { block, used: false }).is_none() {
            blocks.queue.push_back(key);
        }
    }
}

/// A source read in cached pages: how every format reads its tables.
#[derive(Debug)]
pub(crate) struct Pages {
    source: Source,
    page_bytes: u64,
    cache: Cache,
}

impl Pages {
    /// Pages of `page_bytes`, which is clamped to 4 KiB to 64 KiB: smaller ones cost a system call
    /// for a few entries, larger ones fetch much that a small check never looks at.
    pub(crate) fn new(source: Source, page_bytes: u64) -> Self {
        let page_bytes = page_bytes.clamp(4 << 10, 64 << 10);
        Self { source, page_bytes, cache: Cache::of_blocks(page_bytes) }
    }

    /// A reader that remembers the last page, for going through neighbouring entries.
    pub(crate) fn cursor(&self) -> Cursor<'_> {
        Cursor { pages: self, start: 0, page: Arc::default() }
    }

    fn load(&self, start: u64) -> Result<Arc<[u8]>> {
        if let Some(page) = self.cache.get(start) {
            return Ok(page);
        }
        let there = self.source.size_bytes().saturating_sub(start).min(self.page_bytes);
        if there == 0 {
            return Err(Error::corrupt("a table entry lies past the end of the file").at(start));
        }
        let mut bytes = vec![0; length_usize(there)];
        self.source.read_at(start, &mut bytes)?;
        let page: Arc<[u8]> = bytes.into();
        self.cache.insert(start, Arc::clone(&page));
        Ok(page)
    }
}

/// See [`Pages::cursor`].
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    pages: &'a Pages,
    start: u64,
    page: Arc<[u8]>,
}

impl Cursor<'_> {
    /// The `N` bytes at `offset` of the source.
    pub(crate) fn read<const N: usize>(&mut self, offset: u64) -> Result<[u8; N]> {
        if let Some(bytes) = self.in_page(offset) {
            return Ok(bytes);
        }
        let start = offset - offset % self.pages.page_bytes;
        self.page = self.pages.load(start)?;
        self.start = start;
        if let Some(bytes) = self.in_page(offset) {
            return Ok(bytes);
        }
        self.read_across(offset)
    }

    fn in_page<const N: usize>(&self, offset: u64) -> Option<[u8; N]> {
        let at = length_usize(offset.checked_sub(self.start)?);
        self.page.get(at..)?.first_chunk().copied()
    }

    /// An entry that two pages share; only tables at odd offsets have one, so it may be slow.
    fn read_across<const N: usize>(&self, offset: u64) -> Result<[u8; N]> {
        let end = offset.saturating_add(length_u64(N));
        if end > self.pages.source.size_bytes() {
            return Err(Error::corrupt("a table entry lies past the end of the file").at(offset));
        }
        let mut bytes = [0; N];
        self.pages.source.read_at(offset, &mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, MemSource};

    #[test]
    fn a_full_cache_drops_what_was_not_used_again() {
        let cache = Cache::of_blocks(CACHE_BYTES);
        for key in 0..4 {
            cache.insert(key, Arc::from(vec![0_u8]));
        }
        assert!(cache.get(0).is_some());
        cache.insert(4, Arc::from(vec![0_u8]));
        let kept: Vec<u64> = (0..5).filter(|key| cache.get(*key).is_some()).collect();
        assert_eq!(kept, [0, 2, 3, 4]);
    }

    #[test]
    fn entries_are_read_inside_across_and_never_past_pages() {
        let bytes: Vec<u8> = (0..8200_u32).map(|n| n.to_le_bytes()[0]).collect();
        let pages = Pages::new(MemSource::shared(bytes), 4096);
        let mut cursor = pages.cursor();
        assert_eq!(cursor.read::<4>(8).unwrap(), [8, 9, 10, 11]);
        assert_eq!(cursor.read::<4>(4094).unwrap(), [254, 255, 0, 1]);
        assert_eq!(cursor.read::<2>(8198).unwrap(), [6, 7]);
        for past in [8199, 8200, 1 << 40, u64::MAX] {
            assert_eq!(cursor.read::<2>(past).unwrap_err().kind(), Kind::Corrupt, "{past}");
        }
    }
}
