//! The calls, one method each.

use std::io::{self, Read};

use kiln_rpc::{
    Answer, Attributes, AttributesChange, CHUNK_BYTES, Disk, Edited, Entry, Exec, ExecEnd,
    GuestPath, Mount, Request, Space, Stat, Volume,
};

use crate::helper::error::mount_hint;
use crate::helper::{HelperError, Result, Session};

/// Makes the method that takes the one answer a request can have.
macro_rules! expect {
    ($answer:expr, $during:expr, $pattern:pat => $value:expr) => {
        match $answer {
            $pattern => Ok($value),
            other => Err(unexpected($during, &other)),
        }
    };
}

fn unexpected(during: &str, answer: &Answer) -> HelperError {
    let reason = format!("{answer:?}").chars().take(200).collect();
    HelperError::Protocol { during: during.to_owned(), reason }
}

fn path(path: impl AsRef<[u8]>) -> Result<GuestPath> {
    Ok(GuestPath::new(path.as_ref())?)
}

/// Paths are absolute and canonical; none may lead through a symbolic link of the guest (`ELOOP`).
/// Every change is on the guest's filesystem when its method returns, though not on the disk before
/// [`Session::finish`]. All fail with [`HelperError::Call`] where the machine's kernel refuses, and
/// with the other errors where the machine itself fails.
impl Session {
    /// The disks as the machine's kernel sees them.
    ///
    /// # Errors
    ///
    /// As all calls.
    pub fn disks(&mut self) -> Result<Vec<Disk>> {
        let during = "looking at the disks";
        let answer = self.call(during, Request::Disks, io::empty())?;
        expect!(answer, during, Answer::Disks(disks) => disks)
    }

    /// Mount `volume` at `at` of the guest's tree, `/` first.
    ///
    /// # Errors
    ///
    /// `ESTALE` where the kernel sees the partition elsewhere, `ENODEV` where it sees none. A
    /// filesystem that cannot be mounted has the kernel's own words in its message and the command
    /// that mends it in its hint.
    pub fn mount(
        &mut self,
        volume: Volume,
        at: impl AsRef<[u8]>,
        fstype: &str,
        how: &MountOptions<'_>,
    ) -> Result<()> {
        let at = path(at)?;
        let during = format!("mounting {fstype} at {at}");
        let request = Request::Mount(Mount {
            volume,
            at,
            fstype: fstype.to_owned(),
            options: how.options.to_owned(),
            subvolume: how.subvolume.map(str::to_owned),
            read_only: how.read_only,
        });
        let answer = self.call(&during, request, io::empty()).map_err(|error| match error {
            HelperError::Call { failure, .. } => {
                let hint = mount_hint(fstype, failure.errno);
                HelperError::Call { failure, hint }
            }
            other => other,
        })?;
        expect!(answer, &during, Answer::Done => ())
    }

    /// What is at `at`, links not followed. `None`: nothing.
    ///
    /// # Errors
    ///
    /// As all calls.
    pub fn stat(&mut self, at: impl AsRef<[u8]>) -> Result<Option<Stat>> {
        let path = path(at)?;
        let during = format!("looking at {path}");
        let answer = self.call(&during, Request::Stat { path }, io::empty())?;
        expect!(answer, &during, Answer::Stat(stat) => stat)
    }

    /// SHA-256 of the file `at`. Under emulation some 20 MiB a second; [`Session::read`] and a
    /// digest here is faster for large files.
    ///
    /// # Errors
    ///
    /// As all calls.
    pub fn digest(&mut self, at: impl AsRef<[u8]>) -> Result<[u8; 32]> {
        let path = path(at)?;
        let during = format!("the digest of {path}");
        let answer = self.call(&during, Request::Digest { path }, io::empty())?;
        expect!(answer, &during, Answer::Digest(digest) => digest)
    }

    /// Up to `length_bytes` of the file `at` from `offset_bytes` on, at most
    /// [`Session::MAX_READ_BYTES`]; less at the end of the file.
    ///
    /// # Errors
    ///
    /// As all calls.
    pub fn read(
        &mut self,
        at: impl AsRef<[u8]>,
        offset_bytes: u64,
        length_bytes: u32,
    ) -> Result<Vec<u8>> {
        let path = path(at)?;
        let during = format!("reading {path}");
        let request = Request::Read { path, offset_bytes, length_bytes };
        let answer = self.call(&during, request, io::empty())?;
        expect!(answer, &during, Answer::Content(content) => content.into_vec())
    }

    /// The most that [`Session::read`] gives at once.
    pub const MAX_READ_BYTES: u32 = CHUNK_BYTES as u32;

    /// The whole file `at`, which must not be longer than `limit_bytes`.
    ///
    /// # Errors
    ///
    /// `EFBIG` where it is longer.
    pub fn read_all(&mut self, at: impl AsRef<[u8]>, limit_bytes: u64) -> Result<Vec<u8>> {
        const EFBIG: i32 = 27;
        let at = at.as_ref();
        let mut content = Vec::new();
        loop {
            let part = self.read(at, content.len() as u64, Self::MAX_READ_BYTES)?;
            let is_last = part.len() < CHUNK_BYTES;
            content.extend(part);
            if content.len() as u64 > limit_bytes {
                let message = format!("is longer than {limit_bytes} bytes");
                let path = Some(path(at)?);
                let failure = kiln_rpc::Failure { errno: EFBIG, message, path };
                return Err(HelperError::Call { failure, hint: None });
            }
            if is_last {
                return Ok(content);
            }
        }
    }

