//! Turns of orchestrations: one holder at a time takes an orchestration with all its messages, and
//! writes down in one transaction what came of them.

use std::time::Duration;

use duroxide::providers::{
    DispatcherCapabilityFilter, ExecutionMetadata, OrchestrationItem, ScheduledActivityIdentifier,
    WorkItem,
};
use duroxide::{Event, EventKind, INITIAL_EXECUTION_ID};
use sqlx::{AnyConnection, Row};

use super::{Journal, Taken, Trouble, after, history, int, now, uint};
use crate::Dialect;

/// The oldest message that is due, of an orchestration that nobody holds ($1) and that this engine
/// understands ($2..=$3). What an orchestration that never started was sent waits for its start,
/// and is in nobody's way meanwhile.
const CANDIDATE: &str = "SELECT q.instance FROM journal_messages q \
     LEFT JOIN journal_locks l ON l.instance = q.instance AND l.until > $1 \
     LEFT JOIN journal_instances i ON i.instance = q.instance \
     LEFT JOIN journal_executions e ON e.instance = i.instance AND e.execution = i.execution \
     WHERE q.visible <= $1 AND l.instance IS NULL AND (i.instance IS NOT NULL OR q.starts = 1) \
     AND (e.engine IS NULL OR (e.engine >= $2 AND e.engine <= $3)) \
     ORDER BY q.position LIMIT 1";

/// The version of an orchestration that was not told one.
const UNKNOWN: &str = "unknown";

/// What came of a turn.
pub(super) struct Turn {
    pub(super) execution: u64,
    pub(super) events: Vec<Event>,
    pub(super) work: Vec<WorkItem>,
    pub(super) messages: Vec<WorkItem>,
    pub(super) metadata: ExecutionMetadata,
    pub(super) cancelled: Vec<ScheduledActivityIdentifier>,
}

/// Who the orchestration is, as far as the tables know.
struct Identity {
    name: String,
    version: Option<String>,
    execution: i64,
    known: bool,
}

impl Journal {
    pub(super) async fn take_turn(
        &self,
        hold: Duration,
        filter: Option<&DispatcherCapabilityFilter>,
    ) -> Result<Taken<OrchestrationItem>, Trouble> {
        let Some((from, to)) = engines(filter) else { return Ok(None) };
        let due: Option<String> = sqlx::query_scalar(CANDIDATE)
            .bind(now())
            .bind(from)
            .bind(to)
            .fetch_optional(self.database.pool())
            .await?;
        // On PostgreSQL another one may take it between the look and the claim, which then fails.
        let Some(mut instance) = due else { return Ok(None) };
        let (now, held) = (now(), self.held());
        let mut writer = self.database.begin().await?;
        if self.database.dialect() == Dialect::Sqlite {
            let still: Option<String> = sqlx::query_scalar(CANDIDATE)
                .bind(now)
                .bind(from)
                .bind(to)
                .fetch_optional(&mut *writer)
                .await?;
            let Some(still) = still else { return Ok(None) };
            instance = still;
        }
        if !lock(&mut writer, &instance, &held, hold, now).await? {
            self.turns.notify_waiters();
            return Ok(None);
        }
        let (messages, attempts) = take_messages(&mut writer, &instance, &held, now).await?;
        let Some(identity) = identify(&mut writer, &instance, &messages).await? else {
            if !messages.is_empty()
                && messages.iter().all(|item| matches!(item, WorkItem::QueueMessage { .. }))
            {
                tracing::warn!(
                    instance,
                    "messages for an orchestration that never started are dropped"
                );
                release(&mut writer, &held).await?;
                writer.commit().await?;
            }
            return Ok(None);
        };
        let item = load(&mut writer, instance, identity, messages).await?;
        writer.commit().await?;
        Ok(Some((item, held, attempts)))
    }

