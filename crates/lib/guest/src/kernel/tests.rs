use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;

use kiln_fixtures::kernel_image::{
    arm64_image, arm64_zboot, bzimage, bzimage_i386, bzimage_ikconfig,
};
use kiln_fixtures::module::Module;
use kiln_volume::{Kind, MemFs, Tree};

use super::*;

fn tree(fill: impl FnOnce(&mut MemFs)) -> Tree {
    let mut fs = MemFs::new();
    fill(&mut fs);
    Tree::new(Arc::new(fs))
}

fn image(bytes: Vec<u8>) -> KernelImage {
    let tree = tree(|fs| {
        fs.file("/image", bytes);
    });
    KernelImage::new(tree.open("/image").unwrap().unwrap())
}

#[test]
fn images_tell_version_and_architecture() {
    let gzipped = {
        use std::io::Write;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&arm64_image("6.8.0-31-generic")).unwrap();
        gzip.finish().unwrap()
    };
    for (bytes, version, architecture) in [
        (bzimage("5.14.0-1.el9.x86_64"), "5.14.0-1.el9.x86_64", "x86_64"),
        (bzimage_i386("4.9.0-3-686"), "4.9.0-3-686", "i386"),
        (arm64_image("6.1.0-40-arm64"), "6.1.0-40-arm64", "arm64"),
        (arm64_zboot("6.12.0-arm64"), "6.12.0-arm64", "arm64"),
        (gzipped, "6.8.0-31-generic", "arm64"),
    ] {
        let image = image(bytes);
        assert_eq!(image.version().unwrap().as_deref(), Some(version));
        assert_eq!(image.architecture().unwrap(), Some(architecture), "{version}");
    }
    for bytes in [vec![], b"hello".to_vec(), vec![0; 100_000], bzimage("")] {
        assert_eq!(image(bytes).version().unwrap(), None);
    }
}

#[test]
fn the_configuration_in_the_image_is_found() {
    let config = "CONFIG_VIRTIO=y\nCONFIG_NVME_CORE=m\n";
    let found = image(bzimage_ikconfig("6.9.1-arch1", config)).embedded_config().unwrap();
    assert_eq!(found.as_deref(), Some(config.as_bytes()));
    assert_eq!(image(bzimage("6.9.1")).embedded_config().unwrap(), None);
    let parsed = KernelConfig::parse(config);
    assert!(parsed.is_builtin("VIRTIO") && !parsed.is_builtin("NVME_CORE"));
}

/// One line a kernel: version, image, initramfs, rescue.
fn listed(fill: impl FnOnce(&mut MemFs)) -> Vec<String> {
    let kernels = kernels(&tree(fill)).unwrap();
    let text = |path: &Option<String>| path.clone().unwrap_or_else(|| "-".to_owned());
    kernels
        .iter()
        .map(|k| {
            let rescue = if k.is_rescue { " rescue" } else { "" };
            format!("{} {} {}{rescue}", k.version, text(&k.image), text(&k.initramfs))
        })
        .collect()
}

