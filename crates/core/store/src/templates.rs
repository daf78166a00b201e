//! Templates and all their versions.
//!
//! A template is known by its account and its name, which no other template of the account has in
//! any case of letters. Each version keeps its text byte for byte; none is ever dropped, because
//! running clients name versions by their number.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::listing::{Filter, Key, Order, Select};
use crate::rows::{Insert, Value};
use crate::{Database, Dialect, Listing, PageOf, StoreError, tags};

/// Versions of a template at most.
///
/// # Source
///
/// The service's documentation: `v1` to `v200`.
pub const TEMPLATE_VERSIONS: i64 = 200;

/// A template, described as its latest version is. Times are nanoseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateRow {
    /// Account that owns it.
    pub account: String,
    /// Name, as it was written when the template was made.
    pub name: String,
    /// Format of the text, `JSON` or `YAML`.
    pub format: String,
    /// Type, such as `Automation`.
    pub kind: String,
    /// Category, such as `TimerTrigger`.
    pub category: String,
    /// Whether it waits for a trigger.
    pub has_trigger: bool,
    /// Resource group; empty: none.
    pub resource_group: String,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created: i64,
    /// Who made the latest version.
    pub updated_by: String,
    /// When the latest version was made.
    pub updated: i64,
    /// Number of the latest version, from 1 on.
    pub latest: i64,
    /// How many executions of it were started.
    pub executions: i64,
    /// What else the caller keeps of it.
    pub record: String,
}

/// A version of a template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateVersion {
    /// Its number, from 1 on.
    pub version: i64,
    /// What its author calls it; empty: nothing.
    pub name: String,
    /// SHA-256 of the text, lower-case hexadecimal.
    pub digest: String,
    /// The text. Empty in what lists answer.
    pub content: String,
    /// Who made it.
    pub updated_by: String,
    /// When, in nanoseconds since 1970.
    pub updated: i64,
    /// What else the caller keeps of it.
    pub record: String,
}

/// What templates are sorted by; equal ones by their name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TemplateSort {
    /// How many executions were started.
    #[default]
    Executions,
    /// Their name, in any case of letters.
    Name,
    /// When they were made.
    Created,
    /// When their latest version was made.
    Updated,
}

/// Which templates are listed: those that fulfil everything that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateQuery {
    /// Account that owns them; always needed.
    pub account: String,
    /// A part of the name, in any case of letters.
    pub name: Option<String>,
    /// Who made them.
    pub created_by: Option<String>,
    /// Format of the latest version.
    pub format: Option<String>,
    /// Type of the latest version.
    pub kind: Option<String>,
    /// Category of the latest version.
    pub category: Option<String>,
    /// Whether the latest version waits for a trigger.
    pub has_trigger: Option<bool>,
    /// Resource group.
    pub resource_group: Option<String>,
    /// Tags that all must be there.
    pub tags: BTreeMap<String, String>,
    /// Made then or later.
    pub created_from: Option<i64>,
    /// Made then or earlier.
    pub created_to: Option<i64>,
    /// What they are sorted by.
    pub sort: TemplateSort,
    /// Whether the least is first.
    pub is_ascending: bool,
    /// Which page.
    pub page: PageOf,
}

/// The columns of a template as [`template`] reads them.
const TEMPLATE: [&str; 15] = [
    "account",
    "name",
    "format",
    "kind",
    "category",
    "has_trigger",
    "resource_group",
    "tags",
    "created_by",
    "created",
    "updated_by",
    "updated",
    "latest",
    "executions",
    "record",
];

/// The columns of a version, without its text, as [`version`] reads them.
const VERSION: [&str; 6] = ["version", "name", "digest", "updated_by", "updated", "record"];

/// The templates of one database.
#[derive(Clone, Debug)]
pub struct Templates {
    database: Database,
}

