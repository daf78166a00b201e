//! A guest with a plan's edits laid over it in memory, and the [`Editor`] that lays them.

use std::sync::Arc;

use kiln_volume::{
    Changes, Error, FileType, Filesystem, Kind, Layout, Located, NewNode, Result, Staged, Tree,
    Volume, Xattr,
};

use super::apply::Editor;
use super::edit::{Attributes, Change, Digest, Edit, Entry};
use crate::{Declared, Guest, Inspection, inspect};

/// Files of this size and more are not digested: no edit replaces one.
const MAX_DIGEST_BYTES: u64 = 256 << 20;

/// The scanned disks with every readable filesystem staged: an [`Editor`] that writes nothing.
#[derive(Debug)]
pub struct Staging {
    layout: Layout,
    declared: Declared,
    filesystems: Vec<Option<Arc<Staged>>>,
    inspection: Inspection,
}

/// Where a staging was, to come back to.
#[derive(Debug)]
pub struct Mark(Vec<Option<Changes>>);

/// Whether an attribute signs the content or place of its file: another content takes it away, and no
/// copy has it, because a kernel that enforces a stale one makes the file unreadable.
fn is_bound(xattr: &Xattr) -> bool {
    matches!(&xattr.name[..], b"security.ima" | b"security.evm")
}

impl Staging {
    /// Stage the disks of `base`, with nothing changed.
    pub fn new(base: &Inspection) -> Self {
        let mut layout = (*base.layout).clone();
        let filesystems = layout.volumes.iter_mut().map(stage).collect();
        let declared = base.declared.clone();
        let inspection = inspect(layout.clone(), declared.clone());
        carry_over(base, &inspection, &[]);
        Self { layout, declared, filesystems, inspection }
    }

    /// What was found out about the disks at the last look.
    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// Where it stands, to come back to.
    pub fn mark(&self) -> Mark {
        let changes = |staged: &Option<Arc<Staged>>| staged.as_ref().map(|fs| fs.changes());
        Mark(self.filesystems.iter().map(changes).collect())
    }

    /// Drop all changes made since `mark`.
    pub fn rewind(&mut self, mark: Mark) {
        for (staged, changes) in self.filesystems.iter().zip(mark.0) {
            if let (Some(staged), Some(changes)) = (staged, changes) {
                staged.restore(changes);
            }
        }
        self.look_again();
    }

    /// Inspect the disks as they now stand. What was found out before may no longer hold.
    pub fn look_again(&mut self) {
        self.inspection = inspect(self.layout.clone(), self.declared.clone());
    }

    /// As [`Staging::look_again`], where nothing but `edits` was done since the last look: what was
    /// read of initial ramdisks that they leave alone is kept.
    pub(super) fn look_again_after(&mut self, edits: &[Edit]) {
        let before = self.inspection.clone();
        self.look_again();
        carry_over(&before, &self.inspection, edits);
    }

    fn tree(&self) -> Result<&Tree> {
        let guest = self.inspection.guest();
        Ok(&guest.ok_or_else(|| Error::new(Kind::NotFound, "no operating system"))?.tree)
    }

    /// The staged filesystem that a place is in.
    fn staged(&self, at: &Located) -> Result<&Arc<Staged>> {
        let filesystem: *const () = Arc::as_ptr(self.tree()?.filesystem(at)).cast();
        self.filesystems
            .iter()
            .flatten()
            .find(|staged| std::ptr::eq(Arc::as_ptr(staged).cast(), filesystem))
            .ok_or_else(|| Error::unsupported("a file on a filesystem that cannot be staged"))
    }

    fn existing(&self, path: &str) -> Result<Located> {
        let at = self.tree()?.locate_link(path)?;
        at.ok_or_else(|| Error::new(Kind::NotFound, format!("{path}: not there")))
    }

    /// The directory that `path` is or will be in, and its last name.
    fn parent<'p>(&self, path: &'p str) -> Result<(Located, &'p [u8])> {
        let (dir, name) = path
            .rsplit_once('/')
            .ok_or_else(|| Error::corrupt(format!("{path}: not an absolute path")))?;
        Ok((self.existing(if dir.is_empty() { "/" } else { dir })?, name.as_bytes()))
    }

    fn create(&self, path: &str, node: NewNode) -> Result<()> {
        let (dir, name) = self.parent(path)?;
        self.staged(&dir)?.create(dir.node, name, node).map(drop)
    }

    fn unlink(&self, path: &str) -> Result<()> {
        let (dir, name) = self.parent(path)?;
        self.staged(&dir)?.unlink(dir.node, name)
    }

    fn copy(&self, from: &str, to: &str) -> Result<()> {
        let at = self.existing(from)?;
        let (fs, stat) = (self.staged(&at)?, self.staged(&at)?.stat(at.node)?);
        let data = self.tree()?.read(from, MAX_DIGEST_BYTES)?.unwrap_or_default();
        let node = NewNode {
            file_type: stat.file_type,
            mode: stat.mode,
            uid: stat.uid,
            gid: stat.gid,
            xattrs: fs.xattrs(at.node)?.into_iter().filter(|xattr| !is_bound(xattr)).collect(),
            data: data.into(),
        };
        self.create(to, node)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let at = self.existing(from)?;
        let (dir, name) = self.parent(to)?;
        if dir.filesystem != at.filesystem {
            return Err(Error::unsupported(format!("{from}: cannot be moved to another volume")));
        }
        self.staged(&dir)?.link(dir.node, name, at.node)?;
        self.unlink(from)
    }
}

