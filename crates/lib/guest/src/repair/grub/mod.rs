//! `grub`: the boot menu leads to a kernel, an initial ramdisk and a root that are there, and the disk
//! starts by what is on it.
//!
//! What the items `Grub` and `BootMode` find decides what is done, one finding after the other, each on
//! the guest as the edits before it left it. Nothing is generated anew and no loader is installed:
//! words of the files that are there change. A menu made by a tool in the wrong machine is how guests
//! get one for the other firmware.

mod config;
mod entries;
mod esp;
mod legacy;
mod menu;
mod search;
#[cfg(test)]
mod tests;
mod words;

use super::refusal::{Refusal, codes};
use super::{Draft, Repair, Stop};
use crate::boot::places::Places;
use crate::check::Finding;
use crate::{Guest, find};

pub(super) static GRUB: Repair = Repair {
    name: "grub",
    items: &["Grub", "BootMode"],
    summary: "let the boot menu lead to a kernel, an initramfs and a root that are there",
    plan,
};

/// Kinds of findings there are some thirty; each takes one round, and root= may take a second one.
const MAX_ROUNDS: usize = 40;

fn plan(draft: &mut Draft) -> Result<(), Stop> {
    let mut refused = None;
    for _ in 0..MAX_ROUNDS {
        let (changed, why) = round(draft)?;
        refused = why;
        if !changed {
            break;
        }
        draft.look_again();
    }
    match refused {
        Some(refusal) if draft.is_empty() => return Err(refusal.into()),
        _ if draft.is_empty() => return Ok(()),
        _ => {}
    }
    config::forget_old_disks(draft)?;
    words::name_lasting_resume(draft)?;
    Ok(())
}

/// Mend the first finding that can be. `false`: none; with why the first of them cannot.
fn round(draft: &mut Draft) -> Result<(bool, Option<Refusal>), Stop> {
    let mut refused = None;
    let mut is_changed = |result: Result<bool, Stop>| match result {
        Ok(changed) => Ok(changed),
        Err(Stop::Refused(refusal)) => {
            refused.get_or_insert(refusal);
            Ok(false)
        }
        Err(stop) => Err(stop),
    };
    for finding in findings(draft)? {
        if is_changed(mend(draft, &finding))? {
            return Ok((true, None));
        }
    }
    if entries::is_undecided(draft.guest()?) && is_changed(entries::boot_another(draft, UNDECIDED))?
    {
        return Ok((true, None));
    }
    Ok((false, refused))
}

const UNDECIDED: &str = "the entry that boots by default starts no kernel";

fn findings(draft: &Draft) -> crate::Result<Vec<Finding>> {
    let mut found = Vec::new();
    for check in GRUB.items.iter().filter_map(|name| find(name)) {
        found.extend((check.run)(draft.inspection())?.findings);
    }
    Ok(found)
}

/// `false`: nothing was changed.
fn mend(draft: &mut Draft, finding: &Finding) -> Result<bool, Stop> {
    match finding.code {
        "Grub.RootDeviceName" | "Grub.RootUuidNotFound" | "Grub.RootMismatch" => words::root(draft),
        "Grub.DefaultFileStale" => words::stale_root(draft, finding),
        "Grub.SubvolMismatch" => words::subvolume(draft),
        "Grub.RdDeviceNotFound" => words::initramfs_device(draft, finding),
        "Grub.ResumeDeviceMissing" => words::resume(draft),
        "Grub.RootUuidNeedsInitrd" => {
            Ok(entries::add_initrd(draft)? || words::root_without_initrd(draft)?)
        }
        "Grub.KernelMissing" | "Grub.InitrdMissing" => {
            entries::boot_another(draft, &finding.message)
        }
        "Grub.DefaultEntryInvalid" => entries::keep_default(draft, &finding.message),
        "Grub.StaleEntry" => entries::remove_stale(draft),
        "Grub.SearchUuidNotFound" => search::mend(draft),
        "Grub.LegacyDisk" => legacy::use_first_disk(draft),
        "Grub.ConfigMissing" | "Grub.ConfigCorrupt" => config::mend(draft, finding),
        "Grub.PasswordLocked" => menu::unlock(draft),
        "Grub.WrongLoaderCommand" => menu::use_commands_of_firmware(draft),
        "Grub.TimeoutTooLong" => menu::shorten_timeout(draft),
        "Grub.LvmDeviceFilter" => config::lift_lvm_filter(draft),
        "Grub.EspStubMissing" => esp::write_stub(draft),
        "BootMode.NoUefiFallback" | "BootMode.ArmNeedsUefi" => esp::copy_fallback(draft, finding),
        "BootMode.NotBootable" | "Grub.NoBiosBootPartition" => Err(needs_loader(finding)),
        _ => Ok(false),
    }
}

/// Only installing a boot loader would mend that.
fn needs_loader(finding: &Finding) -> Stop {
    let reason = format!("{}: a boot loader would have to be installed", finding.message);
    Refusal::new(codes::NOT_MENDED, reason)
        .hint("run grub-install in the guest, or build the image with a boot loader")
        .into()
}

/// The volume that the loader finds the kernels on.
fn boot_volume(guest: &Guest) -> Option<usize> {
    Places::of(guest).volume_of("/boot")
}

/// Where the loader sees the file at the guest path `path`: the volume, and the path on it.
fn on_volume(guest: &Guest, path: &str) -> Option<(usize, String)> {
    let volume = Places::of(guest).volume_of(path)?;
    let at = guest.tree.locate(path).ok()??;
    let path = String::from_utf8(at.path).ok()?;
    let mount = guest
        .mounts
        .iter()
        .filter(|mount| {
            let rest = path.strip_prefix(mount.path.trim_end_matches('/'));
            mount.volume == volume && rest.is_some_and(|rest| rest.starts_with('/'))
        })
        .max_by_key(|mount| mount.path.len())?;
    let below = path.strip_prefix(mount.path.trim_end_matches('/'))?;
    let root = guest.root_subvolume.as_ref().filter(|_| mount.path == "/");
    let subvolume = mount.subvolume.as_deref().or(root.map(|found| found.path.as_str()));
    Some((volume, subvolume.map_or(below.to_owned(), |name| format!("/{name}{below}"))))
}

fn uuid_of(guest: &Guest, volume: usize) -> Option<&str> {
    guest.layout.volumes.get(volume)?.uuid.as_deref()
}
