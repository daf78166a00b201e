//! The modules that an initramfs has and those it is to get, and the indexes over both.
//!
//! The indexes come from the guest's own module directory, which knows what a module needs even
//! where the initramfs was built without it (depmod left that need out of the indexes there). The
//! initramfs' own are asked for modules that the guest no longer has.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use kiln_volume::Tree;

use crate::Guest;
use crate::check::driver::{Facts, is_found};
use crate::initramfs::{Initramfs, SegmentError, SegmentRefusal};
use crate::kernel::MAX_INDEX_BYTES;
use crate::kernel::depmod::ModuleIndex;

/// The names of one soft dependency that are followed. `crc32c` has three.
const MAX_ALIAS_MODULES: usize = 16;

/// What a segment is to change about the modules of one kernel.
pub(super) struct Union<'a> {
    guest: &'a Guest,
    facts: &'a Facts,
    initramfs: &'a Initramfs,
    /// The module directory in the initramfs, without leading slash.
    pub(super) root: String,
    /// What the guest's module directory says.
    system: ModuleIndex,
    /// What the indexes in the initramfs say, of which the binary ones count.
    image: ModuleIndex,
    /// Modules that the initramfs has: from name to path below `root`.
    present: HashMap<String, String>,
}

impl<'a> Union<'a> {
    pub(super) fn read(guest: &'a Guest, facts: &'a Facts, initramfs: &'a Initramfs) -> Self {
        let root = module_root(initramfs, &facts.version);
        let dir = guest.modules_dir(&facts.version);
        let system = ModuleIndex::read(&|name| index_file(&guest.tree, &format!("{dir}/{name}")));
        let image = ModuleIndex::read(&|name| {
            let file = |name: &str| initramfs.files.get(&format!("{root}/{name}"));
            let is_shadowed = file(&format!("{name}.bin")).is_some();
            if is_shadowed { None } else { file(name).cloned() }
        });
        let present =
            initramfs.modules.iter().filter(|((version, _), _)| *version == facts.version);
        let present = present.filter_map(|((_, name), path)| {
            let marker = format!("lib/modules/{}/", facts.version);
            let (_, below) = path.split_once(&marker)?;
            Some((name.clone(), below.to_owned()))
        });
        let present = present.collect();
        Self { guest, facts, initramfs, root, system, image, present }
    }

    /// `drivers` and all that they need to be loaded, built-in ones left out.
    pub(super) fn needed(&self, drivers: &[&str]) -> BTreeSet<String> {
        let mut needed = BTreeSet::new();
        for driver in drivers.iter().filter(|driver| !self.facts.is_built_in(driver)) {
            needed.extend(self.with_needs(driver));
        }
        needed
    }

    fn with_needs(&self, module: &str) -> BTreeSet<String> {
        let mut needed = self.facts.modules.closure(module);
        needed.insert(module.to_owned());
        needed.retain(|name| !self.facts.is_built_in(name));
        needed
    }

