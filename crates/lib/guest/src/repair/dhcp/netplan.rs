//! netplan: one file for any Ethernet NIC, in place of those that define NICs of the source machine.

use super::super::{Draft, Stop};
use crate::check::dhcp::netplan;
use crate::syntax::yaml::Yaml;

const FILE: &str = "/etc/netplan/90-kiln.yaml";
const CONTENT: &str = "network:\n  version: 2\n  ethernets:\n    kiln:\n      match: {name: \"e*\"}\n      dhcp4: true\n";
/// What is built on NICs, and goes with them.
const BUILT: [&str; 3] = ["bonds", "bridges", "vlans"];

pub(super) fn mend(draft: &mut Draft, renders: bool) -> Result<(), Stop> {
    let (files, _) = netplan::files(draft.tree()?)?;
    for (name, (path, content)) in files {
        let reason = match renders {
            // cloud-init writes its file anew and knows of no other.
            true if name == netplan::RENDERED || !has_static(&content) => continue,
            true => {
                "it gives a NIC a static address, and cloud-init sets up the network".to_owned()
            }
            false if path == FILE => continue,
            false => match defined(&content) {
                None => continue,
                Some(what) => format!("it defines {what} of the source machine"),
            },
        };
        draft.disable(&path, reason)?;
    }
    if !renders {
        // netplan wants no one else to read its files, as they may hold passwords.
        draft.write_with_mode(FILE, CONTENT, 0o600, "any NIC gets an address by DHCP")?;
    }
    Ok(())
}

fn has_static(content: &Yaml) -> bool {
    let ethernets = content.at(&["network", "ethernets"]).map_or(&[][..], Yaml::entries);
    ethernets.iter().any(|(id, definition)| netplan::profile("", id, definition).is_static)
}

/// The NICs and what is built on them, for people. `None`: the file is about other things.
fn defined(content: &Yaml) -> Option<String> {
    let names = |key: &str| -> Vec<&str> {
        let entries = content.at(&["network", key]).map_or(&[][..], Yaml::entries);
        entries.iter().map(|(id, _)| id.as_str()).collect()
    };
    // A bridge without members is one of the guest's own, for its containers.
    let is_built = |key: &&&str| {
        let entries = content.at(&["network", key]).map_or(&[][..], Yaml::entries);
        entries.iter().any(|(_, definition)| {
            definition.get("link").is_some()
                || definition.get("interfaces").is_some_and(|list| !list.items().is_empty())
        })
    };
    let built: Vec<String> = BUILT
        .iter()
        .filter(is_built)
        .map(|key| format!("the {key} {}", names(key).join(", ")))
        .collect();
    let nics = names("ethernets");
    let nics = (!nics.is_empty()).then(|| format!("the NICs {}", nics.join(", ")));
    let all: Vec<String> = nics.into_iter().chain(built).collect();
    (!all.is_empty()).then(|| all.join(" and "))
}
