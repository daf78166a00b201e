//! netplan: YAML files merged by name, from which networkd's (or NetworkManager's) are generated.

use std::collections::BTreeMap;

use kiln_volume::{Kind, Result, Tree};

use super::{Binding, Profile, Report};
use crate::check::Evidence;
use crate::check::cloud_init::merge;
use crate::syntax::yaml::{self, Yaml};

/// The first that has a name wins.
const DIRS: [&str; 2] = ["/etc/netplan", "/lib/netplan"];
/// From name to path and content, in the order of merging.
pub(crate) type Files = BTreeMap<String, (String, Yaml)>;

const MAX_FILES: usize = 1000;
pub(crate) const RENDERED: &str = "50-cloud-init.yaml";

pub(crate) fn is_installed(tree: &Tree) -> Result<bool> {
    for path in ["/usr/sbin/netplan", "/usr/lib/netplan/generate", "/usr/libexec/netplan/generate"]
    {
        if tree.exists(path)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether there is anything to generate for networkd.
pub(crate) fn uses_networkd(tree: &Tree) -> Result<bool> {
    let (files, _) = files(tree)?;
    let merged = merged(&files);
    let renderer = merged.at(&["network", "renderer"]).and_then(Yaml::text);
    Ok(!files.is_empty() && renderer != Some("NetworkManager"))
}

/// Files by name, with those that are not YAML apart.
pub(crate) fn files(tree: &Tree) -> Result<(Files, Vec<Evidence>)> {
    let mut found = BTreeMap::new();
    let mut broken = Vec::new();
    for dir in DIRS {
        for entry in tree.list(dir)?.into_iter().take(MAX_FILES) {
            let name = entry.name_lossy();
            let path = format!("{dir}/{name}");
            if !name.ends_with(".yaml") || found.contains_key(&name) {
                continue;
            }
            let Some(bytes) = tree.read(&path, 1 << 20)? else { continue };
            match yaml::parse(&bytes) {
                Ok(content) => drop(found.insert(name, (path, content))),
                Err(error) if error.kind() == Kind::Corrupt => {
                    broken.push(Evidence::file(path, format!("netplan cannot read it: {error}")));
                }
                Err(error) => return Err(error.in_location(path)),
            }
        }
    }
    Ok((found, broken))
}

fn merged(files: &Files) -> Yaml {
    let mut all = Yaml::Map(Vec::new());
    for (_, content) in files.values() {
        merge(&mut all, content);
    }
    all
}

pub(crate) fn report(tree: &Tree) -> Result<Report> {
    let (files, broken) = files(tree)?;
    let mut report = Report { rendered_wins: true, notes: broken, ..Report::default() };
    let all = merged(&files);
    for (id, definition) in all.at(&["network", "ethernets"]).map_or(&[][..], Yaml::entries) {
        // The last file that has the definition is the one to name.
        let last = files
            .iter()
            .rev()
            .find(|(_, (_, content))| content.at(&["network", "ethernets", id]).is_some());
        let Some((name, (path, _))) = last else { continue };
        let found = profile(path, id, definition);
        report.rendered_wins &= !(found.is_static && name.as_str() > RENDERED);
        report.profiles.push(found);
    }
    Ok(report)
}

/// A definition, merged.
pub(crate) fn profile(path: &str, id: &str, definition: &Yaml) -> Profile {
    let dhcp = definition.get("dhcp4").and_then(Yaml::as_bool) == Some(true);
    let is_v4 = |item: &Yaml| {
        let text = item.text().or_else(|| item.entries().first().map(|(key, _)| key.as_str()));
        text.is_some_and(|text| text.contains('.'))
    };
    let has_address =
        definition.get("addresses").is_some_and(|list| list.items().iter().any(is_v4));
    let binding = match definition.get("match") {
        Some(rule) => match (rule.get("macaddress").and_then(Yaml::text), rule.get("name")) {
            (Some(mac), _) => Binding::Mac(mac.to_owned()),
            (None, Some(Yaml::Text(name))) if !name.contains(['*', '?', '[']) => {
                Binding::Name(name.clone())
            }
            _ => Binding::Any,
        },
        None => Binding::Name(id.to_owned()),
    };
    let auto = definition.get("activation-mode").is_none();
    Profile { path: path.into(), line: None, binding, dhcp, is_static: has_address && !dhcp, auto }
}
