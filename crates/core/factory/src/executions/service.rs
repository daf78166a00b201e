//! The executions of one database: starting, driving, deciding.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use kiln_oos::parameters::ParameterError;
use kiln_oos::run::{
    Context, Event, Found, Loaded, LogEntry, NotRenewed, Notice, Refused, Run, Settings, Start,
};
use kiln_oos::value::is_too_deep;
use kiln_store::{
    Committer, Database, ExecutionQuery, Executions as Records, Listing, LogQuery, LogRow, Once,
    StoreError, TaskExecutionQuery, Token, TokenKey,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::{Notify, Semaphore};

use super::caller::{Caller, Library};
use super::clock::Clock;
use super::driver::{self, Drive, Driver, Watch};
use super::view::{ExecutionView, TaskView};
use super::{rows, upkeep};

/// Why something did not go.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The parameters do not fit the template: all that is wrong.
    #[error("{}", told(.0))]
    Parameters(Vec<ParameterError>),
    /// There is no such execution.
    #[error("the execution {0} is not there")]
    NoExecution(String),
    /// The decision does not fit.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The records cannot be understood.
    #[error("{0}")]
    Records(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn told(errors: &[ParameterError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Success, or why not.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// What somebody wants of a run, kept until its driver took it in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Inbox {
    /// A decision.
    Notify(Notice),
    /// An end.
    Cancel {
        /// The execution.
        execution: String,
    },
    /// The trigger fires.
    Fire {
        /// The body of the event.
        content: Value,
    },
    /// Other parameters for the firings to come.
    Renew {
        /// Those that change.
        parameters: Map<String, Value>,
    },
}

impl Inbox {
    pub(super) fn event(self) -> Event {
        match self {
            Self::Notify(notice) => Event::Notify(notice),
            Self::Cancel { execution } => Event::Cancel { execution },
            Self::Fire { content } => Event::Fire { content },
            Self::Renew { parameters } => Event::Renew { parameters },
        }
    }
}

/// What is to be started.
#[derive(Clone, Debug)]
pub struct StartSpec {
    /// The template.
    pub template: Found,
    /// What was given for its parameters.
    pub parameters: Map<String, Value>,
    /// Under whose name, where and how.
    pub context: Context,
    /// Free text.
    pub description: String,
    /// The resource group.
    pub resource_group: String,
    /// Tags.
    pub tags: std::collections::BTreeMap<String, String>,
}

/// A run that this process may drive for the next seconds.
#[derive(Debug)]
pub struct Held {
    pub(super) run: Run,
    /// What it is held with.
    pub(super) lease: String,
}

/// A new execution.
#[derive(Debug)]
pub struct Created {
    /// As it is shown.
    pub view: ExecutionView,
    /// To drive it.
    pub held: Held,
}

pub(super) struct Inner {
    pub(super) records: Records,
    pub(super) committer: Committer,
    pub(super) caller: Arc<dyn Caller>,
    pub(super) library: Arc<dyn Library>,
    pub(super) clock: Clock,
    pub(super) settings: Settings,
    /// The name that leases are taken under.
    pub(super) owner: String,
    /// What wakes the drivers of this process, by their roots.
    bells: Mutex<HashMap<String, Arc<Notify>>>,
    /// Whole runs that are loaded at a time: one may be of hundreds of megabytes.
    loads: Semaphore,
    /// What a process of this name was driving when it ended.
    orphans: Mutex<Vec<String>>,
}

/// Runs that are loaded at a time.
const LOADS: usize = 8;

impl Inner {
    fn bells(&self) -> MutexGuard<'_, HashMap<String, Arc<Notify>>> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Let the driver of a run look for its mail, if it is in this process. One that begins later
    /// looks anyway.
    pub(super) fn ring(&self, root: &str) {
        if let Some(bell) = self.bells().get(root) {
            bell.notify_one();
        }
    }

    /// Whether any run is driven in this process.
    pub(super) fn drives(&self) -> bool {
        !self.bells().is_empty()
    }
}

/// The bell of a driver, until this is dropped.
struct Belled<'a> {
    inner: &'a Inner,
    root: String,
    bell: Arc<Notify>,
}

impl<'a> Belled<'a> {
    fn new(inner: &'a Inner, root: &str) -> Self {
        let bell = Arc::default();
        inner.bells().insert(root.to_owned(), Arc::clone(&bell));
        Self { inner, root: root.to_owned(), bell }
    }
}

impl Drop for Belled<'_> {
    /// Also where the driver panicked. The bell may be that of the next driver by now.
    fn drop(&mut self) {
        let mut bells = self.inner.bells();
        if bells.get(&self.root).is_some_and(|bell| Arc::ptr_eq(bell, &self.bell)) {
            bells.remove(&self.root);
        }
    }
}

/// The executions of one database, and those that are driven in this process.
#[derive(Clone)]
pub struct Executions {
    pub(super) inner: Arc<Inner>,
}

impl std::fmt::Debug for Executions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executions").field("owner", &self.inner.owner).finish_non_exhaustive()
    }
}

