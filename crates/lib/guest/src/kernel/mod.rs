//! Kernels of a Linux guest: their images, configurations and modules.

mod config;
pub(crate) mod depmod;
#[cfg(test)]
mod depmod_tests;
mod find;
mod image;
mod index;
mod kmod;
mod modules;
pub(crate) mod pe;
#[cfg(test)]
mod tests;
pub(crate) mod version;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use kiln_volume::Result;

use crate::initramfs::Initramfs;

pub(crate) use find::kernels;
pub use image::KernelImage;
pub(crate) use image::{image_architecture, image_version};
pub use index::{IndexError, IndexWriter};
pub use kmod::index_entries;
pub(crate) use kmod::{alias_matches, text_aliases};
pub use modules::unpack_module;
pub(crate) use modules::{
    MAX_INDEX_BYTES, MAX_MODULE_BYTES, module_info, module_name, module_parameter_type,
};
pub use version::compare as compare_versions;

/// An installed kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// `uname -r` (`6.1.0-40-cloud-amd64`).
    pub version: String,
    /// Its image as a path in the guest's tree.
    pub image: Option<String>,
    /// The initramfs that belongs to it by name.
    pub initramfs: Option<String>,
    /// Its configuration file.
    pub config: Option<String>,
    /// Its modules (`/usr/lib/modules/<version>`), where that directory exists.
    pub modules_dir: Option<String>,
    /// A rescue, kdump or similar kernel, which is not judged.
    pub is_rescue: bool,
}

/// `CONFIG_` values of a kernel: `y`, `m`, a number or a text. What is not set is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelConfig {
    /// From name without `CONFIG_` to value.
    pub values: BTreeMap<String, String>,
}

/// What `/lib/modules/<version>` holds. Names have `_` for `-` and no suffix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modules {
    /// Built into the kernel, from `modules.builtin`. `None`: no such file.
    pub builtin: Option<BTreeSet<String>>,
    /// Module files: from name to path below the modules directory.
    pub files: HashMap<String, String>,
    /// From name to the names it needs, all of them, from `modules.dep`.
    pub dependencies: HashMap<String, Vec<String>>,
}

/// From what was asked for to what came of it, failures included.
type Shared<K, V> = Arc<Mutex<HashMap<K, Result<V>>>>;

/// Facts that are costly to read, kept for the items that share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cache {
    pub(crate) modules: Shared<String, Arc<Modules>>,
    pub(crate) configs: Shared<String, Option<Arc<KernelConfig>>>,
    pub(crate) initramfs: Shared<Vec<String>, Arc<Initramfs>>,
}

impl Cache {
    /// Give `to` what was read of the initial ramdisks, but for those with a file that changed.
    pub(crate) fn carry_initramfs(&self, to: &Self, is_changed: impl Fn(&str) -> bool) {
        let known = self.initramfs.lock().unwrap_or_else(|lock| lock.into_inner());
        let mut new = to.initramfs.lock().unwrap_or_else(|lock| lock.into_inner());
        for (initrds, read) in known.iter() {
            if !initrds.iter().any(|path| is_changed(path)) {
                new.insert(initrds.clone(), read.clone());
            }
        }
    }
}

/// Whether a kernel runs only as a paravirtual guest of Xen, which no cloud instance is: by its
/// configuration, or by the name such kernels have (`2.6.18-398.el5xen`, `3.0.101-63-xen`).
pub(crate) fn is_xen_pv_only(version: &str, config: Option<&KernelConfig>) -> bool {
    let is_set = |name| config.is_some_and(|config| config.is_builtin(name));
    is_set("X86_64_XEN") || is_set("X86_XEN") || version.ends_with("xen")
}
