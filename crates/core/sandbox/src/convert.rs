//! The parent of a conversion: hand the child its files, tell how far it is, end it when asked to.

use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use kiln_disk::{MemSource, Source};

use crate::error::Refusal;
use crate::parent::{Bounds, End, Running, known, protocol};
use crate::seal::Landlock;
use crate::serve::Served;
use crate::wire::{self, Ask, ConvertAnswer, ConvertJob, Job, WriteJob, cut};
use crate::{SandboxError, passed};

/// How long the caller has to wait at most until it is asked whether to go on.
const TICK: Duration = Duration::from_millis(200);

/// The longest answer: a few notes and numbers.
const ANSWER_BYTES: u32 = 256 << 10;

/// What a conversion may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvertLimits {
    /// Of the child, in bytes; what it uses of it grows with the threads and not with the image.
    pub address_space_bytes: u64,
    /// Of all threads of the child together.
    pub cpu_seconds: u64,
    /// How long it may come no further. A read of the source that is under way is waited for.
    pub idle: Duration,
    /// How often the child may ask for a range.
    pub ranges: u64,
    /// How much it may be given over its connection altogether, in bytes.
    pub served_bytes: u64,
    /// Size of the new image, in bytes.
    pub output_bytes: u64,
    /// Size of the disk, in bytes.
    pub virtual_size_bytes: u64,
}

impl Default for ConvertLimits {
    fn default() -> Self {
        Self {
            address_space_bytes: 1 << 30,
            cpu_seconds: 24 * 3600,
            idle: Duration::from_secs(600),
            ranges: 1 << 28,
            served_bytes: 65 << 40,
            output_bytes: 65 << 40,
            virtual_size_bytes: 64 << 40,
        }
    }
}

/// Where a foreign image is.
#[derive(Debug)]
pub enum Input {
    /// A regular file or block device that is open for reading: the child reads it itself. Its
    /// cursor is moved.
    File(File),
    /// Anything else: the parent reads what the child asks for.
    Source(Source),
}

/// What to convert.
#[derive(Debug)]
pub struct ConvertRequest {
    /// The image, in whatever format; it may not need other files.
    pub input: Input,
    /// Its name for messages.
    pub location: String,
    /// The name of the format that it must be in: `raw`, `qcow2`, `vhd`, `vhdx` or `vmdk`.
    pub expected_format: Option<String>,
    /// An empty file, open for reading and writing. It is not synced.
    pub output: File,
    /// From 1 to 22.
    pub zstd_level: i32,
    /// Threads of the child that read and compress, from 1 to [`kiln_disk::write::THREADS_MAX`].
    pub threads: usize,
}

/// What was converted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// The format that the image was in: `raw`, `qcow2`, `vhd`, `vhdx` or `vmdk`.
    pub format: String,
    /// The kind within the format, such as `dynamic`; may be empty. Foreign text.
    pub variant: String,
    /// The disk as a guest sees it, in bytes: a multiple of 512.
    pub virtual_size_bytes: u64,
    /// The new image, in bytes.
    pub size_bytes: u64,
    /// Bytes of the disk that the new image has clusters for.
    pub allocated_bytes: u64,
    /// What a person should know about the image. Foreign text.
    pub notes: Vec<String>,
    /// What the kernel enforced.
    pub landlock: Landlock,
}

/// What an image is, without reading its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// As [`Converted::format`].
    pub format: String,
    /// As [`Converted::variant`].
    pub variant: String,
    /// The disk as a guest sees it, in bytes.
    pub virtual_size_bytes: u64,
    /// As [`Converted::notes`].
    pub notes: Vec<String>,
}

