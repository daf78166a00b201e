//! ext2, ext3 and ext4, read only.
//!
//! Why not a crate: docs/adr/0002-own-ext-reader.md. The layout is that of the Linux kernel's
//! Documentation/filesystems/ext4; names of fields are its own. What the journal still holds is
//! read from there (see `journal`), so a guest that was switched off hard is seen as its kernel
//! would see it after recovery.
//!
//! Limits: directories of 128 MiB, attribute values of 64 KiB, extent trees of depth 5, journals
//! of a million blocks. Memory: 8 MiB of metadata blocks and some ten thousand inodes are kept.

mod blockmap;
mod device;
mod dir;
mod extents;
mod features;
mod group;
mod inode;
mod journal;
mod le;
mod map;
mod superblock;
mod xattr;

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use kiln_disk::{Error, Result, Source};

use self::device::{Device, Overlay};
use self::dir::Names;
use self::features::INCOMPAT_RECOVER;
use self::inode::Inode;
use self::journal::Replay;
use self::map::encrypted;
use self::superblock::{SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET, Superblock};
use crate::cache::Cache;
use crate::fs::{DirEntry, FileType, Filesystem, FsInfo, Node, Stat, Xattr};

const ROOT_INODE: u64 = 2;
/// Decoded inodes that are kept; about 300 bytes each.
const MAX_CACHED_INODES: usize = 16 << 10;
/// Places of inode tables that are kept, one a group.
const MAX_CACHED_GROUPS: usize = 16 << 10;
/// Names of directories that are kept by name, some 80 bytes each.
const MAX_CACHED_NAMES: usize = 64 << 10;
/// Linux makes no longer link (PATH_MAX), and a block bounds it anyway.
const MAX_LINK_BYTES: u64 = 64 << 10;
/// `s_state`: unmounted cleanly, and the kernel found errors.
const STATE_CLEAN: u16 = 1;
const STATE_ERRORS: u16 = 2;

/// Open the ext2, ext3 or ext4 filesystem that `source` starts with.
///
/// Reads the superblock, and the journal if it must be replayed.
///
/// # Errors
///
/// `OtherFormat` where it is none of them; `Unsupported` for features that kiln does not read;
/// `Corrupt` for a superblock or a journal that breaks the format.
pub fn open(source: Source) -> Result<Arc<dyn Filesystem>> {
    ExtFs::open(source).map(|fs| Arc::new(fs) as Arc<dyn Filesystem>)
}

/// An open filesystem.
struct ExtFs {
    info: FsInfo,
    superblock: Superblock,
    device: Device,
    inode_tables: Cache<u64, u64>,
    inodes: Cache<u32, Arc<Inode>>,
    names: Cache<u32, Arc<Names>>,
}

impl fmt::Debug for ExtFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExtFs({:?}, {:?})", self.info.kind, self.device)
    }
}

impl ExtFs {
    fn open(source: Source) -> Result<Self> {
        let superblock = read_superblock(&source)?;
        let block_size = u64::from(superblock.block_size);
        let n_blocks = superblock.n_blocks;
        let device = Device::new(source.clone(), block_size, n_blocks, Overlay::new());
        let plain = Self::with(superblock, device);
        if plain.superblock.features.incompat & INCOMPAT_RECOVER == 0 {
            return Ok(plain);
        }
        plain.recovered(source)
    }

    /// The filesystem as it is after its journal was replayed, which is done in memory.
    fn recovered(mut self, source: Source) -> Result<Self> {
        self.info.notes.push("needs recovery".to_owned());
        if self.superblock.journal_inode == 0 {
            let note = "the journal is on another device and was not replayed";
            self.info.notes.push(note.to_owned());
            self.info.is_stale = true;
            return Ok(self);
        }
        let journal = self.inode(u64::from(self.superblock.journal_inode))?;
        let Replay { overlay, notes } = journal::replay(&self, &journal)?;
        let n_blocks = overlay.len();
        // The superblock is logged like any block: counts and features may be newer there.
        let device =
            Device::new(source.clone(), self.device.block_size(), self.device.n_blocks(), overlay);
        let mut raw = [0; SUPERBLOCK_BYTES];
        device.read(0, SUPERBLOCK_OFFSET, &mut raw)?;
        let superblock = Superblock::decode(&raw)?;
        if superblock.block_size != self.superblock.block_size
            || superblock.n_blocks != self.superblock.n_blocks
        {
            return Err(Error::corrupt("journal: its superblock has another geometry"));
        }
        let mut recovered = Self::with(superblock, device);
        let replayed = format!("journal replayed in memory: {n_blocks} blocks");
        // The remarks on the superblock may have changed; ours on the journal come behind them.
        recovered.info.notes.push("needs recovery".to_owned());
        recovered.info.notes.push(replayed);
        // What could not be replayed is what the journal's own notes are about.
        recovered.info.is_stale = !notes.is_empty();
        recovered.info.notes.extend(notes);
        Ok(recovered)
    }

    fn with(superblock: Superblock, device: Device) -> Self {
        Self {
            info: info(&superblock),
            device,
            superblock,
            inode_tables: Cache::new(MAX_CACHED_GROUPS),
            inodes: Cache::new(MAX_CACHED_INODES),
            names: Cache::new(MAX_CACHED_NAMES),
        }
    }
}

