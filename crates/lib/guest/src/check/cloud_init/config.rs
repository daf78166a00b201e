//! cloud-init's configuration: `/etc/cloud/cloud.cfg`, then `cloud.cfg.d/*.cfg` in name order.
//!
//! cloud-init merges with `dict()+list()+str()`, the later file first: mappings are merged key by
//! key at every depth, and of lists and scalars the later file's is taken whole.

use kiln_volume::{Kind, Result, Tree};

use crate::check::Evidence;
use crate::syntax::yaml::{self, Yaml};

const MAIN: &str = "/etc/cloud/cloud.cfg";
const DROP_IN_DIR: &str = "/etc/cloud/cloud.cfg.d";
const MAX_FILES: usize = 1000;

/// The merged configuration.
#[derive(Debug)]
pub(crate) struct Config {
    /// A mapping.
    pub(crate) merged: Yaml,
    /// Each file with its own content, in the order of merging.
    pub(crate) files: Vec<(String, Yaml)>,
    /// Files that are not YAML mappings; cloud-init leaves them out with a warning.
    pub(crate) broken: Vec<Evidence>,
}

impl Config {
    /// The last file that sets `path`.
    pub(crate) fn set_in(&self, path: &[&str]) -> Option<&str> {
        let found = self.files.iter().rev().find(|(_, content)| content.at(path).is_some());
        found.map(|(file, _)| file.as_str())
    }
}

/// Read and merge all files.
pub(super) fn read(tree: &Tree) -> Result<Config> {
    let mut paths = vec![MAIN.to_owned()];
    for entry in tree.list(DROP_IN_DIR)?.into_iter().take(MAX_FILES) {
        let name = entry.name_lossy();
        if name.ends_with(".cfg") {
            paths.push(format!("{DROP_IN_DIR}/{name}"));
        }
    }
    let mut config =
        Config { merged: Yaml::Map(Vec::new()), files: Vec::new(), broken: Vec::new() };
    for path in paths {
        let Some(bytes) = tree.read(&path, 1 << 20)? else { continue };
        match yaml::parse(&bytes) {
            Ok(Yaml::Null) => {}
            Ok(content @ Yaml::Map(_)) => {
                merge(&mut config.merged, &content);
                config.files.push((path, content));
            }
            Ok(_) => config.broken.push(Evidence::file(path, "not a mapping")),
            Err(error) if error.kind() == Kind::Corrupt => {
                config.broken.push(Evidence::file(path, error.to_string()));
            }
            Err(error) => return Err(error.in_location(path)),
        }
    }
    Ok(config)
}

/// Lay `over` on `base`. Depth is bounded by what the YAML reader lets through.
pub(crate) fn merge(base: &mut Yaml, over: &Yaml) {
    for (key, value) in over.entries() {
        match base.get(key) {
            Some(old @ Yaml::Map(_)) if matches!(value, Yaml::Map(_)) => {
                let mut merged = old.clone();
                merge(&mut merged, value);
                base.set(key, merged);
            }
            _ => base.set(key, value.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_merge_and_lists_are_replaced() {
        let mut base = yaml::parse(b"a: {b: 1, c: [1, 2]}\nd: [1]\n").unwrap();
        merge(&mut base, &yaml::parse(b"a: {c: [3]}\nd: []\ne: 1\n").unwrap());
        assert_eq!(base, yaml::parse(b"a: {b: 1, c: [3]}\nd: []\ne: 1\n").unwrap());
    }
}