/// Convert a foreign image to qcow2 with zstd in a child. `program` is as for [`crate::check`].
///
/// `progress` gets the bytes of the disk that are done and their total, at least every fifth of a
/// second but while a read of the source is under way; where it breaks, the child is killed.
///
/// What is in the output is written by the child. Its header is looked at, so that the file names no
/// other one; all else in it is as foreign as the image was.
///
/// # Errors
///
/// [`SandboxError::NotConverted`] where the image is at fault, or reading or writing failed;
/// [`SandboxError::Cancelled`] where `progress` broke; the others tell what stopped the child. It is
/// gone in any case, and what is in the output is then of no use.
pub fn convert(
    program: &Path,
    request: &ConvertRequest,
    limits: &ConvertLimits,
    progress: &dyn Fn(u64, u64) -> ControlFlow<()>,
) -> Result<Converted, SandboxError> {
    let write = WriteJob {
        zstd_level: request.zstd_level,
        threads: u32::try_from(request.threads).unwrap_or(u32::MAX),
        output_bytes: limits.output_bytes,
    };
    let job = job(&request.input, &request.location, &request.expected_format, limits);
    let job = ConvertJob { write: Some(write), ..job };
    let (answer, landlock) =
        run(program, job, &request.input, Some(&request.output), limits, progress)?;
    let Some((size_bytes, allocated_bytes)) = answer.written else {
        return Err(SandboxError::Protocol { reason: "nothing was written".to_owned() });
    };
    judge_output(&request.output, size_bytes, answer.virtual_size_bytes)?;
    Ok(Converted {
        format: answer.format,
        variant: answer.variant,
        virtual_size_bytes: answer.virtual_size_bytes,
        size_bytes,
        allocated_bytes,
        notes: answer.notes,
        landlock,
    })
}

/// Tell the format and the size of the disk of a foreign image in a child, and nothing else.
///
/// # Errors
///
/// As [`convert`], but none about an output.
pub fn probe(
    program: &Path,
    input: &Input,
    location: &str,
    expected_format: Option<&str>,
    limits: &ConvertLimits,
) -> Result<Probed, SandboxError> {
    let expected = expected_format.map(str::to_owned);
    let job = job(input, location, &expected, limits);
    let go_on = |_, _| ControlFlow::Continue(());
    let (answer, _) = run(program, job, input, None, limits, &go_on)?;
    Ok(Probed {
        format: answer.format,
        variant: answer.variant,
        virtual_size_bytes: answer.virtual_size_bytes,
        notes: answer.notes,
    })
}

/// A job that writes nothing.
fn job(
    input: &Input,
    location: &str,
    expected_format: &Option<String>,
    limits: &ConvertLimits,
) -> ConvertJob {
    ConvertJob {
        location: cut(location),
        size_bytes: match input {
            Input::File(_) => None,
            Input::Source(source) => Some(source.size_bytes()),
        },
        expected_format: expected_format.as_deref().map(cut),
        virtual_size_bytes: limits.virtual_size_bytes,
        write: None,
        address_space_bytes: limits.address_space_bytes,
        cpu_seconds: limits.cpu_seconds,
    }
}

fn run(
    program: &Path,
    job: ConvertJob,
    input: &Input,
    output: Option<&File>,
    limits: &ConvertLimits,
    progress: &dyn Fn(u64, u64) -> ControlFlow<()>,
) -> Result<(ConvertAnswer, Landlock), SandboxError> {
    let start = |source| SandboxError::Start { program: program.to_owned(), source };
    let (mut running, stream) = Running::start(program).map_err(start)?;
    let nothing = MemSource::shared([]);
    let (file, source) = match input {
        Input::File(file) => (Some(file), &nothing),
        Input::Source(source) => (None, source),
    };
    let mut session = Session {
        stream: Watched::new(stream, limits.idle, progress),
        served: Served::new(source, limits.ranges, limits.served_bytes),
        landlock: None,
        virtual_size_bytes: limits.virtual_size_bytes,
    };
    let files: Vec<BorrowedFd<'_>> = file.into_iter().chain(output).map(AsFd::as_fd).collect();
    match session.run(&Job::Convert(job), &files) {
        Ok(answer) => Ok(answer),
        Err(End::Known(error)) => Err(error),
        Err(End::Stream(error)) => Err(match session.stream.stopped.take() {
            Some(stopped) => stopped,
            None if error.kind() == io::ErrorKind::InvalidData => {
                SandboxError::Protocol { reason: error.to_string() }
            }
            None => running.judged(&Bounds {
                address_space_bytes: limits.address_space_bytes,
                cpu_seconds: limits.cpu_seconds,
                output_bytes: limits.output_bytes,
            }),
        }),
    }
}