impl Filesystem for ExtFs {
    fn info(&self) -> &FsInfo {
        &self.info
    }

    fn root(&self) -> Node {
        Node { tree: 0, ino: ROOT_INODE }
    }

    fn lookup(&self, dir: Node, name: &[u8]) -> Result<Option<Node>> {
        let inode = self.inode(dir.ino)?;
        let found = self.find_name(&inode, name)?;
        Ok(found.map(|number| Node { tree: 0, ino: u64::from(number) }))
    }

    fn stat(&self, node: Node) -> Result<Stat> {
        Ok(self.inode(node.ino)?.stat.clone())
    }

    fn read_at(&self, node: Node, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let inode = self.inode(node.ino)?;
        if inode.stat.file_type != FileType::Regular {
            return Err(Error::corrupt(format!("inode {} is not a regular file", inode.number)));
        }
        self.read_inode(&inode, offset, buf)
    }

    fn read_dir(&self, dir: Node, each: &mut dyn FnMut(DirEntry) -> ControlFlow<()>) -> Result<()> {
        let inode = self.inode(dir.ino)?;
        self.scan_dir(&inode, &mut |entry| each(self.dir_entry(entry)))
    }

    fn read_link(&self, node: Node) -> Result<Vec<u8>> {
        let inode = self.inode(node.ino)?;
        if inode.stat.file_type != FileType::Symlink {
            return Err(Error::corrupt(format!("inode {} is not a symbolic link", inode.number)));
        }
        self.link_text(&inode)
    }

    fn xattrs(&self, node: Node) -> Result<Vec<Xattr>> {
        let inode = self.inode(node.ino)?;
        self.read_xattrs(&inode)
    }
}

impl ExtFs {
    /// A short text is where the block pointers would be; the kernel knows it by the space that
    /// the link uses, which is that of its attribute block alone.
    fn link_text(&self, inode: &Inode) -> Result<Vec<u8>> {
        if inode.is_encrypted() {
            return Err(encrypted(inode, "its text"));
        }
        let size = inode.stat.size_bytes;
        if size == 0 || size > MAX_LINK_BYTES.min(self.device.block_size()) {
            let number = inode.number;
            return Err(Error::corrupt(format!("inode {number}: a symbolic link of {size} bytes")));
        }
        let mut text = vec![0; le::index(size)];
        let xattr_sectors = match inode.xattr_block {
            0 => 0,
            _ => self.superblock.cluster_sectors(),
        };
        let is_short = !inode.has_inline_data() && inode.n_sectors == xattr_sectors;
        if is_short {
            text = le::slice_at(&inode.i_block, 0, text.len())
                .map_err(|_| {
                    let number = inode.number;
                    Error::corrupt(format!(
                        "inode {number}: a link of {size} bytes without a block"
                    ))
                })?
                .to_vec();
        } else {
            self.read_inode(inode, 0, &mut text)?;
        }
        Ok(text)
    }
}

/// Read and judge the superblock, and that what it describes is inside `source`.
fn read_superblock(source: &Source) -> Result<Superblock> {
    let mut raw = [0; SUPERBLOCK_BYTES];
    let needed = SUPERBLOCK_OFFSET + le::to_u64(SUPERBLOCK_BYTES);
    if source.size_bytes() < needed {
        return Err(Error::new(kiln_disk::Kind::OtherFormat, "too small for ext2, ext3 or ext4"));
    }
    source.read_at(SUPERBLOCK_OFFSET, &mut raw)?;
    let superblock = Superblock::decode(&raw)?;
    if superblock.size_bytes() > source.size_bytes() {
        return Err(Error::corrupt(format!(
            "the filesystem has {} bytes and the volume only {}",
            superblock.size_bytes(),
            source.size_bytes()
        ))
        .hint("the image may have been cut off while it was copied"));
    }
    Ok(superblock)
}

fn info(superblock: &Superblock) -> FsInfo {
    let mut notes = Vec::new();
    if superblock.state & STATE_ERRORS != 0 {
        notes.push("the kernel recorded errors in this filesystem".to_owned());
    }
    if superblock.state & STATE_CLEAN == 0 && !superblock.has_journal() {
        notes.push("not unmounted cleanly".to_owned());
    }
    let block_size = u64::from(superblock.block_size);
    FsInfo {
        kind: superblock.kind(),
        uuid: uuid_text(superblock.uuid),
        label: Some(superblock.label.clone()).filter(|label| !label.is_empty()),
        size_bytes: superblock.size_bytes(),
        free_bytes: Some(superblock.n_free_blocks.saturating_mul(block_size)),
        free_inodes: Some(u64::from(superblock.n_free_inodes)),
        features: superblock.features.names(),
        notes,
        is_stale: false,
    }
}

fn uuid_text(uuid: [u8; 16]) -> Option<String> {
    if uuid == [0; 16] {
        return None;
    }
    let mut text = String::with_capacity(36);
    for (position, byte) in uuid.iter().enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    Some(text)
}