    pub(super) async fn finish_turn(&self, held: &str, turn: &Turn) -> Result<(), Trouble> {
        let mut writer = self.database.begin().await?;
        let instance: Option<String> =
            sqlx::query_scalar("SELECT instance FROM journal_locks WHERE token = $1")
                .bind(held.to_owned())
                .fetch_optional(&mut *writer)
                .await?;
        // Deleting the lock first holds its row, so nobody takes over before this is through.
        let held_until_now =
            sqlx::query("DELETE FROM journal_locks WHERE token = $1 AND until > $2")
                .bind(held.to_owned())
                .bind(now())
                .execute(&mut *writer)
                .await?;
        let (Some(instance), 1..) = (instance, held_until_now.rows_affected()) else {
            // The engine's validation knows this refusal by its first words.
            let told = "Invalid lock token: the lock ran out, or the orchestration was deleted";
            return Err(Trouble::refused(told));
        };
        release(&mut writer, held).await?;
        record(&mut writer, &instance, int(turn.execution), &told(turn)).await?;
        history::append(&mut writer, &instance, int(turn.execution), &turn.events).await?;
        history::note(&mut writer, &instance, &turn.events).await?;
        if let Some("Completed" | "Failed" | "ContinuedAsNew") = turn.metadata.status.as_deref() {
            history::settle(&mut writer, &instance).await?;
        }
        for item in &turn.work {
            self.put_work(&mut writer, item).await?;
        }
        for activity in &turn.cancelled {
            cancel(&mut writer, activity).await?;
        }
        for item in &turn.messages {
            let visible = match item {
                WorkItem::TimerFired { fire_at_ms, .. } => int(*fire_at_ms),
                _ => now(),
            };
            self.put_message(&mut writer, item, visible).await?;
        }
        writer.commit().await?;
        if !turn.work.is_empty() {
            self.work.notify_waiters();
        }
        // Even without new messages: some may have come in while the orchestration was held.
        self.turns.notify_waiters();
        Ok(())
    }

    pub(super) async fn abandon_turn(
        &self,
        held: &str,
        delay: Option<Duration>,
        uncounted: bool,
    ) -> Result<(), Trouble> {
        let mut writer = self.database.begin().await?;
        let lock = sqlx::query("DELETE FROM journal_locks WHERE token = $1")
            .bind(held.to_owned())
            .execute(&mut *writer)
            .await?;
        if lock.rows_affected() == 0 {
            return Err(Trouble::refused("this token holds no orchestration"));
        }
        sqlx::query(
            "UPDATE journal_messages SET token = NULL, \
             visible = CASE WHEN visible > $1 THEN visible ELSE $1 END, \
             attempts = CASE WHEN attempts > $2 THEN attempts - $2 ELSE 0 END WHERE token = $3",
        )
        .bind(delay.map_or(0, after))
        .bind(i64::from(uncounted))
        .bind(held.to_owned())
        .execute(&mut *writer)
        .await?;
        writer.commit().await?;
        self.turns.notify_waiters();
        Ok(())
    }

    pub(super) async fn renew_turn(&self, held: &str, hold: Duration) -> Result<(), Trouble> {
        let mut writer = self.database.begin().await?;
        let renewed =
            sqlx::query("UPDATE journal_locks SET until = $1 WHERE token = $2 AND until > $3")
                .bind(after(hold))
                .bind(held.to_owned())
                .bind(now())
                .execute(&mut *writer)
                .await?;
        if renewed.rows_affected() == 0 {
            return Err(Trouble::refused("the lock ran out"));
        }
        Ok(writer.commit().await?)
    }
}

/// The engine versions asked for, as [`packed`] numbers. The engine asks for one range; nothing
/// asked for is everything, and no range is nothing.
fn engines(filter: Option<&DispatcherCapabilityFilter>) -> Option<(i64, i64)> {
    let Some(filter) = filter else { return Some((i64::MIN, i64::MAX)) };
    let range = filter.supported_duroxide_versions.first()?;
    let (from, to) = (&range.min, &range.max);
    Some((packed(from.major, from.minor, from.patch), packed(to.major, to.minor, to.patch)))
}

/// A version as a number of the same order, six decimal digits to each part.
fn packed(major: u64, minor: u64, patch: u64) -> i64 {
    let part = |number: u64, weight: i64| int(number.min(999_999)).saturating_mul(weight);
    part(major, 1_000_000_000_000)
        .saturating_add(part(minor, 1_000_000))
        .saturating_add(part(patch, 1))
}

