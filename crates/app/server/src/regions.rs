//! The regions that a server poses as, and how much of them an account may use.

use serde::Deserialize;

/// One region of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// What clients name, for example `cn-hangzhou`.
    pub id: String,
    /// What people read; the id where nothing else is set.
    #[serde(default)]
    pub name: String,
    /// Where the region's disks are kept: a URL of a store. Empty: a folder of the state directory.
    #[serde(default)]
    pub url: String,
    /// Its zones; one made of the id where none is set.
    #[serde(default)]
    pub zones: Vec<String>,
}

/// All regions, in the order of the configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Regions(Vec<Region>);

impl Regions {
    /// These regions. Of two with one id the first is found.
    #[must_use]
    pub(crate) fn new(regions: Vec<Region>) -> Self {
        Self(regions)
    }

    /// The region of this id.
    #[must_use]
    pub(crate) fn get(&self, id: &str) -> Option<&Region> {
        self.0.iter().find(|region| region.id == id)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Region> {
        self.0.iter()
    }
}

/// How much one account may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quotas {
    /// Images that an account may have in one region.
    pub images: u64,
    /// Accounts that one image may be shared with.
    pub shares: u64,
    /// Executions of templates that have not ended.
    pub executions: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Self { images: 100_000, shares: 50, executions: 10_000 }
    }
}
