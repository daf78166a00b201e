//! `.deb`: an `ar` archive of a format number, the control archive and the data archive.
//!
//! Layout: deb(5), deb-control(5), deb-conffiles(5). The reader of `ar` is ours: of its three
//! dialects a .deb uses the simplest, which is a header of 60 bytes before each member.

use std::sync::Arc;

use kiln_volume::{Error, Kind as ErrorKind, Result};

use super::payload::{self, Body, PackedFile};
use super::version::{Bound, Relation};
use super::{Capability, EarlyScript, Kind, Package, Requirement};
use crate::repair::edit::Content;

const AR_MAGIC: &[u8] = b"!<arch>\n";
const HEADER_BYTES: usize = 60;
/// deb(5) has three members, and lets others follow.
const MAX_MEMBERS: usize = 32;
/// A field of relations is never longer.
const MAX_RELATIONS: usize = 2000;

/// What the package says of itself.
pub(super) fn read(file: &str, bytes: Arc<[u8]>) -> Result<Package> {
    let members = payload::archive(member(&bytes, "control.tar")?)?;
    let mut control = Vec::new();
    for PackedFile { path, body, .. } in members {
        if let Body::File(content) = body {
            control.push((path.trim_start_matches('/').to_owned(), content));
        }
    }
    let fields = control.iter().find(|(name, _)| name == "control");
    let fields = fields.and_then(|(_, content)| content.text());
    let fields = Fields(fields.ok_or_else(|| Error::corrupt("no control file in it"))?);
    let needed = |name: &str| {
        let value = fields.get(name).filter(|value| is_word(value));
        value.ok_or_else(|| Error::corrupt(format!("its control file has no sound {name}")))
    };
    let requires = ["Pre-Depends", "Depends"].into_iter().flat_map(|name| fields.groups(name));
    let conflicts = ["Conflicts", "Breaks"].into_iter().flat_map(|name| fields.groups(name));
    Ok(Package {
        file: file.to_owned(),
        kind: Kind::Deb,
        name: needed("Package")?,
        version: needed("Version")?,
        architecture: needed("Architecture")?,
        requires: requires.map(Requirement::Any).collect(),
        provides: capabilities(&fields.get("Provides").unwrap_or_default()),
        conflicts: conflicts.flatten().collect(),
        files: Vec::new(),
        early_scripts: early_script(&control).into_iter().collect(),
        control: Arc::new(control),
        bytes,
    })
}

/// The files that it installs.
pub(super) fn payload(bytes: &[u8]) -> Result<Vec<PackedFile>> {
    payload::archive(member(bytes, "data.tar")?)
}

/// The member whose name is `name` with or without the suffix of a compression.
fn member<'a>(bytes: &'a [u8], name: &str) -> Result<&'a [u8]> {
    let Some(mut rest) = bytes.strip_prefix(AR_MAGIC) else {
        return Err(Error::new(ErrorKind::OtherFormat, "not a .deb: no `ar` archive"));
    };
    for n in 0..MAX_MEMBERS {
        let at = (bytes.len() - rest.len()) as u64;
        let Some((header, after)) = rest.split_at_checked(HEADER_BYTES) else { break };
        let field = |range| std::str::from_utf8(&header[range]).unwrap_or_default().trim();
        let (found, size) = (field(0..16).trim_end_matches('/'), field(48..58));
        let size: usize =
            size.parse().map_err(|_| Error::corrupt("a member without a size").at(at))?;
        let (data, after) = after.split_at_checked(size).ok_or_else(|| {
            Error::corrupt(format!("a member of {size} bytes, which are not there")).at(at)
        })?;
        if n == 0 && !(found == "debian-binary" && data.starts_with(b"2.")) {
            return Err(Error::unsupported("a .deb of another format than 2").at(at));
        }
        if found.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) {
            return Ok(data);
        }
        // Members start at even offsets.
        rest = after.get(size % 2..).unwrap_or_default();
    }
    Err(Error::corrupt(format!("no {name} in it")))
}

/// Names, versions and architectures become parts of paths and lines of dpkg's database.
fn is_word(value: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+-.~:_^".contains(c);
    !value.is_empty() && value.len() < 256 && value.chars().all(is_part)
}

/// The fields of a control file.
pub(super) struct Fields<'a>(pub(super) &'a str);

impl Fields<'_> {
    /// The value of a field, continuation lines joined.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let mut lines = self.0.lines();
        let first = lines.find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })?;
        let more = lines.take_while(|line| line.starts_with([' ', '\t']));
        let value: Vec<_> = std::iter::once(first).chain(more).map(str::trim).collect();
        Some(value.join(" ").trim().to_owned())
    }

    /// The groups of a field of relations: one of each group.
    pub(super) fn groups(&self, name: &str) -> Vec<Vec<Relation>> {
        groups(&self.get(name).unwrap_or_default())
    }
}

/// The groups of a list of relations (`a (>= 1) | b, c`).
pub(super) fn groups(list: &str) -> Vec<Vec<Relation>> {
    let group = |group: &str| group.split('|').filter_map(relation).collect::<Vec<_>>();
    let groups = list.split(',').take(MAX_RELATIONS).map(group);
    groups.filter(|group| !group.is_empty()).collect()
}

/// What a `Provides` field lists.
pub(super) fn capabilities(list: &str) -> Vec<Capability> {
    let one = |relation: Relation| Capability {
        name: relation.name,
        version: relation.bound.map(|(_, version)| version),
    };
    groups(list).into_iter().flatten().map(one).collect()
}

/// `name[:architecture] [(bound version)]`. Restrictions to architectures and profiles occur in
/// source packages only.
fn relation(text: &str) -> Option<Relation> {
    let (name, bound) = match text.split_once('(') {
        Some((name, rest)) => (name, rest.split(')').next()),
        None => (text, None),
    };
    let name = name.split_whitespace().next()?.split(':').next()?.to_owned();
    let bound = bound.and_then(|bound| {
        let bound = bound.trim();
        let at = bound.find(|c| !matches!(c, '<' | '=' | '>'))?;
        let (sign, version) = bound.split_at(at);
        Some((Bound::of(sign, Kind::Deb)?, version.trim().to_owned()))
    });
    Some(Relation { name, bound })
}

/// The `preinst`, where there is one. `dpkg --configure`, which finishes an offline installation in
/// the guest, runs the `postinst` alone.
fn early_script(control: &[(String, Content)]) -> Option<EarlyScript> {
    let (_, script) = control.iter().find(|(name, _)| name == "preinst")?;
    let needed = script.text().is_none_or(|text| !only_tools_wrote(text));
    Some(EarlyScript { name: "preinst", needed })
}

/// Whether a script has nothing but what debhelper adds, which mends the traces of older versions.
fn only_tools_wrote(script: &str) -> bool {
    let mut in_section = false;
    script.lines().all(|line| {
        let line = line.trim();
        if line.starts_with("# Automatically added by dh_") {
            in_section = true;
        } else if line.starts_with("# End automatically added section") {
            in_section = false;
        }
        let is_idle = line.is_empty()
            || line.starts_with('#')
            || matches!(line, "set -e" | "exit 0" | ":")
            || line.starts_with("dpkg-maintscript-helper ");
        in_section || is_idle
    })
}
