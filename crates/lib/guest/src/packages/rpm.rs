//! RPM headers and the three databases that hold them.
//!
//! Layouts: rpm lib/header.c; lib/backend/ndb/rpmpkg.c; the SQLite file format; Berkeley DB
//! dbinc/db_page.h. Only the headers are taken out; indexes are left alone.

use kiln_volume::{Error, Kind, Result};

use crate::packages::{Package, PackageDbKind};

/// No installed system comes near.
const MAX_PACKAGES: usize = 100_000;
/// The headers of packages with very many files (documentation, firmware) reach some MiB.
const MAX_HEADER_BYTES: usize = 64 << 20;
/// Entries in a header; rpm itself stops at 65535.
const MAX_TAGS: usize = 0xFFFF;

const TAG_NAME: u32 = 1000;
const TAG_VERSION: u32 = 1001;
const TAG_RELEASE: u32 = 1002;
const TAG_EPOCH: u32 = 1003;
const TAG_ARCH: u32 = 1022;
const TYPE_INT32: u32 = 4;
const TYPE_STRING: u32 = 6;

/// The packages of a database of `kind`. What is not a header is left out.
pub(super) fn packages(kind: PackageDbKind, bytes: &[u8]) -> Result<Vec<Package>> {
    let mut found = Vec::new();
    let mut each = |header: &[u8]| -> Result<()> {
        if found.len() >= MAX_PACKAGES {
            return Err(Error::unsupported(format!("more than {MAX_PACKAGES} packages")));
        }
        found.extend(package(header));
        Ok(())
    };
    match kind {
        PackageDbKind::RpmSqlite => super::sqlite::blobs(bytes, b"Packages", &mut each)?,
        PackageDbKind::RpmNdb => ndb_headers(bytes, &mut each)?,
        _ => super::bdb::values(bytes, &mut each)?,
    }
    Ok(found)
}

/// Read a header as databases hold it: without magic. `None`: broken, or without a name.
fn package(header: &[u8]) -> Option<Package> {
    let n_tags = be32(header, 0)? as usize;
    if n_tags > MAX_TAGS {
        return None;
    }
    let store = header.get(8 + 16 * n_tags..)?;
    let (mut name, mut version, mut release, mut arch, mut epoch) = (None, None, None, None, None);
    for tag in header.get(8..8 + 16 * n_tags)?.chunks_exact(16) {
        let (kind, at) = (be32(tag, 4)?, be32(tag, 8)? as usize);
        let text = || {
            let bytes = store.get(at..).filter(|_| kind == TYPE_STRING)?;
            let end = bytes.iter().take(4096).position(|&byte| byte == 0)?;
            Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
        };
        match be32(tag, 0)? {
            TAG_NAME => name = text(),
            TAG_VERSION => version = text(),
            TAG_RELEASE => release = text(),
            TAG_ARCH => arch = text(),
            TAG_EPOCH if kind == TYPE_INT32 => epoch = be32(store, at),
            _ => {}
        }
    }
    let epoch = epoch.map_or_else(String::new, |epoch| format!("{epoch}:"));
    let version = format!("{epoch}{}-{}", version?, release?);
    let architecture = arch.unwrap_or_else(|| "(none)".to_owned());
    Some(Package { name: name?, version, architecture, broken: false })
}

/// ndb: slots of 16 bytes from byte 32 on say where the headers are, in blocks of 16 bytes.
fn ndb_headers(bytes: &[u8], each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    const PAGE_BYTES: usize = 4096;
    if !bytes.starts_with(b"RpmP") {
        return Err(Error::new(Kind::OtherFormat, "not an ndb database: wrong magic").at(0));
    }
    let n_pages = le32(bytes, 12).unwrap_or(0) as usize;
    let end = n_pages.saturating_mul(PAGE_BYTES).min(bytes.len());
    for (index, slot) in bytes.get(32..end).unwrap_or_default().chunks_exact(16).enumerate() {
        if !slot.starts_with(b"Slot") || le32(slot, 4) == Some(0) {
            continue;
        }
        let at = 32 + 16 * index as u64;
        let broken = || Error::corrupt("an ndb slot that leads to no package").at(at);
        let start = (le32(slot, 8).ok_or_else(broken)? as usize).saturating_mul(16);
        let blob = bytes.get(start..).filter(|blob| blob.starts_with(b"BlbS"));
        let blob = blob.ok_or_else(broken)?;
        let length = le32(blob, 12).ok_or_else(broken)? as usize;
        let header = blob.get(16..).and_then(|rest| rest.get(..length)).ok_or_else(broken)?;
        each(header)?;
    }
    Ok(())
}

/// Refuse to gather a header of `length` bytes that no package has.
pub(super) fn check_length(length: usize, at: usize) -> Result<()> {
    if length > MAX_HEADER_BYTES {
        return Err(Error::corrupt(format!("a package header of {length} bytes")).at(at as u64));
    }
    Ok(())
}

pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

pub(super) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    be32(bytes, at).map(u32::swap_bytes)
}
