//! Executions of templates: what a run is loaded from, and what lists show of it.
//!
//! A *run* is a root execution with everything below it. One process at a time advances it, the
//! holder of its lease, and writes down each step as a [`Batch`]: rows of executions and tasks as
//! they are now, and lines of the log. A holder that lost its lease can change nothing any more.
//! What others want of a run they put into its inbox.
//!
//! ```text
//! create, or take_lease and load ─┬─► commit ─► … ─► the last commit, or release_lease
//!                put ─► inbox ────┘
//! ```
//!
//! The store knows nothing of templates: a record is a document of the caller's, beside the columns
//! that lists need.

mod commit;
mod committer;
mod keep;
mod leases;
mod lists;

#[cfg(test)]
mod list_tests;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::Row;

pub use self::committer::Committer;
pub use self::keep::ExecutionChange;
pub use self::lists::{
    Depth, ExecutionQuery, ExecutionSort, LogQuery, Logs, TaskExecutionQuery, TaskExecutionSort,
};
use crate::once::{self, Once};
use crate::records::{Token, TokenKey};
use crate::{Database, StoreError};

/// An execution. Times are nanoseconds since 1970; 0 is none.
///
/// Description, resource group, tags, category and what else the request said are written when the
/// row is new. A commit of the run changes `status`, `ended`, `ram_role`, `record` and `view` only,
/// so that it cannot undo what [`Executions::update`] changed meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutionRow {
    /// Identifier. A child's starts with the root's and a dot.
    pub id: String,
    /// Identifier of the run's root; of a root, its own.
    pub root: String,
    /// Identifier of the execution that this one is linked below; empty: none.
    pub parent: String,
    /// Identifier of the execution that a trigger started and that this one belongs to; empty: none.
    pub firing: String,
    /// Account that owns it.
    pub account: String,
    /// Region.
    pub region: String,
    /// Name of the template; empty where its text came with the request.
    pub template_name: String,
    /// Status, such as `Running`.
    pub status: String,
    /// Mode, such as `Automatic`.
    pub mode: String,
    /// Category, such as `TimerTrigger`.
    pub category: String,
    /// Who started it.
    pub executed_by: String,
    /// The role that it works with; empty: none.
    pub ram_role: String,
    /// Free text.
    pub description: String,
    /// Resource group; empty: none.
    pub resource_group: String,
    /// Tags. Those of a root are what lists find it by.
    pub tags: BTreeMap<String, String>,
    /// How deep it is below the root, which is 0.
    pub depth: i64,
    /// When it was made.
    pub created: i64,
    /// When it ended.
    pub ended: i64,
    /// What the run is loaded from. Empty in what lists answer.
    pub record: String,
    /// What lists show, without secrets.
    pub view: String,
}

/// A task of an execution, or one item of a looped task. Times are as in [`ExecutionRow`].
///
/// A commit changes `status`, `ended`, `record` and `view` of a row that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskRow {
    /// Identifier.
    pub id: String,
    /// The execution that it belongs to.
    pub execution: String,
    /// Identifier of the run's root.
    pub root: String,
    /// As in [`ExecutionRow`].
    pub firing: String,
    /// The looped task whose item this is; empty: it is no item.
    pub parent: String,
    /// Name in the template.
    pub name: String,
    /// Action, such as `ACS::ExecuteAPI`.
    pub action: String,
    /// The resource that the item of a loop is, by its identifier; empty: it is none.
    pub resource: String,
    /// Status.
    pub status: String,
    /// Its place among those of the execution.
    pub position: i64,
    /// When it was made.
    pub created: i64,
    /// When it ended.
    pub ended: i64,
    /// What the run is loaded from. Empty in what lists answer.
    pub record: String,
    /// What lists show, without secrets.
    pub view: String,
}

/// A line of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogRow {
    /// The execution that it is about.
    pub execution: String,
    /// Identifier of the run's root.
    pub root: String,
    /// The task that it is about; empty: none.
    pub task: String,
    /// When, in nanoseconds since 1970.
    pub at: i64,
    /// What is to be read, without secrets.
    pub message: String,
}

/// One step of a run, written as a whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Identifier of the run's root. All rows are of this run.
    pub root: String,
    /// The token that the run is held with.
    pub lease: String,
    /// Executions that are new or changed.
    pub executions: Vec<ExecutionRow>,
    /// Tasks that are new or changed.
    pub tasks: Vec<TaskRow>,
    /// Lines of the log, in their order.
    pub logs: Vec<LogRow>,
    /// Texts of templates that the run needs from now on, by their digest.
    pub templates: Vec<(String, String)>,
    /// Items of the inbox that need not be told again.
    pub inbox_done: Vec<i64>,
    /// Whether the run is given back with this step, as [`Executions::release_lease`] does.
    pub is_last: bool,
}

/// What a run is loaded from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Records of the executions, parents first.
    pub executions: Vec<String>,
    /// Records of the tasks, by execution in their order.
    pub tasks: Vec<String>,
    /// Texts of templates by their digest.
    pub templates: BTreeMap<String, String>,
}

