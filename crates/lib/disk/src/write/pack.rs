//! Threads that read batches and compress their clusters; results come back in the order of the
//! batches.
//!
//! Batches are dealt to the threads in turn, so the results of thread after thread are in order
//! without sorting. At most [`DEPTH`] batches per thread are on their way, and a thread has one
//! more in its hands to read into: `threads * (DEPTH + 1)` batches of 1 MiB bound the memory.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use flate2::{Compress, Compression, FlushCompress, Status};
use zstd::bulk::Compressor;

use super::plan::Batch;
use super::{BATCH_CLUSTERS, CLUSTER_BYTES};
use crate::fields::length_usize;
use crate::{BlockSource, Error, Kind, Result};

/// Batches that one thread may have before its first result is taken.
const DEPTH: usize = 2;

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

/// The threads of one writer. They end when this is dropped.
#[derive(Debug)]
pub(super) struct Packers {
    lanes: Vec<(SyncSender<Batch>, Receiver<Result<Packed>>)>,
    /// The lane of each batch on its way, oldest first.
    on_their_way: VecDeque<usize>,
    next_lane: usize,
}

impl Packers {
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        source: &'scope dyn BlockSource,
        packing: Packing,
        threads: usize,
    ) -> Result<Self> {
        let mut lanes = Vec::new();
        for _ in 0..threads {
            let mut packer = Packer::new(source, packing)?;
            // As deep as what is on its way, so neither side waits in a send.
            let (to_thread, batches) = sync_channel(DEPTH);
            let (results, from_thread) = sync_channel(DEPTH);
            let work = move || {
                for batch in batches {
                    if results.send(packer.pack(batch)).is_err() {
                        break;
                    }
                }
            };
            std::thread::Builder::new().spawn_scoped(scope, work).map_err(|error| {
                Error::new(Kind::Io, format!("cannot start a thread: {error}"))
                    .hint("allow fewer threads")
                    .caused_by(error)
            })?;
            lanes.push((to_thread, from_thread));
        }
        Ok(Self { lanes, on_their_way: VecDeque::new(), next_lane: 0 })
    }

    /// Whether a result must be taken before another batch may be given.
    pub(super) fn is_full(&self) -> bool {
        self.on_their_way.len() >= self.lanes.len().saturating_mul(DEPTH)
    }

    /// Give the next batch. Not to be called while [`Packers::is_full`].
    pub(super) fn give(&mut self, batch: Batch) -> Result<()> {
        let (to_thread, _) = self.lanes.get(self.next_lane).ok_or_else(stopped)?;
        to_thread.send(batch).map_err(|_| stopped())?;
        self.on_their_way.push_back(self.next_lane);
        self.next_lane = self.next_lane.saturating_add(1) % self.lanes.len().max(1);
        Ok(())
    }

    /// The oldest batch that was given, or nothing where none is on its way.
    pub(super) fn take(&mut self) -> Result<Option<Packed>> {
        let Some(lane) = self.on_their_way.pop_front() else {
            return Ok(None);
        };
        let (_, from_thread) = self.lanes.get(lane).ok_or_else(stopped)?;
        from_thread.recv().map_err(|_| stopped())?.map(Some)
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
