//! The messages behind the greeting. Encoded by postcard: a few bytes each, no schema on the wire,
//! and its decoder neither allocates ahead nor recurses with what it reads.

use serde::{Deserialize, Serialize};

use crate::GuestPath;

/// The most content in one frame. Larger ones gain nothing measurable; the agent holds one.
pub const CHUNK_BYTES: usize = 1 << 20;

/// A request with the number that its answer will bear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Rises by one with every call.
    pub id: u32,
    /// What to do.
    pub request: Request,
}

/// What the agent sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Work goes on.
    Progress {
        /// Of the call.
        id: u32,
        /// Bytes done of those to do.
        done_bytes: u64,
        /// Bytes to do. 0: not known.
        total_bytes: u64,
    },
    /// The end of a call.
    Done {
        /// Of the call.
        id: u32,
        /// What came of it.
        result: Result<Answer, Failure>,
    },
}

/// What the agent can do. A path never leads through a symbolic link: the agent refuses it with
/// `ELOOP`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Which disks there are: [`Answer::Disks`].
    Disks,
    /// Mount a volume of the guest.
    Mount(Mount),
    /// What is at a path: [`Answer::Stat`].
    Stat {
        /// A symbolic link here is told, not followed.
        path: GuestPath,
    },
    /// SHA-256 of a file: [`Answer::Digest`].
    Digest {
        /// A regular file.
        path: GuestPath,
    },
    /// A part of a file: [`Answer::Content`], shorter at the end of the file.
    Read {
        /// A regular file.
        path: GuestPath,
        /// From the start of the file.
        offset_bytes: u64,
        /// At most [`CHUNK_BYTES`].
        length_bytes: u32,
    },
    /// Names in a directory: [`Answer::Entries`].
    List {
        /// A directory.
        path: GuestPath,
        /// Up to and with this name are passed over; names come in byte order.
        after: Option<serde_bytes::ByteBuf>,
    },
    /// Room in the filesystem that holds a path: [`Answer::Space`].
    FreeSpace {
        /// Any path that exists.
        path: GuestPath,
    },
    /// Create or replace a file with content that follows: [`Answer::Edited`].
    Put {
        /// A regular file, or nothing yet.
        path: GuestPath,
        /// Of the content.
        size_bytes: u64,
        /// Owner, mode and extended attributes.
        attributes: Attributes,
    },
    /// Lengthen a file by content that follows: [`Answer::Edited`].
    Append {
        /// A regular file.
        path: GuestPath,
        /// `ESTALE` where the file is not as long as this.
        expected_size_bytes: u64,
        /// Of the content.
        size_bytes: u64,
    },
    /// Copy a file with all its attributes: [`Answer::Edited`].
    Copy {
        /// A regular file.
        from: GuestPath,
        /// `EEXIST` where something is there.
        to: GuestPath,
    },
    /// Remove a file, a link or a directory: [`Answer::Edited`].
    Remove {
        /// What to remove; mount points are `EBUSY`.
        path: GuestPath,
        /// A directory with all that it holds.
        recursive: bool,
    },
    /// Rename: [`Answer::Edited`].
    Rename {
        /// What to rename.
        from: GuestPath,
        /// `EEXIST` where something is there.
        to: GuestPath,
    },
    /// Make a symbolic link: [`Answer::Edited`].
    Symlink {
        /// `EEXIST` where something is there.
        path: GuestPath,
        /// What it says; not looked at.
        #[serde(with = "serde_bytes")]
        target: Vec<u8>,
        /// Owner and extended attributes; a link has no mode.
        attributes: AttributesChange,
    },
    /// Make a directory: [`Answer::Edited`].
    MakeDir {
        /// `EEXIST` where something is there.
        path: GuestPath,
        /// What differs from 0755, owned by root.
        attributes: AttributesChange,
    },
    /// Change owner, mode or extended attributes: [`Answer::Edited`].
    SetAttributes {
        /// A file, a directory or a link.
        path: GuestPath,
        /// What to change.
        change: AttributesChange,
    },
    /// Run a program of the guest in the guest's tree: [`Answer::Exec`]. `EPERM` unless the kernel
    /// was started with `kiln.exec=1`.
    Exec(Exec),
    /// Unmount all and bring everything to the disks: [`Answer::Done`].
    Finish,
    /// End the machine. The answer comes before the end.
    PowerOff,
}

impl Request {
    /// Bytes of content that follow this request in frames of their own of at most
    /// [`CHUNK_BYTES`]. An empty frame among them says that the sender gives up.
    pub fn content_bytes(&self) -> u64 {
        match self {
            Self::Put { size_bytes, .. } | Self::Append { size_bytes, .. } => *size_bytes,
            _ => 0,
        }
    }
}

/// Mount `volume` at `at` of the guest's tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// What to mount.
    pub volume: Volume,
    /// A directory of the guest; `/` first.
    pub at: GuestPath,
    /// As the kernel calls it: `ext4`, `xfs`, `btrfs`, `vfat`.
    pub fstype: String,
    /// Options of that filesystem, with commas between.
    pub options: String,
    /// The path of a btrfs subvolume.
    pub subvolume: Option<String>,
    /// Write nothing (a journal is replayed all the same).
    pub read_only: bool,
}

