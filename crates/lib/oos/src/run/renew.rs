//! New parameters of an execution that waits for its trigger: the next firing has them.

use serde_json::{Map, Value};

use super::notice::Refused;
use super::records::Phase;
use super::scope::{TaskScope, of_execution};
use super::trigger::is_first;
use super::{Run, next_firing};
use crate::expr::EvalError;
use crate::parameters::{self, ParameterError};
use crate::template::Action;

/// Why parameters cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRenewed {
    /// Nothing of this execution is still to start.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// They do not fit the template: all that is wrong.
    #[error("the parameters do not fit the template")]
    Parameters(Vec<ParameterError>),
}

/// What the execution has from now on.
struct Renewed {
    parameters: Map<String, Value>,
    /// The task execution of a timer whose properties are others now.
    timer: Option<String>,
}

impl Run {
    /// Whether the parameters in `given` may change now; those that are not in it stay.
    ///
    /// # Errors
    ///
    /// `Refused` where no trigger waits, `Parameters` where they do not fit.
    pub fn check_renewal(&self, given: &Map<String, Value>) -> Result<(), NotRenewed> {
        let waits = self.root().trigger.as_ref().and_then(|firing| firing.waits()).is_some();
        if !waits || self.root().is_ending() {
            let told = "only an execution that waits for its trigger takes other parameters";
            return Err(Refused::State(told.to_owned()).into());
        }
        self.renewed(given).map(|_| ()).map_err(NotRenewed::Parameters)
    }

    /// Take other parameters. Where a child is at work it keeps its own, and the next one has these.
    pub(super) fn renew(&mut self, given: &Map<String, Value>) {
        let root = self.root.clone();
        if self.root().trigger.is_none() || self.root().is_ending() {
            return;
        }
        let Ok(Renewed { parameters, timer }) = self.renewed(given) else { return };
        self.change_execution(&root, |execution| execution.parameters = parameters);
        self.learn_secrets(&root);
        self.set_role(&root);
        self.log(&root, None, "has other parameters from the next firing on");
        let Some(id) = timer else { return };
        let Some(here) = self.tasks.get(&id).and_then(|task| self.task_of(task)) else { return };
        self.change(&id, |task| task.properties = None);
        if let Some(properties) = self.properties(&id, &here) {
            self.set_timer(&id, &properties, self.now);
        }
    }

    fn renewed(&self, given: &Map<String, Value>) -> Result<Renewed, Vec<ParameterError>> {
        let root = self.root();
        let wrong = |name: &str, message: String| {
            vec![ParameterError { name: name.to_owned(), message, help: None }]
        };
        let loaded = self.templates.get(&root.template);
        let loaded = loaded.ok_or_else(|| wrong("", "have no template".to_owned()))?;
        let mut all = root.parameters.clone();
        for (name, value) in given {
            let declared = loaded.template.parameter(name).map_or(name, |own| &own.name);
            all.insert(declared.clone(), value.clone());
        }
        let pseudo = of_execution(&root.context, &root.id, self.now, &self.settings);
        let parameters = parameters::resolve(&loaded.template, &all, &pseudo)?;
        let timer = self.other_timer(&parameters).map_err(|error| wrong("Expression", error))?;
        Ok(Renewed { parameters, timer })
    }

    /// The timer that waits, where `parameters` give it other properties, and they make sense.
    fn other_timer(&self, parameters: &Map<String, Value>) -> Result<Option<String>, String> {
        let root = self.root();
        for id in self.active_in(&root.id) {
            let Some(task) = self.tasks.get(&id) else { continue };
            let Some(here) = self.task_of(task) else { continue };
            if !matches!((&here.action, &task.phase), (Action::TimerTrigger, Phase::Until(_))) {
                continue;
            }
            let properties = |execution: &super::Execution| {
                let scope = TaskScope::new(self, execution, None, task.created);
                scope.value(&here.properties)
            };
            let mut other = root.clone();
            parameters.clone_into(&mut other.parameters);
            let after = match properties(&other) {
                Ok(Value::Object(after)) => after,
                // What the store has is not known here: it is read when they count.
                Err(EvalError::NeedsStore { .. }) => return Ok(Some(id)),
                Ok(_) => return Ok(None),
                Err(error) => return Err(error.to_string()),
            };
            if matches!(properties(root), Ok(Value::Object(before)) if before == after) {
                return Ok(None);
            }
            next_firing(&after, self.now, self.now, is_first(root))?;
            return Ok(Some(id));
        }
        Ok(None)
    }
}
