//! Fstab: rows 43 to 58 and 148.

use kiln_fixtures::phony::disk::Part;
use kiln_fixtures::phony::{
    BOOT_UUID, ESP_UUID, FOREIGN_UUID, HOME_UUID, Phony, ROOT_UUID, SWAP_UUID,
};

use crate::table::Grade::{self, High, Medium};
use crate::table::{Base, Fault, Row};

const FSTAB: &str = "/etc/fstab";

const fn row(
    number: u32,
    what: &'static str,
    base: Base,
    fault: Fault,
    code: &'static str,
    grade: Grade,
) -> Row {
    Row { number, what, base, fault, item: "Fstab", code, grade, also: &[] }
}

/// Debian with a swap partition, before the root, that nothing names.
fn with_swap() -> Phony {
    let mut guest = Phony::debian();
    guest.disk.parts.insert(1, Part::swap(SWAP_UUID));
    guest
}

/// EL6 with a data partition.
fn el6_data() -> Phony {
    let mut guest = Phony::el6();
    let data = Part::files(kiln_volume::FsKind::Ext4, HOME_UUID, "/data", 1 << 30);
    guest.dir("/data");
    guest.disk.parts.insert(1, data);
    guest.append(FSTAB, &format!("UUID={HOME_UUID} /data ext4 defaults 0 2\n"));
    guest
}

pub(crate) const ROWS: &[Row] = &[
    row(
        43,
        "/dev/sda1 as /",
        Phony::debian_mbr,
        |guest| {
            guest.replace(FSTAB, &format!("UUID={ROOT_UUID} /"), "/dev/sda1 /");
        },
        "Fstab.UnstableDeviceName",
        High,
    ),
    row(
        44,
        "wrong UUID for /boot",
        Phony::el7,
        |guest| {
            guest.replace(FSTAB, BOOT_UUID, FOREIGN_UUID);
        },
        "Fstab.UuidNotFound",
        High,
    ),
    row(
        45,
        "data disk that is not in the image, no nofail",
        Phony::debian,
        |guest| {
            guest.dir("/data");
            guest.append(FSTAB, &format!("UUID={FOREIGN_UUID} /data ext4 defaults 0 2\n"));
        },
        "Fstab.UuidNotFound",
        High,
    ),
    row(
        46,
        "/ has the UUID of the swap partition",
        with_swap,
        |guest| {
            guest.replace(FSTAB, ROOT_UUID, SWAP_UUID);
        },
        "Fstab.RootMismatch",
        High,
    ),
    row(
        47,
        "ext4 on an xfs volume",
        Phony::el9,
        |guest| {
            guest.replace(FSTAB, "/boot xfs", "/boot ext4");
        },
        "Fstab.TypeMismatch",
        High,
    ),
    row(
        48,
        "a logical volume that the group has not",
        Phony::el7_lvm,
        |guest| {
            guest.dir("/data");
            guest.append(FSTAB, "/dev/mapper/cl-data /data xfs defaults 0 0\n");
        },
        "Fstab.DeviceNotFound",
        High,
    ),
    row(
        49,
        "CRLF file",
        Phony::debian,
        |guest| {
            guest.replace(FSTAB, "\n", "\r\n");
        },
        "Fstab.SyntaxError",
        High,
    ),
    row(
        50,
        "line with one field",
        Phony::debian,
        |guest| {
            guest.append(FSTAB, "/dev/disk/by-label/data\n");
        },
        "Fstab.SyntaxError",
        High,
    ),
    row(
        51,
        "/mnt mounted twice",
        Phony::debian_home,
        |guest| {
            let line = "tmpfs /mnt tmpfs size=1m 0 0\n";
            guest.append(FSTAB, line).append(FSTAB, line);
        },
        "Fstab.Duplicate",
        Medium,
    ),
    row(
        52,
        "mount point directory removed, no systemd",
        el6_data,
        |guest| {
            guest.disk.part("/data").mount = String::new();
            guest.remove("/data");
        },
        "Fstab.MountPointMissing",
        High,
    ),
    row(
        53,
        "nfs line without _netdev,nofail",
        Phony::debian,
        |guest| {
            guest.append(FSTAB, "server:/export /mnt nfs defaults 0 0\n");
        },
        "Fstab.NetworkMount",
        Medium,
    ),
    row(
        54,
        "`.host:/` vmhgfs line",
        Phony::debian,
        |guest| {
            guest.append(FSTAB, ".host:/ /mnt fuse.vmhgfs-fuse allow_other 0 0\n");
        },
        "Fstab.HypervisorMount",
        High,
    ),
    row(
        55,
        "a subvolume that is missing in btrfs",
        Phony::suse,
        |guest| {
            guest.replace(FSTAB, "subvol=/@/home", "subvol=@home");
        },
        "Fstab.BadOption",
        High,
    ),
    row(
        56,
        "swap UUID unknown",
        Phony::debian,
        |guest| {
            guest.append(FSTAB, &format!("UUID={FOREIGN_UUID} none swap sw 0 0\n"));
        },
        "Fstab.SwapMissing",
        Medium,
    ),
    row(
        57,
        "ESP present, needed, no entry",
        Phony::debian_uefi,
        |guest| {
            guest.replace(FSTAB, &format!("UUID={ESP_UUID} /boot/efi vfat umask=0077 0 1\n"), "");
        },
        "Fstab.BootNotMounted",
        Medium,
    ),
    row(
        58,
        "/dev/disk/by-path root",
        Phony::debian,
        |guest| {
            let path = "/dev/disk/by-path/pci-0000:00:1f.2-ata-1-part2";
            guest.replace(FSTAB, &format!("UUID={ROOT_UUID} /"), &format!("{path} /"));
        },
        "Fstab.UnstableDeviceName",
        High,
    ),
    row(
        148,
        "fstab without /",
        Phony::debian_home,
        |guest| {
            guest.replace(FSTAB, &format!("UUID={ROOT_UUID} / ext4 defaults 0 1\n"), "");
        },
        "Fstab.RootMissing",
        Medium,
    ),
    row(
        148,
        "swap partition listed and present",
        with_swap,
        |guest| {
            guest.append(FSTAB, &format!("UUID={SWAP_UUID} none swap sw 0 0\n"));
        },
        "Fstab.SwapPresent",
        Medium,
    ),
];
