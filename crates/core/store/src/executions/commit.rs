//! Writing down steps of runs: many rows, of many runs, in one transaction of few statements.

use std::collections::{BTreeMap, HashMap};

use sqlx::{AnyConnection, Row};

use super::{Batch, ExecutionRow, Executions, TaskRow, leases, now};
use crate::rows::{Insert, Value, chunks, numbers, statement};
use crate::{Dialect, StoreError, tags};

const EXECUTIONS: Insert = Insert {
    table: "oos_executions",
    columns: &[
        "id",
        "root",
        "parent",
        "firing",
        "account",
        "region",
        "template_name",
        "status",
        "mode",
        "category",
        "executed_by",
        "ram_role",
        "description",
        "resource_group",
        "tags",
        "depth",
        "created",
        "ended",
        "record",
        "view",
    ],
    conflict: "ON CONFLICT (id) DO UPDATE SET status = excluded.status, \
         ram_role = excluded.ram_role, ended = excluded.ended, record = excluded.record, \
         view = excluded.view",
};

const TASKS: Insert = Insert {
    table: "oos_tasks",
    columns: &[
        "id",
        "execution",
        "root",
        "firing",
        "parent",
        "name",
        "action",
        "resource",
        "status",
        "position",
        "created",
        "ended",
        "record",
        "view",
    ],
    conflict: "ON CONFLICT (id) DO UPDATE SET status = excluded.status, \
         ended = excluded.ended, record = excluded.record, view = excluded.view",
};

const LOGS: Insert = Insert {
    table: "oos_logs",
    columns: &["root", "position", "execution", "task", "at", "message"],
    conflict: "",
};

const TEXTS: Insert = Insert {
    table: "oos_texts",
    columns: &["digest", "used", "content"],
    conflict: "ON CONFLICT (digest) DO UPDATE SET used = excluded.used",
};

const RUN_TEXTS: Insert = Insert {
    table: "oos_run_texts",
    columns: &["root", "digest"],
    conflict: "ON CONFLICT (root, digest) DO NOTHING",
};

impl Executions {
    /// Write down steps of runs in one transaction, in their order. `false` for a batch whose lease
    /// is no longer the one that its run is held with: nothing of it is written.
    ///
    /// A call that failed may be made again. Where the database was lost at its very end, the log
    /// may then have lines twice; nothing else differs.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the rows of a batch are not of one run, `Unavailable`, `Refused`; nothing is
    /// written then.
    pub async fn commit(&self, batches: &[Batch]) -> Result<Vec<bool>, StoreError> {
        for batch in batches {
            check(batch)?;
        }
        let mut writer = self.database.begin().await?;
        let roots = batches.iter().map(|batch| &batch.root).collect();
        let leases = lock(&mut writer, self.database.dialect(), roots).await?;
        let is_held = |batch: &Batch| {
            !batch.lease.is_empty() && leases.get(&batch.root) == Some(&batch.lease)
        };
        let held: Vec<&Batch> = batches.iter().filter(|batch| is_held(batch)).collect();
        write(&mut writer, &held).await?;
        writer.commit().await?;
        Ok(batches.iter().map(is_held).collect())
    }
}

/// The root of a new run, which is the first execution of its first batch.
pub(super) fn root_of(batch: &Batch) -> Result<&ExecutionRow, StoreError> {
    check(batch)?;
    let first = batch.executions.first().filter(|first| first.id == batch.root);
    first.ok_or_else(|| corrupt(batch, "its first execution is not the root"))
}

/// A row of another run would get past the lease.
fn check(batch: &Batch) -> Result<(), StoreError> {
    let executions = batch.executions.iter().map(|row| &row.root);
    let tasks = batch.tasks.iter().map(|row| &row.root);
    let logs = batch.logs.iter().map(|row| &row.root);
    let mut roots = executions.chain(tasks).chain(logs);
    match roots.find(|root| **root != batch.root) {
        Some(other) => Err(corrupt(batch, &format!("a row is of the run {other}"))),
        None => Ok(()),
    }
}

fn corrupt(batch: &Batch, why: &str) -> StoreError {
    let what = format!("a batch that was to be written, run {}", batch.root);
    StoreError::Corrupt { what, why: why.to_owned() }
}

