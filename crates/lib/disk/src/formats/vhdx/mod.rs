//! VHDX, fixed and dynamic: Hyper-V.
//!
//! ```text
//! 0        file identifier            64 KiB   header 1      128 KiB  header 2
//! 192 KiB  region table 1             256 KiB  region table 2
//! anywhere log, metadata region, block allocation table, payload blocks
//! ```

mod header;
mod log;
mod overlay;

use std::sync::Arc;

use super::{Decoded, Opening, check_virtual_size, refuse};
use crate::cache::{Cursor, Pages};
use crate::fields::{length_u64, length_usize, place};
use crate::image::Format;
use crate::mapped::{Mapped, Mapping, Run, Target};
use crate::unpack::Codec;
use crate::{Error, Result, Source};
use header::{HEADER_BYTES, Header, HeaderError, Metadata, REGION_TABLE_BYTES, Region, Regions};
use overlay::Overlay;

const HEADERS_AT: [u64; 2] = [64 << 10, 128 << 10];
const REGION_TABLES_AT: [u64; 2] = [192 << 10, 256 << 10];
const MIB: u64 = 1 << 20;

/// Open a VHDX file.
pub(super) fn open(opening: &Opening) -> Result<Decoded> {
    let head = opening.head(8)?;
    if head != b"vhdxfile" {
        let error = HeaderError::Magic { found: head };
        return Err(refuse(error.kind(), error));
    }
    let mut notes = Vec::new();
    let header = current_header(&opening.file, &mut notes)?;
    let file = replayed(&opening.file, &header, &mut notes)?;
    let regions = region_table(&file, &mut notes)?;
    let metadata = read_metadata(&file, regions.metadata)?;
    check_virtual_size(metadata.size_bytes)?;
    let (sector_bytes, fixed) = (metadata.sector_bytes, metadata.leave_allocated);
    let blocks = Blocks::new(metadata, regions.bat, Arc::clone(&file))?;
    let source = Mapped::new(blocks, file, &opening.location, Codec::Deflate);
    let variant = if fixed { "fixed" } else { "dynamic" };
    let decoded = Decoded::new(Format::Vhdx, variant, Arc::new(source));
    Ok(Decoded { notes, sector_size_bytes: Some(sector_bytes), ..decoded })
}

/// Up to `length` bytes at `offset`; fewer where the file ends.
fn read_up_to(file: &Source, offset: u64, length: u64) -> Result<Vec<u8>> {
    let there = file.size_bytes().saturating_sub(offset).min(length);
    let mut bytes = vec![0; length_usize(there)];
    if !bytes.is_empty() {
        file.read_at(offset, &mut bytes)?;
    }
    Ok(bytes)
}

/// Of the two headers, the sound one that was written last: a crash can tear only one.
fn current_header(file: &Source, notes: &mut Vec<String>) -> Result<Header> {
    let [first, second] = HEADERS_AT.map(|at| {
        let bytes = read_up_to(file, at, length_u64(HEADER_BYTES))?;
        Ok::<_, Error>(Header::decode(&bytes).map_err(|error| (at, error)))
    });
    match (first?, second?) {
        (Ok(first), Ok(second)) if second.sequence > first.sequence => Ok(second),
        (Ok(first), Ok(_)) => Ok(first),
        (Ok(header), Err((at, error))) | (Err((at, error)), Ok(header)) => {
            // A header of zeroes is one that was never written, which some writers leave.
            notes.push(format!("the header at byte {at} is damaged ({error}); the other was used"));
            Ok(header)
        }
        (Err((at, error)), Err(_)) => {
            Err(refuse(error.kind(), error.clone()).fault(error.fault()).at(at))
        }
    }
}

/// The file as it would be after its log was replayed.
fn replayed(file: &Source, header: &Header, notes: &mut Vec<String>) -> Result<Source> {
    if header.log_guid == [0; 16] || header.log_length_bytes == 0 {
        return Ok(Arc::clone(file));
    }
    let length = header.log_length_bytes;
    if length > log::LOG_MAX_BYTES {
        return Err(Error::unsupported(format!(
            "the log of {length} bytes is dirty; kiln replays up to {} bytes",
            log::LOG_MAX_BYTES
        )));
    }
    let end = header.log_offset.saturating_add(length.into());
    if end > file.size_bytes() {
        let told = format!("the log ends at byte {end}, past the end of the file");
        return Err(Error::corrupt(told).at(header.log_offset));
    }
    let bytes = read_up_to(file, header.log_offset, length.into())?;
    let changes = log::replay(&bytes, &header.log_guid, file.size_bytes())
        .map_err(|error| error.at(header.log_offset))?;
    if changes.is_empty() {
        return Ok(Arc::clone(file));
    }
    notes.push(format!(
        "the image was not closed cleanly: {} changes of its log were replayed in memory",
        changes.len()
    ));
    Ok(Arc::new(Overlay::new(Arc::clone(file), changes)?))
}

