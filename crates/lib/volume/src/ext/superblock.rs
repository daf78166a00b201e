//! The superblock: 1024 bytes at byte 1024, whatever the block size.
//!
//! Decodes and judges a byte slice; the caller reads it. Layout: Linux
//! Documentation/filesystems/ext4/super.rst, whose field names stand in the comments.

use kiln_disk::{Error, Kind, Result};

use super::features::{
    COMPAT_HAS_JOURNAL, COMPAT_SPARSE_SUPER2, Features, INCOMPAT_64BIT, INCOMPAT_CSUM_SEED,
    RO_COMPAT_BIGALLOC, RO_COMPAT_SPARSE_SUPER,
};
use super::le::{array_at, crc32c, join, slice_at, u8_at, u16_at, u32_at};
use crate::fs::FsKind;

/// Where it starts, in bytes.
pub(super) const SUPERBLOCK_OFFSET: u64 = 1024;
/// Its size in bytes.
pub(super) const SUPERBLOCK_BYTES: usize = 1024;
const MAGIC: u16 = 0xef53;
/// 64 KiB, the largest block that ext4 knows (EXT4_MAX_BLOCK_LOG_SIZE is 16).
const MAX_LOG_BLOCK_SIZE: u32 = 6;
/// The Hurd uses some inode fields for other things (EXT4_OS_HURD).
const OS_HURD: u32 = 1;

/// A checked superblock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Superblock {
    pub(super) n_inodes: u32,
    pub(super) n_blocks: u64,
    pub(super) n_free_blocks: u64,
    pub(super) n_free_inodes: u32,
    pub(super) first_data_block: u32,
    pub(super) block_size: u32,
    pub(super) cluster_size: u32,
    pub(super) blocks_per_group: u32,
    pub(super) inodes_per_group: u32,
    pub(super) inode_size: u16,
    pub(super) descriptor_size: u16,
    pub(super) features: Features,
    pub(super) uuid: [u8; 16],
    pub(super) label: String,
    pub(super) state: u16,
    pub(super) is_hurd: bool,
    /// 0: the journal is on another device.
    pub(super) journal_inode: u32,
    pub(super) first_meta_bg: u32,
    pub(super) backup_groups: [u32; 2],
    /// What every metadata checksum but the superblock's starts from.
    pub(super) checksum_seed: u32,
}

impl Superblock {
    /// Decode the 1024 bytes that lie at byte 1024.
    ///
    /// # Errors
    ///
    /// `OtherFormat` unless the magic is there; `Unsupported` for features without which reading
    /// would be wrong; `Corrupt` for a wrong checksum or a geometry that the kernel refuses.
    pub(super) fn decode(raw: &[u8]) -> Result<Self> {
        if u16_at(raw, 0x38)? != MAGIC {
            return Err(Error::new(Kind::OtherFormat, "not ext2, ext3 or ext4"));
        }
        let revision = u32_at(raw, 0x4c)?; // s_rev_level
        let features = match revision {
            0 => Features { compat: 0, incompat: 0, ro_compat: 0 },
            _ => Features {
                compat: u32_at(raw, 0x5c)?,
                incompat: u32_at(raw, 0x60)?,
                ro_compat: u32_at(raw, 0x64)?,
            },
        };
        refuse_unreadable(features)?;
        check_checksum(raw, features)?;
        let uuid: [u8; 16] = array_at(raw, 0x68)?;
        let is_64bit = features.incompat & INCOMPAT_64BIT != 0;
        let high = |at| if is_64bit { u32_at(raw, at) } else { Ok(0) };
        let superblock = Self {
            n_inodes: u32_at(raw, 0x0)?,
            n_blocks: join(high(0x150)?, u32_at(raw, 0x4)?),
            n_free_blocks: join(high(0x158)?, u32_at(raw, 0xc)?),
            n_free_inodes: u32_at(raw, 0x10)?,
            first_data_block: u32_at(raw, 0x14)?,
            block_size: block_size(u32_at(raw, 0x18)?)?,
            cluster_size: cluster_size(raw, features)?,
            blocks_per_group: u32_at(raw, 0x20)?,
            inodes_per_group: u32_at(raw, 0x28)?,
            inode_size: if revision == 0 { 128 } else { u16_at(raw, 0x58)? },
            descriptor_size: if is_64bit { u16_at(raw, 0xfe)? } else { 32 },
            features,
            uuid,
            label: label(slice_at(raw, 0x78, 16)?),
            state: u16_at(raw, 0x3a)?,
            is_hurd: u32_at(raw, 0x48)? == OS_HURD,
            journal_inode: u32_at(raw, 0xe0)?,
            first_meta_bg: u32_at(raw, 0x104)?,
            backup_groups: [u32_at(raw, 0x24c)?, u32_at(raw, 0x250)?],
            checksum_seed: match features.incompat & INCOMPAT_CSUM_SEED {
                0 => crc32c(!0, &uuid),
                _ => u32_at(raw, 0x270)?,
            },
        };
        superblock.check_geometry()?;
        Ok(superblock)
    }

    /// ext2, 3 or 4, as `blkid` tells them apart.
    pub(super) fn kind(&self) -> FsKind {
        if self.features.is_ext4() {
            FsKind::Ext4
        } else if self.has_journal() {
            FsKind::Ext3
        } else {
            FsKind::Ext2
        }
    }

    /// Whether a journal is there, here or on another device.
    pub(super) fn has_journal(&self) -> bool {
        self.features.compat & COMPAT_HAS_JOURNAL != 0
    }

    /// The size of the filesystem in bytes; `check_geometry` has seen that it fits.
    pub(super) fn size_bytes(&self) -> u64 {
        self.n_blocks.saturating_mul(u64::from(self.block_size))
    }

