//! The statements of the records.
//!
//! A record is a JSON document; the columns beside it are made from it at each write, and read by
//! nothing but `WHERE` and `ORDER BY`.

use jiff::{SignedDuration, Timestamp};
use kiln_model::{Image, Task};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Row};

use crate::catalogue::{Catalogue, News};
use crate::records::{Change, Token, TokenKey, Versioned};
use crate::{Database, Page, StoreError, TaskQuery};

/// How long tasks are listed after their end.
const TASKS_KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long a process may be out of touch before it has to read all images again.
const DELETIONS_KEPT: SignedDuration = SignedDuration::from_hours(24);

/// The row of the counter.
pub(crate) struct Counter {
    /// Number of the last transaction.
    pub(crate) revision: i64,
    /// Number of the last deletion that is forgotten.
    pub(crate) horizon: i64,
}

pub(crate) async fn counter(database: &Database) -> Result<Counter, StoreError> {
    let row = sqlx::query("SELECT revision, horizon FROM record_counter WHERE id = 1")
        .fetch_one(database.pool())
        .await?;
    Ok(Counter { revision: row.try_get(0)?, horizon: row.try_get(1)? })
}

pub(crate) async fn next_revision(writer: &mut AnyConnection) -> Result<i64, StoreError> {
    sqlx::query("UPDATE record_counter SET revision = revision + 1 WHERE id = 1")
        .execute(&mut *writer)
        .await?;
    let row = sqlx::query("SELECT revision FROM record_counter WHERE id = 1")
        .fetch_one(&mut *writer)
        .await?;
    Ok(row.try_get(0)?)
}

/// Reads all images.
pub(crate) async fn load(database: &Database) -> Result<Catalogue, StoreError> {
    let revision = counter(database).await?.revision;
    let rows =
        sqlx::query("SELECT revision, document, id FROM images").fetch_all(database.pool()).await?;
    let images =
        rows.iter().map(versioned).map(|image| image.map(|image| (image.revision, image.value)));
    Ok(Catalogue::load(images.collect::<Result<_, _>>()?, revision))
}

/// What happened to images after a revision, in its order.
pub(crate) async fn news(database: &Database, known: i64) -> Result<Vec<(i64, News)>, StoreError> {
    // One statement, so that both halves are of one moment.
    let rows = sqlx::query(
        "SELECT revision, document, id, region FROM images WHERE revision > $1 \
         UNION ALL SELECT revision, '', id, region FROM deleted_images WHERE revision > $1 \
         ORDER BY 1, 2",
    )
    .bind(known)
    .fetch_all(database.pool())
    .await?;
    let news = |row: &AnyRow| -> Result<(i64, News), StoreError> {
        if row.try_get::<&str, _>(1)?.is_empty() {
            let gone = News::Gone { id: row.try_get(2)?, region: row.try_get(3)? };
            return Ok((row.try_get(0)?, gone));
        }
        let image = versioned(row)?;
        Ok((image.revision, News::Is(Box::new(image.value))))
    };
    rows.iter().map(news).collect()
}

pub(crate) async fn image(
    database: &Database,
    region: &str,
    id: &str,
) -> Result<Option<Versioned<Image>>, StoreError> {
    let row =
        sqlx::query("SELECT revision, document, id FROM images WHERE region = $1 AND id = $2")
            .bind(region)
            .bind(id)
            .fetch_optional(database.pool())
            .await?;
    row.as_ref().map(versioned).transpose()
}

pub(crate) async fn task(
    database: &Database,
    id: &str,
) -> Result<Option<Versioned<Task>>, StoreError> {
    let row = sqlx::query("SELECT revision, document, id FROM tasks WHERE id = $1")
        .bind(id)
        .fetch_optional(database.pool())
        .await?;
    row.as_ref().map(versioned).transpose()
}

