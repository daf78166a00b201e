//! `kiln run` and `kiln executions`: templates in this process, and what became of them.

pub(crate) mod args;
mod executions;
mod parameters;
mod progress;
mod state;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use kiln_factory::executions::{Drive, ExecutionView, Executions, Held, StartSpec};
use kiln_oos::run::{Context, Found, Loaded, LoopMode, Mode, SafetyCheck, Status};
use serde_json::Value;

use self::args::{LoopModeArg, ModeArg, RunArgs};
use self::progress::Progress;
use self::state::{Setting, State};
use crate::{Hinted, output, template};

pub(crate) use self::executions::run as executions;

/// The execution failed, or was cancelled.
const EXIT_UNSUCCESSFUL: u8 = 1;

/// The account that embedded runs belong to.
const ACCOUNT: &str = "1000000000000000";

pub(crate) fn run(args: &RunArgs) -> Result<ExitCode> {
    let shelf = args.shelf.open()?;
    let source = template::read(&args.template, &shelf)?;
    let Some(checked) = template::checked(&source, &shelf) else {
        return Err(anyhow!("the template {} was refused", source.name));
    };
    let given = parameters::gather(&args.parameters, args.file.as_deref())?;
    parameters::check_given(&checked, &given)?;
    let loaded = Loaded::new(&source.text).map_err(|error| anyhow!(error))?;
    let spec = StartSpec {
        template: Found {
            name: source.known_as.unwrap_or_default(),
            version: String::new(),
            template: Arc::new(loaded),
        },
        parameters: given,
        context: context(args),
        description: String::new(),
        resource_group: String::new(),
        tags: std::collections::BTreeMap::new(),
    };
    let state = State::open(&args.state)?;
    let setting = Setting::new(&args.world, &args.shelf)?;
    runtime()?.block_on(async {
        let id = new_id();
        let executions = state.executions(&id, &setting, true).await?;
        // What is recorded can go on: how comes first.
        state.keep(&id, &setting)?;
        match executions.create(&id, spec).await {
            Ok(created) => drive(&executions, &id, Some(created.held), &state).await,
            Err(error) => {
                state.forget(&id);
                Err(error.into())
            }
        }
    })
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the threads of the run")
}

/// `exec-` and twenty hex digits that nobody had before.
fn new_id() -> String {
    let random = kiln_ecs::error::new_request_id().replace('-', "").to_lowercase();
    format!("exec-{}", random.get(..20).unwrap_or(&random))
}

fn context(args: &RunArgs) -> Context {
    Context {
        region: args.world.region.clone(),
        account: ACCOUNT.to_owned(),
        user: user(),
        mode: match args.mode {
            ModeArg::Automatic => Mode::Automatic,
            ModeArg::FailurePause => Mode::FailurePause,
            ModeArg::Debug => Mode::Debug,
        },
        loop_mode: args.loop_mode.map(|mode| match mode {
            LoopModeArg::Automatic => LoopMode::Automatic,
            LoopModeArg::FirstBatchPause => LoopMode::FirstBatchPause,
            LoopModeArg::EveryBatchPause => LoopMode::EveryBatchPause,
        }),
        safety_check: match args.confirm {
            true => SafetyCheck::ConfirmEveryHighRiskAction,
            false => SafetyCheck::Skip,
        },
    }
}

fn user() -> String {
    std::env::var("USER").unwrap_or_else(|_| "kiln".to_owned())
}

/// Drive an execution to its end, showing how far it is, and print what it gave. `held`: it is new,
/// and this process has it already.
async fn drive(
    executions: &Executions,
    id: &str,
    held: Option<Held>,
    state: &State,
) -> Result<ExitCode> {
    let elsewhere = || {
        let hint = format!("kiln executions show {id} tells how far it is");
        Hinted::new(format!("{id} is driven by another process"), &hint)
    };
    let _hold = state.hold(id)?.ok_or_else(elsewhere)?;
    let held = match held {
        Some(held) => held,
        None => executions.hold(id).await?.ok_or_else(elsewhere)?,
    };
    let progress = Arc::new(Progress::new(id));
    let watch = Arc::clone(&progress);
    let stop = tokio::spawn(cancel_on_interrupt(executions.clone(), id.to_owned()));
    let driven = executions.drive(held, true, Some(watch)).await;
    stop.abort();
    let driven = driven?;
    progress.end();
    anyhow::ensure!(driven != Drive::Elsewhere, "{id} was taken over by another process");
    let view = state.view(executions, id).await?;
    ended(&view)
}

/// Print the outputs of an execution that ended, and say how it ended.
fn ended(view: &ExecutionView) -> Result<ExitCode> {
    let mut text = serde_json::to_string_pretty(&Value::Object(view.outputs.clone()))?;
    text.push('\n');
    output::exact(text.as_bytes())?;
    if view.status == Status::Success {
        return Ok(ExitCode::SUCCESS);
    }
    let why = if view.message.is_empty() { String::new() } else { format!(": {}", view.message) };
    let hint = format!("kiln executions logs {} tells what happened", view.id);
    output::error(&format!("the execution ended as {}{why}", view.status.name()), Some(&hint));
    Ok(ExitCode::from(EXIT_UNSUCCESSFUL))
}

async fn cancel_on_interrupt(executions: Executions, id: String) {
    if tokio::signal::ctrl_c().await.is_err() {
        return;
    }
    output::talk(&format!("cancelling {id}; once more leaves it as it is"));
    if let Err(error) = executions.cancel(&id).await {
        output::error(&error.to_string(), None);
    }
    if tokio::signal::ctrl_c().await.is_ok() {
        output::hint(&format!("kiln executions resume {id} goes on with it"));
        // The run is stored up to its last step: nothing is lost by leaving here.
        std::process::exit(130);
    }
}
