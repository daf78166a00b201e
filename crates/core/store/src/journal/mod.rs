//! The journal of the durable engine: what each orchestration did, and what is to be done next.
//!
//! This is storage only. Which step follows which is the engine's business; here, events are
//! appended, messages and work wait in two queues, and whoever takes something holds it for a time.
//! A holder that dies lets go by running out of time; a holder that is late finds that its token is
//! worth nothing any more and can change nothing.
//!
//! ```text
//! enqueue ─► messages ─ take_turn ─► [orchestration] ─ finish_turn ─┬─► events
//!               ▲                                                   ├─► messages
//!               └── ack ◄─ [activity] ◄─ take_work ◄── work ◄───────┘
//! ```
//!
//! Whoever waits is woken by what this process writes at once, and looks every [`POLL`] for what
//! became due and for what other processes wrote.

mod admin;
mod history;
mod turns;
mod work;

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use duroxide::providers::{
    DispatcherCapabilityFilter, ExecutionMetadata, OrchestrationItem, Provider, ProviderAdmin,
    ProviderError, ScheduledActivityIdentifier, SessionFetchConfig, TagFilter, WorkItem,
};
use duroxide::{Event, SystemStats};
use sqlx::{AnyConnection, AssertSqlSafe};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::{Database, StoreError};

/// How often a waiting dispatcher looks by itself.
const POLL: Duration = Duration::from_millis(200);

/// The engine's storage in a [`Database`].
#[derive(Debug)]
pub struct Journal {
    database: Database,
    /// Rung when messages for orchestrations may have come.
    turns: Notify,
    /// Rung when work for activities may have come.
    work: Notify,
    /// The last position given out in the queues.
    position: AtomicI64,
    /// What the tokens of this process begin with.
    node: String,
}

type Answer<T> = Result<T, ProviderError>;

/// What was taken from a queue: the thing, the token to hold it with, how often it was taken.
type Taken<T> = Option<(T, String, u32)>;

impl Journal {
    /// A journal in `database`, whose tables are there already.
    pub fn new(database: Database) -> Self {
        Self::of(database, token())
    }

    /// The journal of a process that its operator knows by a name, and that was killed perhaps: what
    /// it held then is let go at once, where others would have to wait until its time runs out.
    /// Nobody else may use the name at the same time.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written.
    pub async fn resume(database: Database, node: &str) -> Result<Self, StoreError> {
        let node = format!("{node}:");
        let mut writer = database.begin().await?;
        for table in ["journal_locks", "journal_work"] {
            let statement = format!(
                "UPDATE {table} SET until = 0 WHERE until > 0 AND substr(token, 1, {}) = $1",
                node.len()
            );
            sqlx::query(AssertSqlSafe(statement)).bind(node.clone()).execute(&mut *writer).await?;
        }
        writer.commit().await?;
        Ok(Self::of(database, node))
    }

    fn of(database: Database, node: String) -> Self {
        let (turns, work) = (Notify::new(), Notify::new());
        Self { database, turns, work, position: AtomicI64::new(0), node }
    }

    /// A token to hold something with, which nobody had before.
    fn held(&self) -> String {
        format!("{}{}", self.node, token())
    }

