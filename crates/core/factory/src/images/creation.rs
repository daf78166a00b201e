//! How a task that makes an image ends, whether it imports or copies.

use kiln_model::{Detection, DetectionStatus, ImageStatus, TaskStatus};
use kiln_store::StoreError;

use super::fault::Outcome;
use super::work::{Fate, Inner, now};

/// End a task whose disks are all stored: from here on the image is there.
pub(super) async fn finish(inner: &Inner, task: &str) -> Result<Outcome, StoreError> {
    let task = inner
        .change(task, |task, image| {
            if task.status.is_final() || task.is_cancelled {
                return Fate::Untouched;
            }
            let Some(image) = image else { return Fate::Untouched };
            task.status = TaskStatus::Finished;
            task.finished = Some(now());
            image.status = ImageStatus::Available;
            image.progress = 100;
            image.task = None;
            if task.is_checked {
                image.detection = Some(Detection {
                    status: DetectionStatus::Processing,
                    items: Vec::new(),
                    fault: None,
                });
            }
            Fate::Write
        })
        .await?;
    Ok(if task.status == TaskStatus::Finished { Outcome::Done } else { Outcome::Cancelled })
}

/// End a task that did not go well. The record of a failed image stays, for its owner to see why;
/// that of a cancelled one goes.
pub(super) async fn abort(
    inner: &Inner,
    task: &str,
    outcome: &Outcome,
    step: usize,
) -> Result<(), StoreError> {
    inner
        .end(task, outcome, step, |task, image| {
            let Some(image) = image else { return Fate::Write };
            if task.status == TaskStatus::Cancelled {
                return Fate::Delete;
            }
            image.status = ImageStatus::CreateFailed;
            image.task = None;
            // The bytes that were stored are of no use: what no record names is collected.
            for disk in &mut image.disks {
                disk.blob = None;
                disk.is_stored = false;
            }
            Fate::Write
        })
        .await
        .map(|_| ())
}
