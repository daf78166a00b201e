//! What an initial ramdisk holds, as the kernel would unpack it: every segment, later entries
//! replacing earlier ones. Streamed, never wholly in memory.

mod codec;
mod content;
mod cpio;
mod lzo;
mod reader;
mod refusal;
mod segment;
#[cfg(test)]
mod segment_tests;
mod stream;
#[cfg(test)]
mod tests;
mod union;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kiln_volume::{Error, Kind, MemFs, Result, Tree};

use crate::inspect::Guest;
use crate::kernel::pe;

pub(crate) use codec::Codec;
pub use cpio::{CpioError, CpioWriter};
pub use refusal::{SegmentError, SegmentRefusal};
pub use segment::{Segment, SegmentFile, SegmentRequest, driver_segment};
pub(crate) use stream::Part;

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
    /// Content of the small files that checks read and repairs correct: the indexes of modules,
    /// `modprobe.d`, `modules-load.d`, `conf/modules`, `conf/conf.d`, `cmdline.d`, what dracut waits
    /// for, `init` scripts of nash; from path without leading slash to bytes.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Its directories, as paths without leading slash.
    pub directories: BTreeSet<String>,
    /// Targets of the symbolic links that lead to other directories (`lib`), and of those by which
    /// systemd waits for a device (`*.wants/*.device`).
    pub links: BTreeMap<String, Vec<u8>>,
    /// The compression of the last segment (`gzip`); `None`: it is a plain archive.
    pub last_codec: Option<&'static str>,
    /// Whether a boot configuration follows it, which must stay the end of the file.
    pub has_boot_config: bool,
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

impl Initramfs {
    /// Read an initrd from memory. What is wrong with it is in [`Initramfs::error`].
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        let mut fs = MemFs::new();
        fs.file("/initrd", bytes);
        match Tree::new(Arc::new(fs)).open("/initrd") {
            Ok(Some(file)) => reader::read(&[Part::whole("initrd", file)]),
            _ => Self::default(),
        }
    }
}

impl Guest {
    /// What the initial ramdisks `initrds`, paths in the guest's tree, hold together. A unified
    /// kernel image stands for its `.initrd` section. Read once for all items.
    ///
    /// # Errors
    ///
    /// `NotFound` where one of them is no file. What is wrong inside is [`Initramfs::error`].
    pub fn initramfs(&self, initrds: &[String]) -> Result<Arc<Initramfs>> {
        let mut cached = self.cache.initramfs.lock().unwrap_or_else(|lock| lock.into_inner());
        if let Some(known) = cached.get(initrds) {
            return known.clone();
        }
        let result = read_initrds(&self.tree, initrds).map(Arc::new);
        cached.insert(initrds.to_vec(), result.clone());
        result
    }
}

fn read_initrds(tree: &Tree, initrds: &[String]) -> Result<Initramfs> {
    let mut parts = Vec::new();
    for path in initrds {
        let file = tree
            .open(path)?
            .ok_or_else(|| Error::new(Kind::NotFound, format!("{path}: no such file")))?;
        parts.extend(match pe::section(&file, b".initrd")? {
            pe::Section::NotPe => Some(Part::whole(path, file)),
            pe::Section::Absent => None,
            pe::Section::At { offset_bytes, length_bytes } => {
                Some(Part { path: path.clone(), file, offset_bytes, length_bytes })
            }
        });
    }
    Ok(reader::read(&parts))
}
