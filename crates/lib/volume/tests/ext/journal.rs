//! A guest that was switched off: the image is copied while it is mounted, so that its journal
//! holds what is not in place yet, and compared with what the kernel makes of another copy.

use std::fs;
use std::os::unix::fs::FileExt;

use kiln_fixtures::mounted::{Mounted, run};
use kiln_fixtures::walk;
use kiln_volume::Kind;

use crate::images::{Image, fill, many_names, pattern};

const MIB: u64 = 1 << 20;

/// A copy of the image as it is on the disk while the guest still runs.
fn switched_off(mkfs: &[&str], options: &str) -> (Image, Image) {
    let image = Image::make(mkfs, 96 * MIB);
    let copy = Image::empty();
    let mounted = image.mount(options);
    fill(mounted.path()).unwrap();
    many_names(&mounted.join("many"), 300, 20).unwrap();
    run("sync", &["-f", &mounted.path().to_string_lossy()]).unwrap();
    // Blocks that are freed after they were logged are revoked; a block of data that starts like
    // a block of the journal is escaped.
    fs::remove_dir_all(mounted.join("many")).unwrap();
    fs::write(mounted.join("escaped"), [&[0xc0, 0x3b, 0x39, 0x98][..], &pattern(9000, 5)].concat())
        .unwrap();
    many_names(&mounted.join("late"), 50, 30).unwrap();
    let file = fs::File::create(mounted.join("overwritten")).unwrap();
    file.write_all_at(&pattern(50_000, 1), 0).unwrap();
    // fsync commits to the journal; sync(1) would also write all of it in place.
    file.sync_all().unwrap();
    fs::copy(image.path(), copy.path()).unwrap();
    drop(mounted);
    (image, copy)
}

/// Compare kiln's view of the dirty `copy` with the kernel's, which replays yet another copy.
fn compare(copy: &Image) {
    let fs = copy.open();
    let notes = &fs.info().notes;
    assert!(fs.info().features.iter().any(|name| name == "needs_recovery"), "{:?}", fs.info());
    assert_eq!(notes[0], "needs recovery");
    let n_blocks: u64 = notes[1]
        .strip_prefix("journal replayed in memory: ")
        .and_then(|rest| rest.strip_suffix(" blocks"))
        .unwrap()
        .parse()
        .unwrap();
    assert!(n_blocks > 10, "{notes:?}");
    let theirs = Image::empty();
    fs::copy(copy.path(), theirs.path()).unwrap();
    let mounted = Mounted::new(&theirs.path(), "").unwrap();
    let summary = walk::compare(&*fs, mounted.path()).unwrap_or_else(|error| panic!("{error:#}"));
    assert!(summary.n_files > 80, "{summary:?}");
}

#[test]
fn a_dirty_journal_is_read_as_the_kernel_replays_it() {
    for (features, options) in [
        ("has_journal", "data=ordered"),
        ("has_journal", "data=journal"),
        ("^metadata_csum", "data=journal"),
        ("^64bit,^metadata_csum", "data=journal"),
        ("^64bit", "data=journal"),
        ("^has_journal,has_journal", "journal_checksum,data=journal"),
    ] {
        let mkfs = ["mkfs.ext4", "-b", "1024", "-O", features];
        let (_image, copy) = switched_off(&mkfs, options);
        compare(&copy);
    }
}

/// A small journal goes round several times.
#[test]
fn a_journal_that_wrapped() {
    let mkfs = ["mkfs.ext4", "-b", "1024", "-J", "size=1"];
    let (_image, copy) = switched_off(&mkfs, "data=ordered");
    compare(&copy);
}

/// Without its journal this tree would be wrong: the test above proves something.
#[test]
fn the_journal_matters() {
    let (_image, copy) = switched_off(&["mkfs.ext4", "-b", "1024"], "data=journal");
    let with = copy.open();
    assert!(with.lookup(with.root(), b"late").unwrap().is_some());
    // Clear the feature that calls for recovery, and the checksum it is covered by.
    copy.debugfs(&["feature -needs_recovery"]);
    let without = copy.open();
    assert_eq!(without.lookup(without.root(), b"late").unwrap(), None);
}

/// A logged block that is not what its tag says stops the kernel, and kiln with it.
#[test]
fn a_spoiled_copy_in_the_journal_is_named() {
    let (_image, copy) = switched_off(&["mkfs.ext4", "-b", "1024"], "data=journal");
    let mut bytes = copy.bytes();
    let magic = [0xc0, 0x3b, 0x39, 0x98, 0, 0, 0, 1];
    let is_descriptor = |at: &usize| bytes[*at..].starts_with(&magic);
    let descriptors: Vec<usize> = (0..bytes.len()).step_by(1024).filter(is_descriptor).collect();
    for at in descriptors {
        bytes[at + 1024 + 700] ^= 1;
    }
    let error = kiln_volume::open_ext(kiln_disk::MemSource::shared(bytes)).unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    let message = error.to_string();
    assert!(
        message.starts_with("journal: transaction ") && message.contains("computed"),
        "{message}"
    );
}

/// Nothing is known of a journal elsewhere but that it is needed.
#[test]
fn a_journal_on_another_device_is_noted() {
    let mut bytes = Image::make(&["mkfs.ext4", "-O", "^metadata_csum"], 16 * MIB).bytes();
    bytes[1024 + 0x60] |= 4;
    bytes[1024 + 0xe0] = 0;
    let fs = kiln_volume::open_ext(kiln_disk::MemSource::shared(bytes)).unwrap();
    let notes = ["needs recovery", "the journal is on another device and was not replayed"];
    assert_eq!(fs.info().notes, notes);
}

#[test]
fn an_empty_journal_that_is_to_be_replayed() {
    let mut bytes = Image::make(&["mkfs.ext4", "-O", "^metadata_csum"], 16 * MIB).bytes();
    bytes[1024 + 0x60] |= 4;
    let fs = kiln_volume::open_ext(kiln_disk::MemSource::shared(bytes)).unwrap();
    let notes = ["needs recovery", "journal replayed in memory: 0 blocks"];
    assert_eq!(fs.info().notes, notes);
}
