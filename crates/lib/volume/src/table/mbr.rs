//! The master boot record and the chain of extended boot records.
//!
//! A sector with 55 aa at byte 510 and four 16-byte entries from byte 446: status, first sector in
//! CHS (not read here), type, last sector in CHS, first sector u32, count u32. Sectors have
//! 512 bytes. Logical partitions are a linked list: every extended boot record has one entry for
//! its partition, relative to itself, and one for the next record, relative to the extended
//! partition. Numbering and tolerance follow Linux, block/partitions/msdos.c.

use std::collections::HashSet;

use kiln_disk::{Result, Source};

use super::{MAX_PARTITIONS, Table};
use crate::field::{Fields, read_up_to};
use crate::layout::{NoticeCode, Partition, PartitionType, TableKind};

/// The sector size an MBR is read with.
pub(crate) const SECTOR_BYTES: u32 = 512;
/// A chain of more records is taken for a loop that the image laid out.
const MAX_CHAIN: usize = 128;
const FIRST_LOGICAL: u32 = 5;

/// One entry of an MBR or an extended boot record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Its place in the sector, 1 to 4.
    pub(crate) slot: u32,
    pub(crate) status: u8,
    pub(crate) kind: u8,
    pub(crate) start_sectors: u32,
    pub(crate) n_sectors: u32,
}

impl Entry {
    fn is_empty(&self) -> bool {
        self.kind == 0 || self.n_sectors == 0
    }

    pub(crate) fn is_protective(&self) -> bool {
        self.kind == 0xEE
    }

    fn is_extended(&self) -> bool {
        matches!(self.kind, 0x05 | 0x0F | 0x85)
    }

    /// The partition it describes, with sectors counted from `base_sectors`.
    fn partition(&self, number: u32, base_sectors: u64, disk_id: u32) -> Partition {
        let start_sectors = base_sectors.saturating_add(u64::from(self.start_sectors));
        Partition {
            number,
            start_bytes: start_sectors.saturating_mul(u64::from(SECTOR_BYTES)),
            size_bytes: u64::from(self.n_sectors).saturating_mul(u64::from(SECTOR_BYTES)),
            kind: PartitionType::Mbr(self.kind),
            part_uuid: Some(format!("{disk_id:08x}-{number:02x}")),
            part_label: None,
            bootable: self.status == 0x80,
        }
    }
}

/// A sector that ends in 55 aa.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sector {
    disk_id: u32,
    pub(crate) entries: [Entry; 4],
}

impl Sector {
    /// The four entries of `bytes`. `None`: it does not end in 55 aa.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let fields = Fields(bytes);
        if !fields.has(510, &[0x55, 0xAA]) {
            return None;
        }
        let entry = |slot: u32, at: usize| Entry {
            slot,
            status: fields.u8(at),
            kind: fields.u8(at + 4),
            start_sectors: fields.u32(at + 8),
            n_sectors: fields.u32(at + 12),
        };
        let entries = [entry(1, 446), entry(2, 462), entry(3, 478), entry(4, 494)];
        Some(Self { disk_id: fields.u32(0x1B8), entries })
    }

    /// No entry is in use.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.iter().all(Entry::is_empty)
    }

    /// Whether a GPT is announced.
    pub(crate) fn has_protective(&self) -> bool {
        self.entries.iter().any(Entry::is_protective)
    }

    /// Whether the entries are such as a partitioning tool writes for real partitions: a lone
    /// entry from sector 1 on is a protective one with a changed type.
    pub(crate) fn lists_partitions(&self) -> bool {
        self.implausible().is_none()
            && self.entries.iter().any(|entry| !entry.is_empty() && entry.start_sectors > 1)
    }

    /// Why these entries cannot be a partition table.
    pub(crate) fn implausible(&self) -> Option<String> {
        self.entries.iter().find_map(|entry| {
            if !matches!(entry.status, 0 | 0x80) {
                Some(format!(
                    "entry {} has the status {:#04x}, neither 0x00 nor 0x80",
                    entry.slot, entry.status
                ))
            } else if !entry.is_empty() && entry.start_sectors == 0 {
                Some(format!("entry {} starts at sector 0, which holds the table", entry.slot))
            } else {
                None
            }
        })
    }

    /// The entries beside the protective one, as partitions.
    pub(crate) fn beside_protective(&self) -> Vec<Partition> {
        let listed = |entry: &&Entry| !entry.is_empty() && !entry.is_protective();
        let partition = |entry: &Entry| entry.partition(entry.slot, 0, self.disk_id);
        self.entries.iter().filter(listed).map(partition).collect()
    }
}

