//! The label of a physical volume and its metadata area header.
//!
//! Layout: LVM2, lib/format_text/layout.h and lib/label/label.h.

use kiln_disk::{Error, Result, Source};

use crate::field::{Fields, read_up_to};

const SECTOR_BYTES: usize = 512;
/// LVM looks for the label in as many sectors.
const N_LABEL_SECTORS: usize = 4;
const AREA_MAGIC: &[u8; 16] = b" LVM2 x[5A%r0N*>";
/// Areas of either kind in one header; LVM itself writes one or two.
const MAX_AREAS: usize = 8;
/// Metadata text of a volume group; the default area holds one mebibyte.
const MAX_TEXT_BYTES: u64 = 16 << 20;
/// The text never lies over the header of its area.
const AREA_HEADER_BYTES: u64 = 512;

/// A physical volume's label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PhysicalVolume {
    /// 32 characters, without hyphens.
    pub(crate) id: String,
    /// Size in bytes of the device it was made on.
    pub(crate) device_bytes: u64,
    /// Metadata areas: start and size in bytes.
    pub(crate) metadata_areas: Vec<(u64, u64)>,
}

impl PhysicalVolume {
    /// The id as LVM and blkid print it.
    pub(crate) fn id_hyphenated(&self) -> String {
        hyphenate(&self.id)
    }
}

/// An id of 32 characters as LVM prints it: 6-4-4-4-4-4-6.
pub(crate) fn hyphenate(id: &str) -> String {
    let mut characters = id.chars();
    let groups: Vec<String> = [6, 4, 4, 4, 4, 4, 6]
        .iter()
        .map(|&n| characters.by_ref().take(n).collect::<String>())
        .filter(|group| !group.is_empty())
        .collect();
    groups.join("-")
}

/// The label of `source`. `None`: it is no physical volume.
///
/// # Errors
///
/// `Corrupt` where the label's checksum is wrong.
pub(crate) fn read(source: &Source) -> Result<Option<PhysicalVolume>> {
    let head = read_up_to(source, 0, N_LABEL_SECTORS * SECTOR_BYTES)?;
    let found = head
        .chunks_exact(SECTOR_BYTES)
        .zip(0_u64..)
        .find(|(sector, _)| sector.starts_with(b"LABELONE"));
    let Some((sector, number)) = found else { return Ok(None) };
    let at = number * 512;
    let fields = Fields(sector);
    if !fields.has(24, b"LVM2 001") || fields.u64(8) != number {
        return Ok(None);
    }
    let (computed, stored) = (checksum(fields.slice(20, 492)), fields.u32(16));
    if computed != stored {
        return Err(Error::corrupt(format!(
            "the LVM label has the checksum {computed:08x} and says {stored:08x}"
        ))
        .at(at));
    }
    let header = usize::try_from(fields.u32(20)).unwrap_or(usize::MAX);
    if header > SECTOR_BYTES - 40 {
        let message = format!("the LVM label puts its header at byte {header} of the sector");
        return Err(Error::corrupt(message).at(at));
    }
    let id: String = fields.slice(header, 32).iter().map(|&byte| char::from(byte)).collect();
    if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::corrupt("the physical volume's id is not 32 characters").at(at));
    }
    let mut next = header + 40;
    area_list(fields, &mut next); // the data areas: the text has pe_start
    let metadata_areas = area_list(fields, &mut next);
    Ok(Some(PhysicalVolume { id, device_bytes: fields.u64(header + 32), metadata_areas }))
}

/// Pairs of offset and size up to a pair with a zero offset.
fn area_list(fields: Fields<'_>, next: &mut usize) -> Vec<(u64, u64)> {
    let mut areas = Vec::new();
    while areas.len() < MAX_AREAS {
        let (offset, size) = (fields.u64(*next), fields.u64(*next + 8));
        *next += 16;
        if offset == 0 {
            break;
        }
        areas.push((offset, size));
    }
    areas
}

/// The metadata text in the area that starts at byte `area_start` of the volume. `None`: the area
/// is in order and holds none.
///
/// # Errors
///
/// `Corrupt` where header or text do not match their checksums or do not fit.
pub(crate) fn read_text(source: &Source, area_start: u64) -> Result<Option<Vec<u8>>> {
    let bytes = read_up_to(source, area_start, SECTOR_BYTES)?;
    let header = Fields(&bytes);
    let corrupt = |message: String| Error::corrupt(message).at(area_start);
    if !header.has(4, AREA_MAGIC) || header.u32(20) != 1 {
        return Err(corrupt("no LVM metadata area header here".to_owned()));
    }
    let (computed, stored) = (checksum(header.slice(4, 508)), header.u32(0));
    if computed != stored {
        return Err(corrupt(format!(
            "the LVM metadata area has the checksum {computed:08x} and says {stored:08x}"
        )));
    }
    let area_bytes = header.u64(32);
    let (offset, length, text_checksum) = (header.u64(40), header.u64(48), header.u32(56));
    /// The raw location is to be ignored.
    const IGNORED: u32 = 1;
    if offset == 0 || length == 0 || header.u32(60) & IGNORED != 0 {
        return Ok(None);
    }
    let room = area_bytes.saturating_sub(AREA_HEADER_BYTES);
    if header.u64(24) != area_start
        || !(AREA_HEADER_BYTES..area_bytes).contains(&offset)
        || length > room.min(MAX_TEXT_BYTES)
    {
        return Err(corrupt(format!(
            "LVM metadata of {length} bytes at {offset} does not fit its area of {area_bytes} bytes"
        )));
    }
    let text = read_ring(source, area_start, area_bytes, offset, length)?;
    let computed = checksum(&text);
    if computed != text_checksum {
        return Err(corrupt(format!(
            "the LVM metadata text has the checksum {computed:08x}, its header says \
             {text_checksum:08x}"
        )));
    }
    Ok(Some(text))
}

/// The text may run over the end of the area and go on after the header.
fn read_ring(source: &Source, start: u64, size: u64, offset: u64, length: u64) -> Result<Vec<u8>> {
    let until_end = size.saturating_sub(offset).min(length);
    let mut text = Vec::new();
    for (at, length) in [(offset, until_end), (AREA_HEADER_BYTES, length.saturating_sub(until_end))]
    {
        let at = start.saturating_add(at);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let part = read_up_to(source, at, length)?;
        if part.len() < length {
            return Err(Error::corrupt("the LVM metadata lies beyond the end of the volume").at(at));
        }
        text.extend(part);
    }
    Ok(text)
}

/// LVM's checksum: the usual polynomial, an initial value of its own, no final inversion.
pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    const INITIAL: u32 = 0xF597_A6CF;
    let mut hasher = crc32fast::Hasher::new_with_initial(!INITIAL);
    hasher.update(bytes);
    !hasher.finalize()
}
