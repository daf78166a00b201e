//! Planting faults in a real disk of any layout: its filesystems are mounted as its guest mounts
//! them, and a script changes files there.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};
use kiln_guest::{Guest, MountedVolume};
use kiln_volume::{FsKind, Origin};

use crate::host::root_script;
use crate::images;

/// Run `script` with `$1` the root of the guest on the raw image `disk`.
///
/// # Errors
///
/// Where the guest's volumes cannot be mounted, or the script fails.
pub(crate) fn plant(disk: &Path, script: &str) -> Result<()> {
    let inspection = images::inspect(disk)?;
    let guest = inspection.guest().context("no system on the disk")?;
    let mut text = String::from(
        "disk=$1; mnt=$(mktemp -d)\n\
         trap 'umount -R \"$mnt\" 2>/dev/null || true; rmdir \"$mnt\"' EXIT\n",
    );
    for mount in &guest.mounts {
        mount_line(guest, mount, &mut text)?;
    }
    write!(text, "set -- \"$mnt\"\n{script}\n")?;
    root_script(&text, &[disk])
}

/// The line that mounts one volume; this machine's kernel has no FAT, and no fault needs one.
fn mount_line(guest: &Guest, mount: &MountedVolume, text: &mut String) -> Result<()> {
    let layout = &*guest.layout;
    let volume = &layout.volumes[mount.volume];
    let kind = volume.info().context("a mounted volume is open")?.kind;
    if matches!(kind, FsKind::Fat12 | FsKind::Fat16 | FsKind::Fat32) {
        return Ok(());
    }
    let offset = offset_bytes(guest, mount.volume)?;
    let mut options = format!("loop,offset={offset},sizelimit={}", volume.source.size_bytes());
    if kind == FsKind::Xfs {
        options.push_str(",nouuid");
    }
    if let Some(subvolume) = &mount.subvolume {
        write!(options, ",subvol={subvolume}")?;
    }
    writeln!(text, "mount -o {options} \"$disk\" \"$mnt{}\"", mount.path)?;
    Ok(())
}

fn offset_bytes(guest: &Guest, volume: usize) -> Result<u64> {
    let layout = &*guest.layout;
    match &layout.volumes[volume].origin {
        Origin::Partition { disk, number } => {
            let partitions = &layout.disks[*disk].partitions;
            let found = partitions.iter().find(|partition| partition.number == *number);
            Ok(found.context("a partition of the table")?.start_bytes)
        }
        // The fixtures have but one run, from the first extent on.
        Origin::Lvm { runs, .. } => match &runs[..] {
            [run] if run.places.len() == 1 => {
                let (below, at) = run.places[0];
                Ok(offset_bytes(guest, below)? + at)
            }
            _ => bail!("a logical volume of more than one run"),
        },
        Origin::Disk(_) => Ok(0),
        Origin::Md { .. } => bail!("an array"),
    }
}
