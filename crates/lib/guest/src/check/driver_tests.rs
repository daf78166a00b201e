//! Faults planted one at a time in a sound guest with Linux 6.1, and near misses that stay right.

use std::collections::BTreeMap;
use std::sync::Arc;

use kiln_fixtures::cpio::Cpio;
use kiln_fixtures::kernel_image::bzimage;
use kiln_fixtures::module::Module;
use kiln_volume::{Content, Layout, MemFs, Origin, Tree, Volume};

use super::nvme::NVME;
use super::support_moc::SUPPORT_MOC;
use super::virtio::VIRTIO;
use super::*;
use crate::boot::{Boot, BootEntry, Loader};
use crate::inspect::{Declared, Family, Guest, OsInfo};

const K: &str = "6.1.0-40-amd64";
const DIR: &str = "usr/lib/modules/6.1.0-40-amd64";
const DEP: &str = "\
kernel/virtio.ko:
kernel/virtio_ring.ko: kernel/virtio.ko
kernel/virtio_pci_modern_dev.ko:
kernel/virtio_pci.ko: kernel/virtio_pci_modern_dev.ko kernel/virtio_ring.ko kernel/virtio.ko
kernel/virtio_blk.ko: kernel/virtio_ring.ko kernel/virtio.ko
kernel/virtio_net.ko: kernel/virtio_ring.ko kernel/virtio.ko
kernel/nvme-core.ko:
kernel/nvme.ko: kernel/nvme-core.ko
kernel/ext4.ko:
kernel/xfs.ko:
kernel/dm-mod.ko:
";
const ALIASES: &str = "\
alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci
alias virtio:d00000002v* virtio_blk
alias pci:v*d*sv*sd*bc01sc08i02* nvme
";

/// A guest to be spoiled.
struct Scene {
    fs: MemFs,
    initrd: BTreeMap<String, Vec<u8>>,
    /// Instead of what `initrd` builds.
    initrd_bytes: Option<Vec<u8>>,
    version: String,
    cmdline: &'static str,
    has_initrd: bool,
    content: Content,
    origin: Origin,
    nvme: bool,
    os: OsInfo,
}

impl Scene {
    fn sound() -> Self {
        let mut scene = Self {
            fs: MemFs::new(),
            initrd: BTreeMap::new(),
            initrd_bytes: None,
            version: K.to_owned(),
            cmdline: "root=UUID=1-2 ro quiet",
            has_initrd: true,
            content: Content::Ext4,
            origin: Origin::Partition { disk: 0, number: 1 },
            nvme: false,
            os: OsInfo {
                family: Family::Debian,
                id: Some("debian".into()),
                version: Some("12".into()),
                architecture: Some("x86_64".into()),
                ..OsInfo::default()
            },
        };
        scene.fs.symlink("/lib", "usr/lib");
        scene.fs.file(&format!("/{DIR}/modules.dep"), DEP);
        scene.fs.file(&format!("/{DIR}/modules.builtin"), "kernel/drivers/nvmem/nvmem_core.ko\n");
        for line in DEP.lines() {
            let path = line.split(':').next().unwrap();
            let module = Module::new("x", K).info("parmtype=io_timeout:uint").build();
            scene.fs.file(&format!("/{DIR}/{path}"), module);
            scene.initrd.insert(format!("{DIR}/{path}"), vec![1]);
        }
        for (path, text) in [
            (format!("{DIR}/modules.alias"), ALIASES),
            ("usr/sbin/modprobe".to_owned(), ""),
            ("usr/lib/systemd/systemd-udevd".to_owned(), ""),
            ("conf/arch.conf".to_owned(), "DPKG_ARCH=amd64\n"),
        ] {
            scene.initrd.insert(path, text.as_bytes().to_vec());
        }
        scene
    }

    fn builtin(mut self, names: &[&str]) -> Self {
        let lines: String = names.iter().map(|name| format!("kernel/{name}.ko\n")).collect();
        self.fs.file(&format!("/{DIR}/modules.builtin"), lines);
        self
    }

    fn not_in_initrd(mut self, modules: &[&str]) -> Self {
        for name in modules {
            self.initrd.remove(&format!("{DIR}/kernel/{name}.ko")).expect("was there");
        }
        self
    }

    fn in_initrd(mut self, path: &str, text: &str) -> Self {
        self.initrd.insert(path.to_owned(), text.as_bytes().to_vec());
        self
    }

    fn not_in_system(mut self, modules: &[&str]) -> Self {
        for name in modules {
            self.fs.remove(&format!("/{DIR}/kernel/{name}.ko"));
        }
        self
    }

