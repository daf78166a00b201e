//! What can be installed: the files of a directory that the caller gives.
//!
//! Nothing is downloaded. What a repair needs and cannot make is a file here, found by who the guest
//! is. The directory is laid out like this:
//!
//! ```text
//! <distribution>/<version>/<architecture>/*.deb, *.rpm    packages for such a guest
//! assist/<architecture>/                                  the vendor's Cloud Assistant agent: packages,
//!                                                         or one tar archive (.tar, .tar.gz, .tgz, .tar.xz ...)
//! aegis/<architecture>/*.sh                               the installer of the Security Center agent
//! ```
//!
//! | Part | Is |
//! |---|---|
//! | distribution | `ID` of os-release in lower case (`debian`, `ubuntu`, `centos`, `alinux`, `sles`), one of its `ID_LIKE`, or `any` |
//! | version | as os-release has it, cut at any dot (`12`, `22.04`, `7.9`), or `any` |
//! | architecture | `x86_64` or `arm64` (`amd64` and `aarch64` are taken too), or `noarch` or `all` for packages that run everywhere |
//!
//! For an image of Rocky Linux 9.4 on x86_64 these directories are searched, and of packages with one
//! name the first directory's is taken, in it the highest version: `rocky/9.4`, `rocky/9`,
//! `rocky/any`, the same for `rhel`, `centos` and `fedora`, then `any/any`, each with `x86_64`, then
//! with `noarch`. Other files (a `README`, a `Packages` index) are passed over.
//!
//! An agent's archive holds `aliyun-service` in a directory named after its version
//! (`2.2.3.967/aliyun-service`), or has the version in its own name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::package::{Kind, Package, kiln_architecture, version};
use crate::Guest;
use crate::check::agent::architecture_of;

/// A bundle is for a few guests, and no mirror of a distribution.
const MAX_FILES: usize = 20_000;
const MAX_BYTES: usize = 4 << 30;
/// Words that a path of a bundle can have as its first part and that are no distribution.
const ASSIST: &str = "assist";
const AEGIS: &str = "aegis";
const ANY: &str = "any";

/// The files of a bundle, its packages read. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    files: BTreeMap<String, Arc<[u8]>>,
    packages: Arc<Vec<Package>>,
    own_agents: BTreeMap<String, Arc<[u8]>>,
}

/// Why a file cannot be in a bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// A package that no guest would find.
    #[error(
        "{file}: a package is looked for in <distribution>/<version>/<architecture>/ or assist/<architecture>/"
    )]
    Place {
        /// The file.
        file: String,
    },
    /// A package for another architecture than its directory is named after.
    #[error("{file}: a package for {found}, in a directory for {wanted}")]
    Architecture {
        /// The file.
        file: String,
        /// Of the package.
        found: String,
        /// Of the directory.
        wanted: String,
    },
    /// A package that cannot be read.
    #[error("{file}: {reason}")]
    Package {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// A program for another architecture than it is given for.
    #[error("kiln's own agent for {wanted} is no program for it")]
    Agent {
        /// The architecture.
        wanted: String,
    },
    /// More than a bundle holds.
    #[error("{file}: with it the bundle has more than {limit}")]
    TooLarge {
        /// The first file that is too much.
        file: String,
        /// As words.
        limit: &'static str,
    },
}

impl Bundle {
    /// A bundle of `files`, by their paths below its directory.
    ///
    /// # Errors
    ///
    /// The first file, in the order given, that cannot be what its place says.
    pub fn new(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Self, BundleError> {
        let (mut bundle, mut packages, mut total) = (Self::default(), Vec::new(), 0_usize);
        for (file, bytes) in files {
            total = total.saturating_add(bytes.len());
            if bundle.files.len() >= MAX_FILES {
                return Err(BundleError::TooLarge { file, limit: "20000 files" });
            }
            if total > MAX_BYTES {
                return Err(BundleError::TooLarge { file, limit: "4 GiB" });
            }
            let bytes: Arc<[u8]> = bytes.into();
            if is_package(&file) {
                packages.push(package(&file, Arc::clone(&bytes))?);
            }
            bundle.files.insert(file, bytes);
        }
        bundle.packages = Arc::new(packages);
        Ok(bundle)
    }

    /// The same with kiln's own agent for guests of `architecture` (`x86_64`, `arm64`), which repair
    /// `assist` installs where no vendor's agent is in the bundle.
    ///
    /// # Errors
    ///
    /// Where `program` is no ELF program for that architecture.
    pub fn with_own_agent(
        mut self,
        architecture: &str,
        program: Vec<u8>,
    ) -> Result<Self, BundleError> {
        if architecture_of(&program) != Some(architecture) {
            return Err(BundleError::Agent { wanted: architecture.to_owned() });
        }
        self.own_agents.insert(architecture.to_owned(), program.into());
        Ok(self)
    }

    /// Paths with content, sorted.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Arc<[u8]>)> {
        self.files.iter().map(|(path, bytes)| (path.as_str(), bytes))
    }

    /// kiln's own agent for `architecture`.
    pub(crate) fn own_agent(&self, architecture: &str) -> Option<&Arc<[u8]>> {
        self.own_agents.get(architecture)
    }

