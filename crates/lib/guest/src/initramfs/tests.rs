use std::io::Write;
use std::process::{Command, Stdio};

use kiln_fixtures::cpio::Cpio;

use super::*;

/// Pipe `input` through a tool.
fn pipe(command: &str, input: &[u8]) -> Vec<u8> {
    let mut words = command.split(' ');
    let mut child = Command::new(words.next().unwrap())
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{command}");
    output.stdout
}

const CODECS: [(&str, &str); 8] = [
    ("gzip", "gzip -9"),
    ("zstd", "zstd -q -19"),
    ("zstd", "zstd -q --ultra -22 --long=27"),
    ("xz", "xz --check=crc32"),
    ("lzma", "xz --format=lzma"),
    ("lz4", "lz4 -q -l -9"),
    ("lzo", "lzop -9"),
    ("bzip2", "bzip2"),
];

/// About 700 KiB that neither pack to nothing nor stay as they are.
fn noise() -> Vec<u8> {
    let mut state = 1_u32;
    (0..700_000_u32)
        .map(|at| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if at % 5 < 3 { (at / 1000) as u8 } else { (state >> 24) as u8 }
        })
        .collect()
}

fn main_archive() -> Vec<u8> {
    Cpio::new()
        .file("usr/lib/modules/6.1.0/kernel/drivers/block/virtio_blk.ko.xz", noise())
        .file("usr/lib/modules/6.1.0/modules.alias", "alias a b\n")
        .file("usr/sbin/modprobe", "x")
        .file("usr/lib/systemd/systemd-udevd", "x")
        .dir("usr/lib/dracut")
        .finish()
}

fn module(version: &str, name: &str) -> (String, String) {
    (version.to_owned(), name.to_owned())
}

/// What the standard tools write, behind a raw segment and with zeroes around it.
#[test]
fn every_codec_is_read() {
    let early = Cpio::new().file("kernel/x86/microcode/GenuineIntel.bin", [7; 5000]).finish();
    for (name, command) in CODECS {
        let mut initrd = early.clone();
        initrd.extend([0; 512]);
        initrd.extend(pipe(command, &main_archive()));
        initrd.extend([0; 1000]);
        let read = Initramfs::from_bytes(initrd);
        assert_eq!(read.error, None, "{command}");
        assert_eq!(
            read.segments,
            ["cpio: 4 entries, 1 MiB", &format!("{name}: 14 entries, 1 MiB")]
        );
        assert_eq!(read.generator, Generator::Dracut);
        assert!(read.has_udev && read.has_modprobe);
        assert!(read.modules.contains_key(&module("6.1.0", "virtio_blk")));
        assert_eq!(read.files["usr/lib/modules/6.1.0/modules.alias"], b"alias a b\n");
        assert_eq!(read.unpacked_bytes, (early.len() + main_archive().len()) as u64);
    }
}

/// An archive of cpio itself has the entries that `cpio -t` lists.
#[test]
fn the_cpio_tool_lists_the_same() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("lib/modules/5.10.0/kernel")).unwrap();
    std::fs::write(dir.path().join("lib/modules/5.10.0/kernel/nvme-core.ko"), noise()).unwrap();
    std::os::unix::fs::symlink("lib", dir.path().join("link")).unwrap();
    let list =
        "find . | sort | cpio --quiet -o -H newc | tee /dev/stderr | cpio --quiet -t | wc -l";
    let output = Command::new("sh").args(["-c", list]).current_dir(&dir).output().unwrap();
    let listed: u64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    let read = Initramfs::from_bytes(output.stderr);
    assert_eq!((read.error.as_deref(), read.n_entries), (None, listed));
    assert!(read.modules.contains_key(&module("5.10.0", "nvme_core")));
}

#[test]
fn later_files_replace_earlier_ones() {
    let mut initrd = Cpio::new().file("conf/modules", "nvme\n").finish();
    initrd.extend(Cpio::new().file("conf/modules", "virtio_blk\n").finish());
    let read = Initramfs::from_bytes(initrd);
    assert_eq!(read.files["conf/modules"], b"virtio_blk\n");
}

/// Cut in the middle: what came before stands, and the error says where.
#[test]
fn a_truncated_segment_keeps_what_came_before() {
    let early = Cpio::new().file("lib/modules/6.1.0/a.ko", "x").finish();
    for (name, command) in CODECS {
        let packed = pipe(command, &main_archive());
        let mut initrd = early.clone();
        initrd.extend(&packed[..packed.len() / 2]);
        let read = Initramfs::from_bytes(initrd);
        let error = read.error.expect(command);
        let start = format!("initrd: segment at byte {}: {name}: ", early.len());
        assert!(error.starts_with(&start), "{error}");
        assert!(read.modules.contains_key(&module("6.1.0", "a")), "{command}");
    }
}

#[test]
fn each_fault_is_named() {
    let sound = Cpio::new().file("a", "b").finish();
    let changed = |at: usize, byte: u8| {
        let mut bytes = sound.clone();
        bytes[at] = byte;
        bytes
    };
    for (bytes, message) in [
        (
            b"hello".to_vec(),
            "initrd: segment at byte 0: neither an archive nor a known compression: starts with \
             [68, 65, 6c, 6c, 6f]",
        ),
        (changed(20, b'x'), "initrd: segment at byte 0: an entry's header is not hexadecimal"),
        (changed(94, b'F'), "initrd: segment at byte 0: an entry's name has 4026531842 bytes"),
        (
            changed(116, b'1'),
            "initrd: segment at byte 0: an entry starts with `170701`, not with 070701",
        ),
        (sound[..100].to_vec(), "initrd: segment at byte 0: the archive ends before its trailer"),
    ] {
        let read = Initramfs::from_bytes(bytes);
        assert_eq!(read.error.as_deref(), Some(message));
    }
}

