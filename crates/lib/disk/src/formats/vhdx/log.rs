//! The VHDX log: changes to the tables that a crash kept from reaching their places.
//!
//! kiln never writes, so a log that a real opener would replay into the file is laid over it in
//! memory. Layout and the rules for what is valid: [MS-VHDX] 2.3.

use super::header::{Guid, sum};
use crate::fields::{Fields, length_u64, length_usize};
use crate::{Error, Kind, Result};

/// The unit of the log: entries, their descriptors and their data come in such sectors.
const SECTOR: usize = 4096;
const ENTRY_HEADER_BYTES: usize = 64;
const DESCRIPTOR_BYTES: usize = 32;

/// The longest log that is replayed. Hyper-V and QEMU make logs of 1 MiB; this bounds memory.
pub(crate) const LOG_MAX_BYTES: u32 = 32 << 20;

/// One change to the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) offset: u64,
    pub(crate) length_bytes: u64,
    /// The new bytes; none means zeroes.
    pub(crate) bytes: Option<Vec<u8>>,
}

/// One valid entry.
#[derive(Clone, Debug)]
struct Entry {
    sequence: u64,
    tail: usize,
    length: usize,
    flushed_bytes: u64,
    bytes: Vec<u8>,
}

/// The changes of the active sequence of `log`, oldest first. A log without a valid entry is
/// empty: the writer died before its first change was complete.
///
/// # Errors
///
/// [`Kind::Corrupt`] where the file is shorter than the log knows it to have been, where an entry
/// with a good checksum makes no sense, or where entries overlap so much that checking them all
/// would take unreasonable time.
pub(crate) fn replay(log: &[u8], guid: &Guid, file_bytes: u64) -> Result<Vec<Change>> {
    let Some(active) = active_sequence(log, guid)? else { return Ok(Vec::new()) };
    let mut changes = Vec::new();
    for entry in &active {
        if entry.flushed_bytes > file_bytes {
            return Err(Error::new(
                Kind::Corrupt,
                format!(
                    "the log says the file had {} bytes, it has {file_bytes}: it is truncated",
                    entry.flushed_bytes
                ),
            ));
        }
        entry.changes(&mut changes)?;
    }
    Ok(changes)
}

/// The sequence of entries with the highest numbers that is whole, from its tail to its head.
fn active_sequence(log: &[u8], guid: &Guid) -> Result<Option<Vec<Entry>>> {
    let mut best: Option<Vec<Entry>> = None;
    // Overlapping entries of a hostile log would be summed again and again.
    let mut budget = log.len().saturating_mul(4);
    let mut start = 0;
    while start < log.len() {
        let mut entries: Vec<Entry> = Vec::new();
        let mut at = start;
        let mut walked = 0_usize;
        while let Some(entry) = entry_at(log, at, guid, &mut budget)? {
            let follows = entries
                .last()
                .is_none_or(|last| last.sequence.checked_add(1) == Some(entry.sequence));
            walked = walked.saturating_add(entry.length);
            if !follows || walked > log.len() {
                break;
            }
            at = wrap(at.saturating_add(entry.length), log.len());
            entries.push(entry);
        }
        start = if at > start {
            at
        } else if entries.is_empty() {
            start.saturating_add(SECTOR)
        } else {
            log.len()
        };
        let head = entries.last().map(|entry| (entry.sequence, entry.tail));
        let newest = best.as_ref().and_then(|b| b.last()).map(|entry| entry.sequence);
        if let Some((sequence, tail)) = head
            && newest.is_none_or(|newest| sequence > newest)
            && let Some(active) = from_tail(log, tail, sequence, guid, &mut budget)?
        {
            best = Some(active);
        }
    }
    Ok(best)
}

/// The entries from the head's own tail up to the head: an older start than that is stale.
fn from_tail(
    log: &[u8],
    tail: usize,
    head: u64,
    guid: &Guid,
    budget: &mut usize,
) -> Result<Option<Vec<Entry>>> {
    let mut entries: Vec<Entry> = Vec::new();
    let (mut at, mut walked) = (tail, 0_usize);
    while let Some(entry) = entry_at(log, at, guid, budget)? {
        let follows =
            entries.last().is_none_or(|last| last.sequence.checked_add(1) == Some(entry.sequence));
        walked = walked.saturating_add(entry.length);
        if !follows || walked > log.len() {
            return Ok(None);
        }
        at = wrap(at.saturating_add(entry.length), log.len());
        let done = entry.sequence == head;
        entries.push(entry);
        if done {
            return Ok(Some(entries));
        }
    }
    Ok(None)
}

fn wrap(at: usize, length: usize) -> usize {
    at.checked_rem(length).unwrap_or(0)
}

