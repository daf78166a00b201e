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

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use kiln_disk::{Error, Result, Source};

use crate::fs::{DirEntry, FileType, Filesystem, FsInfo, Node, Stat, Xattr};
use bytes::{crc_holds, index, u32_at, u64_at};
use extents::Extent;
use inode::{Format, Inode};
use superblock::Superblock;

/// Metadata blocks kept (at most 64 KiB each, usually 4).
const MAX_CACHED_BLOCKS: usize = 128;
/// Extent lists kept, and the extents in all of them.
const MAX_CACHED_LISTS: usize = 8;
const MAX_CACHED_EXTENTS: usize = 1 << 21;
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
    }
    Ok(Arc::new(Xfs { source, sb, blocks: Mutex::default(), lists: Mutex::default() }))
}

type Block = Arc<Vec<u8>>;
type List = Arc<Vec<Extent>>;

#[derive(Debug)]
struct Xfs {
    source: Source,
    sb: Superblock,
    blocks: Mutex<VecDeque<(u64, Block)>>,
    lists: Mutex<VecDeque<((u64, bool), List)>>,
}

impl Xfs {
    /// A metadata block, from the cache where it is there.
    fn block(&self, fsb: u64) -> Result<Block> {
        let offset = self.sb.block_offset(fsb)?;
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, block)) = blocks.iter().find(|(known, _)| *known == fsb) {
            return Ok(Arc::clone(block));
        }
        let mut block = vec![0; index(self.sb.block_bytes)];
        self.source.read_at(offset, &mut block)?;
        let block = Arc::new(block);
        if blocks.len() >= MAX_CACHED_BLOCKS {
            blocks.pop_front();
        }
        blocks.push_back((fsb, Arc::clone(&block)));
        Ok(block)
    }

    fn inode(&self, node: Node) -> Result<Inode> {
        let ino = node.ino;
        let per_block = self.sb.inodes_per_block_log;
        let block = self
            .block(ino >> per_block)
            .map_err(|error| Error::new(error.kind(), format!("xfs inode {ino}: {error}")))?;
        let start = index((ino & ((1 << per_block) - 1)) * u64::from(self.sb.inode_bytes));
        let bytes = block.get(start..).and_then(|rest| rest.get(..index(self.sb.inode_bytes)));
        Inode::decode(&self.sb, ino, bytes.unwrap_or_default())
    }

    /// The extents of the data fork, or of the attribute fork.
    fn extents(&self, inode: &Inode, attr: bool) -> Result<List> {
        let key = (inode.ino, attr);
        let lock = || self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, list)) = lock().iter().find(|(known, _)| *known == key) {
            return Ok(Arc::clone(list));
        }
        let list = match (attr, &inode.attr) {
            (false, _) => extents::read(self, inode.ino, &inode.data)?,
            (true, Some(fork)) => extents::read(self, inode.ino, fork)?,
            (true, None) => Vec::new(),
        };
        let list = Arc::new(list);
        let mut lists = lock();
        lists.push_back((key, Arc::clone(&list)));
        let total = |lists: &VecDeque<(_, List)>| lists.iter().map(|(_, l)| l.len()).sum::<usize>();
        while lists.len() > MAX_CACHED_LISTS || total(&lists) > MAX_CACHED_EXTENTS {
            lists.pop_front();
        }
        Ok(list)
    }

    /// Fill `buf` from byte `offset` of a fork; contiguous blocks are one read.
    fn read_mapped(&self, extents: &[Extent], offset: u64, buf: &mut [u8]) -> Result<()> {
        let block_bytes = u64::from(self.sb.block_bytes);
        buf.fill(0);
        let end = offset.saturating_add(buf.len() as u64);
        let past = |e: &Extent| (e.file_block + e.n_blocks).saturating_mul(block_bytes) <= offset;
        let first = extents.partition_point(past);
        for extent in extents.iter().skip(first) {
            let extent_start = extent.file_block.saturating_mul(block_bytes);
            if extent_start >= end {
                break;
            }
            if extent.unwritten {
                continue;
            }
            // Both ends of an extent must lie in the filesystem; groups follow one another.
            let disk = self.sb.block_offset(extent.disk_block)?;
            self.sb.block_offset(extent.disk_block.saturating_add(extent.n_blocks - 1))?;
            let from = offset.max(extent_start);
            let to = end.min(extent_start.saturating_add(extent.n_blocks * block_bytes));
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
            let wanted = size.saturating_sub(text.len());
            if !self.sb.has_crc {
                text.extend(buf.iter().take(wanted));
                continue;
            }
            if !buf.starts_with(b"XSLM") || !crc_holds(&buf, 12) {
                return Err(corrupt("wrong magic or checksum"));
            }
            if u64_at(&buf, 32) != inode.ino {
                return Err(corrupt("its block belongs to another inode"));
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
        let mut found = None;
        self.read_dir(dir, &mut |entry| {
            if entry.name != name {
                return ControlFlow::Continue(());
            }
            found = Some(entry.node);
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    fn stat(&self, node: Node) -> Result<Stat> {
        Ok(self.inode(node)?.stat)
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
        dir::read(self, &self.inode(dir)?, each)
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
        attr::read(self, &self.inode(node)?)
    }
}
