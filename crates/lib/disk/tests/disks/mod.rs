//! A patterned sparse disk, its conversions, and the comparison with them.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use kiln_disk::{BlockSource, ExtentKind, map};

/// 40 MiB and a bit: no cluster, grain or block size divides it.
pub(crate) const SIZE_BYTES: u64 = (40 << 20) + 3 * 512;

/// A folder with a raw disk in it.
pub(crate) struct Disks {
    folder: tempfile::TempDir,
    raw: PathBuf,
    bytes: Vec<u8>,
}

impl Disks {
    /// Runs of numbered, random and zero bytes, at round and at odd offsets, over holes.
    pub(crate) fn new() -> Self {
        let parts = [
            (0, 4096),
            (65_536, 65_536),
            (1 << 20, 3 << 20),
            ((5 << 20) + 512, 700),
            (8 << 20, 2 << 20),
            ((17 << 20) + 4096, 123_456),
            ((31 << 20) - 512, 2_500_000),
            (SIZE_BYTES - 1024, 1024),
        ];
        Self::with(SIZE_BYTES, &parts)
    }

    /// A disk of 1 MiB, for images that are spoiled thousands of times.
    pub(crate) fn small() -> Self {
        Self::with(1 << 20, &[(0, 30_000), (500_000, 100_000), ((1 << 20) - 4096, 4096)])
    }

    fn with(size_bytes: u64, parts: &[(u64, usize)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let raw = folder.path().join("disk.raw");
        let file = std::fs::File::create(&raw).unwrap();
        file.set_len(size_bytes).unwrap();
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for (at, length) in parts {
            file.write_all_at(&pattern(*at, *length, &mut random), *at).unwrap();
        }
        let bytes = std::fs::read(&raw).unwrap();
        Self { folder, raw, bytes }
    }

    pub(crate) fn raw(&self) -> &Path {
        &self.raw
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn qemu_img(&self, arguments: &[&str]) -> Vec<u8> {
        run(Command::new("qemu-img").args(arguments))
    }

    #[track_caller]
    pub(crate) fn qemu_io(&self, image: &str, commands: &[&str]) {
        let mut command = Command::new("qemu-io");
        for line in commands {
            command.args(["-c", line]);
        }
        run(command.arg(image));
    }

    /// Convert the raw disk to `name` with `arguments`.
    #[track_caller]
    pub(crate) fn convert(&self, name: &str, arguments: &[&str]) -> PathBuf {
        let to = self.path(name);
        let raw = self.raw.to_str().unwrap();
        self.qemu_img(&[&["convert", "-f", "raw"], arguments, &[raw, &to]].concat());
        to.into()
    }

    /// What qemu-img reads from the image `name`.
    #[track_caller]
    pub(crate) fn flattened(&self, name: &str) -> Vec<u8> {
        let flat = self.path("flattened.raw");
        self.qemu_img(&["convert", "-O", "raw", &self.path(name), &flat]);
        std::fs::read(flat).unwrap()
    }

    #[track_caller]
    pub(crate) fn compare(&self, name: &str, source: &dyn BlockSource) {
        compare_bytes(name, &self.bytes, source);
    }

    /// The same data extents as qemu-img tells. Where it only knows whole blocks (`finer`), kiln's
    /// must lie inside: it also asks the file for holes. That no data is called zero has been seen
    /// by `compare_bytes`.
    #[track_caller]
    pub(crate) fn compare_map(
        &self,
        name: &str,
        image: &Path,
        source: &dyn BlockSource,
        finer: bool,
    ) {
        let told = self.qemu_img(&["map", "--output=json", image.to_str().unwrap()]);
        let told: Vec<QemuExtent> = serde_json::from_slice(&told).unwrap();
        let mut theirs: Vec<(u64, u64)> = Vec::new();
        for extent in told.iter().filter(|extent| !extent.zero) {
            match theirs.last_mut() {
                Some(last) if last.1 == extent.start => last.1 += extent.length,
                _ => theirs.push((extent.start, extent.start + extent.length)),
            }
        }
        let ours: Vec<(u64, u64)> = map(source)
            .map(|item| item.unwrap())
            .filter(|(_, extent)| extent.kind == ExtentKind::Data)
            .map(|(at, extent)| (at, at + extent.length_bytes))
            .collect();
        if finer {
            let inside =
                |(from, to): &(u64, u64)| theirs.iter().any(|t| t.0 <= *from && *to <= t.1);
            assert!(ours.iter().all(inside), "{name}: {ours:?} is not inside {theirs:?}");
        } else {
            assert_eq!(ours, theirs, "{name}: data extents, kiln's and qemu-img's");
        }
    }
}

#[derive(serde::Deserialize)]
struct QemuExtent {
    start: u64,
    length: u64,
    zero: bool,
}

/// Every byte, in reads of odd lengths, and again by what the map says.
#[track_caller]
pub(crate) fn compare_bytes(name: &str, expected: &[u8], source: &dyn BlockSource) {
    assert_eq!(source.size_bytes(), expected.len() as u64, "{name}: size");
    let mut buf = vec![0xaa; 3_000_017];
    for (n, want) in expected.chunks(buf.len()).enumerate() {
        let at = n * buf.len();
        let part = &mut buf[..want.len()];
        source.read_at(at as u64, part).unwrap();
        if let Some(wrong) = part.iter().zip(want).position(|(have, want)| have != want) {
            panic!("{name}: byte {} is {:#x}, not {:#x}", at + wrong, part[wrong], want[wrong]);
        }
    }
    let mut random = Random(7);
    for _ in 0..300 {
        let at = random.next() % source.size_bytes();
        let length = (random.next() % 9000).min(source.size_bytes() - at) as usize;
        let part = &mut buf[..length];
        source.read_at(at, part).unwrap();
        assert!(part == &expected[at as usize..][..length], "{name}: {length} bytes at {at}");
    }
    let mut next = 0;
    for item in map(source) {
        let (at, extent) = item.unwrap();
        assert_eq!(at, next, "{name}: the map has a gap");
        next = at + extent.length_bytes;
        if extent.kind == ExtentKind::Zero {
            let zero = expected[at as usize..next as usize].iter().all(|byte| *byte == 0);
            assert!(zero, "{name}: the map calls {at}..{next} zero");
        }
    }
    assert_eq!(next, source.size_bytes(), "{name}: the map ends early");
}

/// Numbered bytes, with random ones in every third 4 KiB so that not all of it compresses.
fn pattern(at: u64, length: usize, random: &mut Random) -> Vec<u8> {
    (0..length as u64)
        .map(|n| match (n / 4096) % 3 {
            2 => random.next().to_le_bytes()[3],
            _ => ((at + n) / 13 + 1).to_le_bytes()[0].max(1),
        })
        .collect()
}

/// A small generator with a fixed seed, so that a failure repeats.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[track_caller]
fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {told}");
    output.stdout
}
