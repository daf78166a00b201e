//! The stores of the regions: disks under the name of their own content.
//!
//! A blob is written once, under its SHA-256, and never changes. In a directory it comes by a
//! temporary name and an atomic rename, so that a file under a hash is always whole; an object
//! store shows an object only when its upload is closed, which is the same promise.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind as IoKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use jiff::Timestamp;
use kiln_model::Blob;
use opendal::{ErrorKind, Operator, Reader, Writer};
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use crate::StoreError;
use crate::place::{self, Place};

/// How much is read, hashed and written at a time, in bytes.
const CHUNK_BYTES: usize = 4 << 20;

/// Size of a part of an upload to an object store, in bytes: 10,000 of them make 156 GiB, more
/// than any disk's image that is likely to be kept packed.
const PART_BYTES: usize = 16 << 20;

/// How many parts are on their way at a time.
const PARALLEL_PARTS: usize = 4;

/// How far a transfer is, in bytes done.
type Progress<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// The stores of all regions; a clone is the same ones.
#[derive(Clone, Debug, Default)]
pub struct Blobs {
    by_region: Arc<BTreeMap<String, Place>>,
}

impl Blobs {
    /// Open the store of each region, by its URL: an absolute path, `file://`, `oss://` or `s3://`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Place`] for a URL that cannot be used.
    pub fn new(urls: BTreeMap<String, String>) -> Result<Self, StoreError> {
        let open = |(region, url): (String, String)| Ok((region, Place::open(&url)?));
        let by_region = urls.into_iter().map(open).collect::<Result<_, StoreError>>()?;
        Ok(Self { by_region: Arc::new(by_region) })
    }

    /// The regions that have a store.
    pub fn regions(&self) -> impl Iterator<Item = &str> {
        self.by_region.keys().map(String::as_str)
    }

    /// The blob `hash` of `region` as a location that kiln's readers open: a path or a URL.
    ///
    /// # Errors
    ///
    /// [`StoreError::Place`] for a region without a store, and for what is no hash.
    pub fn location(&self, region: &str, hash: &str) -> Result<String, StoreError> {
        checked(hash)?;
        // A hash leads nowhere but into the place, so there is always a location.
        Ok(self.place(region)?.location(hash).unwrap_or_default())
    }

    /// Keep the content of `file`, which is `blob`, in `region`; nothing where it is there already.
    /// `progress` is told the bytes done so far.
    ///
    /// # Errors
    ///
    /// [`StoreError::Content`] where the file is not the blob, and then nothing is kept; reading or
    /// writing failed.
    pub async fn put(
        &self,
        region: &str,
        blob: &Blob,
        file: &Path,
        progress: Progress<'_>,
    ) -> Result<(), StoreError> {
        let place = self.place(region)?;
        checked(&blob.hash)?;
        if size_of(place, &blob.hash).await? == Some(blob.size) {
            progress(blob.size);
            return Ok(());
        }
        let opened = File::open(file).map_err(|error| place::io_failed(file, error))?;
        let source = Source::File(opened, file.into());
        transfer(source, place, blob, progress).await
    }

