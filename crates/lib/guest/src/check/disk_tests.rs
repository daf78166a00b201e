//! One fault planted in a sound disk at a time, for the items about the disk as a whole.

use super::*;
use crate::testing::systems::*;
use crate::testing::{Broken, Disk, UUID_BOOT, UUID_ROOT};
use crate::{Declared, inspect};
use kiln_volume::{Content, FsKind, MemFs, Notice, NoticeCode};
use std::sync::Arc;

fn judge(check: &Check, disk: Disk) -> Outcome {
    (check.run)(&inspect(disk.build(), Declared::default())).unwrap()
}

fn system_image(disk: Disk) -> (String, Vec<&'static str>) {
    let outcome = judge(&system_image::SYSTEM_IMAGE, disk);
    let mut codes: Vec<_> = outcome.findings.iter().map(|finding| finding.code).collect();
    codes.extend(outcome.unknown.and_then(|(code, _)| code));
    (outcome.value, codes)
}

fn only(content: Content) -> Disk {
    let mut disk = Disk::mbr();
    disk.add("", 0x83, content);
    disk
}

fn only_files(path: &str) -> Disk {
    let mut fs = MemFs::new();
    fs.file(path, "x");
    bios_disk(fs)
}

fn with_notice(code: NoticeCode) -> Disk {
    let mut disk = bios_disk(debian());
    disk.layout.notices.push(Notice { code, message: "seen".into() });
    disk
}

fn container() -> MemFs {
    let mut fs = debian();
    fs.remove("/boot").remove("/usr/lib/modules").dir("/boot");
    fs
}

#[test]
fn sound_images_are_valid() {
    for disk in [
        bios_disk(debian()),
        uefi_disk(debian(), debian_esp()),
        two_partitions(el(9)),
        legacy_disk(el6()),
        suse(),
        arch(),
        alpine(),
        with_notice(NoticeCode::Info),
        with_notice(NoticeCode::LvmMissingPv),
    ] {
        assert_eq!(system_image(disk), ("Valid".into(), vec![]));
    }
}

#[test]
fn each_fault_of_the_image_has_its_code() {
    let mut no_boot_code = bios_disk(debian());
    no_boot_code.bytes[..440].fill(0);
    let mut broken = Disk::gpt();
    broken.bios_boot();
    broken.filesystem("linux", 0x83, Arc::new(Broken(debian(), "/etc")));
    broken.grub_bios();
    for (disk, code) in [
        (only(Content::Empty), "SystemImage.Empty"),
        (only(Content::Unknown), "SystemImage.Empty"),
        (only(Content::Iso9660), "SystemImage.IsoImage"),
        (only(Content::Squashfs), "SystemImage.InstallerMedia"),
        (only_files("/live/filesystem.squashfs"), "SystemImage.InstallerMedia"),
        (only_files("/data/a"), "SystemImage.DataDisk"),
        (bios_disk(container()), "SystemImage.NoKernel"),
        (no_boot_code, "SystemImage.NotBootable"),
        (only(Content::Luks2), "SystemImage.Encrypted"),
        (only(Content::BitLocker), "SystemImage.Encrypted"),
        (broken, "SystemImage.FilesystemCorrupt"),
        (with_notice(NoticeCode::Truncated), "SystemImage.Truncated"),
    ] {
        assert_eq!(system_image(disk), ("Invalid".into(), vec![code]));
    }
    assert_eq!(
        system_image(only(Content::Zfs)),
        ("Unknown".into(), vec!["SystemImage.UnsupportedStack"])
    );
    let mut raid = only(Content::RaidMember);
    raid.layout.notices.push(Notice { code: NoticeCode::RaidIncomplete, message: "seen".into() });
    assert_eq!(system_image(raid), ("Invalid".into(), vec!["Disk.RaidIncomplete"]));
}

