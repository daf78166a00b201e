//! What is asked about executions, their tasks and their logs.

use std::collections::BTreeMap;

use sqlx::Row;
use sqlx::any::AnyRow;

use super::{ExecutionRow, Executions, LogRow, TaskRow, root_part};
use crate::listing::{Filter, Key, Order, Select};
use crate::rows::{Value, chunks, numbers, statement};
use crate::{Listing, PageOf, StoreError, tags};

/// Lines of a log in one answer at most.
const LINES: usize = 1000;

/// How deep executions are below their root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Roots only.
    Root,
    /// What roots started.
    FirstChild,
}

/// What executions are sorted by; equal ones by their identifier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExecutionSort {
    /// When they were made.
    #[default]
    Created,
    /// When they ended; those that have not are before all others.
    Ended,
    /// Their status, by its letters.
    Status,
}

/// Which executions are listed: those that fulfil everything that is set. Times are nanoseconds
/// since 1970, and bounds belong to what they bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutionQuery {
    /// Account that owns them; always needed.
    pub account: String,
    /// Region.
    pub region: Option<String>,
    /// This one, wherever it is below its root.
    pub id: Option<String>,
    /// A part of the template's name, in any case of letters.
    pub template_name: Option<String>,
    /// Status.
    pub status: Option<String>,
    /// Mode.
    pub mode: Option<String>,
    /// Those linked right below this execution.
    pub parent: Option<String>,
    /// Those of one depth; goes before `include_children`.
    pub depth: Option<Depth>,
    /// Whether executions below roots are listed too. They are when `id` or `parent` is set.
    pub include_children: bool,
    /// Those of one of these categories; none: of all.
    pub categories: Vec<String>,
    /// Made then or later.
    pub created_from: Option<i64>,
    /// Made then or earlier.
    pub created_to: Option<i64>,
    /// Ended then or later.
    pub ended_from: Option<i64>,
    /// Ended then or earlier.
    pub ended_to: Option<i64>,
    /// Who started them.
    pub executed_by: Option<String>,
    /// The role that they work with.
    pub ram_role: Option<String>,
    /// A part of the description, in any case of letters.
    pub description: Option<String>,
    /// Resource group.
    pub resource_group: Option<String>,
    /// Tags that all must be there.
    pub tags: BTreeMap<String, String>,
    /// What they are sorted by.
    pub sort: ExecutionSort,
    /// Whether the least is first.
    pub is_ascending: bool,
    /// Which page.
    pub page: PageOf,
}

/// What tasks are sorted by; equal ones by their place in the execution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TaskExecutionSort {
    /// When they were made.
    #[default]
    Created,
    /// When they ended; those that have not are before all others.
    Ended,
    /// Their status, by its letters.
    Status,
}

/// Which tasks of executions are listed: those that fulfil everything that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskExecutionQuery {
    /// Account that owns the executions; always needed.
    pub account: String,
    /// Those of this execution.
    pub execution: Option<String>,
    /// This one.
    pub id: Option<String>,
    /// Name in the template.
    pub name: Option<String>,
    /// Action.
    pub action: Option<String>,
    /// Status.
    pub status: Option<String>,
    /// The items of this looped task.
    pub parent: Option<String>,
    /// Whether items of looped tasks are listed too. They are when `id` or `parent` is set.
    pub include_items: bool,
    /// Whether only those are listed that are items of loops and resources.
    pub only_resources: bool,
    /// Made then or later.
    pub created_from: Option<i64>,
    /// Made then or earlier.
    pub created_to: Option<i64>,
    /// Ended then or later.
    pub ended_from: Option<i64>,
    /// Ended then or earlier.
    pub ended_to: Option<i64>,
    /// What they are sorted by.
    pub sort: TaskExecutionSort,
    /// Whether the least is first.
    pub is_ascending: bool,
    /// Which page.
    pub page: PageOf,
}

/// Which lines of a log are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// The execution.
    pub execution: String,
    /// Whether the lines of all executions below it are read too.
    pub include_below: bool,
    /// Only lines about this task.
    pub task: Option<String>,
    /// From behind this position; 0: from the beginning.
    pub after: i64,
    /// How many at most.
    pub limit: usize,
}

/// Lines of a log, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logs {
    /// The lines.
    pub rows: Vec<LogRow>,
    /// Position of the last line, to go on from; without lines, the one that was asked with.
    pub last: i64,
    /// Whether there are more already.
    pub is_truncated: bool,
}

/// The columns of an execution as [`execution`] reads them.
const EXECUTION: [&str; 19] = [
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
    "view",
];

/// The columns of a task as [`task`] reads them.
const TASK: [&str; 13] = [
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
    "view",
];