/// The first sector of a disk. `None`: it does not end in 55 aa.
pub(crate) fn read(source: &Source) -> Result<Option<Sector>> {
    Ok(Sector::decode(&read_up_to(source, 0, 512)?))
}

/// Whether a partition is the container of the logical ones.
pub(crate) fn is_extended(kind: &PartitionType) -> bool {
    matches!(kind, PartitionType::Mbr(0x05 | 0x0F | 0x85))
}

/// The table that `sector` begins.
pub(crate) fn table(source: &Source, sector: &Sector) -> Table {
    let mut table = Table::new(TableKind::Mbr, SECTOR_BYTES);
    table.disk_id = Some(format!("{:08x}", sector.disk_id));
    let mut next_logical = FIRST_LOGICAL;
    for entry in sector.entries.iter().filter(|entry| !entry.is_empty()) {
        table.partitions.push(entry.partition(entry.slot, 0, sector.disk_id));
        if entry.is_extended() {
            follow_chain(source, sector.disk_id, entry, &mut next_logical, &mut table);
        }
    }
    table
}

/// Add the logical partitions in `extended`.
fn follow_chain(
    source: &Source,
    disk_id: u32,
    extended: &Entry,
    next_logical: &mut u32,
    table: &mut Table,
) {
    let base_sectors = u64::from(extended.start_sectors);
    let mut at_sectors = base_sectors;
    let mut visited = HashSet::new();
    loop {
        if !visited.insert(at_sectors) {
            let message = format!(
                "the chain of extended boot records returns to sector {at_sectors}; the logical \
                 partitions up to there are kept"
            );
            return table.note(NoticeCode::Corrupt, message);
        }
        if visited.len() > MAX_CHAIN || table.partitions.len() >= MAX_PARTITIONS {
            let message =
                format!("more than {MAX_CHAIN} logical partitions; the rest are left out");
            return table.note(NoticeCode::Corrupt, message);
        }
        let at_bytes = at_sectors.saturating_mul(u64::from(SECTOR_BYTES));
        if at_bytes.saturating_add(u64::from(SECTOR_BYTES)) > source.size_bytes() {
            let message = format!(
                "the extended boot record at sector {at_sectors} lies beyond the end of the disk"
            );
            return table.note(NoticeCode::Truncated, message);
        }
        let record = match read_up_to(source, at_bytes, 512) {
            Ok(bytes) => Sector::decode(&bytes),
            Err(error) => {
                let message = format!("an extended boot record cannot be read: {error}");
                return table.note(NoticeCode::Corrupt, message);
            }
        };
        let Some(record) = record else {
            let message =
                format!("the extended boot record at sector {at_sectors} does not end in 55 aa");
            return table.note(NoticeCode::Corrupt, message);
        };
        for entry in record.entries.iter().filter(|e| !e.is_empty() && !e.is_extended()) {
            table.partitions.push(entry.partition(*next_logical, at_sectors, disk_id));
            *next_logical = next_logical.saturating_add(1);
        }
        let next = record.entries.iter().find(|e| e.n_sectors > 0 && e.is_extended());
        let Some(next) = next else { return };
        at_sectors = base_sectors.saturating_add(u64::from(next.start_sectors));
    }
}
