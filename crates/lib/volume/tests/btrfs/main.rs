//! btrfs as kiln reads it beside the same image as the kernel mounts it: every path, with its
//! type, mode, owner, size, links, device, text, attributes and content.
//!
//! Needs root and loop mounts, `mkfs.btrfs` and `btrfs` (Debian: btrfs-progs), `setfattr` and
//! `setfacl` (attr, acl), `chattr` (e2fsprogs), `cp` and `fallocate`.

mod compare;
mod image;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use image::{Image, Mounted, run};
use kiln_volume::FsKind;

/// Everything a directory can hold, in forms that are stored in different ways.
fn populate(root: &Path) {
    let at = |name: &str| root.join(name);
    fs::create_dir_all(at("etc/deep/er/still")).unwrap();
    fs::write(at("etc/hostname"), "guest\n").unwrap();
    fs::write(at("etc/empty"), "").unwrap();
    fs::write(at("etc/inline"), "x".repeat(1500)).unwrap();
    fs::write(at("text"), numbered_lines(40_000)).unwrap();
    fs::write(at("noise"), noise(700_001)).unwrap();
    fs::write(at("zeroes"), vec![0; 300_000]).unwrap();
    mixed_runs(&at("mixed"));
    sparse(&at("sparse"));
    run("fallocate", &["-l", "1MiB", path(&at("preallocated"))]);
    fs::write(at("half"), noise(20_000)).unwrap();
    run("fallocate", &["-n", "-o", "8192", "-l", "200000", path(&at("half"))]);
    run("cp", &["--reflink=always", path(&at("text")), path(&at("reflink"))]);
    let file = fs::OpenOptions::new().write(true).open(at("reflink")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &noise(5000), 40_960).unwrap();
    drop(file);
    fs::hard_link(at("text"), at("etc/hard")).unwrap();
    symlink("../text", at("etc/link")).unwrap();
    symlink("d/".repeat(1000), at("etc/long-link")).unwrap();
    run("mknod", &[path(&at("disk")), "b", "8", "17"]);
    run("mknod", &[path(&at("tty")), "c", "4000", "70000"]);
    run("mkfifo", &[path(&at("fifo"))]);
    std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    fs::write(at("etc/shadow"), "root:*:\n").unwrap();
    fs::set_permissions(at("etc/shadow"), fs::Permissions::from_mode(0o4640)).unwrap();
    chown(at("etc/shadow"), Some(70_000), Some(42)).unwrap();
    run("setfattr", &["-n", "user.one", "-v", "1", path(&at("text"))]);
    run("setfattr", &["-n", "user.long", "-v", &"v".repeat(2000), path(&at("text"))]);
    run("setfattr", &["-n", "trusted.two", "-v", "2", path(&at("etc"))]);
    run("setfattr", &["-n", "security.selinux", "-v", "system_u:object_r:x:s0", path(&at("text"))]);
    acl(&at("etc/shadow"));
    let (one, two) = COLLIDING;
    fs::write(at("etc").join(one), "one").unwrap();
    fs::write(at("etc").join(two), "two").unwrap();
    fs::create_dir(at("many")).unwrap();
    for n in 0..5000 {
        fs::write(at("many").join(format!("a file with a longer name, number {n}")), "").unwrap();
    }
    fs::write(at("fixed"), "immutable").unwrap();
    run("chattr", &["+i", path(&at("fixed"))]);
}

/// Two names with the same CRC-32C, which share one item.
const COLLIDING: (&str, &str) = ("collide-rh3ajbyv", "collide-1xuk0ve2");

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn numbered_lines(n: usize) -> String {
    (0..n).map(|n| format!("{n}: the quick brown fox\n")).collect()
}

/// Bytes that no algorithm makes smaller.
fn noise(n: usize) -> Vec<u8> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
    .take(n)
    .collect()
}

/// Text and noise in turns, so that LZO segments have all lengths and meet sector ends.
fn mixed_runs(path: &Path) {
    let noise = noise(400_000);
    let mut bytes = Vec::new();
    for (index, piece) in noise.chunks(777).enumerate() {
        bytes.extend_from_slice(&piece[..(index * 37) % piece.len()]);
        bytes.extend_from_slice("and some text ".repeat(index % 40).as_bytes());
    }
    fs::write(path, bytes).unwrap();
}

