//! Subvolumes: which trees hold files, where their roots are, and by which paths they are reached.
//!
//! Source: `struct btrfs_root_item` and `btrfs_root_ref` in the kernel's
//! `include/uapi/linux/btrfs_tree.h`.

use std::collections::{BTreeMap, HashMap};

use kiln_disk::{Error, Kind, Result};

use super::block::{Key, Pointer};
use super::checksum::name_hash;
use super::field::{u8_at, u16_at, u32_at, u64_at, uuid_at};
use super::inode::{DIR_ITEM, INODE_REF, dir_items};
use super::store::Store;
use crate::fs::{DirEntry, Node, Subvolume};

/// The tree of the top level, which has no name.
pub(super) const TOP_LEVEL: u64 = 5;
/// The first number of a tree or an inode that is not btrfs' own; the inode of each root directory.
pub(super) const FIRST_FREE: u64 = 256;
/// The numbers from here on are btrfs' own again (-256 as a signed number).
const LAST_FREE: u64 = u64::MAX - 255;
pub(super) const ROOT_ITEM: u8 = 132;
const ROOT_BACKREF: u8 = 144;
const ROOT_REF: u8 = 156;
/// The part of a root item that even the oldest kernels wrote.
const OLD_ROOT_ITEM_BYTES: usize = 239;

/// More subvolumes than any tool copes with.
const MAX_SUBVOLUMES: usize = 100_000;
/// Linux has no longer paths.
const MAX_PATH_BYTES: usize = 4096;
/// Directories that are looked at to find all paths: they can be made to share long ways.
const MAX_STEPS: u32 = 2_000_000;

/// A root item, as far as a reader wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Root {
    pub(super) pointer: Pointer,
    /// How many directories name it. 0: deleted, and not cleaned away yet.
    n_refs: u32,
    is_snapshot: bool,
}

/// Whether `id` is the number of a tree that holds files.
pub(super) fn holds_files(id: u64) -> bool {
    id == TOP_LEVEL || (FIRST_FREE..=LAST_FREE).contains(&id)
}

/// The root of the tree `id`. `None`: there is no such tree.
pub(super) fn root(store: &Store, id: u64) -> Result<Option<Root>> {
    let cursor = store.at_or_before(&store.superblock.root, Key::new(id, ROOT_ITEM, u64::MAX))?;
    match cursor.current() {
        Some((key, item)) if (key.objectid, key.kind) == (id, ROOT_ITEM) => {
            decode(id, item).map(Some)
        }
        _ => Ok(None),
    }
}

fn decode(id: u64, item: &[u8]) -> Result<Root> {
    let corrupt = |what: String| Error::corrupt(format!("root item of tree {id}: {what}"));
    let short = || corrupt(format!("{} bytes, less than {OLD_ROOT_ITEM_BYTES}", item.len()));
    let level = u8_at(item, 238).ok_or_else(short)?;
    if level >= super::block::MAX_LEVEL {
        return Err(corrupt(format!("level {level} is above 7")));
    }
    let generation = u64_at(item, 160).ok_or_else(short)?;
    // Later fields count only if the kernel that wrote the item last knew them.
    let is_new = u64_at(item, 239) == Some(generation);
    let is_snapshot = is_new && uuid_at(item, 263).is_some_and(|uuid| uuid != [0; 16]);
    let logical = u64_at(item, 176).ok_or_else(short)?;
    let n_refs = u32_at(item, 216).ok_or_else(short)?;
    let pointer = Pointer { logical, level, generation, first: None };
    Ok(Root { pointer, n_refs, is_snapshot })
}

/// The subvolume that is mounted where nobody names one.
pub(super) fn default_id(store: &Store) -> Result<u64> {
    let directory = store.superblock.root_dir_objectid;
    let key = Key::new(directory, DIR_ITEM, name_hash(b"default"));
    let Some(item) = store.item(&store.superblock.root, key)? else { return Ok(TOP_LEVEL) };
    for entry in dir_items(key, &item) {
        let entry = entry?;
        if entry.name == b"default" && holds_files(entry.location.objectid) {
            return Ok(entry.location.objectid);
        }
    }
    Ok(TOP_LEVEL)
}

