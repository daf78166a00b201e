//! What the child does with an image to convert: decode it, and write it as qcow2 into the one file
//! that it may write.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::mem::{self, ManuallyDrop};
use std::ops::ControlFlow;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kiln_disk::write::{Options, Written, qcow2};
use kiln_disk::{Error, Fault, FileSource, Image, Kind, NoSiblings, OpenOptions, Source};

use crate::error::Refusal;
use crate::passed;
use crate::remote::{Line, RemoteSource};
use crate::wire::{Ask, ConvertAnswer, ConvertJob, WriteJob, cut};

/// How often progress is told at most.
const TELLING: Duration = Duration::from_millis(100);

/// Notes that are answered at most; there are a few per file.
const NOTES_MAX: usize = 32;

/// The open files that came with a job, each ready to be used without a further call to the system
/// but reading, writing and seeking. They are not closed, which the sealed child may not do.
#[derive(Debug, Default)]
pub(crate) struct Files {
    input: Option<(RawFd, Arc<FileSource>)>,
    output: Option<(ManuallyDrop<File>, u64)>,
}

impl Files {
    /// Take what the job says will follow.
    pub(crate) fn receive(job: &ConvertJob) -> io::Result<Self> {
        let count = usize::from(job.size_bytes.is_none()) + usize::from(job.write.is_some());
        let mut files = passed::receive(io::stdin(), count)?.into_iter().map(File::from);
        let mut input = None;
        if job.size_bytes.is_none()
            && let Some(file) = files.next()
        {
            let number = file.as_raw_fd();
            // The size is asked of the system here, while that is allowed.
            let source = FileSource::of_file(file, &job.location).map_err(io::Error::other)?;
            let source = Arc::new(source);
            mem::forget(Arc::clone(&source));
            input = Some((number, source));
        }
        let output = job
            .write
            .and_then(|write| Some((ManuallyDrop::new(files.next()?), write.output_bytes)));
        Ok(Self { input, output })
    }

    /// The descriptors, and the size that the file to write may get.
    pub(crate) fn numbers(&self) -> (Option<RawFd>, Option<(RawFd, u64)>) {
        let output = self.output.as_ref().map(|(file, bytes)| (file.as_raw_fd(), *bytes));
        (self.input.as_ref().map(|(number, _)| *number), output)
    }
}

/// The answer as JSON, or the last message where there is none.
pub(crate) fn convert(job: &ConvertJob, files: Files, line: Arc<Line>) -> Result<Vec<u8>, Ask> {
    let Files { input, output } = files;
    let source: Source = match (input, job.size_bytes) {
        (Some((_, source)), _) => source,
        (None, size_bytes) => {
            Arc::new(RemoteSource::new(size_bytes.unwrap_or(0), Arc::clone(&line)))
        }
    };
    let image = open(job, source)?;
    let written = match (job.write, output) {
        (Some(how), Some((file, _))) => Some(write(&image, file, how, &line)?),
        _ => None,
    };
    let answer = ConvertAnswer {
        format: image.format.name().to_owned(),
        variant: cut(&image.variant),
        virtual_size_bytes: written
            .map_or(image.source.size_bytes(), |written| written.virtual_size_bytes),
        notes: image.notes.iter().take(NOTES_MAX).map(|note| cut(note)).collect(),
        written: written.map(|written| (written.size_bytes, written.allocated_bytes)),
    };
    serde_json::to_vec(&answer)
        .map_err(|error| not_converted(Refusal::Unsupported, &error.to_string(), None))
}

fn open(job: &ConvertJob, source: Source) -> Result<Image, Ask> {
    let options = OpenOptions::default();
    // A name inside a stranger's image is not followed, wherever it leads.
    let image = kiln_disk::open_source(source, &job.location, Arc::new(NoSiblings), &options)
        .map_err(|error| refused(&error))?;
    if let Some(expected) = &job.expected_format
        && expected != image.format.name()
    {
        let found = image.format.name().to_owned();
        let message = format!("{}: this is {found}, not {expected}", job.location);
        return Err(not_converted(Refusal::FormatMismatch { found }, &message, None));
    }
    let (size, limit) = (image.source.size_bytes(), job.virtual_size_bytes);
    if size > limit {
        let message =
            format!("{}: the disk has {size} bytes, more than the limit of {limit}", job.location);
        return Err(not_converted(Refusal::TooLarge, &message, None));
    }
    Ok(image)
}

fn write(
    image: &Image,
    file: ManuallyDrop<File>,
    how: WriteJob,
    line: &Line,
) -> Result<Written, Ask> {
    let total = image.source.size_bytes();
    let told: Cell<Option<Instant>> = Cell::new(None);
    let progress = |done: u64| {
        let due = told.get().is_none_or(|last| last.elapsed() >= TELLING) || done == total;
        if !due {
            return ControlFlow::Continue(());
        }
        told.set(Some(Instant::now()));
        match line.tell(&Ask::Progress { done, total }) {
            Ok(()) => ControlFlow::Continue(()),
            // There is nobody left to work for.
            Err(_) => ControlFlow::Break(()),
        }
    };
    let failed = Cell::new(false);
    let out = Output { file, failed: &failed };
    let threads = usize::try_from(how.threads).unwrap_or(0);
    let options = Options { zstd_level: Some(how.zstd_level), threads };
    qcow2(&image.source, out, &options, &progress).map_err(|error| match failed.get() {
        true => not_converted(Refusal::Write, &error.to_string(), error.hint_text()),
        false => refused(&error),
    })
}

/// The file that is written, and whether that failed.
struct Output<'a> {
    file: ManuallyDrop<File>,
    failed: &'a Cell<bool>,
}

impl Output<'_> {
    fn noted<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if result.is_err() {
            self.failed.set(true);
        }
        result
    }
}

impl Write for Output<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let result = self.file.write(buf);
        self.noted(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Output<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let result = self.file.seek(to);
        self.noted(result)
    }
}

fn refused(error: &Error) -> Ask {
    let refusal = match (error.fault_found(), error.kind()) {
        (Some(Fault::UnknownFormat), _) | (None, Kind::OtherFormat) => Refusal::UnknownFormat,
        (Some(Fault::Encrypted), _) => Refusal::Encrypted,
        (Some(Fault::UnitSize), _) => Refusal::UnitSize,
        (Some(Fault::SizeFields), _) => Refusal::SizeFields,
        (Some(Fault::Truncated), _) => Refusal::Truncated,
        (Some(Fault::TooLarge), _) => Refusal::TooLarge,
        (Some(Fault::DependsOnOther), _) | (None, Kind::ExternalReference) => {
            Refusal::DependsOnOther
        }
        (_, Kind::Io | Kind::NotFound | Kind::Cancelled) => Refusal::Read,
        (_, Kind::Unsupported) => Refusal::Unsupported,
        _ => Refusal::Corrupt,
    };
    not_converted(refusal, &error.to_string(), error.hint_text())
}

fn not_converted(refusal: Refusal, message: &str, hint: Option<&str>) -> Ask {
    Ask::NotConverted { refusal, message: cut(message), hint: hint.map(cut) }
}
