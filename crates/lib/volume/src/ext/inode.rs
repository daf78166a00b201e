//! Inodes: 128 bytes, or more with the extra fields and room for attributes behind them.
//!
//! Layout: Linux Documentation/filesystems/ext4/inodes.rst.

use std::sync::Arc;

use kiln_disk::{Error, Result};

use super::ExtFs;
use super::device::Role;
use super::features::INCOMPAT_LARGE_DIR;
use super::le::{array_at, crc32c, index, join, low_half, slice_at, u16_at, u32_at};
use crate::fs::{FileType, Stat};

/// `i_block` starts here.
const BLOCK_AT: usize = 0x28;
/// The checksum's low half is here (`osd2.linux2.l_i_checksum_lo`), its high half at 0x82.
const CHECKSUM_LO_AT: usize = 0x7c;
const CHECKSUM_HI_AT: usize = 0x82;
/// Where the part begins that only inodes of more than 128 bytes have.
const EXTRA_AT: usize = 0x80;

const FLAG_IMMUTABLE: u32 = 0x10;
const FLAG_ENCRYPTED: u32 = 0x800;
const FLAG_INDEX: u32 = 0x1000;
const FLAG_EXTENTS: u32 = 0x8_0000;
const FLAG_EA_INODE: u32 = 0x20_0000;
const FLAG_INLINE_DATA: u32 = 0x1000_0000;

/// A decoded inode.
#[derive(Debug)]
pub(super) struct Inode {
    pub(super) number: u32,
    pub(super) stat: Stat,
    pub(super) flags: u32,
    /// Block pointers, an extent tree's root, a short link's text or the start of inline data.
    pub(super) i_block: [u8; 60],
    /// The block of extended attributes; 0: none.
    pub(super) xattr_block: u64,
    /// Space used in units of 512 bytes or of blocks: whether a link's text is in `i_block`.
    pub(super) n_sectors: u64,
    /// What the checksums of its extent and directory blocks start from.
    pub(super) checksum_seed: u32,
    /// The room behind the extra fields, where attributes are.
    pub(super) xattr_area: Box<[u8]>,
}

impl Inode {
    pub(super) fn is_encrypted(&self) -> bool {
        self.flags & FLAG_ENCRYPTED != 0
    }

    pub(super) fn is_indexed(&self) -> bool {
        self.flags & FLAG_INDEX != 0
    }

    pub(super) fn has_extents(&self) -> bool {
        self.flags & FLAG_EXTENTS != 0
    }

    pub(super) fn has_inline_data(&self) -> bool {
        self.flags & FLAG_INLINE_DATA != 0
    }

    /// Whether it holds the value of a large extended attribute and no file.
    pub(super) fn is_xattr_value(&self) -> bool {
        self.flags & FLAG_EA_INODE != 0
    }
}

impl ExtFs {
    /// Inode `number`, from the cache or the disk.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a number there is none of, a wrong checksum, or a mode without a file type
    /// (as an inode that was freed or overwritten has).
    pub(super) fn inode(&self, number: u64) -> Result<Arc<Inode>> {
        let number = u32::try_from(number)
            .ok()
            .filter(|number| (1..=self.superblock.n_inodes).contains(number))
            .ok_or_else(|| {
                let n_inodes = self.superblock.n_inodes;
                Error::corrupt(format!("inode {number} is outside 1..={n_inodes}"))
            })?;
        if let Some(inode) = self.inodes.get(number, |_| 1) {
            return Ok(inode);
        }
        let per_group = self.superblock.inodes_per_group.max(1);
        let table = self.inode_table(u64::from((number - 1) / per_group))?;
        let size = u64::from(self.superblock.inode_size);
        let at = u64::from((number - 1) % per_group).saturating_mul(size);
        let block_size = self.device.block_size();
        let block =
            self.device.block(table.saturating_add(at / block_size), Role::Plain, |_| Ok(()))?;
        let raw = slice_at(&block, index(at % block_size), index(size))?;
        let inode = Arc::new(
            self.decode_inode(number, raw)
                .map_err(|error| error.at(table.saturating_mul(block_size).saturating_add(at)))?,
        );
        self.inodes.insert(number, Arc::clone(&inode), 1);
        Ok(inode)
    }

    fn decode_inode(&self, number: u32, raw: &[u8]) -> Result<Inode> {
        let extra_size = extra_size(number, raw)?;
        let generation = u32_at(raw, 0x64)?;
        let seed = crc32c(self.superblock.checksum_seed, &number.to_le_bytes());
        let checksum_seed = crc32c(seed, &generation.to_le_bytes());
        if self.superblock.features.metadata_csum() {
            check_checksum(number, raw, checksum_seed, extra_size)?;
        }
        let flags = u32_at(raw, 0x20)?;
        Ok(Inode {
            number,
            stat: self.decode_stat(number, raw, flags, extra_size)?,
            flags,
            i_block: array_at(raw, BLOCK_AT)?,
            xattr_block: join(self.linux_high(raw, 0x76)?, u32_at(raw, 0x68)?),
            n_sectors: join(self.linux_high(raw, 0x74)?, u32_at(raw, 0x1c)?),
            checksum_seed,
            xattr_area: raw.get(EXTRA_AT + extra_size..).unwrap_or_default().into(),
        })
    }

