//! A sound image, and one field of it spoiled at a time: the error names the field and the byte.

use std::sync::Arc;

use kiln_disk::MemSource;
use kiln_volume::{Error, Filesystem, Kind, Tree};

use crate::images::{Image, pattern};

const BLOCK: usize = 1024;

/// A small filesystem whose layout is known: blocks of 1 KiB, inodes of 256 bytes, one group.
struct Sample {
    bytes: Vec<u8>,
    inode_table: usize,
}

impl Sample {
    fn new(features: &str) -> Self {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tree.path().join("a/b")).unwrap();
        std::fs::write(tree.path().join("a/file"), pattern(5000, 1)).unwrap();
        for (from, to) in [("x", "y"), ("y", "x"), ("self", "self"), ("up", "../../a/file")] {
            std::os::unix::fs::symlink(to, tree.path().join(from)).unwrap();
        }
        let from = tree.path().to_string_lossy().into_owned();
        let mkfs =
            ["mkfs.ext4", "-b", "1024", "-I", "256", "-N", "64", "-d", &from, "-O", features];
        let bytes = Image::make(&mkfs, 512 << 10).bytes();
        let inode_table = u32_at(&bytes, 2 * BLOCK + 8) as usize * BLOCK;
        Self { bytes, inode_table }
    }

    fn plain() -> Self {
        Self::new("^metadata_csum,^64bit,^has_journal")
    }

    fn inode_at(&self, number: u64) -> usize {
        self.inode_table + (number as usize - 1) * 256
    }

    /// The first block of a file by its only extent.
    fn first_block(&self, number: u64) -> usize {
        u32_at(&self.bytes, self.inode_at(number) + 0x28 + 12 + 8) as usize * BLOCK
    }

    fn number(&self, path: &str) -> u64 {
        Tree::new(self.open().unwrap()).locate_link(path).unwrap().unwrap().node.ino
    }

    fn open(&self) -> Result<Arc<dyn Filesystem>, Error> {
        kiln_volume::open_ext(MemSource::shared(self.bytes.clone()))
    }

    /// The same with `value` at `at`.
    fn with(&self, at: usize, value: &[u8]) -> Self {
        let mut bytes = self.bytes.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        Self { bytes, inode_table: self.inode_table }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// Read all of `path`, which must fail.
fn failure(sample: &Sample, path: &str) -> (Kind, String) {
    let tree = Tree::new(sample.open().unwrap());
    let error = tree.read(path, 1 << 20).and_then(|_| tree.list(path).map(|_| ())).unwrap_err();
    (error.kind(), error.to_string())
}

#[test]
fn each_spoiled_field_of_the_superblock_is_named() {
    let sample = Sample::plain();
    sample.open().unwrap();
    let size = sample.bytes.len();
    for (at, value, kind, message) in [
        (0x38, &[0, 0][..], Kind::OtherFormat, "not ext2, ext3 or ext4"),
        (
            0x18,
            &[7],
            Kind::Corrupt,
            "superblock: block size exponent 7 is above 6 (64 KiB) (at byte 1048)",
        ),
        (
            0x58,
            &[100, 0],
            Kind::Corrupt,
            "superblock: inode size 100 is not a power of two from 128 to a block (at byte 1112)",
        ),
        (
            0x28,
            &[0; 4],
            Kind::Corrupt,
            "superblock: inodes per group 0 do not fit in one bitmap block (at byte 1064)",
        ),
        (0x20, &[0; 4], Kind::Corrupt, "superblock: blocks per group 0 cannot be (at byte 1056)"),
        (
            0x14,
            &[2],
            Kind::Corrupt,
            "superblock: first data block 2 is neither 0 nor 1, or after the end (at byte 1044)",
        ),
        (
            0x0,
            &[255; 4],
            Kind::Corrupt,
            "superblock: inode count 4294967295 does not fit the number of groups (at byte 1024)",
        ),
        (
            0x63,
            &[0x80],
            Kind::Unsupported,
            "ext4 feature FEATURE_I31 is one that kiln does not read (at byte 1120)",
        ),
        (
            0x60,
            &[0x43],
            Kind::Unsupported,
            "ext4 feature compression is one that kiln does not read (at byte 1120)",
        ),
        (
            0x60,
            &[0x4a],
            Kind::Unsupported,
            "the external journal of an ext filesystem, not a filesystem",
        ),
    ] {
        let error = sample.with(1024 + at, value).open().unwrap_err();
        assert_eq!((error.kind(), &*error.to_string()), (kind, message));
    }
    let mut cut = sample.bytes.clone();
    cut.truncate(size - 1);
    let error = kiln_volume::open_ext(MemSource::shared(cut)).unwrap_err();
    let message = format!("the filesystem has {size} bytes and the volume only {}", size - 1);
    assert_eq!((error.kind(), error.to_string()), (Kind::Corrupt, message));
    let error = kiln_volume::open_ext(MemSource::shared(vec![0; 2047])).unwrap_err();
    assert_eq!(error.kind(), Kind::OtherFormat);
}

#[test]
fn each_spoiled_field_of_an_inode_is_named() {
    let sample = Sample::plain();
    let number = sample.number("/a/file");
    let inode = sample.inode_at(number);
    let blocks = sample.bytes.len() / BLOCK;
    for (at, value, message) in [
        (0x0, &[0, 0][..], format!("inode {number}: mode 0o0 has no file type (at byte {inode})")),
        (
            0x80,
            &[0xff, 0],
            format!(
                "inode {number}: extra size 255 does not fit an inode of 256 bytes (at byte {inode})"
            ),
        ),
        (
            0x28,
            &[0, 0],
            format!("inode {number}: extent node starts with 0x0000 and not with 0xf30a"),
        ),
        (0x2a, &[9], format!("inode {number}: extent node with 9 of 4 entries, where 4 fit")),
        (0x2e, &[6], format!("inode {number}: extent node of depth 6, more than 5")),
        (
            0x28 + 12 + 8,
            &[0xff, 0xff],
            format!("inode {number}: extent of 5 blocks at block 65535 is outside the filesystem"),
        ),
        (
            0x2e,
            &[1],
            format!("block {} is outside the {blocks} blocks of the filesystem", {
                // As an index, the entry's second word is the block, and its first half the rest.
                let low = u64::from(u32_at(&sample.bytes, inode + 0x28 + 12 + 4));
                low | u64::from(u32_at(&sample.bytes, inode + 0x28 + 12 + 8) & 0xffff) << 32
            }),
        ),
    ] {
        let found = failure(&sample.with(inode + at, value), "/a/file");
        assert_eq!(found, (Kind::Corrupt, message));
    }
}

#[test]
fn each_spoiled_field_of_a_directory_is_named() {
    let sample = Sample::plain();
    let number = sample.number("/a");
    let block = sample.first_block(number);
    let name_at = block + sample.bytes[block..].windows(4).position(|w| w == b"file").unwrap();
    let entry = name_at - 8;
    let rest = BLOCK - (entry - block);
    for (at, value, message) in [
        (entry, &[0xff, 0xff, 0][..], "inode 65535 is outside 1..=64".to_owned()),
        (
            entry + 4,
            &[3, 0],
            format!("directory inode {number}: an entry of 196608 bytes where {rest} are left"),
        ),
        (
            block + 12 + 6,
            &[255],
            format!("directory inode {number}: a name of 255 bytes in an entry of 12"),
        ),
        (
            name_at,
            b"fi/e",
            format!("directory inode {number}: the name \"fi/e\" is not a file name"),
        ),
        (
            name_at,
            b"f\0le",
            format!("directory inode {number}: the name \"f\\x00le\" is not a file name"),
        ),
    ] {
        let spoiled = sample.with(at, value);
        let tree = Tree::new(spoiled.open().unwrap());
        let error = tree
            .list("/a")
            .and_then(|names| {
                names.iter().try_for_each(|e| tree.stat([b"/a/", &e.name[..]].concat()).map(|_| ()))
            })
            .unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (Kind::Corrupt, message));
    }
}

