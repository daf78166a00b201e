//! Deleting images, and finding those that a caller may use.

use kiln_model::{Image, ImageStatus, TaskAction};
use kiln_store::{Change, StoreError, Versioned};

use super::work::Inner;
use super::{Images, Refusal, Result};

/// How often a deletion is tried against others that change the image.
const N_TRIES: usize = 5;

impl Images {
    /// Delete an image; nothing is done where there is none. Its bytes go with the next collection.
    /// `is_forced` is for images that instances use, of which there are none yet.
    ///
    /// # Errors
    ///
    /// What is in the way; nothing is changed unless it is `is_real`.
    pub async fn delete(
        &self,
        owner: &str,
        region: &str,
        image: &str,
        is_real: bool,
    ) -> Result<()> {
        for _ in 0..N_TRIES {
            let found = match self.inner.own(owner, region, image).await {
                Err(Refusal::ImageNotFound { .. }) => return Ok(()),
                found => found?,
            };
            deletable(&found.value)?;
            if self.inner.is_being_copied(region, image).await? {
                return Err(Refusal::Copying);
            }
            if !is_real {
                return Ok(());
            }
            let change = Change::DeleteImage {
                region: region.to_owned(),
                id: image.to_owned(),
                revision: found.revision,
            };
            match self.inner.records.apply(vec![change]).await {
                Err(StoreError::Conflict) => {}
                done => return Ok(done?),
            }
        }
        Err(Refusal::Store(StoreError::Conflict))
    }
}

fn deletable(image: &Image) -> Result<()> {
    if image.task.is_some() {
        let is_copy = image.copied_from.is_some();
        return Err(if is_copy { Refusal::Copying } else { Refusal::Importing });
    }
    if !image.exports.is_empty() {
        return Err(Refusal::Exporting);
    }
    if !image.shared.is_empty() {
        return Err(Refusal::Shared);
    }
    if image.is_public {
        return Err(Refusal::Public);
    }
    Ok(())
}

impl Inner {
    /// Whether a copy that is under way reads the image.
    async fn is_being_copied(&self, region: &str, image: &str) -> Result<bool> {
        let tasks = self.records.unfinished_tasks().await?;
        for task in tasks.iter().filter(|task| task.action == TaskAction::CopyImage) {
            let copy = self.records.image(&task.region, &task.image).await?;
            let source = copy.and_then(|copy| copy.value.copied_from);
            if source.is_some_and(|source| source.region == region && source.image == image) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// An image of the account.
    pub(super) async fn own(
        &self,
        owner: &str,
        region: &str,
        image: &str,
    ) -> Result<Versioned<Image>> {
        let found = self.records.image(region, image).await?;
        found
            .filter(|found| found.value.owner == owner)
            .ok_or_else(|| Refusal::ImageNotFound { image: image.to_owned() })
    }

    /// An image that the account may use: its own, a shared one, a public one.
    pub(super) async fn usable(&self, account: &str, region: &str, image: &str) -> Result<Image> {
        let found = self.records.image(region, image).await?.map(|found| found.value);
        found
            .filter(|image| {
                let is_shared = image.shared.contains_key(account) || image.is_public;
                let is_there = image.status == ImageStatus::Available
                    || image.status == ImageStatus::Deprecated;
                image.owner == account || (is_shared && is_there)
            })
            .ok_or_else(|| Refusal::ImageNotFound { image: image.to_owned() })
    }
}
