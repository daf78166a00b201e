//! btrfs from the superblock to file content. `cfg(fuzzing)` turns the verification of checksums
//! off, which no fuzzer guesses.
//!
//! The smallest btrfs has 16 MiB, nearly all of it zeroes. An input is therefore only the blocks
//! that are not: each a number of 4 bytes and 4 KiB to be found at that multiple of 4 KiB. Seeds
//! are made in that form from `mkfs.btrfs --mixed --nodesize 4096`.

#![no_main]

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use kiln_disk::{BlockSource, Error, Kind, Result};

/// Of one input: enough to get everywhere, not enough to be slow.
const MAX_NODES: usize = 200;
const MAX_ENTRIES: usize = 1000;
const BLOCK_BYTES: usize = 4096;
const IMAGE_BYTES: u64 = 32 << 20;

#[derive(Debug)]
struct Sparse(HashMap<u64, Vec<u8>>);

impl Sparse {
    fn new(input: &[u8]) -> Self {
        let records = input.chunks_exact(4 + BLOCK_BYTES).map(|record| {
            let (number, block) = record.split_at(4);
            let number = u32::from_le_bytes(number.try_into().expect("split at 4"));
            (u64::from(number), block.to_vec())
        });
        Self(records.collect())
    }
}

impl BlockSource for Sparse {
    fn size_bytes(&self) -> u64 {
        IMAGE_BYTES
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > IMAGE_BYTES) {
            return Err(Error::new(Kind::OutOfRange, "outside the image"));
        }
        buf.fill(0);
        let (mut at, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let within = (at % BLOCK_BYTES as u64) as usize;
            let n = rest.len().min(BLOCK_BYTES - within);
            let (now, later) = rest.split_at_mut(n);
            if let Some(block) = self.0.get(&(at / BLOCK_BYTES as u64)) {
                now.copy_from_slice(&block[within..within + n]);
            }
            (at, rest) = (at + n as u64, later);
        }
        Ok(())
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(fs) = kiln_volume::open_btrfs(Arc::new(Sparse::new(data))) else { return };
    let mut pending = vec![fs.root()];
    if let Ok(subvolumes) = fs.subvolumes() {
        pending.extend(subvolumes.iter().map(|subvolume| subvolume.root));
    }
    let mut buf = vec![0; 9000];
    for _ in 0..MAX_NODES {
        let Some(node) = pending.pop() else { break };
        let _ = fs.xattrs(node);
        let _ = fs.read_link(node);
        let size_bytes = fs.stat(node).map_or(0, |stat| stat.size_bytes);
        for offset in [0, size_bytes / 2, size_bytes.saturating_sub(10)] {
            let _ = fs.read_at(node, offset, &mut buf);
        }
        let mut n = 0;
        let _ = fs.read_dir(node, &mut |entry| {
            let _ = fs.lookup(node, &entry.name);
            pending.push(entry.node);
            n += 1;
            if n < MAX_ENTRIES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
    }
});
