//! The file tree as the guest sees it: filesystems joined at their mount points.
//!
//! Paths resolve as in the guest's kernel: absolute links restart at the guest's root, `..` stops
//! there, and no chain of links is followed further than Linux does (40).

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use kiln_disk::{Error, Result};

use crate::fs::{DirEntry, FileType, Filesystem, Node, Stat};

/// As many links as Linux follows in one path (`MAXSYMLINKS`).
const MAX_SYMLINKS: u32 = 40;
/// Linux refuses longer paths; a longer one here comes from a hostile image.
const MAX_PATH_BYTES: usize = 4096;

/// Filesystems joined at their mount points.
#[derive(Clone, Debug)]
pub struct Tree {
    filesystems: Vec<Arc<dyn Filesystem>>,
    root: (usize, Node),
    /// From the directory that is covered to the root of what covers it.
    mounts: HashMap<(usize, Node), (usize, Node)>,
}

/// Where a path led: the node, and the path of it without any link.
#[derive(Clone, Debug)]
pub struct Located {
    /// The path with every link resolved, from the guest's root.
    pub path: Vec<u8>,
    /// Index of the filesystem in the order of mounting; 0 is the root's.
    pub filesystem: usize,
    /// The node in it.
    pub node: Node,
}

impl Tree {
    /// A tree that is `filesystem` as it stands.
    pub fn new(filesystem: Arc<dyn Filesystem>) -> Self {
        let root = filesystem.root();
        Self::with_root(filesystem, root)
    }

    /// A tree that starts at the directory `root` of `filesystem`: a btrfs subvolume, an ostree
    /// deployment.
    pub fn with_root(filesystem: Arc<dyn Filesystem>, root: Node) -> Self {
        Self { filesystems: vec![filesystem], root: (0, root), mounts: HashMap::new() }
    }

    /// Mount `filesystem`, from its directory `root` on, over the directory `path`.
    ///
    /// # Errors
    ///
    /// `NotFound` where `path` does not lead to a directory.
    pub fn mount(&mut self, path: &str, filesystem: Arc<dyn Filesystem>, root: Node) -> Result<()> {
        let at = self
            .locate(path)?
            .ok_or_else(|| Error::new(kiln_disk::Kind::NotFound, format!("{path}: not there")))?;
        self.filesystems.push(filesystem);
        self.mounts.insert((at.filesystem, at.node), (self.filesystems.len() - 1, root));
        Ok(())
    }

    /// The filesystem that a [`Located`] is in.
    pub fn filesystem(&self, located: &Located) -> &Arc<dyn Filesystem> {
        &self.filesystems[located.filesystem]
    }

    /// Where `path` leads, following links. `None`: nothing there, a dangling link, or a component
    /// that is not a directory.
    ///
    /// # Errors
    ///
    /// `Corrupt` where links go round in circles; otherwise what the filesystem says.
    pub fn locate(&self, path: impl AsRef<[u8]>) -> Result<Option<Located>> {
        self.walk(path.as_ref(), true)
    }

    /// As [`Tree::locate`], but a link in the last component is not followed.
    ///
    /// # Errors
    ///
    /// As [`Tree::locate`].
    pub fn locate_link(&self, path: impl AsRef<[u8]>) -> Result<Option<Located>> {
        self.walk(path.as_ref(), false)
    }

    /// What is at `path`, links followed.
    ///
    /// # Errors
    ///
    /// As [`Tree::locate`].
    pub fn stat(&self, path: impl AsRef<[u8]>) -> Result<Option<Stat>> {
        let Some(at) = self.locate(path)? else { return Ok(None) };
        self.filesystem(&at).stat(at.node).map(Some)
    }

    /// Whether something is at `path`, links followed.
    ///
    /// # Errors
    ///
    /// As [`Tree::locate`].
    pub fn exists(&self, path: impl AsRef<[u8]>) -> Result<bool> {
        Ok(self.locate(path)?.is_some())
    }