    /// The unit of allocation in sectors of 512 bytes: a block, or with `bigalloc` a cluster.
    pub(super) fn cluster_sectors(&self) -> u64 {
        u64::from(self.cluster_size / 512)
    }

    /// The number of block groups.
    pub(super) fn n_groups(&self) -> u64 {
        let blocks = self.n_blocks.saturating_sub(u64::from(self.first_data_block));
        blocks.div_ceil(u64::from(self.blocks_per_group.max(1)))
    }

    /// Whether `group` starts with a copy of the superblock.
    pub(super) fn has_superblock(&self, group: u64) -> bool {
        let is_power_of = |base: u64| {
            let mut power = base;
            while power < group {
                power = power.saturating_mul(base);
            }
            power == group
        };
        if group == 0 {
            true
        } else if self.features.compat & COMPAT_SPARSE_SUPER2 != 0 {
            self.backup_groups.iter().any(|&backup| u64::from(backup) == group)
        } else if self.features.ro_compat & RO_COMPAT_SPARSE_SUPER != 0 {
            group == 1 || is_power_of(3) || is_power_of(5) || is_power_of(7)
        } else {
            true
        }
    }

    /// What the kernel's `ext4_check_geometry` and its neighbours refuse, as far as reading
    /// depends on it.
    fn check_geometry(&self) -> Result<()> {
        let wrong = |field: &str, value: u64, at: u64, why: &str| {
            Err(Error::corrupt(format!("superblock: {field} {value} {why}"))
                .at(SUPERBLOCK_OFFSET + at))
        };
        let inode_size = u64::from(self.inode_size);
        let block_size = u64::from(self.block_size);
        if inode_size < 128 || !self.inode_size.is_power_of_two() || inode_size > block_size {
            return wrong(
                "inode size",
                inode_size,
                0x58,
                "is not a power of two from 128 to a block",
            );
        }
        let descriptor_size = u64::from(self.descriptor_size);
        if !matches!(self.descriptor_size, 32 | 64..=1024) || !descriptor_size.is_power_of_two() {
            return wrong(
                "descriptor size",
                descriptor_size,
                0xfe,
                "is not a power of two from 64",
            );
        }
        if self.inodes_per_group == 0 || u64::from(self.inodes_per_group) > 8 * block_size {
            let value = u64::from(self.inodes_per_group);
            return wrong("inodes per group", value, 0x28, "do not fit in one bitmap block");
        }
        if self.blocks_per_group == 0 {
            return wrong("blocks per group", 0, 0x20, "cannot be");
        }
        if self.n_blocks <= u64::from(self.first_data_block) || self.first_data_block > 1 {
            let value = u64::from(self.first_data_block);
            return wrong("first data block", value, 0x14, "is neither 0 nor 1, or after the end");
        }
        if self.n_blocks.checked_mul(block_size).is_none() {
            return wrong("block count", self.n_blocks, 0x4, "is more than 64 bits of bytes");
        }
        let fitting = self.n_groups().saturating_mul(u64::from(self.inodes_per_group));
        if u64::from(self.n_inodes) > fitting || self.n_inodes < 2 {
            let value = u64::from(self.n_inodes);
            return wrong("inode count", value, 0x0, "does not fit the number of groups");
        }
        Ok(())
    }
}

fn refuse_unreadable(features: Features) -> Result<()> {
    if features.is_journal_device() {
        return Err(Error::unsupported(
            "the external journal of an ext filesystem, not a filesystem",
        ));
    }
    let names = features.unreadable();
    if names.is_empty() {
        return Ok(());
    }
    let names = names.join(", ");
    Err(Error::unsupported(format!("ext4 feature {names} is one that kiln does not read"))
        .at(SUPERBLOCK_OFFSET + 0x60))
}

fn check_checksum(raw: &[u8], features: Features) -> Result<()> {
    /// CRC32C is the only type there is (EXT4_CRC32C_CHKSUM).
    const CRC32C: u8 = 1;
    if !features.metadata_csum() {
        return Ok(());
    }
    let checksum_type = u8_at(raw, 0x175)?; // s_checksum_type
    if checksum_type != CRC32C {
        let message = format!("superblock: checksum type {checksum_type} is not 1 (crc32c)");
        return Err(Error::unsupported(message).at(SUPERBLOCK_OFFSET + 0x175));
    }
    let stored = u32_at(raw, 0x3fc)?; // s_checksum
    let computed = crc32c(!0, slice_at(raw, 0, 0x3fc)?);
    if stored != computed {
        let message = format!("superblock: checksum {stored:#010x}, computed {computed:#010x}");
        return Err(Error::corrupt(message).at(SUPERBLOCK_OFFSET + 0x3fc));
    }
    Ok(())
}

fn block_size(log_block_size: u32) -> Result<u32> {
    if log_block_size > MAX_LOG_BLOCK_SIZE {
        let message = format!(
            "superblock: block size exponent {log_block_size} is above {MAX_LOG_BLOCK_SIZE} (64 KiB)"
        );
        return Err(Error::corrupt(message).at(SUPERBLOCK_OFFSET + 0x18));
    }
    Ok(1024 << log_block_size)
}

fn cluster_size(raw: &[u8], features: Features) -> Result<u32> {
    let at = if features.ro_compat & RO_COMPAT_BIGALLOC != 0 { 0x1c } else { 0x18 };
    let exponent = u32_at(raw, at)?; // s_log_cluster_size
    1024_u32.checked_shl(exponent).filter(|size| *size >= 1024).ok_or_else(|| {
        Error::corrupt(format!("superblock: cluster size exponent {exponent} is too large"))
            .at(SUPERBLOCK_OFFSET + 0x1c)
    })
}

fn label(raw: &[u8]) -> String {
    let text = raw.split(|&byte| byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}
