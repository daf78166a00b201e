//! The table as a whole: what it has twice, and what it lacks.

use std::collections::HashMap;

use super::{Judged, Mount, PATH};
use crate::check::{Evidence, Finding};
use crate::inspect::devices::{Resolved, resolve_device};
use crate::{FirmwareKind, Guest, Inspection};

pub(super) fn judge(inspection: &Inspection, guest: &Guest, mounts: &[Mount], judged: &mut Judged) {
    duplicates(guest, mounts, judged);
    root_missing(guest, mounts, judged);
    boot_missing(inspection, guest, mounts, judged);
}

fn duplicates(guest: &Guest, mounts: &[Mount], judged: &mut Judged) {
    let mut places: HashMap<&str, u32> = HashMap::new();
    let mut volumes: HashMap<usize, u32> = HashMap::new();
    for mount in mounts.iter().filter(|mount| !mount.entry.is_swap()) {
        let entry = &mount.entry;
        let place = entry.mount_point.as_str();
        let mut twice = None;
        if place.starts_with('/')
            && let Some(line) = places.insert(place, entry.line)
        {
            twice = Some(format!("lines {line} and {} both mount {place}", entry.line));
        }
        let is_shared = ["bind", "rbind"].iter().any(|option| entry.has_option(option))
            || entry.option("subvol").is_some()
            || entry.option("subvolid").is_some();
        if !is_shared && let Some(index) = reliable(guest, &entry.spec) {
            let before = volumes.insert(index, entry.line);
            if let (Some(line), None) = (before, &twice) {
                twice = Some(format!("lines {line} and {} mount the same volume", entry.line));
            }
        }
        if let Some(message) = twice {
            let line = entry.line;
            judged.findings.push(
                Finding::medium("Fstab.Duplicate", message)
                    .seen(mount.evidence())
                    .suggest(format!("remove line {line} of {}, or the other", mount.path)),
            );
        }
    }
}

/// The volume of a name that means the same one on the platform.
fn reliable(guest: &Guest, spec: &str) -> Option<usize> {
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
    let volume = guest.layout.volumes.get(guest.root_volume);
    let uuid = volume.and_then(|volume| volume.uuid.as_deref()).unwrap_or("<of the root>");
    judged.findings.push(
        Finding::medium("Fstab.RootMissing", message)
            .seen(Evidence::file(PATH, "no entry for /"))
            .suggest(format!("add to {PATH}: UUID={uuid} / auto defaults 0 1")),
    );
}

/// A kernel update writes to `/boot` and the ESP; unmounted, it writes where nobody looks.
fn boot_missing(inspection: &Inspection, guest: &Guest, mounts: &[Mount], judged: &mut Judged) {
    let starts_by_uefi =
        inspection.firmware.chains.iter().any(|chain| chain.firmware == FirmwareKind::Uefi);
    for found in guest.mounts.iter().filter(|found| !found.in_fstab) {
        let needed = match found.path.as_str() {
            "/boot" => true,
            "/boot/efi" | "/efi" => starts_by_uefi,
            _ => false,
        };
        let is_listed = mounts.iter().any(|mount| {
            mount.entry.mount_point == found.path
                || resolve_device(&guest.layout, &mount.entry.spec).volume() == Some(found.volume)
        });
        if !needed || is_listed {
            continue;
        }
        let Some(volume) = guest.layout.volumes.get(found.volume) else { continue };
        let message = format!("{} is needed at {} and no line mounts it", volume.name, found.path);
        let uuid = volume.uuid.as_deref().unwrap_or_default();
        judged.findings.push(
            Finding::medium("Fstab.BootNotMounted", message)
                .seen(Evidence::file(&volume.name, volume.content.name()))
                .suggest(format!(
                    "add to {PATH}: UUID={uuid} {} {} defaults,nofail 0 2",
                    found.path,
                    volume.content.name()
                )),
        );
    }
}
