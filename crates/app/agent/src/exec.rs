//! Running a program of the guest, in the guest's tree: only where the machine was started for it.
//!
//! There is no network here to keep it from. What it starts is killed with it: in this machine
//! everything but the agent is its offspring.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kiln_rpc::{Exec, ExecEnd, GuestPath};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::{Pid, Signal, WaitOptions, chroot, kill_process_group, setsid, wait};

use crate::failure::{Context, Result, failure, refused};
use crate::node::{SYSROOT, Tree, proc_path};

/// The first argument of the agent when it is to become a program of the guest.
pub(crate) const CHROOT: &str = "--chroot";
/// What a shell says for a program that cannot be started.
pub(crate) const NOT_STARTED: u8 = 127;

/// Kept of the output, from its end.
const MAX_OUTPUT_BYTES: usize = 1 << 20;
/// What the kernel offers to a program, and what kind it is.
const MOUNTS: [(&str, &str); 3] = [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")];

/// In the child: leave for the guest's tree and become its program. Returns only an error.
pub(crate) fn replace_by(mut arguments: impl Iterator<Item = OsString>) -> io::Error {
    let Some(program) = arguments.next() else { return Errno::INVAL.into() };
    let left = setsid().and_then(|_| chroot(SYSROOT)).and_then(|()| rustix::process::chdir("/"));
    match left {
        Ok(()) => Command::new(program).args(arguments).exec(),
        Err(error) => error.into(),
    }
}

/// Run what `exec` says.
pub(crate) fn run(tree: &Tree, exec: &Exec) -> Result<ExecEnd> {
    let line = fs::read_to_string("/proc/cmdline").when("/proc/cmdline")?;
    if !line.split_ascii_whitespace().any(|word| word == "kiln.exec=1") {
        let message = "this machine was not started for running programs of the guest";
        return Err(failure(Errno::PERM, message));
    }
    let (program, arguments) =
        exec.argv.split_first().ok_or_else(|| failure(Errno::INVAL, "no program is named"))?;
    let mut mounts = Mounts::new(tree)?;
    let ended = spawn(program, arguments, exec).and_then(|child| {
        let deadline = Instant::now() + Duration::from_millis(exec.timeout_ms);
        watch(child, deadline, &end_all)
    });
    end_all();
    mounts.unmount()?;
    ended
}

fn spawn(program: &str, arguments: &[String], exec: &Exec) -> Result<(Child, io::PipeReader)> {
    let (output, input) = io::pipe().when("pipe")?;
    let mut command = Command::new("/proc/self/exe");
    command.arg(CHROOT).arg(program).args(arguments);
    command.env_clear().envs(exec.env.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null());
    command.stdout(input.try_clone().when("pipe")?).stderr(input);
    let child = command.spawn().when(program)?;
    Ok((child, output))
}

/// Take the output until the program ends or the time is over; then `end_all` ends what it started.
pub(crate) fn watch(
    (mut child, mut output): (Child, io::PipeReader),
    deadline: Instant,
    end_all: &dyn Fn(),
) -> Result<ExecEnd> {
    let mut end =
        ExecEnd { status: None, timed_out: false, output: Vec::new(), is_truncated: false };
    let mut buffer = vec![0; 64 << 10];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            end.timed_out = true;
            end_all();
            let _ = child.wait();
            return Ok(end);
        }
        // A daemon may hold the pipe after the program has ended.
        if let Some(status) = child.try_wait().when("wait")? {
            end.status = status.code();
            end_all();
            // Whoever got away from that may hold the pipe for good.
            while is_readable(&output, Duration::ZERO)?
                && let n @ 1.. = output.read(&mut buffer).when("read the output")?
            {
                end.keep(&buffer[..n]);
            }
            return Ok(end);
        }
        if is_readable(&output, left.min(Duration::from_millis(50)))? {
            let n = output.read(&mut buffer).when("read the output")?;
            end.keep(&buffer[..n]);
            if n == 0 {
                // All have closed it; what is left is the end of the program.
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

fn is_readable(output: &io::PipeReader, wait: Duration) -> Result<bool> {
    let timeout = Timespec { tv_sec: 0, tv_nsec: wait.subsec_nanos().into() };
    let fd = output.as_fd();
    let n = poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)).when("poll")?;
    Ok(n > 0)
}

trait Keep {
    fn keep(&mut self, bytes: &[u8]);
}

impl Keep for ExecEnd {
    /// The end of the output is what tells why a program failed.
    fn keep(&mut self, bytes: &[u8]) {
        self.output.extend(bytes);
        let surplus = self.output.len().saturating_sub(MAX_OUTPUT_BYTES);
        self.output.drain(..surplus);
        self.is_truncated |= surplus > 0;
    }
}

/// Kill all but the agent, and take leave of them.
fn end_all() {
    // The group of process 1 means every process but the sender; there may be none.
    let _ = kill_process_group(Pid::INIT, Signal::KILL);
    while let Ok(Some(_)) = wait(WaitOptions::empty()) {}
}

/// What the kernel offers, mounted in the guest's tree for the time of a run.
struct Mounts {
    mounted: Vec<String>,
}

impl Mounts {
    fn new(tree: &Tree) -> Result<Self> {
        let mut mounts = Self { mounted: Vec::new() };
        for (fstype, at) in MOUNTS {
            if let Err(error) = mounts.add(tree, fstype, at) {
                // The failure to tell is that of the mount.
                let _ = mounts.unmount();
                return Err(error);
            }
        }
        Ok(mounts)
    }

    fn add(&mut self, tree: &Tree, fstype: &str, at: &str) -> Result<()> {
        let path = GuestPath::new(at).map_err(|error| failure(Errno::INVAL, error.to_string()))?;
        let dir = tree.directory(&path)?;
        mount(fstype, proc_path(&dir), fstype, MountFlags::NOSUID | MountFlags::NOEXEC, None)
            .map_err(|error| refused(&path, error, &format!("mount {fstype}: {error}")))?;
        self.mounted.push(format!("{SYSROOT}{at}"));
        Ok(())
    }

    fn unmount(&mut self) -> Result<()> {
        while let Some(at) = self.mounted.pop() {
            unmount(&*at, UnmountFlags::NOFOLLOW).when(&format!("unmount {at}"))?;
        }
        Ok(())
    }
}
