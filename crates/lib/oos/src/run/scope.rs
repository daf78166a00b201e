//! What references stand for while a run is under way.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::records::{Context, Execution, Origin};
use super::{Run, Settings};
use crate::expr::{EvalError, Evaluator, Expr, Pseudo, Scope, Target, Work, store_references};
use crate::jq;
use crate::template::{Action, Task, Template};

/// Pseudo parameters where there is no task yet.
pub(super) fn of_execution(
    context: &Context,
    id: &str,
    at: Timestamp,
    settings: &Settings,
) -> impl Fn(Pseudo) -> Value + use<> {
    let (context, id, version) = (context.clone(), id.to_owned(), settings.util_version.clone());
    move |pseudo| match pseudo {
        Pseudo::RegionId => Value::from(context.region.as_str()),
        Pseudo::ExecutionId => Value::from(id.as_str()),
        Pseudo::TaskLoopItem => Value::Null,
        Pseudo::AccountId => Value::from(context.account.as_str()),
        Pseudo::ExecuteUser => Value::from(context.user.as_str()),
        Pseudo::CurrentUtcTime => Value::from(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        Pseudo::CurrentDate => Value::from(at.strftime("%Y-%m-%d").to_string()),
        Pseudo::OosUtilVersion => Value::from(version.as_str()),
    }
}

/// The tasks, in lower case, whose answers the template looks into by more than declared outputs.
pub(super) fn looked_into(template: &Template) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut look = |expr: &Expr| {
        for reference in expr.references() {
            match &reference.target {
                Target::Path { task, .. } => {
                    found.insert(task.to_ascii_lowercase());
                }
                Target::Output { task, output } if !declares(&template.tasks, task, output) => {
                    found.insert(task.to_ascii_lowercase());
                }
                _ => {}
            }
        }
    };
    each_expr(&template.tasks, &mut look);
    template.outputs.iter().for_each(|output| look(&output.value));
    template.conditions.iter().for_each(|(_, condition)| look(condition));
    found
}

fn declares(tasks: &[Task], name: &str, output: &str) -> bool {
    tasks.iter().any(|task| {
        let inner = match &task.action {
            Action::Loop { tasks } => declares(tasks, name, output),
            _ => false,
        };
        inner || task.name.eq_ignore_ascii_case(name) && declares_output(task, output)
    })
}

pub(crate) fn declares_output(task: &Task, output: &str) -> bool {
    task.outputs.iter().any(|own| own.name.eq_ignore_ascii_case(output))
        || task
            .looped
            .iter()
            .any(|looped| looped.outputs.iter().any(|own| own.name.eq_ignore_ascii_case(output)))
}

fn each_expr(tasks: &[Task], look: &mut dyn FnMut(&Expr)) {
    for task in tasks {
        task.when.iter().for_each(&mut *look);
        look(&task.properties);
        task.outputs.iter().for_each(|output| look(&output.selector));
        if let Some(looped) = &task.looped {
            look(&looped.items);
            looped.rate.iter().for_each(&mut *look);
        }
        match &task.action {
            Action::Choice { choices, .. } => choices.iter().for_each(|(when, _)| look(when)),
            Action::Loop { tasks } => each_expr(tasks, look),
            _ => {}
        }
    }
}

/// What references stand for in one task execution, or at the end of an execution.
pub(super) struct TaskScope<'a> {
    pub(super) run: &'a Run,
    pub(super) execution: &'a Execution,
    pub(super) item: Option<&'a Value>,
    /// `ACS::CurrentUTCTime`.
    pub(super) at: Timestamp,
}

const fn is_of_store(target: &Target) -> bool {
    matches!(target, Target::Store { .. } | Target::Pseudo(_))
}

impl<'a> TaskScope<'a> {
    pub(super) fn new(
        run: &'a Run,
        execution: &'a Execution,
        item: Option<&'a Value>,
        at: Timestamp,
    ) -> Self {
        Self { run, execution, item, at }
    }

    pub(super) fn value(&self, expr: &Expr) -> Result<Value, EvalError> {
        Evaluator::new(self).value(expr)
    }

