//! `GUESTOS.SystemImage`: the image is a disk with one installed system that can be looked into.
//!
//! Also carries what is odd about the disk itself, for which the published contract has no item:
//! partition tables, filesystem features, volume groups and arrays.

use kiln_volume::{Content, Error, Kind, Notice, NoticeCode, Origin};

use super::{Check, Evidence, Finding, Outcome, kernel_version};
use crate::{Inspection, Result, Role};

pub(super) static SYSTEM_IMAGE: Check = Check {
    name: "SystemImage",
    summary: "the image is a sound disk with an installed system",
    run,
};

fn run(inspection: &Inspection) -> Result<Outcome> {
    let mut outcome = Outcome::value("Valid");
    disk_findings(inspection, &mut outcome);
    if let Some(encrypted) = encryption(inspection) {
        outcome.findings.push(encrypted);
    } else if let Some(not_applicable) = super::windows(inspection) {
        return Ok(not_applicable);
    }
    if inspection.systems.is_empty() {
        without_system(inspection, &mut outcome);
    } else {
        with_system(inspection, &mut outcome)?;
    }
    if outcome.findings.iter().any(|finding| finding.level == super::Level::High) {
        outcome.value = "Invalid".into();
    } else if outcome.unknown.is_some() {
        outcome.value = "Unknown".into();
    }
    Ok(outcome)
}

fn notices(inspection: &Inspection) -> impl Iterator<Item = &Notice> {
    let disks = inspection.layout.disks.iter().flat_map(|disk| &disk.notices);
    disks.chain(&inspection.layout.notices)
}

/// What the partition table, volumes and filesystems tell, whatever system is on them.
fn disk_findings(inspection: &Inspection, outcome: &mut Outcome) {
    // Without a system the root may be on what is missing; with one, it is not: it was read.
    let is_root_missing = inspection.systems.is_empty();
    for notice in notices(inspection) {
        let message = notice.message.clone();
        let finding = match notice.code {
            NoticeCode::GptPrimaryCorrupt => {
                Finding::medium("Partition.GptPrimaryCorrupt", message)
                    .suggest("write the table anew from the backup, with sgdisk --verify and w")
            }
            NoticeCode::GptBackupMisplaced => {
                Finding::medium("Partition.GptBackupMisplaced", message)
                    .suggest("move the backup to the end of the disk: sgdisk --move-second-header")
            }
            NoticeCode::NoProtectiveMbr => Finding::medium("Partition.NoProtectiveMbr", message),
            NoticeCode::Truncated => Finding::high("SystemImage.Truncated", message)
                .suggest("copy the image again: its end is missing"),
            NoticeCode::LvmMissingPv if is_root_missing => {
                Finding::high("Disk.LvmMissingPv", message)
            }
            NoticeCode::RaidIncomplete if is_root_missing => {
                Finding::high("Disk.RaidIncomplete", message)
            }
            _ => {
                outcome.evidence.push(Evidence::note(message));
                continue;
            }
        };
        outcome.findings.push(finding);
    }
    for volume in &inspection.layout.volumes {
        let name = volume.name.as_str();
        if volume.content == Content::SwapSuspended {
            let message = format!("{name} holds the memory of a hibernated guest");
            let finding = Finding::medium("Disk.HibernationImage", message);
            outcome.findings.push(finding.seen(Evidence::file(name, "swsuspend")));
        }
        let features = volume.info().map_or(&[][..], |info| &info.features);
        let has = |wanted: &str| features.iter().any(|feature| feature == wanted);
        if has("quota") && has("project") {
            let message = format!(
                "{name} has the ext4 features quota and project, which the platform does not take together"
            );
            let finding = Finding::medium("FileSystem.Ext4Feature", message);
            outcome.findings.push(finding.seen(Evidence::file(name, features.join(" "))));
        }
    }
}

/// Encryption of the system; of another volume where the system could be read.
fn encryption(inspection: &Inspection) -> Option<Finding> {
    let volume = inspection.layout.volumes.iter().find(|volume| volume.content.is_encrypted())?;
    let name = volume.name.as_str();
    let what = volume.content.name();
    let finding = if inspection.systems.is_empty() {
        let message = format!("{name} is encrypted ({what}), and no system is readable");
        Finding::high("SystemImage.Encrypted", message)
            .suggest("decrypt the system disk before it is imported")
    } else {
        let message = format!("the data volume {name} is encrypted ({what})");
        Finding::medium("Disk.EncryptedDataVolume", message)
    };
    Some(finding.seen(Evidence::file(name, what)))
}

