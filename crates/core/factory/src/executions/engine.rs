//! Who works on an execution and when: an orchestration of the durable engine for each root that
//! rests.
//!
//! A new execution is driven at once, in the process that was asked for it, and most are over before
//! the engine hears of them: the lease and the records say all that the next process needs. One that
//! has nothing to do for a while gets an orchestration. That waits for exactly what the execution
//! waits for, a time or a decision, so that an execution that rests costs nothing but a row; then it
//! asks for the execution to be driven, and is told how the driving stopped.
//!
//! ```text
//! begin ──► driver in this process ──► it rests: how it stopped ──► orchestration
//!             ▲                                                       │ timer, decision, watchdog
//!             └── hand over ◄── activity "execution-drive" ◄──────────┘
//! ```
//!
//! The activity only hands the execution over and returns: an execution that waits for calls takes
//! a task of the asynchronous runtime and none of the engine's workers, so thousands may wait at a
//! time, and imports of images, which have workers of their own, do not notice. The activity's two
//! workers are those of a second runtime, told apart by a tag. A process that dies takes its
//! drivers with it; the orchestration notices by its watchdog and asks again, in whatever process
//! comes first. Where there is none yet, [`Engine::resume`] finds that nobody holds the execution.
//! Until the lease of the dead process has run out, whoever asks is told that somebody drives it.
//!
//! An orchestration that is over is deleted by the next [`Engine::tidy`], and not where it ends: what
//! decides is what the database says of its execution, whoever was killed in between.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use duroxide::providers::{Provider, TagFilter};
use duroxide::runtime::registry::ActivityRegistry;
use duroxide::runtime::{Runtime, RuntimeOptions};
use duroxide::{Client, Either2, OrchestrationContext, OrchestrationRegistry, OrchestrationStatus};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::driver::Drive;
use super::service::{Executions, Held};
use super::{Failure, Result};

/// The orchestration, the activity, the tag of its workers, the mailbox.
const ORCHESTRATION: &str = "execution";
const ACTIVITY: &str = "execution-drive";
const TAG: &str = "execution";
const MAILBOX: &str = "wake";

/// Workers of the activity: it returns at once.
const N_WORKERS: usize = 2;

/// Executions that are driven in one process at a time; those above it wait for their turn.
const MAX_DRIVEN: usize = 10_000;

/// How long an orchestration trusts that the driver is alive.
const WATCHDOG: Duration = Duration::from_secs(60);

/// The wait where there was no turn, or somebody else drives.
const AGAIN: Duration = Duration::from_secs(5);

/// The longest timer; a later time is looked at again then.
const MAX_TIMER: Duration = Duration::from_secs(86_400);

/// How long a driver that failed is left alone.
const AFTER_FAILURE: Duration = Duration::from_secs(30);

/// A message in the mailbox, or what the activity answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Word {
    /// A driver has it.
    Handed,
    /// It is over.
    Over,
    /// Nothing happens before this time, unless somebody decides something.
    Until(Timestamp),
    /// Nothing happens until somebody decides something.
    Waits,
    /// Ask again a little later.
    Later,
    /// The driver failed.
    Failed,
    /// Somebody decided something.
    Decided,
}

/// What the orchestration does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    End,
    Ask,
    /// Wait for a message, for this long at most.
    Wait(Duration),
}

impl Word {
    fn read(text: &str) -> Self {
        // A message of another version of kiln is a reason to look.
        serde_json::from_str(text).unwrap_or(Self::Decided)
    }

    fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What follows from a message, told at `now`.
    fn next(&self, now: Timestamp) -> Next {
        match self {
            Self::Over => Next::End,
            Self::Decided => Next::Ask,
            Self::Handed => Next::Wait(WATCHDOG),
            // A word that was lost, or came too late, is found out then.
            Self::Waits => Next::Wait(MAX_TIMER),
            Self::Later => Next::Wait(AGAIN),
            Self::Failed => Next::Wait(AFTER_FAILURE),
            Self::Until(at) => {
                let left = Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO);
                Next::Wait(left.min(MAX_TIMER))
            }
        }
    }
}

/// What an orchestration begins with, as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    root: String,
    /// How the last driver stopped.
    word: Word,
}

impl Order {
    fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The orchestration, for the runtime that runs those of images.
pub(crate) fn orchestrations() -> OrchestrationRegistry {
    let run = |context: OrchestrationContext, order: String| async move {
        let Order { root, mut word } =
            serde_json::from_str(&order).map_err(|error| format!("the order: {error}"))?;
        loop {
            let now = context.utc_now().await?;
            let now = Timestamp::try_from(now).map_err(|error| error.to_string())?;
            let limit = match word.next(now) {
                Next::End => return Ok(String::new()),
                Next::Ask => {
                    let asked = context.schedule_activity(ACTIVITY, root.clone()).with_tag(TAG);
                    let word = asked.await.map_or(Word::Later, |text| Word::read(&text));
                    // The history begins anew, or that of a trigger would grow for years.
                    return context.continue_as_new(Order { root, word }.text()).await;
                }
                Next::Wait(limit) => limit,
            };
            let message = context.dequeue_event(MAILBOX);
            word = match context.select2(message, context.schedule_timer(limit)).await {
                Either2::First(text) => Word::read(&text),
                Either2::Second(()) => Word::Decided,
            };
        }
    };
    OrchestrationRegistry::builder().register(ORCHESTRATION, run).build()
}

/// Begins and wakes executions, and drives in this process what the engine hands to it.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Hands>,
    runtime: Arc<Runtime>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("executions", &self.inner.executions).finish_non_exhaustive()
    }
}

