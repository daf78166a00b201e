//! The two ways out of the program: standard output for data, standard error for talk.
//!
//! A reader that has seen enough closes its end (`kiln check ... | head -1`). That is no failure of
//! kiln's: the rest is dropped, and the exit status still tells what was found.

use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use anstyle::AnsiColor;
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};

use crate::report::printable;

/// Write text with colours, which are dropped where standard output is no terminal or `NO_COLOR` is
/// set.
pub(crate) fn styled(text: &[u8]) -> Result<()> {
    write(&mut anstream::AutoStream::auto(io::stdout().lock()), text)
}

/// Write bytes as they are.
pub(crate) fn exact(bytes: &[u8]) -> Result<()> {
    write(&mut io::stdout().lock(), bytes)
}

fn write(out: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}

/// A line on standard error with the time and what is going on; nothing where that is no terminal.
pub(crate) fn spinner(message: &'static str) -> ProgressBar {
    let line = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4} {wide_msg}") {
        line.set_style(style);
    }
    line.set_message(message);
    line.enable_steady_tick(Duration::from_millis(100));
    line
}

/// Tell something, a line or more.
pub(crate) fn talk(text: &str) {
    // Where standard error is closed there is nobody to tell.
    let _ = writeln!(anstream::AutoStream::auto(io::stderr().lock()), "{}", text.trim_end());
}

/// Tell what the user could do next.
pub(crate) fn hint(text: &str) {
    // Where standard error is closed there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "\nhint: {}", printable(text));
}

/// Tell an error and, after a blank line, what to do about it.
pub(crate) fn error(message: &str, hint: Option<&str>) {
    let style = AnsiColor::Red.on_default().bold();
    let mut text = format!("{style}error{style:#}: {}\n", printable(message));
    if let Some(hint) = hint {
        text += &format!("\nhint: {}\n", printable(hint));
    }
    // Where standard error is closed there is nobody to tell; the exit status says it.
    let _ = anstream::AutoStream::auto(io::stderr().lock()).write_all(text.as_bytes());
}
