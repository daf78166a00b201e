//! What can be installed: the content of the directory that the caller gives.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Files by their path below the bundle's directory (`debian/12/x86_64/cloud-init.deb`).
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    files: BTreeMap<String, Arc<[u8]>>,
}

impl Bundle {
    /// A bundle of `files`.
    pub fn new(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        Self { files: files.into_iter().map(|(path, bytes)| (path, bytes.into())).collect() }
    }

    /// Paths with content, sorted.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Arc<[u8]>)> {
        self.files.iter().map(|(path, bytes)| (path.as_str(), bytes))
    }
}
