//! How an execution ends: what is under way in it is given up, and its outputs are worked out.
//!
//! Outputs may name the parameter store, which has to be asked: until it has answered, the execution
//! is ending, and nothing else happens in it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::kept::of_map;
use super::outputs::of_kind;
use super::records::{Ending, Origin, Read, Status};
use super::scope::TaskScope;
use super::shown::{cut, secrets_in};
use super::{Command, Run};
use crate::expr::{EvalError, Evaluator};
use crate::value::{TOO_DEEP, is_too_deep};

/// What stands behind the identifier of an execution in what is asked for its outputs: a child has
/// the identifier of the task execution that it came from.
const MARK: &str = "#outputs";

/// Parameters of the store that the outputs of an execution may name. Each is written down with those
/// before it.
const MAX_READ: usize = 100;

/// A parameter of the store, and whether it is an encrypted one.
pub(super) type Stored = (String, bool);

/// The outputs of an execution that ends.
enum Outputs {
    /// They are these.
    Known(Map<String, Value>),
    /// They would be too much, and why.
    TooLarge(String),
    /// This of the parameter store has to be read first.
    Need(Stored),
}

/// The execution that a value is read for, where it is read for outputs.
pub(super) fn execution_of(asked_for: &str) -> Option<&str> {
    asked_for.strip_suffix(MARK)
}

impl Run {
    /// End an execution, whatever is still under way in it.
    pub(super) fn end(&mut self, id: &str, status: Status, message: &str) {
        if self.executions.get(id).is_none_or(|execution| execution.is_ending()) {
            return;
        }
        for task in self.active_in(id) {
            self.abandon(&task);
        }
        let message = cut(message.to_owned());
        let ending = Ending { status, message, read: Vec::new() };
        self.try_to_end(id, ending);
    }

    /// End an execution, or ask for what its outputs need first.
    fn try_to_end(&mut self, id: &str, ending: Ending) {
        let is_unread = |(name, secret): &Stored| {
            let mut read = ending.read.iter();
            read.any(|own| own.value.is_none() && own.name == *name && own.secret == *secret)
        };
        let outputs = match self.template_outputs(id, is_unread) {
            Outputs::Need(_) if ending.read.len() >= MAX_READ => Outputs::TooLarge(format!(
                "Outputs: they name more than {MAX_READ} parameters of the parameter store"
            )),
            outputs => outputs,
        };
        match outputs {
            Outputs::Known(outputs) => self.end_with(id, ending.status, &ending.message, outputs),
            Outputs::TooLarge(error) => {
                self.log(id, None, error.as_str());
                let (status, message) = match ending.status {
                    Status::Success => (Status::Failed, &error),
                    status => (status, &ending.message),
                };
                self.end_with(id, status, message, Map::new());
            }
            Outputs::Need((name, secret)) => {
                self.change_execution(id, |execution| {
                    execution.ending = Some(ending);
                    execution.next = None;
                });
                let asked_for = format!("{id}{MARK}");
                let serial = self.next_serial(&asked_for);
                self.reading.insert(id.to_owned(), (name.clone(), secret));
                self.commands.push(Command::Read { task: asked_for, serial, name, secret });
            }
        }
    }

    /// A value that the outputs of an execution need was read, or was not: then they are null.
    pub(super) fn output_read(&mut self, id: &str, result: Result<Value, String>) {
        let Some((name, secret)) = self.reading.remove(id) else { return };
        let ending = self.executions.get(id).and_then(|execution| execution.ending.clone());
        let Some(mut ending) = ending else { return };
        let stored = (name, secret);
        let kept = result.and_then(|value| {
            self.keep_stored(stored.clone(), value.clone())?;
            Ok(value)
        });
        let (name, secret) = stored;
        if let Err(error) = &kept {
            self.log(id, None, format!("the outputs: the parameter {name}: {error}"));
        }
        ending.read.push(Read { name, secret, value: kept.ok() });
        self.try_to_end(id, ending);
    }

    /// Keep a value of the parameter store for the rest of the run.
    pub(super) fn keep_stored(&mut self, stored: Stored, value: Value) -> Result<(), String> {
        if stored.1 {
            self.check_secrets(std::iter::once(&value))?;
            let mut texts = BTreeSet::new();
            secrets_in(&value, &mut texts);
            self.keep_bytes(0, texts.iter().map(String::len).sum())?;
            self.secrets.extend(texts.iter().cloned());
            let root = self.root.clone();
            self.change_execution(&root, |root| root.secrets.extend(texts));
        }
        self.store.insert(stored, value);
        Ok(())
    }

