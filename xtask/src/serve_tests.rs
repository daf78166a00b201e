//! The tiers that hold a running `kiln serve` to its contract.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::host::{as_root, run, workspace};
use crate::postgres::{Postgres, free_port};
use crate::python;
use crate::server::Server;
use crate::setup;
use crate::suite::cargo;

/// Room of the disk-full test, in MiB: the state folder is a file system of this size.
const SMALL_MIB: u32 = 64;

/// The official clients against a server on SQLite.
///
/// # Errors
///
/// Where one of them notices a difference.
pub(crate) fn conformance(kiln: &Path) -> Result<()> {
    setup::ensure(&[setup::FIXTURES])?;
    let tests = python::tests();
    with_server(kiln, None, |server| python::pytest(&tests, &server.site(), &["-m", "not quota"]))?;
    let folder = tempfile::Builder::new().prefix("kiln-quota-").tempdir()?;
    let mut server = Server::prepare(kiln, folder.path(), None)?;
    server.limit_images(1)?;
    server.start()?;
    python::pytest(&tests, &server.site(), &["-m", "quota"])?;
    server.stop()
}

/// What the store promises, on PostgreSQL; and the short part of the conformance tests there.
///
/// # Errors
///
/// Where a test fails.
pub(crate) fn on_postgres(kiln: &Path) -> Result<()> {
    let postgres = Postgres::start()?;
    let mut command = cargo();
    command.args(["test", "--locked", "--quiet", "-p", "kiln-store", "--", "postgres"]);
    run(command.env("KILN_TEST_POSTGRES", postgres.server()))?;
    let url = postgres.database("conformance")?;
    with_server(kiln, Some(url), |server| {
        python::pytest(&python::tests(), &server.site(), &["-m", "short"])
    })
}

/// Disks that fill up, buckets and databases that go away.
///
/// # Errors
///
/// Where the server does anything but say so clearly, or work on when it can.
pub(crate) fn faults(kiln: &Path) -> Result<()> {
    setup::ensure(&[setup::FIXTURES])?;
    let tests = workspace().join("tests").join("faults");
    with_server(kiln, None, |server| {
        python::pytest(&tests, &server.site(), &["-k", "not full and not while and not store"])
    })?;
    full_disk(kiln, &tests)?;
    poor_store(kiln, &tests)?;
    lost_database(kiln, &tests)
}

/// A bucket in an object store that is slow and fails now and then.
fn poor_store(kiln: &Path, tests: &Path) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("kiln-store-").tempdir()?;
    let objects = folder.path().join("objects");
    std::fs::create_dir(&objects)?;
    let port = free_port()?;
    let mut store = python::script(&python::environment()?, &tests.join("store.py"));
    let mut store = store.arg(port.to_string()).arg(&objects).spawn()?;
    let work = || -> Result<()> {
        let mut server = Server::prepare(kiln, &folder.path().join("server"), None)?;
        server.add_remote_bucket(port)?;
        server.start()?;
        let flag = format!("--objects={}", objects.display());
        python::pytest(tests, &server.site(), &["-k", "store", &flag])?;
        server.stop()
    };
    let outcome = work();
    store.kill()?;
    store.wait()?;
    outcome
}

/// The state folder is a small file system of its own.
fn full_disk(kiln: &Path, tests: &Path) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("kiln-full-").tempdir()?;
    let mut server = Server::prepare(kiln, folder.path(), None)?;
    let size = format!("size={SMALL_MIB}m,mode=0777");
    let _mounted = Mounted::tmpfs(&server.state(), &size)?;
    server.start()?;
    python::pytest(tests, &server.site(), &["-k", "full"])?;
    server.stop()
}

/// PostgreSQL stops in the middle of an import and comes back.
fn lost_database(kiln: &Path, tests: &Path) -> Result<()> {
    let mut postgres = Postgres::start()?;
    let url = postgres.database("faults")?;
    let folder = tempfile::Builder::new().prefix("kiln-faults-").tempdir()?;
    let mut server = Server::prepare(kiln, folder.path(), Some(url))?;
    server.start()?;
    let site = server.site();
    let tests = tests.to_path_buf();
    let asked = folder.path().join("stop-the-database");
    let flag = asked.to_string_lossy().into_owned();
    let worker = std::thread::spawn(move || {
        python::pytest(&tests, &site, &["-k", "while", "--database-flag", &flag])
    });
    // The test makes this file when its import is at work, and waits until it is gone.
    while !worker.is_finished() {
        if asked.exists() {
            postgres.pause();
            std::thread::sleep(std::time::Duration::from_secs(3));
            postgres.resume()?;
            std::fs::remove_file(&asked).context("telling that the database is back")?;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    worker.join().map_err(|_| anyhow::anyhow!("the thread of the tests panicked"))??;
    server.stop()
}

fn with_server(
    kiln: &Path,
    database: Option<String>,
    work: impl FnOnce(&Server) -> Result<()>,
) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("kiln-serve-").tempdir()?;
    let mut server = Server::prepare(kiln, folder.path(), database)?;
    server.start()?;
    let outcome = work(&server);
    if outcome.is_err() {
        // The folder goes away with this function; what the server said must not.
        let kept = workspace().join("target").join("serve.log");
        std::fs::copy(server.log(), &kept).context("keeping the server's log")?;
        eprintln!("what the server said is in {}", kept.display());
    }
    outcome?;
    server.stop()
}

/// A file system that is unmounted when this is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn tmpfs(folder: &Path, options: &str) -> Result<Self> {
        run(as_root("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder))?;
        Ok(Self(folder.to_path_buf()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = as_root("umount").arg("--lazy").arg(&self.0).status();
    }
}