fn sparse(path: &Path) {
    use std::os::unix::fs::FileExt;
    let file = fs::File::create(path).unwrap();
    file.set_len(1 << 30).unwrap();
    for at in [0, 1 << 20, (1 << 29) + 4096, (1 << 30) - 100] {
        file.write_all_at(b"an island in the zeroes", at).unwrap();
    }
}

/// An access list as the kernel stores it: version 2; owner, user 1000, group, mask, others.
fn acl(path_of_file: &Path) {
    let mut value = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in [
        (1_u16, 6_u16, u32::MAX),
        (2, 4, 1000),
        (4, 4, u32::MAX),
        (16, 4, u32::MAX),
        (32, 0, u32::MAX),
    ] {
        value.extend(tag.to_le_bytes());
        value.extend(permissions.to_le_bytes());
        value.extend(id.to_le_bytes());
    }
    rustix::fs::setxattr(
        path_of_file,
        "system.posix_acl_access",
        &value,
        rustix::fs::XattrFlags::empty(),
    )
    .unwrap();
}

fn options(mkfs: &[&str], mount: &str) {
    let image = Image::new(400, mkfs);
    {
        let mounted = Mounted::new(&image, mount);
        populate(mounted.path());
    }
    let fs = image.open().unwrap();
    assert_eq!(fs.info().kind, FsKind::Btrfs);
    assert_eq!(fs.info().notes, [""; 0]);
    // The kernel sets these when it has written such an extent: without, nothing was compressed.
    if let Some(compression @ ("lzo" | "zstd")) = mount.strip_prefix("compress-force=") {
        let feature = format!("compress_{compression}");
        assert!(fs.info().features.contains(&feature), "{:?}", fs.info().features);
    }
    let mounted = Mounted::new(&image, "ro");
    let n = compare::tree(&*fs, mounted.path());
    assert_eq!(n, 5028, "as many paths as were made");
}

#[test]
fn defaults() {
    options(&[], "rw");
}

#[test]
fn small_nodes_sha256_zlib() {
    options(&["-n", "4096", "-m", "single", "--csum", "sha256"], "compress-force=zlib");
}

#[test]
fn large_nodes_xxhash_lzo() {
    options(&["-n", "65536", "-m", "dup", "--csum", "xxhash"], "compress-force=lzo");
}

#[test]
fn blake2_zstd() {
    options(&["--csum", "blake2"], "compress-force=zstd");
}

#[test]
fn mixed_groups_old_features_lzo() {
    options(
        &["-M", "-n", "4096", "-O", "^no-holes", "-R", "^free-space-tree"],
        "compress-force=lzo",
    );
}

/// `btrfstune -m` gives a filesystem a new id without writing its blocks again.
#[test]
fn a_changed_uuid() {
    let uuid = "fedcba98-7654-3210-fedc-ba9876543210";
    let image = Image::new(120, &[]);
    {
        let mounted = Mounted::new(&image, "rw");
        fs::write(mounted.path().join("file"), numbered_lines(100)).unwrap();
    }
    run("btrfstune", &["-f", "-M", uuid, image.file().to_str().unwrap()]);
    let fs = image.open().unwrap();
    assert_eq!(fs.info().uuid.as_deref(), Some(uuid));
    assert!(fs.info().features.iter().any(|name| name == "metadata_uuid"));
    assert_eq!(compare::tree(&*fs, Mounted::new(&image, "ro").path()), 2);
}

/// What is cut off at the end is told, and what is left is read.
#[test]
fn a_cut_off_image_is_noted() {
    let image = Image::new(200, &[]);
    fs::OpenOptions::new().write(true).open(image.file()).unwrap().set_len(199 << 20).unwrap();
    let fs = image.open().unwrap();
    assert_eq!(
        fs.info().notes,
        ["the filesystem has 209715200 bytes and its volume only 208666624: no kernel mounts it"]
    );
    assert_eq!(fs.lookup(fs.root(), b"file").unwrap(), None);
}

#[test]
fn two_devices_are_refused_by_name() {
    let image = Image::new(200, &[]);
    let other = Image::new(200, &[]);
    let files = [image.file(), other.file()];
    run("mkfs.btrfs", &["-q", "-f", files[0].to_str().unwrap(), files[1].to_str().unwrap()]);
    let error = image.open().unwrap_err();
    assert_eq!(error.kind(), kiln_volume::Kind::Unsupported);
    assert_eq!(error.to_string(), "btrfs over 2 devices (at byte 65536)");
}

