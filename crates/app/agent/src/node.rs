//! The guest's tree: resolving paths without ever following a link of the guest.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use kiln_rpc::{FileKind, GuestPath};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat2};
use rustix::io::Errno;

use crate::failure::{Context, Result, refused};

/// Where the guest's root filesystem is mounted.
pub(crate) const SYSROOT: &str = "/sysroot";

/// The guest's tree, open.
pub(crate) struct Tree {
    root: OwnedFd,
}

/// Something in the tree, held without being opened.
pub(crate) struct Node {
    fd: OwnedFd,
    stat: Stat,
}

/// The directory that holds a path, and the name in it.
pub(crate) struct Place {
    /// Open for reading.
    pub(crate) dir: OwnedFd,
    /// Its path.
    pub(crate) dir_path: GuestPath,
    pub(crate) name: CString,
}

impl Tree {
    /// After the root has been mounted.
    pub(crate) fn open() -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { root: rustix::fs::open(SYSROOT, flags, Mode::empty()).when(SYSROOT)? })
    }

    /// Open `path`. `RESOLVE_BENEATH` keeps below the root, `RESOLVE_NO_SYMLINKS` makes every
    /// link on the way `ELOOP`.
    fn resolve(&self, path: &GuestPath, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat2(&self.root, OsStr::from_bytes(path.below_root()), flags, Mode::empty(), resolve)
    }

    /// What is at `path`; a link itself. `None`: nothing.
    pub(crate) fn find(&self, path: &GuestPath) -> Result<Option<Node>> {
        let fd = match self.resolve(path, OFlags::PATH) {
            Err(Errno::NOENT) => return Ok(None),
            // The last part may be a link: held, not followed.
            Err(Errno::LOOP) => self.link(path)?,
            other => other.at(path, "open")?,
        };
        Node::of(fd, path).map(Some)
    }

    /// What must be at `path`.
    pub(crate) fn get(&self, path: &GuestPath) -> Result<Node> {
        self.find(path)?.ok_or_else(|| refused(path, Errno::NOENT, "no such file or directory"))
    }

    fn link(&self, path: &GuestPath) -> Result<OwnedFd> {
        let place = self.place(path)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&place.dir, &place.name, flags, Mode::empty()).at(path, "open")
    }

    /// The directory that holds `path`.
    pub(crate) fn place(&self, path: &GuestPath) -> Result<Place> {
        let (dir_path, name) =
            path.split().ok_or_else(|| refused(path, Errno::BUSY, "the root itself"))?;
        let dir = self.resolve(&dir_path, OFlags::RDONLY | OFlags::DIRECTORY);
        let dir = dir.at(&dir_path, "open the directory")?;
        let name = CString::new(name).map_err(|_| refused(path, Errno::INVAL, "a zero byte"))?;
        Ok(Place { dir, dir_path, name })
    }

    /// A path by which system calls without a descriptor reach `path`, a directory.
    pub(crate) fn directory(&self, path: &GuestPath) -> Result<OwnedFd> {
        self.resolve(path, OFlags::PATH | OFlags::DIRECTORY).at(path, "open the directory")
    }
}

impl Node {
    /// What `fd`, opened as a mere path, holds.
    pub(crate) fn of(fd: OwnedFd, path: &GuestPath) -> Result<Self> {
        let stat = fstat(&fd).at(path, "stat")?;
        Ok(Self { fd, stat })
    }

    pub(crate) fn stat(&self) -> &Stat {
        &self.stat
    }

    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    pub(crate) fn kind(&self) -> FileKind {
        kind(FileType::from_raw_mode(self.stat.st_mode))
    }

    /// A name for system calls that take no descriptor. It leads to a link itself, too.
    pub(crate) fn proc_path(&self) -> String {
        proc_path(&self.fd)
    }

    /// A regular file or a directory, for reading.
    pub(crate) fn open(&self, path: &GuestPath) -> Result<OwnedFd> {
        self.reopen(path, OFlags::RDONLY)
    }

    /// With other flags.
    pub(crate) fn reopen(&self, path: &GuestPath, flags: OFlags) -> Result<OwnedFd> {
        if !matches!(self.kind(), FileKind::File | FileKind::Directory) {
            return Err(refused(path, Errno::INVAL, "neither a file nor a directory"));
        }
        let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY;
        rustix::fs::openat(CWD, self.proc_path(), flags, Mode::empty()).at(path, "open")
    }

    /// As a regular file, or why it is none.
    pub(crate) fn must_be_file(&self, path: &GuestPath) -> Result<()> {
        match self.kind() {
            FileKind::File => Ok(()),
            FileKind::Directory => Err(refused(path, Errno::ISDIR, "is a directory")),
            FileKind::Symlink => Err(refused(path, Errno::LOOP, "is a symbolic link")),
            FileKind::Special => Err(refused(path, Errno::INVAL, "is no regular file")),
        }
    }

    /// A regular file, for reading.
    pub(crate) fn open_file(&self, path: &GuestPath) -> Result<File> {
        self.must_be_file(path)?;
        Ok(File::from(self.open(path)?))
    }
}

pub(crate) fn proc_path(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

pub(crate) fn kind(file_type: FileType) -> FileKind {
    match file_type {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        _ => FileKind::Special,
    }
}
