//! What is changed about executions from outside of their runs, and what goes.

use std::collections::BTreeMap;

use sqlx::{AnyConnection, AssertSqlSafe};

use super::{Executions, commit, now};
use crate::once::{self, Once};
use crate::records::{Token, TokenKey};
use crate::rows::{Value, chunks, numbers, statement};
use crate::{StoreError, tags};

/// The tables that have rows of a run, whose row in `oos_runs` is locked or gone.
const OF_RUNS: &[&str] =
    &["oos_executions", "oos_tasks", "oos_logs", "oos_inbox", "oos_run_texts", "oos_runs"];

/// What a request changes about an execution; `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutionChange {
    /// Free text.
    pub description: Option<String>,
    /// Resource group; empty: none.
    pub resource_group: Option<String>,
    /// All of its tags.
    pub tags: Option<BTreeMap<String, String>>,
}

impl Executions {
    /// Change what a commit of the run leaves alone. With a client token, a repeated request does
    /// nothing and gets the first answer.
    ///
    /// # Errors
    ///
    /// `NotFound` where the account has no such execution, `Unavailable`, `Refused`.
    pub async fn update(
        &self,
        account: &str,
        id: &str,
        change: &ExecutionChange,
        token: Option<&(TokenKey, Token)>,
    ) -> Result<Once<()>, StoreError> {
        let mut writer = self.database.begin().await?;
        if !once::claim(&mut writer, token).await? {
            return once::recall(&self.database, writer, token).await;
        }
        // COALESCE would do with NULL, which no other statement needs.
        let done = sqlx::query(
            "UPDATE oos_executions \
             SET description = CASE WHEN $3 = 1 THEN $4 ELSE description END, \
             resource_group = CASE WHEN $5 = 1 THEN $6 ELSE resource_group END \
             WHERE account = $1 AND id = $2",
        )
        .bind(account)
        .bind(id)
        .bind(i64::from(change.description.is_some()))
        .bind(change.description.as_deref().unwrap_or_default())
        .bind(i64::from(change.resource_group.is_some()))
        .bind(change.resource_group.as_deref().unwrap_or_default())
        .execute(&mut *writer)
        .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::NotFound { what: format!("execution {id}") });
        }
        if let Some(tags) = &change.tags {
            tags::replace(&mut writer, account, tags::Kind::Execution, id, tags).await?;
        }
        writer.commit().await?;
        Ok(Once::Done(()))
    }

    /// The runs that have not ended, that nobody but `owner` holds, and that no orchestration of the
    /// journal in this database waits for, or that have something in their inbox all the same; oldest
    /// first.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn unheld(&self, owner: &str) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT e.id FROM oos_executions e JOIN oos_runs r ON r.root = e.id \
             WHERE e.depth = 0 AND e.ended = 0 AND (r.until <= $1 OR r.owner = $2) \
             AND (EXISTS (SELECT 1 FROM oos_inbox b WHERE b.root = e.id) OR NOT EXISTS \
             (SELECT 1 FROM journal_instances i JOIN journal_executions x \
             ON x.instance = i.instance AND x.execution = i.execution \
             WHERE i.instance = e.id AND x.status = 'Running')) \
             ORDER BY e.created, e.id",
        )
        .bind(now())
        .bind(owner)
        .fetch_all(self.database.pool())
        .await?)
    }

    /// How many runs of an account have not ended.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn count_running(&self, account: &str) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM oos_executions WHERE depth = 0 AND ended = 0 AND account = $1",
        )
        .bind(account)
        .fetch_one(self.database.pool())
        .await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Orchestrations of a name in the journal of this database that ended before a time
    /// (milliseconds since 1970) and that no run needs: it has ended, too, or it is gone. At most
    /// `limit`.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn spent_orchestrations(
        &self,
        name: &str,
        before_ms: i64,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        let sql = format!(
            "SELECT i.instance FROM journal_instances i JOIN journal_executions e \
             ON e.instance = i.instance AND e.execution = i.execution \
             WHERE i.name = $1 AND e.status IN ('Completed', 'Failed') AND e.completed < $2 \
             AND NOT EXISTS (SELECT 1 FROM oos_executions x \
             WHERE x.id = i.instance AND x.ended = 0) ORDER BY i.created, i.instance LIMIT {limit}"
        );
        let query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(name).bind(before_ms);
        Ok(query.fetch_all(self.database.pool()).await?)
    }

    /// Remove runs, by their roots, with everything of them. Whoever holds one can write nothing
    /// any more. Returns how many there were.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`; nothing is removed then.
    pub async fn delete(&self, roots: &[String]) -> Result<u64, StoreError> {
        let mut writer = self.database.begin().await?;
        let dialect = self.database.dialect();
        let known = commit::lock(&mut writer, dialect, roots.iter().collect()).await?;
        let known: Vec<&String> = known.keys().collect();
        for chunk in chunks(&known) {
            remove_runs(&mut writer, chunk).await?;
        }
        writer.commit().await?;
        Ok(u64::try_from(known.len()).unwrap_or(u64::MAX))
    }

    /// Forget runs that ended before a time (nanoseconds since 1970), and what a trigger started
    /// that ended before it; those that ended first, at most `limit` of each. Then texts of
    /// templates that no run needs. Returns how many runs and firings went.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn forget_before(&self, time: i64, limit: u32) -> Result<u64, StoreError> {
        let roots = self.ended("depth = 0", time, limit).await?;
        let forgotten = self.delete(&roots).await?;
        let firings = self.ended("firing > '' AND id = firing", time, limit).await?;
        let mut writer = self.database.begin().await?;
        for firing in &firings {
            remove_firing(&mut writer, firing).await?;
        }
        sqlx::query(
            "DELETE FROM oos_texts WHERE used < $1 AND NOT EXISTS \
             (SELECT 1 FROM oos_run_texts r WHERE r.digest = oos_texts.digest)",
        )
        .bind(time)
        .execute(&mut *writer)
        .await?;
        writer.commit().await?;
        Ok(forgotten.saturating_add(u64::try_from(firings.len()).unwrap_or(u64::MAX)))
    }

    async fn ended(
        &self,
        which: &'static str,
        time: i64,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        let sql = format!(
            "SELECT id FROM oos_executions WHERE {which} AND ended > 0 AND ended < $1 \
             ORDER BY ended, id LIMIT {limit}"
        );
        let query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(time);
        Ok(query.fetch_all(self.database.pool()).await?)
    }
}

