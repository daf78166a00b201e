//! Packages as files: what one says of itself, and the files it would install.
//!
//! A package is not the guest's, and not trusted either: every size and count is bounded, no path
//! leaves the guest's root or passes through a link that the package itself brings, and devices are
//! refused. Nothing of a package is run.

mod closure;
mod deb;
mod dpkg;
mod install;
#[cfg(test)]
mod install_tests;
mod installed;
mod payload;
#[cfg(test)]
mod tests;
pub(super) mod version;

use std::sync::Arc;

use kiln_volume::Result;

pub(crate) use install::install;
pub(crate) use payload::{Body, PackedFile, archive};
pub(crate) use version::Relation;

use super::edit::Content;

/// Packages of this size and more are not for repairing a guest.
const MAX_PACKAGE_BYTES: usize = 512 << 20;

/// Whose format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Deb,
    Rpm,
}

/// What a package provides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Capability {
    pub(crate) name: String,
    pub(crate) version: Option<String>,
}

/// What has to be there for a package to work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "rpm's conditions")]
pub(crate) enum Requirement {
    /// One of these.
    Any(Vec<Relation>),
    /// All of these.
    All(Vec<Requirement>),
    /// One of these.
    AnyOf(Vec<Requirement>),
    /// The first, where the second is there.
    If(Box<Requirement>, Box<Requirement>),
}

impl std::fmt::Display for Requirement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let join = |parts: Vec<String>, word: &str| parts.join(word);
        let inner = |parts: &[Requirement]| parts.iter().map(ToString::to_string).collect();
        f.write_str(&match self {
            Self::Any(relations) => {
                join(relations.iter().map(ToString::to_string).collect(), " or ")
            }
            Self::All(parts) => join(inner(parts), " and "),
            Self::AnyOf(parts) => join(inner(parts), " or "),
            Self::If(then, when) => format!("{then} if {when}"),
        })
    }
}

/// A script that runs before the files are there, which an offline installation leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EarlyScript {
    /// Its name in its format.
    pub(crate) name: &'static str,
    /// Whether the package works without it: what packaging tools add does nothing where no older
    /// version is.
    pub(crate) needed: bool,
}

/// A package of a bundle. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    /// Its path in the bundle.
    pub(crate) file: String,
    pub(crate) kind: Kind,
    pub(crate) name: String,
    /// With epoch and release.
    pub(crate) version: String,
    /// As its format writes it (`amd64`, `all`, `aarch64`, `noarch`).
    pub(crate) architecture: String,
    pub(crate) requires: Vec<Requirement>,
    pub(crate) provides: Vec<Capability>,
    pub(crate) conflicts: Vec<Relation>,
    /// The files that it has, as far as its head lists them: rpm's does.
    pub(crate) files: Vec<String>,
    pub(crate) early_scripts: Vec<EarlyScript>,
    /// The members of a .deb's control archive.
    pub(crate) control: Arc<Vec<(String, Content)>>,
    bytes: Arc<[u8]>,
}

impl Package {
    /// Read what the package at `file` of a bundle says of itself.
    ///
    /// # Errors
    ///
    /// `Corrupt` where it breaks its format, `Unsupported` where kiln does not install such a one.
    pub(crate) fn read(file: &str, bytes: Arc<[u8]>) -> Result<Self> {
        if bytes.len() > MAX_PACKAGE_BYTES {
            let limit = MAX_PACKAGE_BYTES >> 20;
            return Err(kiln_volume::Error::unsupported(format!("more than {limit} MiB")));
        }
        deb::read(file, bytes)
    }

    /// The files that it installs, in its order, directories before what they hold.
    ///
    /// # Errors
    ///
    /// As [`Package::read`].
    pub(crate) fn payload(&self) -> Result<Vec<PackedFile>> {
        deb::payload(&self.bytes).map_err(|error| error.in_location(&self.file))
    }

    /// The package file itself.
    pub(crate) fn bytes(&self) -> Content {
        Content::sharing(Arc::clone(&self.bytes)).from_source(&self.file)
    }

    /// Whether it meets `relation`, by its name or by what it provides.
    pub(crate) fn meets(&self, relation: &Relation) -> bool {
        relation.is_met_by(&self.name, Some(&self.version), self.kind)
            || self.provides.iter().any(|capability| {
                relation.is_met_by(&capability.name, capability.version.as_deref(), self.kind)
            })
            || self.files.contains(&relation.name)
    }

    /// Its name and version, for people.
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    /// Whether it runs on `architecture`, as kiln names it.
    pub(crate) fn runs_on(&self, architecture: &str) -> bool {
        let own = kiln_architecture(&self.architecture);
        own.is_none_or(|own| own == architecture)
    }
}

/// kiln's word for an architecture, in whoever's spelling. `None`: for all of them.
pub(crate) fn kiln_architecture(name: &str) -> Option<&str> {
    match name {
        "all" | "noarch" => None,
        "amd64" => Some("x86_64"),
        "aarch64" => Some("arm64"),
        "i686" | "i586" | "i486" => Some("i386"),
        name => Some(name),
    }
}