impl Templates {
    /// The templates in `database`, whose tables are there already.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Make a template with its first version. `latest`, `executions` and the version's number are
    /// the store's to set. `false`: the account has one of this name, in some case of letters.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn create(
        &self,
        template: &TemplateRow,
        first: &TemplateVersion,
    ) -> Result<bool, StoreError> {
        const TEMPLATES: Insert = Insert {
            table: "oos_templates",
            columns: &[
                "account",
                "folded",
                "name",
                "format",
                "kind",
                "category",
                "has_trigger",
                "resource_group",
                "tags",
                "created_by",
                "created",
                "updated_by",
                "updated",
                "latest",
                "executions",
                "record",
            ],
            conflict: "ON CONFLICT (account, folded) DO NOTHING",
        };
        let folded = fold(&template.name);
        let tags = tags::text(&template.tags);
        let row = vec![
            Value::from(&template.account),
            Value::from(&folded),
            Value::from(&template.name),
            Value::from(&template.format),
            Value::from(&template.kind),
            Value::from(&template.category),
            Value::from(i64::from(template.has_trigger)),
            Value::from(&template.resource_group),
            Value::from(&tags),
            Value::from(&template.created_by),
            Value::from(template.created),
            Value::from(&template.updated_by),
            Value::from(template.updated),
            Value::from(1),
            Value::from(0),
            Value::from(&template.record),
        ];
        let mut writer = self.database.begin().await?;
        if TEMPLATES.run(&mut writer, &[row]).await? == 0 {
            writer.rollback().await?;
            return Ok(false);
        }
        let account = &template.account;
        tags::index(&mut writer, account, tags::Kind::Template, &folded, &template.tags).await?;
        write_version(&mut writer, account, &folded, 1, first).await?;
        writer.commit().await?;
        Ok(true)
    }

    /// Make the next version of a template, which from then on is described as `template` says.
    /// Name, author, date and count of executions stay as they are; tags and resource group too,
    /// where they are `None`. The answer is the version's number; `None`: it has as many as it can.
    ///
    /// # Errors
    ///
    /// `NotFound` where the account has no such template, `Unavailable`, `Refused`.
    pub async fn add_version(
        &self,
        template: &TemplateRow,
        version: &TemplateVersion,
        tags: Option<&BTreeMap<String, String>>,
        resource_group: Option<&str>,
    ) -> Result<Option<i64>, StoreError> {
        let (account, folded) = (&template.account, fold(&template.name));
        let mut writer = self.database.begin().await?;
        let latest = lock(&mut writer, self.database.dialect(), account, &folded).await?;
        let Some(latest) = latest else {
            writer.rollback().await?;
            return Err(absent(&template.name));
        };
        let number = latest.saturating_add(1);
        if number > TEMPLATE_VERSIONS {
            writer.rollback().await?;
            return Ok(None);
        }
        sqlx::query(
            "UPDATE oos_templates SET format = $3, kind = $4, category = $5, has_trigger = $6, \
             updated_by = $7, updated = $8, latest = $9, record = $10 \
             WHERE account = $1 AND folded = $2",
        )
        .bind(account)
        .bind(&folded)
        .bind(&template.format)
        .bind(&template.kind)
        .bind(&template.category)
        .bind(i64::from(template.has_trigger))
        .bind(&template.updated_by)
        .bind(template.updated)
        .bind(number)
        .bind(&template.record)
        .execute(&mut *writer)
        .await?;
        if let Some(tags) = tags {
            tags::replace(&mut writer, account, tags::Kind::Template, &folded, tags).await?;
        }
        if let Some(group) = resource_group {
            move_to_group(&mut writer, account, &folded, group).await?;
        }
        write_version(&mut writer, account, &folded, number, version).await?;
        writer.commit().await?;
        Ok(Some(number))
    }

    /// A template, and one of its versions with its text; without a number, the latest. The second
    /// is `None` where the template has no version of that number.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`, `Corrupt`.
    pub async fn get(
        &self,
        account: &str,
        name: &str,
        number: Option<i64>,
    ) -> Result<Option<(TemplateRow, Option<TemplateVersion>)>, StoreError> {
        let folded = fold(name);
        let sql = format!(
            "SELECT {} FROM oos_templates WHERE account = $1 AND folded = $2",
            TEMPLATE.join(", ")
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(account).bind(&folded);
        let Some(row) = query.fetch_optional(self.database.pool()).await? else { return Ok(None) };
        let template = template(&row)?;
        let sql = format!(
            "SELECT {}, content FROM oos_template_versions \
             WHERE account = $1 AND folded = $2 AND version = $3",
            VERSION.join(", ")
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(account)
            .bind(&folded)
            .bind(number.unwrap_or(template.latest))
            .fetch_optional(self.database.pool())
            .await?;
        let Some(row) = row else { return Ok(Some((template, None))) };
        let content = row.try_get(VERSION.len())?;
        Ok(Some((template, Some(TemplateVersion { content, ..version(&row)? }))))
    }

    /// A page of templates.
    ///
    /// # Errors
    ///
    /// `NotFound` where the page is none of this list, `Unavailable`, `Refused`, `Corrupt`.
    pub async fn list(&self, query: &TemplateQuery) -> Result<Listing<TemplateRow>, StoreError> {
        let mut filter = Filter::new(self.database.dialect());
        filter.and("account = {}", &query.account);
        filter.contains("name", query.name.as_ref());
        filter.some("created_by = {}", query.created_by.as_ref());
        filter.some("format = {}", query.format.as_ref());
        filter.some("kind = {}", query.kind.as_ref());
        filter.some("category = {}", query.category.as_ref());
        filter.some("has_trigger = {}", query.has_trigger.map(i64::from));
        filter.some("resource_group = {}", query.resource_group.as_ref());
        filter.between("created", query.created_from, query.created_to);
        filter.tagged(&query.account, tags::Kind::Template, "folded", &query.tags);
        let name = Key::Text("folded");
        let keys = match query.sort {
            TemplateSort::Executions => vec![Key::Number("executions"), name],
            TemplateSort::Name => vec![name],
            TemplateSort::Created => vec![Key::Number("created"), name],
            TemplateSort::Updated => vec![Key::Number("updated"), name],
        };
        let order = Order { keys, is_ascending: query.is_ascending };
        let select = Select { table: "oos_templates", columns: &TEMPLATE };
        filter.page(&self.database, &select, &order, &query.page, template).await
    }

    /// A page of the versions of a template, newest first, without their texts.
    ///
    /// # Errors
    ///
    /// `NotFound` where the page is none of this list, `Unavailable`, `Refused`.
    pub async fn versions(
        &self,
        account: &str,
        name: &str,
        page: &PageOf,
    ) -> Result<Listing<TemplateVersion>, StoreError> {
        let folded = fold(name);
        let mut filter = Filter::new(self.database.dialect());
        filter.and("account = {}", account);
        filter.and("folded = {}", &folded);
        let order = Order { keys: vec![Key::Number("version")], is_ascending: false };
        let select = Select { table: "oos_template_versions", columns: &VERSION };
        filter.page(&self.database, &select, &order, page, version).await
    }

    /// Remove all of these templates with their versions, or none.
    ///
    /// # Errors
    ///
    /// `NotFound` where one is not there, `Unavailable`, `Refused`.
    pub async fn delete(&self, account: &str, names: &[String]) -> Result<(), StoreError> {
        let mut folded: Vec<String> = names.iter().map(|name| fold(name)).collect();
        // In one order, so that no two transactions wait for each other.
        folded.sort_unstable();
        folded.dedup();
        let mut writer = self.database.begin().await?;
        for folded in &folded {
            if lock(&mut writer, self.database.dialect(), account, folded).await?.is_none() {
                writer.rollback().await?;
                return Err(absent(folded));
            }
            tags::forget(&mut writer, account, tags::Kind::Template, folded).await?;
            for sql in [
                "DELETE FROM oos_template_versions WHERE account = $1 AND folded = $2",
                "DELETE FROM oos_templates WHERE account = $1 AND folded = $2",
                "DELETE FROM oos_favorites WHERE account = $1 AND folded = $2",
            ] {
                sqlx::query(sql).bind(account).bind(folded).execute(&mut *writer).await?;
            }
        }
        writer.commit().await
    }

    /// Move a template to another resource group; empty: none. `false`: there is no such template.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn set_resource_group(
        &self,
        account: &str,
        name: &str,
        group: &str,
    ) -> Result<bool, StoreError> {
        let mut writer = self.database.begin().await?;
        let is_there = move_to_group(&mut writer, account, &fold(name), group).await?;
        writer.commit().await?;
        Ok(is_there)
    }

    /// One more execution of a template was started. Nothing happens where it is gone.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn count_execution(&self, account: &str, name: &str) -> Result<(), StoreError> {
        let mut writer = self.database.begin().await?;
        sqlx::query(
            "UPDATE oos_templates SET executions = executions + 1 \
             WHERE account = $1 AND folded = $2",
        )
        .bind(account)
        .bind(fold(name))
        .execute(&mut *writer)
        .await?;
        writer.commit().await
    }
}

