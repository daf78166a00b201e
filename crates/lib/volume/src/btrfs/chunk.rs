//! Chunks: where the bytes of the logical address space are on the device.
//!
//! Source: `struct btrfs_chunk` and `btrfs_stripe` in the kernel's
//! `include/uapi/linux/btrfs_tree.h`.

use std::collections::BTreeMap;

use kiln_disk::{Error, Result};

use super::block::Key;
use super::field::{u16_at, u64_at};

pub(super) const CHUNK_TREE_OBJECTID: u64 = 256;
pub(super) const CHUNK_ITEM: u8 = 228;
const CHUNK_BYTES: usize = 48;
const STRIPE_BYTES: usize = 32;
/// A chunk is usually 256 MiB to 10 GiB: this many serve a filesystem of 25 TiB at least.
const MAX_CHUNKS: usize = 100_000;
/// Copies of one chunk on one device: DUP has 2, RAID1C4 has 4 (on 4 devices).
const MAX_STRIPES: usize = 32;

/// Profiles that spread a chunk over stripes, by bit of the chunk's type.
const STRIPED: [(u64, &str); 4] =
    [(1 << 3, "RAID0"), (1 << 6, "RAID10"), (1 << 7, "RAID5"), (1 << 8, "RAID6")];

#[derive(Clone, Debug, PartialEq, Eq)]
struct Chunk {
    length: u64,
    /// Where this device has it, each a whole copy.
    copies: Vec<u64>,
}

/// The chunks by their logical start. They never overlap.
#[derive(Debug, Default)]
pub(super) struct ChunkMap {
    chunks: BTreeMap<u64, Chunk>,
}

/// A piece of the logical address space on the device.
#[derive(Debug)]
pub(super) struct Mapped {
    /// The device offsets of its copies; at least one.
    pub(super) copies: Vec<u64>,
    /// How far the chunk reaches from here.
    pub(super) length: u64,
}

impl ChunkMap {
    /// The chunks of the superblock's array, which hold the chunk tree.
    pub(super) fn from_sys_array(array: &[u8], devid: u64) -> Result<Self> {
        let mut map = Self::default();
        let mut rest = array;
        while !rest.is_empty() {
            let short = || Error::corrupt("superblock: sys_chunk_array ends inside a chunk");
            let key = Key::decode(rest).ok_or_else(short)?;
            if (key.objectid, key.kind) != (CHUNK_TREE_OBJECTID, CHUNK_ITEM) {
                return Err(Error::corrupt(format!(
                    "superblock: key {key} in sys_chunk_array is not that of a chunk"
                )));
            }
            let item = rest.get(Key::BYTES..).ok_or_else(short)?;
            let size = item_bytes(item).ok_or_else(short)?;
            map.insert(key.offset, item.get(..size).ok_or_else(short)?, devid)?;
            rest = item.get(size..).unwrap_or(&[]);
        }
        Ok(map)
    }

    /// Add the chunk of `item`, which begins at `logical`. One that is there already may come
    /// again if it is the same: the superblock's are in the chunk tree too.
    pub(super) fn insert(&mut self, logical: u64, item: &[u8], devid: u64) -> Result<()> {
        let chunk = decode(logical, item, devid)?;
        if self.chunks.get(&logical) == Some(&chunk) {
            return Ok(());
        }
        // `decode` has seen that the end is within 64 bits.
        let end = logical.saturating_add(chunk.length);
        let before = self.chunks.range(..end).next_back();
        if let Some((other, _)) = before.filter(|(at, c)| at.saturating_add(c.length) > logical) {
            return Err(Error::corrupt(format!("chunk {logical} overlaps chunk {other}")));
        }
        if self.chunks.len() >= MAX_CHUNKS {
            return Err(Error::unsupported(format!("btrfs of more than {MAX_CHUNKS} chunks")));
        }
        self.chunks.insert(logical, chunk);
        Ok(())
    }

    /// Where `logical` is. `None`: no chunk holds it.
    pub(super) fn map(&self, logical: u64) -> Option<Mapped> {
        let (start, chunk) = self.chunks.range(..=logical).next_back()?;
        let within = logical.checked_sub(*start)?;
        let length = chunk.length.checked_sub(within).filter(|&length| length > 0)?;
        let copies = chunk.copies.iter().filter_map(|copy| copy.checked_add(within)).collect();
        Some(Mapped { copies, length })
    }
}

