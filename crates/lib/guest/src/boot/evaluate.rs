//! What the loader of a guest does: which configuration counts, its entries, the default one.

use kiln_volume::Tree;

use super::places::{Places, find_ignoring_case};
use super::{Boot, BootEntry, BootFact, Firmware, FirmwareKind, Loader, Menu};
use super::{core_image, extlinux, grub, legacy, systemd_boot, uki};
use crate::Guest;
use crate::check::Evidence;

const GRUB2: &[&str] = &["/boot/grub2/grub.cfg", "/boot/grub/grub.cfg"];
const LEGACY: &[&str] = &["/boot/grub/grub.conf", "/boot/grub/menu.lst", "/etc/grub.conf"];
const SYSLINUX: &[&str] = &[
    "/boot/extlinux/extlinux.conf",
    "/boot/extlinux.conf",
    "/boot/syslinux/syslinux.cfg",
    "/boot/syslinux/extlinux.conf",
];

/// The boot menu of `guest` as `firmware` leads to it.
pub(crate) fn of_guest(guest: &Guest, firmware: &Firmware) -> Boot {
    let places = Places::of(guest);
    let mut boot = Boot::default();
    let by = |kind| firmware.chains.iter().find(|chain| chain.firmware == kind);
    let uefi = by(FirmwareKind::Uefi);
    let bios = by(FirmwareKind::Bios);
    let loader = bios.or(uefi).map(|chain| chain.loader);
    let esp = guest.mounts.iter().find(|mount| is_esp(&places, &mount.path)).map(|m| &m.path);
    if bios.is_none()
        && let Some(esp) = esp
    {
        from_esp(&places, esp, loader, &mut boot);
    }
    if boot.entries.is_empty() {
        from_files(
            &places,
            esp.map(String::as_str),
            loader,
            uefi.is_some() && bios.is_none(),
            &mut boot,
        );
    }
    if boot.configs.is_empty() && !firmware.chains.is_empty() && guest.os.family.is_linux() {
        let message = "the disk has a boot chain and no configuration of a boot loader".to_owned();
        let evidence = Evidence::file("/boot", "no grub.cfg, grub.conf, extlinux.conf or entries");
        boot.facts.push(BootFact { code: "Grub.ConfigMissing", message, evidence });
    }
    boot.facts.extend(core_image::compare(guest));
    if boot.default_entry().is_none_or(|entry| entry.kernel.is_none()) {
        assume(&places, &mut boot);
    }
    boot
}

fn is_esp(places: &Places<'_>, path: &str) -> bool {
    places.volume_of(path).and_then(|index| places.layout.volumes.get(index)).is_some_and(
        |volume| {
            volume.content == kiln_volume::Content::Fat
                && volume
                    .open()
                    .is_ok_and(|fs| find_ignoring_case(&Tree::new(fs), "/EFI").is_some())
        },
    )
}

/// What the loader on the ESP reads: a stub of GRUB, the configuration of systemd-boot, or the
/// unified image that it is itself.
fn from_esp(places: &Places<'_>, esp: &str, loader: Option<Loader>, boot: &mut Boot) {
    if loader == Some(Loader::Uki) {
        let fallback = find_ignoring_case(places.tree, &format!("{esp}/EFI/BOOT/BOOTX64.EFI"))
            .or_else(|| find_ignoring_case(places.tree, &format!("{esp}/EFI/BOOT/BOOTAA64.EFI")));
        if let Some(path) = fallback {
            boot.entries.extend(uki::entry(places, &path));
            boot.configs.push((Loader::Uki, path));
            boot.default = Some(0).filter(|_| !boot.entries.is_empty());
        }
        return;
    }
    if loader == Some(Loader::SystemdBoot) {
        let config = systemd_boot::config(places, esp);
        let path = config.unwrap_or_else(|| format!("{esp}/loader/loader.conf"));
        let menu = systemd_boot::parse(places, esp, &path);
        if !menu.entries.is_empty() {
            boot.take(Loader::SystemdBoot, &path, menu);
        }
        return;
    }
    let mut tried = false;
    for path in esp_configs(places, esp) {
        tried = true;
        let mut menu = grub::menu(places, &path, "efi");
        if !menu.entries.is_empty() {
            boot.configs.extend(menu.files.drain(..).rev().map(|file| (Loader::Grub2, file)));
            boot.config_volume = menu.config_volume;
            boot.entries = menu.entries;
            boot.default = menu.default;
            boot.timeout_s = menu.timeout_s;
            boot.facts.append(&mut menu.facts);
            return;
        }
        boot.facts.append(&mut menu.facts);
        if let Some(uuid) = menu.failed_search {
            let message = format!(
                "{path} looks for its configuration on the filesystem {uuid}, which is not in the image"
            );
            let evidence = Evidence::file(path, format!("search for {uuid}"));
            boot.facts.push(BootFact { code: "Grub.SearchUuidNotFound", message, evidence });
        }
    }
    let is_grub = loader.is_none_or(|loader| loader == Loader::Grub2);
    if !tried && is_grub && has_vendor_grub(places, esp) {
        let message = format!("GRUB is on the ESP at {esp}, and no grub.cfg is beside it");
        let evidence = Evidence::file(esp, "no EFI/*/grub.cfg");
        boot.facts.push(BootFact { code: "Grub.EspStubMissing", message, evidence });
    }
}

