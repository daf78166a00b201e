//! A run of a template as a state machine: events in, commands out.
//!
//! A [`Run`] is one execution with all of its children, however deep. It holds no clock, calls
//! nobody and stores nothing: [`Run::advance`] takes what happened and says what is to be done;
//! [`Run::take_changes`] names what is to be stored first. Whoever drives it stores, then does, so
//! a run that is killed at any moment is loaded again from what was stored and goes on:
//!
//! ```text
//! event ─► advance ─► changes ─ store ─► commands ─ call, look up ─► event ─► ...
//! ```
//!
//! Same events, same results: identifiers, tokens of requests and the order of everything follow
//! from the events alone.

mod actions;
mod cancel;
mod children;
mod conditions;
mod duration;
mod ending;
mod flow;
mod kept;
mod load;
mod loops;
mod notice;
mod outputs;
mod paging;
mod place;
mod poll;
mod protocol;
pub mod rate;
mod records;
mod renew;
mod request;
mod scope;
mod shown;
mod targets;
mod trigger;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub use self::duration::parse_duration;
pub use self::notice::{Notice, NoticeKind, Refused};
use self::place::TaskRef;
pub use self::protocol::{Changes, Command, Event, Found, Start};
pub use self::records::{
    Context, Ending, Execution, Firing, LogEntry, LoopMode, Mode, Origin, Phase, SafetyCheck,
    Status, TaskRun, Waiting,
};
pub use self::renew::NotRenewed;
pub use self::request::{ApiError, HttpAnswer, HttpRequest, Request, Roa, is_high_risk};
pub(crate) use self::scope::declares_output;
pub use self::trigger::next_firing;
use crate::expr::Work;
use crate::template::Template;

/// Items that a loop may have. The service allows 1,000.
pub const MAX_ITEMS: usize = 10_000;

/// Steps that one event may set off: of jq scripts, and of copying. A few seconds, during which nobody
/// can cancel and other runs wait; the scripts of 10,000 items at once take 5,000 each at most.
pub const MAX_WORK: u64 = 50_000_000;

/// Bytes of values that a run keeps: properties, outputs, parameters, items. All of it is in memory
/// while the run is, and each task execution may have 4 MiB of outputs.
pub const MAX_KEPT_BYTES: usize = 256 << 20;

/// Limits and constants of runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How deep executions may be nested.
    pub max_depth: u32,
    /// How many tasks one execution may start: jumps may go backwards.
    pub max_starts: u32,
    /// How many items a loop may have.
    pub max_items: usize,
    /// How many executions and task executions one run may hold.
    pub max_records: usize,
    /// How many steps one event may set off, as jq scripts count them.
    pub max_work: u64,
    /// How many bytes of values one run may keep.
    pub max_kept_bytes: usize,
    /// What `ACS::OOSUtilVersion` is.
    pub util_version: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_depth: 10,
            max_starts: 1000,
            max_items: MAX_ITEMS,
            max_records: 200_000,
            max_work: MAX_WORK,
            max_kept_bytes: MAX_KEPT_BYTES,
            util_version: "1.0.0".to_owned(),
        }
    }
}

/// A template that runs.
#[derive(Debug)]
pub struct Loaded {
    /// The digest of its text.
    pub digest: String,
    /// Its text.
    pub text: String,
    /// What the text says.
    pub template: Template,
    /// The tasks, in lower case, whose answers are looked into directly.
    looked_into: BTreeSet<String>,
}

impl Loaded {
    /// Read a template.
    ///
    /// # Errors
    ///
    /// The first finding of those that make it unusable.
    pub fn new(text: &str) -> Result<Self, String> {
        let template = crate::template::load(text).map_err(|finding| finding.to_string())?;
        let looked_into = scope::looked_into(&template);
        Ok(Self { digest: digest(text), text: text.to_owned(), template, looked_into })
    }
}

