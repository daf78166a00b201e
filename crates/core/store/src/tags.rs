//! Tags of executions, templates and parameters, in one table by which all of them are found.
//!
//! Each record has its tags beside it as well, so that lists need not gather them; both are written
//! in the same transaction.

use std::collections::BTreeMap;

use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::listing::{Filter, Key, Order, Select};
use crate::rows::{Insert, Value};
use crate::{Database, Dialect, Listing, PageOf, StoreError};

/// What has tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An execution, by its identifier.
    Execution,
    /// A template, by its name in any case of letters.
    Template,
    /// A parameter, by its name.
    Parameter,
    /// A secret parameter, by its name.
    SecretParameter,
}

impl Kind {
    /// The word that requests have for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Execution => "execution",
            Self::Template => "template",
            Self::Parameter => "parameter",
            Self::SecretParameter => "secretparameter",
        }
    }

    /// The table, and the condition on a row of it, where `$1` is the account and `$2` the resource.
    fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::Execution => ("oos_executions", "account = $1 AND id = $2"),
            Self::Template => ("oos_templates", "account = $1 AND folded = $2"),
            Self::Parameter => ("oos_parameters", "account = $1 AND secret = 0 AND name = $2"),
            Self::SecretParameter => {
                ("oos_parameters", "account = $1 AND secret = 1 AND name = $2")
            }
        }
    }

    /// What the resource is called in the table.
    pub(crate) fn key(self, resource: &str) -> String {
        match self {
            Self::Template => resource.to_lowercase(),
            _ => resource.to_owned(),
        }
    }
}

/// How tags change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagChange {
    /// These are added; of the same name, they take the place of what was there.
    Add(BTreeMap<String, String>),
    /// Those of these names go.
    Remove(Vec<String>),
    /// All go.
    Clear,
}

impl TagChange {
    fn apply(&self, tags: &mut BTreeMap<String, String>) {
        match self {
            Self::Add(new) => tags.extend(new.clone()),
            Self::Remove(names) => tags.retain(|name, _| !names.contains(name)),
            Self::Clear => tags.clear(),
        }
    }
}

/// A tag of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceTag {
    /// The resource; of templates, the name in lower case.
    pub resource: String,
    /// Name of the tag.
    pub name: String,
    /// Value of the tag.
    pub value: String,
}

/// The tags of one database.
#[derive(Clone, Debug)]
pub struct Tags {
    database: Database,
}

impl Tags {
    /// The tags in `database`, whose tables are there already.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Change the tags of all of the resources, or of none. `false`: one of them would have more
    /// than `most`.
    ///
    /// # Errors
    ///
    /// `NotFound` where a resource is not there, `Unavailable`, `Refused`, `Corrupt`.
    pub async fn change(
        &self,
        account: &str,
        kind: Kind,
        resources: &[String],
        change: &TagChange,
        most: usize,
    ) -> Result<bool, StoreError> {
        // In one order, so that no two transactions wait for each other.
        let mut resources: Vec<&String> = resources.iter().collect();
        resources.sort_unstable();
        resources.dedup();
        let mut writer = self.database.begin().await?;
        for resource in resources {
            let key = kind.key(resource);
            let found = read(&mut writer, self.database.dialect(), account, kind, &key).await?;
            let Some(mut tags) = found else {
                let what = format!("{} {resource}", kind.word());
                writer.rollback().await?;
                return Err(StoreError::NotFound { what });
            };
            change.apply(&mut tags);
            if tags.len() > most {
                writer.rollback().await?;
                return Ok(false);
            }
            replace(&mut writer, account, kind, &key, &tags).await?;
        }
        writer.commit().await?;
        Ok(true)
    }

