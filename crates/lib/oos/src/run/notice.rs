//! Decisions of people: approve, reject, go on, try again.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::records::{Mode, Phase, Status, Waiting};
use super::scope::get_any_case;
use super::{Run, Step};
use crate::template::{Action, Next, Task};
use crate::value::{TOO_DEEP, is_too_deep};

/// What somebody decided about an execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// The execution, the root or one below it.
    pub execution: String,
    /// What was decided.
    pub kind: NoticeKind,
    /// The task executions it is about; where there are none, the only one that waits.
    #[serde(default)]
    pub tasks: Vec<String>,
    /// The item of a loop it is about.
    #[serde(default)]
    pub item: Option<String>,
    /// Who decided.
    pub user: String,
    /// A remark.
    #[serde(default)]
    pub note: String,
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum NoticeKind {
    /// Go on.
    Approve,
    /// Do not: the execution is cancelled.
    Reject,
    /// In single steps: run this task, or the next one.
    ExecuteTask {
        /// Its name; the next one where there is none.
        name: Option<String>,
        /// Properties in place of those that the template gives it.
        #[serde(default)]
        properties: Map<String, Value>,
    },
    /// In single steps: cancel the task that is under way.
    CancelTask,
    /// End the execution as this.
    CompleteExecution(Status),
    /// Run the failed task again.
    RetryTask,
    /// Go on as if the failed task had been skipped.
    SkipTask,
}

impl NoticeKind {
    /// Its name on the wire.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Approve => "Approve",
            Self::Reject => "Reject",
            Self::ExecuteTask { .. } => "ExecuteTask",
            Self::CancelTask => "CancelTask",
            Self::CompleteExecution(_) => "CompleteExecution",
            Self::RetryTask => "RetryTask",
            Self::SkipTask => "SkipTask",
        }
    }
}

/// Why a decision does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such execution.
    #[error("the execution {0} is not there")]
    NoExecution(String),
    /// There is no such task execution.
    #[error("the task execution {0} is not there")]
    NoTask(String),
    /// Nothing waits for this decision now.
    #[error("{0}")]
    State(String),
}

/// Properties that a task is given from outside. The most that an action has are eleven.
const MAX_GIVEN: usize = 100;

impl Run {
    /// Whether a decision fits the state.
    ///
    /// # Errors
    ///
    /// Why it does not.
    pub fn check_notice(&self, notice: &Notice) -> Result<(), Refused> {
        let execution = self
            .executions
            .get(&notice.execution)
            .ok_or_else(|| Refused::NoExecution(notice.execution.clone()))?;
        let refused =
            |why: &str| Err(Refused::State(format!("{} does not go: {why}", notice.kind.name())));
        if execution.status.is_final() {
            return refused(&format!("the execution has ended as {}", execution.status.name()));
        }
        if execution.is_ending() {
            return refused("the execution is ending");
        }
        let mode = execution.context.mode;
        match &notice.kind {
            NoticeKind::Approve
            | NoticeKind::Reject
            | NoticeKind::RetryTask
            | NoticeKind::SkipTask => self.held_for(notice).map(|_| ()),
            NoticeKind::ExecuteTask { .. } | NoticeKind::CancelTask if mode != Mode::Debug => {
                refused("the execution does not run in single steps")
            }
            NoticeKind::ExecuteTask { name, properties } => {
                let Some(next) = execution.next else { return refused("a task is under way") };
                let body = self.body(execution);
                let index = match (name, &body) {
                    (None, _) => Some(next),
                    (Some(name), body) => body.as_ref().and_then(|body| body.find(name)),
                };
                let task = body.as_ref().and_then(|body| body.tasks()?.get(index?));
                match (task, name) {
                    _ if properties.len() > MAX_GIVEN => {
                        refused(&format!("it is given more than {MAX_GIVEN} properties"))
                    }
                    _ if properties.values().any(is_too_deep) => {
                        refused(&format!("a property that it is given is {TOO_DEEP}"))
                    }
                    (Some(task), _) if !properties.is_empty() && !takes_properties(task) => {
                        let action = task.action.name();
                        refused(&format!("{action} takes no properties from outside"))
                    }
                    (None, Some(name)) => refused(&format!("there is no task `{name}`")),
                    // Behind the last task an execution ends.
                    _ => Ok(()),
                }
            }
            NoticeKind::CancelTask => match self.active_in(&notice.execution).is_empty() {
                true => refused("no task is under way"),
                false => Ok(()),
            },
            NoticeKind::CompleteExecution(_) if mode == Mode::Automatic => {
                refused("the execution runs by itself; cancel it instead")
            }
            NoticeKind::CompleteExecution(_) => Ok(()),
        }
    }

