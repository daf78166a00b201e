//! What the helper VM has to mount for a plan, in the words of its agent.

use kiln_compute::helper::{Driver, Part, Segment, Stripe, Volume};
use kiln_guest::repair::{Change, Edit, Refusal, codes};
use kiln_guest::{Guest, MountedVolume};
use kiln_volume::{FsKind, Layout, LvmRun, Origin};

use crate::{Error, Result};

/// The serial number that the disk has in the helper VM.
pub(super) const SERIAL: &str = "kiln-disk0";

/// A volume of the guest and where it is mounted.
#[derive(Clone, Debug)]
pub(super) struct Mount {
    pub(super) volume: Volume,
    pub(super) at: String,
    /// As the kernel calls it.
    pub(super) fstype: &'static str,
    pub(super) subvolume: Option<String>,
}

impl Mount {
    /// What the helper VM's kernel needs for it.
    pub(super) fn drivers(&self) -> impl Iterator<Item = Driver> {
        let mapper = matches!(self.volume, Volume::Joined(_)).then_some(Driver::DeviceMapper);
        mapper.into_iter().chain(Driver::of_fstype(self.fstype))
    }
}

/// The mounts that `edits` need, or all, the root first and each parent before what is below it.
pub(super) fn mounts(guest: &Guest, edits: &[Edit], all: bool) -> Result<Vec<Mount>> {
    let mut needed: Vec<&MountedVolume> = match all {
        true => guest.mounts.iter().collect(),
        false => Vec::new(),
    };
    for path in edits.iter().flat_map(paths) {
        for mount in guest.mounts.iter().filter(|mount| is_below(path, &mount.path)) {
            if !needed.iter().any(|known| known.path == mount.path) {
                needed.push(mount);
            }
        }
    }
    needed.sort_by_key(|mount| depth(&mount.path));
    needed.into_iter().map(|mount| describe(guest, mount)).collect()
}

/// Every mount of the guest whose log has to be replayed before it can be read.
pub(super) fn stale_mounts(guest: &Guest) -> Result<Vec<Mount>> {
    let is_stale = |mount: &&MountedVolume| {
        let volume = guest.layout.volumes.get(mount.volume);
        volume.and_then(|volume| volume.info()).is_some_and(|info| info.is_stale)
    };
    let stale: Vec<_> = guest.mounts.iter().filter(is_stale).collect();
    if stale.is_empty() {
        return Ok(Vec::new());
    }
    // Each is mounted on a directory of what is above it.
    let is_needed =
        |mount: &&MountedVolume| stale.iter().any(|stale| is_below(&stale.path, &mount.path));
    let mut needed: Vec<_> = guest.mounts.iter().filter(is_needed).collect();
    needed.sort_by_key(|mount| depth(&mount.path));
    needed.into_iter().map(|mount| describe(guest, mount)).collect()
}

fn paths(edit: &Edit) -> impl Iterator<Item = &str> {
    let to = match &edit.change {
        Change::Copy { to, .. } | Change::Rename { to } => Some(to.as_str()),
        _ => None,
    };
    std::iter::once(edit.path.as_str()).chain(to)
}

/// The root first, and each mount point behind those above it.
fn depth(path: &str) -> usize {
    path.trim_end_matches('/').matches('/').count()
}

