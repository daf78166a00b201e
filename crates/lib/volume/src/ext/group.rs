//! Group descriptors: where each group's inode table is.
//!
//! 32 bytes, or 64 and more with the feature `64bit`. They lie together behind the superblock, or
//! with `meta_bg` a block of them in the first group it describes. Read one block at a time, when
//! an inode of the group is wanted: a disk of a terabyte has 8192 of them and a check needs few.

use kiln_disk::{Error, Result};

use super::ExtFs;
use super::device::Role;
use super::features::{INCOMPAT_META_BG, RO_COMPAT_GDT_CSUM};
use super::le::{crc32c, index, join, low_half, slice_at, u16_at, u32_at};
use super::superblock::Superblock;

/// Where `bg_checksum` is in a descriptor.
const CHECKSUM_AT: usize = 0x1e;

impl ExtFs {
    /// The first block of the inode table of `group`.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a wrong checksum or a table outside the filesystem.
    pub(super) fn inode_table(&self, group: u64) -> Result<u64> {
        if let Some(table) = self.inode_tables.get(group, |_| 1) {
            return Ok(table);
        }
        let superblock = &self.superblock;
        let size = u64::from(superblock.descriptor_size);
        let per_block = self.device.block_size() / size;
        let at = table_block(superblock, group / per_block, per_block);
        let block = self.device.block(at, Role::Descriptors, |_| Ok(()))?;
        let raw = slice_at(&block, index((group % per_block) * size), index(size))?;
        check(superblock, group, raw)?;
        let high = if size >= 64 { u32_at(raw, 0x28)? } else { 0 };
        let table = join(high, u32_at(raw, 0x8)?);
        if table <= u64::from(superblock.first_data_block) || table >= superblock.n_blocks {
            return Err(Error::corrupt(format!(
                "group {group}: inode table at block {table}, outside the filesystem"
            )));
        }
        self.inode_tables.insert(group, table, 1);
        Ok(table)
    }
}

/// The block that holds the `number`th block of descriptors. The kernel's `descriptor_loc`.
fn table_block(superblock: &Superblock, number: u64, per_block: u64) -> u64 {
    let superblock_block = if superblock.block_size == 1024 { 1 } else { 0 };
    let is_meta = superblock.features.incompat & INCOMPAT_META_BG != 0
        && number >= u64::from(superblock.first_meta_bg);
    if !is_meta {
        return number.saturating_add(superblock_block + 1);
    }
    let group = number.saturating_mul(per_block);
    let mut skip = u64::from(superblock.has_superblock(group));
    // With blocks of 1 KiB that count from 0 (bigalloc), the superblock is in block 1 of group 0.
    if group == 0 && superblock.block_size == 1024 && superblock.first_data_block == 0 {
        skip = 2;
    }
    group
        .saturating_mul(u64::from(superblock.blocks_per_group))
        .saturating_add(u64::from(superblock.first_data_block) + skip)
}

fn check(superblock: &Superblock, group: u64, raw: &[u8]) -> Result<()> {
    let stored = u32::from(u16_at(raw, CHECKSUM_AT)?);
    let number = u32::try_from(group).unwrap_or(u32::MAX).to_le_bytes();
    let (before, after) = (slice_at(raw, 0, CHECKSUM_AT)?, raw.get(CHECKSUM_AT + 2..));
    let after = after.unwrap_or_default();
    let computed = if superblock.features.metadata_csum() {
        let seed = crc32c(crc32c(superblock.checksum_seed, &number), before);
        low_half(crc32c(crc32c(seed, &[0, 0]), after))
    } else if superblock.features.ro_compat & RO_COMPAT_GDT_CSUM != 0 {
        let seed = crc16(crc16(!0, &superblock.uuid), &number);
        u32::from(crc16(crc16(seed, before), after))
    } else {
        return Ok(());
    };
    if stored == computed {
        return Ok(());
    }
    Err(Error::corrupt(format!(
        "group {group}: descriptor checksum {stored:#06x}, computed {computed:#06x}"
    )))
}

/// CRC-16 with the reflected polynomial 0xA001, as ext4 had before `metadata_csum`.
fn crc16(seed: u16, bytes: &[u8]) -> u16 {
    bytes.iter().fold(seed, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte), |crc, _| {
            if crc & 1 == 0 { crc >> 1 } else { (crc >> 1) ^ 0xa001 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::crc16;

    /// The published check value of CRC-16/MODBUS, which has this polynomial and this start.
    #[test]
    fn crc16_check_value() {
        assert_eq!(crc16(!0, b"123456789"), 0x4b37);
    }
}
