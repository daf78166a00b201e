//! Images made by `mkfs.btrfs` and mounted by the kernel.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use kiln_disk::{BlockSource, Source};
use kiln_volume::{Filesystem, Result};
use tempfile::TempDir;

/// A sparse file with a btrfs in it, removed when dropped.
pub(crate) struct Image {
    dir: TempDir,
}

impl Image {
    pub(crate) fn new(size_mib: u64, options: &[&str]) -> Self {
        let image = Self { dir: tempfile::tempdir().unwrap() };
        File::create(image.file()).unwrap().set_len(size_mib << 20).unwrap();
        let mut arguments = vec!["-q"];
        arguments.extend(options);
        let file = image.file();
        arguments.push(file.to_str().unwrap());
        run("mkfs.btrfs", &arguments);
        image
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    pub(crate) fn copy(&self) -> Self {
        let copy = Self { dir: tempfile::tempdir().unwrap() };
        fs::copy(self.file(), copy.file()).unwrap();
        copy
    }

    pub(crate) fn open(&self) -> Result<Arc<dyn Filesystem>> {
        let file = File::open(self.file()).unwrap();
        let size_bytes = file.metadata().unwrap().len();
        let source: Source = Arc::new(FileSource { file, size_bytes });
        kiln_volume::open_btrfs(source)
    }
}

/// A mount of an image, undone when dropped.
pub(crate) struct Mounted {
    dir: TempDir,
}

impl Mounted {
    pub(crate) fn new(image: &Image, options: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = image.file();
        let (from, to) = (file.to_str().unwrap(), dir.path().to_str().unwrap());
        run("mount", &["-t", "btrfs", "-o", &format!("loop,{options}"), from, to]);
        Self { dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // The directory under a mount that stays would be deleted with all its content.
        let status = Command::new("umount").arg(self.dir.path()).status();
        if !status.is_ok_and(|status| status.success()) {
            self.dir.disable_cleanup(true);
        }
    }
}

#[derive(Debug)]
struct FileSource {
    file: File,
    size_bytes: u64,
}

impl BlockSource for FileSource {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > self.size_bytes) {
            return Err(kiln_disk::Error::new(kiln_disk::Kind::OutOfRange, "outside the image"));
        }
        Ok(self.file.read_exact_at(buf, offset)?)
    }
}

/// Run a command that must succeed; what it prints.
pub(crate) fn run(command: &str, arguments: &[&str]) -> String {
    let output = Command::new(command)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{command}: {error}"));
    assert!(
        output.status.success(),
        "{command} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
