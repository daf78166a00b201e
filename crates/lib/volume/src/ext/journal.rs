//! The journal (JBD2), replayed in memory: where a newer copy of a block is, and nothing written.
//!
//! A guest that was not shut down has its latest changes only there, and its kernel would write
//! them in place at the next mount. As in the kernel there are three passes: find the last
//! transaction that was committed, collect what later transactions revoked, then note the place
//! of each logged block. All numbers are big-endian. Linux
//! Documentation/filesystems/ext4/journal.rst and fs/jbd2/recovery.c.

use std::collections::HashMap;
use std::sync::Arc;

use kiln_disk::{Error, Result};

use super::ExtFs;
use super::device::{Logged, Overlay, Role};
use super::inode::Inode;
use super::le::{be32_at, crc32c, index, join, low_half, slice_at};

const MAGIC: u32 = 0xc03b_3998;
/// A journal of 4 GiB in blocks of 4 KiB; mke2fs makes at most 1 GiB.
const MAX_JOURNAL_BLOCKS: u32 = 1 << 20;
/// As many revoke records as are read, repeated ones too: a bound on memory and on time.
const MAX_REVOKES: usize = 1 << 22;

const TYPE_DESCRIPTOR: u32 = 1;
const TYPE_COMMIT: u32 = 2;
const TYPE_SUPERBLOCK_V1: u32 = 3;
const TYPE_SUPERBLOCK_V2: u32 = 4;
const TYPE_REVOKE: u32 = 5;
/// Magic, type, sequence: what every block of the journal's own starts with.
const HEADER_BYTES: usize = 12;
const COMMIT_CHECKSUM_AT: usize = 0x10;

const INCOMPAT_64BIT: u32 = 0x2;
const INCOMPAT_CSUM_V2: u32 = 0x8;
const INCOMPAT_CSUM_V3: u32 = 0x10;
const INCOMPAT_FAST_COMMIT: u32 = 0x20;
/// revoke, 64bit, async commit, checksums of version 2 and 3, fast commit.
const INCOMPAT_KNOWN: u32 = 0x3f;

const TAG_ESCAPED: u32 = 1;
const TAG_SAME_UUID: u32 = 2;
const TAG_LAST: u32 = 8;

/// What replaying the journal came to.
pub(super) struct Replay {
    /// The newest copies.
    pub(super) overlay: Overlay,
    /// Remarks for the report.
    pub(super) notes: Vec<String>,
}

/// Find what the journal in `inode` of `fs` would write at the next mount.
///
/// # Errors
///
/// `Corrupt` for a journal that the kernel would refuse to replay; `Unsupported` for features that
/// are not known and for a journal of more than a million blocks.
pub(super) fn replay(fs: &ExtFs, inode: &Inode) -> Result<Replay> {
    let mut journal = Journal::open(fs, inode)?;
    if journal.start == 0 {
        return Ok(Replay { overlay: Overlay::new(), notes: Vec::new() });
    }
    let mut notes = Vec::new();
    if journal.incompat & INCOMPAT_FAST_COMMIT != 0 {
        notes.push("fast commits in the journal are not replayed".to_owned());
    }
    let transactions = journal.scan()?;
    for transaction in &transactions {
        for block in &transaction.revokes {
            journal.read_revokes(transaction.sequence, *block)?;
        }
    }
    let mut overlay = Overlay::new();
    for transaction in &transactions {
        for tag in &transaction.tags {
            journal.replay_tag(transaction.sequence, tag, &mut overlay)?;
        }
    }
    Ok(Replay { overlay, notes })
}

struct Journal<'a> {
    fs: &'a ExtFs,
    inode: &'a Inode,
    /// The first block of the log, and the one behind the last.
    first: u32,
    end: u32,
    /// Where the oldest transaction starts; 0: there is none.
    start: u32,
    sequence: u32,
    incompat: u32,
    checksum_seed: u32,
    /// The newest transaction that revoked a block.
    revoked: HashMap<u64, u32>,
    n_revokes: usize,
}

/// A committed transaction.
struct Transaction {
    sequence: u32,
    tags: Vec<Tag>,
    /// Blocks of the journal that hold revoke records.
    revokes: Vec<u32>,
}

/// A logged block: where it belongs, where its copy is in the journal.
struct Tag {
    target: u64,
    copy: u32,
    flags: u32,
    checksum: u32,
}