/// What stands before the fault is still found, as the kernel would find it.
#[test]
fn names_before_a_spoiled_entry_are_found() {
    let sample = Sample::plain();
    let number = sample.number("/a");
    let block = sample.first_block(number);
    let first = block + 24;
    let name_bytes = usize::from(sample.bytes[first + 6]);
    let name = &sample.bytes[first + 8..first + 8 + name_bytes];
    let second = first + (u32_at(&sample.bytes, first + 4) & 0xffff) as usize;
    let tree = Tree::new(sample.with(second + 4, &[3, 0]).open().unwrap());
    assert!(tree.exists([b"/a/", name].concat()).unwrap());
    assert_eq!(tree.exists("/a/none").unwrap_err().kind(), Kind::Corrupt);
}

#[test]
fn each_wrong_checksum_is_named() {
    let sample = Sample::new("metadata_csum,64bit,^has_journal");
    let number = sample.number("/a");
    let starts = |found: Error, message: &str| {
        assert_eq!(found.kind(), Kind::Corrupt);
        assert!(found.to_string().starts_with(message), "{found}");
    };
    let error = sample.with(1024 + 0x78, b"L").open().unwrap_err();
    starts(error, "superblock: checksum 0x");
    let list = |sample: Sample| Tree::new(sample.open().unwrap()).list("/a").unwrap_err();
    starts(list(sample.with(2 * BLOCK + 0xc, b"\x01\x01")), "group 0: descriptor checksum 0x");
    let inode = sample.inode_at(number);
    starts(list(sample.with(inode + 0x8, b"\x01")), &format!("inode {number}: checksum 0x"));
    let block = sample.first_block(number);
    let expected = format!("directory inode {number}: block checksum 0x");
    starts(list(sample.with(block + 100, b"\x01")), &expected);
    let expected =
        format!("directory inode {number}: a block without a checksum (at byte {block})");
    assert_eq!(list(sample.with(block + BLOCK - 5, b"\0")).to_string(), expected);
}

