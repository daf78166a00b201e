//! Every file of many filesystems, as kiln and as the kernel read it.

use kiln_fixtures::mounted::run;
use kiln_fixtures::walk::{self, Summary};
use kiln_volume::{FileType, FsKind, Tree};

use crate::images::{Image, fill, fragmented, many_names, xattrs};

const MIB: u64 = 1 << 20;

/// Make a filesystem, fill it, and compare it with the kernel's view, and the features and counts
/// with those of dumpe2fs.
fn compare(mkfs: &[&str], size_bytes: u64, largest_xattr: usize) -> (Image, Summary) {
    let image = Image::make(mkfs, size_bytes);
    {
        let mounted = image.mount("");
        fill(mounted.path()).unwrap();
        xattrs(mounted.path(), largest_xattr).unwrap();
        fragmented(mounted.path(), 120).unwrap();
    }
    let summary = compare_filled(&image);
    assert!(summary.n_entries > 150 && summary.n_xattrs > 25, "{summary:?}");
    (image, summary)
}

fn compare_filled(image: &Image) -> Summary {
    let fs = image.open();
    let dump = run("dumpe2fs", &["-h", &image.path().to_string_lossy()]).unwrap();
    let field = |name: &str| {
        let line = dump.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].trim().to_owned()
    };
    let info = fs.info();
    assert_eq!(info.features.join(" "), field("Filesystem features:"));
    assert_eq!(info.uuid.as_deref(), Some(&*field("Filesystem UUID:")));
    assert_eq!(info.label.as_deref(), Some(&*field("Filesystem volume name:")));
    let block_size: u64 = field("Block size:").parse().unwrap();
    let number = |name| field(name).parse::<u64>().unwrap();
    assert_eq!(info.size_bytes, number("Block count:") * block_size);
    assert_eq!(info.free_bytes, Some(number("Free blocks:") * block_size));
    assert_eq!(info.free_inodes, Some(number("Free inodes:")));
    assert_eq!(info.notes, [""; 0]);
    let mounted = image.mount("ro");
    walk::compare(&*fs, mounted.path()).unwrap_or_else(|error| panic!("{error:#}"))
}

#[test]
fn ext2_of_every_block_size() {
    for block_size in ["1024", "2048", "4096"] {
        let (image, _) = compare(&["mkfs.ext2", "-b", block_size], 64 * MIB, 900);
        assert_eq!(image.open().info().kind, FsKind::Ext2);
    }
}

#[test]
fn ext3() {
    let (image, _) = compare(&["mkfs.ext3", "-I", "128"], 64 * MIB, 900);
    assert_eq!(image.open().info().kind, FsKind::Ext3);
}

#[test]
fn ext4_as_installed() {
    let (image, _) = compare(&["mkfs.ext4", "-b", "4096"], 128 * MIB, 3000);
    assert_eq!(image.open().info().kind, FsKind::Ext4);
}

#[test]
fn ext4_of_every_block_size() {
    for block_size in ["1024", "2048", "4096"] {
        compare(&["mkfs.ext4", "-b", block_size], 64 * MIB, 900);
    }
}

#[test]
fn ext4_with_features_on_and_off() {
    for features in [
        "^64bit",
        "^metadata_csum",
        "^metadata_csum,^64bit,uninit_bg",
        "^extent,^64bit,^flex_bg",
        "^dir_index,^filetype",
        "inline_data",
        "inline_data,^metadata_csum",
        "^has_journal,^flex_bg",
        "meta_bg,^resize_inode",
        "metadata_csum_seed,large_dir,orphan_file",
        "bigalloc",
        "sparse_super2,mmp",
    ] {
        compare(&["mkfs.ext4", "-O", features], 64 * MIB, 900);
    }
    for inode_size in ["128", "256", "1024"] {
        compare(&["mkfs.ext4", "-I", inode_size], 64 * MIB, 900);
    }
}

#[test]
fn attribute_values_in_inodes() {
    compare(&["mkfs.ext4", "-O", "ea_inode"], 64 * MIB, 60_000);
}

/// Small groups, so that descriptors fill several blocks, with and without `meta_bg`.
#[test]
fn many_groups() {
    for features in ["none", "meta_bg,^resize_inode", "^metadata_csum,uninit_bg"] {
        let features = if features == "none" { "has_journal" } else { features };
        let mkfs = ["mkfs.ext4", "-b", "1024", "-g", "256", "-O", features];
        compare(&mkfs, 64 * MIB, 900);
    }
}

