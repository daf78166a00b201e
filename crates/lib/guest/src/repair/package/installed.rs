//! What the guest has installed, as far as packages ask for it.

use kiln_volume::{Result, Tree};

use super::deb::{Fields, capabilities};
use super::version::Relation;
use super::{Capability, Kind, kiln_architecture};

/// As large as `packages` reads databases.
const MAX_STATUS_BYTES: u64 = 64 << 20;
/// dpkg's database.
pub(super) const STATUS: &str = "/var/lib/dpkg/status";

/// The guest's packages.
#[derive(Debug)]
pub(super) struct Installed {
    /// Whose packages the guest takes.
    pub(super) kind: Kind,
    packages: Vec<Have>,
    tree: Tree,
}

/// A package that is there.
#[derive(Debug)]
pub(super) struct Have {
    pub(super) name: String,
    pub(super) version: String,
    provides: Vec<Capability>,
    conflicts: Vec<Relation>,
}

impl Installed {
    /// What `tree` has. `None`: neither dpkg's nor rpm's.
    pub(super) fn read(tree: &Tree, architecture: &str) -> Result<Option<Self>> {
        let Some(status) = tree.read(STATUS, MAX_STATUS_BYTES)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&status);
        let packages = text.split("\n\n").filter_map(|stanza| have(stanza, architecture)).collect();
        Ok(Some(Self { kind: Kind::Deb, packages, tree: tree.clone() }))
    }

    /// The version of the package `name`, where it is there.
    pub(super) fn version(&self, name: &str) -> Option<&str> {
        self.packages.iter().find(|have| have.name == name).map(|have| have.version.as_str())
    }

    /// Those that meet `relation`, by name or by what they provide.
    pub(super) fn that_meet(&self, relation: &Relation) -> impl Iterator<Item = &Have> {
        let relation = relation.clone();
        self.packages.iter().filter(move |have| have.meets(&relation, self.kind))
    }

    /// Whether something there meets `relation`: a package, or the file it names.
    pub(super) fn meets(&self, relation: &Relation) -> Result<bool> {
        if self.that_meet(relation).next().is_some() {
            return Ok(true);
        }
        Ok(relation.name.starts_with('/') && self.tree.exists(&relation.name)?)
    }

    /// Those that cannot be beside what `meets` says it meets.
    pub(super) fn against(&self, meets: impl Fn(&Relation) -> bool) -> impl Iterator<Item = &Have> {
        self.packages.iter().filter(move |have| have.conflicts.iter().any(&meets))
    }
}

impl Have {
    fn meets(&self, relation: &Relation, kind: Kind) -> bool {
        relation.is_met_by(&self.name, Some(&self.version), kind)
            || self.provides.iter().any(|capability| {
                relation.is_met_by(&capability.name, capability.version.as_deref(), kind)
            })
    }
}

/// A stanza of dpkg's `status`. One that is unpacked and not yet configured counts: its files are
/// there, and what configures new packages configures it too.
fn have(stanza: &str, architecture: &str) -> Option<Have> {
    let fields = Fields(stanza);
    let status = fields.get("Status")?;
    let is_there =
        ["installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending"];
    if !is_there.contains(&status.split_whitespace().last()?) {
        return None;
    }
    let own = fields.get("Architecture").unwrap_or_default();
    let is_foreign = kiln_architecture(&own).is_some_and(|own| own != architecture);
    if is_foreign && fields.get("Multi-Arch").as_deref() != Some("foreign") {
        return None;
    }
    let conflicts = ["Conflicts", "Breaks"].into_iter().flat_map(|name| fields.groups(name));
    Some(Have {
        name: fields.get("Package")?,
        version: fields.get("Version")?,
        provides: capabilities(&fields.get("Provides").unwrap_or_default()),
        conflicts: conflicts.flatten().collect(),
    })
}
