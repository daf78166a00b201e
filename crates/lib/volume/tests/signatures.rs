//! What the real tools make, recognised, with UUID and label as `blkid` prints them.

mod support;

use std::path::Path;
use std::sync::atomic::Ordering;

use kiln_volume::{Content, NoticeCode, TableKind};
use support::{FileSource, Folder, blkid, notices, run, run_with, scan, write_at};

const MIB: u64 = 1 << 20;

/// Make an image of `size_bytes`, run `tool` over it, and compare with `blkid`.
fn made(folder: &Folder, size_bytes: u64, tool: &[&str], content: Content) {
    let path = folder.image("volume.img", size_bytes);
    let mut args = tool[1..].to_vec();
    args.push(path.to_str().unwrap());
    run(tool[0], &args);
    assert_recognised(&path, content, &format!("{tool:?}"));
}

fn assert_recognised(path: &Path, content: Content, what: &str) {
    let layout = scan(path);
    let volume = &layout.volumes[0];
    assert_eq!(volume.content, content, "{what}");
    assert_eq!(volume.uuid, blkid(path, "UUID"), "{what}");
    assert_eq!(volume.label, blkid(path, "LABEL"), "{what}");
    assert_eq!(notices(&layout), [], "{what}");
    assert_eq!(layout.disks[0].table, TableKind::None, "{what}");
}

#[test]
fn filesystems_are_recognised_as_blkid_does() {
    let folder = Folder::new();
    for (tool, content) in [
        (&["mkfs.ext2", "-q", "-L", "a label"][..], Content::Ext2),
        (&["mkfs.ext3", "-q"], Content::Ext3),
        (&["mkfs.ext4", "-q", "-L", "sixteen bytes..."], Content::Ext4),
        (&["mkfs.ext4", "-q", "-O", "^64bit", "-b", "1024"], Content::Ext4),
        (&["mkfs.xfs", "-q", "-L", "twelve bytes"], Content::Xfs),
        (&["mkfs.btrfs", "-q", "-L", "b t r f s"], Content::Btrfs),
        (&["mkfs.vfat", "-F", "32", "-n", "EFISYS"], Content::Fat),
        (&["mkfs.vfat", "-F", "16"], Content::Fat),
        (&["mkswap", "-L", "swap space"], Content::Swap),
        (&["mkswap", "-p", "65536"], Content::Swap),
        (&["mkswap", "-p", "16384", "-L", "arm"], Content::Swap),
    ] {
        made(&folder, 320 * MIB, tool, content);
    }
    made(&folder, 4 * MIB, &["mkfs.vfat", "-F", "12", "-n", "TWELVE"], Content::Fat);
}

#[test]
fn encrypted_volumes_are_recognised() {
    let folder = Folder::new();
    for (kind, content) in [("luks1", Content::Luks1), ("luks2", Content::Luks2)] {
        let path = folder.image("luks.img", 32 * MIB);
        let args = ["-q", "luksFormat", "--type", kind, "--pbkdf", "pbkdf2"];
        let args = [&args[..], &["--pbkdf-force-iterations", "1000", path.to_str().unwrap(), "-"]];
        run_with("cryptsetup", &args.concat(), "secret");
        assert_recognised(&path, content, kind);
        assert!(scan(&path).volumes[0].content.is_encrypted());
    }
    run("cryptsetup", &["config", folder.path("luks.img").to_str().unwrap(), "--label", "safe"]);
    assert_recognised(&folder.path("luks.img"), Content::Luks2, "with a label");
}

#[test]
fn a_squashfs_is_recognised() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("tree")).unwrap();
    std::fs::write(folder.path("tree/file"), "x").unwrap();
    let (tree, image) = (folder.path("tree"), folder.path("squash.img"));
    run("mksquashfs", &[tree.to_str().unwrap(), image.to_str().unwrap(), "-quiet"]);
    assert_recognised(&image, Content::Squashfs, "squashfs");
}

/// A hibernated guest replaces the swap's magic, and its UUID stays.
#[test]
fn hibernated_swap_is_noted() {
    let folder = Folder::new();
    for (page, magic) in [(4096, &b"S1SUSPEND\0"[..]), (65536, b"ULSUSPEND\0")] {
        let path = folder.image("swap.img", 16 * MIB);
        run("mkswap", &["-p", &page.to_string(), path.to_str().unwrap()]);
        let uuid = blkid(&path, "UUID");
        write_at(&path, page - 10, magic);
        let layout = scan(&path);
        assert_eq!(layout.volumes[0].content, Content::SwapSuspended);
        assert_eq!(layout.volumes[0].uuid, uuid);
        let message = "disk0: swap that holds a hibernated guest";
        assert_eq!(notices(&layout), [(NoticeCode::Info, message)]);
    }
}