/// The leases of runs, by their roots, which nobody can take until the transaction ends.
pub(super) async fn lock(
    writer: &mut AnyConnection,
    dialect: Dialect,
    mut roots: Vec<&String>,
) -> Result<BTreeMap<String, String>, StoreError> {
    // A transaction of SQLite is the only writer anyway. Rows are locked in the order of their
    // names, so that no two transactions wait for each other.
    let lock = if dialect == Dialect::Postgres { " FOR UPDATE" } else { "" };
    roots.sort_unstable();
    roots.dedup();
    let mut leases = BTreeMap::new();
    for chunk in chunks(&roots) {
        let sql = format!(
            "SELECT root, lease FROM oos_runs WHERE root IN ({}) ORDER BY root{lock}",
            numbers(1, chunk.len())
        );
        let values: Vec<Value<'_>> = chunk.iter().map(|root| Value::Text(root)).collect();
        for row in statement(sql, &values).fetch_all(&mut *writer).await? {
            leases.insert(row.try_get(0)?, row.try_get(1)?);
        }
    }
    Ok(leases)
}

/// Write the rows of `batches`, whose runs nobody else writes to.
pub(super) async fn write(
    writer: &mut AnyConnection,
    batches: &[&Batch],
) -> Result<(), StoreError> {
    let executions = newest_executions(batches);
    let tags: Vec<String> = executions.iter().map(|(first, _)| tags::text(&first.tags)).collect();
    let rows = executions.iter().zip(&tags).map(|((first, last), tags)| row(first, last, tags));
    EXECUTIONS.run(writer, &rows.collect::<Vec<_>>()).await?;
    let tasks = newest_tasks(batches);
    TASKS.run(writer, &tasks.into_iter().map(task_row).collect::<Vec<_>>()).await?;
    write_logs(writer, batches).await?;
    write_texts(writer, batches).await?;
    forget_items(writer, batches).await?;
    give_back_ended(writer, batches).await
}

/// Make a new root findable by its tags.
pub(super) async fn index_tags(
    writer: &mut AnyConnection,
    root: &ExecutionRow,
) -> Result<(), StoreError> {
    tags::index(writer, &root.account, tags::Kind::Execution, &root.id, &root.tags).await
}

/// Each execution once, as its first row and its last one: no statement of PostgreSQL may touch a
/// row twice, and what stays as it was made is in the first.
fn newest_executions<'a>(batches: &[&'a Batch]) -> Vec<(&'a ExecutionRow, &'a ExecutionRow)> {
    let mut rows: Vec<(&ExecutionRow, &ExecutionRow)> = Vec::new();
    let mut places = HashMap::new();
    for execution in batches.iter().flat_map(|batch| &batch.executions) {
        let place = *places.entry(&execution.id).or_insert(rows.len());
        match rows.get_mut(place) {
            Some(row) => row.1 = execution,
            None => rows.push((execution, execution)),
        }
    }
    rows.sort_unstable_by_key(|(first, _)| &first.id);
    rows
}

/// Each task once, as it is last.
fn newest_tasks<'a>(batches: &[&'a Batch]) -> Vec<&'a TaskRow> {
    let tasks = batches.iter().flat_map(|batch| &batch.tasks);
    tasks.map(|task| (&task.id, task)).collect::<BTreeMap<_, _>>().into_values().collect()
}

fn row<'a>(first: &'a ExecutionRow, last: &'a ExecutionRow, tags: &'a str) -> Vec<Value<'a>> {
    vec![
        Value::from(&first.id),
        Value::from(&first.root),
        Value::from(&first.parent),
        Value::from(&first.firing),
        Value::from(&first.account),
        Value::from(&first.region),
        Value::from(&first.template_name),
        Value::from(&last.status),
        Value::from(&first.mode),
        Value::from(&first.category),
        Value::from(&first.executed_by),
        Value::from(&last.ram_role),
        Value::from(&first.description),
        Value::from(&first.resource_group),
        Value::from(tags),
        Value::from(first.depth),
        Value::from(first.created),
        Value::from(last.ended),
        Value::from(&last.record),
        Value::from(&last.view),
    ]
}

