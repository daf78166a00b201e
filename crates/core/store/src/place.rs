//! A place for objects: a directory, or a bucket of an object store, by its URL.
//!
//! Credentials, region and endpoint come from where the stores' own tools take them: the
//! environment (`AWS_ACCESS_KEY_ID`, `AWS_REGION`, `AWS_ENDPOINT_URL`;
//! `ALIBABA_CLOUD_ACCESS_KEY_ID`, `OSS_ENDPOINT`), as where kiln reads a disk from such a store.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use opendal::{ErrorKind, Operator, services};

use crate::StoreError;

/// Directory inside of a local bucket that belongs to kiln; no key leads there.
const RESERVED: &str = ".kiln";

/// A directory or a remote bucket.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) operator: Operator,
    /// The directory, absolute, where it is one.
    pub(crate) root: Option<PathBuf>,
    /// The directory or the URL, without a slash at its end.
    url: String,
}

impl Place {
    /// Open `url`: an absolute path, `file:///path`, `oss://bucket[/prefix]` or
    /// `s3://bucket[/prefix]`. A directory is made where there is none.
    pub(crate) fn open(url: &str) -> Result<Self, StoreError> {
        let refused = |why: &str| StoreError::Place { url: url.into(), why: why.into() };
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) => (scheme, rest),
            None => ("file", url),
        };
        if scheme == "file" {
            return Self::local(Path::new(rest), url);
        }
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(refused("write SCHEME://BUCKET or SCHEME://BUCKET/PREFIX"));
        }
        if !matches!(scheme, "s3" | "oss") {
            return Err(refused("write an absolute path, file://, oss:// or s3://"));
        }
        let operator = kiln_disk::object_store(scheme, bucket, prefix);
        let hint = "set AWS_REGION (and AWS_ENDPOINT_URL) for s3://, OSS_ENDPOINT for oss://";
        let operator = operator.map_err(|error| refused(&format!("{}; {hint}", error.kind())))?;
        Ok(Self { operator, root: None, url: url.trim_end_matches('/').to_owned() })
    }

    fn local(root: &Path, url: &str) -> Result<Self, StoreError> {
        let refused = |why: String| StoreError::Place { url: url.into(), why };
        if !root.is_absolute() {
            return Err(refused("write the path from / on".into()));
        }
        fs::create_dir_all(root).map_err(|error| refused(error.to_string()))?;
        let root = root.canonicalize().map_err(|error| refused(error.to_string()))?;
        let text = root.to_str().ok_or_else(|| refused("its path is not UTF-8".into()))?;
        let operator = Operator::new(services::Fs::default().root(text))
            .map_err(|error| refused(error.kind().to_string()))?;
        Ok(Self { operator, url: text.to_owned(), root: Some(root) })
    }

    /// The object `key` as a location that kiln's readers open; nothing for a key that leads
    /// elsewhere.
    pub(crate) fn location(&self, key: &str) -> Option<String> {
        is_inside(key).then(|| format!("{}/{key}", self.url))
    }

    /// The file of `key`, where this is a directory and the key stays inside of it.
    pub(crate) fn path(&self, key: &str) -> Option<PathBuf> {
        let root = self.root.as_ref()?;
        is_inside(key).then(|| root.join(key))
    }
}

/// Whether a key, taken for a path, names a file below the directory and outside of kiln's own.
pub(crate) fn is_inside(key: &str) -> bool {
    let plain = |segment: &str| !matches!(segment, "" | "." | "..") && !segment.contains('\0');
    key.split('/').all(plain) && key.split('/').next() != Some(RESERVED)
}

/// What OpenDAL said about `place`, sorted by whether it may pass.
pub(crate) fn failed(place: &str, error: opendal::Error) -> StoreError {
    if error.is_temporary() || error.kind() == ErrorKind::RateLimited {
        return StoreError::Unavailable { source: Box::new(error) };
    }
    StoreError::Object { place: place.into(), source: Box::new(error) }
}

/// What the system said about `place`.
pub(crate) fn io_failed(place: &Path, error: std::io::Error) -> StoreError {
    StoreError::Object { place: place.display().to_string(), source: Box::new(error) }
}

/// Remove the `.part` files of a directory that are older than `min_age`.
pub(crate) fn sweep(directory: &Path, min_age: Duration) -> Result<(), StoreError> {
    let failed = |error| io_failed(directory, error);
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let is_part = path.extension().is_some_and(|extension| extension == "part");
        // A file that went in between, or has no time, is not one to remove.
        let age = entry.metadata().and_then(|meta| meta.modified()).ok();
        let is_old = age.and_then(|at| at.elapsed().ok()).is_some_and(|age| age >= min_age);
        if is_part && is_old {
            fs::remove_file(&path).map_err(|error| io_failed(&path, error))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stays_inside_and_out_of_kilns_own_directory() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::open(&format!("file://{}", dir.path().display())).unwrap();
        for key in ["a", "a/b c", "镜/.kiln", "..a/b..", ".kilnx", "a/.kiln/b"] {
            assert!(place.path(key).is_some(), "{key}");
        }
        for key in ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a\0b", ".kiln", ".kiln/meta"] {
            assert_eq!(place.path(key), None, "{key}");
        }
    }

    #[test]
    fn a_url_that_names_no_place_is_refused() {
        for url in ["", "relative/path", "file://relative", "oss://", "ftp://host/x"] {
            assert!(matches!(Place::open(url), Err(StoreError::Place { .. })), "{url}");
        }
    }
}
