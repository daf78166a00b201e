//! What can be asked on the command line, and how `--help` tells it.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::builder::NonEmptyStringValueParser;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum, value_parser};

use crate::convert::ConvertArgs;
use crate::images::args::ImagesArgs;
use crate::repair::RepairArgs;
use crate::run::args::{ExecutionsArgs, RunArgs};
use crate::serve::{GcArgs, ServeArgs};
use crate::template::TemplateArgs;

/// Check and repair disk images before they go to a cloud, without root
#[derive(Debug, Parser)]
#[command(
    name = "kiln",
    version,
    propagate_version = true,
    after_help = "\
Start with:
  kiln check disk.qcow2      will it boot as a cloud instance?
  kiln inspect disk.qcow2    what is on it?
  kiln repair disk.qcow2     what would make it boot? (-o OUT makes it)
  kiln boot disk.qcow2       does it start?
  kiln convert IN OUT        the same disk in another format
  kiln serve                 the image service, for SDKs and tools
  kiln run TEMPLATE          run an OOS template; --sim rehearses it"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Check(CheckArgs),
    Inspect(InspectArgs),
    Repair(Box<RepairArgs>),
    Boot(BootArgs),
    Convert(ConvertArgs),
    Serve(ServeArgs),
    Gc(GcArgs),
    Images(Box<ImagesArgs>),
    Template(TemplateArgs),
    Run(Box<RunArgs>),
    Executions(ExecutionsArgs),
    /// Print a shell completion script
    #[command(after_help = "Example: kiln completions bash > /etc/bash_completion.d/kiln")]
    Completions {
        shell: clap_complete::Shell,
    },
    /// Write the man pages into a folder
    #[command(after_help = "Example: kiln man --out /usr/local/share/man/man1")]
    Man {
        /// The folder to write kiln.1, kiln-check.1, ... into
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
    },
}

/// Check whether images will boot and behave as cloud instances
///
/// Reads the disk in this process: nothing is booted, mounted, written or run, no root is needed. A
/// remote image is not downloaded; only what the check reads is fetched.
///
/// Exit status: 0 no risk at or above --fail-on, 1 a risk found, 2 an image could not be checked
/// (standard error says which and why; the others are reported all the same).
#[derive(Debug, Parser)]
#[command(after_help = CHECK_EXAMPLES, after_long_help = items_and_examples())]
pub(crate) struct CheckArgs {
    /// Images: a path, or an http://, https://, s3:// or oss:// URL; any format, told by content
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
    /// Only these items, with or without `GUESTOS.` (repeat or separate by commas)
    #[arg(long = "item", value_name = "NAME", value_delimiter = ',')]
    pub(crate) items: Vec<String>,
    /// How many images to check at the same time
    #[arg(long, value_name = "N", default_value = "2")]
    pub(crate) jobs: NonZeroUsize,
    /// How to print the report
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// The lowest risk that makes the exit status 1
    #[arg(long, value_enum, default_value_t = FailOn::High)]
    pub(crate) fail_on: FailOn,
    /// Print every item in the table with all its evidence, not only what is wrong
    #[arg(long, short)]
    pub(crate) verbose: bool,
    #[command(flatten)]
    pub(crate) declared: DeclaredArgs,
    #[command(flatten)]
    pub(crate) open: OpenArgs,
}

const CHECK_EXAMPLES: &str = "\
Examples:
  kiln check disk.vmdk                          the table of all 18 items
  kiln check --item Fstab,Grub disk.qcow2       two of them
  kiln check --format json *.qcow2 > report.json
  kiln check --format sarif --fail-on never disk.raw > kiln.sarif
  kiln check --boot-mode UEFI --nvme disk.raw   as the image will be registered
  kiln check https://example.com/disk.qcow2     fetch only what is read
  kiln check system.raw --attach data.raw       a volume group over two disks";

/// What the caller knows about the image; the checks compare it with what they see
#[derive(Debug, Parser)]
pub(crate) struct DeclaredArgs {
    /// Platform the image will be registered as (`CentOS`, `Others Linux`)
    #[arg(long, value_name = "NAME")]
    pub(crate) platform: Option<String>,
    /// Boot mode the image will be registered with
    #[arg(long, value_name = "MODE", value_parser = ["BIOS", "UEFI", "UEFI-Preferred"])]
    pub(crate) boot_mode: Option<String>,
    /// Architecture the image will be registered with
    #[arg(long, value_name = "ARCH", value_parser = ["x86_64", "arm64", "i386"])]
    pub(crate) architecture: Option<String>,
    /// The disk will be attached as NVMe
    #[arg(long)]
    pub(crate) nvme: bool,
}

/// How images are opened
#[derive(Debug, Default, Parser)]
pub(crate) struct OpenArgs {
    /// Let images name backing and extent files in this folder or below it (repeatable)
    #[arg(long, value_name = "DIR")]
    pub(crate) allow_backing: Vec<PathBuf>,
    /// Further disks of the same machine, for volume groups over several disks (one IMAGE only)
    #[arg(long, value_name = "DISK")]
    pub(crate) attach: Vec<String>,
}

/// Show what is on an image: partitions, filesystems, systems, kernels, boot entries, packages
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  kiln inspect disk.vmdk
  kiln inspect --packages disk.qcow2
  kiln inspect --format json disk.raw | jq '.systems[0].kernels'")]
pub(crate) struct InspectArgs {
    /// The image: a path, or an http://, https://, s3:// or oss:// URL
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// How to print it
    #[arg(long, value_enum, default_value_t = InspectFormat::Table)]
    pub(crate) format: InspectFormat,
    /// List the installed packages, not only their number
    #[arg(long)]
    pub(crate) packages: bool,
    #[command(flatten)]
    pub(crate) open: OpenArgs,
}

