//! A filesystem with changes laid over it in memory: what a disk would hold after a repair, before
//! anything is written.
//!
//! The base is never touched, so a plan can be tried, judged by every check, and dropped. Changes are
//! seen at once by every [`crate::Tree`] that the filesystem is mounted in.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kiln_disk::{Error, Kind, Result};

use crate::fs::{DirEntry, FileType, Filesystem, FsInfo, Node, Stat, Subvolume, Xattr};

/// Numbers of new nodes start here. No filesystem kiln reads counts that far: XFS and btrfs use at
/// most 56 bits of an inode number.
const FIRST_NEW_INO: u64 = 1 << 62;

/// A filesystem and the changes laid over it.
#[derive(Debug)]
pub struct Staged {
    base: Arc<dyn Filesystem>,
    changes: RwLock<Changes>,
}

/// What differs from the base. Cheap to clone: contents are shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    nodes: HashMap<Node, Changed>,
    /// From directory to name to what it names now; `None`: the name is gone.
    names: HashMap<Node, BTreeMap<Vec<u8>, Option<Node>>>,
    n_new: u64,
}

/// A node that is new or no longer what the base has.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Changed {
    stat: Stat,
    body: Body,
    xattrs: Vec<Xattr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Body {
    /// As in the base: only attributes changed.
    Base,
    /// A file's content, or a link's text. Empty for a directory.
    Bytes(Arc<[u8]>),
    /// The base's content and more after it.
    Appended { base_bytes: u64, tail: Arc<[u8]> },
}

/// Who owns a new node and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNode {
    /// Its type. Regular, Directory or Symlink.
    pub file_type: FileType,
    /// Permission bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Extended attributes.
    pub xattrs: Vec<Xattr>,
    /// Content of a file, text of a link.
    pub data: Arc<[u8]>,
}

impl Staged {
    /// `base` with nothing changed.
    pub fn new(base: Arc<dyn Filesystem>) -> Self {
        Self { base, changes: RwLock::default() }
    }

    /// The changes so far, to come back to with [`Staged::restore`].
    pub fn changes(&self) -> Changes {
        self.read().clone()
    }

    /// Forget all changes but `changes`, which [`Staged::changes`] gave.
    pub fn restore(&self, changes: Changes) {
        *self.write() = changes;
    }

    /// Put a new node under `name` of `dir`, in place of what is there.
    ///
    /// # Errors
    ///
    /// `Corrupt` where `dir` is no directory or `name` none that a directory can hold.
    pub fn create(&self, dir: Node, name: &[u8], new: NewNode) -> Result<Node> {
        self.check_place(dir, name)?;
        let mut changes = self.write();
        let node = Node { tree: dir.tree, ino: FIRST_NEW_INO + changes.n_new };
        changes.n_new += 1;
        let stat = Stat {
            file_type: new.file_type,
            mode: new.mode,
            uid: new.uid,
            gid: new.gid,
            size_bytes: new.data.len() as u64,
            n_links: 1,
            mtime_s: 0,
            immutable: false,
            device: None,
        };
        changes
            .nodes
            .insert(node, Changed { stat, body: Body::Bytes(new.data), xattrs: new.xattrs });
        changes.names.entry(dir).or_default().insert(name.to_vec(), Some(node));
        Ok(node)
    }

    /// Let `name` of `dir` lead to `node` of the same filesystem, in place of what is there.
    ///
    /// # Errors
    ///
    /// As [`Staged::create`].
    pub fn link(&self, dir: Node, name: &[u8], node: Node) -> Result<()> {
        self.check_place(dir, name)?;
        self.write().names.entry(dir).or_default().insert(name.to_vec(), Some(node));
        Ok(())
    }

    /// Take `name` out of `dir`. What it led to is not looked at.
    ///
    /// # Errors
    ///
    /// As [`Staged::create`].
    pub fn unlink(&self, dir: Node, name: &[u8]) -> Result<()> {
        self.check_place(dir, name)?;
        self.write().names.entry(dir).or_default().insert(name.to_vec(), None);
        Ok(())
    }

    /// Replace the content of a regular file; its attributes stay.
    ///
    /// # Errors
    ///
    /// Where the node cannot be read.
    pub fn set_content(&self, node: Node, data: Arc<[u8]>) -> Result<()> {
        self.change(node, |changed| {
            changed.stat.size_bytes = data.len() as u64;
            changed.body = Body::Bytes(data);
            Ok(())
        })
    }

