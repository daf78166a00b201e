//! Events, statuses and values of an orchestration: what is read of them, and how they are written.

use std::collections::HashMap;

use duroxide::providers::KvEntry;
use duroxide::{Event, EventKind, SystemStats};
use sqlx::{AnyConnection, Row};

use super::{Journal, Trouble, int, json, now, uint};
use crate::StoreError;

impl Journal {
    /// The events of one execution, in order.
    pub(super) async fn events(
        &self,
        instance: &str,
        execution: u64,
    ) -> Result<Vec<Event>, Trouble> {
        let mut connection = self.database.pool().acquire().await?;
        events(&mut connection, instance, int(execution)).await
    }

    pub(super) async fn latest_events(&self, instance: &str) -> Result<Vec<Event>, Trouble> {
        let execution = self.latest_execution(instance).await?;
        self.events(instance, execution).await
    }

    /// The newest execution; 1 where there is none yet.
    pub(super) async fn latest_execution(&self, instance: &str) -> Result<u64, Trouble> {
        let newest: i64 = sqlx::query_scalar(
            "SELECT COALESCE(MAX(execution), 1) FROM journal_executions WHERE instance = $1",
        )
        .bind(instance.to_owned())
        .fetch_one(self.database.pool())
        .await?;
        Ok(uint(newest))
    }

    pub(super) async fn append(
        &self,
        instance: &str,
        execution: u64,
        new: &[Event],
    ) -> Result<(), Trouble> {
        let mut writer = self.database.begin().await?;
        append(&mut writer, instance, int(execution), new).await?;
        Ok(writer.commit().await?)
    }

    pub(super) async fn custom_status(
        &self,
        instance: &str,
        seen: u64,
    ) -> Result<Option<(Option<String>, u64)>, Trouble> {
        let row = sqlx::query(
            "SELECT custom_status, custom_status_version FROM journal_instances \
             WHERE instance = $1 AND custom_status_version > $2",
        )
        .bind(instance.to_owned())
        .bind(int(seen))
        .fetch_optional(self.database.pool())
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some((row.try_get(0)?, uint(row.try_get(1)?))))
    }

    /// The values as they stand now: the finished executions', changed by the current one.
    pub(super) async fn values(&self, instance: &str) -> Result<HashMap<String, String>, Trouble> {
        let rows = sqlx::query(
            "SELECT v.name, v.value FROM journal_values v WHERE v.instance = $1 AND NOT EXISTS \
             (SELECT 1 FROM journal_changes c WHERE c.instance = v.instance AND c.name = v.name) \
             UNION ALL SELECT name, value FROM journal_changes WHERE instance = $1 AND value IS NOT NULL",
        )
        .bind(instance.to_owned())
        .fetch_all(self.database.pool())
        .await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    pub(super) async fn stats(&self, instance: &str) -> Result<Option<SystemStats>, Trouble> {
        let execution: Option<i64> =
            sqlx::query_scalar("SELECT execution FROM journal_instances WHERE instance = $1")
                .bind(instance.to_owned())
                .fetch_optional(self.database.pool())
                .await?;
        let Some(execution) = execution else { return Ok(None) };
        let rows = sqlx::query(
            "SELECT data FROM journal_events WHERE instance = $1 AND execution = $2 ORDER BY event",
        )
        .bind(instance.to_owned())
        .bind(execution)
        .fetch_all(self.database.pool())
        .await?;
        let data = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
        let values = self.values(instance).await?;
        let pending = match data.first() {
            Some(first) => carried_forward(instance, first)?,
            None => 0,
        };
        Ok(Some(SystemStats {
            history_event_count: data.len() as u64,
            history_size_bytes: data.iter().map(|event| event.len() as u64).sum(),
            queue_pending_count: pending,
            kv_user_key_count: values.len() as u64,
            kv_total_value_bytes: values.values().map(|value| value.len() as u64).sum(),
        }))
    }
}

/// How many messages the execution was handed over by the one before it.
fn carried_forward(instance: &str, first: &str) -> Result<u64, Trouble> {
    match parse(instance, first)?.kind {
        EventKind::OrchestrationStarted { carry_forward_events: Some(events), .. } => {
            Ok(events.len() as u64)
        }
        _ => Ok(0),
    }
}

fn parse(instance: &str, data: &str) -> Result<Event, Trouble> {
    serde_json::from_str(data).map_err(|error| {
        let what = format!("journal_events, instance {instance}");
        StoreError::Corrupt { what, why: error.to_string() }.into()
    })
}