/// The digest that a template's text is stored by: SHA-256 in lower-case hex.
#[must_use]
pub fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What follows inside of one `advance`. A queue and not recursion: a template may jump on and on.
#[derive(Clone, Debug)]
enum Step {
    /// The execution comes to a task, or to its end.
    Enter { execution: String, index: usize },
    /// The task execution does what its task says.
    Act(String),
    /// The task execution has ended.
    Ended(String),
    /// The loop may start more items, or end.
    Fill(String),
}

/// One execution with all of its children.
#[derive(Debug)]
pub struct Run {
    settings: Settings,
    root: String,
    executions: BTreeMap<String, Execution>,
    tasks: BTreeMap<String, TaskRun>,
    templates: HashMap<String, Arc<Loaded>>,
    /// Templates that were looked up, by lower-case name and version.
    found: HashMap<(String, String), Found>,
    /// The last task execution of a task: by execution and lower-case name.
    latest: HashMap<String, HashMap<String, String>>,
    /// Values of the parameter store, never stored with the run.
    store: HashMap<(String, bool), Value>,
    /// Texts that are never shown.
    secrets: BTreeSet<String>,
    /// What waits for a time.
    timers: BTreeSet<(Timestamp, String)>,
    /// Task executions that wait for somebody.
    held: BTreeSet<String>,
    /// Task executions that have not ended.
    active: BTreeSet<String>,
    /// The number of the command that a task execution waits for.
    serials: HashMap<String, u32>,
    last_serial: u32,
    /// Answers that further pages are added to, and lists of requests that belong together.
    partial: HashMap<String, poll::Partial>,
    /// Executions whose outputs wait for the parameter store.
    reading: HashMap<String, ending::Stored>,
    is_resuming: bool,
    /// What is left to do for this event.
    work: Work,
    /// What [`Settings::max_kept_bytes`] bounds; follows from the records.
    kept_bytes: usize,
    /// Bytes of `logs`.
    log_bytes: usize,
    now: Timestamp,
    steps: VecDeque<Step>,
    commands: Vec<Command>,
    dirty_executions: BTreeSet<String>,
    dirty_tasks: BTreeSet<String>,
    new_templates: BTreeSet<String>,
    logs: Vec<LogEntry>,
}

impl Run {
    /// A new run, not begun: [`Event::Begin`] begins it.
    ///
    /// # Errors
    ///
    /// All that is wrong with the parameters.
    pub fn new(
        start: Start,
        settings: Settings,
        now: Timestamp,
    ) -> Result<Self, Vec<crate::parameters::ParameterError>> {
        let pseudo = scope::of_execution(&start.context, &start.id, now, &settings);
        let parameters =
            crate::parameters::resolve(&start.template.template, &start.parameters, &pseudo)?;
        let mut run = Self::empty(start.id.clone(), settings, now);
        let execution = Execution {
            id: start.id.clone(),
            parent: None,
            origin: Origin::Root,
            depth: 0,
            template: start.template.digest.clone(),
            template_name: start.template_name,
            template_version: start.template_version,
            parameters,
            context: start.context,
            ram_role: String::new(),
            status: Status::Started,
            message: String::new(),
            waiting: None,
            outputs: Map::new(),
            item: None,
            created: now,
            updated: now,
            ended: None,
            n_started: 0,
            failure: None,
            is_cancelling: false,
            is_cancelled: false,
            next: None,
            trigger: None,
            ending: None,
            given: BTreeSet::new(),
            secrets: BTreeSet::new(),
        };
        run.kept_bytes = kept::of_execution(&execution);
        run.keep(&start.template);
        run.dirty_executions.insert(start.id.clone());
        run.executions.insert(start.id, execution);
        run.learn_secrets(&run.root.clone());
        run.set_role(&run.root.clone());
        Ok(run)
    }

