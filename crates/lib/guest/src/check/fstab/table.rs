//! The table as a whole: what it has twice, and what it lacks.

use std::collections::HashMap;

use kiln_volume::Content;

use super::{Judged, Mount, PATH};
use crate::check::{Evidence, Finding};
use crate::inspect::devices::{Resolved, lasting_name, resolve_device};
use crate::{FirmwareKind, Guest, Inspection, MountedVolume};

pub(super) fn judge(inspection: &Inspection, guest: &Guest, mounts: &[Mount], judged: &mut Judged) {
    duplicates(guest, mounts, judged);
    root_missing(guest, mounts, judged);
    boot_missing(inspection, guest, mounts, judged);
}

fn duplicates(guest: &Guest, mounts: &[Mount], judged: &mut Judged) {
    for twins in twins(guest, mounts) {
        let (Some(first), Some(second)) = (mounts.get(twins.first), mounts.get(twins.second))
        else {
            continue;
        };
        let (place, lines) = (&second.entry.mount_point, (first.entry.line, second.entry.line));
        let message = match twins.of_place {
            true => format!("lines {} and {} both mount {place}", lines.0, lines.1),
            false => format!("lines {} and {} mount the same volume", lines.0, lines.1),
        };
        judged.findings.push(
            Finding::medium("Fstab.Duplicate", message)
                .seen(second.evidence())
                .suggest(format!("remove line {} of {}, or the other", lines.1, second.path)),
        );
    }
}

/// Two lines of which one is too many, by their indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Twins {
    pub(crate) first: usize,
    pub(crate) second: usize,
    /// They mount at one place; else one volume at two.
    pub(crate) of_place: bool,
}

/// All lines that mount where, or what, an earlier one does.
pub(crate) fn twins(guest: &Guest, mounts: &[Mount]) -> Vec<Twins> {
    let mut found = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut volumes: HashMap<usize, usize> = HashMap::new();
    for (second, mount) in mounts.iter().enumerate() {
        let entry = &mount.entry;
        if entry.is_swap() {
            continue;
        }
        let place = entry.mount_point.as_str();
        let of_place = match place.starts_with('/') {
            true => places.insert(place, second),
            false => None,
        };
        let is_shared = ["bind", "rbind"].iter().any(|option| entry.has_option(option))
            || entry.option("subvol").is_some()
            || entry.option("subvolid").is_some();
        let of_volume = match reliable(guest, &entry.spec).filter(|_| !is_shared) {
            Some(volume) => volumes.insert(volume, second),
            None => None,
        };
        if let Some(first) = of_place.or(of_volume) {
            found.push(Twins { first, second, of_place: of_place.is_some() });
        }
    }
    found
}

/// The volume of a name that means the same one on the platform.
pub(crate) fn reliable(guest: &Guest, spec: &str) -> Option<usize> {
    match resolve_device(&guest.layout, spec) {
        Resolved::KernelName { stable: false, .. } => None,
        other => other.volume(),
    }
}

fn root_missing(guest: &Guest, mounts: &[Mount], judged: &mut Judged) {
    if mounts.iter().any(|mount| mount.entry.mount_point == "/") {
        return;
    }
    if guest.ostree_deployment.is_some() {
        judged.notes.push(Evidence::file(PATH, "no line for /, which ostree mounts by itself"));
        return;
    }
    let root = guest.boot.default_entry().and_then(|entry| entry.arg("root"));
    let message = match root {
        Some(root) => format!("no line mounts /; root={root} on the command line does"),
        None => "no line mounts /".into(),
    };
    let finding =
        Finding::medium("Fstab.RootMissing", message).seen(Evidence::file(PATH, "no entry for /"));
    judged.findings.push(match root_line(guest) {
        Some(line) => finding.suggest(format!("add to {PATH}: {line}")),
        None => finding,
    });
}

/// The line that mounts the root, by a name that lasts.
pub(crate) fn root_line(guest: &Guest) -> Option<String> {
    let volume = guest.layout.volumes.get(guest.root_volume)?;
    let name = lasting_name(&guest.layout, guest.root_volume)?;
    let options = match &guest.root_subvolume {
        Some(root) if !root.is_default => format!("subvol={}", root.path),
        _ => "defaults".to_owned(),
    };
    // Only the ext family has anything to check at boot.
    let is_ext = matches!(volume.content, Content::Ext2 | Content::Ext3 | Content::Ext4);
    let pass = u8::from(is_ext);
    Some(format!("{name} / {} {options} 0 {pass}", volume.content.name()))
}

/// A kernel update writes to `/boot` and the ESP; unmounted, it writes where nobody looks.
fn boot_missing(inspection: &Inspection, guest: &Guest, mounts: &[Mount], judged: &mut Judged) {
    for found in unlisted(inspection, guest, mounts) {
        let Some(volume) = guest.layout.volumes.get(found.volume) else { continue };
        let message = format!("{} is needed at {} and no line mounts it", volume.name, found.path);
        let finding = Finding::medium("Fstab.BootNotMounted", message)
            .seen(Evidence::file(&volume.name, volume.content.name()));
        judged.findings.push(match boot_line(guest, found) {
            Some(line) => finding.suggest(format!("add to {PATH}: {line}")),
            None => finding,
        });
    }
}

/// What the guest needs at boot and no line mounts.
pub(crate) fn unlisted<'g>(
    inspection: &Inspection,
    guest: &'g Guest,
    mounts: &[Mount],
) -> Vec<&'g MountedVolume> {
    let starts_by_uefi =
        inspection.firmware.chains.iter().any(|chain| chain.firmware == FirmwareKind::Uefi);
    let is_unlisted = |found: &&MountedVolume| {
        let needed = match found.path.as_str() {
            "/boot" => true,
            "/boot/efi" | "/efi" => starts_by_uefi,
            _ => false,
        };
        let is_listed = mounts.iter().any(|mount| {
            mount.entry.mount_point == found.path
                || resolve_device(&guest.layout, &mount.entry.spec).volume() == Some(found.volume)
        });
        !found.in_fstab && needed && !is_listed
    };
    guest.mounts.iter().filter(is_unlisted).collect()
}

/// The line that mounts `found`, by a name that lasts; nothing waits for it, as nothing did before.
pub(crate) fn boot_line(guest: &Guest, found: &MountedVolume) -> Option<String> {
    let volume = guest.layout.volumes.get(found.volume)?;
    let name = lasting_name(&guest.layout, found.volume)?;
    // What is on an ESP belongs to root alone: a random seed may be among it.
    let options =
        if volume.content == Content::Fat { "umask=0077,nofail" } else { "defaults,nofail" };
    Some(format!("{name} {} {} {options} 0 2", found.path, volume.content.name()))
}
