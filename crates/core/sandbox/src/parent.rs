//! The parent: start the child, serve it ranges within its limits, and see it to its end.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kiln_disk::Source;
use kiln_guest::Declared;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::seal::Landlock;
use crate::serve::Served;
use crate::wire::{self, Ask, CheckJob, Job, cut};
use crate::{CHILD_ARGUMENT, SandboxError};

/// How long a child may take to die after it has closed its connection.
const DYING: Duration = Duration::from_secs(2);

/// How much of what the child writes to its standard error is kept.
const SAID_BYTES: u64 = 4 << 10;

/// What a check may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of the child, in bytes.
    pub address_space_bytes: u64,
    /// Of all threads of the child together.
    pub cpu_seconds: u64,
    /// From start to answer. A read of the source that is under way is waited for.
    pub wall: Duration,
    /// Size of the answer, in bytes of JSON.
    pub answer_bytes: u64,
    /// How often the child may ask.
    pub ranges: u64,
    /// How much it may be given altogether, in bytes.
    pub served_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            address_space_bytes: 1 << 30,
            cpu_seconds: 120,
            wall: Duration::from_secs(300),
            answer_bytes: 8 << 20,
            ranges: 4_000_000,
            served_bytes: 64 << 30,
        }
    }
}

/// What to check.
#[derive(Clone, Debug)]
pub struct Request {
    /// The file of the image, in whatever format.
    pub source: Source,
    /// Its name for messages.
    pub location: String,
    /// What the user says about it.
    pub declared: Declared,
    /// The names of the items; all standard ones where empty.
    pub items: Vec<String>,
}

/// What came out.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// `format`, `variant`, `sizeBytes`, `notes` and `items`; the items are those of
    /// `docs/check-report.md`. Foreign data: nothing but its size and its being JSON is certain.
    pub answer: serde_json::Value,
    /// What the kernel enforced.
    pub landlock: Landlock,
    /// How often the child asked.
    pub ranges: u64,
    /// How much it was given, in bytes.
    pub served_bytes: u64,
}

/// Check an image in a child. `program` is one that calls [`crate::child_main`] when its argument is
/// [`CHILD_ARGUMENT`]; it gets an empty environment and nothing of this process but three sockets.
///
/// # Errors
///
/// [`SandboxError::Refused`] where the image is at fault; the others tell what stopped the check.
/// The child is gone in any case.
pub fn check(program: &Path, request: &Request, limits: &Limits) -> Result<Report, SandboxError> {
    let start = |source| SandboxError::Start { program: program.to_owned(), source };
    let (mut running, stream) = Running::start(program).map_err(start)?;
    let deadline = Instant::now().checked_add(limits.wall);
    let mut session = Session {
        stream: Timed { stream, deadline },
        request,
        limits,
        landlock: None,
        served: Served::new(&request.source, limits.ranges, limits.served_bytes),
    };
    match session.run() {
        Ok(report) => Ok(report),
        Err(End::Known(error)) => Err(error),
        Err(End::Stream(error)) => Err(match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                SandboxError::TimeLimit { limit: limits.wall }
            }
            io::ErrorKind::InvalidData => SandboxError::Protocol { reason: error.to_string() },
            _ => running.judged(&Bounds {
                address_space_bytes: limits.address_space_bytes,
                cpu_seconds: limits.cpu_seconds,
                output_bytes: 0,
            }),
        }),
    }
}

/// A child that does not outlive this.
pub(crate) struct Running {
    child: Child,
    stderr: UnixStream,
}

impl Running {
    pub(crate) fn start(program: &Path) -> io::Result<(Self, UnixStream)> {
        let (stream, theirs) = UnixStream::pair()?;
        let (stderr, their_stderr) = UnixStream::pair()?;
        let child = Command::new(program)
            .arg(CHILD_ARGUMENT)
            .env_clear()
            // An arena per thread would reserve more address space than there is.
            .env("MALLOC_ARENA_MAX", "1")
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs.try_clone()?)))
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::from(OwnedFd::from(their_stderr)))
            .process_group(0)
            .spawn()?;
        Ok((Self { child, stderr }, stream))
    }

    /// Why there is no answer of a child that has closed the connection.
    pub(crate) fn judged(&mut self, bounds: &Bounds) -> SandboxError {
        let status = self.ended_by_itself();
        judge(status, self.said(), bounds)
    }

    /// How the child ended; none where it does not although it has closed the connection.
    fn ended_by_itself(&mut self) -> Option<ExitStatus> {
        let deadline = Instant::now() + DYING;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            thread::sleep(Duration::from_millis(2));
        }
        None
    }

    /// The start of what it wrote to its standard error and the system still has.
    fn said(&mut self) -> String {
        let mut said = Vec::new();
        // What was read before an error is kept; that there may be nothing is fine.
        let _ = self.stderr.set_nonblocking(true);
        let _ = (&self.stderr).take(SAID_BYTES).read_to_end(&mut said);
        String::from_utf8_lossy(&said).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A child that was waited for has no number any more that could be sent a signal.
        if let Ok(Some(_)) = self.child.try_wait() {
            return;
        }
        // It fails only where there is nobody left to kill.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// What the system holds a child to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) address_space_bytes: u64,
    pub(crate) cpu_seconds: u64,
    pub(crate) output_bytes: u64,
}

