//! FAT filesystems made by mkfs.vfat and filled by mtools, held against what mtools reads back.

mod support;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_volume::{FileType, Filesystem, FsKind, Kind, Tree};
use support::{Folder, read_at, run, scan, write_at};

const MIB: u64 = 1 << 20;

/// Sizes and `mkfs.vfat` options of the three widths, with small clusters for long chains.
const WIDTHS: [(FsKind, u64, &[&str]); 3] = [
    (FsKind::Fat12, 2 * MIB, &["-F", "12", "-s", "1"]),
    (FsKind::Fat16, 16 * MIB, &["-F", "16", "-s", "2"]),
    (FsKind::Fat32, 64 * MIB, &["-F", "32", "-s", "1"]),
];

struct Esp {
    folder: Folder,
    path: PathBuf,
    files: BTreeMap<String, Vec<u8>>,
}

impl Esp {
    fn new(size_bytes: u64, options: &[&str]) -> Self {
        let folder = Folder::new();
        let path = folder.image("esp.img", size_bytes);
        let mut args = vec!["-n", "EFI-SYSTEM", "-i", "abcd1234"];
        args.extend(options);
        args.push(path.to_str().unwrap());
        run("mkfs.vfat", &args);
        Self { folder, path, files: BTreeMap::new() }
    }

    fn image(&self) -> &str {
        self.path.to_str().unwrap()
    }

    fn mkdir(&self, path: &str) {
        run("mmd", &["-i", self.image(), &format!("::{path}")]);
    }

    fn write(&mut self, path: &str, data: Vec<u8>) {
        let host = self.folder.path("data");
        std::fs::write(&host, &data).unwrap();
        run("mcopy", &["-o", "-i", self.image(), host.to_str().unwrap(), &format!("::{path}")]);
        self.files.insert(path.to_owned(), data);
    }

    fn remove(&mut self, path: &str) {
        run("mdel", &["-i", self.image(), &format!("::{path}")]);
        self.files.remove(path);
    }

    /// What an ESP holds, and what is hard: nested long names, deleted entries before live ones,
    /// a file in pieces, a directory of several clusters.
    fn filled(kind: (FsKind, u64, &[&str])) -> Self {
        let mut esp = Self::new(kind.1, kind.2);
        for dir in ["/EFI", "/EFI/BOOT", "/EFI/a vendor with a long name", "/EFI/debian"] {
            esp.mkdir(dir);
        }
        let bytes = |seed: u32, n: usize| -> Vec<u8> {
            (0..n as u32)
                .map(|i| (i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 24) as u8)
                .collect()
        };
        esp.write("/EFI/BOOT/BOOTX64.EFI", bytes(1, 70_000));
        esp.write("/EFI/debian/grub.cfg", b"search.fs_uuid 1 root\n".to_vec());
        esp.write("/EFI/a vendor with a long name/Mixed Case and spaces.conf", bytes(2, 513));
        esp.write("/empty", Vec::new());
        esp.write("/Ünïcode ☃ name.txt", b"snow".to_vec());
        for number in 0..12 {
            esp.write(&format!("/hole{number}"), bytes(3, 4096));
        }
        // With no other room left, a file takes the clusters of what is deleted before it.
        esp.write("/filler", vec![0; esp.free_bytes() as usize]);
        for number in (0..12).step_by(2) {
            esp.remove(&format!("/hole{number}"));
        }
        esp.write("/fragmented", bytes(5, 20_000));
        esp.remove("/filler");
        for number in 0..60 {
            let name = format!("/EFI/debian/one of many files number {number}.cfg");
            esp.write(&name, format!("{number}\n").into_bytes());
        }
        esp
    }

    fn free_bytes(&self) -> u64 {
        let text = run("mdir", &["-i", self.image(), "::/"]);
        let line = text.lines().rev().find(|line| line.contains("bytes free")).unwrap();
        line.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap()
    }

    fn filesystem(&self) -> Arc<dyn Filesystem> {
        scan(&self.path).volumes[0].open().unwrap()
    }
}

