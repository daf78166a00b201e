//! What `/lib/modules/<version>` holds.
//!
//! A walk over the directory of a generic kernel costs thousands of reads, so the list comes from
//! `modules.dep` and only what `depmod` may not have seen (`updates`, `extra`, `weak-updates`) is
//! walked. Whether a listed file is really there is asked for the few that a check needs.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::sync::Arc;

use kiln_volume::{FileType, Result, Tree};

use crate::initramfs::Codec;
use crate::inspect::Guest;
use crate::kernel::Modules;

/// A generic kernel has 4 000 to 7 000.
const MAX_MODULES: usize = 100_000;
const MAX_DEPTH: usize = 16;
/// `modules.dep` of a generic kernel has about 600 KiB.
pub(crate) const MAX_INDEX_BYTES: u64 = 64 << 20;
/// The largest driver (`amdgpu`) has about 25 MiB.
pub(crate) const MAX_MODULE_BYTES: u64 = 64 << 20;

/// The name of the module in the file `base`: without suffix, `-` as `_`. `None`: no module's name.
pub(crate) fn module_name(base: &str) -> Option<String> {
    let packed = [".xz", ".gz", ".zst"];
    let base = packed.iter().find_map(|suffix| base.strip_suffix(suffix)).unwrap_or(base);
    let name = base.strip_suffix(".ko").or_else(|| base.strip_suffix(".o"))?;
    (!name.is_empty()).then(|| name.replace('-', "_"))
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

impl Guest {
    /// The modules of the kernel `version`. Read once for all items. Those that `modules.dep` lists
    /// need not be there: ask [`Guest::module_path`].
    ///
    /// # Errors
    ///
    /// What reading the files says; `Unsupported` where there are unreasonably many.
    pub fn modules(&self, version: &str) -> Result<Arc<Modules>> {
        let mut cached = self.cache.modules.lock().unwrap_or_else(|lock| lock.into_inner());
        if let Some(known) = cached.get(version) {
            return known.clone();
        }
        let result = Modules::read(&self.tree, &self.modules_dir(version)).map(Arc::new);
        cached.insert(version.to_owned(), result.clone());
        result
    }

    /// The file of the module `name` of the kernel `version`, as a path in the guest's tree.
    /// `None`: no such module, or only an index still names it.
    ///
    /// # Errors
    ///
    /// As [`Guest::modules`].
    pub fn module_path(&self, version: &str, name: &str) -> Result<Option<String>> {
        let modules = self.modules(version)?;
        let Some(file) = modules.files.get(name) else { return Ok(None) };
        let path = match file.strip_prefix('/') {
            // Links of weak-updates are absolute in some versions of modules.dep.
            Some(absolute) => format!("/{absolute}"),
            None => format!("{}/{file}", self.modules_dir(version)),
        };
        Ok(self.tree.is_file(&path)?.then_some(path))
    }

    /// Where the modules of the kernel `version` are, as a path in the guest's tree.
    pub(crate) fn modules_dir(&self, version: &str) -> String {
        let kernel = self.kernels.iter().find(|kernel| kernel.version == version);
        kernel
            .and_then(|kernel| kernel.modules_dir.clone())
            .unwrap_or_else(|| format!("/lib/modules/{version}"))
    }
}

impl Modules {
    /// From the text of `modules.dep` and of `modules.builtin`.
    pub fn from_indexes(dependencies: &str, builtin: &str) -> Self {
        let mut modules = Self { builtin: Some(builtin_names(builtin)), ..Self::default() };
        modules.read_dependencies(dependencies);
        modules
    }

    /// `names` and all that they need, each behind what it needs. Built-in modules are left out.
    ///
    /// # Errors
    ///
    /// The first name that is neither built in nor a file.
    pub fn load_order(&self, names: &[&str]) -> std::result::Result<Vec<String>, String> {
        let mut wanted = BTreeSet::new();
        for &name in names {
            wanted.insert(name.to_owned());
            wanted.extend(self.closure(name));
        }
        wanted.retain(|name| !self.builtin.as_ref().is_some_and(|builtin| builtin.contains(name)));
        if let Some(missing) = wanted.iter().find(|name| !self.files.contains_key(*name)) {
            return Err(missing.clone());
        }
        let mut order: Vec<String> = wanted.into_iter().collect();
        // What a module needs needs less than the module itself: at least the module less.
        order.sort_by_key(|name| self.closure(name).len());
        Ok(order)
    }

    /// Read the directory `dir`. Nothing there gives nothing.
    pub(crate) fn read(tree: &Tree, dir: &str) -> Result<Self> {
        let mut modules = Self::default();
        if let Some(text) = read_text(tree, &format!("{dir}/modules.builtin"))? {
            modules.builtin = Some(builtin_names(&text));
        }
        match read_text(tree, &format!("{dir}/modules.dep"))? {
            Some(text) if text.contains(':') => {
                modules.read_dependencies(&text);
                for below in ["updates", "extra", "weak-updates"] {
                    modules.walk(tree, dir, below.to_owned())?;
                }
            }
            _ => modules.walk(tree, dir, String::new())?,
        }
        Ok(modules)
    }

    /// Lines `path: path...`; depmod lists all that a module needs, not only the next ones.
    fn read_dependencies(&mut self, text: &str) {
        for line in text.lines().take(MAX_MODULES) {
            let Some((path, needs)) = line.split_once(':') else { continue };
            let Some(name) = module_name(base_name(path)) else { continue };
            let needs: Vec<String> = needs
                .split_ascii_whitespace()
                .filter_map(|path| module_name(base_name(path)))
                .collect();
            self.files.insert(name.clone(), path.to_owned());
            if !needs.is_empty() {
                self.dependencies.insert(name, needs);
            }
        }
    }

    fn walk(&mut self, tree: &Tree, dir: &str, below: String) -> Result<()> {
        let mut pending = vec![(below, 0)];
        while let Some((below, depth)) = pending.pop() {
            for entry in tree.list(format!("{dir}/{below}"))? {
                let name = entry.name_lossy();
                let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
                if entry.file_type == Some(FileType::Directory) {
                    // `build` and `source` are links to headers, not directories; go no deeper.
                    if depth < MAX_DEPTH && pending.len() < MAX_MODULES {
                        pending.push((path, depth + 1));
                    }
                } else if let Some(name) = module_name(&name)
                    && self.files.len() < MAX_MODULES
                {
                    self.files.insert(name, path);
                }
            }
        }
        Ok(())
    }

    /// All that `name` needs, direct and through others.
    pub(crate) fn closure(&self, name: &str) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        let mut pending = vec![name];
        while let Some(next) = pending.pop() {
            for needed in self.dependencies.get(next).into_iter().flatten() {
                if all.insert(needed.clone()) {
                    pending.push(needed);
                }
            }
        }
        all
    }
}

