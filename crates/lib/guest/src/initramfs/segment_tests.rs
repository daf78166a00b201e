//! Segments for phony guests of several families: after appending, the checks pass, the indexes are
//! those that depmod makes over all modules, and there is nothing more to add.

use kiln_fixtures::phony::{Initrd, LINUX_6_1, Phony};

use super::*;
use crate::{CHECKS, Declared, Inspection, Status, inspect, nvme_drivers, run, virtio_drivers};

fn look(phony: &Phony) -> Inspection {
    let declared = Declared {
        boot_mode: phony.declared.boot_mode.clone(),
        architecture: phony.declared.architecture.clone(),
        ..Declared::default()
    };
    inspect(phony.layout(), declared)
}

/// All that both items want.
fn wanted(guest: &Guest, version: &str) -> Vec<&'static str> {
    let mut drivers = virtio_drivers(guest, version).unwrap();
    drivers.extend(nvme_drivers(guest, version).unwrap());
    drivers
}

fn initrds(phony: &Phony) -> Vec<String> {
    phony.initrds.keys().cloned().collect()
}

fn segment_of(phony: &Phony) -> Result<Segment, SegmentError> {
    let inspection = look(phony);
    let guest = inspection.guest().unwrap();
    let drivers = wanted(guest, phony.kver);
    let initrds = initrds(phony);
    driver_segment(
        guest,
        &SegmentRequest {
            version: phony.kver,
            initrds: &initrds,
            drivers: &drivers,
            ..SegmentRequest::default()
        },
    )
}

