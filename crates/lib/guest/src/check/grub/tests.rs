//! One fault planted in a sound system at a time; near misses stay silent.

use super::*;
use crate::check::{Level, Status};
use crate::testing::systems::*;
use crate::testing::{Disk, UUID_BOOT, UUID_ROOT, grubenv};
use crate::{Declared, inspect};
use kiln_volume::MemFs;

fn judge(disk: Disk) -> Outcome {
    (GRUB.run)(&inspect(disk.build(), Declared::default())).unwrap()
}

/// Codes with levels of all findings.
fn codes(disk: Disk) -> Vec<(&'static str, Level)> {
    judge(disk).findings.iter().map(|finding| (finding.code, finding.level)).collect()
}

fn debian_with(from: &str, to: &str) -> Disk {
    let mut fs = debian();
    let text = DEBIAN_GRUB_CFG.replace(from, to);
    assert_ne!(text, DEBIAN_GRUB_CFG, "{from}");
    fs.file("/boot/grub/grub.cfg", text);
    bios_disk(fs)
}

fn debian_changed(change: impl FnOnce(&mut MemFs)) -> Disk {
    let mut fs = debian();
    change(&mut fs);
    bios_disk(fs)
}

#[test]
fn sound_systems_pass() {
    for disk in [
        bios_disk(debian()),
        uefi_disk(debian(), debian_esp()),
        two_partitions(el(9)),
        two_partitions(el(8)),
        legacy_disk(el6()),
        suse(),
        arch(),
        alpine(),
    ] {
        let outcome = judge(disk);
        assert_eq!(outcome.findings, []);
        assert_eq!((outcome.value.as_str(), outcome.status()), ("Valid", Status::Pass));
    }
}

#[test]
fn each_fault_of_the_menu_has_its_code() {
    let root = format!("root=UUID={UUID_ROOT}");
    let high = |code| vec![(code, Level::High)];
    let medium = |code| vec![(code, Level::Medium)];
    for (from, to, expected) in [
        (root.as_str(), "root=/dev/sda2", high("Grub.RootDeviceName")),
        (&root, "root=/dev/vda2", medium("Grub.RootDeviceName")),
        (&root, "root=UUID=dead-beef", high("Grub.RootUuidNotFound")),
        ("\tinitrd\t/boot/initrd.img-6.1.0-40-amd64\n", "\n", high("Grub.RootUuidNeedsInitrd")),
        ("vmlinuz-6.1.0-40-amd64", "vmlinuz-6.1.0-39-amd64", high("Grub.KernelMissing")),
        ("initrd.img-6.1", "initrd.img-6.0", high("Grub.InitrdMissing")),
        ("set default=\"0\"", "set default=\"7\"", medium("Grub.DefaultEntryInvalid")),
        ("set timeout=5", "set timeout=-1", medium("Grub.TimeoutTooLong")),
        ("set timeout=5", "set timeout=31", medium("Grub.TimeoutTooLong")),
        ("quiet console", "rd.lvm.lv=old/root console", high("Grub.RdDeviceNotFound")),
        ("quiet console", "resume=UUID=dead-beef console", medium("Grub.ResumeDeviceMissing")),
        ("function gfxmode", "set superusers=admin\nfunction gfxmode", high("Grub.PasswordLocked")),
        ("### END /etc/grub.d/10_linux ###", "}", high("Grub.ConfigCorrupt")),
    ] {
        assert_eq!(codes(debian_with(from, to)), expected, "{to}");
    }
    for (from, to) in [
        (root.as_str(), "root=LABEL=none root=UUID=3F4C5A6E-0B1D-4C2E-9F3A-1A2B3C4D5E6F"),
        ("set timeout=5", "set timeout=30"),
        ("set default=\"0\"", "set default=\"1>0\""),
        ("quiet console", "resume=UUID=dead-beef noresume console"),
        ("search --no-floppy --fs-uuid", "set root='hd9,gpt9'\nsearch --no-floppy --fs-uuid"),
        ("--class debian --class gnu-linux", "--unrestricted --class debian"),
    ] {
        assert_eq!(codes(debian_with(from, to)), [], "{to}");
    }
}

#[test]
fn messages_carry_the_facts() {
    for (from, to, message) in [
        (
            "root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f",
            "root=/dev/sda2",
            "root=/dev/sda2 is a device name that the platform does not have",
        ),
        (
            "set default=\"0\"",
            "set default=\"7\"",
            "the default entry \"7\" is not in the menu; GRUB boots the first",
        ),
        ("set timeout=5", "set timeout=-1", "the boot menu waits for a key for ever"),
        (
            "vmlinuz-6.1.0-40-amd64",
            "vmlinuz-6.1.0-39-amd64",
            "the default entry loads /boot/vmlinuz-6.1.0-39-amd64, which is not there",
        ),
    ] {
        assert_eq!(judge(debian_with(from, to)).worst().unwrap().message, message);
    }
    let outcome = judge(debian_with("root=UUID=3f4c5a6e", "root=UUID=dead"));
    let worst = outcome.worst().unwrap();
    let seen = &worst.evidence[0];
    assert_eq!((seen.path.as_deref(), seen.line), (Some("/boot/grub/grub.cfg"), Some(101)));
    let suggestion = format!(
        "replace root=UUID=dead-0b1d-4c2e-9f3a-1a2b3c4d5e6f by root=UUID={UUID_ROOT} in /boot/grub/grub.cfg"
    );
    assert_eq!(worst.suggestion.as_deref(), Some(suggestion.as_str()));
}

