//! A filesystem in memory: what checks are tested on, one planted fault at a time.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use kiln_disk::{Error, Kind, Result};

use crate::fs::{DirEntry, FileType, Filesystem, FsInfo, FsKind, Node, Stat, Xattr};

/// A filesystem in memory. Building methods make parent directories as needed and replace what is
/// there, so a test starts from a sound tree and spoils one file of it.
#[derive(Clone, Debug)]
pub struct MemFs {
    info: FsInfo,
    inodes: BTreeMap<u64, Inode>,
    next: u64,
}

#[derive(Clone, Debug)]
struct Inode {
    stat: Stat,
    data: Vec<u8>,
    names: BTreeMap<Vec<u8>, u64>,
    xattrs: Vec<Xattr>,
}

const ROOT: u64 = 1;

impl Default for MemFs {
    fn default() -> Self {
        Self::new()
    }
}

impl MemFs {
    /// An empty root directory.
    pub fn new() -> Self {
        let info = FsInfo {
            kind: FsKind::Memory,
            uuid: None,
            label: None,
            size_bytes: 8 << 30,
            free_bytes: Some(4 << 30),
            free_inodes: Some(100_000),
            features: Vec::new(),
            notes: Vec::new(),
            is_stale: false,
        };
        let mut fs = Self { info, inodes: BTreeMap::new(), next: ROOT };
        fs.allocate(FileType::Directory, 0o755);
        fs
    }

    /// Pretend to be another filesystem: kind, UUID, label, free space.
    #[must_use]
    pub fn with_info(mut self, change: impl FnOnce(&mut FsInfo)) -> Self {
        change(&mut self.info);
        self
    }

    /// Add or replace a regular file (mode 0644).
    pub fn file(&mut self, path: &str, data: impl Into<Vec<u8>>) -> &mut Self {
        let data = data.into();
        let inode = self.place(path, FileType::Regular, 0o644);
        inode.stat.size_bytes = data.len() as u64;
        inode.data = data;
        self
    }

    /// Add or replace an executable file (mode 0755).
    pub fn executable(&mut self, path: &str, data: impl Into<Vec<u8>>) -> &mut Self {
        self.file(path, data).chmod(path, 0o755)
    }

    /// Add a directory, or keep the one that is there.
    pub fn dir(&mut self, path: &str) -> &mut Self {
        self.directory(path);
        self
    }

    /// Add or replace a symbolic link.
    pub fn symlink(&mut self, path: &str, target: &str) -> &mut Self {
        let inode = self.place(path, FileType::Symlink, 0o777);
        inode.stat.size_bytes = target.len() as u64;
        inode.data = target.as_bytes().to_vec();
        self
    }

    /// Remove a file, a link or a whole directory. Nothing there: nothing happens.
    pub fn remove(&mut self, path: &str) -> &mut Self {
        let (parent, name) = split(path);
        if let Some(dir) = self.find(parent)
            && let Some(inode) = self.inodes.get_mut(&dir)
        {
            inode.names.remove(name.as_bytes());
        }
        self
    }

    /// Set the permission bits of what is at `path`.
    pub fn chmod(&mut self, path: &str, mode: u16) -> &mut Self {
        self.change(path, |inode| inode.stat.mode = mode)
    }

    /// `chattr +i`.
    pub fn immutable(&mut self, path: &str) -> &mut Self {
        self.change(path, |inode| inode.stat.immutable = true)
    }

    /// Set an extended attribute.
    pub fn xattr(&mut self, path: &str, name: &str, value: &[u8]) -> &mut Self {
        let xattr = Xattr { name: name.into(), value: value.to_vec() };
        self.change(path, |inode| inode.xattrs.push(xattr))
    }

    /// The content of a regular file that was put there, for tests that spoil a part of it. Links
    /// are not followed.
    pub fn content(&self, path: &str) -> Option<&[u8]> {
        self.inodes.get(&self.find(path)?).map(|inode| &inode.data[..])
    }

