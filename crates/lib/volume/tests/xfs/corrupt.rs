//! A sound image, one field of it spoiled at a time, the checksum made right where the fault is
//! meant to lie behind it: the error names the inode, the block and the fault.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use kiln_disk::MemSource;
use kiln_volume::{Error, Filesystem, Kind, Node, Tree};

use crate::image::{Structure, small, structures};

struct Sample {
    bytes: Vec<u8>,
    structures: Vec<Structure>,
}

impl Sample {
    /// One image for all tests: none changes it.
    fn new() -> &'static Self {
        static SAMPLE: LazyLock<Sample> = LazyLock::new(|| {
            let bytes = small().bytes();
            let structures = structures(&bytes);
            Sample { bytes, structures }
        });
        &SAMPLE
    }

    fn ino(&self, path: &str) -> u64 {
        let tree = Tree::new(kiln_volume::open_xfs(MemSource::shared(self.bytes.clone())).unwrap());
        tree.locate_link(path).unwrap().unwrap().node.ino
    }

    /// The structure with `magic` of inode `ino`.
    fn find(&self, magic: &[u8; 2], ino: u64) -> Structure {
        // Of the blocks of a directory, the first is the one that begins with its entry ".".
        let is_first = |at: usize| magic != b"DD" || self.bytes[at + 72..at + 74] == [1, b'.'];
        let of_ino =
            |found: &&Structure| &found.magic == magic && found.owner == ino && is_first(found.at);
        *self.structures.iter().find(of_ino).expect("the image has it")
    }

    fn field(&self, at: usize) -> u64 {
        u64::from_be_bytes(self.bytes[at..at + 8].try_into().unwrap())
    }

    /// What reading everything of inode `ino` says when `changes` were made in `structure`.
    fn spoiled(&self, ino: u64, structure: Structure, changes: Changes<'_>, mend: bool) -> Error {
        let mut bytes = self.bytes.clone();
        for (at, value) in changes {
            let at = structure.at + at;
            bytes[at..at + value.len()].copy_from_slice(value);
        }
        if mend {
            structure.mend(&mut bytes[structure.at..structure.at + structure.length]);
        }
        let fs = kiln_volume::open_xfs(MemSource::shared(bytes)).unwrap();
        read_all(&*fs, Node { tree: 0, ino }).expect_err("it is spoiled")
    }
}