#[test]
fn kernels_of_each_family_are_found() {
    assert_eq!(
        listed(|fs| {
            for version in ["6.1.0-9-amd64", "6.1.0-40-amd64"] {
                fs.file(&format!("/lib/modules/{version}/modules.dep"), "")
                    .file(&format!("/boot/vmlinuz-{version}"), "")
                    .file(&format!("/boot/initrd.img-{version}"), "");
            }
            fs.dir("/lib/modules/kabi-current/kernel").dir("/lib/modules/5.10.0-1-amd64");
            fs.file("/boot/vmlinuz-6.1.0-9-amd64.old", "");
        }),
        [
            "6.1.0-40-amd64 /boot/vmlinuz-6.1.0-40-amd64 /boot/initrd.img-6.1.0-40-amd64",
            "6.1.0-9-amd64 /boot/vmlinuz-6.1.0-9-amd64 /boot/initrd.img-6.1.0-9-amd64",
        ]
    );
    assert_eq!(
        listed(|fs| {
            fs.dir("/lib/modules/4.18.0-1.el8/kernel")
                .file("/lib/modules/4.18.0-1.el8/vmlinuz", "")
                .file("/boot/initramfs-4.18.0-1.el8.img", "")
                .file("/boot/vmlinuz-0-rescue-ab", "")
                .file("/boot/initramfs-0-rescue-ab.img", "")
                .file("/boot/initramfs-4.18.0-1.el8kdump.img", "");
        }),
        [
            "4.18.0-1.el8 /lib/modules/4.18.0-1.el8/vmlinuz /boot/initramfs-4.18.0-1.el8.img",
            "0-rescue-ab /boot/vmlinuz-0-rescue-ab /boot/initramfs-0-rescue-ab.img rescue",
        ]
    );
    assert_eq!(
        listed(|fs| {
            fs.dir("/usr/lib/modules/6.9.1-arch1-1/kernel")
                .file("/usr/lib/modules/6.9.1-arch1-1/pkgbase", "linux\n")
                .file("/boot/vmlinuz-linux", "")
                .file("/boot/initramfs-linux.img", "");
        }),
        ["6.9.1-arch1-1 /boot/vmlinuz-linux /boot/initramfs-linux.img"]
    );
    assert_eq!(
        listed(|fs| {
            fs.file("/lib/modules/6.6.1-0-virt/modules.dep", "")
                .file("/boot/vmlinuz-virt", "")
                .file("/boot/initramfs-virt", "");
        }),
        ["6.6.1-0-virt /boot/vmlinuz-virt /boot/initramfs-virt"]
    );
    assert_eq!(
        listed(|fs| {
            fs.file("/etc/machine-id", "abc\n")
                .dir("/usr/lib/modules/6.5.0/kernel")
                .file("/boot/abc/6.5.0/linux", "")
                .file("/boot/abc/6.5.0/initrd", "")
                .dir("/usr/lib/modules/6.4.0/kernel")
                .file("/boot/ostree/fedora-1/vmlinuz-6.4.0", "")
                .file("/boot/ostree/fedora-1/initramfs-6.4.0.img", "");
        }),
        [
            "6.5.0 /boot/abc/6.5.0/linux /boot/abc/6.5.0/initrd",
            "6.4.0 /boot/ostree/fedora-1/vmlinuz-6.4.0 /boot/ostree/fedora-1/initramfs-6.4.0.img",
        ]
    );
}

/// A tree of modules and what depmod itself makes of it.
fn depmod() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let modules = dir.path().join("lib/modules/6.1.0");
    for (path, module) in [
        ("kernel/virtio_ring.ko", Module::new("virtio_ring", "6.1.0")),
        (
            "kernel/virtio-blk.ko",
            Module::new("virtio_blk", "6.1.0")
                .depends(&["virtio_ring"])
                .alias("virtio:d00000002v*"),
        ),
        (
            "kernel/nvme.ko",
            Module::new("nvme", "6.1.0")
                .depends(&["nvme-core"])
                .alias("pci:v*d*sv*sd*bc01sc08i02*")
                .alias("pci:v0000144Dd0000A822sv*sd*bc*sc*i*"),
        ),
        ("kernel/nvme-core.ko", Module::new("nvme-core", "6.1.0").info("parmtype=io_timeout:uint")),
    ] {
        let path = modules.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, module.build()).unwrap();
    }
    std::fs::write(modules.join("modules.order"), "").unwrap();
    std::fs::write(modules.join("modules.builtin"), "kernel/drivers/nvmem/nvmem_core.ko\n")
        .unwrap();
    let status = Command::new("/usr/sbin/depmod").arg("-b").arg(dir.path()).arg("6.1.0").status();
    assert!(status.unwrap().success());
    dir
}

/// kiln reads out of depmod's binary indexes what depmod writes into its text files.
#[test]
fn indexes_of_depmod_are_read() {
    let dir = depmod();
    let read = |name: &str| std::fs::read(dir.path().join("lib/modules/6.1.0").join(name)).unwrap();
    let text = String::from_utf8(read("modules.alias")).unwrap();
    let wanted: BTreeSet<(String, String)> =
        text_aliases(&text).map(|(a, m)| (a.to_owned(), m.to_owned())).collect();
    let mut found = BTreeSet::new();
    index_entries(&read("modules.alias.bin"), &mut |key, value| {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        found.insert((text(key), text(value)));
    })
    .unwrap();
    assert_eq!(found, wanted);
    assert_eq!(found.len(), 3);

    let mut fs = MemFs::new();
    for name in ["modules.dep", "modules.builtin"] {
        fs.file(&format!("/m/{name}"), read(name));
    }
    fs.file("/m/extra/kmod-x.ko.zst", "");
    let modules = Modules::read(&Tree::new(Arc::new(fs)), "/m").unwrap();
    assert_eq!(modules.dependencies["virtio_blk"], ["virtio_ring"]);
    assert_eq!(modules.dependencies["nvme"], ["nvme_core"]);
    assert_eq!(modules.files["virtio_blk"], "kernel/virtio-blk.ko");
    assert_eq!(modules.files["kmod_x"], "extra/kmod-x.ko.zst");
    assert_eq!(modules.builtin, Some(BTreeSet::from(["nvmem_core".to_owned()])));
}

