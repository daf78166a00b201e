//! Child processes that cannot outlive kiln, nor a deadline.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::qemu::lifeline;
use crate::{Error, Result};

/// How much of standard error is kept for an error message; the rest is read and dropped.
const MAX_STDERR_BYTES: usize = 16 << 10;

/// How much of standard output [`run`] keeps. `qemu-img` prints far less.
const MAX_STDOUT_BYTES: usize = 1 << 20;

/// How often a child is asked whether it has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A running child. It is killed and reaped when this is dropped, and by the kernel when kiln dies.
#[derive(Debug)]
pub struct Process {
    program: String,
    child: Child,
    ended: Option<ExitStatus>,
    stderr: Arc<Mutex<Vec<u8>>>,
    stderr_reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Start `command`: without input, with standard error kept for errors, in a process group of
    /// its own, so that Ctrl-C reaches kiln alone. Standard output is the caller's choice.
    ///
    /// # Errors
    ///
    /// Where it cannot be started.
    pub fn spawn(mut command: Command) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        let cannot = Error::io(format!("cannot start {program}"));
        let mut child = lifeline::spawn(command).map_err(cannot)?;
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let reader = child.stderr.take().map(|pipe| {
            let kept = Arc::clone(&stderr);
            thread::spawn(move || keep_start(pipe, &kept, MAX_STDERR_BYTES))
        });
        Ok(Self { program, child, ended: None, stderr, stderr_reader: reader })
    }

    /// Standard output, where the command was given a pipe for it; once.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    ///
    /// Where the system does not tell.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            let cannot = Error::io(format!("cannot wait for {}", self.program));
            self.ended = self.child.try_wait().map_err(cannot)?;
        }
        Ok(self.ended)
    }

    /// Wait until it ends or `deadline` comes; `None` where it still runs then.
    ///
    /// # Errors
    ///
    /// As [`Process::try_wait`].
    pub fn wait_until(&mut self, deadline: Instant) -> Result<Option<ExitStatus>> {
        loop {
            let ended = self.try_wait()?;
            let left = deadline.saturating_duration_since(Instant::now());
            if ended.is_some() || left.is_zero() {
                return Ok(ended);
            }
            thread::sleep(POLL_INTERVAL.min(left));
        }
    }

    /// Kill it and wait for its end.
    pub fn kill(&mut self) {
        if self.ended.is_none() {
            // It may have ended by itself since; then there is nothing to kill.
            let _ = self.child.kill();
            self.ended = self.child.wait().ok();
        }
        if let Some(reader) = self.stderr_reader.take() {
            let _ = reader.join();
        }
    }

    /// The start of what it wrote to standard error so far.
    pub fn stderr(&self) -> String {
        let kept = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).into_owned()
    }

    /// The error to give where it ended too early.
    pub fn ended(&mut self, status: ExitStatus) -> Error {
        self.kill();
        let program = self.program.rsplit('/').next().unwrap_or_default().to_owned();
        Error::Ended { program, status, said: self.stderr() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a program left behind that ended by itself.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// The start of its standard output.
    pub stdout: Vec<u8>,
    /// The start of its standard error.
    pub stderr: String,
}

impl Finished {
    /// Standard output as text.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

/// Run a program to its end, for at most `timeout`.
///
/// # Errors
///
/// Where it cannot be started, fails, or has not ended in time; then it is killed.
pub fn run(mut command: Command, timeout: Duration) -> Result<Finished> {
    command.stdout(Stdio::piped());
    let mut process = Process::spawn(command)?;
    let stdout = Arc::new(Mutex::new(Vec::new()));
    let reader = process.take_stdout().map(|pipe| {
        let kept = Arc::clone(&stdout);
        thread::spawn(move || keep_start(pipe, &kept, MAX_STDOUT_BYTES))
    });
    let ended = process.wait_until(Instant::now() + timeout)?;
    process.kill();
    if let Some(reader) = reader {
        let _ = reader.join();
    }
    let Some(status) = ended else {
        return Err(Error::TimedOut { what: process.program.clone(), seconds: timeout.as_secs() });
    };
    if !status.success() {
        return Err(process.ended(status));
    }
    let stdout = std::mem::take(&mut *stdout.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Finished { status, stdout, stderr: process.stderr() })
}

/// Read a pipe to its end, so that its writer never blocks, and keep the start.
fn keep_start(mut pipe: impl Read, kept: &Mutex<Vec<u8>>, max_bytes: usize) {
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = pipe.read(&mut buffer) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let room = max_bytes.saturating_sub(kept.len());
        kept.extend_from_slice(buffer.get(..n.min(room)).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    fn is_running(id: u32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|state| !state.is_empty() && !state.starts_with('Z'))
    }

    #[test]
    fn output_and_failure_are_told() {
        let finished = run(sh("echo out; echo err >&2"), Duration::from_secs(10)).unwrap();
        assert_eq!((finished.stdout_text().as_str(), finished.stderr.as_str()), ("out\n", "err\n"));
        let error = run(sh("echo no such disk >&2; exit 3"), Duration::from_secs(10)).unwrap_err();
        assert_eq!(error.to_string(), "sh ended with exit status: 3: no such disk");
        let error = run(Command::new("/nowhere/qemu"), Duration::from_secs(10)).unwrap_err();
        assert_eq!(error.to_string(), "cannot start /nowhere/qemu");
    }

    #[test]
    fn a_deadline_kills() {
        let start = Instant::now();
        let error = run(sh("exec sleep 60"), Duration::from_millis(100)).unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }), "{error}");
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_flood_is_bounded_and_does_not_block() {
        let finished = run(sh("head -c 3000000 /dev/zero"), Duration::from_secs(60)).unwrap();
        assert_eq!(finished.stdout.len(), MAX_STDOUT_BYTES);
    }

    #[test]
    fn dropping_kills_and_reaps() {
        let mut process = Process::spawn(sh("exec sleep 60")).unwrap();
        let id = process.id();
        assert_eq!(process.try_wait().unwrap(), None);
        assert!(is_running(id));
        drop(process);
        assert!(!std::path::Path::new(&format!("/proc/{id}")).exists(), "not reaped");
    }

    /// The death signal belongs to the forking thread: it must not be the caller's.
    #[test]
    fn a_child_outlives_the_thread_that_asked_for_it() {
        let spawned = thread::spawn(|| Process::spawn(sh("exec sleep 60"))).join().unwrap();
        let mut process = spawned.unwrap();
        let after = Instant::now() + Duration::from_millis(200);
        assert_eq!(process.wait_until(after).unwrap(), None);
    }
}