    /// As [`Self::put`], of a file that this process has made, brought to the disk and hashed as
    /// `blob` just now, and that nobody writes any more: where it is on the same file system as the
    /// region's directory, it gets a second name there instead of being copied.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn keep(
        &self,
        region: &str,
        blob: &Blob,
        file: &Path,
        progress: Progress<'_>,
    ) -> Result<(), StoreError> {
        checked(&blob.hash)?;
        if link(file, self.place(region)?, blob)? {
            progress(blob.size);
            return Ok(());
        }
        self.put(region, blob, file, progress).await
    }

    /// Whether `region` has the blob `hash`.
    ///
    /// # Errors
    ///
    /// The store could not be asked.
    pub async fn has(&self, region: &str, hash: &str) -> Result<bool, StoreError> {
        checked(hash)?;
        Ok(size_of(self.place(region)?, hash).await?.is_some())
    }

    /// The file of the blob `hash`, where the region's store is a directory.
    pub fn local_path(&self, region: &str, hash: &str) -> Option<PathBuf> {
        checked(hash).ok()?;
        self.by_region.get(region)?.path(hash)
    }

    /// Remove the blob `hash`; nothing where there is none.
    ///
    /// # Errors
    ///
    /// The store did not do it.
    pub async fn delete(&self, region: &str, hash: &str) -> Result<(), StoreError> {
        checked(hash)?;
        let place = self.place(region)?;
        match place.operator.delete(hash).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(place::failed(hash, error)),
            _ => Ok(()),
        }
    }

    /// The blobs of `region`: hash, size in bytes, and when it was written. What else lies in the
    /// place is left out. A blob whose time is not told counts as written now, so that nobody
    /// takes it for an old one.
    ///
    /// # Errors
    ///
    /// The store could not be asked.
    pub async fn list(&self, region: &str) -> Result<Vec<(String, u64, Timestamp)>, StoreError> {
        let place = self.place(region)?;
        let failed = |error| place::failed(region, error);
        let mut lister = place.operator.lister("").await.map_err(failed)?;
        let mut blobs = Vec::new();
        while let Some(entry) = lister.try_next().await.map_err(failed)? {
            let hash = entry.path();
            if checked(hash).is_err() {
                continue;
            }
            // A local list tells names only.
            let meta = match place.operator.stat(hash).await {
                Ok(meta) => meta,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(error)),
            };
            let modified = meta.last_modified().map_or_else(Timestamp::now, Into::into);
            blobs.push((hash.into(), meta.content_length(), modified));
        }
        Ok(blobs)
    }

    /// Remove what killed processes left half-written in `region` and is older than `min_age`. Only
    /// a directory can have such files.
    ///
    /// # Errors
    ///
    /// The directory cannot be read, or a file not removed.
    pub fn sweep(&self, region: &str, min_age: Duration) -> Result<(), StoreError> {
        match &self.place(region)?.root {
            Some(root) => place::sweep(root, min_age),
            None => Ok(()),
        }
    }

    /// Have `blob` of region `from` in region `to`, too; nothing where it is there already.
    ///
    /// # Errors
    ///
    /// `from` has no such blob, or other content under its name; reading or writing failed.
    pub async fn copy(
        &self,
        from: &str,
        to: &str,
        blob: &Blob,
        progress: Progress<'_>,
    ) -> Result<(), StoreError> {
        checked(&blob.hash)?;
        let (source, target) = (self.place(from)?, self.place(to)?);
        if size_of(target, &blob.hash).await? == Some(blob.size) {
            progress(blob.size);
            return Ok(());
        }
        if let Some(path) = source.path(&blob.hash) {
            return self.keep(to, blob, &path, progress).await;
        }
        let reader = source.operator.reader(&blob.hash).await;
        let reader = reader.map_err(|error| place::failed(&blob.hash, error))?;
        transfer(Source::Remote(reader, 0, blob.size), target, blob, progress).await
    }

    fn place(&self, region: &str) -> Result<&Place, StoreError> {
        let unknown =
            || StoreError::Place { url: region.into(), why: "no such region is configured".into() };
        self.by_region.get(region).ok_or_else(unknown)
    }
}

/// Only a hash names a blob: nothing else becomes a path.
fn checked(hash: &str) -> Result<(), StoreError> {
    if hash.len() == 64 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(());
    }
    let why = "a blob's name is 64 lower-case hexadecimal digits".into();
    Err(StoreError::Place { url: hash.chars().take(80).collect(), why })
}

