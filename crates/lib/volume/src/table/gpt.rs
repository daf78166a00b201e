//! The GUID partition table: a header with a checksum in sector 1, a copy of it in the last
//! sector, and an array of entries for each.
//!
//! Layout: UEFI specification, "GPT Disk Layout". The copy is used where the first one is broken.
//! Sectors have 512 or 4096 bytes, which the table does not say: it is where its header is found.

use kiln_disk::{Error, Kind, Result, Source};

use super::{MAX_PARTITIONS, Table, mbr};
use crate::field::{Fields, hyphenated, length_u64, read_up_to};
use crate::layout::{NoticeCode, Partition, PartitionType, TableKind};

const MAGIC: &[u8; 8] = b"EFI PART";
const MIN_HEADER_BYTES: u32 = 92;
const SECTOR_SIZES: [u32; 2] = [512, 4096];
/// Entries have 128 bytes everywhere; the specification allows 128 × 2^n.
const MAX_ENTRY_BYTES: u32 = 4096;
/// The usual array has 16 KiB. Nobody writes a larger one than this but to make a reader allocate.
const MAX_ARRAY_BYTES: u64 = 256 << 10;

/// One of the two tables, checksums verified.
#[derive(Debug)]
struct Gpt {
    sector_bytes: u32,
    alternate_lba: u64,
    disk_guid: String,
    n_entries: u64,
    entry_bytes: usize,
    entries: Vec<u8>,
}

/// A header that was refused, with where it says its copy is, if it could be read that far.
struct Refused {
    error: Error,
    alternate_lba: Option<u64>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, alternate_lba: None }
    }
}

/// The GPT of a disk. `None`: it has none, or the remains of one that Linux does not look at.
pub(crate) fn read(source: &Source, mbr: Option<&mbr::Sector>) -> Option<Table> {
    let protective = mbr.is_some_and(mbr::Sector::has_protective);
    for sector_bytes in SECTOR_SIZES {
        match read_at(source, sector_bytes, 1) {
            Ok(primary) => return from_primary(source, &primary, mbr),
            Err(refused) if refused.error.kind() == Kind::OtherFormat => {}
            Err(refused) => return from_backup(source, &[sector_bytes], &refused, mbr),
        }
    }
    if !protective {
        return None;
    }
    let error = Error::corrupt("sector 1 does not start with EFI PART");
    from_backup(source, &SECTOR_SIZES, &Refused::from(error), mbr)
}

/// Whether a primary GPT, sound or not, is on the disk.
pub(crate) fn has_magic(source: &Source) -> bool {
    let starts = |at: u32| read_up_to(source, u64::from(at), MAGIC.len());
    SECTOR_SIZES.into_iter().any(|at| starts(at).is_ok_and(|bytes| bytes == MAGIC))
}

fn from_primary(source: &Source, primary: &Gpt, mbr: Option<&mbr::Sector>) -> Option<Table> {
    let mut table = to_table(primary, mbr)?;
    let last_lba = last_lba(source, primary.sector_bytes);
    let alternate = primary.alternate_lba;
    if alternate > last_lba {
        let message = format!(
            "the GPT has its backup in sector {alternate} and the disk ends with sector {last_lba}"
        );
        table.note(NoticeCode::Truncated, message);
    } else if alternate < last_lba {
        let message = format!(
            "the backup GPT is in sector {alternate} and the disk ends with sector {last_lba}"
        );
        table.note(NoticeCode::GptBackupMisplaced, message);
    } else if let Err(refused) = read_at(source, primary.sector_bytes, alternate) {
        let message = format!("the last sector holds no sound backup GPT: {}", refused.error);
        table.note(NoticeCode::GptBackupMisplaced, message);
    }
    Some(table)
}

