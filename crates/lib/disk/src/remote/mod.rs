//! Images that are not here: web servers and object stores, read by ranges.
//!
//! A check reads a few hundred places of a disk and one or two whole files. [`Remote`] turns that
//! into few requests: what is read is kept in blocks, and a reader that goes on where it stopped is
//! given more and more at once. Nothing else is fetched.

#[cfg(feature = "http")]
pub(crate) mod http;
#[cfg(feature = "object")]
pub(crate) mod object;

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::cache::Cache;
use crate::counting::Counter;
use crate::source::check_range;
use crate::{BlockSource, Error, Kind, Result};

/// A block is fetched whole. Filesystem metadata lies scattered, so a large block wastes; a small
/// one costs a round trip for each.
const BLOCK_BYTES: u64 = 64 << 10;
/// The most that is fetched ahead of a sequential reader.
const MAX_AHEAD_BYTES: u64 = 2 << 20;
/// How often a request that failed for a passing reason is made in all.
const MAX_TRIES: u32 = 4;
/// The wait before the second try; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// What can fetch a range of an object.
pub(crate) trait Fetch: fmt::Debug + Send + Sync {
    /// The bytes of `range`, all of them.
    fn fetch(&self, range: Range<u64>) -> Result<Vec<u8>, Failure>;
}

/// Why a fetch failed, and whether trying again may help.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) is_passing: bool,
}

impl Failure {
    /// Trying again will not help.
    pub(crate) fn lasting(error: Error) -> Self {
        Self { error, is_passing: false }
    }

    /// Trying again may help: the network, or a server that is busy.
    pub(crate) fn passing(message: impl Into<String>) -> Self {
        Self { error: Error::new(Kind::Io, message), is_passing: true }
    }
}

/// A remote object as a block source.
#[derive(Debug)]
pub(crate) struct Remote<F> {
    object: F,
    size_bytes: u64,
    blocks: Cache,
    ahead: Mutex<Ahead>,
    /// What is fetched is more than what is asked for, and it is what the network carries.
    fetched: Counter,
}

/// Where the last fetch ended and how much the next one takes if it goes on there.
#[derive(Debug, Default)]
struct Ahead {
    next_block: u64,
    n_blocks: u64,
}

impl<F: Fetch> Remote<F> {
    pub(crate) fn new(object: F, size_bytes: u64, fetched: Counter) -> Self {
        let blocks = Cache::of_blocks(BLOCK_BYTES);
        Self { object, size_bytes, blocks, ahead: Mutex::default(), fetched }
    }

    /// The block number `index`, and into the cache whatever is fetched along with it: the rest of
    /// the caller's range (`wanted` blocks), or more for a sequential reader.
    fn block(&self, index: u64, wanted: u64) -> Result<Arc<[u8]>> {
        if let Some(block) = self.blocks.get(index) {
            return Ok(block);
        }
        let n_blocks = self.plan(index, wanted);
        let start = index * BLOCK_BYTES;
        let end = (start + n_blocks * BLOCK_BYTES).min(self.size_bytes);
        let bytes = with_retries(|| self.object.fetch(start..end))?;
        self.fetched.add(bytes.len());
        if bytes.len() as u64 != end - start {
            let told = format!("the server sent {} bytes instead of {}", bytes.len(), end - start);
            return Err(Error::new(Kind::Io, told).at(start));
        }
        let mut first = None;
        for (n, chunk) in bytes.chunks(BLOCK_BYTES as usize).enumerate() {
            let chunk: Arc<[u8]> = chunk.into();
            first.get_or_insert_with(|| Arc::clone(&chunk));
            self.blocks.insert(index + n as u64, chunk);
        }
        first.ok_or_else(|| Error::new(Kind::Io, "the server sent nothing").at(start))
    }

    /// How many blocks to fetch from `index` on.
    fn plan(&self, index: u64, wanted: u64) -> u64 {
        const MAX_BLOCKS: u64 = MAX_AHEAD_BYTES / BLOCK_BYTES;
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let is_sequential = ahead.next_block == index && index > 0;
        let more = if is_sequential { ahead.n_blocks.saturating_mul(2) } else { 1 };
        let n_blocks = more.max(wanted).min(MAX_BLOCKS);
        *ahead = Ahead { next_block: index + n_blocks, n_blocks };
        n_blocks
    }
}

fn with_retries<T>(mut attempt: impl FnMut() -> Result<T, Failure>) -> Result<T> {
    let mut wait = FIRST_WAIT;
    for _ in 1..MAX_TRIES {
        match attempt() {
            Err(failure) if failure.is_passing => thread::sleep(wait),
            Err(failure) => return Err(failure.error),
            Ok(value) => return Ok(value),
        }
        wait *= 2;
    }
    attempt().map_err(|failure| {
        let told = format!("{} ({MAX_TRIES} tries)", failure.error);
        Error::new(failure.error.kind(), told)
    })
}

impl<F: Fetch> BlockSource for Remote<F> {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        check_range(self.size_bytes, offset, buf.len())?;
        let mut at = offset;
        let mut rest = buf;
        while !rest.is_empty() {
            let index = at / BLOCK_BYTES;
            let within = (at % BLOCK_BYTES) as usize;
            let wanted = (within as u64 + rest.len() as u64).div_ceil(BLOCK_BYTES);
            let block = self.block(index, wanted)?;
            let from = block.get(within..).unwrap_or_default();
            let n = from.len().min(rest.len());
            if n == 0 {
                return Err(Error::new(Kind::Io, "the server sent a short block").at(at));
            }
            let (head, tail) = rest.split_at_mut(n);
            head.copy_from_slice(&from[..n]);
            rest = tail;
            at += n as u64;
        }
        Ok(())
    }
}
