//! Virtio and Nvme: rows 25 to 42 and 145 to 147.

use kiln_fixtures::phony::{Initrd, LINUX_6_1, Phony, gzip};

use crate::table::Grade::{High, Medium, Unknown};
use crate::table::{Also, NEEDS_VIRTIO, Row};

const NO_NVME: Also =
    ("Nvme", "NVMe.NotInInitramfs", "its modules are in no initramfs of this kernel either");

fn without(guest: &mut Phony, modules: &[&str]) {
    for module in modules {
        guest.initrd().without(module);
    }
}

fn is_no_virtio_driver(name: &str) -> bool {
    !matches!(name, "virtio_blk" | "virtio_pci" | "virtio_scsi" | "virtio_net")
}

pub(crate) const ROWS: &[Row] = &[
    Row {
        number: 25,
        what: "virtio_blk.ko deleted from tree and initramfs",
        base: Phony::debian,
        fault: |guest| {
            guest.without_module("virtio_blk");
            without(guest, &["virtio_blk"]);
        },
        item: "Virtio",
        code: "Virtio.NotInstalled",
        grade: High,
        also: &[NEEDS_VIRTIO],
    },
    Row {
        number: 26,
        what: "dracut image built without virtio",
        base: Phony::el9,
        fault: |guest| {
            let kver = guest.kver;
            *guest.initrd() = Initrd::dracut(LINUX_6_1, kver, is_no_virtio_driver);
        },
        item: "Virtio",
        code: "Virtio.NotInInitramfs",
        grade: High,
        also: &[NEEDS_VIRTIO],
    },
    Row {
        number: 27,
        what: "initramfs has virtio_blk but not virtio_pci",
        base: Phony::debian,
        fault: |guest| without(guest, &["virtio_pci"]),
        item: "Virtio",
        code: "Virtio.NotInInitramfs",
        grade: High,
        also: &[NEEDS_VIRTIO],
    },
    Row {
        number: 28,
        what: "initramfs lacks virtio_pci_modern_dev, which virtio_pci needs",
        base: Phony::debian,
        fault: |guest| without(guest, &["virtio_pci_modern_dev"]),
        item: "Virtio",
        code: "Virtio.NotInInitramfs",
        grade: High,
        also: &[NEEDS_VIRTIO],
    },
    Row {
        number: 29,
        what: "initramfs of the default kernel deleted",
        base: Phony::debian,
        fault: |guest| guest.initrds.clear(),
        item: "Virtio",
        code: "Virtio.NoInitramfs",
        grade: High,
        also: &[("Grub", "Grub.InitrdMissing", "the row names it"), NO_NVME, NEEDS_VIRTIO],
    },
    Row {
        number: 30,
        what: "initramfs truncated in its compressed segment",
        base: Phony::debian,
        fault: |guest| {
            let mut file = guest.initrd().build();
            file.truncate(file.len() / 3);
            guest.initrd().raw = Some(file);
        },
        item: "Virtio",
        code: "Virtio.InitramfsUnreadable",
        grade: Unknown,
        also: &[
            ("Nvme", "NVMe.InitramfsUnreadable", "the row names it"),
            ("SupportMocInstanceTypes", "", "it needs virtio, which cannot be told"),
        ],
    },
    Row {
        number: 31,
        what: "initramfs holds the modules of an older kernel",
        base: Phony::debian,
        fault: |guest| {
            *guest.initrd() = Initrd::initramfs_tools(LINUX_6_1, "6.1.0-30-amd64", |_| true);
        },
        item: "Virtio",
        code: "Virtio.InitramfsKernelMismatch",
        grade: High,
        also: &[NO_NVME, NEEDS_VIRTIO],
    },
    Row {
        number: 32,
        what: "`blacklist virtio_blk` copied into the initramfs",
        base: Phony::debian,
        fault: |guest| {
            guest.initrd().put("etc/modprobe.d/local.conf", "blacklist virtio_blk\n");
        },
        item: "Virtio",
        code: "Virtio.Blacklisted",
        grade: High,
        also: &[NEEDS_VIRTIO],
    },
    Row {
        number: 32,
        what: "virtio_blk blacklisted on the command line",
        base: Phony::el9,
        fault: |guest| {
            guest.menu_replace(" ro ", " ro rd.driver.blacklist=virtio_blk ");
        },
        item: "Virtio",
        code: "Virtio.Blacklisted",
        grade: High,
        also: &[NEEDS_VIRTIO],
    },
    Row {
        number: 33,
        what: "modules present, aliases without virtio lines",
        base: Phony::debian,
        fault: |guest| {
            let kver = guest.kver;
            let others = LINUX_6_1.files(kver, |name| !name.starts_with("virtio"));
            let dir = guest.initrd().modules_dir.clone();
            for index in ["modules.alias", "modules.alias.bin"] {
                guest.initrd().put(&format!("{dir}/{index}"), others[index].clone());
            }
        },
        item: "Virtio",
        code: "Virtio.Blacklisted",
        grade: High,
        also: &[NEEDS_VIRTIO],
    },
    Row {
        number: 34,
        what: "virtio_net.ko removed",
        base: Phony::el9,
        fault: |guest| {
            guest.without_module("virtio_net");
        },
        item: "Virtio",
        code: "Virtio.NetNotInstalled",
        grade: High,
        also: &[NEEDS_VIRTIO],
    },
    Row {
        number: 35,
        what: "xfs root, xfs.ko not in the initramfs",
        base: Phony::el9,
        fault: |guest| without(guest, &["xfs"]),
        item: "Virtio",
        code: "Virtio.RootFsDriverMissing",
        grade: High,
        also: &[NEEDS_VIRTIO],
    },
    Row {
        number: 36,
        what: "only the rescue entry's image has virtio",
        base: Phony::el9_rescue,
        fault: |guest| without(guest, &["virtio_blk", "virtio_pci"]),
        item: "Virtio",
        code: "Virtio.NotInInitramfs",
        grade: High,
        also: &[NEEDS_VIRTIO],
    },
    Row {
        number: 37,
        what: "virtio only in the newest kernel's image, the default is older",
        base: || {
            let mut guest = Phony::debian();
            guest.debian_kernel("6.1.0-41-amd64");
            guest
        },
        fault: |guest| without(guest, &["virtio_blk", "virtio_pci"]),
        item: "Virtio",
        code: "Virtio.NotInInitramfs",
        grade: High,
        also: &[NEEDS_VIRTIO],
    },
    Row {
        number: 38,
        what: "nvme.ko absent",
        base: Phony::debian,
        fault: |guest| {
            guest.without_module("nvme");
            without(guest, &["nvme"]);
        },
        item: "Nvme",
        code: "NVMe.NotInstalled",
        grade: High,
        also: &[],
    },
    Row {
        number: 39,
        what: "nvme in the tree only",
        base: Phony::debian,
        fault: |guest| without(guest, &["nvme", "nvme_core", "nvme_fabrics"]),
        item: "Nvme",
        code: "NVMe.NotInInitramfs",
        grade: High,
        also: &[],
    },
    Row {
        number: 40,
        what: "nvme in the initramfs, nvme-core not",
        base: Phony::debian,
        fault: |guest| without(guest, &["nvme_core"]),
        item: "Nvme",
        code: "NVMe.NotInInitramfs",
        grade: High,
        also: &[],
    },
    Row {
        number: 41,
        what: "EL5 with Linux 2.6.18: the sound guest itself has no such driver",
        base: Phony::el5,
        fault: |_| {},
        item: "Nvme",
        code: "NVMe.NotInstalled",
        grade: High,
        also: &[],
    },
    Row {
        number: 42,
        what: "`rd.driver.blacklist=nvme`",
        base: Phony::el9,
        fault: |guest| {
            guest.menu_replace(" ro ", " ro rd.driver.blacklist=nvme ");
        },
        item: "Nvme",
        code: "NVMe.Blacklisted",
        grade: High,
        also: &[],
    },
    Row {
        number: 145,
        what: "the default kernel is the -xen one",
        base: Phony::el5_with_xen,
        fault: |guest| {
            guest.menu_replace("default=0", "default=1");
        },
        item: "Virtio",
        code: "Virtio.XenPvKernel",
        grade: High,
        also: &[
            ("KernelVersion", "KernelVersion.XenPvOnly", "it judges the same kernel"),
            NEEDS_VIRTIO,
        ],
    },
    Row {
        number: 146,
        what: "nvme in an unreadable segment only",
        base: Phony::debian,
        fault: |guest| {
            let mut first = guest.initrd().clone();
            let mut second = Initrd::default();
            first.files.retain(|path, data| {
                let is_nvme = path.contains("/nvme");
                if is_nvme {
                    second.files.insert(path.clone(), data.clone());
                }
                !is_nvme
            });
            let mut file = first.archive();
            let mut broken = gzip(&second.archive());
            broken.truncate(40);
            file.extend_from_slice(&broken);
            guest.initrd().raw = Some(file);
        },
        item: "Nvme",
        code: "NVMe.InitramfsUnreadable",
        grade: Unknown,
        also: &[],
    },
    Row {
        number: 147,
        what: "no `nvme_core.io_timeout` while NVMe is requested",
        base: || {
            let mut guest = Phony::debian();
            guest.declared.nvme = true;
            guest
        },
        fault: |guest| {
            guest.menu_replace(" nvme_core.io_timeout=4294967295", "");
            guest.replace("/etc/default/grub", " nvme_core.io_timeout=4294967295", "");
        },
        item: "Nvme",
        code: "NVMe.IoTimeout",
        grade: Medium,
        also: &[],
    },
];