/// The rows whose tools are not at hand, as their formats put the magic.
#[test]
fn bare_magics_are_recognised() {
    let folder = Folder::new();
    for (at, magic, content) in [
        (3, &b"NTFS    "[..], Content::Ntfs),
        (3, b"-FVE-FS-", Content::BitLocker),
        (3, b"EXFAT   ", Content::ExFat),
        (3, b"ReFS", Content::Refs),
        (0x8000, b"\x01CD001\x01", Content::Iso9660),
        (0x8801, b"NSR03", Content::Udf),
        (1024, b"\xe2\xe1\xf5\xe0", Content::Erofs),
        (1024, b"\x10\x20\xf5\xf2", Content::F2fs),
        (32, b"NXSB", Content::Apfs),
        (0, b"verity\0\0", Content::Verity),
        (0, b"dmvdo001", Content::Vdo),
        (
            0x1018,
            b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81",
            Content::Bcache,
        ),
        (516, b"!Stra0tis\x86\xff\x02^\x41rh", Content::Stratis),
        (0x8000, b"JFS1", Content::Jfs),
        (0x10034, b"ReIsEr2Fs", Content::Reiserfs),
        (0x1055C, b"\x19\x01\x54\x19", Content::Ufs),
        (
            0x4000,
            b"\x01\x01\0\0\0\0\0\0\0\0\0\x01\0\0\0\x24\0\0\0\x20\0\0\0\x07version",
            Content::Zfs,
        ),
        (4321, b"x", Content::Unknown),
    ] {
        let path = folder.image("magic.img", 4 * MIB);
        write_at(&path, at, magic);
        assert_eq!(scan(&path).volumes[0].content, content, "{content:?}");
        // One byte less is not it.
        if content != Content::Unknown {
            write_at(&path, at + magic.len() as u64 - 1, b"?");
            assert_eq!(scan(&path).volumes[0].content, Content::Unknown, "{content:?} spoiled");
        }
    }
}

/// xorriso is not on every machine; the descriptor and the boot tables of an isohybrid are.
#[test]
fn an_isohybrid_is_an_iso_first() {
    let folder = Folder::new();
    let path = folder.image("iso.img", 8 * MIB);
    run_with("sfdisk", &[path.to_str().unwrap()], "label: dos\nstart=64, size=1000, type=17\n");
    write_at(&path, 0x8000, b"\x01CD001\x01");
    write_at(&path, 0x8000 + 40, b"DEBIAN LIVE                     ");
    write_at(&path, 0x8000 + 813, b"2024031209595900");
    write_at(&path, 0x8000 + 830, b"0000000000000000");
    let layout = scan(&path);
    assert_eq!((layout.disks[0].table, layout.volumes.len()), (TableKind::None, 1));
    assert_eq!(layout.volumes[0].content, Content::Iso9660);
    assert_eq!(layout.volumes[0].label.as_deref(), Some("DEBIAN LIVE"));
    assert_eq!(layout.volumes[0].uuid.as_deref(), Some("2024-03-12-09-59-59-00"));
}

#[test]
fn a_filesystem_larger_than_its_volume_is_truncated() {
    let folder = Folder::new();
    let size = 320 * MIB;
    for (tool, claimed) in [
        (&["mkfs.ext4", "-q"][..], size),
        (&["mkfs.xfs", "-q"], size),
        (&["mkfs.btrfs", "-q"], size),
        (&["mkfs.vfat", "-F", "32"], 335_526_912), // whole tracks of 63 sectors
    ] {
        let path = folder.image("volume.img", size);
        let mut args = tool[1..].to_vec();
        args.push(path.to_str().unwrap());
        run(tool[0], &args);
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_len(size / 2).unwrap();
        let layout = scan(&path);
        let name = layout.volumes[0].content.name();
        let expected =
            format!("disk0: {name} says it has {claimed} bytes and its volume has {}", size / 2);
        assert_eq!(notices(&layout), [(NoticeCode::Truncated, expected.as_str())]);
    }
}

/// What a remote check pays for: a disk with five partitions, all of them recognised.
#[test]
fn a_scan_reads_less_than_a_mebibyte() {
    let folder = Folder::new();
    let path = folder.image("disk.img", 2048 * MIB);
    let script = "label: gpt\nsize=1M\nsize=200M\nsize=400M\nsize=400M\nsize=400M\n";
    run_with("sfdisk", &[path.to_str().unwrap()], script);
    let layout = scan(&path);
    for (tool, partition) in [
        (&["mkfs.vfat"][..], &layout.disks[0].partitions[1]),
        (&["mkfs.ext4", "-q"], &layout.disks[0].partitions[2]),
        (&["mkfs.xfs", "-q"], &layout.disks[0].partitions[3]),
    ] {
        let part = folder.image("part.img", partition.size_bytes);
        let mut args = tool[1..].to_vec();
        args.push(part.to_str().unwrap());
        run(tool[0], &args);
        let (input, output) = (format!("if={}", part.display()), format!("of={}", path.display()));
        let seek = format!("seek={}", partition.start_bytes / MIB);
        run("dd", &[&input, &output, "bs=1M", "conv=notrunc,sparse", &seek, "status=none"]);
    }
    let counted = FileSource::open(&path);
    let source: kiln_disk::Source = counted.clone();
    let layout = kiln_volume::scan(&[source]);
    let contents: Vec<Content> = layout.volumes.iter().map(|v| v.content).collect();
    use Content::{Empty, Ext4, Fat, Xfs};
    assert_eq!(contents, [Empty, Fat, Ext4, Xfs, Empty]);
    assert_eq!(notices(&layout), []);
    let read = counted.read_bytes.load(Ordering::Relaxed);
    assert!(read < MIB, "{read} bytes read");
}
