//! Collecting bytes that no record names.

use std::time::Duration;

use kiln_store::{Blobs, Buckets, Records};
use tokio::sync::RwLock;

use super::work::Inner;
use super::{Images, Result};

/// Blobs younger than this are left alone: a record of another process may be about to name them.
const MIN_AGE: Duration = Duration::from_secs(3600);

/// What a collection did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blobs that are named by a record.
    pub kept: u64,
    /// Blobs that were deleted, or would be.
    pub deleted: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that no record names and that are too young to be deleted.
    pub young: u64,
}

impl Images {
    /// [`collect`] beside the work of this service.
    ///
    /// # Errors
    ///
    /// As [`collect`].
    pub async fn collect(&self, min_age: Option<Duration>, is_real: bool) -> Result<Collected> {
        let Inner { records, buckets, blobs, storing, .. } = &*self.inner;
        collect_beside(records, buckets, blobs, storing, min_age, is_real).await
    }
}

/// Delete the blobs of all regions that no record names and that are older than `min_age` (an hour
/// where none is given); only count them unless it `is_real`. No service of this process may be at
/// work on the same stores: one that is has [`Images::collect`].
///
/// # Errors
///
/// Where a store or the database fails; what was deleted until then stays deleted.
pub async fn collect(
    records: &Records,
    buckets: &Buckets,
    blobs: &Blobs,
    min_age: Option<Duration>,
    is_real: bool,
) -> Result<Collected> {
    collect_beside(records, buckets, blobs, &RwLock::new(()), min_age, is_real).await
}

/// A record names a blob before it is stored, so what is listed here and not named is either left
/// over or from before the record of a copy or import that goes on right now; the latter is kept out
/// by the lock in this process and by the age between processes.
async fn collect_beside(
    records: &Records,
    buckets: &Buckets,
    blobs: &Blobs,
    storing: &RwLock<()>,
    min_age: Option<Duration>,
    is_real: bool,
) -> Result<Collected> {
    let mut collected = Collected::default();
    let min_age = min_age.unwrap_or(MIN_AGE);
    for region in blobs.regions() {
        let _guard = storing.write().await;
        if is_real {
            blobs.sweep(region, min_age)?;
        }
        // The list first: what is stored after it is not looked at.
        let stored = blobs.list(region).await?;
        let named = records.blob_hashes(region).await?;
        for (hash, size, modified) in stored {
            let age = jiff::Timestamp::now().duration_since(modified);
            if named.contains(&hash) {
                collected.kept += 1;
            } else if age.unsigned_abs() < min_age || age.is_negative() {
                collected.young += 1;
            } else {
                if is_real {
                    blobs.delete(region, &hash).await?;
                }
                collected.deleted += 1;
                collected.bytes = collected.bytes.saturating_add(size);
            }
        }
    }
    if is_real {
        for bucket in buckets.iter() {
            bucket.sweep(min_age)?;
        }
    }
    Ok(collected)
}
