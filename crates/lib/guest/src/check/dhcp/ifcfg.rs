//! `ifcfg-*`: Red Hat's in `/etc/sysconfig/network-scripts`, wicked's in `/etc/sysconfig/network`.

use kiln_volume::{Result, Tree};

use super::{Binding, Profile, Report};
use crate::syntax::assignments::{self, value_of};

pub(crate) const RED_HAT: &str = "/etc/sysconfig/network-scripts";
pub(crate) const SUSE: &str = "/etc/sysconfig/network";
const MAX_FILES: usize = 1000;
/// Endings the network scripts pass over (`__sed_discard_ignored_files`).
const IGNORED: [&str; 9] =
    ["~", ".bak", ".old", ".orig", ".rpmnew", ".rpmorig", ".rpmsave", ".swp", ".cfsaved"];

/// The `network` scripts. What cloud-init renders replaces `ifcfg-eth0`.
pub(crate) fn network(tree: &Tree) -> Result<Report> {
    Ok(Report {
        profiles: profiles(tree, RED_HAT, red_hat)?,
        rendered_wins: true,
        ..Report::default()
    })
}

/// wicked.
pub(crate) fn wicked(tree: &Tree) -> Result<Report> {
    Ok(Report { profiles: profiles(tree, SUSE, suse)?, rendered_wins: true, ..Report::default() })
}

/// The profiles of Red Hat's directory, which NetworkManager reads too.
pub(crate) fn red_hat_profiles(tree: &Tree) -> Result<Vec<Profile>> {
    profiles(tree, RED_HAT, red_hat)
}

pub(crate) type Read = fn(&str, &str, &str) -> Option<Profile>;

fn profiles(tree: &Tree, dir: &str, read: Read) -> Result<Vec<Profile>> {
    let mut found = Vec::new();
    for (path, nic) in files(tree, dir)? {
        let Some(text) = tree.read_text(&path)? else { continue };
        found.extend(read(&path, &nic, &text));
    }
    Ok(found)
}

/// The files that count, each with the name after `ifcfg-`.
pub(crate) fn files(tree: &Tree, dir: &str) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in tree.list(dir)?.into_iter().take(MAX_FILES) {
        let name = entry.name_lossy();
        let Some(nic) = name.strip_prefix("ifcfg-") else { continue };
        if nic != "lo" && !IGNORED.iter().any(|end| nic.ends_with(end)) {
            found.push((format!("{dir}/{name}"), nic.to_owned()));
        }
    }
    Ok(found)
}

/// A file of Red Hat's. `None`: not a NIC's own (a slave, an alias, a bridge's port).
pub(crate) fn red_hat(path: &str, nic: &str, text: &str) -> Option<Profile> {
    let found = assignments::parse(text);
    let value = |name: &str| value_of(&found, name).map(|a| a.value.trim()).unwrap_or_default();
    let is_port = ["SLAVE", "MASTER", "BRIDGE"].iter().any(|n| !matches!(value(n), "" | "no"));
    if is_port || nic.contains(':') {
        return None;
    }
    let protocol = value("BOOTPROTO").to_ascii_lowercase();
    let dhcp = matches!(protocol.as_str(), "dhcp" | "bootp");
    let has_address = found.iter().any(|a| a.name.starts_with("IPADDR") && !a.value.is_empty());
    // Without ONBOOT both the scripts and NetworkManager start it.
    let auto = !matches!(value("ONBOOT").to_ascii_lowercase().as_str(), "no" | "false" | "n" | "0");
    let line = value_of(&found, "BOOTPROTO").map(|a| a.line);
    let device = value("DEVICE");
    let binding = match (value("HWADDR"), device) {
        // A file without either fits any NIC in NetworkManager; the scripts take its name.
        ("", "") => Binding::Name(nic.to_owned()),
        ("", device) => Binding::Name(device.to_owned()),
        (mac, _) => Binding::Mac(mac.to_owned()),
    };
    Some(Profile { path: path.into(), line, binding, dhcp, is_static: !dhcp && has_address, auto })
}

/// A file of wicked's.
pub(crate) fn suse(path: &str, nic: &str, text: &str) -> Option<Profile> {
    let found = assignments::parse(text);
    let value = |name: &str| value_of(&found, name).map(|a| a.value.trim()).unwrap_or_default();
    let protocol = value("BOOTPROTO").to_ascii_lowercase();
    let dhcp = protocol.split('+').any(|word| matches!(word, "dhcp" | "dhcp4"));
    let has_address = found.iter().any(|a| a.name.starts_with("IPADDR") && !a.value.is_empty());
    let auto = matches!(
        value("STARTMODE").to_ascii_lowercase().as_str(),
        "auto" | "hotplug" | "boot" | "onboot" | "on" | "nfsroot" | "ifplugd"
    );
    let binding = match value("LLADDR") {
        // SLES 10 named files after the MAC: ifcfg-eth-id-00:11:22:33:44:55.
        "" => match nic.strip_prefix("eth-id-") {
            Some(mac) => Binding::Mac(mac.to_owned()),
            None => Binding::Name(nic.to_owned()),
        },
        _ => Binding::Name(nic.to_owned()),
    };
    let line = value_of(&found, "BOOTPROTO").map(|a| a.line);
    Some(Profile { path: path.into(), line, binding, dhcp, is_static: !dhcp && has_address, auto })
}
