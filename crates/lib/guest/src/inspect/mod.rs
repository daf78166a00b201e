//! What is on the disk: which volume is whose root, which systems there are, which one boots.

pub(crate) mod devices;

use std::sync::Arc;

use kiln_volume::{Layout, Subvolume, Tree};

use crate::boot::{Boot, Firmware};
use crate::kernel::Kernel;

/// What the caller says about the image; checks compare it with what they see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// Platform as the import API names it (`CentOS`, `Others Linux`).
    pub platform: Option<String>,
    /// `BIOS`, `UEFI` or `UEFI-Preferred`.
    pub boot_mode: Option<String>,
    /// `x86_64`, `arm64` or `i386`.
    pub architecture: Option<String>,
    /// Whether the disk will be attached as NVMe.
    pub nvme: bool,
}

/// All that inspection found out about the attached disks.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The scanned disks.
    pub layout: Arc<Layout>,
    /// What each readable volume (and each btrfs subvolume that matters) is for.
    pub roles: Vec<VolumeRole>,
    /// The operating systems, in the order of their volumes.
    pub systems: Vec<Guest>,
    /// Index into `systems` of the one that boots.
    pub chosen: Option<usize>,
    /// Why the choice could not be derived from the boot entry, where it could not.
    pub choice_note: Option<String>,
    /// What firmware finds on the system disk.
    pub firmware: Firmware,
    /// What the caller says.
    pub declared: Declared,
}

impl Inspection {
    /// The system that boots.
    pub fn guest(&self) -> Option<&Guest> {
        self.systems.get(self.chosen?)
    }
}

/// What a volume is for (spec: "finding the root").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeRole {
    /// Index into [`Layout::volumes`].
    pub volume: usize,
    /// Subvolume path on btrfs.
    pub subvolume: Option<String>,
    /// What it is for.
    pub role: Role,
}

/// What a volume is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Role {
    LinuxRoot,
    LinuxUsr,
    Boot,
    Esp,
    CoreosRoot,
    CoreosUsr,
    OstreeRoot,
    WindowsRoot,
    WindowsBoot,
    BsdRoot,
    Var,
    Home,
    Dos,
    /// Only a squashfs or an installer's files.
    LiveMedia,
    Data,
}

/// A filesystem of a guest and where it is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountedVolume {
    /// Mount point in the guest.
    pub path: String,
    /// Index into [`Layout::volumes`].
    pub volume: usize,
    /// Subvolume on btrfs, where it is not the default one.
    pub subvolume: Option<String>,
    /// Whether fstab names it; else it was found by its role.
    pub in_fstab: bool,
}

/// An installed operating system.
#[derive(Clone, Debug)]
pub struct Guest {
    /// The scanned disks it is on.
    pub layout: Arc<Layout>,
    /// Its files, with `/boot`, the ESP, `/usr` and `/var` mounted where they belong.
    pub tree: Tree,
    /// Index into [`Layout::volumes`] of its root.
    pub root_volume: usize,
    /// The subvolume its root is, on btrfs.
    pub root_subvolume: Option<Subvolume>,
    /// The deployment directory its root is, on ostree.
    pub ostree_deployment: Option<String>,
    /// Where its volumes are mounted, the root first.
    pub mounts: Vec<MountedVolume>,
    /// Who it is.
    pub os: OsInfo,
    /// Its kernels, the highest version first.
    pub kernels: Vec<Kernel>,
    /// What its boot loader does.
    pub boot: Boot,
    pub(crate) cache: crate::kernel::Cache,
}

/// Who an operating system is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OsInfo {
    /// Linux, Windows, or something else.
    pub family: Family,
    /// `ID` of os-release, or what stands for it, lower case (`debian`, `centos`, `windows`).
    pub id: Option<String>,
    /// `ID_LIKE` of os-release, split.
    pub id_like: Vec<String>,
    /// With minor version where a file tells it (`12.15`, `7.9.2009`).
    pub version: Option<String>,
    /// `PRETTY_NAME`, or the first line of a release file.
    pub pretty_name: Option<String>,
    /// `VARIANT_ID`.
    pub variant: Option<String>,
    /// Platform as the import API names it.
    pub platform: Option<String>,
    /// Short name with version for the `OSVersion` item (`CentOS 7.9`).
    pub display: Option<String>,
    /// `x86_64`, `arm64`, `i386`, or another `uname -m` name.
    pub architecture: Option<String>,
    /// Where each of these was read, for evidence: `(path, text)`.
    pub sources: Vec<(String, String)>,
}

/// Which family of operating systems.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Family {
    #[default]
    Unknown,
    Debian,
    /// RHEL, CentOS, Fedora, Anolis, Alibaba Linux, openEuler and what descends from them.
    RedHat,
    Suse,
    Arch,
    Alpine,
    Gentoo,
    CoreOs,
    OtherLinux,
    Windows,
    Bsd,
}

impl Family {
    /// Whether the guest runs a Linux kernel.
    pub fn is_linux(self) -> bool {
        !matches!(self, Self::Unknown | Self::Windows | Self::Bsd)
    }
}
