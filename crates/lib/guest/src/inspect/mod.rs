//! What is on the disk: which volume is whose root, which systems there are, which one boots.

pub(crate) mod architecture;
mod choice;
pub(crate) mod devices;
mod mounts;
mod os;
pub(crate) mod platform;
mod roots;
mod systems;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use kiln_volume::{Content, Error, Layout, Subvolume, Tree};

use crate::boot::{self, Boot, Firmware, Loader};
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
#[derive(Clone, Debug, Default)]
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
    /// Volumes whose filesystem is there and cannot be opened or walked: index and why.
    pub unreadable: Vec<(usize, Error)>,
    /// Why the disk is taken for a Windows system disk, where it is: kiln does not look into it yet.
    pub windows: Option<String>,
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

    /// Whether there are several systems and nothing tells which one boots.
    pub(crate) fn is_choice_a_guess(&self) -> bool {
        self.systems.len() > 1 && self.choice_note.is_some()
    }
}

/// Find out what is installed on the attached disks and which system boots.
///
/// What cannot be read does not stop it: it is listed in [`Inspection::unreadable`], or where a fact
/// belongs, so that each check can tell "wrong" from "could not look".
pub fn inspect(layout: Layout, declared: Declared) -> Inspection {
    let layout = Arc::new(layout);
    let roots::Scan { candidates, unreadable } = roots::scan(&layout);
    let firmware = boot::firmware::look(&layout);
    let mut systems = systems::systems(&layout, &candidates);
    for guest in &mut systems {
        guest.boot = boot::of_guest(guest, &firmware);
    }
    let (chosen, choice_note) = choice::choose(&layout, &systems, &firmware);
    Inspection {
        roles: roles(&layout, &candidates, &systems),
        windows: windows_evidence(&layout, &candidates, &systems, &firmware),
        layout,
        systems,
        chosen,
        choice_note,
        unreadable,
        firmware,
        declared,
    }
}

/// One role a volume, and those of the subvolumes that are more than data.
fn roles(layout: &Layout, found: &[roots::Candidate], systems: &[Guest]) -> Vec<VolumeRole> {
    let mut roles = Vec::new();
    for (volume, on_disk) in layout.volumes.iter().enumerate() {
        if let Some(role) = roots::role_of_content(on_disk.content) {
            roles.push(VolumeRole { volume, subvolume: None, role });
        }
        for candidate in found.iter().filter(|candidate| candidate.volume == volume) {
            let subvolume = candidate.subvolume.as_ref().map(|found| found.path.clone());
            let role = match candidate.role {
                Role::Data => role_by_mount(volume, subvolume.as_deref(), systems),
                role => role,
            };
            if role != Role::Data || subvolume.is_none() {
                roles.push(VolumeRole { volume, subvolume, role });
            }
        }
    }
    roles
}

/// What a guest mounts at `/home` or `/var` is for that, whatever it holds.
fn role_by_mount(volume: usize, subvolume: Option<&str>, systems: &[Guest]) -> Role {
    let mut mounts = systems.iter().flat_map(|guest| &guest.mounts);
    let mount = mounts
        .find(|mount| mount.volume == volume && mount.subvolume.as_deref() == subvolume)
        .map(|mount| mount.path.as_str());
    match mount {
        Some("/home") => Role::Home,
        Some("/var") => Role::Var,
        _ => Role::Data,
    }
}

/// NTFS has no reader yet: a disk without any other system whose boot chain is Microsoft's, or that
/// holds an NTFS volume or a Windows directory, is a Windows disk.
fn windows_evidence(
    layout: &Layout,
    candidates: &[roots::Candidate],
    systems: &[Guest],
    firmware: &Firmware,
) -> Option<String> {
    if !systems.is_empty() {
        return None;
    }
    let name = |index: usize| layout.volumes.get(index).map_or("", |volume| volume.name.as_str());
    if let Some(found) = candidates.iter().find(|found| found.role == Role::WindowsRoot) {
        return Some(format!("{} holds a Windows directory", name(found.volume)));
    }
    let is_microsoft = |chain: &&boot::BootChain| chain.loader == Loader::WindowsBootManager;
    if let Some(chain) = firmware.chains.iter().find(is_microsoft) {
        return Some(format!("the boot chain is Microsoft's: {}", chain.evidence.text));
    }
    let ntfs = layout.volumes.iter().find(|volume| volume.content == Content::Ntfs);
    ntfs.map(|volume| format!("{} holds an NTFS volume and no other system is there", volume.name))
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
    /// Files that would tell and could not be read, with why.
    pub unread: Vec<String>,
}

impl OsInfo {
    /// Why the system is not known, where files could not be read: the first of them, since the
    /// others mostly fail by the same fault.
    pub(crate) fn why_unread(&self) -> Option<String> {
        let (first, others) = self.unread.split_first()?;
        let others = if others.is_empty() {
            String::new()
        } else {
            format!(" (and {} other files)", others.len())
        };
        Some(format!("cannot be read: {first}{others}"))
    }
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