    fn decode_stat(&self, number: u32, raw: &[u8], flags: u32, extra: usize) -> Result<Stat> {
        let mode = u16_at(raw, 0x0)?;
        let Some(file_type) = FileType::from_mode(u32::from(mode)) else {
            return Err(Error::corrupt(format!("inode {number}: mode {mode:#o} has no file type")));
        };
        let has_high_size = match file_type {
            FileType::Regular => true,
            FileType::Directory => self.superblock.features.incompat & INCOMPAT_LARGE_DIR != 0,
            _ => false,
        };
        let size_high = if has_high_size { u32_at(raw, 0x6c)? } else { 0 };
        // Seconds are signed; two of the extra bits carry them past 2038.
        let mtime = i32::from_le_bytes(array_at(raw, 0x10)?);
        let epoch = if extra >= 12 { u32_at(raw, 0x88)? & 3 } else { 0 };
        let is_device = matches!(file_type, FileType::CharDevice | FileType::BlockDevice);
        Ok(Stat {
            file_type,
            mode: mode & 0o7777,
            uid: u32::from(u16_at(raw, 0x2)?) | (self.linux_high(raw, 0x78)? << 16),
            gid: u32::from(u16_at(raw, 0x18)?) | (self.linux_high(raw, 0x7a)? << 16),
            size_bytes: join(size_high, u32_at(raw, 0x4)?),
            n_links: u32::from(u16_at(raw, 0x1a)?),
            mtime_s: i64::from(mtime) + (i64::from(epoch) << 32),
            immutable: flags & FLAG_IMMUTABLE != 0,
            device: if is_device { Some(device_number(raw)?) } else { None },
        })
    }

    /// The 16-bit upper half at `at` that Linux keeps there; the Hurd keeps other things.
    fn linux_high(&self, raw: &[u8], at: usize) -> Result<u32> {
        if self.superblock.is_hurd { Ok(0) } else { u16_at(raw, at).map(u32::from) }
    }
}

/// How many of the extra fields the inode says to have, in bytes (`i_extra_isize`).
fn extra_size(number: u32, raw: &[u8]) -> Result<usize> {
    if raw.len() <= EXTRA_AT {
        return Ok(0);
    }
    let size = usize::from(u16_at(raw, EXTRA_AT)?);
    if size > raw.len() - EXTRA_AT || !size.is_multiple_of(4) {
        return Err(Error::corrupt(format!(
            "inode {number}: extra size {size} does not fit an inode of {} bytes",
            raw.len()
        )));
    }
    Ok(size)
}

fn check_checksum(number: u32, raw: &[u8], seed: u32, extra_size: usize) -> Result<()> {
    let has_high = extra_size >= CHECKSUM_HI_AT + 2 - EXTRA_AT;
    let mut crc = crc32c(seed, slice_at(raw, 0, CHECKSUM_LO_AT)?);
    crc = crc32c(crc, &[0, 0]);
    let mut stored = u32::from(u16_at(raw, CHECKSUM_LO_AT)?);
    if has_high {
        crc = crc32c(crc, slice_at(raw, CHECKSUM_LO_AT + 2, CHECKSUM_HI_AT - CHECKSUM_LO_AT - 2)?);
        crc = crc32c(crc, &[0, 0]);
        crc = crc32c(crc, raw.get(CHECKSUM_HI_AT + 2..).unwrap_or_default());
        stored |= u32::from(u16_at(raw, CHECKSUM_HI_AT)?) << 16;
    } else {
        crc = low_half(crc32c(crc, raw.get(CHECKSUM_LO_AT + 2..).unwrap_or_default()));
    }
    if stored == crc {
        return Ok(());
    }
    Err(Error::corrupt(format!("inode {number}: checksum {stored:#010x}, computed {crc:#010x}")))
}

/// The old 16-bit form in the first block pointer, or the new 32-bit form in the second.
fn device_number(raw: &[u8]) -> Result<(u32, u32)> {
    let old = u32_at(raw, BLOCK_AT)?;
    if old != 0 {
        return Ok(((old >> 8) & 0xff, old & 0xff));
    }
    let new = u32_at(raw, BLOCK_AT + 4)?;
    Ok(((new & 0xf_ff00) >> 8, (new & 0xff) | ((new >> 12) & 0xf_ff00)))
}
