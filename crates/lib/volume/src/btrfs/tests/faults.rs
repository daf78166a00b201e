//! One fault at a time, and the message that names it.

use std::sync::Arc;

use kiln_disk::{BlockSource, Kind};

use super::sample::{Patched, SUPERBLOCK, Sample};
use crate::btrfs::block::{Key, Pointer};
use crate::btrfs::store::Store;

/// The error of opening the image and looking for the file in it.
fn error(image: &Patched) -> kiln_disk::Error {
    let fs = match image.open() {
        Ok(fs) => fs,
        Err(error) => return error,
    };
    fs.lookup(fs.root(), b"etc").expect_err("a fault was planted on the way to this name")
}

#[test]
fn the_sound_image_is_read() {
    let fs = Sample::single().patched().open().unwrap();
    let etc = fs.lookup(fs.root(), b"etc").unwrap().unwrap();
    let link = fs.lookup(etc, b"link").unwrap().unwrap();
    assert_eq!(fs.read_link(link).unwrap(), b"../etc/hostname");
    let deep = fs.lookup(etc, b"deep").unwrap().unwrap();
    let data = fs.lookup(deep, b"data").unwrap().unwrap();
    let mut piece = [0; 7];
    assert_eq!(fs.read_at(data, 99_998, &mut piece).unwrap(), 2);
    assert_eq!(piece, *b"89\0\0\0\0\0");
    let error = fs.read_dir(data, &mut |_| std::ops::ControlFlow::Continue(())).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(
        error.to_string(),
        format!("inode {} of tree 5 is a Regular, not a Directory", data.ino)
    );
}

#[test]
fn each_spoiled_field_of_the_superblock_is_named() {
    let sample = Sample::single();
    for (at, value, kind, message) in [
        (0x40, 1, Kind::OtherFormat, "not btrfs: no `_BHRfS_M` in byte 65600"),
        (0x30, 1, Kind::Corrupt, "superblock: bytenr 65537 is not its own place (at byte 65536)"),
        (
            0xc4,
            9,
            Kind::Unsupported,
            "superblock: checksum type 9 is none that kiln knows (at byte 65536)",
        ),
        (0x88, 3, Kind::Unsupported, "btrfs over 3 devices (at byte 65536)"),
        (0x88, 0, Kind::Corrupt, "superblock: num_devices is 0 (at byte 65536)"),
        (0x3c, 1, Kind::Unsupported, "a btrfs seed device (at byte 65536)"),
        (
            0x3c,
            4,
            Kind::Unsupported,
            "a btrfs metadata dump, which holds no file data (at byte 65536)",
        ),
        (0xbd, 0x10, Kind::Unsupported, "btrfs with the feature zoned (at byte 65536)"),
        (0xbd, 0x20, Kind::Unsupported, "btrfs with the feature extent_tree_v2 (at byte 65536)"),
        (0xbd, 0x40, Kind::Unsupported, "btrfs with the feature raid_stripe_tree (at byte 65536)"),
        (
            0xc0,
            1,
            Kind::Unsupported,
            "btrfs with the unknown incompatible feature bit 32 (at byte 65536)",
        ),
        (
            0x91,
            0x11,
            Kind::Corrupt,
            "superblock: sectorsize 4352 is not a power of two in 512..=65536 (at byte 65536)",
        ),
        (
            0x96,
            2,
            Kind::Corrupt,
            "superblock: nodesize 135168 is not a power of two in 4096..=65536 (at byte 65536)",
        ),
        (0xc6, 8, Kind::Corrupt, "superblock: root has level 8, above 7 (at byte 65536)"),
        (0xc7, 200, Kind::Corrupt, "superblock: chunk_root has level 200, above 7 (at byte 65536)"),
        (
            0xa1,
            9,
            Kind::Corrupt,
            "superblock: sys_chunk_array_size 2433 is more than 2048 (at byte 65536)",
        ),
        (0xa0, 3, Kind::Corrupt, "superblock: sys_chunk_array ends inside a chunk"),
        (
            0x333,
            1,
            Kind::Corrupt,
            "superblock: key (256 1 0) in sys_chunk_array is not that of a chunk",
        ),
    ] {
        let mut image = sample.patched();
        image.put_sound(&sample.superblock, SUPERBLOCK, at, &[value]);
        let error = error(&image);
        // The array's length and the chunk's place in it are mkfs' choice.
        let message = match at {
            0xa1 => {
                message.replace("2433", &(2304 + sample.superblock.sys_chunks.len()).to_string())
            }
            0x333 => {
                let offset = &sample.superblock.sys_chunks[9..17];
                let offset = u64::from_le_bytes(offset.try_into().unwrap());
                message.replace("256 1 0", &format!("256 1 {offset}"))
            }
            _ => message.to_owned(),
        };
        assert_eq!((error.to_string(), error.kind()), (message, kind));
    }
}

