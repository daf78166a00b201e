//! What the kernel itself says about a failure: the lines of its log since a moment.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::{OFlags, SeekFrom, seek};

const MAX_LINES: usize = 12;
const MAX_LINE_BYTES: usize = 300;
/// A record is never longer.
const RECORD_BYTES: usize = 8192;

/// The log from the moment of [`KernelLog::from_now`] on.
pub(crate) struct KernelLog(Option<File>);

impl KernelLog {
    /// A log that cannot be opened says nothing: the failure itself is told in any case.
    pub(crate) fn from_now() -> Self {
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let file = File::options().read(true).custom_flags(flags).open("/dev/kmsg");
        let file = file.ok().filter(|file| seek(file, SeekFrom::End(0)).is_ok());
        Self(file)
    }

    /// The last lines, joined by `; `. Empty: the kernel said nothing.
    pub(crate) fn text(&mut self) -> String {
        let Some(file) = &mut self.0 else { return String::new() };
        let mut lines: Vec<String> = Vec::new();
        let mut record = vec![0; RECORD_BYTES];
        // One read gives one record; EPIPE says that some were overwritten meanwhile.
        for _ in 0..10_000 {
            match file.read(&mut record) {
                Ok(n) if n > 0 => lines.extend(line(&record[..n])),
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
                _ => break,
            }
        }
        let skip = lines.len().saturating_sub(MAX_LINES);
        lines.split_off(skip).join("; ")
    }
}

/// The text of a record `priority,number,time,flags;text\n key=value...`.
fn line(record: &[u8]) -> Option<String> {
    let at = record.iter().position(|&byte| byte == b';')? + 1;
    let text = record[at..].split(|&byte| byte == b'\n').next()?;
    let text = &text[..text.len().min(MAX_LINE_BYTES)];
    Some(String::from_utf8_lossy(text).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_reduced_to_its_text() {
        let record = b"3,512,1234,-;XFS (vda1): log mount failed\n SUBSYSTEM=block\n";
        assert_eq!(line(record).unwrap(), "XFS (vda1): log mount failed");
        assert_eq!(line(b"no record"), None);
        let long = [b"6,1,1,-;".as_slice(), &[b'x'; 1000]].concat();
        assert_eq!(line(&long).unwrap().len(), MAX_LINE_BYTES);
    }
}