    /// Add `tail` to the end of a regular file.
    ///
    /// # Errors
    ///
    /// Where the node cannot be read.
    pub fn append(&self, node: Node, tail: &[u8]) -> Result<()> {
        self.change(node, |changed| {
            let size_bytes = changed.stat.size_bytes;
            changed.body = match &changed.body {
                Body::Base => Body::Appended { base_bytes: size_bytes, tail: tail.into() },
                Body::Bytes(bytes) => Body::Bytes([bytes, tail].concat().into()),
                Body::Appended { base_bytes, tail: before } => {
                    Body::Appended { base_bytes: *base_bytes, tail: [before, tail].concat().into() }
                }
            };
            changed.stat.size_bytes = size_bytes.saturating_add(tail.len() as u64);
            Ok(())
        })
    }

    /// Change attributes of a node: its mode, owner, extended attributes.
    ///
    /// # Errors
    ///
    /// Where the node cannot be read.
    pub fn set_attributes(
        &self,
        node: Node,
        change: impl FnOnce(&mut Stat, &mut Vec<Xattr>),
    ) -> Result<()> {
        self.change(node, |changed| {
            change(&mut changed.stat, &mut changed.xattrs);
            Ok(())
        })
    }

    fn change(&self, node: Node, change: impl FnOnce(&mut Changed) -> Result<()>) -> Result<()> {
        let mut changed = match self.read().nodes.get(&node) {
            Some(changed) => changed.clone(),
            None => Changed {
                stat: self.base.stat(node)?,
                body: Body::Base,
                xattrs: self.base.xattrs(node)?,
            },
        };
        change(&mut changed)?;
        self.write().nodes.insert(node, changed);
        Ok(())
    }

    fn check_place(&self, dir: Node, name: &[u8]) -> Result<()> {
        if self.stat(dir)?.file_type != FileType::Directory || !DirEntry::is_legal_name(name) {
            return Err(Error::corrupt(format!(
                "cannot change '{}': not a name in a directory",
                String::from_utf8_lossy(name)
            )));
        }
        Ok(())
    }

    // Every change is a single insertion, so what a panicking thread left behind is whole.
    fn read(&self) -> RwLockReadGuard<'_, Changes> {
        self.changes.read().unwrap_or_else(|lock| lock.into_inner())
    }

    fn write(&self) -> RwLockWriteGuard<'_, Changes> {
        self.changes.write().unwrap_or_else(|lock| lock.into_inner())
    }

    fn changed(&self, node: Node) -> Option<Changed> {
        self.read().nodes.get(&node).cloned()
    }
}

fn is_new(node: Node) -> bool {
    node.ino >= FIRST_NEW_INO
}

/// Bytes of `data` from `offset` on, as many as fit.
fn copy_at(data: &[u8], offset: u64, buf: &mut [u8]) -> usize {
    let rest = usize::try_from(offset).ok().and_then(|start| data.get(start..)).unwrap_or(&[]);
    let n = rest.len().min(buf.len());
    buf[..n].copy_from_slice(&rest[..n]);
    n
}

impl Filesystem for Staged {
    fn info(&self) -> &FsInfo {
        self.base.info()
    }

    fn root(&self) -> Node {
        self.base.root()
    }

    fn lookup(&self, dir: Node, name: &[u8]) -> Result<Option<Node>> {
        if let Some(known) = self.read().names.get(&dir).and_then(|names| names.get(name)) {
            return Ok(*known);
        }
        if is_new(dir) { Ok(None) } else { self.base.lookup(dir, name) }
    }

    fn stat(&self, node: Node) -> Result<Stat> {
        match self.read().nodes.get(&node) {
            Some(changed) => Ok(changed.stat.clone()),
            None if is_new(node) => Err(Error::new(Kind::NotFound, "a node that was dropped")),
            None => self.base.stat(node),
        }
    }

    fn read_at(&self, node: Node, offset: u64, buf: &mut [u8]) -> Result<usize> {
        match self.changed(node).map(|changed| changed.body) {
            None | Some(Body::Base) => self.base.read_at(node, offset, buf),
            Some(Body::Bytes(bytes)) => Ok(copy_at(&bytes, offset, buf)),
            Some(Body::Appended { base_bytes, tail }) => match offset.checked_sub(base_bytes) {
                Some(in_tail) => Ok(copy_at(&tail, in_tail, buf)),
                None => {
                    let rest = usize::try_from(base_bytes - offset).unwrap_or(usize::MAX);
                    let n = rest.min(buf.len());
                    self.base.read_at(node, offset, &mut buf[..n])
                }
            },
        }
    }

