//! As much of SQLite's file format as reading all blobs of one table needs.
//!
//! Source: "Database File Format" of sqlite.org, sections 1.3, 1.6 and 2.1. A write-ahead log next
//! to the file is not read: rpm empties it when it closes the database.

use kiln_volume::{Error, Kind, Result};

use super::rpm::{be32, check_length};

/// A b-tree of 2^32 pages is not deeper than about 20.
const MAX_DEPTH: u32 = 32;

/// Call `each` with the last blob of every row of `table`.
pub(super) fn blobs(
    file: &[u8],
    table: &[u8],
    each: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    if !file.starts_with(b"SQLite format 3\0") {
        return Err(Error::new(Kind::OtherFormat, "not an SQLite database: wrong magic").at(0));
    }
    let header = file.get(..100).ok_or_else(|| corrupt("an SQLite header that is cut", 0))?;
    let page_bytes = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65536,
        size if size.is_power_of_two() && size >= 512 => usize::from(size),
        size => return Err(corrupt(format!("an SQLite page size of {size}"), 16)),
    };
    let usable = page_bytes - usize::from(header[20]);
    if usable < 480 {
        return Err(corrupt(format!("an SQLite page with {usable} usable bytes"), 20));
    }
    let mut reader = Reader { file, page_bytes, usable, pages_left: file.len() / page_bytes + 1 };
    let mut root = None;
    reader.rows(1, 0, &mut |row| {
        let columns = columns(row);
        let name = columns.get(1).and_then(|column| column.bytes);
        if columns.first().and_then(|column| column.bytes) == Some(b"table") && name == Some(table)
        {
            root = columns.get(3).and_then(|column| column.integer);
        }
        Ok(())
    })?;
    let root =
        root.ok_or_else(|| Error::new(Kind::NotFound, "no table Packages in the database"))?;
    reader.pages_left = file.len() / page_bytes + 1;
    reader.rows(root, 0, &mut |row| {
        columns(row).iter().rev().find_map(|column| column.bytes).map_or(Ok(()), &mut *each)
    })
}

struct Reader<'a> {
    file: &'a [u8],
    page_bytes: usize,
    usable: usize,
    /// Every page is visited once in a sound file.
    pages_left: usize,
}

impl<'a> Reader<'a> {
    fn page(&mut self, number: u64) -> Result<&'a [u8]> {
        self.pages_left = self
            .pages_left
            .checked_sub(1)
            .ok_or_else(|| corrupt("a page of the SQLite database is used twice", 0))?;
        let start = usize::try_from(number)
            .ok()
            .and_then(|number| number.checked_sub(1)?.checked_mul(self.page_bytes));
        start
            .and_then(|start| self.file.get(start..start.checked_add(self.page_bytes)?))
            .ok_or_else(|| corrupt(format!("no page {number} in the SQLite database"), 0))
    }

    fn rows(
        &mut self,
        number: u64,
        depth: u32,
        each: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let page = self.page(number)?;
        let broken = || corrupt(format!("page {number} of the SQLite database is broken"), 0);
        // The file's header lies in front of the first page's.
        let head = if number == 1 { 100 } else { 0 };
        let kind = *page.get(head).ok_or_else(broken)?;
        let n_cells = usize::from(be16(page, head + 3).ok_or_else(broken)?);
        let cells_at = match kind {
            0x05 if depth < MAX_DEPTH => head + 12,
            0x0D => head + 8,
            _ => return Err(broken()),
        };
        for index in 0..n_cells {
            let cell = usize::from(be16(page, cells_at + 2 * index).ok_or_else(broken)?);
            if kind == 0x05 {
                let child = be32(page, cell).ok_or_else(broken)?;
                self.rows(child.into(), depth + 1, each)?;
            } else {
                let row = self.payload(page, cell)?.ok_or_else(broken)?;
                each(&row)?;
            }
        }
        if kind == 0x05 {
            let last = be32(page, head + 8).ok_or_else(broken)?;
            self.rows(last.into(), depth + 1, each)?;
        }
        Ok(())
    }

    /// A leaf cell's payload, with what lies on overflow pages.
    fn payload(&mut self, page: &[u8], cell: usize) -> Result<Option<Vec<u8>>> {
        let mut at = cell;
        let (Some(length), Some(_row_id)) = (varint(page, &mut at), varint(page, &mut at)) else {
            return Ok(None);
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        check_length(length, cell)?;
        let most = self.usable - 35;
        let local = if length <= most {
            length
        } else {
            let least = (self.usable - 12) * 32 / 255 - 23;
            let wanted = least + (length - least) % (self.usable - 4);
            if wanted <= most { wanted } else { least }
        };
        let Some(first) = page.get(at..at + local) else { return Ok(None) };
        let mut payload = first.to_vec();
        let mut next = if local < length { be32(page, at + local) } else { Some(0) };
        while payload.len() < length {
            let Some(number @ 1..) = next else { return Ok(None) };
            let page = self.page(number.into())?;
            let n = (length - payload.len()).min(self.usable - 4);
            let Some(data) = page.get(4..4 + n) else { return Ok(None) };
            payload.extend_from_slice(data);
            next = be32(page, 0);
        }
        Ok(Some(payload))
    }
}

#[derive(Default)]
struct Column<'a> {
    bytes: Option<&'a [u8]>,
    integer: Option<u64>,
}

/// The columns of a record, as far as it is sound.
fn columns(record: &[u8]) -> Vec<Column<'_>> {
    const MAX_COLUMNS: usize = 64;
    let mut columns = Vec::new();
    let mut at = 0;
    let Some(header_bytes) = varint(record, &mut at) else { return columns };
    let Ok(mut data_at) = usize::try_from(header_bytes) else { return columns };
    let header_end = data_at;
    while at < header_end && columns.len() < MAX_COLUMNS {
        let Some(kind) = varint(record, &mut at) else { break };
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            _ => kind.saturating_sub(12) / 2,
        };
        let end = usize::try_from(length).ok().and_then(|length| data_at.checked_add(length));
        let Some(data) = end.and_then(|end| record.get(data_at..end)) else { break };
        data_at += data.len();
        columns.push(match kind {
            1..=6 => {
                let integer = data.iter().fold(0, |value, &byte| value << 8 | u64::from(byte));
                Column { integer: Some(integer), bytes: None }
            }
            12.. => Column { bytes: Some(data), integer: None },
            _ => Column::default(),
        });
    }
    columns
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0_u64;
    for index in 0..9 {
        let byte = *bytes.get(*at)?;
        *at += 1;
        if index == 8 {
            return Some(value << 8 | u64::from(byte));
        }
        value = value << 7 | u64::from(byte & 0x7F);
        if byte < 0x80 {
            break;
        }
    }
    Some(value)
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

fn corrupt(message: impl Into<String>, at: u64) -> Error {
    Error::corrupt(message).at(at)
}
