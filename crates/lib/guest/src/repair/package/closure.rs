//! Which packages of a bundle have to be installed together.
//!
//! Greedy, as `dpkg -i` with what somebody chose by hand would be: of alternatives the first that is
//! there is taken, and nothing that is installed is taken away. What such a choice cannot do is
//! refused, and apt or dnf in a running guest is the tool for it.

use kiln_volume::Result;

use super::installed::Installed;
use super::version::{Relation, compare};
use super::{Package, Requirement};

/// More packages than any repair needs.
const MAX_CHOSEN: usize = 500;

/// What was chosen, or why nothing was.
#[derive(Debug)]
pub(super) enum Choice {
    /// In the order in which they were found to be needed.
    Packages(Vec<Package>),
    /// These are not in the bundle: as relations, with who asks.
    Missing(Vec<String>),
    /// They cannot be beside something: one sentence each.
    Conflicting(Vec<String>),
}

/// Choose `names` and all that they need and the guest has not, from `pool`: of packages of one name
/// the first is preferred.
pub(super) fn choose(pool: &[&Package], installed: &Installed, names: &[&str]) -> Result<Choice> {
    let mut search = Search { pool, installed, chosen: Vec::new(), missing: Vec::new() };
    for name in names {
        search.want(name);
    }
    let mut next = 0;
    while next < search.chosen.len() && next < MAX_CHOSEN {
        let package = search.chosen[next];
        for requirement in &package.requires {
            search.require(requirement, package)?;
        }
        next += 1;
    }
    if !search.missing.is_empty() {
        return Ok(Choice::Missing(search.missing));
    }
    let conflicts = search.conflicts();
    Ok(match conflicts.is_empty() {
        true => Choice::Packages(search.chosen.into_iter().cloned().collect()),
        false => Choice::Conflicting(conflicts),
    })
}

struct Search<'a> {
    pool: &'a [&'a Package],
    installed: &'a Installed,
    chosen: Vec<&'a Package>,
    missing: Vec<String>,
}

impl<'a> Search<'a> {
    fn want(&mut self, name: &str) {
        let mut candidates = self.pool.iter().filter(|package| package.name == name);
        let Some(package) = candidates.find(|package| !self.is_downgrade(package)) else {
            let older = self.pool.iter().any(|package| package.name == name);
            let version = self.installed.version(name).filter(|_| older);
            self.miss(match version {
                Some(version) => format!("{name} ({version} or newer)"),
                None => name.to_owned(),
            });
            return;
        };
        if !self.chosen.iter().any(|chosen| chosen.name == name) {
            self.chosen.push(package);
        }
    }

    fn miss(&mut self, what: String) {
        if !self.missing.contains(&what) {
            self.missing.push(what);
        }
    }

    /// What is installed is never replaced by something older.
    fn is_downgrade(&self, package: &Package) -> bool {
        let installed = self.installed.version(&package.name);
        installed.is_some_and(|have| compare(&package.version, have, package.kind).is_lt())
    }

    fn require(&mut self, requirement: &Requirement, by: &Package) -> Result<()> {
        if self.is_met(requirement)? {
            return Ok(());
        }
        match requirement {
            Requirement::Any(relations) => {
                match relations.iter().find_map(|relation| self.candidate(relation)) {
                    Some(package) => self.chosen.push(package),
                    None => self.miss(format!("{requirement} for {}", by.name)),
                }
            }
            Requirement::All(parts) => {
                for part in parts {
                    self.require(part, by)?;
                }
            }
            Requirement::AnyOf(parts) => {
                let possible = parts.iter().find(|part| match part {
                    Requirement::Any(relations) => {
                        relations.iter().any(|relation| self.candidate(relation).is_some())
                    }
                    _ => true,
                });
                match possible {
                    Some(part) => self.require(part, by)?,
                    None => self.miss(format!("{requirement} for {}", by.name)),
                }
            }
            // Not met: the condition holds and the rest does not.
            Requirement::If(then, _) => self.require(then, by)?,
        }
        Ok(())
    }

    fn is_met(&self, requirement: &Requirement) -> Result<bool> {
        Ok(match requirement {
            Requirement::Any(relations) => {
                let mut is_met = false;
                for relation in relations {
                    is_met = is_met
                        || self.chosen.iter().any(|package| package.meets(relation))
                        || self.installed.meets(relation)?;
                }
                is_met
            }
            Requirement::All(parts) => {
                let mut is_met = true;
                for part in parts {
                    is_met = is_met && self.is_met(part)?;
                }
                is_met
            }
            Requirement::AnyOf(parts) => {
                let mut is_met = false;
                for part in parts {
                    is_met = is_met || self.is_met(part)?;
                }
                is_met
            }
            Requirement::If(then, when) => !self.is_met(when)? || self.is_met(then)?,
        })
    }

    fn candidate(&self, relation: &Relation) -> Option<&'a Package> {
        let is_taken = |package: &Package| self.chosen.iter().any(|one| one.name == package.name);
        let fits = |package: &&&Package| {
            package.meets(relation) && !self.is_downgrade(package) && !is_taken(package)
        };
        // Of its own name before one that only provides it.
        let named = self.pool.iter().filter(|package| package.name == relation.name).find(fits);
        named.or_else(|| self.pool.iter().find(fits)).copied()
    }

    fn conflicts(&self) -> Vec<String> {
        let mut found = Vec::new();
        let is_replaced = |name: &str| self.chosen.iter().any(|package| package.name == name);
        for package in &self.chosen {
            for relation in &package.conflicts {
                let stays = self.installed.that_meet(relation).map(|have| have.name.as_str());
                let comes = self.chosen.iter().filter(|other| other.meets(relation));
                let others = stays
                    .filter(|name| !is_replaced(name))
                    .chain(comes.map(|other| other.name.as_str()));
                for other in others.filter(|other| *other != package.name) {
                    found.push(format!("{} cannot be beside {other}", package.title()));
                }
            }
            let against = self.installed.against(|relation| package.meets(relation));
            for have in against.filter(|have| !is_replaced(&have.name)) {
                found.push(format!("{} cannot be beside {}", have.name, package.title()));
            }
        }
        found.dedup();
        found
    }
}
