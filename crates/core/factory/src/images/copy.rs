//! Copying: a new image in another region (or the same) with the bytes of an image that is there.

use std::collections::BTreeMap;
use std::sync::Arc;

use kiln_model::{
    CopySource, Image, ImageStatus, Prefix, Step, Task, TaskAction, TaskStatus, new_id,
};
use kiln_store::{Change, StoreError};

use super::fault::{Fault, Outcome, Stop};
use super::meter::Meter;
use super::work::{Fate, Inner, now};
use super::{Images, Refusal, Result};

/// A copy to make. Its texts were checked already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopySpec {
    /// Account that asks.
    pub owner: String,
    /// Region of the source.
    pub region: String,
    /// Identifier of the source.
    pub image: String,
    /// Region of the copy.
    pub to_region: String,
    /// Name of the copy; its identifier where none.
    pub name: Option<String>,
    /// Description of the copy; that of the source where none.
    pub description: Option<String>,
    /// Tags of the copy.
    pub tags: BTreeMap<String, String>,
    /// Resource group of the copy.
    pub resource_group: Option<String>,
}

impl Images {
    /// Whether a copy can begin, where the account may have so many images (`quota`) in the region
    /// of the copy. The source is returned.
    ///
    /// # Errors
    ///
    /// What is in the way.
    pub async fn examine_copy(&self, spec: &CopySpec, quota: u64) -> Result<Image> {
        let source = self.inner.usable(&spec.owner, &spec.region, &spec.image).await?;
        if source.status != ImageStatus::Available {
            return Err(Refusal::NotAvailable);
        }
        if source.owner != spec.owner && spec.to_region != spec.region {
            return Err(Refusal::SameRegionOnly);
        }
        if self.inner.records.count_images(&spec.owner, &spec.to_region).await? >= quota {
            return Err(Refusal::Quota { limit: quota });
        }
        Ok(source)
    }

    /// Begin a copy that was examined. `remember` makes the record of the client token.
    ///
    /// # Errors
    ///
    /// [`Refusal::NameTaken`], [`Refusal::TokenInUse`], or where the database fails.
    pub async fn copy(
        &self,
        spec: CopySpec,
        source: &Image,
        remember: impl FnOnce(&str, &str) -> Option<Change> + Send,
    ) -> Result<Image> {
        let (image, task) = records(spec, source);
        let mut changes =
            vec![Change::InsertImage(image.clone()), Change::InsertTask(task.clone())];
        changes.extend(remember(&image.id, &task.id));
        self.inner.records.apply(changes).await?;
        self.inner.begin(&task).await;
        Ok(image)
    }

    /// Ask for the end of a copy that is under way.
    ///
    /// # Errors
    ///
    /// [`Refusal::ImageNotFound`], [`Refusal::NotCopied`] or [`Refusal::Ended`].
    pub async fn cancel_copy(&self, owner: &str, region: &str, image: &str) -> Result<()> {
        let found = self.inner.own(owner, region, image).await?.value;
        if found.copied_from.is_none() {
            return Err(Refusal::NotCopied);
        }
        let task = found.task.ok_or(Refusal::Ended)?;
        self.inner.ask_for_end(&task).await
    }
}

fn records(spec: CopySpec, source: &Image) -> (Image, Task) {
    let (id, task_id, created) = (new_id(Prefix::Image), new_id(Prefix::Task), now());
    let step = Step {
        status: TaskStatus::Waiting,
        object: None,
        progress: 0,
        error_code: None,
        error_message: None,
    };
    let task = Task {
        id: task_id.clone(),
        region: spec.to_region.clone(),
        owner: spec.owner.clone(),
        action: TaskAction::CopyImage,
        status: TaskStatus::Waiting,
        image: id.clone(),
        format: None,
        is_checked: false,
        is_cancelled: false,
        created,
        finished: None,
        steps: vec![step; source.disks.len()],
    };
    let mut image = source.clone();
    for disk in &mut image.disks {
        disk.is_stored = false;
        disk.progress = 0;
        disk.snapshot = new_id(Prefix::Snapshot);
    }
    image.region = spec.to_region;
    image.owner = spec.owner;
    image.name = spec.name.unwrap_or_else(|| id.clone());
    image.id = id;
    image.description = spec.description.unwrap_or_else(|| source.description.clone());
    image.status = ImageStatus::Creating;
    image.progress = 0;
    image.created = created;
    // What kiln itself has found out of the source is true of the copy as well.
    image.tags.retain(|key, _| key.starts_with("acs:"));
    image.tags.extend(spec.tags);
    image.resource_group = spec.resource_group;
    image.family = None;
    image.shared = BTreeMap::new();
    image.is_public = false;
    image.copied_from =
        Some(CopySource { region: source.region.clone(), image: source.id.clone() });
    image.task = Some(task_id);
    image.exports = Vec::new();
    (image, task)
}

/// Whether a copy may begin: one at a time in a region, in the order in which they were asked for.
pub(super) async fn turn(inner: &Inner, task: &str) -> Result<Outcome, StoreError> {
    let all = inner.records.unfinished_tasks().await?;
    let Some(own) = all.iter().find(|it| it.id == task) else { return Ok(Outcome::Done) };
    let first = all
        .iter()
        .filter(|it| it.action == TaskAction::CopyImage && it.region == own.region)
        .min_by_key(|it| (it.status == TaskStatus::Waiting, it.created, it.id.as_str()));
    // A cancelled one goes on at once: what it does next is end.
    if !own.is_cancelled && first.is_some_and(|first| first.id != task) {
        return Ok(Outcome::Wait);
    }
    inner
        .change(task, |task, _| {
            if task.status != TaskStatus::Waiting {
                return Fate::Untouched;
            }
            task.status = TaskStatus::Processing;
            Fate::Write
        })
        .await?;
    Ok(Outcome::Done)
}

/// Copy one disk into the region of the copy, if its bytes are not there.
pub(super) async fn copy_disk(inner: &Arc<Inner>, task: &str, index: usize) -> Outcome {
    match try_copy_disk(inner, task, index).await {
        Ok(()) => Outcome::Done,
        Err(stop) => stop.into(),
    }
}

async fn try_copy_disk(inner: &Arc<Inner>, task_id: &str, index: usize) -> Result<(), Stop> {
    let (task, image) = inner.load(task_id).await?;
    let missing = || Fault::lasting("InternalError", format!("disk {index} has no bytes"));
    let disk = image.disks.get(index).ok_or_else(missing)?;
    if disk.is_stored {
        return Ok(());
    }
    let blob = disk.blob.clone().ok_or_else(missing)?;
    let from = image.copied_from.as_ref().ok_or_else(missing)?.region.clone();
    let meter = Meter::default();
    let (shared, told, to) = (Arc::clone(inner), meter.clone(), task.region.clone());
    let guard = inner.storing.read().await;
    let work = tokio::spawn(async move {
        let progress = |done: u64| {
            let _ = told.set(done, blob.size);
        };
        shared.blobs.copy(&from, &to, &blob, &progress).await?;
        if told.is_cancelled() { Err(Stop::Cancelled) } else { Ok(()) }
    });
    inner.watch(task_id, index, (0, 100), &meter, work).await?;
    drop(guard);
    inner.stored(task_id, index).await?;
    Ok(())
}
