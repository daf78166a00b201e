//! A small sound image, and changes to it whose checksums are right again.

use std::fs::{self, File};
use std::process::Command;
use std::sync::Arc;

use kiln_disk::{BlockSource, Error, MemSource, Result, Source};

use crate::btrfs::block::Pointer;
use crate::btrfs::store::Store;
use crate::btrfs::superblock::{self, Superblock};
use crate::btrfs::{open, subvolume};
use crate::fs::Filesystem;

pub(in crate::btrfs) const SUPERBLOCK: u64 = 64 << 10;
pub(in crate::btrfs) const NODE_BYTES: usize = 4096;

/// An image in memory with the files of [`populate`], in nodes of 4 KiB.
#[derive(Clone)]
pub(in crate::btrfs) struct Sample {
    bytes: Arc<[u8]>,
    pub(in crate::btrfs) superblock: Superblock,
}

impl Sample {
    pub(in crate::btrfs) fn new(size_mib: u64, options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (root, file) = (dir.path().join("root"), dir.path().join("image"));
        populate(&root);
        File::create(&file).unwrap().set_len(size_mib << 20).unwrap();
        let output = Command::new("mkfs.btrfs")
            .args(["-q", "-n", "4096"])
            .args(options)
            .arg("--rootdir")
            .args([&root, &file])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let bytes: Arc<[u8]> = fs::read(&file).unwrap().into();
        let source: Source = Arc::new(MemSource(Arc::clone(&bytes)));
        let (superblock, remark) = superblock::read(&source).unwrap();
        assert_eq!(remark, None);
        Self { bytes, superblock }
    }

    /// 32 MiB, one copy of everything.
    pub(in crate::btrfs) fn single() -> Self {
        Self::new(32, &["-M", "-m", "single", "-d", "single"])
    }

    pub(in crate::btrfs) fn patched(&self) -> Patched {
        Patched { bytes: Arc::clone(&self.bytes), patches: Vec::new() }
    }

    pub(in crate::btrfs) fn store(&self) -> Store {
        Store::open(Arc::new(self.patched()), self.superblock.clone()).unwrap()
    }

    /// The copies of the block that `pointer` leads to, by their place in the image.
    pub(in crate::btrfs) fn copies(&self, pointer: &Pointer) -> Vec<u64> {
        self.store().physical(pointer.logical)
    }

    pub(in crate::btrfs) fn top_level(&self) -> Pointer {
        subvolume::root(&self.store(), subvolume::TOP_LEVEL).unwrap().unwrap().pointer
    }

    /// Where `bytes` are in tree blocks: the block, and the byte in it.
    pub(in crate::btrfs) fn find(&self, bytes: &[u8]) -> Vec<(u64, usize)> {
        let mut found = Vec::new();
        for at in self.tree_blocks() {
            let start = usize::try_from(at).unwrap();
            let block = &self.bytes[start..start + NODE_BYTES];
            let here = block.windows(bytes.len()).enumerate().filter(|(_, b)| *b == bytes);
            found.extend(here.map(|(within, _)| (at, within)));
        }
        found
    }

    /// Every tree block of the image, in use or not.
    pub(in crate::btrfs) fn tree_blocks(&self) -> Vec<u64> {
        let starts = (0..self.bytes.len()).step_by(NODE_BYTES);
        starts
            .filter(|&at| {
                let block = &self.bytes[at..at + NODE_BYTES];
                block[0x20..0x30] == self.superblock.metadata_uuid
                    && block[0x40..0x48] != *b"_BHRfS_M"
                    && self.superblock.checksum.verify(block).is_ok()
            })
            .map(|at| at as u64)
            .collect()
    }
}

/// Directories deep and wide enough for a tree of three levels.
fn populate(root: &std::path::Path) {
    fs::create_dir_all(root.join("etc/deep")).unwrap();
    fs::write(root.join("etc/hostname"), "guest\n").unwrap();
    fs::write(root.join("etc/deep/data"), "0123456789".repeat(10_000)).unwrap();
    std::os::unix::fs::symlink("../etc/hostname", root.join("etc/link")).unwrap();
    for n in 0..600 {
        fs::write(root.join(format!("etc/deep/a rather long name of a file, {n}")), "x").unwrap();
    }
}

/// An image with changes on top.
#[derive(Clone)]
pub(in crate::btrfs) struct Patched {
    bytes: Arc<[u8]>,
    patches: Vec<(u64, Vec<u8>)>,
}

impl Patched {
    /// Put `patch` at byte `at`, without minding checksums.
    pub(in crate::btrfs) fn put(&mut self, at: u64, patch: &[u8]) {
        self.patches.push((at, patch.to_vec()));
    }

    /// Put `patch` at byte `within` the block of `length` bytes at `block`, and its checksum right.
    pub(in crate::btrfs) fn put_sound(
        &mut self,
        sb: &Superblock,
        block: u64,
        within: usize,
        patch: &[u8],
    ) {
        let length = if block == SUPERBLOCK { 4096 } else { NODE_BYTES };
        let mut bytes = vec![0; length];
        self.read_at(block, &mut bytes).unwrap();
        bytes[within..within + patch.len()].copy_from_slice(patch);
        let checksum = sb.checksum.of(&bytes[32..]);
        bytes[..checksum.len()].copy_from_slice(&checksum);
        self.patches.retain(|(at, old)| (*at, old.len()) != (block, length));
        self.patches.push((block, bytes));
    }

    pub(in crate::btrfs) fn open(&self) -> Result<Arc<dyn Filesystem>> {
        open(Arc::new(self.clone()))
    }
}

impl std::fmt::Debug for Patched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} patches", self.patches.len())
    }
}

impl BlockSource for Patched {
    fn size_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let outside = || Error::new(kiln_disk::Kind::OutOfRange, "outside the image");
        let start = usize::try_from(offset).map_err(|_| outside())?;
        let end = start.checked_add(buf.len()).ok_or_else(outside)?;
        buf.copy_from_slice(self.bytes.get(start..end).ok_or_else(outside)?);
        for (at, patch) in &self.patches {
            let at = usize::try_from(*at).unwrap();
            let (from, to) = (at.max(start), (at + patch.len()).min(end));
            if from < to {
                buf[from - start..to - start].copy_from_slice(&patch[from - at..to - at]);
            }
        }
        Ok(())
    }
}
