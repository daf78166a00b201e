//! A hosted sparse extent: grain directory, grain tables, grains, plain or compressed.

use std::sync::Arc;

use super::super::refuse;
use super::header::{HEADER_BYTES, Header};
use crate::cache::{Cursor, Pages};
use crate::fields::{length_u64, place};
use crate::mapped::{Framing, Mapped, Mapping, Packed, Run, Target};
use crate::unpack::Codec;
use crate::{Error, Fault, Result, Source};

/// A sparse extent as a source, and what its header says.
pub(super) fn open(file: &Source, location: &str) -> Result<(Source, Header)> {
    let mut header = read_header(file, 0)?;
    if header.directory_at.is_none() {
        header = with_footer(file, header)?;
    }
    let grains = Grains::new(header.clone(), file)?;
    let source = Mapped::new(grains, Arc::clone(file), location, Codec::Zlib);
    Ok((Arc::new(source), header))
}

fn read_header(file: &Source, at: u64) -> Result<Header> {
    let there = file.size_bytes().saturating_sub(at).min(length_u64(HEADER_BYTES));
    let mut bytes = vec![0; crate::fields::length_usize(there)];
    if !bytes.is_empty() {
        file.read_at(at, &mut bytes)?;
    }
    Header::decode(&bytes)
        .map_err(|error| refuse(error.kind(), error.clone()).fault(error.fault()).at(at))
}

/// A stream is written front to back, so its directory is behind the data. The footer, a second
/// header, is the last sector but one; the end-of-stream marker is the last.
fn with_footer(file: &Source, first: Header) -> Result<Header> {
    let truncated = |error: Error| {
        error
            .fault(Fault::Truncated)
            .hint("the stream has no footer: it is truncated, copy or download it again")
    };
    let Some(at) = file.size_bytes().checked_sub(1024).filter(|at| *at >= 512) else {
        return Err(truncated(Error::corrupt("the extent ends before its footer")));
    };
    let footer = read_header(file, at).map_err(|error| {
        truncated(
            Error::corrupt("there is no footer at the end of the extent").at(at).caused_by(error),
        )
    })?;
    if footer.directory_at.is_none() {
        return Err(Error::corrupt("the footer does not say where the grain directory is").at(at));
    }
    let same = (footer.size_bytes, footer.grain_bytes, footer.table_entries)
        == (first.size_bytes, first.grain_bytes, first.table_entries);
    if !same || footer.compressed != first.compressed {
        return Err(Error::corrupt("the footer and the header do not agree").at(at));
    }
    Ok(Header { descriptor: first.descriptor, ..footer })
}

/// The grain directory and its tables.
#[derive(Debug)]
struct Grains {
    header: Header,
    directory_at: u64,
    pages: Pages,
}

impl Grains {
    fn new(header: Header, file: &Source) -> Result<Self> {
        let directory_at = header.directory_at.unwrap_or(0);
        let tables = header.size_bytes.div_ceil(header.table_covers_bytes());
        let end = directory_at.saturating_add(tables.saturating_mul(4));
        if end > file.size_bytes() {
            return Err(Error::corrupt(format!(
                "the grain directory ends at byte {end}, past the end of the file ({} bytes)",
                file.size_bytes()
            ))
            .at(directory_at)
            .truncated());
        }
        // One table has 2 KiB, so a page holds a few neighbours.
        let pages = Pages::new(Arc::clone(file), 8 << 10);
        Ok(Self { header, directory_at, pages })
    }

    /// Where the table for `offset` is in the file; none where the directory entry is empty.
    fn table(&self, cursor: &mut Cursor<'_>, offset: u64) -> Result<Option<u64>> {
        let (index, _) = place(offset, self.header.table_covers_bytes());
        let at = self.directory_at.saturating_add(index.saturating_mul(4));
        let sector = u64::from(u32::from_le_bytes(cursor.read(at)?));
        Ok((sector != 0).then_some(sector.saturating_mul(512)))
    }

    /// The part of one grain, or of what a missing table covers, from `offset` on.
    fn piece(&self, cursor: &mut Cursor<'_>, table: Option<u64>, offset: u64) -> Result<Run> {
        let covers = self.header.table_covers_bytes();
        let (_, in_table) = place(offset, covers);
        let Some(table) = table else {
            let length_bytes = covers.saturating_sub(in_table);
            return Ok(Run { length_bytes, target: Target::Zero });
        };
        let grain_bytes = self.header.grain_bytes;
        let (index, in_grain) = place(in_table, grain_bytes);
        let at = table.saturating_add(index.saturating_mul(4));
        let sector = u32::from_le_bytes(cursor.read(at)?);
        let stored_at = u64::from(sector).saturating_mul(512);
        let target = match sector {
            0 => Target::Zero,
            1 if self.header.zero_grains => Target::Zero,
            _ if self.header.compressed => Target::Packed(Packed {
                guest_start: offset.saturating_sub(in_grain),
                stored_at,
                framing: Framing::GrainMarker,
            }),
            _ => Target::Stored(stored_at.saturating_add(in_grain)),
        };
        Ok(Run { length_bytes: grain_bytes.saturating_sub(in_grain), target })
    }
}

impl Mapping for Grains {
    fn size_bytes(&self) -> u64 {
        self.header.size_bytes
    }

    fn unit_bytes(&self) -> u64 {
        self.header.grain_bytes
    }

    fn run_at(&self, offset: u64, wanted: u64) -> Result<Run> {
        // Two cursors: the tables are read in turn with the directory.
        let (mut directory, mut tables) = (self.pages.cursor(), self.pages.cursor());
        let covers = self.header.table_covers_bytes();
        let mut table = self.table(&mut directory, offset)?;
        let mut run = self.piece(&mut tables, table, offset)?;
        let end = self.header.size_bytes;
        loop {
            let next = offset.saturating_add(run.length_bytes);
            if run.length_bytes >= wanted || next >= end || matches!(run.target, Target::Packed(_))
            {
                return Ok(run);
            }
            if next.is_multiple_of(covers) {
                table = self.table(&mut directory, next)?;
            }
            // A bad entry further on is the business of the read that reaches it.
            match self.piece(&mut tables, table, next) {
                Ok(piece) if run.continues_with(&piece) => {
                    run.length_bytes = run.length_bytes.saturating_add(piece.length_bytes);
                }
                _ => return Ok(run),
            }
        }
    }
}
