//! What a repair did not plan must be as it was: two disks walked side by side, every entry.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use kiln_guest::Inspection;
use kiln_volume::{FileType, Tree};
use sha2::{Digest, Sha256};

use crate::images;

/// Compare the guests of two images, but for `touched` paths, and names that are only in `after`
/// and were made there as parents of such. The number of entries that are the same.
///
/// # Errors
///
/// The differences, the first ten.
pub(crate) fn compare(before: &Path, after: &Path, touched: &BTreeSet<String>) -> Result<usize> {
    let (before, after) = (images::inspect(before)?, images::inspect(after)?);
    let tree = |inspection: &Inspection| -> Result<Tree> {
        Ok(inspection.guest().context("no system on the disk")?.tree.clone())
    };
    let (before, after) = (tree(&before)?, tree(&after)?);
    let mut walk = Walk { before: &before, after: &after, touched, differences: Vec::new(), n: 0 };
    walk.directory("")?;
    let Walk { differences, n, .. } = walk;
    let first = differences.iter().take(10).map(String::as_str).collect::<Vec<_>>();
    ensure!(differences.is_empty(), "{} differ:\n{}", differences.len(), first.join("\n"));
    ensure!(n > 1000, "only {n} entries were compared");
    Ok(n)
}

struct Walk<'a> {
    before: &'a Tree,
    after: &'a Tree,
    touched: &'a BTreeSet<String>,
    differences: Vec<String>,
    n: usize,
}

impl Walk<'_> {
    fn directory(&mut self, dir: &str) -> Result<()> {
        let at = if dir.is_empty() { "/" } else { dir };
        let names = |tree: &Tree| -> Result<BTreeSet<Vec<u8>>> {
            Ok(tree.list(at)?.into_iter().map(|entry| entry.name).collect())
        };
        let (before, after) = (names(self.before)?, names(self.after)?);
        for name in before.union(&after) {
            let path = format!("{dir}/{}", String::from_utf8_lossy(name));
            if self.touched.contains(&path) {
                continue;
            }
            self.n += 1;
            let described = (describe(self.before, &path)?, describe(self.after, &path)?);
            match described {
                (Some(a), Some(b)) if a == b => {
                    if a.starts_with("Directory") {
                        self.directory(&path)?;
                    }
                }
                (a, b) => self.differences.push(format!("{path}: {a:?} became {b:?}")),
            }
        }
        Ok(())
    }
}

/// Type, mode, owner, attributes, content.
fn describe(tree: &Tree, path: &str) -> Result<Option<String>> {
    let Some(at) = tree.locate_link(path)? else { return Ok(None) };
    let fs = tree.filesystem(&at);
    let stat = fs.stat(at.node)?;
    let content = match stat.file_type {
        FileType::Regular => {
            let mut reader = tree.open(path)?.context("a file that was just there")?;
            let mut hash = Sha256::new();
            let mut buffer = vec![0; 1 << 20];
            loop {
                match reader.read(&mut buffer)? {
                    0 => break,
                    n => hash.update(&buffer[..n]),
                }
            }
            format!("{:x}", hash.finalize())
        }
        FileType::Symlink => String::from_utf8_lossy(&fs.read_link(at.node)?).into_owned(),
        _ => String::new(),
    };
    let mut xattrs = fs.xattrs(at.node)?;
    xattrs.sort_by(|a, b| a.name.cmp(&b.name));
    let times = if stat.file_type == FileType::Regular { stat.mtime_s } else { 0 };
    Ok(Some(format!(
        "{:?} {:04o} {}:{} {times} {} {xattrs:?} {content}",
        stat.file_type, stat.mode, stat.uid, stat.gid, stat.immutable
    )))
}