fn task_row(task: &TaskRow) -> Vec<Value<'_>> {
    vec![
        Value::from(&task.id),
        Value::from(&task.execution),
        Value::from(&task.root),
        Value::from(&task.firing),
        Value::from(&task.parent),
        Value::from(&task.name),
        Value::from(&task.action),
        Value::from(&task.resource),
        Value::from(&task.status),
        Value::from(task.position),
        Value::from(task.created),
        Value::from(task.ended),
        Value::from(&task.record),
        Value::from(&task.view),
    ]
}

async fn write_logs(writer: &mut AnyConnection, batches: &[&Batch]) -> Result<(), StoreError> {
    let mut roots: Vec<&String> =
        batches.iter().filter(|batch| !batch.logs.is_empty()).map(|batch| &batch.root).collect();
    roots.sort_unstable();
    roots.dedup();
    let mut positions: HashMap<String, i64> = HashMap::new();
    for chunk in chunks(&roots) {
        // A range and not a group for each root: both databases look up one end of it.
        let sql = format!(
            "SELECT root, (SELECT COALESCE(MAX(position), 0) FROM oos_logs l \
             WHERE l.root = r.root) FROM oos_runs r WHERE root IN ({})",
            numbers(1, chunk.len())
        );
        let values: Vec<Value<'_>> = chunk.iter().map(|root| Value::Text(root)).collect();
        for row in statement(sql, &values).fetch_all(&mut *writer).await? {
            positions.insert(row.try_get(0)?, row.try_get(1)?);
        }
    }
    let mut rows = Vec::new();
    for log in batches.iter().flat_map(|batch| &batch.logs) {
        let position = positions.entry(log.root.clone()).or_insert(0);
        *position = position.saturating_add(1);
        rows.push(vec![
            Value::from(&log.root),
            Value::from(*position),
            Value::from(&log.execution),
            Value::from(&log.task),
            Value::from(log.at),
            Value::from(&log.message),
        ]);
    }
    LOGS.run(writer, &rows).await?;
    Ok(())
}

async fn write_texts(writer: &mut AnyConnection, batches: &[&Batch]) -> Result<(), StoreError> {
    let used = now();
    let mut texts = BTreeMap::new();
    let mut links = Vec::new();
    for batch in batches {
        for (digest, text) in &batch.templates {
            texts.insert(digest.as_str(), text.as_str());
            links.push(vec![Value::from(&batch.root), Value::from(digest)]);
        }
    }
    let row = |(digest, text)| vec![Value::Text(digest), Value::Number(used), Value::Text(text)];
    TEXTS.run(writer, &texts.into_iter().map(row).collect::<Vec<_>>()).await?;
    RUN_TEXTS.run(writer, &links).await?;
    Ok(())
}

async fn give_back_ended(writer: &mut AnyConnection, batches: &[&Batch]) -> Result<(), StoreError> {
    let roots: Vec<&String> =
        batches.iter().filter(|batch| batch.is_last).map(|batch| &batch.root).collect();
    for chunk in chunks(&roots) {
        let which = format!("root IN ({})", numbers(1, chunk.len()));
        let values: Vec<Value<'_>> = chunk.iter().map(|root| Value::Text(root)).collect();
        leases::give_back(writer, &which, &values).await?;
    }
    Ok(())
}

/// Remove what the runs have taken notice of.
async fn forget_items(writer: &mut AnyConnection, batches: &[&Batch]) -> Result<(), StoreError> {
    let items: Vec<(&String, i64)> = batches
        .iter()
        .flat_map(|batch| batch.inbox_done.iter().map(|position| (&batch.root, *position)))
        .collect();
    for chunk in chunks(&items) {
        // Not by a list of pairs, for which SQLite would read the whole table.
        let item = |n: usize| format!("(root = ${} AND position = ${})", 2 * n + 1, 2 * n + 2);
        let items: Vec<String> = (0..chunk.len()).map(item).collect();
        let sql = format!("DELETE FROM oos_inbox WHERE {}", items.join(" OR "));
        let values: Vec<Value<'_>> = chunk
            .iter()
            .flat_map(|(root, position)| [Value::from(*root), Value::from(*position)])
            .collect();
        statement(sql, &values).execute(&mut *writer).await?;
    }
    Ok(())
}