#[test]
fn parameter_types_are_read_from_packed_modules() {
    let module = Module::new("nvme-core", "6.1.0").info("parmtype=io_timeout:uint").build();
    let packed = zstd::encode_all(&module[..], 3).unwrap();
    let tree = tree(|fs| {
        fs.file("/a.ko", module).file("/a.ko.zst", packed);
    });
    for path in ["/a.ko", "/a.ko.zst"] {
        let kind = |name| module_parameter_type(&tree, path, name).unwrap();
        assert_eq!(kind("io_timeout").as_deref(), Some("uint"));
        assert_eq!(kind("admin_timeout"), None);
    }
}

#[test]
fn aliases_match_as_fnmatch_does() {
    for (pattern, name, matches) in [
        ("virtio:d00000002v*", "virtio:d00000002v00001AF4", true),
        ("virtio:d00000002v*", "virtio:d00000001v00001AF4", false),
        ("pci:v*d*sv*sd*bc01sc08i02*", "pci:v00001DEDd00008061sv0sd0bc01sc08i02", true),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("a[0-9x]c", "a5c", true),
        ("a[!0-9]c", "a5c", false),
        ("a[", "a[", false),
        ("fs-ext4", "fs_ext4", true),
        ("*", "", true),
    ] {
        assert_eq!(alias_matches(pattern.as_bytes(), name.as_bytes()), matches, "{pattern} {name}");
    }
    // Would take for ever with a matcher that tries all ways.
    assert!(!alias_matches(&b"*a".repeat(1000), &b"a".repeat(900)));
}

#[test]
fn broken_indexes_are_refused() {
    let error = |bytes: &[u8]| {
        let error = index_entries(bytes, &mut |_, _| ()).unwrap_err();
        (error.kind(), error.to_string())
    };
    let start = b"\xB0\x07\xF4\x57\0\x02\0\x01";
    let with = |rest: &[u8]| [&start[..], rest].concat();
    let corrupt = |text: &str| (Kind::Corrupt, text.to_owned());
    assert_eq!(error(b"nonsense").1, "not a module index: wrong magic (at byte 0)");
    assert_eq!(
        error(b"\xB0\x07\xF4\x57\0\x03\0\x01\0\0\0\0").1,
        "module index of version 3.1 (at byte 4)"
    );
    assert_eq!(
        error(&with(b"\x80\0\0\x0C")),
        corrupt("a module index ends inside a node (at byte 12)")
    );
    // A node that is its own child grows the key until the limit.
    let around = with(b"\x20\0\0\x0Caa\x20\0\0\x0C");
    assert_eq!(error(&around), corrupt("a key of more than 2048 bytes (at byte 12)"));
    // Two children each, shared: exponential without the limit on nodes.
    let mut shared = with(b"\x20\0\0\x0C");
    for at in 0..40_u32 {
        let next = 0x2000_000C + (at + 1) * 10;
        shared.extend(b"ab");
        shared.extend(next.to_be_bytes());
        shared.extend(next.to_be_bytes());
    }
    shared.extend(b"ba");
    assert!(error(&shared).1.starts_with("a module index of more than 1000000 nodes"));
}

#[test]
fn mutated_indexes_and_images_are_survived() {
    let dir = depmod();
    let index = std::fs::read(dir.path().join("lib/modules/6.1.0/modules.alias.bin")).unwrap();
    let mut state = 3_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize
    };
    for _ in 0..5000 {
        let mut bytes = index.clone();
        for _ in 0..=random() % 4 {
            let at = random() % bytes.len();
            bytes[at] = random() as u8;
        }
        let _ = index_entries(&bytes, &mut |_, _| ());
    }
    for sound in [bzimage_ikconfig("6.1", "CONFIG_A=y\n"), arm64_zboot("6.1")] {
        for _ in 0..200 {
            let mut bytes = sound.clone();
            for _ in 0..=random() % 4 {
                let at = random() % bytes.len().min(0x600);
                bytes[at] = random() as u8;
            }
            let image = image(bytes);
            let _ = (image.version(), image.architecture(), image.embedded_config());
        }
    }
}
