//! `.rpm`: a lead, a header of signatures, the header, and a compressed cpio archive.
//!
//! Layout: rpm docs/manual/format.md and format_header.md; lib/rpmtag.h for the numbers. Of the files
//! the header is what counts: the archive has their content only.

use std::collections::BTreeMap;
use std::sync::Arc;

use kiln_volume::{Error, Kind as ErrorKind, Result};

use super::payload::{self, Body, Files, Owner, PackedFile, clean, link_text};
use super::rich;
use super::version::{Bound, Relation};
use super::{Capability, EarlyScript, Kind, Package, Requirement, is_word};
use crate::initramfs::Newc;
use crate::packages::rpm::{Header, TAG_ARCH, TAG_NAME};
use crate::repair::edit::Content;

pub(super) const MAGIC: &[u8] = b"\xED\xAB\xEE\xDB";
const LEAD_BYTES: usize = 96;
const HEADER_MAGIC: &[u8] = b"\x8E\xAD\xE8\x01";
/// Magic and reserved bytes before a header, and the two counts that it starts with.
const INTRO_BYTES: usize = 8;
const COUNT_BYTES: usize = 8;
/// As many relations and files as kiln takes of one package.
const MAX_LISTED: usize = 100_000;

const PRE_SCRIPT: [u32; 2] = [1023, 1085];
const PRE_TRANSACTION: [u32; 2] = [1151, 1153];
const FILE_MODES: u32 = 1030;
const FILE_LINKS: u32 = 1036;
const FILE_FLAGS: u32 = 1037;
const FILE_USERS: u32 = 1039;
const FILE_GROUPS: u32 = 1040;
const SOURCE_PACKAGE: u32 = 1106;
const DIR_INDEXES: u32 = 1116;
const BASE_NAMES: u32 = 1117;
const DIR_NAMES: u32 = 1118;
/// Names, flags and versions.
const PROVIDES: [u32; 3] = [1047, 1112, 1113];
const REQUIRES: [u32; 3] = [1049, 1048, 1050];
const CONFLICTS: [u32; 3] = [1054, 1053, 1055];

const SENSE_LESS: u32 = 2;
const SENSE_GREATER: u32 = 4;
const SENSE_EQUAL: u32 = 8;
/// Wanted, and not needed.
const SENSE_MISSING_OK: u32 = 1 << 19;
const FLAG_CONFIG: u32 = 1;

const MODE_TYPE: u32 = 0o170_000;
const MODE_REGULAR: u32 = 0o100_000;
const MODE_DIRECTORY: u32 = 0o040_000;
const MODE_SYMLINK: u32 = 0o120_000;

/// What the package says of itself.
pub(super) fn read(file: &str, bytes: Arc<[u8]>) -> Result<Package> {
    let (header, _) = split(&bytes)?;
    if !header.numbers(SOURCE_PACKAGE).is_empty() {
        return Err(Error::unsupported("a source package"));
    }
    let no = |what: &str| Error::corrupt(format!("its header has no sound {what}"));
    let word =
        |found: Option<String>, what| found.filter(|text| is_word(text)).ok_or_else(|| no(what));
    let script = |tags: [u32; 2]| tags.into_iter().any(|tag| !header.texts(tag).is_empty());
    let scripts =
        [("%pre script", script(PRE_SCRIPT)), ("%pretrans script", script(PRE_TRANSACTION))];
    let package = Package {
        file: file.to_owned(),
        kind: Kind::Rpm,
        name: word(header.text(TAG_NAME), "name")?,
        version: word(header.version(), "version")?,
        architecture: word(header.text(TAG_ARCH), "architecture")?,
        requires: requirements(&header),
        provides: provides(&header),
        conflicts: relations(&header, CONFLICTS)
            .into_iter()
            .map(|(relation, _)| relation)
            .collect(),
        files: file_names(&header),
        conffiles: Vec::new(),
        early_scripts: scripts
            .into_iter()
            .filter(|(_, is_there)| *is_there)
            .map(|(name, _)| EarlyScript { name, needed: true })
            .collect(),
        control: Arc::default(),
        bytes: Arc::clone(&bytes),
    };
    let flags = header.numbers(FILE_FLAGS);
    let conffiles = package.files.iter().zip(flags).filter(|(_, flags)| flags & FLAG_CONFIG != 0);
    Ok(Package { conffiles: conffiles.map(|(path, _)| path.clone()).collect(), ..package })
}