async fn lock(
    connection: &mut AnyConnection,
    instance: &str,
    held: &str,
    hold: Duration,
    now: i64,
) -> Result<bool, Trouble> {
    let locked = sqlx::query(
        "INSERT INTO journal_locks (instance, token, until) VALUES ($1, $2, $3) \
         ON CONFLICT (instance) DO UPDATE SET token = excluded.token, until = excluded.until \
         WHERE journal_locks.until <= $4",
    )
    .bind(instance.to_owned())
    .bind(held.to_owned())
    .bind(after(hold))
    .bind(now)
    .execute(connection)
    .await?;
    Ok(locked.rows_affected() > 0)
}

/// Mark all due messages as taken, also those that a holder who ran out of time had marked; the
/// number is how often the most tried one was taken.
async fn take_messages(
    connection: &mut AnyConnection,
    instance: &str,
    held: &str,
    now: i64,
) -> Result<(Vec<WorkItem>, u32), Trouble> {
    sqlx::query(
        "UPDATE journal_messages SET token = $1, attempts = attempts + 1 \
         WHERE instance = $2 AND visible <= $3",
    )
    .bind(held.to_owned())
    .bind(instance.to_owned())
    .bind(now)
    .execute(&mut *connection)
    .await?;
    let rows = sqlx::query(
        "SELECT item, attempts FROM journal_messages WHERE token = $1 ORDER BY position",
    )
    .bind(held.to_owned())
    .fetch_all(connection)
    .await?;
    let (mut items, mut most) = (Vec::with_capacity(rows.len()), 0);
    for row in &rows {
        most = most.max(row.try_get::<i64, _>(1)?);
        match serde_json::from_str(&row.try_get::<String, _>(0)?) {
            Ok(item) => items.push(item),
            // One message that cannot be read must not stop the others for ever.
            Err(error) => tracing::error!(instance, %error, "a message is damaged, and is dropped"),
        }
    }
    Ok((items, u32::try_from(most).unwrap_or(u32::MAX)))
}

/// Who `instance` is, from the tables or else from the message that starts it.
async fn identify(
    connection: &mut AnyConnection,
    instance: &str,
    messages: &[WorkItem],
) -> Result<Option<Identity>, Trouble> {
    if messages.is_empty() {
        return Ok(None);
    }
    let row =
        sqlx::query("SELECT name, version, execution FROM journal_instances WHERE instance = $1")
            .bind(instance.to_owned())
            .fetch_optional(connection)
            .await?;
    if let Some(row) = row {
        let (name, version, execution) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        return Ok(Some(Identity { name, version, execution, known: true }));
    }
    Ok(messages.iter().find_map(|item| match item {
        WorkItem::StartOrchestration { orchestration, version, .. }
        | WorkItem::ContinueAsNew { orchestration, version, .. } => Some(Identity {
            name: orchestration.clone(),
            version: version.clone(),
            execution: int(INITIAL_EXECUTION_ID),
            known: false,
        }),
        _ => None,
    }))
}

async fn load(
    connection: &mut AnyConnection,
    instance: String,
    identity: Identity,
    messages: Vec<WorkItem>,
) -> Result<OrchestrationItem, Trouble> {
    let mut item = OrchestrationItem {
        orchestration_name: identity.name,
        execution_id: uint(identity.execution),
        version: identity.version.unwrap_or_else(|| UNKNOWN.into()),
        history: Vec::new(),
        messages,
        history_error: None,
        kv_snapshot: Default::default(),
        instance,
    };
    if identity.known {
        item.kv_snapshot = history::snapshot(connection, &item.instance).await?;
        match history::events(connection, &item.instance, identity.execution).await {
            Ok(events) => item.history = events,
            // The engine counts the attempts at what is damaged, and ends it.
            Err(Trouble::Store(error @ crate::StoreError::Corrupt { .. })) => {
                item.history_error = Some(error.to_string());
            }
            Err(other) => return Err(other),
        }
    }
    Ok(item)
}

