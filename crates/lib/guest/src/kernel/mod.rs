//! Kernels of a Linux guest: their images, configurations and modules.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use kiln_volume::Result;

use crate::initramfs::Initramfs;

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

/// Facts that are costly to read, kept for the items that share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cache {
    pub(crate) modules: Arc<Mutex<HashMap<String, Result<Arc<Modules>>>>>,
    pub(crate) configs: Arc<Mutex<HashMap<String, Result<Option<Arc<KernelConfig>>>>>>,
    pub(crate) initramfs: Arc<Mutex<HashMap<Vec<String>, Result<Arc<Initramfs>>>>>,
}
