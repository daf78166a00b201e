//! Changing the guest's tree. Every change is on the disk when its call returns.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use kiln_rpc::{Attributes, AttributesChange, Edited, FileKind, GuestPath};
use rustix::fs::{
    AtFlags, Mode, OFlags, RenameFlags, fstat, fsync, ftruncate, ioctl_ficlone, mkdirat, openat,
    renameat, renameat_with, symlinkat, unlinkat,
};
use rustix::io::Errno;

use crate::attributes;
use crate::content::Content;
use crate::failure::{Context, Result, refused};
use crate::flags::{self, Unlocked};
use crate::node::{Node, Place, Tree};

/// The name of a file that is not complete yet. One call runs at a time, so one name will do; a
/// leftover of a machine that died is gone with its overlay.
const UNFINISHED: &CStr = c".kiln-unfinished";

/// Create or replace `path`.
pub(crate) fn put(
    tree: &Tree,
    path: &GuestPath,
    attributes: &Attributes,
    content: &mut Content<'_>,
) -> Result<Edited> {
    let place = tree.place(path)?;
    let old = tree.find(path)?;
    match &old {
        Some(old) => old.must_be_file(path)?,
        None if *attributes == Attributes::Keep => {
            return Err(refused(path, Errno::NOENT, "no file whose attributes could be kept"));
        }
        None => {}
    }
    edit(&place, path, old.as_ref(), |unlocked| {
        replace(&place, path, old.as_ref(), attributes, content, unlocked)
    })
    .map(|unlocked| Edited { unlocked, in_place: old.as_ref().is_some_and(has_other_names) })
}

fn has_other_names(node: &Node) -> bool {
    node.stat().st_nlink > 1
}

fn replace(
    place: &Place,
    path: &GuestPath,
    old: Option<&Node>,
    attributes: &Attributes,
    content: &mut Content<'_>,
    unlocked: &mut Unlocked,
) -> Result<()> {
    let unfinished = Unfinished::create(place, path)?;
    if let Some(old) = old {
        flags::inherit(&old.open(path)?, &unfinished.fd);
    }
    content.write_to(&unfinished.fd, path)?;
    if let Some(old) = old.filter(|old| has_other_names(old)) {
        overwrite(old, path, &unfinished)?;
        attributes::unbind(old, path)?;
        set(attributes, None, old, path)?;
        return unfinished.remove();
    }
    set(attributes, old, &unfinished.node()?, path)?;
    fsync(&unfinished.fd).at(path, "flush")?;
    unlocked.replaced(path, &unfinished.fd)?;
    unfinished.rename(place, path)
}

/// Give `to` the wanted attributes; those of `old` where they are to be kept.
fn set(attributes: &Attributes, old: Option<&Node>, to: &Node, path: &GuestPath) -> Result<()> {
    match (attributes, old) {
        (Attributes::New { mode, uid, gid, xattrs }, _) => {
            attributes::replace_all(to, path, *mode, (*uid, *gid), xattrs)
        }
        (Attributes::Keep, Some(old)) => attributes::copy(old, to, path),
        // Overwritten in place: it has them.
        (Attributes::Keep, None) => Ok(()),
    }
}

/// Put the content of `unfinished` into `old`, which keeps all its names.
fn overwrite(old: &Node, path: &GuestPath, unfinished: &Unfinished) -> Result<()> {
    let mut from = File::from(unfinished.fd.try_clone().at(path, "duplicate")?);
    let mut to = File::from(old.reopen(path, OFlags::WRONLY)?);
    io::Seek::rewind(&mut from).at(path, "seek")?;
    let n = io::copy(&mut from, &mut to).at(path, "write")?;
    ftruncate(&to, n).at(path, "truncate")?;
    fsync(&to).at(path, "flush")
}

/// Lengthen `path`, which must have `expected_size_bytes`.
pub(crate) fn append(
    tree: &Tree,
    path: &GuestPath,
    expected_size_bytes: u64,
    content: &mut Content<'_>,
) -> Result<Edited> {
    let place = tree.place(path)?;
    let node = tree.get(path)?;
    node.must_be_file(path)?;
    if u64::try_from(node.stat().st_size) != Ok(expected_size_bytes) {
        let message = format!("has {} bytes and not {expected_size_bytes}", node.stat().st_size);
        return Err(refused(path, Errno::STALE, &message));
    }
    let unlocked = edit(&place, path, Some(&node), |_| {
        let fd = node.reopen(path, OFlags::WRONLY | OFlags::APPEND)?;
        let appended = content.write_to(&fd, path).and_then(|()| fsync(&fd).at(path, "flush"));
        if appended.is_err() {
            ftruncate(&fd, expected_size_bytes).at(path, "take back what was appended")?;
        }
        appended
    })?;
    Ok(Edited { unlocked, in_place: true })
}

