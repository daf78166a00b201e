//! Extended attributes: in the inode, or in the leaves of a tree of hashes, long values in blocks
//! of their own.

use std::collections::HashSet;

use kiln_disk::{Error, Result};

use super::Xfs;
use super::bytes::{crc_holds, index, u8_at, u16_at, u32_at, u64_at};
use super::extents::Extent;
use super::inode::{Format, Inode};
use crate::acl;
use crate::fs::Xattr;

const LOCAL: u8 = 1;
const ROOT: u8 = 2;
const SECURE: u8 = 4;
/// A parent pointer: the filesystem's own, not shown to users.
const PARENT: u8 = 8;
const INCOMPLETE: u8 = 0x80;
/// The kernel's `XATTR_SIZE_MAX`.
const MAX_VALUE_BYTES: usize = 65536;
/// All attributes of one file; Linux cannot list more than 64 KiB of names.
const MAX_TOTAL_BYTES: usize = 64 << 20;

/// All attributes of `inode`.
pub(super) fn read(fs: &Xfs, inode: &Inode) -> Result<Vec<Xattr>> {
    with_access_lists(inode.ino, stored(fs, inode)?)
}

fn stored(fs: &Xfs, inode: &Inode) -> Result<Vec<Xattr>> {
    match &inode.attr {
        None => Ok(Vec::new()),
        Some(fork) if fork.format == Format::Local => short_form(inode.ino, &fork.bytes),
        Some(fork) if fork.format == Format::Extents && fork.n_extents == 0 => Ok(Vec::new()),
        Some(_) => {
            let extents = fs.extents(inode, true)?;
            let mut reader =
                Reader { fs, ino: inode.ino, extents: &extents, found: Vec::new(), total_bytes: 0 };
            reader.tree()?;
            Ok(reader.found)
        }
    }
}

/// The access lists that the kernel shows twice: as they are, and under the name all filesystems
/// share in the form all share.
fn with_access_lists(ino: u64, mut found: Vec<Xattr>) -> Result<Vec<Xattr>> {
    let mut lists = Vec::new();
    for (name, shown) in [
        (&b"trusted.SGI_ACL_FILE"[..], &b"system.posix_acl_access"[..]),
        (b"trusted.SGI_ACL_DEFAULT", b"system.posix_acl_default"),
    ] {
        let Some(raw) = found.iter().find(|xattr| xattr.name == name) else { continue };
        let value = acl::from_xfs(&raw.value)
            .map_err(|error| Error::corrupt(format!("xfs inode {ino}: {error}")))?;
        lists.push(Xattr { name: shown.to_vec(), value });
    }
    found.append(&mut lists);
    Ok(found)
}

fn full_name(flags: u8, name: &[u8]) -> Option<Vec<u8>> {
    if flags & (PARENT | INCOMPLETE) != 0 {
        return None;
    }
    let prefix: &[u8] = match flags & (ROOT | SECURE) {
        0 => b"user.",
        ROOT => b"trusted.",
        _ => b"security.",
    };
    Some([prefix, name].concat())
}

fn short_form(ino: u64, bytes: &[u8]) -> Result<Vec<Xattr>> {
    let mut found = Vec::new();
    let mut at = 4;
    for _ in 0..u8_at(bytes, 2) {
        let name_end = at + 3 + usize::from(u8_at(bytes, at));
        let end = name_end + usize::from(u8_at(bytes, at + 1));
        let (Some(name), Some(value)) = (bytes.get(at + 3..name_end), bytes.get(name_end..end))
        else {
            let message = format!("xfs inode {ino}: an attribute reaches past the inode");
            return Err(Error::corrupt(message));
        };
        if let Some(name) = full_name(u8_at(bytes, at + 2), name) {
            found.push(Xattr { name, value: value.to_vec() });
        }
        at = end;
    }
    Ok(found)
}

struct Reader<'a> {
    fs: &'a Xfs,
    ino: u64,
    extents: &'a [Extent],
    found: Vec<Xattr>,
    total_bytes: usize,
}