#[test]
fn an_overwritten_inode_table_is_corrupt() {
    for features in ["^metadata_csum,^has_journal", "metadata_csum,^has_journal"] {
        let sample = Sample::new(features);
        for byte in [0, 0x55, 0xff] {
            let spoiled = sample.with(sample.inode_table, &[byte; 64 * 256]);
            assert_eq!(failure(&spoiled, "/a").0, Kind::Corrupt);
        }
    }
}

/// `/a/b` is made to be `/` once more: paths go on as long as their text does, and a walk that
/// counts its nodes ends.
#[test]
fn a_directory_that_contains_its_parent() {
    let sample = Sample::plain();
    let block = sample.first_block(sample.number("/a"));
    let b = sample.number("/a/b") as u8;
    let is_b = |window: &[u8]| window[0] == b && window[6] == 1 && window[8] == b'b';
    let entry = block + sample.bytes[block..].windows(9).position(is_b).unwrap();
    let cyclic = sample.with(entry, &[2]);
    let fs = cyclic.open().unwrap();
    let tree = Tree::new(Arc::clone(&fs));
    assert_eq!(tree.locate("/a/b/a/b/a/b").unwrap().unwrap().node, fs.root());
    assert_eq!(tree.read("/a/b/a/b/a/file", 5000).unwrap().unwrap(), pattern(5000, 1));
    kiln_fixtures::walk::exercise(&*fs, 1000);
}

#[test]
fn links_that_lead_to_themselves_end() {
    let tree = Tree::new(Sample::plain().open().unwrap());
    for path in ["/x", "/y", "/self", "/self/more"] {
        let error = tree.locate(path).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string()),
            (
                Kind::Corrupt,
                format!("{path}: more than 40 symbolic links, or a path of more than 4096 bytes")
            )
        );
    }
    assert_eq!(tree.read("/up", 5000).unwrap().unwrap(), pattern(5000, 1));
}
