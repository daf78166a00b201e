//! Where everything of a new qcow2 file goes, and the tables that say so.
//!
//! ```text
//! header | clusters, an L2 table after the last of its clusters, refcount blocks as they fill |
//! L1 table | last refcount blocks | refcount table
//! ```
//!
//! The file grows at its end only; the header is written last, so a file that was left half
//! written is no image. An L2 table is complete when the next one's first cluster comes, a refcount
//! block when the file is past the clusters it counts: one of each is in memory. The L1 and the
//! refcount table have 8 bytes for 512 MiB of disk and for 2 GiB of file. Layout: QEMU
//! docs/interop/qcow2.

use std::io::{BufWriter, Seek, SeekFrom, Write};

use super::out::failed;
use super::{CLUSTER_BITS, CLUSTER_BYTES};
use crate::fields::{length_u64, length_usize, round_up};
use crate::{Error, Result};

/// "Refcount is exactly one", in L1 entries and in those of plain clusters.
const COPIED: u64 = 1 << 63;
const COMPRESSED: u64 = 1 << 62;
/// The bits of the offset in the entry of a compressed cluster; above them is the sector count.
const PACKED_OFFSET_BITS: u32 = 70 - CLUSTER_BITS;
const SECTOR_BYTES: u64 = 512;

/// Entries of an L2 table.
const L2_ENTRIES: u64 = CLUSTER_BYTES / 8;
/// Clusters that one refcount block counts, in 16 bits each.
const BLOCK_ENTRIES: u64 = CLUSTER_BYTES / 2;
const REFCOUNT_ORDER: u32 = 4;

const HEADER_BYTES: u32 = 112;
const INCOMPATIBLE_COMPRESSION: u64 = 1 << 3;

/// A qcow2 file that is being written.
pub(super) struct Layout<W: Write + Seek> {
    out: BufWriter<W>,
    /// The length of the file so far.
    at: u64,
    l1: Vec<u64>,
    l2: Vec<u64>,
    /// Which L1 entry `l2` belongs to, if it has an entry of its own.
    l2_of: Option<u64>,
    refcounts: Refcounts,
    /// Clusters of the disk that are stored.
    stored: u64,
}

/// Use counts of the clusters of the file.
struct Refcounts {
    /// Where the blocks are that were written.
    blocks: Vec<u64>,
    /// The counts from cluster `blocks.len() * BLOCK_ENTRIES` on.
    counts: Vec<u16>,
}

impl Refcounts {
    fn first(&self) -> u64 {
        length_u64(self.blocks.len()).saturating_mul(BLOCK_ENTRIES)
    }

    /// The count of `cluster`, which is not in a block that was written.
    fn of(&mut self, cluster: u64) -> Result<&mut u16> {
        let index = cluster.checked_sub(self.first()).map(length_usize).ok_or_else(too_large)?;
        if index >= self.counts.len() {
            self.counts.resize(index.checked_add(1).ok_or_else(too_large)?, 0);
        }
        self.counts.get_mut(index).ok_or_else(too_large)
    }

    /// Count one use of each cluster that the range touches.
    fn claim(&mut self, at: u64, length: u64) -> Result<()> {
        let last = add(at, length)?.saturating_sub(1);
        for cluster in at / CLUSTER_BYTES..=last / CLUSTER_BYTES {
            let count = self.of(cluster)?;
            *count = count.checked_add(1).ok_or_else(too_large)?;
        }
        Ok(())
    }

    /// Take the counts of the next block, as it is stored.
    fn cut(&mut self) -> Vec<u8> {
        let length = self.counts.len().min(length_usize(BLOCK_ENTRIES));
        let mut block: Vec<u8> =
            self.counts.drain(..length).flat_map(|count| count.to_be_bytes()).collect();
        block.resize(length_usize(CLUSTER_BYTES), 0);
        block
    }
}

impl<W: Write + Seek> Layout<W> {
    /// Begin a file for a disk of `clusters` clusters.
    pub(super) fn begin(out: W, clusters: u64) -> Result<Self> {
        let mut layout = Self {
            out: BufWriter::with_capacity(1 << 20, out),
            at: 0,
            l1: vec![0; length_usize(clusters.div_ceil(L2_ENTRIES).max(1))],
            l2: vec![0; length_usize(L2_ENTRIES)],
            l2_of: None,
            refcounts: Refcounts { blocks: Vec::new(), counts: Vec::new() },
            stored: 0,
        };
        layout.out.seek(SeekFrom::Start(0)).map_err(|error| failed(error, 0))?;
        let header = layout.reserve(CLUSTER_BYTES)?;
        layout.append(&vec![0; length_usize(CLUSTER_BYTES)])?;
        debug_assert_eq!(header, 0);
        Ok(layout)
    }

    /// Store a whole cluster, at an address that is a multiple of its size.
    pub(super) fn plain(&mut self, cluster: u64, bytes: &[u8]) -> Result<()> {
        self.turn_to(cluster)?;
        let at = self.put(bytes)?;
        self.enter(cluster, at | COPIED)
    }

    /// Store a compressed cluster right after the one before. The magic number alone has 4 bytes, so
    /// a cluster of the file has fewer uses than 16 bits can count.
    pub(super) fn packed(&mut self, cluster: u64, frame: &[u8]) -> Result<()> {
        self.turn_to(cluster)?;
        let (at, length) = (self.at, length_u64(frame.len()));
        self.refcounts.claim(at, length)?;
        self.append(frame)?;
        let last = self.at.saturating_sub(1);
        let further_sectors = (last / SECTOR_BYTES).saturating_sub(at / SECTOR_BYTES);
        self.enter(cluster, COMPRESSED | further_sectors << PACKED_OFFSET_BITS | at)
    }

