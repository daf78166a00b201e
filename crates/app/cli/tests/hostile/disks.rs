//! Partition tables, volume groups and filesystems whose numbers are traps.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use kiln_fixtures::lvm;

use super::guests::Guest;
use super::images::put;
use super::{Case, case, sh};

pub(crate) const CASES: &[Case] = &[
    case("GPT of 4 billion entries", gpt_entries, 1, &["4294967295 entries"]),
    case(
        "extended partitions in a circle",
        ebr_loop,
        1,
        &["the chain of extended boot records returns to sector 128"],
    ),
    case(
        "LVM text nested deep",
        |dir| lvm_text(dir, &"a {\n".repeat(100_000)),
        1,
        &["LVM metadata text, byte 67: sections nest too deep"],
    ),
    case(
        "LVM lists nested deep",
        |dir| lvm_text(dir, &"a = [".repeat(100_000)),
        1,
        &["LVM metadata text, byte 5: a value was expected"],
    ),
    case(
        "LVM group of one extent on itself",
        lvm_on_itself,
        1,
        &["/dev/vg/root: a stripe on a volume that is not listed"],
    ),
    case(
        "ext4 of 2^60 blocks",
        ext_blocks,
        1,
        &["the image holds no partition, filesystem or other content"],
    ),
    case(
        "ext4 with blocks of 2^40 bytes",
        ext_block_size,
        1,
        &["the image holds no partition, filesystem or other content"],
    ),
    case("ext4 with inodes of no size", ext_inode_size, 1, &["inode size 0 is not a power of two"]),
    case("ext4 with a directory in itself", ext_cycle, 1, &["Debian"]),
    case(
        "xfs with groups without end",
        xfs_groups,
        1,
        &["number of blocks 1085102592571150095 is impossible"],
    ),
    case("btrfs with nodes of 2 GiB", btrfs_nodes, 1, &["SystemImage"]),
    case("FAT with clusters of no size", fat_clusters, 1, &["SystemImage"]),
    case("FAT whose directory is its own file", fat_loop, 1, &["SystemImage"]),
];

fn gpt_entries(dir: &Path) -> PathBuf {
    sh(dir, "truncate -s 8M image; echo 'label: gpt\n start=2048, size=2048' | sfdisk -q image");
    let mut image = fs::read(dir.join("image")).unwrap();
    let last = image.len() - 512;
    for at in [512, last] {
        image[at + 80..at + 84].fill(0xff);
        image[at + 16..at + 20].fill(0);
        let sum = crc32fast::hash(&image[at..at + 92]);
        image[at + 16..at + 20].copy_from_slice(&sum.to_le_bytes());
    }
    put(dir, &image)
}

/// The second extended boot record names itself as the next one.
fn ebr_loop(dir: &Path) -> PathBuf {
    let mut image = vec![0; 4 << 20];
    let entry = |kind: u8, start: u32, n: u32| {
        let mut entry = [0; 16];
        entry[4] = kind;
        entry[8..12].copy_from_slice(&start.to_le_bytes());
        entry[12..].copy_from_slice(&n.to_le_bytes());
        entry
    };
    let mut put_at = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put_at(446, &entry(5, 64, 4096));
    put_at(510, b"\x55\xAA");
    for (sector, next) in [(64, 64), (128, 64)] {
        put_at(sector * 512 + 446, &entry(0x83, 1, 8));
        put_at(sector * 512 + 462, &entry(5, next, 64));
        put_at(sector * 512 + 510, b"\x55\xAA");
    }
    put(dir, &image)
}

const PV: &str = "aaaaaabbbbccccddddeeeeffffgggggg";

fn lvm_text(dir: &Path, text: &str) -> PathBuf {
    let mut image = lvm::physical_volume(4 << 20, PV);
    lvm::write_text(&mut image, text, 512);
    put(dir, &image)
}

fn lvm_on_itself(dir: &Path) -> PathBuf {
    let segment = lvm::striped(0, u32::MAX, &[("root", 0)]);
    lvm_text(dir, &lvm::group_text("vg", 1, &[PV], &[("root", &[segment])]))
}

/// An ext4 without checksums, as large as a whole disk, whose superblock is changed.
fn ext(dir: &Path, changes: &[(usize, &[u8])]) -> PathBuf {
    sh(dir, "truncate -s 8M image; mke2fs -q -t ext4 -O 64bit,^metadata_csum image");
    spoil(dir, 1024, changes)
}

/// Write each bytes at its place behind `base`.
fn spoil(dir: &Path, base: usize, changes: &[(usize, &[u8])]) -> PathBuf {
    let path = dir.join("image");
    let image = fs::File::options().write(true).open(&path).unwrap();
    for (at, bytes) in changes {
        image.write_all_at(bytes, (base + at) as u64).unwrap();
    }
    path
}

fn ext_blocks(dir: &Path) -> PathBuf {
    ext(dir, &[(4, &[0; 4]), (0x150, &(1_u32 << 28).to_le_bytes())])
}

fn ext_block_size(dir: &Path) -> PathBuf {
    ext(dir, &[(0x18, &[30])])
}

fn ext_inode_size(dir: &Path) -> PathBuf {
    ext(dir, &[(0x58, &[0, 0])])
}

/// `/etc/again` is `/`, and `/usr/lib/systemd/system/again` its own directory.
fn ext_cycle(dir: &Path) -> PathBuf {
    let mut guest = Guest::sound(dir);
    guest.file("usr/lib/systemd/system/a.service", "[Unit]\n");
    guest.file("usr/lib/modules/6.1.0-9-amd64/kernel/a/x", "");
    let image = guest.build();
    sh(
        dir,
        "for link in '/ /etc/again' '/usr/lib/systemd/system /usr/lib/systemd/system/again' \
         '/usr/lib/modules/6.1.0-9-amd64 /usr/lib/modules/6.1.0-9-amd64/kernel/a/again' \
         '/boot /boot/grub/again'; do \
         debugfs -w -R \"link $link\" 'image?offset=1048576' 2>/dev/null; done",
    );
    image
}

fn xfs_groups(dir: &Path) -> PathBuf {
    sh(dir, "truncate -s 320M image; mkfs.xfs -q -m crc=0 image");
    spoil(dir, 0, &[(8, &[0x0f; 8]), (88, &[0xff; 4])])
}

fn btrfs_nodes(dir: &Path) -> PathBuf {
    sh(dir, "truncate -s 128M image; mkfs.btrfs -q image");
    spoil(dir, 0x10000, &[(0x94, &(1_u32 << 31).to_le_bytes())])
}

fn fat_clusters(dir: &Path) -> PathBuf {
    sh(dir, "truncate -s 8M image; mkfs.vfat image");
    spoil(dir, 0, &[(0x0d, &[0])])
}

/// The chain of FAT 32's root directory ends in itself.
fn fat_loop(dir: &Path) -> PathBuf {
    sh(dir, "truncate -s 40M image; mkfs.vfat -F 32 -s 1 image; mmd -i image ::/EFI");
    let image = fs::read(dir.join("image")).unwrap();
    let reserved = usize::from(u16::from_le_bytes([image[14], image[15]]));
    spoil(dir, reserved * 512, &[(8, &[2, 0, 0, 0])])
}
