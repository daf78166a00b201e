//! Guests whose own files are the trap, on a partition made by `mke2fs -d`, without any mount.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use kiln_fixtures::cpio::Cpio;
use kiln_fixtures::kernel_image;

use super::{Case, case, sh, sparse};

const VERSION: &str = "6.1.0-9-amd64";

pub(crate) const CASES: &[Case] = &[
    case("sound", sound, 1, &["Debian"]),
    case("os-release is a link to itself", os_release_loop, 1, &["Debian 12.5"]),
    case("os-release behind 41 links", os_release_links, 1, &["Debian 12.5"]),
    case("os-release of 1 GiB", |dir| big(dir, "etc/os-release"), 1, &["Debian 12.5"]),
    case(
        "fstab of 1 GiB",
        |dir| big(dir, "etc/fstab"),
        1,
        &["/etc/fstab has 1073741824 bytes, more than the 1048576 that kiln reads"],
    ),
    case(
        "fstab of a million lines",
        fstab_lines,
        1,
        &["/etc/fstab has 32000000 bytes, more than the 1048576 that kiln reads"],
    ),
    case("fstab is a FIFO", fstab_fifo, 1, &["no line mounts /"]),
    case(
        "/etc is a link to itself",
        etc_loop,
        1,
        &["/etc/os-release: more than 40 symbolic links"],
    ),
    case(
        "grub.cfg that includes itself",
        |dir| grub(dir, GRUB_SELF),
        1,
        &["no configuration tells which entry boots"],
    ),
    case(
        "grub.cfg of 10 000 submenus in each other",
        grub_submenus,
        1,
        &["no configuration tells which entry boots"],
    ),
    case(
        "grub.cfg that loops for ever",
        |dir| grub(dir, GRUB_LOOP),
        1,
        &["no configuration tells which entry boots"],
    ),
    case(
        "grub.cfg of variables that double",
        grub_doubling,
        1,
        &["no configuration tells which entry boots"],
    ),
    case(
        "grub.cfg of functions that call each other",
        |dir| grub(dir, GRUB_CALLS),
        1,
        &["no configuration tells which entry boots"],
    ),
    case("initramfs of 4 GiB by zstd", initramfs_zstd, 1, &["zstd: 1 entries, 256 MiB"]),
    case("initramfs of 4 GiB by gzip", initramfs_gzip, 1, &["gzip: 1 entries, 2048 MiB"]),
    case("initramfs of 4 GiB by xz", initramfs_xz, 1, &["xz: 1 entries, 256 MiB"]),
    case("initramfs in an initramfs", initramfs_nested, 1, &["zstd: 0 entries, 1 MiB"]),
    case("initramfs of a million files", initramfs_entries, 1, &["zstd: 200001 entries"]),
    case(
        "cloud.cfg.d of a billion laughs",
        cloud_laughs,
        1,
        &["90.cfg: line 6: more than the 100000 YAML values"],
    ),
    case(
        "cloud.cfg nested deep",
        cloud_deep,
        1,
        &["/etc/cloud/cloud.cfg: line 1, column 256: recursion limit exceeded"],
    ),
    case("netplan nested deep", netplan_deep, 1, &["Dhcp"]),
    case("20 000 units", units, 1, &["SystemImage"]),
    case("/lib/modules with 100 000 names", modules, 1, &["SystemImage"]),
    case(
        "modules.dep of 100 MiB",
        modules_dep,
        1,
        &["modules.dep has 104857591 bytes, more than the 67108864 that kiln reads"],
    ),
    case("terminal sequences in names", escapes, 1, &["loads /\u{fffd}[2J, which is not there"]),
    case("passwd and shadow of long lines", long_lines, 1, &["Debian 12"]),
    case("sshd_config that includes itself", sshd, 1, &["Debian 12"]),
    Case {
        name: "package database of 100 MB",
        make: dpkg,
        command: &["inspect", "--packages"],
        status: 0,
        says: &["Debian"],
    },
];

const GRUB_SELF: &str = "source /boot/grub/grub.cfg\nconfigfile /boot/grub/grub.cfg\n";
const GRUB_LOOP: &str = "while true; do set a=b; done\nuntil false; do true; done\n";
const GRUB_CALLS: &str = "function a { b; b; }\nfunction b { a; a; }\na\nb\n";