/// The primary table was refused: the copy in the last sector, or where the primary says it is.
fn from_backup(
    source: &Source,
    sector_sizes: &[u32],
    refused: &Refused,
    mbr: Option<&mbr::Sector>,
) -> Option<Table> {
    for &sector_bytes in sector_sizes {
        let last = last_lba(source, sector_bytes);
        let elsewhere = refused.alternate_lba.filter(|&lba| lba < last);
        for lba in std::iter::once(last).chain(elsewhere) {
            let Ok(backup) = read_at(source, sector_bytes, lba) else { continue };
            let mut table = to_table(&backup, mbr)?;
            let message = format!(
                "the primary GPT is broken and the backup in sector {lba} was used: {}",
                refused.error
            );
            table.note(NoticeCode::GptPrimaryCorrupt, message);
            if lba < last {
                let message = format!(
                    "the backup GPT is in sector {lba} and the disk ends with sector {last}"
                );
                table.note(NoticeCode::GptBackupMisplaced, message);
            }
            return Some(table);
        }
    }
    if mbr.is_some_and(mbr::Sector::lists_partitions) && !mbr?.has_protective() {
        return None; // remains of an older table: Linux reads the MBR
    }
    let sector_bytes = sector_sizes.first().copied().unwrap_or(512);
    let mut table = Table::new(TableKind::Gpt, sector_bytes);
    let message = format!("both copies of the GPT are broken: {}", refused.error);
    table.note(NoticeCode::Corrupt, message);
    Some(table)
}

fn last_lba(source: &Source, sector_bytes: u32) -> u64 {
    (source.size_bytes() / u64::from(sector_bytes)).saturating_sub(1)
}

/// Read and verify the table whose header is in sector `lba`.
fn read_at(source: &Source, sector_bytes: u32, lba: u64) -> Result<Gpt, Refused> {
    let at = lba.saturating_mul(u64::from(sector_bytes));
    let sector = read_up_to(source, at, usize::try_from(sector_bytes).unwrap_or(512))?;
    let fields = Fields(&sector);
    if !fields.has(0, MAGIC) {
        return Err(Error::new(Kind::OtherFormat, "the sector does not start with EFI PART")
            .at(at)
            .into());
    }
    verify_header(fields, sector_bytes).map_err(|error| error.at(at))?;
    let alternate_lba = fields.u64(32);
    let refuse = |error: Error| Refused { error, alternate_lba: Some(alternate_lba) };
    if fields.u64(24) != lba {
        let message = format!("the GPT header in sector {lba} says sector {}", fields.u64(24));
        return Err(refuse(Error::corrupt(message).at(at)));
    }
    let (n_entries, entry_bytes) = (fields.u32(80), fields.u32(84));
    let entries = read_entries(source, sector_bytes, fields).map_err(refuse)?;
    Ok(Gpt {
        sector_bytes,
        alternate_lba,
        disk_guid: guid(fields.array(56)),
        n_entries: u64::from(n_entries),
        entry_bytes: usize::try_from(entry_bytes).unwrap_or(usize::MAX),
        entries,
    })
}

fn verify_header(fields: Fields<'_>, sector_bytes: u32) -> Result<()> {
    let header_bytes = fields.u32(12);
    if !(MIN_HEADER_BYTES..=sector_bytes).contains(&header_bytes) {
        return Err(Error::corrupt(format!(
            "a GPT header of {header_bytes} bytes is outside {MIN_HEADER_BYTES}..={sector_bytes}"
        )));
    }
    let header = fields.slice(0, usize::try_from(header_bytes).unwrap_or(0));
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header.get(..16).unwrap_or(&[]));
    hasher.update(&[0; 4]); // the checksum counts as zero in itself
    hasher.update(header.get(20..).unwrap_or(&[]));
    let (computed, stored) = (hasher.finalize(), fields.u32(16));
    // The fuzzer cannot guess checksums, so they do not count in its build.
    if computed != stored && !cfg!(fuzzing) {
        return Err(Error::corrupt(format!(
            "the GPT header has the checksum {computed:08x} and says {stored:08x}"
        )));
    }
    Ok(())
}

