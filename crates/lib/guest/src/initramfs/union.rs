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

/// A driver and all that it needs are about ten; hostile indexes make a driver need everything.
const MAX_NEEDED: usize = 512;
/// Soft dependencies that are followed, over all modules that are added.
const MAX_WISHES: usize = 256;

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
    /// From module to those that its soft dependencies lead to.
    wishes: HashMap<String, Vec<String>>,
}

impl<'a> Union<'a> {
    pub(super) fn read(
        guest: &'a Guest,
        facts: &'a Facts,
        initramfs: &'a Initramfs,
    ) -> Result<Self, SegmentError> {
        let root = module_root(initramfs, &facts.version);
        let files = index_files(&guest.tree, &guest.modules_dir(&facts.version))?;
        let system = ModuleIndex::read(&|name| files.get(name).cloned());
        let image = ModuleIndex::read(&|name| {
            let file = |name: &str| initramfs.files.get(&format!("{root}/{name}"));
            let is_shadowed = file(&format!("{name}.bin")).is_some();
            if is_shadowed { None } else { file(name).cloned() }
        });
        let present =
            initramfs.modules.iter().filter(|((version, _), _)| *version == facts.version);
        let marker = format!("lib/modules/{}/", facts.version);
        let present = present.filter_map(|((_, name), path)| {
            let (_, below) = path.split_once(&marker)?;
            Some((name.clone(), below.to_owned()))
        });
        let present = present.collect();
        let wishes = wishes(&system, facts);
        Ok(Self { guest, facts, initramfs, root, system, image, present, wishes })
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
        if needed.len() > MAX_NEEDED {
            let why = format!("the drivers need more than {MAX_NEEDED} modules");
            return Err(SegmentRefusal::Unwritable { why }.into());
        }
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
        self.add_wishes(&mut missing)?;
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

    /// Add what the modules of `missing` would like to have beside them.
    fn add_wishes(&self, missing: &mut BTreeMap<String, String>) -> Result<(), SegmentError> {
        let mut pending: Vec<String> = missing.keys().cloned().collect();
        let mut seen = HashSet::new();
        while let Some(module) = pending.pop() {
            for wish in self.wishes.get(&module).into_iter().flatten() {
                if seen.len() >= MAX_WISHES || !seen.insert(wish.as_str()) {
                    continue;
                }
                let mut group = self.with_needs(wish);
                group
                    .retain(|name| !self.present.contains_key(name) && !missing.contains_key(name));
                let mut paths = BTreeMap::new();
                for name in group.iter().take(MAX_NEEDED) {
                    if let Some(path) = self.guest.module_path(&self.facts.version, name)? {
                        paths.insert(name.clone(), path);
                    }
                }
                // A wish that cannot come true whole is none.
                if paths.len() == group.len() {
                    pending.extend(paths.keys().cloned());
                    missing.extend(paths);
                }
            }
        }
        Ok(())
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

    /// The list of what is built in, where the guest has one and the initramfs has not.
    pub(super) fn absent_builtin(&self) -> Result<Option<String>, SegmentError> {
        if self.initramfs.files.contains_key(&format!("{}/modules.builtin", self.root)) {
            return Ok(None);
        }
        let dir = self.guest.modules_dir(&self.facts.version);
        let bytes = self.guest.tree.read(format!("{dir}/modules.builtin"), MAX_INDEX_BYTES)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// The index files in the directory `dir` of the guest, by name; of those with two forms the text,
/// or the binary one where there is no text.
fn index_files(tree: &Tree, dir: &str) -> Result<HashMap<String, Vec<u8>>, SegmentError> {
    let mut files = HashMap::new();
    for name in ["dep", "alias", "symbols", "softdep", "weakdep", "devname"] {
        let name = format!("modules.{name}");
        for name in [name.clone(), format!("{name}.bin")] {
            if let Some(bytes) = tree.read(format!("{dir}/{name}"), MAX_INDEX_BYTES)? {
                files.insert(name, bytes);
                break;
            }
        }
    }
    Ok(files)
}

/// From each module to those that its soft dependencies lead to, by name or by alias.
fn wishes(system: &ModuleIndex, facts: &Facts) -> HashMap<String, Vec<String>> {
    let words = |rest: &str| -> Vec<String> {
        let words = rest.split_ascii_whitespace().filter(|word| !word.ends_with(':'));
        words.map(|word| word.replace('-', "_")).collect()
    };
    let names: HashSet<String> = system.softdeps.iter().flat_map(|(_, rest)| words(rest)).collect();
    let mut aliases: HashMap<String, Vec<&String>> = HashMap::new();
    for (alias, module) in &system.aliases {
        let alias = alias.replace('-', "_");
        if names.contains(&alias) {
            aliases.entry(alias).or_default().push(module);
        }
    }
    let mut wishes: HashMap<String, Vec<String>> = HashMap::new();
    for (module, rest) in &system.softdeps {
        let own = wishes.entry(module.clone()).or_default();
        for name in words(rest) {
            if own.len() >= MAX_WISHES {
                break;
            }
            if facts.modules.files.contains_key(&name) {
                own.push(name);
            } else {
                let modules = aliases.get(&name).into_iter().flatten();
                own.extend(modules.take(MAX_WISHES).map(|module| (*module).clone()));
            }
        }
    }
    wishes
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
