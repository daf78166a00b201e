//! The parameter store: values by name, with the versions they had; secret ones apart.
//!
//! Values of secrets are stored as they are. Encrypting them here would want a key that is kept
//! somewhere else, which kiln has no place for; the database file is its owner's only.

use std::collections::BTreeMap;
use std::fmt;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::listing::{Filter, Key, Order, Select};
use crate::once::{self, Once};
use crate::records::{Token, TokenKey};
use crate::rows::{Insert, Value};
use crate::{Database, Dialect, Listing, PageOf, StoreError, tags};

/// Versions of a parameter that are kept; the oldest go first.
pub const PARAMETER_VERSIONS: i64 = 100;

/// A parameter. Times are nanoseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParameterRow {
    /// Account that owns it.
    pub account: String,
    /// Whether it is a secret; secrets and others have names of their own.
    pub is_secret: bool,
    /// Name, which may be a path with slashes.
    pub name: String,
    /// Type, such as `StringList`.
    pub kind: String,
    /// Resource group; empty: none.
    pub resource_group: String,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// When it was made.
    pub created: i64,
    /// Number of the latest version, from 1 on.
    pub latest: i64,
    /// What else the caller keeps of it.
    pub record: String,
}

/// A version of a parameter.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ParameterVersion {
    /// Its number, from 1 on.
    pub version: i64,
    /// The value.
    pub value: String,
    /// Who made it.
    pub updated_by: String,
    /// When, in nanoseconds since 1970.
    pub updated: i64,
}

/// Without the value, which may be a secret.
impl fmt::Debug for ParameterVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, updated_by, updated, value: _ } = self;
        let mut out = out.debug_struct("ParameterVersion");
        out.field("version", version).field("updated_by", updated_by).field("updated", updated);
        out.finish_non_exhaustive()
    }
}

/// What an update changes beside the value; `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParameterChange {
    /// What else the caller keeps of it.
    pub record: Option<String>,
    /// All of its tags.
    pub tags: Option<BTreeMap<String, String>>,
    /// Resource group; empty: none.
    pub resource_group: Option<String>,
}

/// What parameters are sorted by; equal ones by their name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ParameterSort {
    /// Their name.
    #[default]
    Name,
    /// When they were made.
    Created,
}

/// Which parameters are listed: those that fulfil everything that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParameterQuery {
    /// Account that owns them; always needed.
    pub account: String,
    /// Whether secrets are meant, or others.
    pub is_secret: bool,
    /// A part of the name, in any case of letters.
    pub name: Option<String>,
    /// Those whose name begins with this path, with or without slashes at its ends.
    pub path: Option<String>,
    /// Whether those further below the path are meant too.
    pub is_recursive: bool,
    /// Type.
    pub kind: Option<String>,
    /// Resource group.
    pub resource_group: Option<String>,
    /// Tags that all must be there.
    pub tags: BTreeMap<String, String>,
    /// What they are sorted by.
    pub sort: ParameterSort,
    /// Whether the least is first.
    pub is_ascending: bool,
    /// Which page.
    pub page: PageOf,
}

/// The columns of a parameter as [`parameter`] reads them.
const PARAMETER: [&str; 9] =
    ["account", "secret", "name", "kind", "resource_group", "tags", "created", "latest", "record"];

/// The columns of a version as [`version`] reads them.
const VERSION: [&str; 4] = ["version", "value", "updated_by", "updated"];

/// The parameters of one database.
#[derive(Clone, Debug)]
pub struct Parameters {
    database: Database,
}