impl Executions {
    /// A page of executions, without their records.
    ///
    /// # Errors
    ///
    /// `NotFound` where the page is none of this list, `Unavailable`, `Refused`, `Corrupt`.
    pub async fn list(&self, query: &ExecutionQuery) -> Result<Listing<ExecutionRow>, StoreError> {
        let mut filter = Filter::new(self.database.dialect());
        filter.and("account = {}", &query.account);
        filter.some("region = {}", query.region.as_ref());
        filter.some("id = {}", query.id.as_ref());
        filter.some("status = {}", query.status.as_ref());
        filter.some("mode = {}", query.mode.as_ref());
        filter.some("parent = {}", query.parent.as_ref());
        filter.some("executed_by = {}", query.executed_by.as_ref());
        filter.some("ram_role = {}", query.ram_role.as_ref());
        filter.some("resource_group = {}", query.resource_group.as_ref());
        filter.contains("template_name", query.template_name.as_ref());
        filter.contains("description", query.description.as_ref());
        filter.one_of("category", &query.categories);
        filter.between("created", query.created_from, query.created_to);
        filter.between("ended", query.ended_from, query.ended_to);
        filter.tagged(&query.account, tags::Kind::Execution, "id", &query.tags);
        let is_anywhere = query.include_children || query.id.is_some() || query.parent.is_some();
        match query.depth {
            Some(Depth::FirstChild) => filter.only("depth = 1"),
            None if is_anywhere => {}
            Some(Depth::Root) | None => filter.only("depth = 0"),
        }
        let key = match query.sort {
            ExecutionSort::Created => Key::Number("created"),
            ExecutionSort::Ended => Key::Number("ended"),
            ExecutionSort::Status => Key::Text("status"),
        };
        let order = Order { keys: vec![key, Key::Text("id")], is_ascending: query.is_ascending };
        let select = Select { table: "oos_executions", columns: &EXECUTION };
        filter.page(&self.database, &select, &order, &query.page, execution).await
    }

