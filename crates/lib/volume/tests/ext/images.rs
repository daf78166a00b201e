//! Filesystems to read: made by mkfs, filled through a mount with all that a guest may hold.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use anyhow::Result;
use kiln_fixtures::mounted::{FileSource, Mounted, run};
use kiln_volume::Filesystem;
use rustix::fs::{
    AtFlags, CWD, FallocateFlags, FileType, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags,
};
use std::sync::Arc;

/// An image in a directory of its own, which goes with it.
pub(crate) struct Image {
    directory: tempfile::TempDir,
}

impl Image {
    /// `mkfs` (with its options) on a new file of `size_bytes`. The times of day and the UUID are
    /// fixed, so that the same image comes out on every run.
    pub(crate) fn make(mkfs: &[&str], size_bytes: u64) -> Self {
        let image = Self { directory: tempfile::tempdir().unwrap() };
        File::create(image.path()).unwrap().set_len(size_bytes).unwrap();
        let path = image.path().to_string_lossy().into_owned();
        let uuid = ["-q", "-F", "-U", "6f1cb5ca-6d11-4bfb-9f71-0123456789ab", "-L", "guest root"];
        let arguments = [&mkfs[1..], &uuid[..], &[&path]].concat();
        run(mkfs[0], &arguments).unwrap();
        image
    }

    /// A place for an image that is copied there.
    pub(crate) fn empty() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("image")
    }

    pub(crate) fn mount(&self, options: &str) -> Mounted {
        Mounted::new(&self.path(), options).unwrap()
    }

    /// Open it by kiln.
    pub(crate) fn open(&self) -> Arc<dyn Filesystem> {
        kiln_volume::open_ext(FileSource::shared(&self.path()).unwrap()).unwrap()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    /// Run `debugfs -w` with one command after another.
    pub(crate) fn debugfs(&self, commands: &[&str]) {
        for command in commands {
            run("debugfs", &["-w", "-R", command, &self.path().to_string_lossy()]).unwrap();
        }
    }
}

/// All kinds of files, names, sizes, owners and attributes.
pub(crate) fn fill(root: &Path) -> Result<()> {
    fs::create_dir_all(root.join("etc/deep/er"))?;
    fs::write(root.join("etc/fstab"), "UUID=1 / ext4 defaults 0 1\n")?;
    fs::write(root.join("etc/empty"), "")?;
    for size in [1, 59, 60, 61, 100, 150, 160, 161, 1023, 1024, 4096, 4097, 70_000, 3 << 20] {
        fs::write(root.join(format!("size-{size}")), pattern(size, size))?;
    }
    fs::write(root.join("grüße \u{1f600} name"), "a name that is not ASCII")?;
    fs::write(root.join("n".repeat(255)), "the longest name")?;
    fs::hard_link(root.join("etc/fstab"), root.join("etc/fstab.again"))?;
    for length in [1, 58, 59, 60, 61, 200, 900] {
        symlink("x".repeat(length), root.join(format!("link-{length}")))?;
    }
    symlink("../etc/fstab", root.join("etc/link"))?;
    special(root)?;
    owners_and_times(root)?;
    sparse(root)?;
    many_names(&root.join("few"), 20, 10)?;
    Ok(())
}

/// Devices with small and large numbers, a pipe, a socket.
fn special(root: &Path) -> Result<()> {
    for (name, kind, major, minor) in [
        ("null", FileType::CharacterDevice, 1, 3),
        ("large", FileType::BlockDevice, 259, 70_000),
        ("sda1", FileType::BlockDevice, 8, 1),
        ("pipe", FileType::Fifo, 0, 0),
    ] {
        let device = rustix::fs::makedev(major, minor);
        rustix::fs::mknodat(CWD, root.join(name), kind, Mode::from(0o640), device)?;
    }
    drop(UnixListener::bind(root.join("socket"))?);
    Ok(())
}

fn owners_and_times(root: &Path) -> Result<()> {
    let file = root.join("owned");
    fs::write(&file, "x")?;
    rustix::fs::chown(&file, Some(Uid::from_raw(70_001)), Some(Gid::from_raw(3_000_000_000)))?;
    rustix::fs::chmod(&file, Mode::from(0o6755))?;
    rustix::fs::chmod(root.join("etc/deep"), Mode::from(0o1777))?;
    for (name, seconds) in [("old", -5_000_000_000), ("new", 5_000_000_000), ("zero", 0)] {
        let path = root.join(name);
        fs::write(&path, name)?;
        let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
        let times = Timestamps { last_access: time, last_modification: time };
        // An inode of 128 bytes clamps the year; the comparison reads back what is kept.
        rustix::fs::utimensat(CWD, &path, &times, AtFlags::empty())?;
    }
    Ok(())
}

