//! `root=` of the default entry: it names the root that is there, by a name that stays.

use kiln_volume::Content;

use crate::Guest;
use crate::boot::BootEntry;
use crate::check::{Evidence, Finding};
use crate::inspect::devices::{Resolved, resolve_device};

/// All that is wrong with `root=` and `rootflags=`.
pub(super) fn judge(guest: &Guest, entry: &BootEntry) -> Vec<Finding> {
    let Some(root) = entry.arg("root") else { return Vec::new() };
    let seen = Evidence::line(&entry.source, entry.line, format!("root={root}"));
    let mut findings = Vec::new();
    let found = resolve_device(&guest.layout, root);
    match found {
        Resolved::Absent => {
            let message = format!("root={root} names a volume that is not in the image");
            findings.push(Finding::high("Grub.RootUuidNotFound", message));
        }
        Resolved::KernelName { stable, volume } => {
            findings.extend(device_name(root, stable));
            // A name that does not exist on the platform names no volume there, so not a wrong one.
            if stable && volume.is_some_and(|index| index != guest.root_volume) {
                findings.extend(mismatch(guest, root, volume));
            }
        }
        Resolved::Volume(index) if index != guest.root_volume => {
            findings.extend(mismatch(guest, root, Some(index)));
        }
        Resolved::Volume(_) | Resolved::NotADevice => {}
    }
    if needs_initrd(root) && entry.initrds.is_empty() && found != Resolved::Absent {
        let message =
            format!("root={root} needs an initial ramdisk to be found, and the entry loads none");
        findings.push(Finding::high("Grub.RootUuidNeedsInitrd", message));
    }
    if found.volume() == Some(guest.root_volume) {
        findings.extend(subvolume(guest, entry));
    }
    let uuid =
        guest.layout.volumes.get(guest.root_volume).and_then(|volume| volume.uuid.as_deref());
    let suggest = |finding: Finding| match uuid {
        Some(uuid) if finding.code != "Grub.SubvolMismatch" => {
            finding.suggest(format!("replace root={root} by root=UUID={uuid} in {}", entry.source))
        }
        _ => finding,
    };
    findings.into_iter().map(|finding| suggest(finding.seen(seen.clone()))).collect()
}

fn device_name(root: &str, stable: bool) -> Option<Finding> {
    if stable && root.starts_with("/dev/disk/") {
        return None;
    }
    Some(if stable {
        let message =
            format!("root={root} holds only as long as the disk is attached the same way");
        Finding::medium("Grub.RootDeviceName", message)
    } else {
        let message = format!("root={root} is a device name that the platform does not have");
        Finding::high("Grub.RootDeviceName", message)
    })
}

fn mismatch(guest: &Guest, root: &str, found: Option<usize>) -> Option<Finding> {
    let name = |index: usize| guest.layout.volumes.get(index).map(|volume| volume.name.as_str());
    let message = format!(
        "root={root} names {}, and the root is on {}",
        name(found?)?,
        name(guest.root_volume)?
    );
    Some(Finding::high("Grub.RootMismatch", message))
}

/// The kernel by itself finds partitions by number and by PARTUUID, and nothing else.
fn needs_initrd(root: &str) -> bool {
    let is = |prefix: &str| root.starts_with(prefix);
    is("UUID=") || is("LABEL=") || is("/dev/mapper/") || is("/dev/disk/")
}

/// On btrfs, `rootflags=subvol=` must lead to the subvolume that is the root.
fn subvolume(guest: &Guest, entry: &BootEntry) -> Option<Finding> {
    let volume = guest.layout.volumes.get(guest.root_volume)?;
    if volume.content != Content::Btrfs {
        return None;
    }
    let flags = entry.arg("rootflags").unwrap_or_default();
    let option = |name: &str| {
        flags.split(',').rev().find_map(|flag| flag.strip_prefix(name)?.strip_prefix('='))
    };
    let path = option("subvol").map(|path| path.trim_matches('/'));
    let id = option("subvolid");
    let is_default = guest.root_subvolume.as_ref().is_none_or(|root| root.is_default);
    let root = guest.root_subvolume.as_ref().map_or("", |root| root.path.as_str());
    let root_id = guest.root_subvolume.as_ref().map(|root| root.id.to_string());
    let message = match (path, id) {
        (None, None) if is_default => return None,
        (None, None) => format!(
            "the root is the btrfs subvolume {root:?}, which is not the default one, and no \
             rootflags=subvol= names it"
        ),
        (Some(path), _) if path == root => return None,
        (None, Some(id)) if root_id.as_deref() == Some(id) => return None,
        // The top level has the numbers 5 and 0, and may be the default.
        (None, Some("0" | "5")) if guest.root_subvolume.is_none() => return None,
        _ => {
            format!("rootflags={flags} does not name the btrfs subvolume {root:?} that is the root")
        }
    };
    let finding = Finding::high("Grub.SubvolMismatch", message);
    Some(finding.suggest(format!("put rootflags=subvol={root} on the command line")))
}
