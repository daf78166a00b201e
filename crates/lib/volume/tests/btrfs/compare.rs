//! One tree seen twice: by kiln and by the kernel.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::Path;

use kiln_volume::{FileType, Filesystem, Node, Stat};

/// Compare all that is below the root; how many paths there were.
pub(crate) fn tree(fs: &dyn Filesystem, mounted: &Path) -> usize {
    subtree(fs, fs.root(), mounted)
}

/// As [`tree`], from the directory `root` on.
pub(crate) fn subtree(fs: &dyn Filesystem, root: Node, mounted: &Path) -> usize {
    let mut n = 0;
    let mut pending = vec![(root, mounted.to_owned())];
    while let Some((node, path)) = pending.pop() {
        n += 1;
        let stat = fs.stat(node).unwrap();
        let metadata = fs::symlink_metadata(&path).unwrap();
        assert_eq!(facts_of_kiln(&stat), facts_of_kernel(&metadata), "{path:?}");
        // The kernel makes up the attributes and the owner of the directory in a snapshot.
        if metadata.ino() != 2 {
            assert_eq!(node.ino, metadata.ino(), "{path:?}");
            assert_eq!(stat.mtime_s, metadata.mtime(), "{path:?}");
        }
        assert_eq!(attributes_of_kiln(fs, node), attributes_of_kernel(&path), "{path:?}");
        match stat.file_type {
            FileType::Regular => content(fs, node, &path, stat.size_bytes),
            FileType::Symlink => {
                let target = fs::read_link(&path).unwrap();
                assert_eq!(fs.read_link(node).unwrap(), target.as_os_str().as_bytes(), "{path:?}");
            }
            FileType::Directory => {
                let names = names(fs, node, &path);
                pending.extend(
                    names
                        .into_iter()
                        .map(|(name, node)| (node, path.join(std::ffi::OsStr::from_bytes(&name)))),
                );
            }
            _ => {}
        }
    }
    n
}

type Facts = (FileType, u16, u32, u32, u64, u64, Option<(u32, u32)>);

fn facts_of_kiln(stat: &Stat) -> Facts {
    let n_links = u64::from(stat.n_links);
    (stat.file_type, stat.mode, stat.uid, stat.gid, stat.size_bytes, n_links, stat.device)
}

fn facts_of_kernel(metadata: &Metadata) -> Facts {
    let file_type = FileType::from_mode(metadata.mode()).unwrap();
    let mode = u16::try_from(metadata.mode() & 0o7777).unwrap();
    let kind = metadata.file_type();
    let rdev = metadata.rdev();
    let device = (kind.is_block_device() || kind.is_char_device())
        .then(|| (rustix::fs::major(rdev), rustix::fs::minor(rdev)));
    let (uid, gid) = (metadata.uid(), metadata.gid());
    (file_type, mode, uid, gid, metadata.len(), metadata.nlink(), device)
}

/// The names in `dir`, which must be the kernel's, and must be found one by one too.
fn names(fs: &dyn Filesystem, dir: Node, path: &Path) -> BTreeMap<Vec<u8>, Node> {
    let mut names = BTreeMap::new();
    fs.read_dir(dir, &mut |entry| {
        assert_eq!(fs.lookup(dir, &entry.name).unwrap(), Some(entry.node), "{entry:?}");
        assert_eq!(entry.file_type, Some(fs.stat(entry.node).unwrap().file_type), "{entry:?}");
        assert!(names.insert(entry.name, entry.node).is_none(), "a name came twice");
        ControlFlow::Continue(())
    })
    .unwrap();
    let mut kernel: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().as_bytes().to_vec())
        .collect();
    kernel.sort();
    assert_eq!(names.keys().cloned().collect::<Vec<_>>(), kernel, "{path:?}");
    assert_eq!(fs.lookup(dir, b"no such name").unwrap(), None);
    names
}

/// Everything is compared in pieces of one size, then in pieces that fit no extent. Of a large
/// file, which is all hole here, the first is enough.
fn content(fs: &dyn Filesystem, node: Node, path: &Path, size_bytes: u64) {
    let file = File::open(path).unwrap();
    let pieces: &[usize] = if size_bytes > 64 << 20 { &[8 << 20] } else { &[1 << 20, 51_111] };
    for &piece in pieces {
        let (mut ours, mut theirs) = (vec![1; piece], vec![2; piece]);
        let mut at = 0;
        while at < size_bytes {
            let n = usize::try_from(size_bytes - at).unwrap().min(piece);
            assert_eq!(fs.read_at(node, at, &mut ours).unwrap(), n, "{path:?} at {at}");
            file.read_exact_at(&mut theirs[..n], at).unwrap();
            if ours[..n] != theirs[..n] {
                let index = ours.iter().zip(&theirs).position(|(a, b)| a != b).unwrap();
                panic!("{path:?} differs at byte {}", at + index as u64);
            }
            at += n as u64;
        }
        assert_eq!(fs.read_at(node, size_bytes, &mut ours).unwrap(), 0, "{path:?} at its end");
    }
}

type Attributes = BTreeMap<Vec<u8>, Vec<u8>>;

fn attributes_of_kiln(fs: &dyn Filesystem, node: Node) -> Attributes {
    fs.xattrs(node).unwrap().into_iter().map(|xattr| (xattr.name, xattr.value)).collect()
}

fn attributes_of_kernel(path: &Path) -> Attributes {
    let mut list = vec![0; 1 << 16];
    let n = rustix::fs::llistxattr(path, list.as_mut_slice()).unwrap();
    let names = list[..n].split(|&byte| byte == 0).filter(|name| !name.is_empty());
    names
        .map(|name| {
            let mut value = vec![0; 1 << 16];
            let n = rustix::fs::lgetxattr(path, name, value.as_mut_slice()).unwrap();
            (name.to_vec(), value[..n].to_vec())
        })
        .collect()
}
