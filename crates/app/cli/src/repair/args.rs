//! What can be asked of `kiln repair`, and how `--help` tells it.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use kiln_guest::repair::REPAIRS;

use crate::args::{Accel, DeclaredArgs};

/// Mend what `kiln check` finds in a Linux image, without running anything of it
///
/// The input is never written. Without -o the plan is shown: every edit as a diff. With -o the edits
/// are made in a helper VM (QEMU with a kernel of this host and nothing of the guest running), the
/// result is read again and judged by every item, and only then gets its name: all or nothing.
///
/// Exit status: 0 all wanted repairs are made (or planned, or not needed), 1 some were refused, 2 it
/// could not be done and there is no output.
#[derive(Debug, Parser)]
#[command(after_help = EXAMPLES, after_long_help = repairs_and_examples())]
pub(crate) struct RepairArgs {
    /// The image: a local file of any format
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// Write the repaired image to this file
    #[arg(long, short, value_name = "OUT", conflicts_with = "plan")]
    pub(crate) output: Option<PathBuf>,
    /// Show what would be changed, and change nothing (the default without -o)
    #[arg(long)]
    pub(crate) plan: bool,
    /// Only these repairs (repeat or separate by commas); `all` names every one
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) items: Vec<String>,
    /// Which set of repairs [default: standard; customized with --items]
    #[arg(long, value_enum, ignore_case = true)]
    pub(crate) mode: Option<ModeArg>,
    /// Make the repairs that can be made where others are refused
    #[arg(long)]
    pub(crate) best_effort: bool,
    /// Allow running the guest's own programs, in the helper VM and without network
    #[arg(long)]
    pub(crate) exec: bool,
    /// Keep no `.kiln-orig` files and no manifest in the image
    #[arg(long)]
    pub(crate) no_backup: bool,
    /// Packages and scripts that repairs may install
    #[arg(long, value_name = "DIR")]
    pub(crate) bundle: Option<PathBuf>,
    /// `selinux` makes the guest permissive instead of switching SELinux off
    #[arg(long)]
    pub(crate) selinux_permissive: bool,
    /// `dhcp` keeps a static address and drops only what binds it to old hardware
    #[arg(long)]
    pub(crate) preserve_static: bool,
    /// Format of the output [default: that of the input]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) format_out: Option<FormatOut>,
    /// Replace OUT where it exists
    #[arg(long)]
    pub(crate) force: bool,
    /// Boot the result before it gets its name, and fail if it reaches no login
    #[arg(long)]
    pub(crate) verify_boot: bool,
    /// Kernel of the helper VM [default: the newest in /boot with modules]
    #[arg(long, value_name = "VMLINUZ")]
    pub(crate) helper_kernel: Option<PathBuf>,
    /// How the helper VM is accelerated
    #[arg(long, value_enum, default_value_t = Accel::Auto)]
    pub(crate) accel: Accel,
    /// How to print the plan and the result
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
    /// Tell where the time went
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// Let the image name backing and extent files in this folder or below it (repeatable)
    #[arg(long, value_name = "DIR")]
    pub(crate) allow_backing: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) declared: DeclaredArgs,
}

const EXAMPLES: &str = "\
Examples:
  kiln repair disk.vmdk                               show the plan as diffs
  kiln repair disk.vmdk -o fixed.qcow2 --format-out qcow2
  kiln repair disk.raw -o fixed.raw --items virtio,nvme,fstab
  kiln repair disk.qcow2 -o fixed.qcow2 --verify-boot boot it before it gets its name
  kiln repair disk.qcow2 -o fixed.qcow2 --bundle packages/ --best-effort
  kiln repair --format json disk.qcow2 | jq '.steps[].refusal'";

fn repairs_and_examples() -> String {
    let line =
        |repair: &&kiln_guest::repair::Repair| format!("  {:22} {}\n", repair.name, repair.summary);
    let repairs: String = REPAIRS.iter().map(line).collect();
    format!(
        "Repairs:\n{repairs}\nMode standard makes all but selinux, aegis and standardizedtimezone; \
         all adds the first two.\n\n{EXAMPLES}"
    )
}

/// Which set of repairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeArg {
    /// What an instance needs to start and be reached
    Standard,
    /// Standard, SELinux and the Security Center agent
    All,
    /// Those that --items names
    Customized,
}

/// The format of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatOut {
    Raw,
    Qcow2,
    Vhd,
    Vhdx,
    Vmdk,
}

/// How a plan is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people
    Table,
    /// For programs, by the contract in docs/repair-report.md
    Json,
}
