//! `kiln convert`: the disk of an image, written as a new image.
//!
//! The new image is a temporary file beside its name until it is whole and on the disk, so there is
//! either all of it or none.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum, value_parser};
use indicatif::{BinaryBytes, ProgressBar, ProgressStyle};
use kiln_disk::write::{self, Options, THREADS_MAX, VmdkOptions, Written};
use kiln_disk::{Image, OpenOptions};
use tempfile::NamedTempFile;

use crate::report::{chain, hint, printable};
use crate::{EXIT_FAILED, Hinted, output};

/// As `qemu-img` compresses where nothing else is asked for.
const ZSTD_LEVEL: i32 = 3;
const DEFLATE_LEVEL: u32 = 6;

/// Write the disk of an image as a new image, in another format or packed anew
///
/// Reads what `kiln check` reads: raw, qcow2, VHD, VHDX and VMDK, from a file or a URL. Backing files
/// and extents become part of the new image, which needs no other file. OUT gets its name when it is
/// whole and on the disk, not before.
///
/// Exit status: 0 OUT is written, 2 it is not.
#[derive(Debug, Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConvertArgs {
    /// The image: a path, or an http://, https://, s3:// or oss:// URL; any format, told by content
    #[arg(value_name = "IN")]
    image: String,
    /// The new image
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Format of OUT [default: the one that its name ends in, or qcow2]
    #[arg(long, short = 'O', value_enum, value_name = "FORMAT")]
    output_format: Option<OutputFormat>,
    /// How hard to compress: 1 to 22 for qcow2 (zstd; 0 does not), 1 to 9 for vmdk (deflate)
    /// [default: 3, 6]
    #[arg(long, value_name = "N", value_parser = value_parser!(u8).range(0..=22))]
    level: Option<u8>,
    /// Threads that read and compress [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Replace OUT where it exists
    #[arg(long)]
    force: bool,
    /// Let the image name backing and extent files in this folder or below it (repeatable)
    #[arg(long, value_name = "DIR")]
    allow_backing: Vec<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  kiln convert disk.vmdk disk.qcow2             packed with zstd, on all processors
  kiln convert --level 19 disk.raw disk.qcow2   as small as it gets
  kiln convert disk.qcow2 disk.raw              a sparse file
  kiln convert -O vhd disk.qcow2 azure.vhd      dynamic, size a multiple of 2 MiB
  kiln convert disk.qcow2 disk.vmdk             stream-optimised, for vSphere and OVF
  kiln convert https://example.com/disk.vhdx disk.qcow2";

/// A format that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// QEMU: clusters of 64 KiB, compressed with zstd
    Qcow2,
    /// The bytes of the disk, with holes
    Raw,
    /// Hyper-V and Azure: dynamic
    Vhd,
    /// VMware: stream-optimised
    Vmdk,
    /// VirtualBox: dynamic
    Vdi,
}

impl OutputFormat {
    fn name(self) -> &'static str {
        match self {
            Self::Qcow2 => "qcow2",
            Self::Raw => "raw",
            Self::Vhd => "vhd",
            Self::Vmdk => "vmdk",
            Self::Vdi => "vdi",
        }
    }

    fn of_name(out: &Path) -> Self {
        let suffix = out.extension().and_then(|suffix| suffix.to_str()).unwrap_or_default();
        <Self as ValueEnum>::from_str(suffix, true).unwrap_or(Self::Qcow2)
    }
}

/// A format with how it is to be written.
#[derive(Clone, Copy, Debug)]
enum Plan {
    Qcow2(Options),
    Raw(Options),
    Vhd(Options),
    Vmdk(VmdkOptions),
    Vdi(Options),
}

impl Plan {
    fn new(args: &ConvertArgs, format: OutputFormat) -> Result<Self> {
        let threads = match args.threads {
            Some(threads) => usize::from(threads),
            None => thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX),
        };
        let plain = Options { zstd_level: None, threads };
        Ok(match (format, args.level) {
            (OutputFormat::Qcow2, Some(0)) => Self::Qcow2(plain),
            (OutputFormat::Qcow2, level) => {
                let level = level.map_or(ZSTD_LEVEL, i32::from);
                Self::Qcow2(Options { zstd_level: Some(level), threads })
            }
            (OutputFormat::Vmdk, level) => {
                let deflate_level = level.map_or(DEFLATE_LEVEL, u32::from);
                if !(1..=9).contains(&deflate_level) {
                    bail!("--level {deflate_level}: the levels of vmdk are from 1 to 9");
                }
                Self::Vmdk(VmdkOptions { deflate_level, threads })
            }
            (_, Some(_)) => {
                let message = format!("--level: {} is not compressed", format.name());
                return Err(Hinted::new(message, "leave --level out, or write qcow2").into());
            }
            (OutputFormat::Raw, None) => Self::Raw(plain),
            (OutputFormat::Vhd, None) => Self::Vhd(plain),
            (OutputFormat::Vdi, None) => Self::Vdi(plain),
        })
    }

    fn write(
        self,
        image: &Image,
        out: &File,
        progress: &dyn Fn(u64) -> ControlFlow<()>,
    ) -> kiln_disk::Result<Written> {
        let source = &image.source;
        match self {
            Self::Qcow2(options) => write::qcow2(source, out, &options, progress),
            Self::Raw(options) => write::raw(source, out, &options, progress),
            Self::Vhd(options) => write::vhd(source, out, &options, progress),
            Self::Vmdk(options) => write::vmdk(source, out, &options, progress),
            Self::Vdi(options) => write::vdi(source, out, &options, progress),
        }
    }
}

