//! The vocabulary of a scanned disk: partition tables, partitions, volumes and what they hold.

use std::sync::Arc;

use kiln_disk::{Error, Result, Source};

use crate::fs::{Filesystem, FsInfo};

/// All attached disks, scanned.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// In the order they were given; the first is the system disk.
    pub disks: Vec<DiskLayout>,
    /// Everything that can hold content: whole disks without a table, partitions, logical volumes,
    /// arrays. In a stable order: by disk, then by start, then derived ones.
    pub volumes: Vec<Volume>,
    /// What is odd about the whole (a volume group with a missing disk).
    pub notices: Vec<Notice>,
}

/// One disk.
#[derive(Clone, Debug)]
pub struct DiskLayout {
    /// The whole disk.
    pub source: Source,
    /// Which partition table.
    pub table: TableKind,
    /// Logical sector size the table was read with, in bytes: 512 or 4096.
    pub sector_bytes: u32,
    /// GPT disk GUID, or the MBR's disk signature as 8 hexadecimal digits.
    pub disk_id: Option<String>,
    /// Partitions by start.
    pub partitions: Vec<Partition>,
    /// Of a hybrid GPT: the MBR's entries beside the protective one. They count for a BIOS that
    /// looks for an active partition, and for nothing else.
    pub hybrid_entries: Vec<Partition>,
    /// What is odd about the table.
    pub notices: Vec<Notice>,
}

/// Which partition table a disk has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// No table: empty, or content from the first sector on.
    None,
    /// MBR, with or without extended partitions.
    Mbr,
    /// GPT with a protective MBR.
    Gpt,
    /// GPT whose MBR lists more than the protective entry.
    HybridGpt,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// As Linux numbers it: logical ones of an MBR start at 5.
    pub number: u32,
    /// First byte on its disk.
    pub start_bytes: u64,
    /// Size as the table claims; may reach beyond the disk, see [`NoticeCode::Truncated`].
    pub size_bytes: u64,
    /// Its type.
    pub kind: PartitionType,
    /// PARTUUID: the GPT GUID, or `<disk signature>-<number>` with two hexadecimal digits.
    pub part_uuid: Option<String>,
    /// GPT name.
    pub part_label: Option<String>,
    /// MBR active flag, or GPT attribute bit 2 (legacy BIOS bootable).
    pub bootable: bool,
}

/// What the table says a partition is for. Never decide its content from this alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartitionType {
    /// The type byte.
    Mbr(u8),
    /// The type GUID, lower case and hyphenated.
    Gpt(String),
}

impl PartitionType {
    /// EFI system partition.
    pub fn is_esp(&self) -> bool {
        match self {
            Self::Mbr(kind) => *kind == 0xEF,
            Self::Gpt(guid) => guid == "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
        }
    }

    /// The partition where GRUB embeds its core image on GPT.
    pub fn is_bios_boot(&self) -> bool {
        matches!(self, Self::Gpt(guid) if guid == "21686148-6449-6e6f-744e-656564454649")
    }
}

/// Something that can hold content.
#[derive(Clone, Debug)]
pub struct Volume {
    /// Linux-like name for people: `disk0p1`, `disk0`, `/dev/vg/lv`, `/dev/md/name`.
    pub name: String,
    /// Where its bytes come from.
    pub origin: Origin,
    /// Its bytes. May be shorter than claimed where the image is cut.
    pub source: Source,
    /// What it holds, by signature.
    pub content: Content,
    /// UUID as `blkid` prints it, where the content has one.
    pub uuid: Option<String>,
    /// Label, where the content has one.
    pub label: Option<String>,
    /// The opened filesystem, or why it could not be opened. `None`: not a filesystem kiln reads.
    pub filesystem: Option<Result<Arc<dyn Filesystem>>>,
}

impl Volume {
    /// The filesystem on it.
    ///
    /// # Errors
    ///
    /// Why it could not be opened; `Unsupported` where it holds none that kiln reads.
    pub fn open(&self) -> Result<Arc<dyn Filesystem>> {
        match &self.filesystem {
            Some(opened) => opened.clone(),
            None => Err(Error::unsupported(format!(
                "{} holds {}, which kiln does not read as a filesystem",
                self.name,
                self.content.name()
            ))),
        }
    }

    /// What the superblock says, where the filesystem could be opened.
    pub fn info(&self) -> Option<&FsInfo> {
        self.filesystem.as_ref()?.as_ref().ok().map(|fs| fs.info())
    }
}