impl<'a> Journal<'a> {
    fn open(fs: &'a ExtFs, inode: &'a Inode) -> Result<Self> {
        let mut journal = Self {
            fs,
            inode,
            first: 0,
            end: 1,
            start: 0,
            sequence: 0,
            incompat: 0,
            checksum_seed: 0,
            revoked: HashMap::new(),
            n_revokes: 0,
        };
        let raw = journal.block(0)?;
        let kind = be32_at(&raw, 4)?;
        if be32_at(&raw, 0)? != MAGIC || !matches!(kind, TYPE_SUPERBLOCK_V1 | TYPE_SUPERBLOCK_V2) {
            return Err(Error::corrupt("journal: its first block is not a journal superblock"));
        }
        let block_size = be32_at(&raw, 0xc)?;
        if u64::from(block_size) != fs.device.block_size() {
            return Err(Error::corrupt(format!(
                "journal: block size {block_size}, where the filesystem has {}",
                fs.device.block_size()
            )));
        }
        if kind == TYPE_SUPERBLOCK_V2 {
            journal.incompat = be32_at(&raw, 0x28)?;
        }
        journal.check_superblock(&raw)?;
        let n_blocks = be32_at(&raw, 0x10)?;
        if n_blocks > MAX_JOURNAL_BLOCKS {
            return Err(Error::unsupported(format!("a journal of {n_blocks} blocks")));
        }
        let n_fast = match journal.incompat & INCOMPAT_FAST_COMMIT {
            0 => 0,
            // s_num_fc_blks; 0 stands for 256 (JBD2_DEFAULT_FAST_COMMIT_BLOCKS).
            _ => Some(be32_at(&raw, 0x54)?).filter(|&n| n != 0).unwrap_or(256),
        };
        journal.first = be32_at(&raw, 0x14)?;
        journal.end = n_blocks.saturating_sub(n_fast);
        journal.sequence = be32_at(&raw, 0x18)?;
        journal.start = be32_at(&raw, 0x1c)?;
        let log = journal.first..journal.end;
        if journal.first == 0 || (journal.start != 0 && !log.contains(&journal.start)) {
            return Err(Error::corrupt(format!(
                "journal: starts at block {}, outside its blocks {}..{}",
                journal.start, journal.first, journal.end
            )));
        }
        Ok(journal)
    }

    fn check_superblock(&mut self, raw: &[u8]) -> Result<()> {
        const CHECKSUM_AT: usize = 0xfc;
        let unknown = self.incompat & !INCOMPAT_KNOWN;
        if unknown != 0 {
            return Err(Error::unsupported(format!("journal features {unknown:#x}")));
        }
        if !self.has_checksums() {
            return Ok(());
        }
        self.checksum_seed = crc32c(!0, slice_at(raw, 0x30, 16)?);
        let stored = be32_at(raw, CHECKSUM_AT)?;
        let computed = crc_without(!0, slice_at(raw, 0, 1024)?, CHECKSUM_AT)?;
        if stored == computed {
            return Ok(());
        }
        Err(Error::corrupt(format!(
            "journal: superblock checksum {stored:#010x}, computed {computed:#010x}"
        )))
    }

    /// The transactions that were committed, oldest first.
    fn scan(&self) -> Result<Vec<Transaction>> {
        let mut transactions = Vec::new();
        let mut sequence = self.sequence;
        let mut current = Transaction { sequence, tags: Vec::new(), revokes: Vec::new() };
        let mut at = self.start;
        // Each turn passes a block at least; more of them than the log has would be a circle.
        let mut blocks_left = self.end - self.first;
        while blocks_left > 0 {
            let raw = self.block(at)?;
            let is_ours = be32_at(&raw, 0)? == MAGIC && be32_at(&raw, 8)? == sequence;
            if !is_ours {
                break;
            }
            let mut passed = 1;
            match be32_at(&raw, 4)? {
                TYPE_DESCRIPTOR if self.is_tail_sound(&raw)? => {
                    let n = self.read_tags(&raw, at, blocks_left, &mut current.tags)?;
                    passed = passed.max(n.saturating_add(1));
                }
                TYPE_REVOKE if self.is_tail_sound(&raw)? => current.revokes.push(at),
                TYPE_COMMIT if self.is_commit_sound(&raw)? => {
                    sequence = sequence.wrapping_add(1);
                    let next = Transaction { sequence, tags: Vec::new(), revokes: Vec::new() };
                    transactions.push(std::mem::replace(&mut current, next));
                }
                // What is not whole was not committed: the log ends before it.
                _ => break,
            }
            at = self.step(at, passed);
            blocks_left = blocks_left.saturating_sub(passed);
        }
        Ok(transactions)
    }

    /// The tags of a descriptor at `at`, at most `limit` of them; their copies follow it.
    fn read_tags(&self, raw: &[u8], at: u32, limit: u32, tags: &mut Vec<Tag>) -> Result<u32> {
        let is_v3 = self.incompat & INCOMPAT_CSUM_V3 != 0;
        let is_64bit = self.incompat & INCOMPAT_64BIT != 0;
        let size = match (is_v3, self.incompat & INCOMPAT_CSUM_V2 != 0, is_64bit) {
            (true, _, _) => 16,
            (false, true, true) => 14,
            (false, true, false) => 10,
            (false, false, true) => 12,
            (false, false, false) => 8,
        };
        let end = raw.len() - if self.has_checksums() { 4 } else { 0 };
        let mut position = HEADER_BYTES;
        let mut n = 0;
        while position + size <= end && n < limit {
            let tag = slice_at(raw, position, size)?;
            let word = be32_at(tag, 4)?;
            // Version 3 has the flags in a word and the checksum last; others half a word each.
            let (flags, checksum) =
                if is_v3 { (word, be32_at(tag, 12)?) } else { (low_half(word), word >> 16) };
            let high = if is_64bit { be32_at(tag, 8)? } else { 0 };
            n += 1;
            let copy = self.step(at, n);
            tags.push(Tag { target: join(high, be32_at(tag, 0)?), copy, flags, checksum });
            position += size;
            if flags & TAG_SAME_UUID == 0 {
                position += 16;
            }
            if flags & TAG_LAST != 0 {
                break;
            }
        }
        Ok(n)
    }

