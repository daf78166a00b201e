//! Why drivers cannot be added to an initramfs by appending to it.

use kiln_volume::Error;

use crate::initramfs::{Generator, Initramfs};

/// What makes appending impossible or pointless. None of it is a fault of kiln's reading.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentRefusal {
    /// The kernel starts without one.
    #[error("the kernel has no initramfs to append to")]
    NoInitramfs,
    /// Where the last segment ends is not known, so neither is what would come after it.
    #[error("the initramfs cannot be read: {why}")]
    Unreadable {
        /// What was wrong.
        why: String,
    },
    /// The initramfs is a part of a program that may be signed.
    #[error("{path} is a unified kernel image, and its initramfs cannot grow")]
    UnifiedKernelImage {
        /// The image.
        path: String,
    },
    /// Nothing in it takes modules from the indexes: a script names their files (mkinitrd of RHEL
    /// 5), or a list of its own (booster), or what was read is no known kind.
    #[error("an initramfs of {generator:?} does not load modules by their indexes")]
    LoadsOtherwise {
        /// What built it.
        generator: Generator,
    },
    /// It has neither udev nor modprobe.
    #[error("the initramfs has neither udev nor modprobe to load what is added")]
    NoLoader,
    /// It has modules, of other kernels only.
    #[error("the initramfs is one of another kernel: it has modules of {}", versions.join(", "))]
    OtherKernel {
        /// Of these.
        versions: Vec<String>,
    },
    /// A boot configuration must be the end of the file, and what is appended would take its place.
    #[error("a boot configuration ends the initramfs, and what is appended would hide it")]
    BootConfig,
    /// Neither built in nor among the guest's modules.
    #[error("kernel {version} has no module {}", modules.join(", "))]
    NotInstalled {
        /// `uname -r`.
        version: String,
        /// With `_` for `-`.
        modules: Vec<String>,
    },
    /// depmod never ran over the modules, or before this one came.
    #[error("{dir}/modules.dep does not list {module}, so what it needs is not known")]
    NotIndexed {
        /// Where the guest has its modules.
        dir: String,
        /// With `_` for `-`.
        module: String,
    },
    /// The file is no module, or one of another kernel (by its `vermagic`).
    #[error("{path} is not a module of kernel {version}: {why}")]
    WrongModule {
        /// The file.
        path: String,
        /// `uname -r`.
        version: String,
        /// What it is.
        why: String,
    },
    /// The kernel or its tools would not take what is to be written.
    #[error("the segment cannot be written: {why}")]
    Unwritable {
        /// What was wrong.
        why: String,
    },
}

/// Why there is no segment.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SegmentError {
    /// It cannot be, or would not help.
    #[error(transparent)]
    Refused(#[from] SegmentRefusal),
    /// The guest's files could not be read.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl Initramfs {
    /// Whether drivers for the kernel `version` can be added behind this.
    pub(super) fn accepts(&self, version: &str) -> Result<(), SegmentRefusal> {
        if let Some(why) = &self.error {
            return Err(SegmentRefusal::Unreadable { why: why.clone() });
        }
        if self.has_boot_config {
            return Err(SegmentRefusal::BootConfig);
        }
        let is_flat = self.modules.keys().any(|(version, _)| version.is_empty());
        // busybox built with its small modprobe reads this file and nothing else.
        let is_small_busybox = self.files.keys().any(|path| path.ends_with("/modules.dep.bb"));
        if is_flat
            || is_small_busybox
            || matches!(self.generator, Generator::MkinitrdNash | Generator::Booster)
        {
            return Err(SegmentRefusal::LoadsOtherwise { generator: self.generator });
        }
        if !self.kernel_versions.is_empty() && !self.kernel_versions.contains(version) {
            let versions = self.kernel_versions.iter().cloned().collect();
            return Err(SegmentRefusal::OtherKernel { versions });
        }
        if !self.has_udev && !self.has_modprobe {
            return Err(SegmentRefusal::NoLoader);
        }
        Ok(())
    }
}
