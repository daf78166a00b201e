//! Linux software RAID: members by their superblocks, and mirrors read through one member.
//!
//! Layout: Linux, include/uapi/linux/raid/md_p.h. Version 1.1 has its superblock at the start,
//! 1.2 at 4 KiB, 1.0 near the end, 0.90 in the last whole 64 KiB. A member of a mirror has all of
//! its data; arrays of other levels are named and not read.

use std::collections::BTreeMap;
use std::sync::Arc;

use kiln_disk::{Source, Window};

use crate::field::{Fields, hyphenated, length_u64, read_up_to};
use crate::layout::{Content, Layout, Notice, NoticeCode, Origin};
use crate::scan::add_volume;

const MAGIC: [u8; 4] = 0xA92B_4EFC_u32.to_le_bytes();
const SECTOR_BYTES: u64 = 512;
const MIRROR: i32 = 1;
/// Not yet in sync: its data cannot be trusted.
const FEATURE_RECOVERY: u32 = 2;
/// The kernel's own bound on the table of roles (`MAX_SB_SIZE`).
const MAX_SUPERBLOCK_BYTES: usize = 4096;

/// A member's superblock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Superblock {
    /// The array's UUID, as its bytes are on the disk.
    uuid: [u8; 16],
    /// Version 0.90 counts its UUID in words.
    is_old: bool,
    /// As blkid prints it: with the host's name in front.
    pub(crate) name: Option<String>,
    level: i32,
    n_disks: u32,
    /// Where the array's bytes are on this member.
    data_start: u64,
    data_bytes: u64,
    /// The member with the most events has the newest data.
    n_events: u64,
    in_sync: bool,
    minor: Option<u32>,
}

impl Superblock {
    /// The array's UUID as blkid prints it: like any other.
    pub(crate) fn set_uuid_blkid(&self) -> String {
        hyphenated(self.uuid_bytes(), &[4, 2, 2, 2, 6], "-")
    }

    /// The array's UUID as mdadm prints it.
    fn set_uuid_mdadm(&self) -> String {
        hyphenated(self.uuid_bytes(), &[4, 4, 4, 4], ":")
    }

    fn uuid_bytes(&self) -> [u8; 16] {
        let mut bytes = self.uuid;
        if self.is_old {
            bytes.chunks_mut(4).for_each(<[u8]>::reverse);
        }
        bytes
    }

    /// The device's name, without the host's that created it.
    fn device(&self) -> String {
        let name = self.name.as_deref().map(|name| name.rsplit(':').next().unwrap_or(name));
        match (name.filter(|name| !name.is_empty()), self.minor) {
            (Some(name), _) => format!("/dev/md/{name}"),
            (None, Some(minor)) => format!("/dev/md{minor}"),
            // What udev gives the first array without a name.
            (None, None) => "/dev/md127".to_owned(),
        }
    }

    fn level_name(&self) -> String {
        match self.level {
            -1 => "linear".to_owned(),
            level => format!("raid{level}"),
        }
    }
}

/// The superblock of a RAID member. `None`: `source` is none.
pub(crate) fn superblock(source: &Source) -> Option<Superblock> {
    let sectors = source.size_bytes() / SECTOR_BYTES;
    let near_end = sectors.checked_sub(16).map(|sector| (sector & !7) * SECTOR_BYTES);
    let candidates = [Some(0), Some(4096), near_end];
    if let Some(found) = candidates.into_iter().flatten().find_map(|at| version_1(source, at)) {
        return Some(found);
    }
    let last_64k = (source.size_bytes() & !0xFFFF).checked_sub(64 << 10)?;
    version_0(source, last_64k)
}

fn version_1(source: &Source, at: u64) -> Option<Superblock> {
    let mut bytes = read_up_to(source, at, 256).ok()?;
    let fields = Fields(&bytes);
    if !fields.has(0, &MAGIC) || fields.u32(4) != 1 || fields.u64(144) != at / SECTOR_BYTES {
        return None;
    }
    let n_roles = usize::try_from(fields.u32(220)).ok()?;
    let length = n_roles.checked_mul(2)?.checked_add(256).filter(|&n| n <= MAX_SUPERBLOCK_BYTES)?;
    if n_roles > 0 {
        bytes = read_up_to(source, at, length).ok()?;
    }
    let fields = Fields(&bytes);
    if bytes.len() != length || checksum(&bytes) != fields.u32(216) {
        return None;
    }
    let number = usize::try_from(fields.u32(160)).ok()?;
    let n_disks = fields.u32(92);
    let role = number.checked_mul(2).and_then(|at| at.checked_add(256));
    let is_active = role
        .is_some_and(|at| !fields.slice(at, 2).is_empty() && u32::from(fields.u16(at)) < n_disks);
    Some(Superblock {
        uuid: fields.array(16),
        is_old: false,
        name: fields.text(32, 32),
        level: i32::from_le_bytes(fields.array(72)),
        n_disks,
        data_start: fields.u64(128).checked_mul(SECTOR_BYTES)?,
        data_bytes: fields.u64(80).checked_mul(SECTOR_BYTES)?,
        n_events: fields.u64(200),
        in_sync: is_active && fields.u32(8) & FEATURE_RECOVERY == 0,
        minor: None,
    })
}