    /// Whether a directory is at `path`, links followed.
    ///
    /// # Errors
    ///
    /// As [`Tree::locate`].
    pub fn is_dir(&self, path: impl AsRef<[u8]>) -> Result<bool> {
        Ok(self.stat(path)?.is_some_and(|stat| stat.file_type == FileType::Directory))
    }

    /// Whether a regular file is at `path`, links followed.
    ///
    /// # Errors
    ///
    /// As [`Tree::locate`].
    pub fn is_file(&self, path: impl AsRef<[u8]>) -> Result<bool> {
        Ok(self.stat(path)?.is_some_and(|stat| stat.file_type == FileType::Regular))
    }

    /// The whole of the regular file at `path`. `None`: no regular file there.
    ///
    /// # Errors
    ///
    /// `Unsupported` where it is larger than `limit_bytes`: what this is used for (configuration)
    /// is never large, and a sparse file of a terabyte must not be read into memory.
    pub fn read(&self, path: impl AsRef<[u8]>, limit_bytes: u64) -> Result<Option<Vec<u8>>> {
        let path = path.as_ref();
        let Some(reader) = self.open(path)? else { return Ok(None) };
        if reader.size_bytes > limit_bytes {
            return Err(Error::unsupported(format!(
                "{} has {} bytes, more than the {limit_bytes} that kiln reads of such a file",
                String::from_utf8_lossy(path),
                reader.size_bytes
            )));
        }
        reader.read_to_vec().map(Some)
    }

