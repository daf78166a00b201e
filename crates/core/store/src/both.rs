//! Tests over SQLite, and over PostgreSQL where `KILN_TEST_POSTGRES` names a server.

use futures::future::BoxFuture;

use crate::Database;

/// A part of a suite; each gets a database of its own.
pub(crate) type Part = fn(Database) -> BoxFuture<'static, ()>;

pub(crate) async fn on_sqlite(parts: &[Part]) {
    let folder = tempfile::tempdir().unwrap();
    for (n, part) in parts.iter().enumerate() {
        let url = format!("sqlite://{}/{n}.db", folder.path().display());
        part(Database::open(&url).await.unwrap()).await;
    }
}

#[expect(clippy::print_stdout, reason = "a test says what it measured or skipped")]
pub(crate) async fn on_postgres(parts: &[Part]) {
    let Ok(server) = std::env::var("KILN_TEST_POSTGRES") else {
        println!("skipped: KILN_TEST_POSTGRES names no server");
        return;
    };
    sqlx::any::install_default_drivers();
    let start = server.trim_end_matches('/');
    let admin = sqlx::AnyPool::connect(&format!("{start}/postgres")).await.unwrap();
    for part in parts {
        let name = format!("kiln_{}", uuid::Uuid::new_v4().simple());
        let statement =
            |verb: &str, rest: &str| sqlx::AssertSqlSafe(format!("{verb} DATABASE {name}{rest}"));
        sqlx::query(statement("CREATE", "")).execute(&admin).await.unwrap();
        let database = Database::open(&format!("{start}/{name}")).await.unwrap();
        let pool = database.pool().clone();
        let outcome = tokio::spawn(part(database)).await;
        pool.close().await;
        sqlx::query(statement("DROP", " WITH (FORCE)")).execute(&admin).await.unwrap();
        outcome.unwrap();
    }
}
