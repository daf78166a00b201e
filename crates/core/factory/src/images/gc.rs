//! Collecting bytes that no record names.

use std::time::Duration;

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
    /// Delete the blobs of all regions that no record names and that are older than `min_age` (an
    /// hour where none is given); only count them unless it `is_real`.
    ///
    /// A record names a blob before it is stored, so what is listed here and not named is either
    /// left over or from before the record of a copy or import that goes on right now; the latter
    /// is kept out by a lock in this process and by the age between processes.
    ///
    /// # Errors
    ///
    /// Where a store or the database fails; what was deleted until then stays deleted.
    pub async fn collect(&self, min_age: Option<Duration>, is_real: bool) -> Result<Collected> {
        let mut collected = Collected::default();
        let min_age = min_age.unwrap_or(MIN_AGE);
        let regions: Vec<String> = self.inner.blobs.regions().map(str::to_owned).collect();
        for region in regions {
            let _guard = self.inner.storing.write().await;
            if is_real {
                self.inner.blobs.sweep(&region, min_age)?;
            }
            // The list first: what is stored after it is not looked at.
            let stored = self.inner.blobs.list(&region).await?;
            let named = self.inner.records.blob_hashes(&region).await?;
            for (hash, size, modified) in stored {
                let age = jiff::Timestamp::now().duration_since(modified);
                if named.contains(&hash) {
                    collected.kept += 1;
                } else if age.unsigned_abs() < min_age || age.is_negative() {
                    collected.young += 1;
                } else {
                    if is_real {
                        self.inner.blobs.delete(&region, &hash).await?;
                    }
                    collected.deleted += 1;
                    collected.bytes = collected.bytes.saturating_add(size);
                }
            }
        }
        if is_real {
            for bucket in self.inner.buckets.iter() {
                bucket.sweep(min_age)?;
            }
        }
        Ok(collected)
    }
}
