//! Archives in cpio's "newc" form, as the kernel unpacks an initramfs from.
//!
//! The same input gives the same bytes: no clock, no owner but root, inode numbers counted from 1.
//! Layout: Linux Documentation/driver-api/early-userspace/buffer-format.rst. What the kernel
//! silently skips (init/initramfs.c) is an error here: a name or link longer than `PATH_MAX`, and a
//! file whose parent directory is not there, which is why missing parents are added.

use std::collections::BTreeSet;

/// `PATH_MAX` of Linux, with the NUL.
const MAX_PATH_BYTES: usize = 4096;
/// What the mode of an entry may hold beside its type.
const PERMISSIONS: u32 = 0o7777;
const TRAILER: &str = "TRAILER!!!";

/// An archive being written. Everything belongs to root and has no time of change.
#[derive(Clone, Debug, Default)]
pub struct CpioWriter {
    bytes: Vec<u8>,
    n_entries: u32,
    directories: BTreeSet<String>,
}

/// Why an entry cannot be in an archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CpioError {
    /// Empty, absolute, with an empty, `.` or `..` component, with a NUL, or the trailer's own.
    #[error("`{}` cannot be a path in an initramfs", path.escape_debug())]
    Path {
        /// What was asked for.
        path: String,
    },
    /// A path or the target of a link that the kernel would skip.
    #[error("a path of {found} bytes is longer than the 4095 that the kernel takes: `{}...`", start.escape_debug())]
    TooLong {
        /// Its length.
        found: usize,
        /// Its first characters.
        start: String,
    },
    /// The field of a size has 32 bits.
    #[error("{path}: {found} bytes are more than a cpio archive holds in one file (4 GiB)")]
    TooLarge {
        /// The file.
        path: String,
        /// Its length in bytes.
        found: u64,
    },
}

impl CpioWriter {
    /// An empty archive.
    pub fn new() -> Self {
        Self::default()
    }

    /// An archive that is unpacked over another one, which has the directories `existing` (paths
    /// without leading slash): they are not added as parents, since a directory entry would take
    /// the place of a link of that name, and change owner and mode of a directory.
    pub fn over(existing: impl IntoIterator<Item = String>) -> Self {
        Self { directories: existing.into_iter().collect(), ..Self::default() }
    }

    /// Add a directory, unless it is there, and its missing parents (mode 0755).
    ///
    /// # Errors
    ///
    /// Where the kernel would not unpack `path`.
    pub fn directory(&mut self, path: &str, mode: u32) -> Result<&mut Self, CpioError> {
        check_path(path)?;
        self.parents(path)?;
        if self.directories.insert(path.to_owned()) {
            self.entry(path, 0o040_000 | mode & PERMISSIONS, 2, &[])?;
        }
        Ok(self)
    }

    /// Add a regular file and its missing parents. A later file replaces an earlier one.
    ///
    /// # Errors
    ///
    /// Where the kernel would not unpack `path`, or `data` has 4 GiB or more.
    pub fn file(&mut self, path: &str, mode: u32, data: &[u8]) -> Result<&mut Self, CpioError> {
        check_path(path)?;
        self.parents(path)?;
        self.entry(path, 0o100_000 | mode & PERMISSIONS, 1, data)?;
        Ok(self)
    }

    /// Add a symbolic link and its missing parents. `target` is stored as it is.
    ///
    /// # Errors
    ///
    /// Where the kernel would not unpack `path`, or `target` is longer than a path can be.
    pub fn symlink(&mut self, path: &str, target: &str) -> Result<&mut Self, CpioError> {
        check_path(path)?;
        check_length(target)?;
        self.parents(path)?;
        self.entry(path, 0o120_777, 1, target.as_bytes())?;
        Ok(self)
    }

    /// Number of entries so far, added parents included.
    pub fn n_entries(&self) -> u32 {
        self.n_entries
    }

