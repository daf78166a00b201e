//! Removing a directory with all that it holds, on its own filesystem only.

use std::ffi::CString;
use std::os::fd::OwnedFd;

use kiln_rpc::GuestPath;
use rustix::fs::{
    AtFlags, Dir, FileType, IFlags, Mode, OFlags, ResolveFlags, ioctl_setflags, openat2, unlinkat,
};
use rustix::io::Errno;

use crate::failure::{Context, Result, refused};
use crate::flags;

/// Each level holds a descriptor, of which a process has 1024.
const MAX_DEPTH: usize = 256;

/// Remove all that the directory `dir`, open for reading, holds. Locked files go too: who asks for
/// a directory's removal means them.
pub(crate) fn empty(dir: &OwnedFd, path: &GuestPath) -> Result<()> {
    let first = dir.try_clone().at(path, "duplicate")?;
    let mut levels = vec![(first, names(dir, path)?)];
    while let Some((dir, pending)) = levels.last_mut() {
        let Some((name, file_type)) = pending.last().cloned() else {
            levels.pop();
            // The directory that was emptied is what the level above has last.
            if let Some((above, pending)) = levels.last_mut()
                && let Some((name, _)) = pending.pop()
            {
                unlink(above, &name, AtFlags::REMOVEDIR, path)?;
            }
            continue;
        };
        if file_type == FileType::Directory {
            let below = open_below(dir, &name).at(path, "open a directory in")?;
            unlock(&below);
            let names = names(&below, path)?;
            if levels.len() >= MAX_DEPTH {
                return Err(refused(path, Errno::LOOP, "directories are nested too deeply"));
            }
            levels.push((below, names));
        } else {
            unlink(dir, &name, AtFlags::empty(), path)?;
            pending.pop();
        }
    }
    Ok(())
}

fn names(dir: &OwnedFd, path: &GuestPath) -> Result<Vec<(CString, FileType)>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir).at(path, "list")? {
        let entry = entry.at(path, "list")?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push((entry.file_name().to_owned(), entry.file_type()));
        }
    }
    Ok(names)
}

/// `RESOLVE_NO_XDEV`: what is mounted below stays.
fn open_below(dir: &OwnedFd, name: &CString) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    openat2(dir, name, flags, Mode::empty(), resolve)
}

fn unlink(dir: &OwnedFd, name: &CString, flags: AtFlags, path: &GuestPath) -> Result<()> {
    let about = format!("remove {} in", name.to_string_lossy());
    match unlinkat(dir, name, flags) {
        // A locked file; a special one that is locked cannot be opened and stays an error.
        Err(Errno::PERM) => {
            unlock(&open_below(dir, name).at(path, &about)?);
            unlinkat(dir, name, flags).at(path, &about)
        }
        other => other.at(path, &about),
    }
}

fn unlock(fd: &OwnedFd) {
    let found = flags::of(fd).unwrap_or(IFlags::empty());
    if found.intersects(flags::LOCKS) {
        // Where this fails, the removal does, and tells it.
        let _ = ioctl_setflags(fd, found - flags::LOCKS);
    }
}