struct Hands {
    executions: Executions,
    journal: Arc<dyn Provider>,
    client: Client,
    /// The roots that are driven here, each with whether its driver is to look again at its end.
    driven: Mutex<BTreeMap<String, bool>>,
}

impl Engine {
    /// Start to drive, and go on with all that was recorded and has not ended. The orchestrations
    /// run in the runtime of [`Images`](crate::images::Images) on the same journal.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn start(executions: Executions, journal: Arc<dyn Provider>) -> Result<Self> {
        let inner = Arc::new(Hands {
            executions,
            client: Client::new(Arc::clone(&journal)),
            journal: Arc::clone(&journal),
            driven: Mutex::default(),
        });
        let hands = Arc::clone(&inner);
        let activities = ActivityRegistry::builder()
            .register(ACTIVITY, move |_, root: String| {
                let hands = Arc::clone(&hands);
                async move { Ok(hands.hand_over(&root, None).text()) }
            })
            .build();
        let options = RuntimeOptions {
            dispatcher_min_poll_interval: Duration::from_millis(10),
            orchestration_concurrency: 0,
            worker_concurrency: N_WORKERS,
            worker_tag_filter: TagFilter::tags([TAG]),
            max_attempts: u32::MAX,
            ..RuntimeOptions::default()
        };
        let none = OrchestrationRegistry::builder().build();
        let runtime = Runtime::start_with_options(journal, activities, none, options).await;
        let engine = Self { inner, runtime };
        for root in engine.inner.executions.take_orphans() {
            engine.inner.hand_over(&root, None);
        }
        engine.resume().await?;
        Ok(engine)
    }

    /// Drive a new execution in this process. Where too much is driven already, that begins with
    /// the next round of [`Engine::resume`].
    pub fn begin(&self, held: Held) {
        let root = held.run.root().id.clone();
        self.inner.hand_over(&root, Some(held));
    }

    /// Somebody decided something about an execution that may rest. It is driven here at once; the
    /// message is for the case that this process ends before it has taken the decision in.
    pub async fn wake(&self, root: &str) {
        self.inner.hand_over(root, None);
        if let Err(error) = self.inner.tell(root, Word::Decided).await {
            tracing::warn!(execution = root, %error, "the orchestration is not told");
        }
    }

    /// Drive what nobody drives and no orchestration waits for, and what was left word that nobody
    /// took in: the message about it may have been lost.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn resume(&self) -> Result<()> {
        let executions = &self.inner.executions;
        for root in executions.records().unheld(executions.owner()).await? {
            // What is driven here looks for its mail by itself.
            if !self.inner.driven().contains_key(&root) {
                self.inner.hand_over(&root, None);
            }
        }
        Ok(())
    }

    /// Delete orchestrations that were over `age` ago and whose executions have ended, or are gone. One
    /// whose execution has not ended stays: it is what went wrong. Returns how many went.
    ///
    /// `age` leaves time for messages that are under way, which would lie in the journal for ever.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written.
    pub async fn tidy(&self, age: Duration) -> Result<usize> {
        /// Of one transaction, which others wait for.
        const AT_ONCE: u32 = 100;
        let wrong =
            |error: &dyn std::fmt::Debug| Failure::Records(format!("the journal: {error:?}"));
        let Some(journal) = self.inner.journal.as_management_capability() else { return Ok(0) };
        let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        let before_ms = Timestamp::now().as_millisecond().saturating_sub(age_ms);
        let records = self.inner.executions.records();
        let mut n_gone = 0_usize;
        loop {
            let spent = records.spent_orchestrations(ORCHESTRATION, before_ms, AT_ONCE).await?;
            if spent.is_empty() {
                return Ok(n_gone);
            }
            let gone = journal.delete_instances_atomic(&spent, false).await;
            gone.map_err(|error| wrong(&error))?;
            n_gone = n_gone.saturating_add(spent.len());
        }
    }

    /// Stop taking up work. What is driven goes on with the next start.
    pub async fn shutdown(&self, grace: Duration) {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        Arc::clone(&self.runtime).shutdown(Some(grace_ms)).await;
    }
}

