//! Which of several systems boots: the one that the default entry of the menu reaches.

use kiln_volume::Layout;

use super::devices::resolve_device;
use crate::boot::{BootEntry, Firmware};
use crate::{FirmwareKind, Guest};

/// Index of the system that boots, and why that is a guess where it is.
pub(super) fn choose(
    layout: &Layout,
    systems: &[Guest],
    firmware: &Firmware,
) -> (Option<usize>, Option<String>) {
    match systems {
        [] => return (None, None),
        [_] => return (Some(0), None),
        _ => {}
    }
    if let Some(found) = by_esp(layout, systems, firmware) {
        return (Some(found), None);
    }
    let mut reached: Vec<usize> = systems
        .iter()
        .filter(|guest| !guest.boot.assumed)
        .filter_map(|guest| reached(layout, systems, guest.boot.default_entry()?))
        .collect();
    reached.sort_unstable();
    reached.dedup();
    match reached[..] {
        [only] => (Some(only), None),
        _ => {
            let names: Vec<&str> = systems.iter().map(|guest| root_name(layout, guest)).collect();
            let note = format!(
                "{} roots ({}) and no boot entry that decides between them; the first is taken",
                systems.len(),
                names.join(", ")
            );
            (Some(0), Some(note))
        }
    }
}

fn root_name<'a>(layout: &'a Layout, guest: &Guest) -> &'a str {
    layout.volumes.get(guest.root_volume).map_or("?", |volume| volume.name.as_str())
}

/// The stub on the ESP names the filesystem of the menu, and with it the system.
fn by_esp(layout: &Layout, systems: &[Guest], firmware: &Firmware) -> Option<usize> {
    let is_uefi = firmware.chains.iter().any(|chain| chain.firmware == FirmwareKind::Uefi);
    let is_bios = firmware.chains.iter().any(|chain| chain.firmware == FirmwareKind::Bios);
    if !is_uefi || is_bios {
        return None;
    }
    // Every system sees the same ESP, so the first that followed a stub knows.
    let volume = systems.iter().find_map(|guest| guest.boot.config_volume)?;
    let owner =
        systems.iter().find(|guest| guest.mounts.iter().any(|mount| mount.volume == volume))?;
    reached(layout, systems, owner.boot.default_entry()?)
}

/// The system whose root the entry names.
fn reached(layout: &Layout, systems: &[Guest], entry: &BootEntry) -> Option<usize> {
    let root = entry.arg("root")?;
    let volume = resolve_device(layout, root).volume()?;
    let flags = entry.arg("rootflags").unwrap_or_default();
    let subvolume = flags.split(',').find_map(|flag| flag.strip_prefix("subvol="));
    let subvolume = subvolume.map(|path| path.trim_matches('/'));
    let mut same = systems.iter().enumerate().filter(|(_, guest)| guest.root_volume == volume);
    let first = same.clone().next()?.0;
    let named = same.find(|(_, guest)| {
        subvolume.is_some() && guest.root_subvolume.as_ref().map(|s| s.path.as_str()) == subvolume
    });
    Some(named.map_or(first, |(index, _)| index))
}
