//! FAT12, FAT16 and FAT32, read only: the EFI system partition.
//!
//! There are no inodes: a node's number is the byte of its directory entry on the volume, and 1
//! the root directory. Names compare without regard to case, as every firmware does. Owner and
//! mode are what Linux shows by default: root, 0755.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use kiln_disk::{Error, Kind, Result, Source};

use self::bpb::Bpb;
use self::directory::{ENTRY_BYTES, Entry, Meta, Reader, Step};
use self::table::{ClusterRun, Table};
use crate::field::{length_u64, read_up_to};
use crate::fs::{DirEntry, FileType, Filesystem, FsInfo, FsKind, Node, Stat, Xattr};

pub(crate) mod bpb;
mod directory;
mod table;

const ROOT: u64 = 1;
/// Linux refuses to grow a directory beyond this (`FAT_MAX_DIR_SIZE`).
const MAX_DIRECTORY_BYTES: u64 = 2 << 20;

/// A chain with what it was followed for: its first cluster and the number of clusters.
type CachedChain = ((u32, u32), Arc<[ClusterRun]>);

/// A FAT filesystem.
#[derive(Debug)]
pub(crate) struct Fat {
    source: Source,
    bpb: Bpb,
    table: Table,
    info: FsInfo,
    /// The chain of the file that was read last: files are read in order, and a chain can only be
    /// followed from its start.
    last_chain: Mutex<Option<CachedChain>>,
}