    /// The task executions that wait for this decision.
    fn held_for(&self, notice: &Notice) -> Result<Vec<String>, Refused> {
        let fits = |waiting: Waiting| match notice.kind {
            NoticeKind::Approve | NoticeKind::Reject => {
                !matches!(waiting, Waiting::FailurePause | Waiting::Debug | Waiting::Trigger)
            }
            _ => waiting == Waiting::FailurePause,
        };
        let waits = |id: &String| match self.tasks.get(id)?.phase {
            Phase::Held(waiting) if fits(waiting) => Some(id.clone()),
            _ => None,
        };
        let none = || {
            let name = notice.kind.name();
            Refused::State(format!("{name} does not go: nothing waits for it"))
        };
        if !notice.tasks.is_empty() {
            let mut found = Vec::new();
            for id in &notice.tasks {
                if !self.tasks.contains_key(id) {
                    return Err(Refused::NoTask(id.clone()));
                }
                found.push(waits(id).ok_or_else(none)?);
            }
            return Ok(found);
        }
        let (from, to) = (format!("{}.", notice.execution), format!("{}/", notice.execution));
        let mut held: Vec<_> = self.held.range(from..to).filter_map(waits).collect();
        if let Some(item) = &notice.item {
            held.retain(|id| {
                let own = self.tasks.get(id).and_then(|task| task.item.as_ref());
                own.is_some_and(|own| crate::value::text(own) == item.as_str())
            });
        }
        match held.len() {
            0 => Err(none()),
            1 => Ok(held),
            _ => Err(Refused::State(format!(
                "{} does not go: several task executions wait ({}); name one",
                notice.kind.name(),
                held.join(", ")
            ))),
        }
    }

    pub(super) fn notified(&mut self, notice: &Notice) {
        if self.check_notice(notice).is_err() {
            return;
        }
        let told = format!("{} decided: {}", notice.user, notice.kind.name());
        self.log(&notice.execution, None, told);
        let execution = notice.execution.clone();
        match &notice.kind {
            NoticeKind::Approve
            | NoticeKind::Reject
            | NoticeKind::RetryTask
            | NoticeKind::SkipTask => {
                for id in self.held_for(notice).unwrap_or_default() {
                    self.change(&id, |task| notice.note.clone_into(&mut task.note));
                    self.decide(&id, notice);
                }
            }
            NoticeKind::ExecuteTask { name, properties } => {
                self.step(&execution, name.as_deref(), properties);
            }
            NoticeKind::CancelTask => {
                for id in self.active_in(&execution) {
                    self.end_child_of(&id);
                    self.finish(&id, Status::Cancelled, "");
                }
            }
            NoticeKind::CompleteExecution(status) => self.end(&execution, *status, &notice.note),
        }
    }

    fn decide(&mut self, id: &str, notice: &Notice) {
        let Some(task) = self.tasks.get(id) else { return };
        let Phase::Held(waiting) = task.phase else { return };
        let execution = task.execution.clone();
        match (&notice.kind, waiting) {
            (NoticeKind::Reject, _) => {
                self.finish(id, Status::Cancelled, &format!("{} rejected it", notice.user));
            }
            (NoticeKind::Approve, Waiting::Approve) => self.approve(id, &notice.user),
            (NoticeKind::Approve, Waiting::HighRisk) => {
                self.change(id, |task| task.is_confirmed = true);
                self.phase(id, Phase::Idle);
                self.refresh(&execution);
                self.steps.push_back(Step::Act(id.to_owned()));
            }
            (NoticeKind::Approve, Waiting::BatchPause) => {
                self.phase(id, Phase::Looping);
                self.refresh(&execution);
                self.steps.push_back(Step::Fill(id.to_owned()));
            }
            (NoticeKind::Approve, _) => self.finish(id, Status::Success, ""),
            (NoticeKind::RetryTask, _) => self.retry(id),
            (NoticeKind::SkipTask, _) => self.skip(id),
            _ => {}
        }
    }

