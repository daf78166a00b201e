//! Thousands of random changes whose checksums are right again, so that they reach the depths.
//! Whatever an image says, reading it must end, soon, and without a panic.

use std::io::Write;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::sample::{NODE_BYTES, SUPERBLOCK, Sample};
use crate::btrfs::compress::Compression;
use crate::btrfs::lzo;
use crate::fs::{Filesystem, Node};

/// Numbers that are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % end
    }
}

/// Everything that can be asked of a filesystem, of up to 100 nodes.
fn walk(fs: &dyn Filesystem) {
    let mut pending = vec![fs.root()];
    if let Ok(subvolumes) = fs.subvolumes() {
        pending.extend(subvolumes.iter().map(|subvolume| subvolume.root));
    }
    pending.push(Node { tree: 5, ino: 2 });
    let mut buf = vec![0; 9000];
    for _ in 0..100 {
        let Some(node) = pending.pop() else { break };
        let _ = fs.xattrs(node);
        let _ = fs.read_link(node);
        let size_bytes = fs.stat(node).map_or(0, |stat| stat.size_bytes);
        for offset in [0, size_bytes / 2, size_bytes.saturating_sub(10), u64::MAX - 5] {
            let _ = fs.read_at(node, offset, &mut buf);
        }
        let mut n = 0;
        let _ = fs.read_dir(node, &mut |entry| {
            let _ = fs.lookup(node, &entry.name);
            pending.push(entry.node);
            n += 1;
            if n < 700 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
    }
}

#[test]
fn no_mutation_panics_or_takes_long() {
    let sample = Sample::single();
    let mut blocks = sample.tree_blocks();
    assert!(blocks.len() > 20, "{} tree blocks", blocks.len());
    blocks.push(SUPERBLOCK);
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let (mut n_opened, n_rounds) = (0, 2000);
    for round in 0..n_rounds {
        let mut image = sample.patched();
        for _ in 0..=random.below(3) {
            let block = blocks[random.below(blocks.len())];
            // Most of what decides is in the header and the heads of items after it.
            let span = [101, 300, 1000, NODE_BYTES - 8][random.below(4)];
            let patch: &[u8] = match random.below(6) {
                0 => &[0],
                1 => &[255],
                2 => &[255; 4],
                3 => &[1, 0, 0, 0, 0, 0, 0, 0],
                4 => &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
                _ => &[u8::try_from(random.below(256)).unwrap()],
            };
            image.put_sound(&sample.superblock, block, 32 + random.below(span - 32), patch);
        }
        let start = Instant::now();
        if let Ok(fs) = image.open() {
            n_opened += 1;
            walk(&*fs);
        }
        assert!(start.elapsed() < Duration::from_secs(20), "round {round} took too long");
    }
    assert!(n_opened > n_rounds / 10, "only {n_opened} were opened: the rest proves little");
}

/// Sound streams, framed as LZO is, with a byte of each changed.
#[test]
fn no_compressed_extent_panics() {
    let mut random = Random(0x6a09_e667_f3bc_c909);
    let text: Vec<u8> =
        (0..9000).map(|n| if n % 7 < 3 { b'x' } else { u8::try_from(n % 251).unwrap() }).collect();
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&text).unwrap();
    let segment = [&[4, 0, 0, 0, 17 + 1, b'a', 32, 0, 0][..], &[17, 0, 0]].concat();
    let streams = [
        (Compression::Zlib, encoder.finish().unwrap()),
        (Compression::Zstd, zstd::bulk::compress(&text, 1).unwrap()),
        (Compression::Lzo, [&40_u32.to_le_bytes()[..], &segment.repeat(3)].concat()),
    ];
    for (compression, stream) in streams {
        for _ in 0..3000 {
            let mut spoiled = stream.clone();
            let at = random.below(spoiled.len());
            spoiled[at] = u8::try_from(random.below(256)).unwrap();
            if let Ok(unpacked) = compression.unpack(&spoiled, text.len(), 4096) {
                assert_eq!(unpacked.len(), text.len());
            }
        }
    }
}

#[test]
fn no_lzo_stream_panics() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut room, mut n_sound) = (vec![0; 4096], 0);
    for _ in 0..50_000 {
        let length = random.below(200);
        let mut packed: Vec<u8> =
            (0..length).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
        packed.extend([17, 0, 0]);
        n_sound += usize::from(lzo::unpack(&packed, &mut room).is_ok());
    }
    assert!(n_sound > 100, "only {n_sound} streams were sound to the end");
}