    /// Go on with the ends that a process which was killed was about.
    pub(super) fn resume_endings(&mut self) {
        let ending = |own: &super::Execution| Some((own.id.clone(), own.ending.clone()?));
        for (id, ending) in self.executions.values().filter_map(ending).collect::<Vec<_>>() {
            for own in &ending.read {
                let stored = (own.name.clone(), own.secret);
                // There was room for it when it was read.
                let _ = own.value.clone().map(|value| self.keep_stored(stored, value));
            }
            self.try_to_end(&id, ending);
        }
    }

    fn end_with(&mut self, id: &str, status: Status, message: &str, outputs: Map<String, Value>) {
        let now = self.now;
        self.change_execution(id, |execution| {
            execution.status = status;
            message.clone_into(&mut execution.message);
            execution.outputs = outputs;
            execution.waiting = None;
            execution.next = None;
            execution.ending = None;
            execution.secrets.clear();
            execution.ended = Some(now);
        });
        let told = match message {
            "" => format!("the execution ended as {}", status.name()),
            message => format!("the execution ended as {}: {message}", status.name()),
        };
        self.log(id, None, told);
        self.refresh_above(id);
        let Some(execution) = self.executions.get(id) else { return };
        match execution.origin.clone() {
            Origin::Root => {}
            Origin::Task(task) | Origin::Turn(task) => self.child_ended(&task, id),
            Origin::Trigger(task) => self.firing_ended(&task, id),
        }
    }

    /// Give a task execution of an execution that ends up: nobody waits for it any more.
    fn abandon(&mut self, id: &str) {
        self.end_child_of(id);
        if !self.let_go(id) {
            return;
        }
        let now = self.now;
        self.change(id, |task| {
            if !task.status.is_final() {
                task.status = Status::Cancelled;
            }
            task.ended = task.ended.or(Some(now));
        });
    }

    /// End the child of a task execution that is given up, if it has one.
    pub(super) fn end_child_of(&mut self, id: &str) {
        if let Some(child) = self.tasks.get(id).and_then(|task| task.child.clone()) {
            self.end_at_once(&child);
        }
    }

    /// End a child without asking for anything.
    fn end_at_once(&mut self, id: &str) {
        if self.executions.get(id).is_none_or(|execution| execution.status.is_final()) {
            return;
        }
        for task in self.active_in(id) {
            self.abandon(&task);
        }
        self.reading.remove(id);
        self.serials.remove(&format!("{id}{MARK}"));
        let outputs = match self.template_outputs(id, |_| true) {
            Outputs::Known(outputs) => outputs,
            Outputs::TooLarge(_) | Outputs::Need(_) => Map::new(),
        };
        self.end_with(id, Status::Cancelled, "the execution above it ended", outputs);
    }

    /// What an execution gives back. What cannot be worked out, or is `unread`, is null.
    fn template_outputs(&mut self, id: &str, unread: impl Fn(&Stored) -> bool) -> Outputs {
        let none = Outputs::Known(Map::new());
        let Some(execution) = self.executions.get(id) else { return none };
        let Some(loaded) = self.templates.get(&execution.template) else { return none };
        if matches!(execution.origin, Origin::Turn(_)) {
            return none;
        }
        let scope = TaskScope::new(self, execution, None, self.now);
        // One for all of them: a large value may be named a thousand times.
        let evaluator = Evaluator::new(&scope);
        let mut outputs = Map::new();
        for output in &loaded.template.outputs {
            let value = match evaluator.value(&output.value) {
                Ok(value) => value,
                Err(EvalError::NeedsStore { name, secret }) if !unread(&(name.clone(), secret)) => {
                    return Outputs::Need((name, secret));
                }
                Err(error) if error.is_limit() => {
                    return Outputs::TooLarge(format!("Outputs.{}: {error}", output.name));
                }
                Err(_) => Value::Null,
            };
            if is_too_deep(&value) {
                return Outputs::TooLarge(format!("Outputs.{} is {TOO_DEEP}", output.name));
            }
            outputs.insert(output.name.clone(), of_kind(output.kind, value));
        }
        match self.keep_bytes(0, of_map(&outputs)) {
            Ok(()) => Outputs::Known(outputs),
            Err(error) => Outputs::TooLarge(format!("Outputs: {error}")),
        }
    }
}
