use super::*;
use crate::testing::systems::*;
use crate::testing::{Disk, UUID_BOOT, UUID_ROOT};
use crate::{Family, FirmwareKind};
use kiln_volume::MemFs;

fn look(disk: Disk) -> Inspection {
    inspect(disk.build(), Declared::default())
}

/// Version, platform, default kernel, its initial ramdisks, command line of a sound system.
fn summary(inspection: &Inspection) -> (String, String, String, usize) {
    let guest = inspection.guest().unwrap();
    let entry = guest.boot.default_entry().unwrap();
    assert!(!guest.boot.assumed, "{:?}", guest.boot);
    assert!(entry.kernel_found, "{entry:?}");
    assert_eq!(entry.missing_initrds, [] as [String; 0]);
    assert_eq!(entry.arg("root"), Some(format!("UUID={UUID_ROOT}").as_str()));
    assert_eq!(guest.boot.facts, []);
    assert_eq!(guest.os.architecture.as_deref(), Some("x86_64"));
    (
        guest.os.display.clone().unwrap_or_default(),
        guest.os.platform.clone().unwrap(),
        entry.kernel.clone().unwrap(),
        guest.boot.entries.len(),
    )
}

#[test]
fn sound_systems_are_identified_with_the_entry_that_boots() {
    for (disk, display, platform, kernel, n_entries) in [
        (bios_disk(debian()), "Debian 12.15", "Debian", "/boot/vmlinuz-6.1.0-40-amd64", 3),
        (
            uefi_disk(debian(), debian_esp()),
            "Debian 12.15",
            "Debian",
            "/boot/vmlinuz-6.1.0-40-amd64",
            4,
        ),
        (
            two_partitions(el(9)),
            "Rocky Linux 9.5",
            "Rocky Linux",
            "/boot/vmlinuz-5.14.0-503.el9.x86_64",
            2,
        ),
        (
            two_partitions(el(8)),
            "Rocky Linux 8.5",
            "Rocky Linux",
            "/boot/vmlinuz-4.18.0-553.el8.x86_64",
            2,
        ),
        (legacy_disk(el6()), "CentOS 6.10", "CentOS", "/boot/vmlinuz-2.6.32-754.el6.x86_64", 1),
        (suse(), "openSUSE Leap 15.6", "OpenSUSE", "/boot/vmlinuz-6.4.0-150600.23.33-default", 1),
        (arch(), "", "Others Linux", "/boot/vmlinuz-linux", 2),
        (alpine(), "Alpine 3.20", "Others Linux", "/boot/vmlinuz-virt", 1),
    ] {
        let inspection = look(disk);
        assert_eq!(inspection.systems.len(), 1, "{display}");
        assert_eq!(inspection.firmware.chains.len(), 1, "{display}");
        let expected = (display.to_owned(), platform.to_owned(), kernel.to_owned(), n_entries);
        assert_eq!(summary(&inspection), expected);
    }
}

#[test]
fn the_default_snapshot_is_the_root_and_home_is_mounted_from_its_subvolume() {
    let inspection = look(suse());
    let guest = inspection.guest().unwrap();
    let root = guest.root_subvolume.as_ref().unwrap();
    assert_eq!(root.path, "@/.snapshots/2/snapshot");
    assert_eq!(guest.mounts[1].subvolume.as_deref(), Some("@/home"));
}

#[test]
fn boot_is_found_by_its_kernels_where_fstab_is_silent() {
    let (mut root, boot) = el(9);
    root.file("/etc/fstab", format!("UUID={UUID_ROOT} / ext4 defaults 0 0\n"));
    let inspection = look(two_partitions((root, boot)));
    let guest = inspection.guest().unwrap();
    let mount = guest.mounts.iter().find(|mount| mount.path == "/boot").unwrap();
    assert!(!mount.in_fstab && guest.mounts[0].in_fstab);
    assert!(guest.boot.default_entry().unwrap().kernel_found);

    let (mut root, boot) = el(9);
    root.file("/etc/fstab", "").remove("/usr/lib/modules/5.14.0-503.el9.x86_64");
    let inspection = look(two_partitions((root, boot)));
    assert_eq!(inspection.guest().unwrap().mounts.len(), 1, "kernels of another system");
}