pub(crate) async fn unfinished_tasks(database: &Database) -> Result<Vec<Task>, StoreError> {
    let rows = sqlx::query(
        "SELECT revision, document, id FROM tasks WHERE ended = 0 ORDER BY created, id",
    )
    .fetch_all(database.pool())
    .await?;
    rows.iter().map(|row| Ok(versioned(row)?.value)).collect()
}

pub(crate) async fn tasks(
    database: &Database,
    query: &TaskQuery,
) -> Result<Page<Task>, StoreError> {
    let filter = TaskFilter::new(query)?;
    let total: i64 = filter.read("COUNT(*)", "").fetch_one(database.pool()).await?.try_get(0)?;
    let page = format!(
        " ORDER BY created DESC, id LIMIT {} OFFSET {}",
        limit(query.take),
        limit(query.skip)
    );
    let rows = filter.read("revision, document, id", &page).fetch_all(database.pool()).await?;
    let items = rows.iter().map(|row| Ok(versioned(row)?.value)).collect::<Result<_, StoreError>>();
    Ok(Page { total: u64::try_from(total).unwrap_or(0), items: items? })
}

/// A number of rows in the range that both databases have.
fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// Which tasks a query means: a condition, and the values that it names by number. (The builder of
/// sqlx writes `?` for them, which PostgreSQL does not know.)
#[derive(Default)]
struct TaskFilter {
    condition: String,
    values: Vec<Value>,
}

enum Value {
    Text(String),
    Number(i64),
}

impl TaskFilter {
    fn new(query: &TaskQuery) -> Result<Self, StoreError> {
        let text = |text: &String| Value::Text(text.clone());
        let mut filter = Self::default();
        filter.condition.push_str("action <> 'CopyImage'");
        filter.and("region =", text(&query.region));
        filter.and("owner =", text(&query.owner));
        if let Some(action) = &query.action {
            filter.and("action =", Value::Text(word(action)?));
        }
        if let Some(status) = &query.status {
            filter.and("status =", Value::Text(word(status)?));
        }
        if let Some(from) = query.created_from {
            filter.and("created >=", Value::Number(nanoseconds(from)));
        }
        if let Some(to) = query.created_to {
            filter.and("created <=", Value::Number(nanoseconds(to)));
        }
        filter.and_in("id", &query.ids);
        filter.and_in("image", &query.images);
        Ok(filter)
    }

    /// Keeps a value, and answers its number.
    fn number(&mut self, value: Value) -> usize {
        self.values.push(value);
        self.values.len()
    }

    fn and(&mut self, comparison: &str, value: Value) {
        let number = self.number(value);
        self.condition.push_str(&format!(" AND {comparison} ${number}"));
    }

    fn and_in(&mut self, column: &str, values: &[String]) {
        if values.is_empty() {
            return;
        }
        let numbers = values.iter().map(|value| self.number(Value::Text(value.clone())));
        let list: Vec<String> = numbers.map(|number| format!("${number}")).collect();
        self.condition.push_str(&format!(" AND {column} IN ({})", list.join(", ")));
    }

    /// A statement that reads columns of the tasks. No text of a client is in it, only numbers of
    /// values.
    fn read(&self, columns: &str, end: &str) -> Query<'_, Any, AnyArguments> {
        let statement = format!("SELECT {columns} FROM tasks WHERE {}{end}", self.condition);
        let query = sqlx::query(AssertSqlSafe(statement));
        self.values.iter().fold(query, |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
        })
    }
}

/// What of a token is a document.
#[derive(Serialize, Deserialize)]
struct TokenDocument {
    parameters: String,
    answer: serde_json::Value,
    created: Timestamp,
}

pub(crate) async fn token(
    database: &Database,
    key: &TokenKey,
) -> Result<Option<Token>, StoreError> {
    let row = sqlx::query(
        "SELECT created, document, token FROM tokens \
         WHERE account = $1 AND region = $2 AND action = $3 AND token = $4",
    )
    .bind(&key.account)
    .bind(&key.region)
    .bind(&key.action)
    .bind(&key.token)
    .fetch_optional(database.pool())
    .await?;
    let found: Option<Versioned<TokenDocument>> = row.as_ref().map(versioned).transpose()?;
    Ok(found.map(|Versioned { value: TokenDocument { parameters, answer, created }, .. }| Token {
        parameters,
        answer,
        created,
    }))
}

