//! Sound systems of several families, as their installers leave them.

use kiln_volume::MemFs;

use super::{Btrfs, Disk, UUID_BOOT, UUID_ESP, UUID_ROOT, elf, grubenv, pe};
use std::sync::Arc;

pub(crate) const DEBIAN_GRUB_CFG: &str = include_str!("debian-grub.cfg");

/// The first bytes of an x86 kernel of 64 bit.
pub(crate) fn bzimage() -> Vec<u8> {
    let mut image = vec![0; 1024];
    image[0x202..0x206].copy_from_slice(b"HdrS");
    image[0x206..0x208].copy_from_slice(&0x020Fu16.to_le_bytes());
    image[0x236] = 0x7F;
    image
}

/// Kernel, initial ramdisk and modules of a version.
pub(crate) fn kernel(fs: &mut MemFs, boot: &str, version: &str, initrd: &str) {
    fs.file(&format!("{boot}/vmlinuz-{version}"), bzimage());

    fs.file(&format!("{boot}/{initrd}"), b"\x1f\x8b\x08\0".to_vec());
}

fn base(fs: &mut MemFs) {
    for name in ["bin", "sbin", "lib"] {
        fs.symlink(&format!("/{name}"), &format!("usr/{name}"));
    }
    fs.executable("/usr/bin/bash", elf(62)).dir("/usr/sbin").dir("/usr/lib");
    fs.dir("/boot").dir("/home").dir("/var");
}

fn modules(fs: &mut MemFs, version: &str) {
    fs.file(&format!("/usr/lib/modules/{version}/modules.dep"), "");
    fs.dir(&format!("/usr/lib/modules/{version}/kernel"));
}

/// Debian 12, all on one filesystem.
pub(crate) fn debian() -> MemFs {
    let mut fs = MemFs::new();
    base(&mut fs);
    fs.file(
        "/usr/lib/os-release",
        "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\n\
         VERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n",
    );
    fs.symlink("/etc/os-release", "/usr/lib/os-release").file("/etc/debian_version", "12.15\n");
    fs.file("/etc/fstab", format!("UUID={UUID_ROOT} / ext4 errors=remount-ro 0 1\n"));
    fs.file("/var/lib/dpkg/status", "");
    kernel(&mut fs, "/boot", "6.1.0-40-amd64", "initrd.img-6.1.0-40-amd64");
    modules(&mut fs, "6.1.0-40-amd64");
    fs.file("/boot/grub/grub.cfg", DEBIAN_GRUB_CFG).file("/boot/grub/grubenv", grubenv(""));
    fs
}

/// A GPT disk with a BIOS boot partition, GRUB embedded, and `root` as its second partition.
pub(crate) fn bios_disk(root: MemFs) -> Disk {
    let mut disk = Disk::gpt();
    disk.bios_boot();
    disk.partition(root, UUID_ROOT, "");
    disk.grub_bios();
    disk
}

/// What Debian puts on its ESP.
pub(crate) fn debian_esp() -> MemFs {
    let mut esp = MemFs::new();
    esp.file("/EFI/BOOT/BOOTX64.EFI", pe(0x8664)).file("/EFI/debian/shimx64.efi", pe(0x8664));
    esp.file("/EFI/debian/grubx64.efi", pe(0x8664));
    esp.file(
        "/EFI/debian/grub.cfg",
        format!(
            "search.fs_uuid {UUID_ROOT} root hd0,gpt2 \nset prefix=($root)'/boot/grub'\n\
             configfile $prefix/grub.cfg\n"
        ),
    );
    esp
}

/// A GPT disk with an ESP and `root` as its second partition.
pub(crate) fn uefi_disk(mut root: MemFs, esp: MemFs) -> Disk {
    root.dir("/boot/efi");
    let mut disk = Disk::gpt();
    disk.esp(esp);
    disk.partition(root, UUID_ROOT, "");
    disk
}

