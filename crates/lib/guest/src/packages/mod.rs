//! Installed packages, from the databases of dpkg, rpm, apk and pacman.

mod bdb;
pub(crate) mod rpm;
mod sqlite;
#[cfg(test)]
mod tests;
mod text;

use kiln_volume::{Result, Tree};
use serde::Serialize;

use crate::inspect::Guest;

/// The largest databases of real systems have some 300 MiB.
const MAX_DB_BYTES: u64 = 512 << 20;
/// No installed system comes near.
const MAX_ENTRIES: usize = 100_000;

/// Where rpm has or had its database.
const RPM_DATABASES: [(PackageDbKind, &str); 6] = [
    (PackageDbKind::RpmSqlite, "/usr/lib/sysimage/rpm/rpmdb.sqlite"),
    (PackageDbKind::RpmNdb, "/usr/lib/sysimage/rpm/Packages.db"),
    (PackageDbKind::RpmBdb, "/usr/lib/sysimage/rpm/Packages"),
    (PackageDbKind::RpmSqlite, "/var/lib/rpm/rpmdb.sqlite"),
    (PackageDbKind::RpmNdb, "/var/lib/rpm/Packages.db"),
    (PackageDbKind::RpmBdb, "/var/lib/rpm/Packages"),
];

/// A package database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageDb {
    /// Whose.
    pub kind: PackageDbKind,
    /// The file or directory it was read from.
    pub path: String,
    /// Sorted by name.
    pub packages: Vec<Package>,
}

/// Whose database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum PackageDbKind {
    Dpkg,
    RpmSqlite,
    RpmNdb,
    RpmBdb,
    Apk,
    Pacman,
}

/// An installed package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Package {
    /// Name.
    pub name: String,
    /// Version as the packager writes it, with epoch and release.
    pub version: String,
    /// Architecture as the packager names it.
    pub architecture: String,
    /// Unpacked or half configured: there, but broken.
    pub broken: bool,
}

impl PackageDb {
    /// Parse the content of a database file of `kind`; for pacman, of one `desc`.
    ///
    /// # Errors
    ///
    /// `OtherFormat` where it is no such file, `Corrupt` where it breaks its format.
    pub fn parse(kind: PackageDbKind, bytes: &[u8]) -> Result<Vec<Package>> {
        let text = || String::from_utf8_lossy(bytes);
        let mut packages = match kind {
            PackageDbKind::Dpkg => text::dpkg(&text()),
            PackageDbKind::Apk => text::apk(&text()),
            PackageDbKind::Pacman => text::pacman(&text()).into_iter().collect(),
            kind => rpm::packages(kind, bytes)?,
        };
        packages.sort();
        Ok(packages)
    }
}

impl Guest {
    /// The packages of all databases the guest has. Reads all of them: only for who asks.
    ///
    /// # Errors
    ///
    /// As [`PackageDb::parse`], and what the filesystems say.
    pub fn packages(&self) -> Result<Vec<PackageDb>> {
        read_all(&self.tree)
    }
}

/// Show `see` each header of the first of rpm's databases that is there. `false`: there is none.
///
/// # Errors
///
/// As [`PackageDb::parse`].
pub(crate) fn each_rpm_header(tree: &Tree, see: &mut dyn FnMut(&rpm::Header)) -> Result<bool> {
    for (kind, path) in RPM_DATABASES {
        let Some(bytes) = tree.read(path, MAX_DB_BYTES)? else { continue };
        let mut each = |bytes: &[u8]| {
            if let Some(header) = rpm::Header::parse(bytes) {
                see(&header);
            }
        };
        rpm::headers(kind, &bytes, &mut each).map_err(|error| error.in_location(path))?;
        return Ok(true);
    }
    Ok(false)
}

/// Every package database in `tree`.
pub(crate) fn read_all(tree: &Tree) -> Result<Vec<PackageDb>> {
    let mut found = Vec::new();
    let (dpkg, apk) = ("/var/lib/dpkg/status", "/lib/apk/db/installed");
    let others = [(PackageDbKind::Dpkg, dpkg), (PackageDbKind::Apk, apk)];
    for (kind, path) in others.into_iter().chain(RPM_DATABASES) {
        // One directory may be a link to the other.
        let Some(at) = tree.locate(path)? else { continue };
        let path = String::from_utf8_lossy(&at.path).into_owned();
        if found.iter().any(|db: &PackageDb| db.path == path) {
            continue;
        }
        if let Some(bytes) = tree.read(&path, MAX_DB_BYTES)? {
            let packages = PackageDb::parse(kind, &bytes).map_err(|e| e.in_location(&path))?;
            found.push(PackageDb { kind, path, packages });
        }
    }
    for (kind, dir, file) in [
        (PackageDbKind::Dpkg, "/var/lib/dpkg/status.d", ""),
        (PackageDbKind::Pacman, "/var/lib/pacman/local", "/desc"),
    ] {
        let mut packages = Vec::new();
        for entry in tree.list(dir)?.iter().take(MAX_ENTRIES) {
            let path = format!("{dir}/{}{file}", entry.name_lossy());
            if let Some(text) = tree.read_text(&path)? {
                packages.extend(PackageDb::parse(kind, text.as_bytes())?);
            }
        }
        packages.sort();
        if !packages.is_empty() {
            found.push(PackageDb { kind, path: dir.to_owned(), packages });
        }
    }
    Ok(found)
}
