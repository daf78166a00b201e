//! Where a task stands: in which template, and inside of which loops.

use std::sync::Arc;

use super::records::{Execution, Origin, TaskRun};
use super::{Loaded, Run};
use crate::template::{Action, Task};

/// The tasks of an execution.
#[derive(Clone, Debug)]
pub(super) struct Body {
    pub(super) loaded: Arc<Loaded>,
    /// The tasks of `ACS::Loop` that they are inside of, outermost first.
    pub(super) path: Vec<usize>,
}

impl Body {
    pub(super) fn tasks(&self) -> Option<&[Task]> {
        let mut tasks = self.loaded.template.tasks.as_slice();
        for index in &self.path {
            let Action::Loop { tasks: inner } = &tasks.get(*index)?.action else { return None };
            tasks = inner;
        }
        Some(tasks)
    }

    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.tasks()?.iter().position(|task| task.name.eq_ignore_ascii_case(name))
    }
}

/// A task of a template.
#[derive(Clone, Debug)]
pub(super) struct TaskRef {
    pub(super) body: Body,
    pub(super) index: usize,
}

impl std::ops::Deref for TaskRef {
    type Target = Task;

    #[expect(clippy::indexing_slicing, reason = "made for an index that is there")]
    fn deref(&self) -> &Task {
        &self.body.tasks().unwrap_or_default()[self.index]
    }
}

impl Run {
    /// The place of an execution's tasks: its template, and where in it they stand.
    pub(super) fn body(&self, execution: &Execution) -> Option<Body> {
        let loaded = Arc::clone(self.templates.get(&execution.template)?);
        let path = match &execution.origin {
            Origin::Turn(task) => {
                let task = self.tasks.get(task)?;
                let outer = self.executions.get(&task.execution)?;
                let mut path = self.body(outer)?.path;
                path.push(task.index);
                path
            }
            _ => Vec::new(),
        };
        Some(Body { loaded, path })
    }

    /// The task that a task execution runs.
    pub(super) fn task_of(&self, task: &TaskRun) -> Option<TaskRef> {
        let body = self.body(self.executions.get(&task.execution)?)?;
        body.tasks()?.get(task.index)?;
        Some(TaskRef { body, index: task.index })
    }
}