/// What a turn says of its orchestration; its name, where that is not said, is that of the event
/// which started it.
fn told(turn: &Turn) -> ExecutionMetadata {
    let mut metadata = turn.metadata.clone();
    if metadata.orchestration_name.is_none() {
        let started = turn.events.iter().find_map(|event| match &event.kind {
            EventKind::OrchestrationStarted { name, version, .. } => Some((name, version)),
            _ => None,
        });
        if let Some((name, version)) = started {
            metadata.orchestration_name = Some(name.clone());
            metadata.orchestration_version.get_or_insert_with(|| version.clone());
        }
    }
    metadata
}

/// The messages of a turn and its lock are gone.
async fn release(connection: &mut AnyConnection, held: &str) -> Result<(), Trouble> {
    for statement in [
        "DELETE FROM journal_messages WHERE token = $1",
        "DELETE FROM journal_locks WHERE token = $1",
    ] {
        sqlx::query(statement).bind(held.to_owned()).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Write down what the engine says of the orchestration and of its execution.
async fn record(
    connection: &mut AnyConnection,
    instance: &str,
    execution: i64,
    metadata: &ExecutionMetadata,
) -> Result<(), Trouble> {
    let now = now();
    if let Some(name) = &metadata.orchestration_name {
        sqlx::query(
            "INSERT INTO journal_instances (instance, name, version, execution, parent, created, \
             updated, custom_status_version) VALUES ($1, $2, $3, $4, $5, $6, $6, 0) \
             ON CONFLICT (instance) DO UPDATE SET name = excluded.name, \
             version = COALESCE(excluded.version, journal_instances.version)",
        )
        .bind(instance.to_owned())
        .bind(name.clone())
        .bind(metadata.orchestration_version.clone())
        .bind(execution)
        .bind(metadata.parent_instance_id.clone())
        .bind(now)
        .execute(&mut *connection)
        .await?;
    }
    sqlx::query(
        "UPDATE journal_instances SET updated = $1, \
         execution = CASE WHEN execution < $2 THEN $2 ELSE execution END WHERE instance = $3",
    )
    .bind(now)
    .bind(execution)
    .bind(instance.to_owned())
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO journal_executions (instance, execution, status, started) \
         VALUES ($1, $2, 'Running', $3) ON CONFLICT (instance, execution) DO NOTHING",
    )
    .bind(instance.to_owned())
    .bind(execution)
    .bind(now)
    .execute(&mut *connection)
    .await?;
    record_execution(connection, instance, execution, metadata).await
}

async fn record_execution(
    connection: &mut AnyConnection,
    instance: &str,
    execution: i64,
    metadata: &ExecutionMetadata,
) -> Result<(), Trouble> {
    if let Some(engine) = &metadata.pinned_duroxide_version {
        sqlx::query(
            "UPDATE journal_executions SET engine = $1 WHERE instance = $2 AND execution = $3",
        )
        .bind(packed(engine.major, engine.minor, engine.patch))
        .bind(instance.to_owned())
        .bind(execution)
        .execute(&mut *connection)
        .await?;
    }
    if let Some(status) = &metadata.status {
        sqlx::query(
            "UPDATE journal_executions SET status = $1, output = $2, completed = $3 \
             WHERE instance = $4 AND execution = $5",
        )
        .bind(status.clone())
        .bind(metadata.output.clone())
        .bind(now())
        .bind(instance.to_owned())
        .bind(execution)
        .execute(connection)
        .await?;
    }
    Ok(())
}

/// Whoever works on the activity finds out when renewing its lock.
async fn cancel(
    connection: &mut AnyConnection,
    activity: &ScheduledActivityIdentifier,
) -> Result<(), Trouble> {
    sqlx::query(
        "DELETE FROM journal_work WHERE instance = $1 AND execution = $2 AND activity = $3",
    )
    .bind(activity.instance.clone())
    .bind(int(activity.execution_id))
    .bind(int(activity.activity_id))
    .execute(connection)
    .await?;
    Ok(())
}
