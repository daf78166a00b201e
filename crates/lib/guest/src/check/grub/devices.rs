//! Other devices that the default entry names: logical volumes, arrays, the swap to resume from,
//! the filesystem to search for, the disk of GRUB legacy.

use kiln_volume::{Content, Layout, Origin};

use crate::boot::BootEntry;
use crate::check::{Evidence, Finding, Level};
use crate::inspect::devices::{Resolved, by_uuid, resolve_device};

/// All devices of `entry` that are not in the image.
pub(super) fn judge(layout: &Layout, entry: &BootEntry) -> Vec<Finding> {
    let mut findings = Vec::new();
    for word in entry.cmdline.split_ascii_whitespace() {
        if let Some((name, value)) = word.split_once('=')
            && !names_what_is_there(layout, name, value)
        {
            let message = format!("{word} names a device that is not in the image");
            findings.push(Finding::high("Grub.RdDeviceNotFound", message).seen(at(entry, word)));
        }
    }
    findings.extend(resume(layout, entry));
    findings.extend(search(layout, entry));
    findings.extend(legacy_disk(entry));
    findings
}

fn at(entry: &BootEntry, text: &str) -> Evidence {
    Evidence::line(&entry.source, entry.line, text)
}

/// Whether what dracut is told to wait for is there. Other words are always.
pub(crate) fn names_what_is_there(layout: &Layout, name: &str, value: &str) -> bool {
    let plain = |text: &str| text.replace([':', '-'], "").to_ascii_lowercase();
    let mut volumes = layout.volumes.iter();
    match name {
        "rd.lvm.lv" => {
            volumes.any(|volume| matches!(&volume.origin, Origin::Lvm { vg, lv, .. }
                if value == format!("{vg}/{lv}")))
        }
        "rd.lvm.vg" => {
            volumes.any(|volume| matches!(&volume.origin, Origin::Lvm { vg, .. } if value == vg))
        }
        "rd.md.uuid" => volumes
            .any(|volume| matches!(&volume.origin, Origin::Md { uuid, .. } if plain(uuid) == plain(value))),
        "rd.luks.uuid" => {
            let wanted = plain(value.strip_prefix("luks-").unwrap_or(value));
            // dracut takes the beginning of a UUID too.
            volumes.any(|volume| {
                matches!(volume.content, Content::Luks1 | Content::Luks2)
                    && volume.uuid.as_deref().is_some_and(|uuid| plain(uuid).starts_with(&wanted))
            })
        }
        _ => true,
    }
}

fn resume(layout: &Layout, entry: &BootEntry) -> Option<Finding> {
    let device = entry.arg("resume").filter(|device| !device.is_empty())?;
    if entry.has_arg("noresume") {
        return None;
    }
    if !is_missing(layout, device) {
        return None;
    }
    let message =
        format!("resume={device} names a volume that is not in the image: boot waits for it");
    let finding = Finding::medium("Grub.ResumeDeviceMissing", message);
    Some(finding.seen(at(entry, &format!("resume={device}"))).suggest("remove resume="))
}

/// Whether a device to resume from is none of the image's.
pub(crate) fn is_missing(layout: &Layout, device: &str) -> bool {
    let found = resolve_device(layout, device);
    matches!(found, Resolved::Absent | Resolved::KernelName { volume: None, .. })
}

/// A search that finds nothing leaves `root` as it was set before: that the kernel was found all
/// the same tells that it was set well.
fn search(layout: &Layout, entry: &BootEntry) -> Option<Finding> {
    let uuid = entry.search_uuid.as_deref()?;
    if by_uuid(layout, uuid).is_some() {
        return None;
    }
    let level = if entry.kernel_found { Level::Medium } else { Level::High };
    let message =
        format!("the entry searches for the filesystem {uuid}, which is not in the image");
    let finding = Finding::new("Grub.SearchUuidNotFound", level, message);
    Some(finding.seen(at(entry, &format!("search --fs-uuid {uuid}"))))
}

fn legacy_disk(entry: &BootEntry) -> Option<Finding> {
    let root = entry.legacy_root.as_deref()?;
    let disk: usize = root.strip_prefix("(hd")?.split([',', ')']).next()?.parse().ok()?;
    if disk == 0 {
        return None;
    }
    let message = format!("the entry boots from root {root}, a second disk");
    let finding = Finding::high("Grub.LegacyDisk", message).seen(at(entry, root));
    Some(finding.suggest("write root (hd0,...): the system disk is the first"))
}