/// Names of templates are ASCII, so that this is all there is to their cases of letters.
pub(crate) fn fold(name: &str) -> String {
    tags::Kind::Template.key(name)
}

fn absent(name: &str) -> StoreError {
    StoreError::NotFound { what: format!("template {name}") }
}

/// The number of a template's latest version, which nobody changes until the transaction ends.
async fn lock(
    writer: &mut AnyConnection,
    dialect: Dialect,
    account: &str,
    folded: &str,
) -> Result<Option<i64>, StoreError> {
    let lock = if dialect == Dialect::Postgres { " FOR UPDATE" } else { "" };
    let sql = format!("SELECT latest FROM oos_templates WHERE account = $1 AND folded = $2{lock}");
    let query = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(account).bind(folded);
    Ok(query.fetch_optional(writer).await?)
}

async fn move_to_group(
    writer: &mut AnyConnection,
    account: &str,
    folded: &str,
    group: &str,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE oos_templates SET resource_group = $3 WHERE account = $1 AND folded = $2",
    )
    .bind(account)
    .bind(folded)
    .bind(group)
    .execute(writer)
    .await?;
    Ok(done.rows_affected() > 0)
}

async fn write_version(
    writer: &mut AnyConnection,
    account: &str,
    folded: &str,
    number: i64,
    version: &TemplateVersion,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO oos_template_versions \
         (account, folded, version, name, digest, content, updated_by, updated, record) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(account)
    .bind(folded)
    .bind(number)
    .bind(&version.name)
    .bind(&version.digest)
    .bind(&version.content)
    .bind(&version.updated_by)
    .bind(version.updated)
    .bind(&version.record)
    .execute(writer)
    .await?;
    Ok(())
}

fn template(row: &AnyRow) -> Result<TemplateRow, StoreError> {
    let name: String = row.try_get(1)?;
    Ok(TemplateRow {
        account: row.try_get(0)?,
        format: row.try_get(2)?,
        kind: row.try_get(3)?,
        category: row.try_get(4)?,
        has_trigger: row.try_get::<i64, _>(5)? != 0,
        resource_group: row.try_get(6)?,
        tags: tags::parse(row.try_get(7)?, &name)?,
        created_by: row.try_get(8)?,
        created: row.try_get(9)?,
        updated_by: row.try_get(10)?,
        updated: row.try_get(11)?,
        latest: row.try_get(12)?,
        executions: row.try_get(13)?,
        record: row.try_get(14)?,
        name,
    })
}

fn version(row: &AnyRow) -> Result<TemplateVersion, StoreError> {
    Ok(TemplateVersion {
        version: row.try_get(0)?,
        name: row.try_get(1)?,
        digest: row.try_get(2)?,
        content: String::new(),
        updated_by: row.try_get(3)?,
        updated: row.try_get(4)?,
        record: row.try_get(5)?,
    })
}
