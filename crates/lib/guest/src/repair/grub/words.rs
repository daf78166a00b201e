//! Words of the command line: the root, and the other devices that the initramfs waits for.

use std::collections::BTreeSet;

use kiln_volume::Origin;

use super::super::cmdline::{ArgEdit, Entries, edit_args};
use super::super::refusal::{Refusal, codes};
use super::super::{Draft, Stop, lines};
use crate::check::Finding;
use crate::check::grub::is_missing;
use crate::inspect::devices::{Resolved, lasting_name, partition_name, resolve_device};
use crate::{Guest, Inspection};

const ROOT: &str = "the root is named so that the platform finds it";

/// Name the root that is there wherever a name of it is that leads nowhere, to another volume, or only
/// to a disk that is attached as it was.
pub(super) fn root(draft: &mut Draft) -> Result<bool, Stop> {
    let name = root_name(draft.inspection(), draft.guest()?)?;
    let edits: Vec<ArgEdit> = wrong_roots(draft.guest()?)
        .into_iter()
        .map(|word| ArgEdit::replace(format!("root={word}"), format!("root={name}")))
        .collect();
    edit_args(draft, Entries::All, &edits, ROOT)
}

/// As [`root`], for the name in the file that `finding` is about.
pub(super) fn stale_root(draft: &mut Draft, finding: &Finding) -> Result<bool, Stop> {
    let Some(seen) = finding.evidence.first() else { return Ok(false) };
    let name = root_name(draft.inspection(), draft.guest()?)?;
    let edit = ArgEdit::replace(seen.text.as_str(), format!("root={name}"));
    edit_args(draft, Entries::All, &[edit], "the next update of the menu brings this root into it")
}

/// Name the root by its partition, which the kernel finds without an initramfs.
pub(super) fn root_without_initrd(draft: &mut Draft) -> Result<bool, Stop> {
    let guest = draft.guest()?;
    let name = partition_name(&guest.layout, guest.root_volume);
    let root = guest.boot.default_entry().and_then(|entry| entry.arg("root"));
    let (Some(name), Some(root)) = (name, root) else { return Ok(false) };
    let edit = ArgEdit::replace(format!("root={root}"), format!("root={name}"));
    edit_args(
        draft,
        Entries::All,
        &[edit],
        "without an initramfs only a partition's own UUID is found",
    )
}

/// How the root is named from now on.
fn root_name(inspection: &Inspection, guest: &Guest) -> Result<String, Refusal> {
    let ambiguous = |reason: &str| {
        Refusal::new(codes::GRUB_ROOT_AMBIGUOUS, reason)
            .hint("write root=UUID=... of the root into the boot menu")
    };
    if inspection.is_choice_a_guess() {
        return Err(ambiguous("several volumes hold a system, and nothing tells which one boots"));
    }
    let has_initrd = guest.boot.default_entry().is_none_or(|entry| !entry.initrds.is_empty());
    let name = match has_initrd {
        true => lasting_name(&guest.layout, guest.root_volume),
        false => partition_name(&guest.layout, guest.root_volume),
    };
    name.ok_or_else(|| ambiguous("the volume of the root has no UUID and no other name that lasts"))
}

/// The values of `root=` that have to go: the default entry's, and those of other entries of this
/// system's kernels that lead nowhere or by a name that the platform does not have.
fn wrong_roots(guest: &Guest) -> BTreeSet<String> {
    let default = guest.boot.default_entry().filter(|_| !guest.boot.assumed);
    let is_ours = |path: &Option<String>| {
        path.is_some()
            && (guest.kernels.iter().any(|kernel| kernel.image == *path)
                || default.is_some_and(|default| default.kernel == *path))
    };
    let mut found = BTreeSet::new();
    for entry in guest.boot.entries.iter().filter(|entry| is_ours(&entry.kernel)) {
        let Some(root) = entry.arg("root") else { continue };
        let is_default = default == Some(entry);
        let is_wrong = match resolve_device(&guest.layout, root) {
            Resolved::Absent | Resolved::KernelName { stable: false, .. } => true,
            // `/dev/disk/by-id/dm-uuid-LVM-...` is no name that could be told to be wrong.
            Resolved::KernelName { volume, stable: true } => {
                is_default && (volume.is_some() || !root.starts_with("/dev/disk/"))
            }
            Resolved::Volume(index) => is_default && index != guest.root_volume,
            Resolved::NotADevice => false,
        };
        if is_wrong {
            found.insert(root.to_owned());
        }
    }
    found
}

