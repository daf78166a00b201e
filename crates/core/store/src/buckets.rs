//! The buckets that images are imported from and exported to.
//!
//! Buckets are configuration: each has a name, a region and a place. Where the place is a
//! directory, an object is the file of its key, so that a disk can be read where it lies.

use std::collections::BTreeMap;
use std::io::ErrorKind as IoKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use opendal::{ErrorKind, Operator};

use crate::StoreError;
use crate::place::{self, Place};

/// What is configured of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketSettings {
    /// Its name, under which clients ask for it.
    pub name: String,
    /// The region that it is in, such as `cn-hangzhou`.
    pub region: String,
    /// Its place: an absolute path, `file://`, `oss://bucket[/prefix]` or `s3://bucket[/prefix]`.
    pub url: String,
    /// Whether the image service was given the right to read and write it.
    pub authorized: bool,
}

/// All configured buckets; a clone is the same ones.
#[derive(Clone, Debug, Default)]
pub struct Buckets {
    by_name: Arc<BTreeMap<String, Bucket>>,
}

/// One bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// What is configured of it.
    pub settings: BucketSettings,
    place: Place,
}

/// What is known of an object without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Length in bytes.
    pub size: u64,
    /// The store's own mark of this content, where it has one.
    pub etag: Option<String>,
    /// When it was last written, where the store tells.
    pub modified: Option<Timestamp>,
}

impl Buckets {
    /// Open all of `settings`; the directories of local ones are made. Nothing is asked of remote
    /// ones yet.
    ///
    /// # Errors
    ///
    /// [`StoreError::Place`] for a URL that cannot be used, or two buckets of one name.
    pub fn new(settings: Vec<BucketSettings>) -> Result<Self, StoreError> {
        let mut by_name = BTreeMap::new();
        for settings in settings {
            let place = Place::open(&settings.url)?;
            let (name, url) = (settings.name.clone(), settings.url.clone());
            if by_name.insert(name, Bucket { settings, place }).is_some() {
                let why = "another bucket has the same name; give each its own".into();
                return Err(StoreError::Place { url, why });
            }
        }
        Ok(Self { by_name: Arc::new(by_name) })
    }

    /// The bucket `name`.
    pub fn get(&self, name: &str) -> Option<&Bucket> {
        self.by_name.get(name)
    }

    /// All buckets, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Bucket> {
        self.by_name.values()
    }
}

impl Bucket {
    /// What is known of the object `key`; `None` where there is none.
    ///
    /// # Errors
    ///
    /// The store could not be asked.
    pub async fn stat(&self, key: &str) -> Result<Option<ObjectMeta>, StoreError> {
        if self.place.root.is_some() {
            return match self.local_path(key) {
                Some(path) => stat_file(&path).await,
                None => Ok(None),
            };
        }
        match self.place.operator.stat(key).await {
            Ok(meta) if meta.is_file() => Ok(Some(ObjectMeta {
                size: meta.content_length(),
                etag: meta.etag().map(Into::into),
                modified: meta.last_modified().map(Into::into),
            })),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(place::failed(&format!("{}/{key}", self.settings.name), error)),
        }
    }

    /// The object `key` as a location that kiln's readers open: a path or a URL; nothing for a key
    /// that leads elsewhere.
    pub fn location(&self, key: &str) -> Option<String> {
        self.place.location(key)
    }

    /// The file of `key`, where the bucket is a directory and the key stays inside of it. The file
    /// need not exist.
    pub fn local_path(&self, key: &str) -> Option<PathBuf> {
        self.place.path(key)
    }

    /// The directory that the bucket is, absolute; `None` for a remote one.
    pub fn root(&self) -> Option<&Path> {
        self.place.root.as_deref()
    }

    /// What reads and writes the bucket, keys below its prefix.
    pub fn operator(&self) -> &Operator {
        &self.place.operator
    }
}

async fn stat_file(path: &Path) -> Result<Option<ObjectMeta>, StoreError> {
    match tokio::fs::metadata(path).await {
        Ok(meta) if meta.is_file() => {
            let modified = meta.modified().ok().and_then(|at| Timestamp::try_from(at).ok());
            Ok(Some(ObjectMeta { size: meta.len(), etag: None, modified }))
        }
        Ok(_) => Ok(None),
        // Each means that no object of that name can be there.
        Err(error)
            if matches!(
                error.kind(),
                IoKind::NotFound | IoKind::NotADirectory | IoKind::InvalidFilename
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(place::io_failed(path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(name: &str, url: &str) -> BucketSettings {
        let (name, url) = (name.into(), url.into());
        BucketSettings { name, region: "cn-hangzhou".into(), url, authorized: true }
    }

    #[tokio::test]
    async fn an_object_is_the_file_of_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("images");
        let buckets = Buckets::new(vec![settings("images", root.to_str().unwrap())]).unwrap();
        let bucket = buckets.get("images").unwrap();
        assert_eq!(bucket.stat("a/b.raw").await.unwrap(), None);
        std::fs::create_dir(root.join("a")).unwrap();
        std::fs::write(root.join("a/b.raw"), b"12345").unwrap();
        assert_eq!(bucket.stat("a/b.raw").await.unwrap().unwrap().size, 5);
        // A directory, what lies below a file, and what lies outside are no objects.
        std::fs::write(dir.path().join("secret"), b"x").unwrap();
        for key in ["a", "a/b.raw/c", "../secret", &"x".repeat(300)] {
            assert_eq!(bucket.stat(key).await.unwrap(), None, "{key}");
        }
        assert!(buckets.get("other").is_none());
    }

    #[test]
    fn two_buckets_of_one_name_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let one = settings("images", dir.path().to_str().unwrap());
        assert!(Buckets::new(vec![one.clone()]).is_ok());
        assert!(matches!(Buckets::new(vec![one.clone(), one]), Err(StoreError::Place { .. })));
    }
}
