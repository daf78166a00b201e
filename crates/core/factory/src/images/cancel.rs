//! Asking for the end of a task.

use kiln_model::TaskAction;

use super::work::{Fate, Inner};
use super::{Images, Refusal, Result};

impl Images {
    /// Ask for the end of an import or an export. It ends within moments: its image, or what was
    /// written of its objects, goes.
    ///
    /// # Errors
    ///
    /// [`Refusal::TaskNotFound`] also for tasks of others and for copies; [`Refusal::Ended`].
    pub async fn cancel_task(&self, owner: &str, region: &str, task: &str) -> Result<()> {
        let found = self.inner.records.task(task).await?.map(|found| found.value);
        let is_theirs = found.is_some_and(|found| {
            found.owner == owner && found.region == region && found.action != TaskAction::CopyImage
        });
        if !is_theirs {
            return Err(Refusal::TaskNotFound { task: task.to_owned() });
        }
        self.inner.ask_for_end(task).await
    }
}

impl Inner {
    /// Mark a task as cancelled, unless it has ended.
    pub(super) async fn ask_for_end(&self, task: &str) -> Result<()> {
        let task = self
            .change(task, |task, _| {
                if task.status.is_final() {
                    return Fate::Untouched;
                }
                task.is_cancelled = true;
                Fate::Write
            })
            .await?;
        // A task that ended is told by its being final: `change` did not touch it then.
        if task.status.is_final() { Err(Refusal::Ended) } else { Ok(()) }
    }
}