/// Open the FAT filesystem on `source`.
///
/// # Errors
///
/// `Corrupt` where the boot sector cannot be that of a FAT, or the table is not on the volume.
pub(crate) fn open(source: Source) -> Result<Arc<dyn Filesystem>> {
    let bpb = Bpb::decode(&read_up_to(&source, 0, 512)?)?;
    if bpb.data_start > source.size_bytes() {
        return Err(Error::corrupt(format!(
            "the FAT and the root directory end at byte {}, the volume at byte {}",
            bpb.data_start,
            source.size_bytes()
        )));
    }
    let table = Table::new(Arc::clone(&source), &bpb);
    let free = table::free_clusters(&source, &bpb);
    let mut notes = Vec::new();
    if !table.is_clean()? {
        notes.push("not cleanly unmounted".to_owned());
    }
    let info = FsInfo {
        kind: bpb.kind,
        uuid: bpb.uuid(),
        label: bpb.label.clone(),
        size_bytes: bpb.size_bytes,
        free_bytes: free.map(|n| u64::from(n).saturating_mul(u64::from(bpb.cluster_bytes))),
        free_inodes: None,
        features: Vec::new(),
        notes,
        is_stale: false,
    };
    let mut fat = Fat { source, bpb, table, info, last_chain: Mutex::new(None) };
    // The label in the root directory is the one that tools change. A root directory that cannot
    // be read is told by whoever reads it.
    let mut label = None;
    let walked = fat.walk(fat.root(), &mut |_, step| match step {
        Step::Label(text) => {
            label = Some(text);
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    if walked.is_ok()
        && let Some(label) = label.filter(|label| !label.is_empty())
    {
        fat.info.label = Some(label);
    }
    Ok(Arc::new(fat))
}

impl Fat {
    fn cluster_start(&self, cluster: u32) -> u64 {
        let index = u64::from(cluster.saturating_sub(2));
        let offset = index.saturating_mul(u64::from(self.bpb.cluster_bytes));
        self.bpb.data_start.saturating_add(offset)
    }

    /// The entry that a node is the number of.
    fn meta(&self, node: Node) -> Result<Meta> {
        let entry = read_up_to(&self.source, node.ino, ENTRY_BYTES)?;
        if node.ino < self.bpb.root_start || entry.len() < ENTRY_BYTES {
            return Err(Error::new(Kind::NotFound, "no FAT directory entry here").at(node.ino));
        }
        let mut meta = Meta::decode(&entry);
        if self.bpb.kind != FsKind::Fat32 {
            meta.first_cluster &= 0xFFFF; // the upper half is FAT32's
        }
        Ok(meta)
    }

    /// The parts of the volume that hold the directory, as start and length in bytes.
    fn directory_parts(&self, dir: Node) -> Result<Vec<(u64, u64)>> {
        let first = if dir.ino == ROOT {
            if self.bpb.kind != FsKind::Fat32 {
                return Ok(vec![(self.bpb.root_start, self.bpb.root_bytes)]);
            }
            self.bpb.root_cluster
        } else {
            let meta = self.meta(dir)?;
            if !meta.is_directory() {
                return Err(Error::corrupt("not a directory").at(dir.ino));
            }
            meta.first_cluster
        };
        let cluster_bytes = u64::from(self.bpb.cluster_bytes);
        let limit = MAX_DIRECTORY_BYTES.div_ceil(cluster_bytes.max(1));
        let runs = self.table.chain(first, u32::try_from(limit).unwrap_or(u32::MAX))?;
        Ok(runs
            .iter()
            .map(|&(cluster, n)| {
                (self.cluster_start(cluster), u64::from(n).saturating_mul(cluster_bytes))
            })
            .collect())
    }

    /// Call `each` with the byte of every entry of `dir` and what it holds.
    fn walk(&self, dir: Node, each: &mut dyn FnMut(u64, Step) -> ControlFlow<()>) -> Result<()> {
        /// Directories are read in pieces: most end within the first.
        const PIECE_BYTES: u64 = 16 << 10;
        let mut reader = Reader::default();
        for (start, length) in self.directory_parts(dir)? {
            let mut done = 0;
            while done < length {
                let at = start.saturating_add(done);
                let piece = PIECE_BYTES.min(length.saturating_sub(done));
                let mut bytes = vec![0; usize::try_from(piece).unwrap_or(0)];
                self.source.read_at(at, &mut bytes)?;
                for (entry, entry_at) in bytes.chunks_exact(ENTRY_BYTES).zip((at..).step_by(32)) {
                    match reader.step(entry) {
                        Step::End => return Ok(()),
                        step => {
                            if each(entry_at, step).is_break() {
                                return Ok(());
                            }
                        }
                    }
                }
                done = done.saturating_add(piece);
            }
        }
        Ok(())
    }

    fn chain(&self, meta: Meta) -> Result<Arc<[ClusterRun]>> {
        let n_clusters = meta.size_bytes.div_ceil(self.bpb.cluster_bytes.max(1));
        let wanted = (meta.first_cluster, n_clusters);
        let mut last = self.last_chain.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((cached, runs)) = &*last
            && *cached == wanted
        {
            return Ok(Arc::clone(runs));
        }
        let runs: Arc<[ClusterRun]> = self.table.chain(meta.first_cluster, n_clusters)?.into();
        *last = Some((wanted, Arc::clone(&runs)));
        Ok(runs)
    }

    /// Where byte `offset` of a chain is on the volume, and how far the run goes on.
    fn locate(&self, runs: &[ClusterRun], offset: u64) -> Option<(u64, u64)> {
        let mut before = 0_u64;
        for &(cluster, n) in runs {
            let length = u64::from(n).saturating_mul(u64::from(self.bpb.cluster_bytes));
            if let Some(within) = offset.checked_sub(before).filter(|&within| within < length) {
                let at = self.cluster_start(cluster).saturating_add(within);
                return Some((at, length.saturating_sub(within)));
            }
            before = before.saturating_add(length);
        }
        None
    }
}

fn node(ino: u64) -> Node {
    Node { tree: 0, ino }
}

/// Whether two names are the same for a FAT.
fn same_name(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase()
}

impl Filesystem for Fat {
    fn info(&self) -> &FsInfo {
        &self.info
    }

    fn root(&self) -> Node {
        node(ROOT)
    }

    fn lookup(&self, dir: Node, name: &[u8]) -> Result<Option<Node>> {
        let Ok(name) = std::str::from_utf8(name) else { return Ok(None) };
        let mut found = None;
        self.walk(dir, &mut |at, step| match step {
            Step::Entry(Entry { name: long, short_name, .. })
                if same_name(&long, name) || same_name(&short_name, name) =>
            {
                found = Some(node(at));
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        })?;
        Ok(found)
    }

    fn stat(&self, node: Node) -> Result<Stat> {
        let stat = |file_type, size_bytes, mtime_s| Stat {
            file_type,
            mode: 0o755,
            uid: 0,
            gid: 0,
            size_bytes,
            n_links: 1,
            mtime_s,
            immutable: false,
            device: None,
        };
        if node.ino == ROOT {
            return Ok(stat(FileType::Directory, 0, 0));
        }
        let meta = self.meta(node)?;
        Ok(if meta.is_directory() {
            stat(FileType::Directory, 0, meta.mtime_s)
        } else {
            stat(FileType::Regular, u64::from(meta.size_bytes), meta.mtime_s)
        })
    }

    fn read_at(&self, node: Node, offset: u64, buf: &mut [u8]) -> Result<usize> {
        if node.ino == ROOT {
            return Err(Error::corrupt("the root directory is no file"));
        }
        let meta = self.meta(node)?;
        let size = u64::from(meta.size_bytes);
        if meta.is_directory() {
            return Err(Error::corrupt("a directory is no file").at(node.ino));
        }
        let wanted = size.saturating_sub(offset).min(length_u64(buf.len()));
        if wanted == 0 {
            return Ok(0);
        }
        let runs = self.chain(meta)?;
        let mut done = 0_u64;
        let mut rest = buf;
        while done < wanted {
            let at = offset.saturating_add(done);
            let (start, available) = self.locate(&runs, at).ok_or_else(|| {
                let message = format!("a file of {size} bytes has clusters for {at} only");
                Error::corrupt(message).at(node.ino)
            })?;
            let n = usize::try_from(available.min(wanted.saturating_sub(done))).unwrap_or(0);
            let (now, later) = std::mem::take(&mut rest).split_at_mut(n);
            self.source.read_at(start, now)?;
            done = done.saturating_add(length_u64(n));
            rest = later;
        }
        Ok(usize::try_from(done).unwrap_or(0))
    }

    fn read_dir(&self, dir: Node, each: &mut dyn FnMut(DirEntry) -> ControlFlow<()>) -> Result<()> {
        self.walk(dir, &mut |at, step| match step {
            Step::Entry(Entry { name, meta, .. }) => {
                let is_dir = meta.is_directory();
                let file_type = if is_dir { FileType::Directory } else { FileType::Regular };
                let name = name.into_bytes();
                each(DirEntry { name, node: node(at), file_type: Some(file_type) })
            }
            _ => ControlFlow::Continue(()),
        })
    }

    fn read_link(&self, node: Node) -> Result<Vec<u8>> {
        Err(Error::unsupported("FAT has no symbolic links").at(node.ino))
    }

    fn xattrs(&self, _: Node) -> Result<Vec<Xattr>> {
        Ok(Vec::new())
    }
}
