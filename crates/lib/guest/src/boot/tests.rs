//! Unified images, and hostile input to the readers beside GRUB's.

use crate::testing::systems::*;
use crate::testing::{Random, UUID_ROOT, grubenv};
use crate::{Declared, FirmwareKind, Loader, inspect};
use kiln_volume::{MemFs, Tree};
use std::sync::Arc;

/// A unified image with these sections.
fn uki(sections: &[(&str, &[u8])]) -> Vec<u8> {
    let mut image = crate::testing::pe(0x8664);
    image[0x86] = sections.len() as u8;
    for (index, (name, data)) in sections.iter().enumerate() {
        let header = 0x80 + 24 + index * 40;
        let start = image.len() as u32;
        image.extend_from_slice(data);
        image.resize(image.len().next_multiple_of(512), 0);
        let raw = image.len() as u32 - start;
        image[header..header + name.len()].copy_from_slice(name.as_bytes());
        image[header + 8..header + 12].copy_from_slice(&(data.len() as u32).to_le_bytes());
        image[header + 16..header + 20].copy_from_slice(&raw.to_le_bytes());
        image[header + 20..header + 24].copy_from_slice(&start.to_le_bytes());
    }
    image
}

#[test]
fn a_unified_image_is_an_entry_by_itself() {
    let cmdline = format!("root=UUID={UUID_ROOT} ro\n");
    let image = uki(&[
        (".osrel", b"PRETTY_NAME=\"Arch Linux\"\n"),
        (".cmdline", cmdline.as_bytes()),
        (".linux", &bzimage()),
        (".initrd", b"\x1f\x8b\x08"),
    ]);
    let mut esp = MemFs::new();
    esp.file("/EFI/BOOT/BOOTX64.EFI", image.clone());
    let inspection = inspect(uefi_disk(debian(), esp).build(), Declared::default());
    assert_eq!(inspection.firmware.chains[0].loader, Loader::Uki);
    let boot = &inspection.guest().unwrap().boot;
    let entry = boot.default_entry().unwrap();
    assert_eq!((entry.title.as_str(), entry.cmdline.as_str()), ("Arch Linux", cmdline.trim()));
    assert_eq!(entry.initrds, ["/boot/efi/EFI/BOOT/BOOTX64.EFI"]);

    let mut fs = MemFs::new();
    fs.file("/a.efi", image);
    let file = Tree::new(Arc::new(fs)).open("/a.efi").unwrap().unwrap();
    let sections = super::uki::sections(&file).unwrap();
    let (_, initrd) = sections.iter().find(|(name, _)| name == ".initrd").unwrap();
    assert_eq!(initrd.end - initrd.start, 3);
}

#[test]
fn systemd_boot_takes_the_default_of_its_configuration() {
    let inspection = inspect(arch().build(), Declared::default());
    let boot = &inspection.guest().unwrap().boot;
    let entry = boot.default_entry().unwrap();
    assert_eq!((entry.id.as_str(), boot.timeout_s), ("arch-main", Some(3)));
    assert_eq!(inspection.firmware.chains[0].loader, Loader::SystemdBoot);
    assert_eq!(inspection.firmware.chains[0].firmware, FirmwareKind::Uefi);
}

/// Spoiled copies of every kind of configuration: no panic, and soon done.
#[test]
fn spoiled_entries_never_panic() {
    let (root, boot) = el(8);
    let (old_root, old_boot) = el6();
    let entry = "/loader/entries/ab-4.18.0-553.el8.x86_64.conf";
    let mut random = Random(11);
    let uki = uki(&[(".linux", &bzimage()), (".cmdline", b"quiet")]);
    for round in 0..800 {
        let (mut root, mut boot, mut old_boot) = (root.clone(), boot.clone(), old_boot.clone());
        let mut esp = debian_esp();
        boot.file(entry, random.spoil(boot.content(entry).unwrap()));
        boot.file("/grub2/grubenv", random.spoil(&grubenv("saved_entry=1\n")));
        root.file("/etc/fstab", random.spoil(root.content("/etc/fstab").unwrap()));
        root.file("/etc/os-release", random.spoil(root.content("/etc/os-release").unwrap()));
        let legacy = random.spoil(old_boot.content("/grub/grub.conf").unwrap());
        old_boot.file("/grub/grub.conf", legacy.clone());
        esp.file("/EFI/BOOT/BOOTX64.EFI", random.spoil(&uki));
        let mut disk = legacy_disk((old_root.clone(), old_boot));
        let sector = random.spoil(&disk.bytes[..512]);
        disk.bytes[..sector.len()].copy_from_slice(&sector);
        let old = match round % 4 {
            0 => inspect(disk.build(), Declared::default()),
            1 => inspect(uefi_disk(debian(), esp).build(), Declared::default()),
            _ => inspect(two_partitions((root, boot)).build(), Declared::default()),
        };
        assert!(old.systems.len() <= 1);
    }
}
