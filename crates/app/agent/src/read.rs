//! Looking at the guest's tree.

use std::collections::BinaryHeap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

use kiln_rpc::{Answer, CHUNK_BYTES, Entry, FileKind, GuestPath, Space, Stat};
use rustix::fs::{AtFlags, Dir, FileType, IFlags, fstatvfs, readlinkat, statat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use crate::failure::{Context, Result, refused};
use crate::node::{Node, Tree, kind};
use crate::{attributes, flags};

/// Names in one answer; a directory of a hostile guest can have millions.
const MAX_ENTRIES: usize = 4096;

pub(crate) fn stat(tree: &Tree, path: &GuestPath) -> Result<Option<Stat>> {
    let Some(node) = tree.find(path)? else { return Ok(None) };
    let flags = match node.kind() {
        FileKind::File | FileKind::Directory => flags::of(&node.open(path)?),
        _ => None,
    };
    let flags = flags.unwrap_or(IFlags::empty());
    let target = match node.kind() {
        FileKind::Symlink => {
            let target = readlinkat(node.fd(), "", Vec::new()).at(path, "read the link")?;
            Some(serde_bytes::ByteBuf::from(target.into_bytes()))
        }
        _ => None,
    };
    let raw = node.stat();
    Ok(Some(Stat {
        kind: node.kind(),
        mode: raw.st_mode & 0o7777,
        uid: raw.st_uid,
        gid: raw.st_gid,
        size_bytes: raw.st_size.try_into().unwrap_or(0),
        n_links: raw.st_nlink.try_into().unwrap_or(u32::MAX),
        mtime_s: raw.st_mtime,
        is_immutable: flags.contains(IFlags::IMMUTABLE),
        is_append_only: flags.contains(IFlags::APPEND),
        target,
        xattrs: attributes::xattrs(&node, path)?,
    }))
}

/// SHA-256 of a file; `progress` hears of bytes done and bytes to do.
pub(crate) fn digest(
    tree: &Tree,
    path: &GuestPath,
    mut progress: impl FnMut(u64, u64),
) -> Result<[u8; 32]> {
    let node = tree.get(path)?;
    let mut file = node.open_file(path)?;
    let total_bytes = node.stat().st_size.try_into().unwrap_or(0);
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut done_bytes = 0;
    loop {
        let n = file.read(&mut buffer).at(path, "read")?;
        if n == 0 {
            return Ok(hash.finalize().into());
        }
        hash.update(&buffer[..n]);
        done_bytes += n as u64;
        progress(done_bytes, total_bytes);
    }
}

/// Up to `length_bytes` at `offset_bytes`.
pub(crate) fn content(
    tree: &Tree,
    path: &GuestPath,
    offset_bytes: u64,
    length_bytes: u32,
) -> Result<Vec<u8>> {
    let file: File = tree.get(path)?.open_file(path)?;
    let length = usize::try_from(length_bytes).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
    let mut buffer = vec![0; length];
    let mut filled = 0;
    while filled < length {
        let at = offset_bytes.saturating_add(filled as u64);
        match file.read_at(&mut buffer[filled..], at).at(path, "read")? {
            0 => break,
            n => filled += n,
        }
    }
    buffer.truncate(filled);
    Ok(buffer)
}

/// The first names after `after`, in byte order, without holding all of them.
pub(crate) fn list(tree: &Tree, path: &GuestPath, after: Option<&[u8]>) -> Result<Answer> {
    let node = tree.get(path)?;
    if node.kind() != FileKind::Directory {
        return Err(refused(path, Errno::NOTDIR, "is no directory"));
    }
    let dir: OwnedFd = node.open(path)?;
    let mut first = BinaryHeap::new();
    let mut more = false;
    for entry in Dir::read_from(&dir).at(path, "list")? {
        let entry = entry.at(path, "list")?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") || after.is_some_and(|after| name <= after) {
            continue;
        }
        first.push(name.to_vec());
        if first.len() > MAX_ENTRIES {
            first.pop();
            more = true;
        }
    }
    let mut entries = Vec::new();
    for name in first.into_sorted_vec() {
        let stat = statat(&dir, OsStr::from_bytes(&name), AtFlags::SYMLINK_NOFOLLOW);
        let stat = stat.at(path, "stat an entry")?;
        entries.push(Entry { kind: kind(FileType::from_raw_mode(stat.st_mode)), name });
    }
    Ok(Answer::Entries { entries, more })
}

pub(crate) fn space(tree: &Tree, path: &GuestPath) -> Result<Space> {
    let node: Node = tree.get(path)?;
    let stat = fstatvfs(node.fd()).at(path, "statvfs")?;
    // btrfs makes inodes as it needs them and tells zero of zero.
    let available_inodes = if stat.f_files == 0 { u64::MAX } else { stat.f_favail };
    Ok(Space {
        available_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
        available_inodes,
    })
}
