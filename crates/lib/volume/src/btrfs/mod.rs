//! btrfs, one device, read only.
//!
//! A superblock leads to the chunk tree, which maps a logical address space to the device; the
//! root tree in that space names one tree per subvolume; and a subvolume's tree has everything
//! about its files as items sorted by inode. Every tree block is verified by its checksum and read
//! from its second copy where the first is damaged (DUP); a log that was not replayed is named in
//! the notes and not replayed. File data is not verified, see [`extent`].
//!
//! Source: the kernel's `include/uapi/linux/btrfs_tree.h` and the btrfs documentation, "On-disk
//! format". Why a reader of our own: `docs/adr/0004-own-btrfs-reader.md`.

mod block;
mod cache;
mod checksum;
mod chunk;
mod compress;
mod extent;
mod field;
mod inode;
mod lzo;
mod store;
mod subvolume;
mod superblock;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::sync::Arc;

use kiln_disk::{Error, Kind, Result, Source};

use self::block::{Key, Pointer};
use self::cache::Cache;
use self::checksum::name_hash;
use self::extent::{N_UNPACKED, Reader, Unpacked};
use self::inode::{DIR_INDEX, DIR_ITEM, DirItem, INODE_ITEM, XATTR_ITEM, dir_items};
use self::store::Store;
use self::subvolume::{FIRST_FREE, ROOT_ITEM, TOP_LEVEL};
use crate::fs::{DirEntry, FileType, Filesystem, FsInfo, FsKind, Node, Stat, Subvolume, Xattr};

/// The inode of the empty directory that stands where a snapshot lacks a nested subvolume: the
/// kernel's `BTRFS_EMPTY_SUBVOL_DIR_OBJECTID`. No inode of a file has a number this low.
const EMPTY_DIR: u64 = 2;
/// The kernel refuses to make longer links (`PATH_MAX` with its final NUL).
const MAX_SYMLINK_BYTES: u64 = 4095;
/// Of all attributes of one file. Linux lists at most 64 KiB of names.
const MAX_XATTR_BYTES: usize = 1 << 20;
/// Roots of subvolumes that are remembered, twice.
const N_ROOTS: usize = 512;

/// An open btrfs.
#[derive(Debug)]
struct Btrfs {
    store: Store,
    info: FsInfo,
    default_id: u64,
    roots: Cache<u64, Pointer>,
    unpacked: Unpacked,
}

/// Open the btrfs that `source` begins with. Reads the superblock, the chunk tree and one path of
/// the root tree.
///
/// # Errors
///
/// `OtherFormat` without its magic; `Unsupported` for more than one device, seed devices and
/// features that kiln does not know; `Corrupt` for what cannot be read at all.
pub fn open(source: Source) -> Result<Arc<dyn Filesystem>> {
    let (superblock, remark) = superblock::read(&source)?;
    let volume_bytes = source.size_bytes();
    let mut notes: Vec<String> = remark.into_iter().collect();
    if superblock.log_root != 0 {
        notes.push("unreplayed log tree: files synced before a crash may look older".to_owned());
    }
    if superblock.total_bytes > volume_bytes {
        notes.push(format!(
            "the filesystem has {} bytes and its volume only {volume_bytes}: no kernel mounts it",
            superblock.total_bytes
        ));
    }
    let mut info = FsInfo {
        kind: FsKind::Btrfs,
        uuid: Some(hyphenated(&superblock.fsid)),
        label: Some(String::from_utf8_lossy(&superblock.label).into_owned())
            .filter(|label| !label.is_empty()),
        size_bytes: superblock.total_bytes,
        free_bytes: Some(superblock.total_bytes.saturating_sub(superblock.bytes_used)),
        free_inodes: None,
        features: superblock.features.clone(),
        notes: Vec::new(),
        is_stale: superblock.log_root != 0,
    };
    let store = Store::open(source, superblock)?;
    let mut default_id = subvolume::default_id(&store)?;
    if default_id != TOP_LEVEL && subvolume::root(&store, default_id)?.is_none() {
        notes.push(format!(
            "the default subvolume {default_id} does not exist: the top level is shown"
        ));
        default_id = TOP_LEVEL;
    }
    info.notes = notes;
    let (roots, unpacked) = (Cache::new(N_ROOTS), Cache::new(N_UNPACKED));
    let btrfs = Btrfs { store, info, default_id, roots, unpacked };
    btrfs.tree(default_id)?;
    Ok(Arc::new(btrfs))
}

impl Btrfs {
    /// The root of the tree of a subvolume.
    fn tree(&self, id: u64) -> Result<Pointer> {
        if let Some(pointer) = self.roots.get(&id) {
            return Ok(pointer);
        }
        let root = match subvolume::holds_files(id) {
            true => subvolume::root(&self.store, id)?,
            false => None,
        };
        let root = root.ok_or_else(|| Error::new(Kind::NotFound, format!("no subvolume {id}")))?;
        self.roots.insert(id, root.pointer);
        Ok(root.pointer)
    }

    /// What an entry of the directory `dir` leads to.
    fn target(&self, dir: Node, entry: &DirItem<'_>) -> Result<Node> {
        let id = entry.location.objectid;
        match entry.location.kind {
            INODE_ITEM => Ok(Node { tree: dir.tree, ino: id }),
            ROOT_ITEM => {
                let named = subvolume::is_named_by(&self.store, id, dir.tree, dir.ino, entry.name)?;
                Ok(match named && subvolume::holds_files(id) {
                    true => Node { tree: id, ino: FIRST_FREE },
                    false => Node { tree: dir.tree, ino: EMPTY_DIR },
                })
            }
            kind => Err(Error::corrupt(format!(
                "inode {} of tree {}: an entry leads to an item of type {kind}",
                dir.ino, dir.tree
            ))),
        }
    }