    /// Names of tags that are in use, in their order, from behind `after`.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn keys(
        &self,
        account: &str,
        kind: Option<Kind>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT DISTINCT name FROM oos_tags WHERE account = $1 AND ($2 = '' OR kind = $2) \
             AND name > $3 ORDER BY name LIMIT {limit}"
        )))
        .bind(account)
        .bind(kind.map_or("", Kind::word))
        .bind(after)
        .fetch_all(self.database.pool())
        .await?)
    }

    /// Values that tags of a name have, in their order, from behind `after`; `None`: from the first.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn values(
        &self,
        account: &str,
        kind: Option<Kind>,
        name: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT DISTINCT value FROM oos_tags WHERE account = $1 AND ($2 = '' OR kind = $2) \
             AND name = $3 AND ($4 = 1 OR value > $5) ORDER BY value LIMIT {limit}"
        )))
        .bind(account)
        .bind(kind.map_or("", Kind::word))
        .bind(name)
        .bind(i64::from(after.is_none()))
        .bind(after.unwrap_or_default())
        .fetch_all(self.database.pool())
        .await?)
    }

    /// Tags of resources: of these, or with none named of all; only of those that have all of
    /// `wanted`. By resource and name.
    ///
    /// # Errors
    ///
    /// `NotFound` where the page is none, `Unavailable`, `Refused`.
    pub async fn list(
        &self,
        account: &str,
        kind: Kind,
        resources: &[String],
        wanted: &BTreeMap<String, String>,
        page: &PageOf,
    ) -> Result<Listing<ResourceTag>, StoreError> {
        let keys: Vec<String> = resources.iter().map(|resource| kind.key(resource)).collect();
        let mut filter = Filter::new(self.database.dialect());
        filter.and("account = {}", account);
        filter.and("kind = {}", kind.word());
        filter.one_of("resource", &keys);
        filter.tagged(account, kind, "resource", wanted);
        let select = Select { table: "oos_tags", columns: &["resource", "name", "value"] };
        let order =
            Order { keys: vec![Key::Text("resource"), Key::Text("name")], is_ascending: true };
        filter
            .page(&self.database, &select, &order, page, |row| {
                Ok(ResourceTag {
                    resource: row.try_get(0)?,
                    name: row.try_get(1)?,
                    value: row.try_get(2)?,
                })
            })
            .await
    }
}

async fn read(
    writer: &mut AnyConnection,
    dialect: Dialect,
    account: &str,
    kind: Kind,
    key: &str,
) -> Result<Option<BTreeMap<String, String>>, StoreError> {
    let (table, is_row) = kind.row();
    let lock = if dialect == Dialect::Postgres { " FOR UPDATE" } else { "" };
    let sql = AssertSqlSafe(format!("SELECT tags FROM {table} WHERE {is_row}{lock}"));
    let row = sqlx::query(sql).bind(account).bind(key).fetch_optional(writer).await?;
    row.map(|row| parse(row.try_get(0)?, key)).transpose()
}

/// Give a resource, which is there, other tags. Returns whether it is there.
pub(crate) async fn replace(
    writer: &mut AnyConnection,
    account: &str,
    kind: Kind,
    key: &str,
    tags: &BTreeMap<String, String>,
) -> Result<bool, StoreError> {
    let (table, is_row) = kind.row();
    let sql = AssertSqlSafe(format!("UPDATE {table} SET tags = $3 WHERE {is_row}"));
    let done = sqlx::query(sql).bind(account).bind(key).bind(text(tags)).execute(&mut *writer);
    if done.await?.rows_affected() == 0 {
        return Ok(false);
    }
    forget(writer, account, kind, key).await?;
    index(writer, account, kind, key, tags).await?;
    Ok(true)
}

/// Make a resource findable by its tags.
pub(crate) async fn index(
    writer: &mut AnyConnection,
    account: &str,
    kind: Kind,
    key: &str,
    tags: &BTreeMap<String, String>,
) -> Result<(), StoreError> {
    const TAGS: Insert = Insert {
        table: "oos_tags",
        columns: &["account", "kind", "resource", "name", "value"],
        conflict: "",
    };
    let row = |(name, value)| {
        vec![
            Value::from(account),
            Value::from(kind.word()),
            Value::from(key),
            Value::Text(name),
            Value::Text(value),
        ]
    };
    let pairs = tags.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    TAGS.run(writer, &pairs.map(row).collect::<Vec<_>>()).await?;
    Ok(())
}

/// The resource is gone, or gets others.
pub(crate) async fn forget(
    writer: &mut AnyConnection,
    account: &str,
    kind: Kind,
    key: &str,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM oos_tags WHERE account = $1 AND kind = $2 AND resource = $3")
        .bind(account)
        .bind(kind.word())
        .bind(key)
        .execute(writer)
        .await?;
    Ok(())
}

/// Tags as they stand beside a record.
pub(crate) fn text(tags: &BTreeMap<String, String>) -> String {
    let pairs = tags.iter().map(|(name, value)| (name.clone(), value.clone().into()));
    serde_json::Value::Object(pairs.collect()).to_string()
}

pub(crate) fn parse(text: &str, of: &str) -> Result<BTreeMap<String, String>, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt {
        what: format!("the tags of {of}"),
        why: error.to_string(),
    })
}