/// A tree that becomes a partition.
pub(crate) struct Guest {
    dir: PathBuf,
}

impl Guest {
    /// A Debian that starts by BIOS, as far as kiln reads it.
    pub(crate) fn sound(dir: &Path) -> Self {
        let mut guest = Self { dir: dir.to_path_buf() };
        guest
            .file("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian 12\"\n")
            .file("etc/debian_version", "12.5\n")
            .file("etc/fstab", "UUID=11111111-2222-4333-8444-555555555555 / ext4 defaults 0 1\n")
            .file("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
            .file("etc/shadow", "root:*:19000:0:99999:7:::\n")
            .file("etc/netplan/50.yaml", "network: {ethernets: {eth0: {dhcp4: true}}}\n")
            .file("etc/cloud/cloud.cfg", "datasource_list: [AliYun]\n")
            .file("usr/lib/systemd/system/systemd-networkd.service", "[Install]\n")
            .file("usr/bin/cloud-init", "#!/usr/bin/python3\n")
            .file("usr/lib/python3/dist-packages/cloudinit/version.py", "__VERSION__ = \"22.4\"\n")
            .file(&format!("boot/vmlinuz-{VERSION}"), kernel_image::bzimage(VERSION))
            .file(&format!("boot/config-{VERSION}"), "CONFIG_VIRTIO_BLK=m\nCONFIG_EXT4_FS=m\n")
            .file(&format!("boot/initrd.img-{VERSION}"), Cpio::new().file("init", "").finish())
            .file(&format!("usr/lib/modules/{VERSION}/modules.dep"), "kernel/fs/ext4.ko:\n")
            .file(
                "boot/grub/grub.cfg",
                format!(
                    "menuentry 'Debian' {{\nlinux /boot/vmlinuz-{VERSION} \
                     root=UUID=11111111-2222-4333-8444-555555555555 ro\n\
                     initrd /boot/initrd.img-{VERSION}\n}}\n"
                ),
            );
        let wants = guest.path("etc/systemd/system/multi-user.target.wants");
        fs::create_dir_all(&wants).unwrap();
        let unit = "/usr/lib/systemd/system/systemd-networkd.service";
        symlink(unit, wants.join("systemd-networkd.service")).unwrap();
        for (target, link) in [("usr/lib", "lib"), ("usr/bin", "bin")] {
            symlink(target, guest.path(link)).unwrap();
        }
        guest
    }

    pub(crate) fn file(&mut self, path: &str, content: impl AsRef<[u8]>) -> &mut Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// A whole disk of btrfs, which takes a hundred thousand names in seconds.
    fn build_btrfs(&self) -> PathBuf {
        sh(&self.dir, "truncate -s 1G image; mkfs.btrfs -q --rootdir tree image");
        self.dir.join("image")
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.join("tree").join(path)
    }

    /// An MBR disk of 1 GiB, sparse, with GRUB's mark in its first sector.
    pub(crate) fn build(&self) -> PathBuf {
        sh(
            &self.dir,
            "truncate -s 1G image; printf 'label: dos\nlabel-id: 0x0a0b0c0d\n\
             start=2048, type=83, bootable\n' | sfdisk -q image; \
             printf 'GRUB ' | dd of=image bs=1 seek=384 conv=notrunc status=none; \
             printf '\\353\\143\\220' | dd of=image bs=1 conv=notrunc status=none; \
             mke2fs -q -t ext4 -U 11111111-2222-4333-8444-555555555555 -d tree \
             -E offset=1048576,lazy_itable_init=1,nodiscard image 1000M",
        );
        self.dir.join("image")
    }
}

pub(crate) fn sound(dir: &Path) -> PathBuf {
    Guest::sound(dir).build()
}

fn with(dir: &Path, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
    Guest::sound(dir).file(path, content).build()
}

fn big(dir: &Path, path: &str) -> PathBuf {
    let guest = Guest::sound(dir);
    sparse(&guest.path(path), 1 << 30);
    guest.build()
}

fn linked(dir: &Path, path: &str, target: &str) -> PathBuf {
    let guest = Guest::sound(dir);
    fs::remove_file(guest.path(path)).unwrap();
    symlink(target, guest.path(path)).unwrap();
    guest.build()
}

fn os_release_loop(dir: &Path) -> PathBuf {
    linked(dir, "etc/os-release", "/etc/os-release")
}

fn os_release_links(dir: &Path) -> PathBuf {
    let guest = Guest::sound(dir);
    fs::rename(guest.path("etc/os-release"), guest.path("etc/link41")).unwrap();
    for number in 0..41 {
        let link = guest.path(&format!("etc/link{number}"));
        symlink(format!("link{}", number + 1), link).unwrap();
    }
    symlink("link0", guest.path("etc/os-release")).unwrap();
    guest.build()
}

fn fstab_lines(dir: &Path) -> PathBuf {
    with(dir, "etc/fstab", "/dev/vdb /mnt ext4 defaults 0 0\n".repeat(1_000_000))
}

fn fstab_fifo(dir: &Path) -> PathBuf {
    let guest = Guest::sound(dir);
    sh(dir, "rm tree/etc/fstab; mkfifo tree/etc/fstab");
    guest.build()
}

fn etc_loop(dir: &Path) -> PathBuf {
    let guest = Guest::sound(dir);
    fs::remove_dir_all(guest.path("etc")).unwrap();
    symlink("etc", guest.path("etc")).unwrap();
    guest.build()
}

fn grub(dir: &Path, text: &str) -> PathBuf {
    with(dir, "boot/grub/grub.cfg", text)
}

fn grub_submenus(dir: &Path) -> PathBuf {
    grub(dir, &("submenu a {\n".repeat(10_000) + &"}\n".repeat(10_000)))
}

fn grub_doubling(dir: &Path) -> PathBuf {
    grub(dir, &("set a=x\n".to_owned() + &"set a=$a$a\n".repeat(5000)))
}

fn initramfs(dir: &Path, script: &str) -> PathBuf {
    let guest = Guest::sound(dir);
    // The header of a file that has every byte a size in cpio can tell, and no body yet.
    let mut head = Cpio::new().file("bomb", "").finish();
    let at = head.windows(6).position(|bytes| bytes == b"070701").unwrap();
    head[at + 54..at + 62].copy_from_slice(b"FFFFFFFF");
    head.truncate(at + 116);
    fs::write(dir.join("head"), head).unwrap();
    sh(dir, &script.replace("OUT", &format!("tree/boot/initrd.img-{VERSION}")));
    guest.build()
}

fn initramfs_zstd(dir: &Path) -> PathBuf {
    initramfs(dir, "(cat head; head -c 1G /dev/zero) | zstd -q -1 > OUT")
}

/// One stream of deflate: 4096 blocks of 1 MiB that do not refer to each other.
fn initramfs_gzip(dir: &Path) -> PathBuf {
    initramfs(dir, "true > more");
    let head = fs::read(dir.join("head")).unwrap();
    let block = |bytes: &[u8]| {
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.flush().unwrap();
        encoder.get_ref().clone()
    };
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    out.extend(block(&head));
    out.extend(block(&vec![0; 1 << 20]).repeat(4096));
    let mut guest = Guest { dir: dir.to_path_buf() };
    guest.file(&format!("boot/initrd.img-{VERSION}"), out);
    guest.build()
}

/// The block of 64 MiB of zeroes is repeated; the index at the end is never reached.
fn initramfs_xz(dir: &Path) -> PathBuf {
    initramfs(
        dir,
        "xz -0 --check=crc32 < head > OUT; head -c 64M /dev/zero | xz -0 --check=crc32 > zeroes",
    );
    let blocks = |path: PathBuf| {
        let bytes = fs::read(path).unwrap();
        let footer = &bytes[bytes.len() - 12..];
        let index = (u32::from_le_bytes(footer[4..8].try_into().unwrap()) as usize + 1) * 4;
        (bytes[..12].to_vec(), bytes[12..bytes.len() - 12 - index].to_vec())
    };
    let path = format!("boot/initrd.img-{VERSION}");
    let (mut out, first) = blocks(dir.join("tree").join(&path));
    out.extend(first);
    out.extend(blocks(dir.join("zeroes")).1.repeat(64));
    let mut guest = Guest { dir: dir.to_path_buf() };
    guest.file(&path, out);
    guest.build()
}

fn initramfs_nested(dir: &Path) -> PathBuf {
    initramfs(
        dir,
        "(cat head; head -c 1G /dev/zero) | zstd -q -1 > x; \
         for i in 1 2 3 4 5 6 7 8 9; do gzip -c x > y; zstd -q -c y > x; done; cp x OUT",
    )
}

fn initramfs_entries(dir: &Path) -> PathBuf {
    let entry = Cpio::new().file("a", "").finish();
    let end = entry.windows(6).skip(1).position(|bytes| bytes == b"070701").unwrap() + 1;
    let guest = Guest::sound(dir);
    fs::write(dir.join("all"), entry[..end].repeat(1_000_000)).unwrap();
    sh(dir, &format!("zstd -q -1 -c all > tree/boot/initrd.img-{VERSION}"));
    guest.build()
}

fn cloud_laughs(dir: &Path) -> PathBuf {
    let bomb: String = (1..30)
        .map(|n| format!("c{n}: &c{n} [{}]\n", vec![format!("*c{}", n - 1); 10].join(", ")))
        .collect();
    with(dir, "etc/cloud/cloud.cfg.d/90.cfg", format!("c0: &c0 [x]\n{bomb}"))
}

fn cloud_deep(dir: &Path) -> PathBuf {
    with(dir, "etc/cloud/cloud.cfg", "[".repeat(200_000))
}

fn netplan_deep(dir: &Path) -> PathBuf {
    let deep: String = (0..2000).map(|depth| " ".repeat(depth) + "a:\n").collect();
    with(dir, "etc/netplan/50.yaml", format!("network: {}\n{deep}", "{a: ".repeat(50_000)))
}

fn units(dir: &Path) -> PathBuf {
    let guest = Guest::sound(dir);
    let folder = guest.path("etc/systemd/system/multi-user.target.wants");
    fs::create_dir_all(&folder).unwrap();
    for number in 0..20_000 {
        symlink("/dev/null", folder.join(format!("unit-{number}.service"))).unwrap();
    }
    guest.build_btrfs()
}

fn modules(dir: &Path) -> PathBuf {
    let guest = Guest::sound(dir);
    for number in 0..100_000 {
        fs::write(guest.path(&format!("usr/lib/modules/{number}")), "").unwrap();
    }
    guest.build_btrfs()
}

fn modules_dep(dir: &Path) -> PathBuf {
    let text = "kernel/a/b.ko: kernel/a/c.ko\n".repeat((100 << 20) / 29);
    with(dir, &format!("usr/lib/modules/{VERSION}/modules.dep"), text)
}

fn escapes(dir: &Path) -> PathBuf {
    let mut guest = Guest::sound(dir);
    let text = "ID=debian\nVERSION_ID=\"\x1b[2J\"\nPRETTY_NAME=\"\x1b]0;owned\x07\"\n";
    guest.file("etc/os-release", text).file("etc/debian_version", "\x1b[31m\n");
    guest.file("etc/fstab", "/dev/\x1b[2J / \x1b[31mext4 defaults 0 1\n");
    guest.file("boot/grub/grub.cfg", "menuentry '\x1b[2J' {\nlinux /\x1b[2J root=\x1b[2J\n}\n");
    guest.build()
}

fn long_lines(dir: &Path) -> PathBuf {
    let line = "x".repeat(20 << 20);
    Guest::sound(dir).file("etc/passwd", &line).file("etc/shadow", &line).build()
}

fn sshd(dir: &Path) -> PathBuf {
    with(dir, "etc/ssh/sshd_config", "Include /etc/ssh/*\n".repeat(10_000))
}

fn dpkg(dir: &Path) -> PathBuf {
    let text: String = (0..90_000)
        .map(|number| {
            format!(
                "Package: p{number}\nStatus: install ok installed\nArchitecture: amd64\n\
                 Version: 1-{number}\nDescription: {}\n\n",
                "x".repeat(1000)
            )
        })
        .collect();
    assert!(text.len() > 95_000_000);
    with(dir, "var/lib/dpkg/status", text)
}
