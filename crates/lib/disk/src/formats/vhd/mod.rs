//! VHD, fixed and dynamic: Virtual PC, Hyper-V's first generation, Azure.
//!
//! ```text
//! fixed:    data, footer
//! dynamic:  copy of footer, header, block table, blocks (sector bitmap + data), footer
//! ```
//!
//! The sector bitmaps of a dynamic disk are not looked at: a block that is in the table has all its
//! data, and sectors that were never written are zero in it.

mod footer;

use std::sync::Arc;

use super::{Decoded, Opening, check_virtual_size, refuse};
use crate::cache::Pages;
use crate::fields::{length_u64, length_usize, place, round_up};
use crate::image::Format;
use crate::mapped::{Mapped, Mapping, Run, Target};
use crate::unpack::Codec;
use crate::{Error, Result, Source, Window};
use footer::{DYNAMIC_BYTES, DiskType, Dynamic, FOOTER_BYTES, Footer, FooterError};

const UNALLOCATED: u32 = u32::MAX;

/// Whether the file starts or ends with a footer. At the end it must be a sound one: a raw disk may
/// end in anything.
pub(super) fn looks_like(opening: &Opening, head: &[u8]) -> Result<bool> {
    Ok(head.starts_with(b"conectix") || last_footer(&opening.file)?.is_ok())
}

/// Open a VHD file.
pub(super) fn open(opening: &Opening) -> Result<Decoded> {
    let first = Footer::decode(&opening.head(length_u64(FOOTER_BYTES))?);
    let last = last_footer(&opening.file)?;
    let (footer, note) = match (first, last) {
        (_, Ok(footer)) => (footer, None),
        (Ok(footer), Err(error)) => {
            (footer, Some(format!("the footer at the end is damaged ({error}); its copy was used")))
        }
        // The copy tells more: without one this is a fixed disk, and the end is all there is.
        (Err(first), Err(last)) => {
            let error = if matches!(first, FooterError::Cookie { .. }) { last } else { first };
            return Err(refuse(error.kind(), error.clone()).fault(error.fault()));
        }
    };
    check_virtual_size(footer.size_bytes)?;
    let mut decoded = match footer.disk_type {
        DiskType::Fixed => open_fixed(opening, &footer)?,
        DiskType::Dynamic => open_dynamic(opening, &footer)?,
    };
    decoded.notes.extend(note);
    if let Some(bytes) = footer.geometry_bytes.filter(|bytes| *bytes != footer.size_bytes) {
        decoded.notes.push(format!(
            "the disk is read with its current size of {} bytes; by its geometry it has {bytes}, \
             which QEMU and Virtual PC go by",
            footer.size_bytes
        ));
    }
    Ok(decoded)
}

fn last_footer(file: &Source) -> Result<Result<Footer, FooterError>> {
    let mut bytes = [0; FOOTER_BYTES];
    let Some(start) = file.size_bytes().checked_sub(length_u64(FOOTER_BYTES)) else {
        return Ok(Err(FooterError::Truncated { have: length_usize(file.size_bytes()) }));
    };
    file.read_at(start, &mut bytes)?;
    Ok(Footer::decode(&bytes))
}

fn open_fixed(opening: &Opening, footer: &Footer) -> Result<Decoded> {
    let there = opening.file.size_bytes().saturating_sub(length_u64(FOOTER_BYTES));
    if footer.size_bytes > there {
        return Err(Error::corrupt(format!(
            "the footer promises a disk of {} bytes, the file has {there} before it",
            footer.size_bytes
        ))
        .truncated());
    }
    let source = Window::new(Arc::clone(&opening.file), 0, footer.size_bytes)?;
    Ok(Decoded::new(Format::Vhd, "fixed", Arc::new(source)))
}

fn open_dynamic(opening: &Opening, footer: &Footer) -> Result<Decoded> {
    let file = &opening.file;
    let there = file.size_bytes().saturating_sub(footer.dynamic_at);
    let mut bytes = vec![0; length_usize(there).min(DYNAMIC_BYTES)];
    if !bytes.is_empty() {
        file.read_at(footer.dynamic_at, &mut bytes)?;
    }
    let header = Dynamic::decode(&bytes, footer.size_bytes).map_err(|error| {
        refuse(error.kind(), error.clone()).fault(error.fault()).at(footer.dynamic_at)
    })?;
    let table_end =
        header.table_at.saturating_add(u64::from(header.table_entries).saturating_mul(4));
    if table_end > file.size_bytes() {
        return Err(Error::corrupt(format!(
            "the block table ends at byte {table_end}, past the end of the file ({} bytes)",
            file.size_bytes()
        ))
        .at(header.table_at)
        .truncated());
    }
    let blocks = Blocks {
        size_bytes: footer.size_bytes,
        table_at: header.table_at,
        block_bytes: header.block_bytes.into(),
        // One bit for each sector of the block, in whole sectors.
        bitmap_bytes: round_up(u64::from(header.block_bytes) / 512 / 8, 512).max(512),
        pages: Pages::new(Arc::clone(file), 4096),
    };
    let source = Mapped::new(blocks, Arc::clone(file), &opening.location, Codec::Deflate);
    Ok(Decoded::new(Format::Vhd, "dynamic", Arc::new(source)))
}

/// The block table of a dynamic disk.
#[derive(Debug)]
struct Blocks {
    size_bytes: u64,
    table_at: u64,
    block_bytes: u64,
    bitmap_bytes: u64,
    pages: Pages,
}

impl Mapping for Blocks {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn run_at(&self, offset: u64, wanted: u64) -> Result<Run> {
        let mut cursor = self.pages.cursor();
        let (mut index, in_block) = place(offset, self.block_bytes);
        let mut length_bytes = self.block_bytes.saturating_sub(in_block);
        let mut sector = |index: u64| {
            let at = self.table_at.saturating_add(index.saturating_mul(4));
            cursor.read(at).map(u32::from_be_bytes)
        };
        let first = sector(index)?;
        if first != UNALLOCATED {
            let block = u64::from(first).saturating_mul(512).saturating_add(self.bitmap_bytes);
            let target = Target::Stored(block.saturating_add(in_block));
            return Ok(Run { length_bytes, target });
        }
        // The run may go on to the end of the disk, but the table has no entry there.
        let wanted = wanted.min(self.size_bytes.saturating_sub(offset));
        while length_bytes < wanted {
            index = index.saturating_add(1);
            if sector(index)? != UNALLOCATED {
                break;
            }
            length_bytes = length_bytes.saturating_add(self.block_bytes);
        }
        Ok(Run { length_bytes, target: Target::Zero })
    }
}
