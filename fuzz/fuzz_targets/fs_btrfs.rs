//! btrfs from the superblock to file content. `cfg(fuzzing)` turns the verification of checksums
//! off, which no fuzzer guesses.
#![no_main]

use std::ops::ControlFlow;

use kiln_fuzz::Sparse;

/// Of one input: enough to get everywhere, not enough to be slow.
const MAX_NODES: usize = 200;
const MAX_ENTRIES: usize = 1000;
const IMAGE_BYTES: u64 = 32 << 20;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(fs) = kiln_volume::open_btrfs(Sparse::shared(data, IMAGE_BYTES)) else { return };
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
