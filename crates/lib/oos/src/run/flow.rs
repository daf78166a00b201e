//! The way through a template: which task comes next.

use serde_json::{Map, Value};

use super::kept::of_map;
use super::records::{Mode, Origin, Phase, SafetyCheck, Status, TaskRun, Waiting};
use super::scope::TaskScope;
use super::shown::{cut, quoted};
use super::{Run, Step, is_high_risk};
use crate::template::{Action, Next};

impl Run {
    /// Begin an execution that is recorded.
    pub(super) fn begin(&mut self, execution: &str) {
        self.change_execution(execution, |execution| execution.status = Status::Running);
        self.log(execution, None, "the execution begins");
        let origin = self.executions.get(execution).map(|own| own.origin.clone());
        if let Some(Origin::Trigger(trigger)) = origin {
            return self.skip_trigger(execution, &trigger);
        }
        self.steps.push_back(Step::Enter { execution: execution.to_owned(), index: 0 });
    }

    pub(super) fn set_role(&mut self, id: &str) {
        let Some(execution) = self.executions.get(id) else { return };
        let Some(loaded) = self.templates.get(&execution.template) else { return };
        let Some(role) = &loaded.template.ram_role else { return };
        let scope = TaskScope::new(self, execution, None, self.now);
        // A role is only shown: one that cannot be worked out is none.
        let role = match scope.value(role) {
            Ok(Value::String(role)) => role,
            _ => String::new(),
        };
        self.change_execution(id, |execution| execution.ram_role = role);
    }

    /// The execution comes to the task `index`, or to its end.
    pub(super) fn enter(&mut self, id: &str, index: usize) {
        let Some(execution) = self.executions.get(id) else { return };
        if execution.is_ending() {
            return;
        }
        if execution.is_cancelling {
            return self.end(id, Status::Cancelled, "the execution was cancelled");
        }
        let n_tasks = self.body(execution).and_then(|body| Some(body.tasks()?.len()));
        let Some(n_tasks) = n_tasks else { return };
        if index >= n_tasks {
            return self.end_by_tasks(id);
        }
        if execution.context.mode == Mode::Debug && !matches!(execution.origin, Origin::Turn(_)) {
            return self.stop_before(id, index);
        }
        self.start_task(id, index, Map::new());
    }

    /// In single steps: wait until somebody says which task is next.
    fn stop_before(&mut self, id: &str, index: usize) {
        self.change_execution(id, |execution| {
            execution.next = Some(index);
            execution.status = Status::Waiting;
            execution.waiting = Some(Waiting::Debug);
        });
        self.log(id, None, "waits for the next step");
        self.refresh_above(id);
    }

    /// Start the task `index` of an execution, with properties that were `given` for this time.
    pub(super) fn start_task(&mut self, id: &str, index: usize, given: Map<String, Value>) {
        let Some(execution) = self.executions.get(id) else { return };
        let n_started = execution.n_started;
        let ordinal = n_started.saturating_add(1);
        let task_id = format!("{id}.t{ordinal:04}");
        let Some(mut run) = self.new_task(&task_id, id, index) else { return };
        let name = run.name.clone();
        if n_started >= self.settings.max_starts {
            let message = format!(
                "{name}: the execution started {n_started} tasks and is stopped: do its jumps go \
                 round in circles?"
            );
            return self.end(id, Status::Failed, &message);
        }
        self.change_execution(id, |execution| {
            execution.n_started = ordinal;
            execution.next = None;
        });
        let kept = self.keep_bytes(0, of_map(&given));
        run.given = given;
        if let Err(error) = kept.and_then(|()| self.add_task(run)) {
            return self.end(id, Status::Failed, &format!("{name}: {error}"));
        }
        let latest = self.latest.entry(id.to_owned()).or_default();
        latest.insert(name.to_ascii_lowercase(), task_id.clone());
        self.steps.push_back(Step::Act(task_id));
    }

    /// A task execution, not recorded yet.
    pub(super) fn new_task(&self, id: &str, execution: &str, index: usize) -> Option<TaskRun> {
        let body = self.body(self.executions.get(execution)?)?;
        let task = body.tasks()?.get(index)?;
        Some(TaskRun {
            id: id.to_owned(),
            execution: execution.to_owned(),
            name: task.name.clone(),
            index,
            action: task.action.name().to_owned(),
            parent: None,
            item: None,
            batch: None,
            position: 0,
            status: Status::Running,
            message: String::new(),
            properties: None,
            given: Map::new(),
            outputs: Map::new(),
            result: None,
            phase: Phase::Idle,
            n_answered: 0,
            n_passing: 0,
            last_error: None,
            child: None,
            plan: None,
            goto: None,
            approvers: Vec::new(),
            is_confirmed: false,
            note: String::new(),
            created: self.now,
            updated: self.now,
            ended: None,
        })
    }

