//! What a file cannot tell of an object: its ETag, checksum, type and the client's own headers.
//!
//! Kept beside the bucket's keys, in `<root>/.kiln/meta`, under a hash of the key. A sidecar is for
//! one content: it names the length and the time of the file that it was written for, and counts
//! for no other. So a file that somebody else put there is an object too, with an ETag that is
//! made of those two.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::receive::Temporary;

/// Type of an object that was put without one.
pub(super) const DEFAULT_TYPE: &str = "application/octet-stream";

/// Largest sidecar that is read, in bytes.
const MAX_BYTES: u64 = 64 << 10;

/// What is kept of an object, or of one that is being uploaded.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Sidecar {
    /// With its quotes.
    pub(super) etag: String,
    pub(super) crc64: Option<u64>,
    pub(super) content_type: String,
    /// `x-oss-meta-*`, `cache-control` and the like, by lower-case name.
    pub(super) headers: BTreeMap<String, String>,
    /// Length of the file in bytes.
    pub(super) size_bytes: u64,
    /// When it was written, in nanoseconds since 1970.
    pub(super) modified_ns: u64,
}

/// Held while a file and its sidecar take their names, so that those of two writers do not mix.
static COMMIT: Mutex<()> = Mutex::new(());

/// kiln's own directory in a local bucket.
pub(super) fn own(root: &Path) -> PathBuf {
    root.join(".kiln")
}

fn path(root: &Path, key: &str) -> PathBuf {
    let hash = format!("{:x}", Sha256::digest(key));
    own(root).join("meta").join(&hash[..2]).join(format!("{hash}.json"))
}

fn modified_ns(meta: &Metadata) -> u64 {
    let since = meta.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    since.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or_default()
}

/// When a file was written.
pub(super) fn modified(meta: &Metadata) -> Timestamp {
    let at = meta.modified().ok().and_then(|at| Timestamp::try_from(at).ok());
    at.unwrap_or(Timestamp::UNIX_EPOCH)
}

impl Sidecar {
    /// What is known of the object `key`, whose file is `meta`'s.
    pub(super) fn of(root: &Path, key: &str, meta: &Metadata) -> Self {
        let path = path(root, key);
        let is_small = fs::metadata(&path).is_ok_and(|meta| meta.len() <= MAX_BYTES);
        let read = if is_small { fs::read(&path).ok() } else { None };
        let kept: Option<Self> = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let is_of =
            |kept: &Self| kept.size_bytes == meta.len() && kept.modified_ns == modified_ns(meta);
        kept.filter(is_of).unwrap_or_else(|| Self::made_up(meta))
    }

    fn made_up(meta: &Metadata) -> Self {
        let mark = format!("{} {}", meta.len(), modified_ns(meta));
        let hash = format!("{:X}", Sha256::digest(mark));
        let content_type = DEFAULT_TYPE.into();
        // The `-1` tells a client, as that of an upload in parts does, that this is no MD5.
        Self { etag: format!("\"{}-1\"", &hash[..32]), content_type, ..Self::default() }
    }
}

/// Give `temporary` the name of `key`, which is `target`, and keep `sidecar` with it.
///
/// # Errors
///
/// `AlreadyExists` where `is_new` was asked for and there is one; the system's own.
pub(super) fn commit(
    root: &Path,
    key: &str,
    target: &Path,
    temporary: Temporary,
    mut sidecar: Sidecar,
    is_new: bool,
) -> io::Result<()> {
    let _held = COMMIT.lock().unwrap_or_else(PoisonError::into_inner);
    if is_new && target.exists() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    // A directory there is the front of another key; a rename onto it would fail less clearly.
    if target.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if let Some(directory) = target.parent() {
        fs::create_dir_all(directory).map_err(|error| match error.kind() {
            // How the system says that a file is in the way.
            io::ErrorKind::AlreadyExists => io::ErrorKind::NotADirectory.into(),
            _ => error,
        })?;
    }
    temporary.keep(target, |meta| {
        sidecar.size_bytes = meta.len();
        sidecar.modified_ns = modified_ns(meta);
        write_json(&path(root, key), &sidecar)
    })
}

/// Remove the object `key`, whose file is `target`, and the directories that it leaves empty.
pub(super) fn remove(root: &Path, key: &str, target: &Path) -> io::Result<()> {
    let _held = COMMIT.lock().unwrap_or_else(PoisonError::into_inner);
    if target.is_dir() {
        return Ok(());
    }
    match fs::remove_file(target) {
        Err(error)
            if !matches!(
                error.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::InvalidFilename
            ) =>
        {
            return Err(error);
        }
        _ => drop(fs::remove_file(path(root, key))),
    }
    let mut directory = target.parent();
    while let Some(empty) = directory.filter(|&directory| directory != root) {
        if fs::remove_dir(empty).is_err() {
            break;
        }
        directory = empty.parent();
    }
    Ok(())
}

/// Write `value` to `path`, whole or not at all.
pub(super) fn write_json<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let temporary = path.with_extension(format!("{}.tmp", Uuid::new_v4().simple()));
    let written = fs::write(&temporary, serde_json::to_vec(value)?);
    let moved = written.and_then(|()| fs::rename(&temporary, path));
    if moved.is_err() {
        drop(fs::remove_file(&temporary));
    }
    moved
}
