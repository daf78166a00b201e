//! Group commit: steps of many runs that come at the same time are written together.
//!
//! What a transaction costs is mostly the one wait for the disk at its end. While one transaction
//! is under way, further batches queue; all of them are the next transaction. Nobody waits for
//! company: a lone batch is written at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::{Batch, Executions};
use crate::StoreError;

/// Batches in one transaction at most.
const GROUP: usize = 256;

/// Batches that queue at most; who comes later waits to get in.
const QUEUE: usize = 1024;

/// Waits before a group is written again: what passes (a lock, a server that is started anew) is no
/// reason to give up what is under way.
const WAITS_MS: [u64; 6] = [50, 100, 200, 400, 800, 1600];

/// A batch, and who waits for what comes of it.
struct Waiting {
    batch: Batch,
    answer: oneshot::Sender<Result<bool, StoreError>>,
}

/// Writes batches in groups. Clones share the queue; the task behind it ends with the last one.
#[derive(Clone, Debug)]
pub struct Committer {
    queue: mpsc::Sender<Waiting>,
}

impl Committer {
    /// Start the task that writes. Within a runtime of tokio only.
    pub fn start(executions: Executions) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(work(executions, waiting));
        Self { queue }
    }

    /// Write a batch, as [`Executions::commit`] does. Batches are written in the order in which
    /// they came. A caller that goes away does not take back its batch.
    ///
    /// # Errors
    ///
    /// Those of [`Executions::commit`]. When the database is unavailable, all that were to be
    /// written together get the error; what is wrong with one batch is the matter of its caller.
    pub async fn commit(&self, batch: Batch) -> Result<bool, StoreError> {
        let (answer, outcome) = oneshot::channel();
        let waiting = Waiting { batch, answer };
        self.queue.send(waiting).await.map_err(|_| stopped())?;
        outcome.await.map_err(|_| stopped())?
    }
}

/// Only in a runtime that is shutting down.
fn stopped() -> StoreError {
    StoreError::Unavailable { source: "nobody writes executions any more".into() }
}

async fn work(executions: Executions, mut queue: mpsc::Receiver<Waiting>) {
    let mut group = Vec::new();
    while queue.recv_many(&mut group, GROUP).await > 0 {
        let (batches, answers): (Vec<Batch>, Vec<_>) =
            group.drain(..).map(|waiting| (waiting.batch, waiting.answer)).unzip();
        let outcomes = write(&executions, &batches).await;
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // Who went away does not want to know.
            let _ = answer.send(outcome);
        }
    }
}

/// One outcome for each batch.
async fn write(executions: &Executions, batches: &[Batch]) -> Vec<Result<bool, StoreError>> {
    let mut outcome = executions.commit(batches).await;
    for wait in WAITS_MS {
        if !matches!(outcome, Err(StoreError::Unavailable { .. })) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(wait)).await;
        outcome = executions.commit(batches).await;
    }
    match outcome {
        Ok(held) => held.into_iter().map(Ok).collect(),
        Err(StoreError::Unavailable { source }) => {
            let shared: Arc<dyn std::error::Error + Send + Sync> = source.into();
            let error = || StoreError::Unavailable { source: Box::new(shared.clone()) };
            batches.iter().map(|_| Err(error())).collect()
        }
        Err(error) if batches.len() < 2 => vec![Err(error)],
        // One of them is to blame; the others shall not suffer for it.
        Err(_) => {
            let mut outcomes = Vec::new();
            for batch in batches {
                let alone = executions.commit(std::slice::from_ref(batch)).await;
                outcomes.push(alone.map(|held| held == [true]));
            }
            outcomes
        }
    }
}
