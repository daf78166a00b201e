//! Grub: rows 59 to 77 and 149 to 152.

use kiln_fixtures::phony::{
    BOOT_UUID, BootSector, FOREIGN_UUID, HOME_UUID, Phony, ROOT_UUID, grubenv,
};

use crate::table::Grade::{self, High, Medium};
use crate::table::{Also, Base, Fault, NEEDS_VIRTIO, Row};

const CFG: &str = "/boot/grub/grub.cfg";

const fn row(
    number: u32,
    what: &'static str,
    base: Base,
    fault: Fault,
    code: &'static str,
    grade: Grade,
) -> Row {
    Row { number, what, base, fault, item: "Grub", code, grade, also: &[] }
}

const fn row_also(row: Row, also: &'static [Also]) -> Row {
    Row { also, ..row }
}

/// Another root on every command line.
fn root(guest: &mut Phony, root: &str) {
    guest.menu_replace(&format!("root=UUID={ROOT_UUID}"), &format!("root={root}"));
}

pub(crate) const ROWS: &[Row] = &[
    row(
        59,
        "grub.cfg removed",
        Phony::debian,
        |guest| {
            guest.remove(CFG);
        },
        "Grub.ConfigMissing",
        High,
    ),
    row(
        60,
        "grub.cfg all zero bytes",
        Phony::debian,
        |guest| {
            let length = guest.text(CFG).len();
            guest.put(CFG, vec![0; length]);
        },
        "Grub.ConfigCorrupt",
        High,
    ),
    row(
        61,
        "default=7 of three entries",
        Phony::debian,
        |guest| {
            guest.replace(CFG, "set default=\"0\"", "set default=\"7\"");
        },
        "Grub.DefaultEntryInvalid",
        Medium,
    ),
    row(
        62,
        "default kernel file of no bytes",
        Phony::debian,
        |guest| {
            guest.put("/boot/vmlinuz-6.1.0-40-amd64", "");
        },
        "Grub.KernelMissing",
        High,
    ),
    row(
        63,
        "root=/dev/sda1",
        Phony::debian_mbr,
        |guest| root(guest, "/dev/sda1"),
        "Grub.RootDeviceName",
        High,
    ),
    row(
        64,
        "root=UUID= of nothing",
        Phony::debian,
        |guest| root(guest, &format!("UUID={FOREIGN_UUID}")),
        "Grub.RootUuidNotFound",
        High,
    ),
    row(
        65,
        "root= names the volume of /home",
        Phony::debian_home,
        |guest| root(guest, &format!("UUID={HOME_UUID}")),
        "Grub.RootMismatch",
        High,
    ),
    row_also(
        row(
            66,
            "initrd line removed, root=UUID= kept",
            Phony::debian,
            |guest| {
                guest.replace(CFG, "initrd\t/boot/initrd.img-6.1.0-40-amd64", "true");
            },
            "Grub.RootUuidNeedsInitrd",
            High,
        ),
        &[
            ("Virtio", "Virtio.NoInitramfs", "its drivers are modules"),
            ("Nvme", "NVMe.NotInInitramfs", "its drivers are modules"),
            NEEDS_VIRTIO,
        ],
    ),
    row(
        67,
        "rd.lvm.lv=old/root",
        Phony::el7,
        |guest| {
            guest.menu_replace(" crashkernel=auto ", " crashkernel=auto rd.lvm.lv=old/root ");
            guest.replace(
                "/etc/default/grub",
                "crashkernel=auto ",
                "crashkernel=auto rd.lvm.lv=old/root ",
            );
        },
        "Grub.RdDeviceNotFound",
        High,
    ),
    row(
        68,
        "resume=UUID= of a deleted swap",
        Phony::debian,
        |guest| {
            let resume = format!(" console=tty0 resume=UUID={FOREIGN_UUID}");
            guest.menu_replace(" console=tty0", &resume);
            guest.replace("/etc/default/grub", " console=tty0", &resume);
        },
        "Grub.ResumeDeviceMissing",
        Medium,
    ),
    row(
        69,
        "ESP stub with a wrong search.fs_uuid",
        Phony::debian_uefi,
        |guest| {
            guest.replace("/boot/efi/EFI/debian/grub.cfg", ROOT_UUID, FOREIGN_UUID);
        },
        "Grub.SearchUuidNotFound",
        High,
    ),
    row(
        70,
        "kernelopts in grubenv names /dev/xvda1, grub.cfg is right",
        Phony::el8,
        |guest| {
            let old = guest.text("/boot/grub2/grubenv");
            let lines: Vec<String> = old
                .lines()
                .filter(|line| line.contains('='))
                .map(|line| line.replace(&format!("UUID={ROOT_UUID}"), "/dev/xvda1") + "\n")
                .collect();
            guest.put("/boot/grub2/grubenv", grubenv(&lines.concat()));
        },
        "Grub.RootDeviceName",
        High,
    ),
    row(
        71,
        "grubenv of 1023 bytes",
        Phony::debian,
        |guest| {
            let mut block = grubenv("");
            block.pop();
            guest.put("/boot/grub/grubenv", block);
        },
        "Grub.ConfigCorrupt",
        High,
    ),
    row(
        72,
        "EL6 `root (hd1,0)`",
        Phony::el6,
        |guest| {
            guest.replace("/boot/grub/grub.conf", "root (hd0,0)", "root (hd1,0)");
        },
        "Grub.LegacyDisk",
        High,
    ),
    row(
        73,
        "UEFI image, linux16 lines",
        Phony::debian_uefi,
        |guest| {
            guest.replace(CFG, "\tlinux\t", "\tlinux16\t").replace(
                CFG,
                "\tinitrd\t",
                "\tinitrd16\t",
            );
        },
        "Grub.WrongLoaderCommand",
        High,
    ),
    row(
        74,
        "BLS entry of a removed kernel",
        Phony::el9,
        |guest| {
            let words = format!("root=UUID={ROOT_UUID} ro net.ifnames=0");
            guest.bls("Rocky Linux", "5.14.0-362.8.1.el9_3.x86_64", &words);
        },
        "Grub.StaleEntry",
        Medium,
    ),
    row(
        75,
        "superusers set, no --unrestricted",
        Phony::debian,
        |guest| {
            let text = guest.text(CFG);
            let password =
                "set superusers=\"root\"\npassword_pbkdf2 root grub.pbkdf2.sha512.10000.AA.BB\n";
            guest.put(CFG, format!("{password}{text}"));
        },
        "Grub.PasswordLocked",
        High,
    ),
    row(
        76,
        "embedded core image of another installation",
        Phony::debian,
        |guest| {
            let BootSector::Grub2(core) = &mut guest.disk.boot_sector else { panic!("GRUB 2") };
            core[0x300..].iter_mut().for_each(|byte| *byte ^= 0x5A);
        },
        "Grub.CoreImageStale",
        Medium,
    ),
    row(
        77,
        "btrfs without rootflags=subvol=, default subvolume 5",
        Phony::debian_btrfs,
        |guest| {
            guest.menu_replace(" rootflags=subvol=@rootfs", "");
        },
        "Grub.SubvolMismatch",
        High,
    ),
    row(
        149,
        "/etc/default/grub has root=/dev/sda1, grub.cfg is right",
        Phony::debian_mbr,
        |guest| {
            let line = "GRUB_CMDLINE_LINUX=\"";
            guest.replace("/etc/default/grub", line, &format!("{line}root=/dev/sda1 "));
        },
        "Grub.DefaultFileStale",
        Medium,
    ),
    row(
        150,
        "ESP loader present, its stub grub.cfg deleted",
        Phony::el9,
        |guest| {
            assert!(guest.text("/boot/efi/EFI/rocky/grub.cfg").contains(BOOT_UUID));
            guest.remove("/boot/efi/EFI/rocky/grub.cfg");
        },
        "Grub.EspStubMissing",
        High,
    ),
    row(
        151,
        "EL9 root on LVM with the system.devices of another machine",
        Phony::el9_lvm,
        |guest| {
            guest.put(
                "/etc/lvm/devices/system.devices",
                "VERSION=1.1.1\nIDTYPE=sys_wwid IDNAME=naa.6000c29aaaaaaaaaaaaaaaaaaaaaaaaa \
                 DEVNAME=/dev/sda3 PVID=xJxX3Caaaabbbbccccddddeeeeffffff PART=3\n",
            );
        },
        "Grub.LvmDeviceFilter",
        Medium,
    ),
    row(
        152,
        "timeout=-1",
        Phony::debian,
        |guest| {
            guest.replace(CFG, "set timeout=5", "set timeout=-1");
        },
        "Grub.TimeoutTooLong",
        Medium,
    ),
];