impl Executions {
    /// The executions in `database`. `owner` names this process; no other that runs at the same
    /// time may have the name.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written.
    pub async fn open(
        database: Database,
        caller: Arc<dyn Caller>,
        library: Arc<dyn Library>,
        clock: Clock,
        settings: Settings,
        owner: &str,
    ) -> Result<Self> {
        let records = Records::new(database);
        let orphans = records.release_of(owner).await?;
        let committer = Committer::start(records.clone());
        let inner = Inner {
            records,
            committer,
            caller,
            library,
            clock,
            settings,
            owner: owner.to_owned(),
            bells: Mutex::default(),
            loads: Semaphore::new(LOADS),
            orphans: Mutex::new(orphans),
        };
        let inner = Arc::new(inner);
        upkeep::start(&inner);
        Ok(Self { inner })
    }

    /// The stored records, for lists.
    #[must_use]
    pub fn records(&self) -> &Records {
        &self.inner.records
    }

    /// The roots that a process of this name was driving when it ended, once.
    pub(super) fn take_orphans(&self) -> Vec<String> {
        std::mem::take(&mut self.inner.orphans.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The name that runs are held under in this process.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.inner.owner
    }

    /// The time of runs.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Record a new execution. Nothing runs before somebody [drives](Self::drive) it.
    ///
    /// # Errors
    ///
    /// Where the parameters do not fit, or the database cannot be written.
    pub async fn create(&self, id: &str, spec: StartSpec) -> Result<Created> {
        match self.create_once(id, spec, "", |_| None).await? {
            Once::Done(created) => Ok(created),
            // Nothing is remembered without a token.
            Once::Before(_) | Once::Mismatch => Err(StoreError::Conflict.into()),
        }
    }

    /// As [`Self::create`], once for the client token that `token` makes of the new execution, and
    /// linked below the execution `parent` where that is not empty.
    ///
    /// # Errors
    ///
    /// As [`Self::create`].
    pub async fn create_once(
        &self,
        id: &str,
        spec: StartSpec,
        parent: &str,
        token: impl FnOnce(&ExecutionView) -> Option<(TokenKey, Token)>,
    ) -> Result<Once<Created>> {
        let start = Start {
            id: id.to_owned(),
            template: spec.template.template,
            template_name: spec.template.name,
            template_version: spec.template.version,
            parameters: spec.parameters,
            context: spec.context,
        };
        let settings = self.inner.settings.clone();
        let mut run =
            Run::new(start, settings, self.inner.clock.now()).map_err(Failure::Parameters)?;
        let changes = run.take_changes();
        let mut batch = driver::batch(&run, "", &changes, Vec::new())?;
        for row in &mut batch.executions {
            parent.clone_into(&mut row.parent);
            spec.description.clone_into(&mut row.description);
            spec.resource_group.clone_into(&mut row.resource_group);
            row.tags = spec.tags.clone();
        }
        let view = ExecutionView::of(&run, run.root());
        let token = token(&view);
        let hold = Some((self.inner.owner.as_str(), driver::LEASE));
        let created = self.inner.records.create(&batch, hold, token.as_ref()).await?;
        Ok(created.map(|lease| {
            let held = Held { run, lease: lease.unwrap_or_default() };
            Created { view, held }
        }))
    }

    /// Take a run that is stored, to drive it. `None`: somebody else holds it, or it is not there.
    ///
    /// # Errors
    ///
    /// Where the database fails, or the records cannot be understood.
    pub async fn hold(&self, root: &str) -> Result<Option<Held>> {
        match driver::take_lease(&self.inner, root).await? {
            Some(lease) => Ok(Some(Held { run: self.load(root).await?, lease })),
            None => Ok(None),
        }
    }

    /// Drive a run in this process until it is over. With `stays`, waits are waited for however
    /// long they are; without, whoever asked is told how long nothing happens.
    ///
    /// # Errors
    ///
    /// Where the database fails.
    pub async fn drive(
        &self,
        held: Held,
        stays: bool,
        watch: Option<Arc<dyn Watch>>,
    ) -> Result<Drive> {
        let Held { run, lease } = held;
        let root = run.root().id.clone();
        self.inner.clock.set(run.now());
        let belled = Belled::new(&self.inner, &root);
        let driver = Driver { inner: &self.inner, run, lease: lease.clone(), watch, stays };
        let driven = driver.drive(Event::Resume, &belled.bell).await;
        drop(belled);
        // Its last step gave it back already.
        if !matches!(driven, Ok(Drive::Over)) {
            self.inner.records.release_lease(&root, &lease).await?;
        }
        driven
    }

    async fn load(&self, root: &str) -> Result<Run> {
        // It is never closed.
        let _permit = self.inner.loads.acquire().await.ok();
        let stored = self.inner.records.load(root, true).await?;
        let stored = stored.ok_or_else(|| Failure::NoExecution(root.to_owned()))?;
        let executions = stored.executions.iter().map(|text| rows::read("execution", text));
        let tasks = stored.tasks.iter().map(|text| rows::read("task execution", text));
        let templates = stored.templates.values().map(|text| Loaded::new(text).map(Arc::new));
        Run::load(
            root,
            executions.collect::<Result<_>>()?,
            tasks.collect::<Result<_>>()?,
            templates.collect::<Result<_, _>>().map_err(Failure::Records)?,
            self.inner.settings.clone(),
        )
        .map_err(Failure::Records)
    }

    /// Hand a decision to the run that it is about.
    ///
    /// # Errors
    ///
    /// Where it does not fit the state, as far as that is stored.
    pub async fn notify(&self, notice: Notice) -> Result<()> {
        let root = root_of(&notice.execution).to_owned();
        self.load(&root).await?.check_notice(&notice)?;
        self.put(&root, &Inbox::Notify(notice)).await
    }

    /// End an execution.
    ///
    /// # Errors
    ///
    /// Where there is no such execution, or it has ended.
    pub async fn cancel(&self, execution: &str) -> Result<()> {
        let root = root_of(execution).to_owned();
        let run = self.load(&root).await?;
        let own = run.execution(execution);
        let own = own.ok_or_else(|| Failure::NoExecution(execution.to_owned()))?;
        if own.status.is_final() {
            let told = format!("the execution has ended as {}", own.status.name());
            return Err(Refused::State(told).into());
        }
        self.put(&root, &Inbox::Cancel { execution: execution.to_owned() }).await
    }

    /// Fire the trigger of an execution.
    ///
    /// # Errors
    ///
    /// Where it has none that waits.
    pub async fn fire(&self, root: &str, content: Value) -> Result<()> {
        self.fire_once(root, content, None).await.map(|_| ())
    }

    /// As [`Self::fire`], once for a client token.
    ///
    /// # Errors
    ///
    /// As [`Self::fire`].
    pub async fn fire_once(
        &self,
        root: &str,
        content: Value,
        token: Option<&(TokenKey, Token)>,
    ) -> Result<Once<()>> {
        let run = self.load(root).await?;
        let told = match &run.root().trigger {
            Some(_) if is_too_deep(&content) => "the event is nested too deep",
            Some(firing) if firing.is_firing => "what the trigger started last is still at work",
            Some(_) if !run.is_over() => "",
            _ => "the execution has no trigger that waits",
        };
        if !told.is_empty() {
            return Err(Refused::State(told.to_owned()).into());
        }
        self.put_once(root, &Inbox::Fire { content }, token).await
    }

    /// Give an execution that waits for its trigger other parameters, for the firings to come; those
    /// that are not given stay.
    ///
    /// # Errors
    ///
    /// Where no trigger waits, or they do not fit the template.
    pub async fn renew(&self, root: &str, parameters: Map<String, Value>) -> Result<()> {
        if root_of(root) != root {
            let told = format!("{root} is part of {} and has its parameters", root_of(root));
            return Err(Refused::State(told).into());
        }
        self.load(root).await?.check_renewal(&parameters).map_err(|error| match error {
            NotRenewed::Refused(refused) => Failure::Refused(refused),
            NotRenewed::Parameters(errors) => Failure::Parameters(errors),
        })?;
        self.put(root, &Inbox::Renew { parameters }).await
    }

    /// Whether a root execution is there, ended or not.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn is_recorded(&self, root: &str) -> Result<bool> {
        Ok(self.inner.records.is_there(root).await?)
    }