    /// The executions whose names are in sight: this one, and those around it while it is a turn
    /// of a loop.
    fn around(&self) -> impl Iterator<Item = &'a Execution> {
        let run = self.run;
        let outer = move |execution: &&'a Execution| match execution.origin {
            Origin::Turn(_) => run.executions.get(execution.parent.as_ref()?),
            _ => None,
        };
        std::iter::successors(Some(self.execution), outer)
    }

    fn parameter(&self, name: &str) -> Result<Value, EvalError> {
        let unknown = || EvalError::Unknown(name.to_owned());
        let owner = self.around().last().ok_or_else(unknown)?;
        let loaded = self.run.templates.get(&owner.template).ok_or_else(unknown)?;
        let parameter = loaded.template.parameter(name).ok_or_else(unknown)?;
        let value = owner.parameters.get(&parameter.name).cloned().unwrap_or_default();
        // A default that is made of what was given may have it inside.
        let is_made_of_others = || {
            let default = parameter.default.as_ref();
            default.is_some_and(|own| !own.references().iter().all(|own| is_of_store(&own.target)))
        };
        let is_value = matches!(owner.origin, Origin::Task(_))
            && (owner.given.contains(&parameter.name) || is_made_of_others());
        if is_value { Ok(value) } else { self.expand(value) }
    }

    /// A value that was given by people, with what it names of the parameter store put in.
    fn expand(&self, value: Value) -> Result<Value, EvalError> {
        match value {
            Value::String(text) if text.contains("{{") => {
                Evaluator::new(self).value(&store_references(&text))
            }
            Value::Array(items) => items.into_iter().map(|item| self.expand(item)).collect(),
            Value::Object(map) => {
                let entries = map.into_iter().map(|(key, own)| Ok((key, self.expand(own)?)));
                Ok(Value::Object(entries.collect::<Result<_, EvalError>>()?))
            }
            other => Ok(other),
        }
    }

    fn stored(&self, name: &str, secret: bool) -> Result<Value, EvalError> {
        let value = self.run.store.get(&(name.to_owned(), secret)).cloned();
        value.ok_or_else(|| EvalError::NeedsStore { name: name.to_owned(), secret })
    }

    fn output(&self, task: &str, output: &str) -> Result<Value, EvalError> {
        for execution in self.around() {
            let Some(body) = self.run.body(execution) else { continue };
            let Some(index) = body.find(task) else { continue };
            let declared = body.tasks().and_then(|tasks| tasks.get(index));
            let is_declared = declared.is_some_and(|task| declares_output(task, output));
            let Some(run) = self.last(execution, task) else { return Ok(Value::Null) };
            return match get_any_case(&run.outputs, output) {
                Some(value) => Ok(value.clone()),
                None if is_declared => Ok(Value::Null),
                None => self.look_into(run.result.as_ref(), &format!(".{output}")),
            };
        }
        Err(EvalError::Unknown(format!("{task}.{output}")))
    }

    fn path(&self, task: &str, path: &str) -> Result<Value, EvalError> {
        for execution in self.around() {
            if self.run.body(execution).is_some_and(|body| body.find(task).is_some()) {
                let result = self.last(execution, task).and_then(|run| run.result.as_ref());
                return self.look_into(result, path);
            }
        }
        Err(EvalError::Unknown(format!("{task}{path}")))
    }

    fn look_into(&self, result: Option<&Value>, path: &str) -> Result<Value, EvalError> {
        let Some(result) = result else { return Ok(Value::Null) };
        let filter = jq::compile(path).map_err(|error| EvalError::Path(error.to_string()))?;
        let outcome = self.run.work.run(&filter, result)?;
        if let Some(error) = outcome.error.filter(|error| error.kind() == jq::Kind::Exhausted) {
            return Err(EvalError::Path(format!("`{path}`: {error}")));
        }
        let mut results = outcome.results;
        Ok(match results.len() {
            0 => Value::Null,
            1 => results.remove(0),
            _ => Value::Array(results),
        })
    }

    fn last(&self, execution: &Execution, task: &str) -> Option<&'a super::TaskRun> {
        let id = self.run.latest.get(&execution.id)?.get(&task.to_ascii_lowercase())?;
        self.run.tasks.get(id)
    }
}

impl Scope for TaskScope<'_> {
    fn resolve(&self, target: &Target) -> Result<Value, EvalError> {
        match target {
            Target::Parameter(name) => self.parameter(name),
            Target::Output { task, output } => self.output(task, output),
            Target::Path { task, path } => self.path(task, path),
            Target::Pseudo(Pseudo::TaskLoopItem) => {
                let around = || self.around().find_map(|execution| execution.item.as_ref());
                Ok(self.item.or_else(around).cloned().unwrap_or_default())
            }
            Target::Pseudo(pseudo) => {
                let (context, settings) = (&self.execution.context, &self.run.settings);
                Ok(of_execution(context, &self.execution.id, self.at, settings)(*pseudo))
            }
            Target::Store { name, secret } => self.stored(name, *secret),
            Target::Unknown(name) => Err(EvalError::Unknown(name.clone())),
        }
    }

    fn condition(&self, name: &str) -> Option<&Expr> {
        self.run.templates.get(&self.execution.template)?.template.condition(name)
    }

    fn work(&self) -> Option<&Work> {
        Some(&self.run.work)
    }
}

/// The value of a key in any letter case; the exact one first.
pub(super) fn get_any_case<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    map.get(name).or_else(|| {
        map.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    })
}
