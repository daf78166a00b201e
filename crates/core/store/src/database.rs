//! The one database of records and journals: a SQLite file, or PostgreSQL, by its URL.
//!
//! Both are spoken to by the same statements over sqlx's `Any`: placeholders are `$1`, columns are
//! TEXT or BIGINT, and the few differences ask [`Database::dialect`].
//!
//! SQLite runs in WAL mode, so readers are never in a writer's way, with `synchronous=FULL`: an
//! answer to a client is a promise, and `NORMAL` may lose the last commits when the power fails.

use std::fs::{DirBuilder, OpenOptions};
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Any, AnyConnection, AnyPool, Executor, SqlSafeStr, Transaction};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::StoreError;

/// Connections held at most. SQLite has one writer at a time anyway; the others read.
const CONNECTIONS: u32 = 8;

/// How long a call waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// What each connection to a SQLite file is told first. The timeout, in milliseconds, is how long a
/// writer waits for another one.
const SQLITE_SETTINGS: &str =
    "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;";

/// The migrations, oldest first. A migration is never changed once it is released.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "journal", include_str!("../migrations/0001_journal.sql")),
    (2, "records", include_str!("../migrations/0002_records.sql")),
    (3, "oos", include_str!("../migrations/0003_oos.sql")),
    (4, "favorites", include_str!("../migrations/0004_favorites.sql")),
    (5, "resources", include_str!("../migrations/0005_resources.sql")),
];

/// Which SQL the database speaks, where the two differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

/// A pool of connections to a database whose tables are up to date.
#[derive(Clone, Debug)]
pub struct Database {
    pool: AnyPool,
    dialect: Dialect,
    /// Whose turn it is to write to a SQLite file. SQLite has its own lock, but waits for it in
    /// steps of up to 100 ms; this one wakes the next writer at once.
    turn: Arc<Mutex<()>>,
}

/// A transaction that writes. Dropped without [`Writer::commit`], it has done nothing.
#[derive(Debug)]
pub struct Writer {
    transaction: Transaction<'static, Any>,
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Writer {
    /// Make what was written last.
    ///
    /// # Errors
    ///
    /// `Unavailable` where the database was lost; whether it took the commit is then unknown.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit().await?)
    }

    /// Undo what was written.
    ///
    /// # Errors
    ///
    /// `Unavailable` where the database was lost, which undoes it as well.
    pub async fn rollback(self) -> Result<(), StoreError> {
        Ok(self.transaction.rollback().await?)
    }
}

/// The connection to run statements on: `&mut *writer`.
impl Deref for Writer {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.transaction
    }
}

impl DerefMut for Writer {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }
}

impl Database {
    /// Open `url`, `sqlite:///absolute/path` or `postgres://user@host/name`, and bring its tables
    /// up to date. A SQLite file that does not exist is made, with its folder, for its owner only.
    ///
    /// # Errors
    ///
    /// `Settings` for another kind of URL, `File` where the file cannot be made, `Unavailable` for
    /// a server that does not answer, `Migration` for tables of a newer kiln.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let dialect = Dialect::of(url)?;
        if dialect == Dialect::Sqlite {
            create_file(&sqlite_path(url)?)?;
        }
        sqlx::any::install_default_drivers();
        let options: AnyConnectOptions = url.parse()?;
        let pool = AnyPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // A connection that broke is found by the statement that uses it; asking first doubles
            // the round trips of everything.
            .test_before_acquire(dialect == Dialect::Postgres)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if dialect == Dialect::Sqlite {
                        connection.execute(SQLITE_SETTINGS).await?;
                    }
                    Ok(())
                })
            })
            .connect_with(options)
            .await?;
        let database = Self { pool, dialect, turn: Arc::default() };
        database.migrate().await?;
        Ok(database)
    }

    /// On PostgreSQL the migrator takes a lock of its own. On SQLite it takes none, so that of two
    /// processes that open a new file, one would make tables that the other has just made: there
    /// all of it is one transaction that writes from its start.
    async fn migrate(&self) -> Result<(), StoreError> {
        if self.dialect == Dialect::Postgres {
            migrator().run(&self.pool).await?;
            return Ok(());
        }
        let mut writer = self.begin().await?;
        // `run` is not general enough over a connection's lifetime for a task that is spawned.
        migrator().run_direct(None, &mut *writer, false).await?;
        writer.commit().await
    }

    /// Which SQL the database speaks.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The connections.
    pub fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Begin a transaction that will write. On SQLite it is the writer from its first statement, so
    /// what it has read cannot be outdated when it writes.
    ///
    /// # Errors
    ///
    /// `Unavailable` where no connection gets free, or another writer holds the file too long.
    pub async fn begin(&self) -> Result<Writer, StoreError> {
        Ok(match self.dialect {
            Dialect::Sqlite => {
                let turn = Some(self.turn.clone().lock_owned().await);
                Writer { transaction: self.pool.begin_with("BEGIN IMMEDIATE").await?, _turn: turn }
            }
            Dialect::Postgres => Writer { transaction: self.pool.begin().await?, _turn: None },
        })
    }

    /// Begin a transaction that only reads, and sees one state of the database throughout.
    ///
    /// # Errors
    ///
    /// `Unavailable` where no connection gets free.
    pub async fn snapshot(&self) -> Result<Transaction<'static, Any>, StoreError> {
        Ok(match self.dialect {
            // As of its first read.
            Dialect::Sqlite => self.pool.begin().await?,
            Dialect::Postgres => {
                self.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?
            }
        })
    }

    /// Ask the database for an answer.
    ///
    /// # Errors
    ///
    /// `Unavailable` where there is none.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }
}