impl Hands {
    /// Drive an execution in a task of its own. Where one does already, it is told to look again
    /// before it stops: two of one process would take the lease from each other. `held`: this
    /// process holds it already.
    fn hand_over(self: &Arc<Self>, root: &str, held: Option<Held>) -> Word {
        let mut driven = self.driven();
        if let Some(looks_again) = driven.get_mut(root) {
            *looks_again = true;
            return Word::Handed;
        }
        if driven.len() >= MAX_DRIVEN {
            return Word::Later;
        }
        driven.insert(root.to_owned(), false);
        tokio::spawn(drive(Turn::new(self, root), held));
        Word::Handed
    }

    fn driven(&self) -> MutexGuard<'_, BTreeMap<String, bool>> {
        self.driven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn status(&self, root: &str) -> Result<OrchestrationStatus> {
        let status = self.client.get_orchestration_status(root).await;
        status.map_err(|error| Failure::Records(format!("the journal: {error:?}")))
    }

    /// Tell the orchestration of an execution, which begins with it where there is none and
    /// something is to be waited for.
    async fn tell(&self, root: &str, word: Word) -> Result<()> {
        let told = match (self.status(root).await?, &word) {
            (OrchestrationStatus::Running { .. }, _) => {
                self.client.enqueue_event(root, MAILBOX, word.text()).await
            }
            (
                OrchestrationStatus::NotFound,
                Word::Until(_) | Word::Waits | Word::Later | Word::Failed,
            ) => {
                let order = Order { root: root.to_owned(), word };
                self.client.start_orchestration(root, ORCHESTRATION, order.text()).await
            }
            _ => Ok(()),
        };
        told.map_err(|error| Failure::Records(format!("the journal: {error}")))
    }

    /// Tell the orchestration of an execution, and try again where that fails. In the end its timer
    /// asks again, or the next round where there is none.
    async fn tell_again(&self, root: &str, word: Word) {
        for attempt in 1..=5_u32 {
            match self.tell(root, word.clone()).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(execution = root, attempt, %error, "the engine is not told");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    /// Drive an execution until this process has nothing to do for it.
    async fn driven_to(&self, root: &str, held: Option<Held>) -> Result<Drive> {
        let held = match held {
            Some(held) => Some(held),
            None => self.executions.hold(root).await?,
        };
        match held {
            Some(held) => self.executions.drive(held, false, None).await,
            None => Ok(Drive::Elsewhere),
        }
    }

    async fn word_of(&self, root: &str, driven: Result<Drive>) -> Word {
        match driven {
            Ok(Drive::Over) => Word::Over,
            Ok(Drive::Until(at)) => Word::Until(at),
            Ok(Drive::Waits) => Word::Waits,
            // Also where the execution was deleted.
            Ok(Drive::Elsewhere) => match self.executions.is_recorded(root).await {
                Ok(false) => Word::Over,
                _ => Word::Later,
            },
            Err(error) => {
                let told = &error as &dyn std::error::Error;
                tracing::error!(execution = root, error = told, "an execution cannot be driven");
                Word::Failed
            }
        }
    }
}

/// A root that is driven here, until this is dropped.
struct Turn {
    hands: Arc<Hands>,
    root: String,
    is_over: bool,
}

impl Turn {
    fn new(hands: &Arc<Hands>, root: &str) -> Self {
        Self { hands: Arc::clone(hands), root: root.to_owned(), is_over: false }
    }

    /// End it, unless somebody asked for another look since the last one. From its end on, the
    /// place in the list may be that of the next driver.
    fn ends(&mut self) -> bool {
        let mut driven = self.hands.driven();
        match driven.get_mut(&self.root) {
            Some(looks_again) if *looks_again => *looks_again = false,
            _ => {
                driven.remove(&self.root);
                self.is_over = true;
            }
        }
        self.is_over
    }
}

impl Drop for Turn {
    /// Also where the driver panicked.
    fn drop(&mut self) {
        if !self.is_over {
            self.hands.driven().remove(&self.root);
        }
    }
}

async fn drive(mut turn: Turn, mut held: Option<Held>) {
    let (hands, root) = (Arc::clone(&turn.hands), turn.root.clone());
    loop {
        let driven = hands.driven_to(&root, held.take()).await;
        let word = hands.word_of(&root, driven).await;
        // Told before the turn ends: the word of the next driver comes behind this one's.
        hands.tell_again(&root, word).await;
        if turn.ends() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_leads_to_its_wait() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let second = Timestamp::from_second(1_000_001).unwrap();
        for (word, next) in [
            (Word::Over, Next::End),
            (Word::Decided, Next::Ask),
            (Word::Waits, Next::Wait(MAX_TIMER)),
            (Word::Until(second), Next::Wait(Duration::from_secs(1))),
            (Word::Until(Timestamp::MIN), Next::Wait(Duration::ZERO)),
            (Word::Until(Timestamp::MAX), Next::Wait(MAX_TIMER)),
        ] {
            assert_eq!(Word::read(&word.text()), word);
            assert_eq!(word.next(now), next, "{word:?}");
        }
        assert_eq!(Word::read("of another version"), Word::Decided);
    }
}
