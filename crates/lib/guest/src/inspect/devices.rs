//! Which volume a device name means, the way the guest would find it: by UUID, by label, by mapper
//! name, and kernel names by position.

use kiln_volume::{Content, Layout, Origin, Partition};

/// What a device name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// Index into [`Layout::volumes`].
    Volume(usize),
    /// A name by identity (UUID, label, logical volume) that no attached volume has.
    Absent,
    /// A name that depends on how the disk is attached.
    KernelName {
        /// The volume it means if the disks are attached in the order given.
        volume: Option<usize>,
        /// Whether the name itself can stay: the platform's own names (`vda1`, `nvme0n1p1`), and
        /// identities that kiln cannot tie to a volume (`dm-uuid-LVM-...`). Others (`sda1`, `hda1`,
        /// `by-path`) do not exist on the platform.
        stable: bool,
    },
    /// Not a device: `tmpfs`, `proc`, a directory to bind, a network share.
    NotADevice,
}

impl Resolved {
    /// The volume, however it was named.
    pub(crate) fn volume(self) -> Option<usize> {
        match self {
            Self::Volume(index) => Some(index),
            Self::KernelName { volume, .. } => volume,
            Self::Absent | Self::NotADevice => None,
        }
    }
}

/// The volume that `spec` names, in the notation of fstab and of `root=`.
pub(crate) fn resolve_device(layout: &Layout, spec: &str) -> Resolved {
    let spec = spec.trim();
    if let Some((tag, value)) = spec.split_once('=')
        && let Some(found) = by_tag(layout, tag, value.trim_matches(['"', '\'']))
    {
        return found;
    }
    let Some(name) = spec.strip_prefix("/dev/") else { return Resolved::NotADevice };
    if let Some(link) = name.strip_prefix("disk/") {
        return by_link(layout, link);
    }
    if let Some(volume) = by_own_name(layout, spec).or_else(|| mapped(layout, name)) {
        return Resolved::Volume(volume);
    }
    if let Some(found) = kernel_name(layout, name) {
        return found;
    }
    if is_pseudo_device(name) { Resolved::NotADevice } else { Resolved::Absent }
}

fn or_absent(volume: Option<usize>) -> Resolved {
    volume.map_or(Resolved::Absent, Resolved::Volume)
}

fn by_tag(layout: &Layout, tag: &str, value: &str) -> Option<Resolved> {
    let found = match tag.to_ascii_uppercase().as_str() {
        "UUID" => by_uuid(layout, value),
        "LABEL" => by_label(layout, value),
        "PARTUUID" => by_part_uuid(layout, value),
        "PARTLABEL" => by_part_label(layout, value),
        _ => return None,
    };
    Some(or_absent(found))
}

fn by_link(layout: &Layout, link: &str) -> Resolved {
    let Some((kind, value)) = link.split_once('/') else { return Resolved::Absent };
    let value = decode_udev(value);
    match kind {
        "by-uuid" => or_absent(by_uuid(layout, &value)),
        "by-label" => or_absent(by_label(layout, &value)),
        "by-partuuid" => or_absent(by_part_uuid(layout, &value)),
        "by-partlabel" => or_absent(by_part_label(layout, &value)),
        "by-id" => by_id(layout, &value),
        _ => Resolved::KernelName { volume: None, stable: false },
    }
}

fn by_id(layout: &Layout, value: &str) -> Resolved {
    if let Some(name) = value.strip_prefix("dm-name-") {
        return or_absent(mapped(layout, &format!("mapper/{name}")));
    }
    if let Some(uuid) = value.strip_prefix("md-uuid-") {
        return or_absent(by_array_uuid(layout, uuid));
    }
    let stable = value.starts_with("dm-uuid-LVM-") || value.starts_with("lvm-pv-uuid-");
    Resolved::KernelName { volume: None, stable }
}