/// The executions of one database.
#[derive(Clone, Debug)]
pub struct Executions {
    database: Database,
}

impl Executions {
    /// The executions in `database`, whose tables are there already.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Begin a run: write its root, which is the first execution of `batch`, and what else is known
    /// of it. `hold` is the owner that advances it at once and for how long it holds it; the token
    /// is answered. With a client token, a repeated request does nothing and gets the first answer.
    ///
    /// # Errors
    ///
    /// `Conflict` where the run is there already, `Corrupt` where the rows are not of one run,
    /// `Unavailable`, `Refused`.
    pub async fn create(
        &self,
        batch: &Batch,
        hold: Option<(&str, Duration)>,
        token: Option<&(TokenKey, Token)>,
    ) -> Result<Once<Option<String>>, StoreError> {
        let root = commit::root_of(batch)?;
        let mut writer = self.database.begin().await?;
        if !once::claim(&mut writer, token).await? {
            return once::recall(&self.database, writer, token).await;
        }
        let lease = hold.map(|_| fresh_token());
        let (owner, until) = hold.map_or(("", 0), |(owner, time)| (owner, after(time)));
        let done = sqlx::query(
            "INSERT INTO oos_runs (root, account, lease, owner, until, inbox) \
             VALUES ($1, $2, $3, $4, $5, 0) ON CONFLICT (root) DO NOTHING",
        )
        .bind(&batch.root)
        .bind(&root.account)
        .bind(lease.as_deref().unwrap_or_default())
        .bind(owner)
        .bind(until)
        .execute(&mut *writer)
        .await?;
        if done.rows_affected() == 0 {
            writer.rollback().await?;
            return Err(StoreError::Conflict);
        }
        commit::write(&mut writer, &[batch]).await?;
        commit::index_tags(&mut writer, root).await?;
        writer.commit().await?;
        Ok(Once::Done(lease))
    }

    /// Whether there is a run of this root, ended or not.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn is_there(&self, root: &str) -> Result<bool, StoreError> {
        let run = sqlx::query("SELECT root FROM oos_runs WHERE root = $1").bind(root);
        Ok(run.fetch_optional(self.database.pool()).await?.is_some())
    }

    /// The text of a template that a run uses, by its digest.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn text(&self, root: &str, digest: &str) -> Result<Option<String>, StoreError> {
        let text = sqlx::query_scalar(
            "SELECT t.content FROM oos_run_texts r JOIN oos_texts t ON t.digest = r.digest \
             WHERE r.root = $1 AND r.digest = $2",
        );
        Ok(text.bind(root).bind(digest).fetch_optional(self.database.pool()).await?)
    }

    /// What a run is loaded from; `None`: there is none of this root. `is_live_only` leaves out
    /// what belongs to firings of a trigger that have ended, which are ever more.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn load(&self, root: &str, is_live_only: bool) -> Result<Option<Stored>, StoreError> {
        // A driver may write between two statements: a child without the execution above it.
        let mut snapshot = self.database.snapshot().await?;
        let run = sqlx::query("SELECT root FROM oos_runs WHERE root = $1").bind(root);
        if run.fetch_optional(&mut *snapshot).await?.is_none() {
            return Ok(None);
        }
        let records = |table: &str, order: &str| {
            let live = if is_live_only {
                " AND (r.firing = '' OR EXISTS (SELECT 1 FROM oos_executions f \
                 WHERE f.id = r.firing AND f.ended = 0))"
            } else {
                ""
            };
            sqlx::AssertSqlSafe(format!(
                "SELECT r.record FROM {table} r WHERE r.root = $1{live} ORDER BY {order}"
            ))
        };
        let executions = sqlx::query_scalar(records("oos_executions", "r.depth, r.created, r.id"))
            .bind(root)
            .fetch_all(&mut *snapshot)
            .await?;
        let tasks = sqlx::query_scalar(records("oos_tasks", "r.execution, r.position, r.id"))
            .bind(root)
            .fetch_all(&mut *snapshot)
            .await?;
        let texts = sqlx::query(
            "SELECT t.digest, t.content FROM oos_run_texts r \
             JOIN oos_texts t ON t.digest = r.digest WHERE r.root = $1",
        )
        .bind(root)
        .fetch_all(&mut *snapshot)
        .await?;
        snapshot.rollback().await?;
        let text = |row: &sqlx::any::AnyRow| Ok((row.try_get(0)?, row.try_get(1)?));
        let templates = texts.iter().map(text).collect::<Result<_, sqlx::Error>>()?;
        Ok(Some(Stored { executions, tasks, templates }))
    }
}

/// Nanoseconds since 1970; the end of 64 bits (the year 2262) stands for all that is later.
fn after(delay: Duration) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.saturating_add(delay).as_nanos()).unwrap_or(i64::MAX)
}

fn now() -> i64 {
    after(Duration::ZERO)
}

fn fresh_token() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// The run that an execution or a task belongs to.
fn root_part(id: &str) -> &str {
    id.split_once('.').map_or(id, |(root, _)| root)
}
