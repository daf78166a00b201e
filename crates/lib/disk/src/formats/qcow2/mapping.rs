//! From a guest offset to a run of clusters, through the two levels of tables.

use super::entry::{Entry, EntryError, Meaning, OFFSET_MASK};
use super::header::Header;
use crate::cache::{Cursor, Pages};
use crate::fields::place;
use crate::mapped::{Framing, Mapping, Packed, Run, Target};
use crate::{Error, Kind, Result, Source};

/// The tables of an image, read as they are needed.
#[derive(Debug)]
pub(crate) struct Tables {
    header: Header,
    pages: Pages,
}

impl Tables {
    /// The tables of the image in `file`.
    ///
    /// # Errors
    ///
    /// [`Kind::Corrupt`] where the L1 table does not fit in the file.
    pub(crate) fn new(header: Header, file: Source) -> Result<Self> {
        let l1_bytes = u64::from(header.l1_entries).saturating_mul(8);
        let l1_end = header.l1_offset.saturating_add(l1_bytes);
        if l1_end > file.size_bytes() {
            return Err(Error::corrupt(format!(
                "the L1 table ends at byte {l1_end}, past the end of the file ({} bytes)",
                file.size_bytes()
            ))
            .at(header.l1_offset)
            .truncated());
        }
        let pages = Pages::new(file, header.cluster_bytes());
        Ok(Self { header, pages })
    }

    /// The L2 table for `offset`, or none where its L1 entry is empty.
    fn l2_table(&self, cursor: &mut Cursor<'_>, l1_index: u64) -> Result<Option<u64>> {
        let at = self.header.l1_offset.saturating_add(l1_index.saturating_mul(8));
        let table = u64::from_be_bytes(cursor.read(at)?) & OFFSET_MASK;
        if !table.is_multiple_of(self.header.cluster_bytes()) {
            let told = format!("L1 entry {l1_index}: the L2 table at {table} is not aligned");
            return Err(Error::corrupt(told).at(at));
        }
        Ok((table != 0).then_some(table))
    }

    /// The run of empty L1 entries from `offset` on.
    fn without_table(&self, cursor: &mut Cursor<'_>, offset: u64, wanted: u64) -> Result<Run> {
        let covers = self.header.l2_covers_bytes();
        let (index, within) = place(offset, covers);
        let mut length_bytes = covers.saturating_sub(within);
        let mut next = index.saturating_add(1);
        while length_bytes < wanted && next < u64::from(self.header.l1_entries) {
            if self.l2_table(cursor, next)?.is_some() {
                break;
            }
            length_bytes = length_bytes.saturating_add(covers);
            next = next.saturating_add(1);
        }
        Ok(Run { length_bytes, target: Target::Below })
    }

    fn entry(&self, cursor: &mut Cursor<'_>, at: u64) -> Result<Entry> {
        if self.header.extended_l2 {
            let words: [u8; 16] = cursor.read(at)?;
            let fields = crate::fields::Fields(&words);
            return Ok(Entry { word: fields.be_u64(0), bitmap: fields.be_u64(8) });
        }
        Ok(Entry { word: u64::from_be_bytes(cursor.read(at)?), bitmap: 0 })
    }

    /// The part of one cluster that begins at `offset` and has one meaning.
    fn piece(&self, cursor: &mut Cursor<'_>, table: u64, offset: u64) -> Result<Run> {
        let cluster_bytes = self.header.cluster_bytes();
        let (_, in_table) = place(offset, self.header.l2_covers_bytes());
        let (index, in_cluster) = place(in_table, cluster_bytes);
        let at = table.saturating_add(index.saturating_mul(self.header.l2_entry_bytes()));
        let entry = self.entry(cursor, at)?;
        let unit = if self.header.extended_l2 { cluster_bytes / 32 } else { cluster_bytes };
        let (sub, in_unit) = place(in_cluster, unit);
        let sub = u32::try_from(sub).unwrap_or(0);
        let named = |error: EntryError| {
            Error::new(Kind::Corrupt, error.to_string()).at(at).caused_by(error)
        };
        let meaning = entry.meaning(&self.header, sub).map_err(named)?;
        let rest_of_unit = unit.saturating_sub(in_unit);
        let target = match meaning {
            Meaning::Unallocated => Target::Below,
            Meaning::Zero => Target::Zero,
            Meaning::Standard(start) => Target::Stored(start.saturating_add(in_cluster)),
            Meaning::Compressed(stored_at, length) => {
                let guest_start = offset.saturating_sub(in_cluster);
                let framing = Framing::AtMost(length);
                let target = Target::Packed(Packed { guest_start, stored_at, framing });
                let length_bytes = cluster_bytes.saturating_sub(in_cluster);
                return Ok(Run { length_bytes, target });
            }
        };
        Ok(Run { length_bytes: rest_of_unit, target })
    }
}

impl Mapping for Tables {
    fn size_bytes(&self) -> u64 {
        self.header.size_bytes
    }

    fn unit_bytes(&self) -> u64 {
        self.header.cluster_bytes()
    }

    fn ragged_end_bytes(&self) -> u64 {
        // QEMU reads zeroes there, and some writers end the file with the last byte they have.
        self.header.cluster_bytes()
    }

    fn run_at(&self, offset: u64, wanted: u64) -> Result<Run> {
        let mut cursor = self.pages.cursor();
        let covers = self.header.l2_covers_bytes();
        let (index, within) = place(offset, covers);
        let Some(table) = self.l2_table(&mut cursor, index)? else {
            return self.without_table(&mut cursor, offset, wanted);
        };
        let mut run = self.piece(&mut cursor, table, offset)?;
        let end = offset.saturating_sub(within).saturating_add(covers);
        loop {
            let next = offset.saturating_add(run.length_bytes);
            let stop = run.length_bytes >= wanted || next >= end.min(self.header.size_bytes);
            if stop || matches!(run.target, Target::Packed(_)) {
                return Ok(run);
            }
            // A bad entry further on is the business of the read that reaches it.
            match self.piece(&mut cursor, table, next) {
                Ok(piece) if run.continues_with(&piece) => {
                    run.length_bytes = run.length_bytes.saturating_add(piece.length_bytes);
                }
                _ => return Ok(run),
            }
        }
    }
}