/// The files that it installs.
pub(super) fn payload(bytes: &[u8]) -> Result<Vec<PackedFile>> {
    let (header, packed) = split(bytes)?;
    let contents = contents(&payload::unpacked(packed)?)?;
    let (modes, links) = (header.numbers(FILE_MODES), header.texts(FILE_LINKS));
    let (users, groups) = (header.texts(FILE_USERS), header.texts(FILE_GROUPS));
    let mut files = Files::default();
    for (n, path) in file_names(&header).iter().enumerate() {
        let path = clean(path.as_bytes())?;
        let mode = *modes.get(n).ok_or_else(|| Error::corrupt(format!("{path}: no mode")))?;
        // A ghost is listed and not brought.
        let Some(content) = contents.get(&path) else { continue };
        let body = match mode & MODE_TYPE {
            MODE_REGULAR => Body::File(content.clone()),
            MODE_DIRECTORY => Body::Directory,
            MODE_SYMLINK => {
                let text = links.get(n).map(String::as_bytes).unwrap_or_default();
                Body::Symlink(link_text(&path, text)?)
            }
            kind => {
                return Err(Error::unsupported(format!(
                    "{path}: neither a file, a directory nor a link (type {kind:#o})"
                )));
            }
        };
        let name = |names: &[String]| names.get(n).cloned().unwrap_or_default();
        let owner = Owner { user: name(&users), group: name(&groups), uid: None, gid: None };
        files.add(path, body, mode, owner)?;
    }
    Ok(files.finish())
}

/// The header, and the compressed archive behind it.
fn split(bytes: &[u8]) -> Result<(Header<'_>, &[u8])> {
    if !bytes.starts_with(MAGIC) {
        return Err(Error::new(ErrorKind::OtherFormat, "not an .rpm: no lead"));
    }
    let signatures_bytes = header_bytes(bytes, LEAD_BYTES)?;
    // Only the header of signatures is padded.
    let start = LEAD_BYTES + signatures_bytes.next_multiple_of(8);
    let end = start + header_bytes(bytes, start)?;
    let header = bytes.get(start + INTRO_BYTES..end).and_then(Header::parse);
    let header = header.ok_or_else(|| Error::corrupt("a broken header").at(start as u64))?;
    Ok((header, &bytes[end..]))
}

/// The length of the header at `at`, which is wholly there.
fn header_bytes(bytes: &[u8], at: usize) -> Result<usize> {
    let broken = |what: &str| Error::corrupt(what.to_owned()).at(at as u64);
    let rest = bytes.get(at..).unwrap_or_default();
    if !rest.starts_with(HEADER_MAGIC) {
        return Err(broken("no header where one must be"));
    }
    let count = |at: usize| {
        let word: Option<&[u8; 4]> = rest.get(at..).and_then(<[u8]>::first_chunk);
        word.map(|word| u32::from_be_bytes(*word) as usize)
    };
    let (Some(n_tags), Some(store)) = (count(INTRO_BYTES), count(INTRO_BYTES + 4)) else {
        return Err(broken("a header without its counts"));
    };
    let length = n_tags.checked_mul(16).and_then(|tags| tags.checked_add(store));
    let length = length.and_then(|length| length.checked_add(INTRO_BYTES + COUNT_BYTES));
    match length {
        Some(length) if length <= rest.len() => Ok(length),
        _ => Err(broken("a header that is longer than the file")),
    }
}

/// The paths that the header lists.
pub(super) fn file_names(header: &Header) -> Vec<String> {
    let directories = header.texts(DIR_NAMES);
    let names = header.texts(BASE_NAMES).into_iter().zip(header.numbers(DIR_INDEXES));
    let path =
        |(name, index): (String, u32)| Some(format!("{}{name}", directories.get(index as usize)?));
    names.filter_map(path).take(MAX_LISTED).collect()
}