/// Copy `from` with its attributes to `to`, sharing blocks where the filesystem can.
pub(crate) fn copy(
    tree: &Tree,
    from: &GuestPath,
    to: &GuestPath,
    progress: impl FnMut(u64, u64),
) -> Result<Edited> {
    let node = tree.get(from)?;
    let source = node.open_file(from)?;
    let place = free_place(tree, to)?;
    let unlocked = edit(&place, to, None, |_| {
        let unfinished = Unfinished::create(&place, to)?;
        flags::inherit(&OwnedFd::from(source.try_clone().at(from, "duplicate")?), &unfinished.fd);
        if ioctl_ficlone(&unfinished.fd, &source).is_err() {
            let size_bytes = u64::try_from(node.stat().st_size).unwrap_or(0);
            copy_bytes(&source, &unfinished.fd, size_bytes, progress).at(to, "copy")?;
        }
        attributes::copy(&node, &unfinished.node()?, to)?;
        fsync(&unfinished.fd).at(to, "flush")?;
        unfinished.rename(&place, to)
    })?;
    Ok(Edited { unlocked, in_place: false })
}

fn copy_bytes(
    from: impl AsFd,
    to: impl AsFd,
    size_bytes: u64,
    mut progress: impl FnMut(u64, u64),
) -> io::Result<()> {
    const STEP_BYTES: usize = 8 << 20;
    let mut done_bytes = 0;
    loop {
        match rustix::fs::copy_file_range(&from, None, &to, None, STEP_BYTES) {
            Ok(0) => return Ok(()),
            Ok(n) => done_bytes += n as u64,
            // Two filesystems, or one that cannot.
            Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS)
                if done_bytes == 0 =>
            {
                let mut from = File::from(from.as_fd().try_clone_to_owned()?);
                let mut to = File::from(to.as_fd().try_clone_to_owned()?);
                return io::copy(&mut from, &mut to).map(drop);
            }
            Err(error) => return Err(error.into()),
        }
        progress(done_bytes, size_bytes);
    }
}

/// The place of `path`, where nothing may be yet.
fn free_place(tree: &Tree, path: &GuestPath) -> Result<Place> {
    let place = tree.place(path)?;
    match tree.find(path)? {
        Some(_) => Err(refused(path, Errno::EXIST, "is there already")),
        None => Ok(place),
    }
}

pub(crate) fn rename(tree: &Tree, from: &GuestPath, to: &GuestPath) -> Result<Edited> {
    let (old_place, new_place) = (tree.place(from)?, free_place(tree, to)?);
    let node = tree.get(from)?;
    let mut unlocked = Unlocked::default();
    let mut rename = || {
        unlocked.unlock(&old_place.dir_path, &old_place.dir)?;
        if new_place.dir_path != old_place.dir_path {
            unlocked.unlock(&new_place.dir_path, &new_place.dir)?;
        }
        if let FileKind::File | FileKind::Directory = node.kind() {
            unlocked.unlock(from, &node.open(from)?)?;
        }
        let flags = RenameFlags::NOREPLACE;
        renameat_with(&old_place.dir, &old_place.name, &new_place.dir, &new_place.name, flags)
            .at(from, &format!("rename to {to}"))?;
        fsync(&old_place.dir).at(&old_place.dir_path, "flush")?;
        fsync(&new_place.dir).at(&new_place.dir_path, "flush")
    };
    let renamed = rename();
    Ok(Edited { unlocked: unlocked.lock(renamed)?, in_place: false })
}

pub(crate) fn symlink(
    tree: &Tree,
    path: &GuestPath,
    target: &[u8],
    change: &AttributesChange,
) -> Result<Edited> {
    let target = CString::new(target).map_err(|_| refused(path, Errno::INVAL, "a zero byte"))?;
    make(tree, path, change, |place| symlinkat(&target, &place.dir, &place.name))
}

pub(crate) fn make_dir(tree: &Tree, path: &GuestPath, change: &AttributesChange) -> Result<Edited> {
    let mode = Mode::from_raw_mode(0o755);
    make(tree, path, change, |place| mkdirat(&place.dir, &place.name, mode))
}

