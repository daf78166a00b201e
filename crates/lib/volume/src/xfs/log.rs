//! Whether the log ends with an unmount record. Only the end is looked at: a binary search over
//! the cycle numbers of its sectors, then at most 33 KiB backwards.

use kiln_disk::{Result, Source};

use super::bytes::{index, u8_at, u32_at};
use super::superblock::Superblock;

const SECTOR_BYTES: u64 = 512;
const RECORD_MAGIC: u32 = 0xfeed_babe;
const UNMOUNT: u8 = 0x20;
/// An unmount record is a few sectors long; the end of any record of the usual 32 KiB log buffer
/// is as near.
const MAX_BACK_SECTORS: u64 = 66;

/// `None`: it cannot be told (an external log, or one that was never written).
pub(super) fn is_clean(source: &Source, sb: &Superblock) -> Result<Option<bool>> {
    let n_sectors = u64::from(sb.log_blocks) * u64::from(sb.block_bytes) / SECTOR_BYTES;
    if sb.log_start == 0 || n_sectors < 2 {
        return Ok(None);
    }
    let log = Log { source, start: sb.block_offset(sb.log_start)?, n_sectors };
    let Some(head) = log.head()? else { return Ok(None) };
    let back = MAX_BACK_SECTORS.min(n_sectors - 1);
    for distance in 1..=back {
        let sector = (head + n_sectors - distance) % n_sectors;
        let header = log.sector(sector)?;
        if u32_at(&header, 0) != RECORD_MAGIC {
            continue;
        }
        let size_bytes = u64::from(u32_at(&header, 320));
        let n_headers =
            if u32_at(&header, 8) & 2 != 0 { size_bytes.div_ceil(32768).max(1) } else { 1 };
        let body = log.sector((sector + n_headers) % n_sectors)?;
        return Ok(Some(u32_at(&header, 40) == 1 && u8_at(&body, 9) & UNMOUNT != 0));
    }
    // A record as long as that is not an unmount record.
    Ok(Some(false))
}

struct Log<'a> {
    source: &'a Source,
    start: u64,
    n_sectors: u64,
}

impl Log<'_> {
    fn sector(&self, number: u64) -> Result<Vec<u8>> {
        let mut sector = vec![0; index(SECTOR_BYTES)];
        self.source.read_at(self.start.saturating_add(number * SECTOR_BYTES), &mut sector)?;
        Ok(sector)
    }

    fn cycle(&self, number: u64) -> Result<u32> {
        let sector = self.sector(number)?;
        Ok(u32_at(&sector, if u32_at(&sector, 0) == RECORD_MAGIC { 4 } else { 0 }))
    }

    /// The sector after the last written one: where the cycle first differs from the first's.
    fn head(&self) -> Result<Option<u64>> {
        let first = self.cycle(0)?;
        if first == 0 {
            return Ok(None);
        }
        if self.cycle(self.n_sectors - 1)? == first {
            return Ok(Some(0));
        }
        let (mut same, mut other) = (0, self.n_sectors - 1);
        while other - same > 1 {
            let middle = same + (other - same) / 2;
            if self.cycle(middle)? == first { same = middle } else { other = middle }
        }
        Ok(Some(other))
    }
}
