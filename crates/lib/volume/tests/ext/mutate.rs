//! Thousands of spoiled images: none may panic, hang or eat memory. What the fuzzer does, with
//! seeds that are the same on every run.

use std::fs;

use kiln_disk::MemSource;
use kiln_fixtures::walk::exercise;

use crate::images::{Image, many_names, pattern};

/// A generator that is good enough to choose bytes (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// Spoil up to eight bytes, most of them where they are not zero: those mean something.
fn mutate(sound: &[u8], places: &[usize], random: &mut Random) -> Vec<u8> {
    let mut image = sound.to_vec();
    for _ in 0..=random.below(8) {
        let at = match random.below(10) {
            0 => random.below(image.len()),
            _ => places[random.below(places.len())],
        };
        image[at] = match random.below(4) {
            0 => 0,
            1 => 0xff,
            2 => image[at].wrapping_add(1),
            _ => random.below(256) as u8,
        };
    }
    image
}

fn run(name: &str, sound: &[u8], rounds: usize) {
    let places: Vec<usize> = (0..sound.len()).filter(|&at| sound[at] != 0).collect();
    let mut random = Random(0x6b69_6c6e);
    let mut n_opened = 0;
    for _ in 0..rounds {
        let image = mutate(sound, &places, &mut random);
        if let Ok(fs) = kiln_volume::open_ext(MemSource::shared(image)) {
            exercise(&*fs, 100);
            n_opened += 1;
        }
    }
    assert!(n_opened > rounds / 10, "{name}: only {n_opened} opened, nothing was tried");
}

#[test]
fn spoiled_images_neither_panic_nor_hang() {
    let tree = tempfile::tempdir().unwrap();
    fs::create_dir(tree.path().join("etc")).unwrap();
    fs::write(tree.path().join("etc/passwd"), pattern(3000, 1)).unwrap();
    fs::write(tree.path().join("large"), pattern(40_000, 2)).unwrap();
    fs::write(tree.path().join("small"), "small").unwrap();
    std::os::unix::fs::symlink("etc/passwd", tree.path().join("link")).unwrap();
    std::os::unix::fs::symlink("l".repeat(200), tree.path().join("long")).unwrap();
    many_names(&tree.path().join("many"), 30, 20).unwrap();
    let attribute = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(tree.path().join("small"), "user.x", &pattern(500, 1), attribute).unwrap();
    let from = tree.path().to_string_lossy().into_owned();
    for features in
        ["extent", "^extent,^64bit", "inline_data", "meta_bg,^resize_inode", "^filetype"]
    {
        let features = format!("{features},^metadata_csum,^has_journal");
        let mkfs = ["mkfs.ext4", "-b", "1024", "-N", "64", "-O", &features, "-d", &from];
        run(&features, &Image::make(&mkfs, 256 << 10).bytes(), 1500);
    }
}

#[test]
fn spoiled_journals_neither_panic_nor_hang() {
    let image = Image::make(
        &["mkfs.ext4", "-b", "1024", "-O", "^metadata_csum,^64bit", "-J", "size=1", "-N", "64"],
        4 << 20,
    );
    let mounted = image.mount("data=journal");
    many_names(&mounted.join("many"), 20, 20).unwrap();
    fs::remove_file(mounted.join("many").join(format!("00003-{}", "m".repeat(20)))).unwrap();
    fs::File::open(mounted.join("many")).unwrap().sync_all().unwrap();
    let bytes = image.bytes();
    drop(mounted);
    let features = &kiln_volume::open_ext(MemSource::shared(bytes.clone())).unwrap();
    assert!(features.info().notes.iter().any(|note| note.starts_with("journal replayed")));
    run("journal", &bytes, 1000);
}