fn builtin_names(text: &str) -> BTreeSet<String> {
    text.lines().filter_map(|line| module_name(base_name(line))).collect()
}

/// The module in the file content `bytes`, unpacked where it is packed.
///
/// # Errors
///
/// Where the compression is broken, or the module unreasonably large.
pub fn unpack_module(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    let Some(codec) = Codec::of(&bytes) else { return Ok(bytes) };
    let mut unpacked = Vec::new();
    codec.decoder(&bytes[..])?.take(MAX_MODULE_BYTES + 1).read_to_end(&mut unpacked)?;
    if unpacked.len() as u64 > MAX_MODULE_BYTES {
        return Err(io::Error::other(format!("more than {MAX_MODULE_BYTES} bytes")));
    }
    Ok(unpacked)
}

fn read_text(tree: &Tree, path: &str) -> Result<Option<String>> {
    let bytes = tree.read(path, MAX_INDEX_BYTES)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// The type of a parameter (`parmtype=io_timeout:uint`) of the module in the file `path`. `None`:
/// it has no such parameter, or cannot be unpacked.
pub(crate) fn module_parameter_type(
    tree: &Tree,
    path: &str,
    parameter: &str,
) -> Result<Option<String>> {
    let Some(bytes) = tree.read(path, MAX_MODULE_BYTES)? else { return Ok(None) };
    let Ok(bytes) = unpack_module(bytes) else { return Ok(None) };
    let kind = module_info(&bytes, &format!("parmtype={parameter}:"));
    Ok(kind.filter(|kind| kind.len() <= 32).map(|kind| String::from_utf8_lossy(kind).into_owned()))
}

/// What follows `start` (`vermagic=`) in the texts of a module.
pub(crate) fn module_info<'a>(module: &'a [u8], start: &str) -> Option<&'a [u8]> {
    let at = memchr::memmem::find(module, start.as_bytes())? + start.len();
    module[at..].split(|&byte| byte == 0).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_come_behind_what_they_need() {
        let modules = Modules::from_indexes(
            "kernel/a/xfs.ko.xz: kernel/lib/libcrc32c.ko.xz\n\
             kernel/lib/libcrc32c.ko.xz:\n\
             kernel/b/aaa-top.ko: kernel/a/xfs.ko.xz kernel/lib/libcrc32c.ko.xz kernel/crypto/x.ko\n\
             kernel/crypto/x.ko:\n\
             kernel/c/broken.ko: kernel/c/gone.ko\n",
            "kernel/fs/ext4/ext4.ko\nkernel/crypto/x.ko\n",
        );
        let order = |names: &[&str]| modules.load_order(names);
        assert_eq!(order(&["aaa_top", "xfs"]).unwrap(), ["libcrc32c", "xfs", "aaa_top"]);
        assert_eq!(order(&["ext4"]).unwrap(), [""; 0], "built in");
        assert_eq!(order(&["broken"]).unwrap_err(), "gone");
        assert_eq!(order(&["vfat"]).unwrap_err(), "vfat");
    }

    #[test]
    fn a_module_is_unpacked_by_its_content() {
        let packed = zstd::encode_all(&b"\x7FELF module"[..], 1).unwrap();
        assert_eq!(unpack_module(packed.clone()).unwrap(), b"\x7FELF module");
        assert_eq!(unpack_module(b"\x7FELF plain".to_vec()).unwrap(), b"\x7FELF plain");
        assert!(unpack_module(packed[..packed.len() - 2].to_vec()).is_err());
        let bomb = zstd::encode_all(&vec![0; (MAX_MODULE_BYTES + 1) as usize][..], 1).unwrap();
        assert!(unpack_module(bomb).is_err());
    }
}