/// The configurations beside loaders on the ESP, vendor directories before the fallback's.
fn esp_configs(places: &Places<'_>, esp: &str) -> Vec<String> {
    let Some(efi) = find_ignoring_case(places.tree, &format!("{esp}/EFI")) else {
        return Vec::new();
    };
    let mut directories: Vec<String> = places
        .tree
        .list(&efi)
        .unwrap_or_default()
        .iter()
        .take(64)
        .map(|entry| entry.name_lossy())
        .collect();
    directories.sort_by_key(|name| name.eq_ignore_ascii_case("boot"));
    let configs = directories.iter().map(|name| format!("{efi}/{name}/grub.cfg"));
    configs.filter(|path| places.tree.is_file(path).unwrap_or(false)).collect()
}

fn has_vendor_grub(places: &Places<'_>, esp: &str) -> bool {
    let Some(index) = places.volume_of(esp) else { return false };
    let Some(fs) = places.layout.volumes.get(index).and_then(|volume| volume.open().ok()) else {
        return false;
    };
    super::firmware::vendor_loaders(&Tree::new(fs)).iter().any(|path| path.contains("grub"))
}

/// The configurations at their usual places, the one of the loader that was seen first.
fn from_files(
    places: &Places<'_>,
    esp: Option<&str>,
    loader: Option<Loader>,
    is_uefi: bool,
    boot: &mut Boot,
) {
    let mut order = [Loader::Grub2, Loader::GrubLegacy, Loader::Syslinux, Loader::SystemdBoot];
    order.sort_by_key(|candidate| Some(*candidate) != loader);
    for candidate in order {
        match candidate {
            Loader::Grub2 => {
                let platform = if is_uefi { "efi" } else { "pc" };
                for path in GRUB2.iter().filter(|path| is_there(places, path)) {
                    let mut menu = grub::menu(places, path, platform);
                    boot.facts.append(&mut menu.facts);
                    boot.configs.push((Loader::Grub2, (*path).to_owned()));
                    boot.config_volume = boot.config_volume.or(menu.config_volume);
                    if !menu.entries.is_empty() {
                        boot.entries = menu.entries;
                        boot.default = menu.default;
                        boot.timeout_s = menu.timeout_s;
                        return;
                    }
                }
            }
            Loader::GrubLegacy => text_menu(places, LEGACY, candidate, boot, legacy::parse),
            Loader::Syslinux => text_menu(places, SYSLINUX, candidate, boot, extlinux::parse),
            _ => {
                for top in esp.into_iter().chain(["/boot"]) {
                    let menu =
                        systemd_boot::parse(places, top, &format!("{top}/loader/loader.conf"));
                    // Entries alone may be GRUB's: without a loader on the ESP they are not shown.
                    if !menu.entries.is_empty() && loader == Some(Loader::SystemdBoot) {
                        boot.take(candidate, &format!("{top}/loader/loader.conf"), menu);
                    }
                }
            }
        }
        if !boot.entries.is_empty() {
            return;
        }
    }
}

fn is_there(places: &Places<'_>, path: &str) -> bool {
    places.tree.is_file(path).unwrap_or(false)
}

fn text_menu(
    places: &Places<'_>,
    paths: &[&str],
    loader: Loader,
    boot: &mut Boot,
    parse: fn(&Places<'_>, &str, &str) -> Menu,
) {
    for path in paths {
        if let Ok(Some(text)) = places.tree.read_text(path) {
            boot.take(loader, path, parse(places, path, &text));
            return;
        }
    }
}

/// No entry is known: take the highest kernel that has an initial ramdisk, and say so.
fn assume(places: &Places<'_>, boot: &mut Boot) {
    let names: Vec<String> = places
        .tree
        .list("/boot")
        .unwrap_or_default()
        .iter()
        .map(kiln_volume::DirEntry::name_lossy)
        .collect();
    let mut found: Vec<(bool, &str, Option<String>)> = names
        .iter()
        .filter_map(|name| {
            let version = name.strip_prefix("vmlinuz-")?;
            if version.contains("rescue") || version.contains("kdump") {
                return None;
            }
            let initrd = [
                format!("initrd.img-{version}"),
                format!("initramfs-{version}.img"),
                format!("initrd-{version}"),
                format!("initrd-{version}.img"),
            ]
            .into_iter()
            .find(|name| names.contains(name));
            Some((initrd.is_some(), version, initrd))
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| super::bls::compare_versions(a.1, b.1)));
    let Some((_, version, initrd)) = found.pop() else { return };
    let kernel = places.at(&format!("/boot/vmlinuz-{version}"));
    let mut entry = BootEntry::new(Loader::Unknown, "assumed", version, &kernel.path, 1);
    entry.kernel_found = kernel.found;
    entry.kernel = Some(kernel.path);
    if let Some(initrd) = initrd {
        entry.add_initrd(places.at(&format!("/boot/{initrd}")));
    }
    boot.default = Some(boot.entries.len());
    boot.assumed = true;
    boot.entries.push(entry);
}
