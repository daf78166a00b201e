//! `kill -9` at random moments of imports, copies, exports, deletions and executions: what the server
//! told a client stays true, nothing is left half made or made twice, and no disk is kept that no
//! image has.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::host::{run, workspace};
use crate::postgres::Postgres;
use crate::python;
use crate::server::{REGIONS, Server};

/// Kills on each database, unless `KILN_CRASH_ROUNDS` says otherwise.
const ROUNDS: u64 = 25;

/// The latest moment of a kill, in ms after the client began.
const LATEST_MS: u64 = 700;

/// What the rounds do, in turn; imports are the longest.
const ACTIONS: &[&str] = &["import", "run", "copy", "import", "run", "export", "import", "delete"];

/// Half of the kills on SQLite, half on PostgreSQL.
///
/// # Errors
///
/// The first thing that is not as it must be, with the seed that leads to it again
/// (`KILN_CRASH_SEED`).
pub(crate) fn test(kiln: &Path) -> Result<()> {
    let rounds = number("KILN_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let seed = number("KILN_CRASH_SEED").unwrap_or(now);
    rounds_on(kiln, None, rounds, seed)
        .with_context(|| format!("on SQLite, KILN_CRASH_SEED={seed}"))?;
    let postgres = Postgres::start()?;
    let url = postgres.database("crash")?;
    rounds_on(kiln, Some(url), rounds, seed)
        .with_context(|| format!("on PostgreSQL, KILN_CRASH_SEED={seed}"))
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn rounds_on(kiln: &Path, database: Option<String>, rounds: u64, seed: u64) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("kiln-crash-").tempdir()?;
    let mut server = Server::prepare(kiln, folder.path(), database)?;
    let mut client = Client::new(&server, folder.path())?;
    let mut random = Random(seed | 1);
    server.start()?;
    client.finish("import", random.next())?; // so that there is something to copy, export and delete
    for round in 0..rounds {
        let action = ACTIONS[usize::try_from(round)? % ACTIONS.len()];
        let (seed, delay) = (random.next() % 1_000_000, random.next() % LATEST_MS);
        let told = || format!("round {round}: {action} {seed}, killed after {delay} ms");
        client
            .killed(action, seed, Duration::from_millis(delay), &mut server)
            .with_context(told)?;
        server.start().with_context(told)?;
        let state = client.settle().with_context(told)?;
        no_leftovers(&server).with_context(told)?;
        // A collection wants the state folder for itself.
        server.stop().with_context(told)?;
        let mut collect = server.command("gc");
        run(collect.args(["--min-age", "0"]).stdout(Stdio::null())).with_context(told)?;
        blobs_are_those_of_images(&server, &state).with_context(told)?;
        server.start().with_context(told)?;
        if action == "delete" || state["kept"][0].as_array().is_none_or(Vec::is_empty) {
            client.finish("import", random.next() % 1_000_000)?;
        }
        eprintln!("{}", told());
    }
    server.stop()
}

/// The client, which is written in Python because the official SDK is: one process for all rounds, as
/// it takes seconds to load.
struct Client {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Client {
    fn new(server: &Server, folder: &Path) -> Result<Self> {
        let log = folder.join("acknowledged.jsonl");
        fs::write(&log, "")?;
        let script = workspace().join("tests/crash/client.py");
        let mut command = python::script(&python::environment()?, &script);
        command.arg(server.site()).arg(&log).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let orders = child.stdin.take().context("a client without input")?;
        let answers = child.stdout.take().context("a client without output")?;
        Ok(Self { child, orders, answers: BufReader::new(answers) })
    }

    fn order(&mut self, order: &str) -> Result<()> {
        writeln!(self.orders, "{order}").context("the client has ended; its last words are above")
    }

    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        ensure!(!line.is_empty(), "what the server tells is not as it must be (see above)");
        Ok(line)
    }

    fn hear(&mut self, expected: &str) -> Result<()> {
        let said = self.answer()?;
        ensure!(said.trim_end() == expected, "the client says {said:?}, not {expected:?}");
        Ok(())
    }

    /// Have it begin something, and wait while it uploads what it needs.
    fn begin(&mut self, action: &str, seed: u64) -> Result<()> {
        self.order(&format!("begin {action} {seed}"))?;
        self.hear("begins")
    }

    /// Do something and wait for its end, with nobody killing.
    fn finish(&mut self, action: &str, seed: u64) -> Result<()> {
        self.begin(action, seed)?;
        self.hear("began")?;
        self.settle().map(drop)
    }

    /// Begin something, and kill the server after `delay`.
    fn killed(
        &mut self,
        action: &str,
        seed: u64,
        delay: Duration,
        server: &mut Server,
    ) -> Result<()> {
        self.begin(action, seed)?;
        std::thread::sleep(delay);
        server.kill()?;
        self.hear("began")
    }

    /// Wait until all tasks have ended; what is kept by then.
    fn settle(&mut self) -> Result<Value> {
        self.order("settle")?;
        Ok(serde_json::from_str(&self.answer()?)?)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Nothing of an operation that ended is left in the spool folder.
fn no_leftovers(server: &Server) -> Result<()> {
    let spool = server.state().join("spool");
    let left: Vec<PathBuf> = if spool.exists() { files(&spool)? } else { Vec::new() };
    ensure!(left.is_empty(), "left in the spool: {left:?}");
    Ok(())
}

/// After `kiln gc`, each region's store has the disks of its images and no other file, and each is
/// whole: its SHA-256 is its name.
fn blobs_are_those_of_images(server: &Server, state: &Value) -> Result<()> {
    for (number, region) in REGIONS.iter().enumerate() {
        let names: BTreeSet<&str> = state["kept"][number]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let blobs = files(&server.store(region))?;
        for blob in &blobs {
            let name = blob.file_name().unwrap_or_default().to_string_lossy();
            ensure!(hash(blob)? == *name, "{} is not whole", blob.display());
        }
        ensure!(
            blobs.len() == names.len(),
            "{region} has images of {} disks, and {} blobs: {blobs:?}",
            names.len(),
            blobs.len()
        );
    }
    Ok(())
}

/// All files below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let list = if entry.file_type()?.is_dir() { &mut folders } else { &mut found };
            list.push(entry.path());
        }
    }
    Ok(found)
}

fn hash(path: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    std::io::copy(&mut fs::File::open(path)?, &mut hasher)?;
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Numbers that the seed decides, by xorshift: a run must be repeatable, not unpredictable.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