impl Parameters {
    /// The parameters in `database`, whose tables are there already.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Make a parameter with its first version. `latest` and the version's number are the store's
    /// to set. `false`: the account has one of this name. With a client token, a repeated request
    /// does nothing and gets the first answer.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn create(
        &self,
        parameter: &ParameterRow,
        first: &ParameterVersion,
        token: Option<&(TokenKey, Token)>,
    ) -> Result<Once<bool>, StoreError> {
        const PARAMETERS: Insert = Insert {
            table: "oos_parameters",
            columns: &[
                "account",
                "secret",
                "name",
                "folder",
                "kind",
                "resource_group",
                "tags",
                "created",
                "latest",
                "record",
            ],
            conflict: "ON CONFLICT (account, secret, name) DO NOTHING",
        };
        let ParameterRow { account, name, is_secret, .. } = parameter;
        let tags = tags::text(&parameter.tags);
        let row = vec![
            Value::from(account),
            Value::from(i64::from(*is_secret)),
            Value::from(name),
            Value::from(folder(name)),
            Value::from(&parameter.kind),
            Value::from(&parameter.resource_group),
            Value::from(&tags),
            Value::from(parameter.created),
            Value::from(1),
            Value::from(&parameter.record),
        ];
        let mut writer = self.database.begin().await?;
        if !once::claim(&mut writer, token).await? {
            return once::recall(&self.database, writer, token).await;
        }
        if PARAMETERS.run(&mut writer, &[row]).await? == 0 {
            writer.rollback().await?;
            return Ok(Once::Done(false));
        }
        tags::index(&mut writer, account, kind(*is_secret), name, &parameter.tags).await?;
        write_version(&mut writer, account, *is_secret, name, 1, first).await?;
        writer.commit().await?;
        Ok(Once::Done(true))
    }

    /// Give a parameter another value, as its next version. The answer is the version's number.
    /// Of its versions the newest [`PARAMETER_VERSIONS`] are kept.
    ///
    /// # Errors
    ///
    /// `NotFound` where the account has no such parameter, `Unavailable`, `Refused`.
    pub async fn update(
        &self,
        account: &str,
        is_secret: bool,
        name: &str,
        version: &ParameterVersion,
        change: &ParameterChange,
    ) -> Result<i64, StoreError> {
        let mut writer = self.database.begin().await?;
        let latest = lock(&mut writer, self.database.dialect(), account, is_secret, name).await?;
        let Some(latest) = latest else {
            writer.rollback().await?;
            return Err(absent(is_secret, name));
        };
        let number = latest.saturating_add(1);
        sqlx::query(
            "UPDATE oos_parameters SET latest = $4, \
             record = CASE WHEN $5 = 1 THEN $6 ELSE record END, \
             resource_group = CASE WHEN $7 = 1 THEN $8 ELSE resource_group END \
             WHERE account = $1 AND secret = $2 AND name = $3",
        )
        .bind(account)
        .bind(i64::from(is_secret))
        .bind(name)
        .bind(number)
        .bind(i64::from(change.record.is_some()))
        .bind(change.record.as_deref().unwrap_or_default())
        .bind(i64::from(change.resource_group.is_some()))
        .bind(change.resource_group.as_deref().unwrap_or_default())
        .execute(&mut *writer)
        .await?;
        if let Some(tags) = &change.tags {
            tags::replace(&mut writer, account, kind(is_secret), name, tags).await?;
        }
        write_version(&mut writer, account, is_secret, name, number, version).await?;
        sqlx::query(
            "DELETE FROM oos_parameter_versions \
             WHERE account = $1 AND secret = $2 AND name = $3 AND version <= $4",
        )
        .bind(account)
        .bind(i64::from(is_secret))
        .bind(name)
        .bind(number.saturating_sub(PARAMETER_VERSIONS))
        .execute(&mut *writer)
        .await?;
        writer.commit().await?;
        Ok(number)
    }

    /// A parameter, and one of its versions; without a number, the latest. The second is `None`
    /// where the parameter has no version of that number, or not any more.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`, `Corrupt`.
    pub async fn get(
        &self,
        account: &str,
        is_secret: bool,
        name: &str,
        number: Option<i64>,
    ) -> Result<Option<(ParameterRow, Option<ParameterVersion>)>, StoreError> {
        let sql = format!(
            "SELECT {} FROM oos_parameters WHERE account = $1 AND secret = $2 AND name = $3",
            PARAMETER.join(", ")
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(account)
            .bind(i64::from(is_secret))
            .bind(name)
            .fetch_optional(self.database.pool())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let parameter = parameter(&row)?;
        let sql = format!(
            "SELECT {} FROM oos_parameter_versions \
             WHERE account = $1 AND secret = $2 AND name = $3 AND version = $4",
            VERSION.join(", ")
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(account)
            .bind(i64::from(is_secret))
            .bind(name)
            .bind(number.unwrap_or(parameter.latest))
            .fetch_optional(self.database.pool())
            .await?;
        Ok(Some((parameter, row.as_ref().map(version).transpose()?)))
    }

    /// A page of parameters, each with its latest value.
    ///
    /// # Errors
    ///
    /// `NotFound` where the page is none of this list, `Unavailable`, `Refused`, `Corrupt`.
    pub async fn list(
        &self,
        query: &ParameterQuery,
    ) -> Result<Listing<(ParameterRow, String)>, StoreError> {
        let path = query.path.as_ref().map(|path| path.trim_matches('/'));
        let below = format!("{}/", path.unwrap_or_default());
        let mut filter = Filter::new(self.database.dialect());
        filter.and("account = {}", &query.account);
        filter.and("secret = {}", i64::from(query.is_secret));
        filter.contains("name", query.name.as_ref());
        filter.some("kind = {}", query.kind.as_ref());
        filter.some("resource_group = {}", query.resource_group.as_ref());
        filter.tagged(&query.account, kind(query.is_secret), "name", &query.tags);
        match path {
            Some(path) if !query.is_recursive => filter.and("folder = {}", path),
            // Below `/` are all.
            Some("") | None => {}
            Some(_) => {
                let length = below.chars().count();
                let is_below = format!("substr(folder || '/', 1, {length}) = {{}}");
                filter.and(&is_below, &below);
            }
        }
        let keys = match query.sort {
            ParameterSort::Name => vec![Key::Text("name")],
            ParameterSort::Created => vec![Key::Number("created"), Key::Text("name")],
        };
        let order = Order { keys, is_ascending: query.is_ascending };
        let select = Select { table: "oos_parameters", columns: &WITH_VALUE };
        filter
            .page(&self.database, &select, &order, &query.page, |row| {
                Ok((parameter(row)?, row.try_get(PARAMETER.len())?))
            })
            .await
    }

    /// A page of the versions of a parameter that are kept, newest first.
    ///
    /// # Errors
    ///
    /// `NotFound` where the page is none of this list, `Unavailable`, `Refused`.
    pub async fn versions(
        &self,
        account: &str,
        is_secret: bool,
        name: &str,
        page: &PageOf,
    ) -> Result<Listing<ParameterVersion>, StoreError> {
        let mut filter = Filter::new(self.database.dialect());
        filter.and("account = {}", account);
        filter.and("secret = {}", i64::from(is_secret));
        filter.and("name = {}", name);
        let order = Order { keys: vec![Key::Number("version")], is_ascending: false };
        let select = Select { table: "oos_parameter_versions", columns: &VERSION };
        filter.page(&self.database, &select, &order, page, version).await
    }

    /// Remove a parameter with its versions. `false`: there is none.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn delete(
        &self,
        account: &str,
        is_secret: bool,
        name: &str,
    ) -> Result<bool, StoreError> {
        let mut writer = self.database.begin().await?;
        let dialect = self.database.dialect();
        let is_there = lock(&mut writer, dialect, account, is_secret, name).await?.is_some();
        tags::forget(&mut writer, account, kind(is_secret), name).await?;
        for sql in [
            "DELETE FROM oos_parameter_versions WHERE account = $1 AND secret = $2 AND name = $3",
            "DELETE FROM oos_parameters WHERE account = $1 AND secret = $2 AND name = $3",
        ] {
            let query = sqlx::query(sql).bind(account).bind(i64::from(is_secret)).bind(name);
            query.execute(&mut *writer).await?;
        }
        writer.commit().await?;
        Ok(is_there)
    }

    /// Move a parameter to another resource group; empty: none. `false`: there is no such parameter.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn set_resource_group(
        &self,
        account: &str,
        is_secret: bool,
        name: &str,
        group: &str,
    ) -> Result<bool, StoreError> {
        let mut writer = self.database.begin().await?;
        let done = sqlx::query(
            "UPDATE oos_parameters SET resource_group = $4 \
             WHERE account = $1 AND secret = $2 AND name = $3",
        )
        .bind(account)
        .bind(i64::from(is_secret))
        .bind(name)
        .bind(group)
        .execute(&mut *writer)
        .await?;
        writer.commit().await?;
        Ok(done.rows_affected() > 0)
    }
}

