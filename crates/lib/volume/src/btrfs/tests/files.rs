//! Faults in extents, names and attributes, below trees that are sound.

use std::ops::ControlFlow;

use kiln_disk::Kind;

use super::sample::{Patched, Sample};
use crate::btrfs::block::Key;
use crate::fs::{Filesystem, Node};

const EXTENT_DATA: u8 = 108;

fn find(fs: &dyn Filesystem, path: &str) -> Node {
    path.split('/').fold(fs.root(), |dir, name| fs.lookup(dir, name.as_bytes()).unwrap().unwrap())
}

/// The sample with `patch` at byte `within` of the first extent of the file of 100,000 bytes.
fn with_extent(sample: &Sample, within: usize, patch: &[u8]) -> (Patched, Node) {
    let node = find(&*sample.patched().open().unwrap(), "etc/deep/data");
    let store = sample.store();
    let item = store.item(&sample.top_level(), Key::new(node.ino, EXTENT_DATA, 0)).unwrap();
    let mut image = sample.patched();
    for (block, at) in sample.find(&item.unwrap()) {
        image.put_sound(&sample.superblock, block, at + within, patch);
    }
    (image, node)
}

#[test]
fn each_spoiled_field_of_an_extent_is_named() {
    let sample = Sample::single();
    for (within, patch, kind, message) in [
        (16, &[9_u8][..], Kind::Unsupported, "extent at 0: compression type 9"),
        (17, &[1], Kind::Unsupported, "extent at 0: it is encrypted"),
        (18, &[1], Kind::Unsupported, "extent at 0: encoding 1"),
        (20, &[7], Kind::Corrupt, "extent at 0: type 7 is none of 0, 1, 2"),
        (
            8,
            &[0, 0, 0, 1, 0, 0, 0, 0, 1],
            Kind::Corrupt,
            "extent at 0: 16777216 bytes are more than compression allows",
        ),
        (37, &[255; 8], Kind::Corrupt, "extent at 0: offset 18446744073709551615 is too far"),
    ] {
        let (image, node) = with_extent(&sample, within, patch);
        let error = image.open().unwrap().read_at(node, 0, &mut [0; 10]).unwrap_err();
        let message = format!("inode {}: {message}", node.ino);
        assert_eq!((error.to_string(), error.kind()), (message, kind));
    }
}

#[test]
fn an_extent_outside_all_chunks_is_named() {
    let sample = Sample::single();
    let (image, node) = with_extent(&sample, 21, &(1_u64 << 60).to_le_bytes());
    let error = image.open().unwrap().read_at(node, 0, &mut [0; 10]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "file data at logical address 1152921504606846976: no chunk holds it"
    );
}

#[test]
fn an_extent_that_is_not_compressed_as_it_says_is_named() {
    let sample = Sample::single();
    let sized = [&4096_u64.to_le_bytes()[..], &[1]].concat();
    let (image, node) = with_extent(&sample, 8, &sized);
    let error = image.open().unwrap().read_at(node, 0, &mut [0; 10]).unwrap_err();
    let text = error.to_string();
    // The file's own size is more than one compressed extent stores.
    assert!(
        text.starts_with(&format!("inode {}: zlib data is damaged: ", node.ino))
            || text.ends_with(" compressed bytes are too many"),
        "{text}"
    );
}

/// A name with a slash would lead out of its directory.
#[test]
fn illegal_names_are_dropped() {
    let sample = Sample::single();
    let mut image = sample.patched();
    let places = sample.find(b"a rather long name of a file, 599");
    assert!(places.len() >= 2, "at least in DIR_ITEM and DIR_INDEX");
    for (block, within) in places {
        image.put_sound(&sample.superblock, block, within, b"../../../../");
    }
    let fs = image.open().unwrap();
    let deep = find(&*fs, "etc/deep");
    let mut names = Vec::new();
    fs.read_dir(deep, &mut |entry| {
        names.push(entry.name);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(names.len(), 600, "599 of the many, and `data`");
    assert!(names.iter().all(|name| !name.contains(&b'/')));
    assert_eq!(fs.lookup(deep, b"../hostname").unwrap(), None);
}

#[test]
fn what_is_not_there_is_not_found() {
    let fs = Sample::single().patched().open().unwrap();
    for (node, message) in [
        (Node { tree: 5, ino: 9999 }, "no inode 9999 in tree 5"),
        (Node { tree: 300, ino: 256 }, "no subvolume 300"),
        (Node { tree: 1, ino: 256 }, "no subvolume 1"),
    ] {
        let error = fs.stat(node).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.kind()), (message, Kind::NotFound));
    }
}
