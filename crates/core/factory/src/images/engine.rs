//! The orchestrations: in which order activities run, how often they are tried, how a task ends.
//!
//! An orchestration is replayed from its journal and so holds no state, no clock and no effect of
//! its own: all that is in the activities, which look at the records first.

use std::sync::Arc;
use std::time::Duration;

use duroxide::providers::Provider;
use duroxide::runtime::registry::ActivityRegistry;
use duroxide::runtime::{Runtime, RuntimeOptions};
use duroxide::{ActivityContext, ClientError, OrchestrationContext, OrchestrationRegistry};
use kiln_model::{Task, TaskAction};
use serde::{Deserialize, Serialize};

use super::fault::{Fault, Outcome};
use super::work::Inner;
use super::{Refusal, Result, copy, creation, detect, export, import};

/// How often an activity is tried that fails for a passing reason.
const N_TRIES: u32 = 6;

/// The wait before the second try; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// How often a waiting operation asks for its turn.
const TURN_INTERVAL: Duration = Duration::from_secs(1);

/// How long a worker that was killed is waited for before another takes its activity.
const WORKER_LOCK: Duration = Duration::from_secs(20);

/// How often an activity may be cut off by the end of its process before it is given up. Processes
/// end for reasons that are not the activity's, so this is no small number.
const MAX_ATTEMPTS: u32 = 1000;

/// What an activity is to work on.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Part {
    task: String,
    step: usize,
}

/// How a task is to be ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ending {
    part: Part,
    outcome: Outcome,
}

/// What an orchestration is started with: nothing in it changes while it runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    task: String,
    n_steps: usize,
    is_checked: bool,
}

/// Start the workers of this process.
pub(super) async fn start(journal: Arc<dyn Provider>, inner: &Arc<Inner>) -> Arc<Runtime> {
    let options = RuntimeOptions {
        dispatcher_min_poll_interval: Duration::from_millis(10),
        orchestration_concurrency: 2,
        worker_concurrency: inner.settings.concurrency.max(1),
        worker_lock_timeout: WORKER_LOCK,
        max_attempts: MAX_ATTEMPTS,
        ..RuntimeOptions::default()
    };
    Runtime::start_with_options(journal, activities(inner), orchestrations(), options).await
}

fn activities(inner: &Arc<Inner>) -> ActivityRegistry {
    let part = |run: PartActivity| activity(inner, move |inner, part: Part| run(inner, part));
    ActivityRegistry::builder()
        .register(
            "import-disk",
            part(|inner, part| {
                Box::pin(
                    async move { Ok(import::import_disk(&inner, &part.task, part.step).await) },
                )
            }),
        )
        .register(
            "import-finish",
            part(|inner, part| {
                Box::pin(async move { creation::finish(&inner, &part.task).await.map_err(text) })
            }),
        )
        .register(
            "check",
            part(|inner, part| {
                Box::pin(async move { detect::check(&inner, &part.task).await.map_err(text) })
            }),
        )
        .register(
            "copy-turn",
            part(|inner, part| {
                Box::pin(async move { copy::turn(&inner, &part.task).await.map_err(text) })
            }),
        )
        .register(
            "copy-disk",
            part(|inner, part| {
                Box::pin(async move { Ok(copy::copy_disk(&inner, &part.task, part.step).await) })
            }),
        )
        .register(
            "copy-finish",
            part(|inner, part| {
                Box::pin(async move { creation::finish(&inner, &part.task).await.map_err(text) })
            }),
        )
        .register(
            "export-disk",
            part(|inner, part| {
                Box::pin(
                    async move { Ok(export::export_disk(&inner, &part.task, part.step).await) },
                )
            }),
        )
        .register(
            "export-finish",
            part(|inner, part| {
                Box::pin(async move { export::finish(&inner, &part.task).await.map_err(text) })
            }),
        )
        .register(
            "import-abort",
            ending(inner, |inner, end| {
                Box::pin(async move {
                    creation::abort(&inner, &end.part.task, &end.outcome, end.part.step).await
                })
            }),
        )
        .register(
            "copy-abort",
            ending(inner, |inner, end| {
                Box::pin(async move {
                    creation::abort(&inner, &end.part.task, &end.outcome, end.part.step).await
                })
            }),
        )
        .register(
            "export-abort",
            ending(inner, |inner, end| {
                Box::pin(async move {
                    export::abort(&inner, &end.part.task, &end.outcome, end.part.step).await
                })
            }),
        )
        .build()
}

type BoxFuture<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;
type PartActivity = fn(Arc<Inner>, Part) -> BoxFuture<std::result::Result<Outcome, String>>;
type EndActivity = fn(Arc<Inner>, Ending) -> BoxFuture<Result<(), kiln_store::StoreError>>;

/// An activity with a typed input and [`Outcome`] as its output, both as JSON in the journal.
fn activity<I: for<'a> Deserialize<'a>>(
    inner: &Arc<Inner>,
    run: impl Fn(Arc<Inner>, I) -> BoxFuture<std::result::Result<Outcome, String>>
    + Copy
    + Send
    + Sync
    + 'static,
) -> impl Fn(ActivityContext, String) -> BoxFuture<std::result::Result<String, String>>
+ Send
+ Sync
+ 'static {
    let inner = Arc::clone(inner);
    move |_, input| {
        let inner = Arc::clone(&inner);
        Box::pin(async move {
            let input = serde_json::from_str(&input).map_err(text)?;
            let outcome = run(inner, input).await?;
            serde_json::to_string(&outcome).map_err(text)
        })
    }
}

