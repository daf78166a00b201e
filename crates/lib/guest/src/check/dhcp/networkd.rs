//! systemd-networkd: the first `.network` file, by name, that fits a NIC is the one it gets.

use kiln_volume::{Result, Tree};

use super::{Binding, Profile, Report};
use crate::syntax::ini;

const DIRS: [&str; 3] =
    ["/etc/systemd/network", "/usr/lib/systemd/network", "/lib/systemd/network"];
const MAX_FILES: usize = 1000;
/// cloud-init's file is `10-cloud-init-<name>.network`; one that sorts before it wins.
pub(crate) const RENDERED: &str = "10-cloud-init-";

pub(crate) fn report(tree: &Tree) -> Result<Report> {
    let mut report = Report { first_wins: true, rendered_wins: true, ..Report::default() };
    for (name, path) in files(tree)? {
        let Some(found) = profile(&path, &tree.read_text(&path)?.unwrap_or_default()) else {
            continue;
        };
        report.rendered_wins &= !(found.is_static && name.as_str() < RENDERED);
        report.profiles.push(found);
    }
    Ok(report)
}

/// Names with paths, in the order in which networkd tries them.
fn files(tree: &Tree) -> Result<Vec<(String, String)>> {
    let mut files: Vec<(String, String)> = Vec::new();
    for dir in DIRS {
        for entry in tree.list(dir)?.into_iter().take(MAX_FILES) {
            let name = entry.name_lossy();
            if name.ends_with(".network") && !files.iter().any(|(have, _)| *have == name) {
                files.push((name.clone(), format!("{dir}/{name}")));
            }
        }
    }
    files.sort();
    Ok(files)
}

/// The bonds, bridges and VLANs that NICs are told to join or carry.
pub(crate) fn joined(tree: &Tree) -> Result<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for (_, path) in files(tree)? {
        let sections = ini::parse(&tree.read_text(&path)?.unwrap_or_default());
        for key in ["Bond", "Bridge", "VLAN"] {
            let found = ini::values(&sections, "Network", key);
            names.extend(found.flat_map(|entry| entry.value.split_whitespace()).map(str::to_owned));
        }
    }
    names.sort();
    names.dedup();
    names.truncate(8);
    Ok(names)
}

/// A `.network` file. `None`: it is for other things than NICs (masked, or other types).
pub(crate) fn profile(path: &str, text: &str) -> Option<Profile> {
    let sections = ini::parse(text);
    let value = |section: &str, key: &str| {
        ini::value(&sections, section, key).map(|e| e.value.as_str()).unwrap_or_default()
    };
    let kind = value("Match", "Type");
    let is_other = !kind.is_empty() && !kind.split_whitespace().any(|word| word == "ether");
    let virtual_kind = value("Match", "Kind");
    // What systemd ships for the inside of containers (80-container-host0.network).
    if value("Match", "Virtualization").starts_with("container") {
        return None;
    }
    if sections.is_empty() || is_other || !matches!(virtual_kind, "" | "!*") {
        return None;
    }
    let names: Vec<&str> = value("Match", "Name").split_whitespace().collect();
    let mac = ["MACAddress", "PermanentMACAddress"]
        .iter()
        .map(|key| value("Match", key))
        .find(|m| !m.is_empty());
    let is_pattern = |name: &&str| name.contains(['*', '?', '[']) || name.starts_with('!');
    let binding = match (mac, names.first()) {
        (Some(mac), _) => Binding::Mac(mac.to_owned()),
        (None, None) => Binding::Any,
        (None, Some(_)) if names.iter().any(|name| is_pattern(name) && is_wired(name)) => {
            Binding::Any
        }
        (None, Some(name)) if is_pattern(name) || *name == "lo" => return None,
        (None, Some(name)) => {
            let first = names.iter().find(|name| **name == "eth0").unwrap_or(name);
            Binding::Name((*first).to_owned())
        }
    };
    let dhcp_entry = ini::value(&sections, "Network", "DHCP");
    let dhcp = dhcp_entry.is_some_and(|entry| {
        matches!(
            entry.value.to_ascii_lowercase().as_str(),
            "yes" | "ipv4" | "true" | "both" | "on" | "1" | "v4"
        )
    });
    let is_static = ini::values(&sections, "Network", "Address")
        .chain(ini::values(&sections, "Address", "Address"))
        .any(|entry| entry.value.contains('.'));
    let auto = value("Link", "Unmanaged") != "yes" && value("Link", "ActivationPolicy") != "manual";
    let line = dhcp_entry.map(|entry| entry.line);
    Some(Profile { path: path.into(), line, binding, dhcp, is_static: is_static && !dhcp, auto })
}

/// Whether a pattern can fit a NIC at all; systemd ships files for containers (`ve-*`, `host0`).
fn is_wired(pattern: &str) -> bool {
    if let Some(not) = pattern.strip_prefix('!') {
        return !not.starts_with('e');
    }
    ["eth0", "ens5", "enp0s5"].iter().any(|name| crate::services::matches(pattern, name))
        || pattern.contains('[')
}
