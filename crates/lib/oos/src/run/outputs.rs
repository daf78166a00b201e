//! What a task gives to later tasks: selectors over what it got.

use serde_json::{Map, Value};

use super::Run;
use super::kept::of_map;
use super::records::Status;
use crate::expr::{EvalError, Work, size};
use crate::jq;
use crate::template::{Action, Type};
use crate::value::{TOO_DEEP, is_too_deep, text};

/// Bytes of a task's outputs that are kept. They are stored, and go into later calls.
const MAX_BYTES: usize = 4 << 20;

/// The value of an output of a type.
pub(super) fn of_kind(kind: Type, value: Value) -> Value {
    match (kind, value) {
        (Type::List, Value::Array(items)) => Value::Array(items),
        (Type::List, other) => Value::Array(vec![other]),
        (_, value) => value,
    }
}

/// What an output of a type is, of what its selector found.
pub(super) fn typed(kind: Type, mut results: Vec<Value>) -> Value {
    match (kind, results.len()) {
        (Type::List, _) => Value::Array(results),
        (_, 0) => Value::Null,
        (_, 1) => results.remove(0),
        _ => Value::Array(results),
    }
}

impl Run {
    /// The task execution got `result`: work its outputs out, and end it well.
    pub(super) fn succeed(&mut self, id: &str, result: &Value) {
        match self.give_outputs(id, result) {
            Ok(()) => self.finish(id, Status::Success, ""),
            Err(error) => self.fail(id, &error),
        }
    }

    /// Work the outputs of a task execution out of what it got.
    pub(super) fn give_outputs(&mut self, id: &str, result: &Value) -> Result<(), String> {
        let (outputs, warnings) = self.outputs_of(id, result)?;
        let execution = self.tasks.get(id).map(|task| task.execution.clone()).unwrap_or_default();
        for warning in warnings {
            self.log(&execution, Some(id), warning);
        }
        if !outputs.is_empty() {
            self.log(&execution, Some(id), format!("outputs: {}", Value::Object(outputs.clone())));
        }
        let result = self.is_looked_into(id).then(|| result.clone());
        if result.as_ref().is_some_and(is_too_deep) {
            return Err(format!("the answer is {TOO_DEEP}"));
        }
        let old = self.tasks.get(id).map_or(0, |task| {
            of_map(&task.outputs).saturating_add(task.result.as_ref().map_or(0, size))
        });
        let new = of_map(&outputs).saturating_add(result.as_ref().map_or(0, size));
        self.keep_bytes(old, new).map_err(|error| format!("the outputs: {error}"))?;
        self.change(id, |task| {
            task.outputs = outputs;
            task.result = result;
        });
        Ok(())
    }

    fn is_looked_into(&self, id: &str) -> bool {
        let Some(task) = self.tasks.get(id) else { return false };
        let Some(execution) = self.executions.get(&task.execution) else { return false };
        let Some(loaded) = self.templates.get(&execution.template) else { return false };
        loaded.looked_into.contains(&task.name.to_ascii_lowercase())
    }

    /// The outputs, and warnings about them.
    fn outputs_of(
        &self,
        id: &str,
        result: &Value,
    ) -> Result<(Map<String, Value>, Vec<String>), String> {
        let (mut outputs, mut warnings) = (Map::new(), Vec::new());
        let Some(task) = self.tasks.get(id) else { return Ok((outputs, warnings)) };
        let Some(here) = self.task_of(task) else { return Ok((outputs, warnings)) };
        let Some(scope) = self.scope_of(id) else { return Ok((outputs, warnings)) };
        let mut n_bytes = 0_usize;
        for output in &here.outputs {
            let selector = scope.value(&output.selector).map_err(|error| match error {
                EvalError::NeedsStore { name, .. } => format!(
                    "the output {}: a selector cannot read the parameter store ({name})",
                    output.name
                ),
                error => format!("the output {}: {error}", output.name),
            })?;
            let script = text(&selector);
            let (results, error) = select(&self.work, &script, result)
                .map_err(|error| format!("the output {}: {error}", output.name))?;
            if let Some(error) = error {
                warnings.push(format!("the output {}: {error}", output.name));
            }
            let value = typed(output.kind, results);
            if is_too_deep(&value) {
                return Err(format!("the output {} is {TOO_DEEP}", output.name));
            }
            n_bytes = n_bytes.saturating_add(size(&value));
            if n_bytes > MAX_BYTES {
                return Err(format!("the outputs are larger than {MAX_BYTES} bytes"));
            }
            outputs.insert(output.name.clone(), value);
        }
        Ok((outputs, warnings))
    }

    /// The outputs of one turn of an `ACS::Loop`: its selectors name the tasks inside.
    pub(super) fn succeed_turn(&mut self, id: &str, turn: &str) {
        let mut outputs = Map::new();
        {
            let Some(task) = self.tasks.get(id) else { return };
            let Some(here) = self.task_of(task) else { return };
            debug_assert!(matches!(here.action, Action::Loop { .. }));
            let Some(execution) = self.executions.get(turn) else { return };
            let scope =
                super::scope::TaskScope::new(self, execution, task.item.as_ref(), task.created);
            for output in &here.outputs {
                let value = scope.value(&output.selector).unwrap_or_default();
                let value = of_kind(output.kind, value);
                let value = if is_too_deep(&value) { Value::Null } else { value };
                outputs.insert(output.name.clone(), value);
            }
        }
        if let Err(error) = self.keep_bytes(0, of_map(&outputs)) {
            return self.fail(id, &format!("the outputs: {error}"));
        }
        self.change(id, |task| task.outputs = outputs);
        self.finish(id, Status::Success, "");
    }
}

/// The results of a selector, and the error that cut them off.
///
/// # Errors
///
/// A script that does not compile, or that was stopped by a limit: what it gave until then is no
/// answer.
pub(super) fn select(
    work: &Work,
    script: &str,
    input: &Value,
) -> Result<(Vec<Value>, Option<String>), String> {
    let filter = jq::compile(&jq::selector(script)).map_err(|error| error.to_string())?;
    let outcome = work.run(&filter, input).map_err(|error| error.to_string())?;
    match outcome.error {
        Some(error) if error.kind() == jq::Kind::Exhausted => Err(error.to_string()),
        error => Ok((outcome.results, error.map(|error| error.to_string()))),
    }
}
