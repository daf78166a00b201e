//! What an initial ramdisk holds, as the kernel would unpack it: every segment, later entries
//! replacing earlier ones. Streamed, never wholly in memory.

use std::collections::{BTreeMap, BTreeSet};

/// The content of one or several initrd files, merged as the kernel merges them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Initramfs {
    /// One line a segment: codec, number of entries, bytes (`zstd: 1234 entries, 56 MiB`).
    pub segments: Vec<String>,
    /// What built it.
    pub generator: Generator,
    /// Kernel versions for which it has a module directory.
    pub kernel_versions: BTreeSet<String>,
    /// Modules: from `(kernel version, name)` to path. The version is empty for RHEL 5's `/lib/*.ko`.
    pub modules: BTreeMap<(String, String), String>,
    /// Content of the small files that checks read: `modules.alias`, `modules.builtin`,
    /// `modprobe.d`, `modules-load.d`, `conf/modules`, `conf/conf.d`, `cmdline.d`, `init` scripts
    /// of nash; from path without leading slash to bytes.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Whether udev or mdev is there to load modules by alias.
    pub has_udev: bool,
    /// Whether `modprobe` is there (kmod or busybox).
    pub has_modprobe: bool,
    /// Number of entries in all segments.
    pub n_entries: u64,
    /// Bytes after decompression.
    pub unpacked_bytes: u64,
    /// Why the rest could not be read, where a segment is broken: what was read before it stands.
    pub error: Option<String>,
}

/// What built an initramfs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Generator {
    #[default]
    Unknown,
    InitramfsTools,
    Dracut,
    Mkinitcpio,
    Mkinitfs,
    /// RHEL 5's mkinitrd with nash.
    MkinitrdNash,
    /// SLES 11's mkinitrd.
    MkinitrdSuse,
    Booster,
}