/// [`PARAMETER`], and the latest value behind it.
const WITH_VALUE: [&str; 10] = [
    PARAMETER[0],
    PARAMETER[1],
    PARAMETER[2],
    PARAMETER[3],
    PARAMETER[4],
    PARAMETER[5],
    PARAMETER[6],
    PARAMETER[7],
    PARAMETER[8],
    "(SELECT v.value FROM oos_parameter_versions v WHERE v.account = oos_parameters.account \
     AND v.secret = oos_parameters.secret AND v.name = oos_parameters.name \
     AND v.version = oos_parameters.latest)",
];

/// What stands before the last slash, without slashes at its ends.
fn folder(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder.trim_matches('/'))
}

fn kind(is_secret: bool) -> tags::Kind {
    if is_secret { tags::Kind::SecretParameter } else { tags::Kind::Parameter }
}

fn absent(is_secret: bool, name: &str) -> StoreError {
    let what = if is_secret { "secret parameter" } else { "parameter" };
    StoreError::NotFound { what: format!("{what} {name}") }
}

/// The number of a parameter's latest version, which nobody changes until the transaction ends.
async fn lock(
    writer: &mut AnyConnection,
    dialect: Dialect,
    account: &str,
    is_secret: bool,
    name: &str,
) -> Result<Option<i64>, StoreError> {
    let lock = if dialect == Dialect::Postgres { " FOR UPDATE" } else { "" };
    let sql = format!(
        "SELECT latest FROM oos_parameters \
         WHERE account = $1 AND secret = $2 AND name = $3{lock}"
    );
    let query = sqlx::query_scalar(sqlx::AssertSqlSafe(sql));
    let query = query.bind(account).bind(i64::from(is_secret)).bind(name);
    Ok(query.fetch_optional(writer).await?)
}