    /// The text of the template that an execution runs.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn template_of(&self, view: &ExecutionView) -> Result<Option<String>> {
        Ok(self.inner.records.text(root_of(&view.id), &view.template).await?)
    }

    /// An execution as it is shown.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn view(&self, account: &str, id: &str) -> Result<Option<ExecutionView>> {
        let row = self.inner.records.execution(account, id).await?;
        row.map(|row| rows::read("execution", &row.view)).transpose()
    }

    /// Executions as they are shown.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn list(&self, query: &ExecutionQuery) -> Result<Listing<ExecutionView>> {
        let page = self.inner.records.list(query).await?;
        let items = page.items.iter().map(|row| rows::read("execution", &row.view));
        Ok(Listing { items: items.collect::<Result<_>>()?, next: page.next, total: page.total })
    }

    /// Task executions as they are shown.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn list_tasks(&self, query: &TaskExecutionQuery) -> Result<Listing<TaskView>> {
        let page = self.inner.records.list_tasks(query).await?;
        let items = page.items.iter().map(|row| rows::read("task execution", &row.view));
        Ok(Listing { items: items.collect::<Result<_>>()?, next: page.next, total: page.total })
    }

    /// What happened in an execution and below it, oldest first, from behind a position; and the
    /// position to go on from.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn logs(
        &self,
        execution: &str,
        after: i64,
        limit: usize,
    ) -> Result<(Vec<LogEntry>, i64)> {
        let query = LogQuery {
            execution: execution.to_owned(),
            include_below: true,
            task: None,
            after,
            limit,
        };
        let logs = self.inner.records.logs(&query).await?;
        let entry = |row: LogRow| LogEntry {
            execution: row.execution,
            task: Some(row.task).filter(|task| !task.is_empty()),
            at: Timestamp::from_nanosecond(row.at.into()).unwrap_or(Timestamp::UNIX_EPOCH),
            message: row.message,
        };
        Ok((logs.rows.into_iter().map(entry).collect(), logs.last))
    }

    /// Delete executions that have ended, with all that belongs to them.
    ///
    /// # Errors
    ///
    /// Where one has not ended, or is not there: then none is deleted.
    pub async fn delete(&self, account: &str, ids: &[String]) -> Result<()> {
        for id in ids {
            let view = self.view(account, id).await?;
            let view = view.ok_or_else(|| Failure::NoExecution(id.clone()))?;
            if !view.status.is_final() {
                let told = format!("{id} has not ended: it is {}", view.status.name());
                return Err(Refused::State(told).into());
            }
        }
        self.inner.records.delete(ids).await?;
        Ok(())
    }

    /// Forget executions, and firings of triggers, that ended before `time`. Returns how many.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written; what was forgotten before stays forgotten.
    pub async fn forget_before(&self, time: Timestamp) -> Result<u64> {
        /// Of one transaction, which others wait for: one may have a hundred thousand rows.
        const AT_ONCE: u32 = 10;
        let mut forgotten = 0_u64;
        loop {
            match self.inner.records.forget_before(rows::nanoseconds(time), AT_ONCE).await? {
                0 => return Ok(forgotten),
                more => forgotten = forgotten.saturating_add(more),
            }
        }
    }

    async fn put(&self, root: &str, item: &Inbox) -> Result<()> {
        self.put_once(root, item, None).await.map(|_| ())
    }

    async fn put_once(
        &self,
        root: &str,
        item: &Inbox,
        token: Option<&(TokenKey, Token)>,
    ) -> Result<Once<()>> {
        let text =
            serde_json::to_string(item).map_err(|error| Failure::Records(error.to_string()))?;
        let put = self.inner.records.put(root, &text, token).await?;
        self.inner.ring(root);
        Ok(put.map(|_| ()))
    }
}

/// The execution at the top of the one named: a child's identifier begins with it.
#[must_use]
pub fn root_of(execution: &str) -> &str {
    execution.split('.').next().unwrap_or(execution)
}
