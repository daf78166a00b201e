//! What dpkg keeps of an installed package, written as dpkg itself would have it after unpacking.
//!
//! `install ok unpacked` is dpkg's own word for "the files are there, the maintainer scripts have not
//! run": `dpkg --configure -a` in the guest, or the next run of apt, finishes the work. Sources: dpkg
//! lib/dpkg/parsedump.c, src/main/unpack.c and configure.c; deb-control(5).

use std::collections::BTreeSet;
use std::fmt::Write as _;

use kiln_volume::{Result, Tree};
use md5::{Digest as _, Md5};

use super::deb::Fields;
use super::installed::STATUS;
use super::payload::{Body, PackedFile};
use super::{Package, kiln_architecture};
use crate::repair::draft::Draft;
use crate::repair::edit::Content;

const INFO: &str = "/var/lib/dpkg/info";
/// Members of the control archive that are programs.
const SCRIPTS: [&str; 5] = ["preinst", "postinst", "prerm", "postrm", "config"];
/// No system has as many packages.
const MAX_LISTS: usize = 20_000;

/// Record that `package` is unpacked.
pub(super) fn record(
    draft: &mut Draft,
    package: &Package,
    files: &[PackedFile],
    reason: &str,
) -> Result<()> {
    let stem = stem(package);
    let mut list = String::from("/.\n");
    for file in files {
        let _ = writeln!(list, "{}", file.path); // writing to a String cannot fail
    }
    draft.write(&format!("{INFO}/{stem}.list"), list, reason)?;
    for (member, content) in package.control.iter() {
        // A member's name becomes part of a path.
        let is_plain = member.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if member == "control" || !is_plain {
            continue;
        }
        let mode = if SCRIPTS.contains(&member.as_str()) { 0o755 } else { 0o644 };
        let path = format!("{INFO}/{stem}.{member}");
        draft.write_with_mode(&path, content.clone(), mode, reason)?;
    }
    if draft.tree()?.is_file(STATUS)? {
        draft.rewrite(STATUS, reason, |text| with_stanza(text, package, files))?;
    }
    Ok(())
}

/// Files of one package carry its name, and its architecture where several can be installed at once.
fn stem(package: &Package) -> String {
    match field(package, "Multi-Arch").as_deref() {
        Some("same") => format!("{}:{}", package.name, package.architecture),
        _ => package.name.clone(),
    }
}

fn field(package: &Package, name: &str) -> Option<String> {
    Fields(control(package)).get(name)
}

fn control(package: &Package) -> &str {
    let control = package.control.iter().find(|(name, _)| name == "control");
    control.and_then(|(_, content)| content.text()).unwrap_or_default()
}

/// The files that are configuration: dpkg leaves the owner's versions of them.
pub(super) fn conffiles(package: &Package) -> BTreeSet<&str> {
    let list = package.control.iter().find(|(name, _)| name == "conffiles");
    let text = list.and_then(|(_, content)| content.text()).unwrap_or_default();
    // `remove-on-upgrade PATH` names one that the package no longer has.
    text.lines().map(str::trim).filter(|line| line.starts_with('/')).collect()
}

/// The paths that the installed version of the package has.
pub(super) fn old_list(tree: &Tree, package: &Package) -> Result<BTreeSet<String>> {
    let mut paths = BTreeSet::new();
    for stem in [stem(package), package.name.clone()] {
        let text = tree.read_text(format!("{INFO}/{stem}.list"))?.unwrap_or_default();
        paths.extend(text.lines().filter(|line| *line != "/.").map(str::to_owned));
    }
    Ok(paths)
}

/// The package whose file is at `path`, where it is another one than `package` and not one that it
/// replaces.
pub(super) fn other_owner(tree: &Tree, package: &Package, path: &str) -> Result<Option<String>> {
    let replaces = Fields(control(package)).groups("Replaces").concat();
    for entry in tree.list(INFO)?.into_iter().take(MAX_LISTS) {
        let name = entry.name_lossy();
        let Some(owner) = name.strip_suffix(".list") else { continue };
        let owner = owner.split(':').next().unwrap_or(owner);
        if owner == package.name || replaces.iter().any(|relation| relation.name == owner) {
            continue;
        }
        let text = tree.read_text(format!("{INFO}/{name}"))?.unwrap_or_default();
        if text.lines().any(|line| line == path) {
            return Ok(Some(owner.to_owned()));
        }
    }
    Ok(None)
}

/// `status` with the stanza of the package, in place of the one that it has.
fn with_stanza(status: &str, package: &Package, files: &[PackedFile]) -> String {
    let is_its = |stanza: &str| {
        let fields = Fields(stanza);
        let architecture = fields.get("Architecture").unwrap_or_default();
        let own = kiln_architecture(&package.architecture);
        fields.get("Package").as_deref() == Some(&package.name)
            && (kiln_architecture(&architecture) == own || architecture == package.architecture)
    };
    let mut stanzas: Vec<String> =
        status.trim_end_matches('\n').split("\n\n").map(str::to_owned).collect();
    match stanzas.iter_mut().find(|stanza| is_its(stanza)) {
        Some(stanza) => {
            let before = Fields(stanza);
            let is_configured =
                before.get("Status").is_some_and(|status| status.ends_with(" installed"));
            let version = before.get("Version").filter(|_| is_configured);
            if version.as_deref() == Some(&package.version) {
                // Files that were lost are put back: the package is as configured as it was.
                return status.to_owned();
            }
            let version = version.or_else(|| before.get("Config-Version"));
            *stanza = self::stanza(package, files, version);
        }
        None => stanzas.push(stanza(package, files, None)),
    }
    stanzas.retain(|stanza| !stanza.trim().is_empty());
    stanzas.join("\n\n") + "\n\n"
}

/// What the control file says, with the state. `configured` is the version whose `postinst` ran last.
fn stanza(package: &Package, files: &[PackedFile], configured: Option<String>) -> String {
    let mut text = format!("Package: {}\nStatus: install ok unpacked\n", package.name);
    if let Some(version) = configured {
        let _ = writeln!(text, "Config-Version: {version}");
    }
    let control = control(package).trim_end().split("\n\n").next().unwrap_or_default();
    let mut is_kept = true;
    for line in control.lines() {
        if !line.starts_with([' ', '\t']) {
            let name = line.split(':').next().unwrap_or_default();
            let written = ["Package", "Status", "Conffiles", "Config-Version"];
            is_kept = !written.iter().any(|written| written.eq_ignore_ascii_case(name));
        }
        if is_kept && !line.trim().is_empty() {
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    let conffiles = conffiles(package);
    if !conffiles.is_empty() {
        text.push_str("Conffiles:\n");
        for file in files.iter().filter(|file| conffiles.contains(file.path.as_str())) {
            if let Body::File(content) = &file.body {
                let _ = writeln!(text, " {} {}", file.path, md5_of(content));
            }
        }
    }
    text.trim_end().to_owned()
}

/// dpkg tells an owner's change by this sum; nothing is trusted by it.
fn md5_of(content: &Content) -> String {
    Md5::digest(content.bytes()).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