async fn remove_runs(writer: &mut AnyConnection, roots: &[&String]) -> Result<(), StoreError> {
    let values: Vec<Value<'_>> = roots.iter().map(|root| Value::Text(root)).collect();
    let marks = numbers(1, roots.len());
    let tags = format!(
        "DELETE FROM oos_tags WHERE (account, kind, resource) IN \
         (SELECT account, 'execution', id FROM oos_executions WHERE root IN ({marks}))"
    );
    statement(tags, &values).execute(&mut *writer).await?;
    for table in OF_RUNS {
        let rows = format!("DELETE FROM {table} WHERE root IN ({marks})");
        statement(rows, &values).execute(&mut *writer).await?;
    }
    Ok(())
}

/// Remove what a trigger started, while the trigger itself goes on.
async fn remove_firing(writer: &mut AnyConnection, firing: &str) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM oos_tags WHERE (account, kind, resource) IN \
         (SELECT account, 'execution', id FROM oos_executions WHERE firing = $1)",
        "DELETE FROM oos_logs WHERE root IN (SELECT root FROM oos_executions WHERE id = $1) \
         AND execution IN (SELECT id FROM oos_executions WHERE firing = $1)",
        "DELETE FROM oos_tasks WHERE firing = $1 \
         AND root IN (SELECT root FROM oos_executions WHERE id = $1)",
        "DELETE FROM oos_executions WHERE firing = $1",
    ] {
        sqlx::query(sql).bind(firing).execute(&mut *writer).await?;
    }
    Ok(())
}