    /// Names in the directory `at`, in byte order: those after `after`, up to some thousands. The
    /// flag says that there are more.
    ///
    /// # Errors
    ///
    /// As all calls.
    pub fn list(
        &mut self,
        at: impl AsRef<[u8]>,
        after: Option<&[u8]>,
    ) -> Result<(Vec<Entry>, bool)> {
        let path = path(at)?;
        let during = format!("listing {path}");
        let after = after.map(|name| name.to_vec().into());
        let answer = self.call(&during, Request::List { path, after }, io::empty())?;
        expect!(answer, &during, Answer::Entries { entries, more } => (entries, more))
    }

    /// Room in the filesystem that holds `at`, which exists.
    ///
    /// # Errors
    ///
    /// As all calls.
    pub fn free_space(&mut self, at: impl AsRef<[u8]>) -> Result<Space> {
        let path = path(at)?;
        let during = format!("the free space at {path}");
        let answer = self.call(&during, Request::FreeSpace { path }, io::empty())?;
        expect!(answer, &during, Answer::Space(space) => space)
    }

    /// Create or replace the file `at` with `size_bytes` of `content`: written beside it and renamed
    /// over it, so that it is old or new and nothing else; in place where it has several names.
    ///
    /// # Errors
    ///
    /// `ENOENT` with [`Attributes::Keep`] where there is no file.
    pub fn put(
        &mut self,
        at: impl AsRef<[u8]>,
        content: impl Read,
        size_bytes: u64,
        attributes: Attributes,
    ) -> Result<Edited> {
        let path = path(at)?;
        let during = format!("writing {path}");
        let request = Request::Put { path, size_bytes, attributes };
        let answer = self.call(&during, request, content)?;
        expect!(answer, &during, Answer::Edited(edited) => edited)
    }

    /// Lengthen the file `at`, now `expected_size_bytes` long, by `size_bytes` of `content`.
    ///
    /// # Errors
    ///
    /// `ESTALE` where it is not that long. Where it fails the file is as it was.
    pub fn append(
        &mut self,
        at: impl AsRef<[u8]>,
        expected_size_bytes: u64,
        content: impl Read,
        size_bytes: u64,
    ) -> Result<Edited> {
        let path = path(at)?;
        let during = format!("lengthening {path}");
        let request = Request::Append { path, expected_size_bytes, size_bytes };
        let answer = self.call(&during, request, content)?;
        expect!(answer, &during, Answer::Edited(edited) => edited)
    }

    /// Copy the file `from` with all its attributes to `to`, where nothing may be.
    ///
    /// # Errors
    ///
    /// `EEXIST` where something is.
    pub fn copy(&mut self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Result<Edited> {
        let (from, to) = (path(from)?, path(to)?);
        let during = format!("copying {from} to {to}");
        self.edit(&during, Request::Copy { from, to })
    }

    /// Remove `at`; a directory that is not empty only where `recursive`.
    ///
    /// # Errors
    ///
    /// `EBUSY` for a mount point.
    pub fn remove(&mut self, at: impl AsRef<[u8]>, recursive: bool) -> Result<Edited> {
        let path = path(at)?;
        self.edit(&format!("removing {path}"), Request::Remove { path, recursive })
    }

    /// Rename `from` to `to`, where nothing may be.
    ///
    /// # Errors
    ///
    /// `EEXIST` where something is, `EXDEV` on another filesystem.
    pub fn rename(&mut self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Result<Edited> {
        let (from, to) = (path(from)?, path(to)?);
        let during = format!("renaming {from} to {to}");
        self.edit(&during, Request::Rename { from, to })
    }

    /// Make the symbolic link `at`, where nothing may be.
    ///
    /// # Errors
    ///
    /// `EEXIST` where something is.
    pub fn symlink(
        &mut self,
        at: impl AsRef<[u8]>,
        target: impl AsRef<[u8]>,
        attributes: AttributesChange,
    ) -> Result<Edited> {
        let (path, target) = (path(at)?, target.as_ref().to_vec());
        self.edit(&format!("linking {path}"), Request::Symlink { path, target, attributes })
    }

    /// Make the directory `at`, where nothing may be and whose parent is there.
    ///
    /// # Errors
    ///
    /// `EEXIST` where something is.
    pub fn make_dir(
        &mut self,
        at: impl AsRef<[u8]>,
        attributes: AttributesChange,
    ) -> Result<Edited> {
        let path = path(at)?;
        self.edit(&format!("making {path}"), Request::MakeDir { path, attributes })
    }

    /// Change owner, mode or extended attributes of `at`.
    ///
    /// # Errors
    ///
    /// As all calls.
    pub fn set_attributes(
        &mut self,
        at: impl AsRef<[u8]>,
        change: AttributesChange,
    ) -> Result<Edited> {
        let path = path(at)?;
        self.edit(&format!("changing {path}"), Request::SetAttributes { path, change })
    }

    /// Run a program of the guest in its tree.
    ///
    /// # Errors
    ///
    /// `EPERM` unless the machine was started for it. A program that fails is no error.
    pub fn exec(&mut self, exec: Exec) -> Result<ExecEnd> {
        let during = format!("running {}", exec.argv.first().map_or("nothing", String::as_str));
        let answer = self.call(&during, Request::Exec(exec), io::empty())?;
        expect!(answer, &during, Answer::Exec(end) => end)
    }

    fn edit(&mut self, during: &str, request: Request) -> Result<Edited> {
        let answer = self.call(during, request, io::empty())?;
        expect!(answer, during, Answer::Edited(edited) => edited)
    }
}

/// How to mount.
#[derive(Clone, Copy, Debug, Default)]
pub struct MountOptions<'a> {
    /// Options of the filesystem, with commas between.
    pub options: &'a str,
    /// The path of a btrfs subvolume.
    pub subvolume: Option<&'a str>,
    /// Write nothing (a journal is replayed all the same).
    pub read_only: bool,
}
