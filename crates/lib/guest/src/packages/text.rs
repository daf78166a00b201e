//! The databases that are text: dpkg's status, apk's `installed`, pacman's `desc`.

use crate::packages::Package;

/// The stanzas of dpkg's `status`: installed ones, and those that are only half there.
pub(super) fn dpkg(text: &str) -> Vec<Package> {
    let mut found = Vec::new();
    for stanza in text.split("\n\n") {
        let field = |name: &str| {
            stanza
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
        };
        let (Some(name), Some(version)) = (field("Package"), field("Version")) else { continue };
        // Files of status.d (distroless) have no Status: what is listed there is installed.
        let state =
            field("Status").map_or(Some("installed"), |s| s.split_ascii_whitespace().last());
        let broken = match state {
            Some("installed" | "triggers-awaited" | "triggers-pending") => false,
            Some("unpacked" | "half-configured" | "half-installed") => true,
            _ => continue,
        };
        let architecture = field("Architecture").unwrap_or_default();
        found.push(package(name, version, architecture, broken));
    }
    found
}

/// Paragraphs with one-letter fields.
pub(super) fn apk(text: &str) -> Vec<Package> {
    let paragraphs = text.split("\n\n").filter_map(|paragraph| {
        let field = |name: &str| paragraph.lines().find_map(|line| line.strip_prefix(name));
        Some(package(field("P:")?, field("V:")?, field("A:").unwrap_or_default(), false))
    });
    paragraphs.collect()
}

/// Section names in `%`, each with its value on the next line.
pub(super) fn pacman(text: &str) -> Option<Package> {
    let field = |name: &str| {
        let mut lines = text.lines();
        lines.find(|line| *line == name)?;
        lines.next()
    };
    let (name, version) = (field("%NAME%")?, field("%VERSION%")?);
    Some(package(name, version, field("%ARCH%").unwrap_or_default(), false))
}

fn package(name: &str, version: &str, architecture: &str, broken: bool) -> Package {
    let [name, version, architecture] = [name, version, architecture].map(str::to_owned);
    Package { name, version, architecture, broken }
}
