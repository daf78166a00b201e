//! What all activities share: records changed by compare and retry, and work that is watched.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use kiln_model::{Image, Task, TaskStatus};
use kiln_store::{Blobs, Buckets, Change, Records, StoreError, Versioned};
use tokio::sync::RwLock;
use tokio::task::JoinHandle;

use super::fault::{Fault, Outcome, Stop};
use super::meter::Meter;
use super::settings::Settings;
use super::{Refusal, Result};

/// How often progress is written down and a cancellation is looked for.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// How often a change is tried against others that change the same records.
const N_TRIES: u32 = 20;

/// What a change of records does to the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing is to be changed at all.
    Untouched,
    /// Task and image are written as they are now.
    Write,
    /// The task is written and the image is deleted.
    Delete,
}

/// The parts of the service that activities use.
pub(super) struct Inner {
    pub(super) records: Records,
    pub(super) buckets: Buckets,
    pub(super) blobs: Blobs,
    pub(super) settings: Settings,
    pub(super) client: duroxide::Client,
    /// Held for reading from the moment a record names a blob until the blob is stored, and for
    /// writing while blobs that no record names are deleted.
    pub(super) storing: RwLock<()>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Inner {
    pub(super) fn new(
        records: Records,
        buckets: Buckets,
        blobs: Blobs,
        settings: Settings,
        client: duroxide::Client,
    ) -> Self {
        Self { records, buckets, blobs, settings, client, storing: RwLock::new(()) }
    }

    /// Remove what a killed process left in the spool folder.
    pub(super) fn clear_spool(&self) -> Result<()> {
        let spool = &self.settings.spool;
        let failed =
            |source| Refusal::Io { what: format!("the spool folder {}", spool.display()), source };
        fs::create_dir_all(spool).map_err(failed)?;
        for entry in fs::read_dir(spool).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_file() {
                fs::remove_file(&path).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// The spool file of one disk of a task.
    pub(super) fn spool_file(&self, task: &str, disk: usize, extension: &str) -> Spooled {
        Spooled(self.settings.spool.join(format!("{task}-{disk}.{extension}")))
    }

    /// Change a task and its image in one transaction. `change` may run several times, each time
    /// on what is newest; the image is nothing where it is gone. The task as it was written is
    /// returned, or as it is where nothing was.
    pub(super) async fn change(
        &self,
        task: &str,
        change: impl Fn(&mut Task, Option<&mut Image>) -> Fate + Send + Sync,
    ) -> std::result::Result<Task, StoreError> {
        for attempt in 0.. {
            let Some(mut task) = self.records.task(task).await? else {
                return Err(StoreError::NotFound { what: format!("the task {task}") });
            };
            let (region, id) = (task.value.region.clone(), task.value.image.clone());
            let mut image = self.records.image(&region, &id).await?;
            let fate = change(&mut task.value, image.as_mut().map(|image| &mut image.value));
            let changes = changes(fate, &task, image);
            match self.records.apply(changes).await {
                Err(StoreError::Conflict) if attempt < N_TRIES => {
                    tokio::time::sleep(Duration::from_millis(u64::from(attempt) * 5)).await;
                }
                Err(error) => return Err(error),
                Ok(()) => return Ok(task.value),
            }
        }
        Err(StoreError::Conflict)
    }

    /// The newest state of a task and its image; ends the activity where someone wants it ended or
    /// where it has ended.
    pub(super) async fn load(&self, task: &str) -> std::result::Result<(Task, Image), Stop> {
        let found = self.records.task(task).await?;
        let task = found.ok_or_else(|| Fault::lasting("InternalError", "the task is gone"))?.value;
        if task.is_cancelled || task.status.is_final() {
            return Err(Stop::Cancelled);
        }
        let image = self.records.image(&task.region, &task.image).await?;
        let image = image.ok_or_else(|| Fault::lasting("InternalError", "the image is gone"))?;
        Ok((task, image.value))
    }

    /// Wait for `work`, writing down its progress as that of one step, from `span.0` to `span.1`
    /// percent, and cancelling `meter` once the task is cancelled.
    pub(super) async fn watch<T>(
        &self,
        task: &str,
        step: usize,
        span: (u8, u8),
        meter: &Meter,
        mut work: JoinHandle<std::result::Result<T, Stop>>,
    ) -> std::result::Result<T, Stop> {
        let mut told = None;
        loop {
            tokio::select! {
                ended = &mut work => {
                    return ended.unwrap_or_else(|error| {
                        let message = format!("the work broke off: {error}");
                        Err(Fault::lasting("InternalError", message).into())
                    });
                }
                () = tokio::time::sleep(WATCH_INTERVAL) => {}
            }
            let share = u32::from(meter.percent()) * u32::from(span.1.saturating_sub(span.0)) / 100;
            let percent = span.0.saturating_add(u8::try_from(share).unwrap_or(0)).min(99);
            // What cannot be written down now is written next time: the work itself goes on.
            match self.tell(task, step, percent, told == Some(percent)).await {
                Ok(is_cancelled) if is_cancelled => meter.cancel(),
                Ok(_) => told = Some(percent),
                Err(error) => tracing::warn!(task, %error, "progress was not written down"),
            }
        }
    }

    /// Write progress down, unless it `is_known`; whether the task is to end.
    async fn tell(
        &self,
        task: &str,
        step: usize,
        percent: u8,
        is_known: bool,
    ) -> std::result::Result<bool, StoreError> {
        let wants_end = |task: &Task| task.is_cancelled || task.status.is_final();
        if is_known {
            let found = self.records.task(task).await?;
            return Ok(found.is_none_or(|task| wants_end(&task.value)));
        }
        let task = self
            .change(task, |task, image| {
                if wants_end(task) {
                    return Fate::Untouched;
                }
                if let Some(step) = task.steps.get_mut(step) {
                    step.progress = percent;
                    step.status = TaskStatus::Processing;
                }
                let all = task.progress();
                if let Some(image) = image
                    && image.task.as_deref() == Some(&task.id)
                {
                    image.progress = all;
                    if let Some(disk) = image.disks.get_mut(step) {
                        disk.progress = percent;
                    }
                }
                Fate::Write
            })
            .await?;
        Ok(wants_end(&task))
    }

    /// End a task that failed or was cancelled. A task that has ended stays as it is.
    pub(super) async fn end(
        &self,
        task: &str,
        outcome: &Outcome,
        step: usize,
        fate: impl Fn(&mut Task, Option<&mut Image>) -> Fate + Send + Sync,
    ) -> std::result::Result<Task, StoreError> {
        let now = now();
        self.change(task, |task, image| {
            if task.status.is_final() {
                return Fate::Untouched;
            }
            task.finished = Some(now);
            match outcome {
                Outcome::Failed(fault) => {
                    task.status = TaskStatus::Failed;
                    if let Some(step) = task.steps.get_mut(step) {
                        step.status = TaskStatus::Failed;
                        step.error_code = Some(fault.code.clone());
                        step.error_message = Some(fault.message.clone());
                    }
                }
                _ => task.status = TaskStatus::Cancelled,
            }
            fate(task, image)
        })
        .await
    }
}

/// The changes that make records what they have become.
fn changes(fate: Fate, task: &Versioned<Task>, image: Option<Versioned<Image>>) -> Vec<Change> {
    if fate == Fate::Untouched {
        return Vec::new();
    }
    let mut changes = vec![Change::UpdateTask(task.clone())];
    match (fate, image) {
        (Fate::Delete, Some(image)) => changes.push(Change::DeleteImage {
            region: image.value.region,
            id: image.value.id,
            revision: image.revision,
        }),
        (Fate::Write, Some(image)) => changes.push(Change::UpdateImage(image)),
        _ => {}
    }
    changes
}

/// The time. The wire tells seconds; what is finer keeps the order of what was made within one.
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

/// A file in the spool folder that goes when its work ends, however it ends.
#[derive(Debug)]
pub(super) struct Spooled(PathBuf);

impl Spooled {
    /// Where it is.
    pub(super) fn path(&self) -> &std::path::Path {
        &self.0
    }

    /// Make it, empty.
    pub(super) fn create(&self) -> std::result::Result<fs::File, Fault> {
        let options =
            fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&self.0);
        options.map_err(|error| Fault::file(&format!("the file {}", self.0.display()), &error))
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        // It is not there where its work did not come to make it, and is cleared at the next start.
        let _ = fs::remove_file(&self.0);
    }
}

/// Run blocking work on its own thread.
pub(super) fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> std::result::Result<T, Stop> + Send + 'static,
) -> JoinHandle<std::result::Result<T, Stop>> {
    tokio::task::spawn_blocking(work)
}
