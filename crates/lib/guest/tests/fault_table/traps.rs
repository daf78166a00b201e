//! What must stay clean: images that a check in a hurry would complain about, and three that it
//! would let pass.

use kiln_fixtures::phony::{
    BOOT_UUID, ESP_UUID, FOREIGN_UUID, Initrd, LINUX_6_1, Phony, ROOT_UUID, gzip,
};
use kiln_guest::Status;
use kiln_volume::{Partition, PartitionType, TableKind};

use crate::table::look;

/// A trap.
pub(crate) struct Trap {
    /// `N` of the specification.
    pub(crate) number: u32,
    pub(crate) what: &'static str,
    pub(crate) base: fn() -> Phony,
    pub(crate) change: fn(&mut Phony),
    pub(crate) item: &'static str,
    /// The code that must be there; empty: it passes.
    pub(crate) code: &'static str,
}

const fn trap(
    number: u32,
    what: &'static str,
    base: fn() -> Phony,
    change: fn(&mut Phony),
    item: &'static str,
    code: &'static str,
) -> Trap {
    Trap { number, what, base, change, item, code }
}

impl Trap {
    /// What is wrong with kiln's answer; empty: nothing. But for the trap's own item, no item may
    /// be another than on the sound guest.
    pub(crate) fn judge(&self) -> Vec<String> {
        let before = look(&(self.base)());
        let mut guest = (self.base)();
        (self.change)(&mut guest);
        let after = look(&guest);
        let mut wrong = Vec::new();
        for item in &after.items {
            let name = item.name.trim_start_matches("GUESTOS.");
            let code = item.risk_code.as_deref().unwrap_or_default();
            let is_right = if name == self.item {
                let wanted = if self.code.is_empty() { Status::Pass } else { Status::Risk };
                code == self.code && item.status == wanted
            } else {
                let old = before.item(name);
                (item.status, &item.risk_code) == (old.status, &old.risk_code)
                    || (self.code.starts_with("Virtio.") && name == "SupportMocInstanceTypes")
            };
            if !is_right {
                wrong.push(format!("N{} ({}): {item:?}", self.number, self.what));
            }
        }
        wrong
    }
}

fn fstab_root(guest: &mut Phony, source: &str) {
    guest.replace("/etc/fstab", &format!("UUID={ROOT_UUID} /"), &format!("{source} /"));
}