/// Convert one image and print what came of it.
pub(crate) fn run(args: &ConvertArgs) -> Result<ExitCode> {
    let start = Instant::now();
    let format = args.output_format.unwrap_or_else(|| OutputFormat::of_name(&args.out));
    let plan = Plan::new(args, format)?;
    let folder = may_write(args)?;
    let refuse = |error: &kiln_disk::Error| {
        output::error(&chain(&args.image, error), hint(&args.image, error).as_deref());
        Ok(ExitCode::from(EXIT_FAILED))
    };
    let options = OpenOptions { allow_backing: args.allow_backing.clone(), ..Default::default() };
    let image = match kiln_disk::open(&args.image, &options) {
        Ok(image) => image,
        Err(error) => return refuse(&error),
    };
    let cannot = || format!("cannot write {}", args.out.display());
    // The rights of any new file: those that the umask leaves.
    let unfinished = tempfile::Builder::new()
        .prefix(".kiln-convert-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(&folder)
        .with_context(cannot)?;
    let bar = progress_bar(image.source.size_bytes());
    let file = unfinished.as_file();
    let written = write::write_behind(file, || {
        plan.write(&image, file, &|done| {
            bar.set_position(done);
            ControlFlow::Continue(())
        })
    });
    bar.finish_and_clear();
    let written = match written.with_context(cannot)? {
        Ok(written) => written,
        Err(error) => return refuse(&error),
    };
    publish(unfinished, args, &folder).with_context(cannot)?;
    print(args, format, &image, written, start)?;
    Ok(ExitCode::SUCCESS)
}

/// The folder of OUT, where OUT may be written.
fn may_write(args: &ConvertArgs) -> Result<PathBuf> {
    let out = args.out.display();
    match fs::metadata(&args.out) {
        Ok(meta) if !meta.is_file() => bail!("{out} is there and not a regular file"),
        Ok(_) if !args.force => {
            let message = format!("{out} exists");
            return Err(Hinted::new(message, "--force replaces it").into());
        }
        Ok(_) => {
            let same = fs::canonicalize(&args.out).ok();
            if same.is_some() && same == fs::canonicalize(&args.image).ok() {
                bail!("{out} is the image itself");
            }
        }
        Err(_) => {}
    }
    Ok(match args.out.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    })
}

/// Give the finished file, which is on the disk, its name, so that it is there whole or not at all.
fn publish(unfinished: NamedTempFile, args: &ConvertArgs, folder: &Path) -> Result<()> {
    // A link that OUT may be is replaced itself, as by any program that renames.
    if args.force {
        unfinished.persist(&args.out)?;
    } else {
        unfinished.persist_noclobber(&args.out)?;
    }
    // The name must survive a crash as the content does; not every file system can promise that.
    let _ = File::open(folder)?.sync_all();
    Ok(())
}

fn progress_bar(size_bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(size_bytes);
    let template = "{elapsed:>4} {wide_bar} {binary_bytes}/{binary_total_bytes} {eta:>4}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

fn print(
    args: &ConvertArgs,
    format: OutputFormat,
    image: &Image,
    written: Written,
    start: Instant,
) -> Result<()> {
    for note in &image.notes {
        // Where standard error is closed there is nobody to tell.
        let _ = writeln!(std::io::stderr().lock(), "note: {}", printable(note));
    }
    let mut line = Vec::new();
    writeln!(
        line,
        "{}: {}, a disk of {} in {}, from {} in {} ms",
        printable(&args.out.display().to_string()),
        format.name(),
        BinaryBytes(written.virtual_size_bytes),
        BinaryBytes(written.size_bytes),
        image.format,
        start.elapsed().as_millis(),
    )?;
    output::styled(&line)
}