/// The sum of the words, the carry added, the checksum itself counted as zero.
fn checksum(superblock: &[u8]) -> u32 {
    let mut sum = 0_u64;
    for (index, word) in superblock.chunks(4).enumerate() {
        if index != 216 / 4 {
            let word = Fields(word);
            let word = if word.0.len() == 4 { word.u32(0) } else { u32::from(word.u16(0)) };
            sum = sum.wrapping_add(u64::from(word));
        }
    }
    let folded = (sum & 0xFFFF_FFFF).wrapping_add(sum >> 32) & 0xFFFF_FFFF;
    u32::try_from(folded).unwrap_or(0)
}

fn version_0(source: &Source, at: u64) -> Option<Superblock> {
    let bytes = read_up_to(source, at, 4096).ok()?;
    let fields = Fields(&bytes);
    let word = |index: usize| fields.u32(index * 4);
    if !fields.has(0, &MAGIC) || word(1) != 0 || word(2) != 90 {
        return None;
    }
    let mut uuid = [0; 16];
    let parts = [word(5), word(13), word(14), word(15)].map(u32::to_le_bytes);
    for (byte, part) in uuid.iter_mut().zip(parts.iter().flatten()) {
        *byte = *part;
    }
    let n_disks = word(10);
    /// This disk is in sync (`MD_DISK_SYNC`).
    const IN_SYNC: u32 = 1 << 2;
    Some(Superblock {
        uuid,
        is_old: true,
        name: None,
        level: i32::from_le_bytes(fields.array(28)),
        n_disks,
        data_start: 0,
        data_bytes: u64::from(word(8)) * 1024,
        n_events: u64::from(word(40)) << 32 | u64::from(word(39)),
        in_sync: word(996) & IN_SYNC != 0,
        minor: Some(word(11)),
    })
}

/// Add the mirrors on the volumes of `layout`, and a notice for every other array.
pub(crate) fn assemble(layout: &mut Layout) {
    let mut arrays: BTreeMap<[u8; 16], Vec<(usize, Superblock)>> = BTreeMap::new();
    for (index, volume) in layout.volumes.iter().enumerate() {
        if volume.content == Content::RaidMember
            && let Some(member) = superblock(&volume.source)
        {
            arrays.entry(member.uuid).or_default().push((index, member));
        }
    }
    let mut arrays: Vec<_> = arrays.into_values().collect();
    arrays.sort_by_key(|members| members.first().map(|(index, _)| *index));
    for members in arrays {
        add_array(layout, &members);
    }
}

fn add_array(layout: &mut Layout, members: &[(usize, Superblock)]) {
    let newest = members.iter().filter(|(_, m)| m.in_sync).max_by_key(|(_, m)| m.n_events);
    let Some((index, member)) = newest.or(members.first()) else { return };
    let device = unused_name(layout, member.device());
    let have = format!(
        "{device} ({}): {} of {} members are here",
        member.level_name(),
        members.len(),
        member.n_disks
    );
    if member.level != MIRROR {
        let message = format!("{have}; kiln reads arrays of level 1 only");
        return layout.notices.push(Notice::new(NoticeCode::RaidIncomplete, message));
    }
    if !member.in_sync {
        let message = format!("{have}, none of them in sync");
        return layout.notices.push(Notice::new(NoticeCode::RaidIncomplete, message));
    }
    if length_u64(members.len()) < u64::from(member.n_disks) {
        let message = format!("{have}; read through one of them");
        layout.notices.push(Notice::new(NoticeCode::Info, message));
    }
    let Some(volume) = layout.volumes.get(*index) else { return };
    let available = volume.source.size_bytes().saturating_sub(member.data_start);
    let size_bytes = member.data_bytes.min(available);
    if size_bytes < member.data_bytes {
        let message = format!(
            "{device} has {} bytes, of which its member {} has {size_bytes}",
            member.data_bytes, volume.name
        );
        layout.notices.push(Notice::new(NoticeCode::Truncated, message));
    }
    let start = member.data_start.min(volume.source.size_bytes());
    let Ok(window) = Window::new(Arc::clone(&volume.source), start, size_bytes) else { return };
    let on = members.iter().map(|(index, _)| *index).collect();
    let origin = Origin::Md { uuid: member.set_uuid_mdadm(), on };
    add_volume(layout, device, origin, Arc::new(window));
}

/// Two arrays may have the same name; udev gives the second one a suffix as well.
fn unused_name(layout: &Layout, name: String) -> String {
    let is_used = |name: &str| layout.volumes.iter().any(|volume| volume.name == name);
    if !is_used(&name) {
        return name;
    }
    (0..u32::MAX).map(|n| format!("{name}_{n}")).find(|name| !is_used(name)).unwrap_or(name)
}
