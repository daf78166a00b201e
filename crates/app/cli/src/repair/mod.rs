//! `kiln repair`.

mod args;
mod report;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use kiln_disk::{Format, OpenOptions};
use kiln_factory::repair::{Job, Machine, Progress, Target, prepare, repair};
use kiln_factory::{Error, bundle};
use kiln_guest::repair::{Bundle, Mode, Options, Plan, REPAIRS, Repair, SelectError, select};

pub(crate) use args::RepairArgs;
use args::{FormatOut, ModeArg, ReportFormat};
use report::Report;

use crate::{EXIT_FAILED, EXIT_RISK, Hinted, hinted, output};

/// Plan, and repair where an output is named.
pub(crate) fn run(args: &RepairArgs) -> Result<ExitCode> {
    let job = job(args)?;
    match &args.output {
        Some(out) => apply(args, &job, out),
        None => show(args, &job),
    }
}

fn job(args: &RepairArgs) -> Result<Job> {
    if args.image.contains("://") {
        let hint = "download it first; `kiln check` reads remote images as they are";
        return Err(Hinted::new("repair works on local images", hint).into());
    }
    let bundle = match &args.bundle {
        Some(dir) => bundle::read_dir(dir).map_err(hinted)?,
        None => Bundle::default(),
    };
    let bundle = bundle::with_own_agent(bundle).map_err(hinted)?;
    Ok(Job {
        input: args.image.clone(),
        open: OpenOptions { allow_backing: args.allow_backing.clone(), ..OpenOptions::default() },
        declared: (&args.declared).into(),
        repairs: wanted(args)?,
        options: Options {
            backup: !args.no_backup,
            best_effort: args.best_effort,
            exec: args.exec,
            selinux_permissive: args.selinux_permissive,
            preserve_static: args.preserve_static,
        },
        bundle,
    })
}

fn wanted(args: &RepairArgs) -> Result<Vec<&'static Repair>> {
    let mode = match (args.mode, args.items.is_empty()) {
        (None, true) | (Some(ModeArg::Standard), _) => Mode::Standard,
        (Some(ModeArg::All), _) => Mode::All,
        (None, false) | (Some(ModeArg::Customized), _) => Mode::Customized,
    };
    select(mode, &args.items).map_err(|error| {
        let known = || REPAIRS.iter().map(|repair| repair.name).collect::<Vec<_>>().join(", ");
        let (message, hint) = match &error {
            SelectError::Unknown { near, .. } => {
                let near = near.first().map(|near| format!("; did you mean {near}?"));
                (format!("{error}{}", near.unwrap_or_default()), format!("there are {}", known()))
            }
            SelectError::Missing => (error.to_string(), format!("name some of {}", known())),
            SelectError::Conflict => (error.to_string(), "drop --mode, or --items".to_owned()),
        };
        Hinted::new(message, hint).into()
    })
}

/// Print the plan.
fn show(args: &RepairArgs, job: &Job) -> Result<ExitCode> {
    let planned = prepare(job).map_err(hinted)?;
    let Some(plan) = planned.plan else {
        let message = "the image was not shut down: its newest files are in a log that only a \
                       mount replays";
        let hint = "with -o OUT the helper VM replays it and the plan is made then";
        return Err(Hinted::new(message, hint).into());
    };
    print(args, &Report::planned(&args.image, &plan))?;
    if !args.plan && !plan.is_empty() {
        output::hint("-o OUT makes these changes, in a copy of the image");
    }
    Ok(exit_status(&plan))
}

fn apply(args: &RepairArgs, job: &Job, out: &Path) -> Result<ExitCode> {
    let target = Target {
        output: out.to_path_buf(),
        format: args.format_out.map(Format::from),
        overwrite: args.force,
    };
    let machine = Machine {
        accel: args.accel.into(),
        kernel: args.helper_kernel.clone(),
        verify_boot: args.verify_boot.then(Default::default),
    };
    let bar = output::spinner("");
    let result = repair(job, &target, &machine, &mut |progress| tell(&bar, &progress));
    bar.finish_and_clear();
    match result {
        Ok(repaired) => {
            print(args, &Report::repaired(&args.image, out, &repaired))?;
            Ok(exit_status(&repaired.plan))
        }
        Err(Error::RefusedInPart(plan)) => {
            // The plan says which repairs, and why: more than one line of an error can.
            print(args, &Report::planned(&args.image, &plan))?;
            let error = Error::RefusedInPart(plan);
            let hint = error.hint().map(str::to_owned);
            output::error("nothing was written, because some repairs are refused", hint.as_deref());
            Ok(ExitCode::from(EXIT_FAILED))
        }
        Err(error) => Err(hinted(error)),
    }
}

fn print(args: &RepairArgs, report: &Report) -> Result<()> {
    match args.format {
        ReportFormat::Table => output::styled(report.table(args.verbose)?.as_bytes()),
        ReportFormat::Json => {
            let mut text = serde_json::to_string_pretty(report).context("cannot write JSON")?;
            text.push('\n');
            output::exact(text.as_bytes())
        }
    }
}

fn exit_status(plan: &Plan) -> ExitCode {
    match plan.refusals().next() {
        Some(_) => ExitCode::from(EXIT_RISK),
        None => ExitCode::SUCCESS,
    }
}

fn tell(bar: &ProgressBar, progress: &Progress) {
    let text = match progress {
        Progress::Planning => "reading the image and planning".to_owned(),
        Progress::Replaying => "replaying the log of an image that was not shut down".to_owned(),
        Progress::Starting => "starting the helper VM".to_owned(),
        Progress::Editing { done, total } => format!("editing: {done} of {total} changes made"),
        Progress::Running(program) => format!("running {program} of the guest"),
        Progress::Copying => "copying the image".to_owned(),
        Progress::Verifying => "reading the result and judging it".to_owned(),
        Progress::Booting => "booting the result".to_owned(),
    };
    bar.set_message(crate::report::printable(&text));
}

impl From<FormatOut> for Format {
    fn from(format: FormatOut) -> Self {
        match format {
            FormatOut::Raw => Self::Raw,
            FormatOut::Qcow2 => Self::Qcow2,
            FormatOut::Vhd => Self::Vhd,
            FormatOut::Vhdx => Self::Vhdx,
            FormatOut::Vmdk => Self::Vmdk,
        }
    }
}
