//! The sections of a PE file, as far as a unified kernel image needs them: `.initrd`, `.uname`,
//! `.linux`.
//!
//! Layout: Microsoft "PE Format"; the sections: UAPI Group "Unified Kernel Image".

use kiln_volume::{FileReader, Result};

/// Linkers for Windows stop at 96; a unified kernel image has about a dozen.
const MAX_SECTIONS: u16 = 96;

/// Where a section is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// The file is not a PE file.
    NotPe,
    /// It has no such section.
    Absent,
    /// In these bytes of the file.
    At {
        /// From the start of the file.
        offset_bytes: u64,
        /// Without the padding to the file's alignment.
        length_bytes: u64,
    },
}

/// Find the section `name` (at most 8 bytes).
pub(crate) fn section(file: &FileReader, name: &[u8]) -> Result<Section> {
    let Some(head) = header(file)? else { return Ok(Section::NotPe) };
    let mut wanted = [0; 8];
    for (to, from) in wanted.iter_mut().zip(name) {
        *to = *from;
    }
    let mut at = head.sections_at;
    for _ in 0..head.n_sections.min(MAX_SECTIONS) {
        let Some(entry) = read_array::<40>(file, at)? else { break };
        if entry.starts_with(&wanted) {
            let field = |at: usize| u64::from(le32(&entry[at..]));
            let (virtual_bytes, raw_bytes, offset_bytes) = (field(8), field(16), field(20));
            // The raw size is padded; the virtual size is 0 in files of some old tools.
            let length_bytes =
                if virtual_bytes == 0 { raw_bytes } else { raw_bytes.min(virtual_bytes) };
            return Ok(Section::At { offset_bytes, length_bytes });
        }
        at += 40;
    }
    Ok(Section::Absent)
}

/// The machine field: `0x8664`, `0xAA64`, `0x14C`. `None`: not a PE file.
pub(super) fn machine(file: &FileReader) -> Result<Option<u16>> {
    Ok(header(file)?.map(|head| head.machine))
}

struct Header {
    machine: u16,
    n_sections: u16,
    sections_at: u64,
}

fn header(file: &FileReader) -> Result<Option<Header>> {
    let Some(dos) = read_array::<64>(file, 0)? else { return Ok(None) };
    if !dos.starts_with(b"MZ") {
        return Ok(None);
    }
    let at = u64::from(le32(&dos[60..]));
    let Some(coff) = read_array::<24>(file, at)? else { return Ok(None) };
    if !coff.starts_with(b"PE\0\0") {
        return Ok(None);
    }
    let half = |at: usize| u16::from_le_bytes([coff[at], coff[at + 1]]);
    let sections_at = at + 24 + u64::from(half(20));
    Ok(Some(Header { machine: half(4), n_sections: half(6), sections_at }))
}

fn le32(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// `N` bytes at `offset`. `None`: the file ends before.
pub(super) fn read_array<const N: usize>(
    file: &FileReader,
    offset: u64,
) -> Result<Option<[u8; N]>> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        match file.read_at(offset.saturating_add(filled as u64), &mut bytes[filled..])? {
            0 => return Ok(None),
            n => filled += n,
        }
    }
    Ok(Some(bytes))
}