fn read_entries(source: &Source, sector_bytes: u32, header: Fields<'_>) -> Result<Vec<u8>> {
    let (n_entries, entry_bytes) = (header.u32(80), header.u32(84));
    if !(128..=MAX_ENTRY_BYTES).contains(&entry_bytes) || !entry_bytes.is_power_of_two() {
        return Err(Error::corrupt(format!(
            "GPT entries of {entry_bytes} bytes; they have 128, or a power of two up to \
             {MAX_ENTRY_BYTES}"
        )));
    }
    let length = u64::from(n_entries).saturating_mul(u64::from(entry_bytes));
    if length > MAX_ARRAY_BYTES {
        return Err(Error::corrupt(format!(
            "a GPT of {n_entries} entries of {entry_bytes} bytes is larger than the \
             {MAX_ARRAY_BYTES} bytes that kiln reads"
        )));
    }
    let at = header.u64(72).saturating_mul(u64::from(sector_bytes));
    let entries = read_up_to(source, at, usize::try_from(length).unwrap_or(0))?;
    if length_u64(entries.len()) < length {
        return Err(Error::corrupt("the GPT entries reach beyond the end of the disk").at(at));
    }
    let (computed, stored) = (crc32fast::hash(&entries), header.u32(88));
    if computed != stored && !cfg!(fuzzing) {
        return Err(Error::corrupt(format!(
            "the GPT entries have the checksum {computed:08x} and the header says {stored:08x}"
        ))
        .at(at));
    }
    Ok(entries)
}

/// The table in kiln's words. `None`: these are the remains of an older GPT, and the MBR counts.
fn to_table(gpt: &Gpt, mbr: Option<&mbr::Sector>) -> Option<Table> {
    let mut table = Table::new(TableKind::Gpt, gpt.sector_bytes);
    table.disk_id = Some(gpt.disk_guid.clone());
    match mbr {
        Some(sector) if sector.has_protective() => {
            table.hybrid_entries = sector.beside_protective();
            if !table.hybrid_entries.is_empty() {
                table.kind = TableKind::HybridGpt;
            }
        }
        Some(sector) if sector.lists_partitions() => return None,
        _ => table.note(
            NoticeCode::NoProtectiveMbr,
            "a GPT without an entry of type 0xee in the MBR: Linux does not look for it",
        ),
    }
    let mut left_out = 0_u64;
    for (entry, number) in gpt.entries.chunks(gpt.entry_bytes.max(1)).zip(1_u32..) {
        let Some(parsed) = partition(gpt, Fields(entry), number) else { continue };
        match parsed {
            Ok(_) if table.partitions.len() >= MAX_PARTITIONS => {
                left_out = left_out.saturating_add(1);
            }
            Ok(partition) => table.partitions.push(partition),
            Err(error) => table.note(NoticeCode::Corrupt, error.to_string()),
        }
    }
    if left_out > 0 {
        let message = format!(
            "{left_out} of the {} GPT entries are beyond the {MAX_PARTITIONS} that Linux uses",
            gpt.n_entries
        );
        table.note(NoticeCode::Info, message);
    }
    Some(table)
}

/// One entry. `None`: not in use.
fn partition(gpt: &Gpt, entry: Fields<'_>, number: u32) -> Option<Result<Partition>> {
    let kind: [u8; 16] = entry.array(0);
    if kind == [0; 16] {
        return None;
    }
    let (first, last) = (entry.u64(32), entry.u64(40));
    let sector_bytes = u64::from(gpt.sector_bytes);
    let size = last.checked_sub(first).and_then(|n| n.checked_add(1)?.checked_mul(sector_bytes));
    let (Some(size_bytes), Some(start_bytes)) = (size, first.checked_mul(sector_bytes)) else {
        return Some(Err(Error::corrupt(format!(
            "GPT entry {number} reaches from sector {first} to sector {last} and is left out"
        ))));
    };
    let units: Vec<u16> =
        (56..128).step_by(2).map(|at| entry.u16(at)).take_while(|&unit| unit != 0).collect();
    Some(Ok(Partition {
        number,
        start_bytes,
        size_bytes,
        kind: PartitionType::Gpt(guid(kind)),
        part_uuid: Some(guid(entry.array(16))),
        part_label: (!units.is_empty()).then(|| String::from_utf16_lossy(&units)),
        bootable: entry.u64(48) & 4 != 0,
    }))
}

/// A GUID in its usual form: the first three groups are little-endian on the disk.
fn guid(bytes: [u8; 16]) -> String {
    let [a, b, c, d, e, f, g, h, rest @ ..] = bytes;
    let [i, j, k, l, m, n, o, p] = rest;
    hyphenated([d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p], &[4, 2, 2, 2, 6], "-")
}
