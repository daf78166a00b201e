//! Where the volumes of a guest are mounted: by its fstab, and `/boot` and the ESP by what they
//! hold where fstab does not name them.

use std::sync::Arc;

use kiln_volume::{Filesystem, Layout, Node, Tree};

use super::devices::resolve_device;
use super::roots::Candidate;
use crate::syntax::fstab::{self, FstabEntry};
use crate::{MountedVolume, Role};

/// More mount points than any boot needs; a longer table comes from a hostile image.
const MAX_MOUNTS: usize = 256;

/// A guest's tree while its volumes are being mounted.
#[derive(Debug)]
pub(super) struct Mounter<'a> {
    layout: &'a Layout,
    candidates: &'a [Candidate],
    pub(super) tree: Tree,
    pub(super) mounts: Vec<MountedVolume>,
}

impl<'a> Mounter<'a> {
    /// A tree with nothing but the root mounted.
    pub(super) fn new(
        layout: &'a Layout,
        candidates: &'a [Candidate],
        tree: Tree,
        root: MountedVolume,
    ) -> Self {
        Self { layout, candidates, tree, mounts: vec![root] }
    }

    /// Mount what the guest's fstab names, parents before what is below them.
    pub(super) fn mount_fstab(&mut self) {
        let Ok(Some(bytes)) = self.tree.read("/etc/fstab", 4 << 20) else { return };
        let mut entries = fstab::parse(&bytes).entries;
        entries.retain(|entry| entry.mount_point.starts_with('/') && !entry.is_swap());
        entries.sort_by_key(|entry| components(&entry.mount_point).count());
        for entry in entries.iter().take(MAX_MOUNTS) {
            if components(&entry.mount_point).next().is_none() {
                self.note_root_entry(entry);
            } else {
                self.mount_entry(entry);
            }
        }
    }

    fn note_root_entry(&mut self, entry: &FstabEntry) {
        let volume = resolve_device(self.layout, &entry.spec).volume();
        if let Some(root) = self.mounts.first_mut()
            && volume == Some(root.volume)
        {
            root.in_fstab = true;
        }
    }

    fn mount_entry(&mut self, entry: &FstabEntry) {
        if entry.has_option("bind") || entry.has_option("rbind") {
            return;
        }
        let Some(volume) = resolve_device(self.layout, &entry.spec).volume() else { return };
        let Some(Ok(fs)) = self.layout.volumes.get(volume).and_then(|v| v.filesystem.clone())
        else {
            return;
        };
        let Some((root, subvolume)) = subvolume_of(fs.as_ref(), entry) else { return };
        self.mount(&entry.mount_point, volume, &fs, root, subvolume, true);
    }

    /// Whether it could be mounted: the directory may be missing, which the Fstab item judges.
    pub(super) fn mount(
        &mut self,
        path: &str,
        volume: usize,
        fs: &Arc<dyn Filesystem>,
        root: Node,
        subvolume: Option<String>,
        in_fstab: bool,
    ) -> bool {
        let path = format!("/{}", components(path).collect::<Vec<_>>().join("/"));
        let done = self.tree.mount(&path, Arc::clone(fs), root).is_ok();
        if done {
            self.mounts.push(MountedVolume { path, volume, subvolume, in_fstab });
        }
        done
    }

    /// Mount `/boot` and the ESP by their roles, as the loader finds them without any fstab.
    pub(super) fn mount_by_role(&mut self) {
        if !self.is_mounted("/boot") && !has_kernel(&self.tree, "/boot") {
            let boots = self.free(|role| role == Role::Boot);
            if let Some(boot) = boots.iter().find(|boot| self.kernels_match(boot)) {
                self.mount_candidate("/boot", boot);
            }
        }
        let esps = self.free(|role| role == Role::Esp);
        let Some(esp) = esps.first() else { return };
        let holds_kernels =
            esp.tree().is_dir("/loader/entries").unwrap_or(false) || has_kernel(&esp.tree(), "/");
        if holds_kernels && !self.is_mounted("/boot") && !has_kernel(&self.tree, "/boot") {
            self.mount_candidate("/boot", esp);
            return;
        }
        let _found = ["/boot/efi", "/efi"].iter().any(|path| self.mount_candidate(path, esp));
    }

    fn mount_candidate(&mut self, path: &str, candidate: &Candidate) -> bool {
        let subvolume = candidate.subvolume.as_ref().map(|found| found.path.clone());
        self.mount(path, candidate.volume, &candidate.fs, candidate.root, subvolume, false)
    }

    fn is_mounted(&self, path: &str) -> bool {
        self.mounts.iter().any(|mount| mount.path == path)
    }

    /// Filesystems of a role that are not mounted yet.
    fn free(&self, is_role: impl Fn(Role) -> bool) -> Vec<Candidate> {
        let is_free = |candidate: &&Candidate| {
            is_role(candidate.role)
                && !self.mounts.iter().any(|mount| mount.volume == candidate.volume)
        };
        self.candidates.iter().filter(is_free).cloned().collect()
    }

    /// Whether the kernels of a boot filesystem are those of this root: a kernel without a modules
    /// directory here belongs to another system. Names without a version (Arch, Alpine) prove
    /// nothing and are let through.
    fn kernels_match(&self, boot: &Candidate) -> bool {
        let Ok(entries) = boot.tree().list("/") else { return false };
        let mut versions: Vec<String> = entries
            .iter()
            .filter_map(|entry| entry.name_lossy().strip_prefix("vmlinuz-").map(Into::into))
            .collect();
        for entry in &entries {
            let name = entry.name_lossy();
            if name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                let below = boot.tree().list(format!("/{name}")).unwrap_or_default();
                versions.extend(below.iter().map(kiln_volume::DirEntry::name_lossy));
            }
        }
        let versioned: Vec<&String> =
            versions.iter().filter(|name| name.starts_with(|c: char| c.is_ascii_digit())).collect();
        versioned.is_empty()
            || versioned.iter().any(|version| {
                let path = |base: &str| format!("{base}/lib/modules/{version}");
                self.tree.is_dir(path("")).unwrap_or(false)
                    || self.tree.is_dir(path("/usr")).unwrap_or(false)
            })
    }
}

/// The directory and the subvolume that an entry's `subvol=` or `subvolid=` names. `None`: it names
/// one that the filesystem lacks.
fn subvolume_of(fs: &dyn Filesystem, entry: &FstabEntry) -> Option<(Node, Option<String>)> {
    let path = entry.option("subvol").map(|path| path.trim_matches('/'));
    let id = entry.option("subvolid").and_then(|id| id.parse::<u64>().ok());
    if path.is_none() && id.is_none() {
        return Some((fs.root(), None));
    }
    let subvolumes = fs.subvolumes().ok()?;
    let found = subvolumes
        .into_iter()
        .find(|found| path.is_some_and(|path| found.path == path) || id == Some(found.id))?;
    Some((found.root, Some(found.path)))
}

fn has_kernel(tree: &Tree, directory: &str) -> bool {
    tree.list(directory).unwrap_or_default().iter().any(|entry| {
        let name = entry.name_lossy();
        name.starts_with("vmlinuz") || name.starts_with("vmlinux") || name.starts_with("Image")
    })
}

fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|name| !name.is_empty())
}
