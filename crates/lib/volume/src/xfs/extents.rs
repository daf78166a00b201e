//! The extent list of a fork: in the inode, or in a B+tree whose root is in the inode.

use std::collections::HashSet;

use kiln_disk::{Error, Result};

use super::Xfs;
use super::bytes::{crc_holds, index, u16_at, u64_at};
use super::inode::{Fork, Format, Inode};
use crate::fs::FileType;

/// More extents than this are not kept of one file (24 bytes each).
const MAX_EXTENTS: usize = 1 << 21;
/// XFS's own bound is 9; the kernel refuses deeper trees.
const MAX_LEVELS: u16 = 9;

/// A run of file blocks and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// First block of the file.
    pub(super) file_block: u64,
    /// First block of the filesystem.
    pub(super) disk_block: u64,
    /// Blocks, at most 2^21 - 1.
    pub(super) n_blocks: u64,
    /// Allocated and never written: reads as zeroes.
    pub(super) unwritten: bool,
}

impl Extent {
    /// The file block after the last; both fields are too small to overflow.
    pub(super) fn end(&self) -> u64 {
        self.file_block + self.n_blocks
    }

    fn decode(record: &[u8]) -> Self {
        let (high, low) = (u64_at(record, 0), u64_at(record, 8));
        Self {
            file_block: high >> 9 & ((1 << 54) - 1),
            disk_block: (high & 0x1ff) << 43 | low >> 21,
            n_blocks: low & 0x1f_ffff,
            unwritten: high >> 63 != 0,
        }
    }
}

/// Every extent of the data fork of `inode`, in the order of the file.
///
/// The blocks of a directory are read one after another by whoever lists it, so its extents may
/// not name a block twice, nor more blocks than the inode claims: an image of a few kilobytes
/// would else list for hours.
pub(super) fn of_data(fs: &Xfs, inode: &Inode) -> Result<Vec<Extent>> {
    let extents = read(fs, inode.ino, &inode.data)?;
    if !inode.realtime {
        check_place(fs, inode.ino, &extents)?;
    }
    if inode.stat.file_type == FileType::Directory {
        check_directory(fs, inode, &extents)?;
    }
    Ok(extents)
}

/// Every extent of the attribute fork `fork` of inode `ino`.
pub(super) fn of_attributes(fs: &Xfs, ino: u64, fork: &Fork) -> Result<Vec<Extent>> {
    let extents = read(fs, ino, fork)?;
    check_place(fs, ino, &extents)?;
    Ok(extents)
}

fn check_place(fs: &Xfs, ino: u64, extents: &[Extent]) -> Result<()> {
    for extent in extents {
        fs.sb
            .run_offset(extent.disk_block, extent.n_blocks)
            .map_err(|error| Error::new(error.kind(), format!("xfs inode {ino}: {error}")))?;
    }
    Ok(())
}

fn check_directory(fs: &Xfs, inode: &Inode, extents: &[Extent]) -> Result<()> {
    let corrupt = |what: String| Error::corrupt(format!("xfs inode {}: {what}", inode.ino));
    let n_blocks: u64 = extents.iter().map(|extent| extent.n_blocks).sum();
    let most = inode.n_blocks.min(fs.sb.n_present_blocks);
    if n_blocks > most {
        return Err(corrupt(format!("a directory of {n_blocks} blocks that claims {most}")));
    }
    let mut places: Vec<_> = extents.iter().map(|e| (e.disk_block, e.n_blocks)).collect();
    places.sort_unstable();
    for (&(block, n), &(next, _)) in places.iter().zip(places.iter().skip(1)) {
        if next - block < n {
            return Err(corrupt(format!("block {next:#x} is in the directory twice")));
        }
    }
    Ok(())
}

fn read(fs: &Xfs, ino: u64, fork: &Fork) -> Result<Vec<Extent>> {
    let mut found = Vec::new();
    match fork.format {
        Format::Extents => {
            let records = fork.bytes.chunks_exact(16).take(index(fork.n_extents));
            found.extend(records.map(Extent::decode));
        }
        Format::Btree => {
            let (level, n) = (u16_at(&fork.bytes, 0), u16_at(&fork.bytes, 2));
            if level == 0 || level > MAX_LEVELS {
                let message = format!("xfs inode {ino}: extent tree of {level} levels");
                return Err(Error::corrupt(message));
            }
            let area = fork.bytes.get(4..).unwrap_or_default();
            let mut walk = Walk { fs, ino, seen: HashSet::new(), found };
            walk.children(area, n, level)?;
            found = walk.found;
        }
        Format::Local | Format::Device => {}
    }
    check_order(ino, &found)?;
    Ok(found)
}

fn check_order(ino: u64, extents: &[Extent]) -> Result<()> {
    let mut end = 0;
    for extent in extents {
        if extent.n_blocks == 0 || extent.file_block < end {
            let message = format!(
                "xfs inode {ino}: extent at file block {} is empty or out of order",
                extent.file_block
            );
            return Err(Error::corrupt(message));
        }
        end = extent.end();
    }
    Ok(())
}

struct Walk<'a> {
    fs: &'a Xfs,
    ino: u64,
    seen: HashSet<u64>,
    found: Vec<Extent>,
}

impl Walk<'_> {
    /// Keys fill the first half of `area`, pointers the second.
    fn children(&mut self, area: &[u8], n: u16, level: u16) -> Result<()> {
        let most = area.len() / 16;
        if usize::from(n) > most {
            let message = format!("xfs inode {}: {n} children in a node for {most}", self.ino);
            return Err(Error::corrupt(message));
        }
        for child in 0..usize::from(n) {
            self.block(u64_at(area, (most + child) * 8), level - 1)?;
        }
        Ok(())
    }

    fn block(&mut self, fsb: u64, level: u16) -> Result<()> {
        let offset = self.fs.sb.block_offset(fsb)?;
        let ino = self.ino;
        let corrupt = |what: &str| {
            Error::corrupt(format!("xfs inode {ino}: extent tree block {fsb:#x}: {what}"))
                .at(offset)
        };
        if !self.seen.insert(fsb) {
            return Err(corrupt("it is in the tree twice"));
        }
        let block = self.fs.block(fsb)?;
        let (magic, header): (&[u8], _) =
            if self.fs.sb.has_crc { (b"BMA3", 72) } else { (b"BMAP", 24) };
        if !block.starts_with(magic) {
            return Err(corrupt("wrong magic"));
        }
        if self.fs.sb.has_crc && !crc_holds(&block, 64) {
            return Err(corrupt("wrong checksum"));
        }
        if self.fs.sb.has_crc && u64_at(&block, 56) != ino {
            return Err(corrupt("it belongs to another inode"));
        }
        if self.fs.sb.has_crc && u64_at(&block, 24) != offset / 512 {
            return Err(corrupt("it says to be another block"));
        }
        if u16_at(&block, 4) != level {
            return Err(corrupt("wrong level"));
        }
        let n = u16_at(&block, 6);
        let area = block.get(header..).unwrap_or_default();
        if level > 0 {
            return self.children(area, n, level);
        }
        if usize::from(n) > area.len() / 16 {
            return Err(corrupt("more records than fit"));
        }
        if self.found.len() + usize::from(n) > MAX_EXTENTS {
            return Err(Error::unsupported(format!(
                "xfs inode {ino}: more than {MAX_EXTENTS} extents"
            )));
        }
        self.found.extend(area.chunks_exact(16).take(usize::from(n)).map(Extent::decode));
        Ok(())
    }
}