/// Enterprise Linux 9 or 8: root and boot filesystem; entries by the Boot Loader Specification.
pub(crate) fn el(major: u32) -> (MemFs, MemFs) {
    let (version, options) = match major {
        8 => ("4.18.0-553.el8.x86_64", "$kernelopts $tuned_params".to_owned()),
        _ => ("5.14.0-503.el9.x86_64", format!("root=UUID={UUID_ROOT} ro console=ttyS0")),
    };
    let mut fs = MemFs::new();
    base(&mut fs);
    fs.file(
        "/etc/os-release",
        format!("NAME=\"Rocky Linux\"\nVERSION_ID=\"{major}.5\"\nID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nPRETTY_NAME=\"Rocky Linux {major}.5\"\n"),
    );
    fs.file("/etc/redhat-release", format!("Rocky Linux release {major}.5 (Green Obsidian)\n"));
    fs.file(
        "/etc/fstab",
        format!("UUID={UUID_ROOT} / ext4 defaults 0 0\nUUID={UUID_BOOT} /boot ext4 defaults 0 0\n"),
    );
    modules(&mut fs, version);
    let mut boot = MemFs::new();
    kernel(&mut boot, "", version, &format!("initramfs-{version}.img"));
    kernel(&mut boot, "", "0-rescue-ab", "initramfs-0-rescue-ab.img");
    for (id, version) in [(version, version), ("0-rescue", "0-rescue-ab")] {
        boot.file(
            &format!("/loader/entries/ab-{id}.conf"),
            format!(
                "title Rocky Linux ({version})\nversion {version}\nlinux /vmlinuz-{version}\n\
                 initrd /initramfs-{version}.img $tuned_initrd\noptions {options}\n\
                 grub_users $grub_users\ngrub_arg --unrestricted\ngrub_class rocky\n"
            ),
        );
    }
    boot.file(
        "/grub2/grub.cfg",
        format!(
            "set pager=1\nif [ -f ${{config_directory}}/grubenv ]; then\n  load_env -f ${{config_directory}}/grubenv\n\
             elif [ -s $prefix/grubenv ]; then\n  load_env\nfi\n\
             if [ \"${{next_entry}}\" ] ; then\n   set default=\"${{next_entry}}\"\nelse\n   set default=\"${{saved_entry}}\"\nfi\n\
             set timeout=1\nsearch --no-floppy --fs-uuid --set=boot {UUID_BOOT}\n\
             insmod blscfg\nblscfg\n"
        ),
    );
    let opts = format!("root=UUID={UUID_ROOT} ro console=ttyS0");
    boot.file("/grub2/grubenv", grubenv(&format!("saved_entry=ab-{version}\nkernelopts={opts}\n")));
    (fs, boot)
}

/// A disk with a root and a boot partition after the BIOS boot partition.
pub(crate) fn two_partitions((root, boot): (MemFs, MemFs)) -> Disk {
    let mut disk = Disk::gpt();
    disk.bios_boot();
    disk.partition(boot, UUID_BOOT, "");
    disk.partition(root, UUID_ROOT, "");
    disk.grub_bios();
    disk
}

/// CentOS 6 with GRUB legacy: boot and root partition on an MBR disk.
pub(crate) fn el6() -> (MemFs, MemFs) {
    let version = "2.6.32-754.el6.x86_64";
    let mut fs = MemFs::new();
    fs.executable("/bin/bash", elf(62)).dir("/boot").file("/etc/hosts", "");
    fs.file("/etc/redhat-release", "CentOS release 6.10 (Final)\n");
    fs.symlink("/etc/centos-release", "redhat-release");
    fs.file(
        "/etc/fstab",
        format!("UUID={UUID_ROOT} / ext4 defaults 1 1\nUUID={UUID_BOOT} /boot ext4 defaults 1 2\n"),
    );
    fs.file(&format!("/lib/modules/{version}/modules.dep"), "");
    let mut boot = MemFs::new();
    kernel(&mut boot, "", version, &format!("initramfs-{version}.img"));
    boot.file(
        "/grub/grub.conf",
        format!(
            "#boot=/dev/vda\ndefault=0\ntimeout=5\nsplashimage=(hd0,0)/grub/splash.xpm.gz\nhiddenmenu\n\
             title CentOS ({version})\n\troot (hd0,0)\n\tkernel /vmlinuz-{version} ro root=UUID={UUID_ROOT} console=ttyS0\n\
             \tinitrd /initramfs-{version}.img\n"
        ),
    );
    (fs, boot)
}

/// The MBR disk of [`el6`], with GRUB legacy in its first sectors.
pub(crate) fn legacy_disk((root, boot): (MemFs, MemFs)) -> Disk {
    let mut disk = Disk::mbr();
    disk.partition(boot, UUID_BOOT, "");
    disk.partition(root, UUID_ROOT, "");
    disk.bytes[0..3].copy_from_slice(&[0xEB, 0x48, 0x90]);
    disk.bytes[0x44..0x48].copy_from_slice(&1u32.to_le_bytes());
    disk.bytes[0x17A..0x17F].copy_from_slice(b"GRUB ");
    disk.bytes[512..516].copy_from_slice(&[0x52, 0xE8, 0x28, 0x01]);
    disk
}

