//! The database that records and journals share.

use sqlx::AnyPool;
use sqlx::any::AnyPoolOptions;

use crate::StoreError;

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// A file, for one process.
    Sqlite,
    /// A server, for many.
    Postgres,
}

/// A pool of connections. Clones share it.
#[derive(Clone, Debug)]
pub struct Database {
    pool: AnyPool,
    dialect: Dialect,
}

impl Database {
    /// Connects to `sqlite:///abs/path.db` or `postgres://…`, and makes the tables.
    ///
    /// # Errors
    ///
    /// `Unavailable`, also if the URL is none of these.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let dialect = if url.starts_with("postgres") { Dialect::Postgres } else { Dialect::Sqlite };
        let url = if dialect == Dialect::Sqlite { format!("{url}?mode=rwc") } else { url.into() };
        let pool = AnyPoolOptions::new().max_connections(8).connect(&url).await?;
        if dialect == Dialect::Sqlite {
            sqlx::raw_sql("PRAGMA journal_mode = WAL").execute(&pool).await?;
        }
        sqlx::raw_sql(include_str!("../migrations/0002_records.sql")).execute(&pool).await.ok();
        Ok(Self { pool, dialect })
    }

    /// Which database it is.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The pool.
    #[must_use]
    pub const fn pool(&self) -> &AnyPool {
        &self.pool
    }
}