/// Where a filesystem is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Volume {
    /// A disk or a partition.
    Part(Part),
    /// Parts joined: a logical volume.
    Joined(Vec<Segment>),
}

/// A disk or a partition, with what the host believes of it: the agent refuses where its kernel
/// does not agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Serial number of the disk.
    pub serial: String,
    /// Number of the partition. `None`: the whole disk.
    pub partition: Option<u32>,
    /// Where it starts on the disk.
    pub start_bytes: u64,
    /// Its size.
    pub size_bytes: u64,
}

/// A run of a logical volume; they follow each other without gaps. One stripe is a linear run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// A multiple of 512.
    pub length_bytes: u64,
    /// Bytes that go to a stripe before the next has its turn. 0 where there is but one.
    pub chunk_bytes: u64,
    /// Where the data is.
    pub stripes: Vec<Stripe>,
}

/// Where a stripe of a segment starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stripe {
    /// The physical volume.
    pub part: Part,
    /// From the start of the part; a multiple of 512.
    pub offset_bytes: u64,
}

/// What a new file gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Attributes {
    /// Those of the file that is replaced; `ENOENT` where there is none.
    Keep,
    /// These.
    New {
        /// The permission bits.
        mode: u32,
        /// Number of the owner.
        uid: u32,
        /// Number of the group.
        gid: u32,
        /// All of them.
        xattrs: Vec<Xattr>,
    },
}

/// What to change; `None` leaves it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributesChange {
    /// The permission bits.
    pub mode: Option<u32>,
    /// Number of the owner.
    pub uid: Option<u32>,
    /// Number of the group.
    pub gid: Option<u32>,
    /// These are set, others stay.
    pub xattrs: Vec<Xattr>,
}

/// An extended attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Xattr {
    /// With its namespace (`security.selinux`).
    pub name: String,
    /// As it is, a terminating zero included where there is one.
    #[serde(with = "serde_bytes")]
    pub value: Vec<u8>,
}

/// Run a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// The program as a path in the guest, and its arguments.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub env: Vec<(String, String)>,
    /// It and all that it started are killed then.
    pub timeout_ms: u64,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// There is nothing to tell.
    Done,
    /// To `Disks`.
    Disks(Vec<Disk>),
    /// To `Stat`. `None`: nothing is there.
    Stat(Option<Stat>),
    /// To `Digest`.
    Digest([u8; 32]),
    /// To `Read`.
    Content(serde_bytes::ByteBuf),
    /// To `List`.
    Entries {
        /// In byte order of their names.
        entries: Vec<Entry>,
        /// There are more behind the last.
        more: bool,
    },
    /// To `FreeSpace`.
    Space(Space),
    /// To whatever writes.
    Edited(Edited),
    /// To `Exec`.
    Exec(ExecEnd),
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}{message}", path.as_ref().map(|path| format!("{path}: ")).unwrap_or_default())]
pub struct Failure {
    /// Linux's number of the error.
    pub errno: i32,
    /// What was tried and what the kernel said.
    pub message: String,
    /// What it is about.
    pub path: Option<GuestPath>,
}

/// A disk as the kernel of the agent sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// `vda`.
    pub name: String,
    /// As given to the machine.
    pub serial: String,
    /// Its size.
    pub size_bytes: u64,
    /// By number.
    pub partitions: Vec<Partition>,
}

/// A partition as the kernel of the agent sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// From 1.
    pub number: u32,
    /// Where it starts.
    pub start_bytes: u64,
    /// Its size.
    pub size_bytes: u64,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, a pipe or a socket.
    Special,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// The permission bits.
    pub mode: u32,
    /// Number of the owner.
    pub uid: u32,
    /// Number of the group.
    pub gid: u32,
    /// Length of a file.
    pub size_bytes: u64,
    /// Number of hard links.
    pub n_links: u32,
    /// Last change of the content, in seconds since 1970.
    pub mtime_s: i64,
    /// `chattr +i`.
    pub is_immutable: bool,
    /// `chattr +a`.
    pub is_append_only: bool,
    /// What a symbolic link says.
    pub target: Option<serde_bytes::ByteBuf>,
    /// By name.
    pub xattrs: Vec<Xattr>,
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Without a slash.
    #[serde(with = "serde_bytes")]
    pub name: Vec<u8>,
    /// What it leads to.
    pub kind: FileKind,
}

/// Room in a filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// For files of any user.
    pub available_bytes: u64,
    /// All of it.
    pub total_bytes: u64,
    /// Files that can still be made. `u64::MAX` where the filesystem sets no limit.
    pub available_inodes: u64,
}

/// How something was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edited {
    /// Files and directories that were immutable or append-only, and are so again.
    pub unlocked: Vec<GuestPath>,
    /// The file was overwritten and not replaced, because it has more than one name.
    pub in_place: bool,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecEnd {
    /// Its exit status. `None`: a signal or the timeout ended it.
    pub status: Option<i32>,
    /// It was killed for taking too long.
    pub timed_out: bool,
    /// The end of what it wrote to standard output and error.
    #[serde(with = "serde_bytes")]
    pub output: Vec<u8>,
    /// More than `output` was written.
    pub is_truncated: bool,
}
