//! The files of a package or an archive, as paths below the guest's root.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use kiln_volume::{Error, Result};

use crate::initramfs::Codec;
use crate::repair::edit::Content;

/// What a package unpacks to, at most. The largest of those a repair needs have some 10 MiB.
const MAX_UNPACKED_BYTES: u64 = 512 << 20;
/// The largest packages of distributions have about 70 000.
const MAX_FILES: usize = 100_000;
/// `PATH_MAX` of Linux, with the NUL.
const MAX_PATH_BYTES: usize = 4096;
/// What a mode may hold beside its type.
const PERMISSIONS: u32 = 0o7777;

/// A file of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PackedFile {
    /// Absolute, without `.`, `..` and empty components.
    pub(crate) path: String,
    pub(crate) body: Body,
    /// Permission bits.
    pub(crate) mode: u16,
    pub(crate) owner: Owner,
}

/// What it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    File(Content),
    Directory,
    /// With its text.
    Symlink(String),
}

/// Whose it is. Names count where the guest has them; a number only where it has not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) user: String,
    pub(crate) group: String,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
}

/// The bytes of `packed` without its compression, told by its first bytes.
pub(super) fn unpacked(packed: &[u8]) -> Result<Vec<u8>> {
    let broken = |error: io::Error| Error::corrupt(format!("cannot be unpacked: {error}"));
    let mut out = Vec::new();
    let limit = MAX_UNPACKED_BYTES + 1;
    match Codec::of(packed) {
        Some(codec) => {
            let decoder = codec.decoder(packed).map_err(broken)?;
            decoder.take(limit).read_to_end(&mut out).map_err(broken)?;
        }
        None => out.extend_from_slice(packed),
    }
    if out.len() as u64 >= limit {
        let limit = MAX_UNPACKED_BYTES >> 20;
        return Err(Error::unsupported(format!("unpacks to more than {limit} MiB")));
    }
    Ok(out)
}

/// The files of a tar archive, of any compression.
///
/// # Errors
///
/// `Corrupt` where it breaks its format or a path would leave its root, `Unsupported` for devices
/// and for what is too large.
pub(crate) fn archive(packed: &[u8]) -> Result<Vec<PackedFile>> {
    let bytes = unpacked(packed)?;
    let broken = |error: io::Error| Error::corrupt(format!("not a sound tar archive: {error}"));
    let mut files = Files::default();
    let mut tar = tar::Archive::new(&bytes[..]);
    for entry in tar.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let header = entry.header().clone();
        let kind = header.entry_type();
        if kind.is_pax_global_extensions() {
            continue;
        }
        let path = clean(&entry.path_bytes())?;
        let owner = Owner {
            user: name(header.username_bytes()),
            group: name(header.groupname_bytes()),
            uid: header.uid().ok().and_then(|id| id.try_into().ok()),
            gid: header.gid().ok().and_then(|id| id.try_into().ok()),
        };
        let mode = header.mode().map_err(broken)?;
        let link = || entry.link_name_bytes().map(|link| link.into_owned()).unwrap_or_default();
        let body = match kind {
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                let mut data = Vec::new();
                entry.read_to_end(&mut data).map_err(broken)?;
                Body::File(data.into())
            }
            tar::EntryType::Directory => Body::Directory,
            tar::EntryType::Symlink => Body::Symlink(link_text(&path, &link())?),
            tar::EntryType::Link => files.content_of(&path, &clean(&link())?)?,
            kind => {
                let kind = char::from(kind.as_byte());
                return Err(Error::unsupported(format!(
                    "{path}: neither a file, a directory nor a link (type `{kind}`)"
                )));
            }
        };
        files.add(path, body, mode, owner)?;
    }
    Ok(files.list)
}

/// Files as they are gathered, and held to what a package may bring.
#[derive(Debug, Default)]
pub(super) struct Files {
    list: Vec<PackedFile>,
    index: BTreeMap<String, usize>,
    links: BTreeSet<String>,
}

impl Files {
    /// Add one. The root itself is left out.
    pub(super) fn add(&mut self, path: String, body: Body, mode: u32, owner: Owner) -> Result<()> {
        if path == "/" {
            return Ok(());
        }
        if self.list.len() >= MAX_FILES {
            return Err(Error::unsupported(format!("more than {MAX_FILES} files")));
        }
        for (at, _) in path.match_indices('/').skip(1) {
            if self.links.contains(&path[..at]) {
                let link = &path[..at];
                return Err(Error::corrupt(format!(
                    "{path}: behind {link}, which is a link in it"
                )));
            }
        }
        if matches!(body, Body::Symlink(_)) {
            self.links.insert(path.clone());
        }
        let mode = u16::try_from(mode & PERMISSIONS).unwrap_or_default();
        let file = PackedFile { path: path.clone(), body, mode, owner };
        match self.index.get(&path) {
            Some(_) => return Err(Error::corrupt(format!("{path}: twice in it"))),
            None => self.index.insert(path, self.list.len()),
        };
        self.list.push(file);
        Ok(())
    }

    /// A hard link at `path` has the content of the earlier file at `target`.
    fn content_of(&self, path: &str, target: &str) -> Result<Body> {
        match self.index.get(target).map(|&at| &self.list[at].body) {
            Some(Body::File(content)) => Ok(Body::File(content.clone())),
            _ => Err(Error::corrupt(format!("{path}: a hard link to {target}, no file before it"))),
        }
    }

    /// All, in order.
    #[allow(dead_code, reason = "the cpio reader ends with it")]
    pub(super) fn finish(self) -> Vec<PackedFile> {
        self.list
    }
}

/// An absolute path that stays below the root.
pub(super) fn clean(path: &[u8]) -> Result<String> {
    let shown = || String::from_utf8_lossy(&path[..path.len().min(80)]).into_owned();
    if path.len() >= MAX_PATH_BYTES {
        return Err(Error::corrupt(format!("{}...: a path of {} bytes", shown(), path.len())));
    }
    let text = std::str::from_utf8(path)
        .map_err(|_| Error::unsupported(format!("{}: a path that is not UTF-8", shown())))?;
    let parts: Vec<_> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if text.chars().any(char::is_control) || parts.contains(&"..") {
        return Err(Error::corrupt(format!(
            "`{}`: not a path below the root",
            text.escape_debug()
        )));
    }
    Ok(format!("/{}", parts.join("/")))
}

/// The text of a link. Where it leads is the guest's matter: it is looked up inside the guest.
pub(super) fn link_text(path: &str, text: &[u8]) -> Result<String> {
    match std::str::from_utf8(text) {
        Ok(link)
            if !link.is_empty()
                && link.len() < MAX_PATH_BYTES
                && !link.chars().any(char::is_control) =>
        {
            Ok(link.to_owned())
        }
        _ => Err(Error::corrupt(format!("{path}: a link without a sound target"))),
    }
}

fn name(bytes: Option<&[u8]>) -> String {
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}
