//! `kiln boot`: how far an image comes in QEMU.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::{Context, Result};
use indicatif::ProgressBar;
use kiln_compute::boot::{Bus, Firmware, Goal, Options, Progress, Report};
use kiln_compute::qemu::{Arch, Qemu};
use kiln_disk::Image;
use kiln_guest::{Declared, Inspection};
use serde::Serialize;

use crate::args::{self, BootArgs, InspectFormat, OpenArgs};
use crate::report::{chain, printable};
use crate::{EXIT_FAILED, EXIT_NOT_REACHED, Hinted, hinted, open, output};

/// Boot one image and print how far it came.
pub(crate) fn run(args: &BootArgs) -> Result<ExitCode> {
    let location = &args.image;
    if location.contains("://") {
        let message = format!("{location}: only an image on this machine can be booted");
        return Err(Hinted::new(message, "download it first").into());
    }
    let open = OpenArgs { allow_backing: args.allow_backing.clone(), attach: Vec::new() };
    let opened = match open::inspect(location, &open, Declared::default()) {
        Ok(opened) => opened,
        Err(error) => {
            output::error(&chain(location, &error), error.hint_text());
            return Ok(ExitCode::from(EXIT_FAILED));
        }
    };
    let image = opened.images.first().context("no image")?;
    let (arch, options) = options(args, &opened.inspection);
    let qemu = Qemu::find(arch).map_err(|error| hinted(error.into()))?;
    let log_path = log_path(args);
    let mut log = create_log(&log_path, image)?;
    let progress = output::spinner("starting");
    let report = kiln_compute::boot::run(&qemu, image, &options, &mut log, &mut |step| {
        tell(&progress, &step);
    });
    progress.finish_and_clear();
    let report = report.map_err(|error| hinted(error.into()))?;
    print(args, &report, &log_path)?;
    Ok(if report.reached { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NOT_REACHED) })
}

/// What the command line says, and what the image is made for where it says nothing.
fn options(args: &BootArgs, inspection: &Inspection) -> (Arch, Options) {
    let (arch, made_for) = kiln_factory::repair::made_for(inspection);
    let firmware = match args.firmware {
        Some(args::Firmware::Bios) => Firmware::Bios,
        Some(args::Firmware::Uefi) => Firmware::Uefi,
        None => made_for,
    };
    let until = match (&args.marker, args.until) {
        (Some(marker), _) => Goal::Marker(marker.clone()),
        (None, args::Until::Login) => Goal::Login,
        (None, args::Until::Network) => Goal::Network,
        (None, args::Until::CloudInit) => Goal::CloudInit,
    };
    let options = Options {
        bus: match args.bus {
            args::Bus::Virtio => Bus::Virtio,
            args::Bus::Nvme => Bus::Nvme,
            args::Bus::Scsi => Bus::Scsi,
        },
        firmware,
        memory_mib: args.memory,
        cpus: args.cpus,
        timeout: Duration::from_secs(u64::from(args.timeout)),
        accel: args.accel.into(),
        until,
        data_source: args.data_source,
    };
    (arch, options)
}

/// In the current folder: the image's own may be a read-only store.
fn log_path(args: &BootArgs) -> PathBuf {
    args.console.clone().unwrap_or_else(|| {
        let name = Path::new(&args.image).file_name().unwrap_or_default();
        let mut name = name.to_owned();
        name.push(".console.log");
        PathBuf::from(name)
    })
}

/// An older log is replaced; the image, or a file that it is made of, is not.
fn create_log(path: &Path, image: &Image) -> Result<File> {
    let links = image.chain.iter().map(|link| link.location.as_str());
    for location in std::iter::once(image.location.as_str()).chain(links) {
        if is_same_file(path, Path::new(location)) {
            let message = format!("{} is the image itself", path.display());
            return Err(Hinted::new(message, "name another file with --console").into());
        }
    }
    File::create(path).map_err(|error| {
        let message = format!("cannot write the console log {}: {error}", path.display());
        Hinted::new(message, "name another file with --console").into()
    })
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    identity(one).is_some() && identity(one) == identity(other)
}

fn tell(line: &ProgressBar, step: &Progress<'_>) {
    if let Progress::Stage(reached) = step {
        line.set_message(format!("{}: {}", reached.stage, printable(&reached.evidence)));
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    #[serde(flatten)]
    report: &'a Report,
    console_log: String,
}

fn print(args: &BootArgs, report: &Report, log: &Path) -> Result<()> {
    let mut out = Vec::new();
    match args.format {
        InspectFormat::Json => {
            let view = View { report, console_log: log.display().to_string() };
            serde_json::to_writer_pretty(&mut out, &view)?;
            writeln!(out)?;
            output::exact(&out)
        }
        InspectFormat::Table => {
            table(report, log, &mut out)?;
            output::styled(&out)
        }
    }
}

const RED: Style = AnsiColor::Red.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default();
const DIM: Style = Style::new().dimmed();

fn table(report: &Report, log: &Path, out: &mut dyn Write) -> Result<()> {
    writeln!(
        out,
        "{}  {} disk, {}, {}\n",
        printable(&report.image),
        report.bus,
        report.firmware.to_uppercase(),
        report.accelerator.to_uppercase()
    )?;
    for reached in &report.stages {
        let told = if reached.implied { "" } else { &*printable(&reached.evidence) };
        let line = format!("{:13}{:7.1} s  {told}", reached.stage.name(), reached.at.as_secs_f32());
        writeln!(out, "{}", line.trim_end())?;
    }
    if let Some(marker) = &report.marker {
        let seconds = marker.at.as_secs_f32();
        writeln!(out, "{:13}{seconds:7.1} s  {}", "marker", printable(&marker.evidence))?;
    }
    let seconds = report.seconds.as_secs_f32();
    let goal = report.goal;
    match &report.failure {
        None => writeln!(out, "\n{GREEN}{goal} reached{GREEN:#} in {seconds:.1} s")?,
        Some(failure) => {
            writeln!(
                out,
                "\n{RED}{goal} not reached{RED:#} in {seconds:.1} s: {}",
                failure.reason
            )?;
            let told = Some(&failure.evidence).filter(|line| !line.is_empty());
            for line in told.into_iter().chain(&report.clues) {
                writeln!(out, "  {}", printable(line))?;
            }
            writeln!(out, "{DIM}{}{DIM:#}", failure.code)?;
        }
    }
    writeln!(out, "console log: {}", printable(&log.display().to_string()))?;
    if let Some(hint) = report.failure.as_ref().and_then(|failure| failure.hint) {
        writeln!(out, "\nhint: {hint}")?;
    }
    Ok(())
}
