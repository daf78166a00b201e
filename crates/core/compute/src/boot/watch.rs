//! Running the machine and watching it: console, wire, clock and process, until the goal, a failure or
//! the timeout.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kiln_disk::Image;
use rustix::fs::{CWD, FileType, Mode, OFlags};

use crate::boot::{Failure, Goal, Options, Progress, Recogniser, Report, Stage, Wire, machine};
use crate::qemu::{Accelerator, Listener, Process, Qemu, Qmp, WorkDir};
use crate::{Error, Result};

/// How much of the console is kept. A guest in a loop prints gigabytes.
const MAX_LOG_BYTES: u64 = 16 << 20;

/// How long the console is read on after a failure, for the lines that explain it.
const SETTLE: Duration = Duration::from_secs(1);

/// How long after a login prompt an address may take, and how long cloud-init; at least as long again
/// as the login took, because a slow host is slow in all.
const NETWORK_GRACE: Duration = Duration::from_secs(20);
const CLOUD_INIT_GRACE: Duration = Duration::from_secs(60);

/// A guest that restarted more often does it for ever. Relabelling for SELinux takes one.
const MAX_RESTARTS: u32 = 3;

/// How often the clock is looked at while nothing else happens.
const TICK: Duration = Duration::from_millis(100);

/// How long QEMU may take until it runs.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// What a machine tells.
enum Event {
    Console(Vec<u8>),
    ConsoleEnded,
    Address(Ipv4Addr),
}

/// Boot an overlay of `image`, a guest of the architecture of `qemu`, and wait for the goal. The
/// console goes to `log`, the first 16 MiB of it.
///
/// # Errors
///
/// Where the machine could not be run. A guest that fails is a report.
pub fn run(
    qemu: &Qemu,
    image: &Image,
    options: &Options,
    log: &mut dyn Write,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Report> {
    let accelerator = qemu.accelerator(options.accel)?;
    let work = WorkDir::new()?;
    let command = machine::command(qemu, accelerator, &work, image, options)?;
    let monitor = Listener::bind(&work, machine::MONITOR)?;
    // Few pieces wait at a time, so that a guest that floods its console is slowed down.
    let (events, told) = sync_channel(64);
    let wire = WireReader::start(&work, events.clone())?;

    let mut process = Process::spawn(command)?;
    let start = Instant::now();
    let console = process.take_stdout().map(|pipe| thread::spawn(|| read_console(pipe, events)));
    let monitor = Qmp::new(monitor.accept(&mut process, START_TIMEOUT)?)?;
    let marker = match &options.until {
        Goal::Marker(text) => Some(text.as_str()),
        _ => None,
    };
    let mut watch = Watch {
        options,
        start,
        recogniser: Recogniser::new(marker),
        address: None,
        n_told: 0,
        console_bytes: 0,
        log,
        process: &mut process,
        monitor,
    };
    let failure = watch.until_the_end(&told, progress);
    let report = failure.map(|failure| watch.report(image, accelerator, failure));
    // Both readers may wait for room: nobody takes any more.
    process.kill();
    drop(told);
    wire.stop();
    if let Some(console) = console {
        let _ = console.join();
    }
    report
}

struct Watch<'a> {
    options: &'a Options,
    start: Instant,
    recogniser: Recogniser,
    address: Option<Ipv4Addr>,
    /// How many stages the caller knows of.
    n_told: usize,
    console_bytes: u64,
    log: &'a mut dyn Write,
    process: &'a mut Process,
    monitor: Qmp,
}

