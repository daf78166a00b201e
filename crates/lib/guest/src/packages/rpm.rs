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

/// Scripts are the longest.
const MAX_TEXT_BYTES: usize = 1 << 20;

pub(crate) const TAG_NAME: u32 = 1000;
const TAG_VERSION: u32 = 1001;
const TAG_RELEASE: u32 = 1002;
const TAG_EPOCH: u32 = 1003;
pub(crate) const TAG_ARCH: u32 = 1022;
const TYPE_INT16: u32 = 3;
const TYPE_INT32: u32 = 4;
const TYPE_STRING: u32 = 6;
const TYPE_STRINGS: u32 = 8;
const TYPE_I18N: u32 = 9;

/// The packages of a database of `kind`. What is not a header is left out.
pub(super) fn packages(kind: PackageDbKind, bytes: &[u8]) -> Result<Vec<Package>> {
    let mut found = Vec::new();
    headers(kind, bytes, &mut |header| found.extend(package(header)))?;
    Ok(found)
}

/// The headers of a database of `kind`, and what else is in its place.
pub(super) fn headers(kind: PackageDbKind, bytes: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<()> {
    let mut n_seen = 0;
    let mut each = |header: &[u8]| -> Result<()> {
        if n_seen >= MAX_PACKAGES {
            return Err(Error::unsupported(format!("more than {MAX_PACKAGES} packages")));
        }
        n_seen += 1;
        see(header);
        Ok(())
    };
    match kind {
        PackageDbKind::RpmSqlite => super::sqlite::blobs(bytes, b"Packages", &mut each),
        PackageDbKind::RpmNdb => ndb_headers(bytes, &mut each),
        _ => super::bdb::values(bytes, &mut each),
    }
}

/// What a database knows of a package. `None`: broken, or without a name.
fn package(header: &[u8]) -> Option<Package> {
    let header = Header::parse(header)?;
    let architecture = header.text(TAG_ARCH).unwrap_or_else(|| "(none)".to_owned());
    let (name, version) = (header.text(TAG_NAME)?, header.version()?);
    Some(Package { name, version, architecture, broken: false })
}

/// A header as databases hold it: without magic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header<'a> {
    tags: &'a [u8],
    store: &'a [u8],
}

impl<'a> Header<'a> {
    /// The header that `bytes` starts with. `None`: broken.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let n_tags = be32(bytes, 0)? as usize;
        if n_tags > MAX_TAGS {
            return None;
        }
        let (tags, store) = (bytes.get(8..8 + 16 * n_tags)?, bytes.get(8 + 16 * n_tags..)?);
        Some(Self { tags, store })
    }

    /// The string of a tag.
    pub(crate) fn text(&self, tag: u32) -> Option<String> {
        let (kind, at, _) = self.find(tag)?;
        let bytes = self.store.get(at..).filter(|_| matches!(kind, TYPE_STRING | TYPE_I18N))?;
        let end = bytes.iter().take(MAX_TEXT_BYTES).position(|&byte| byte == 0)?;
        Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
    }

    /// The strings of a tag; none where it is not there.
    pub(crate) fn texts(&self, tag: u32) -> Vec<String> {
        let Some((kind, at, n)) = self.find(tag) else { return Vec::new() };
        if kind == TYPE_STRING {
            return self.text(tag).into_iter().collect();
        }
        let bytes = self.store.get(at..).filter(|_| kind == TYPE_STRINGS).unwrap_or_default();
        let texts = bytes.split(|&byte| byte == 0).take(n);
        texts.map(|text| String::from_utf8_lossy(text).into_owned()).collect()
    }

    /// The numbers of a tag, of 16 or 32 bits; none where it is not there.
    pub(crate) fn numbers(&self, tag: u32) -> Vec<u32> {
        let Some((kind, at, n)) = self.find(tag) else { return Vec::new() };
        let bytes = self.store.get(at..).unwrap_or_default();
        match kind {
            TYPE_INT16 => {
                let each = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(pair[1]);
                bytes.chunks_exact(2).take(n).map(each).collect()
            }
            TYPE_INT32 => bytes.chunks_exact(4).take(n).filter_map(|word| be32(word, 0)).collect(),
            _ => Vec::new(),
        }
    }

    /// Version with epoch and release.
    pub(crate) fn version(&self) -> Option<String> {
        let epoch = self.numbers(TAG_EPOCH).first().map(|epoch| format!("{epoch}:"));
        let (version, release) = (self.text(TAG_VERSION)?, self.text(TAG_RELEASE)?);
        Some(format!("{}{version}-{release}", epoch.unwrap_or_default()))
    }

    /// Type, offset and number of values of a tag.
    fn find(&self, tag: u32) -> Option<(u32, usize, usize)> {
        let entry = self.tags.chunks_exact(16).find(|entry| be32(entry, 0) == Some(tag))?;
        Some((be32(entry, 4)?, be32(entry, 8)? as usize, be32(entry, 12)? as usize))
    }
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