    /// Write the tables and then the header. Gives the length of the file and the clusters of the
    /// disk that are stored.
    pub(super) fn finish(mut self, virtual_size_bytes: u64, zstd: bool) -> Result<(u64, u64)> {
        self.end_l2()?;
        let l1 = words(&self.l1);
        let l1_at = self.put(&l1)?;
        let (table_at, table_clusters) = self.end_refcounts()?;
        let mut header = Vec::new();
        header.extend(*b"QFI\xfb");
        header.extend(3_u32.to_be_bytes());
        header.extend([0; 12]); // no backing file
        header.extend(CLUSTER_BITS.to_be_bytes());
        header.extend(virtual_size_bytes.to_be_bytes());
        header.extend([0; 4]); // not encrypted
        header.extend(narrow(length_u64(self.l1.len()))?.to_be_bytes());
        header.extend(l1_at.to_be_bytes());
        header.extend(table_at.to_be_bytes());
        header.extend(narrow(table_clusters)?.to_be_bytes());
        header.extend([0; 12]); // no snapshots
        let incompatible = if zstd { INCOMPATIBLE_COMPRESSION } else { 0 };
        header.extend(incompatible.to_be_bytes());
        header.extend([0; 16]); // no compatible and no autoclear features
        header.extend(REFCOUNT_ORDER.to_be_bytes());
        header.extend(HEADER_BYTES.to_be_bytes());
        header.extend([u8::from(zstd), 0, 0, 0, 0, 0, 0, 0]);
        let told = |error| failed(error, 0);
        self.out.seek(SeekFrom::Start(0)).map_err(told)?;
        self.out.write_all(&header).map_err(told)?;
        self.out.flush().map_err(told)?;
        Ok((self.at, self.stored))
    }

    /// Before `cluster` gets a place: put out the tables that are complete.
    fn turn_to(&mut self, cluster: u64) -> Result<()> {
        let table = cluster / L2_ENTRIES;
        if self.l2_of != Some(table) {
            self.end_l2()?;
            self.l2_of = Some(table);
        }
        self.end_blocks()
    }

    fn enter(&mut self, cluster: u64, entry: u64) -> Result<()> {
        let index = length_usize(cluster % L2_ENTRIES);
        *self.l2.get_mut(index).ok_or_else(too_large)? = entry;
        self.stored = add(self.stored, 1)?;
        Ok(())
    }

    fn end_l2(&mut self) -> Result<()> {
        let Some(table) = self.l2_of.take() else {
            return Ok(());
        };
        let bytes = words(&self.l2);
        let at = self.put(&bytes)?;
        *self.l1.get_mut(length_usize(table)).ok_or_else(too_large)? = at | COPIED;
        self.l2.fill(0);
        Ok(())
    }

    /// Write the refcount blocks whose clusters cannot change any more.
    fn end_blocks(&mut self) -> Result<()> {
        let covered = |refcounts: &Refcounts| {
            refcounts.first().saturating_add(BLOCK_ENTRIES).saturating_mul(CLUSTER_BYTES)
        };
        while covered(&self.refcounts) <= self.at {
            self.align()?;
            let at = self.reserve(CLUSTER_BYTES)?;
            let block = self.refcounts.cut();
            self.refcounts.blocks.push(at);
            self.append(&block)?;
        }
        Ok(())
    }

    /// Write the last refcount blocks, which count themselves and the table, and the table. Gives
    /// its place and its size in clusters.
    fn end_refcounts(&mut self) -> Result<(u64, u64)> {
        self.align()?;
        let used = self.at / CLUSTER_BYTES;
        let first = self.refcounts.first();
        let written = length_u64(self.refcounts.blocks.len());
        let (mut blocks, mut table) = (1_u64, 1_u64);
        loop {
            let counted = add(used, add(blocks, table)?)?.saturating_sub(first);
            let needed = counted.div_ceil(BLOCK_ENTRIES);
            let entries = add(written, needed)?;
            let needed_table = entries.saturating_mul(8).div_ceil(CLUSTER_BYTES);
            if (needed, needed_table) == (blocks, table) {
                break;
            }
            (blocks, table) = (needed.max(blocks), needed_table.max(table));
        }
        let begin = self.reserve(blocks.saturating_add(table).saturating_mul(CLUSTER_BYTES))?;
        for n in 0..blocks {
            let block = self.refcounts.cut();
            self.refcounts.blocks.push(add(begin, n.saturating_mul(CLUSTER_BYTES))?);
            self.append(&block)?;
        }
        let at = self.at;
        let bytes = words(&self.refcounts.blocks);
        self.append(&bytes)?;
        self.align()?;
        Ok((at, table))
    }

    /// Store `bytes` in clusters of their own and give their place.
    fn put(&mut self, bytes: &[u8]) -> Result<u64> {
        self.align()?;
        let at = self.reserve(length_u64(bytes.len()))?;
        self.append(bytes)?;
        self.align()?;
        Ok(at)
    }

    /// Count the clusters of what is written next.
    fn reserve(&mut self, length: u64) -> Result<u64> {
        self.refcounts.claim(self.at, length)?;
        Ok(self.at)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(|error| failed(error, self.at))?;
        self.at = add(self.at, length_u64(bytes.len()))?;
        Ok(())
    }

    fn align(&mut self) -> Result<()> {
        let gap = round_up(self.at, CLUSTER_BYTES).saturating_sub(self.at);
        self.append(&vec![0; length_usize(gap)])
    }
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn add(to: u64, more: u64) -> Result<u64> {
    to.checked_add(more).ok_or_else(too_large)
}

fn narrow(value: u64) -> Result<u32> {
    u32::try_from(value).map_err(|_| too_large())
}

fn too_large() -> Error {
    Error::unsupported("the disk has more clusters than a qcow2 file can have")
}
