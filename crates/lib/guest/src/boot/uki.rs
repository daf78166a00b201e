//! Unified kernel images: a PE file with the kernel, the initial ramdisk, the command line and
//! os-release in sections (UAPI group, "Unified Kernel Image").
//!
//! Sections are given as byte ranges of the file, so that an initramfs is streamed and not copied.
//! Section header: PE/COFF specification, 40 bytes; name 8, VirtualSize at 8, SizeOfRawData at 16,
//! PointerToRawData at 20.

use std::ops::Range;

use kiln_volume::{FileReader, Result};

use super::places::Places;
use super::{BootEntry, Loader};

/// The specification allows 96; a stub has some ten.
const MAX_SECTIONS: u16 = 96;
const MAX_IMAGES: usize = 100;

/// The sections of a PE file: name and byte range, in order.
pub(crate) fn sections(file: &FileReader) -> Result<Vec<(String, Range<u64>)>> {
    let mut dos = [0; 0x40];
    if read_full(file, 0, &mut dos)? < dos.len() || !dos.starts_with(b"MZ") {
        return Ok(Vec::new());
    }
    let at = u64::from(u32::from_le_bytes([dos[0x3C], dos[0x3D], dos[0x3E], dos[0x3F]]));
    let mut header = [0; 24];
    if read_full(file, at, &mut header)? < header.len() || !header.starts_with(b"PE\0\0") {
        return Ok(Vec::new());
    }
    let n_sections = u16::from_le_bytes([header[6], header[7]]).min(MAX_SECTIONS);
    let optional = u64::from(u16::from_le_bytes([header[20], header[21]]));
    let mut found = Vec::new();
    for index in 0..u64::from(n_sections) {
        let mut section = [0; 40];
        let at = at.saturating_add(24 + optional + index * 40);
        if read_full(file, at, &mut section)? < section.len() {
            break;
        }
        let word = |at: usize| {
            let bytes = section.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            u64::from(bytes.map_or(0, u32::from_le_bytes))
        };
        let name = section.split(|&byte| byte == 0).next().unwrap_or_default();
        let name = String::from_utf8_lossy(name.get(..8).unwrap_or(name)).into_owned();
        // Raw data is padded to the alignment: the virtual size is the true one.
        let size = if word(8) == 0 { word(16) } else { word(8).min(word(16)) };
        let start = word(20).min(file.size_bytes());
        let end = start.saturating_add(size).min(file.size_bytes());
        found.push((name, start..end));
    }
    Ok(found)
}

/// The text of a section: `.cmdline`, `.uname`, `.osrel`.
pub(crate) fn section_text(file: &FileReader, range: &Range<u64>) -> Result<String> {
    const MAX_TEXT_BYTES: u64 = 64 << 10;
    let size = (range.end - range.start).min(MAX_TEXT_BYTES);
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    let n = read_full(file, range.start, &mut bytes)?;
    bytes.truncate(n);
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.trim_end_matches(['\0', '\n', ' ']).to_owned())
}

/// The images in `directory`, the newest first.
pub(crate) fn entries(places: &Places<'_>, directory: &str) -> Vec<BootEntry> {
    let names = places.tree.list(directory).unwrap_or_default();
    let mut names: Vec<String> = names
        .iter()
        .map(kiln_volume::DirEntry::name_lossy)
        .filter(|name| name.to_ascii_lowercase().ends_with(".efi"))
        .take(MAX_IMAGES)
        .collect();
    names.sort_by(|a, b| super::bls::compare_versions(b, a));
    let paths = names.iter().map(|name| format!("{directory}/{name}"));
    paths.filter_map(|path| entry(places, &path)).collect()
}

/// The image at the guest path `path` as an entry: its kernel and its initial ramdisk are the file
/// itself. `None`: it holds no kernel.
pub(crate) fn entry(places: &Places<'_>, path: &str) -> Option<BootEntry> {
    let file = places.tree.open(path).ok()??;
    let sections = sections(&file).ok()?;
    let section = |name: &str| sections.iter().find(|(found, _)| found == name).map(|(_, r)| r);
    section(".linux")?;
    let text = |name: &str| section(name).and_then(|range| section_text(&file, range).ok());
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    let id = name.strip_suffix(".efi").unwrap_or(name);
    let title = text(".osrel")
        .and_then(|text| {
            let found = crate::syntax::assignments::parse(&text);
            let title = crate::syntax::assignments::last(&found, "PRETTY_NAME");
            title.map(|found| found.value.clone())
        })
        .unwrap_or_else(|| id.to_owned());
    let mut entry = BootEntry::new(Loader::Uki, id, &title, path, 1);
    entry.kernel = Some(path.to_owned());
    entry.kernel_found = true;
    entry.cmdline = text(".cmdline").unwrap_or_default();
    entry.command = "options".into();
    if section(".initrd").is_some() {
        entry.initrds.push(path.to_owned());
    }
    Some(entry)
}

fn read_full(file: &FileReader, offset: u64, buf: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(offset.saturating_add(filled as u64), rest)? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}