fn make(
    tree: &Tree,
    path: &GuestPath,
    change: &AttributesChange,
    create: impl FnOnce(&Place) -> rustix::io::Result<()>,
) -> Result<Edited> {
    let place = free_place(tree, path)?;
    let unlocked = edit(&place, path, None, |_| {
        create(&place).at(path, "create")?;
        attributes::change(&tree.get(path)?, path, change)
    })?;
    Ok(Edited { unlocked, in_place: false })
}

pub(crate) fn set_attributes(
    tree: &Tree,
    path: &GuestPath,
    change: &AttributesChange,
) -> Result<Edited> {
    let node = tree.get(path)?;
    let mut unlocked = Unlocked::default();
    let mut change = || {
        if let FileKind::File | FileKind::Directory = node.kind() {
            let fd = node.open(path)?;
            unlocked.unlock(path, &fd)?;
            attributes::change(&node, path, change)?;
            return fsync(&fd).at(path, "flush");
        }
        attributes::change(&node, path, change)
    };
    let changed = change();
    Ok(Edited { unlocked: unlocked.lock(changed)?, in_place: true })
}

/// Change what is in `place` with the locks of the directory and of `old`, what `path` is so far,
/// cleared; then flush the directory and lock again.
fn edit(
    place: &Place,
    path: &GuestPath,
    old: Option<&Node>,
    change: impl FnOnce(&mut Unlocked) -> Result<()>,
) -> Result<Vec<GuestPath>> {
    let mut unlocked = Unlocked::default();
    let locked_change = || {
        unlocked.unlock(&place.dir_path, &place.dir)?;
        if let Some(old) = old
            && let FileKind::File | FileKind::Directory = old.kind()
        {
            unlocked.unlock(path, &old.open(path)?)?;
        }
        change(&mut unlocked)?;
        fsync(&place.dir).at(&place.dir_path, "flush")
    };
    let changed = locked_change();
    unlocked.lock(changed)
}

pub(crate) fn remove(tree: &Tree, path: &GuestPath, recursive: bool) -> Result<Edited> {
    let place = tree.place(path)?;
    let node = tree.get(path)?;
    let unlocked = edit(&place, path, Some(&node), |unlocked| {
        if node.kind() == FileKind::Directory && recursive {
            let device = node.stat().st_dev;
            if device != fstat(&place.dir).at(path, "stat")?.st_dev {
                return Err(refused(path, Errno::BUSY, "is a mount point"));
            }
            crate::remove::empty(&node.open(path)?, path)?;
        }
        let is_dir = node.kind() == FileKind::Directory;
        let flags = if is_dir { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        unlinkat(&place.dir, &place.name, flags).at(path, "remove")?;
        unlocked.removed(path);
        Ok(())
    })?;
    Ok(Edited { unlocked, in_place: false })
}

/// A file being written beside the one it will replace. Gone when dropped.
struct Unfinished {
    dir: OwnedFd,
    path: GuestPath,
    fd: OwnedFd,
    is_done: bool,
}

impl Unfinished {
    fn create(place: &Place, path: &GuestPath) -> Result<Self> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // The guest may hold one of a run that was cut off; whatever it is, it is none of its own.
        let _ = unlinkat(&place.dir, UNFINISHED, AtFlags::empty());
        let mode = Mode::RUSR | Mode::WUSR;
        let fd = openat(&place.dir, UNFINISHED, flags, mode).at(path, "create")?;
        let dir = place.dir.try_clone().at(path, "duplicate")?;
        Ok(Self { dir, path: path.clone(), fd, is_done: false })
    }

    fn node(&self) -> Result<Node> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(&self.dir, UNFINISHED, flags, Mode::empty()).at(&self.path, "open")?;
        Node::of(fd, &self.path)
    }

    fn rename(mut self, place: &Place, path: &GuestPath) -> Result<()> {
        renameat(&self.dir, UNFINISHED, &place.dir, &place.name).at(path, "rename into place")?;
        self.is_done = true;
        Ok(())
    }

    fn remove(mut self) -> Result<()> {
        self.is_done = true;
        unlinkat(&self.dir, UNFINISHED, AtFlags::empty()).at(&self.path, "remove the copy of")
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_done {
            // The failure that led here is the one to tell.
            let _ = unlinkat(&self.dir, UNFINISHED, AtFlags::empty());
        }
    }
}