    fn approve(&mut self, id: &str, user: &str) {
        let Some(here) = self.tasks.get(id).and_then(|task| self.task_of(task)) else { return };
        let Some(properties) = self.properties(id, &here) else { return };
        let approvers = get_any_case(&properties, "Approvers").and_then(Value::as_array);
        let is_one = approvers.is_none_or(|approvers| {
            approvers.is_empty() || approvers.iter().any(|own| own.as_str() == Some(user))
        });
        let needed = approvals(&properties);
        let execution = self.tasks.get(id).map(|task| task.execution.clone()).unwrap_or_default();
        if !is_one {
            return self.log(&execution, Some(id), format!("{user} is not one of the approvers"));
        }
        self.change(id, |task| {
            if !task.approvers.iter().any(|own| own == user) {
                task.approvers.push(user.to_owned());
            }
        });
        let n = self.tasks.get(id).map_or(0, |task| task.approvers.len());
        if n >= needed {
            self.finish(id, Status::Success, "");
        } else {
            self.log(&execution, Some(id), format!("{n} of {needed} approvals"));
        }
    }

    /// Run the task of a failed task execution again, as a new one: what failed keeps its record,
    /// and its tokens.
    fn retry(&mut self, id: &str) {
        let Some((execution, index)) = self.leave_failed(id, Status::Failed) else { return };
        let given = self.tasks.get(id).map(|task| task.given.clone()).unwrap_or_default();
        self.start_task(&execution, index, given);
    }

    fn skip(&mut self, id: &str) {
        let Some((execution, index)) = self.leave_failed(id, Status::Skipped) else { return };
        self.go(&execution, index, &Next::Next);
    }

    /// Go on from a failed task that waited for a decision. Its failure no longer counts.
    fn leave_failed(&mut self, id: &str, status: Status) -> Option<(String, usize)> {
        let task = self.tasks.get(id)?;
        let (execution, index) = (task.execution.clone(), task.index);
        self.active.remove(id);
        self.phase(id, Phase::Idle);
        self.change(id, |task| task.status = status);
        self.change_execution(&execution, |execution| {
            execution.failure = None;
            execution.message.clear();
        });
        self.refresh(&execution);
        Some((execution, index))
    }

    /// In single steps: run the named task, or the next one.
    fn step(&mut self, id: &str, name: Option<&str>, properties: &Map<String, Value>) {
        let Some(execution) = self.executions.get(id) else { return };
        let named = name.and_then(|name| self.body(execution)?.find(name));
        let Some(index) = named.or(execution.next) else { return };
        self.change_execution(id, |execution| {
            execution.next = None;
            execution.waiting = None;
            execution.status = Status::Running;
        });
        self.refresh_above(id);
        self.start_task(id, index, properties.clone());
    }

    /// How many people have to approve a task execution, and how many have.
    #[must_use]
    pub fn approvals(&self, id: &str) -> Option<(usize, usize)> {
        let task = self.tasks.get(id)?;
        let here = self.task_of(task)?;
        if !matches!(here.action, Action::Approve) {
            return None;
        }
        let properties = task.properties.as_ref().and_then(Value::as_object)?;
        Some((task.approvers.len(), approvals(properties)))
    }
}

/// Whether a task works its properties out as it runs, so that others can stand in their place.
fn takes_properties(task: &Task) -> bool {
    !matches!(task.action, Action::Choice { .. } | Action::Pause | Action::Loop { .. })
        && !task.action.is_trigger()
}

fn approvals(properties: &Map<String, Value>) -> usize {
    let given = get_any_case(properties, "MinRequiredApprovals");
    let given = given.and_then(|value| crate::value::text(value).trim().parse().ok());
    given.unwrap_or(1).max(1)
}
