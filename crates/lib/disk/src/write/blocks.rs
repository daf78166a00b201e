//! Blocks larger than a cluster, in the order of their first data, and where each of them is: what a
//! dynamic VHD and a dynamic VDI have in common.

use std::io::{Seek, Write};

use super::CLUSTER_BYTES;
use super::out::Out;
use super::pack::Cluster;
use super::pass::Store;
use crate::fields::{length_u64, length_usize, place};
use crate::{Error, Result};

/// The blocks of a file and their table.
pub(super) struct Blocks<W: Write + Seek> {
    pub(super) out: Out<W>,
    /// Where the first block begins.
    pub(super) begin: u64,
    /// What stands before the data of each block.
    pub(super) prefix: Vec<u8>,
    /// Bytes of data in a block: a multiple of [`CLUSTER_BYTES`].
    pub(super) block_bytes: u64,
    /// For each block of the disk its number in the file; grows up to the last with data.
    pub(super) table: Vec<Option<u32>>,
    pub(super) used: u32,
}

impl<W: Write + Seek> Blocks<W> {
    /// Where the block with this number in the file begins.
    pub(super) fn at(&self, number: u32) -> u64 {
        let whole = length_u64(self.prefix.len()).saturating_add(self.block_bytes);
        self.begin.saturating_add(whole.saturating_mul(number.into()))
    }

    /// The end of the last block.
    pub(super) fn end(&self) -> u64 {
        self.at(self.used)
    }

    /// Bytes of the disk that the file has blocks for.
    pub(super) fn allocated_bytes(&self) -> u64 {
        u64::from(self.used).saturating_mul(self.block_bytes)
    }

    /// The number in the file of a block of the disk, which gets the next one where it has none.
    fn number(&mut self, block: u64) -> Result<u32> {
        let many = || Error::unsupported("the disk has more blocks than the file can have");
        let index = length_usize(block);
        if index >= self.table.len() {
            self.table.resize(index.checked_add(1).ok_or_else(many)?, None);
        }
        let entry = self.table.get_mut(index).ok_or_else(many)?;
        if let Some(number) = entry {
            return Ok(*number);
        }
        let number = self.used;
        *entry = Some(number);
        self.used = number.checked_add(1).ok_or_else(many)?;
        let at = self.at(number);
        self.out.put(at, &self.prefix)?;
        Ok(number)
    }
}

impl<W: Write + Seek> Store for Blocks<W> {
    fn store(&mut self, number: u64, cluster: &Cluster) -> Result<()> {
        let (block, inside) = place(number.saturating_mul(CLUSTER_BYTES), self.block_bytes);
        let number = self.number(block)?;
        let data = self.at(number).saturating_add(length_u64(self.prefix.len()));
        self.out.put(data.saturating_add(inside), cluster.bytes())
    }
}

/// A random identity (version 4): programs that manage disks refuse two with the same one. The
/// standard library's hasher has its keys from the system's random numbers.
pub(super) fn uuid() -> [u8; 16] {
    use std::hash::{BuildHasher, RandomState};
    let mut uuid = [0; 16];
    for half in uuid.chunks_mut(8) {
        half.copy_from_slice(&RandomState::new().hash_one(0x6b69_6c6e_u32).to_le_bytes());
    }
    let [.., version, _, variant, _, _, _, _, _, _, _] = &mut uuid;
    *version = *version & 0x0f | 0x40;
    *variant = *variant & 0x3f | 0x80;
    uuid
}