/// Makes one change as part of the transaction of a revision.
pub(crate) async fn write(
    writer: &mut AnyConnection,
    change: &Change,
    revision: i64,
) -> Result<(), StoreError> {
    match change {
        Change::InsertImage(image) => insert_image(writer, image, revision).await,
        Change::UpdateImage(image) => update_image(writer, image, revision).await,
        Change::DeleteImage { region, id, revision: known } => {
            delete_image(writer, region, id, *known, revision).await
        }
        Change::InsertTask(task) => write_task(writer, task, revision, None).await,
        Change::UpdateTask(task) => {
            write_task(writer, &task.value, revision, Some(task.revision)).await
        }
        Change::Remember(key, token) => remember(writer, key, token).await,
    }
}

async fn insert_image(
    writer: &mut AnyConnection,
    image: &Image,
    revision: i64,
) -> Result<(), StoreError> {
    let done = sqlx::query(
        "INSERT INTO images (region, id, owner, name, status, revision, document) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (region, owner, name) DO NOTHING",
    )
    .bind(&image.region)
    .bind(&image.id)
    .bind(&image.owner)
    .bind(&image.name)
    .bind(word(&image.status)?)
    .bind(revision)
    .bind(document(image)?)
    .execute(&mut *writer)
    .await
    .map_err(|error| unless_unique(error, StoreError::Conflict))?;
    if done.rows_affected() == 0 { Err(StoreError::DuplicateName) } else { Ok(()) }
}

async fn update_image(
    writer: &mut AnyConnection,
    image: &Versioned<Image>,
    revision: i64,
) -> Result<(), StoreError> {
    let Versioned { value, revision: known } = image;
    let done = sqlx::query(
        "UPDATE images SET owner = $1, name = $2, status = $3, revision = $4, document = $5 \
         WHERE region = $6 AND id = $7 AND revision = $8",
    )
    .bind(&value.owner)
    .bind(&value.name)
    .bind(word(&value.status)?)
    .bind(revision)
    .bind(document(value)?)
    .bind(&value.region)
    .bind(&value.id)
    .bind(known)
    .execute(&mut *writer)
    .await
    .map_err(|error| unless_unique(error, StoreError::DuplicateName))?;
    if done.rows_affected() == 0 { Err(StoreError::Conflict) } else { Ok(()) }
}

async fn delete_image(
    writer: &mut AnyConnection,
    region: &str,
    id: &str,
    known: i64,
    revision: i64,
) -> Result<(), StoreError> {
    let done = sqlx::query("DELETE FROM images WHERE region = $1 AND id = $2 AND revision = $3")
        .bind(region)
        .bind(id)
        .bind(known)
        .execute(&mut *writer)
        .await?;
    if done.rows_affected() == 0 {
        return Err(StoreError::Conflict);
    }
    sqlx::query(
        "INSERT INTO deleted_images (region, id, revision, deleted) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (region, id) DO UPDATE \
         SET revision = excluded.revision, deleted = excluded.deleted",
    )
    .bind(region)
    .bind(id)
    .bind(revision)
    .bind(nanoseconds(Timestamp::now()))
    .execute(&mut *writer)
    .await?;
    Ok(())
}

