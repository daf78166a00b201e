//! What becomes of whole guests, and what is refused.

use kiln_fixtures::phony::{
    BOOT_UUID, BootSector, FOREIGN_UUID, Part, Phony, ROOT_UUID, grubenv, pe,
};

use super::*;
use crate::repair::testing::told;
use crate::repair::{Bundle, Options, Plan, StepResult, plan as plan_all};
use crate::{Declared, inspect};

const CFG: &str = "/boot/grub/grub.cfg";
const KVER: &str = "6.1.0-40-amd64";

/// What changes; lines around it say nothing here, nor does what fills up an environment block.
fn told_of(mut guest: Phony, plant: impl FnOnce(&mut Phony)) -> String {
    plant(&mut guest);
    let told = told(&guest, &GRUB, &Options::default());
    let is_change = |line: &&str| {
        !line.starts_with([' ', '@', '\\']) && !line.ends_with("####") && !line.starts_with("+++")
    };
    told.lines().filter(is_change).flat_map(|line| [line, "\n"]).collect()
}

/// Another root on every command line.
fn with_root(guest: &mut Phony, root: &str) {
    guest.menu_replace(&format!("root=UUID={ROOT_UUID}"), &format!("root={root}"));
}

#[test]
fn a_root_that_is_no_disks_uuid_is_named_anew() {
    let told = told_of(Phony::debian(), |guest| {
        with_root(guest, &format!("UUID={FOREIGN_UUID}"));
        let line = "GRUB_CMDLINE_LINUX=\"";
        guest.replace("/etc/default/grub", line, &format!("{line}root=UUID={FOREIGN_UUID} "));
    });
    insta::assert_snapshot!(told, @r#"
    # the root is named so that the platform finds it
    --- a/boot/grub/grub.cfg
    -	linux	/boot/vmlinuz-6.1.0-40-amd64 root=UUID=deadbeef-dead-4ead-beef-deaddeadbeef ro net.ifnames=0 biosdevname=0 nvme_core.io_timeout=4294967295 console=tty0 console=ttyS0,115200n8
    +	linux	/boot/vmlinuz-6.1.0-40-amd64 root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f ro net.ifnames=0 biosdevname=0 nvme_core.io_timeout=4294967295 console=tty0 console=ttyS0,115200n8
    -	linux	/boot/vmlinuz-6.1.0-40-amd64 root=UUID=deadbeef-dead-4ead-beef-deaddeadbeef ro net.ifnames=0 biosdevname=0 nvme_core.io_timeout=4294967295 console=tty0 console=ttyS0,115200n8
    +	linux	/boot/vmlinuz-6.1.0-40-amd64 root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f ro net.ifnames=0 biosdevname=0 nvme_core.io_timeout=4294967295 console=tty0 console=ttyS0,115200n8
    -	linux	/boot/vmlinuz-6.1.0-40-amd64 root=UUID=deadbeef-dead-4ead-beef-deaddeadbeef ro single net.ifnames=0 biosdevname=0
    +	linux	/boot/vmlinuz-6.1.0-40-amd64 root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f ro single net.ifnames=0 biosdevname=0
    # the root is named so that the platform finds it
    --- a/etc/default/grub
    -GRUB_CMDLINE_LINUX="root=UUID=deadbeef-dead-4ead-beef-deaddeadbeef net.ifnames=0 biosdevname=0 nvme_core.io_timeout=4294967295 console=tty0 console=ttyS0,115200n8"
    +GRUB_CMDLINE_LINUX="root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f net.ifnames=0 biosdevname=0 nvme_core.io_timeout=4294967295 console=tty0 console=ttyS0,115200n8"
    "#);
}

#[test]
fn entries_of_the_boot_loader_specification_name_the_root_anew() {
    let told = told_of(Phony::el9(), |guest| {
        with_root(guest, &format!("UUID={FOREIGN_UUID}"));
        guest.put("/etc/kernel/cmdline", format!("root=UUID={FOREIGN_UUID} ro\n"));
    });
    insta::assert_snapshot!(told, @r"
    # the root is named so that the platform finds it
    --- a/boot/loader/entries/0123456789abcdef0123456789abcdef-5.14.0-503.11.1.el9_5.x86_64.conf
    -options root=UUID=deadbeef-dead-4ead-beef-deaddeadbeef ro net.ifnames=0 biosdevname=0 nvme_core.io_timeout=4294967295
    +options root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f ro net.ifnames=0 biosdevname=0 nvme_core.io_timeout=4294967295
    # the root is named so that the platform finds it
    --- a/etc/kernel/cmdline
    -root=UUID=deadbeef-dead-4ead-beef-deaddeadbeef ro
    +root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f ro
    ");
    let told = told_of(Phony::el8(), |guest| {
        let block = guest.text("/boot/grub2/grubenv");
        let lines: Vec<String> = block
            .lines()
            .filter(|line| line.contains('='))
            .map(|line| line.replace(&format!("UUID={ROOT_UUID}"), "/dev/xvda1") + "\n")
            .collect();
        guest.put("/boot/grub2/grubenv", grubenv(&lines.concat()));
    });
    insta::assert_snapshot!(told, @r"
    # the root is named so that the platform finds it
    --- a/boot/grub2/grubenv
    -kernelopts=root=/dev/xvda1 ro crashkernel=auto net.ifnames=0 biosdevname=0 nvme_core.io_timeout=4294967295 
    +kernelopts=root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f ro crashkernel=auto net.ifnames=0 biosdevname=0 nvme_core.io_timeout=4294967295
    ");
}

#[test]
fn grub_legacy_starts_from_the_first_disk() {
    let told = told_of(Phony::el6(), |guest| {
        with_root(guest, "/dev/sda2");
        guest
            .replace("/boot/grub/grub.conf", "root (hd0,0)", "root (hd1,0)")
            .replace("/boot/grub/grub.conf", "timeout=5", "timeout=-1")
            .put("/boot/grub/device.map", "(fd0)\t/dev/fd0\n(hd0)\t/dev/sda\n");
    });
    insta::assert_snapshot!(told, @r"
    # the root is named so that the platform finds it; the system disk of an instance is its first one; nobody is there to press a key when an instance starts
    --- a/boot/grub/grub.conf
    -timeout=-1
    +timeout=5
    -	root (hd1,0)
    -	kernel /vmlinuz-2.6.32-754.35.1.el6.x86_64 ro root=/dev/sda2 rd_NO_LUKS rd_NO_LVM nvme.io_timeout=255
    +	root (hd0,0)
    +	kernel /vmlinuz-2.6.32-754.35.1.el6.x86_64 ro root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f rd_NO_LUKS rd_NO_LVM nvme.io_timeout=255
    # it has names of disks that the platform does not have
    --- a/boot/grub/device.map
    -(hd0)	/dev/sda
    +(hd0)     /dev/vda
    ");
}

#[test]
fn what_grub_two_keeps_of_old_disks_goes() {
    let told = told_of(Phony::debian_mbr(), |guest| {
        with_root(guest, "/dev/sda1 resume=/dev/sdb1");
        guest
            .put("/boot/grub/device.map", "(hd0)\t/dev/disk/by-id/ata-VBOX_HARDDISK\n")
            .append("/etc/default/grub", "GRUB_DISABLE_LINUX_UUID=true\n")
            .put("/etc/initramfs-tools/conf.d/resume", "RESUME=/dev/sdb1\n");
    });
    insta::assert_snapshot!(told, @r"
    # the root is named so that the platform finds it; boot waits for a swap that is not in the image
    --- a/boot/grub/grub.cfg
    -	linux	/boot/vmlinuz-6.1.0-40-amd64 root=/dev/sda1 resume=/dev/sdb1 ro net.ifnames=0 biosdevname=0 nvme_core.io_timeout=4294967295 console=tty0 console=ttyS0,115200n8
    +	linux	/boot/vmlinuz-6.1.0-40-amd64 root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f noresume ro net.ifnames=0 biosdevname=0 nvme_core.io_timeout=4294967295 console=tty0 console=ttyS0,115200n8
    -	linux	/boot/vmlinuz-6.1.0-40-amd64 root=/dev/sda1 resume=/dev/sdb1 ro net.ifnames=0 biosdevname=0 nvme_core.io_timeout=4294967295 console=tty0 console=ttyS0,115200n8
    +	linux	/boot/vmlinuz-6.1.0-40-amd64 root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f noresume ro net.ifnames=0 biosdevname=0 nvme_core.io_timeout=4294967295 console=tty0 console=ttyS0,115200n8
    -	linux	/boot/vmlinuz-6.1.0-40-amd64 root=/dev/sda1 resume=/dev/sdb1 ro single net.ifnames=0 biosdevname=0
    +	linux	/boot/vmlinuz-6.1.0-40-amd64 root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f noresume ro single net.ifnames=0 biosdevname=0
    # boot waits for a swap that is not in the image
    --- a/etc/initramfs-tools/conf.d/resume
    -RESUME=/dev/sdb1
    +RESUME=none
    # it has names of disks that the platform does not have
    rename from boot/grub/device.map
    rename to boot/grub/device.map.kiln-orig
    # menus name the root by its UUID
    --- a/etc/default/grub
    -GRUB_DISABLE_LINUX_UUID=true
    +#kiln GRUB_DISABLE_LINUX_UUID=true
    ");
}

#[test]
fn searches_look_for_what_holds_the_files() {
    let told = told_of(Phony::debian_uefi(), |guest| {
        guest.replace("/boot/efi/EFI/debian/grub.cfg", ROOT_UUID, FOREIGN_UUID);
        let search = format!("--set=root {ROOT_UUID}\n\techo");
        guest.replace(CFG, &search, &search.replace(ROOT_UUID, FOREIGN_UUID));
    });
    insta::assert_snapshot!(told, @r"
    # no filesystem of the image has the UUID that GRUB looks for
    --- a/boot/grub/grub.cfg
    -	search --no-floppy --fs-uuid --set=root deadbeef-dead-4ead-beef-deaddeadbeef
    +	search --no-floppy --fs-uuid --set=root 3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f
    -	search --no-floppy --fs-uuid --set=root deadbeef-dead-4ead-beef-deaddeadbeef
    +	search --no-floppy --fs-uuid --set=root 3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f
    -	search --no-floppy --fs-uuid --set=root deadbeef-dead-4ead-beef-deaddeadbeef
    +	search --no-floppy --fs-uuid --set=root 3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f
    # no filesystem of the image has the UUID that GRUB looks for
    --- a/boot/efi/EFI/debian/grub.cfg
    -search.fs_uuid deadbeef-dead-4ead-beef-deaddeadbeef root 
    +search.fs_uuid 3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f root
    ");
    let told = told_of(Phony::el9(), |guest| {
        guest.replace("/boot/grub2/grub.cfg", BOOT_UUID, FOREIGN_UUID);
    });
    insta::assert_snapshot!(told, @r"
    # no filesystem of the image has the UUID that GRUB looks for
    --- a/boot/grub2/grub.cfg
    -search --no-floppy --fs-uuid --set=root --hint='hd0,gpt2'  deadbeef-dead-4ead-beef-deaddeadbeef
    +search --no-floppy --fs-uuid --set=root --hint='hd0,gpt2'  7d1e2f30-4152-4637-8899-aabbccddeeff
    ");
}

#[test]
fn searches_of_other_systems_stay() {
    let other = format!(
        "menuentry 'Other' {{\n\tsearch --no-floppy --fs-uuid --set=root {FOREIGN_UUID}\n\tlinux \
         /boot/vmlinuz-other root=UUID={FOREIGN_UUID}\n}}\nmenuentry 'Windows' {{\n\tsearch \
         --fs-uuid --set=root {FOREIGN_UUID}\n\tchainloader +1\n}}\n"
    );
    let told = told_of(Phony::debian(), |guest| {
        guest.append(CFG, &other).replace(CFG, "set timeout=5", "set timeout=-1");
        let search = format!("--set=root {ROOT_UUID}");
        guest.replace(CFG, &search, &search.replace(ROOT_UUID, FOREIGN_UUID));
    });
    let n_changed = told.lines().filter(|line| line.starts_with("-\tsearch")).count();
    assert_eq!(n_changed, 3, "{told}");
    assert!(!told.contains("vmlinuz-other") && !told.contains("chainloader"), "{told}");
    assert!(told.contains("+\tsearch --no-floppy --fs-uuid --set=root 3f4c5a6e"), "{told}");
}

/// A second kernel with its entry behind the submenu.
fn second_kernel(guest: &mut Phony, kver: &'static str) {
    guest.debian_kernel(kver);
    let entry = format!(
        "menuentry 'Older' --id older {{\n\tsearch --no-floppy --fs-uuid --set=root {ROOT_UUID}\n\tlinux \
         /boot/vmlinuz-{kver} root=UUID={ROOT_UUID} ro net.ifnames=0 biosdevname=0\n\tinitrd \
         /boot/initrd.img-{kver}\n}}\n"
    );
    guest.append(CFG, &entry);
}

#[test]
fn another_kernel_boots_where_files_of_the_first_are_gone() {
    let told = told_of(Phony::debian(), |guest| {
        second_kernel(guest, "6.1.0-30-amd64");
        guest.put(&format!("/boot/vmlinuz-{KVER}"), "");
    });
    insta::assert_snapshot!(told, @r#"
    # the default entry loads /boot/vmlinuz-6.1.0-40-amd64, which is empty
    --- a/boot/grub/grub.cfg
    -   set default="0"
    +   set default="older"
    "#);
    let told = told_of(Phony::el9(), |guest| {
        let old = "5.14.0-362.8.1.el9_3.x86_64";
        guest.el_kernel(old, kiln_fixtures::phony::LINUX_6_1);
        guest.bls("Rocky Linux", old, &format!("root=UUID={ROOT_UUID} ro net.ifnames=0"));
        let initrd = guest.initrd_path();
        guest.initrds.remove(&initrd);
    });
    insta::assert_snapshot!(told, @r"
    # the default entry loads /boot/initramfs-5.14.0-503.11.1.el9_5.x86_64.img, which is not there
    --- a/boot/grub2/grubenv
    -saved_entry=0123456789abcdef0123456789abcdef-5.14.0-503.11.1.el9_5.x86_64
    +saved_entry=0123456789abcdef0123456789abcdef-5.14.0-362.8.1.el9_3.x86_64
    ");
}

#[test]
fn what_starts_no_kernel_is_not_the_default() {
    let told = told_of(Phony::debian(), |guest| {
        guest.replace(CFG, "set default=\"0\"", "set default=\"tools\"");
        guest.append(CFG, "menuentry 'Setup' --id tools {\n\tfwsetup\n}\n");
    });
    insta::assert_snapshot!(told, @r#"
    # the entry that boots by default starts no kernel
    --- a/boot/grub/grub.cfg
    -   set default="tools"
    +   set default="gnulinux-simple-3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f"
    "#);
    let told = told_of(Phony::debian(), |guest| {
        guest.replace(CFG, "set default=\"0\"", "set default=\"7\"");
        guest.put("/boot/grub/grubenv", grubenv("next_entry=9\n"));
    });
    insta::assert_snapshot!(told, @r#"
    # the default entry "9" is not in the menu; GRUB boots the first
    --- a/boot/grub/grubenv
    -next_entry=9
    +next_entry=
    # the default entry "9" is not in the menu; GRUB boots the first
    --- a/boot/grub/grub.cfg
    -   set default="7"
    +   set default="gnulinux-simple-3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f"
    "#);
}

#[test]
fn entries_get_the_initramfs_or_the_partition() {
    let initrd = format!("\tinitrd\t/boot/initrd.img-{KVER}\n");
    let told = told_of(Phony::debian(), |guest| {
        guest.replace(CFG, &initrd, "");
    });
    insta::assert_snapshot!(told, @r"
    # the root is found by the initramfs, which this entry does not load
    --- a/boot/grub/grub.cfg
    +	initrd	/boot/initrd.img-6.1.0-40-amd64
    +	initrd	/boot/initrd.img-6.1.0-40-amd64
    +	initrd	/boot/initrd.img-6.1.0-40-amd64
    ");
    let told = told_of(Phony::debian(), |guest| {
        guest.replace(CFG, &initrd, "");
        guest.initrds.clear();
    });
    assert!(told.contains("+\tlinux\t/boot/vmlinuz-6.1.0-40-amd64 root=PARTUUID="), "{told}");
}

#[test]
fn words_for_the_initramfs_name_what_is_there() {
    let told = told_of(Phony::el7_lvm(), |guest| {
        guest.menu_replace(" crashkernel=auto ", " rd.lvm.lv=old/root rd.lvm.lv=old/swap ");
        guest.menu_replace(&format!("root=UUID={ROOT_UUID}"), "root=/dev/mapper/old-root");
    });
    insta::assert_snapshot!(told, @r"
    # the root is named so that the platform finds it; the initramfs waits for a device that is not in the image
    --- a/boot/grub2/grub.cfg
    -	linux16 /vmlinuz-3.10.0-1160.119.1.el7.x86_64 root=/dev/mapper/old-root ro rd.lvm.lv=old/root rd.lvm.lv=old/swap net.ifnames=0 biosdevname=0 nvme_core.io_timeout=4294967295
    +	linux16 /vmlinuz-3.10.0-1160.119.1.el7.x86_64 root=/dev/mapper/cl-root ro rd.lvm.lv=cl/root net.ifnames=0 biosdevname=0 nvme_core.io_timeout=4294967295
    ");
    let told = told_of(Phony::debian_btrfs(), |guest| {
        guest.menu_replace("rootflags=subvol=@rootfs", "rootflags=noatime,subvol=@old");
    });
    insta::assert_snapshot!(told, @r"
    # the kernel mounts the subvolume that is the root
    --- a/boot/grub/grub.cfg
    -	linux	/@rootfs/boot/vmlinuz-6.1.0-40-amd64 root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f ro rootflags=noatime,subvol=@old net.ifnames=0 biosdevname=0 nvme_core.io_timeout=4294967295 console=tty0 console=ttyS0,115200n8
    +	linux	/@rootfs/boot/vmlinuz-6.1.0-40-amd64 root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f ro rootflags=noatime,subvol=@rootfs net.ifnames=0 biosdevname=0 nvme_core.io_timeout=4294967295 console=tty0 console=ttyS0,115200n8
    -	linux	/@rootfs/boot/vmlinuz-6.1.0-40-amd64 root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f ro rootflags=noatime,subvol=@old net.ifnames=0 biosdevname=0 nvme_core.io_timeout=4294967295 console=tty0 console=ttyS0,115200n8
    +	linux	/@rootfs/boot/vmlinuz-6.1.0-40-amd64 root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f ro rootflags=noatime,subvol=@rootfs net.ifnames=0 biosdevname=0 nvme_core.io_timeout=4294967295 console=tty0 console=ttyS0,115200n8
    -	linux	/@rootfs/boot/vmlinuz-6.1.0-40-amd64 root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f ro rootflags=noatime,subvol=@old single net.ifnames=0 biosdevname=0
    +	linux	/@rootfs/boot/vmlinuz-6.1.0-40-amd64 root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f ro rootflags=noatime,subvol=@rootfs single net.ifnames=0 biosdevname=0
    ");
}

#[test]
fn commands_passwords_and_blocks_are_put_right() {
    let told = told_of(Phony::debian_uefi(), |guest| {
        guest.replace(CFG, "\tlinux\t", "\tlinux16\t").replace(CFG, "\tinitrd\t", "\tinitrd16\t");
        let text = guest.text(CFG);
        guest.put(CFG, format!("set superusers=\"root\"\n{text}"));
        guest.put("/boot/grub/grubenv", &grubenv("a=1\n")[..1000]);
    });
    insta::assert_snapshot!(told, @r"
    # GRUB reads and writes a block of 1024 bytes, and no other
    --- a/boot/grub/grubenv
    # GRUB for the firmware that starts the disk does not have this command; nobody types the password when an instance starts
    --- a/boot/grub/grub.cfg
    -menuentry 'Debian GNU/Linux' --class debian --class gnu-linux --class gnu --class os $menuentry_id_option 'gnulinux-simple-3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f' {
    +menuentry 'Debian GNU/Linux' --unrestricted --class debian --class gnu-linux --class gnu --class os $menuentry_id_option 'gnulinux-simple-3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f' {
    -	linux16	/boot/vmlinuz-6.1.0-40-amd64 root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f ro net.ifnames=0 biosdevname=0 nvme_core.io_timeout=4294967295 console=tty0 console=ttyS0,115200n8
    +	linux	/boot/vmlinuz-6.1.0-40-amd64 root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f ro net.ifnames=0 biosdevname=0 nvme_core.io_timeout=4294967295 console=tty0 console=ttyS0,115200n8
    -	initrd16	/boot/initrd.img-6.1.0-40-amd64
    +	initrd	/boot/initrd.img-6.1.0-40-amd64
    -	linux16	/boot/vmlinuz-6.1.0-40-amd64 root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f ro net.ifnames=0 biosdevname=0 nvme_core.io_timeout=4294967295 console=tty0 console=ttyS0,115200n8
    +	linux	/boot/vmlinuz-6.1.0-40-amd64 root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f ro net.ifnames=0 biosdevname=0 nvme_core.io_timeout=4294967295 console=tty0 console=ttyS0,115200n8
    -	initrd16	/boot/initrd.img-6.1.0-40-amd64
    +	initrd	/boot/initrd.img-6.1.0-40-amd64
    -	linux16	/boot/vmlinuz-6.1.0-40-amd64 root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f ro single net.ifnames=0 biosdevname=0
    +	linux	/boot/vmlinuz-6.1.0-40-amd64 root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f ro single net.ifnames=0 biosdevname=0
    -	initrd16	/boot/initrd.img-6.1.0-40-amd64
    +	initrd	/boot/initrd.img-6.1.0-40-amd64
    ");
}

#[test]
fn lvm_may_use_the_disks_of_the_platform() {
    let told = told_of(Phony::el9_lvm(), |guest| {
        guest.put("/etc/lvm/devices/system.devices", "IDTYPE=sys_wwid IDNAME=naa.6 PVID=x\n");
        guest.put("/etc/lvm/lvm.conf", "devices {\n\tfilter = [ \"a|/dev/sda|\" ]\n}\n");
    });
    insta::assert_snapshot!(told, @r#"
    # it lets LVM use only the disks of the machine it came from
    rename from etc/lvm/devices/system.devices
    rename to etc/lvm/devices/system.devices.kiln-orig
    # it lets LVM use only the disks of the machine it came from
    --- a/etc/lvm/lvm.conf
    -	filter = [ "a|/dev/sda|" ]
    +# kiln: 	filter = [ "a|/dev/sda|" ]
    "#);
}

#[test]
fn firmware_finds_the_vendors_loader() {
    let told = told_of(Phony::debian_uefi(), |guest| {
        guest.remove("/boot/efi/EFI/BOOT");
        guest.put("/boot/efi/EFI/debian/mmx64.efi", pe(0x8664, "MokManager"));
    });
    insta::assert_snapshot!(told, @r"
    # firmware of an instance knows no loader but the one at this path
    # make directory boot/efi/EFI/BOOT with mode 0755
    # firmware of an instance knows no loader but the one at this path
    copy from boot/efi/EFI/debian/shimx64.efi
    copy to boot/efi/EFI/BOOT/BOOTX64.EFI
    # shim starts it from there
    copy from boot/efi/EFI/debian/grubx64.efi
    copy to boot/efi/EFI/BOOT/grubx64.efi
    # shim starts it from there
    copy from boot/efi/EFI/debian/mmx64.efi
    copy to boot/efi/EFI/BOOT/mmx64.efi
    # GRUB looks for it beside itself too
    new file mode 100644
    --- /dev/null
    +search.fs_uuid 3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f root 
    +set prefix=($root)'/boot/grub'
    +configfile $prefix/grub.cfg
    ");
    let told = told_of(Phony::debian_arm64(), |guest| {
        guest.put("/boot/efi/EFI/BOOT/BOOTAA64.EFI", pe(0x8664, "of another machine"));
    });
    insta::assert_snapshot!(told, @r"
    # firmware of an instance knows no loader but the one at this path
    # binary file boot/efi/EFI/BOOT/BOOTAA64.EFI: 530 bytes become 525
    # GRUB looks for it beside itself too
    new file mode 100644
    --- /dev/null
    +search.fs_uuid 3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f root 
    +set prefix=($root)'/boot/grub'
    +configfile $prefix/grub.cfg
    ");
}

#[test]
fn the_loader_on_the_esp_finds_its_menu() {
    let told = told_of(Phony::el9(), |guest| {
        guest.remove("/boot/efi/EFI/rocky/grub.cfg");
    });
    insta::assert_snapshot!(told, @r"
    # GRUB finds its menu by it
    new file mode 100644
    --- /dev/null
    +search --no-floppy --fs-uuid --set=dev 7d1e2f30-4152-4637-8899-aabbccddeeff
    +set prefix=($dev)'/grub2'
    +export prefix
    +configfile $prefix/grub.cfg
    ");
}

#[test]
fn what_cannot_be_mended_says_why() {
    type Planted = (Phony, fn(&mut Phony));
    let plant: [Planted; 6] = [
        (Phony::debian(), |guest| {
            guest.remove(CFG);
        }),
        (Phony::debian(), |guest| {
            guest.remove(CFG).program("/usr/sbin/update-grub", "#!/bin/sh\n");
        }),
        (Phony::debian(), |guest| {
            guest.put(&format!("/boot/vmlinuz-{KVER}"), "");
        }),
        (Phony::debian(), |guest| {
            let deleted = guest.disk.parts.remove(0);
            guest.disk.core_bytes = Some(guest.disk.first_bytes);
            guest.disk.first_bytes += deleted.size_bytes;
        }),
        (Phony::debian(), |guest| {
            let BootSector::Grub2(core) = &mut guest.disk.boot_sector else { panic!("GRUB 2") };
            core[0x300..].iter_mut().for_each(|byte| *byte ^= 0x5A);
        }),
        (Phony::debian(), |guest| {
            let mut other = Phony::debian();
            with_root(&mut other, &format!("UUID={FOREIGN_UUID}"));
            let root = other.disk.parts.pop().expect("a root");
            let uuid = "11111111-2222-4333-8444-555555555555";
            guest
                .disk
                .parts
                .insert(1, Part { uuid: Some(uuid.into()), mount: String::new(), ..root });
            with_root(guest, &format!("UUID={FOREIGN_UUID}"));
        }),
    ];
    let told: String = plant.into_iter().map(|(guest, plant)| told_of(guest, plant)).collect();
    insta::assert_snapshot!(told, @r"
    refused: Repair.GrubNoConfig: the disk has a boot chain and no configuration of a boot loader
    refused: Repair.GrubNoConfig: the disk has a boot chain and no configuration of a boot loader
    refused: Repair.NotMended: the default entry loads /boot/vmlinuz-6.1.0-40-amd64, which is empty, and no other entry of the menu has all its files
    refused: Repair.NotMended: the disk has a GPT and GRUB for BIOS in sector 0, and no BIOS boot partition holds its core image (sector 2048): a boot loader would have to be installed
    skipped: nothing_to_do
    refused: Repair.GrubRootAmbiguous: several volumes hold a system, and nothing tells which one boots
    ");
}

#[test]
fn the_guests_own_tool_writes_a_menu_where_it_may_run() {
    let mut guest = Phony::debian();
    guest.remove(CFG).program("/usr/sbin/update-grub", "#!/bin/sh\n");
    let inspection = inspect(guest.layout(), Declared::default());
    let options = Options { exec: true, ..Options::default() };
    let plan: Plan = plan_all(&inspection, &[&GRUB], &options, &Bundle::default()).unwrap();
    let StepResult::Planned { edits, commands, .. } = &plan.steps[0].result else {
        panic!("{:?}", plan.steps)
    };
    assert_eq!((edits.len(), commands.len()), (0, 1));
    assert_eq!(commands[0].argv, ["update-grub"]);
}

#[test]
fn mutated_files_never_panic() {
    let text = "set superusers=\"root\"\nset timeout=-1\nsubmenu 'a' {\nmenuentry 'x' {\n\tlinux16 /k \
                root=/dev/sda1\n\tinitrd16 /i\n}\n}\ntitle x\nroot (hd1,0)\nkernel (hd1,0)/k\nlock\n\
                timeout 99\nfilter = [ \"a|/dev/sda|\",\n \"r\" ]\n";
    crate::syntax::mutation::mutated(text.as_bytes(), |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let edits: [&dyn Fn(&str) -> String; 7] = [
            &|text| menu::unrestricted(text, 5),
            &|text| menu::without_lock(text, 11),
            &|text| menu::with_suffix(text, "16", ""),
            &menu::grub_timeout,
            &|text| menu::line_timeout(text, 1),
            &|text| legacy::edited(text, "(hd0,0)"),
            &config::without_filters,
        ];
        for (index, edit) in edits.iter().enumerate() {
            let once = edit(&text);
            assert_eq!(edit(&once), once, "edit {index} of\n{text}");
        }
        let _added = entries::in_grub_cfg(&text, 5, "initrd.img");
        let _added = entries::in_lines(&text, 11, "initrd.img");
    });
}
