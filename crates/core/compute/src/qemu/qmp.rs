//! QEMU's monitor protocol, as far as kiln needs it: a command a line, a reply a line.
//!
//! The crate `qapi` was considered: it generates types for the whole schema of one QEMU version,
//! some 60,000 lines, where kiln sends four commands that have not changed since QEMU 1.0.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{Error, Result};

/// Replies are short; a longer line is not QEMU's.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// How long a reply may take. The monitor answers from QEMU's main loop, which a busy host starves.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);

/// A connected monitor.
#[derive(Debug)]
pub struct Qmp {
    reader: BufReader<UnixStream>,
}

impl Qmp {
    /// Read the greeting and leave negotiation.
    ///
    /// # Errors
    ///
    /// Where the other end does not speak the protocol or does not speak in time.
    pub fn new(stream: UnixStream) -> Result<Self> {
        let mut qmp = Self { reader: BufReader::new(stream) };
        let greeting = qmp.line(Instant::now() + REPLY_TIMEOUT)?;
        if greeting.get("QMP").is_none() {
            return Err(Error::Monitor("no greeting".to_owned()));
        }
        qmp.execute("qmp_capabilities")?;
        Ok(qmp)
    }

    /// Stop at once, without asking the guest.
    ///
    /// # Errors
    ///
    /// As [`Qmp::execute`].
    pub fn quit(&mut self) -> Result<()> {
        self.execute("quit").map(drop)
    }

    /// Press the power button.
    ///
    /// # Errors
    ///
    /// As [`Qmp::execute`].
    pub fn system_powerdown(&mut self) -> Result<()> {
        self.execute("system_powerdown").map(drop)
    }

    /// The state of the machine, for example `running` or `io-error`.
    ///
    /// # Errors
    ///
    /// As [`Qmp::execute`].
    pub fn status(&mut self) -> Result<String> {
        let status = self.execute("query-status")?;
        Ok(status.get("status").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// Send a command without arguments and wait for what it returns. Events in between are dropped.
    ///
    /// # Errors
    ///
    /// Where QEMU refuses, does not reply in time, or has gone.
    pub fn execute(&mut self, command: &str) -> Result<Value> {
        let deadline = Instant::now() + REPLY_TIMEOUT;
        let request = format!("{}\n", json!({ "execute": command }));
        let lost = Error::io(format!("cannot send {command} to QEMU's monitor"));
        self.reader.get_mut().write_all(request.as_bytes()).map_err(lost)?;
        loop {
            let mut reply = self.line(deadline)?;
            if let Some(value) = reply.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = reply.get("error") {
                let why = error.get("desc").and_then(Value::as_str).unwrap_or("no reason given");
                return Err(Error::Monitor(format!("{command}: {why}")));
            }
        }
    }

    fn line(&mut self, deadline: Instant) -> Result<Value> {
        let left = deadline.saturating_duration_since(Instant::now());
        let lost = || Error::io("cannot read from QEMU's monitor");
        let timeout = left.max(Duration::from_millis(1));
        self.reader.get_ref().set_read_timeout(Some(timeout)).map_err(lost())?;
        let mut line = Vec::new();
        let mut bounded = self.reader.by_ref().take(MAX_LINE_BYTES);
        bounded.read_until(b'\n', &mut line).map_err(lost())?;
        if !line.ends_with(b"\n") {
            return Err(Error::Monitor("it closed the connection".to_owned()));
        }
        serde_json::from_slice(&line).map_err(|error| Error::Monitor(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// A monitor that says `lines`, whatever it is asked.
    fn saying(lines: &'static str) -> Result<Qmp> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        thread::spawn(move || {
            theirs.write_all(lines.as_bytes()).unwrap();
            // Read until kiln hangs up, or its writes would fail.
            let _ = theirs.shutdown(std::net::Shutdown::Write);
            let _ = theirs.read_to_end(&mut Vec::new());
        });
        Qmp::new(ours)
    }

    #[test]
    fn replies_are_told_from_events() {
        let mut qmp = saying(
            "{\"QMP\": {\"version\": {}}}\n{\"return\": {}}\n{\"event\": \"RESUME\"}\n\
             {\"return\": {\"status\": \"running\"}}\n{\"error\": {\"desc\": \"not now\"}}\n",
        )
        .unwrap();
        assert_eq!(qmp.status().unwrap(), "running");
        assert_eq!(qmp.quit().unwrap_err().to_string(), "QEMU's monitor: quit: not now");
        let closed = "QEMU's monitor: it closed the connection";
        assert_eq!(qmp.quit().unwrap_err().to_string(), closed);
    }

    #[test]
    fn what_is_no_monitor_is_refused() {
        assert_eq!(saying("{}\n").unwrap_err().to_string(), "QEMU's monitor: no greeting");
        assert!(
            saying("SSH-2.0-OpenSSH_9.2\n").unwrap_err().to_string().contains("expected value")
        );
    }
}