impl Dialect {
    fn of(url: &str) -> Result<Self, StoreError> {
        match url.split_once("://").map(|(scheme, _)| scheme) {
            Some("sqlite") => Ok(Self::Sqlite),
            Some("postgres" | "postgresql") => Ok(Self::Postgres),
            _ => Err(StoreError::Settings {
                what: "the database's URL".into(),
                why: "it starts with neither sqlite:// nor postgres://".into(),
            }),
        }
    }
}

fn migrator() -> Migrator {
    let migrations = MIGRATIONS.iter().map(|&(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}

/// The file of a SQLite URL. Only absolute paths: a service's working folder is nobody's choice.
fn sqlite_path(url: &str) -> Result<PathBuf, StoreError> {
    let path = url.trim_start_matches("sqlite://");
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    if path.starts_with('/') && !path.ends_with('/') && !path.contains('%') {
        return Ok(PathBuf::from(path));
    }
    Err(StoreError::Settings {
        what: "the database's URL".into(),
        why: "after sqlite:// stands the absolute path of a file, without escapes".into(),
    })
}

fn create_file(path: &Path) -> Result<(), StoreError> {
    let file = |source| StoreError::File { path: path.display().to_string(), source };
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(file)?;
    }
    let options = &mut OpenOptions::new();
    options.append(true).create(true).mode(0o600).open(path).map_err(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn a_file_is_made_for_its_owner_only_and_opens_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/kiln.db");
        let url = format!("sqlite://{}", path.display());
        for _ in 0..2 {
            let database = Database::open(&url).await.unwrap();
            database.ping().await.unwrap();
            assert_eq!(database.dialect(), Dialect::Sqlite);
        }
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(path.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }

    /// Fault planted: many that open one new file, and so make its tables, at the same moment.
    #[tokio::test]
    async fn a_new_file_is_opened_by_many_at_once() {
        for _ in 0..4 {
            let folder = tempfile::tempdir().unwrap();
            let url = format!("sqlite://{}/kiln.db", folder.path().display());
            let mut opening = tokio::task::JoinSet::new();
            for _ in 0..8 {
                let url = url.clone();
                opening.spawn(async move { Database::open(&url).await });
            }
            for opened in opening.join_all().await {
                opened.unwrap().ping().await.unwrap();
            }
        }
    }

    /// Fault planted: a reader that a writer holds up.
    #[tokio::test]
    async fn a_reader_does_not_wait_for_a_writer() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/kiln.db", folder.path().display());
        let database = Database::open(&url).await.unwrap();
        let writer = database.begin().await.unwrap();
        let read = sqlx::query("SELECT COUNT(*) FROM journal_instances").fetch_one(database.pool());
        tokio::time::timeout(Duration::from_secs(2), read).await.unwrap().unwrap();
        writer.rollback().await.unwrap();
    }

    #[tokio::test]
    async fn other_urls_are_refused_by_what_is_wrong() {
        for (url, message) in [
            ("mysql://h/x", "the database's URL: it starts with neither sqlite:// nor postgres://"),
            (
                "sqlite://relative.db",
                "the database's URL: after sqlite:// stands the absolute path of a file, without escapes",
            ),
        ] {
            assert_eq!(Database::open(url).await.unwrap_err().to_string(), message);
        }
    }
}