    fn build_initrd(&self) -> Vec<u8> {
        let archive = Cpio::new();
        self.initrd.iter().fold(archive, |cpio, (path, data)| cpio.file(path, data)).finish()
    }

    fn inspection(mut self) -> Inspection {
        let v = self.version.clone();
        let (kernel, initrd) = (format!("/boot/vmlinuz-{v}"), format!("/boot/initrd.img-{v}"));
        self.fs.file(&kernel, bzimage(&v));
        if self.has_initrd {
            let bytes = self.initrd_bytes.take().unwrap_or_else(|| self.build_initrd());
            self.fs.file(&initrd, bytes);
        }
        let filesystem: Arc<dyn kiln_volume::Filesystem> = Arc::new(self.fs);
        let tree = Tree::new(Arc::clone(&filesystem));
        let volume = Volume {
            name: "disk0p1".into(),
            origin: self.origin,
            source: kiln_disk::MemSource::shared(Vec::new()),
            content: self.content,
            uuid: None,
            label: None,
            filesystem: Some(Ok(filesystem)),
        };
        let layout = Arc::new(Layout { volumes: vec![volume], ..Layout::default() });
        let entry = BootEntry {
            loader: Loader::Grub2,
            id: "0".into(),
            selector: "0".into(),
            title: "Linux".into(),
            kernel: Some(kernel),
            kernel_found: true,
            initrds: vec![initrd.clone()],
            missing_initrds: if self.has_initrd { vec![] } else { vec![initrd] },
            cmdline: self.cmdline.into(),
            command: "linux".into(),
            search_uuid: None,
            legacy_root: None,
            unrestricted: true,
            source: "/boot/grub/grub.cfg".into(),
            line: 7,
        };
        let guest = Guest {
            layout: Arc::clone(&layout),
            root_volume: 0,
            root_subvolume: None,
            ostree_deployment: None,
            mounts: Vec::new(),
            os: self.os,
            kernels: crate::kernel::kernels(&tree).unwrap(),
            boot: Boot { entries: vec![entry], default: Some(0), ..Boot::default() },
            cache: crate::kernel::Cache::default(),
            tree,
        };
        Inspection {
            layout,
            systems: vec![guest],
            chosen: Some(0),
            declared: Declared { nvme: self.nvme, ..Declared::default() },
            ..Inspection::default()
        }
    }

    /// `value`, then code and message of every finding, or of what is not known.
    fn run(self, check: &Check) -> Vec<String> {
        let outcome = (check.run)(&self.inspection()).unwrap();
        let mut lines = vec![outcome.value.clone()];
        lines.extend(outcome.findings.iter().map(|f| format!("{}: {}", f.code, f.message)));
        lines.extend(outcome.unknown.iter().map(|(code, why)| format!("{code:?}: {why}")));
        lines
    }

    #[track_caller]
    fn fails(self, check: &Check, message: &str) {
        assert_eq!(self.run(check), ["Unsupported", message]);
    }

    #[track_caller]
    fn passes(self, check: &Check) {
        assert_eq!(self.run(check), ["Supported"]);
    }
}

#[test]
fn a_sound_guest_passes() {
    for check in [&VIRTIO, &NVME, &SUPPORT_MOC] {
        Scene::sound().passes(check);
    }
}

#[test]
fn missing_drivers_are_named() {
    Scene::sound()
        .not_in_system(&["virtio_blk"])
        .not_in_initrd(&["virtio_blk"])
        .fails(&VIRTIO, "Virtio.NotInstalled: kernel 6.1.0-40-amd64 has no driver virtio_blk");
    Scene::sound()
        .not_in_initrd(&[
            "virtio",
            "virtio_ring",
            "virtio_pci_modern_dev",
            "virtio_pci",
            "virtio_blk",
        ])
        .fails(
            &VIRTIO,
            "Virtio.NotInInitramfs: the initramfs of kernel 6.1.0-40-amd64 lacks virtio, \
             virtio_ring, virtio_pci, virtio_pci_modern_dev, virtio_blk",
        );
    Scene::sound().not_in_initrd(&["virtio_pci"]).fails(
        &VIRTIO,
        "Virtio.NotInInitramfs: the initramfs of kernel 6.1.0-40-amd64 lacks virtio_pci",
    );
    Scene::sound().not_in_initrd(&["virtio_pci_modern_dev"]).fails(
        &VIRTIO,
        "Virtio.NotInInitramfs: the initramfs of kernel 6.1.0-40-amd64 lacks virtio_pci_modern_dev",
    );
    Scene::sound().not_in_system(&["virtio_net"]).fails(
        &VIRTIO,
        "Virtio.NetNotInstalled: kernel 6.1.0-40-amd64 has no driver virtio_net, so the instance \
         has no network",
    );
}