    fn need(&self, node: Node, file_type: FileType) -> Result<Stat> {
        let stat = self.stat(node)?;
        if stat.file_type != file_type {
            return Err(Error::new(
                Kind::NotFound,
                format!(
                    "inode {} of tree {} is a {:?}, not a {file_type:?}",
                    node.ino, node.tree, stat.file_type
                ),
            ));
        }
        Ok(stat)
    }

    fn read_extents(&self, node: Node, offset: u64, buf: &mut [u8]) -> Result<()> {
        let root = self.tree(node.tree)?;
        let reader = Reader { store: &self.store, unpacked: &self.unpacked, root: &root };
        reader.read(node.ino, offset, buf)
    }
}

impl Filesystem for Btrfs {
    fn info(&self) -> &FsInfo {
        &self.info
    }

    fn root(&self) -> Node {
        Node { tree: self.default_id, ino: FIRST_FREE }
    }

    fn lookup(&self, dir: Node, name: &[u8]) -> Result<Option<Node>> {
        if dir.ino == EMPTY_DIR || !DirEntry::is_legal_name(name) {
            return Ok(None);
        }
        let key = Key::new(dir.ino, DIR_ITEM, name_hash(name));
        let Some(item) = self.store.item(&self.tree(dir.tree)?, key)? else { return Ok(None) };
        for entry in dir_items(key, &item) {
            let entry = entry?;
            if entry.name == name {
                return self.target(dir, &entry).map(Some);
            }
        }
        Ok(None)
    }

    fn stat(&self, node: Node) -> Result<Stat> {
        let root = self.tree(node.tree)?;
        if node.ino == EMPTY_DIR {
            return Ok(empty_dir());
        }
        let item = self.store.item(&root, Key::new(node.ino, INODE_ITEM, 0))?.ok_or_else(|| {
            Error::new(Kind::NotFound, format!("no inode {} in tree {}", node.ino, node.tree))
        })?;
        inode::stat(node.ino, &item)
    }

    fn read_at(&self, node: Node, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let size_bytes = self.need(node, FileType::Regular)?.size_bytes;
        let rest = size_bytes.saturating_sub(offset);
        let n = usize::try_from(rest).unwrap_or(usize::MAX).min(buf.len());
        if n > 0 {
            self.read_extents(node, offset, buf.get_mut(..n).unwrap_or_default())?;
        }
        Ok(n)
    }

    /// In the order in which the names were made (`DIR_INDEX`).
    fn read_dir(&self, dir: Node, each: &mut dyn FnMut(DirEntry) -> ControlFlow<()>) -> Result<()> {
        self.need(dir, FileType::Directory)?;
        let root = self.tree(dir.tree)?;
        let mut cursor = self.store.at_or_after(&root, Key::new(dir.ino, DIR_INDEX, 0))?;
        while let Some((key, item)) = cursor.current() {
            if (key.objectid, key.kind) != (dir.ino, DIR_INDEX) {
                break;
            }
            for entry in dir_items(key, item) {
                let entry = entry?;
                if !DirEntry::is_legal_name(entry.name) {
                    continue;
                }
                let node = self.target(dir, &entry)?;
                let name = entry.name.to_vec();
                if each(DirEntry { name, node, file_type: entry.file_type() }).is_break() {
                    return Ok(());
                }
            }
            cursor.advance()?;
        }
        Ok(())
    }

    fn read_link(&self, node: Node) -> Result<Vec<u8>> {
        let size_bytes = self.need(node, FileType::Symlink)?.size_bytes;
        if size_bytes > MAX_SYMLINK_BYTES {
            return Err(Error::corrupt(format!(
                "inode {} of tree {}: a symlink of {size_bytes} bytes, more than \
                 {MAX_SYMLINK_BYTES}",
                node.ino, node.tree
            )));
        }
        let mut text = vec![0; usize::try_from(size_bytes).unwrap_or(0)];
        self.read_extents(node, 0, &mut text)?;
        Ok(text)
    }

    fn xattrs(&self, node: Node) -> Result<Vec<Xattr>> {
        let root = self.tree(node.tree)?;
        let mut xattrs = Vec::new();
        let mut total_bytes: usize = 0;
        let mut cursor = self.store.at_or_after(&root, Key::new(node.ino, XATTR_ITEM, 0))?;
        while let Some((key, item)) = cursor.current() {
            if (key.objectid, key.kind) != (node.ino, XATTR_ITEM) {
                break;
            }
            total_bytes = total_bytes.saturating_add(item.len());
            if total_bytes > MAX_XATTR_BYTES {
                return Err(Error::unsupported(format!(
                    "inode {} of tree {}: more than {MAX_XATTR_BYTES} bytes of attributes",
                    node.ino, node.tree
                )));
            }
            for entry in dir_items(key, item) {
                let entry = entry?;
                xattrs.push(Xattr { name: entry.name.to_vec(), value: entry.data.to_vec() });
            }
            cursor.advance()?;
        }
        Ok(xattrs)
    }

    /// By number, the top level with its empty path first. Subvolumes without a way from the top
    /// level, and those being deleted, are left out.
    fn subvolumes(&self) -> Result<Vec<Subvolume>> {
        subvolume::list(&self.store, self.default_id)
    }
}

/// What the kernel shows in place of a nested subvolume in a snapshot.
fn empty_dir() -> Stat {
    Stat {
        file_type: FileType::Directory,
        mode: 0o755,
        uid: 0,
        gid: 0,
        size_bytes: 0,
        n_links: 1,
        mtime_s: 0,
        immutable: false,
        device: None,
    }
}

fn hyphenated(uuid: &[u8; 16]) -> String {
    let mut text = String::new();
    for (index, byte) in uuid.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}