    /// Whether one more execution or task execution may be recorded.
    pub(super) fn check_records(&self) -> Result<(), String> {
        let most = self.settings.max_records;
        match self.tasks.len() + self.executions.len() < most {
            true => Ok(()),
            false => Err(format!("the run has more than {most} executions and task executions")),
        }
    }

    /// Record a task execution, unless there are too many.
    pub(super) fn add_task(&mut self, run: TaskRun) -> Result<(), String> {
        self.check_records()?;
        self.active.insert(run.id.clone());
        self.dirty_tasks.insert(run.id.clone());
        self.tasks.insert(run.id.clone(), run);
        Ok(())
    }

    /// A task execution is no longer under way. Whether it was.
    pub(super) fn let_go(&mut self, id: &str) -> bool {
        if !self.active.remove(id) {
            return false;
        }
        self.serials.remove(id);
        self.partial.remove(id);
        self.phase(id, Phase::Idle);
        true
    }

    /// End a task execution.
    pub(super) fn finish(&mut self, id: &str, status: Status, message: &str) {
        if !self.let_go(id) {
            return;
        }
        // It may quote a value, and is copied to each execution above.
        let message = cut(message.to_owned());
        let message = message.as_str();
        let now = self.now;
        self.change(id, |task| {
            task.status = status;
            message.clone_into(&mut task.message);
            task.ended = Some(now);
        });
        let Some(task) = self.tasks.get(id) else { return };
        let (execution, name) = (task.execution.clone(), task.name.clone());
        let item = match &task.item {
            Some(item) if task.parent.is_some() => {
                format!(" for the item {}", quoted(item))
            }
            _ => String::new(),
        };
        let told = match (status, message) {
            (Status::Success, _) => format!("the task {name}{item} ended well"),
            (Status::Skipped, _) => format!("the task {name}{item} is skipped"),
            (Status::Cancelled, "") => format!("the task {name}{item} was cancelled"),
            (_, message) => format!("the task {name}{item} ended as {}: {message}", status.name()),
        };
        self.log(&execution, Some(id), told);
        self.refresh(&execution);
        self.steps.push_back(Step::Ended(id.to_owned()));
    }

    pub(super) fn fail(&mut self, id: &str, message: &str) {
        self.finish(id, Status::Failed, message);
    }

    /// A task execution ended: its loop, or its execution, goes on.
    pub(super) fn task_ended(&mut self, id: &str) {
        let Some(task) = self.tasks.get(id) else { return };
        if let Some(parent) = task.parent.clone() {
            return self.item_ended(&parent, id);
        }
        let (execution, index, status) = (task.execution.clone(), task.index, task.status);
        let Some(here) = self.task_of(task) else { return };
        if self.executions.get(&execution).is_none_or(|execution| execution.is_ending()) {
            return;
        }
        match status {
            Status::Success => {
                let next = match &task.goto {
                    Some(goto) => by_name(goto),
                    None => here.on_success.clone(),
                };
                self.go(&execution, index, &next);
            }
            Status::Failed => self.task_failed(&execution, id, here.is_critical, &here.on_error),
            Status::Cancelled => self.task_cancelled(&execution, index, &here.on_cancel),
            _ => self.go(&execution, index, &Next::Next),
        }
    }

    fn task_failed(&mut self, execution: &str, id: &str, is_critical: bool, on_error: &Next) {
        let Some(task) = self.tasks.get(id) else { return };
        let (name, index) = (task.name.clone(), task.index);
        let told = format!("{name}: {}", task.message);
        let is_ended = *on_error == Next::End;
        self.change_execution(execution, |execution| {
            if (is_critical || is_ended) && execution.failure.is_none() {
                execution.failure = Some(told.clone());
                execution.message = told;
            }
        });
        let mode = self.executions.get(execution).map(|execution| execution.context.mode);
        let is_cancelling = self.executions.get(execution).is_some_and(|own| own.is_cancelling);
        if mode == Some(Mode::FailurePause) && !is_cancelling {
            // It has ended, and is taken up again by whoever decides.
            self.active.insert(id.to_owned());
            self.hold(id, Waiting::FailurePause);
            return;
        }
        self.go(execution, index, on_error);
    }

    /// Go on from the task `index` of an execution.
    pub(super) fn go(&mut self, execution: &str, index: usize, next: &Next) {
        let to = match next {
            Next::Next => Some(index.saturating_add(1)),
            Next::End => None,
            Next::Task(name) => {
                let body = self.executions.get(execution).and_then(|own| self.body(own));
                let found = body.and_then(|body| body.find(name));
                if found.is_none() {
                    let message = format!("there is no task `{name}` to go on with");
                    return self.end(execution, Status::Failed, &message);
                }
                self.log(execution, None, format!("goes on with the task {name}"));
                found
            }
        };
        match to {
            Some(index) => {
                self.steps.push_back(Step::Enter { execution: execution.to_owned(), index });
            }
            None => self.end_by_tasks(execution),
        }
    }