#[test]
fn what_costs_only_comfort_leaves_the_image_valid() {
    let add = |content| {
        let mut disk = bios_disk(debian());
        disk.add("", 0x83, content);
        disk
    };
    let mut ext4 = Disk::gpt();
    ext4.bios_boot();
    let info = |info: &mut kiln_volume::FsInfo| {
        info.kind = FsKind::Ext4;
        info.features = vec!["quota".into(), "project".into()];
    };
    ext4.partition(debian().with_info(info), UUID_ROOT, "");
    ext4.grub_bios();
    let mut second = debian();
    second.file("/boot/grub/grub.cfg", DEBIAN_GRUB_CFG.replace(UUID_ROOT, UUID_BOOT));
    let mut two_roots = bios_disk(debian());
    two_roots.partition(second, UUID_BOOT, "");
    for (disk, code) in [
        (add(Content::Luks1), "Disk.EncryptedDataVolume"),
        (add(Content::SwapSuspended), "Disk.HibernationImage"),
        (ext4, "FileSystem.Ext4Feature"),
        (two_roots, "SystemImage.MultipleRoots"),
        (with_notice(NoticeCode::GptPrimaryCorrupt), "Partition.GptPrimaryCorrupt"),
        (with_notice(NoticeCode::GptBackupMisplaced), "Partition.GptBackupMisplaced"),
        (with_notice(NoticeCode::NoProtectiveMbr), "Partition.NoProtectiveMbr"),
    ] {
        assert_eq!(system_image(disk), ("Valid".into(), vec![code]));
    }
}

#[test]
fn a_windows_image_has_no_items_yet() {
    let outcome = judge(&system_image::SYSTEM_IMAGE, only(Content::Ntfs));
    let reason = "Windows image: its items are not in this version";
    assert_eq!(outcome.not_applicable.as_deref(), Some(reason));
}

#[test]
fn boot_mode_follows_the_disk() {
    let outcome = |disk| {
        let outcome = judge(&boot_mode::BOOT_MODE, disk);
        let code = outcome.worst().map(|finding| finding.code);
        (outcome.value, code)
    };
    assert_eq!(outcome(bios_disk(debian())), ("LEGACY".into(), None));
    assert_eq!(outcome(uefi_disk(debian(), debian_esp())), ("UEFI".into(), None));
    let mut esp = debian_esp();
    esp.remove("/EFI/BOOT");
    let code = Some("BootMode.NoUefiFallback");
    assert_eq!(outcome(uefi_disk(debian(), esp)), ("Unknown".into(), code));
    let mut disk = bios_disk(debian());
    disk.layout.partitions.remove(0);
    disk.volumes.remove(0);
    disk.layout.partitions[0].number = 1;
    disk.volumes[0].origin = kiln_volume::Origin::Partition { disk: 0, number: 1 };
    let code = Some("Grub.NoBiosBootPartition");
    assert_eq!(outcome(disk), ("Unknown".into(), code));
    let mut arm = debian();
    arm.executable("/usr/bin/bash", crate::testing::elf(183));
    let code = Some("BootMode.ArmNeedsUefi");
    assert_eq!(outcome(bios_disk(arm)), ("Unknown".into(), code));
}

#[test]
fn the_kernel_version_is_that_of_the_default_entry() {
    let outcome = |disk| {
        let outcome = judge(&kernel_version::KERNEL_VERSION, disk);
        let code = outcome.worst().map(|finding| finding.code);
        (outcome.value, code)
    };
    assert_eq!(outcome(bios_disk(debian())), ("6.1.0-40-amd64".into(), None));
    assert_eq!(outcome(two_partitions(el(9))), ("5.14.0-503.el9.x86_64".into(), None));
    let mut fs = debian();
    fs.remove("/usr/lib/modules/6.1.0-40-amd64");
    let code = Some("KernelVersion.ModulesMissing");
    assert_eq!(outcome(bios_disk(fs)), ("6.1.0-40-amd64".into(), code));
    let mut fs = debian();
    fs.remove("/boot/vmlinuz-6.1.0-40-amd64");
    let code = Some("KernelVersion.NotFound");
    assert_eq!(outcome(bios_disk(fs)), ("6.1.0-40-amd64".into(), code));
    let (mut root, boot) = el6();
    let mut xen = MemFs::new();
    let text = String::from_utf8(boot.content("/grub/grub.conf").unwrap().to_vec()).unwrap();
    xen.file("/grub/grub.conf", text.replace("2.6.32-754.el6.x86_64", "2.6.18-398.el5xen"));
    kernel(&mut xen, "", "2.6.18-398.el5xen", "initramfs-2.6.18-398.el5xen.img");
    root.file("/lib/modules/2.6.18-398.el5xen/modules.dep", "");
    let code = Some("KernelVersion.XenPvOnly");
    assert_eq!(outcome(legacy_disk((root, xen))), ("2.6.18-398.el5xen".into(), code));
}