#[test]
fn a_wrong_checksum_of_the_superblock_is_named() {
    let sample = Sample::single();
    let mut image = sample.patched();
    image.put(SUPERBLOCK, &[0; 4]);
    let error = error(&image);
    let text = error.to_string();
    assert!(text.starts_with("superblock: checksum 00000000 where its content has "), "{text}");
    assert!(text.ends_with(" (at byte 65536)"), "{text}");
    assert_eq!(error.kind(), Kind::Corrupt);
    assert_eq!(
        error.hint_text(),
        Some("no copy of the superblock is sound either: restore the image from a backup")
    );
}

/// The copy at 64 MiB serves where the primary is damaged, and not where it is wiped.
#[test]
fn a_copy_of_the_superblock_is_used() {
    let sample = Sample::new(80, &["-M"]);
    let mut image = sample.patched();
    image.put(SUPERBLOCK + 0x12b, b"spoiled");
    let fs = image.open().unwrap();
    let [note] = &fs.info().notes[..] else { panic!("{:?}", fs.info().notes) };
    assert!(
        note.starts_with(
            "the superblock is damaged and the copy at byte 67108864 was used, which no kernel does \
             by itself (superblock: checksum "
        ),
        "{note}"
    );
    assert_eq!(fs.info().label, None);
    assert!(fs.lookup(fs.root(), b"etc").unwrap().is_some());
    image.put(SUPERBLOCK + 0x40, &[0; 8]);
    assert_eq!(image.open().unwrap_err().kind(), Kind::OtherFormat);
}

/// Offsets are those of a block's header and of the first item's head.
#[test]
fn each_spoiled_field_of_a_block_is_named() {
    let sample = Sample::single();
    let sb = &sample.superblock;
    assert_eq!(sb.root.level, 0, "the cases below spoil a leaf");
    let at = sample.copies(&sb.root)[0];
    let logical = sb.root.logical;
    let generation = sb.root.generation;
    let cases: [(usize, Vec<u8>, String); 9] = [
        (0x30, 5_u64.to_le_bytes().to_vec(), "its header says that it is block 5".into()),
        (0x20, vec![0; 16], "its header has the id of another filesystem".into()),
        (0x64, vec![8], "level 8 is above 7".into()),
        (0x50, vec![255; 8], format!("generation {} where {generation} was expected", u64::MAX)),
        (0x60, vec![255; 4], "4294967295 items where 159 have room".into()),
        (0x60, vec![160, 0, 0, 0], "160 items where 159 have room".into()),
        (101, vec![255; 8], "key 1 is not above the key before it".into()),
        (118, vec![255; 4], String::new()),
        (122, vec![255; 4], String::new()),
    ];
    for (within, patch, expected) in cases {
        let mut image = sample.patched();
        image.put_sound(sb, at, within, &patch);
        let text = error(&image).to_string();
        if expected.is_empty() {
            // How many items there are is mkfs' choice.
            assert!(text.contains(": item 0 has its ") && text.contains(", outside "), "{text}");
        } else {
            assert_eq!(text, format!("tree block {logical}: {expected} (at byte {at})"));
        }
    }
}

#[test]
fn a_wrong_checksum_of_a_block_is_named() {
    let sample = Sample::single();
    let root = &sample.superblock.root;
    let at = sample.copies(root)[0];
    let mut image = sample.patched();
    image.put(at + 4000, b"spoiled");
    let text = error(&image).to_string();
    assert!(text.starts_with(&format!("tree block {}: checksum ", root.logical)), "{text}");
    assert!(text.ends_with(&format!(" (at byte {at})")), "{text}");
}

