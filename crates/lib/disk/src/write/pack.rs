//! Threads that read batches and compress their clusters; results come back in the order of the
//! batches.
//!
//! A thread takes the next batch when it is done with one, because some take ten times as long as
//! others; results that come early wait for those before them. At most [`DEPTH`] batches per thread are
//! on their way, and a thread has one more in its hands to read into: `threads * (DEPTH + 1)` batches of
//! 1 MiB bound the memory.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;

use flate2::{Compress, Compression, FlushCompress, Status};
use zstd::bulk::Compressor;

use super::plan::Batch;
use super::{BATCH_CLUSTERS, CLUSTER_BYTES};
use crate::fields::length_usize;
use crate::{BlockSource, Error, Kind, Result};

/// Batches on their way for each thread: enough that none is without work while one result is late.
const DEPTH: usize = 4;

/// One cluster of the disk as it is to be stored.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cluster {
    Zero,
    /// A whole cluster.
    Plain(Vec<u8>),
    /// A zstd frame that is shorter than a cluster, or a zlib stream of any length.
    Packed(Vec<u8>),
}

impl Cluster {
    /// What is to be stored.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Zero => &[],
            Self::Plain(bytes) | Self::Packed(bytes) => bytes,
        }
    }
}

/// How clusters are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// Not at all.
    None,
    /// By zstd at this level, those that shrink.
    Zstd(i32),
    /// By deflate in a zlib frame at this level, each of them.
    Zlib(u32),
}

/// The clusters of a batch.
pub(super) type Packed = (Batch, Vec<Cluster>);

/// A batch, or what became of it, with its number in the order of the batches.
type Numbered<T> = (u64, T);

/// The threads of one writer. They end when this is dropped.
#[derive(Debug)]
pub(super) struct Packers {
    batches: SyncSender<Numbered<Batch>>,
    results: Receiver<Numbered<Result<Packed>>>,
    /// Results that came before their turn.
    early: BTreeMap<u64, Result<Packed>>,
    n_given: u64,
    n_taken: u64,
    /// The most batches on their way.
    limit: u64,
}

impl Packers {
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        source: &'scope dyn BlockSource,
        packing: Packing,
        threads: usize,
    ) -> Result<Self> {
        // As deep as what is on its way, so neither side waits in a send.
        let depth = threads.saturating_mul(DEPTH);
        let (batches, to_do) = sync_channel::<Numbered<Batch>>(depth);
        let (done, results) = sync_channel(depth);
        let to_do = Arc::new(Mutex::new(to_do));
        for _ in 0..threads {
            let mut packer = Packer::new(source, packing)?;
            let (to_do, done) = (Arc::clone(&to_do), done.clone());
            let work = move || {
                // The lock is held while waiting: the others wait for the same.
                let next = || to_do.lock().unwrap_or_else(PoisonError::into_inner).recv();
                while let Ok((number, batch)) = next() {
                    // Whoever waits for this number would wait for ever if the thread only ended.
                    let pack = AssertUnwindSafe(|| packer.pack(batch));
                    let packed = catch_unwind(pack).unwrap_or_else(|_| Err(stopped()));
                    if done.send((number, packed)).is_err() {
                        break;
                    }
                }
            };
            std::thread::Builder::new().spawn_scoped(scope, work).map_err(|error| {
                Error::new(Kind::Io, format!("cannot start a thread: {error}"))
                    .hint("allow fewer threads")
                    .caused_by(error)
            })?;
        }
        let limit = u64::try_from(depth).unwrap_or(u64::MAX);
        Ok(Self { batches, results, early: BTreeMap::new(), n_given: 0, n_taken: 0, limit })
    }

    /// Whether a result must be taken before another batch may be given.
    pub(super) fn is_full(&self) -> bool {
        self.n_given.saturating_sub(self.n_taken) >= self.limit
    }

    /// Give the next batch. Not to be called while [`Packers::is_full`].
    pub(super) fn give(&mut self, batch: Batch) -> Result<()> {
        self.batches.send((self.n_given, batch)).map_err(|_| stopped())?;
        self.n_given = self.n_given.saturating_add(1);
        Ok(())
    }

    /// The oldest batch that was given, or nothing where none is on its way.
    pub(super) fn take(&mut self) -> Result<Option<Packed>> {
        if self.n_taken == self.n_given {
            return Ok(None);
        }
        let packed = loop {
            if let Some(packed) = self.early.remove(&self.n_taken) {
                break packed;
            }
            let (number, packed) = self.results.recv().map_err(|_| stopped())?;
            self.early.insert(number, packed);
        };
        self.n_taken = self.n_taken.saturating_add(1);
        packed.map(Some)
    }
}

