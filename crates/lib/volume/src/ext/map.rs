//! From the bytes of a file to the blocks of the disk.

use kiln_disk::{Error, Result};

use super::ExtFs;
use super::inode::Inode;
use super::le::index;

/// A run of logical blocks that lie together on the disk, or are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The block of the disk it starts at; `None`: zeroes (a hole, or allocated and not written).
    pub(super) physical: Option<u64>,
    /// Its length from the block that was asked for; never 0.
    pub(super) n_blocks: u64,
}

impl ExtFs {
    /// The run that the logical block `logical` of `inode` begins.
    pub(super) fn map(&self, inode: &Inode, logical: u64) -> Result<Run> {
        if inode.has_extents() {
            self.map_extents(inode, logical)
        } else {
            self.map_blocks(inode, logical)
        }
    }

    /// Fill as much of `buf` as the file has from `offset` on, by runs as long as they are.
    pub(super) fn read_inode(&self, inode: &Inode, offset: u64, buf: &mut [u8]) -> Result<usize> {
        if inode.is_encrypted() {
            return Err(encrypted(inode, "its content"));
        }
        let left = inode.stat.size_bytes.saturating_sub(offset);
        let length = buf.len().min(index(left));
        let buf = buf.get_mut(..length).unwrap_or_default();
        if inode.has_inline_data() {
            return self.read_inline(inode, offset, buf);
        }
        let block_size = self.device.block_size();
        let mut filled = 0;
        while filled < length {
            let at = offset.saturating_add(u64::try_from(filled).unwrap_or(u64::MAX));
            let run = self.map(inode, at / block_size)?;
            let skip = at % block_size;
            let run_bytes = run.n_blocks.saturating_mul(block_size).saturating_sub(skip);
            let n = index(run_bytes).min(length - filled);
            let part = buf.get_mut(filled..filled + n).unwrap_or_default();
            match run.physical {
                Some(block) => self.device.read(block, skip, part)?,
                None => part.fill(0),
            }
            filled += n;
        }
        Ok(length)
    }

    fn read_inline(&self, inode: &Inode, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let data = self.inline_data(inode)?;
        let rest = data.get(index(offset)..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        for (target, byte) in buf.iter_mut().zip(rest) {
            *target = *byte;
        }
        // A file truncated to be longer and still inline reads as zeroes behind what is stored.
        buf.get_mut(n..).unwrap_or_default().fill(0);
        Ok(buf.len())
    }

    /// The data that an inode holds itself: what `i_block` has room for, then the value of the
    /// attribute `system.data`.
    pub(super) fn inline_data(&self, inode: &Inode) -> Result<Vec<u8>> {
        let mut data = inode.i_block.to_vec();
        data.extend(self.inline_rest(inode)?);
        data.truncate(index(inode.stat.size_bytes));
        Ok(data)
    }
}

/// What cannot be read without a key, of what is otherwise sound.
pub(super) fn encrypted(inode: &Inode, what: &str) -> Error {
    Error::unsupported(format!(
        "inode {} is encrypted: {what} cannot be read without the key",
        inode.number
    ))
}
