//! An edit: one change of one file, with what must be there before it and why it is made.

use std::fmt;
use std::sync::Arc;

use kiln_volume::Xattr;
use sha2::{Digest as _, Sha256};

/// One change of a guest's file tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What is changed: an absolute path in the guest in which every link is resolved.
    pub path: String,
    /// What is done to it.
    pub change: Change,
    /// Why, in one sentence for the person who reads the plan.
    pub reason: String,
}

/// What is done to a path. Where something must be there before, the change names it: a plan is
/// refused as a whole when a file is no longer what the plan was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A regular file where nothing is.
    Create {
        /// Its content.
        content: Content,
        /// Its owner, mode and labels.
        attributes: Attributes,
    },
    /// Other content for a regular file that keeps its attributes.
    Replace {
        /// What it holds.
        before: Content,
        /// What it will hold.
        after: Content,
    },
    /// More bytes at the end of a regular file.
    Append {
        /// Its size, in bytes, before.
        size_bytes: u64,
        /// What follows.
        tail: Content,
        /// The tail for people, one line each: binary content says nothing in a diff.
        listing: Vec<String>,
    },
    /// A copy, with attributes, of the regular file at the path, under a name where nothing is.
    Copy {
        /// The other path.
        to: String,
        /// The size of the file.
        size_bytes: u64,
    },
    /// Another name in place of this one. Nothing is there yet.
    Rename {
        /// The other path.
        to: String,
    },
    /// Remove a file, a link, or an empty directory.
    Remove {
        /// What is there.
        before: Entry,
    },
    /// A symbolic link, where nothing or another link is.
    Symlink {
        /// The text of the link that is there.
        before: Option<String>,
        /// The text of the link.
        target: String,
    },
    /// A directory where nothing is.
    MakeDirectory {
        /// Its owner, mode and labels.
        attributes: Attributes,
    },
    /// Permission bits of what is there.
    SetMode {
        /// What it has.
        before: u16,
        /// What it will have.
        after: u16,
    },
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A regular file.
    File {
        /// Its size.
        size_bytes: u64,
        /// Of its content.
        digest: Digest,
    },
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink {
        /// Its text.
        target: String,
    },
    /// A device, a socket, a pipe.
    Other,
}

/// SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Content of a file. Cheap to clone.
#[derive(Clone)]
pub struct Content {
    bytes: Arc<[u8]>,
    source: Option<Arc<str>>,
}

impl Content {
    /// `bytes`, shared.
    pub fn sharing(bytes: Arc<[u8]>) -> Self {
        Self { bytes, source: None }
    }

    /// The same, told to come from `source` (a package): people look there and not at a diff of it.
    #[must_use]
    pub fn from_source(self, source: &str) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// Where it comes from, if it is not kiln's own work.
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, shared.
    pub fn shared(&self) -> Arc<[u8]> {
        Arc::clone(&self.bytes)
    }

    /// As text, where it is text that a diff can show.
    pub fn text(&self) -> Option<&str> {
        let text = std::str::from_utf8(&self.bytes).ok()?;
        (!text.contains('\0')).then_some(text)
    }

    /// Its size.
    pub fn size_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }
}

/// Content is its bytes, wherever they come from.
impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Content {}

impl<T: Into<Vec<u8>>> From<T> for Content {
    fn from(bytes: T) -> Self {
        Self::sharing(bytes.into().into())
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(text) if text.len() < 4096 => write!(f, "{text:?}"),
            _ => write!(f, "{} bytes, sha256 {}", self.bytes.len(), Digest::of(&self.bytes)),
        }
    }
}

/// Owner, permissions and labels of something new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Extended attributes: the SELinux label.
    pub xattrs: Vec<Xattr>,
}

impl Attributes {
    /// Of root, without labels.
    pub fn root(mode: u16) -> Self {
        Self { mode, uid: 0, gid: 0, xattrs: Vec::new() }
    }
}

impl Change {
    /// Its kind in one word, for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Replace { .. } => "replace",
            Self::Append { .. } => "append",
            Self::Copy { .. } => "copy",
            Self::Rename { .. } => "rename",
            Self::Remove { .. } => "remove",
            Self::Symlink { .. } => "symlink",
            Self::MakeDirectory { .. } => "makeDirectory",
            Self::SetMode { .. } => "setMode",
        }
    }

    /// Bytes that it adds to the volume, at most.
    pub fn added_bytes(&self) -> u64 {
        match self {
            Self::Create { content, .. } => content.size_bytes(),
            // The old file is there until the new one has its name.
            Self::Replace { after, .. } => after.size_bytes(),
            Self::Append { tail, .. } => tail.size_bytes(),
            Self::Copy { size_bytes, .. } => *size_bytes,
            _ => 0,
        }
    }
}