/// The filesystem with that UUID. Members of a volume group or an array have UUIDs of their own
/// under which nothing can be mounted.
pub(crate) fn by_uuid(layout: &Layout, uuid: &str) -> Option<usize> {
    find(layout, |volume| {
        volume.uuid.as_deref().is_some_and(|have| have.eq_ignore_ascii_case(uuid))
    })
}

/// The filesystem with that label; labels differ by case.
pub(crate) fn by_label(layout: &Layout, label: &str) -> Option<usize> {
    find(layout, |volume| volume.label.as_deref() == Some(label))
}

fn find(layout: &Layout, is_it: impl Fn(&kiln_volume::Volume) -> bool) -> Option<usize> {
    layout.volumes.iter().position(|volume| {
        !matches!(volume.content, Content::LvmPhysicalVolume | Content::RaidMember) && is_it(volume)
    })
}

fn by_part_uuid(layout: &Layout, value: &str) -> Option<usize> {
    let (uuid, offset) = match value.split_once("/PARTNROFF=") {
        Some((uuid, offset)) => (uuid, offset.parse::<i64>().ok()?),
        None => (value, 0),
    };
    let is_it = |partition: &Partition| {
        partition.part_uuid.as_deref().is_some_and(|have| have.eq_ignore_ascii_case(uuid))
    };
    let (disk, number) = partition_where(layout, is_it)?;
    let number = u32::try_from(i64::from(number).checked_add(offset)?).ok()?;
    partition_volume(layout, disk, number)
}

fn by_part_label(layout: &Layout, label: &str) -> Option<usize> {
    let (disk, number) = partition_where(layout, |p| p.part_label.as_deref() == Some(label))?;
    partition_volume(layout, disk, number)
}

fn partition_where(layout: &Layout, is_it: impl Fn(&Partition) -> bool) -> Option<(usize, u32)> {
    layout.disks.iter().enumerate().find_map(|(disk, found)| {
        found.partitions.iter().find(|partition| is_it(partition)).map(|p| (disk, p.number))
    })
}

/// The volume that is partition `number` of `disk`.
pub(crate) fn partition_volume(layout: &Layout, disk: usize, number: u32) -> Option<usize> {
    let wanted = Origin::Partition { disk, number };
    layout.volumes.iter().position(|volume| volume.origin == wanted)
}

/// The partition that volume `index` is, with the disk it is on.
pub(crate) fn partition_of(layout: &Layout, index: usize) -> Option<(usize, &Partition)> {
    let Origin::Partition { disk, number } = layout.volumes.get(index)?.origin else { return None };
    let partitions = &layout.disks.get(disk)?.partitions;
    partitions.iter().find(|partition| partition.number == number).map(|found| (disk, found))
}

/// The name of volume `index` that stays the same however the disk is attached: that of a logical
/// volume, else the UUID of what is on it, where no other volume has the same, else that of the
/// partition.
pub(crate) fn lasting_name(layout: &Layout, index: usize) -> Option<String> {
    let volume = layout.volumes.get(index)?;
    if let Origin::Lvm { vg, lv, .. } = &volume.origin {
        return Some(format!("/dev/mapper/{}", mapper_name(vg, lv)));
    }
    let is_its_own = |uuid: &&str| by_uuid(layout, uuid) == Some(index);
    if let Some(uuid) = volume.uuid.as_deref().filter(is_its_own) {
        return Some(format!("UUID={uuid}"));
    }
    partition_name(layout, index)
}

/// `PARTUUID=...` of the partition that volume `index` is.
pub(crate) fn partition_name(layout: &Layout, index: usize) -> Option<String> {
    let (_, partition) = partition_of(layout, index)?;
    Some(format!("PARTUUID={}", partition.part_uuid.as_deref()?))
}

fn mapper_name(vg: &str, lv: &str) -> String {
    format!("{}-{}", vg.replace('-', "--"), lv.replace('-', "--"))
}

fn by_array_uuid(layout: &Layout, uuid: &str) -> Option<usize> {
    let plain = |text: &str| text.replace([':', '-'], "").to_ascii_lowercase();
    layout.volumes.iter().position(
        |volume| matches!(&volume.origin, Origin::Md { uuid: have, .. } if plain(have) == plain(uuid)),
    )
}