/// Writes a task: a new one, or over one of the revision `known`.
async fn write_task(
    writer: &mut AnyConnection,
    task: &Task,
    revision: i64,
    known: Option<i64>,
) -> Result<(), StoreError> {
    let statement = match known {
        None => {
            "INSERT INTO tasks \
             (id, region, owner, action, status, image, created, ended, revision, document) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING"
        }
        Some(_) => {
            "UPDATE tasks SET region = $2, owner = $3, action = $4, status = $5, image = $6, \
             created = $7, ended = $8, revision = $9, document = $10 \
             WHERE id = $1 AND revision = $11"
        }
    };
    // A time of 0 would say that it has not ended.
    let end = || nanoseconds(task.finished.unwrap_or(task.created)).max(1);
    let mut query = sqlx::query(statement)
        .bind(&task.id)
        .bind(&task.region)
        .bind(&task.owner)
        .bind(word(&task.action)?)
        .bind(word(&task.status)?)
        .bind(&task.image)
        .bind(nanoseconds(task.created))
        .bind(if task.status.is_final() { end() } else { 0 })
        .bind(revision)
        .bind(document(task)?);
    if let Some(known) = known {
        query = query.bind(known);
    }
    let done = query.execute(&mut *writer).await?;
    if done.rows_affected() == 0 { Err(StoreError::Conflict) } else { Ok(()) }
}

pub(crate) async fn remember(
    writer: &mut AnyConnection,
    key: &TokenKey,
    token: &Token,
) -> Result<(), StoreError> {
    let Token { parameters, answer, created } = token.clone();
    let done = sqlx::query(
        "INSERT INTO tokens (account, region, action, token, created, document) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (account, region, action, token) DO NOTHING",
    )
    .bind(&key.account)
    .bind(&key.region)
    .bind(&key.action)
    .bind(&key.token)
    .bind(nanoseconds(created))
    .bind(document(&TokenDocument { parameters, answer, created })?)
    .execute(&mut *writer)
    .await?;
    if done.rows_affected() == 0 { Err(StoreError::DuplicateToken) } else { Ok(()) }
}

pub(crate) async fn forget_before(
    writer: &mut AnyConnection,
    before: Timestamp,
) -> Result<(), StoreError> {
    let ago = |kept| nanoseconds(before.saturating_sub(kept).unwrap_or(Timestamp::MIN));
    let deletions = ago(DELETIONS_KEPT);
    // Whoever knows less than the horizon reads all images again.
    sqlx::query(
        "UPDATE record_counter SET horizon = COALESCE( \
         (SELECT MAX(revision) FROM deleted_images WHERE deleted < $1), horizon) WHERE id = 1",
    )
    .bind(deletions)
    .execute(&mut *writer)
    .await?;
    for (statement, limit) in [
        ("DELETE FROM deleted_images WHERE deleted < $1", deletions),
        ("DELETE FROM tokens WHERE created < $1", nanoseconds(before)),
        ("DELETE FROM tasks WHERE ended > 0 AND ended < $1", ago(TASKS_KEPT)),
    ] {
        sqlx::query(statement).bind(limit).execute(&mut *writer).await?;
    }
    Ok(())
}

/// Reads a row of revision, document and key.
fn versioned<T: DeserializeOwned>(row: &AnyRow) -> Result<Versioned<T>, StoreError> {
    let value = serde_json::from_str(row.try_get(1)?).map_err(|error| StoreError::Corrupt {
        what: row.try_get(2).unwrap_or_default(),
        why: error.to_string(),
    })?;
    Ok(Versioned { value, revision: row.try_get(0)? })
}

fn document<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt {
        what: "a record that was to be written".into(),
        why: error.to_string(),
    })
}

/// The word that a document has for a value, such as `CopyImage`.
fn word<T: Serialize>(value: &T) -> Result<String, StoreError> {
    Ok(document(value)?.trim_matches('"').to_owned())
}

/// Nanoseconds since 1970; the end of 64 bits (the year 2262) stands for all that is later.
fn nanoseconds(time: Timestamp) -> i64 {
    let limit = if time < Timestamp::UNIX_EPOCH { i64::MIN } else { i64::MAX };
    i64::try_from(time.as_nanosecond()).unwrap_or(limit)
}

fn unless_unique(error: sqlx::Error, unique: StoreError) -> StoreError {
    let is_unique = error.as_database_error().is_some_and(|error| error.is_unique_violation());
    if is_unique { unique } else { error.into() }
}