/// openSUSE on btrfs: the default subvolume is a snapshot, and fstab names none for `/`.
pub(crate) fn suse() -> Disk {
    let version = "6.4.0-150600.23.33-default";
    let mut fs = MemFs::new();
    for root in ["/@/.snapshots/1/snapshot", "/@/.snapshots/2/snapshot"] {
        fs.executable(&format!("{root}/bin/bash"), elf(62)).dir(&format!("{root}/home"));
        fs.file(
            &format!("{root}/etc/os-release"),
            "NAME=\"openSUSE Leap\"\nVERSION=\"15.6\"\nID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n\
             VERSION_ID=\"15.6\"\nPRETTY_NAME=\"openSUSE Leap 15.6\"\n",
        );
        fs.file(
            &format!("{root}/etc/fstab"),
            format!("UUID={UUID_ROOT} / btrfs defaults 0 0\nUUID={UUID_ROOT} /home btrfs subvol=/@/home 0 0\n"),
        );
        kernel(&mut fs, &format!("{root}/boot"), version, &format!("initrd-{version}"));
        fs.file(&format!("{root}/lib/modules/{version}/modules.dep"), "");
        fs.file(
            &format!("{root}/boot/grub2/grub.cfg"),
            format!(
                "set btrfs_relative_path=\"yes\"\nset default=0\nset timeout=8\n\
                 menuentry 'openSUSE Leap 15.6' --class opensuse {{\n  search --no-floppy --fs-uuid --set=root {UUID_ROOT}\n  \
                 linux /boot/vmlinuz-{version} root=UUID={UUID_ROOT} splash=silent console=ttyS0\n  initrd /boot/initrd-{version}\n}}\n"
            ),
        );
    }
    fs.dir("/@/home");
    let subvolumes = ["@", "@/home", "@/.snapshots/1/snapshot", "@/.snapshots/2/snapshot"];
    let mut disk = Disk::gpt();
    disk.bios_boot();
    let btrfs = Btrfs::new(fs, UUID_ROOT, &subvolumes, "@/.snapshots/2/snapshot");
    disk.filesystem("0fc63daf-8483-4772-8e79-3d69d8477de4", 0x83, Arc::new(btrfs));
    disk.grub_bios();
    disk
}

/// Arch with systemd-boot: the ESP is `/boot`.
pub(crate) fn arch() -> Disk {
    let mut fs = MemFs::new();
    base(&mut fs);
    fs.file(
        "/etc/os-release",
        "NAME=\"Arch Linux\"\nID=arch\nPRETTY_NAME=\"Arch Linux\"\nBUILD_ID=rolling\n",
    );
    fs.file(
        "/etc/fstab",
        format!("UUID={UUID_ROOT} / ext4 rw 0 1\nUUID={UUID_ESP} /boot vfat rw 0 2\n"),
    );
    modules(&mut fs, "6.12.1-arch1-1");
    let mut esp = MemFs::new();
    esp.file("/vmlinuz-linux", bzimage()).file("/initramfs-linux.img", b"\x1f\x8b".to_vec());
    esp.file("/EFI/BOOT/BOOTX64.EFI", pe(0x8664));
    esp.file("/EFI/systemd/systemd-bootx64.efi", pe(0x8664));
    esp.file("/loader/loader.conf", "default arch-*\ntimeout 3\n");
    esp.file(
        "/loader/entries/arch-main.conf",
        format!("title Arch Linux\nlinux /vmlinuz-linux\ninitrd /initramfs-linux.img\noptions root=UUID={UUID_ROOT} rw\n"),
    );
    esp.file("/loader/entries/zz-other.conf", "title Other\nlinux /vmlinuz-linux\n");
    let mut disk = Disk::gpt();
    disk.esp(esp);
    disk.partition(fs, UUID_ROOT, "");
    disk
}

/// Alpine with extlinux on an MBR disk.
pub(crate) fn alpine() -> Disk {
    let mut fs = MemFs::new();
    fs.symlink("/bin/sh", "/bin/busybox").executable("/bin/busybox", elf(62));
    fs.file(
        "/etc/os-release",
        "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.20.3\nPRETTY_NAME=\"Alpine Linux v3.20\"\n",
    );
    fs.file("/etc/fstab", format!("UUID={UUID_ROOT} / ext4 rw 0 1\n"));
    fs.file("/boot/vmlinuz-virt", bzimage()).file("/boot/initramfs-virt", b"\x1f\x8b".to_vec());
    fs.file("/lib/modules/6.6.58-0-virt/modules.dep", "");
    fs.file(
        "/boot/extlinux.conf",
        format!(
            "DEFAULT menu.c32\nPROMPT 0\nTIMEOUT 10\nLABEL virt\n  MENU DEFAULT\n  MENU LABEL Linux virt\n  \
             LINUX vmlinuz-virt\n  INITRD initramfs-virt\n  APPEND root=UUID={UUID_ROOT} console=ttyS0\n"
        ),
    );
    let mut disk = Disk::mbr();
    disk.partition(fs, UUID_ROOT, "");
    disk.layout.partitions[0].bootable = true;
    disk.bytes[0x10..0x28].copy_from_slice(b"Missing operating system");
    let start = usize::try_from(disk.layout.partitions[0].start_bytes).unwrap();
    disk.bytes[start + 3..start + 11].copy_from_slice(b"EXTLINUX");
    disk
}