    /// A position behind all that this process gave out, and, as far as clocks agree, behind those
    /// of other processes: microseconds since 1970, never twice the same.
    fn next_position(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        let next = |last: i64| Some(now.max(last.saturating_add(1)));
        match self.position.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) {
            Ok(last) | Err(last) => now.max(last.saturating_add(1)),
        }
    }

    /// Try `take` until it brings something, for `patience` at most.
    async fn wait<T, F>(
        &self,
        bell: &Notify,
        patience: Duration,
        mut take: impl FnMut() -> F,
    ) -> Answer<Option<T>>
    where
        F: Future<Output = Answer<Option<T>>>,
    {
        let start = Instant::now();
        loop {
            // Listening starts before the look, or what comes between the two would be missed.
            let mut rung = std::pin::pin!(bell.notified());
            rung.as_mut().enable();
            if let Some(taken) = take().await? {
                return Ok(Some(taken));
            }
            let left = patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            let _ = tokio::time::timeout(left.min(POLL), rung).await;
        }
    }

    async fn put_message(
        &self,
        connection: &mut AnyConnection,
        item: &WorkItem,
        visible: i64,
    ) -> Result<(), Trouble> {
        let instance = addressee(item)?;
        // Messages for a queue count: they are dropped where nothing starts, by the engine's rule.
        let starts = matches!(
            item,
            WorkItem::StartOrchestration { .. }
                | WorkItem::ContinueAsNew { .. }
                | WorkItem::QueueMessage { .. }
        );
        sqlx::query(
            "INSERT INTO journal_messages (id, position, instance, item, starts, visible, attempts) \
             VALUES ($1, $2, $3, $4, $5, $6, 0)",
        )
        .bind(token())
        .bind(self.next_position())
        .bind(instance.to_owned())
        .bind(json(item)?)
        .bind(i64::from(starts))
        .bind(visible)
        .execute(connection)
        .await?;
        Ok(())
    }

    async fn enqueue_message(
        &self,
        item: &WorkItem,
        delay: Option<Duration>,
    ) -> Result<(), Trouble> {
        let mut writer = self.database.begin().await?;
        self.put_message(&mut writer, item, after(delay.unwrap_or_default())).await?;
        writer.commit().await?;
        self.turns.notify_waiters();
        Ok(())
    }
}

/// What goes wrong inside, before it gets the name of the operation.
#[derive(Debug)]
enum Trouble {
    Store(StoreError),
    /// The token is not, or no longer, worth anything; or what was asked for is not there.
    Refused(String),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Trouble {
    fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }
}

/// Names the operation of an error, and tells the engine whether to try again.
trait During<T> {
    fn during(self, operation: &'static str) -> Answer<T>;
}

impl<T> During<T> for Result<T, Trouble> {
    fn during(self, operation: &'static str) -> Answer<T> {
        self.map_err(|trouble| match trouble {
            Trouble::Refused(why) => ProviderError::permanent(operation, why),
            Trouble::Store(error) if error.is_transient() => {
                ProviderError::retryable(operation, error.to_string())
            }
            Trouble::Store(error) => ProviderError::permanent(operation, error.to_string()),
        })
    }
}

/// Milliseconds since 1970.
fn now() -> i64 {
    after(Duration::ZERO)
}

fn after(delay: Duration) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.saturating_add(delay).as_millis()).unwrap_or(i64::MAX)
}

fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Numbers of the tables are never negative; one that is counts as none.
fn uint(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn token() -> String {
    uuid::Uuid::new_v4().to_string()
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, Trouble> {
    serde_json::to_string(value)
        .map_err(|error| Trouble::refused(format!("cannot be written: {error}")))
}

/// The orchestration that `item` is for.
fn addressee(item: &WorkItem) -> Result<&str, Trouble> {
    match item {
        WorkItem::StartOrchestration { instance, .. }
        | WorkItem::ActivityCompleted { instance, .. }
        | WorkItem::ActivityFailed { instance, .. }
        | WorkItem::TimerFired { instance, .. }
        | WorkItem::ExternalRaised { instance, .. }
        | WorkItem::QueueMessage { instance, .. }
        | WorkItem::CancelInstance { instance, .. }
        | WorkItem::ContinueAsNew { instance, .. } => Ok(instance),
        WorkItem::SubOrchCompleted { parent_instance, .. }
        | WorkItem::SubOrchFailed { parent_instance, .. } => Ok(parent_instance),
        _ => Err(Trouble::refused("work for an activity is not a message for an orchestration")),
    }
}

#[async_trait::async_trait]
impl Provider for Journal {
    fn name(&self) -> &str {
        "kiln"
    }

    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    async fn fetch_orchestration_item(
        &self,
        lock_timeout: Duration,
        poll_timeout: Duration,
        filter: Option<&DispatcherCapabilityFilter>,
    ) -> Answer<Taken<OrchestrationItem>> {
        self.wait(&self.turns, poll_timeout, || async {
            self.take_turn(lock_timeout, filter).await.during("fetch_orchestration_item")
        })
        .await
    }

    async fn ack_orchestration_item(
        &self,
        lock_token: &str,
        execution_id: u64,
        history_delta: Vec<Event>,
        worker_items: Vec<WorkItem>,
        orchestrator_items: Vec<WorkItem>,
        metadata: ExecutionMetadata,
        cancelled_activities: Vec<ScheduledActivityIdentifier>,
    ) -> Answer<()> {
        let turn = turns::Turn {
            execution: execution_id,
            events: history_delta,
            work: worker_items,
            messages: orchestrator_items,
            metadata,
            cancelled: cancelled_activities,
        };
        self.finish_turn(lock_token, &turn).await.during("ack_orchestration_item")
    }

    async fn abandon_orchestration_item(
        &self,
        lock_token: &str,
        delay: Option<Duration>,
        ignore_attempt: bool,
    ) -> Answer<()> {
        self.abandon_turn(lock_token, delay, ignore_attempt)
            .await
            .during("abandon_orchestration_item")
    }

    async fn read(&self, instance: &str) -> Answer<Vec<Event>> {
        self.latest_events(instance).await.during("read")
    }

    async fn read_with_execution(&self, instance: &str, execution_id: u64) -> Answer<Vec<Event>> {
        self.events(instance, execution_id).await.during("read_with_execution")
    }

    async fn append_with_execution(
        &self,
        instance: &str,
        execution_id: u64,
        new_events: Vec<Event>,
    ) -> Answer<()> {
        self.append(instance, execution_id, &new_events).await.during("append_with_execution")
    }

    async fn enqueue_for_worker(&self, item: WorkItem) -> Answer<()> {
        self.enqueue_work(&item).await.during("enqueue_for_worker")
    }

    async fn fetch_work_item(
        &self,
        lock_timeout: Duration,
        poll_timeout: Duration,
        session: Option<&SessionFetchConfig>,
        tag_filter: &TagFilter,
    ) -> Answer<Taken<WorkItem>> {
        self.wait(&self.work, poll_timeout, || async {
            self.take_work(lock_timeout, session, tag_filter).await.during("fetch_work_item")
        })
        .await
    }

    async fn ack_work_item(&self, token: &str, completion: Option<WorkItem>) -> Answer<()> {
        self.finish_work(token, completion.as_ref()).await.during("ack_work_item")
    }

    async fn renew_work_item_lock(&self, token: &str, extend_for: Duration) -> Answer<()> {
        self.renew_work(token, extend_for).await.during("renew_work_item_lock")
    }

    async fn renew_session_lock(
        &self,
        owner_ids: &[&str],
        extend_for: Duration,
        idle_timeout: Duration,
    ) -> Answer<usize> {
        self.renew_sessions(owner_ids, extend_for, idle_timeout).await.during("renew_session_lock")
    }

    async fn cleanup_orphaned_sessions(&self, _idle_timeout: Duration) -> Answer<usize> {
        self.forget_sessions().await.during("cleanup_orphaned_sessions")
    }

    async fn abandon_work_item(
        &self,
        token: &str,
        delay: Option<Duration>,
        ignore_attempt: bool,
    ) -> Answer<()> {
        self.abandon_work(token, delay, ignore_attempt).await.during("abandon_work_item")
    }

    async fn renew_orchestration_item_lock(&self, token: &str, extend_for: Duration) -> Answer<()> {
        self.renew_turn(token, extend_for).await.during("renew_orchestration_item_lock")
    }

    async fn enqueue_for_orchestrator(
        &self,
        item: WorkItem,
        delay: Option<Duration>,
    ) -> Answer<()> {
        self.enqueue_message(&item, delay).await.during("enqueue_for_orchestrator")
    }

    fn as_management_capability(&self) -> Option<&dyn ProviderAdmin> {
        Some(self)
    }

    async fn get_custom_status(
        &self,
        instance: &str,
        last_seen_version: u64,
    ) -> Answer<Option<(Option<String>, u64)>> {
        self.custom_status(instance, last_seen_version).await.during("get_custom_status")
    }

    async fn get_kv_value(&self, instance: &str, key: &str) -> Answer<Option<String>> {
        let mut values = self.values(instance).await.during("get_kv_value")?;
        Ok(values.remove(key))
    }

    async fn get_kv_all_values(&self, instance: &str) -> Answer<HashMap<String, String>> {
        self.values(instance).await.during("get_kv_all_values")
    }

    async fn get_instance_stats(&self, instance: &str) -> Answer<Option<SystemStats>> {
        self.stats(instance).await.during("get_instance_stats")
    }
}