struct Session<'a> {
    stream: Watched<'a>,
    served: Served<'a>,
    landlock: Option<Landlock>,
    virtual_size_bytes: u64,
}

impl Session<'_> {
    fn run(
        &mut self,
        job: &Job,
        files: &[BorrowedFd<'_>],
    ) -> Result<(ConvertAnswer, Landlock), End> {
        wire::send(&mut self.stream, job)?;
        passed::send(&self.stream.stream, files)?;
        loop {
            match (wire::receive(&mut self.stream)?, self.landlock) {
                (Ask::Sealed(landlock), None) => self.landlock = Some(landlock),
                (Ask::NotSealed(reason), _) => {
                    return known(SandboxError::Seal { reason: cut(&reason) });
                }
                (_, None) => return protocol("it was not sealed"),
                (Ask::Sealed(_), Some(_)) => return protocol("it was sealed twice"),
                (Ask::Range { offset, length }, _) => {
                    self.served.range(&mut self.stream, offset, length)?;
                }
                (Ask::Extent { offset }, _) => self.served.extent(&mut self.stream, offset)?,
                (Ask::Progress { done, total }, _) => self.progress(done, total)?,
                (Ask::Done { length }, Some(landlock)) => {
                    return Ok((self.done(length)?, landlock));
                }
                (Ask::NotConverted { refusal, message, hint }, _) => {
                    return known(self.not_converted(refusal, &message, hint.as_deref()));
                }
                (Ask::Refused { .. }, _) => return protocol("it answered as if it were to check"),
            }
        }
    }

    fn progress(&mut self, done: u64, total: u64) -> Result<(), End> {
        if done > total || total > self.virtual_size_bytes {
            return protocol("it has done more than there is");
        }
        Ok(self.stream.has_done(done, total)?)
    }

    /// The parent knows more about its own source than the child was told.
    fn not_converted(
        &mut self,
        refusal: Refusal,
        message: &str,
        hint: Option<&str>,
    ) -> SandboxError {
        match self.served.failure.take().filter(|_| refusal == Refusal::Read) {
            Some(error) => SandboxError::NotConverted {
                refusal,
                message: error.to_string(),
                hint: error.hint_text().map(str::to_owned),
            },
            None => {
                let (message, hint) = (cut(message), hint.map(cut));
                SandboxError::NotConverted { refusal, message, hint }
            }
        }
    }

    fn done(&mut self, length: u32) -> Result<ConvertAnswer, End> {
        if length > ANSWER_BYTES {
            let limit = u64::from(ANSWER_BYTES);
            return known(SandboxError::TooMuch { what: "bytes of answer", limit });
        }
        let mut json = Vec::new();
        (&mut self.stream).take(u64::from(length)).read_to_end(&mut json)?;
        let answer: ConvertAnswer = match serde_json::from_slice(&json) {
            Ok(answer) => answer,
            Err(error) => return protocol(&format!("the answer is not one: {error}")),
        };
        if !["raw", "qcow2", "vhd", "vhdx", "vmdk"].contains(&answer.format.as_str()) {
            return protocol("the answer has a format that is not known");
        }
        // Writing rounds the size up to a whole sector.
        if answer.virtual_size_bytes > self.virtual_size_bytes.saturating_add(511) {
            return protocol("the answer has a size over the limit");
        }
        Ok(answer)
    }
}

/// Refuse an output that is not as long as was told, or whose header is not what kiln writes: above
/// all one that names a backing file or a data file, which whoever reads it later might open.
fn judge_output(
    output: &File,
    size_bytes: u64,
    virtual_size_bytes: u64,
) -> Result<(), SandboxError> {
    let wrong = |reason: String| Err(SandboxError::Protocol { reason });
    let mut header = [0; 120];
    let read = output.read_exact_at(&mut header, 0).and_then(|()| output.metadata());
    let there = match read {
        Ok(meta) => meta.len(),
        Err(error) => return wrong(format!("the output cannot be read: {error}")),
    };
    if there != size_bytes {
        return wrong(format!("the output has {there} bytes, not {size_bytes}"));
    }
    let at = |from: usize, to: usize| header.get(from..to).unwrap_or_default();
    let sound = at(0, 20) == b"QFI\xfb\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\0\0" // no backing file
        && at(24, 32) == virtual_size_bytes.to_be_bytes()
        && at(32, 36) == [0; 4] // not encrypted
        && at(60, 72) == [0; 12] // no snapshots
        && at(72, 80) == 8_u64.to_be_bytes() // compressed by zstd, and no data file
        && at(80, 96) == [0; 16]
        && at(100, 104) == 112_u32.to_be_bytes()
        && at(104, 120) == [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]; // no extensions
    if sound { Ok(()) } else { wrong("the header of the output is not kiln's".to_owned()) }
}