#[test]
fn each_fault_of_files_has_its_code() {
    let assumed = judge(debian_changed(|fs| {
        fs.remove("/boot/grub/grub.cfg");
    }));
    assert_eq!(assumed.worst().unwrap().code, "Grub.ConfigMissing");
    assert!(assumed.unknown.is_some());
    let zeroes = judge(debian_changed(|fs| {
        fs.file("/boot/grub/grub.cfg", vec![0; 900]);
    }));
    assert_eq!(zeroes.worst().unwrap().code, "Grub.ConfigCorrupt");
    let message = "/boot/grub/grub.cfg holds zero bytes, as after a crash that lost its data";
    assert_eq!(zeroes.worst().unwrap().message, message);

    type Change = fn(&mut MemFs);
    let kernel = "/boot/vmlinuz-6.1.0-40-amd64";
    assert!(debian().content(kernel).is_some());
    let cases: [(Change, &[(&str, Level)]); 7] = [
        (
            |fs| {
                fs.file("/boot/vmlinuz-6.1.0-40-amd64", "");
            },
            &[("Grub.KernelMissing", Level::High)],
        ),
        (
            |fs| {
                fs.file("/boot/vmlinuz-6.1.0-40-amd64", "<html>");
            },
            &[("Grub.KernelMissing", Level::High)],
        ),
        (
            |fs| {
                fs.file("/boot/initrd.img-6.1.0-40-amd64", "<html>");
            },
            &[("Grub.InitrdMissing", Level::High)],
        ),
        (
            |fs| {
                fs.file("/boot/grub/grubenv", &grubenv("")[..1023]);
            },
            &[("Grub.ConfigCorrupt", Level::High)],
        ),
        (
            |fs| {
                fs.file("/etc/default/grub", "GRUB_CMDLINE_LINUX=\"root=/dev/sda1 quiet\"\n");
            },
            &[("Grub.DefaultFileStale", Level::Medium)],
        ),
        (
            |fs| {
                fs.file("/etc/default/grub", "# GRUB_CMDLINE_LINUX=\"root=/dev/sda1\"\n");
            },
            &[],
        ),
        (
            |fs| {
                fs.file("/boot/grub/grubenv", grubenv("next_entry=1\n"));
            },
            &[],
        ),
    ];
    for (index, (change, expected)) in cases.into_iter().enumerate() {
        assert_eq!(codes(debian_changed(change)), expected, "case {index}");
    }
}

#[test]
fn root_of_another_volume_is_told() {
    let mut fs = debian();
    fs.file(
        "/boot/grub/grub.cfg",
        DEBIAN_GRUB_CFG
            .replace(&format!("root=UUID={UUID_ROOT}"), &format!("root=UUID={UUID_BOOT}")),
    );
    let mut disk = bios_disk(fs);
    disk.partition(MemFs::new(), UUID_BOOT, "");
    let outcome = judge(disk);
    let worst = outcome.worst().unwrap();
    assert_eq!(worst.code, "Grub.RootMismatch");
    assert_eq!(
        worst.message,
        format!("root=UUID={UUID_BOOT} names disk0p3, and the root is on disk0p2")
    );
}

#[test]
fn boot_loader_entries_are_judged_and_not_the_text_of_the_file() {
    let (root, mut boot) = el(8);
    boot.file("/grub2/grubenv", grubenv("kernelopts=root=/dev/xvda1 ro\n"));
    assert_eq!(codes(two_partitions((root, boot))), [("Grub.RootDeviceName", Level::High)]);

    let (root, mut boot) = el(9);
    boot.file(
        "/loader/entries/ab-5.14.0-70.el9.x86_64.conf",
        "linux /vmlinuz-5.14.0-70.el9.x86_64\n",
    );
    let outcome = judge(two_partitions((root, boot)));
    assert_eq!(outcome.worst().unwrap().code, "Grub.StaleEntry");
    let message = "the entry \"ab-5.14.0-70.el9.x86_64\" loads /boot/vmlinuz-5.14.0-70.el9.x86_64, which is not there";
    assert_eq!(outcome.worst().unwrap().message, message);
}

#[test]
fn a_second_disk_of_grub_legacy_is_told() {
    let (root, mut boot) = el6();
    let text = String::from_utf8(boot.content("/grub/grub.conf").unwrap().to_vec()).unwrap();
    boot.file("/grub/grub.conf", text.replace("root (hd0,0)", "root (hd1,0)"));
    let outcome = judge(legacy_disk((root, boot)));
    let worst = outcome.worst().unwrap();
    assert_eq!(
        (worst.code, worst.message.as_str()),
        ("Grub.LegacyDisk", "the entry boots from root (hd1,0), a second disk")
    );
    assert_eq!(outcome.findings.len(), 1);
}

