//! Partition tables: which one a disk has, and what it lists.

use kiln_disk::Source;

use crate::layout::{Notice, NoticeCode, Partition, PartitionType, TableKind};
use crate::signature::{self, Signature};

pub(crate) mod gpt;
pub(crate) mod mbr;

/// As many partitions as Linux gives one disk (`DISK_MAX_PARTS`).
pub(crate) const MAX_PARTITIONS: usize = 256;

/// What a partition table says.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) kind: TableKind,
    pub(crate) sector_bytes: u32,
    pub(crate) disk_id: Option<String>,
    pub(crate) partitions: Vec<Partition>,
    pub(crate) hybrid_entries: Vec<Partition>,
    pub(crate) notices: Vec<Notice>,
}

impl Table {
    pub(crate) fn new(kind: TableKind, sector_bytes: u32) -> Self {
        Self {
            kind,
            sector_bytes,
            disk_id: None,
            partitions: Vec::new(),
            hybrid_entries: Vec::new(),
            notices: Vec::new(),
        }
    }

    pub(crate) fn note(&mut self, code: NoticeCode, message: impl Into<String>) {
        self.notices.push(Notice::new(code, message));
    }
}

/// The partition table of a disk. Never fails: what is wrong is in the notices.
///
/// The order of the questions matters. An isohybrid image has an MBR and a GPT beside its ISO 9660
/// filesystem and is an ISO first; a FAT or NTFS boot sector ends in 55 aa as an MBR does.
pub(crate) fn read(source: &Source) -> Table {
    if signature::iso9660(source).is_some() {
        return Table::new(TableKind::None, mbr::SECTOR_BYTES);
    }
    let sector = match mbr::read(source) {
        Ok(sector) => sector,
        Err(error) => {
            let mut table = Table::new(TableKind::None, mbr::SECTOR_BYTES);
            table.note(NoticeCode::Corrupt, format!("the first sector cannot be read: {error}"));
            return table;
        }
    };
    let mut table = match gpt::read(source, sector.as_ref()) {
        Some(table) => table,
        None => match &sector {
            Some(sector) => {
                let mut table = mbr_or_content(source, sector);
                if table.kind == TableKind::Mbr && gpt::has_magic(source) {
                    table.note(
                        NoticeCode::Info,
                        "a GPT is there too, but the MBR has partitions and no entry of type 0xee: \
                         Linux reads the MBR",
                    );
                }
                table
            }
            None => Table::new(TableKind::None, mbr::SECTOR_BYTES),
        },
    };
    judge(&mut table, source.size_bytes());
    table
}

/// A sector that ends in 55 aa: a table, or the boot sector of a filesystem without a table.
fn mbr_or_content(source: &Source, sector: &mbr::Sector) -> Table {
    let implausible = sector.implausible();
    if implausible.is_none() && !sector.is_empty() {
        return mbr::table(source, sector);
    }
    let whole: Signature = signature::probe(source);
    if whole.is_known() {
        return Table::new(TableKind::None, mbr::SECTOR_BYTES);
    }
    match implausible {
        None => mbr::table(source, sector),
        // Linux refuses the whole table too.
        Some(why) => {
            let mut table = Table::new(TableKind::None, mbr::SECTOR_BYTES);
            table.note(
                NoticeCode::Corrupt,
                format!("the first sector ends in 55 aa and is no partition table: {why}"),
            );
            table
        }
    }
}

/// What holds for every kind of table: partitions by start, inside the disk, apart from each other.
fn judge(table: &mut Table, disk_bytes: u64) {
    table.partitions.sort_by_key(|partition| (partition.start_bytes, partition.number));
    let mut notices = Vec::new();
    let mut reach: Option<(u64, u32)> = None;
    for partition in &table.partitions {
        let end = partition.start_bytes.saturating_add(partition.size_bytes);
        if end > disk_bytes {
            let message = format!(
                "partition {} ends at byte {end} and the disk at byte {disk_bytes}",
                partition.number
            );
            notices.push(Notice::new(NoticeCode::Truncated, message));
        }
        if is_dynamic(&partition.kind) {
            let message = format!("partition {} is part of a dynamic disk", partition.number);
            notices.push(Notice::new(NoticeCode::DynamicDisk, message));
        }
        if mbr::is_extended(&partition.kind) {
            continue; // holds the logical ones
        }
        if let Some((reached, by)) = reach
            && partition.start_bytes < reached
        {
            let message = format!(
                "partition {} starts at byte {}, inside partition {by}, which ends at byte {reached}",
                partition.number, partition.start_bytes
            );
            notices.push(Notice::new(NoticeCode::Corrupt, message));
        }
        if reach.is_none_or(|(reached, _)| end > reached) {
            reach = Some((end, partition.number));
        }
    }
    table.notices.append(&mut notices);
}

/// Partitions of the Windows logical disk manager: MBR type 42, GPT metadata and data types.
fn is_dynamic(kind: &PartitionType) -> bool {
    match kind {
        PartitionType::Mbr(kind) => *kind == 0x42,
        PartitionType::Gpt(guid) => {
            guid == "af9b60a0-1431-4f62-bc68-3311714a69ad"
                || guid == "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3"
        }
    }
}