fn by_own_name(layout: &Layout, spec: &str) -> Option<usize> {
    layout.volumes.iter().position(|volume| volume.name == spec)
}

/// Logical volumes (`vg/lv`, `mapper/vg-lv`) and arrays (`md0`, `md/name`).
fn mapped(layout: &Layout, name: &str) -> Option<usize> {
    let is_lv = |volume: &kiln_volume::Volume| match &volume.origin {
        Origin::Lvm { vg, lv, .. } => {
            let mapper = format!("mapper/{}", mapper_name(vg, lv));
            name == mapper || name == format!("{vg}/{lv}")
        }
        _ => false,
    };
    if let Some(found) = layout.volumes.iter().position(is_lv) {
        return Some(found);
    }
    // The number of an array is given when it is assembled: with one array there is no doubt.
    let is_array_number = name
        .strip_prefix("md")
        .is_some_and(|rest| rest.starts_with('/') || rest.bytes().all(|b| b.is_ascii_digit()));
    let mut arrays = layout
        .volumes
        .iter()
        .enumerate()
        .filter(|(_, volume)| matches!(volume.origin, Origin::Md { .. }))
        .map(|(index, _)| index);
    let only = arrays.next().filter(|_| arrays.next().is_none());
    only.filter(|_| is_array_number)
}

/// `sda1`, `xvdb`, `vda2`, `nvme0n1p1`, `mmcblk0p1`: letter or number is the disk, then the
/// partition.
fn kernel_name(layout: &Layout, name: &str) -> Option<Resolved> {
    for (prefix, stable) in [("sd", false), ("hd", false), ("xvd", false), ("vd", true)] {
        let Some(rest) = name.strip_prefix(prefix) else { continue };
        let letters = rest.bytes().take_while(u8::is_ascii_lowercase).count();
        let (letters, number) = rest.split_at_checked(letters)?;
        if letters.is_empty() || letters.len() > 3 {
            continue;
        }
        let number = if number.is_empty() { None } else { Some(number.parse::<u32>().ok()?) };
        let disk = letters
            .bytes()
            .fold(0usize, |disk, letter| disk * 26 + usize::from(letter - b'a') + 1)
            .checked_sub(1)?;
        return Some(Resolved::KernelName { volume: on_disk(layout, disk, number), stable });
    }
    for (prefix, stable) in [("nvme", true), ("mmcblk", false), ("cciss/c0d", false)] {
        let Some(rest) = name.strip_prefix(prefix) else { continue };
        let (disk, number) = match rest.split_once('p') {
            Some((disk, number)) => (disk, Some(number.parse::<u32>().ok()?)),
            None => (rest, None),
        };
        let disk = disk.split('n').next()?.parse::<usize>().ok()?;
        return Some(Resolved::KernelName { volume: on_disk(layout, disk, number), stable });
    }
    name.starts_with("cciss/").then_some(Resolved::KernelName { volume: None, stable: false })
}

fn on_disk(layout: &Layout, disk: usize, number: Option<u32>) -> Option<usize> {
    match number {
        Some(number) => partition_volume(layout, disk, number),
        None => layout.volumes.iter().position(|volume| volume.origin == Origin::Disk(disk)),
    }
}

