//! What each filesystem is for, told from what it holds and never from where it is.
//!
//! Every readable volume, and on btrfs every subvolume, gets a role by marker files. Snapshots of
//! one system collapse to the one that is mounted.

use std::collections::HashMap;
use std::sync::Arc;

use kiln_volume::{
    Content, Error, FileType, Filesystem, FsKind, Layout, Node, Result, Subvolume, Tree,
};

use super::os;
use crate::syntax::fstab;
use crate::{OsInfo, Role};

/// A system keeps some dozen snapshots; a hostile image may claim millions.
const MAX_SUBVOLUMES: usize = 2048;

/// A filesystem, or a subvolume of one, with its role.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Index into the volumes.
    pub(super) volume: usize,
    pub(super) fs: Arc<dyn Filesystem>,
    /// Where it starts in `fs`.
    pub(super) root: Node,
    pub(super) subvolume: Option<Subvolume>,
    pub(super) role: Role,
}

impl Candidate {
    /// The tree of it alone.
    pub(super) fn tree(&self) -> Tree {
        Tree::with_root(Arc::clone(&self.fs), self.root)
    }
}

/// What was found on all volumes.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) candidates: Vec<Candidate>,
    /// Volumes whose filesystem is there and cannot be walked.
    pub(super) unreadable: Vec<(usize, Error)>,
}

/// Give every volume its role.
pub(super) fn scan(layout: &Layout) -> Scan {
    let mut scan = Scan::default();
    for (index, volume) in layout.volumes.iter().enumerate() {
        match &volume.filesystem {
            Some(Ok(fs)) => scan.filesystem(index, fs),
            Some(Err(error)) => scan.unreadable.push((index, error.clone())),
            None => {}
        }
    }
    collapse_snapshots(&mut scan.candidates);
    scan
}

/// The role of volumes that kiln does not open, by their signature.
pub(super) fn role_of_content(content: Content) -> Option<Role> {
    match content {
        Content::Iso9660 | Content::Udf | Content::Squashfs => Some(Role::LiveMedia),
        Content::Ntfs => Some(Role::WindowsRoot),
        _ => None,
    }
}

impl Scan {
    fn filesystem(&mut self, volume: usize, fs: &Arc<dyn Filesystem>) {
        let subvolumes = match fs.subvolumes() {
            Ok(subvolumes) => subvolumes,
            Err(error) => {
                self.unreadable.push((volume, error));
                Vec::new()
            }
        };
        let top = fs.root();
        if !subvolumes.iter().any(|subvolume| subvolume.root == top) {
            self.candidate(volume, fs, top, None);
        }
        for subvolume in subvolumes.into_iter().take(MAX_SUBVOLUMES) {
            self.candidate(volume, fs, subvolume.root, Some(subvolume));
        }
    }

    fn candidate(
        &mut self,
        volume: usize,
        fs: &Arc<dyn Filesystem>,
        root: Node,
        subvolume: Option<Subvolume>,
    ) {
        let tree = Tree::with_root(Arc::clone(fs), root);
        let mut markers = Markers { tree: &tree, error: None };
        let role = markers.role(fs.info().kind);
        if let Some(error) = markers.error {
            self.unreadable.push((volume, error));
        }
        self.candidates.push(Candidate { volume, fs: Arc::clone(fs), root, subvolume, role });
    }
}

/// Looks for marker files. What cannot be read counts as there, so that a damaged root is still
/// seen to be a root; the error is kept.
struct Markers<'a> {
    tree: &'a Tree,
    error: Option<Error>,
}

