//! A PostgreSQL of a test's own: on a free port, with nothing in it, gone afterwards.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::host::{is_root, run};
use crate::setup;

/// How long it may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// The user that Debian's package makes: PostgreSQL refuses to run as root.
const USER: &str = "postgres";

/// A running PostgreSQL; it stops when this is dropped.
#[derive(Debug)]
pub(crate) struct Postgres {
    child: Option<Child>,
    binaries: PathBuf,
    port: u16,
    // Below the system's temporary folder and not below target: another user must be able to reach
    // it, whoever owns the folders above the workspace.
    folder: tempfile::TempDir,
}

impl Postgres {
    /// Install it where it is missing, make a cluster and start it.
    ///
    /// # Errors
    ///
    /// Where it cannot be installed or does not start, with the end of its log.
    pub(crate) fn start() -> Result<Self> {
        if binaries().is_err() {
            setup::ensure(&[setup::POSTGRES])?;
        }
        let folder = tempfile::Builder::new().prefix("kiln-pg-").tempdir()?;
        let port = free_port()?;
        let mut postgres = Self { child: None, binaries: binaries()?, port, folder };
        if is_root() {
            run(Command::new("chown").arg(USER).arg(postgres.folder.path()))?;
        }
        let mut make = postgres.command("initdb");
        make.args([
            "--auth=trust",
            "--username=kiln",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]);
        run(make.arg("-D").arg(postgres.data()).stdout(Stdio::null()))?;
        postgres.resume()?;
        Ok(postgres)
    }

    /// Where it answers: one database of that name is made for each `name`.
    ///
    /// # Errors
    ///
    /// Where the database cannot be made.
    pub(crate) fn database(&self, name: &str) -> Result<String> {
        let mut make = self.command("createdb");
        make.args(["-h", "127.0.0.1", "-U", "kiln", "-p", &self.port.to_string(), name]);
        run(&mut make)?;
        Ok(format!("postgres://kiln@127.0.0.1:{}/{name}", self.port))
    }

    /// The server's URL, without a database.
    pub(crate) fn server(&self) -> String {
        format!("postgres://kiln@127.0.0.1:{}", self.port)
    }

    /// Start what [`Self::pause`] stopped, with the same data and port.
    ///
    /// # Errors
    ///
    /// Where it does not answer in time.
    pub(crate) fn resume(&mut self) -> Result<()> {
        let log = fs::File::create(self.log()).context("making the log of PostgreSQL")?;
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-c", "fsync=off"]);
        self.child = Some(command.stdout(log.try_clone()?).stderr(log).spawn()?);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut ask = self.command("pg_isready");
            ask.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
            if ask.status()?.success() {
                return Ok(());
            }
            let ended = self.child.as_mut().map(Child::try_wait).transpose()?.flatten();
            if ended.is_some() || Instant::now() > deadline {
                bail!("PostgreSQL did not start:\n{}", last_lines(&self.log()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stop it at once, keeping its data: for who connects, the database is gone.
    pub(crate) fn pause(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // SIGINT is its "fast shutdown"; SIGTERM would wait for all clients to leave.
        let stopped = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        let deadline = Instant::now() + PATIENCE;
        while stopped.is_ok() && Instant::now() < deadline {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> PathBuf {
        // Not in the folder, which belongs to another user.
        let name = format!("{}.log", self.port);
        std::env::temp_dir().join(format!("kiln-pg-{name}"))
    }

    /// A program of PostgreSQL, as the user it wants to be. `setpriv` becomes the program, so the
    /// process that this starts is the one to stop.
    fn command(&self, program: &str) -> Command {
        let program = self.binaries.join(program);
        if !is_root() {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid", USER, "--regid", USER, "--init-groups"]).arg(program);
        // The caller's folder may be one that this user cannot enter.
        command.current_dir(self.folder.path());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.pause();
        let _ = fs::remove_file(self.log());
    }
}

/// The newest version's programs, where Debian has them.
fn binaries() -> Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").context("PostgreSQL is not installed")?;
    let folders = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    let mut complete: Vec<PathBuf> =
        folders.filter(|folder| folder.join("initdb").exists()).collect();
    complete.sort();
    complete.pop().context("PostgreSQL's server is not installed")
}

/// A port of this machine that nobody listens on at this moment.
///
/// # Errors
///
/// Where the machine has none.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// The end of a log, for an error's text.
pub(crate) fn last_lines(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(30);
    lines.get(from..).unwrap_or_default().join("\n")
}
