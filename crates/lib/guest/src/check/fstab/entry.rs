//! One line: is its device there, what it says it is, and where it is mounted.

use kiln_volume::{Content, Result, Volume};

use super::{Judged, Mount};
use crate::check::{Finding, Level};
use crate::inspect::devices::{Resolved, resolve_device};
use crate::{Guest, Inspection};

/// What judging a line takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub(super) guest: &'a Guest,
    pub(super) inspection: &'a Inspection,
    pub(super) has_systemd: bool,
    pub(super) crypttab: &'a [(String, String)],
}

const PSEUDO: [&str; 21] = [
    "tmpfs",
    "proc",
    "sysfs",
    "devpts",
    "devtmpfs",
    "securityfs",
    "cgroup",
    "cgroup2",
    "debugfs",
    "tracefs",
    "configfs",
    "mqueue",
    "hugetlbfs",
    "overlay",
    "none",
    "ramfs",
    "efivarfs",
    "binfmt_misc",
    "bpf",
    "usbfs",
    "fusectl",
];
const NETWORK: [&str; 12] = [
    "nfs",
    "nfs4",
    "cifs",
    "smbfs",
    "smb3",
    "glusterfs",
    "fuse.glusterfs",
    "ceph",
    "fuse.ceph",
    "fuse.sshfs",
    "lustre",
    "ocfs2",
];
const HYPERVISOR: [&str; 5] = ["vmhgfs", "vmhgfs-fuse", "fuse.vmhgfs-fuse", "vboxsf", "prl_fs"];

pub(super) fn judge(context: &Context<'_>, mount: &Mount, judged: &mut Judged) -> Result<()> {
    let entry = &mount.entry;
    let fs_type = entry.fs_type.as_str();
    if HYPERVISOR.contains(&fs_type) || entry.spec.starts_with(".host:") {
        judged.add(mount, hypervisor(mount));
        return Ok(());
    }
    if NETWORK.contains(&fs_type) || entry.has_option("_netdev") {
        judged.add(mount, network(mount));
        return Ok(());
    }
    if entry.is_swap() {
        return swap(context, mount, judged);
    }
    let is_bind = entry.has_option("bind") || entry.has_option("rbind");
    if PSEUDO.contains(&fs_type) || is_bind {
        return Ok(());
    }
    if let Some(volume) = device(context, mount, judged) {
        content(context, mount, volume, judged)?;
    }
    mount_point(context, mount, judged)
}

fn hypervisor(mount: &Mount) -> Finding {
    let message = format!(
        "line {} mounts {} of type {}, which only the source's hypervisor offers",
        mount.entry.line, mount.entry.spec, mount.entry.fs_type
    );
    Finding::high("Fstab.HypervisorMount", message)
        .suggest(format!("remove line {} of {}", mount.entry.line, mount.path))
}

fn network(mount: &Mount) -> Finding {
    let message = format!(
        "line {} makes boot wait for the network mount {}",
        mount.entry.line, mount.entry.spec
    );
    Finding::medium("Fstab.NetworkMount", message).suggest(format!(
        "add the options _netdev,nofail to line {} of {}",
        mount.entry.line, mount.path
    ))
}

fn swap(context: &Context<'_>, mount: &Mount, judged: &mut Judged) -> Result<()> {
    let (entry, layout) = (&mount.entry, &context.guest.layout);
    let missing = |why: &str| {
        let message = format!("line {}: the swap {} {why}", entry.line, entry.spec);
        Finding::medium("Fstab.SwapMissing", message)
            .suggest(format!("remove line {} of {}, or add nofail to it", entry.line, mount.path))
    };
    match resolve_device(layout, &entry.spec) {
        Resolved::Absent => judged.add(mount, missing("is not in the image")),
        Resolved::KernelName { stable: false, .. } => {
            judged.add(mount, missing("has a name that does not exist on the platform"));
        }
        Resolved::KernelName { stable: true, volume: None } if is_platform_name(&entry.spec) => {
            judged.add(mount, missing("is not in the image"));
        }
        Resolved::Volume(index) | Resolved::KernelName { volume: Some(index), .. } => {
            let volume = layout.volumes.get(index);
            let is_partition = crate::inspect::devices::partition_of(layout, index).is_some();
            if volume.is_some_and(|v| matches!(v.content, Content::Swap | Content::SwapSuspended)) {
                if is_partition {
                    let message =
                        format!("line {} uses the swap partition {}", entry.line, entry.spec);
                    judged.add(
                        mount,
                        Finding::medium("Fstab.SwapPresent", message).suggest(
                            "use a swap file instead: a swap partition costs disk operations and \
                             stands in the way of a growing root partition",
                        ),
                    );
                }
            } else {
                judged.add(mount, missing("is no swap"));
            }
        }
        Resolved::NotADevice if entry.spec.starts_with('/') && !entry.spec.starts_with("/dev/") => {
            if !context.guest.tree.exists(&entry.spec)? {
                judged.add(mount, missing("is not in the image"));
            }
        }
        Resolved::NotADevice | Resolved::KernelName { .. } => {}
    }
    Ok(())
}

