//! Everything that a scan offers, used once: what the fuzz targets and the mutation tests call.

use std::ops::ControlFlow;
use std::sync::Arc;

use kiln_disk::Source;

use crate::fs::{FileType, Filesystem, Node};
use crate::scan::scan;

/// A walk visits as many nodes: enough for every sample, and an end for a directory that holds
/// itself.
const MAX_NODES: u32 = 512;
/// What is read of one file.
const READ_BYTES: usize = 16 << 10;

/// Scan `disk`, read a little of every volume, walk every filesystem. For tests: errors are
/// swallowed, a panic or a loop is what the caller looks for. Returns the number of volumes and
/// nodes seen, so that a caller can tell that its sound sample is one.
#[doc(hidden)]
pub fn exercise_volumes(disk: Source) -> u32 {
    let layout = scan(&[disk]);
    let mut n_seen = 0_u32;
    for volume in &layout.volumes {
        n_seen = n_seen.saturating_add(1);
        let mut buf = vec![0; 4096];
        for offset in [0, volume.source.size_bytes() / 2] {
            let _ = volume.source.read_at(offset, &mut buf);
            let _ = volume.source.extent_at(offset);
        }
        if let Ok(filesystem) = volume.open() {
            n_seen = n_seen.saturating_add(exercise_filesystem(&filesystem));
        }
    }
    n_seen
}

/// Walk `filesystem` from its root, a bounded number of nodes far. Returns how many.
#[doc(hidden)]
pub fn exercise_filesystem(filesystem: &Arc<dyn Filesystem>) -> u32 {
    let mut pending: Vec<Node> = vec![filesystem.root()];
    let mut n_seen = 0_u32;
    while let Some(node) = pending.pop()
        && n_seen < MAX_NODES
    {
        n_seen = n_seen.saturating_add(1);
        let _ = filesystem.xattrs(node);
        let Ok(stat) = filesystem.stat(node) else { continue };
        match stat.file_type {
            FileType::Directory => {
                let mut last = None;
                let _ = filesystem.read_dir(node, &mut |entry| {
                    pending.push(entry.node);
                    last = Some(entry.name);
                    if pending.len() > 4096 {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                });
                let _ = filesystem.lookup(node, &last.unwrap_or_else(|| b"none".to_vec()));
            }
            FileType::Symlink => drop(filesystem.read_link(node)),
            _ => {
                let mut buf = vec![0; READ_BYTES];
                let _ = filesystem.read_at(node, 0, &mut buf);
                let _ = filesystem.read_at(node, stat.size_bytes / 2, &mut buf);
            }
        }
    }
    n_seen
}