/// Holes at the start, in the middle and at the end, so far out that a block map needs its third
/// level; and space that was allocated and never written.
fn sparse(root: &Path) -> Result<()> {
    let file = File::create(root.join("sparse"))?;
    for offset in [5_000, 300_000, 20 << 20, 70 << 20] {
        file.write_all_at(&pattern(3000, 7), offset)?;
    }
    file.set_len((70 << 20) + 123_456)?;
    let file = File::create(root.join("preallocated"))?;
    // ext2 and ext3 cannot; they have their hole and no extent of the kind.
    let _ = rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, 1 << 20);
    file.write_all_at(&pattern(10_000, 3), 200_000)?;
    file.set_len(1 << 20)?;
    Ok(())
}

/// `n` files that hold their number, with names of about `length` bytes.
pub(crate) fn many_names(directory: &Path, n: usize, length: usize) -> Result<()> {
    fs::create_dir_all(directory)?;
    for number in 0..n {
        let name = format!("{number:05}-{}", "m".repeat(length));
        fs::write(directory.join(name), number.to_string())?;
    }
    Ok(())
}

/// Attributes in the inode and in a block, empty and large ones, and access lists.
pub(crate) fn xattrs(root: &Path, largest: usize) -> Result<()> {
    let directory = root.join("attributes");
    fs::create_dir_all(&directory)?;
    for (name, attribute, value) in [
        ("small", "user.note", b"in the inode".to_vec()),
        ("selinux", "security.selinux", b"system_u:object_r:etc_t:s0\0".to_vec()),
        ("trusted", "trusted.overlay.opaque", b"y".to_vec()),
        ("empty", "user.empty", Vec::new()),
        ("large", "user.large", pattern(largest, 9)),
    ] {
        let path = directory.join(name);
        fs::write(&path, name)?;
        rustix::fs::setxattr(&path, attribute, &value, XattrFlags::empty())?;
    }
    let path = directory.join("several");
    fs::write(&path, "several")?;
    for number in 0..20 {
        let value = pattern(number * 2, number);
        rustix::fs::setxattr(&path, format!("user.{number}"), &value, XattrFlags::empty())?;
    }
    // getcap(8) would print: cap_net_raw=ep.
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let path = directory.join("small");
    rustix::fs::setxattr(&path, "security.capability", &capability, XattrFlags::empty())?;
    let acl = access_list();
    rustix::fs::setxattr(&path, "system.posix_acl_access", &acl, XattrFlags::empty())?;
    rustix::fs::setxattr(&directory, "system.posix_acl_default", &acl, XattrFlags::empty())?;
    symlink("small", directory.join("link"))?;
    let link = directory.join("link");
    rustix::fs::lsetxattr(&link, "trusted.link", b"1", XattrFlags::empty())?;
    Ok(())
}

/// `u::rw-,u:1000:r--,g::r--,m::r--,o::---`, in the form of `setxattr`.
fn access_list() -> Vec<u8> {
    let mut list = 2_u32.to_le_bytes().to_vec();
    let nobody = u32::MAX;
    for (tag, permissions, id) in
        [(1_u16, 6_u16, nobody), (2, 4, 1000), (4, 4, nobody), (0x10, 4, nobody), (0x20, 0, nobody)]
    {
        list.extend(tag.to_le_bytes());
        list.extend(permissions.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    list
}

/// Make the free space a comb, then write a file into its gaps: an extent for every block.
pub(crate) fn fragmented(root: &Path, n_extents: usize) -> Result<()> {
    let directory = root.join("comb");
    fs::create_dir_all(&directory)?;
    let file = File::create(root.join("fragmented"))?;
    for number in 0..n_extents {
        // Every other block of the file: no two of its blocks can be one extent.
        file.write_all_at(&pattern(4096, number), (number * 2 * 4096) as u64)?;
        fs::write(directory.join(number.to_string()), pattern(4096, 1))?;
        if number % 16 == 0 {
            file.sync_data()?;
        }
    }
    Ok(())
}

/// Bytes that are not alike in any two blocks.
pub(crate) fn pattern(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|at| ((at * 31 + at / 251 * 7 + seed * 13) % 256) as u8).collect()
}