#[test]
fn a_missing_or_foreign_initramfs_is_named() {
    let mut scene = Scene::sound().builtin(&["ext4"]);
    scene.has_initrd = false;
    scene.fails(
        &VIRTIO,
        "Virtio.NoInitramfs: kernel 6.1.0-40-amd64 has virtio, virtio_ring, virtio_pci, virtio_blk \
         as modules, and no initramfs to load them from",
    );
    let mut scene = Scene::sound().builtin(&["ext4"]);
    scene.initrd =
        scene.initrd.into_iter().map(|(p, d)| (p.replace("6.1.0-40", "6.1.0-9"), d)).collect();
    scene.fails(
        &VIRTIO,
        "Virtio.InitramfsKernelMismatch: the initramfs of kernel 6.1.0-40-amd64 has modules of \
         6.1.0-9-amd64",
    );
    for (check, code) in [(&VIRTIO, "Virtio"), (&NVME, "NVMe")] {
        let mut scene = Scene::sound();
        let packed = zstd::encode_all(&scene.build_initrd()[..], 3).unwrap();
        scene.initrd_bytes = Some(packed[..packed.len() / 2].to_vec());
        let lines = scene.run(check);
        let start = format!("Some(\"{code}.InitramfsUnreadable\"): the initramfs cannot be read: ");
        assert!(lines[0] == "Unknown" && lines[1].starts_with(&start), "{lines:?}");
    }
}

#[test]
fn what_is_never_loaded_is_named() {
    Scene::sound().in_initrd("etc/modprobe.d/a.conf", "# x\nblacklist virtio-blk\n").fails(
        &VIRTIO,
        "Virtio.Blacklisted: kernel 6.1.0-40-amd64 does not load virtio_blk: etc/modprobe.d/a.conf \
         in the initramfs says `blacklist virtio-blk`",
    );
    let mut scene = Scene::sound();
    scene.cmdline = "ro modprobe.blacklist=floppy,virtio_blk";
    scene.fails(
        &VIRTIO,
        "Virtio.Blacklisted: kernel 6.1.0-40-amd64 does not load virtio_blk: \
         `modprobe.blacklist=floppy,virtio_blk` is on the command line",
    );
    let without = ALIASES.replace("alias virtio:d00000002v* virtio_blk\n", "");
    Scene::sound().in_initrd(&format!("{DIR}/modules.alias"), &without).fails(
        &VIRTIO,
        "Virtio.Blacklisted: kernel 6.1.0-40-amd64 does not load virtio_blk: no alias in the \
         initramfs leads to it, so nothing loads it",
    );
    // Named in a list, it needs no alias.
    Scene::sound()
        .in_initrd(&format!("{DIR}/modules.alias"), &without)
        .in_initrd("conf/modules", "virtio_blk\n")
        .passes(&VIRTIO);
    let mut scene = Scene::sound();
    scene.cmdline = "ro rd.driver.blacklist=nvme";
    scene.fails(
        &NVME,
        "NVMe.Blacklisted: kernel 6.1.0-40-amd64 does not load nvme: `rd.driver.blacklist=nvme` is \
         on the command line",
    );
}

#[test]
fn the_root_needs_its_driver() {
    let mut scene = Scene::sound().not_in_initrd(&["xfs"]);
    scene.content = Content::Xfs;
    scene.fails(
        &VIRTIO,
        "Virtio.RootFsDriverMissing: the root needs the driver xfs, which the initramfs lacks (xfs)",
    );
    let mut scene = Scene::sound().not_in_initrd(&["dm-mod"]);
    scene.origin = Origin::Lvm { vg: "vg".into(), lv: "root".into(), on: vec![], runs: vec![] };
    scene.fails(
        &VIRTIO,
        "Virtio.RootFsDriverMissing: the root needs the driver dm_mod, which the initramfs lacks \
         (dm_mod)",
    );
}

#[test]
fn kernels_for_xen_alone_are_named() {
    let mut scene = Scene::sound();
    scene.version = "2.6.18-398.el5xen".to_owned();
    scene.fails(
        &VIRTIO,
        "Virtio.XenPvKernel: kernel 2.6.18-398.el5xen runs only as a paravirtual guest of Xen",
    );
}