/// All files below the root, by path.
fn walk(filesystem: &Arc<dyn Filesystem>) -> BTreeMap<String, Vec<u8>> {
    let tree = Tree::new(Arc::clone(filesystem));
    let mut files = BTreeMap::new();
    let mut pending = vec![String::new()];
    while let Some(dir) = pending.pop() {
        for entry in tree.list(format!("{dir}/")).unwrap() {
            let path = format!("{dir}/{}", entry.name_lossy());
            match entry.file_type.unwrap() {
                FileType::Directory => pending.push(path),
                _ => {
                    let data = tree.read(&path, 1 << 20).unwrap().unwrap();
                    files.insert(path, data);
                }
            }
        }
    }
    files
}

#[test]
fn every_file_of_every_width_is_as_it_was_written() {
    for width in WIDTHS {
        let esp = Esp::filled(width);
        let filesystem = esp.filesystem();
        assert_eq!(filesystem.info().kind, width.0);
        let found = walk(&filesystem);
        assert!(found.keys().eq(esp.files.keys()), "{:?}: {:?}", width.0, found.keys());
        for (path, data) in &esp.files {
            assert!(found[path] == *data, "{:?}: {path} differs", width.0);
        }
        // mtools agrees on the fragmented one, so the fixture is what it seems.
        let other = esp.folder.path("other");
        run("mcopy", &["-i", esp.image(), "::/fragmented", other.to_str().unwrap()]);
        assert!(std::fs::read(other).unwrap() == found["/fragmented"]);
        let clusters = run("mshowfat", &["-i", esp.image(), "::/fragmented"]);
        assert!(clusters.matches('<').count() > 1, "in pieces: {clusters}");
    }
}

#[test]
fn the_superblock_says_what_blkid_and_mdir_say() {
    for width in WIDTHS {
        let esp = Esp::filled(width);
        let filesystem = esp.filesystem();
        let info = filesystem.info();
        assert_eq!(info.uuid.as_deref(), Some("ABCD-1234"));
        assert_eq!(info.label.as_deref(), Some("EFI-SYSTEM"));
        assert_eq!(info.notes, [""; 0]);
        let expected = (width.0 == FsKind::Fat32).then(|| esp.free_bytes());
        assert_eq!(info.free_bytes, expected, "only FAT32 counts its free clusters");
        let volume = &scan(&esp.path).volumes[0];
        assert_eq!(volume.label.as_deref(), Some("EFI-SYSTEM"));
    }
}

#[test]
fn names_compare_without_case_and_the_short_alias_is_one() {
    let esp = Esp::filled(WIDTHS[2]);
    let tree = Tree::new(esp.filesystem());
    for path in [
        "/efi/boot/bootx64.efi",
        "/EFI/A VENDOR WITH A LONG NAME/mixed case AND spaces.CONF",
        "/ünïCODE ☃ NAME.TXT",
        "/EFI/AVENDO~1/MIXEDC~1.CON",
    ] {
        assert!(tree.is_file(path).unwrap(), "{path}");
    }
    assert!(!tree.exists("/efi/boot/bootx64.ef").unwrap());
    assert!(!tree.exists("/hole0").unwrap(), "deleted");
}

#[test]
fn nodes_have_owner_mode_and_time() {
    let esp = Esp::filled(WIDTHS[2]);
    let filesystem = esp.filesystem();
    let root = filesystem.root();
    let root_stat = filesystem.stat(root).unwrap();
    assert_eq!((root_stat.file_type, root_stat.mode), (FileType::Directory, 0o755));
    let node = filesystem.lookup(root, b"fragmented").unwrap().unwrap();
    let stat = filesystem.stat(node).unwrap();
    assert_eq!((stat.file_type, stat.mode, stat.uid), (FileType::Regular, 0o755, 0));
    assert_eq!(stat.size_bytes, 20_000);
    assert!(stat.mtime_s > 1_700_000_000, "{}", stat.mtime_s);
    assert_eq!(filesystem.xattrs(node).unwrap(), []);
    assert!(filesystem.read_link(node).is_err());
    let mut buf = [0; 16];
    assert_eq!(filesystem.read_at(node, 19_990, &mut buf).unwrap(), 10);
    assert_eq!(filesystem.read_at(node, 20_000, &mut buf).unwrap(), 0);
    // Stopping early is heard.
    let mut n = 0;
    filesystem
        .read_dir(root, &mut |_| {
            n += 1;
            ControlFlow::Break(())
        })
        .unwrap();
    assert_eq!(n, 1);
}