/// A stream on which no wait keeps the caller from being asked whether to go on.
struct Watched<'a> {
    stream: UnixStream,
    progress: &'a dyn Fn(u64, u64) -> ControlFlow<()>,
    done: u64,
    total: u64,
    idle: Duration,
    came_further: Instant,
    asked: Option<Instant>,
    /// Why an operation failed, where the other side is not the reason.
    stopped: Option<SandboxError>,
}

impl<'a> Watched<'a> {
    fn new(
        stream: UnixStream,
        idle: Duration,
        progress: &'a dyn Fn(u64, u64) -> ControlFlow<()>,
    ) -> Self {
        Self {
            stream,
            progress,
            done: 0,
            total: 0,
            idle,
            came_further: Instant::now(),
            asked: None,
            stopped: None,
        }
    }

    fn has_done(&mut self, done: u64, total: u64) -> io::Result<()> {
        if done > self.done {
            self.came_further = Instant::now();
        }
        // Backwards, or a size that changes, would be a child that means harm: idle time goes on.
        if self.total == 0 {
            self.total = total;
        }
        self.done = self.done.max(done).min(self.total);
        self.asked = None;
        self.look()
    }

    /// Ask the caller where that is due, and look at the clock.
    fn look(&mut self) -> io::Result<()> {
        if self.asked.is_some_and(|asked| asked.elapsed() < TICK) {
            return Ok(());
        }
        self.asked = Some(Instant::now());
        let stopped = match (self.progress)(self.done, self.total) {
            ControlFlow::Break(()) => SandboxError::Cancelled,
            _ if self.came_further.elapsed() > self.idle => SandboxError::Idle { limit: self.idle },
            ControlFlow::Continue(()) => return Ok(()),
        };
        self.stopped = Some(stopped);
        Err(io::Error::other("stopped"))
    }

    fn waiting<T>(
        &mut self,
        mut step: impl FnMut(&mut UnixStream) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            self.look()?;
            match step(&mut self.stream) {
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) => {}
                other => return other,
            }
        }
    }
}

impl Read for Watched<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.waiting(|stream| {
            stream.set_read_timeout(Some(TICK))?;
            stream.read(buf)
        })
    }
}

impl Write for Watched<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.waiting(|stream| {
            stream.set_write_timeout(Some(TICK))?;
            stream.write(buf)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a child that was taken over might write: each byte could make a later reader do more.
    #[test]
    fn an_output_with_anything_unusual_in_its_header_is_refused() {
        let mut sound = Vec::new();
        let mut out = io::Cursor::new(&mut sound);
        let options = kiln_disk::write::Options { zstd_level: Some(1), threads: 1 };
        let disk = MemSource::shared([7; 1024]);
        kiln_disk::write::qcow2(&disk, &mut out, &options, &|_| ControlFlow::Continue(())).unwrap();
        let judged = |bytes: &[u8], length: u64| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            judge_output(&file, length, 1024)
        };
        let length = sound.len() as u64;
        judged(&sound, length).unwrap();
        judged(&sound, length + 1).unwrap_err();
        judged(&sound[..64], 64).unwrap_err();
        // Backing file, size, encryption, snapshots, data file, other features, extensions.
        for at in [0, 7, 15, 19, 30, 35, 63, 71, 79, 87, 95, 103, 104, 115] {
            let mut spoiled = sound.clone();
            spoiled[at] ^= 4;
            judged(&spoiled, length).expect_err(&format!("byte {at}"));
        }
    }
}