/// Boot an image in QEMU and tell how far it comes
///
/// Boots an overlay, which is thrown away: the image is not written. The guest gets an address by DHCP
/// and reaches nothing else. What it says on its serial console is kept in a log and tells the stages:
/// firmware, loader, kernel, initramfs, root mounted, init, network, login, cloud-init. A guest that
/// certainly will not come further (a panic, an emergency shell, ...) is not waited for.
///
/// A guest that prints to its screen only is not seen to come anywhere: it needs the kernel parameter
/// console=ttyS0.
///
/// Exit status: 0 it reached the goal, 1 it did not, 2 it could not be tried (QEMU is missing, ...).
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  kiln boot disk.qcow2                          to a login prompt, from virtio-blk
  kiln boot --bus nvme --firmware uefi disk.raw
  kiln boot --until network disk.vmdk           until it has an address by DHCP
  kiln boot --marker 'my-app: ready' --timeout 600 disk.qcow2
  kiln boot --format json disk.qcow2 | jq '.stages[-1].stage'")]
pub(crate) struct BootArgs {
    /// The image: a path; any format, told by content
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// What the disk is attached to
    #[arg(long, value_enum, default_value_t = Bus::Virtio)]
    pub(crate) bus: Bus,
    /// What starts it [default: what the image is made for, BIOS where it is made for both]
    #[arg(long, value_enum)]
    pub(crate) firmware: Option<Firmware>,
    /// What to wait for
    #[arg(long, value_enum, default_value_t = Until::Login, conflicts_with = "marker")]
    pub(crate) until: Until,
    /// Give cloud-init a data source, as an instance has it: a disk labelled cidata
    #[arg(long)]
    pub(crate) data_source: bool,
    /// Wait for this text in a line of the console instead
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) marker: Option<String>,
    /// How long to wait, in seconds
    #[arg(long, value_name = "S", default_value_t = 300, value_parser = value_parser!(u32).range(1..=86_400))]
    pub(crate) timeout: u32,
    /// Memory, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = value_parser!(u32).range(128..=1_048_576))]
    pub(crate) memory: u32,
    /// Processors
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = value_parser!(u32).range(1..=255))]
    pub(crate) cpus: u32,
    /// What runs the guest; auto is KVM where a test guest really runs under it, else emulation
    #[arg(long, value_enum, default_value_t = Accel::Auto)]
    pub(crate) accel: Accel,
    /// Where to keep the console log [default: IMAGE's name with .console.log, in this folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) console: Option<PathBuf>,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = InspectFormat::Table)]
    pub(crate) format: InspectFormat,
    /// Let the image name backing and extent files in this folder or below it (repeatable)
    #[arg(long, value_name = "DIR")]
    pub(crate) allow_backing: Vec<PathBuf>,
}

/// What a disk is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bus {
    /// virtio-blk
    Virtio,
    /// NVMe
    Nvme,
    /// virtio-scsi
    Scsi,
}

/// What starts a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Firmware {
    Bios,
    Uefi,
}

/// What a boot waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Until {
    /// A login prompt
    Login,
    /// A login prompt, and an address by DHCP, seen on the wire
    Network,
    /// A login prompt, and the end of cloud-init, which gets a data source
    CloudInit,
}

/// What runs a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Accel {
    /// KVM where a probe really ran under it, else emulation
    Auto,
    /// KVM
    Kvm,
    /// Emulation
    Tcg,
}

impl From<Accel> for kiln_compute::qemu::Accel {
    fn from(accel: Accel) -> Self {
        match accel {
            Accel::Auto => Self::Auto,
            Accel::Kvm => Self::Kvm,
            Accel::Tcg => Self::Tcg,
        }
    }
}

/// How a check report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For programs, by the contract in docs/check-report.md
    Json,
    /// For code-scanning viewers
    Sarif,
    /// For CI
    Junit,
}

/// How an inspection, or the result of a boot, is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InspectFormat {
    /// For people
    Table,
    /// For programs
    Json,
}

/// From which risk on the exit status is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// Start-up of an instance may fail
    High,
    /// Start-up speed or configuration suffers
    Medium,
    /// Never
    Never,
}

/// The end of `kiln check --help`: every item with what it makes sure of.
fn items_and_examples() -> String {
    let items: String = kiln_guest::CHECKS.iter().map(|check| item_line(check)).collect();
    let extra: String = kiln_guest::EXTRA_CHECKS.iter().map(|check| item_line(check)).collect();
    format!("Items:\n{items}\nOnly when asked for by --item:\n{extra}\n{CHECK_EXAMPLES}")
}

/// Wrapped here, because clap would go on in the first column.
fn item_line(check: &kiln_guest::Check) -> String {
    const WIDTH: usize = 98;
    const INDENT: usize = 26;
    let mut text = format!("  {:24}", check.name);
    let mut column = INDENT;
    for word in check.summary.split(' ') {
        if column > INDENT && column + word.len() >= WIDTH {
            text += &format!("\n{:INDENT$}", "");
            column = INDENT;
        } else if column > INDENT {
            text.push(' ');
        }
        text += word;
        column += word.len() + 1;
    }
    text + "\n"
}

/// Write a page for the command and for each subcommand into `folder`.
pub(crate) fn man_pages(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    clap_mangen::generate_to(Args::command(), folder)
        .with_context(|| format!("cannot write man pages into {}", folder.display()))
}
