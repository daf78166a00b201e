//! What firmware finds before any configuration is read: the chain from sector 0, and the loader
//! on the EFI system partition.
//!
//! Offsets in sector 0: GRUB 2 keeps the first sector of its core image as u64 at 0x5C, GRUB legacy
//! the sector of its next stage as u32 at 0x44. Variables in NVRAM do not travel with an image, so
//! only the removable-media path counts as bootable by UEFI.

use kiln_volume::{Content, DiskLayout, Layout, Origin, TableKind, Tree};

use super::places::find_ignoring_case;
use super::{BootChain, BootFact, Firmware, FirmwareKind, Loader};
use crate::check::Evidence;
use crate::inspect::{architecture, devices};

/// The removable-media loaders and their architectures (UEFI specification, 3.5.1.1).
const FALLBACKS: &[(&str, &str)] = &[
    ("/EFI/BOOT/BOOTX64.EFI", "x86_64"),
    ("/EFI/BOOT/BOOTAA64.EFI", "arm64"),
    ("/EFI/BOOT/BOOTIA32.EFI", "i386"),
    ("/EFI/BOOT/BOOTRISCV64.EFI", "riscv64"),
    ("/EFI/BOOT/BOOTLOONGARCH64.EFI", "loongarch64"),
];

/// Loader files by the beginning of their names, for what a fallback was copied from.
const VENDOR_LOADERS: &[&str] = &["shim", "grub", "bootmgfw", "systemd-boot"];

/// Look at the system disk.
pub(crate) fn look(layout: &Layout) -> Firmware {
    let mut firmware = Firmware::default();
    if let Some(disk) = layout.disks.first() {
        bios(layout, disk, &mut firmware);
    }
    for (index, volume) in layout.volumes.iter().enumerate() {
        if volume.content == Content::Fat && is_on_first_disk(layout, index) {
            uefi(layout, index, &mut firmware);
        }
    }
    let is_uefi = |chain: &BootChain| chain.firmware == FirmwareKind::Uefi;
    if firmware.chains.iter().any(is_uefi) {
        firmware.facts.retain(|fact| fact.code != "BootMode.NoUefiFallback");
    }
    firmware
}

fn is_on_first_disk(layout: &Layout, index: usize) -> bool {
    match layout.volumes.get(index).map(|volume| &volume.origin) {
        Some(Origin::Disk(disk) | Origin::Partition { disk, .. }) => *disk == 0,
        _ => false,
    }
}

fn bios(layout: &Layout, disk: &DiskLayout, firmware: &mut Firmware) {
    let mut sector = [0; 512];
    if disk.source.read_at(0, &mut sector).is_err() {
        return;
    }
    let code = sector.get(..440).unwrap_or_default();
    if code.iter().all(|&byte| byte == 0) {
        return;
    }
    let has = |text: &[u8]| code.windows(text.len()).any(|window| window == text);
    if has(b"GRUB") {
        if sector.starts_with(&[0xEB, 0x48]) {
            grub_legacy(&sector, disk, firmware)
        } else {
            grub2(&sector, disk, firmware);
        }
    } else if has(b"Missing operating system") || has(b"Missing OS") || has(b"BOOTMGR") {
        active_partition(layout, disk, firmware);
    }
}

fn chain(firmware: &mut Firmware, loader: Loader, text: String) {
    firmware.chains.push(BootChain {
        firmware: FirmwareKind::Bios,
        loader,
        architecture: "x86_64".into(),
        evidence: Evidence::file("disk0", text),
    });
}

/// The first sector of GRUB 2's core image, from sector 0.
pub(crate) fn core_sector(sector: &[u8; 512]) -> u64 {
    let bytes = sector.get(0x5C..0x64).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u64::from_le_bytes)
}

fn grub2(sector: &[u8; 512], disk: &DiskLayout, firmware: &mut Firmware) {
    let at = core_sector(sector);
    let Some(offset) = at.checked_mul(512).filter(|&offset| offset > 0) else { return };
    let inside = disk.partitions.iter().find(|partition| {
        let end = partition.start_bytes.saturating_add(partition.size_bytes);
        (partition.start_bytes..end).contains(&offset)
    });
    let mut core = [0; 512];
    let readable = disk.source.read_at(offset, &mut core).is_ok();
    let is_there = readable && core.iter().any(|&byte| byte != 0);
    let is_gpt = matches!(disk.table, TableKind::Gpt | TableKind::HybridGpt);
    let mut fact = |code, message: String| {
        let evidence = Evidence::file("disk0", format!("core image at sector {at}"));
        firmware.facts.push(BootFact { code, message, evidence });
    };
    match inside {
        None if is_gpt => {
            let message = format!(
                "the disk has a GPT and GRUB for BIOS in sector 0, and no BIOS boot partition holds \
                 its core image (sector {at})"
            );
            return fact("Grub.NoBiosBootPartition", message);
        }
        // A core image in a filesystem is read by its block list.
        _ if is_there => {}
        _ => {
            let message = format!(
                "sector 0 holds GRUB, and its core image at sector {at} is empty or beyond the disk"
            );
            return fact("BootMode.NotBootable", message);
        }
    }
    let place = match inside {
        Some(partition) if partition.kind.is_bios_boot() => {
            format!("in BIOS boot partition {}", partition.number)
        }
        Some(partition) => format!("in partition {}, by block list", partition.number),
        None => "before the first partition".into(),
    };
    chain(firmware, Loader::Grub2, format!("GRUB in sector 0, core image at sector {at} {place}"));
}