    fn change(&mut self, path: &str, change: impl FnOnce(&mut Inode)) -> &mut Self {
        if let Some(ino) = self.find(path)
            && let Some(inode) = self.inodes.get_mut(&ino)
        {
            change(inode);
        }
        self
    }

    fn find(&self, path: &str) -> Option<u64> {
        path.split('/')
            .filter(|name| !name.is_empty())
            .try_fold(ROOT, |dir, name| self.inodes.get(&dir)?.names.get(name.as_bytes()).copied())
    }

    fn directory(&mut self, path: &str) -> u64 {
        let mut dir = ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let found = self.inodes.get(&dir).and_then(|d| d.names.get(name.as_bytes()).copied());
            let is_dir = |ino| {
                self.inodes.get(&ino).is_some_and(|i| i.stat.file_type == FileType::Directory)
            };
            dir = match found {
                Some(ino) if is_dir(ino) => ino,
                _ => {
                    let ino = self.allocate(FileType::Directory, 0o755);
                    self.link(dir, name, ino);
                    ino
                }
            };
        }
        dir
    }

    fn place(&mut self, path: &str, file_type: FileType, mode: u16) -> &mut Inode {
        let (parent, name) = split(path);
        let dir = self.directory(parent);
        let ino = self.allocate(file_type, mode);
        self.link(dir, name, ino);
        self.inodes.get_mut(&ino).expect("allocated above")
    }

    fn link(&mut self, dir: u64, name: &str, ino: u64) {
        let dir = self.inodes.get_mut(&dir).expect("a directory that was just found or made");
        dir.names.insert(name.into(), ino);
    }

    fn allocate(&mut self, file_type: FileType, mode: u16) -> u64 {
        let stat = Stat {
            file_type,
            mode,
            uid: 0,
            gid: 0,
            size_bytes: 0,
            n_links: 1,
            mtime_s: 0,
            immutable: false,
            device: None,
        };
        let ino = self.next;
        self.next += 1;
        let inode = Inode { stat, data: Vec::new(), names: BTreeMap::new(), xattrs: Vec::new() };
        self.inodes.insert(ino, inode);
        ino
    }

    fn inode(&self, node: Node) -> Result<&Inode> {
        self.inodes
            .get(&node.ino)
            .ok_or_else(|| Error::new(Kind::NotFound, format!("no inode {}", node.ino)))
    }
}

fn split(path: &str) -> (&str, &str) {
    path.trim_end_matches('/').rsplit_once('/').unwrap_or(("", path))
}

const fn node(ino: u64) -> Node {
    Node { tree: 0, ino }
}

impl Filesystem for MemFs {
    fn info(&self) -> &FsInfo {
        &self.info
    }

    fn root(&self) -> Node {
        node(ROOT)
    }

    fn lookup(&self, dir: Node, name: &[u8]) -> Result<Option<Node>> {
        Ok(self.inode(dir)?.names.get(name).copied().map(node))
    }

    fn stat(&self, node: Node) -> Result<Stat> {
        Ok(self.inode(node)?.stat.clone())
    }

    fn read_at(&self, node: Node, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let data = &self.inode(node)?.data;
        let rest = usize::try_from(offset).ok().and_then(|start| data.get(start..)).unwrap_or(&[]);
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn read_dir(&self, dir: Node, each: &mut dyn FnMut(DirEntry) -> ControlFlow<()>) -> Result<()> {
        for (name, &ino) in &self.inode(dir)?.names {
            let file_type = Some(self.inode(node(ino))?.stat.file_type);
            if each(DirEntry { name: name.clone(), node: node(ino), file_type }).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn read_link(&self, node: Node) -> Result<Vec<u8>> {
        Ok(self.inode(node)?.data.clone())
    }

    fn xattrs(&self, node: Node) -> Result<Vec<Xattr>> {
        Ok(self.inode(node)?.xattrs.clone())
    }
}
