//! Directory entries: short names, and the long ones spread over the entries before them.
//!
//! Layout: Microsoft, "FAT: General Overview of On-Disk Format", 1.03, and Linux, fs/fat/dir.c for
//! what a name looks like where only the short one is there.

use crate::field::Fields;
use crate::fs::DirEntry;

pub(super) const ENTRY_BYTES: usize = 32;

const ATTR_LABEL: u8 = 0x08;
const ATTR_DIRECTORY: u8 = 0x10;
const ATTR_LONG_NAME: u8 = 0x0F;
/// A long name has at most 255 units: twenty entries of thirteen.
const MAX_LONG_ENTRIES: u8 = 20;
const UNITS_PER_ENTRY: usize = 13;

/// Code page 437, upper half: what Linux takes for the charset of short names.
const CP437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
                     └┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// A directory entry with its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The long name, or the short one where there is no sound long one.
    pub(super) name: String,
    pub(super) short_name: String,
    pub(super) meta: Meta,
}

/// What an entry says besides the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    attributes: u8,
    pub(super) first_cluster: u32,
    pub(super) size_bytes: u32,
    /// Seconds since 1970, the local time taken for UTC.
    pub(super) mtime_s: i64,
}

impl Meta {
    /// Read the 32 bytes of a short entry.
    pub(super) fn decode(entry: &[u8]) -> Self {
        let fields = Fields(entry);
        Self {
            attributes: fields.u8(11),
            first_cluster: u32::from(fields.u16(20)) << 16 | u32::from(fields.u16(26)),
            size_bytes: fields.u32(28),
            mtime_s: seconds(fields.u16(24), fields.u16(22)),
        }
    }

    pub(super) fn is_directory(self) -> bool {
        self.attributes & ATTR_DIRECTORY != 0
    }

    /// The entry that holds the label of the filesystem.
    fn is_label(self) -> bool {
        self.attributes & ATTR_LABEL != 0
    }
}

/// What one step over a directory found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A file or directory.
    Entry(Entry),
    /// The label of the filesystem.
    Label(String),
    /// Deleted, part of a long name, `.` or `..`.
    Nothing,
    /// No entry follows.
    End,
}

/// Reads the entries of one directory in their order.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Units of the long name so far, at their final place.
    long: Vec<u16>,
    /// The number of the entry that must come next; 0: the short one.
    expected: u8,
    checksum: u8,
}

impl Reader {
    /// Take the next 32 bytes.
    pub(super) fn step(&mut self, bytes: &[u8]) -> Step {
        let fields = Fields(bytes);
        match fields.u8(0) {
            0 => return Step::End,
            0xE5 => {
                self.forget();
                return Step::Nothing;
            }
            _ => {}
        }
        if fields.u8(11) & 0x3F == ATTR_LONG_NAME {
            self.long_part(fields);
            return Step::Nothing;
        }
        let meta = Meta::decode(bytes);
        let raw: [u8; 11] = fields.array(0);
        let long = self.long_name(&raw);
        self.forget();
        if meta.is_label() {
            let label = oem_text(&raw);
            return Step::Label(label.trim_end().to_owned());
        }
        let short_name = short_name(&raw, fields.u8(12));
        let name = long.unwrap_or_else(|| short_name.clone());
        if !DirEntry::is_legal_name(name.as_bytes()) {
            return Step::Nothing;
        }
        Step::Entry(Entry { name, short_name, meta })
    }

    fn forget(&mut self) {
        *self = Self::default();
    }

    /// Take one entry of a long name. They come last part first.
    fn long_part(&mut self, fields: Fields<'_>) {
        const LAST: u8 = 0x40;
        let order = fields.u8(0);
        let number = order & 0x3F;
        if order & LAST != 0 {
            self.forget();
            if !(1..=MAX_LONG_ENTRIES).contains(&number) {
                return;
            }
            self.expected = number;
            self.checksum = fields.u8(13);
            self.long = vec![0; usize::from(number) * UNITS_PER_ENTRY];
        }
        if number == 0 || number != self.expected || fields.u8(13) != self.checksum {
            return self.forget();
        }
        let places = (1..11).step_by(2).chain((14..26).step_by(2)).chain([28, 30]);
        let start = usize::from(number - 1) * UNITS_PER_ENTRY;
        for (unit, at) in self.long.iter_mut().skip(start).zip(places) {
            *unit = fields.u16(at);
        }
        self.expected = number - 1;
    }

    /// The long name, if all of it was there and belongs to the short name `raw`.
    fn long_name(&self, raw: &[u8; 11]) -> Option<String> {
        if self.long.is_empty() || self.expected != 0 || checksum(raw) != self.checksum {
            return None;
        }
        let units: Vec<u16> = self.long.iter().copied().take_while(|&unit| unit != 0).collect();
        let name = String::from_utf16_lossy(&units);
        DirEntry::is_legal_name(name.as_bytes()).then_some(name)
    }
}