fn grub_legacy(sector: &[u8; 512], disk: &DiskLayout, firmware: &mut Firmware) {
    let bytes = sector.get(0x44..0x48).and_then(|bytes| bytes.try_into().ok());
    let at = u64::from(bytes.map_or(0, u32::from_le_bytes));
    let mut stage = [0; 512];
    let readable = at > 0 && disk.source.read_at(at * 512, &mut stage).is_ok();
    if readable && stage.iter().any(|&byte| byte != 0) {
        let text = format!("GRUB legacy in sector 0, next stage at sector {at}");
        chain(firmware, Loader::GrubLegacy, text);
    }
}

/// Boot code that starts the active partition: SYSLINUX, or Windows.
fn active_partition(layout: &Layout, disk: &DiskLayout, firmware: &mut Firmware) {
    let Some(active) = disk.partitions.iter().find(|partition| partition.bootable) else { return };
    let mut sector = [0; 512];
    if disk.source.read_at(active.start_bytes, &mut sector).is_err() {
        return;
    }
    let has = |text: &[u8]| sector.windows(text.len()).any(|window| window == text);
    let number = active.number;
    if has(b"SYSLINUX") || has(b"EXTLINUX") {
        return chain(firmware, Loader::Syslinux, format!("SYSLINUX in partition {number}"));
    }
    let content = devices::partition_volume(layout, 0, number)
        .and_then(|index| layout.volumes.get(index))
        .map(|volume| volume.content);
    if has(b"BOOTMGR") && matches!(content, Some(Content::Ntfs | Content::Fat)) {
        let text = format!("the boot sector of the active partition {number} starts BOOTMGR");
        chain(firmware, Loader::WindowsBootManager, text);
    }
}

fn uefi(layout: &Layout, index: usize, firmware: &mut Firmware) {
    let Some(volume) = layout.volumes.get(index) else { return };
    let Ok(fs) = volume.open() else { return };
    let tree = Tree::new(fs);
    if find_ignoring_case(&tree, "/EFI").is_none() {
        return;
    }
    let before = firmware.chains.len();
    for (path, architecture) in FALLBACKS {
        let Some(found) = find_ignoring_case(&tree, path) else { continue };
        let machine = architecture::of_file(&tree, &found).ok().flatten();
        if machine == Some(architecture) {
            firmware.chains.push(BootChain {
                firmware: FirmwareKind::Uefi,
                loader: loader_of(&tree, &found),
                architecture: (*architecture).into(),
                evidence: Evidence::file(&volume.name, found),
            });
        } else {
            let is = machine.map_or("no program".into(), |name| format!("a program for {name}"));
            let message = format!("{found} on {} is {is}, not one for {architecture}", volume.name);
            let evidence = Evidence::file(&volume.name, found);
            firmware.facts.push(BootFact { code: "BootMode.NotBootable", message, evidence });
        }
    }
    if firmware.chains.len() == before
        && let Some(vendor) = vendor_loaders(&tree).first()
    {
        let message = format!(
            "{} holds {vendor} and no loader at the removable-media path /EFI/BOOT: it starts only \
             by a firmware variable, which does not travel with the image",
            volume.name
        );
        let evidence = Evidence::file(&volume.name, vendor.clone());
        firmware.facts.push(BootFact { code: "BootMode.NoUefiFallback", message, evidence });
    }
}

/// Loaders in vendor directories of an ESP.
pub(crate) fn vendor_loaders(esp: &Tree) -> Vec<String> {
    const MAX_DIRECTORIES: usize = 64;
    let Some(efi) = find_ignoring_case(esp, "/EFI") else { return Vec::new() };
    let mut found = Vec::new();
    for vendor in esp.list(&efi).unwrap_or_default().iter().take(MAX_DIRECTORIES) {
        let name = vendor.name_lossy();
        if name.eq_ignore_ascii_case("boot") {
            continue;
        }
        let directory = match name.eq_ignore_ascii_case("microsoft") {
            true => find_ignoring_case(esp, &format!("{efi}/{name}/Boot")),
            false => Some(format!("{efi}/{name}")),
        };
        let Some(directory) = directory else { continue };
        for file in esp.list(&directory).unwrap_or_default() {
            let file = file.name_lossy();
            let lower = file.to_ascii_lowercase();
            if lower.ends_with(".efi") && VENDOR_LOADERS.iter().any(|name| lower.starts_with(name))
            {
                found.push(format!("{directory}/{file}"));
            }
        }
    }
    found
}

/// Which loader the fallback is: told by what it says of itself in its first bytes, else by what
/// is beside it.
fn loader_of(esp: &Tree, path: &str) -> Loader {
    if let Ok(Some(file)) = esp.open(path) {
        if super::uki::sections(&file)
            .is_ok_and(|sections| sections.iter().any(|(name, _)| name == ".linux"))
        {
            return Loader::Uki;
        }
        let mut head = vec![0; 1 << 20];
        let n = file.read_at(0, &mut head).unwrap_or(0);
        let head = head.get(..n).unwrap_or_default();
        let has = |text: &[u8]| head.windows(text.len()).any(|window| window == text);
        if has(b"LoaderInfo: systemd-boot") || has(b"#### LoaderInfo: systemd") {
            return Loader::SystemdBoot;
        }
        let utf16: Vec<u8> = "bootmgfw".encode_utf16().flat_map(u16::to_le_bytes).collect();
        if has(&utf16) {
            return Loader::WindowsBootManager;
        }
    }
    let vendors = vendor_loaders(esp);
    let lower: Vec<String> = vendors.iter().map(|path| path.to_ascii_lowercase()).collect();
    let named = |name: &str| lower.iter().any(|path| path.contains(name));
    if named("/grub") || named("/shim") {
        Loader::Grub2
    } else if named("systemd-boot") || find_ignoring_case(esp, "/loader/loader.conf").is_some() {
        Loader::SystemdBoot
    } else if named("bootmgfw") {
        Loader::WindowsBootManager
    } else {
        Loader::Grub2
    }
}
