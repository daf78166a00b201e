//! What every filesystem reader offers: nodes, names, bytes and attributes, by number and not by
//! path. Paths, symlinks and mounts are [`crate::Tree`]'s business, written once for all of them.

use std::fmt;
use std::ops::ControlFlow;

use kiln_disk::Result;

/// A read-only filesystem. Implementations are bounded: no call loops or grows with what the image
/// claims beyond the limits each of them documents.
pub trait Filesystem: fmt::Debug + Send + Sync {
    /// What the superblock says.
    fn info(&self) -> &FsInfo;

    /// The root directory (for btrfs: of the default subvolume).
    fn root(&self) -> Node;

    /// The entry `name` of `dir`, symlinks not followed. `None`: there is no such name.
    fn lookup(&self, dir: Node, name: &[u8]) -> Result<Option<Node>>;

    /// Type, mode, owner and size of `node`.
    fn stat(&self, node: Node) -> Result<Stat>;

    /// Fill as much of `buf` as the file has from `offset` on; 0 at and after its end. Holes read
    /// as zeroes.
    fn read_at(&self, node: Node, offset: u64, buf: &mut [u8]) -> Result<usize>;

    /// Call `each` for every entry of `dir` but `.` and `..`, in the order of the disk.
    fn read_dir(&self, dir: Node, each: &mut dyn FnMut(DirEntry) -> ControlFlow<()>) -> Result<()>;

    /// The text of a symlink.
    fn read_link(&self, node: Node) -> Result<Vec<u8>>;

    /// All extended attributes, with their namespace prefix (`security.selinux`).
    fn xattrs(&self, node: Node) -> Result<Vec<Xattr>>;

    /// Subvolumes, where the filesystem has them. Empty for all but btrfs.
    fn subvolumes(&self) -> Result<Vec<Subvolume>> {
        Ok(Vec::new())
    }
}

/// A file in a filesystem: `ino` within `tree`. Only btrfs has more than one tree; others use 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// The subvolume's tree on btrfs, else 0.
    pub tree: u64,
    /// The inode number, or what the reader uses in its place.
    pub ino: u64,
}

/// An extended attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xattr {
    /// With namespace prefix, for example `security.selinux`.
    pub name: Vec<u8>,
    /// The raw value.
    pub value: Vec<u8>,
}

/// A btrfs subvolume or snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subvolume {
    /// Its number (`subvolid=`).
    pub id: u64,
    /// Its path from the top level, without a leading slash (`@/.snapshots/1/snapshot`).
    pub path: String,
    /// Its root directory.
    pub root: Node,
    /// Whether it is mounted where nobody names a subvolume.
    pub is_default: bool,
    /// Whether it is a snapshot of another subvolume.
    pub is_snapshot: bool,
}

/// What a node is and who owns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub file_type: FileType,
    /// Permission bits with setuid, setgid and sticky: `mode & 0o7777`.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes; of a symlink, the length of its text.
    pub size_bytes: u64,
    /// Number of hard links.
    pub n_links: u32,
    /// Last modification, seconds since 1970.
    pub mtime_s: i64,
    /// `chattr +i`.
    pub immutable: bool,
    /// Device number `(major, minor)` of a device node.
    pub device: Option<(u32, u32)>,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are those of stat(2)")]
pub enum FileType {
    Regular,
    Directory,
    Symlink,
    CharDevice,
    BlockDevice,
    Fifo,
    Socket,
}

impl FileType {
    /// From the type bits of a Unix mode.
    pub fn from_mode(mode: u32) -> Option<Self> {
        Some(match mode & 0o170_000 {
            0o100_000 => Self::Regular,
            0o040_000 => Self::Directory,
            0o120_000 => Self::Symlink,
            0o020_000 => Self::CharDevice,
            0o060_000 => Self::BlockDevice,
            0o010_000 => Self::Fifo,
            0o140_000 => Self::Socket,
            _ => return None,
        })
    }
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name as on the disk; never empty, `.`, `..`, and without `/` or NUL: readers drop or
    /// refuse those, so that no path made of names can leave its directory.
    pub name: Vec<u8>,
    /// What it names.
    pub node: Node,
    /// Its type, where the directory records it.
    pub file_type: Option<FileType>,
}

impl DirEntry {
    /// Whether a name is one that a directory may hold (see [`DirEntry::name`]).
    pub fn is_legal_name(name: &[u8]) -> bool {
        !name.is_empty()
            && name != b"."
            && name != b".."
            && !name.iter().any(|&byte| byte == b'/' || byte == 0)
    }

    /// The name for people.
    pub fn name_lossy(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }
}

/// Which filesystem it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum FsKind {
    Ext2,
    Ext3,
    Ext4,
    Xfs,
    Btrfs,
    Fat12,
    Fat16,
    Fat32,
    /// In memory, see [`crate::MemFs`].
    Memory,
}

impl FsKind {
    /// The type as fstab writes it.
    pub fn fstab_type(self) -> &'static str {
        match self {
            Self::Ext2 => "ext2",
            Self::Ext3 => "ext3",
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::Fat12 | Self::Fat16 | Self::Fat32 => "vfat",
            Self::Memory => "tmpfs",
        }
    }
}

/// What a superblock says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FsInfo {
    /// Which filesystem.
    pub kind: FsKind,
    /// As `blkid` prints it: lower-case hyphenated, or `ABCD-1234` for FAT.
    pub uuid: Option<String>,
    /// The label, if it is not empty.
    pub label: Option<String>,
    /// The size the filesystem believes to have.
    pub size_bytes: u64,
    /// Free bytes, as the superblock counts them.
    pub free_bytes: Option<u64>,
    /// Free inodes, where their number is fixed.
    pub free_inodes: Option<u64>,
    /// Feature names as the filesystem's own tools print them (`64bit`, `quota`, `project`).
    pub features: Vec<String>,
    /// Remarks for the report: an unclean log, a journal replayed in memory.
    pub notes: Vec<String>,
    /// Whether changes are in a log that was not read: files may be older here than in the guest.
    pub is_stale: bool,
}