    /// End an execution as its tasks went.
    fn end_by_tasks(&mut self, id: &str) {
        let Some(execution) = self.executions.get(id) else { return };
        if execution.is_cancelling || execution.is_cancelled {
            return self.end(id, Status::Cancelled, "the execution was cancelled");
        }
        match execution.failure.clone() {
            Some(failure) => self.end(id, Status::Failed, &failure),
            None => self.end(id, Status::Success, ""),
        }
    }

    /// The task executions of an execution itself that have not ended.
    pub(super) fn active_in(&self, execution: &str) -> Vec<String> {
        let (from, to) = (format!("{execution}."), format!("{execution}/"));
        let of_it = |id: &&String| self.tasks.get(*id).is_some_and(|t| t.execution == execution);
        self.active.range(from..to).filter(of_it).cloned().collect()
    }

    /// Hold a task execution until somebody lets it go on.
    pub(super) fn hold(&mut self, id: &str, waiting: Waiting) {
        self.phase(id, Phase::Held(waiting));
        let Some(task) = self.tasks.get(id) else { return };
        let (execution, name) = (task.execution.clone(), task.name.clone());
        self.log(&execution, Some(id), format!("the task {name} waits: {waiting:?}"));
        self.refresh(&execution);
    }

    /// Whether an execution waits follows from its tasks, and from what is below it.
    pub(super) fn refresh(&mut self, id: &str) {
        let Some(execution) = self.executions.get(id) else { return };
        if execution.status.is_final() || execution.status == Status::Started {
            return;
        }
        let (from, to) = (format!("{id}."), format!("{id}/"));
        let held = self.held.range(from.clone()..to.clone()).next();
        let waiting = held.and_then(|task| match self.tasks.get(task)?.phase {
            Phase::Held(waiting) => Some(waiting),
            _ => None,
        });
        let below = || {
            let below = self.executions.range(from..to);
            below.map(|(_, child)| child).find_map(|child| child.next.and(child.waiting))
        };
        let own = || execution.next.map(|_| Waiting::Debug);
        let trigger = || execution.trigger.as_ref().and_then(|firing| firing.waits());
        let debug = || (execution.context.mode == Mode::Debug).then(below).flatten();
        let waiting = waiting.or_else(own).or_else(debug).or_else(trigger);
        let status = if waiting.is_some() { Status::Waiting } else { Status::Running };
        if (execution.status, execution.waiting) != (status, waiting) {
            self.change_execution(id, |execution| {
                execution.status = status;
                execution.waiting = waiting;
            });
        }
        self.refresh_above(id);
    }

    pub(super) fn refresh_above(&mut self, id: &str) {
        if let Some(parent) = self.executions.get(id).and_then(|own| own.parent.clone()) {
            self.refresh(&parent);
        }
    }

    /// Whether a dangerous call has to wait for somebody first.
    pub(super) fn needs_confirmation(&self, id: &str, api: &str, risk: Option<&str>) -> bool {
        let Some(task) = self.tasks.get(id) else { return false };
        let Some(execution) = self.executions.get(&task.execution) else { return false };
        execution.context.safety_check == SafetyCheck::ConfirmEveryHighRiskAction
            && !task.is_confirmed
            && is_high_risk(api, risk)
    }

    /// The task that a choice leads to.
    pub(super) fn choose(&mut self, id: &str) {
        let Some(task) = self.tasks.get(id) else { return };
        let Some(here) = self.task_of(task) else { return };
        let Action::Choice { choices, default } = &here.action else { return };
        let mut next = default;
        for (at, (when, to)) in choices.iter().enumerate() {
            match self.holds(id, when) {
                super::conditions::Held::Yes => {
                    next = to;
                    break;
                }
                super::conditions::Held::No => {}
                super::conditions::Held::Later => return,
                super::conditions::Held::Wrong(error) => {
                    return self.fail(id, &format!("the condition of choice {}: {error}", at + 1));
                }
            }
        }
        let goto = name_of(next);
        self.change(id, |task| task.goto = Some(goto));
        self.finish(id, Status::Success, "");
    }
}

/// A place to go on as it is recorded.
fn name_of(next: &Next) -> String {
    match next {
        Next::Next => "ACS::NEXT".to_owned(),
        Next::End => "ACS::END".to_owned(),
        Next::Task(name) => name.clone(),
    }
}

fn by_name(name: &str) -> Next {
    match name {
        "ACS::NEXT" => Next::Next,
        "ACS::END" => Next::End,
        name => Next::Task(name.to_owned()),
    }
}