    /// End the archive with its trailer. The length is a multiple of 4.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.n_entries = 0;
        // Neither its name nor its data can be too large.
        let _ = self.entry(TRAILER, 0, 1, &[]);
        self.bytes
    }

    fn parents(&mut self, path: &str) -> Result<(), CpioError> {
        for (at, _) in path.match_indices('/') {
            if self.directories.insert(path[..at].to_owned()) {
                self.entry(&path[..at], 0o040_755, 2, &[])?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, name: &str, mode: u32, n_links: u32, data: &[u8]) -> Result<(), CpioError> {
        let length = u32::try_from(data.len())
            .map_err(|_| CpioError::TooLarge { path: name.to_owned(), found: data.len() as u64 })?;
        let inode = match name {
            TRAILER => 0,
            _ => {
                self.n_entries += 1;
                self.n_entries
            }
        };
        let name_bytes = name.len() as u32 + 1;
        // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
        let fields = [inode, mode, 0, 0, n_links, 0, length, 0, 0, 0, 0, name_bytes, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(data);
        self.pad();
        Ok(())
    }

    /// The kernel looks for the next header at a multiple of 4 from the start of the archive.
    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

fn check_path(path: &str) -> Result<(), CpioError> {
    check_length(path)?;
    let is_component = |part: &str| !part.is_empty() && part != "." && part != "..";
    if path == TRAILER || path.contains('\0') || !path.split('/').all(is_component) {
        return Err(CpioError::Path { path: path.to_owned() });
    }
    Ok(())
}

fn check_length(path: &str) -> Result<(), CpioError> {
    if path.len() >= MAX_PATH_BYTES {
        let start = path.chars().take(40).collect();
        return Err(CpioError::TooLong { found: path.len(), start });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::Initramfs;

    fn sample() -> Result<Vec<u8>, CpioError> {
        let mut archive = CpioWriter::new();
        archive.directory("proc", 0o555)?;
        archive.file("usr/sbin/init", 0o4750, b"#!/bin/sh\n")?;
        archive.file("usr/lib/empty", 0o644, b"")?;
        archive.symlink("sbin", "usr/sbin")?;
        Ok(archive.finish())
    }

    /// The tool itself unpacks what was written: kinds, modes, owners, content.
    #[test]
    fn the_cpio_tool_unpacks_it() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("archive"), sample().unwrap()).unwrap();
        let list = Command::new("cpio")
            .args(["-tvn", "--quiet", "-F", "archive"])
            .env("TZ", "UTC")
            .current_dir(&dir)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(list.status.success(), "{list:?}");
        let list = String::from_utf8(list.stdout).unwrap();
        let lines: Vec<String> = list
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            lines,
            [
                "dr-xr-xr-x 2 0 0 0 Jan 1 1970 proc",
                "drwxr-xr-x 2 0 0 0 Jan 1 1970 usr",
                "drwxr-xr-x 2 0 0 0 Jan 1 1970 usr/sbin",
                "-rwsr-x--- 1 0 0 10 Jan 1 1970 usr/sbin/init",
                "drwxr-xr-x 2 0 0 0 Jan 1 1970 usr/lib",
                "-rw-r--r-- 1 0 0 0 Jan 1 1970 usr/lib/empty",
                "lrwxrwxrwx 1 0 0 8 Jan 1 1970 sbin -> usr/sbin",
            ]
        );
        let out = Command::new("cpio")
            .args(["-i", "--quiet", "--to-stdout", "-F", "archive", "usr/sbin/init"])
            .current_dir(&dir)
            .output()
            .unwrap();
        assert_eq!(out.stdout, b"#!/bin/sh\n");
    }

    #[test]
    fn kiln_reads_what_it_writes() {
        let bytes = sample().unwrap();
        assert_eq!(bytes.len() % 4, 0);
        let read = Initramfs::from_bytes(bytes);
        assert_eq!((read.error, read.n_entries), (None, 7));
    }

    #[test]
    fn an_archive_over_another_leaves_its_directories_alone() {
        let mut archive = CpioWriter::over(["usr".to_owned(), "usr/lib".to_owned()]);
        archive.file("usr/lib/modules/a.ko", 0o644, b"x").unwrap();
        assert_eq!(archive.n_entries(), 2);
        let bytes = archive.finish();
        let names: Vec<_> = ["usr/lib/modules\0", "usr/lib/modules/a.ko\0", "TRAILER!!!\0"]
            .iter()
            .map(|name| memchr::memmem::find_iter(&bytes, name.as_bytes()).count())
            .collect();
        assert_eq!(names, [1, 1, 1]);
    }

    #[test]
    fn what_the_kernel_would_skip_is_refused() {
        let message =
            |path: &str| CpioWriter::new().file(path, 0o644, b"").unwrap_err().to_string();
        for path in ["", "/etc", "a//b", "a/", "./a", "a/../b", "a\0b", "TRAILER!!!"] {
            let shown = path.escape_debug();
            assert_eq!(message(path), format!("`{shown}` cannot be a path in an initramfs"));
        }
        let long = "a".repeat(4096);
        let wanted = format!(
            "a path of 4096 bytes is longer than the 4095 that the kernel takes: `{}...`",
            "a".repeat(40)
        );
        assert_eq!(message(&long), wanted);
        assert_eq!(CpioWriter::new().symlink("a", &long).unwrap_err().to_string(), wanted);
        assert!(CpioWriter::new().file(&long[1..], 0o644, b"").is_ok());
    }
}