#[test]
fn the_second_copy_serves_where_the_first_is_damaged() {
    let sample = Sample::new(128, &["-m", "dup"]);
    let mut image = sample.patched();
    let pointers = [sample.superblock.root, sample.superblock.chunk_root, sample.top_level()];
    for pointer in &pointers {
        let copies = sample.copies(pointer);
        assert_eq!(copies.len(), 2);
        image.put(copies[0] + 200, b"spoiled");
    }
    let fs = image.open().unwrap();
    assert!(fs.lookup(fs.root(), b"etc").unwrap().is_some());
    image.put(sample.copies(&pointers[2])[1] + 200, b"spoiled");
    let text = error(&image).to_string();
    assert!(text.contains(": checksum "), "{text}");
}

/// Make the block of `pointer` an inner one of `level` whose only pointer leads to itself.
fn loop_to_itself(sample: &Sample, image: &mut Patched, pointer: &Pointer, level: u8) {
    let at = sample.copies(pointer)[0];
    let sb = &sample.superblock;
    image.put_sound(sb, at, 0x60, &[1, 0, 0, 0, level]);
    image.put_sound(sb, at, 101 + 17, &pointer.logical.to_le_bytes());
    image.put_sound(sb, at, 101 + 25, &pointer.generation.to_le_bytes());
}

#[test]
fn a_chunk_tree_that_points_to_itself_ends() {
    let sample = Sample::single();
    let chunk_root = sample.superblock.chunk_root;
    let mut image = sample.patched();
    loop_to_itself(&sample, &mut image, &chunk_root, 7);
    image.put_sound(&sample.superblock, SUPERBLOCK, 0xc7, &[7]);
    let message = format!("tree block {}: level 7 where 6 was expected", chunk_root.logical);
    assert_eq!(error(&image).to_string(), message);
}

#[test]
fn a_level_that_does_not_match_is_named() {
    let sample = Sample::single();
    let root = sample.superblock.root;
    let at = sample.copies(&root)[0];
    let mut image = sample.patched();
    image.put_sound(&sample.superblock, SUPERBLOCK, 0xc6, &[1]);
    let message =
        format!("tree block {}: level 0 where 1 was expected (at byte {at})", root.logical);
    assert_eq!(error(&image).to_string(), message);
}

/// Two pointers of one block to the same child would make walks over it grow with its depth.
#[test]
fn a_child_that_two_pointers_share_is_named() {
    let sample = Sample::single();
    let top = sample.top_level();
    assert!(top.level > 0, "the files are meant to need an inner block");
    let at = sample.copies(&top)[0];
    let mut image = sample.patched();
    let mut pointer = [0; 16];
    image.read_at(at + 101 + 17, &mut pointer).unwrap();
    image.put_sound(&sample.superblock, at, 101 + 33 + 17, &pointer);
    let second = {
        let mut key = [0; 17];
        image.read_at(at + 101 + 33, &mut key).unwrap();
        Key::decode(&key).unwrap()
    };
    let store = Store::open(Arc::new(image), sample.superblock.clone()).unwrap();
    let mut cursor = store.at_or_after(&top, Key::new(0, 0, 0)).unwrap();
    let first = cursor.current().unwrap().0;
    let error = loop {
        if let Err(error) = cursor.advance() {
            break error;
        }
        assert!(cursor.current().is_some(), "the walk must not end well");
    };
    let child = u64::from_le_bytes(pointer[..8].try_into().unwrap());
    assert_eq!(
        error.to_string(),
        format!("tree block {child}: first key {first} where {second} was expected")
    );
}

#[test]
fn addresses_outside_all_chunks_and_the_volume_are_named() {
    let sample = Sample::single();
    let mut image = sample.patched();
    image.put_sound(&sample.superblock, SUPERBLOCK, 0x50, &(1_u64 << 60).to_le_bytes());
    assert_eq!(error(&image).to_string(), "tree block 1152921504606846976: no chunk holds it");
    // The first chunk of the array: its stripe's offset is 17 + 48 + 8 bytes in.
    let mut image = sample.patched();
    image.put_sound(&sample.superblock, SUPERBLOCK, 0x32b + 73, &(1_u64 << 50).to_le_bytes());
    let error = error(&image);
    let text = error.to_string();
    assert!(
        text.starts_with("4096 bytes that btrfs has outside the 33554432 bytes of the volume (at"),
        "{text}"
    );
    assert_eq!(
        error.hint_text(),
        Some("the image may have been cut off: compare its size with the original's")
    );
}