    /// The modules of `needed` that are missing, and what those would like to have beside them
    /// (soft dependencies): from name to path in the guest.
    pub(super) fn missing(
        &self,
        needed: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, String>, SegmentError> {
        let mut missing = BTreeMap::new();
        let mut absent = Vec::new();
        for name in needed.iter().filter(|name| !self.present.contains_key(*name)) {
            match self.guest.module_path(&self.facts.version, name)? {
                Some(path) => {
                    missing.insert(name.clone(), path);
                }
                None => absent.push(name.clone()),
            }
        }
        if !absent.is_empty() {
            let version = self.facts.version.clone();
            return Err(SegmentRefusal::NotInstalled { version, modules: absent }.into());
        }
        let mut pending: Vec<String> = missing.keys().cloned().collect();
        while let Some(module) = pending.pop() {
            for wish in self.wishes(&module) {
                let group = self.with_needs(&wish);
                let is_new = |name: &&String| {
                    !self.present.contains_key(*name) && !missing.contains_key(*name)
                };
                let new: Vec<&String> = group.iter().filter(is_new).collect();
                let mut paths = BTreeMap::new();
                for name in &new {
                    if let Some(path) = self.guest.module_path(&self.facts.version, name)? {
                        paths.insert((*name).clone(), path);
                    }
                }
                // A wish that cannot come true whole is none.
                if paths.len() == new.len() {
                    pending.extend(paths.keys().cloned());
                    missing.extend(paths);
                }
            }
        }
        let indexed: HashSet<&str> =
            self.system.modules.iter().map(|module| module.name.as_str()).collect();
        match missing.keys().find(|name| !indexed.contains(name.as_str())) {
            Some(module) => {
                let dir = self.guest.modules_dir(&self.facts.version);
                Err(SegmentRefusal::NotIndexed { dir, module: module.clone() }.into())
            }
            None => Ok(missing),
        }
    }

    /// The modules that the soft dependencies of `module` lead to.
    fn wishes(&self, module: &str) -> Vec<String> {
        let lines = self.system.softdeps.iter().filter(|(name, _)| name == module);
        let words = lines.flat_map(|(_, rest)| rest.split_ascii_whitespace());
        let names = words.filter(|word| !word.ends_with(':')).map(|word| word.replace('-', "_"));
        let mut found = Vec::new();
        for name in names {
            if self.facts.modules.files.contains_key(&name) {
                found.push(name);
                continue;
            }
            let leads = |(alias, _): &&(String, String)| alias.replace('-', "_") == name;
            let modules = self.system.aliases.iter().filter(leads).map(|(_, module)| module);
            found.extend(modules.take(MAX_ALIAS_MODULES).cloned());
        }
        found
    }

    /// How modules are packed in the initramfs: the ends of their names (`.ko.xz`).
    pub(super) fn endings(&self) -> BTreeSet<&str> {
        self.present.values().filter_map(|path| path.rfind(".ko").map(|at| &path[at..])).collect()
    }

    /// Whether the indexes in the initramfs already lead to all of `needed`, and its `drivers` to
    /// their devices.
    pub(super) fn is_indexed(&self, drivers: &[&str], needed: &BTreeSet<String>) -> bool {
        let listed: HashMap<&str, HashSet<&str>> = self
            .image
            .modules
            .iter()
            .map(|module| {
                let needs = module.needs.iter().map(String::as_str);
                (module.name.as_str(), needs.collect())
            })
            .collect();
        let leads = |name: &String| {
            let Some(listed) = listed.get(name.as_str()) else { return false };
            let needs = self.facts.modules.closure(name);
            let mut hard = needs.iter().filter(|need| !self.facts.is_built_in(need));
            hard.all(|need| listed.contains(need.as_str()))
        };
        needed.iter().all(leads)
            && drivers.iter().all(|driver| {
                self.facts.is_built_in(driver) || is_found(driver, self.facts, self.initramfs)
            })
    }

    /// The index over what is there and `added`, from name to path below the module directory.
    pub(super) fn index(&self, added: HashMap<String, String>) -> ModuleIndex {
        let mut files = self.present.clone();
        files.extend(added);
        self.system.choose(&self.image, &files)
    }

    /// A file about built-in modules that the guest has and the initramfs lacks.
    pub(super) fn absent_text(&self, name: &str) -> Option<String> {
        if self.initramfs.files.contains_key(&format!("{}/{name}", self.root)) {
            return None;
        }
        let dir = self.guest.modules_dir(&self.facts.version);
        let bytes = index_file(&self.guest.tree, &format!("{dir}/{name}"))?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn index_file(tree: &Tree, path: &str) -> Option<Vec<u8>> {
    tree.read(path, MAX_INDEX_BYTES).ok().flatten()
}

/// Where modules of the kernel `version` are, or belong, in an initramfs: what `/lib/modules` is
/// there, told without a link, because a directory entry for `lib` would replace the link.
fn module_root(initramfs: &Initramfs, version: &str) -> String {
    if let Some(target) = initramfs.links.get("lib") {
        let target = String::from_utf8_lossy(target);
        return format!("{}/modules/{version}", target.trim_matches('/'));
    }
    let roots = ["lib", "usr/lib"].map(|lib| format!("{lib}/modules/{version}"));
    let is_there = |root: &&String| initramfs.directories.contains(*root);
    let [lib, _] = &roots;
    roots.iter().find(is_there).unwrap_or(lib).clone()
}