impl Watch<'_> {
    /// Wait for the goal (`None`), or for why it will not come.
    fn until_the_end(
        &mut self,
        told: &Receiver<Event>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Option<Failure>> {
        let mut console_ended = false;
        loop {
            match told.recv_timeout(TICK) {
                Ok(Event::Console(bytes)) => self.console(&bytes)?,
                Ok(Event::ConsoleEnded) | Err(RecvTimeoutError::Disconnected) => {
                    console_ended = true;
                }
                Ok(Event::Address(address)) => self.note_address(address),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = self.start.elapsed();
            self.tell(now, progress);
            if self.has_goal() {
                return Ok(None);
            }
            if let Some(failure) = self.certain_failure(now) {
                return Ok(Some(failure));
            }
            if console_ended {
                return self.ended(now).map(Some);
            }
            if now >= self.options.timeout {
                return self.timed_out(now).map(Some);
            }
        }
    }

    fn console(&mut self, bytes: &[u8]) -> Result<()> {
        let room = MAX_LOG_BYTES.saturating_sub(self.console_bytes);
        let kept = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        self.console_bytes += bytes.len() as u64;
        self.recogniser.feed(bytes, self.start.elapsed());
        let kept = bytes.get(..kept).unwrap_or_default();
        self.log.write_all(kept).map_err(Error::io("cannot write the console log"))
    }

    fn note_address(&mut self, address: Ipv4Addr) {
        self.address = Some(address);
        let evidence = format!("DHCP acknowledged {address} to the guest");
        self.recogniser.note(Stage::Network, &evidence, self.start.elapsed());
    }

    fn tell(&mut self, now: Duration, progress: &mut dyn FnMut(Progress<'_>)) {
        for reached in self.recogniser.stages().iter().skip(self.n_told) {
            progress(Progress::Stage(reached));
        }
        self.n_told = self.recogniser.stages().len();
        progress(Progress::Waiting(now));
    }

    fn has_goal(&self) -> bool {
        let has = |stage| self.recogniser.reached(stage).is_some();
        match self.options.until {
            Goal::Login => has(Stage::Login),
            // A guest that prints to its screen only cannot show its prompt.
            Goal::Network => has(Stage::Network) && (has(Stage::Login) || !has(Stage::Kernel)),
            Goal::CloudInit => has(Stage::CloudInit) && has(Stage::Login),
            Goal::Marker(_) => self.recogniser.marked().is_some(),
        }
    }

    /// What the guest said of a failure, or did again and again, or did not do in its time.
    fn certain_failure(&self, now: Duration) -> Option<Failure> {
        if let Some(failure) = self.recogniser.failure() {
            return Some(failure.clone()).filter(|failure| now >= failure.at + SETTLE);
        }
        if self.recogniser.n_restarts() > MAX_RESTARTS {
            let reason = format!("the guest restarts again and again, {MAX_RESTARTS} times so far");
            return Some(failure("System.RestartsForEver", reason, None, now));
        }
        let login = self.recogniser.reached(Stage::Login)?;
        let (grace, code, reason, hint) = match self.options.until {
            Goal::Network => (
                NETWORK_GRACE,
                "Network.NoAddress",
                "there is a login prompt, and no address by DHCP",
                "the network is set up for another interface or a static address (kiln check, item \
                 Dhcp), or the guest lacks virtio_net",
            ),
            Goal::CloudInit => (
                CLOUD_INIT_GRACE,
                "CloudInit.NotFinished",
                "there is a login prompt, and cloud-init has not finished",
                "cloud-init is not installed or switched off, or waits (kiln check, item CloudInit)",
            ),
            Goal::Login | Goal::Marker(_) => return None,
        };
        let patience = grace.max(login.at);
        (now >= login.at + patience).then(|| failure(code, reason.to_owned(), Some(hint), now))
    }

    /// The machine has gone: switched off by the guest, or QEMU failed.
    fn ended(&mut self, now: Duration) -> Result<Failure> {
        if let Some(failure) = self.recogniser.failure() {
            return Ok(failure.clone());
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        match self.process.wait_until(deadline)? {
            Some(status) if !status.success() => Err(self.process.ended(status)),
            _ => {
                let reason = "the guest switched itself off".to_owned();
                Ok(failure("System.PoweredOff", reason, None, now))
            }
        }
    }

    fn timed_out(&mut self, now: Duration) -> Result<Failure> {
        // A guest that QEMU stopped because the host's disk is full has not failed by itself.
        if self.monitor.status().is_ok_and(|status| status == "io-error") {
            let full = io::Error::from(io::ErrorKind::StorageFull);
            return Err(Error::io("the guest was stopped: cannot write its overlay")(full));
        }
        let seconds = self.options.timeout.as_secs();
        let last = self.recogniser.stages().iter().rev().find(|reached| !reached.implied);
        Ok(match last.map(|reached| reached.stage) {
            None => failure(
                "Timeout.Silent",
                format!("nothing came from the serial console in {seconds} s"),
                Some("the firmware does not start the disk: try the other one with --firmware"),
                now,
            ),
            Some(stage @ (Stage::Firmware | Stage::Loader)) => failure(
                "Timeout.NoKernelOutput",
                format!("nothing was heard of a kernel in {seconds} s, the {stage} being the last"),
                Some(
                    "the guest may run and print to its screen only: the kernel parameter \
                     console=ttyS0 (after console=tty0) makes it print to the serial console, too",
                ),
                now,
            ),
            Some(stage) => failure(
                "Timeout.NotReached",
                format!(
                    "no {} in {seconds} s; the last stage was {stage}",
                    self.options.until.name()
                ),
                Some(
                    "--timeout gives it more time; without console=ttyS0 there is no login prompt on \
                     the serial console",
                ),
                now,
            ),
        })
    }

    fn report(&self, image: &Image, accelerator: Accelerator, failure: Option<Failure>) -> Report {
        let clues = self.recogniser.clues();
        Report {
            image: image.location.clone(),
            bus: self.options.bus.name(),
            firmware: self.options.firmware.name(),
            accelerator: accelerator.name(),
            goal: self.options.until.name(),
            reached: failure.is_none(),
            seconds: self.start.elapsed(),
            stages: self.recogniser.stages().to_vec(),
            marker: self.recogniser.marked().cloned(),
            address: self.address,
            clues: if failure.is_some() { clues.to_vec() } else { Vec::new() },
            failure,
            n_restarts: self.recogniser.n_restarts(),
            console_bytes: self.console_bytes,
        }
    }
}

/// A failure that no line of the console told.
fn failure(
    code: &'static str,
    reason: String,
    hint: Option<&'static str>,
    at: Duration,
) -> Failure {
    Failure { code, reason, hint, evidence: String::new(), at }
}

fn read_console(mut pipe: impl Read, events: SyncSender<Event>) {
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = pipe.read(&mut buffer) {
        let bytes = buffer.get(..n).unwrap_or_default().to_vec();
        if events.send(Event::Console(bytes)).is_err() {
            return;
        }
    }
    let _ = events.send(Event::ConsoleEnded);
}

/// Reads the packets from a named pipe: a file would grow with what the guest makes the network send.
struct WireReader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl WireReader {
    fn start(work: &WorkDir, events: SyncSender<Event>) -> Result<Self> {
        let path = work.join(machine::WIRE);
        let cannot = || Error::io(format!("cannot make the pipe {}", path.display()));
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, mode, 0)
            .map_err(io::Error::from)
            .map_err(cannot())?;
        // Open before QEMU is, which would wait for a reader otherwise; not waiting for QEMU.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let pipe = rustix::fs::open(&path, flags, Mode::empty())
            .map_err(io::Error::from)
            .map_err(cannot())?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || read_wire(File::from(pipe), &stopped, &events));
        Ok(Self { stop, thread })
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.join();
    }
}

fn read_wire(mut pipe: File, stopped: &AtomicBool, events: &SyncSender<Event>) {
    let mut wire = Wire::default();
    let mut buffer = [0; 4096];
    while !stopped.load(Ordering::Relaxed) {
        match pipe.read(&mut buffer) {
            Ok(n @ 1..) => {
                let address = wire.feed(buffer.get(..n).unwrap_or_default());
                if address.is_some_and(|address| events.send(Event::Address(address)).is_err()) {
                    return;
                }
            }
            // No writer yet, or nothing new: DHCP can wait for a moment.
            Ok(0) => thread::sleep(TICK),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(TICK),
            Err(_) => return,
        }
    }
}