/// Relations with their flags.
fn relations(header: &Header, [names, flags, versions]: [u32; 3]) -> Vec<(Relation, u32)> {
    let (flags, versions) = (header.numbers(flags), header.texts(versions));
    let relation = |(n, name): (usize, String)| {
        let flags = flags.get(n).copied().unwrap_or_default();
        let bound = match flags & (SENSE_LESS | SENSE_GREATER | SENSE_EQUAL) {
            SENSE_LESS => Some(Bound::Less),
            SENSE_GREATER => Some(Bound::Greater),
            SENSE_EQUAL => Some(Bound::Equal),
            both if both == SENSE_LESS | SENSE_EQUAL => Some(Bound::LessOrEqual),
            both if both == SENSE_GREATER | SENSE_EQUAL => Some(Bound::GreaterOrEqual),
            _ => None,
        };
        let version = versions.get(n).filter(|version| !version.is_empty());
        let bound = bound.and_then(|bound| Some((bound, version?.clone())));
        (Relation { name, bound }, flags)
    };
    header.texts(names).into_iter().take(MAX_LISTED).enumerate().map(relation).collect()
}

/// What a header provides.
pub(super) fn provides(header: &Header) -> Vec<Capability> {
    let one = |(relation, _): (Relation, u32)| Capability {
        name: relation.name,
        version: relation.bound.map(|(_, version)| version),
    };
    relations(header, PROVIDES).into_iter().map(one).collect()
}

fn requirements(header: &Header) -> Vec<Requirement> {
    let is_asked = |relation: &Relation, flags: u32| {
        // What rpm itself must be able to do is kiln's matter here.
        !relation.name.starts_with("rpmlib(") && flags & SENSE_MISSING_OK == 0
    };
    let requirement = |(relation, flags): (Relation, u32)| {
        is_asked(&relation, flags).then(|| match relation.name.starts_with('(') {
            true => rich::parse(&relation.name).unwrap_or(Requirement::Any(vec![relation])),
            false => Requirement::Any(vec![relation]),
        })
    };
    relations(header, REQUIRES).into_iter().filter_map(requirement).collect()
}

/// What the entries of the archive hold, by path. Of files that are one the last has the content.
fn contents(archive: &[u8]) -> Result<BTreeMap<String, Content>> {
    let broken = |what: String| Error::corrupt(format!("not a sound cpio archive: {what}"));
    let truncated = || broken("it ends before its trailer".to_owned());
    let mut found = BTreeMap::new();
    let mut twins: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    let mut at = 0_usize;
    for _ in 0..MAX_LISTED {
        let header: &[u8; Newc::BYTES] =
            archive.get(at..).and_then(<[u8]>::first_chunk).ok_or_else(truncated)?;
        let entry = Newc::decode(header).map_err(|error| broken(error.to_string()))?;
        let name_end = at + Newc::BYTES + entry.name_bytes;
        let name = archive.get(at + Newc::BYTES..name_end - 1).ok_or_else(truncated)?;
        let start = name_end.next_multiple_of(4);
        if name == b"TRAILER!!!" {
            return Ok(found);
        }
        let end = start.saturating_add(entry.data_bytes as usize);
        let data = archive.get(start..end).ok_or_else(truncated)?;
        let path = clean(name)?;
        if entry.mode & MODE_TYPE == MODE_REGULAR && entry.n_links > 1 {
            let group = twins.entry(entry.inode).or_default();
            group.push(path.clone());
            if !data.is_empty() {
                let content = Content::from(data);
                found.extend(group.iter().map(|path| (path.clone(), content.clone())));
                at = end.next_multiple_of(4);
                continue;
            }
        }
        found.insert(path, Content::from(data));
        at = end.next_multiple_of(4);
    }
    Err(Error::unsupported(format!("more than {MAX_LISTED} files")))
}