fn ending(
    inner: &Arc<Inner>,
    run: EndActivity,
) -> impl Fn(ActivityContext, String) -> BoxFuture<std::result::Result<String, String>>
+ Send
+ Sync
+ 'static {
    activity(inner, move |inner, end: Ending| {
        Box::pin(async move { run(inner, end).await.map(|()| Outcome::Done).map_err(text) })
    })
}

/// All orchestrations of the journal: any runtime may be handed a turn of any of them.
fn orchestrations() -> OrchestrationRegistry {
    OrchestrationRegistry::builder()
        .merge(crate::executions::orchestrations())
        .register("import", |context: OrchestrationContext, input: String| async move {
            let job: Job = serde_json::from_str(&input).map_err(text)?;
            let outcome = steps(&context, &job, "import").await?;
            if outcome == Outcome::Done && job.is_checked {
                run(&context, "check", &job, 0).await?;
            }
            Ok(String::new())
        })
        .register("copy", |context: OrchestrationContext, input: String| async move {
            let job: Job = serde_json::from_str(&input).map_err(text)?;
            while run(&context, "copy-turn", &job, 0).await? == Outcome::Wait {
                context.schedule_timer(TURN_INTERVAL).await;
            }
            steps(&context, &job, "copy").await?;
            Ok(String::new())
        })
        .register("export", |context: OrchestrationContext, input: String| async move {
            let job: Job = serde_json::from_str(&input).map_err(text)?;
            steps(&context, &job, "export").await?;
            Ok(String::new())
        })
        .build()
}

/// Run the step of each disk and then the finish; where one does not go well, the abort.
async fn steps(
    context: &OrchestrationContext,
    job: &Job,
    kind: &str,
) -> std::result::Result<Outcome, String> {
    let mut outcome = Outcome::Done;
    let mut step = 0;
    while step < job.n_steps {
        outcome = run(context, &format!("{kind}-disk"), job, step).await?;
        if outcome != Outcome::Done {
            break;
        }
        step += 1;
    }
    if outcome == Outcome::Done {
        outcome = run(context, &format!("{kind}-finish"), job, 0).await?;
    }
    if outcome != Outcome::Done {
        let step = step.min(job.n_steps.saturating_sub(1));
        let part = Part { task: job.task.clone(), step };
        let end = Ending { part, outcome: outcome.clone() };
        call(context, &format!("{kind}-abort"), &end).await?;
    }
    Ok(outcome)
}

async fn run(
    context: &OrchestrationContext,
    activity: &str,
    job: &Job,
    step: usize,
) -> std::result::Result<Outcome, String> {
    call(context, activity, &Part { task: job.task.clone(), step }).await
}

/// Run an activity, and again after a wait as long as it fails for a passing reason. An error of
/// the activity itself is one of the database: it passes, too.
async fn call(
    context: &OrchestrationContext,
    activity: &str,
    input: &impl Serialize,
) -> std::result::Result<Outcome, String> {
    let input = serde_json::to_string(input).map_err(text)?;
    let mut wait = FIRST_WAIT;
    for attempt in 1.. {
        let ended = context.schedule_activity(activity, input.clone()).await;
        let outcome = match ended {
            Ok(output) => serde_json::from_str(&output).map_err(text)?,
            Err(message) => Outcome::Failed(Fault::passing("InternalError", message)),
        };
        match outcome {
            Outcome::Failed(fault) if fault.is_passing && attempt < N_TRIES => {
                context.schedule_timer(wait).await;
                wait *= 2;
            }
            outcome => return Ok(outcome),
        }
    }
    Ok(Outcome::Done)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

const fn orchestration(action: TaskAction) -> &'static str {
    match action {
        TaskAction::ImportImage => "import",
        TaskAction::ExportImage => "export",
        TaskAction::CopyImage => "copy",
    }
}

impl Inner {
    /// Begin the orchestration of a recorded task. Where the journal cannot be written now, the
    /// task begins with the next round of [`Inner::resume`].
    pub(super) async fn begin(&self, task: &Task) {
        if let Err(error) = self.try_begin(task).await {
            tracing::warn!(task = task.id, %error, "the orchestration begins later");
        }
    }

    async fn try_begin(&self, task: &Task) -> Result<(), ClientError> {
        let job =
            Job { task: task.id.clone(), n_steps: task.steps.len(), is_checked: task.is_checked };
        let name = orchestration(task.action);
        self.client.start_orchestration_typed(&task.id, name, job).await
    }

    /// Begin what was recorded and not begun, and end what has ended in the journal only.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub(super) async fn resume(&self) -> Result<()> {
        use duroxide::OrchestrationStatus as Status;
        for task in self.records.unfinished_tasks().await? {
            let status = self.client.get_orchestration_status(&task.id).await;
            match status.map_err(|error| Refusal::Journal(format!("{error:?}")))? {
                Status::NotFound => self.begin(&task).await,
                Status::Running { .. } => {}
                Status::Completed { .. } | Status::Failed { .. } => self.give_up(&task).await?,
            }
        }
        Ok(())
    }

    async fn give_up(&self, task: &Task) -> Result<()> {
        let told = "the operation broke off; ask for it again";
        let outcome = Outcome::Failed(Fault::lasting("InternalError", told));
        match task.action {
            TaskAction::ImportImage | TaskAction::CopyImage => {
                creation::abort(self, &task.id, &outcome, 0).await?;
            }
            TaskAction::ExportImage => export::abort(self, &task.id, &outcome, 0).await?,
        }
        Ok(())
    }
}