/// Names that the platform itself gives, by how the disk is attached.
fn is_platform_name(spec: &str) -> bool {
    spec.starts_with("/dev/vd") || spec.starts_with("/dev/nvme")
}

/// The volume that the line means, where its name can be relied on.
fn device(context: &Context<'_>, mount: &Mount, judged: &mut Judged) -> Option<usize> {
    let (spec, line) = (&mount.entry.spec, mount.entry.line);
    let resolved = resolve_device(&context.guest.layout, spec);
    if spec.contains(['"', '\'']) && resolved.volume().is_some() {
        judged.note(mount, "quotes around the value, which util-linux takes off");
    }
    match resolved {
        Resolved::Volume(index) => return Some(index),
        Resolved::Absent => absent(context, mount, judged),
        Resolved::KernelName { volume, stable: false } => {
            let message = format!("line {line}: {spec} does not exist on the platform");
            let suggestion = instead(context, mount, volume);
            judged
                .add(mount, Finding::high("Fstab.UnstableDeviceName", message).suggest(suggestion));
        }
        Resolved::KernelName { volume: None, stable: true } if is_platform_name(spec) => {
            let message = format!("line {line}: the image has no {spec}");
            judged.add(
                mount,
                Finding::high("Fstab.DeviceNotFound", message)
                    .suggest(format!("add nofail to line {line} of {}, or remove it", mount.path)),
            );
        }
        Resolved::KernelName { volume, stable: true } if is_platform_name(spec) => {
            let is_nvme_name = spec.starts_with("/dev/nvme");
            let contradicts = is_nvme_name != context.inspection.declared.nvme;
            let level = if contradicts { Level::High } else { Level::Medium };
            let message = format!("line {line}: {spec} is another device on other instance types");
            let suggestion = instead(context, mount, volume);
            let finding = Finding::new("Fstab.UnstableDeviceName", level, message);
            judged.add(mount, finding.suggest(suggestion));
            return volume;
        }
        Resolved::KernelName { .. } | Resolved::NotADevice => {}
    }
    None
}

fn absent(context: &Context<'_>, mount: &Mount, judged: &mut Judged) {
    let (spec, line) = (&mount.entry.spec, mount.entry.line);
    let opened = spec.strip_prefix("/dev/mapper/").and_then(|name| {
        context.crypttab.iter().find(|(have, _)| have == name).map(|(_, source)| source)
    });
    if let Some(source) = opened
        && resolve_device(&context.guest.layout, source) != Resolved::Absent
    {
        judged.note(mount, "opened from crypttab; kiln cannot look inside");
        return;
    }
    let is_tag = spec.contains('=') || spec.starts_with("/dev/disk/by-");
    let (code, what) = match is_tag && !spec.contains("/dm-name-") {
        true => ("Fstab.UuidNotFound", "no volume of the image is"),
        false => ("Fstab.DeviceNotFound", "the image has no"),
    };
    let message = format!("line {line}: {what} {spec}");
    let suggestion = match place_volume(context, mount) {
        Some(index) => instead(context, mount, Some(index)),
        None => format!("add nofail to line {line} of {}, or remove the line", mount.path),
    };
    judged.add(mount, Finding::high(code, message).suggest(suggestion));
}

/// The volume that inspection found to belong at the mount point.
fn place_volume(context: &Context<'_>, mount: &Mount) -> Option<usize> {
    let found = context.guest.mounts.iter().find(|m| m.path == mount.entry.mount_point);
    found.map(|found| found.volume)
}

fn instead(context: &Context<'_>, mount: &Mount, volume: Option<usize>) -> String {
    let (line, path) = (mount.entry.line, &mount.path);
    let index = place_volume(context, mount).or(volume);
    let uuid = index.and_then(|i| context.guest.layout.volumes.get(i)?.uuid.as_deref());
    match uuid {
        Some(uuid) => format!("replace the source of line {line} of {path} by UUID={uuid}"),
        None => format!(
            "name the device in line {line} of {path} by UUID=, with nofail if it is not in the image"
        ),
    }
}