pub(crate) const TRAPS: &[Trap] = &[
    trap(
        1,
        "modules.builtin has nvmem_core and there is no nvme",
        Phony::debian,
        |guest| {
            for module in ["nvme", "nvme_core", "nvme_fabrics"] {
                guest.without_module(module);
                guest.initrd().without(module);
            }
            let builtin = guest.modules_dir() + "/modules.builtin";
            assert!(guest.text(&builtin).contains("nvmem_core"));
        },
        "Nvme",
        "NVMe.NotInstalled",
    ),
    trap(
        2,
        "cloud kernel: NVMe built in, the initramfs lists only nvme-fabrics",
        Phony::debian,
        |guest| {
            let builtin = guest.modules_dir() + "/modules.builtin";
            let more = "kernel/drivers/nvme/host/nvme-core.ko\nkernel/drivers/nvme/host/nvme.ko\n";
            guest.append(&builtin, more);
            for module in ["nvme", "nvme_core"] {
                guest.without_module(module);
                guest.initrd().without(module);
            }
        },
        "Nvme",
        "",
    ),
    trap(
        3,
        "a raw first segment holds the modules, a packed one the programs",
        Phony::debian,
        |guest| {
            let (mut modules, mut programs) = (guest.initrd().clone(), guest.initrd().clone());
            modules.files.retain(|path, _| path.contains("lib/modules/"));
            programs.files.retain(|path, _| !path.contains("lib/modules/"));
            let mut file = modules.archive();
            file.resize(file.len().next_multiple_of(512), 0);
            file.extend_from_slice(&gzip(&programs.archive()));
            guest.initrd().raw = Some(file);
        },
        "Virtio",
        "",
    ),
    trap(
        4,
        "initramfs.conf says zstd, the content is gzip",
        Phony::debian,
        |guest| {
            guest.put("/etc/initramfs-tools/initramfs.conf", "MODULES=most\nCOMPRESS=zstd\n");
            assert!(guest.initrd().build().starts_with(&[0x1F, 0x8B]));
        },
        "Virtio",
        "",
    ),
    trap(
        5,
        "no virtio_blk, but virtio_mem, virtio_mmio and virtiofs",
        Phony::el9,
        |guest| {
            let kver = guest.kver;
            *guest.initrd() = Initrd::dracut(LINUX_6_1, kver, |name| name != "virtio_blk");
            assert!(guest.initrd().files.keys().any(|path| path.ends_with("/virtio_mem.ko")));
        },
        "Virtio",
        "Virtio.NotInInitramfs",
    ),
    trap(
        6,
        "fstab with only a comment, root=UUID= right",
        Phony::debian,
        |guest| {
            guest.put("/etc/fstab", "# UNCONFIGURED FSTAB FOR BASE SYSTEM\n");
        },
        "Fstab",
        "Fstab.RootMissing",
    ),
    trap(
        7,
        "absent disk with nofail",
        Phony::debian,
        |guest| {
            let line = format!("UUID={FOREIGN_UUID} /mnt ext4 defaults,nofail 0 2\n");
            guest.append("/etc/fstab", &line);
        },
        "Fstab",
        "",
    ),
    trap(
        8,
        "/dev/disk/by-uuid",
        Phony::debian,
        |guest| fstab_root(guest, &format!("/dev/disk/by-uuid/{ROOT_UUID}")),
        "Fstab",
        "",
    ),
    trap(
        9,
        "quoted UUID, FAT serial in lower case",
        Phony::debian_uefi,
        |guest| {
            fstab_root(guest, &format!("UUID=\"{ROOT_UUID}\""));
            guest.replace("/etc/fstab", ESP_UUID, &ESP_UUID.to_lowercase());
        },
        "Fstab",
        "",
    ),
    trap(10, "root without subvol= and a snapshot as default", Phony::suse, |_| {}, "Grub", ""),
    trap(
        11,
        "old kernel without virtio beside a good default",
        Phony::debian,
        |guest| {
            guest.debian_kernel("6.1.0-30-amd64");
            let old = guest.initrds.get_mut("/boot/initrd.img-6.1.0-30-amd64").expect("made");
            old.without("virtio_blk").without("virtio_pci");
        },
        "Virtio",
        "",
    ),
    trap(
        12,
        "kdump and rescue images without virtio",
        Phony::el9_rescue,
        |guest| {
            let kdump = format!("/boot/initramfs-{}kdump.img", guest.kver);
            let kver = guest.kver;
            let bare = Initrd::dracut(LINUX_6_1, kver, |name| !name.starts_with("virtio"));
            guest.initrds.insert(kdump, bare.clone());
            let rescue = guest.initrds.keys().find(|path| path.contains("rescue")).cloned();
            guest.initrds.insert(rescue.expect("made"), bare);
        },
        "Virtio",
        "",
    ),
    trap(
        13,
        "no /etc/adjtime",
        Phony::debian,
        |guest| {
            guest.remove("/etc/adjtime");
        },
        "RtcTimeMode",
        "",
    ),
    trap(
        14,
        "multi-line datasource_list with AliYun",
        Phony::debian,
        |guest| {
            guest.put(
                "/etc/cloud/cloud.cfg.d/90_dpkg.cfg",
                "datasource_list:\n  - NoCloud\n  - AliYun\n  - None\n",
            );
        },
        "CloudInit",
        "",
    ),
    trap(
        15,
        "NetworkManager without profile and without no-auto-default",
        Phony::el9_bare,
        |guest| {
            guest.remove("/etc/NetworkManager/system-connections/cloud.nmconnection");
        },
        "Dhcp",
        "",
    ),
    trap(16, "allow-hotplug eth0 with a client", Phony::debian_bare, |_| {}, "Dhcp", ""),
    trap(
        25,
        "hybrid MBR: the GPT wins",
        Phony::debian,
        |guest| {
            guest.disk.table = TableKind::HybridGpt;
            guest.disk.hybrid_entries.push(Partition {
                number: 2,
                start_bytes: 5 << 20,
                size_bytes: 1 << 20,
                kind: PartitionType::Mbr(0x0C),
                part_uuid: None,
                part_label: None,
                bootable: false,
            });
        },
        "SystemImage",
        "",
    ),
    trap(
        27,
        "absolute os-release link, and a link above the root",
        Phony::debian,
        |guest| {
            let text = guest.text("/etc/os-release");
            guest.put("/usr/lib/os-release", text);
            guest.link("/etc/os-release", "/usr/lib/os-release");
            let adjtime = guest.text("/etc/adjtime");
            guest.put("/srv/adjtime", adjtime);
            guest.link("/etc/adjtime", "../../../../srv/adjtime");
        },
        "Platform",
        "",
    ),
    trap(
        28,
        "unknown ID, ID_LIKE=rhel",
        Phony::el9,
        |guest| {
            guest.put(
                "/etc/os-release",
                "NAME=\"Phony\"\nID=phony\nID_LIKE=\"rhel\"\nVERSION_ID=\"9.5\"\n\
                 PRETTY_NAME=\"Phony 9.5\"\n",
            );
        },
        "Platform",
        "",
    ),
    trap(
        8,
        "/dev/disk/by-id/dm-uuid-LVM-, which LVM makes itself",
        Phony::el7_lvm,
        |guest| {
            let id = "vgvgvgvgvgvgvgvgvgvgvgvgvgvgvgvglvlvlvlvlvlvlvlvlvlvlvlvlvlvlvlv";
            fstab_root(guest, &format!("/dev/disk/by-id/dm-uuid-LVM-{id}"));
            assert!(guest.text("/etc/fstab").contains(BOOT_UUID));
        },
        "Fstab",
        "",
    ),
];

#[test]
fn traps_stay_clean() {
    let wrong: Vec<String> = TRAPS.iter().flat_map(Trap::judge).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