#[test]
fn nvme_faults_are_named() {
    Scene::sound()
        .not_in_system(&["nvme"])
        .fails(&NVME, "NVMe.NotInstalled: kernel 6.1.0-40-amd64 has no driver nvme");
    Scene::sound().not_in_initrd(&["nvme", "nvme-core"]).fails(
        &NVME,
        "NVMe.NotInInitramfs: the initramfs of kernel 6.1.0-40-amd64 lacks nvme_core",
    );
    Scene::sound().not_in_initrd(&["nvme-core"]).fails(
        &NVME,
        "NVMe.NotInInitramfs: the initramfs of kernel 6.1.0-40-amd64 lacks nvme_core",
    );
    let mut scene = Scene::sound();
    scene.version = "2.6.18-398.el5".to_owned();
    scene.fails(&NVME, "NVMe.NotInstalled: kernel 2.6.18-398.el5 has no driver nvme");
    let mut scene = Scene::sound();
    scene.nvme = true;
    assert_eq!(
        scene.run(&NVME),
        [
            "Supported",
            "NVMe.IoTimeout: `nvme_core.io_timeout` is not on the command line of kernel \
             6.1.0-40-amd64"
        ]
    );
    let mut scene = Scene::sound();
    (scene.nvme, scene.cmdline) = (true, "ro nvme_core.io_timeout=4294967295");
    scene.passes(&NVME);
}

/// Names that contain the wanted ones, kernels beside the default, built-in drivers.
#[test]
fn near_misses_stay_right() {
    Scene::sound()
        .not_in_system(&["nvme", "nvme-core"])
        .not_in_initrd(&["nvme", "nvme-core"])
        .fails(&NVME, "NVMe.NotInstalled: kernel 6.1.0-40-amd64 has no driver nvme_core");
    Scene::sound()
        .builtin(&["nvme", "nvme-core"])
        .not_in_initrd(&["nvme", "nvme-core"])
        .in_initrd(&format!("{DIR}/kernel/nvme-fabrics.ko"), "")
        .passes(&NVME);
    let mut scene = Scene::sound().not_in_initrd(&["virtio_blk"]);
    for near in ["virtio_mem", "virtio_mmio", "virtiofs", "xvirtio_blk"] {
        scene = scene.in_initrd(&format!("{DIR}/kernel/{near}.ko.xz"), "");
    }
    scene.fails(
        &VIRTIO,
        "Virtio.NotInInitramfs: the initramfs of kernel 6.1.0-40-amd64 lacks virtio_blk",
    );
    // An old kernel beside a good default, and a rescue image: evidence at most.
    let mut scene = Scene::sound();
    scene.fs.file("/lib/modules/5.10.0-1-amd64/modules.dep", "kernel/a.ko:\n");
    scene.fs.file("/boot/vmlinuz-0-rescue-1", bzimage("6.1.0"));
    let outcome = (VIRTIO.run)(&scene.inspection()).unwrap();
    assert_eq!((outcome.status(), outcome.value.as_str()), (Status::Pass, "Supported"));
    let noted =
        "the other kernel 5.10.0-1-amd64 has no virtio, virtio_ring, virtio_pci, virtio_blk";
    assert_eq!(outcome.evidence.last().map(|e| e.text.as_str()), Some(noted));
    // Without initramfs all is well where everything is built in.
    let mut scene =
        Scene::sound().builtin(&["virtio", "virtio_ring", "virtio_pci", "virtio_blk", "ext4"]);
    scene.has_initrd = false;
    scene.passes(&VIRTIO);
    // The modules lie in a raw first segment, the programs in a packed second one.
    let mut scene = Scene::sound();
    let (modules, programs): (BTreeMap<_, _>, _) =
        std::mem::take(&mut scene.initrd).into_iter().partition(|(path, _)| path.starts_with(DIR));
    scene.initrd = programs;
    let packed = zstd::encode_all(&scene.build_initrd()[..], 3).unwrap();
    scene.initrd = modules;
    scene.initrd_bytes = Some([scene.build_initrd(), packed].concat());
    scene.passes(&VIRTIO);
}

#[test]
fn old_systems_and_architectures_are_unsupported() {
    let unsupported = |change: fn(&mut OsInfo), message: &str| {
        let mut scene = Scene::sound();
        change(&mut scene.os);
        scene.fails(&SUPPORT_MOC, message);
    };
    unsupported(
        |os| (os.id, os.version) = (Some("centos".into()), Some("5.8".into())),
        "SupportMocInstanceTypes.Unsupported: centos 5.8 is older than 5.11: virtio-pci and MSI-X \
         defects",
    );
    Scene::sound().not_in_system(&["virtio_net"]).fails(
        &SUPPORT_MOC,
        "SupportMocInstanceTypes.Unsupported: it needs virtio: kernel 6.1.0-40-amd64 has no driver \
         virtio_net, so the instance has no network",
    );
}