/// Whether the directory `dir` of the tree `parent` really is where the subvolume `child` is
/// named `name`. A snapshot keeps the names of nested subvolumes and not the subvolumes: there
/// the kernel shows an empty directory.
pub(super) fn is_named_by(
    store: &Store,
    child: u64,
    parent: u64,
    dir: u64,
    name: &[u8],
) -> Result<bool> {
    let item = store.item(&store.superblock.root, Key::new(parent, ROOT_REF, child))?;
    Ok(item.as_deref().and_then(root_ref) == Some((dir, name)))
}

fn root_ref(item: &[u8]) -> Option<(u64, &[u8])> {
    let length = usize::from(u16_at(item, 16)?);
    Some((u64_at(item, 0)?, item.get(18..)?.get(..length)?))
}

/// All subvolumes, by number. Those whose way from the top level is broken or that are being
/// deleted are left out: no guest can reach them.
pub(super) fn list(store: &Store, default: u64) -> Result<Vec<Subvolume>> {
    let (roots, parents) = read_root_tree(store)?;
    let mut paths =
        Paths { store, roots: &roots, parents: &parents, known: HashMap::new(), steps: 0 };
    let mut subvolumes = Vec::new();
    for (&id, root) in &roots {
        if id != TOP_LEVEL && root.n_refs == 0 {
            continue;
        }
        let Some(path) = paths.of(id)? else { continue };
        subvolumes.push(Subvolume {
            id,
            path: String::from_utf8_lossy(&path).into_owned(),
            root: Node { tree: id, ino: FIRST_FREE },
            is_default: id == default,
            is_snapshot: root.is_snapshot,
        });
    }
    Ok(subvolumes)
}

/// Where a subvolume is named: the tree, the directory in it, and the name.
struct Place {
    parent: u64,
    dir: u64,
    name: Vec<u8>,
}

type RootTree = (BTreeMap<u64, Root>, HashMap<u64, Place>);

fn read_root_tree(store: &Store) -> Result<RootTree> {
    let mut roots = BTreeMap::new();
    let mut parents = HashMap::new();
    let first = Key::new(TOP_LEVEL, ROOT_ITEM, 0);
    let mut cursor = store.at_or_after(&store.superblock.root, first)?;
    while let Some((key, item)) = cursor.current() {
        if key.objectid > LAST_FREE {
            break;
        }
        if holds_files(key.objectid) && key.kind == ROOT_ITEM {
            roots.insert(key.objectid, decode(key.objectid, item)?);
        }
        if holds_files(key.objectid) && key.kind == ROOT_BACKREF {
            let (dir, name) = root_ref(item).ok_or_else(|| {
                Error::corrupt(format!("root tree: item {key} ends inside a name"))
            })?;
            parents.insert(key.objectid, Place { parent: key.offset, dir, name: name.to_vec() });
        }
        if roots.len() > MAX_SUBVOLUMES {
            return Err(Error::unsupported(format!(
                "btrfs of more than {MAX_SUBVOLUMES} subvolumes"
            )));
        }
        cursor.advance()?;
    }
    Ok((roots, parents))
}

struct Paths<'a> {
    store: &'a Store,
    roots: &'a BTreeMap<u64, Root>,
    parents: &'a HashMap<u64, Place>,
    known: HashMap<u64, Option<Vec<u8>>>,
    steps: u32,
}

