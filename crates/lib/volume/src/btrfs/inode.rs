//! Inode items and directory items.
//!
//! Source: `struct btrfs_inode_item` and `btrfs_dir_item` in the kernel's
//! `include/uapi/linux/btrfs_tree.h`.

use kiln_disk::{Error, Result};

use super::block::Key;
use super::field::{i64_at, u8_at, u16_at, u32_at, u64_at};
use crate::fs::{FileType, Stat};

pub(super) const INODE_ITEM: u8 = 1;
pub(super) const INODE_REF: u8 = 12;
pub(super) const XATTR_ITEM: u8 = 24;
pub(super) const DIR_ITEM: u8 = 84;
pub(super) const DIR_INDEX: u8 = 96;

const INODE_BYTES: usize = 160;
const FLAG_IMMUTABLE: u64 = 1 << 6;
const DIR_ITEM_BYTES: usize = 30;
/// Set in the type of a name that is encrypted.
const TYPE_ENCRYPTED: u8 = 0x80;

/// The [`Stat`] of an inode item.
pub(super) fn stat(ino: u64, item: &[u8]) -> Result<Stat> {
    let corrupt = |what: String| Error::corrupt(format!("inode {ino}: {what}"));
    let short = || corrupt(format!("an item of {} bytes, not {INODE_BYTES}", item.len()));
    let mode = u32_at(item, 52).ok_or_else(short)?;
    let file_type = FileType::from_mode(mode)
        .ok_or_else(|| corrupt(format!("mode {mode:o} has no file type")))?;
    let rdev = u64_at(item, 56).ok_or_else(short)?;
    let device = match file_type {
        FileType::CharDevice | FileType::BlockDevice => device(rdev),
        _ => None,
    };
    Ok(Stat {
        file_type,
        mode: u16::try_from(mode & 0o7777).unwrap_or(0),
        uid: u32_at(item, 44).ok_or_else(short)?,
        gid: u32_at(item, 48).ok_or_else(short)?,
        size_bytes: u64_at(item, 16).ok_or_else(short)?,
        n_links: u32_at(item, 40).ok_or_else(short)?,
        mtime_s: i64_at(item, 136).ok_or_else(short)?,
        immutable: u64_at(item, 64).ok_or_else(short)? & FLAG_IMMUTABLE != 0,
        device,
    })
}

/// btrfs stores the kernel's own device numbers: 12 bits of major over 20 bits of minor.
fn device(rdev: u64) -> Option<(u32, u32)> {
    let major = u32::try_from(rdev >> 20 & 0xfff).ok()?;
    let minor = u32::try_from(rdev & 0xf_ffff).ok()?;
    Some((major, minor))
}

/// An entry of a directory, or an attribute, which has the same form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DirItem<'a> {
    /// The inode in this tree, or the root item of another.
    pub(super) location: Key,
    pub(super) name: &'a [u8],
    /// The value of an attribute.
    pub(super) data: &'a [u8],
    kind: u8,
}

impl DirItem<'_> {
    pub(super) fn file_type(&self) -> Option<FileType> {
        Some(match self.kind & !TYPE_ENCRYPTED {
            1 => FileType::Regular,
            2 => FileType::Directory,
            3 => FileType::CharDevice,
            4 => FileType::BlockDevice,
            5 => FileType::Fifo,
            6 => FileType::Socket,
            7 => FileType::Symlink,
            _ => return None,
        })
    }
}

/// The entries of one item: names with the same hash share one. The walk ends with an error where
/// one of them does not fit.
pub(super) fn dir_items(key: Key, item: &[u8]) -> impl Iterator<Item = Result<DirItem<'_>>> {
    let mut rest = item;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((entry, later)) = split_entry(rest) else {
            rest = &[];
            return Some(Err(Error::corrupt(format!(
                "directory item {key}: an entry ends outside the item"
            ))));
        };
        rest = later;
        Some(Ok(entry))
    })
}

fn split_entry(bytes: &[u8]) -> Option<(DirItem<'_>, &[u8])> {
    let data_bytes = usize::from(u16_at(bytes, 25)?);
    let name_bytes = usize::from(u16_at(bytes, 27)?);
    let (name, rest) = bytes.get(DIR_ITEM_BYTES..)?.split_at_checked(name_bytes)?;
    let (data, rest) = rest.split_at_checked(data_bytes)?;
    let location = Key::decode(bytes)?;
    Some((DirItem { location, name, data, kind: u8_at(bytes, 29)? }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &[u8], data: &[u8]) -> Vec<u8> {
        let mut entry = vec![0; DIR_ITEM_BYTES];
        entry[25] = u8::try_from(data.len()).unwrap();
        entry[27] = u8::try_from(name.len()).unwrap();
        entry[29] = 2;
        entry.extend(name);
        entry.extend(data);
        entry
    }

    #[test]
    fn names_of_one_hash_are_all_found() {
        let item = [entry(b"one", b""), entry(b"two", b"value")].concat();
        let found: Vec<_> = dir_items(Key::new(1, 84, 2), &item).map(Result::unwrap).collect();
        assert_eq!(found.len(), 2);
        assert_eq!((found[1].name, found[1].data), (&b"two"[..], &b"value"[..]));
        assert_eq!(found[0].file_type(), Some(FileType::Directory));
    }

    #[test]
    fn an_entry_outside_its_item_is_named() {
        let mut item = entry(b"one", b"");
        item[27] = 4;
        let found: Vec<_> = dir_items(Key::new(1, 84, 2), &item).collect();
        assert_eq!(found.len(), 1, "the walk ends there");
        let error = found[0].as_ref().unwrap_err();
        assert_eq!(error.to_string(), "directory item (1 84 2): an entry ends outside the item");
    }

    #[test]
    fn a_short_inode_is_named() {
        let mut item = vec![0; INODE_BYTES];
        item[52..56].copy_from_slice(&0o020_644_u32.to_le_bytes());
        item[56..64].copy_from_slice(&(8_u64 << 20 | 1).to_le_bytes());
        let stat_of = stat(300, &item).unwrap();
        assert_eq!((stat_of.device, stat_of.mode), (Some((8, 1)), 0o644));
        let error = stat(300, &item[..100]).unwrap_err();
        assert_eq!(error.to_string(), "inode 300: an item of 100 bytes, not 160");
        item[53] = 0xf0;
        let error = stat(300, &item).unwrap_err();
        assert_eq!(error.to_string(), "inode 300: mode 170244 has no file type");
    }
}
