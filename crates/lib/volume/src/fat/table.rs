//! The file allocation table: chains of clusters.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kiln_disk::{Error, Result, Source};

use super::bpb::Bpb;
use crate::field::{Fields, read_up_to};
use crate::fs::FsKind;

const PAGE_BYTES: u64 = 4096;
/// 4 MiB of the table are kept; a larger table is one of a data disk, read in order.
const MAX_PAGES: usize = 1024;

/// A run of clusters: the first one and how many.
pub(super) type ClusterRun = (u32, u32);

/// The first copy of the table, read in pages as needed.
#[derive(Debug)]
pub(super) struct Table {
    source: Source,
    kind: FsKind,
    start: u64,
    n_clusters: u32,
    pages: Mutex<HashMap<u64, Arc<[u8]>>>,
}

impl Table {
    pub(super) fn new(source: Source, bpb: &Bpb) -> Self {
        Self {
            source,
            kind: bpb.kind,
            start: bpb.fat_start,
            n_clusters: bpb.n_clusters,
            pages: Mutex::default(),
        }
    }

    /// The clusters from `first` on, at most `limit` of them, in runs.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the chain leaves the filesystem, or is longer than it, which is a loop.
    pub(super) fn chain(&self, first: u32, limit: u32) -> Result<Vec<ClusterRun>> {
        let mut runs: Vec<ClusterRun> = Vec::new();
        let (mut cluster, mut n_seen) = (first, 0_u32);
        while n_seen < limit {
            if !self.exists(cluster) {
                return Err(Error::corrupt(format!(
                    "a FAT chain from cluster {first} reaches cluster {cluster}, which is not one"
                )));
            }
            n_seen = n_seen.saturating_add(1);
            if n_seen > self.n_clusters {
                return Err(Error::corrupt(format!(
                    "a FAT chain from cluster {first} is longer than the filesystem"
                )));
            }
            match runs.last_mut() {
                Some((start, n)) if start.checked_add(*n) == Some(cluster) => {
                    *n = n.saturating_add(1);
                }
                _ => runs.push((cluster, 1)),
            }
            match self.next(cluster)? {
                Some(next) => cluster = next,
                None => break,
            }
        }
        Ok(runs)
    }

    fn exists(&self, cluster: u32) -> bool {
        cluster.checked_sub(2).is_some_and(|index| index < self.n_clusters)
    }

    /// The cluster after `cluster`. `None`: it is the last one.
    fn next(&self, cluster: u32) -> Result<Option<u32>> {
        let index = u64::from(cluster);
        let (value, end_mark) = match self.kind {
            FsKind::Fat12 => {
                let pair = self.u16(index.saturating_add(index / 2))?;
                let value = if index % 2 == 0 { pair & 0xFFF } else { pair >> 4 };
                (u32::from(value), 0xFF8)
            }
            FsKind::Fat16 => (u32::from(self.u16(index.saturating_mul(2))?), 0xFFF8),
            _ => {
                let at = index.saturating_mul(4);
                (u32::from_le_bytes(self.bytes(at)?) & 0x0FFF_FFFF, 0x0FFF_FFF8)
            }
        };
        Ok((value < end_mark).then_some(value))
    }

    fn u16(&self, at: u64) -> Result<u16> {
        Ok(u16::from_le_bytes(self.bytes(at)?))
    }

    /// The `N` bytes at byte `at` of the table. Only FAT12 has entries that cross into a new page.
    fn bytes<const N: usize>(&self, at: u64) -> Result<[u8; N]> {
        let page = self.page(at / PAGE_BYTES)?;
        let within = usize::try_from(at % PAGE_BYTES).unwrap_or(0);
        if let Some(bytes) = page.get(within..).and_then(|rest| rest.first_chunk::<N>()) {
            return Ok(*bytes);
        }
        let mut bytes = [0; N];
        for (byte, at) in bytes.iter_mut().zip(at..) {
            let page = self.page(at / PAGE_BYTES)?;
            let within = usize::try_from(at % PAGE_BYTES).unwrap_or(0);
            *byte = *page.get(within).ok_or_else(|| {
                Error::corrupt("the FAT reaches beyond the end of the volume")
                    .at(self.start.saturating_add(at))
            })?;
        }
        Ok(bytes)
    }

    fn page(&self, number: u64) -> Result<Arc<[u8]>> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(page) = pages.get(&number) {
            return Ok(Arc::clone(page));
        }
        let at = self.start.saturating_add(number.saturating_mul(PAGE_BYTES));
        let length = usize::try_from(PAGE_BYTES).unwrap_or(4096);
        let page: Arc<[u8]> = read_up_to(&self.source, at, length)?.into();
        if pages.len() >= MAX_PAGES {
            pages.clear();
        }
        pages.insert(number, Arc::clone(&page));
        Ok(page)
    }

    /// Whether the last user marked the volume as cleanly unmounted: a bit of the second entry.
    pub(super) fn is_clean(&self) -> Result<bool> {
        Ok(match self.kind {
            FsKind::Fat16 => self.u16(2)? & 0x8000 != 0,
            FsKind::Fat32 => self.u16(6)? & 0x0800 != 0,
            _ => true, // FAT12 has no such bit
        })
    }
}

/// Free clusters that the FSInfo sector counts. `None`: not there, or not counted.
pub(super) fn free_clusters(source: &Source, bpb: &Bpb) -> Option<u32> {
    let sector = read_up_to(source, bpb.fs_info_start?, 512).ok()?;
    let fields = Fields(&sector);
    let is_info = fields.has(0, b"RRaA") && fields.has(484, b"rrAa");
    (is_info && fields.u32(488) <= bpb.n_clusters).then(|| fields.u32(488))
}
