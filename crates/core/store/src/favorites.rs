//! Templates that accounts marked as their favourites.

use std::collections::BTreeSet;

use crate::templates::{Templates, fold};
use crate::{Database, StoreError};

impl Templates {
    /// Mark a template, which need not be the account's own, or take the mark away. A name is the
    /// same in any case of letters.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn set_favorite(
        &self,
        account: &str,
        name: &str,
        is_favorite: bool,
    ) -> Result<(), StoreError> {
        let sql = match is_favorite {
            true => {
                "INSERT INTO oos_favorites (account, folded) VALUES ($1, $2) \
                     ON CONFLICT (account, folded) DO NOTHING"
            }
            false => "DELETE FROM oos_favorites WHERE account = $1 AND folded = $2",
        };
        let mut writer = self.database().begin().await?;
        sqlx::query(sql).bind(account).bind(fold(name)).execute(&mut *writer).await?;
        writer.commit().await
    }

    /// The names of an account's favourites, in lower case.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn favorites(&self, account: &str) -> Result<BTreeSet<String>, StoreError> {
        let database: &Database = self.database();
        let query = sqlx::query_scalar("SELECT folded FROM oos_favorites WHERE account = $1");
        let names: Vec<String> = query.bind(account).fetch_all(database.pool()).await?;
        Ok(names.into_iter().collect())
    }
}