#[test]
fn faults_of_the_esp_have_their_codes() {
    let mut esp = debian_esp();
    let stub = String::from_utf8(esp.content("/EFI/debian/grub.cfg").unwrap().to_vec()).unwrap();
    esp.file("/EFI/debian/grub.cfg", stub.replace(UUID_ROOT, "dead-beef"));
    let outcome = judge(uefi_disk(debian(), esp));
    let codes: Vec<_> = outcome.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["Grub.SearchUuidNotFound"]);
    let message = "/boot/efi/EFI/debian/grub.cfg looks for its configuration on the filesystem dead-beef, which is not in the image";
    assert_eq!(outcome.worst().unwrap().message, message);

    let mut esp = debian_esp();
    esp.remove("/EFI/debian/grub.cfg");
    let outcome = judge(uefi_disk(debian(), esp));
    let codes: Vec<_> = outcome.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["Grub.EspStubMissing"]);

    let mut fs = debian();
    fs.file("/boot/grub/grub.cfg", DEBIAN_GRUB_CFG.replace("\tlinux\t", "\tlinux16\t"));
    let outcome = judge(uefi_disk(fs.clone(), debian_esp()));
    assert_eq!(outcome.worst().unwrap().code, "Grub.WrongLoaderCommand");
    assert_eq!(judge(bios_disk(fs)).findings, []);
}

#[test]
fn a_core_image_of_another_installation_is_told() {
    let core: Vec<u8> = (0..4096u32).map(|index| (index * 7 % 251) as u8).collect();
    let disk = |spoil: usize| {
        let mut fs = debian();
        fs.file("/boot/grub/i386-pc/core.img", core.clone());
        let mut disk = bios_disk(fs);
        let at = 1 << 20;
        disk.bytes[at..at + core.len()].copy_from_slice(&core);
        disk.bytes[at + spoil] ^= 0xFF;
        disk
    };
    assert_eq!(codes(disk(0x1F4)), [], "the block list differs in every installation");
    assert_eq!(codes(disk(0x211)), [], "so does the length of the parity");
    assert_eq!(codes(disk(0x900)), [("Grub.CoreImageStale", Level::Medium)]);
}

#[test]
fn lvm_filters_of_another_machine_are_told() {
    let with = |path: &str, text: &str| {
        let mut fs = debian();
        fs.file(path, text);
        let mut disk = Disk::gpt();
        disk.bios_boot();
        disk.physical_volume("pv");
        disk.logical_volume("vg", "root", fs, UUID_ROOT);
        disk.grub_bios();
        codes(disk)
    };
    let expected = [("Grub.LvmDeviceFilter", Level::Medium)];
    let devices = "/etc/lvm/devices/system.devices";
    assert_eq!(
        with(devices, "VERSION=1.1.2\nIDTYPE=sys_wwid IDNAME=naa.6000c29 PVID=x\n"),
        expected
    );
    assert_eq!(with(devices, "IDTYPE=devname IDNAME=/dev/vda3 PVID=x\n"), []);
    assert_eq!(with("/etc/lvm/lvm.conf", "\tfilter = [ \"a|/dev/sda|\", \"r|.*|\" ]\n"), expected);
    assert_eq!(with("/etc/lvm/lvm.conf", "\t# filter = [ \"a|/dev/sda|\" ]\n"), []);
}

#[test]
fn btrfs_needs_its_subvolume_named_unless_it_is_the_default() {
    use crate::testing::Btrfs;
    use std::sync::Arc;
    let with = |flags: &str, default: &str| {
        let mut fs = MemFs::new();
        let sound = debian();
        for path in [
            "/etc/fstab",
            "/boot/vmlinuz-6.1.0-40-amd64",
            "/boot/initrd.img-6.1.0-40-amd64",
            "/usr/bin/bash",
            "/usr/lib/os-release",
        ] {
            fs.file(&format!("/@rootfs{path}"), sound.content(path).unwrap());
        }
        fs.symlink("/@rootfs/bin", "usr/bin");
        let text = DEBIAN_GRUB_CFG
            .replace("/boot/vmlinuz", "/@rootfs/boot/vmlinuz")
            .replace("/boot/initrd", "/@rootfs/boot/initrd")
            .replace(" ro ", &format!(" ro {flags} "));
        fs.file("/@rootfs/boot/grub/grub.cfg", text);
        let mut disk = Disk::gpt();
        disk.bios_boot();
        let btrfs = Btrfs::new(fs, UUID_ROOT, &["@rootfs"], default);
        disk.filesystem("linux", 0x83, Arc::new(btrfs));
        disk.grub_bios();
        codes(disk)
    };
    let mismatch = [("Grub.SubvolMismatch", Level::High)];
    assert_eq!(with("", ""), mismatch);
    assert_eq!(with("rootflags=subvol=@other", ""), mismatch);
    assert_eq!(with("rootflags=subvol=@rootfs", ""), []);
    assert_eq!(with("rootflags=noatime,subvolid=256", ""), []);
    assert_eq!(with("", "@rootfs"), []);
}
