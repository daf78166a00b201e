//! What a volume holds, by the magic numbers in it, with its UUID and label as `blkid` prints them.
//!
//! The places and magics are those of libblkid's probers and of the formats' own headers. A volume
//! is read in steps: 8 KiB at its start and the ends where RAID keeps its superblocks decide most
//! of them; only what is still unknown is read at 32 and 64 KiB.

use std::cell::RefCell;
use std::rc::Rc;

use kiln_disk::{ExtentKind, Result, Source};

use crate::field::{Fields, read_up_to};
use crate::layout::Content;
use crate::md;

mod known;

/// What was recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) content: Content,
    pub(crate) uuid: Option<String>,
    pub(crate) label: Option<String>,
    /// The size in bytes that the content says it has, where it must not exceed the volume's.
    pub(crate) claimed_bytes: Option<u64>,
}

impl Signature {
    fn bare(content: Content) -> Self {
        Self { content, uuid: None, label: None, claimed_bytes: None }
    }

    pub(crate) fn is_known(&self) -> bool {
        !matches!(self.content, Content::Empty | Content::Unknown)
    }
}

/// The parts of a volume that were read, each once.
struct Sample<'a> {
    source: &'a Source,
    parts: RefCell<Vec<(u64, Rc<[u8]>)>>,
}

/// The parts, by start and length. A magic number lies in one of them.
const HEAD: (u64, usize) = (0, 8 << 10);
const DESCRIPTORS: (u64, usize) = (0x8000, 6 << 10);
const FAR: (u64, usize) = (0xFF00, 0x1100);
const ZFS_LABEL: (u64, usize) = (0x4000, 512);

impl<'a> Sample<'a> {
    fn new(source: &'a Source) -> Self {
        Self { source, parts: RefCell::new(Vec::new()) }
    }

    /// A part of the volume; empty where the volume is shorter or cannot be read.
    fn part(&self, (start, length): (u64, usize)) -> Rc<[u8]> {
        let mut parts = self.parts.borrow_mut();
        if let Some((_, bytes)) = parts.iter().find(|(at, _)| *at == start) {
            return Rc::clone(bytes);
        }
        let bytes: Rc<[u8]> = read_up_to(self.source, start, length).unwrap_or_default().into();
        parts.push((start, Rc::clone(&bytes)));
        bytes
    }

    /// Whether everything that was read is zero, and two more places as well.
    fn is_zero(&self) -> Result<bool> {
        let size = self.source.size_bytes();
        let whole = self.source.extent_at(0);
        if whole.is_ok_and(|e| e.kind == ExtentKind::Zero && e.length_bytes >= size) {
            return Ok(true);
        }
        let all_zero = |bytes: &[u8]| bytes.iter().all(|&byte| byte == 0);
        if !self.parts.borrow().iter().all(|(_, bytes)| all_zero(bytes)) {
            return Ok(false);
        }
        for at in [1 << 20, size / 2, size.saturating_sub(4096)] {
            if !all_zero(&read_up_to(self.source, at, 4096)?) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What `source` holds. Bytes that cannot be read are taken for no magic number.
pub(crate) fn probe(source: &Source) -> Signature {
    if source.size_bytes() == 0 {
        return Signature::bare(Content::Unknown);
    }
    // First, because a RAID1 member with its superblock at the end looks like its filesystem.
    if let Some(member) = md::superblock(source) {
        return Signature {
            content: Content::RaidMember,
            uuid: Some(member.set_uuid_blkid()),
            label: member.name.clone(),
            claimed_bytes: None,
        };
    }
    let sample = Sample::new(source);
    if let Some(known) = known::find(&sample) {
        return known;
    }
    match sample.is_zero() {
        Ok(true) => Signature::bare(Content::Empty),
        Ok(false) | Err(_) => Signature::bare(Content::Unknown),
    }
}

/// The ISO 9660 filesystem of `source`, if it is one.
pub(crate) fn iso9660(source: &Source) -> Option<Signature> {
    let descriptor = read_up_to(source, DESCRIPTORS.0, 2048).ok()?;
    known::iso9660(Fields(&descriptor))
}