/// Zeroes that unpack without end are given up early, in bounded memory.
#[test]
fn bombs_are_given_up() {
    let mut bomb = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    let mebibyte = vec![0; 1 << 20];
    for _ in 0..600 {
        bomb.write_all(&mebibyte).unwrap();
    }
    let error = Initramfs::from_bytes(bomb.finish().unwrap()).error.unwrap();
    assert!(error.ends_with("a decompression bomb"), "{error}");

    let mut nested = main_archive();
    for _ in 0..5 {
        nested = pipe("gzip -1", &nested);
    }
    let error = Initramfs::from_bytes(nested).error.unwrap();
    assert!(error.ends_with("more than 3 compressions inside each other"), "{error}");
}

/// The boot configuration behind an initrd is not taken for a broken segment.
#[test]
fn a_boot_configuration_is_left_out() {
    let mut initrd = main_archive();
    let config = b"kernel.x = 1\n\0\0\0";
    initrd.extend(config);
    initrd.extend((config.len() as u32).to_le_bytes());
    initrd.extend([1, 2, 3, 4]);
    initrd.extend(b"#BOOTCONFIG\n");
    assert_eq!(Initramfs::from_bytes(initrd).error, None);
}

/// Mutations of sound images never panic and end.
#[test]
fn mutations_are_survived() {
    let small = Cpio::new().file("lib/modules/6.1.0/kernel/a.ko", [9; 3000]).finish();
    let mut state = 7_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize
    };
    for (_, command) in CODECS {
        let packed = pipe(command, &small);
        for _ in 0..300 {
            let mut bytes = packed.clone();
            for _ in 0..=random() % 4 {
                let at = random() % bytes.len();
                bytes[at] = random() as u8;
            }
            bytes.truncate(bytes.len() - random() % 8);
            let _ = Initramfs::from_bytes(bytes);
        }
    }
    for _ in 0..2000 {
        let mut bytes = small.clone();
        let at = random() % bytes.len();
        bytes[at] = random() as u8;
        let _ = Initramfs::from_bytes(bytes);
    }
}

/// A unified kernel image with a version and an initrd in its sections.
pub(super) fn uki(initrd: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 0x200];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(60, &0x40_u32.to_le_bytes());
    put(0x40, b"PE\0\0\x64\x86\x02\0");
    let sections = [(&b".uname"[..], 0x200_u32, 16), (b".initrd", 0x400, initrd.len() as u32)];
    for (index, (name, offset, length)) in sections.into_iter().enumerate() {
        let at = 0x40 + 24 + 40 * index;
        put(at, name);
        // The raw size is padded, the virtual one is exact.
        for (field, value) in [(8, length), (16, length.next_multiple_of(512)), (20, offset)] {
            put(at + field, &value.to_le_bytes());
        }
    }
    file.extend(b"6.9.1-arch1-1\0");
    file.resize(0x400, 0);
    file.extend(initrd);
    // What follows the section is not part of the initrd.
    file.extend([0xEE; 600]);
    file
}

#[test]
fn the_initrd_of_a_unified_kernel_image_is_read() {
    let tree = |bytes: Vec<u8>| {
        let mut fs = MemFs::new();
        fs.file("/uki.efi", bytes);
        Tree::new(Arc::new(fs))
    };
    let sound = uki(&pipe("zstd -q", &main_archive()));
    let paths = ["/uki.efi".to_owned()];
    let read = read_initrds(&tree(sound.clone()), &paths).unwrap();
    assert_eq!((read.error, read.n_entries), (None, 14));
    let version = |tree: &Tree| crate::kernel::image_version(tree, "/uki.efi").unwrap();
    assert_eq!(version(&tree(sound.clone())).as_deref(), Some("6.9.1-arch1-1"));
    for at in 0..0xC0 {
        for value in [0, 0x7F, 0xFF] {
            let mut bytes = sound.clone();
            bytes[at] = value;
            let tree = tree(bytes);
            let _ = (read_initrds(&tree, &paths), version(&tree));
        }
    }
    let error = read_initrds(&tree(sound), &["/gone".to_owned()]).unwrap_err();
    assert_eq!(error.to_string(), "/gone: no such file");
}

/// RHEL 5 keeps modules in /lib and loads them by a script of nash.
#[test]
fn generators_are_told_apart() {
    let nash = Cpio::new().file("init", "#!/bin/nash\ninsmod /lib/virtio_blk.ko\n");
    let read = Initramfs::from_bytes(nash.file("lib/virtio_blk.ko", "").finish());
    assert_eq!(read.generator, Generator::MkinitrdNash);
    assert_eq!(read.modules.keys().collect::<Vec<_>>(), [&module("", "virtio_blk")]);
    for (path, generator) in [
        ("conf/arch.conf", Generator::InitramfsTools),
        ("usr/lib/dracut/modules.txt", Generator::Dracut),
        ("init_functions", Generator::Mkinitcpio),
        ("sbin/nlplug-findfs", Generator::Mkinitfs),
        ("run_all.sh", Generator::MkinitrdSuse),
        ("etc/booster.init.yaml", Generator::Booster),
        ("init", Generator::Unknown),
    ] {
        let read = Initramfs::from_bytes(Cpio::new().file(path, "").finish());
        assert_eq!(read.generator, generator, "{path}");
    }
}
