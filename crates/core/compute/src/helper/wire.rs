//! The port as a stream with a deadline, and the console's last words.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::ChildStdout;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Enough for the report of a kernel that panics.
const CONSOLE_BYTES: usize = 32 << 10;
/// What an error message shows of it.
const SHOWN_LINES: usize = 20;

/// A stream whose reads and writes fail with `TimedOut` at a moment.
pub(super) struct Until<'a> {
    pub(super) stream: &'a UnixStream,
    pub(super) deadline: Instant,
}

impl Until<'_> {
    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

fn as_timeout(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

impl Read for Until<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(buf).map_err(as_timeout)
    }
}

impl Write for Until<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(buf).map_err(as_timeout)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The end of what the machine's console said, however much it says.
#[derive(Clone, Debug, Default)]
pub(super) struct Console(Arc<Mutex<VecDeque<u8>>>);

impl Console {
    /// Drain `output` for as long as the machine lives.
    pub(super) fn of(mut output: ChildStdout) -> Self {
        let console = Self::default();
        let kept = console.clone();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = output.read(&mut buffer) {
                kept.keep(&buffer[..n]);
            }
        });
        console
    }

    fn keep(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(bytes);
        let surplus = kept.len().saturating_sub(CONSOLE_BYTES);
        kept.drain(..surplus);
    }

    /// The last lines, without what could steer a terminal.
    pub(super) fn last_lines(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = kept.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes).replace('\r', "");
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let from = lines.len().saturating_sub(SHOWN_LINES);
        let printable = |c: char| if c.is_control() { '\u{FFFD}' } else { c };
        let lines = lines[from..].iter().map(|line| line.chars().map(printable).collect());
        lines.collect::<Vec<String>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_ends_at_its_deadline() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let soon = Instant::now() + Duration::from_millis(20);
        let mut until = Until { stream: &ours, deadline: soon };
        assert_eq!(until.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(until.write(&[0]).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_console_keeps_its_last_words() {
        let console = Console::default();
        for n in 0..10_000 {
            console.keep(format!("line {n}\r\n").as_bytes());
        }
        console.keep(b"\x1b[31mred\n");
        let last = console.last_lines();
        assert_eq!(last.lines().count(), SHOWN_LINES);
        assert!(last.ends_with("line 9999\n\u{FFFD}[31mred"), "{last}");
        assert!(console.0.lock().unwrap().len() <= CONSOLE_BYTES);
    }
}