impl Reader<'_> {
    fn corrupt(&self, block: u32, what: &str) -> Error {
        Error::corrupt(format!("xfs inode {}: attribute block {block}: {what}", self.ino))
    }

    /// Down the left edge to the first leaf, then along the leaves.
    fn tree(&mut self) -> Result<()> {
        let mut seen = HashSet::new();
        let mut number = 0;
        loop {
            if !seen.insert(number) {
                return Err(self.corrupt(number, "it is in the tree twice"));
            }
            let block = self.block(number)?;
            let has_crc = self.fs.sb.has_crc;
            match (u16_at(&block, 8), has_crc) {
                (0x3ebe, true) => number = u32_at(&block, 68),
                (0xfebe, false) => number = u32_at(&block, 20),
                (0x3bee, true) | (0xfbee, false) => {
                    self.leaf(number, &block)?;
                    number = u32_at(&block, 0);
                    if number == 0 {
                        return Ok(());
                    }
                }
                _ => return Err(self.corrupt(number, "wrong magic")),
            }
        }
    }

    fn block(&self, number: u32) -> Result<Vec<u8>> {
        let mut block = vec![0; index(self.fs.sb.block_bytes)];
        let offset = u64::from(number) * u64::from(self.fs.sb.block_bytes);
        let Some(disk) = self.fs.mapped_offset(self.extents, number.into(), 1)? else {
            return Err(self.corrupt(number, "it is a hole"));
        };
        self.fs.read_mapped(self.extents, offset, &mut block)?;
        if self.fs.sb.has_crc && !crc_holds(&block, 12) {
            return Err(self.corrupt(number, "wrong checksum").at(disk));
        }
        if self.fs.sb.has_crc && u64_at(&block, 16) != disk / 512 {
            return Err(self.corrupt(number, "it says to be another block").at(disk));
        }
        if self.fs.sb.has_crc && u64_at(&block, 48) != self.ino {
            return Err(self.corrupt(number, "it belongs to another inode").at(disk));
        }
        Ok(block)
    }

    fn leaf(&mut self, number: u32, block: &[u8]) -> Result<()> {
        let (count_at, entries_at) = if self.fs.sb.has_crc { (56, 80) } else { (12, 32) };
        let n_entries = usize::from(u16_at(block, count_at));
        if entries_at + n_entries * 8 > block.len() {
            return Err(self.corrupt(number, "more entries than fit"));
        }
        for entry in 0..n_entries {
            let at = entries_at + entry * 8;
            let (start, flags) = (usize::from(u16_at(block, at + 4)), u8_at(block, at + 6));
            let outside = || self.corrupt(number, "an entry reaches past its end");
            let is_local = flags & LOCAL != 0;
            let name_at = start + if is_local { 3 } else { 9 };
            let name_end = name_at + usize::from(u8_at(block, name_at - 1));
            let name = block.get(name_at..name_end).ok_or_else(outside)?;
            let Some(name) = full_name(flags, name) else { continue };
            let value = if is_local {
                let end = name_end + usize::from(u16_at(block, start));
                block.get(name_end..end).ok_or_else(outside)?.to_vec()
            } else {
                self.remote(u32_at(block, start), index(u32_at(block, start + 4)))?
            };
            self.total_bytes += name.len() + value.len();
            if self.total_bytes > MAX_TOTAL_BYTES {
                return Err(self.corrupt(number, "more than 64 MiB of attributes"));
            }
            self.found.push(Xattr { name, value });
        }
        Ok(())
    }

    fn remote(&self, first: u32, length: usize) -> Result<Vec<u8>> {
        if length > MAX_VALUE_BYTES {
            return Err(self.corrupt(first, "a value of more than 64 KiB"));
        }
        let block_bytes = u64::from(self.fs.sb.block_bytes);
        let mut block = vec![0; index(block_bytes)];
        let mut value = Vec::new();
        let mut number = first;
        while value.len() < length {
            let Some(disk) = self.fs.mapped_offset(self.extents, number.into(), 1)? else {
                return Err(self.corrupt(number, "it is a hole"));
            };
            self.fs.read_mapped(self.extents, u64::from(number) * block_bytes, &mut block)?;
            let wanted = length - value.len();
            let payload = if self.fs.sb.has_crc {
                if !block.starts_with(b"XARM") {
                    return Err(self.corrupt(number, "wrong magic").at(disk));
                }
                if !crc_holds(&block, 12) {
                    return Err(self.corrupt(number, "wrong checksum").at(disk));
                }
                if u64_at(&block, 40) != disk / 512 {
                    return Err(self.corrupt(number, "it says to be another block").at(disk));
                }
                if u64_at(&block, 32) != self.ino {
                    return Err(self.corrupt(number, "it belongs to another inode").at(disk));
                }
                block.get(56..).unwrap_or_default()
            } else {
                &block
            };
            value.extend(payload.iter().take(wanted));
            number = number.checked_add(1).ok_or_else(|| self.corrupt(number, "past the end"))?;
        }
        Ok(value)
    }
}
