//! As much of Berkeley DB's hash format as reading all values needs: `Packages` of rpm before 4.16.
//!
//! Layout: dbinc/db_page.h. All hash pages are read in the order of the file, so no bucket has to
//! be computed; values that do not fit a page lie in a chain of overflow pages.

use kiln_volume::{Error, Kind, Result};

use super::rpm::{check_length, le32};

const HASH_MAGIC: u32 = 0x0006_1561;
const PAGE_HASH_UNSORTED: u8 = 2;
const PAGE_OVERFLOW: u8 = 7;
const PAGE_HASH: u8 = 13;
const PAGE_HEADER_BYTES: usize = 26;
const ITEM_INLINE: u8 = 1;
const ITEM_OFF_PAGE: u8 = 3;

/// Call `each` with every value.
pub(super) fn values(file: &[u8], each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let magic = le32(file, 12);
    let is_swapped = magic == Some(HASH_MAGIC.swap_bytes());
    if magic != Some(HASH_MAGIC) && !is_swapped {
        let message = "not a Berkeley DB hash: wrong magic";
        return Err(Error::new(Kind::OtherFormat, message).at(12));
    }
    let mut reader = Reader { file, is_swapped, page_bytes: 0, overflow_left: 0 };
    let page_bytes = reader.u32(file, 20).unwrap_or(0) as usize;
    if !page_bytes.is_power_of_two() || !(512..=65536).contains(&page_bytes) {
        return Err(Error::corrupt(format!("a Berkeley DB page size of {page_bytes}")).at(20));
    }
    reader.page_bytes = page_bytes;
    // Every overflow page belongs to one value.
    reader.overflow_left = file.len() / page_bytes;
    for number in 1..file.len() / page_bytes {
        let Some(page) = reader.page(number) else { break };
        if matches!(page[25], PAGE_HASH | PAGE_HASH_UNSORTED) {
            reader.hash_page(page, number, each)?;
        }
    }
    Ok(())
}

struct Reader<'a> {
    file: &'a [u8],
    is_swapped: bool,
    page_bytes: usize,
    overflow_left: usize,
}

impl<'a> Reader<'a> {
    fn u32(&self, bytes: &[u8], at: usize) -> Option<u32> {
        let value = le32(bytes, at)?;
        Some(if self.is_swapped { value.swap_bytes() } else { value })
    }

    fn u16(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let value = bytes.get(at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))?;
        Some(usize::from(if self.is_swapped { value.swap_bytes() } else { value }))
    }

    fn page(&self, number: usize) -> Option<&'a [u8]> {
        let start = number.checked_mul(self.page_bytes)?;
        self.file.get(start..start.checked_add(self.page_bytes)?)
    }

    /// Items alternate between keys and values and grow from the end of the page downwards.
    fn hash_page(
        &mut self,
        page: &'a [u8],
        number: usize,
        each: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let at = number as u64 * self.page_bytes as u64;
        let broken = || Error::corrupt("a broken page of a Berkeley DB hash").at(at);
        let n_items = self.u16(page, 20).ok_or_else(broken)?;
        for index in (1..n_items).step_by(2) {
            let offset = |index| self.u16(page, PAGE_HEADER_BYTES + 2 * index).ok_or_else(broken);
            let (start, end) = (offset(index)?, offset(index - 1)?);
            let item = page.get(start..end).ok_or_else(broken)?;
            match item.first() {
                Some(&ITEM_INLINE) => each(&item[1..])?,
                Some(&ITEM_OFF_PAGE) => {
                    let first = self.u32(item, 4).ok_or_else(broken)?;
                    let length = self.u32(item, 8).ok_or_else(broken)? as usize;
                    check_length(length, number * self.page_bytes)?;
                    let value = self.overflow(first, length).ok_or_else(broken)?;
                    each(&value)?;
                }
                // Duplicates, which rpm does not use.
                _ => {}
            }
        }
        Ok(())
    }

    fn overflow(&mut self, first: u32, length: usize) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        let mut next = first;
        while value.len() < length {
            self.overflow_left = self.overflow_left.checked_sub(1)?;
            let page = self.page(next as usize).filter(|page| page[25] == PAGE_OVERFLOW)?;
            let n = self.u16(page, 22)?.min(length - value.len());
            value.extend_from_slice(page.get(PAGE_HEADER_BYTES..PAGE_HEADER_BYTES + n)?);
            next = self.u32(page, 16)?;
        }
        Some(value)
    }
}