impl Markers<'_> {
    fn told(&mut self, found: Result<bool>) -> bool {
        found.unwrap_or_else(|error| {
            self.error.get_or_insert(error);
            true
        })
    }

    fn dir(&mut self, path: &str) -> bool {
        let found = self.tree.is_dir(path);
        self.told(found)
    }

    fn file(&mut self, path: &str) -> bool {
        let found = self.tree.is_file(path);
        self.told(found)
    }

    /// A name of any type; a link may point into a volume that is not mounted yet.
    fn name(&mut self, path: &str) -> bool {
        let found = self.tree.locate_link(path).map(|found| found.is_some());
        self.told(found)
    }

    fn any(&mut self, paths: &[&str], is_there: fn(&mut Self, &str) -> bool) -> bool {
        paths.iter().any(|path| is_there(self, path))
    }

    fn role(&mut self, kind: FsKind) -> Role {
        let is_fat = matches!(kind, FsKind::Fat12 | FsKind::Fat16 | FsKind::Fat32);
        if self.name("/ostree/repo/config") && self.name("/ostree/deploy") {
            return Role::OstreeRoot;
        }
        // A Linux root whose /etc cannot be read must not become a BSD's: only what is seen counts.
        let bsd = ["/etc/freebsd-update.conf", "/netbsd", "/bsd"];
        if bsd.iter().any(|path| self.tree.is_file(path).unwrap_or(false)) {
            return Role::BsdRoot;
        }
        if self.is_linux_root() {
            return Role::LinuxRoot;
        }
        if self.dir("/share/coreos") || (self.dir("/share/flatcar") && self.dir("/lib")) {
            return Role::CoreosUsr;
        }
        if self.name("/etc/coreos/update.conf") || self.name("/etc/flatcar/update.conf") {
            return Role::CoreosRoot;
        }
        if self.dir("/bin") && self.dir("/lib") && self.dir("/share") && !self.name("/etc/fstab") {
            return Role::LinuxUsr;
        }
        let top = match self.tree.list("/") {
            Ok(entries) => entries.iter().map(|entry| entry.name_lossy()).collect(),
            Err(error) => {
                self.error.get_or_insert(error);
                Vec::new()
            }
        };
        self.role_by_names(&top, is_fat)
    }

    fn is_linux_root(&mut self) -> bool {
        let files = ["/etc/fstab", "/etc/hosts", "/etc/os-release", "/usr/lib/os-release"];
        self.dir("/etc") && (self.dir("/bin") || self.name("/bin")) && self.any(&files, Self::name)
    }

    fn role_by_names(&mut self, top: &[String], is_fat: bool) -> Role {
        let named = |wanted: &str| top.iter().find(|name| name.eq_ignore_ascii_case(wanted));
        for windows in ["Windows", "WINNT", "win32", "win", "reactos"] {
            if let Some(name) = named(windows)
                && self.is_windows(name)
            {
                return Role::WindowsRoot;
            }
        }
        let live = [
            "/casper/filesystem.squashfs",
            "/live/filesystem.squashfs",
            "/LiveOS/squashfs.img",
            "/sources/install.wim",
            "/.treeinfo",
        ];
        if self.any(&live, Self::file) {
            return Role::LiveMedia;
        }
        if is_fat && named("EFI").is_some() {
            return Role::Esp;
        }
        let configs = ["/grub/grub.cfg", "/grub2/grub.cfg", "/grub/grub.conf", "/grub/menu.lst"];
        if self.any(&configs, Self::name)
            || self.dir("/loader/entries")
            || top.iter().any(|name| name.starts_with("vmlinuz"))
        {
            return Role::Boot;
        }
        if named("bootmgr").is_some() || self.file("/Boot/BCD") {
            return Role::WindowsBoot;
        }
        if named("FDOS").is_some() {
            return Role::Dos;
        }
        if self.dir("/log") && self.dir("/spool") { Role::Var } else { Role::Data }
    }

    fn is_windows(&mut self, directory: &str) -> bool {
        let names = self.tree.list(format!("/{directory}")).unwrap_or_default();
        names.iter().any(|entry| {
            entry.name.eq_ignore_ascii_case(b"system32")
                && entry.file_type.is_none_or(|kind| kind == FileType::Directory)
        })
    }
}

/// Of the snapshots of one system keep the one that its fstab mounts, else the default subvolume,
/// else what is not a snapshot, else the oldest.
fn collapse_snapshots(candidates: &mut Vec<Candidate>) {
    let mut best: HashMap<(usize, SystemName), (u8, usize)> = HashMap::new();
    let mut dropped = vec![false; candidates.len()];
    for (index, candidate) in candidates.iter().enumerate() {
        if candidate.role != Role::LinuxRoot || candidate.subvolume.is_none() {
            continue;
        }
        let key = (candidate.volume, SystemName::of(&os::identify(&candidate.tree())));
        let rank = rank(candidate);
        match best.get(&key) {
            Some((have, _)) if *have <= rank => {
                if let Some(drop) = dropped.get_mut(index) {
                    *drop = true;
                }
            }
            _ => {
                let before = best.insert(key, (rank, index));
                if let Some(drop) = before.and_then(|(_, index)| dropped.get_mut(index)) {
                    *drop = true;
                }
            }
        }
    }
    let mut dropped = dropped.into_iter();
    candidates.retain(|_| !dropped.next().unwrap_or(false));
}

/// What tells one system on a device from another; snapshots of one share it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct SystemName(Option<String>, Option<String>, Option<String>);

impl SystemName {
    fn of(os: &OsInfo) -> Self {
        Self(os.id.clone(), os.version.clone(), os.pretty_name.clone())
    }
}

fn rank(candidate: &Candidate) -> u8 {
    let Some(subvolume) = &candidate.subvolume else { return 0 };
    if mounts_itself(candidate, subvolume) {
        0
    } else if subvolume.is_default {
        1
    } else if !subvolume.is_snapshot {
        2
    } else {
        3
    }
}

/// Whether its own fstab names this subvolume for `/`.
fn mounts_itself(candidate: &Candidate, subvolume: &Subvolume) -> bool {
    let Ok(Some(bytes)) = candidate.tree().read("/etc/fstab", 1 << 20) else { return false };
    let fstab = fstab::parse(&bytes);
    fstab.entries.iter().filter(|entry| entry.mount_point == "/").any(|entry| {
        entry.option("subvol").is_some_and(|path| path.trim_matches('/') == subvolume.path)
            || entry.option("subvolid").is_some_and(|id| id == subvolume.id.to_string())
    })
}
