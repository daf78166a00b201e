//! Block maps: twelve pointers in the inode, then one block of pointers, blocks of those, and
//! blocks of those. What maps files on ext2 and ext3, and on ext4 without extents.

use kiln_disk::{Error, Result};

use super::ExtFs;
use super::device::Role;
use super::inode::Inode;
use super::le::{index, u32_at};
use super::map::Run;

/// Pointers in the inode that lead straight to data.
const N_DIRECT: u64 = 12;

impl ExtFs {
    /// The run that the logical block `logical` of `inode` begins, by its block map.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a pointer out of the filesystem.
    pub(super) fn map_blocks(&self, inode: &Inode, logical: u64) -> Result<Run> {
        if logical < N_DIRECT {
            return self.pointer_run(inode, &inode.i_block, logical, N_DIRECT);
        }
        let per_block = self.device.block_size() / 4;
        // What is left of `logical` below the tree that is looked at, and how much that covers.
        let mut rest = logical - N_DIRECT;
        let mut covered = per_block;
        for level in 1..=3_u64 {
            if rest < covered {
                let root = u32_at(&inode.i_block, index((N_DIRECT + level - 1) * 4))?;
                return self.descend(inode, root, level, rest);
            }
            rest -= covered;
            covered = covered.saturating_mul(per_block);
        }
        Ok(Run { physical: None, n_blocks: u64::MAX - logical })
    }

    /// Follow `pointer` down `level` blocks of pointers to the block `rest` below it.
    fn descend(&self, inode: &Inode, mut pointer: u32, level: u64, mut rest: u64) -> Result<Run> {
        let per_block = self.device.block_size() / 4;
        for level in (1..=level).rev() {
            let below = (1..level).fold(1_u64, |size, _| size.saturating_mul(per_block));
            if pointer == 0 {
                let covered = below.saturating_mul(per_block);
                return Ok(Run { physical: None, n_blocks: covered.saturating_sub(rest).max(1) });
            }
            self.check_pointer(inode, pointer)?;
            let block = self.device.block(u64::from(pointer), Role::Plain, |_| Ok(()))?;
            if level == 1 {
                return self.pointer_run(inode, &block, rest, per_block);
            }
            pointer = u32_at(&block, index(rest / below * 4))?;
            rest %= below;
        }
        Ok(Run { physical: None, n_blocks: 1 })
    }

    /// The run in the array `pointers` that begins with the one at `at`: as long as blocks follow
    /// each other, or as long as there are none.
    fn pointer_run(&self, inode: &Inode, pointers: &[u8], at: u64, n_pointers: u64) -> Result<Run> {
        let first = u32_at(pointers, index(at * 4))?;
        let mut n_blocks = 1;
        for position in at + 1..n_pointers {
            let pointer = u32_at(pointers, index(position * 4))?;
            let due = match first {
                0 => Some(0),
                first => u32::try_from(n_blocks).ok().and_then(|n| first.checked_add(n)),
            };
            if Some(pointer) != due {
                break;
            }
            n_blocks += 1;
        }
        if first == 0 {
            return Ok(Run { physical: None, n_blocks });
        }
        self.check_pointer(inode, first)?;
        let end = u64::from(first).saturating_add(n_blocks);
        let excess = end.saturating_sub(self.device.n_blocks());
        let n_blocks = n_blocks.saturating_sub(excess).max(1);
        Ok(Run { physical: Some(u64::from(first)), n_blocks })
    }

    fn check_pointer(&self, inode: &Inode, pointer: u32) -> Result<()> {
        let block = u64::from(pointer);
        if block > u64::from(self.superblock.first_data_block) && block < self.device.n_blocks() {
            return Ok(());
        }
        let number = inode.number;
        Err(Error::corrupt(format!("inode {number}: block {block} is outside the filesystem")))
    }
}
