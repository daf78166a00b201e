//! The image service: imports, copies, exports and checks of images that outlive this process.
//!
//! A caller's request changes records in one transaction, a task among them, and returns. What
//! takes long is an orchestration named by the task: its activities can be cut off at any point and
//! are made again, so each of them first looks at the records for what is done already. No image is
//! listed as available before all of its bytes are stored, and no bytes are stored that no record
//! names.

mod cancel;
mod copy;
mod creation;
mod detect;
mod engine;
mod export;
mod fault;
mod gc;
mod import;
mod meter;
mod object;
mod refusal;
mod remove;
mod settings;
mod work;

use std::sync::Arc;

use duroxide::providers::Provider;
use duroxide::runtime::Runtime;
use kiln_store::{Blobs, Buckets, Records};

pub use self::copy::CopySpec;
pub use self::export::{ExportFormat, ExportSpec};
pub use self::gc::{Collected, collect};
pub use self::import::{Examined, ImportDisk, ImportSpec};
pub use self::refusal::{Refusal, Result};
pub use self::settings::Settings;
use self::work::Inner;

/// The image service of one process. Dropping it ends nothing that is under way for good: what was
/// cut off goes on with the next start.
pub struct Images {
    inner: Arc<Inner>,
    runtime: Arc<Runtime>,
}

impl std::fmt::Debug for Images {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Images").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl Images {
    /// Start the service: clear what a killed process left in the spool folder, go on with all
    /// orchestrations, and begin those whose task was recorded and not begun.
    ///
    /// The caller makes sure that no other process uses the same spool folder.
    ///
    /// # Errors
    ///
    /// Where the spool folder or the database cannot be used.
    pub async fn start(
        records: Records,
        journal: Arc<dyn Provider>,
        buckets: Buckets,
        blobs: Blobs,
        settings: Settings,
    ) -> Result<Self> {
        let client = duroxide::Client::new(Arc::clone(&journal));
        let inner = Arc::new(Inner::new(records, buckets, blobs, settings, client));
        inner.clear_spool()?;
        let runtime = engine::start(journal, &inner).await;
        let images = Self { inner, runtime };
        images.inner.resume().await?;
        Ok(images)
    }

    /// Stop taking up work. Activities under way are given `grace` to end; the rest goes on with
    /// the next start.
    pub async fn shutdown(&self, grace: std::time::Duration) {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        Arc::clone(&self.runtime).shutdown(Some(grace_ms)).await;
    }

    /// Begin the tasks that were recorded while the journal could not be written.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn resume(&self) -> Result<()> {
        self.inner.resume().await
    }

    /// The buckets that images come from and go to.
    #[must_use]
    pub fn buckets(&self) -> &Buckets {
        &self.inner.buckets
    }
}