/// `length` bytes of the circular log from `at` on.
fn circular(log: &[u8], at: usize, length: usize) -> Vec<u8> {
    let first = log.get(at..).unwrap_or_default();
    first.iter().chain(log).take(length).copied().collect()
}

/// The valid entry at `at`, if there is one.
fn entry_at(log: &[u8], at: usize, guid: &Guid, budget: &mut usize) -> Result<Option<Entry>> {
    if !at.is_multiple_of(SECTOR) {
        return Ok(None);
    }
    let header = circular(log, at, ENTRY_HEADER_BYTES);
    let fields = Fields(&header);
    let length = length_usize(fields.le_u32(8).into());
    let tail = length_usize(fields.le_u32(12).into());
    let sequence = fields.le_u64(16);
    let sound = header.starts_with(b"loge")
        && length >= SECTOR
        && length <= log.len()
        && length.is_multiple_of(SECTOR)
        && tail.is_multiple_of(SECTOR)
        && tail < log.len()
        && sequence > 0
        && &fields.bytes::<16>(32) == guid;
    if !sound {
        return Ok(None);
    }
    *budget = budget
        .checked_sub(length)
        .ok_or_else(|| Error::corrupt("the entries of the log overlap"))?;
    let bytes = circular(log, at, length);
    if sum(&bytes) != fields.le_u32(4) {
        return Ok(None);
    }
    let flushed_bytes = fields.le_u64(48);
    Ok(Some(Entry { sequence, tail, length, flushed_bytes, bytes }))
}

impl Entry {
    fn changes(&self, to: &mut Vec<Change>) -> Result<()> {
        let fields = Fields(&self.bytes);
        let count = length_usize(fields.le_u32(24).into());
        let descriptors = count.saturating_mul(DESCRIPTOR_BYTES).saturating_add(ENTRY_HEADER_BYTES);
        let data_start = descriptors.checked_next_multiple_of(SECTOR).unwrap_or(usize::MAX);
        if data_start > self.length {
            return Err(self.wrong(&format!("{count} descriptors do not fit in it")));
        }
        let area = self.bytes.get(ENTRY_HEADER_BYTES..descriptors).unwrap_or_default();
        let mut sectors = self.bytes.get(data_start..).unwrap_or_default().chunks_exact(SECTOR);
        for descriptor in area.chunks_exact(DESCRIPTOR_BYTES) {
            let fields = Fields(descriptor);
            if fields.le_u64(24) != self.sequence {
                return Err(self.wrong("a descriptor has another sequence number"));
            }
            let offset = fields.le_u64(16);
            let (length_bytes, bytes) = match &fields.bytes::<4>(0) {
                b"zero" => (fields.le_u64(8), None),
                b"desc" => {
                    let sector = sectors.next().ok_or_else(|| self.wrong("data is missing"))?;
                    (length_u64(SECTOR), Some(self.page(descriptor, sector)?))
                }
                other => return Err(self.wrong(&format!("descriptor {other:02x?} is not known"))),
            };
            let aligned = offset.is_multiple_of(4096) && length_bytes.is_multiple_of(4096);
            if !aligned || offset.checked_add(length_bytes).is_none() {
                return Err(self.wrong(&format!("a change of {length_bytes} bytes at {offset}")));
            }
            to.push(Change { offset, length_bytes, bytes });
        }
        Ok(())
    }

    /// The log keeps 12 bytes of each page in the descriptor, and numbers in their place.
    fn page(&self, descriptor: &[u8], sector: &[u8]) -> Result<Vec<u8>> {
        let (fields, data) = (Fields(descriptor), Fields(sector));
        let (high, low) = (u64::from(data.le_u32(4)), u64::from(data.le_u32(SECTOR - 4)));
        if !sector.starts_with(b"data") || high << 32 | low != self.sequence {
            return Err(self.wrong("a data sector does not belong to it"));
        }
        let mut page = fields.bytes::<8>(8).to_vec();
        page.extend(sector.get(8..SECTOR - 4).unwrap_or_default());
        page.extend(fields.bytes::<4>(4));
        Ok(page)
    }

    fn wrong(&self, why: &str) -> Error {
        Error::corrupt(format!("log entry {}: {why}", self.sequence))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) const GUID: Guid = [7; 16];

