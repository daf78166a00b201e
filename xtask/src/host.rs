//! Running commands on the host: with their names in errors, and as root where mounting needs it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

/// The workspace: xtask stands directly below it, and cargo tells where.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Run a command and fail with its name if it fails.
///
/// # Errors
///
/// Where it cannot be started or ends with another status than 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let name = format!("{command:?}");
    let status = command.status().with_context(|| format!("cannot start {name}"))?;
    if !status.success() {
        bail!("{name} ended with {status}");
    }
    Ok(())
}

/// A command that runs as root: as it is, or through sudo, which must not ask for a password.
pub(crate) fn as_root(program: impl AsRef<OsStr>) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.arg("-n").arg(program);
    command
}

/// Whether this process is root, which mounting and making root trees need.
pub(crate) fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout.starts_with(b"0\n"))
}

/// A shell script, run as root, with `arguments` as `$1`, `$2`, ...
///
/// # Errors
///
/// As [`run`].
pub(crate) fn root_script(script: &str, arguments: &[&Path]) -> Result<()> {
    run(as_root("bash").args(["-euo", "pipefail", "-c", script, "script"]).args(arguments))
}

/// How much runs side by side: an emulated guest keeps one core busy while it boots.
const N_WORKERS: usize = 2;

/// Do the same with each of `items`, two at a time.
///
/// # Errors
///
/// All failures, each on a line.
pub(crate) fn side_by_side<T: Sync>(
    items: &[T],
    work: impl Fn(&T) -> Result<()> + Sync,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let worker = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = work(item) {
                failures.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{error:#}"));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..N_WORKERS {
            scope.spawn(worker);
        }
    });
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    ensure!(failures.is_empty(), "{} of {}:\n{}", failures.len(), items.len(), failures.join("\n"));
    Ok(())
}

/// Do one tier of the tests and tell what it took.
///
/// # Errors
///
/// What the tier says, under its name.
pub(crate) fn tier<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("== {name}");
    let start = Instant::now();
    let result = work().with_context(|| format!("tier {name}"));
    let word = if result.is_ok() { "passed" } else { "FAILED" };
    eprintln!("== {name}: {word} in {:.1} s", start.elapsed().as_secs_f32());
    result
}