fn is_below(path: &str, mount: &str) -> bool {
    let rest = path.strip_prefix(mount.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn describe(guest: &Guest, mount: &MountedVolume) -> Result<Mount> {
    let layout = &*guest.layout;
    let name = || layout.volumes.get(mount.volume).map_or("?", |volume| volume.name.as_str());
    let cannot = |why: String| {
        Error::Refused(
            Refusal::new(codes::FILESYSTEM_READ_ONLY, format!("{}: {why}", name()))
                .hint("repair the guest from inside, or move it to a plain volume"),
        )
    };
    let info = layout.volumes.get(mount.volume).and_then(|volume| volume.info());
    let kind = info.map(|info| info.kind);
    let fstype = match kind {
        // One driver serves all three.
        Some(FsKind::Ext2 | FsKind::Ext3 | FsKind::Ext4) => "ext4",
        Some(other) => other.fstab_type(),
        None => return Err(cannot("a filesystem that cannot be read".to_owned())),
    };
    Ok(Mount {
        volume: volume(layout, mount.volume).map_err(cannot)?,
        at: mount.path.clone(),
        fstype,
        subvolume: mount.subvolume.clone(),
    })
}

fn volume(layout: &Layout, index: usize) -> Result<Volume, String> {
    let found = layout.volumes.get(index).ok_or("no such volume")?;
    match &found.origin {
        Origin::Lvm { runs, .. } if runs.is_empty() => {
            Err("a logical volume that is not linear or striped".to_owned())
        }
        Origin::Lvm { runs, .. } => runs
            .iter()
            .map(|run| segment(layout, run))
            .collect::<Result<_, _>>()
            .map(Volume::Joined),
        _ => part(layout, index).map(Volume::Part),
    }
}

fn segment(layout: &Layout, run: &LvmRun) -> Result<Segment, String> {
    let stripe = |(volume, at): &(usize, u64)| {
        Ok(Stripe { part: part(layout, *volume)?, offset_bytes: *at })
    };
    Ok(Segment {
        length_bytes: run.length_bytes,
        chunk_bytes: if run.places.len() > 1 { run.stripe_bytes } else { 0 },
        stripes: run.places.iter().map(stripe).collect::<Result<_, String>>()?,
    })
}

fn part(layout: &Layout, index: usize) -> Result<Part, String> {
    let origin = layout.volumes.get(index).map(|volume| &volume.origin);
    let (disk, partition) = match origin {
        Some(Origin::Disk(disk)) => (*disk, None),
        Some(Origin::Partition { disk, number }) => (*disk, Some(*number)),
        Some(Origin::Md { .. }) => return Err("a software RAID array".to_owned()),
        Some(Origin::Lvm { .. }) => return Err("a logical volume on another one".to_owned()),
        None => return Err("no such volume".to_owned()),
    };
    if disk != 0 {
        return Err("on another disk than the system's".to_owned());
    }
    let on = layout.disks.get(disk).ok_or("no such disk")?;
    let serial = SERIAL.to_owned();
    let Some(number) = partition else {
        let size_bytes = on.source.size_bytes();
        return Ok(Part { serial, partition: None, start_bytes: 0, size_bytes });
    };
    let found = on.partitions.iter().find(|partition| partition.number == number);
    let found = found.ok_or("a partition that is not in the table")?;
    Ok(Part {
        serial,
        partition: Some(number),
        start_bytes: found.start_bytes,
        size_bytes: found.size_bytes,
    })
}

#[cfg(test)]
mod tests {
    use kiln_fixtures::phony::Phony;
    use kiln_guest::{Declared, Inspection, inspect};

    use super::*;

    fn look(guest: &Phony) -> Inspection {
        inspect(guest.layout(), Declared::default())
    }

    #[test]
    fn what_an_edit_touches_is_mounted_with_what_is_above_it() {
        let inspection = look(&Phony::debian_uefi());
        let guest = inspection.guest().unwrap();
        let at = |mounts: Vec<Mount>| -> Vec<String> {
            mounts.into_iter().map(|mount| format!("{} {}", mount.at, mount.fstype)).collect()
        };
        let edit = |path: &str| Edit {
            path: path.to_owned(),
            change: Change::SetMode { before: 0o600, after: 0o644 },
            reason: String::new(),
        };
        assert_eq!(at(mounts(guest, &[edit("/etc/fstab")], false).unwrap()), ["/ ext4"]);
        let esp = [edit("/boot/efi/EFI/debian/grub.cfg"), edit("/boot/efix")];
        assert_eq!(at(mounts(guest, &esp, false).unwrap()), ["/ ext4", "/boot/efi vfat"]);
        assert!(at(mounts(guest, &[], true).unwrap()).len() >= 2);
        assert!(stale_mounts(guest).unwrap().is_empty());
    }

    #[test]
    fn what_cannot_be_assembled_is_refused() {
        // Without the runs that volume finds for linear and striped volumes.
        let inspection = look(&Phony::el9_lvm());
        let guest = inspection.guest().unwrap();
        let error = mounts(guest, &[], true).unwrap_err();
        let Error::Refused(refusal) = &error else { panic!("{error:?}") };
        assert_eq!(refusal.code, codes::FILESYSTEM_READ_ONLY);
        assert!(error.hint().is_some(), "{error}");
    }
}