    /// A valid entry that writes `fill` to the page at `offset`, or zeroes where `fill` is none.
    pub(crate) fn entry(sequence: u64, tail: u32, offset: u64, fill: Option<u8>) -> Vec<u8> {
        let length = if fill.is_some() { 8192 } else { 4096 };
        let mut bytes = vec![0; length];
        bytes[..4].copy_from_slice(b"loge");
        bytes[8..12].copy_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
        bytes[12..16].copy_from_slice(&tail.to_le_bytes());
        bytes[16..24].copy_from_slice(&sequence.to_le_bytes());
        bytes[24] = 1;
        bytes[32..48].copy_from_slice(&GUID);
        bytes[80..88].copy_from_slice(&offset.to_le_bytes());
        bytes[88..96].copy_from_slice(&sequence.to_le_bytes());
        match fill {
            None => {
                bytes[64..68].copy_from_slice(b"zero");
                bytes[72..80].copy_from_slice(&8192_u64.to_le_bytes());
            }
            Some(fill) => {
                bytes[64..68].copy_from_slice(b"desc");
                bytes[68..80].fill(fill);
                bytes[4096..].fill(fill);
                bytes[4096..4100].copy_from_slice(b"data");
                bytes[4100..4104].fill(0);
                bytes[8188..].copy_from_slice(&u32::try_from(sequence).unwrap().to_le_bytes());
            }
        }
        seal(&mut bytes);
        bytes
    }

    fn seal(bytes: &mut [u8]) {
        let crc = sum(bytes).to_le_bytes();
        bytes[4..8].copy_from_slice(&crc);
    }

    fn log(entries: &[(usize, Vec<u8>)]) -> Vec<u8> {
        let mut log = vec![0; 1 << 20];
        for (at, entry) in entries {
            for (n, byte) in entry.iter().enumerate() {
                let place = (at + n) % log.len();
                log[place] = *byte;
            }
        }
        log
    }

    fn offsets(log: &[u8]) -> Vec<u64> {
        replay(log, &GUID, 1 << 30).unwrap().iter().map(|change| change.offset).collect()
    }

    #[test]
    fn the_newest_whole_sequence_is_replayed_from_its_tail() {
        let old = (0, entry(3, 0, 4096, Some(1)));
        let first = (65_536, entry(9, 65_536, 8192, Some(2)));
        let second = (65_536 + 8192, entry(10, 65_536, 12_288, None));
        assert_eq!(offsets(&log(std::slice::from_ref(&old))), [4096]);
        assert_eq!(offsets(&log(&[old.clone(), first.clone(), second])), [8192, 12_288]);
        // The head moved its tail on: the entry before it is already in its place.
        let moved = (65_536 + 8192, entry(10, 65_536 + 8192, 12_288, None));
        assert_eq!(offsets(&log(&[old, first, moved])), [12_288]);
        assert_eq!(offsets(&log(&[])), [0; 0]);
    }

    #[test]
    fn an_entry_may_wrap_around_the_end() {
        let at = (1 << 20) - 4096;
        let wrapped = (at, entry(4, u32::try_from(at).unwrap(), 4096, Some(5)));
        let changes = replay(&log(&[wrapped]), &GUID, 1 << 30).unwrap();
        assert_eq!(
            changes,
            [Change { offset: 4096, length_bytes: 4096, bytes: Some(vec![5; 4096]) }]
        );
    }

    #[test]
    fn a_wrong_sum_ends_the_log_and_nonsense_under_a_right_one_is_corrupt() {
        let mut torn = entry(3, 0, 4096, Some(1));
        torn[5000] ^= 1;
        assert_eq!(offsets(&log(&[(0, torn)])), [0; 0]);
        for (at, value, message) in [
            (24, 255, "log entry 3: 255 descriptors do not fit in it"),
            (64, b'D', "log entry 3: descriptor [44, 65, 73, 63] is not known"),
            (81, 0x11, "log entry 3: a change of 4096 bytes at 4352"),
            (88, 4, "log entry 3: a descriptor has another sequence number"),
            (4096, b'D', "log entry 3: a data sector does not belong to it"),
        ] {
            let mut bad = entry(3, 0, 4096, Some(1));
            bad[at] = value;
            seal(&mut bad);
            let error = replay(&log(&[(0, bad)]), &GUID, 1 << 30).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        let mut longer = entry(3, 0, 4096, Some(1));
        longer[52] = 1;
        seal(&mut longer);
        let error = replay(&log(&[(0, longer)]), &GUID, 1 << 30).unwrap_err();
        let told = "the log says the file had 4294967296 bytes, it has 1073741824: it is truncated";
        assert_eq!(error.to_string(), told);
    }

    /// Headers at every sector that all claim the whole log: checking each would take minutes.
    #[test]
    fn overlapping_entries_are_refused_soon() {
        let mut hostile = vec![0; 1 << 20];
        for at in (0..hostile.len()).step_by(SECTOR) {
            let mut header = entry(3, 0, 4096, None);
            header[8..12].copy_from_slice(&(1_u32 << 20).to_le_bytes());
            hostile[at..at + 64].copy_from_slice(&header[..64]);
        }
        let error = replay(&hostile, &GUID, 1 << 30).unwrap_err();
        assert_eq!(error.to_string(), "the entries of the log overlap");
    }
}