#[test]
fn a_directory_of_5000_names() {
    for features in ["dir_index", "^dir_index", "dir_index,^metadata_csum"] {
        let image = Image::make(&["mkfs.ext4", "-b", "1024", "-O", features], 128 * MIB);
        many_names(&image.mount("").join("many"), 5000, 100).unwrap();
        let summary = compare_filled(&image);
        assert_eq!(summary.n_files, 5000);
    }
}

/// Features that a kernel may be built without: files are put in by mke2fs.
#[test]
fn features_that_not_every_kernel_mounts() {
    let tree = tempfile::tempdir().unwrap();
    std::fs::write(tree.path().join("file"), "content").unwrap();
    let from = tree.path().to_string_lossy().into_owned();
    for features in ["quota,project", "casefold,verity", "encrypt,stable_inodes", "fast_commit"] {
        let image = Image::make(&["mkfs.ext4", "-O", features, "-d", &from], 16 * MIB);
        let fs = image.open();
        assert_eq!(fs.info().features.join(" "), dumped_features(&image));
        let node = fs.lookup(fs.root(), b"file").unwrap().unwrap();
        let mut content = [0; 9];
        assert_eq!(fs.read_at(node, 0, &mut content).unwrap(), 7);
        assert_eq!(&content, b"content\0\0");
    }
}

fn dumped_features(image: &Image) -> String {
    let dump = run("dumpe2fs", &["-h", &image.path().to_string_lossy()]).unwrap();
    let line = dump.lines().find_map(|line| line.strip_prefix("Filesystem features:")).unwrap();
    line.trim().to_owned()
}

/// `chattr +i`, which the kernel's stat does not tell.
#[test]
fn an_immutable_file() {
    let image = Image::make(&["mkfs.ext4"], 16 * MIB);
    {
        let mounted = image.mount("");
        for name in ["shadow", "passwd"] {
            std::fs::write(mounted.join(name), name).unwrap();
        }
        run("chattr", &["+i", &mounted.join("shadow").to_string_lossy()]).unwrap();
    }
    let tree = Tree::new(image.open());
    assert!(tree.stat("/shadow").unwrap().unwrap().immutable);
    assert!(!tree.stat("/passwd").unwrap().unwrap().immutable);
}

/// Another reader, written by others from the same documentation: names, modes and contents.
#[test]
fn ext4_view_agrees() {
    let image = Image::make(&["mkfs.ext4", "-b", "1024"], 64 * MIB);
    {
        let mounted = image.mount("");
        many_names(&mounted.join("many"), 500, 30).unwrap();
        fragmented(mounted.path(), 50).unwrap();
    }
    let theirs = ext4_view::Ext4::load(Box::new(image.bytes())).unwrap();
    let ours = Tree::new(image.open());
    let mut n_files = 0;
    for directory in ["/", "/many", "/comb"] {
        let mut names = Vec::new();
        for entry in theirs.read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().as_ref().to_vec();
            if name == b"." || name == b".." {
                continue;
            }
            let path = [directory.as_bytes(), b"/", &name].concat();
            let stat = ours.stat(&path).unwrap().unwrap();
            let metadata = entry.metadata().unwrap();
            assert_eq!(stat.mode, metadata.mode() & 0o7777);
            assert_eq!((stat.uid, stat.gid), (metadata.uid(), metadata.gid()));
            if stat.file_type == FileType::Regular {
                let content = theirs.read(entry.path().as_path()).unwrap();
                assert!(ours.read(&path, MIB).unwrap().unwrap() == content, "{path:?}");
                n_files += 1;
            }
            names.push(name);
        }
        names.sort();
        let listed: Vec<_> = ours.list(directory).unwrap().into_iter().map(|e| e.name).collect();
        assert_eq!(listed, names);
    }
    assert_eq!(n_files, 551);
}

/// 84 entries fit a block of 1 KiB and four the inode: 800 extents need a tree of depth 2.
#[test]
fn a_deep_extent_tree() {
    let image = Image::make(&["mkfs.ext4", "-b", "1024"], 64 * MIB);
    fragmented(image.mount("").path(), 800).unwrap();
    let tree = run("debugfs", &["-R", "ex /fragmented", &image.path().to_string_lossy()]).unwrap();
    assert!(tree.contains(" 2/ 2 "), "{tree}");
    compare_filled(&image);
}