async fn size_of(place: &Place, hash: &str) -> Result<Option<u64>, StoreError> {
    match place.operator.stat(hash).await {
        Ok(meta) => Ok(Some(meta.content_length())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(place::failed(hash, error)),
    }
}

/// Give the file at `path` a second name in `target`. `false` where it has to be copied: another
/// file system, a file of another size, or a remote target.
fn link(path: &Path, target: &Place, blob: &Blob) -> Result<bool, StoreError> {
    let Some(to) = target.path(&blob.hash) else { return Ok(false) };
    let size = fs::metadata(path).map_err(|error| place::io_failed(path, error))?.len();
    if size != blob.size || fs::hard_link(path, &to).is_err() {
        return Ok(false);
    }
    sync_directory(&to)?;
    Ok(true)
}

/// Where bytes come from.
enum Source {
    File(File, PathBuf),
    /// A reader, the offset of its next byte, and the length.
    Remote(Reader, u64, u64),
}

/// Where they go.
enum Sink {
    File { file: File, temporary: PathBuf, target: PathBuf },
    Remote(Box<Writer>),
}

async fn transfer(
    mut source: Source,
    place: &Place,
    blob: &Blob,
    progress: Progress<'_>,
) -> Result<(), StoreError> {
    let mut sink = Sink::open(place, blob).await?;
    let (mut hasher, mut done) = (Sha256::new(), 0);
    loop {
        let (next, bytes) = match source.next().await {
            Ok(read) => read,
            Err(error) => return Err(sink.discard(error).await),
        };
        source = next;
        if bytes.is_empty() {
            break;
        }
        done += bytes.len() as u64;
        let written = sink.write(bytes, hasher).await;
        (sink, hasher) = written?;
        progress(done);
    }
    let found = format!("{:x}", hasher.finalize());
    if done != blob.size || found != blob.hash {
        let why = format!("it has {done} bytes of SHA-256 {found}, not {} bytes", blob.size);
        return Err(sink.discard(StoreError::Content { place: blob.hash.clone(), why }).await);
    }
    sink.close(&blob.hash).await
}

impl Source {
    async fn next(self) -> Result<(Self, Bytes), StoreError> {
        match self {
            Self::File(mut file, path) => {
                let read = move || {
                    let mut bytes = Vec::with_capacity(CHUNK_BYTES);
                    match (&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut bytes) {
                        Ok(_) => Ok((Self::File(file, path), Bytes::from(bytes))),
                        Err(error) => Err(place::io_failed(&path, error)),
                    }
                };
                blocking(read).await
            }
            Self::Remote(reader, at, size) => {
                let end = size.min(at.saturating_add(CHUNK_BYTES as u64));
                if at >= end {
                    return Ok((Self::Remote(reader, at, size), Bytes::new()));
                }
                let read = reader.read(at..end).await;
                let bytes = read.map_err(|error| place::failed("the blob", error))?.to_bytes();
                Ok((Self::Remote(reader, end, size), bytes))
            }
        }
    }
}

impl Sink {
    async fn open(place: &Place, blob: &Blob) -> Result<Self, StoreError> {
        let Some(target) = place.path(&blob.hash) else {
            return Ok(Self::Remote(Box::new(writer(&place.operator, &blob.hash).await?)));
        };
        let name = format!(".{}.{}.part", blob.hash, Uuid::new_v4().simple());
        let temporary = target.with_file_name(name);
        let file =
            File::create_new(&temporary).map_err(|error| place::io_failed(&temporary, error))?;
        Ok(Self::File { file, temporary, target })
    }

    /// Hash and write; on failure nothing of the sink is left.
    async fn write(self, bytes: Bytes, mut hasher: Sha256) -> Result<(Self, Sha256), StoreError> {
        match self {
            Self::File { mut file, temporary, target } => {
                let write = move || {
                    hasher.update(&bytes);
                    if let Err(error) = file.write_all(&bytes) {
                        drop(fs::remove_file(&temporary));
                        return Err(place::io_failed(&temporary, error));
                    }
                    Ok((Self::File { file, temporary, target }, hasher))
                };
                blocking(write).await
            }
            Self::Remote(mut writer) => {
                let hashed = bytes.clone();
                let hash = move || {
                    hasher.update(&hashed);
                    Ok(hasher)
                };
                let hasher = blocking(hash).await?;
                match writer.write(bytes).await {
                    Ok(()) => Ok((Self::Remote(writer), hasher)),
                    Err(error) => {
                        let error = place::failed("the blob", error);
                        Err(Self::Remote(writer).discard(error).await)
                    }
                }
            }
        }
    }

    /// Remove what was written; hands `error` back.
    async fn discard(self, error: StoreError) -> StoreError {
        match self {
            Self::File { temporary, .. } => drop(fs::remove_file(temporary)),
            Self::Remote(mut writer) => drop(writer.abort().await),
        }
        error
    }

    /// Make the blob visible, whole.
    async fn close(self, hash: &str) -> Result<(), StoreError> {
        match self {
            Self::File { file, temporary, target } => {
                let finish = move || {
                    let moved = file.sync_all().and_then(|()| fs::rename(&temporary, &target));
                    if let Err(error) = moved {
                        drop(fs::remove_file(&temporary));
                        return Err(place::io_failed(&target, error));
                    }
                    sync_directory(&target)
                };
                blocking(finish).await
            }
            Self::Remote(mut writer) => match writer.close().await {
                Ok(_) => Ok(()),
                Err(error) => {
                    drop(writer.abort().await);
                    Err(place::failed(hash, error))
                }
            },
        }
    }
}

async fn writer(operator: &Operator, hash: &str) -> Result<Writer, StoreError> {
    let writer = operator.writer_with(hash).chunk(PART_BYTES).concurrent(PARALLEL_PARTS).await;
    writer.map_err(|error| place::failed(hash, error))
}

/// A rename or a new name is on the disk only when its directory is.
fn sync_directory(file: &Path) -> Result<(), StoreError> {
    let Some(directory) = file.parent() else { return Ok(()) };
    match File::open(directory).and_then(|directory| directory.sync_all()) {
        // Some network file systems have no such call, and then no need of it.
        Err(error) if !matches!(error.kind(), IoKind::InvalidInput | IoKind::Unsupported) => {
            Err(place::io_failed(directory, error))
        }
        _ => Ok(()),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let failed = |error| StoreError::Unavailable { source: Box::new(error) };
    spawn_blocking(work).await.map_err(failed)?
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn stores(dir: &Path) -> Blobs {
        let url = |region: &str| (region.into(), dir.join(region).display().to_string());
        Blobs::new(BTreeMap::from([url("near"), url("far")])).unwrap()
    }

    fn file(dir: &Path, content: &[u8]) -> (PathBuf, Blob) {
        let path = dir.join("disk");
        fs::write(&path, content).unwrap();
        let hash = format!("{:x}", Sha256::digest(content));
        (path, Blob { hash, size: content.len() as u64 })
    }

    #[tokio::test]
    async fn a_blob_is_kept_listed_copied_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, blob) = file(dir.path(), &vec![7; CHUNK_BYTES + 5]);
        let blobs = stores(dir.path());
        let told = AtomicU64::new(0);
        let progress = |done| told.store(done, Ordering::Relaxed);
        assert!(!blobs.has("near", &blob.hash).await.unwrap());
        blobs.put("near", &blob, &path, &progress).await.unwrap();
        assert_eq!(told.load(Ordering::Relaxed), blob.size);
        let listed = blobs.list("near").await.unwrap();
        assert_eq!((listed[0].0.as_str(), listed[0].1), (blob.hash.as_str(), blob.size));
        blobs.copy("near", "far", &blob, &progress).await.unwrap();
        let [near, far] = ["near", "far"].map(|region| blobs.local_path(region, &blob.hash));
        let inode = |path: Option<PathBuf>| fs::metadata(path.unwrap()).unwrap().ino();
        assert_eq!(inode(near), inode(far));
        blobs.delete("near", &blob.hash).await.unwrap();
        blobs.delete("near", &blob.hash).await.unwrap();
        assert!(!blobs.has("near", &blob.hash).await.unwrap());
        assert!(blobs.has("far", &blob.hash).await.unwrap());
        assert_eq!(blobs.list("near").await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_blob_that_is_there_is_not_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let (path, blob) = file(dir.path(), b"disk");
        let blobs = stores(dir.path());
        blobs.put("near", &blob, &path, &|_| ()).await.unwrap();
        fs::remove_file(&path).unwrap();
        blobs.put("near", &blob, &path, &|_| ()).await.unwrap();
        // One of another size is what a crash of another program left: it is replaced.
        let kept = blobs.local_path("near", &blob.hash).unwrap();
        fs::write(&kept, b"di").unwrap();
        assert!(blobs.put("near", &blob, &path, &|_| ()).await.is_err());
        fs::write(&path, b"disk").unwrap();
        blobs.put("near", &blob, &path, &|_| ()).await.unwrap();
        assert_eq!(fs::read(kept).unwrap(), b"disk");
    }

    #[tokio::test]
    async fn a_file_of_our_own_gets_a_second_name() {
        let dir = tempfile::tempdir().unwrap();
        let (path, blob) = file(dir.path(), b"disk");
        let blobs = stores(dir.path());
        for _ in 0..2 {
            blobs.keep("near", &blob, &path, &|_| ()).await.unwrap();
            let kept = blobs.local_path("near", &blob.hash).unwrap();
            assert_eq!(fs::metadata(kept).unwrap().ino(), fs::metadata(&path).unwrap().ino());
        }
        fs::write(&path, b"another disk").unwrap();
        let error = blobs.keep("far", &blob, &path, &|_| ()).await.unwrap_err();
        assert!(matches!(error, StoreError::Content { .. }), "{error:?}");
        assert!(!blobs.has("far", &blob.hash).await.unwrap());
    }

    #[tokio::test]
    async fn a_file_that_is_not_the_blob_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (path, blob) = file(dir.path(), b"disk");
        let blobs = stores(dir.path());
        fs::write(&path, b"dusk").unwrap();
        let error = blobs.put("near", &blob, &path, &|_| ()).await.unwrap_err();
        assert!(matches!(error, StoreError::Content { .. }), "{error:?}");
        assert_eq!(fs::read_dir(dir.path().join("near")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn only_a_hash_names_a_blob() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = stores(dir.path());
        for name in ["", "../disk", &"A".repeat(64), &"a".repeat(65)] {
            assert!(blobs.has("near", name).await.is_err(), "{name}");
            assert_eq!(blobs.local_path("near", name), None, "{name}");
        }
        assert!(blobs.has("nowhere", &"a".repeat(64)).await.is_err());
    }
}
