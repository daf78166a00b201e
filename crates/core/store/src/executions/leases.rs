//! Who advances a run, and what others want of it.

use std::time::Duration;

use sqlx::{AnyConnection, Row};

use super::{Executions, after, fresh_token, now};
use crate::once::{self, Once};
use crate::records::{Token, TokenKey};
use crate::rows::{Value, statement};
use crate::{Dialect, StoreError, Writer};

impl Executions {
    /// Take a run for a time. The answer is the token that each commit names; `None`: another owner
    /// holds it, or there is no such run. An owner that takes a run again makes its older token
    /// worthless.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn take_lease(
        &self,
        root: &str,
        owner: &str,
        for_: Duration,
    ) -> Result<Option<String>, StoreError> {
        let token = fresh_token();
        let mut writer = self.database.begin().await?;
        let done = sqlx::query(
            "UPDATE oos_runs SET lease = $1, owner = $2, until = $3 \
             WHERE root = $4 AND (until <= $5 OR owner = $2)",
        )
        .bind(&token)
        .bind(owner)
        .bind(after(for_))
        .bind(root)
        .bind(now())
        .execute(&mut *writer)
        .await?;
        writer.commit().await?;
        Ok((done.rows_affected() > 0).then_some(token))
    }

    /// Hold for longer all that an owner holds.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn renew_of(&self, owner: &str, for_: Duration) -> Result<(), StoreError> {
        let mut writer = self.database.begin().await?;
        // Rows are locked in the order of their names, as a commit does it, or the two would wait for
        // each other.
        let lock = match self.database.dialect() {
            Dialect::Postgres => " ORDER BY root FOR UPDATE",
            Dialect::Sqlite => "",
        };
        let sql = format!(
            "WITH own AS (SELECT root FROM oos_runs WHERE owner = $2 AND lease <> ''{lock}) \
             UPDATE oos_runs SET until = $1 WHERE root IN (SELECT root FROM own)"
        );
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(after(for_))
            .bind(owner)
            .execute(&mut *writer)
            .await?;
        writer.commit().await
    }

    /// Give a run back. With a token that is worth nothing any more, nothing happens.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn release_lease(&self, root: &str, token: &str) -> Result<(), StoreError> {
        let mut writer = self.database.begin().await?;
        give_back(&mut writer, "root = $1 AND lease = $2", &[root.into(), token.into()]).await?;
        writer.commit().await
    }

    /// Give back all that an owner holds: for a process that was started again under its name.
    /// Returns the roots.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn release_of(&self, owner: &str) -> Result<Vec<String>, StoreError> {
        let mut writer = self.database.begin().await?;
        let roots =
            sqlx::query_scalar("SELECT root FROM oos_runs WHERE owner = $1 AND owner <> ''")
                .bind(owner)
                .fetch_all(&mut *writer)
                .await?;
        give_back(&mut writer, "owner = $1 AND owner <> ''", &[owner.into()]).await?;
        writer.commit().await?;
        Ok(roots)
    }

    /// Leave word for whoever advances a run. The answer is the item's number, which grows within
    /// the run and is never given out again. With a client token, a repeated request does nothing
    /// and gets the first answer.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is no such run, `Unavailable`, `Refused`.
    pub async fn put(
        &self,
        root: &str,
        item: &str,
        token: Option<&(TokenKey, Token)>,
    ) -> Result<Once<i64>, StoreError> {
        let mut writer = self.database.begin().await?;
        if !once::claim(&mut writer, token).await? {
            return once::recall(&self.database, writer, token).await;
        }
        let position = next_item(&mut writer, root).await?;
        sqlx::query("INSERT INTO oos_inbox (root, position, item) VALUES ($1, $2, $3)")
            .bind(root)
            .bind(position)
            .bind(item)
            .execute(&mut *writer)
            .await?;
        writer.commit().await?;
        Ok(Once::Done(position))
    }

    /// What a run has not taken notice of yet, oldest first, by number.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn inbox(&self, root: &str) -> Result<Vec<(i64, String)>, StoreError> {
        let rows =
            sqlx::query("SELECT position, item FROM oos_inbox WHERE root = $1 ORDER BY position")
                .bind(root)
                .fetch_all(self.database.pool())
                .await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// The runs that an owner holds and that have something in their inbox, so that one question
    /// finds what other processes put there.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn called(&self, owner: &str) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT root FROM oos_runs r WHERE owner = $1 \
             AND EXISTS (SELECT 1 FROM oos_inbox i WHERE i.root = r.root) ORDER BY root",
        )
        .bind(owner)
        .fetch_all(self.database.pool())
        .await?)
    }
}

/// Nobody holds the runs that `which` says, from now on. Returns how many there are.
pub(super) async fn give_back(
    writer: &mut AnyConnection,
    which: &str,
    values: &[Value<'_>],
) -> Result<u64, StoreError> {
    let sql = format!("UPDATE oos_runs SET lease = '', owner = '', until = 0 WHERE {which}");
    Ok(statement(sql, values).execute(writer).await?.rows_affected())
}

async fn next_item(writer: &mut Writer, root: &str) -> Result<i64, StoreError> {
    let row = sqlx::query("UPDATE oos_runs SET inbox = inbox + 1 WHERE root = $1 RETURNING inbox")
        .bind(root)
        .fetch_optional(&mut **writer)
        .await?;
    let row = row.ok_or_else(|| StoreError::NotFound { what: format!("run {root}") })?;
    Ok(row.try_get(0)?)
}
