//! `kiln check`.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use kiln_guest::{CHECKS, Check, Declared, Level};

use crate::EXIT_FAILED;
use crate::args::{CheckArgs, FailOn, Format};
use crate::open;
use crate::report::{self, ImageReport, Report};

/// Check all images and print one report.
pub(crate) fn run(args: &CheckArgs) -> Result<ExitCode> {
    let items = wanted(&args.items)?;
    if !args.open.attach.is_empty() && args.images.len() > 1 {
        bail!("--attach adds disks to one machine: name one IMAGE, not {}", args.images.len());
    }
    let report = Report::new(check_all(args, &items));
    let mut out = anstream::AutoStream::auto(std::io::stdout());
    match args.format {
        Format::Table => report::table::write(&report, args.verbose, &mut out)?,
        Format::Json => report::json::write(&report, &mut out)?,
        Format::Sarif => report::sarif::write(&report, &mut out)?,
        Format::Junit => report::junit::write(&report, &mut out)?,
    }
    out.flush()?;
    for image in &report.images {
        if let Some(error) = &image.error {
            anstream::eprintln!("{}: {error}", crate::args::style_error("error"));
            if let Some(hint) = &image.hint {
                anstream::eprintln!("\nhint: {hint}");
            }
        }
    }
    Ok(exit_status(&report, args.fail_on))
}

fn exit_status(report: &Report, fail_on: FailOn) -> ExitCode {
    let threshold = match fail_on {
        FailOn::High => Some(Level::High),
        FailOn::Medium => Some(Level::Medium),
        FailOn::Never => None,
    };
    if report.images.iter().any(|image| image.error.is_some()) {
        ExitCode::from(EXIT_FAILED)
    } else if threshold.is_some_and(|level| report.worst() >= Some(level)) {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    }
}

/// The items that were asked for, in the order of the report; all where none was.
fn wanted(names: &[String]) -> Result<Vec<&'static Check>> {
    if names.is_empty() {
        return Ok(CHECKS.to_vec());
    }
    names
        .iter()
        .map(|name| {
            kiln_guest::find(name).ok_or_else(|| {
                let near = kiln_guest::suggest(name);
                let hint = near.first().map(|near| format!("; did you mean {near}?"));
                let hint = hint.unwrap_or_default();
                let known: Vec<_> = CHECKS.iter().map(|check| check.name).collect();
                anyhow::anyhow!("no item {name}{hint}\n\nhint: the items are {}", known.join(", "))
            })
        })
        .collect()
}

/// Check the images by `--jobs` threads; the reports come in the order of the command line.
fn check_all(args: &CheckArgs, items: &[&'static Check]) -> Vec<ImageReport> {
    let progress = progress_bar(args.images.len());
    let next = AtomicUsize::new(0);
    let reports = Mutex::new(Vec::new());
    let jobs = args.jobs.clamp(1, args.images.len());
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(location) = args.images.get(next.fetch_add(1, Ordering::Relaxed)) {
                    progress.set_message(location.clone());
                    let report = check_one(location, args, items);
                    progress.inc(1);
                    // A poisoned lock means another thread panicked while pushing, which loses
                    // nothing of what is in the list.
                    reports.lock().unwrap_or_else(|e| e.into_inner()).push(report);
                }
            });
        }
    });
    progress.finish_and_clear();
    let mut reports = reports.into_inner().unwrap_or_else(|e| e.into_inner());
    let position = |report: &ImageReport| args.images.iter().position(|l| *l == report.image);
    reports.sort_by_key(position);
    reports
}

fn check_one(location: &str, args: &CheckArgs, items: &[&'static Check]) -> ImageReport {
    let start = Instant::now();
    match open::inspect(location, &args.open, Declared::from(&args.declared)) {
        Ok(opened) => {
            let results = kiln_guest::run(&opened.inspection, items);
            ImageReport::finished(location, &opened, results, start.elapsed())
        }
        Err(error) => ImageReport::failed(location, &error, start.elapsed()),
    }
}

fn progress_bar(n_images: usize) -> ProgressBar {
    let bar = ProgressBar::new(n_images as u64);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos}/{len} {wide_msg}") {
        bar.set_style(style);
    }
    // A single local image is done before the eye could read it; a remote one is not.
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