    /// As [`Tree::read`], as text; bytes that are not UTF-8 become U+FFFD.
    ///
    /// # Errors
    ///
    /// As [`Tree::read`].
    pub fn read_text(&self, path: impl AsRef<[u8]>) -> Result<Option<String>> {
        /// Configuration is small; the largest real one (a generated grub.cfg) is below 100 KiB.
        const MAX_TEXT_BYTES: u64 = 4 << 20;
        let bytes = self.read(path, MAX_TEXT_BYTES)?;
        Ok(bytes.map(|bytes| match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }))
    }

    /// The regular file at `path`, to be read in pieces.
    ///
    /// # Errors
    ///
    /// As [`Tree::locate`].
    pub fn open(&self, path: impl AsRef<[u8]>) -> Result<Option<FileReader>> {
        let Some(at) = self.locate(path)? else { return Ok(None) };
        let filesystem = Arc::clone(self.filesystem(&at));
        let stat = filesystem.stat(at.node)?;
        Ok((stat.file_type == FileType::Regular).then_some(FileReader {
            filesystem,
            node: at.node,
            size_bytes: stat.size_bytes,
            position: 0,
        }))
    }

    /// The names in the directory at `path`, sorted. Empty where no directory is there.
    ///
    /// # Errors
    ///
    /// As [`Tree::locate`]; `Unsupported` for a directory of more than a million names.
    pub fn list(&self, path: impl AsRef<[u8]>) -> Result<Vec<DirEntry>> {
        const MAX_ENTRIES: usize = 1_000_000;
        let Some(at) = self.locate(path)? else { return Ok(Vec::new()) };
        let filesystem = self.filesystem(&at);
        if filesystem.stat(at.node)?.file_type != FileType::Directory {
            return Ok(Vec::new());
        }
        let mut entries = Vec::new();
        filesystem.read_dir(at.node, &mut |entry| {
            entries.push(entry);
            if entries.len() > MAX_ENTRIES {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        if entries.len() > MAX_ENTRIES {
            return Err(Error::unsupported("a directory of more than a million names"));
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// The text of the link at `path`. `None`: no link there.
    ///
    /// # Errors
    ///
    /// As [`Tree::locate`].
    pub fn read_link(&self, path: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let Some(at) = self.locate_link(path)? else { return Ok(None) };
        let filesystem = self.filesystem(&at);
        match filesystem.stat(at.node)?.file_type {
            FileType::Symlink => filesystem.read_link(at.node).map(Some),
            _ => Ok(None),
        }
    }

    /// The extended attribute `name` of what is at `path`, links followed.
    ///
    /// # Errors
    ///
    /// As [`Tree::locate`].
    pub fn xattr(&self, path: impl AsRef<[u8]>, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(at) = self.locate(path)? else { return Ok(None) };
        let attributes = self.filesystem(&at).xattrs(at.node)?;
        Ok(attributes.into_iter().find(|a| a.name == name.as_bytes()).map(|a| a.value))
    }

    fn walk(&self, path: &[u8], follow_last: bool) -> Result<Option<Located>> {
        let mut links_left = MAX_SYMLINKS;
        // What is still to be walked, the next component last.
        let mut pending: Vec<Vec<u8>> = components(path).rev().collect();
        // The directories passed, so that `..` needs no parent pointers: (name, place).
        let mut passed: Vec<(Vec<u8>, (usize, Node))> = Vec::new();
        while let Some(name) = pending.pop() {
            if name == b".." {
                passed.pop();
                continue;
            }
            let (index, dir) = passed.last().map_or(self.root, |(_, place)| *place);
            let filesystem = &self.filesystems[index];
            if filesystem.stat(dir)?.file_type != FileType::Directory {
                return Ok(None);
            }
            let Some(node) = filesystem.lookup(dir, &name)? else { return Ok(None) };
            let is_last = pending.is_empty();
            if (!is_last || follow_last) && filesystem.stat(node)?.file_type == FileType::Symlink {
                links_left = links_left.checked_sub(1).ok_or_else(|| loop_error(path))?;
                let target = filesystem.read_link(node)?;
                if target.first() == Some(&b'/') {
                    passed.clear();
                }
                let length: usize = pending.iter().map(|name| name.len() + 1).sum();
                if length + target.len() > MAX_PATH_BYTES {
                    return Err(loop_error(path));
                }
                pending.extend(components(&target).rev());
                continue;
            }
            let place = self.mounts.get(&(index, node)).copied().unwrap_or((index, node));
            passed.push((name, place));
        }
        let (filesystem, node) = passed.last().map_or(self.root, |(_, place)| *place);
        let mut resolved = Vec::new();
        for (name, _) in &passed {
            resolved.push(b'/');
            resolved.extend_from_slice(name);
        }
        if resolved.is_empty() {
            resolved.push(b'/');
        }
        Ok(Some(Located { path: resolved, filesystem, node }))
    }
}

fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = Vec<u8>> {
    path.split(|&byte| byte == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
        .map(<[u8]>::to_vec)
}

fn loop_error(path: &[u8]) -> Error {
    Error::corrupt(format!(
        "{}: more than {MAX_SYMLINKS} symbolic links, or a path of more than {MAX_PATH_BYTES} bytes",
        String::from_utf8_lossy(path)
    ))
}

/// A regular file being read.
#[derive(Clone)]
pub struct FileReader {
    filesystem: Arc<dyn Filesystem>,
    node: Node,
    size_bytes: u64,
    position: u64,
}

impl FileReader {
    /// The size in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// As much of `buf` as the file has from `offset` on.
    ///
    /// # Errors
    ///
    /// What the filesystem says.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.filesystem.read_at(self.node, offset, buf)
    }

    fn read_to_vec(&self) -> Result<Vec<u8>> {
        let size = usize::try_from(self.size_bytes)
            .map_err(|_| Error::unsupported("a file larger than memory"))?;
        let mut bytes = vec![0; size];
        let mut filled = 0;
        while filled < bytes.len() {
            match self.read_at(filled as u64, &mut bytes[filled..])? {
                0 => break,
                n => filled += n,
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}

impl fmt::Debug for FileReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileReader({:?}, {} bytes)", self.node, self.size_bytes)
    }
}

impl io::Read for FileReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.read_at(self.position, buf).map_err(io::Error::other)?;
        self.position += n as u64;
        Ok(n)
    }
}
