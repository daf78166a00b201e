//! Extended attributes: behind the inode's fields, in a block, and large values in inodes.
//!
//! Layout: Linux Documentation/filesystems/ext4/attributes.rst.

use kiln_disk::{Error, Result};

use super::ExtFs;
use super::device::Role;
use super::inode::Inode;
use super::le::{array_at, crc32c, index, slice_at, u8_at, u16_at, u32_at};
use crate::acl;
use crate::fs::Xattr;

const MAGIC: u32 = 0xea02_0000;
const BLOCK_HEADER_BYTES: usize = 32;
const ENTRY_HEADER_BYTES: usize = 16;
/// Linux lets nobody set a longer value (XATTR_SIZE_MAX), so no sound guest has one.
const MAX_VALUE_BYTES: usize = 64 << 10;
/// The index of names that are the filesystem's own.
const INDEX_SYSTEM: u8 = 7;

/// An entry: the name's prefix as a number, the rest of the name, and where the value is.
struct Entry<'a> {
    index: u8,
    name: &'a [u8],
    value_at: usize,
    value_inode: u32,
    value_bytes: usize,
}

impl ExtFs {
    /// All attributes that a guest could list; not the filesystem's own, such as inline data.
    ///
    /// # Errors
    ///
    /// `Corrupt` where names or values are not where they are said to be.
    pub(super) fn read_xattrs(&self, inode: &Inode) -> Result<Vec<Xattr>> {
        let mut xattrs = Vec::new();
        self.each_entry(inode, &mut |entry, values| {
            let Some(prefix) = prefix(entry.index) else { return Ok(()) };
            let raw = self.value(inode, entry, values)?;
            let value = match entry.index {
                2 | 3 => acl::from_ext(&raw).map_err(|error| in_inode(inode, &error))?,
                _ => raw,
            };
            xattrs.push(Xattr { name: [prefix, entry.name].concat(), value });
            Ok(())
        })?;
        Ok(xattrs)
    }

    /// The part of inline data that `i_block` has no room for.
    pub(super) fn inline_rest(&self, inode: &Inode) -> Result<Vec<u8>> {
        let mut rest = Vec::new();
        self.each_entry(inode, &mut |entry, values| {
            if entry.index == INDEX_SYSTEM && entry.name == b"data" {
                rest = self.value(inode, entry, values)?;
            }
            Ok(())
        })?;
        Ok(rest)
    }

    fn each_entry(
        &self,
        inode: &Inode,
        each: &mut dyn FnMut(&Entry<'_>, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let area = &inode.xattr_area[..];
        if area.len() >= 4 && u32_at(area, 0)? == MAGIC {
            let entries = area.get(4..).unwrap_or_default();
            walk(inode, entries, entries, each)?;
        }
        if inode.xattr_block == 0 {
            return Ok(());
        }
        let at = inode.xattr_block;
        let block = self.device.block(at, Role::Xattrs, |bytes| {
            self.check_xattr_block(at, bytes).map_err(|error| in_inode(inode, &error))
        })?;
        walk(inode, block.get(BLOCK_HEADER_BYTES..).unwrap_or_default(), &block, each)
    }

    fn check_xattr_block(&self, at: u64, bytes: &[u8]) -> Result<()> {
        const CHECKSUM_AT: usize = 0x10;
        let magic = u32_at(bytes, 0)?;
        if magic != MAGIC {
            return Err(Error::corrupt(format!(
                "attribute block {at} starts with {magic:#010x} and not with {MAGIC:#010x}"
            )));
        }
        if !self.superblock.features.metadata_csum() {
            return Ok(());
        }
        let stored = u32_at(bytes, CHECKSUM_AT)?;
        let crc = crc32c(self.superblock.checksum_seed, &at.to_le_bytes());
        let crc = crc32c(crc, slice_at(bytes, 0, CHECKSUM_AT)?);
        let crc = crc32c(crc, &[0; 4]);
        let computed = crc32c(crc, bytes.get(CHECKSUM_AT + 4..).unwrap_or_default());
        if stored == computed {
            return Ok(());
        }
        Err(Error::corrupt(format!(
            "attribute block {at}: checksum {stored:#010x}, computed {computed:#010x}"
        )))
    }

    fn value(&self, inode: &Inode, entry: &Entry<'_>, values: &[u8]) -> Result<Vec<u8>> {
        if entry.value_bytes > MAX_VALUE_BYTES {
            return Err(Error::corrupt(format!(
                "inode {}: an attribute of {} bytes, more than the {MAX_VALUE_BYTES} there can be",
                inode.number, entry.value_bytes
            )));
        }
        if entry.value_inode == 0 {
            let value = slice_at(values, entry.value_at, entry.value_bytes);
            return Ok(value.map_err(|error| in_inode(inode, &error))?.to_vec());
        }
        let holder = self.inode(u64::from(entry.value_inode))?;
        // Without the flag it is some file, and its content none of this attribute's business.
        if !holder.is_xattr_value() || holder.has_inline_data() {
            return Err(Error::corrupt(format!(
                "inode {}: inode {} holds no attribute value",
                inode.number, holder.number
            )));
        }
        let mut value = vec![0; entry.value_bytes];
        let n = self.read_inode(&holder, 0, &mut value)?;
        if n < value.len() {
            return Err(Error::corrupt(format!(
                "inode {}: the attribute value in inode {} has {n} of {} bytes",
                inode.number,
                holder.number,
                value.len()
            )));
        }
        Ok(value)
    }
}

/// Go over the entries at the start of `entries`; four zero bytes end them. Offsets of values
/// count from the start of `values`.
fn walk(
    inode: &Inode,
    entries: &[u8],
    values: &[u8],
    each: &mut dyn FnMut(&Entry<'_>, &[u8]) -> Result<()>,
) -> Result<()> {
    let mut at = 0;
    loop {
        let rest = entries.get(at..).unwrap_or_default();
        if rest.len() < 4 || u32_at(rest, 0)? == 0 {
            return Ok(());
        }
        let (entry, length) = decode(rest).map_err(|error| in_inode(inode, &error))?;
        each(&entry, values)?;
        at += length;
    }
}

/// The entry that `raw` starts with and its length, which is a multiple of 4.
fn decode(raw: &[u8]) -> Result<(Entry<'_>, usize)> {
    let name_bytes = usize::from(u8_at(raw, 0)?);
    let entry = Entry {
        index: u8_at(raw, 1)?,
        name: slice_at(raw, ENTRY_HEADER_BYTES, name_bytes)?,
        value_at: usize::from(u16_at(raw, 2)?),
        value_inode: u32::from_le_bytes(array_at(raw, 4)?),
        value_bytes: index(u32_at(raw, 8)?),
    };
    Ok((entry, (ENTRY_HEADER_BYTES + name_bytes).next_multiple_of(4)))
}

/// The prefixes of names that a guest can see (`ext4_xattr_handler_map`). The others belong to the
/// filesystem: 7 to inline data, 9 to encryption.
fn prefix(index: u8) -> Option<&'static [u8]> {
    Some(match index {
        1 => b"user.",
        2 => b"system.posix_acl_access",
        3 => b"system.posix_acl_default",
        4 => b"trusted.",
        6 => b"security.",
        8 => b"system.richacl",
        10 => b"gnu.",
        _ => return None,
    })
}

fn in_inode(inode: &Inode, error: &Error) -> Error {
    Error::corrupt(format!("inode {}: extended attributes: {error}", inode.number))
}
