//! XFS, versions 4 and 5, read only. Layout: "XFS Algorithms & Data Structures" and, for features
//! younger than it, the definitions in Linux `fs/xfs/libxfs/xfs_format.h`.
//!
//! Everything a version 5 filesystem checksums is checked before it is believed. The log is not
//! replayed: [`FsInfo::notes`] says where it should have been.

mod attr;
mod bytes;
mod dir;
mod extents;
mod inode;
mod log;
mod superblock;

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use kiln_disk::{Error, Result, Source};

use crate::cache::Cache;
use crate::field::length_u64;
use crate::fs::{DirEntry, FileType, Filesystem, FsInfo, Node, Stat, Xattr};
use bytes::{crc_holds, index, u32_at, u64_at};
use dir::Names;
use extents::Extent;
use inode::{Format, Inode};
use superblock::Superblock;

/// Metadata blocks kept, in bytes.
const MAX_CACHED_BLOCK_BYTES: usize = 4 << 20;
/// Inodes kept, each of at most 2 KiB.
const MAX_CACHED_INODES: usize = 4096;
/// Extents kept, of all files together (32 bytes each).
const MAX_CACHED_EXTENTS: usize = 1 << 21;
/// Names kept for lookups, as [`Names`] weighs them.
const MAX_CACHED_NAME_BYTES: usize = 32 << 20;
/// The kernel's bound on the text of a symlink.
const MAX_LINK_BYTES: u64 = 1024;

/// Open the XFS filesystem that `source` begins with.
///
/// # Errors
///
/// `OtherFormat` without its magic, `Unsupported` by the name of a feature that is not known,
/// `Corrupt` where the superblock contradicts itself or its checksum.
pub fn open(source: Source) -> Result<Arc<dyn Filesystem>> {
    let mut sb = Superblock::read(&source)?;
    // A log that cannot be read is a matter for its own report, not a reason to read nothing.
    if let Ok(Some(false)) = log::is_clean(&source, &sb) {
        let note = "the log is not clean: the last changes are only in it and were not read";
        sb.info.notes.push(note.to_owned());
        sb.info.is_stale = true;
    }
    Ok(Arc::new(Xfs::new(source, sb)))
}

type Block = Arc<Vec<u8>>;
type List = Arc<Vec<Extent>>;

/// Every cache is locked for a look into it and never during a read, so that two threads that read
/// two files do not wait for each other; the worst is that both decode the same thing.
struct Xfs {
    source: Source,
    sb: Superblock,
    blocks: Cache<u64, Block>,
    inodes: Cache<u64, Arc<Inode>>,
    lists: Cache<(u64, bool), List>,
    names: Cache<u64, Arc<Names>>,
}

impl fmt::Debug for Xfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Xfs({:?}, {:?})", self.source, self.sb)
    }
}

impl Xfs {
    fn new(source: Source, sb: Superblock) -> Self {
        let blocks = Cache::new(MAX_CACHED_BLOCK_BYTES / index(sb.block_bytes));
        let inodes = Cache::new(MAX_CACHED_INODES);
        let lists = Cache::new(MAX_CACHED_EXTENTS);
        Self { source, sb, blocks, inodes, lists, names: Cache::new(MAX_CACHED_NAME_BYTES) }
    }

    /// A metadata block, from the cache where it is there.
    fn block(&self, fsb: u64) -> Result<Block> {
        if let Some(block) = self.blocks.get(fsb, |_| 1) {
            return Ok(block);
        }
        let mut block = vec![0; index(self.sb.block_bytes)];
        self.source.read_at(self.sb.run_offset(fsb, 1)?, &mut block)?;
        let block = Arc::new(block);
        self.blocks.insert(fsb, Arc::clone(&block), 1);
        Ok(block)
    }

    fn inode(&self, node: Node) -> Result<Arc<Inode>> {
        let ino = node.ino;
        if let Some(inode) = self.inodes.get(ino, |_| 1) {
            return Ok(inode);
        }
        let per_block = self.sb.inodes_per_block_log;
        let block = self
            .block(ino >> per_block)
            .map_err(|error| Error::new(error.kind(), format!("xfs inode {ino}: {error}")))?;
        let start = index((ino & ((1 << per_block) - 1)) * u64::from(self.sb.inode_bytes));
        let bytes = block.get(start..).and_then(|rest| rest.get(..index(self.sb.inode_bytes)));
        let inode = Arc::new(Inode::decode(&self.sb, ino, bytes.unwrap_or_default())?);
        self.inodes.insert(ino, Arc::clone(&inode), 1);
        Ok(inode)
    }

    /// The extents of the data fork, or of the attribute fork.
    fn extents(&self, inode: &Inode, attr: bool) -> Result<List> {
        let key = (inode.ino, attr);
        let weight = |list: &List| list.len().saturating_add(1);
        if let Some(list) = self.lists.get(key, weight) {
            return Ok(list);
        }
        let list = Arc::new(match (attr, &inode.attr) {
            (false, _) => extents::of_data(self, inode)?,
            (true, Some(fork)) => extents::of_attributes(self, inode.ino, fork)?,
            (true, None) => Vec::new(),
        });
        self.lists.insert(key, Arc::clone(&list), weight(&list));
        Ok(list)
    }

