//! Feature bits and their names.
//!
//! The names are those that `dumpe2fs` prints (e2fsprogs lib/e2p/feature.c), in the order it
//! prints them: compatible, incompatible, read-only compatible, each by bit.

/// A journal is there.
pub(super) const COMPAT_HAS_JOURNAL: u32 = 0x4;
/// Two backups of the superblock, in groups that the superblock names.
pub(super) const COMPAT_SPARSE_SUPER2: u32 = 0x200;

/// Directory entries have a type byte.
pub(super) const INCOMPAT_FILETYPE: u32 = 0x2;
/// The journal holds blocks that are not in place yet.
pub(super) const INCOMPAT_RECOVER: u32 = 0x4;
/// Not a filesystem but the journal of one.
const INCOMPAT_JOURNAL_DEV: u32 = 0x8;
/// Group descriptors lie in the groups they describe.
pub(super) const INCOMPAT_META_BG: u32 = 0x10;
/// Files are mapped by extents.
const INCOMPAT_EXTENTS: u32 = 0x40;
/// Block numbers of more than 32 bits.
pub(super) const INCOMPAT_64BIT: u32 = 0x80;
/// Bitmaps and inode tables of several groups lie together.
const INCOMPAT_FLEX_BG: u32 = 0x200;
/// The checksum seed is in the superblock and not made from the UUID.
pub(super) const INCOMPAT_CSUM_SEED: u32 = 0x2000;
/// Directories of more than 2 GiB.
pub(super) const INCOMPAT_LARGE_DIR: u32 = 0x4000;

/// Backups of the superblock only in some groups.
pub(super) const RO_COMPAT_SPARSE_SUPER: u32 = 0x1;
/// Group descriptors have a CRC16.
pub(super) const RO_COMPAT_GDT_CSUM: u32 = 0x10;
/// Space is allocated in clusters of blocks.
pub(super) const RO_COMPAT_BIGALLOC: u32 = 0x200;
/// All metadata has a CRC32C.
pub(super) const RO_COMPAT_METADATA_CSUM: u32 = 0x400;

/// What this reader knows how to read, or may ignore: filetype, recover, `meta_bg`, extents, 64bit,
/// mmp (matters to writers), `flex_bg`, `ea_inode`, `csum_seed`, `large_dir`, `inline_data`,
/// encrypt and casefold (only directories so marked differ).
const INCOMPAT_KNOWN: u32 = 0x2 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x3_e000;

const COMPAT_NAMES: [(u32, &str); 12] = [
    (0x1, "dir_prealloc"),
    (0x2, "imagic_inodes"),
    (COMPAT_HAS_JOURNAL, "has_journal"),
    (0x8, "ext_attr"),
    (0x10, "resize_inode"),
    (0x20, "dir_index"),
    (0x40, "lazy_bg"),
    (0x100, "snapshot_bitmap"),
    (COMPAT_SPARSE_SUPER2, "sparse_super2"),
    (0x400, "fast_commit"),
    (0x800, "stable_inodes"),
    (0x1000, "orphan_file"),
];

const INCOMPAT_NAMES: [(u32, &str); 16] = [
    (0x1, "compression"),
    (INCOMPAT_FILETYPE, "filetype"),
    (INCOMPAT_RECOVER, "needs_recovery"),
    (INCOMPAT_JOURNAL_DEV, "journal_dev"),
    (INCOMPAT_META_BG, "meta_bg"),
    (INCOMPAT_EXTENTS, "extent"),
    (INCOMPAT_64BIT, "64bit"),
    (0x100, "mmp"),
    (INCOMPAT_FLEX_BG, "flex_bg"),
    (0x400, "ea_inode"),
    (0x1000, "dirdata"),
    (INCOMPAT_CSUM_SEED, "metadata_csum_seed"),
    (INCOMPAT_LARGE_DIR, "large_dir"),
    (0x8000, "inline_data"),
    (0x1_0000, "encrypt"),
    (0x2_0000, "casefold"),
];

const RO_COMPAT_NAMES: [(u32, &str); 16] = [
    (RO_COMPAT_SPARSE_SUPER, "sparse_super"),
    (0x2, "large_file"),
    (0x8, "huge_file"),
    (RO_COMPAT_GDT_CSUM, "uninit_bg"),
    (0x20, "dir_nlink"),
    (0x40, "extra_isize"),
    (0x80, "snapshot"),
    (0x100, "quota"),
    (RO_COMPAT_BIGALLOC, "bigalloc"),
    (RO_COMPAT_METADATA_CSUM, "metadata_csum"),
    (0x800, "replica"),
    (0x1000, "read-only"),
    (0x2000, "project"),
    (0x4000, "shared_blocks"),
    (0x8000, "verity"),
    (0x1_0000, "orphan_present"),
];

/// The three feature words of a superblock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Features {
    /// May be ignored by all.
    pub(super) compat: u32,
    /// Must be known to read.
    pub(super) incompat: u32,
    /// Must be known to write.
    pub(super) ro_compat: u32,
}

impl Features {
    /// The names, as `dumpe2fs` prints them.
    pub(super) fn names(self) -> Vec<String> {
        let mut names = named(self.compat, &COMPAT_NAMES, 'C');
        names.extend(named(self.incompat, &INCOMPAT_NAMES, 'I'));
        names.extend(named(self.ro_compat, &RO_COMPAT_NAMES, 'R'));
        names
    }

    /// The names of what would make reading wrong.
    pub(super) fn unreadable(self) -> Vec<String> {
        named(self.incompat & !INCOMPAT_KNOWN, &INCOMPAT_NAMES, 'I')
    }

    /// Whether it is not a filesystem but the external journal of one.
    pub(super) fn is_journal_device(self) -> bool {
        self.incompat & INCOMPAT_JOURNAL_DEV != 0
    }

    /// Whether one of the features is on that only ext4 has.
    pub(super) fn is_ext4(self) -> bool {
        self.incompat & (INCOMPAT_EXTENTS | INCOMPAT_FLEX_BG | INCOMPAT_64BIT) != 0
    }

    /// Whether all metadata has a CRC32C.
    pub(super) fn metadata_csum(self) -> bool {
        self.ro_compat & RO_COMPAT_METADATA_CSUM != 0
    }
}

fn named(bits: u32, names: &[(u32, &str)], word: char) -> Vec<String> {
    (0..u32::BITS)
        .filter(|bit| bits & (1 << bit) != 0)
        .map(|bit| match names.iter().find(|(value, _)| *value == 1 << bit) {
            Some((_, name)) => (*name).to_owned(),
            None => format!("FEATURE_{word}{bit}"),
        })
        .collect()
}
