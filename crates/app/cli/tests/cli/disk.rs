//! Phony disks: one MBR partition with an ext4 that holds just enough of a system to be recognised.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const SECTOR_BYTES: u64 = 512;
const START_BYTES: u64 = 1 << 20;
const SIZE_BYTES: u64 = 17 << 20;

/// The files of a guest, by path without the leading slash.
pub(crate) struct Guest {
    files: Vec<(String, Vec<u8>)>,
}

impl Guest {
    /// A Debian without a kernel and without a loader: enough to be named, not enough to boot.
    pub(crate) fn debian() -> Self {
        let mut guest = Self { files: Vec::new() };
        guest.file(
            "etc/os-release",
            "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n\
             PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
        );
        guest.file("etc/debian_version", "12.5\n");
        guest.file("etc/fstab", "UUID=22222222-0000-4000-8000-000000000001 / ext4 defaults 0 1\n");
        guest.file("sbin/init", "");
        guest.file("bin/sh", "");
        guest.file("usr/bin/env", "");
        guest.file("var/lib/dpkg/status", DPKG_STATUS);
        guest
    }

    /// Put a file there, in place of one of the same name.
    pub(crate) fn file(&mut self, path: &str, content: impl AsRef<[u8]>) -> &mut Self {
        self.files.retain(|(name, _)| name != path);
        self.files.push((path.to_owned(), content.as_ref().to_vec()));
        self
    }

    /// Write the disk as `folder/name`.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> PathBuf {
        self.write_sized(folder, name, SIZE_BYTES)
    }

    /// The same with `size_bytes` in all.
    pub(crate) fn write_sized(&self, folder: &Path, name: &str, size_bytes: u64) -> PathBuf {
        let tree = tempfile::tempdir().unwrap();
        for (path, content) in &self.files {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let image = folder.join(name);
        let file = File::create(&image).unwrap();
        file.set_len(size_bytes).unwrap();
        file.write_all_at(&partition_table(size_bytes), 0).unwrap();
        let made = Command::new("mke2fs")
            .args(["-q", "-F", "-t", "ext4", "-b", "1024", "-L", "root"])
            .args(["-U", "22222222-0000-4000-8000-000000000001"])
            .args(["-E", &format!("offset={START_BYTES},root_owner=0:0"), "-d"])
            .arg(tree.path())
            .arg(&image)
            .arg(format!("{}k", (size_bytes - START_BYTES) / 1024))
            .env("PATH", format!("{}:/sbin:/usr/sbin", std::env::var("PATH").unwrap()))
            .output()
            .expect("mke2fs is in the package e2fsprogs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        image
    }
}

/// Two packages, one of which was removed again.
const DPKG_STATUS: &str = "\
Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2.15-2+b2

Package: nano
Status: deinstall ok config-files
Architecture: amd64
Version: 7.2-1

";

/// One active Linux partition, up to the end of the disk.
fn partition_table(size_bytes: u64) -> [u8; 512] {
    let mut sector = [0; 512];
    sector[0x1B8..0x1BC].copy_from_slice(&0x1234_5678_u32.to_le_bytes());
    let entry = &mut sector[0x1BE..0x1CE];
    entry[0] = 0x80;
    entry[4] = 0x83;
    let start = u32::try_from(START_BYTES / SECTOR_BYTES).unwrap();
    let length = u32::try_from((size_bytes - START_BYTES) / SECTOR_BYTES).unwrap();
    entry[8..12].copy_from_slice(&start.to_le_bytes());
    entry[12..16].copy_from_slice(&length.to_le_bytes());
    sector[510..].copy_from_slice(&[0x55, 0xAA]);
    sector
}