async fn write_version(
    writer: &mut AnyConnection,
    account: &str,
    is_secret: bool,
    name: &str,
    number: i64,
    version: &ParameterVersion,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO oos_parameter_versions \
         (account, secret, name, version, value, updated_by, updated) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(account)
    .bind(i64::from(is_secret))
    .bind(name)
    .bind(number)
    .bind(&version.value)
    .bind(&version.updated_by)
    .bind(version.updated)
    .execute(writer)
    .await?;
    Ok(())
}

fn parameter(row: &AnyRow) -> Result<ParameterRow, StoreError> {
    let name: String = row.try_get(2)?;
    Ok(ParameterRow {
        account: row.try_get(0)?,
        is_secret: row.try_get::<i64, _>(1)? != 0,
        kind: row.try_get(3)?,
        resource_group: row.try_get(4)?,
        tags: tags::parse(row.try_get(5)?, &name)?,
        created: row.try_get(6)?,
        latest: row.try_get(7)?,
        record: row.try_get(8)?,
        name,
    })
}

fn version(row: &AnyRow) -> Result<ParameterVersion, StoreError> {
    Ok(ParameterVersion {
        version: row.try_get(0)?,
        value: row.try_get(1)?,
        updated_by: row.try_get(2)?,
        updated: row.try_get(3)?,
    })
}
