//! `kiln check`.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use kiln_guest::{CHECKS, Check, Declared, EXTRA_CHECKS, Level};

use crate::args::{CheckArgs, FailOn, Format};
use crate::report::{self, ImageReport, Report};
use crate::{EXIT_FAILED, EXIT_RISK, Hinted, open, output};

/// Check all images and print one report.
pub(crate) fn run(args: &CheckArgs) -> Result<ExitCode> {
    let items = kiln_guest::select(&args.items).map_err(no_item)?;
    if !args.open.attach.is_empty() && args.images.len() > 1 {
        bail!("--attach adds disks to one machine: name one IMAGE, not {}", args.images.len());
    }
    let report = Report::new(check_all(args, &items));
    let mut out = Vec::new();
    match args.format {
        Format::Table => report::table::write(&report, args.verbose, &mut out)?,
        Format::Json => report::json::write(&report, &mut out)?,
        Format::Sarif => report::sarif::write(&report, &mut out)?,
        Format::Junit => report::junit::write(&report, &mut out)?,
    }
    match args.format {
        Format::Table => output::styled(&out)?,
        Format::Json | Format::Sarif | Format::Junit => output::exact(&out)?,
    }
    for image in &report.images {
        if let Some(error) = &image.error {
            output::error(error, image.hint.as_deref());
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
        ExitCode::from(EXIT_RISK)
    } else {
        ExitCode::SUCCESS
    }
}

fn no_item(name: &str) -> anyhow::Error {
    let near = kiln_guest::suggest(name);
    let near = near.first().map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    let known: Vec<_> = CHECKS.iter().chain(EXTRA_CHECKS).map(|check| check.name).collect();
    let hint = format!("the items are {}", known.join(", "));
    Hinted::new(format!("there is no item '{name}'{near}"), hint).into()
}

/// Check the images by `--jobs` threads; the reports come in the order of the command line.
fn check_all(args: &CheckArgs, items: &[&'static Check]) -> Vec<ImageReport> {
    let progress = progress_bar(&args.images);
    let next = AtomicUsize::new(0);
    let reports = Mutex::new(Vec::new());
    let n_threads = args.jobs.get().min(args.images.len());
    thread::scope(|scope| {
        for _ in 0..n_threads {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let Some(location) = args.images.get(n) else { break };
                    progress.set_message(report::printable(location));
                    let report = check_one(location, args, items);
                    progress.inc(1);
                    // A poisoned lock means another thread panicked while pushing, which loses
                    // nothing of what is in the list.
                    reports.lock().unwrap_or_else(|e| e.into_inner()).push((n, report));
                }
            });
        }
    });
    progress.finish_and_clear();
    let mut reports = reports.into_inner().unwrap_or_else(|e| e.into_inner());
    reports.sort_by_key(|(n, _)| *n);
    reports.into_iter().map(|(_, report)| report).collect()
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

/// A line on standard error that says what is being looked at; nothing where that is no terminal.
fn progress_bar(images: &[String]) -> ProgressBar {
    // A single local image is done before the eye could read it; a remote one is not.
    if images.len() == 1 && images.iter().all(|image| !image.contains("://")) {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(images.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos}/{len} {wide_msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
