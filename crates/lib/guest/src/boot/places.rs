//! From what a loader means by a path to where the guest sees the file.
//!
//! A loader names files on a filesystem; the same file has another path once the guest has mounted
//! that filesystem. On btrfs the loader starts at the top level, the guest at a subvolume.

use kiln_volume::{FileType, Layout, Tree};

use crate::inspect::devices;
use crate::{Guest, MountedVolume};

/// The guest as the loader needs it.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) tree: &'a Tree,
    mounts: &'a [MountedVolume],
    root_subvolume: Option<&'a str>,
}

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Path in the guest's tree, or `(volume)/path` where the guest does not mount it.
    pub(crate) path: String,
    /// Whether a regular file that is not empty is there. Empty files are what a full disk leaves.
    pub(crate) found: bool,
}

impl<'a> Places<'a> {
    pub(crate) fn of(guest: &'a Guest) -> Self {
        Self {
            layout: &guest.layout,
            tree: &guest.tree,
            mounts: &guest.mounts,
            root_subvolume: guest.root_subvolume.as_ref().map(|found| found.path.as_str()),
        }
    }

    /// The volume whose mount point holds the guest path `path`.
    pub(crate) fn volume_of(&self, path: &str) -> Option<usize> {
        let resolved = self.tree.locate(path).ok().flatten();
        let resolved = resolved
            .map_or_else(|| path.to_owned(), |at| String::from_utf8_lossy(&at.path).into_owned());
        let covers = |mount: &&MountedVolume| {
            let below = resolved.strip_prefix(mount.path.trim_end_matches('/'));
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.mounts.iter().filter(covers).max_by_key(|mount| mount.path.len()).map(|m| m.volume)
    }

    /// Where the guest sees `path` of `volume`.
    pub(crate) fn file(&self, volume: Option<usize>, path: &str) -> Place {
        let mut first = None;
        for candidate in self.paths(volume, path) {
            if self.is_file(&candidate) {
                return Place { path: candidate, found: true };
            }
            first.get_or_insert(candidate);
        }
        if let Some(index) = volume
            && !self.mounts.iter().any(|mount| mount.volume == index)
            && let Some(on) = self.layout.volumes.get(index)
        {
            let found = on.open().is_ok_and(|fs| is_file(&Tree::new(fs), path));
            return Place { path: format!("({}){path}", on.name), found };
        }
        Place { path: first.unwrap_or_else(|| path.to_owned()), found: false }
    }

    /// The file at the guest path `path`.
    pub(crate) fn at(&self, path: &str) -> Place {
        Place { path: path.to_owned(), found: self.is_file(path) }
    }

    /// The guest path of a file or directory of any size, where it is there.
    pub(crate) fn find(&self, volume: Option<usize>, path: &str) -> Option<String> {
        self.paths(volume, path).into_iter().find(|path| self.tree.exists(path).unwrap_or(false))
    }

    fn paths(&self, volume: Option<usize>, path: &str) -> Vec<String> {
        let path = format!("/{}", path.trim_start_matches('/'));
        let Some(volume) = volume else {
            return vec![path.clone(), format!("/boot{path}"), format!("/boot/efi{path}")];
        };
        let mut paths = Vec::new();
        for mount in self.mounts.iter().filter(|mount| mount.volume == volume) {
            let at = mount.path.trim_end_matches('/');
            let is_root = at.is_empty();
            let named = mount.subvolume.as_deref().or(self.root_subvolume.filter(|_| is_root));
            if let Some(subvolume) = named
                && let Some(rest) = path.strip_prefix(&format!("/{subvolume}/"))
            {
                paths.push(format!("{at}/{rest}"));
            }
            paths.push(format!("{at}{path}"));
        }
        paths
    }

    fn is_file(&self, path: &str) -> bool {
        is_file(self.tree, path)
    }

    /// The volume of a GRUB device name, with or without parentheses: `hd0,gpt2`, `hd0,msdos1`,
    /// `lvm/vg-lv`, `md/0`, `mduuid/...`, and the names that a search here gives.
    pub(crate) fn grub_device(&self, name: &str) -> Option<usize> {
        let name = name.trim_start_matches('(').trim_end_matches(')');
        if let Some(index) = name.strip_prefix(FOUND) {
            return index.parse().ok().filter(|index| *index < self.layout.volumes.len());
        }
        if let Some(lv) = name.strip_prefix("lvm/") {
            return devices::resolve_device(self.layout, &format!("/dev/mapper/{lv}")).volume();
        }
        if let Some(uuid) = name.strip_prefix("mduuid/") {
            let id = format!("/dev/disk/by-id/md-uuid-{uuid}");
            return devices::resolve_device(self.layout, &id).volume();
        }
        if let Some(array) = name.strip_prefix("md/") {
            return devices::resolve_device(self.layout, &format!("/dev/md{array}")).volume();
        }
        let rest = name.strip_prefix("hd")?;
        let (disk, partition) = rest.split_once(',').unwrap_or((rest, ""));
        let disk = disk.parse::<usize>().ok()?;
        if partition.is_empty() {
            let whole = kiln_volume::Origin::Disk(disk);
            return self.layout.volumes.iter().position(|volume| volume.origin == whole);
        }
        let number = partition.trim_start_matches("gpt").trim_start_matches("msdos");
        devices::partition_volume(self.layout, disk, number.parse().ok()?)
    }

    /// The GRUB device name of a volume.
    pub(crate) fn name_of(volume: usize) -> String {
        format!("{FOUND}{volume}")
    }

    /// The first volume that holds the file or directory `path`, as `search --file` looks.
    pub(crate) fn volume_with(&self, path: &str) -> Option<usize> {
        self.layout.volumes.iter().position(|volume| {
            volume.open().is_ok_and(|fs| Tree::new(fs).exists(path).unwrap_or(false))
        })
    }
}

/// What a search finds is named by the number of the volume.
const FOUND: &str = "volume";

fn is_file(tree: &Tree, path: &str) -> bool {
    let stat = tree.stat(path).ok().flatten();
    stat.is_some_and(|stat| stat.file_type == FileType::Regular && stat.size_bytes > 0)
}

/// `path` with each name as `tree` spells it: FAT does not tell upper from lower case.
pub(crate) fn find_ignoring_case(tree: &Tree, path: &str) -> Option<String> {
    if tree.exists(path).unwrap_or(false) {
        return Some(path.to_owned());
    }
    path.split('/').filter(|name| !name.is_empty()).try_fold(String::new(), |at, name| {
        let directory = if at.is_empty() { "/" } else { &at };
        let entries = tree.list(directory).ok()?;
        let found = entries.iter().find(|e| e.name.eq_ignore_ascii_case(name.as_bytes()))?;
        Some(format!("{at}/{}", found.name_lossy()))
    })
}