/// The first byte of the first table, and of cluster 2, of a FAT32 with one sector a cluster.
fn fat32_places(path: &Path) -> (u64, u64) {
    let boot = read_at(path, 0, 512);
    let reserved = u64::from(u16::from_le_bytes([boot[14], boot[15]]));
    let sectors = u64::from(u32::from_le_bytes(boot[36..40].try_into().unwrap()));
    (reserved * 512, (reserved + 2 * sectors) * 512)
}

#[test]
fn a_chain_that_loops_or_leaves_the_filesystem_is_corrupt() {
    for (next, message) in [
        (0_u32, "a FAT chain from cluster 3 reaches cluster 0, which is not one"),
        (1, "a FAT chain from cluster 3 reaches cluster 1, which is not one"),
        (0x0FFF_FFF6, "a FAT chain from cluster 3 reaches cluster 268435446, which is not one"),
        (0x0FFF_FFFF, "a file of 2000 bytes has clusters for 512 only"),
    ] {
        let mut esp = Esp::new(WIDTHS[2].1, WIDTHS[2].2);
        esp.write("/file", vec![7; 2000]);
        let (table, _) = fat32_places(&esp.path);
        write_at(&esp.path, table + 3 * 4, &next.to_le_bytes());
        let error = Tree::new(esp.filesystem()).read("/file", 1 << 20).unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt);
        assert!(error.to_string().starts_with(message), "{error}");
    }
}

#[test]
fn a_looping_chain_ends() {
    let mut esp = Esp::new(WIDTHS[2].1, WIDTHS[2].2);
    esp.write("/file", vec![7; 2000]);
    let (table, data) = fat32_places(&esp.path);
    write_at(&esp.path, table + 4 * 4, &3_u32.to_le_bytes());
    // The size of the file, in the second entry of the root directory: after the label.
    write_at(&esp.path, data + 32 + 28, &u32::MAX.to_le_bytes());
    let filesystem = esp.filesystem();
    let node = filesystem.lookup(filesystem.root(), b"file").unwrap().unwrap();
    assert_eq!(filesystem.stat(node).unwrap().size_bytes, u64::from(u32::MAX));
    let error = filesystem.read_at(node, 0, &mut [0; 16]).unwrap_err();
    assert_eq!(error.to_string(), "a FAT chain from cluster 3 is longer than the filesystem");
    // The root directory's own chain is cut at the length that Linux allows.
    write_at(&esp.path, table + 2 * 4, &2_u32.to_le_bytes());
    write_at(&esp.path, data, &[0xE5; 512]);
    let filesystem = esp.filesystem();
    assert!(filesystem.lookup(filesystem.root(), b"file").unwrap().is_none());
}

#[test]
fn an_unclean_filesystem_says_so() {
    let esp = Esp::new(WIDTHS[2].1, WIDTHS[2].2);
    let (table, _) = fat32_places(&esp.path);
    write_at(&esp.path, table + 4, &0x07FF_FFFF_u32.to_le_bytes());
    assert_eq!(esp.filesystem().info().notes, ["not cleanly unmounted"]);
}

#[test]
fn a_filesystem_cut_before_its_first_cluster_is_told() {
    let esp = Esp::new(WIDTHS[2].1, WIDTHS[2].2);
    let (_, data) = fat32_places(&esp.path);
    std::fs::File::options().write(true).open(&esp.path).unwrap().set_len(65_536).unwrap();
    let error = scan(&esp.path).volumes[0].open().unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    let message =
        format!("the FAT and the root directory end at byte {data}, the volume at byte 65536");
    assert_eq!(error.to_string(), message);
}
