//! Thousands of spoiled images with checksums that fit: none may panic, hang or eat memory. What
//! the fuzzer cannot do, as it would have to guess the checksums.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kiln_disk::{BlockSource, MemSource, Source};
use kiln_fixtures::mounted::CountingSource;
use kiln_fixtures::walk::exercise;

use crate::image::{Image, Structure, small, structures};

/// An image with some of its structures replaced.
struct Patched {
    sound: Source,
    patches: BTreeMap<usize, Vec<u8>>,
}

impl fmt::Debug for Patched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Patched({:?})", self.patches.keys())
    }
}

impl BlockSource for Patched {
    fn size_bytes(&self) -> u64 {
        self.sound.size_bytes()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> kiln_disk::Result<()> {
        self.sound.read_at(offset, buf)?;
        let start = usize::try_from(offset).unwrap();
        for (&at, patch) in &self.patches {
            let (from, to) = (at.max(start), (at + patch.len()).min(start + buf.len()));
            if from < to {
                buf[from - start..to - start].copy_from_slice(&patch[from - at..to - at]);
            }
        }
        Ok(())
    }
}

/// A generator that is good enough to choose bytes (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit).unwrap()).unwrap()
    }
}

/// Spoil up to six bytes, most of them where they are not zero: those mean something.
fn spoil(bytes: &mut [u8], random: &mut Random) {
    for _ in 0..=random.below(6) {
        let mut at = random.below(bytes.len());
        for _ in 0..20 {
            if bytes[at] != 0 {
                break;
            }
            at = random.below(bytes.len());
        }
        bytes[at] = match random.below(5) {
            0 => 0,
            1 => 0xff,
            2 => bytes[at].wrapping_add(1),
            3 => bytes[random.below(bytes.len())],
            _ => random.0.to_le_bytes()[7],
        };
    }
}

/// Read what there is of each spoiled image, and say how many could be opened.
fn run(sound: &[u8], places: &[Structure], has_crc: bool, rounds: usize) -> usize {
    let source = MemSource::shared(sound);
    let mut random = Random(0x6b69_6c6e);
    let mut n_opened = 0;
    for round in 0..rounds {
        let mut patches = BTreeMap::new();
        for _ in 0..=random.below(3) {
            let place = places[random.below(places.len())];
            let mut bytes = sound[place.at..place.at + place.length].to_vec();
            spoil(&mut bytes, &mut random);
            if has_crc {
                place.mend(&mut bytes);
            }
            patches.insert(place.at, bytes);
        }
        let patched = Arc::new(Patched { sound: Arc::clone(&source), patches });
        let counting = CountingSource::new(patched.clone());
        let start = Instant::now();
        if let Ok(fs) = kiln_volume::open_xfs(counting.clone()) {
            exercise(&*fs, 200);
            n_opened += 1;
        }
        let (_, n_bytes) = counting.take_counts();
        assert!(n_bytes < 64 << 20, "round {round}: {n_bytes} bytes read of {patched:?}");
        let took = start.elapsed();
        assert!(took < Duration::from_secs(5), "round {round}: {took:?} for {patched:?}");
    }
    n_opened
}

#[test]
fn spoiled_structures_with_checksums_that_fit() {
    let sound = small().bytes();
    let all = structures(&sound);
    for magic in [b"IN", b"DB", b"DD", b"BM", b"SL", b"AR", b"\x3b\xee"] {
        assert!(all.iter().any(|found| &found.magic == magic), "{magic:?}");
    }
    // There are hundreds of empty inodes and one of most other things: each kind gets its turn.
    let is_used = |found: &&Structure| &found.magic != b"IN" || sound[found.at + 2] != 0;
    let used: Vec<_> = all.iter().filter(is_used).copied().collect();
    let n_opened = run(&sound, &used, true, 2000);
    assert!(n_opened > 1500, "only {n_opened} opened, nothing was tried");
    let others: Vec<_> = used.iter().filter(|found| &found.magic != b"IN").copied().collect();
    let n_opened = run(&sound, &others, true, 2000);
    assert!(n_opened > 1500, "only {n_opened} opened, nothing was tried");
}

#[test]
fn spoiled_superblocks_and_logs() {
    let sound = small().bytes();
    let superblock: Vec<_> =
        structures(&sound).into_iter().filter(|found| &found.magic == b"XF").collect();
    let n_opened = run(&sound, &superblock, true, 3000);
    assert!(n_opened > 300, "only {n_opened} opened, nothing was tried");
}

/// Version 4 has no checksums: nothing stands between a reader and what the image claims.
#[test]
fn spoiled_version_4() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("prototype");
    let mut text = "/\n0 0\nd--755 0 0\n".to_owned();
    for (name, n) in [("local", 2), ("block", 20), ("leaf", 120)] {
        text.push_str(&format!("{name} d--750 3 4\n"));
        for number in 0..n {
            let file = format!("{}-{number:05} ---640 5 6 /etc/passwd\n", "n".repeat(40));
            text.push_str(&file);
        }
        text.push_str("$\n");
    }
    text.push_str(&format!("short l--777 0 0 x\nlong l--777 0 0 {}\n$\n", "a/".repeat(400)));
    std::fs::write(&path, text).unwrap();
    let options = format!("-m crc=0 -i size=256 -b size=1024 -p {}", path.display());
    let sound = Image::make(&options, 32).bytes();
    let place = |(n, block): (usize, &[u8])| {
        let is_metadata = block.starts_with(b"IN") || block.starts_with(b"XD");
        let whole = Structure { at: n * 256, length: 256, crc_at: 0, magic: *b"--", owner: 0 };
        is_metadata.then_some(whole)
    };
    let places: Vec<_> = sound.chunks_exact(256).enumerate().filter_map(place).collect();
    assert!(places.len() > 100, "{}", places.len());
    let n_opened = run(&sound, &places, false, 3000);
    assert_eq!(n_opened, 3000, "no superblock was spoiled");
}
