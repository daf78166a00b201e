//! The child: seal first, then look at the image, then say one thing.

use std::hint::black_box;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use kiln_disk::{NoSiblings, OpenOptions};
use kiln_guest::Declared;
use serde_json::json;

use crate::converting::{self, Files};
use crate::remote::{Line, RemoteSource};
use crate::seal::{Rights, seal};
use crate::wire::{self, Ask, Channel, CheckJob, Job, cut};

/// What a program does that was started with [`crate::CHILD_ARGUMENT`]. Call it before any thread
/// is started and any file is opened; exit with what it returns.
pub fn child_main() -> ExitCode {
    child_with(|_, channel| channel)
}

/// [`child_main`], with something to do between sealing and the check: for tests of the seal, which
/// are told the location of the job.
#[doc(hidden)]
pub fn child_with(sealed: impl FnOnce(&str, Channel) -> Channel) -> ExitCode {
    // The parent sees the end of the connection and tells it from the exit code.
    match run(sealed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn run(sealed: impl FnOnce(&str, Channel) -> Channel) -> io::Result<()> {
    let mut channel = Channel::default();
    let job: Job = wire::receive(&mut channel)?;
    let files = match &job {
        Job::Check(_) => Files::default(),
        Job::Convert(job) => Files::receive(job)?,
    };
    // The C library sets up handlers, and looks at the machine, when the first thread starts.
    if thread::spawn(|| black_box(vec![0_u8; 1])).join().is_err() {
        return Err(io::Error::other("no thread could be started"));
    }
    match seal(&rights(&job, &files)) {
        Ok(landlock) => wire::send(&mut channel, &Ask::Sealed(landlock))?,
        Err(reason) => return wire::send(&mut channel, &Ask::NotSealed(cut(&reason))),
    }
    let location = match &job {
        Job::Check(job) => &job.location,
        Job::Convert(job) => &job.location,
    };
    let line = Line::new(sealed(location, channel));
    let last = match &job {
        Job::Check(job) => check(job, line).map_err(|error| Ask::Refused {
            kind: wire::kind_code(error.kind()),
            message: cut(&error.to_string()),
            hint: error.hint_text().map(cut),
        }),
        Job::Convert(job) => converting::convert(job, files, line),
    };
    let mut channel = Channel::default();
    match last {
        Ok(json) => {
            let length = u32::try_from(json.len()).unwrap_or(u32::MAX);
            wire::send(&mut channel, &Ask::Done { length })?;
            channel.write_all(&json)
        }
        Err(told) => wire::send(&mut channel, &told),
    }
}

fn rights(job: &Job, files: &Files) -> Rights {
    let (address_space_bytes, cpu_seconds) = match job {
        Job::Check(job) => (job.address_space_bytes, job.cpu_seconds),
        Job::Convert(job) => (job.address_space_bytes, job.cpu_seconds),
    };
    let (input, output) = files.numbers();
    Rights { address_space_bytes, cpu_seconds, input, output }
}

fn check(job: &CheckJob, line: Arc<Line>) -> kiln_disk::Result<Vec<u8>> {
    let items = kiln_guest::select(&job.items)
        .map_err(|name| kiln_disk::Error::unsupported(format!("there is no item '{name}'")))?;
    let source = Arc::new(RemoteSource::new(job.size_bytes, line));
    let options = OpenOptions::default();
    let image = kiln_disk::open_source(source, &job.location, Arc::new(NoSiblings), &options)?;
    let declared = Declared {
        platform: job.platform.clone(),
        boot_mode: job.boot_mode.clone(),
        architecture: job.architecture.clone(),
        nvme: job.nvme,
    };
    let layout = kiln_volume::scan(&[Arc::clone(&image.source)]);
    let inspection = kiln_guest::inspect(layout, declared);
    let report = json!({
        "format": image.format.name(),
        "variant": image.variant,
        "sizeBytes": image.source.size_bytes(),
        "notes": image.notes,
        "items": kiln_guest::run(&inspection, &items),
    });
    Ok(report.to_string().into_bytes())
}
