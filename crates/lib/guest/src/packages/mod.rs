//! Installed packages, from the databases of dpkg, rpm, apk and pacman.

use serde::Serialize;

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