#[test]
fn label_uuid_size_and_features() {
    let uuid = "01234567-89ab-cdef-0123-456789abcdef";
    let image = Image::new(120, &["-L", "a label", "-U", uuid]);
    let fs = image.open().unwrap();
    let info = fs.info();
    assert_eq!(info.uuid.as_deref(), Some(uuid));
    assert_eq!(info.label.as_deref(), Some("a label"));
    assert_eq!(info.size_bytes, 120 << 20);
    assert_eq!(info.free_inodes, None);
    assert!(info.free_bytes.is_some_and(|free| free > 100 << 20), "{:?}", info.free_bytes);
    for feature in ["no_holes", "skinny_metadata", "free_space_tree"] {
        assert!(info.features.iter().any(|name| name == feature), "{:?}", info.features);
    }
}

/// A snapshot has the names of nested subvolumes, and empty directories in their place.
#[test]
fn subvolumes_snapshots_and_the_default() {
    let image = Image::new(200, &[]);
    let listed = {
        let mounted = Mounted::new(&image, "rw");
        let at = |name: &str| mounted.path().join(name).to_str().unwrap().to_owned();
        for name in ["@", "@home", "@/inner"] {
            run("btrfs", &["subvolume", "create", &at(name)]);
        }
        fs::create_dir_all(at("@/some/where")).unwrap();
        run("btrfs", &["subvolume", "create", &at("@/some/where/nested")]);
        fs::write(at("@/some/where/nested/file"), "in nested").unwrap();
        fs::write(at("@/inner/file"), "in inner").unwrap();
        fs::write(at("@home/file"), "in home").unwrap();
        fs::write(at("file"), "on top").unwrap();
        run("btrfs", &["subvolume", "snapshot", &at("@"), &at("@/snapshot")]);
        run("btrfs", &["subvolume", "snapshot", "-r", &at("@home"), &at("home-then")]);
        fs::write(at("@home/file"), "in home, later").unwrap();
        run("btrfs", &["subvolume", "create", &at("gone")]);
        run("btrfs", &["subvolume", "delete", &at("gone")]);
        run("btrfs", &["subvolume", "set-default", &at("@")]);
        run("btrfs", &["subvolume", "list", mounted.path().to_str().unwrap()])
    };
    let fs = image.open().unwrap();
    let subvolumes = fs.subvolumes().unwrap();
    let found: Vec<_> =
        subvolumes.iter().map(|s| (s.path.as_str(), s.is_default, s.is_snapshot)).collect();
    let expected = [
        ("", false, false),
        ("@", true, false),
        ("@home", false, false),
        ("@/inner", false, false),
        ("@/some/where/nested", false, false),
        ("@/snapshot", false, true),
        ("home-then", false, true),
    ];
    assert_eq!(found, expected);
    for subvolume in &subvolumes[1..] {
        let line = format!("ID {} ", subvolume.id);
        let line = listed.lines().find(|text| text.starts_with(&line)).unwrap();
        assert!(line.ends_with(&format!(" path {}", subvolume.path)), "{line}");
    }
    assert_eq!(fs.root(), subvolumes[1].root);
    for (options, root) in [("ro", fs.root()), ("ro,subvolid=5", subvolumes[0].root)] {
        let mounted = Mounted::new(&image, options);
        assert!(compare::subtree(&*fs, root, mounted.path()) > 5, "{options}");
    }
}

/// An unclean log is told; it holds what was synced after the last commit.
#[test]
fn an_unreplayed_log_is_noted() {
    let image = Image::new(200, &[]);
    let copy = {
        let mounted = Mounted::new(&image, "rw,commit=300");
        fs::write(mounted.path().join("file"), "synced").unwrap();
        run("sync", &["-f", mounted.path().to_str().unwrap()]);
        let file = fs::OpenOptions::new().append(true).open(mounted.path().join("file")).unwrap();
        std::io::Write::write_all(&mut &file, b" and logged").unwrap();
        file.sync_all().unwrap();
        image.copy()
    };
    let fs = copy.open().unwrap();
    assert_eq!(
        fs.info().notes,
        ["unreplayed log tree: files synced before a crash may look older"]
    );
}
