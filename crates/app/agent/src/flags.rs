//! `chattr +i` and `+a`: cleared for the time of an edit and set again after it.

use std::os::fd::OwnedFd;

use kiln_rpc::GuestPath;
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

use crate::failure::{Context, Result};

/// What stands between root and a change.
pub(crate) const LOCKS: IFlags = IFlags::IMMUTABLE.union(IFlags::APPEND);
/// What a replaced file hands on to the new one; most other flags are the filesystem's own.
const INHERITED: IFlags =
    IFlags::NOCOW.union(IFlags::NOATIME).union(IFlags::NODUMP).union(IFlags::SYNC);

/// The flags of an open file or directory. `None`: its filesystem has none.
pub(crate) fn of(fd: &OwnedFd) -> Option<IFlags> {
    ioctl_getflags(fd).ok()
}

/// Give a new, still empty file those flags of the file it replaces that it can have.
pub(crate) fn inherit(from: &OwnedFd, to: &OwnedFd) {
    let (Some(old), Some(new)) = (of(from), of(to)) else { return };
    if old & INHERITED != new & INHERITED {
        // Not every filesystem has every flag; the content is what matters.
        let _ = ioctl_setflags(to, (new - INHERITED) | (old & INHERITED));
    }
}

/// What was unlocked, and how to lock it again.
#[derive(Default)]
pub(crate) struct Unlocked {
    held: Vec<(GuestPath, OwnedFd, IFlags)>,
}

impl Unlocked {
    /// Clear the locks of `fd`, open for reading, if it has any.
    pub(crate) fn unlock(&mut self, path: &GuestPath, fd: &OwnedFd) -> Result<()> {
        let Some(flags) = of(fd).filter(|flags| flags.intersects(LOCKS)) else { return Ok(()) };
        let fd = fd.try_clone().at(path, "duplicate")?;
        ioctl_setflags(&fd, flags - LOCKS).at(path, "clear the immutable flag")?;
        self.held.push((path.clone(), fd, flags & LOCKS));
        Ok(())
    }

    /// `path` is now another file, which is the one to be locked.
    pub(crate) fn replaced(&mut self, path: &GuestPath, by: &OwnedFd) -> Result<()> {
        for (held, fd, _) in &mut self.held {
            if held == path {
                *fd = by.try_clone().at(path, "duplicate")?;
            }
        }
        Ok(())
    }

    /// `path` is no more.
    pub(crate) fn removed(&mut self, path: &GuestPath) {
        self.held.retain(|(held, _, _)| held != path);
    }

    /// Lock again, whatever came of the edit, and tell what was unlocked.
    pub(crate) fn lock(self, edit: Result<()>) -> Result<Vec<GuestPath>> {
        let mut paths = Vec::new();
        let mut result = edit;
        for (path, fd, locks) in self.held.into_iter().rev() {
            let flags = of(&fd).unwrap_or(IFlags::empty());
            let locked = ioctl_setflags(&fd, flags | locks).at(&path, "set the immutable flag");
            result = result.and(locked);
            paths.push(path);
        }
        result.map(|()| paths)
    }
}