/// Unpacking an initramfs takes nearly all the time of a check: keep what was read of those that no
/// edit touched.
fn carry_over(before: &Inspection, after: &Inspection, edits: &[Edit]) {
    if let (Some(before), Some(after)) = (before.guest(), after.guest()) {
        let is_touched = |path: &str| {
            let real = |guest: &Guest| guest.tree.locate(path).ok().flatten().map(|at| at.path);
            let places = [real(before), real(after), Some(path.as_bytes().to_vec())];
            places.iter().flatten().any(|place| {
                edits.iter().any(|edit| {
                    let to = match &edit.change {
                        Change::Copy { to, .. } | Change::Rename { to } => to.as_str(),
                        _ => "",
                    };
                    place == edit.path.as_bytes() || place == to.as_bytes()
                })
            })
        };
        before.cache.carry_initramfs(&after.cache, is_touched);
    }
}

fn stage(volume: &mut Volume) -> Option<Arc<Staged>> {
    let Some(Ok(base)) = &volume.filesystem else { return None };
    let staged = Arc::new(Staged::new(Arc::clone(base)));
    volume.filesystem = Some(Ok(Arc::clone(&staged) as Arc<dyn Filesystem>));
    Some(staged)
}

fn new_node(file_type: FileType, attributes: &Attributes, data: Arc<[u8]>) -> NewNode {
    let Attributes { mode, uid, gid, xattrs } = attributes.clone();
    NewNode { file_type, mode, uid, gid, xattrs, data }
}

impl Editor for Staging {
    fn entry(&mut self, path: &str) -> Result<Option<Entry>> {
        entry(self.tree()?, path)
    }

    fn size_bytes(&mut self, path: &str) -> Result<Option<u64>> {
        let Some(at) = self.tree()?.locate_link(path)? else { return Ok(None) };
        Ok(Some(self.tree()?.filesystem(&at).stat(at.node)?.size_bytes))
    }

    fn mode(&mut self, path: &str) -> Result<Option<u16>> {
        let Some(at) = self.tree()?.locate_link(path)? else { return Ok(None) };
        Ok(Some(self.tree()?.filesystem(&at).stat(at.node)?.mode))
    }

    fn perform(&mut self, edit: &Edit) -> Result<()> {
        let path = edit.path.as_str();
        match &edit.change {
            Change::Create { content, attributes } => {
                self.create(path, new_node(FileType::Regular, attributes, content.shared()))
            }
            Change::Replace { after, .. } => {
                let at = self.existing(path)?;
                let fs = self.staged(&at)?;
                fs.set_content(at.node, after.shared())?;
                fs.set_attributes(at.node, |_, xattrs| xattrs.retain(|xattr| !is_bound(xattr)))
            }
            Change::Append { tail, .. } => {
                let at = self.existing(path)?;
                self.staged(&at)?.append(at.node, tail.bytes())
            }
            Change::Copy { to, .. } => self.copy(path, to),
            Change::Rename { to } => self.rename(path, to),
            Change::Remove { .. } => self.unlink(path),
            Change::Symlink { target, .. } => {
                let attributes = Attributes::root(0o777);
                self.create(
                    path,
                    new_node(FileType::Symlink, &attributes, target.as_bytes().into()),
                )
            }
            Change::MakeDirectory { attributes } => {
                self.create(path, new_node(FileType::Directory, attributes, Arc::default()))
            }
            Change::SetMode { after, .. } => {
                let at = self.existing(path)?;
                self.staged(&at)?.set_attributes(at.node, |stat, _| stat.mode = *after)
            }
        }
    }
}

/// What is at `path`, links not followed.
pub(super) fn entry(tree: &Tree, path: &str) -> Result<Option<Entry>> {
    let Some(at) = tree.locate_link(path)? else { return Ok(None) };
    let fs = tree.filesystem(&at);
    let stat = fs.stat(at.node)?;
    Ok(Some(match stat.file_type {
        FileType::Regular => {
            let bytes = tree.read(path, MAX_DIGEST_BYTES)?.unwrap_or_default();
            Entry::File { size_bytes: stat.size_bytes, digest: Digest::of(&bytes) }
        }
        FileType::Directory => Entry::Directory,
        FileType::Symlink => {
            let target = fs.read_link(at.node)?;
            Entry::Symlink { target: String::from_utf8_lossy(&target).into_owned() }
        }
        _ => Entry::Other,
    }))
}
