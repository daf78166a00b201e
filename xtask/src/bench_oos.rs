//! `cargo xtask bench oos`: how fast runs of templates go, on both databases, every step durable.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::postgres::Postgres;
use crate::suite::cargo;

/// Print a table of what a task takes.
///
/// # Errors
///
/// Where a run fails, or something cannot be started. A slow side is no error.
pub(crate) fn bench() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("kiln-bench-").tempdir()?;
    let sqlite = format!("sqlite://{}", folder.path().join("runs.db").display());
    let postgres = Postgres::start()?;
    let url = postgres.database("oos_speed")?;
    eprintln!("{:42} {:>10} {:>12} {:>12} {:>9}", "", "", "ms a task", "tasks/s", "peak");
    for (database, url) in [("SQLite", sqlite), ("PostgreSQL", url)] {
        for line in speeds(&url)?.lines() {
            let told: Value = serde_json::from_str(line).context("the figures are no JSON")?;
            let number = |field: &str| told[field].as_f64().unwrap_or_default();
            eprintln!(
                "{:42} {database:>10} {:12.2} {:12.0} {:5.0} MiB",
                told["case"].as_str().unwrap_or_default(),
                number("msPerTask"),
                number("tasksPerSecond"),
                number("peakMiB"),
            );
        }
    }
    drop(postgres);
    Ok(())
}

fn speeds(url: &str) -> Result<String> {
    let mut speed = cargo();
    speed.args(["run", "--release", "--locked", "--quiet", "-p", "kiln-factory"]);
    let output = speed.args(["--example", "oos_speed", "--", url]).output()?;
    anyhow::ensure!(
        output.status.success(),
        "oos_speed on {url}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}
