//! Identity, clock, firmware, kernel: rows 6, 7, 11, 16 to 24, 144.

use kiln_fixtures::phony::disk::{BIOS_BOOT, Part};
use kiln_fixtures::phony::{BootSector, Phony, ROOT_UUID};

use crate::table::Grade::{High, Medium};
use crate::table::{Also, NEEDS_VIRTIO, Row};

const NO_CHAIN: Also =
    ("SystemImage", "SystemImage.NotBootable", "a root, and no chain of firmware leads to it");

pub(crate) const ROWS: &[Row] = &[
    Row {
        number: 6,
        what: "container root: no kernel, no modules, nothing in /boot",
        base: Phony::debian,
        fault: |guest| {
            guest.initrds.clear();
            guest.remove("/boot").remove("/usr/lib/modules");
        },
        item: "SystemImage",
        code: "SystemImage.NoKernel",
        grade: High,
        also: &[
            ("KernelVersion", "KernelVersion.NotFound", "there is no kernel"),
            ("Grub", "Grub.ConfigMissing", "the menu was in /boot"),
            ("Virtio", "", "there is no kernel to look for drivers in"),
            ("Nvme", "", "there is no kernel to look for drivers in"),
            ("SupportMocInstanceTypes", "", "there is no kernel to judge"),
        ],
    },
    Row {
        number: 7,
        what: "MBR boot code zeroed, no ESP",
        base: Phony::debian_mbr,
        fault: |guest| guest.disk.boot_sector = BootSector::Empty,
        item: "BootMode",
        code: "BootMode.NotBootable",
        grade: High,
        also: &[NO_CHAIN],
    },
    Row {
        number: 11,
        what: "two Debian roots on one disk",
        base: Phony::debian,
        fault: |guest| {
            // An installation of its own: no entry of either menu reaches the other root.
            let uuid = "11111111-2222-4333-8444-555555555555";
            let mut other = Phony::debian();
            for path in ["/etc/fstab", "/boot/grub/grub.cfg"] {
                other.replace(path, ROOT_UUID, uuid);
            }
            let (path, initrd) = (other.initrd_path(), other.initrd().build());
            other.put(&path, initrd);
            let root = other.disk.parts.pop().expect("a root");
            let root = Part { uuid: Some(uuid.into()), mount: String::new(), ..root };
            guest.disk.parts.insert(1, root);
        },
        item: "SystemImage",
        code: "SystemImage.MultipleRoots",
        grade: Medium,
        also: &[(
            "OnlineResizeFS",
            "OnlineResizeFS.RootNotLast",
            "the first root is taken, and the other one is behind it",
        )],
    },
    Row {
        number: 16,
        what: "os-release says `ID=foo` and nothing else",
        base: Phony::debian,
        fault: |guest| {
            guest.put("/etc/os-release", "ID=foo\n");
        },
        item: "Platform",
        code: "Platform.Unrecognized",
        grade: Medium,
        also: &[("OSVersion", "OSVersion.Unknown", "the file that told the version is empty")],
    },
    Row {
        number: 17,
        what: "declared CentOS, content Debian",
        base: Phony::debian,
        fault: |guest| guest.declared.platform = Some("CentOS".into()),
        item: "Platform",
        code: "Platform.Mismatch",
        grade: Medium,
        also: &[],
    },
    Row {
        number: 18,
        what: "/etc/adjtime line 3 `LOCAL`",
        base: Phony::debian,
        fault: |guest| {
            guest.replace("/etc/adjtime", "UTC", "LOCAL");
        },
        item: "RtcTimeMode",
        code: "RtcTimeMode.Local",
        grade: Medium,
        also: &[],
    },
    Row {
        number: 18,
        what: "/etc/adjtime line 3 `LOCAL` on arm64",
        base: Phony::debian_arm64,
        fault: |guest| {
            guest.replace("/etc/adjtime", "UTC", "LOCAL");
        },
        item: "RtcTimeMode",
        code: "RtcTimeMode.Local",
        grade: High,
        also: &[],
    },
    Row {
        number: 19,
        what: "ESP without EFI/BOOT",
        base: Phony::debian_uefi,
        fault: |guest| {
            guest.remove("/boot/efi/EFI/BOOT");
        },
        item: "BootMode",
        code: "BootMode.NoUefiFallback",
        grade: High,
        also: &[],
    },
    Row {
        number: 20,
        what: "declared UEFI, BIOS only",
        base: Phony::debian,
        fault: |guest| guest.declared.boot_mode = Some("UEFI".into()),
        item: "BootMode",
        code: "BootMode.Mismatch",
        grade: High,
        also: &[],
    },
    Row {
        number: 21,
        what: "arm64 kernel, no ESP",
        base: Phony::debian_arm64,
        fault: |guest| {
            guest.disk.parts.remove(0);
            guest.replace("/etc/fstab", "UUID=8F1C-22AB /boot/efi vfat umask=0077 0 1\n", "");
        },
        item: "BootMode",
        code: "BootMode.ArmNeedsUefi",
        grade: High,
        also: &[
            NO_CHAIN,
            (
                "SupportMocInstanceTypes",
                "SupportMocInstanceTypes.Unsupported",
                "its table lists arm64 without UEFI",
            ),
        ],
    },
    Row {
        number: 22,
        what: "GPT, GRUB for BIOS, BIOS boot partition deleted",
        base: Phony::debian,
        fault: |guest| {
            let deleted = guest.disk.parts.remove(0);
            assert_eq!(deleted.kind, BIOS_BOOT);
            guest.disk.core_bytes = Some(guest.disk.first_bytes);
            guest.disk.first_bytes += deleted.size_bytes;
        },
        item: "BootMode",
        code: "Grub.NoBiosBootPartition",
        grade: High,
        also: &[],
    },
    Row {
        number: 23,
        what: "kernel in /boot, its module directory deleted",
        base: Phony::debian,
        fault: |guest| {
            let dir = guest.modules_dir();
            guest.remove(&dir);
        },
        item: "KernelVersion",
        code: "KernelVersion.ModulesMissing",
        grade: High,
        also: &[
            ("Virtio", "Virtio.NotInstalled", "its modules are what was deleted"),
            ("Nvme", "NVMe.NotInstalled", "its modules are what was deleted"),
            NEEDS_VIRTIO,
        ],
    },
    Row {
        number: 24,
        what: "EL5 with only the -xen kernel",
        base: Phony::el5,
        fault: |guest| {
            let old = guest.kver;
            guest.initrds.clear();
            guest.remove(&format!("/boot/vmlinuz-{old}")).remove(&format!("/boot/config-{old}"));
            guest.remove(&format!("/lib/modules/{old}"));
            guest.kernel_5("2.6.18-398.el5xen");
            guest.menu_replace(old, "2.6.18-398.el5xen");
        },
        item: "KernelVersion",
        code: "KernelVersion.XenPvOnly",
        grade: High,
        also: &[("Virtio", "Virtio.XenPvKernel", "the row names it"), NEEDS_VIRTIO],
    },
    Row {
        number: 144,
        what: "/boot emptied, modules kept",
        base: Phony::debian,
        fault: |guest| {
            guest.initrds.clear();
            guest.remove("/boot").dir("/boot/efi");
        },
        item: "KernelVersion",
        code: "KernelVersion.NotFound",
        grade: High,
        also: &[
            ("Grub", "Grub.ConfigMissing", "the menu was in /boot"),
            ("Virtio", "Virtio.NoInitramfs", "the initramfs was in /boot"),
            ("Nvme", "NVMe.NotInInitramfs", "the initramfs was in /boot"),
            NEEDS_VIRTIO,
        ],
    },
];
