//! NetworkManager: keyfiles, on Red Hat's systems ifcfg files too, and its default profile.

use kiln_volume::{Result, Tree};

use super::{Binding, Profile, Report, ifcfg};
use crate::Family;
use crate::check::Evidence;
use crate::syntax::ini;

const DIRS: [&str; 2] =
    ["/etc/NetworkManager/system-connections", "/usr/lib/NetworkManager/system-connections"];
const CONF_DIRS: [&str; 2] = ["/usr/lib/NetworkManager/conf.d", "/etc/NetworkManager/conf.d"];
const MAX_FILES: usize = 1000;

pub(crate) fn report(tree: &Tree, family: Family) -> Result<Report> {
    let mut report = Report { dhcp_by_default: true, ..Report::default() };
    for dir in DIRS {
        for entry in tree.list(dir)?.into_iter().take(MAX_FILES) {
            let path = format!("{dir}/{}", entry.name_lossy());
            let Some(stat) = tree.stat(&path)? else { continue };
            let Some(text) = tree.read_text(&path)? else { continue };
            // NetworkManager refuses files that others than root can read.
            if dir.starts_with("/etc") && (stat.uid != 0 || stat.mode & 0o077 != 0) {
                let text = format!(
                    "mode {:04o}, owner {}: NetworkManager ignores it",
                    stat.mode, stat.uid
                );
                report.notes.push(Evidence::file(path, text));
                continue;
            }
            report.profiles.extend(profile(&path, &text));
        }
    }
    if family == Family::RedHat {
        report.profiles.extend(ifcfg::red_hat_profiles(tree)?);
    }
    if let Some(evidence) = no_default(tree)? {
        report.dhcp_by_default = false;
        report.notes.push(evidence);
    }
    Ok(report)
}

/// A keyfile. `None`: not of a wired NIC.
pub(crate) fn profile(path: &str, text: &str) -> Option<Profile> {
    let sections = ini::parse(text);
    let value = |section: &str, key: &str| {
        ini::value(&sections, section, key).map(|e| e.value.as_str()).unwrap_or_default()
    };
    let kind = value("connection", "type");
    if !matches!(kind, "ethernet" | "802-3-ethernet" | "")
        || !value("connection", "master").is_empty()
    {
        return None;
    }
    let method = ini::value(&sections, "ipv4", "method");
    let dhcp = method.is_none_or(|method| method.value == "auto");
    let has_address = sections
        .iter()
        .filter(|section| section.name == "ipv4")
        .any(|section| section.entries.iter().any(|entry| entry.key.starts_with("address")));
    let is_static = method.is_some_and(|method| method.value == "manual") || (!dhcp && has_address);
    let mac = ["ethernet", "802-3-ethernet"]
        .iter()
        .map(|s| value(s, "mac-address"))
        .find(|m| !m.is_empty());
    let binding = match (mac, value("connection", "interface-name")) {
        (Some(mac), _) => Binding::Mac(mac.to_owned()),
        (None, "") => Binding::Any,
        (None, name) if name.contains(['*', '?']) => Binding::Any,
        (None, name) => Binding::Name(name.to_owned()),
    };
    let auto = !matches!(value("connection", "autoconnect"), "false" | "no" | "0");
    let line = method.map(|method| method.line);
    Some(Profile { path: path.into(), line, binding, dhcp, is_static, auto })
}

/// What keeps NetworkManager from making a profile for a NIC that has none. Of the files that set a
/// key, the last one counts.
pub(crate) fn no_default(tree: &Tree) -> Result<Option<Evidence>> {
    let mut paths = vec!["/etc/NetworkManager/NetworkManager.conf".to_owned()];
    for dir in CONF_DIRS {
        for entry in tree.list(dir)?.into_iter().take(MAX_FILES) {
            let name = entry.name_lossy();
            // The same name in /etc replaces the one in /usr/lib.
            let is_replaced =
                dir == CONF_DIRS[0] && tree.exists(format!("{}/{name}", CONF_DIRS[1]))?;
            if name.ends_with(".conf") && !is_replaced {
                paths.push(format!("{dir}/{name}"));
            }
        }
    }
    let mut set = [None, None];
    for path in paths {
        let sections = ini::parse(&tree.read_text(&path)?.unwrap_or_default());
        let keys = [("main", "no-auto-default"), ("keyfile", "unmanaged-devices")];
        for (last, (section, key)) in set.iter_mut().zip(keys) {
            if let Some(entry) = ini::value(&sections, section, key) {
                *last = Some((path.clone(), entry.clone()));
            }
        }
    }
    let found = set.into_iter().flatten().find(|(_, entry)| is_about_all(&entry.value));
    Ok(found.map(|(path, entry)| {
        let text = format!("{}={}", entry.key, entry.value);
        Evidence::line(path, entry.line, text)
    }))
}

/// Whether a list of devices holds every wired NIC.
fn is_about_all(list: &str) -> bool {
    let is_all = |item: &str| {
        matches!(
            item.trim(),
            "*" | "type:ethernet"
                | "interface-name:*"
                | "interface-name:en*"
                | "interface-name:eth*"
        )
    };
    // `*,except:type:wifi` leaves wired NICs out; `except:type:ethernet` does not.
    list.split([',', ';']).any(is_all) && !list.contains("except:type:ethernet")
}