fn item_bytes(item: &[u8]) -> Option<usize> {
    let n_stripes = usize::from(u16_at(item, 44)?);
    n_stripes.checked_mul(STRIPE_BYTES)?.checked_add(CHUNK_BYTES)
}

fn decode(logical: u64, item: &[u8], devid: u64) -> Result<Chunk> {
    let corrupt = |what: String| Error::corrupt(format!("chunk {logical}: {what}"));
    let short = || corrupt(format!("an item of {} bytes is too short", item.len()));
    let length = u64_at(item, 0).ok_or_else(short)?;
    if length == 0 || logical.checked_add(length).is_none() {
        return Err(corrupt(format!("length {length} is 0 or passes the end of addresses")));
    }
    let stripes = item_bytes(item).and_then(|end| item.get(CHUNK_BYTES..end)).ok_or_else(short)?;
    let stripes = stripes.chunks_exact(STRIPE_BYTES);
    let n_stripes = stripes.len();
    if !(1..=MAX_STRIPES).contains(&n_stripes) {
        return Err(corrupt(format!("{n_stripes} stripes are not 1..={MAX_STRIPES}")));
    }
    let profile = u64_at(item, 24).ok_or_else(short)?;
    for (bit, name) in STRIPED {
        // With one stripe, and RAID0 may have just one, striping changes nothing.
        if profile & bit != 0 && n_stripes > 1 {
            return Err(Error::unsupported(format!("btrfs with {name} chunks")));
        }
    }
    let copies: Vec<u64> = stripes
        .filter(|stripe| u64_at(stripe, 0) == Some(devid))
        .filter_map(|stripe| u64_at(stripe, 8))
        .filter(|start| start.checked_add(length).is_some())
        .collect();
    if copies.is_empty() {
        return Err(corrupt(format!("no stripe of it is on device {devid}")));
    }
    Ok(Chunk { length, copies })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(length: u64, profile: u64, stripes: &[(u64, u64)]) -> Vec<u8> {
        let mut item = vec![0; CHUNK_BYTES];
        item[..8].copy_from_slice(&length.to_le_bytes());
        item[24..32].copy_from_slice(&profile.to_le_bytes());
        item[44..46].copy_from_slice(&u16::try_from(stripes.len()).unwrap().to_le_bytes());
        for (devid, offset) in stripes {
            item.extend(devid.to_le_bytes());
            item.extend(offset.to_le_bytes());
            item.extend([0; 16]);
        }
        item
    }

    #[test]
    fn logical_addresses_are_found_in_each_copy() {
        let mut map = ChunkMap::default();
        map.insert(1000, &item(100, 1 << 5, &[(1, 5000), (1, 7000)]), 1).unwrap();
        let mapped = map.map(1010).unwrap();
        assert_eq!((mapped.copies, mapped.length), (vec![5010, 7010], 90));
        assert!(map.map(999).is_none());
        assert!(map.map(1100).is_none());
    }

    #[test]
    fn each_fault_is_named() {
        let cases = [
            (1050, item(10, 0, &[(1, 0)]), "chunk 1050 overlaps chunk 1000"),
            (900, item(200, 0, &[(1, 0)]), "chunk 900 overlaps chunk 1000"),
            (1000, item(100, 0, &[(1, 6000)]), "chunk 1000 overlaps chunk 1000"),
            (5, item(0, 0, &[(1, 0)]), "chunk 5: length 0 is 0 or passes the end of addresses"),
            (5, item(10, 0, &[]), "chunk 5: 0 stripes are not 1..=32"),
            (5, item(10, 0, &[(2, 0)]), "chunk 5: no stripe of it is on device 1"),
            (5, item(10, 0, &[(1, 0)])[..70].to_vec(), "chunk 5: an item of 70 bytes is too short"),
            (5, item(10, 1 << 3, &[(1, 0), (1, 9)]), "btrfs with RAID0 chunks"),
        ];
        for (logical, item_of_case, message) in cases {
            let mut map = ChunkMap::default();
            map.insert(1000, &item(100, 0, &[(1, 5000)]), 1).unwrap();
            let error = map.insert(logical, &item_of_case, 1).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn raid0_of_one_stripe_is_read() {
        let mut map = ChunkMap::default();
        map.insert(0, &item(100, 1 << 3, &[(1, 5000)]), 1).unwrap();
        assert_eq!(map.map(1).unwrap().copies, [5001]);
    }
}
