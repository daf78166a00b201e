//! The VHD writer: dynamic disks, as Virtual PC, Hyper-V and the clouds read them.
//!
//! Layout: Microsoft, "Virtual Hard Disk Image Format Specification", version 1.0.

use std::io::{Seek, Write};
use std::ops::ControlFlow;

use super::blocks::{Blocks, uuid};
use super::out::Out;
use super::pack::Packing;
use super::pass::{check, pass};
use super::{Options, Written};
use crate::fields::{length_u64, length_usize, round_up};
use crate::{Error, Result, Source};

/// The largest dynamic VHD that its readers take: 2040 GiB.
pub const VHD_MAX_BYTES: u64 = 2040 << 30;

/// Two MiB, as everything writes them.
const BLOCK_BYTES: u32 = 2 << 20;
/// One bit per sector.
const BITMAP_BYTES: usize = 512;
const FOOTER_BYTES: u64 = 512;
const DYNAMIC_BYTES: u64 = 1024;
const TABLE_AT: u64 = FOOTER_BYTES + DYNAMIC_BYTES;
const UNALLOCATED: u32 = u32::MAX;

/// Write the disk in `source` as a dynamic VHD with blocks of 2 MiB.
///
/// The disk is padded with zeroes to a multiple of 2 MiB: its size then is the product of the table's
/// entries and the block size, which some importers insist on, and a multiple of 1 MiB, as others do.
/// Geometry can express few sizes (and none over 127 GiB), so the footer names a creator (`qem2`)
/// for which readers go by the size field; the geometry is the one that the specification computes.
///
/// `out` is an empty file; its footer is written last. Of `options`, only the threads count. It is
/// flushed and not synced; memory and `progress` are as for [`super::qcow2`], and 8 bytes for each
/// block. Two runs differ in the random identity.
///
/// # Errors
///
/// As [`super::qcow2`], and [`crate::Kind::Unsupported`] for a disk over [`VHD_MAX_BYTES`].
pub fn vhd(
    source: &Source,
    out: impl Write + Seek,
    options: &Options,
    progress: &dyn Fn(u64) -> ControlFlow<()>,
) -> Result<Written> {
    check(source.size_bytes(), VHD_MAX_BYTES, options.threads)?;
    let virtual_size_bytes = round_up(source.size_bytes().max(1), BLOCK_BYTES.into());
    let entries = virtual_size_bytes / u64::from(BLOCK_BYTES);
    let mut blocks = Blocks {
        out: Out::new(out)?,
        begin: TABLE_AT.saturating_add(round_up(entries.saturating_mul(4), 512)),
        prefix: vec![0xff; BITMAP_BYTES],
        block_bytes: BLOCK_BYTES.into(),
        table: Vec::new(),
        used: 0,
    };
    pass(source, Packing::None, options.threads, progress, &mut blocks)?;
    let table = table(&blocks, entries)?;
    let footer = footer(virtual_size_bytes);
    let end = blocks.end();
    blocks.out.put(end, &footer)?;
    blocks.out.put(TABLE_AT, &table)?;
    blocks.out.put(FOOTER_BYTES, &dynamic_header(entries)?)?;
    blocks.out.put(0, &footer)?;
    blocks.out.flush()?;
    Ok(Written {
        size_bytes: blocks.out.end(),
        allocated_bytes: blocks.allocated_bytes(),
        virtual_size_bytes,
    })
}

fn table<W: Write + Seek>(blocks: &Blocks<W>, entries: u64) -> Result<Vec<u8>> {
    let mut table = Vec::new();
    for block in 0..length_usize(entries) {
        let sector = match blocks.table.get(block).copied().flatten() {
            Some(number) => u32::try_from(blocks.at(number) / 512)
                .map_err(|_| Error::unsupported("the file is longer than 2 TiB"))?,
            None => UNALLOCATED,
        };
        table.extend(sector.to_be_bytes());
    }
    table.resize(length_usize(round_up(length_u64(table.len()), 512)), 0xff);
    Ok(table)
}