type Changes<'a> = &'a [(usize, &'a [u8])];

fn read_all(fs: &dyn Filesystem, node: Node) -> Result<(), Error> {
    let stat = fs.stat(node)?;
    fs.xattrs(node)?;
    match stat.file_type {
        kiln_volume::FileType::Directory => {
            fs.lookup(node, b"no such name")?;
            fs.read_dir(node, &mut |_| ControlFlow::Continue(()))
        }
        kiln_volume::FileType::Symlink => fs.read_link(node).map(drop),
        _ => {
            let mut buf = vec![0; usize::try_from(stat.size_bytes).unwrap()];
            fs.read_at(node, 0, &mut buf).map(drop)
        }
    }
}

/// One row: a path, the structure of its inode, what is written where in it, whether the checksum
/// is made right, the message after "xfs inode N".
type Row<'a> = (&'a str, &'a [u8; 2], Changes<'a>, bool, &'a str);

/// `@N` in a message stands for the byte N of the structure.
fn check(sample: &Sample, rows: &[Row<'_>]) {
    for &(path, magic, changes, mend, message) in rows {
        let ino = sample.ino(path);
        let structure = sample.find(magic, ino);
        let error = sample.spoiled(ino, structure, changes, mend);
        let message = match message.split_once('@') {
            Some((text, at)) => {
                let at = structure.at + at.parse::<usize>().unwrap();
                format!("{text}(at byte {at})")
            }
            None => message.to_owned(),
        };
        assert_eq!(error.to_string(), format!("xfs inode {ino}{message}"), "{path} {changes:?}");
        assert_eq!(error.kind(), Kind::Corrupt);
    }
}

#[test]
fn the_sample_is_sound() {
    let sample = Sample::new();
    let fs = kiln_volume::open_xfs(MemSource::shared(sample.bytes.clone())).unwrap();
    for path in ["/", "/local", "/block", "/leaf", "/tree", "/long", "/attributes", "/remote"] {
        read_all(&*fs, Node { tree: 0, ino: sample.ino(path) }).expect(path);
    }
    // What other rows rely on: the inode as xfs_db decodes it.
    let ino = sample.ino("/tree");
    assert_eq!(sample.bytes[sample.find(b"IN", ino).at + 5], 3, "an extent tree");
}

#[test]
fn inodes() {
    check(
        Sample::new(),
        &[
            ("/file", b"IN", &[(0, b"XX")], false, ": the magic is not IN"),
            ("/file", b"IN", &[(2, &[0])], false, ": wrong checksum"),
            ("/file", b"IN", &[(4, &[2])], true, ": version 2 does not fit the superblock"),
            ("/file", b"IN", &[(2, &[0xf1])], true, ": mode 0o170674 has no file type"),
            ("/file", b"IN", &[(5, &[9])], true, ": data fork format 9 is unknown"),
            ("/file", b"IN", &[(5, &[1])], true, ": a file without extents"),
            ("/file", b"IN", &[(56, &[0x80])], true, ": size 9223372036854795808 is negative"),
            (
                "/file",
                b"IN",
                &[(82, &[255])],
                true,
                ": the attribute fork at byte 2040 is outside it",
            ),
            ("/file", b"IN", &[(83, &[9])], true, ": attribute fork format 9 is unknown"),
            ("/file", b"IN", &[(152, &[0; 8])], true, ": it says to be inode 0"),
            (
                "/local",
                b"IN",
                &[(56, &[0, 0, 0, 0, 0, 0, 9, 0])],
                true,
                ": directory: it reaches past the inode",
            ),
            ("/local", b"IN", &[(176, &[2])], true, ": directory: an entry reaches past its end"),
            ("/local", b"IN", &[(182, &[0])], true, ": directory: an entry without a name"),
            (
                "/short",
                b"IN",
                &[(56, &[0, 0, 0, 0, 0, 0, 9, 0])],
                true,
                ": a symlink of 2304 bytes",
            ),
            (
                "/short",
                b"IN",
                &[(56, &[0, 0, 0, 0, 0, 0, 3, 0])],
                true,
                ": the symlink reaches past the inode",
            ),
        ],
    );
}

#[test]
fn directory_blocks() {
    let far = &[0xff, 0xff, 0, 0][..];
    check(
        Sample::new(),
        &[
            ("/block", b"DB", &[(0, b"XDD2")], false, ": directory block 0: wrong magic @0"),
            ("/block", b"DB", &[(100, b"x")], false, ": directory block 0: wrong checksum @4"),
            (
                "/block",
                b"DB",
                &[(8, &[1])],
                true,
                ": directory block 0: it says to be another block @8",
            ),
            (
                "/block",
                b"DB",
                &[(40, &[1])],
                true,
                ": directory block 0: it belongs to another inode @40",
            ),
            (
                "/block",
                b"DB",
                &[(4088, far)],
                true,
                ": directory block 0: its index is too long @4088",
            ),
            (
                "/block",
                b"DB",
                &[(4088, &[0, 0, 1, 0xf8])],
                true,
                ": directory block 0: its index is too long @4088",
            ),
            (
                "/block",
                b"DB",
                &[(72, &[200])],
                true,
                ": directory block 0: an entry does not end with its own offset @64",
            ),
            (
                "/block",
                b"DB",
                &[(72, &[0])],
                true,
                ": directory block 0: an entry without a name @72",
            ),
            (
                "/block",
                b"DB",
                &[(64, far)],
                true,
                ": directory block 0: a free range of impossible length @66",
            ),
            (
                "/block",
                b"DB",
                &[(64, &[0xff, 0xff, 0, 12])],
                true,
                ": directory block 0: a free range of impossible length @66",
            ),
            (
                "/block",
                b"DB",
                &[(64, &[0xff, 0xff, 0xf0, 0])],
                true,
                ": directory block 0: an entry reaches past its end @64",
            ),
            ("/leaf", b"DD", &[(0, b"XDD2")], false, ": directory block 0: wrong magic @0"),
            ("/leaf", b"DD", &[(100, b"x")], false, ": directory block 0: wrong checksum @4"),
            (
                "/leaf",
                b"DD",
                &[(78, &[1])],
                true,
                ": directory block 0: an entry does not end with its own offset @64",
            ),
        ],
    );
}

#[test]
fn links_attributes_and_extent_trees() {
    let sample = Sample::new();
    let leaf = sample.find(b"BM", sample.ino("/tree"));
    let fsb = leaf.at / 4096;
    // With two groups of 16 MiB, each a power of two of blocks, both numbers are the same.
    let tree = |what: &str, at: &str| format!(": extent tree block {fsb:#x}: {what} {at}");
    let most = (pointers(sample, sample.find(b"IN", sample.ino("/tree"))) - 180) / 8;
    let crowded = format!(": 2313 children in a node for {most}");
    check(
        sample,
        &[
            ("/long", b"SL", &[(0, b"XSLN")], false, ": symlink: wrong magic @0"),
            ("/long", b"SL", &[(80, b"x")], false, ": symlink: wrong checksum @0"),
            (
                "/long",
                b"SL",
                &[(32, &[1])],
                true,
                ": symlink: its block belongs to another inode @0",
            ),
            (
                "/long",
                b"SL",
                &[(40, &[1])],
                true,
                ": symlink: its block says to be another block @0",
            ),
            ("/long", b"SL", &[(8, &[0, 0, 0, 9])], true, ": symlink: shorter than its size"),
            ("/attributes", b"\x3b\xee", &[(8, &[0, 0])], true, ": attribute block 0: wrong magic"),
            (
                "/attributes",
                b"\x3b\xee",
                &[(100, &[1])],
                false,
                ": attribute block 0: wrong checksum @0",
            ),
            (
                "/attributes",
                b"\x3b\xee",
                &[(16, &[1])],
                true,
                ": attribute block 0: it says to be another block @0",
            ),
            (
                "/attributes",
                b"\x3b\xee",
                &[(48, &[1])],
                true,
                ": attribute block 0: it belongs to another inode @0",
            ),
            (
                "/attributes",
                b"\x3b\xee",
                &[(56, &[255])],
                true,
                ": attribute block 0: more entries than fit",
            ),
            (
                "/attributes",
                b"\x3b\xee",
                &[(84, &[0xff, 0xff])],
                true,
                ": attribute block 0: an entry reaches past its end",
            ),
            (
                "/attributes",
                b"\x3b\xee",
                &[(0, &[0, 0, 0, 77])],
                true,
                ": attribute block 77: it is a hole",
            ),
            ("/remote", b"AR", &[(0, b"XARN")], false, ": attribute block 1: wrong magic @0"),
            ("/remote", b"AR", &[(100, b"x")], false, ": attribute block 1: wrong checksum @0"),
            (
                "/remote",
                b"AR",
                &[(32, &[1])],
                true,
                ": attribute block 1: it belongs to another inode @0",
            ),
            (
                "/remote",
                b"AR",
                &[(40, &[1])],
                true,
                ": attribute block 1: it says to be another block @0",
            ),
            ("/tree", b"BM", &[(0, b"BMAP")], false, &tree("wrong magic", "@0")),
            ("/tree", b"BM", &[(80, &[1])], false, &tree("wrong checksum", "@0")),
            ("/tree", b"BM", &[(56, &[1])], true, &tree("it belongs to another inode", "@0")),
            ("/tree", b"BM", &[(24, &[1])], true, &tree("it says to be another block", "@0")),
            ("/tree", b"BM", &[(4, &[0, 1])], true, &tree("wrong level", "@0")),
            ("/tree", b"BM", &[(6, &[255])], true, &tree("more records than fit", "@0")),
            ("/tree", b"IN", &[(176, &[0, 0])], true, ": extent tree of 0 levels"),
            ("/tree", b"IN", &[(176, &[0, 99])], true, ": extent tree of 99 levels"),
            ("/tree", b"IN", &[(178, &[9, 9])], true, &crowded),
        ],
    );
}

/// A tree that holds a block twice, and one that holds itself.
#[test]
fn extent_trees_that_do_not_end() {
    let sample = Sample::new();
    let ino = sample.ino("/tree");
    let (inode, leaf) = (sample.find(b"IN", ino), sample.find(b"BM", ino));
    let pointers = pointers(sample, inode);
    let first = sample.field(inode.at + pointers).to_be_bytes();
    let fsb = u64::from_be_bytes(first);
    let twice = format!("xfs inode {ino}: extent tree block {fsb:#x}: it is in the tree twice");
    let error = sample.spoiled(ino, inode, &[(pointers + 8, &first)], true);
    assert_eq!(error.to_string(), format!("{twice} (at byte {})", leaf.at));
    // The root claims two levels, and its first child is a node whose only child is that child.
    let mut image = Sample { bytes: sample.bytes.clone(), structures: Vec::new() };
    image.bytes[inode.at + 177] = 2;
    inode.mend(&mut image.bytes[inode.at..inode.at + 512]);
    let changes: Changes<'_> = &[(4, &[0, 1, 0, 1]), (72 + 251 * 8, &first)];
    let error = image.spoiled(ino, leaf, changes, true);
    assert_eq!(error.to_string(), format!("{twice} (at byte {})", leaf.at));
}

/// Where the pointers of the root of an extent tree begin in its inode.
fn pointers(sample: &Sample, inode: Structure) -> usize {
    let fork_bytes = match usize::from(sample.bytes[inode.at + 82]) * 8 {
        0 => 512 - 176,
        bytes => bytes,
    };
    180 + (fork_bytes - 4) / 16 * 8
}

/// An extent record: file block, first block on the disk, number of blocks.
fn record(file_block: u128, disk_block: u128, n_blocks: u128) -> [u8; 16] {
    (file_block << 73 | disk_block << 21 | n_blocks).to_be_bytes()
}

#[test]
fn extents_outside_the_volume_or_shared_within_a_directory() {
    let sample = Sample::new();
    let (file, leaf) = (sample.ino("/file"), sample.ino("/leaf"));
    let file_at = sample.find(b"IN", file);
    for (extent, message) in [
        (record(0, 1 << 40, 5), "xfs: block 0x10000000000 is outside the filesystem"),
        (record(0, 8191, 5), "xfs: a run of 5 blocks from 0x1fff on leaves its allocation group"),
        (record(0, 4095, 5), "xfs: a run of 5 blocks from 0xfff on leaves its allocation group"),
    ] {
        let error = sample.spoiled(file, file_at, &[(176, &extent)], true);
        assert_eq!(error.to_string(), format!("xfs inode {file}: {message}"));
    }
    let error = sample.spoiled(file, file_at, &[(176, &record(0, 40, 0))], true);
    let message = "extent at file block 0 is empty or out of order";
    assert_eq!(error.to_string(), format!("xfs inode {file}: {message}"));

    let directory = sample.find(b"IN", leaf);
    let block = sample.find(b"DD", leaf);
    let at = (block.at / 4096) as u128;
    let extents = [record(0, at, 1), record(1, at, 1)].concat();
    let count: (usize, &[u8]) = (76, &[0, 0, 0, 2]);
    // The count of a filesystem with large counters lies elsewhere.
    let large: (usize, &[u8]) = (24, &[0, 0, 0, 0, 0, 0, 0, 2]);
    let is_large = sample.bytes[directory.at + 127] & 0x10 != 0;
    let count = if is_large { large } else { count };
    let error = sample.spoiled(leaf, directory, &[(176, &extents), count], true);
    let message = format!("xfs inode {leaf}: block {at:#x} is in the directory twice");
    assert_eq!(error.to_string(), message);

    let claims: (usize, &[u8]) = (64, &[0, 0, 0, 0, 0, 0, 0, 1]);
    let extents = [record(0, at, 1), record(1, at + 1, 1)].concat();
    let error = sample.spoiled(leaf, directory, &[(176, &extents), count, claims], true);
    let message = format!("xfs inode {leaf}: a directory of 2 blocks that claims 1");
    assert_eq!(error.to_string(), message);
}

/// An image that ends too early still reads where it is whole.
#[test]
fn an_image_cut_short() {
    let sample = Sample::new();
    let leaf = sample.find(b"DD", sample.ino("/leaf"));
    let cut = sample.bytes[..leaf.at + 4096].to_vec();
    let fs = kiln_volume::open_xfs(MemSource::shared(cut)).unwrap();
    let ino = sample.ino("/leaf");
    let error = read_all(&*fs, Node { tree: 0, ino }).expect_err("its second half is gone");
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(error.to_string().ends_with(" lies beyond the end of the volume"), "{error}");
    let ino = sample.ino("/local");
    read_all(&*fs, Node { tree: 0, ino }).unwrap();
}

/// A directory that holds its parent: a path through it ends where the path does.
#[test]
fn directories_that_hold_each_other() {
    let sample = Sample::new();
    let (root, local) = (sample.ino("/"), sample.ino("/local"));
    let inode = sample.find(b"IN", local);
    // Short form: two counts, the parent, then length, offset, name and type of the first entry.
    let entry = inode.at + 182;
    assert_eq!(&sample.bytes[entry + 3..entry + 8], b"inner");
    let ino_at = 182 + 3 + 5 + 1;
    let parent = u32::try_from(root).unwrap().to_be_bytes();
    let mut bytes = sample.bytes.clone();
    bytes[inode.at + ino_at..inode.at + ino_at + 4].copy_from_slice(&parent);
    inode.mend(&mut bytes[inode.at..inode.at + 512]);
    let fs = kiln_volume::open_xfs(MemSource::shared(bytes)).unwrap();
    let tree = Tree::new(fs);
    let path = "/local/inner".repeat(300);
    assert_eq!(tree.locate(&path).unwrap().unwrap().node.ino, root);
    assert_eq!(tree.locate(format!("{path}/local")).unwrap().unwrap().node.ino, local);
}