    fn empty(root: String, settings: Settings, now: Timestamp) -> Self {
        Self {
            work: Work::new(settings.max_work),
            kept_bytes: 0,
            log_bytes: 0,
            settings,
            root,
            executions: BTreeMap::new(),
            tasks: BTreeMap::new(),
            templates: HashMap::new(),
            found: HashMap::new(),
            latest: HashMap::new(),
            store: HashMap::new(),
            secrets: BTreeSet::new(),
            timers: BTreeSet::new(),
            held: BTreeSet::new(),
            active: BTreeSet::new(),
            serials: HashMap::new(),
            last_serial: 0,
            partial: HashMap::new(),
            reading: HashMap::new(),
            is_resuming: false,
            now,
            steps: VecDeque::new(),
            commands: Vec::new(),
            dirty_executions: BTreeSet::new(),
            dirty_tasks: BTreeSet::new(),
            new_templates: BTreeSet::new(),
            logs: Vec::new(),
        }
    }

    /// Take in what happened at `now`; do what is returned, after storing the changes.
    ///
    /// Time never goes back: an earlier `now` counts as the latest one known. What does not fit the
    /// state (an answer that came too late, a decision nobody waits for) changes nothing.
    pub fn advance(&mut self, now: Timestamp, event: Event) -> Vec<Command> {
        self.now = self.now.max(now);
        self.work.reset();
        self.take(event);
        self.drain();
        while let Some((at, id)) = self.timers.first().cloned()
            && at <= self.now
        {
            self.timers.remove(&(at, id.clone()));
            self.due(&id);
            self.drain();
        }
        std::mem::take(&mut self.commands)
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Begin => {
                let root = self.root.clone();
                if self.executions[&root].status == Status::Started {
                    self.begin(&root);
                }
            }
            Event::Resume => self.resume(),
            Event::Time => {}
            Event::Called { task, serial, result } => {
                if self.expects(&task, serial) {
                    self.called(&task, result);
                }
            }
            Event::Answered { task, serial, result } => {
                if self.expects(&task, serial) {
                    self.answered(&task, result);
                }
            }
            Event::Found { task, serial, result } => {
                if self.expects(&task, serial) {
                    self.template_found(&task, result);
                }
            }
            Event::Read { task, serial, result } => {
                if let Some(execution) = ending::execution_of(&task) {
                    if self.serials.get(&task) == Some(&serial) {
                        self.serials.remove(&task);
                        self.output_read(execution, result);
                    }
                } else if self.expects(&task, serial) {
                    self.value_read(&task, result);
                }
            }
            Event::Notify(notice) => self.notified(&notice),
            Event::Cancel { execution } => self.cancel(&execution),
            Event::Fire { content } => self.fired(content),
            Event::Renew { parameters } => self.renew(&parameters),
        }
    }

    fn drain(&mut self) {
        while let Some(step) = self.steps.pop_front() {
            match step {
                Step::Enter { execution, index } => self.enter(&execution, index),
                Step::Act(task) => self.act(&task),
                Step::Ended(task) => self.task_ended(&task),
                Step::Fill(task) => self.fill(&task),
            }
        }
    }

    /// Ask again for all that was under way when the run was stored.
    fn resume(&mut self) {
        self.is_resuming = true;
        let root = self.root.clone();
        if self.executions[&root].status == Status::Started {
            self.begin(&root);
        }
        self.resume_endings();
        for id in self.active.iter().cloned().collect::<Vec<_>>() {
            match self.tasks[&id].phase {
                Phase::Idle | Phase::Reading | Phase::Finding | Phase::Calling => self.act(&id),
                Phase::Looping => self.steps.push_back(Step::Fill(id)),
                Phase::Until(_) | Phase::Child | Phase::Held(_) => {}
            }
        }
        self.drain();
        self.is_resuming = false;
    }

    /// Whether this is the answer that the task execution waits for.
    fn expects(&mut self, task: &str, serial: u32) -> bool {
        let expected = self.serials.get(task) == Some(&serial);
        if expected {
            self.serials.remove(task);
        }
        expected && self.active.contains(task)
    }

    fn next_serial(&mut self, task: &str) -> u32 {
        self.last_serial = self.last_serial.wrapping_add(1);
        self.serials.insert(task.to_owned(), self.last_serial);
        self.last_serial
    }

    /// When time alone changes something next.
    #[must_use]
    pub fn next_time(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Whether nothing happens any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.root().status.is_final()
    }

    /// The execution itself.
    #[must_use]
    pub fn root(&self) -> &Execution {
        &self.executions[&self.root]
    }

    /// The latest time known.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// An execution of this run.
    #[must_use]
    pub fn execution(&self, id: &str) -> Option<&Execution> {
        self.executions.get(id)
    }

    /// A task execution of this run.
    #[must_use]
    pub fn task_run(&self, id: &str) -> Option<&TaskRun> {
        self.tasks.get(id)
    }

    /// All executions, in the order of their identifiers.
    pub fn executions(&self) -> impl Iterator<Item = &Execution> {
        self.executions.values()
    }

    /// All task executions, in the order of their identifiers.
    pub fn task_runs(&self) -> impl Iterator<Item = &TaskRun> {
        self.tasks.values()
    }

    /// Whether an execution has executions below it.
    #[must_use]
    pub fn has_children(&self, id: &str) -> bool {
        self.executions.range(format!("{id}.")..format!("{id}/")).next().is_some()
    }

    /// The execution that a trigger started and that an execution belongs to, or is.
    #[must_use]
    pub fn firing_of(&self, id: &str) -> Option<&str> {
        let mut next = self.executions.get(id);
        while let Some(own) = next {
            if matches!(own.origin, Origin::Trigger(_)) {
                return Some(&own.id);
            }
            next = self.executions.get(own.parent.as_ref()?);
        }
        None
    }

    /// A template of this run.
    #[must_use]
    pub fn template(&self, digest: &str) -> Option<&Arc<Loaded>> {
        self.templates.get(digest)
    }

    /// Whether there is anything that only an answer, somebody or time can move on.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        !self.is_over()
            && self.serials.is_empty()
            && self.timers.is_empty()
            && self.held.is_empty()
            && self.executions.values().all(|execution| execution.waiting.is_none())
    }

    /// What changed since the last call, and is to be stored before the commands are carried out.
    pub fn take_changes(&mut self) -> Changes {
        self.log_bytes = 0;
        Changes {
            executions: std::mem::take(&mut self.dirty_executions).into_iter().collect(),
            tasks: std::mem::take(&mut self.dirty_tasks).into_iter().collect(),
            logs: std::mem::take(&mut self.logs),
            templates: std::mem::take(&mut self.new_templates).into_iter().collect(),
        }
    }

    fn keep(&mut self, loaded: &Arc<Loaded>) {
        if !self.templates.contains_key(&loaded.digest) {
            self.templates.insert(loaded.digest.clone(), Arc::clone(loaded));
            self.new_templates.insert(loaded.digest.clone());
        }
    }

    /// Change a task execution that is there.
    fn change(&mut self, id: &str, change: impl FnOnce(&mut TaskRun)) {
        if let Some(task) = self.tasks.get_mut(id) {
            task.updated = self.now;
            change(task);
            self.dirty_tasks.insert(id.to_owned());
        }
    }

    /// Change an execution that is there.
    fn change_execution(&mut self, id: &str, change: impl FnOnce(&mut Execution)) {
        if let Some(execution) = self.executions.get_mut(id) {
            execution.updated = self.now;
            change(execution);
            self.dirty_executions.insert(id.to_owned());
        }
    }

    /// Put a task execution into a phase.
    fn phase(&mut self, id: &str, phase: Phase) {
        let Some(task) = self.tasks.get(id) else { return };
        if let Phase::Until(at) = task.phase {
            self.timers.remove(&(at, id.to_owned()));
        }
        self.held.remove(id);
        match &phase {
            Phase::Until(at) => {
                self.timers.insert((*at, id.to_owned()));
            }
            Phase::Held(_) => {
                self.held.insert(id.to_owned());
            }
            _ => {}
        }
        self.change(id, |task| {
            task.status = match phase {
                Phase::Held(_) => Status::Waiting,
                _ if task.status == Status::Waiting => Status::Running,
                _ => task.status,
            };
            task.phase = phase;
        });
    }
}