#[test]
fn a_system_that_nobody_knows_gets_the_family_it_names_or_its_packages_tell() {
    let family = |os_release: &str| {
        let mut fs = debian();
        fs.file("/etc/os-release", os_release).remove("/etc/debian_version");
        let inspection = look(bios_disk(fs));
        let os = inspection.guest().unwrap().os.clone();
        (os.family, os.platform)
    };
    assert_eq!(
        family("ID=foo\nID_LIKE=\"rhel fedora\"\n"),
        (Family::RedHat, Some("Others Linux".into()))
    );
    assert_eq!(family("ID=foo\n"), (Family::Debian, None));
}

#[test]
fn two_roots_are_chosen_by_the_stub_or_noted() {
    let mut disk = bios_disk(debian());
    disk.partition(debian(), UUID_BOOT, "");
    let inspection = look(disk);
    assert_eq!((inspection.systems.len(), inspection.chosen), (2, Some(0)));
    // Both menus name the first root, so it is the one that boots whichever menu is read.
    assert_eq!(inspection.choice_note, None);

    let mut second = debian();
    second.file("/boot/grub/grub.cfg", DEBIAN_GRUB_CFG.replace(UUID_ROOT, UUID_BOOT));
    let mut disk = bios_disk(debian());
    disk.partition(second, UUID_BOOT, "");
    let note = "2 roots (disk0p2, disk0p3) and no boot entry that decides between them; the first is taken";
    assert_eq!(look(disk).choice_note.as_deref(), Some(note));
}

#[test]
fn an_ostree_deployment_is_the_root() {
    let mut fs = MemFs::new();
    let deployment = "/ostree/deploy/fedora-coreos/deploy/abc.0";
    fs.file("/ostree/repo/config", "").symlink("/ostree/boot.1/fedora-coreos/abc/0", deployment);
    fs.dir(&format!("{deployment}/sysroot")).dir(&format!("{deployment}/boot"));
    fs.file(
        &format!("{deployment}/etc/os-release"),
        "ID=fedora\nVARIANT_ID=coreos\nVERSION_ID=41\nPRETTY_NAME=\"Fedora CoreOS\"\n",
    );
    fs.executable(&format!("{deployment}/usr/bin/bash"), crate::testing::elf(62));
    let mut boot = MemFs::new();
    boot.file(
        "/loader/entries/ostree-1.conf",
        format!("linux /ostree/x/vmlinuz-6.1.1\noptions root=UUID={UUID_ROOT} ostree=/ostree/boot.1/fedora-coreos/abc/0\n"),
    );
    boot.file("/ostree/x/vmlinuz-6.1.1", bzimage()).file("/grub2/grub.cfg", "blscfg\n");
    let inspection = look(two_partitions((fs, boot)));
    let guest = inspection.guest().unwrap();
    assert_eq!(guest.ostree_deployment.as_deref(), Some(deployment));
    assert_eq!(guest.os.platform.as_deref(), Some("Fedora CoreOS"));
    assert!(guest.boot.default_entry().unwrap().kernel_found, "{:?}", guest.boot);
}

#[test]
fn an_ntfs_disk_without_another_system_is_windows() {
    let mut disk = Disk::mbr();
    disk.add("", 7, Content::Ntfs);
    let inspection = look(disk);
    let evidence = "disk0p1 holds an NTFS volume and no other system is there";
    assert_eq!(inspection.windows.as_deref(), Some(evidence));
    let mut disk = bios_disk(debian());
    disk.add("", 7, Content::Ntfs);
    assert_eq!(look(disk).windows, None);
}

#[test]
fn an_image_of_both_firmwares_has_both_chains() {
    let mut disk = uefi_disk(debian(), debian_esp());
    disk.bios_boot();
    disk.grub_bios();
    let firmware: Vec<_> = look(disk).firmware.chains.iter().map(|chain| chain.firmware).collect();
    assert_eq!(firmware, [FirmwareKind::Bios, FirmwareKind::Uefi]);
}

/// A marker below an `/etc` that cannot be read was once taken for FreeBSD's.
#[test]
fn a_root_whose_etc_leads_to_itself_is_no_bsd() {
    let mut fs = debian();
    fs.remove("/etc").symlink("/etc", "etc");
    let inspection = look(bios_disk(fs));
    assert!(inspection.roles.iter().any(|found| found.role == Role::LinuxRoot));
    assert!(inspection.systems.iter().all(|guest| guest.os.family != Family::Bsd));
    // Twenty files by which a system is known cannot be read then, and one is enough to say so.
    let why = inspection.systems[0].os.why_unread().unwrap();
    assert!(why.starts_with("cannot be read: /etc/os-release: "), "{why}");
    assert!(why.ends_with(" other files)") && why.len() < 200, "{why}");
}
