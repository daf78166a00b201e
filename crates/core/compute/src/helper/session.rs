//! A running helper machine: from its start to its end, and the calls in between.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kiln_rpc::{Answer, CHUNK_BYTES, Call, Event, FrameError, Greeting, PROTOCOL, Request};

use crate::helper::machine::{self, PORT};
use crate::helper::wire::{Console, Until};
use crate::helper::{HelperError, OnProgress, Options, Progress, Result, Timeouts};
use crate::qemu::{Listener, Process};

/// What each MiB of content adds to the time of a call.
const CONTENT_TIME_PER_MIB: Duration = Duration::from_secs(1);
/// From the agent's last word to QEMU's end.
const EXIT_TIMEOUT: Duration = Duration::from_secs(30);

/// Where the time went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Kernel and initramfs are made.
    pub prepare: Duration,
    /// QEMU starts, until it connects.
    pub start: Duration,
    /// The kernel boots, until the agent greets.
    pub boot: Duration,
    /// Volumes are mounted.
    pub mount: Duration,
    /// All other calls.
    pub work: Duration,
    /// Volumes are unmounted and flushed.
    pub unmount: Duration,
    /// The machine ends.
    pub end: Duration,
}

/// A helper machine that has said hello. Dropping it kills it.
pub struct Session {
    process: Process,
    port: UnixStream,
    console: Console,
    kernel_release: String,
    timeouts: Timeouts,
    timings: Timings,
    on_progress: Option<OnProgress>,
    last_id: u32,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Session");
        shown.field("process", &self.process).field("timings", &self.timings);
        shown.finish_non_exhaustive()
    }
}

impl Session {
    /// Start a machine and wait for its agent's greeting.
    ///
    /// # Errors
    ///
    /// Where the kernel or a module is missing, QEMU refuses, or the machine does not come up in
    /// time: then with the end of its console.
    pub fn start(mut options: Options<'_>) -> Result<Self> {
        let mut on_progress = options.on_progress.take();
        let mut tell = |progress| {
            if let Some(hear) = &mut on_progress {
                hear(progress);
            }
        };
        let mut timings = Timings::default();
        let start = Instant::now();
        tell(Progress::Preparing);
        let command = machine::command(&options)?;
        let listener = Listener::bind(options.work, PORT)?;
        timings.prepare = start.elapsed();

        tell(Progress::Booting);
        let start = Instant::now();
        let mut process = Process::spawn(command)?;
        let console = process.take_stdout().map(Console::of).unwrap_or_default();
        let port = listener.accept(&mut process, options.timeouts.boot)?;
        timings.start = start.elapsed();

        let mut session = Self {
            process,
            port,
            console,
            kernel_release: String::new(),
            timeouts: options.timeouts,
            timings,
            on_progress,
            last_id: 0,
        };
        let start = Instant::now();
        session.greet()?;
        session.timings.boot = start.elapsed();
        session.tell(Progress::Ready);
        Ok(session)
    }

    /// `uname -r` in the machine.
    pub fn kernel_release(&self) -> &str {
        &self.kernel_release
    }

    /// Where the time went so far.
    pub fn timings(&self) -> Timings {
        self.timings
    }