fn refusal_of(phony: &Phony) -> String {
    match segment_of(phony) {
        Err(SegmentError::Refused(refusal)) => refusal.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Append `segment` to the initramfs that it is for.
fn append(phony: &mut Phony, segment: &Segment) {
    let initrd = phony.initrds.get_mut(&segment.path).unwrap();
    let mut file = initrd.build();
    file.extend(segment.tail());
    initrd.raw = Some(file);
}

/// The verdicts of Virtio and Nvme.
fn verdicts(phony: &Phony) -> [(Status, Option<String>); 2] {
    let report = run(&look(phony), CHECKS);
    ["Virtio", "Nvme"].map(|name| {
        let item = report.iter().find(|item| item.name == format!("GUESTOS.{name}")).unwrap();
        (item.status, item.risk_code.clone())
    })
}

/// Broken, mended by a segment, sound; and mended for good.
#[track_caller]
fn mends(mut phony: Phony) -> Segment {
    assert!(verdicts(&phony).iter().any(|(status, _)| *status != Status::Pass), "no fault planted");
    let segment = segment_of(&phony).unwrap();
    append(&mut phony, &segment);
    assert_eq!(verdicts(&phony), [(Status::Pass, None), (Status::Pass, None)]);
    let again = segment_of(&phony).unwrap();
    assert_eq!(again, Segment { path: again.path.clone(), ..Segment::default() });
    segment
}

/// All files that an initramfs has in the end, by path, as the kernel would unpack them.
fn unpacked(phony: &Phony) -> Initramfs {
    let inspection = look(phony);
    let read = inspection.guest().unwrap().initramfs(&initrds(phony)).unwrap();
    (*read).clone()
}

/// Everything but virtio and NVMe.
fn is_no_cloud_driver(name: &str) -> bool {
    !name.starts_with("virtio") && !name.starts_with("nvme") && name != "t10-pi"
}

/// The modules that the checks want, and all others but `virtio_mem` and its like.
fn is_in_the_mended(name: &str) -> bool {
    is_no_cloud_driver(name)
        || matches!(
            name,
            "virtio"
                | "virtio_ring"
                | "virtio_pci_legacy_dev"
                | "virtio_pci_modern_dev"
                | "virtio_pci"
                | "virtio_blk"
                | "nvme-core"
                | "nvme"
                | "t10-pi"
        )
}

fn dracut_without(phony: fn() -> Phony) -> Phony {
    let mut phony = phony();
    let kver = phony.kver;
    *phony.initrd() = Initrd::dracut(LINUX_6_1, kver, is_no_cloud_driver);
    phony
}

fn debian_without() -> Phony {
    let mut phony = Phony::debian();
    let kver = phony.kver;
    *phony.initrd() = Initrd::initramfs_tools(LINUX_6_1, kver, is_no_cloud_driver);
    phony
}

#[test]
fn debian_and_el_are_mended() {
    for phony in [debian_without(), dracut_without(Phony::el9), dracut_without(Phony::el8)] {
        let segment = mends(phony);
        assert_eq!(
            segment.added,
            [
                "nvme",
                "nvme_core",
                "t10_pi",
                "virtio",
                "virtio_blk",
                "virtio_pci",
                "virtio_pci_legacy_dev",
                "virtio_pci_modern_dev",
                "virtio_ring"
            ]
        );
    }
}

/// The indexes behind the segment are, byte for byte, what depmod makes over the same modules.
#[test]
fn the_indexes_are_those_of_depmod_over_the_union() {
    let mut phony = debian_without();
    let segment = segment_of(&phony).unwrap();
    append(&mut phony, &segment);
    let found = unpacked(&phony);
    let theirs = LINUX_6_1.files(phony.kver, is_in_the_mended);
    let mut n_compared = 0;
    for (name, bytes) in theirs.iter().filter(|(name, _)| name.starts_with("modules.")) {
        let path = format!("usr/lib/modules/{}/{name}", phony.kver);
        let Some(ours) = found.files.get(&path) else { continue };
        n_compared += 1;
        let lines = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
        };
        match name.as_str() {
            // In the order of depmod's hash table, which is not that of the guest's file.
            "modules.symbols" => assert_eq!(lines(ours), lines(bytes)),
            _ => assert!(ours == bytes, "{name}"),
        }
    }
    assert_eq!(n_compared, 10);
}

/// Whatever single module is missing, it comes back with those that need it in the indexes.
#[test]
fn each_missing_module_is_mended() {
    for module in ["virtio_pci", "virtio_pci_modern_dev", "virtio_ring", "nvme", "t10_pi", "ext4"] {
        let mut phony = Phony::debian();
        phony.initrd().without(module);
        assert_eq!(mends(phony).added, [module]);
    }
}

#[test]
fn a_sound_initramfs_gets_nothing() {
    for phony in [Phony::debian(), Phony::el9(), Phony::el6(), Phony::ubuntu(), Phony::alpine()] {
        let segment = segment_of(&phony).unwrap();
        assert!(
            segment.is_empty() && segment.files.is_empty(),
            "{}: {:?}",
            phony.kver,
            segment.files
        );
    }
}

/// Modules are there, and the indexes of the initramfs do not know them.
#[test]
fn indexes_alone_are_written_where_they_are_stale() {
    let mut phony = Phony::debian();
    let kver = phony.kver;
    let old = LINUX_6_1.files(kver, is_no_cloud_driver);
    for (name, data) in old.into_iter().filter(|(name, _)| name.starts_with("modules.")) {
        phony.initrd().put(&format!("usr/lib/modules/{kver}/{name}"), data);
    }
    let segment = mends(phony);
    assert_eq!(segment.added, Vec::<String>::new());
    assert!(segment.files.iter().all(|file| file.path.contains("/modules.") && file.replaces));
}

/// Without a merged /usr the modules go to /lib.
#[test]
fn modules_go_where_the_others_are() {
    let mut phony = Phony::el6();
    phony.initrd().without("virtio_blk");
    let segment = mends(phony);
    assert_eq!(
        segment.listing()[0],
        "+ lib/modules/2.6.32-754.35.1.el6.x86_64/kernel/drivers/block/virtio_blk.ko (1 KiB)"
    );
}

#[test]
fn blacklists_are_lifted() {
    let mut phony = Phony::debian();
    phony.initrd().put(
        "etc/modprobe.d/a.conf",
        "# mine\nblacklist virtio-blk\noptions nvme x=1\ninstall virtio_ring /bin/true\nblacklist pcspkr",
    );
    let segment = mends(phony.clone());
    assert_eq!(segment.listing(), ["~ etc/modprobe.d/a.conf (1 KiB)"]);
    append(&mut phony, &segment);
    assert_eq!(
        String::from_utf8_lossy(&unpacked(&phony).files["etc/modprobe.d/a.conf"]),
        "# mine\n# kiln: blacklist virtio-blk\noptions nvme x=1\n# kiln: install virtio_ring /bin/true\n\
         blacklist pcspkr"
    );
}

/// Every compression of the old file, and a length that is no multiple of 4.
#[test]
fn any_compression_may_come_before() {
    let archive = debian_without().initrd().archive();
    for codec in [Codec::Gzip, Codec::Zstd, Codec::Xz, Codec::Lzma, Codec::Lz4, Codec::Bzip2] {
        for packed in [false, true] {
            let mut phony = debian_without();
            let bytes = codec.encode(&archive).unwrap().unwrap();
            let old_bytes = bytes.len();
            phony.initrd().raw = Some(bytes);
            let inspection = look(&phony);
            let guest = inspection.guest().unwrap();
            let drivers = wanted(guest, phony.kver);
            let request = SegmentRequest {
                version: phony.kver,
                initrds: &initrds(&phony),
                drivers: &drivers,
                packed,
                ..SegmentRequest::default()
            };
            let segment = driver_segment(guest, &request).unwrap();
            match codec {
                Codec::Lz4 => assert_eq!(segment.padding_bytes, 0),
                _ => assert_eq!((old_bytes + segment.padding_bytes) % 4, 0),
            }
            let is_packed = Codec::of(&segment.bytes) == Some(codec);
            assert_eq!(is_packed, packed || codec == Codec::Lz4);
            assert_eq!(is_packed, (segment.bytes.len() as u64) < segment.unpacked_bytes);
            append(&mut phony, &segment);
            assert_eq!(verdicts(&phony), [(Status::Pass, None), (Status::Pass, None)], "{codec:?}");
            assert!(segment_of(&phony).unwrap().is_empty());
        }
    }
}

/// Modules that the guest has packed: kept so beside packed ones, unpacked beside plain ones.
#[test]
fn modules_are_packed_as_those_beside_them() {
    let packed =
        |path: &str, data: &[u8]| (format!("{path}.xz"), Codec::Xz.encode(data).unwrap().unwrap());
    let is_module = |path: &str| path.ends_with(".ko");
    let mut phony = debian_without();
    let kver = phony.kver;
    let dir = format!("/usr/lib/modules/{kver}");
    let all = LINUX_6_1.files(kver, |_| true);
    for (path, data) in all.iter().filter(|(path, _)| is_module(path)) {
        let (to, data) = packed(path, data);
        phony.remove(&format!("{dir}/{path}")).put(&format!("{dir}/{to}"), data);
    }
    let dep = phony.text(&format!("{dir}/modules.dep")).replace(".ko", ".ko.xz");
    phony.put(&format!("{dir}/modules.dep"), dep);
    let segment = mends(phony.clone());
    assert!(
        segment.files[0].path.ends_with("/nvme-core.ko")
            || segment.files[0].path.ends_with("/nvme.ko")
    );

    let files = std::mem::take(&mut phony.initrd().files);
    phony.initrd().files = files
        .into_iter()
        .map(|(path, data)| if is_module(&path) { packed(&path, &data) } else { (path, data) })
        .collect();
    let segment = mends(phony.clone());
    assert!(segment.files[0].path.ends_with("/nvme.ko.xz"), "{}", segment.files[0].path);
    append(&mut phony, &segment);
    let dep = &unpacked(&phony).files[&format!("usr/lib/modules/{kver}/modules.dep")];
    let text = String::from_utf8_lossy(dep);
    let line = text.lines().find(|line| line.contains("/virtio_blk.ko")).unwrap();
    assert_eq!(
        line,
        "kernel/drivers/block/virtio_blk.ko.xz: kernel/drivers/virtio/virtio_ring.ko.xz \
         kernel/drivers/virtio/virtio.ko.xz"
    );
}

#[test]
fn overrides_and_links_come_with_it() {
    let mut phony = Phony::el9();
    let wait = "var/lib/dracut/hooks/initqueue/finished/devexists-sda.sh";
    phony.initrd().put("etc/cmdline.d/95root-dev.conf", "root=/dev/sda2\n");
    phony.initrd().put(wait, "[ -e /dev/sda2 ]\n");
    let inspection = look(&phony);
    let guest = inspection.guest().unwrap();
    let read = guest.initramfs(&initrds(&phony)).unwrap();
    assert_eq!(read.files[wait], b"[ -e /dev/sda2 ]\n");
    let overrides = [
        ("etc/cmdline.d/95root-dev.conf".to_owned(), b"root=UUID=1\n".to_vec()),
        (wait.to_owned(), b"true\n".to_vec()),
    ];
    let links = [("etc/systemd/system/dev-sda2.device".to_owned(), "/dev/null".to_owned())];
    let request = SegmentRequest {
        version: phony.kver,
        initrds: &initrds(&phony),
        overrides: &overrides,
        links: &links,
        ..SegmentRequest::default()
    };
    let segment = driver_segment(guest, &request).unwrap();
    assert_eq!(
        segment.listing(),
        [
            "~ etc/cmdline.d/95root-dev.conf (1 KiB)",
            &format!("~ {wait} (1 KiB)"),
            "+ etc/systemd/system/dev-sda2.device (1 KiB)",
        ]
    );
    append(&mut phony, &segment);
    let mended = unpacked(&phony);
    assert_eq!(mended.files[wait], b"true\n");
    assert_eq!(mended.files["etc/cmdline.d/95root-dev.conf"], b"root=UUID=1\n");
}

/// What the module set of the phony kernel lacks: soft dependencies, here on an alias and a name.
#[test]
fn soft_dependencies_come_along() {
    let mut phony = debian_without();
    let path = format!("/usr/lib/modules/{}/modules.softdep", phony.kver);
    phony.initrd().without("xfs").without("libcrc32c").without("btrfs");
    phony.put(
        &path,
        "softdep virtio-blk pre: fs-btrfs libcrc32c post: nothing\nsoftdep ext4 pre: xfs\n",
    );
    let added = segment_of(&phony).unwrap().added;
    for (module, is_added) in [("btrfs", true), ("libcrc32c", true), ("xfs", false)] {
        assert_eq!(added.iter().any(|name| name == module), is_added, "{module}: {added:?}");
    }
}

#[test]
fn refusals_say_why() {
    let mut phony = debian_without();
    phony.initrds.clear();
    assert_eq!(refusal_of(&phony), "the kernel has no initramfs to append to");

    let mut phony = debian_without();
    let mut bytes = phony.initrd().build();
    bytes.truncate(bytes.len() / 2);
    phony.initrd().raw = Some(bytes);
    assert!(refusal_of(&phony).starts_with("the initramfs cannot be read: "));

    let mut phony = debian_without();
    let mut bytes = phony.initrd().build();
    bytes.extend(b"a=1\0\x04\0\0\0\x01\0\0\0#BOOTCONFIG\n");
    phony.initrd().raw = Some(bytes);
    assert_eq!(
        refusal_of(&phony),
        "a boot configuration ends the initramfs, and what is appended would hide it"
    );

    assert_eq!(
        refusal_of(&Phony::el5()),
        "an initramfs of MkinitrdNash does not load modules by their indexes"
    );

    let mut phony = Phony::debian();
    *phony.initrd() = Initrd::initramfs_tools(LINUX_6_1, "6.1.0-9-amd64", |_| true);
    assert_eq!(
        refusal_of(&phony),
        "the initramfs is one of another kernel: it has modules of 6.1.0-9-amd64"
    );

    let mut phony = debian_without();
    phony.initrd().files.retain(|path, _| !path.contains("bin/") && !path.contains("udevd"));
    assert_eq!(
        refusal_of(&phony),
        "the initramfs has neither udev nor modprobe to load what is added"
    );

    let mut phony = debian_without();
    phony.without_module("virtio_blk");
    assert!(refusal_of(&phony).ends_with("has no module virtio_blk"), "{}", refusal_of(&phony));

    let mut phony = debian_without();
    let dir = format!("/lib/modules/{}", phony.kver);
    phony.put(&format!("/usr{dir}/modules.dep"), "");
    assert_eq!(
        refusal_of(&phony),
        format!("{dir}/modules.dep does not list nvme, so what it needs is not known")
    );

    let module = format!("{dir}/kernel/drivers/block/virtio_blk.ko");
    for (bytes, why) in [
        (b"text".to_vec(), "it is no ELF file"),
        (b"\x1F\x8Bbroken".to_vec(), "it does not unpack"),
        (
            kiln_fixtures::module::Module::new("virtio_blk", "5.10.0").build(),
            "it was built for `5.10.0`",
        ),
    ] {
        let mut phony = debian_without();
        phony.put(&format!("/usr{module}"), bytes);
        let version = phony.kver;
        assert_eq!(
            refusal_of(&phony),
            format!("{module} is not a module of kernel {version}: {why}")
        );
    }
}

/// A unified kernel image holds its initramfs inside a program.
#[test]
fn a_unified_kernel_image_is_refused() {
    let mut phony = debian_without();
    phony.initrd().raw = Some(tests::uki(&debian_without().initrd().build()));
    assert!(
        refusal_of(&phony).ends_with("is a unified kernel image, and its initramfs cannot grow")
    );
}

/// Never a link replaced by a directory: where `lib` is a link, nothing is written through it.
#[test]
fn links_of_a_merged_usr_stay() {
    let mut phony = debian_without();
    let archive = phony.initrd().archive();
    let link = kiln_fixtures::cpio::Cpio::new().dir("usr/lib").symlink("lib", "usr/lib").finish();
    phony.initrd().raw = Some([link, archive].concat());
    let segment = mends(phony);
    assert!(segment.files.iter().all(|file| file.path.starts_with("usr/lib/")));
    assert_eq!(memchr::memmem::find(&segment.bytes, b"\0lib\0"), None);
    let dir = b"usr/lib\0";
    assert_eq!(memchr::memmem::find(&segment.bytes, dir), None, "a directory that was there");
}
