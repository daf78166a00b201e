//! Sockets between kiln and a machine: kiln listens, QEMU connects.
//!
//! This way round nobody has to guess when the other one has made its end.

use std::fs;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::qemu::{Process, WorkDir};
use crate::{Error, Result};

const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// A socket in a work folder that QEMU is going to connect to.
#[derive(Debug)]
pub struct Listener {
    name: String,
    listener: UnixListener,
}

impl Listener {
    /// Listen at `name` in `work`. On QEMU's command line: `-chardev socket,path=NAME,server=off`. The
    /// socket of a machine that used the folder before is replaced.
    ///
    /// # Errors
    ///
    /// Where the socket cannot be made.
    pub fn bind(work: &WorkDir, name: &str) -> Result<Self> {
        let cannot = |source| Error::Io { what: format!("cannot make the socket {name}"), source };
        let path = work.short(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot(error)),
            _ => {}
        }
        let listener = UnixListener::bind(path).map_err(cannot)?;
        listener.set_nonblocking(true).map_err(cannot)?;
        Ok(Self { name: name.to_owned(), listener })
    }

    /// Wait for `process` to connect, for at most `timeout`.
    ///
    /// # Errors
    ///
    /// `Ended`, with what the process said, where it ended instead; `TimedOut`.
    pub fn accept(self, process: &mut Process, timeout: Duration) -> Result<UnixStream> {
        let deadline = Instant::now() + timeout;
        loop {
            let failed = match self.listener.accept() {
                Ok((stream, _)) => match stream.set_nonblocking(false) {
                    Ok(()) => return Ok(stream),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            if failed.kind() != io::ErrorKind::WouldBlock {
                return Err(Error::io(format!("cannot accept on {}", self.name))(failed));
            }
            if let Some(status) = process.try_wait()? {
                return Err(process.ended(status));
            }
            if Instant::now() >= deadline {
                let what = "the start of QEMU".to_owned();
                return Err(Error::TimedOut { what, seconds: timeout.as_secs() });
            }
            thread::sleep(POLL_INTERVAL);
        }
    }
}