pub(super) async fn events(
    connection: &mut AnyConnection,
    instance: &str,
    execution: i64,
) -> Result<Vec<Event>, Trouble> {
    let rows = sqlx::query(
        "SELECT data FROM journal_events WHERE instance = $1 AND execution = $2 ORDER BY event",
    )
    .bind(instance.to_owned())
    .bind(execution)
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| parse(instance, &row.try_get::<String, _>(0)?)).collect()
}

/// Append `new`. An event whose number is taken is refused, and with it all of the transaction.
pub(super) async fn append(
    connection: &mut AnyConnection,
    instance: &str,
    execution: i64,
    new: &[Event],
) -> Result<(), Trouble> {
    for event in new {
        if event.event_id() == 0 {
            return Err(Trouble::refused("an event without a number"));
        }
        sqlx::query(
            "INSERT INTO journal_events (instance, execution, event, data) VALUES ($1, $2, $3, $4)",
        )
        .bind(instance.to_owned())
        .bind(execution)
        .bind(int(event.event_id()))
        .bind(json(event)?)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Write down what `new` says about the custom status and the values.
pub(super) async fn note(
    connection: &mut AnyConnection,
    instance: &str,
    new: &[Event],
) -> Result<(), Trouble> {
    for event in new {
        match &event.kind {
            EventKind::KeyValueSet { key, value, last_updated_at_ms } => {
                change(connection, instance, key, Some(value), int(*last_updated_at_ms)).await?;
            }
            EventKind::KeyValueCleared { key } => {
                change(connection, instance, key, None, now()).await?;
            }
            EventKind::KeyValuesCleared => clear(connection, instance).await?,
            _ => {}
        }
    }
    let status = new.iter().rev().find_map(|event| match &event.kind {
        EventKind::CustomStatusUpdated { status } => Some(status.clone()),
        _ => None,
    });
    if let Some(status) = status {
        sqlx::query(
            "UPDATE journal_instances SET custom_status = $1, \
             custom_status_version = custom_status_version + 1 WHERE instance = $2",
        )
        .bind(status)
        .bind(instance.to_owned())
        .execute(connection)
        .await?;
    }
    Ok(())
}

async fn change(
    connection: &mut AnyConnection,
    instance: &str,
    name: &str,
    value: Option<&String>,
    updated: i64,
) -> Result<(), Trouble> {
    sqlx::query(
        "INSERT INTO journal_changes (instance, name, value, updated) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (instance, name) DO UPDATE SET value = excluded.value, updated = excluded.updated",
    )
    .bind(instance.to_owned())
    .bind(name.to_owned())
    .bind(value.cloned())
    .bind(updated)
    .execute(connection)
    .await?;
    Ok(())
}

async fn clear(connection: &mut AnyConnection, instance: &str) -> Result<(), Trouble> {
    for statement in [
        "UPDATE journal_changes SET value = NULL, updated = $2 WHERE instance = $1",
        "INSERT INTO journal_changes (instance, name, value, updated) \
         SELECT v.instance, v.name, NULL, $2 FROM journal_values v WHERE v.instance = $1 AND NOT EXISTS \
         (SELECT 1 FROM journal_changes c WHERE c.instance = v.instance AND c.name = v.name)",
    ] {
        sqlx::query(statement)
            .bind(instance.to_owned())
            .bind(now())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// The execution is over: its changes become the values that the next one starts from.
pub(super) async fn settle(connection: &mut AnyConnection, instance: &str) -> Result<(), Trouble> {
    for statement in [
        "DELETE FROM journal_values WHERE instance = $1 AND name IN \
         (SELECT name FROM journal_changes WHERE instance = $1)",
        "INSERT INTO journal_values (instance, name, value, updated) \
         SELECT instance, name, value, updated FROM journal_changes \
         WHERE instance = $1 AND value IS NOT NULL",
        "DELETE FROM journal_changes WHERE instance = $1",
    ] {
        sqlx::query(statement).bind(instance.to_owned()).execute(&mut *connection).await?;
    }
    Ok(())
}

/// The values that the current execution started from.
pub(super) async fn snapshot(
    connection: &mut AnyConnection,
    instance: &str,
) -> Result<HashMap<String, KvEntry>, Trouble> {
    let rows = sqlx::query("SELECT name, value, updated FROM journal_values WHERE instance = $1")
        .bind(instance.to_owned())
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let entry =
                KvEntry { value: row.try_get(1)?, last_updated_at_ms: uint(row.try_get(2)?) };
            Ok((row.try_get(0)?, entry))
        })
        .collect()
}
