//! Ending an execution from outside.

use super::Run;
use super::records::{Phase, Status};
use crate::template::Next;

impl Run {
    /// End an execution and all below it: nothing new is started, what waits is given up, and what
    /// is under way is waited for.
    pub(super) fn cancel(&mut self, id: &str) {
        let Some(execution) = self.executions.get(id) else { return };
        if execution.is_ending() {
            return;
        }
        self.change_execution(id, |execution| {
            execution.is_cancelling = true;
            execution.next = None;
            execution.trigger = None;
        });
        self.log(id, None, "the execution is being cancelled");
        let active = self.active_in(id);
        if active.is_empty() {
            return self.end(id, Status::Cancelled, "the execution was cancelled");
        }
        // The items of a loop before the loop itself: what is inside ends first.
        for task in active.iter().rev() {
            self.cancel_task(task);
        }
    }

    /// End a task execution, at once or as soon as the call that is under way was answered.
    pub(super) fn cancel_task(&mut self, id: &str) {
        let Some(task) = self.tasks.get(id) else { return };
        match &task.phase {
            Phase::Calling => {}
            Phase::Child => match task.child.clone() {
                Some(child) => self.cancel(&child),
                None => self.finish(id, Status::Cancelled, ""),
            },
            Phase::Looping => self.steps.push_back(super::Step::Fill(id.to_owned())),
            _ => {
                // A trigger's children go on by themselves until they are cancelled, too.
                if let Some(child) = task.child.clone() {
                    self.cancel(&child);
                }
                self.finish(id, Status::Cancelled, "");
            }
        }
    }

    pub(super) fn is_cancelling(&self, execution: &str) -> bool {
        self.executions.get(execution).is_some_and(|execution| execution.is_cancelling)
    }

    /// A task execution was cancelled: its template may clean up, once.
    pub(super) fn task_cancelled(&mut self, execution: &str, index: usize, on_cancel: &Next) {
        let was_cancelled = self.executions.get(execution).is_some_and(|own| own.is_cancelled);
        self.change_execution(execution, |execution| execution.is_cancelled = true);
        match on_cancel {
            Next::Task(_) if !was_cancelled => {
                self.change_execution(execution, |execution| execution.is_cancelling = false);
                self.go(execution, index, on_cancel);
            }
            _ => self.end(execution, Status::Cancelled, "the execution was cancelled"),
        }
    }
}
