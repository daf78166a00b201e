//! Values that may have to be asked for before they can be worked out.

use serde_json::Value;

use super::records::Phase;
use super::scope::TaskScope;
use super::{Command, Run, Step};
use crate::expr::{EvalError, Evaluator, Expr};
use crate::value::{TOO_DEEP, is_too_deep};

/// What came of a condition.
pub(super) enum Held {
    Yes,
    No,
    /// A value is being read first; the task execution begins again then.
    Later,
    Wrong(String),
}

/// What came of an expression.
pub(super) enum Worked {
    Value(Value),
    /// A value is being read first; the task execution begins again then.
    Later,
    Wrong(String),
}

impl Run {
    pub(super) fn scope_of(&self, id: &str) -> Option<TaskScope<'_>> {
        let task = self.tasks.get(id)?;
        let execution = self.executions.get(&task.execution)?;
        Some(TaskScope::new(self, execution, task.item.as_ref(), task.created))
    }

    pub(super) fn holds(&mut self, id: &str, condition: &Expr) -> Held {
        let Some(scope) = self.scope_of(id) else { return Held::Later };
        match Evaluator::new(&scope).holds(condition) {
            Ok(true) => Held::Yes,
            Ok(false) => Held::No,
            Err(EvalError::NeedsStore { name, secret }) => {
                self.read(id, name, secret);
                Held::Later
            }
            Err(error) => Held::Wrong(error.to_string()),
        }
    }

    pub(super) fn work_out(&mut self, id: &str, expr: &Expr) -> Worked {
        let Some(scope) = self.scope_of(id) else { return Worked::Later };
        let evaluator = Evaluator::new(&scope);
        match evaluator.value(expr) {
            Ok(value) if is_too_deep(&value) => Worked::Wrong(format!("the value is {TOO_DEEP}")),
            Ok(value) => Worked::Value(value),
            Err(EvalError::NeedsStore { name, secret }) => {
                self.read(id, name, secret);
                Worked::Later
            }
            Err(error) => Worked::Wrong(match evaluator.place().as_str() {
                "" => error.to_string(),
                place => format!("{place}: {error}"),
            }),
        }
    }

    fn read(&mut self, id: &str, name: String, secret: bool) {
        self.phase(id, Phase::Reading);
        let serial = self.next_serial(id);
        self.partial.insert(id.to_owned(), super::poll::Partial::Store(name.clone(), secret));
        self.commands.push(Command::Read { task: id.to_owned(), serial, name, secret });
    }

    pub(super) fn value_read(&mut self, id: &str, result: Result<Value, String>) {
        let Some(super::poll::Partial::Store(name, secret)) = self.partial.remove(id) else {
            return;
        };
        match result {
            Ok(value) => {
                if let Err(error) = self.keep_stored((name.clone(), secret), value) {
                    return self.fail(id, &format!("the parameter {name}: {error}"));
                }
                self.phase(id, Phase::Idle);
                self.steps.push_back(Step::Act(id.to_owned()));
            }
            Err(error) => self.fail(id, &format!("the parameter {name}: {error}")),
        }
    }
}
