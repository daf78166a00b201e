//! Version 4: without checksums, and perhaps without types in directories. Kernels no longer mount
//! it, so the trees are written by `mkfs.xfs -p` and read by `xfs_db` for comparison.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::ControlFlow;

use kiln_volume::{DirEntry, FileType, Filesystem, Node};

use crate::image::Image;

/// A prototype of a tree: mkfs.xfs(8), `-p`.
fn prototype(content: &str) -> String {
    let mut text = "/\n0 0\nd--755 0 0\n".to_owned();
    for (name, n) in [("local", 3), ("block", 30), ("leaf", 300), ("node", 3000)] {
        writeln!(text, "{name} d--750 3 4").unwrap();
        for number in 0..n {
            writeln!(text, "name-{number:05} ---640 5 6 /dev/null").unwrap();
        }
        text.push_str("$\n");
    }
    write!(
        text,
        "file -u-755 7 70000 {content}\nshort l--777 0 0 target\nlong l--777 0 0 {}\n\
         pipe p--600 0 0\nchars c--620 0 5 5 300\nblocks b--660 0 6 8 1\n$\n",
        "a/".repeat(450)
    )
    .unwrap();
    text
}

fn names(fs: &dyn Filesystem, dir: Node) -> BTreeMap<String, DirEntry> {
    let mut names = BTreeMap::new();
    fs.read_dir(dir, &mut |entry| {
        names.insert(entry.name_lossy(), entry);
        ControlFlow::Continue(())
    })
    .unwrap();
    names
}

fn reads_the_prototype(options: &str, has_types: bool) {
    let directory = tempfile::tempdir().unwrap();
    let content: Vec<u8> =
        (0..300_001_u32).map(|n| n.to_le_bytes()[usize::from(n % 3 > 1)]).collect();
    std::fs::write(directory.path().join("content"), &content).unwrap();
    let path = directory.path().join("prototype");
    let text = prototype(&directory.path().join("content").display().to_string());
    std::fs::write(&path, text).unwrap();
    let image = Image::make(&format!("-m crc=0 {options} -p {}", path.display()), 64);
    let fs = image.open();
    let features = &fs.info().features;
    assert!(!features.iter().any(|name| name == "crc"), "{features:?}");
    let root = names(&*fs, fs.root());
    assert_eq!(root.len(), 10);
    for (name, mode, owner, file_type, device) in [
        ("local", 0o750, (3, 4), FileType::Directory, None),
        ("file", 0o4755, (7, 70000), FileType::Regular, None),
        ("short", 0o777, (0, 0), FileType::Symlink, None),
        ("pipe", 0o600, (0, 0), FileType::Fifo, None),
        ("chars", 0o620, (0, 5), FileType::CharDevice, Some((5, 300))),
        ("blocks", 0o660, (0, 6), FileType::BlockDevice, Some((8, 1))),
    ] {
        assert_eq!(root[name].file_type, has_types.then_some(file_type), "{name}");
        let stat = fs.stat(root[name].node).unwrap();
        assert_eq!((stat.mode, (stat.uid, stat.gid)), (mode, owner), "{name}");
        assert_eq!((stat.file_type, stat.device), (file_type, device), "{name}");
    }
    assert_eq!(fs.read_link(root["short"].node).unwrap(), b"target");
    assert_eq!(fs.read_link(root["long"].node).unwrap(), "a/".repeat(450).as_bytes());
    let mut found = vec![0; content.len() + 10];
    assert_eq!(fs.read_at(root["file"].node, 0, &mut found).unwrap(), content.len());
    assert_eq!(found[..content.len()], content);
    for (name, n) in [("local", 3), ("block", 30), ("leaf", 300), ("node", 3000)] {
        let found = names(&*fs, root[name].node);
        assert!(found.keys().cloned().eq((0..n).map(|n| format!("name-{n:05}"))), "{name}");
        same_as_xfs_db(&image, &format!("/{name}"), &found);
        let last = format!("name-{:05}", n - 1);
        let node = fs.lookup(root[name].node, last.as_bytes()).unwrap();
        assert_eq!(node, Some(found[&last].node));
        assert_eq!(fs.stat(found[&last].node).unwrap().mode, 0o640);
    }
}

/// `xfs_db` prints for each entry: cookie, inode, type, hash, length of the name, name.
fn same_as_xfs_db(image: &Image, path: &str, found: &BTreeMap<String, DirEntry>) {
    let text = image.db(&[&format!("path {path}"), "ls"]);
    let theirs: BTreeMap<String, u64> = text
        .lines()
        .filter_map(|line| {
            let mut columns = line.split_whitespace();
            let ino = columns.nth(1)?.parse().ok()?;
            Some((columns.nth(3)?.to_owned(), ino))
        })
        .filter(|(name, _)| name != "." && name != "..")
        .collect();
    let ours: BTreeMap<_, _> =
        found.iter().map(|(name, entry)| (name.clone(), entry.node.ino)).collect();
    assert_eq!(ours, theirs, "{text}");
}

#[test]
fn directories_with_types() {
    reads_the_prototype("-n ftype=1", true);
}

#[test]
fn directories_without_types() {
    reads_the_prototype("-n ftype=0", false);
}

#[test]
fn small_blocks_and_old_inodes() {
    reads_the_prototype("-n ftype=0 -b size=1024 -i size=256,projid32bit=0", false);
    reads_the_prototype("-n ftype=1,size=16384 -b size=2048", true);
}