/// Where a volume's bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A whole disk without a partition table, by index.
    Disk(usize),
    /// A partition: index into [`Layout::disks`], and its number.
    Partition {
        /// Index into [`Layout::disks`].
        disk: usize,
        /// [`Partition::number`].
        number: u32,
    },
    /// A logical volume.
    Lvm {
        /// Volume group.
        vg: String,
        /// Logical volume.
        lv: String,
        /// The volumes (indexes into [`Layout::volumes`]) its extents lie on.
        on: Vec<usize>,
        /// How its bytes lie there, without gaps. Empty where they do not lie there plainly, as with
        /// the legs of a mirror.
        runs: Vec<LvmRun>,
    },
    /// A Linux software RAID array.
    Md {
        /// Array UUID as `mdadm` prints it.
        uuid: String,
        /// Members (indexes into [`Layout::volumes`]).
        on: Vec<usize>,
    },
}

/// A run of a logical volume, over one or several places in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LvmRun {
    /// Its length.
    pub length_bytes: u64,
    /// Bytes on one place before the next follows. Without meaning where there is but one.
    pub stripe_bytes: u64,
    /// Volume (index into [`Layout::volumes`]) and first byte on it.
    pub places: Vec<(usize, u64)>,
}

/// What a volume holds, by its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Content {
    /// All the samples are zero.
    Empty,
    /// Nothing known.
    Unknown,
    Ext2,
    Ext3,
    Ext4,
    Xfs,
    Btrfs,
    Fat,
    Ntfs,
    ExFat,
    Refs,
    BitLocker,
    Iso9660,
    Udf,
    Squashfs,
    Erofs,
    Swap,
    /// Swap that holds a hibernated guest.
    SwapSuspended,
    LvmPhysicalVolume,
    RaidMember,
    Luks1,
    Luks2,
    Bcache,
    Vdo,
    Stratis,
    Zfs,
    Verity,
    Jfs,
    Reiserfs,
    F2fs,
    Ufs,
    Apfs,
}

impl Content {
    /// For people, as `blkid` names it where it has a name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "nothing",
            Self::Unknown => "unknown data",
            Self::Ext2 => "ext2",
            Self::Ext3 => "ext3",
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::Fat => "vfat",
            Self::Ntfs => "ntfs",
            Self::ExFat => "exfat",
            Self::Refs => "ReFS",
            Self::BitLocker => "BitLocker",
            Self::Iso9660 => "iso9660",
            Self::Udf => "udf",
            Self::Squashfs => "squashfs",
            Self::Erofs => "erofs",
            Self::Swap => "swap",
            Self::SwapSuspended => "swsuspend",
            Self::LvmPhysicalVolume => "LVM2_member",
            Self::RaidMember => "linux_raid_member",
            Self::Luks1 => "crypto_LUKS (version 1)",
            Self::Luks2 => "crypto_LUKS (version 2)",
            Self::Bcache => "bcache",
            Self::Vdo => "vdo",
            Self::Stratis => "stratis",
            Self::Zfs => "zfs_member",
            Self::Verity => "DM_verity_hash",
            Self::Jfs => "jfs",
            Self::Reiserfs => "reiserfs",
            Self::F2fs => "f2fs",
            Self::Ufs => "ufs",
            Self::Apfs => "apfs",
        }
    }

    /// Whether its content can be read only with a key.
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::Luks1 | Self::Luks2 | Self::BitLocker)
    }
}

/// Something odd about a disk, in the words of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What to decide by.
    pub code: NoticeCode,
    /// What was seen, with numbers.
    pub message: String,
}

impl Notice {
    /// A notice.
    pub fn new(code: NoticeCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// What is odd about a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NoticeCode {
    /// The primary GPT is broken and the backup was used.
    GptPrimaryCorrupt,
    /// The backup GPT is not at the end of the disk.
    GptBackupMisplaced,
    /// A GPT without a protective MBR entry.
    NoProtectiveMbr,
    /// A partition or filesystem reaches beyond the end of the disk.
    Truncated,
    /// A volume group lacks a physical volume.
    LvmMissingPv,
    /// A logical volume of a kind that kiln does not read (thin, RAID, snapshot, cache).
    LvmUnsupported,
    /// An array lacks members that are needed to read it.
    RaidIncomplete,
    /// A Windows dynamic disk.
    DynamicDisk,
    /// Something that breaks its own format, or a table entry left out for that.
    Corrupt,
    /// Worth knowing, nothing wrong.
    Info,
}