impl Paths<'_> {
    /// The path of the subvolume `id` from the top level. `None`: there is no way.
    fn of(&mut self, id: u64) -> Result<Option<Vec<u8>>> {
        // From `id` upwards until a subvolume whose path is known, then down again.
        let mut chain = Vec::new();
        let mut at = id;
        let mut path = loop {
            if at == TOP_LEVEL {
                break Some(Vec::new());
            }
            if let Some(known) = self.known.get(&at) {
                break known.clone();
            }
            // Noted before it is known, so that a circle of parents ends here.
            self.known.insert(at, None);
            let Some(place) = self.parents.get(&at) else { break None };
            chain.push((at, place));
            at = place.parent;
        };
        for (id, place) in chain.into_iter().rev() {
            path = match path {
                Some(path) => self.below(path, place)?,
                None => None,
            };
            self.known.insert(id, path.clone());
        }
        Ok(path)
    }

    /// `path`, which is that of the parent subvolume, with the directories in it and the name.
    fn below(&mut self, mut path: Vec<u8>, place: &Place) -> Result<Option<Vec<u8>>> {
        let Some(root) = self.roots.get(&place.parent) else { return Ok(None) };
        let mut names = vec![place.name.clone()];
        let mut length = path.len().saturating_add(place.name.len());
        let mut dir = place.dir;
        while dir != FIRST_FREE {
            self.steps = self.steps.saturating_add(1);
            if self.steps > MAX_STEPS {
                return Err(Error::new(
                    Kind::Unsupported,
                    format!("btrfs whose subvolumes are below more than {MAX_STEPS} directories"),
                ));
            }
            let Some((parent, name)) = self.name_of(&root.pointer, dir)? else { return Ok(None) };
            length = length.saturating_add(name.len()).saturating_add(1);
            if length > MAX_PATH_BYTES {
                return Ok(None);
            }
            names.push(name);
            dir = parent;
        }
        if !names.iter().all(|name| DirEntry::is_legal_name(name)) {
            return Ok(None);
        }
        for name in names.iter().rev() {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
        }
        Ok((path.len() <= MAX_PATH_BYTES).then_some(path))
    }

    /// The directory that names the directory `ino`, and the name.
    fn name_of(&self, root: &Pointer, ino: u64) -> Result<Option<(u64, Vec<u8>)>> {
        let cursor = self.store.at_or_after(root, Key::new(ino, INODE_REF, 0))?;
        let Some((key, item)) = cursor.current() else { return Ok(None) };
        if (key.objectid, key.kind) != (ino, INODE_REF) {
            return Ok(None);
        }
        let name = u16_at(item, 8).and_then(|n| item.get(10..)?.get(..usize::from(n)));
        Ok(name.map(|name| (key.offset, name.to_vec())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btrfs::tests::sample::Sample;

    fn root() -> Root {
        let pointer = Pointer { logical: 0, level: 0, generation: 0, first: None };
        Root { pointer, n_refs: 1, is_snapshot: false }
    }

    fn place(parent: u64, name: &str) -> Place {
        Place { parent, dir: FIRST_FREE, name: name.into() }
    }

    /// 256 and 257 name each other, 258 is below them, 259 is sound, 260 has no parent,
    /// 261 has a name that none may have, and 300 to 20,000 are nested in each other, which exceeds
    /// any path.
    #[test]
    fn circles_and_endless_paths_have_no_path() {
        let sample = Sample::single();
        let store = sample.store();
        let roots: BTreeMap<u64, Root> = (5..20_001).map(|id| (id, root())).collect();
        let mut parents: HashMap<u64, Place> =
            (300..20_001).map(|id| (id, place(id - 1, "x"))).collect();
        parents.insert(256, place(257, "a"));
        parents.insert(257, place(256, "b"));
        parents.insert(258, place(256, "c"));
        parents.insert(259, place(TOP_LEVEL, "@"));
        parents.insert(261, place(TOP_LEVEL, "../@"));
        parents.insert(300, place(259, "x"));
        let known = HashMap::new();
        let mut paths = Paths { store: &store, roots: &roots, parents: &parents, known, steps: 0 };
        let mut path = |id| paths.of(id).unwrap().map(|path| String::from_utf8(path).unwrap());
        for lost in [256, 257, 258, 260, 261, 20_000] {
            assert_eq!(path(lost), None, "{lost}");
        }
        assert_eq!(path(TOP_LEVEL).as_deref(), Some(""));
        assert_eq!(path(259).as_deref(), Some("@"));
        assert_eq!(path(302).as_deref(), Some("@/x/x/x"));
    }
}