/// The checksum that ties a long name to its short one.
fn checksum(raw: &[u8; 11]) -> u8 {
    raw.iter().fold(0_u8, |sum, &byte| sum.rotate_right(1).wrapping_add(byte))
}

/// `NAME.EXT`, in lower case where Windows NT's flags say that it was.
fn short_name(raw: &[u8; 11], flags: u8) -> String {
    const LOWER_BASE: u8 = 0x08;
    const LOWER_EXTENSION: u8 = 0x10;
    let fields = Fields(raw);
    let part = |bytes: &[u8], is_lower: bool| {
        let text = oem_text(bytes);
        let text = text.trim_end_matches(' ');
        if is_lower { text.to_lowercase() } else { text.to_owned() }
    };
    let mut base: [u8; 8] = fields.array(0);
    if let [first @ 0x05, ..] = &mut base {
        *first = 0xE5; // 0xE5 itself marks a deleted entry
    }
    let base = part(&base, flags & LOWER_BASE != 0);
    let extension = part(fields.slice(8, 3), flags & LOWER_EXTENSION != 0);
    if extension.is_empty() { base } else { format!("{base}.{extension}") }
}

fn oem_text(bytes: &[u8]) -> String {
    let upper = |byte: u8| CP437.chars().nth(usize::from(byte & 0x7F)).unwrap_or('\u{fffd}');
    bytes.iter().map(|&b| if b.is_ascii() { char::from(b) } else { upper(b) }).collect()
}

/// A date (7 bits of years since 1980, 4 of month, 5 of day) and a time (5, 6, 5 bits, the last of
/// two seconds each) as seconds since 1970. 0 where there is no such day.
fn seconds(date: u16, time: u16) -> i64 {
    let (year, month, day) =
        (i64::from(date >> 9) + 1980, i64::from(date >> 5 & 0xF), i64::from(date & 0x1F));
    if !(1..=12).contains(&month) || day == 0 {
        return 0;
    }
    // Days since 1970 of the proleptic Gregorian calendar, the year beginning in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    const DAYS_TO_1970: i64 = 719_468;
    let time_s = i64::from(time >> 11) * 3600
        + i64::from(time >> 5 & 0x3F) * 60
        + i64::from(time & 0x1F) * 2;
    (days - DAYS_TO_1970) * 86_400 + time_s
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // date -u -d '2024-02-29 13:45:58' +%s
        assert_eq!(seconds(44 << 9 | 2 << 5 | 29, 13 << 11 | 45 << 5 | 29), 1_709_214_358);
        assert_eq!(seconds(1 << 5 | 1, 0), 315_532_800); // 1980-01-01
        assert_eq!(seconds(0, 0), 0);
    }

    #[test]
    fn short_names_follow_the_case_flags() {
        assert_eq!(short_name(b"GRUBX64 EFI", 0), "GRUBX64.EFI");
        assert_eq!(short_name(b"GRUBX64 EFI", 0x08), "grubx64.EFI");
        assert_eq!(short_name(b"GRUBX64 EFI", 0x18), "grubx64.efi");
        assert_eq!(short_name(b"EFI        ", 0), "EFI");
        assert_eq!(short_name(b"\x05\x9ABC    TXT", 0), "σÜBC.TXT");
    }

    /// One unsound part, and the short name is all there is.
    #[test]
    fn a_long_name_needs_all_its_parts_and_the_checksum() {
        let raw = b"LONGNA~1TXT";
        let part = |order: u8, text: &str, sum: u8| {
            let mut bytes = [0_u8; 32];
            (bytes[0], bytes[11], bytes[13]) = (order, ATTR_LONG_NAME, sum);
            let places = (1..11).step_by(2).chain((14..26).step_by(2)).chain([28, 30]);
            for (unit, at) in text.encode_utf16().chain([0]).zip(places) {
                bytes[at..at + 2].copy_from_slice(&unit.to_le_bytes());
            }
            bytes
        };
        let mut short = [0_u8; 32];
        short[..11].copy_from_slice(raw);
        let sum = checksum(raw);
        let name = |parts: &[[u8; 32]]| {
            let mut reader = Reader::default();
            for bytes in parts {
                assert_eq!(reader.step(bytes), Step::Nothing);
            }
            match reader.step(&short) {
                Step::Entry(entry) => entry.name,
                other => panic!("{other:?}"),
            }
        };
        let (last, first) = (part(0x42, "ame.txt", sum), part(1, "a rather long", sum));
        assert_eq!(name(&[last, first]), "a rather longame.txt");
        assert_eq!(name(&[first]), "LONGNA~1.TXT");
        assert_eq!(name(&[last]), "LONGNA~1.TXT");
        assert_eq!(name(&[last, part(1, "a rather long", sum ^ 1)]), "LONGNA~1.TXT");
        assert_eq!(name(&[part(0x42, "ame", sum ^ 1), first]), "LONGNA~1.TXT");
        assert_eq!(name(&[part(0x41, "../etc/passwd", sum)]), "LONGNA~1.TXT");
    }
}