    /// The packages of `kind` for a guest, the preferred before others of their name.
    pub(crate) fn packages_for(&self, key: &Key, kind: Kind) -> Vec<&Package> {
        let directories = key.directories();
        let place = |package: &Package| {
            let directory = directory_of(&package.file);
            directories.iter().position(|known| *known == directory)
        };
        let mut found: Vec<(usize, &Package)> = self
            .packages
            .iter()
            .filter(|package| package.kind == kind && package.runs_on(&key.architecture))
            .filter_map(|package| Some((place(package)?, package)))
            .collect();
        found.sort_by(|(place_a, a), (place_b, b)| {
            place_a.cmp(place_b).then_with(|| version::compare(&b.version, &a.version, kind))
        });
        found.into_iter().map(|(_, package)| package).collect()
    }

    /// Whether a package of that name is there for a guest, in either format.
    pub(crate) fn has_package(&self, key: &Key, name: &str) -> bool {
        [Kind::Deb, Kind::Rpm]
            .into_iter()
            .any(|kind| self.packages_for(key, kind).iter().any(|package| package.name == name))
    }

    /// The other files for the vendor's agent `agent` (`assist`, `aegis`) on `architecture`.
    pub(crate) fn files_of_agent(
        &self,
        agent: &str,
        architecture: &str,
    ) -> impl Iterator<Item = (&str, &Arc<[u8]>)> {
        let directory = format!("{agent}/{architecture}");
        self.files().filter(move |(path, _)| {
            directory_of(path) == directory && !is_package(path) && !name_of(path).starts_with('.')
        })
    }
}

fn is_package(file: &str) -> bool {
    file.ends_with(".deb") || file.ends_with(".rpm")
}

fn name_of(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}

/// The directory of a file, its architecture in kiln's spelling.
fn directory_of(file: &str) -> String {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    if let Some(architecture) = parts.last_mut() {
        *architecture = kiln_architecture(architecture).unwrap_or("noarch");
    }
    parts.join("/").to_ascii_lowercase()
}

fn package(file: &str, bytes: Arc<[u8]>) -> Result<Package, BundleError> {
    let parts: Vec<&str> = file.split('/').collect();
    let architecture = match parts[..] {
        [ASSIST, architecture, _] => architecture,
        [first, _, architecture, _] if first != ASSIST && first != AEGIS => architecture,
        _ => return Err(BundleError::Place { file: file.to_owned() }),
    };
    let package = Package::read(file, bytes).map_err(|error| BundleError::Package {
        file: file.to_owned(),
        reason: error.to_string(),
    })?;
    let wanted = kiln_architecture(architecture);
    let fits = match wanted {
        Some(wanted) => package.runs_on(wanted),
        None => kiln_architecture(&package.architecture).is_none(),
    };
    if !fits {
        let (file, found) = (file.to_owned(), package.architecture);
        return Err(BundleError::Architecture { file, found, wanted: architecture.to_owned() });
    }
    Ok(package)
}

/// Who a guest is, as a bundle is looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// `ID`, then `ID_LIKE`.
    distributions: Vec<String>,
    /// As the guest has it.
    version: String,
    architecture: String,
}

impl Key {
    /// Of `guest`.
    pub(crate) fn of(guest: &Guest) -> Self {
        let os = &guest.os;
        let own = os.id.clone().unwrap_or_else(|| ANY.to_owned());
        let mut distributions = vec![own];
        distributions
            .extend(os.id_like.iter().filter(|like| Some(*like) != os.id.as_ref()).cloned());
        Self {
            distributions,
            version: os.version.clone().unwrap_or_else(|| ANY.to_owned()),
            architecture: os.architecture.clone().unwrap_or_else(|| ANY.to_owned()),
        }
    }

    /// As kiln names it.
    pub(crate) fn architecture(&self) -> &str {
        &self.architecture
    }

    /// The directories that are searched, in their order.
    fn directories(&self) -> Vec<String> {
        let mut versions = vec![self.version.as_str()];
        while let Some((shorter, _)) = versions[versions.len() - 1].rsplit_once('.') {
            versions.push(shorter);
        }
        versions.push(ANY);
        let mut places = Vec::new();
        for distribution in &self.distributions {
            places.extend(versions.iter().map(|version| format!("{distribution}/{version}")));
        }
        places.extend([format!("{ANY}/{ANY}"), ASSIST.to_owned()]);
        let with_architecture = |place: &String| {
            [self.architecture.as_str(), "noarch"]
                .map(|architecture| format!("{place}/{architecture}"))
        };
        let mut found = Vec::new();
        for directory in places.iter().flat_map(with_architecture) {
            if !found.contains(&directory) {
                found.push(directory);
            }
        }
        found
    }
}

/// The directory that a user would make for such a guest: distributions that count their releases in
/// whole numbers are named by them.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let distribution = self.distributions.first().map_or(ANY, String::as_str);
        let has_points = ["ubuntu", "alpine", "sles", "opensuse-leap"].contains(&distribution);
        let version = match self.version.split_once('.') {
            Some((major, _)) if !has_points => major,
            _ => &self.version,
        };
        write!(f, "{distribution}/{version}/{}", self.architecture)
    }
}