    fn read_revokes(&mut self, sequence: u32, at: u32) -> Result<()> {
        let raw = self.block(at)?;
        let used = index(be32_at(&raw, HEADER_BYTES)?).min(raw.len());
        let size = if self.incompat & INCOMPAT_64BIT != 0 { 8 } else { 4 };
        let records = raw.get(HEADER_BYTES + 4..used).unwrap_or_default();
        self.n_revokes = self.n_revokes.saturating_add(records.len() / size);
        if self.n_revokes > MAX_REVOKES {
            return Err(Error::unsupported("a journal that revokes more than four million blocks"));
        }
        for record in records.chunks_exact(size) {
            let block = match size {
                8 => join(be32_at(record, 0)?, be32_at(record, 4)?),
                _ => u64::from(be32_at(record, 0)?),
            };
            // Transactions come oldest first, so that the newest stays.
            self.revoked.insert(block, sequence);
        }
        Ok(())
    }

    fn replay_tag(&self, sequence: u32, tag: &Tag, overlay: &mut Overlay) -> Result<()> {
        // Sequence numbers wrap: "not older" is half the circle ahead.
        let is_revoked = self
            .revoked
            .get(&tag.target)
            .is_some_and(|&revoked| revoked.wrapping_sub(sequence) < u32::MAX / 2);
        if is_revoked {
            return Ok(());
        }
        if self.has_checksums() {
            let crc = crc32c(self.checksum_seed, &sequence.to_be_bytes());
            let crc = crc32c(crc, &self.block(tag.copy)?);
            let is_v3 = self.incompat & INCOMPAT_CSUM_V3 != 0;
            let computed = if is_v3 { crc } else { low_half(crc) };
            if tag.checksum != computed {
                return Err(Error::corrupt(format!(
                    "journal: transaction {sequence} has block {} with checksum {:#010x}, \
                     computed {computed:#010x}",
                    tag.target, tag.checksum
                )));
            }
        }
        if tag.target >= self.fs.device.n_blocks() {
            return Err(Error::corrupt(format!(
                "journal: transaction {sequence} writes block {}, outside the filesystem",
                tag.target
            )));
        }
        let logged =
            Logged { block: self.physical(tag.copy)?, escaped: tag.flags & TAG_ESCAPED != 0 };
        overlay.insert(tag.target, logged);
        Ok(())
    }

    /// The log's block `n` after `at`; behind the last comes the first.
    fn step(&self, at: u32, n: u32) -> u32 {
        let length = u64::from(self.end - self.first).max(1);
        let offset = u64::from(at.saturating_sub(self.first)) + u64::from(n);
        self.first.saturating_add(u32::try_from(offset % length).unwrap_or(0))
    }

    fn physical(&self, at: u32) -> Result<u64> {
        self.fs
            .map(self.inode, u64::from(at))?
            .physical
            .ok_or_else(|| Error::corrupt(format!("journal: its block {at} is a hole")))
    }

    fn block(&self, at: u32) -> Result<Arc<[u8]>> {
        self.fs.device.block(self.physical(at)?, Role::Plain, |_| Ok(()))
    }

    fn has_checksums(&self) -> bool {
        self.incompat & (INCOMPAT_CSUM_V2 | INCOMPAT_CSUM_V3) != 0
    }

    /// Whether the checksum in the last four bytes of a descriptor or revoke block is right.
    fn is_tail_sound(&self, raw: &[u8]) -> Result<bool> {
        if !self.has_checksums() {
            return Ok(true);
        }
        let at = raw.len().saturating_sub(4);
        Ok(be32_at(raw, at)? == crc_without(self.checksum_seed, raw, at)?)
    }

    fn is_commit_sound(&self, raw: &[u8]) -> Result<bool> {
        if !self.has_checksums() {
            return Ok(true);
        }
        let computed = crc_without(self.checksum_seed, raw, COMMIT_CHECKSUM_AT)?;
        Ok(be32_at(raw, COMMIT_CHECKSUM_AT)? == computed)
    }
}

/// The checksum of `raw` with the four bytes at `at`, where it is kept itself, taken as zero.
fn crc_without(seed: u32, raw: &[u8], at: usize) -> Result<u32> {
    let crc = crc32c(crc32c(seed, slice_at(raw, 0, at)?), &[0; 4]);
    Ok(crc32c(crc, raw.get(at + 4..).unwrap_or_default()))
}