    /// One execution of an account, with its record.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`, `Corrupt`.
    pub async fn execution(
        &self,
        account: &str,
        id: &str,
    ) -> Result<Option<ExecutionRow>, StoreError> {
        let sql = format!(
            "SELECT {}, record FROM oos_executions WHERE account = $1 AND id = $2",
            EXECUTION.join(", ")
        );
        let values = [Value::from(account), Value::from(id)];
        let row = statement(sql, &values).fetch_optional(self.database.pool()).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(ExecutionRow { record: row.try_get(EXECUTION.len())?, ..execution(&row)? }))
    }

    /// A page of tasks, without their records.
    ///
    /// # Errors
    ///
    /// `NotFound` where the page is none of this list, `Unavailable`, `Refused`.
    pub async fn list_tasks(
        &self,
        query: &TaskExecutionQuery,
    ) -> Result<Listing<TaskRow>, StoreError> {
        let mut filter = Filter::new(self.database.dialect());
        let is_own = "EXISTS (SELECT 1 FROM oos_runs r \
             WHERE r.root = oos_tasks.root AND r.account = {})";
        filter.and(is_own, &query.account);
        filter.some("execution = {}", query.execution.as_ref());
        filter.some("id = {}", query.id.as_ref());
        filter.some("name = {}", query.name.as_ref());
        filter.some("action = {}", query.action.as_ref());
        filter.some("status = {}", query.status.as_ref());
        filter.some("parent = {}", query.parent.as_ref());
        filter.between("created", query.created_from, query.created_to);
        filter.between("ended", query.ended_from, query.ended_to);
        if query.only_resources {
            filter.only("resource > ''");
        } else if !(query.include_items || query.id.is_some() || query.parent.is_some()) {
            filter.only("parent = ''");
        }
        let key = match query.sort {
            TaskExecutionSort::Created => Key::Number("created"),
            TaskExecutionSort::Ended => Key::Number("ended"),
            TaskExecutionSort::Status => Key::Text("status"),
        };
        let keys = vec![key, Key::Number("position"), Key::Text("id")];
        let order = Order { keys, is_ascending: query.is_ascending };
        let select = Select { table: "oos_tasks", columns: &TASK };
        filter.page(&self.database, &select, &order, &query.page, task).await
    }

    /// Lines of a log.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn logs(&self, query: &LogQuery) -> Result<Logs, StoreError> {
        let (root, id) = (root_part(&query.execution), &query.execution);
        let limit = query.limit.clamp(1, LINES);
        let mut condition = "root = $1 AND position > $2".to_owned();
        let mut values = vec![Value::from(root), Value::from(query.after)];
        let below = format!("{id}.");
        if !query.include_below {
            condition.push_str(" AND execution = $3");
            values.push(Value::from(id));
        } else if root != id {
            condition.push_str(&format!(
                " AND (execution = $3 OR substr(execution, 1, {}) = $4)",
                below.chars().count()
            ));
            values.extend([Value::from(id), Value::from(&below)]);
        }
        if let Some(task) = &query.task {
            values.push(Value::from(task));
            condition.push_str(&format!(" AND task = ${}", values.len()));
        }
        let sql = format!(
            "SELECT position, execution, root, task, at, message FROM oos_logs \
             WHERE {condition} ORDER BY position LIMIT {}",
            limit.saturating_add(1)
        );
        let rows = statement(sql, &values).fetch_all(self.database.pool()).await?;
        let shown = rows.get(..limit).unwrap_or(&rows);
        let last = shown.last().map(|row| row.try_get(0)).transpose()?;
        Ok(Logs {
            rows: shown.iter().map(line).collect::<Result<_, _>>()?,
            last: last.unwrap_or(query.after),
            is_truncated: rows.len() > limit,
        })
    }

    /// How many tasks of which status executions have, by execution; items of looped tasks are not
    /// counted.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn counters(
        &self,
        executions: &[String],
    ) -> Result<BTreeMap<String, BTreeMap<String, u64>>, StoreError> {
        self.count("parent = ''", executions).await
    }

    /// How many of the resources that are items of loops have which status, by execution.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn resources(
        &self,
        executions: &[String],
    ) -> Result<BTreeMap<String, BTreeMap<String, u64>>, StoreError> {
        self.count("resource > ''", executions).await
    }

    async fn count(
        &self,
        which: &str,
        executions: &[String],
    ) -> Result<BTreeMap<String, BTreeMap<String, u64>>, StoreError> {
        let mut counters: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for chunk in chunks(executions) {
            let sql = format!(
                "SELECT execution, status, COUNT(*) FROM oos_tasks \
                 WHERE {which} AND execution IN ({}) GROUP BY execution, status",
                numbers(1, chunk.len())
            );
            let values: Vec<Value<'_>> = chunk.iter().map(Value::from).collect();
            for row in statement(sql, &values).fetch_all(self.database.pool()).await? {
                let count = u64::try_from(row.try_get::<i64, _>(2)?).unwrap_or(0);
                counters.entry(row.try_get(0)?).or_default().insert(row.try_get(1)?, count);
            }
        }
        Ok(counters)
    }

    /// The tasks of executions that have not ended, in their order, without records, views and items
    /// of looped tasks.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn current_tasks(&self, executions: &[String]) -> Result<Vec<TaskRow>, StoreError> {
        let mut tasks = Vec::new();
        // A view has all items of a loop.
        let columns = TASK.map(|column| if column == "view" { "'' AS view" } else { column });
        for chunk in chunks(executions) {
            let sql = format!(
                "SELECT {} FROM oos_tasks WHERE parent = '' AND ended = 0 AND execution IN ({}) \
                 ORDER BY execution, position, id",
                columns.join(", "),
                numbers(1, chunk.len())
            );
            let values: Vec<Value<'_>> = chunk.iter().map(Value::from).collect();
            for row in statement(sql, &values).fetch_all(self.database.pool()).await? {
                tasks.push(task(&row)?);
            }
        }
        Ok(tasks)
    }
}

fn execution(row: &AnyRow) -> Result<ExecutionRow, StoreError> {
    let id: String = row.try_get(0)?;
    Ok(ExecutionRow {
        root: row.try_get(1)?,
        parent: row.try_get(2)?,
        firing: row.try_get(3)?,
        account: row.try_get(4)?,
        region: row.try_get(5)?,
        template_name: row.try_get(6)?,
        status: row.try_get(7)?,
        mode: row.try_get(8)?,
        category: row.try_get(9)?,
        executed_by: row.try_get(10)?,
        ram_role: row.try_get(11)?,
        description: row.try_get(12)?,
        resource_group: row.try_get(13)?,
        tags: tags::parse(row.try_get(14)?, &id)?,
        depth: row.try_get(15)?,
        created: row.try_get(16)?,
        ended: row.try_get(17)?,
        record: String::new(),
        view: row.try_get(18)?,
        id,
    })
}

fn task(row: &AnyRow) -> Result<TaskRow, StoreError> {
    Ok(TaskRow {
        id: row.try_get(0)?,
        execution: row.try_get(1)?,
        root: row.try_get(2)?,
        firing: row.try_get(3)?,
        parent: row.try_get(4)?,
        name: row.try_get(5)?,
        action: row.try_get(6)?,
        resource: row.try_get(7)?,
        status: row.try_get(8)?,
        position: row.try_get(9)?,
        created: row.try_get(10)?,
        ended: row.try_get(11)?,
        record: String::new(),
        view: row.try_get(12)?,
    })
}

fn line(row: &AnyRow) -> Result<LogRow, StoreError> {
    Ok(LogRow {
        execution: row.try_get(1)?,
        root: row.try_get(2)?,
        task: row.try_get(3)?,
        at: row.try_get(4)?,
        message: row.try_get(5)?,
    })
}
