//! What is on a disk: partitions, volumes, filesystems, and the file tree a guest sees.
//!
//! [`scan`] names every partition, logical volume and array with what it holds; [`Volume::open`]
//! opens a filesystem; [`Tree`] joins filesystems at their mount points and resolves paths the way
//! the guest's kernel would, never leaving the guest. All of it is read only and in this process.

#![warn(missing_docs)]

mod acl;
mod btrfs;
mod cache;
mod exercise;
mod ext;
mod fat;
mod field;
mod fs;
mod layout;
mod lvm;
mod md;
mod mem;
mod open;
mod scan;
mod signature;
mod staged;
mod table;
mod tree;
mod xfs;

pub use btrfs::open as open_btrfs;
#[doc(hidden)]
pub use exercise::{exercise_filesystem, exercise_volumes};
pub use ext::open as open_ext;
pub use fs::{DirEntry, FileType, Filesystem, FsInfo, FsKind, Node, Stat, Subvolume, Xattr};
pub use kiln_disk::{Error, Kind, Result};
pub use layout::{
    Content, DiskLayout, Layout, LvmRun, Notice, NoticeCode, Origin, Partition, PartitionType,
    TableKind, Volume,
};
pub use mem::MemFs;
pub use scan::scan;
pub use staged::{Changes, NewNode, Staged};
pub use tree::{FileReader, Located, Tree};
pub use xfs::open as open_xfs;