    /// The process id of QEMU.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    fn tell(&mut self, progress: Progress) {
        if let Some(hear) = &mut self.on_progress {
            hear(progress);
        }
    }

    fn greet(&mut self) -> Result<()> {
        let during = "its boot";
        let timeout = self.timeouts.boot;
        let mut port = Until { stream: &self.port, deadline: Instant::now() + timeout };
        let theirs = kiln_rpc::read(&mut port).and_then(|frame| Greeting::decode(&frame));
        let theirs = theirs.map_err(|error| self.lost(error, during, timeout))?;
        if theirs.protocol != PROTOCOL {
            return Err(HelperError::Protocol {
                during: during.to_owned(),
                reason: format!(
                    "its agent {} speaks protocol {}, kiln {PROTOCOL}",
                    theirs.version, theirs.protocol
                ),
            });
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let ours = Greeting {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: String::new(),
            time_s: now.ok().map(|now| now.as_secs()),
        };
        let mut port = Until { stream: &self.port, deadline: Instant::now() + timeout };
        kiln_rpc::write(&mut port, &ours.encode())
            .map_err(|error| self.lost(error, during, timeout))?;
        self.kernel_release = theirs.kernel;
        Ok(())
    }

    /// Call the agent; `content` follows the call where the request has any.
    pub(super) fn call(
        &mut self,
        during: &str,
        request: Request,
        mut content: impl Read,
    ) -> Result<Answer> {
        let start = Instant::now();
        let timeout = self.timeout(&request);
        let deadline = start + timeout;
        let is_mount = matches!(request, Request::Mount(_));
        let left_bytes = request.content_bytes();
        self.last_id = self.last_id.wrapping_add(1);
        let call = Call { id: self.last_id, request };
        let mut port = Until { stream: &self.port, deadline };
        let sent = kiln_rpc::send(&mut port, &call);
        sent.map_err(|error| self.lost(error, during, timeout))?;
        let given = self.send_content(during, (timeout, deadline), left_bytes, &mut content)?;
        let answered = self.answer(during, timeout, deadline);
        let taken = if is_mount { &mut self.timings.mount } else { &mut self.timings.work };
        *taken += start.elapsed();
        // A source that failed is the reason for whatever the agent says then.
        given.map_err(|source| HelperError::Content { path: during.to_owned(), source })?;
        answered
    }

    fn timeout(&self, request: &Request) -> Duration {
        let mib = request.content_bytes().div_ceil(1 << 20).try_into().unwrap_or(u32::MAX);
        let content = CONTENT_TIME_PER_MIB.saturating_mul(mib);
        let program = match request {
            Request::Exec(exec) => Duration::from_millis(exec.timeout_ms),
            _ => Duration::ZERO,
        };
        let all = self.timeouts.call.saturating_add(content).saturating_add(program);
        // A deadline must be a moment that exists.
        all.min(Duration::from_secs(7 * 24 * 3600))
    }

    /// Send `left_bytes` of `content` in frames. The inner error is that of `content`.
    fn send_content(
        &mut self,
        during: &str,
        (timeout, deadline): (Duration, Instant),
        mut left_bytes: u64,
        content: &mut impl Read,
    ) -> Result<io::Result<()>> {
        let total = left_bytes;
        while left_bytes > 0 {
            let mut chunk = Vec::new();
            let read = content.take(left_bytes.min(CHUNK_BYTES as u64)).read_to_end(&mut chunk);
            let read = match read {
                Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                other => other,
            };
            // Empty, it tells the agent to give up.
            let frame = if read.is_ok() { &chunk[..] } else { &[] };
            let mut port = Until { stream: &self.port, deadline };
            kiln_rpc::write(&mut port, frame).map_err(|error| self.lost(error, during, timeout))?;
            if let Err(error) = read {
                return Ok(Err(error));
            }
            left_bytes -= chunk.len() as u64;
            self.tell(Progress::Bytes { done: total - left_bytes, total });
        }
        Ok(Ok(()))
    }

    fn answer(&mut self, during: &str, timeout: Duration, deadline: Instant) -> Result<Answer> {
        loop {
            let mut port = Until { stream: &self.port, deadline };
            let event = kiln_rpc::receive(&mut port);
            match event.map_err(|error| self.lost(error, during, timeout))? {
                Event::Progress { id, done_bytes, total_bytes } if id == self.last_id => {
                    self.tell(Progress::Bytes { done: done_bytes, total: total_bytes });
                }
                Event::Done { id, result } if id == self.last_id => {
                    return result.map_err(|failure| HelperError::Call { failure, hint: None });
                }
                Event::Progress { id, .. } | Event::Done { id, .. } => {
                    return Err(HelperError::Protocol {
                        during: during.to_owned(),
                        reason: format!("it answers call {id} and not {}", self.last_id),
                    });
                }
            }
        }
    }

    /// What is behind a port that fails. The machine is of no use after that.
    fn lost(&mut self, error: FrameError, during: &str, timeout: Duration) -> HelperError {
        let during = during.to_owned();
        let reason = error.to_string();
        let is = |wanted| matches!(&error, FrameError::Io(io) if io.kind() == wanted);
        if is(io::ErrorKind::TimedOut) {
            self.process.kill();
            let console = self.last_words();
            return HelperError::TimedOut { during, seconds: timeout.as_secs(), console };
        }
        let is_protocol =
            matches!(error, FrameError::Malformed { .. } | FrameError::TooLong { .. });
        if is_protocol {
            self.process.kill();
            return HelperError::Protocol { during, reason };
        }
        // The socket closes a moment before the process has ended and its last words have come.
        let _ = self.process.wait_until(Instant::now() + Duration::from_secs(1));
        self.process.kill();
        HelperError::Died { during, console: self.last_words() }
    }

    /// Of the console, and of QEMU itself.
    fn last_words(&self) -> String {
        let console = self.console.last_lines();
        let qemu = self.process.stderr();
        [console.trim(), qemu.trim()].join("\n").trim().to_owned()
    }

    /// Unmount all, bring everything to the disks, end the machine. Only what this returned `Ok`
    /// for is whole.
    ///
    /// # Errors
    ///
    /// Where something cannot be unmounted or flushed, or QEMU does not end as it should.
    pub fn finish(mut self) -> Result<Timings> {
        self.tell(Progress::Finishing);
        let start = Instant::now();
        let before = self.timings.work;
        self.call("unmounting", Request::Finish, io::empty())?;
        self.timings.unmount = start.elapsed();
        let start = Instant::now();
        self.call("its end", Request::PowerOff, io::empty())?;
        self.timings.work = before;
        match self.process.wait_until(Instant::now() + EXIT_TIMEOUT)? {
            Some(status) if status.success() => {}
            Some(status) => return Err(self.process.ended(status).into()),
            None => {
                let (during, seconds) = ("its end".to_owned(), EXIT_TIMEOUT.as_secs());
                return Err(HelperError::TimedOut { during, seconds, console: self.last_words() });
            }
        }
        self.timings.end = start.elapsed();
        Ok(self.timings)
    }
}