fn footer(size_bytes: u64) -> Vec<u8> {
    let mut footer = Vec::new();
    footer.extend(*b"conectix");
    footer.extend(2_u32.to_be_bytes()); // no features, and the bit that is always set
    footer.extend(0x0001_0000_u32.to_be_bytes());
    footer.extend(FOOTER_BYTES.to_be_bytes()); // where the dynamic header is
    footer.extend([0; 4]); // no time, so that two runs differ less
    footer.extend(*b"qem2");
    footer.extend(0x0005_0003_u32.to_be_bytes());
    footer.extend(*b"Wi2k");
    footer.extend(size_bytes.to_be_bytes());
    footer.extend(size_bytes.to_be_bytes());
    let (cylinders, heads, sectors) = geometry(size_bytes / 512);
    footer.extend(cylinders.to_be_bytes());
    footer.extend([heads, sectors]);
    footer.extend(3_u32.to_be_bytes()); // dynamic
    footer.extend([0; 4]);
    footer.extend(uuid());
    footer.resize(length_usize(FOOTER_BYTES), 0);
    seal(&mut footer, 64);
    footer
}

fn dynamic_header(entries: u64) -> Result<Vec<u8>> {
    let entries = u32::try_from(entries)
        .map_err(|_| Error::unsupported("the disk has more blocks than the table can have"))?;
    let mut header = Vec::new();
    header.extend(*b"cxsparse");
    header.extend(u64::MAX.to_be_bytes());
    header.extend(TABLE_AT.to_be_bytes());
    header.extend(0x0001_0000_u32.to_be_bytes());
    header.extend(entries.to_be_bytes());
    header.extend(BLOCK_BYTES.to_be_bytes());
    header.resize(length_usize(DYNAMIC_BYTES), 0);
    seal(&mut header, 36);
    Ok(header)
}

/// Set the sum at `at`, whose bytes are zero still: the ones' complement of the sum of all.
fn seal(bytes: &mut [u8], at: usize) {
    let sum = bytes.iter().fold(0_u32, |sum, byte| sum.wrapping_add(u32::from(*byte)));
    if let Some(place) = bytes.get_mut(at..at.saturating_add(4)) {
        place.copy_from_slice(&(!sum).to_be_bytes());
    }
}

/// Cylinders, heads and sectors per track, by the appendix of the specification.
fn geometry(total_sectors: u64) -> (u16, u8, u8) {
    let total = total_sectors.min(65_535 * 16 * 255);
    let (mut sectors, mut heads, mut tracks);
    if total >= 65_535 * 16 * 63 {
        (sectors, heads) = (255, 16);
        tracks = total / sectors;
    } else {
        sectors = 17;
        tracks = total / sectors;
        heads = tracks.div_ceil(1024).max(4);
        if tracks >= heads.saturating_mul(1024) || heads > 16 {
            (sectors, heads) = (31, 16);
            tracks = total / sectors;
        }
        if tracks >= heads.saturating_mul(1024) {
            (sectors, heads) = (63, 16);
            tracks = total / sectors;
        }
    }
    let small = |value: u64| u8::try_from(value).unwrap_or(u8::MAX);
    let cylinders = tracks.checked_div(heads).unwrap_or(0);
    (u16::try_from(cylinders).unwrap_or(u16::MAX), small(heads), small(sectors))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked out by hand from the specification's algorithm, at each of its borders.
    #[test]
    fn geometry_is_that_of_the_specification() {
        for (sectors, expected) in [
            (4096, (60, 4, 17)),
            (17 * 1024 * 16 - 1, (1023, 16, 17)),
            (17 * 1024 * 16, (561, 16, 31)),
            (2 << 21, (4161, 16, 63)),
            (65_535 * 16 * 63, (16_191, 16, 255)),
            (u64::MAX, (65_535, 16, 255)),
        ] {
            assert_eq!(geometry(sectors), expected, "{sectors}");
        }
    }
}