    fn read_dir(&self, dir: Node, each: &mut dyn FnMut(DirEntry) -> ControlFlow<()>) -> Result<()> {
        // A clone, because `each` may call back into this filesystem.
        let names = self.read().names.get(&dir).cloned().unwrap_or_default();
        let mut stopped = false;
        if !is_new(dir) {
            self.base.read_dir(dir, &mut |entry| {
                if names.contains_key(&entry.name) {
                    return ControlFlow::Continue(());
                }
                let flow = each(entry);
                stopped |= flow.is_break();
                flow
            })?;
        }
        for (name, node) in names {
            let (false, Some(node)) = (stopped, node) else { continue };
            let file_type = Some(self.stat(node)?.file_type);
            stopped = each(DirEntry { name, node, file_type }).is_break();
        }
        Ok(())
    }

    fn read_link(&self, node: Node) -> Result<Vec<u8>> {
        match self.changed(node).map(|changed| changed.body) {
            Some(Body::Bytes(text)) => Ok(text.to_vec()),
            _ => self.base.read_link(node),
        }
    }

    fn xattrs(&self, node: Node) -> Result<Vec<Xattr>> {
        match self.changed(node) {
            Some(changed) => Ok(changed.xattrs),
            None => self.base.xattrs(node),
        }
    }

    fn subvolumes(&self) -> Result<Vec<Subvolume>> {
        self.base.subvolumes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemFs, Tree};

    fn staged() -> (Arc<Staged>, Tree) {
        let mut fs = MemFs::new();
        fs.file("/etc/fstab", "old").file("/etc/hosts", "h").chmod("/etc/fstab", 0o600);
        let staged = Arc::new(Staged::new(Arc::new(fs)));
        let tree = Tree::new(Arc::clone(&staged) as Arc<dyn Filesystem>);
        (staged, tree)
    }

    fn new_file(data: &[u8]) -> NewNode {
        let data = data.into();
        let xattrs = Vec::new();
        NewNode { file_type: FileType::Regular, mode: 0o644, uid: 0, gid: 0, xattrs, data }
    }

    fn names(tree: &Tree, dir: &str) -> Vec<String> {
        tree.list(dir).unwrap().iter().map(DirEntry::name_lossy).collect()
    }

    #[test]
    fn changes_are_seen_at_once_and_forgotten_on_restore() {
        let (staged, tree) = staged();
        let before = staged.changes();
        let etc = tree.locate("/etc").unwrap().unwrap().node;
        let fstab = tree.locate("/etc/fstab").unwrap().unwrap().node;
        staged.set_content(fstab, (*b"new").into()).unwrap();
        staged.append(fstab, b"er").unwrap();
        staged.create(etc, b"motd", new_file(b"hello")).unwrap();
        staged.unlink(etc, b"hosts").unwrap();

        assert_eq!(tree.read_text("/etc/fstab").unwrap().unwrap(), "newer");
        assert_eq!(tree.stat("/etc/fstab").unwrap().unwrap().mode, 0o600);
        assert_eq!(names(&tree, "/etc"), ["fstab", "motd"]);
        assert_eq!(tree.read_text("/etc/motd").unwrap().unwrap(), "hello");

        staged.restore(before);
        assert_eq!(tree.read_text("/etc/fstab").unwrap().unwrap(), "old");
        assert_eq!(names(&tree, "/etc"), ["fstab", "hosts"]);
    }

    #[test]
    fn a_tail_follows_what_the_base_has() {
        let (staged, tree) = staged();
        let fstab = tree.locate("/etc/fstab").unwrap().unwrap().node;
        staged.append(fstab, b"+one").unwrap();
        staged.append(fstab, b"+two").unwrap();
        assert_eq!(tree.read_text("/etc/fstab").unwrap().unwrap(), "old+one+two");
        let reader = tree.open("/etc/fstab").unwrap().unwrap();
        let mut middle = [0; 4];
        assert_eq!(reader.read_at(5, &mut middle).unwrap(), 4);
        assert_eq!(&middle, b"ne+t");
    }

    #[test]
    fn directories_move_with_what_is_below_them() {
        let (staged, tree) = staged();
        let root = staged.root();
        let etc = tree.locate("/etc").unwrap().unwrap().node;
        staged.link(root, b"etc.off", etc).unwrap();
        staged.unlink(root, b"etc").unwrap();
        assert_eq!(names(&tree, "/"), ["etc.off"]);
        assert_eq!(tree.read_text("/etc.off/hosts").unwrap().unwrap(), "h");
    }

    #[test]
    fn names_that_no_directory_holds_are_refused() {
        let (staged, tree) = staged();
        let fstab = tree.locate("/etc/fstab").unwrap().unwrap().node;
        for (dir, name) in [(staged.root(), &b".."[..]), (staged.root(), b"a/b"), (fstab, b"x")] {
            let error = staged.create(dir, name, new_file(b"")).unwrap_err();
            assert!(error.to_string().contains("not a name in a directory"), "{error}");
        }
    }
}