fn judge(status: Option<ExitStatus>, said: String, limits: &Bounds) -> SandboxError {
    let Some(status) = status else { return SandboxError::NoAnswer { code: None, said } };
    match status.signal() {
        Some(libc::SIGSYS) => SandboxError::Forbidden { said },
        Some(libc::SIGXCPU) => SandboxError::CpuLimit { limit_seconds: limits.cpu_seconds },
        Some(libc::SIGXFSZ) => {
            SandboxError::TooMuch { what: "bytes written", limit: limits.output_bytes }
        }
        // What the standard library writes before it aborts.
        Some(libc::SIGABRT) if said.contains("memory allocation of ") => {
            SandboxError::OutOfMemory { limit_bytes: limits.address_space_bytes }
        }
        Some(signal) => SandboxError::Crashed { signal, said },
        None => SandboxError::NoAnswer { code: status.code(), said },
    }
}

/// Why a session has no report.
pub(crate) enum End {
    Known(SandboxError),
    /// The stream says no more than that; how the child ended may.
    Stream(io::Error),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Stream(error)
    }
}

struct Session<'a> {
    stream: Timed,
    request: &'a Request,
    limits: &'a Limits,
    landlock: Option<Landlock>,
    served: Served<'a>,
}

impl Session<'_> {
    fn run(&mut self) -> Result<Report, End> {
        let job = self.job();
        wire::send(&mut self.stream, &job)?;
        loop {
            match wire::receive(&mut self.stream)? {
                Ask::Sealed(landlock) if self.landlock.is_none() => self.landlock = Some(landlock),
                Ask::NotSealed(reason) => {
                    return known(SandboxError::Seal { reason: cut(&reason) });
                }
                Ask::Range { offset, length } if self.landlock.is_some() => {
                    self.served.range(&mut self.stream, offset, length)?;
                }
                Ask::Extent { offset } if self.landlock.is_some() => {
                    self.served.extent(&mut self.stream, offset)?;
                }
                Ask::Done { length } => return self.done(length),
                Ask::Refused { kind, message, hint } => {
                    let (kind, message) = (wire::kind_of(kind), cut(&message));
                    let hint = hint.as_deref().map(cut);
                    return known(SandboxError::Refused { kind, message, hint });
                }
                Ask::Sealed(_) => return protocol("it was sealed twice"),
                Ask::Range { .. } | Ask::Extent { .. } => return protocol("it was not sealed"),
                Ask::Progress { .. } | Ask::NotConverted { .. } => {
                    return protocol("it answered as if it were to convert");
                }
            }
        }
    }

    fn job(&self) -> Job {
        let Declared { platform, boot_mode, architecture, nvme } = self.request.declared.clone();
        Job::Check(CheckJob {
            location: cut(&self.request.location),
            size_bytes: self.request.source.size_bytes(),
            platform,
            boot_mode,
            architecture,
            nvme,
            items: self.request.items.clone(),
            address_space_bytes: self.limits.address_space_bytes,
            cpu_seconds: self.limits.cpu_seconds,
        })
    }

    fn done(&mut self, length: u32) -> Result<Report, End> {
        let Some(landlock) = self.landlock else { return protocol("it was not sealed") };
        if u64::from(length) > self.limits.answer_bytes {
            let limit = self.limits.answer_bytes;
            return known(SandboxError::TooMuch { what: "bytes of answer", limit });
        }
        let mut json = Vec::new();
        (&mut self.stream).take(u64::from(length)).read_to_end(&mut json)?;
        if json.len() < length as usize {
            return Err(End::Stream(io::ErrorKind::UnexpectedEof.into()));
        }
        match serde_json::from_slice(&json) {
            Ok(answer) => {
                let (ranges, served_bytes) = (self.served.ranges, self.served.bytes);
                Ok(Report { answer, landlock, ranges, served_bytes })
            }
            Err(error) => protocol(&format!("the answer is no JSON: {error}")),
        }
    }
}

pub(crate) fn known<T>(error: SandboxError) -> Result<T, End> {
    Err(End::Known(error))
}

pub(crate) fn protocol<T>(reason: &str) -> Result<T, End> {
    known(SandboxError::Protocol { reason: reason.to_owned() })
}

/// A stream of which no operation goes on after the deadline, however small its steps.
struct Timed {
    stream: UnixStream,
    /// None: so far away that no clock has it.
    deadline: Option<Instant>,
}

impl Timed {
    fn left(&self) -> io::Result<Option<Duration>> {
        let Some(deadline) = self.deadline else { return Ok(None) };
        match deadline.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(Some(left)),
        }
    }
}

impl Read for Timed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buf)
    }
}

impl Write for Timed {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