    /// Where the file block `first` lies, in bytes, if it and the `n_blocks - 1` after it all lie
    /// somewhere. `None`: there is a hole among them.
    fn mapped_offset(&self, extents: &[Extent], first: u64, n_blocks: u64) -> Result<Option<u64>> {
        let (mut next, mut offset) = (first, None);
        let known = extents.partition_point(|extent| extent.end() <= first);
        for extent in extents.iter().skip(known) {
            if next >= first.saturating_add(n_blocks) || extent.file_block > next {
                break;
            }
            if extent.unwritten {
                return Ok(None);
            }
            if offset.is_none() {
                let fsb = extent.disk_block.saturating_add(next - extent.file_block);
                offset = Some(self.sb.run_offset(fsb, 1)?);
            }
            next = extent.end();
        }
        Ok(offset.filter(|_| next >= first.saturating_add(n_blocks)))
    }

    /// Fill `buf` from byte `offset` of a fork; contiguous blocks are one read.
    fn read_mapped(&self, extents: &[Extent], offset: u64, buf: &mut [u8]) -> Result<()> {
        let block_bytes = u64::from(self.sb.block_bytes);
        buf.fill(0);
        let end = offset.saturating_add(length_u64(buf.len()));
        let first = extents.partition_point(|e| e.end().saturating_mul(block_bytes) <= offset);
        for extent in extents.iter().skip(first) {
            let extent_start = extent.file_block.saturating_mul(block_bytes);
            if extent_start >= end {
                break;
            }
            if extent.unwritten {
                continue;
            }
            let disk = self.sb.run_offset(extent.disk_block, extent.n_blocks)?;
            let from = offset.max(extent_start);
            let to = end.min(extent.end().saturating_mul(block_bytes));
            let part = buf.get_mut(index(from - offset)..index(to - offset));
            self.source.read_at(disk + (from - extent_start), part.unwrap_or_default())?;
        }
        Ok(())
    }

    fn remote_link(&self, inode: &Inode) -> Result<Vec<u8>> {
        let corrupt = |what| Error::corrupt(format!("xfs inode {}: symlink: {what}", inode.ino));
        let extents = self.extents(inode, false)?;
        let size = index(inode.stat.size_bytes);
        let mut text = Vec::new();
        for extent in extents.iter().take(4) {
            // The text and its headers fit 3 KiB, whatever length the extent claims.
            let blocks = extent.n_blocks.min(3072u64.div_ceil(self.sb.block_bytes.into()));
            let mut buf = vec![0; index(blocks * u64::from(self.sb.block_bytes))];
            let offset = extent.file_block.saturating_mul(self.sb.block_bytes.into());
            self.read_mapped(&extents, offset, &mut buf)?;
            let disk = self.sb.run_offset(extent.disk_block, extent.n_blocks)?;
            let corrupt = |what| corrupt(what).at(disk);
            let wanted = size.saturating_sub(text.len());
            if !self.sb.has_crc {
                text.extend(buf.iter().take(wanted));
                continue;
            }
            if !buf.starts_with(b"XSLM") {
                return Err(corrupt("wrong magic"));
            }
            if !crc_holds(&buf, 12) {
                return Err(corrupt("wrong checksum"));
            }
            if u64_at(&buf, 32) != inode.ino {
                return Err(corrupt("its block belongs to another inode"));
            }
            if u64_at(&buf, 40) != disk / 512 {
                return Err(corrupt("its block says to be another block"));
            }
            let length = index(u32_at(&buf, 8)).min(wanted);
            text.extend(buf.iter().skip(56).take(length));
        }
        if text.len() == size { Ok(text) } else { Err(corrupt("shorter than its size")) }
    }
}

impl Filesystem for Xfs {
    fn info(&self) -> &FsInfo {
        &self.sb.info
    }

    fn root(&self) -> Node {
        Node { tree: 0, ino: self.sb.root_ino }
    }

    fn lookup(&self, dir: Node, name: &[u8]) -> Result<Option<Node>> {
        dir::lookup(self, &*self.inode(dir)?, name)
    }

    fn stat(&self, node: Node) -> Result<Stat> {
        Ok(self.inode(node)?.stat.clone())
    }

    fn read_at(&self, node: Node, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let inode = self.inode(node)?;
        if inode.realtime {
            let message = format!("xfs inode {}: its data is on a realtime device", node.ino);
            return Err(Error::unsupported(message));
        }
        let left = inode.stat.size_bytes.saturating_sub(offset);
        let length = buf.len().min(index(left));
        if length == 0 || inode.stat.file_type != FileType::Regular {
            return Ok(0);
        }
        if !matches!(inode.data.format, Format::Extents | Format::Btree) {
            return Err(Error::corrupt(format!("xfs inode {}: a file without extents", node.ino)));
        }
        let extents = self.extents(&inode, false)?;
        self.read_mapped(&extents, offset, buf.get_mut(..length).unwrap_or_default())?;
        Ok(length)
    }

    fn read_dir(&self, dir: Node, each: &mut dyn FnMut(DirEntry) -> ControlFlow<()>) -> Result<()> {
        dir::read(self, &*self.inode(dir)?, each)
    }

    fn read_link(&self, node: Node) -> Result<Vec<u8>> {
        let inode = self.inode(node)?;
        let size_bytes = inode.stat.size_bytes;
        let fail = |what: String| Err(Error::corrupt(format!("xfs inode {}: {what}", node.ino)));
        if inode.stat.file_type != FileType::Symlink {
            return fail("not a symlink".to_owned());
        }
        if size_bytes == 0 || size_bytes > MAX_LINK_BYTES {
            return fail(format!("a symlink of {size_bytes} bytes"));
        }
        if inode.data.format != Format::Local {
            return self.remote_link(&inode);
        }
        match inode.data.bytes.get(..index(size_bytes)) {
            Some(text) => Ok(text.to_vec()),
            None => fail("the symlink reaches past the inode".to_owned()),
        }
    }

    fn xattrs(&self, node: Node) -> Result<Vec<Xattr>> {
        attr::read(self, &*self.inode(node)?)
    }
}