/// `rootflags=subvol=` of the subvolume that is the root; other flags stay.
pub(super) fn subvolume(draft: &mut Draft) -> Result<bool, Stop> {
    let guest = draft.guest()?;
    let Some(entry) = guest.boot.default_entry() else { return Ok(false) };
    let known = entry.arg("rootflags").unwrap_or_default();
    let is_other = |flag: &&str| {
        !flag.is_empty() && !matches!(flag.split('=').next(), Some("subvol" | "subvolid"))
    };
    let mut flags: Vec<String> = known.split(',').filter(is_other).map(str::to_owned).collect();
    match &guest.root_subvolume {
        Some(root) => flags.push(format!("subvol={}", root.path)),
        None => flags.push("subvolid=5".into()),
    }
    let flags = flags.join(",");
    // Snapshots have entries with a subvolume of their own: only the same wrong word goes there.
    let edits = match known.is_empty() {
        true => vec![ArgEdit::set("rootflags", &flags)],
        false => vec![ArgEdit::replace(format!("rootflags={known}"), format!("rootflags={flags}"))],
    };
    let is_foreign = |flags: &str| {
        flags != known && guest.boot.entries.iter().any(|e| e.arg("rootflags") == Some(flags))
    };
    let others = guest.boot.entries.iter().filter_map(|entry| entry.arg("rootflags"));
    let entries = match known.is_empty() && others.clone().any(is_foreign) {
        true => Entries::Default,
        false => Entries::All,
    };
    edit_args(draft, entries, &edits, "the kernel mounts the subvolume that is the root")
}

/// What dracut is told to wait for and is not there: the root's own volume instead, where that is of
/// the same kind and nothing names it; else nothing.
pub(super) fn initramfs_device(draft: &mut Draft, finding: &Finding) -> Result<bool, Stop> {
    let Some(word) = finding.evidence.first().map(|seen| seen.text.clone()) else {
        return Ok(false);
    };
    let guest = draft.guest()?;
    let name = word.split('=').next().unwrap_or_default();
    let origin = guest.layout.volumes.get(guest.root_volume).map(|volume| &volume.origin);
    let right = match (name, origin) {
        ("rd.lvm.lv", Some(Origin::Lvm { vg, lv, .. })) => format!("rd.lvm.lv={vg}/{lv}"),
        ("rd.lvm.vg", Some(Origin::Lvm { vg, .. })) => format!("rd.lvm.vg={vg}"),
        ("rd.md.uuid", Some(Origin::Md { uuid, .. })) => format!("rd.md.uuid={uuid}"),
        _ => String::new(),
    };
    let edit = ArgEdit::replace(word, right);
    edit_args(
        draft,
        Entries::All,
        &[edit],
        "the initramfs waits for a device that is not in the image",
    )
}

/// No entry resumes from a swap that is not there, nor does the initramfs.
pub(super) fn resume(draft: &mut Draft) -> Result<bool, Stop> {
    const REASON: &str = "boot waits for a swap that is not in the image";
    const CONFIG: &str = "/etc/initramfs-tools/conf.d/resume";
    let layout = draft.guest()?.layout.clone();
    let is_missing = |device: &str| is_missing(&layout, device);
    let entries = &draft.guest()?.boot.entries;
    let devices: BTreeSet<String> = entries
        .iter()
        .filter_map(|entry| entry.arg("resume"))
        .filter(|device| !device.is_empty() && is_missing(device))
        .map(str::to_owned)
        .collect();
    let edits: Vec<ArgEdit> = devices
        .iter()
        .map(|device| ArgEdit::replace(format!("resume={device}"), "noresume"))
        .collect();
    let changed = edit_args(draft, Entries::All, &edits, REASON)?;
    let rewritten = draft.rewrite(CONFIG, REASON, |text| {
        lines::edit(text, |line| {
            let device = line.trim().strip_prefix("RESUME=").map(|name| name.trim_matches('"'));
            match device.is_some_and(is_missing) {
                true => lines::Fate::Become("RESUME=none".into()),
                false => lines::Fate::Keep,
            }
        })
    })?;
    Ok(changed | rewritten)
}

/// The swap to resume from under a name that the platform has, where it has another so far.
pub(super) fn name_lasting_resume(draft: &mut Draft) -> Result<(), Stop> {
    let guest = draft.guest()?;
    let edit = |device: &str| {
        let found = resolve_device(&guest.layout, device);
        let Resolved::KernelName { volume: Some(index), stable: false } = found else {
            return None;
        };
        let name = lasting_name(&guest.layout, index)?;
        Some(ArgEdit::replace(format!("resume={device}"), format!("resume={name}")))
    };
    let edits: Vec<ArgEdit> =
        guest.boot.entries.iter().filter_map(|entry| edit(entry.arg("resume")?)).collect();
    if !edits.is_empty() {
        edit_args(draft, Entries::All, &edits, "the swap is named so that the platform finds it")?;
    }
    Ok(())
}