/// Why no system was found: the first reason that holds.
fn without_system(inspection: &Inspection, outcome: &mut Outcome) {
    let is_told = |finding: &Finding| finding.level == super::Level::High;
    if outcome.findings.iter().any(is_told) {
        return;
    }
    let volumes = &inspection.layout.volumes;
    let all = |wanted: fn(Content) -> bool| volumes.iter().all(|volume| wanted(volume.content));
    let find = |wanted: &[Content]| volumes.iter().find(|volume| wanted.contains(&volume.content));
    if all(|content| matches!(content, Content::Empty)) {
        let message = "the image holds no data: all samples are zero";
        return outcome.findings.push(Finding::high("SystemImage.Empty", message));
    }
    if let Some(iso) = find(&[Content::Iso9660, Content::Udf]) {
        let message =
            format!("{} is a CD image ({}), not a system disk", iso.name, iso.content.name());
        let finding = Finding::high("SystemImage.IsoImage", message)
            .suggest("install the system on a disk and import that");
        return outcome.findings.push(finding);
    }
    let media = inspection.roles.iter().find(|role| role.role == Role::LiveMedia);
    if let Some(media) = media.and_then(|role| volumes.get(role.volume)) {
        let message = format!("{} holds an installer or a live system only", media.name);
        return outcome.findings.push(Finding::high("SystemImage.InstallerMedia", message));
    }
    if let Some((index, error)) = corrupt(&inspection.unreadable).next() {
        return outcome.findings.push(corrupt_filesystem(inspection, *index, error));
    }
    if let Some(why) = unsupported(inspection) {
        outcome.unknown = Some((Some("SystemImage.UnsupportedStack"), why));
        return;
    }
    if all(|content| matches!(content, Content::Empty | Content::Unknown)) {
        let message = "the image holds no partition, filesystem or other content that kiln knows";
        return outcome.findings.push(Finding::high("SystemImage.Empty", message));
    }
    let message = "the filesystems hold data and no operating system";
    outcome.findings.push(Finding::high("SystemImage.DataDisk", message));
}

fn corrupt(unreadable: &[(usize, Error)]) -> impl Iterator<Item = &(usize, Error)> {
    unreadable.iter().filter(|(_, error)| matches!(error.kind(), Kind::Corrupt | Kind::OutOfRange))
}

fn corrupt_filesystem(inspection: &Inspection, index: usize, error: &Error) -> Finding {
    let name = inspection.layout.volumes.get(index).map_or("?", |volume| volume.name.as_str());
    let message = format!("the filesystem on {name} cannot be walked: {error}");
    Finding::high("SystemImage.FilesystemCorrupt", message)
        .seen(Evidence::file(name, error.to_string()))
        .suggest("repair it with the fsck of its filesystem before it is imported")
}

/// What stands between kiln and the root, where something does.
fn unsupported(inspection: &Inspection) -> Option<String> {
    const STACKS: &[Content] = &[
        Content::Zfs,
        Content::Bcache,
        Content::Vdo,
        Content::Stratis,
        Content::Verity,
        Content::Erofs,
        Content::Jfs,
        Content::Reiserfs,
        Content::F2fs,
        Content::Ufs,
        Content::Apfs,
    ];
    let is_limit = |code| matches!(code, NoticeCode::LvmUnsupported | NoticeCode::DynamicDisk);
    if let Some(notice) = notices(inspection).find(|notice| is_limit(notice.code)) {
        return Some(notice.message.clone());
    }
    let volumes = &inspection.layout.volumes;
    if let Some(volume) = volumes.iter().find(|volume| STACKS.contains(&volume.content)) {
        let what = volume.content.name();
        return Some(format!("{} holds {what}, which kiln does not read", volume.name));
    }
    let (index, error) = inspection.unreadable.first()?;
    let name = volumes.get(*index).map_or("?", |volume| volume.name.as_str());
    Some(format!("{name} cannot be read: {error}"))
}

fn with_system(inspection: &Inspection, outcome: &mut Outcome) -> Result<()> {
    let Some(guest) = inspection.guest() else { return Ok(()) };
    let root = corrupt(&inspection.unreadable).find(|(index, _)| *index == guest.root_volume);
    if let Some((index, error)) = root {
        outcome.findings.push(corrupt_filesystem(inspection, *index, error));
        return Ok(());
    }
    for (index, error) in &inspection.unreadable {
        let name = inspection.layout.volumes.get(*index).map_or("?", |v| v.name.as_str());
        outcome.evidence.push(Evidence::file(name, format!("cannot be read: {error}")));
    }
    if let Some(note) = &inspection.choice_note {
        outcome.findings.push(Finding::medium("SystemImage.MultipleRoots", note.clone()));
        outcome.evidence.push(Evidence::note("multi_root"));
    }
    let is_linux = guest.os.family.is_linux();
    if is_linux && !kernel_version::has_any_kernel(guest)? && !has_modules(guest)? {
        let message = "the system has no kernel: it is the root of a container";
        outcome.findings.push(Finding::high("SystemImage.NoKernel", message));
    } else if inspection.firmware.chains.is_empty() && !is_bios_boot_missing(inspection) {
        let message = "the system has neither a BIOS nor a UEFI boot chain";
        let finding = Finding::high("SystemImage.NotBootable", message)
            .suggest("install a boot loader on the disk");
        outcome.findings.push(finding);
    }
    if matches!(
        inspection.layout.volumes.get(guest.root_volume).map(|volume| &volume.origin),
        Some(Origin::Md { .. })
    ) {
        outcome.evidence.push(Evidence::note("the root is on a software RAID array"));
    }
    Ok(())
}

/// Modules without any kernel image are an installed system whose kernel was lost: KernelVersion
/// tells that.
fn has_modules(guest: &crate::Guest) -> Result<bool> {
    let is_version = |name: &str| name.starts_with(|c: char| c.is_ascii_digit());
    for top in ["/lib/modules", "/usr/lib/modules"] {
        for entry in guest.tree.list(top)? {
            let path = format!("{top}/{}", entry.name_lossy());
            if is_version(&entry.name_lossy()) && guest.tree.is_dir(format!("{path}/kernel"))? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// A chain of which one known piece is missing is BootMode's matter and told there.
fn is_bios_boot_missing(inspection: &Inspection) -> bool {
    let codes = ["Grub.NoBiosBootPartition", "BootMode.NoUefiFallback"];
    inspection.firmware.facts.iter().any(|fact| codes.contains(&fact.code))
}
