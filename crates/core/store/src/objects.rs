//! Writing and deleting whole objects of a bucket, for exports.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use uuid::Uuid;

use crate::place;
use crate::{Bucket, StoreError};

/// How much is read and written at a time, in bytes; also the size of a part of an upload.
const CHUNK_BYTES: usize = 8 << 20;

/// How many parts are on their way at a time.
const PARALLEL_PARTS: usize = 4;

/// How far a transfer is: bytes done, and all of them.
type Progress<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

impl Bucket {
    /// Write the content of `file` as the object `key`, which appears once it is whole.
    ///
    /// # Errors
    ///
    /// Reading or writing failed; there is no object then, or the one that was there before.
    pub async fn put_file(
        &self,
        key: &str,
        file: &Path,
        progress: Progress<'_>,
    ) -> Result<(), StoreError> {
        match self.local_path(key) {
            Some(target) => copy_local(file, &target, &self.parts(), progress).await,
            None => self.upload(key, file, progress).await,
        }
    }

    /// Remove the object `key`; nothing where there is none.
    ///
    /// # Errors
    ///
    /// The store did not do it.
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        match self.operator().delete(key).await {
            Err(error) if error.kind() != opendal::ErrorKind::NotFound => {
                Err(place::failed(key, error))
            }
            _ => Ok(()),
        }
    }

    /// Remove what killed processes left half-written and is older than `min_age`.
    ///
    /// # Errors
    ///
    /// A directory cannot be read, or a file not removed.
    pub fn sweep(&self, min_age: Duration) -> Result<(), StoreError> {
        let parts = self.parts();
        if parts.is_dir() { place::sweep(&parts, min_age) } else { Ok(()) }
    }

    /// Where objects are until they are whole: outside of what is listed.
    fn parts(&self) -> PathBuf {
        self.root().map(|root| root.join(".kiln").join("exports")).unwrap_or_default()
    }

    async fn upload(
        &self,
        key: &str,
        file: &Path,
        progress: Progress<'_>,
    ) -> Result<(), StoreError> {
        let failed = |error| place::failed(key, error);
        let writing =
            self.operator().writer_with(key).chunk(CHUNK_BYTES).concurrent(PARALLEL_PARTS);
        let mut writer = writing.await.map_err(failed)?;
        let mut written = Ok(());
        let mut opened =
            tokio::fs::File::open(file).await.map_err(|error| place::io_failed(file, error))?;
        let total = opened.metadata().await.map_or(0, |meta| meta.len());
        let mut done = 0;
        loop {
            let mut bytes = Vec::with_capacity(CHUNK_BYTES);
            let read = (&mut opened).take(CHUNK_BYTES as u64).read_to_end(&mut bytes).await;
            match read {
                Err(error) => written = Err(place::io_failed(file, error)),
                Ok(0) => break,
                Ok(n_bytes) => {
                    written = writer.write(bytes).await.map_err(failed);
                    done += n_bytes as u64;
                    progress(done, total);
                }
            }
            if written.is_err() {
                break;
            }
        }
        let closed = match written {
            Ok(()) => writer.close().await.map(|_| ()).map_err(failed),
            failed => failed,
        };
        if closed.is_err() {
            // What an upload that cannot even be given up leaves is the store's to expire.
            let _ = writer.abort().await;
        }
        closed
    }
}

/// Copy into the folder of a bucket: under another name first, then renamed.
async fn copy_local(
    file: &Path,
    target: &Path,
    parts: &Path,
    progress: Progress<'_>,
) -> Result<(), StoreError> {
    let folder = target.parent().unwrap_or(target);
    tokio::fs::create_dir_all(folder).await.map_err(|error| place::io_failed(folder, error))?;
    tokio::fs::create_dir_all(parts).await.map_err(|error| place::io_failed(parts, error))?;
    let beside = parts.join(format!("{}.part", Uuid::new_v4().simple()));
    let copied = copy_synced(file, &beside, progress).await;
    let moved = match copied {
        Ok(()) => tokio::fs::rename(&beside, target).await,
        failed => failed,
    };
    moved.map_err(|error| {
        let _ = fs::remove_file(&beside);
        place::io_failed(target, error)
    })
}

async fn copy_synced(file: &Path, to: &Path, progress: Progress<'_>) -> std::io::Result<()> {
    let total = tokio::fs::metadata(file).await?.len();
    let (file, to) = (file.to_owned(), to.to_owned());
    let copy = move || -> std::io::Result<u64> {
        let n_bytes = fs::copy(&file, &to)?;
        fs::File::open(&to)?.sync_all()?;
        Ok(n_bytes)
    };
    let n_bytes = tokio::task::spawn_blocking(copy).await.map_err(std::io::Error::other)??;
    progress(n_bytes, total);
    Ok(())
}