fn stopped() -> Error {
    Error::new(Kind::Io, "a thread that compresses stopped")
}

enum Tool {
    None,
    Zstd(Compressor<'static>),
    Zlib(Compress),
}

/// What one thread has: its buffers are made once.
struct Packer<'a> {
    source: &'a dyn BlockSource,
    tool: Tool,
    read: Vec<u8>,
    packed: Vec<u8>,
}

impl<'a> Packer<'a> {
    fn new(source: &'a dyn BlockSource, packing: Packing) -> Result<Self> {
        let (tool, room) = match packing {
            Packing::None => (Tool::None, 0),
            // One byte less than a cluster: what does not fit did not shrink.
            Packing::Zstd(level) => {
                (Tool::Zstd(Compressor::new(level)?), CLUSTER_BYTES.saturating_sub(1))
            }
            // What does not shrink grows by a few bytes for each of its blocks.
            Packing::Zlib(level) => {
                let deflate = Compress::new(Compression::new(level), true);
                (Tool::Zlib(deflate), CLUSTER_BYTES.saturating_add(CLUSTER_BYTES / 8))
            }
        };
        let read = vec![0; length_usize(BATCH_CLUSTERS.saturating_mul(CLUSTER_BYTES))];
        Ok(Self { source, tool, read, packed: vec![0; length_usize(room)] })
    }

    fn pack(&mut self, batch: Batch) -> Result<Packed> {
        let begin = batch.first.saturating_mul(CLUSTER_BYTES);
        let wanted = batch.clusters.saturating_mul(CLUSTER_BYTES);
        let there = length_usize(wanted.min(self.source.size_bytes().saturating_sub(begin)));
        let clusters = self.read.get_mut(..length_usize(wanted)).unwrap_or_default();
        let (from_source, past_end) = clusters.split_at_mut(there.min(clusters.len()));
        self.source.read_at(begin, from_source)?;
        past_end.fill(0);
        let mut out = Vec::new();
        for plain in clusters.chunks(length_usize(CLUSTER_BYTES)) {
            out.push(self.tool.pack(plain, &mut self.packed)?);
        }
        Ok((batch, out))
    }
}

impl Tool {
    fn pack(&mut self, plain: &[u8], room: &mut [u8]) -> Result<Cluster> {
        if is_zero(plain) {
            return Ok(Cluster::Zero);
        }
        let frame = match self {
            Self::None => None,
            // The only failure there can be is that the frame does not fit, and plain is right after
            // any.
            Self::Zstd(compressor) => compressor.compress_to_buffer(plain, room).ok(),
            Self::Zlib(deflate) => Some(run_deflate(deflate, plain, room)?),
        };
        Ok(match frame.and_then(|length| room.get(..length)) {
            Some(frame) => Cluster::Packed(frame.to_vec()),
            None => Cluster::Plain(plain.to_vec()),
        })
    }
}

fn run_deflate(deflate: &mut Compress, plain: &[u8], room: &mut [u8]) -> Result<usize> {
    deflate.reset();
    match deflate.compress(plain, room, FlushCompress::Finish) {
        Ok(Status::StreamEnd) => Ok(length_usize(deflate.total_out())),
        _ => Err(Error::new(Kind::Io, "deflate gave more than it was given")),
    }
}

/// Compares the bytes with themselves, one further on: that is one fast comparison of memory.
fn is_zero(bytes: &[u8]) -> bool {
    match bytes.split_first() {
        Some((first, rest)) => {
            *first == 0 && bytes.get(..rest.len()).is_some_and(|begin| begin == rest)
        }
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_that_is_not_zero_is_found_anywhere() {
        assert!(is_zero(&[]) && is_zero(&[0; 7]));
        for at in 0..7 {
            let mut bytes = [0; 7];
            bytes[at] = 1;
            assert!(!is_zero(&bytes), "{at}");
        }
    }
}
