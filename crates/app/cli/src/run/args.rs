//! What `kiln run` and `kiln executions` can be asked.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::template::ShelfArgs;

/// Run an OOS template in this process
///
/// Its API calls go to --endpoint, or with --sim to a made-up world in which nothing real happens.
/// What is done is kept in the state folder: a run that is killed goes on with `kiln executions
/// resume`. Progress is on standard error, the outputs are JSON on standard output. Ctrl-C cancels
/// the execution, which may clean up; a second one leaves it as it is.
///
/// Exit status: 0 success, 1 the execution failed or was cancelled, 2 it could not be run.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  kiln run hello.yml --sim empty
  kiln run ACS-ECS-RepairImage --sim repair-image --time-scale 0 --params repair.yml
  kiln run deploy.yml --param regionId=cn-hangzhou --param 'tags=[{\"Key\":\"a\",\"Value\":\"b\"}]'
  kiln run nightly.yml --endpoint http://127.0.0.1:8080 --mode FailurePause")]
pub(crate) struct RunArgs {
    /// A file, - for standard input, or the name of a template that kiln ships
    pub(crate) template: String,
    /// A parameter (repeatable); lists and maps as JSON
    #[arg(long = "param", short, value_name = "NAME=VALUE")]
    pub(crate) parameters: Vec<String>,
    /// A file with parameters: a map in YAML or JSON
    #[arg(long = "params", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// What to do when a task fails, or whether to go in single steps
    #[arg(long, value_enum, default_value_t = ModeArg::Automatic)]
    pub(crate) mode: ModeArg,
    /// When loops in batches pause [default: as the template says]
    #[arg(long, value_enum)]
    pub(crate) loop_mode: Option<LoopModeArg>,
    /// Let each call that deletes something wait for `kiln executions approve`
    #[arg(long)]
    pub(crate) confirm: bool,
    #[command(flatten)]
    pub(crate) world: WorldArgs,
    #[command(flatten)]
    pub(crate) shelf: ShelfArgs,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// Who answers the calls
#[derive(Clone, Debug, Default, Parser)]
pub(crate) struct WorldArgs {
    /// Rehearse in a made-up world: a file, or one of empty, repair-image, update-image
    #[arg(long, value_name = "WORLD", conflicts_with = "endpoint")]
    pub(crate) sim: Option<String>,
    /// The endpoint of all products, as http(s)://host:port [default: KILN_ENDPOINT, or each product's own]
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// The region
    #[arg(long, value_name = "ID", default_value = "cn-hangzhou")]
    pub(crate) region: String,
    /// Seconds that pass for each second of waiting: 0 makes waits take no time (with --sim)
    #[arg(long, value_name = "FACTOR", default_value = "1")]
    pub(crate) time_scale: f64,
    /// Let webhooks and HTTP requests of templates go to this host (repeatable)
    #[arg(long, value_name = "HOST")]
    pub(crate) allow_host: Vec<String>,
}

/// Where executions are kept
#[derive(Clone, Debug, Parser)]
pub(crate) struct StateArgs {
    /// The state folder [default: kiln in the user's state folder]
    #[arg(long, value_name = "DIR", env = "KILN_RUNS")]
    pub(crate) state: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub(crate) enum ModeArg {
    /// All tasks in order
    Automatic,
    /// A failed task waits for `kiln executions retry`, `skip` or `complete`
    FailurePause,
    /// Each task waits for `kiln executions step`
    Debug,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub(crate) enum LoopModeArg {
    /// Never
    Automatic,
    /// After the first batch
    FirstBatchPause,
    /// After each batch
    EveryBatchPause,
}

/// List, look into and decide about the executions that `kiln run` started
///
/// Exit status: 0 done, 1 the execution that was resumed failed, 2 it could not be done.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  kiln executions list
  kiln executions show exec-1a2b3c4d5e6f7a8b9c0d
  kiln executions logs exec-1a2b3c4d5e6f7a8b9c0d
  kiln executions approve exec-1a2b3c4d5e6f7a8b9c0d --note 'seen and found good'
  kiln executions resume exec-1a2b3c4d5e6f7a8b9c0d")]
pub(crate) struct ExecutionsArgs {
    #[command(flatten)]
    pub(crate) state: StateArgs,
    /// How to print
    #[arg(long, value_enum, global = true, default_value_t = ExecutionsFormat::Table)]
    pub(crate) format: ExecutionsFormat,
    #[command(subcommand)]
    pub(crate) command: ExecutionsCommand,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExecutionsFormat {
    /// For people
    Table,
    /// For programs
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ExecutionsCommand {
    /// List executions, the newest first
    List {
        /// Only those of this status: Running, Waiting, Success, Failed, Cancelled
        #[arg(long)]
        status: Option<String>,
        /// Child executions, too
        #[arg(long)]
        children: bool,
        /// How many at most
        #[arg(long, default_value = "50")]
        limit: u32,
    },
    /// Show an execution with its tasks
    Show {
        /// The execution
        id: String,
    },
    /// Print what happened, oldest first
    Logs {
        /// The execution
        id: String,
    },
    /// End an execution; its template may clean up
    Cancel {
        /// The execution
        id: String,
    },
    /// Go on with an execution whose process was killed
    Resume {
        /// The execution
        id: String,
    },
    /// Let what waits for approval, a dangerous call, a pause or a batch go on
    Approve(DecideArgs),
    /// Do not let it go on: the execution is cancelled
    Reject(DecideArgs),
    /// Run the failed task again (mode FailurePause)
    Retry(DecideArgs),
    /// Go on as if the failed task had been skipped (mode FailurePause)
    Skip(DecideArgs),
    /// Run the next task, or the one that is named (mode Debug)
    Step {
        #[command(flatten)]
        decide: DecideArgs,
        /// The task to run
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// End the execution (modes Debug and FailurePause)
    Complete {
        #[command(flatten)]
        decide: DecideArgs,
        /// As what
        #[arg(long, default_value = "Success", value_parser = ["Success", "Failed", "Cancelled"])]
        status: String,
    },
    /// Fire the trigger of an execution by hand
    Trigger {
        /// The execution
        id: String,
        /// The body of the event, JSON
        #[arg(long, default_value = "{}")]
        content: String,
    },
    /// Delete executions that have ended
    Delete {
        /// The executions
        #[arg(required = true)]
        ids: Vec<String>,
    },
}

/// What a decision is about
#[derive(Clone, Debug, Parser)]
pub(crate) struct DecideArgs {
    /// The execution
    pub(crate) id: String,
    /// The task execution, where several wait (repeatable)
    #[arg(long = "task", value_name = "ID")]
    pub(crate) tasks: Vec<String>,
    /// A remark
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) note: String,
}