/// What is on the volume against what the line says.
fn content(context: &Context<'_>, mount: &Mount, index: usize, judged: &mut Judged) -> Result<()> {
    let entry = &mount.entry;
    let volumes = &context.guest.layout.volumes;
    let Some(volume) = volumes.get(index) else { return Ok(()) };
    let root = volumes.get(context.guest.root_volume);
    let is_root = index == context.guest.root_volume
        || (volume.uuid.is_some() && volume.uuid == root.and_then(|root| root.uuid.clone()));
    if entry.mount_point == "/" && !is_root {
        let message =
            format!("line {}: {} is {}, not the root volume", entry.line, entry.spec, volume.name);
        let uuid = root.and_then(|root| root.uuid.as_deref()).unwrap_or("<of the root>");
        judged.add(
            mount,
            Finding::high("Fstab.RootMismatch", message).suggest(format!(
                "replace the source of line {} of {} by UUID={uuid}",
                entry.line, mount.path
            )),
        );
        return Ok(());
    }
    if let Some(found) = mismatch(&entry.fs_type, volume.content) {
        let message = format!(
            "line {}: {} holds {found} and is to be mounted as {}",
            entry.line, entry.spec, entry.fs_type
        );
        judged.add(
            mount,
            Finding::high("Fstab.TypeMismatch", message).suggest(format!(
                "write {found} as the type in line {} of {}",
                entry.line, mount.path
            )),
        );
        return Ok(());
    }
    subvolume(mount, volume, judged)
}

/// What the volume holds, where it cannot be mounted as `fs_types`.
pub(crate) fn mismatch(fs_types: &str, content: Content) -> Option<&'static str> {
    let generation = |name: &str| match name {
        "ext2" => Some(2),
        "ext3" => Some(3),
        "ext4" => Some(4),
        _ => None,
    };
    let fits = |fs_type: &str| match (fs_type, content) {
        // What kiln does not know it does not judge.
        ("auto", _) | (_, Content::Unknown) => true,
        ("vfat" | "msdos" | "fat", Content::Fat) => true,
        ("ntfs" | "ntfs-3g" | "ntfs3" | "fuseblk", Content::Ntfs) => true,
        ("udf" | "iso9660", Content::Udf | Content::Iso9660) => true,
        ("exfat", Content::ExFat) | ("zfs", Content::Zfs) => true,
        (name, _) => match (generation(name), generation(content.name())) {
            (Some(asked), Some(found)) => asked >= found,
            _ => name == content.name(),
        },
    };
    let is_fuse = |name: &str| name.starts_with("fuse");
    let fits_any = fs_types.split(',').any(|name| is_fuse(name) || fits(name));
    (!fits_any).then(|| content.name())
}

/// `subvol=` and `subvolid=`: btrfs only, and one that exists.
fn subvolume(mount: &Mount, volume: &Volume, judged: &mut Judged) -> Result<()> {
    let entry = &mount.entry;
    let (name, id) = (entry.option("subvol"), entry.option("subvolid"));
    let asked = match (name, id) {
        (Some(name), _) => format!("subvol={name}"),
        (None, Some(id)) => format!("subvolid={id}"),
        (None, None) => return Ok(()),
    };
    let bad = |why: &str| {
        let message = format!("line {}: {asked}, and {} {why}", entry.line, entry.spec);
        Finding::high("Fstab.BadOption", message)
            .suggest(format!("correct the options of line {} of {}", entry.line, mount.path))
    };
    if volume.content != Content::Btrfs {
        judged.add(mount, bad(&format!("holds {}", volume.content.name())));
        return Ok(());
    }
    let subvolumes = volume.open()?.subvolumes()?;
    let is_there = match (name, id) {
        (Some(name), _) => {
            let name = name.trim_matches('/');
            name.is_empty() || subvolumes.iter().any(|found| found.path.trim_matches('/') == name)
        }
        (None, Some(id)) => {
            let id = id.parse::<u64>().ok();
            matches!(id, Some(0 | 5)) || subvolumes.iter().any(|found| Some(found.id) == id)
        }
        (None, None) => true,
    };
    if !is_there {
        judged.add(mount, bad("has no such subvolume"));
    }
    Ok(())
}

fn mount_point(context: &Context<'_>, mount: &Mount, judged: &mut Judged) -> Result<()> {
    let place = &mount.entry.mount_point;
    if !place.starts_with('/') || context.guest.tree.is_dir(place)? {
        return Ok(());
    }
    let (level, what) = match context.has_systemd {
        true => (Level::Medium, "systemd will have to make it"),
        false => (Level::High, "nothing will make it"),
    };
    let message = format!("line {}: there is no directory {place}, and {what}", mount.entry.line);
    judged.add(
        mount,
        Finding::new("Fstab.MountPointMissing", level, message)
            .suggest(format!("make the directory {place}")),
    );
    Ok(())
}