/// Devices that are not disks, or that are made at run time.
fn is_pseudo_device(name: &str) -> bool {
    ["loop", "zram", "ram", "sr", "cdrom", "dvd", "fd", "shm", "pts", "mqueue", "hugepages", "zvol"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// udev writes blanks and slashes of a label as `\x20`.
fn decode_udev(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'\\'
            && let Some([b'x', digits @ ..]) = tail.get(..3)
            && let Ok(digits) = std::str::from_utf8(digits)
            && let Ok(value) = u8::from_str_radix(digits, 16)
        {
            out.push(value);
            rest = tail.get(3..).unwrap_or_default();
        } else {
            out.push(byte);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Disk, UUID_BOOT, UUID_ROOT};
    use kiln_volume::MemFs;

    fn layout() -> Layout {
        let mut disk = Disk::gpt();
        disk.esp(MemFs::new());
        disk.partition(MemFs::new(), UUID_BOOT, "boot disk");
        disk.physical_volume("Zx1abc-pv");
        disk.logical_volume("vg-0", "root", MemFs::new(), UUID_ROOT);
        disk.build()
    }

    #[test]
    fn names_by_identity_find_their_volume() {
        let layout = layout();
        let upper = UUID_BOOT.to_uppercase();
        for (spec, index) in [
            (format!("UUID={UUID_ROOT}"), 3),
            (format!("UUID=\"{upper}\""), 1),
            ("LABEL=boot disk".into(), 1),
            (r"/dev/disk/by-label/boot\x20disk".into(), 1),
            (format!("/dev/disk/by-uuid/{UUID_BOOT}"), 1),
            ("PARTUUID=00000000-0000-4000-8000-000000000002".into(), 1),
            ("PARTUUID=00000000-0000-4000-8000-000000000001/PARTNROFF=1".into(), 1),
            ("PARTLABEL=p2".into(), 1),
            ("/dev/mapper/vg--0-root".into(), 3),
            ("/dev/vg-0/root".into(), 3),
            ("/dev/disk/by-id/dm-name-vg--0-root".into(), 3),
        ] {
            assert_eq!(resolve_device(&layout, &spec), Resolved::Volume(index), "{spec}");
        }
    }

    #[test]
    fn names_that_last_find_the_volume_again() {
        let mut layout = layout();
        for (index, name) in [
            (0, "UUID=8F1C-22AB"),
            (1, &format!("UUID={UUID_BOOT}")),
            (3, "/dev/mapper/vg--0-root"),
        ] {
            assert_eq!(lasting_name(&layout, index).as_deref(), Some(name));
            assert_eq!(resolve_device(&layout, name), Resolved::Volume(index));
        }
        layout.volumes[1].uuid = Some("8F1C-22AB".into());
        let part = "PARTUUID=00000000-0000-4000-8000-000000000002";
        assert_eq!(lasting_name(&layout, 1).as_deref(), Some(part), "a copied UUID tells nothing");
        assert_eq!(lasting_name(&layout, 9), None);
    }

    #[test]
    fn what_the_image_lacks_is_absent() {
        let layout = layout();
        for spec in [
            "UUID=dead-beef",
            "UUID=Zx1abc-pv", // of the physical volume: nothing to mount
            "LABEL=BOOT DISK",
            "/dev/vg-0/home",
            "/dev/mapper/vg-0-root",
            "/dev/md0",
        ] {
            assert_eq!(resolve_device(&layout, spec), Resolved::Absent, "{spec}");
        }
    }

    #[test]
    fn kernel_names_are_resolved_by_position() {
        let layout = layout();
        for (spec, volume, stable) in [
            ("/dev/sda2", Some(1), false),
            ("/dev/xvda1", Some(0), false),
            ("/dev/vda2", Some(1), true),
            ("/dev/nvme0n1p2", Some(1), true),
            ("/dev/vdb1", None, true),
            ("/dev/sda9", None, false),
            ("/dev/disk/by-path/pci-0000:00:05.0-part1", None, false),
            ("/dev/disk/by-id/ata-QEMU_HARDDISK", None, false),
            ("/dev/disk/by-id/dm-uuid-LVM-abc", None, true),
            ("/dev/cciss/c0d0p2", Some(1), false),
        ] {
            let expected = Resolved::KernelName { volume, stable };
            assert_eq!(resolve_device(&layout, spec), expected, "{spec}");
        }
        for spec in ["tmpfs", "proc", "host:/share", "/srv/a", "/dev/sr0", ""] {
            assert_eq!(resolve_device(&layout, spec), Resolved::NotADevice, "{spec}");
        }
    }
}