/// The first of the two region tables that is sound; they are equal.
fn region_table(file: &Source, notes: &mut Vec<String>) -> Result<Regions> {
    let [first, second] = REGION_TABLES_AT.map(|at| {
        let bytes = read_up_to(file, at, length_u64(REGION_TABLE_BYTES))?;
        Ok::<_, Error>(Regions::decode(&bytes))
    });
    let [at, _] = REGION_TABLES_AT;
    match (first?, second) {
        (Ok(regions), _) => Ok(regions),
        (Err(error), Ok(Ok(regions))) => {
            notes.push(format!(
                "the region table at byte {at} is damaged ({error}); the other was used"
            ));
            Ok(regions)
        }
        (Err(error), _) => Err(refuse(error.kind(), error.clone()).fault(error.fault()).at(at)),
    }
}

fn read_metadata(file: &Source, region: Region) -> Result<Metadata> {
    // The table takes 64 KiB, the items after it some hundred bytes.
    let length = u64::from(region.length_bytes).min(MIB);
    let bytes = read_up_to(file, region.offset, length)?;
    Metadata::decode(&bytes)
        .map_err(|error| refuse(error.kind(), error.clone()).fault(error.fault()).at(region.offset))
}

/// The block allocation table.
#[derive(Debug)]
struct Blocks {
    metadata: Metadata,
    table_at: u64,
    pages: Pages,
}

impl Blocks {
    fn new(metadata: Metadata, table: Region, file: Source) -> Result<Self> {
        let blocks = metadata.size_bytes.div_ceil(u64::from(metadata.block_bytes).max(1));
        let bitmaps = blocks.saturating_sub(1).checked_div(metadata.chunk_ratio()).unwrap_or(0);
        let need = blocks.saturating_add(bitmaps).saturating_mul(8);
        let have = u64::from(table.length_bytes);
        if need > have {
            return Err(Error::corrupt(format!(
                "the block allocation table has {have} bytes where the disk needs {need}"
            ))
            .at(table.offset));
        }
        let end = table.offset.saturating_add(need);
        if end > file.size_bytes() {
            return Err(Error::corrupt(format!(
                "the block allocation table ends at byte {end}, past the end of the file ({} bytes)",
                file.size_bytes()
            ))
            .at(table.offset)
            .truncated());
        }
        Ok(Self { metadata, table_at: table.offset, pages: Pages::new(file, 16 << 10) })
    }

    /// Where payload block `index` is in the file; none where it is zero.
    fn block(&self, cursor: &mut Cursor<'_>, index: u64) -> Result<Option<u64>> {
        // A sector bitmap entry follows each chunk of payload entries.
        let bitmaps = index.checked_div(self.metadata.chunk_ratio()).unwrap_or(0);
        let at = self.table_at.saturating_add(index.saturating_add(bitmaps).saturating_mul(8));
        let entry = u64::from_le_bytes(cursor.read(at)?);
        match entry & 7 {
            // Not present, undefined, zero, unmapped: without a parent all of them read as zero.
            0..=3 => Ok(None),
            6 => Ok(Some((entry >> 20).saturating_mul(MIB))),
            state => {
                let told =
                    format!("block {index} has state {state}, which a disk without parent has not");
                Err(Error::corrupt(told).at(at))
            }
        }
    }
}

impl Mapping for Blocks {
    fn size_bytes(&self) -> u64 {
        self.metadata.size_bytes
    }

    fn run_at(&self, offset: u64, wanted: u64) -> Result<Run> {
        let mut cursor = self.pages.cursor();
        let block_bytes = u64::from(self.metadata.block_bytes);
        let (mut index, in_block) = place(offset, block_bytes);
        let mut length_bytes = block_bytes.saturating_sub(in_block);
        if let Some(start) = self.block(&mut cursor, index)? {
            return Ok(Run {
                length_bytes,
                target: Target::Stored(start.saturating_add(in_block)),
            });
        }
        let wanted = wanted.min(self.metadata.size_bytes.saturating_sub(offset));
        while length_bytes < wanted {
            index = index.saturating_add(1);
            if !matches!(self.block(&mut cursor, index), Ok(None)) {
                break;
            }
            length_bytes = length_bytes.saturating_add(block_bytes);
        }
        Ok(Run { length_bytes, target: Target::Zero })
    }
}
