//! Child executions: templates by name or written inside a task, cloud product actions, and the
//! turns of `ACS::Loop`.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::poll::Partial;
use super::records::{Execution, Origin, Phase, Status};
use super::scope::{get_any_case, of_execution};
use super::{Command, Found, Loaded, Run};
use crate::parameters;
use crate::template::Action;
use crate::value::{kind, text};

impl Run {
    /// `ACS::Template`: by name, or with the content that the task has inside.
    pub(super) fn find_template(
        &mut self,
        id: &str,
        properties: &Map<String, Value>,
        content: Option<&Value>,
    ) {
        let parameters = match get_any_case(properties, "Parameters") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(map)) => map.clone(),
            Some(Value::String(text)) if text.trim_start().starts_with('{') => {
                match serde_json::from_str(text) {
                    Ok(Value::Object(map)) => map,
                    _ => return self.fail(id, "Parameters is text that is no JSON map"),
                }
            }
            Some(other) => {
                let message = format!("Parameters must be a map, and is {}", kind(other));
                return self.fail(id, &message);
            }
        };
        self.keep_partial(id, Partial::Child { parameters, has_nulls: true });
        if let Some(content) = content {
            let found = Loaded::new(&content.to_string()).map(|loaded| Found {
                name: String::new(),
                version: String::new(),
                template: Arc::new(loaded),
            });
            return self.template_found(id, found);
        }
        let name = match super::actions::required(properties, "TemplateName") {
            Ok(name) => name,
            Err(error) => return self.fail(id, &error),
        };
        let version = get_any_case(properties, "TemplateVersion").filter(|v| !v.is_null());
        self.find(id, name, version.map(|version| text(version).into_owned()));
    }

    /// A cloud product action: the template of its name, with the properties as its parameters.
    pub(super) fn find_action(&mut self, id: &str, name: &str, mut parameters: Map<String, Value>) {
        // What comes out as nothing counts as not given.
        parameters.retain(|_, value| !value.is_null());
        self.keep_partial(id, Partial::Child { parameters, has_nulls: false });
        self.find(id, name.to_owned(), None);
    }

    fn find(&mut self, id: &str, name: String, version: Option<String>) {
        let key = (name.to_ascii_lowercase(), version.clone().unwrap_or_default());
        if let Some(found) = self.found.get(&key).cloned() {
            return self.template_found(id, Ok(found));
        }
        self.phase(id, Phase::Finding);
        let serial = self.next_serial(id);
        self.commands.push(Command::Find { task: id.to_owned(), serial, name, version });
    }

    pub(super) fn template_found(&mut self, id: &str, result: Result<Found, String>) {
        let Some(Partial::Child { parameters, has_nulls }) = self.partial.remove(id) else {
            return;
        };
        let found = match result {
            Ok(found) => found,
            Err(error) => return self.fail(id, &error),
        };
        let Some(task) = self.tasks.get(id) else { return };
        let Some(here) = self.task_of(task) else { return };
        match &here.action {
            Action::Product { name } => {
                self.found.insert((name.to_ascii_lowercase(), String::new()), found.clone());
            }
            _ if !found.version.is_empty() => {
                let key = (found.name.to_ascii_lowercase(), found.version.clone());
                self.found.insert(key, found.clone());
            }
            _ => {}
        }
        let parameters = if has_nulls { parameters } else { keep_required(&found, parameters) };
        let origin = Origin::Task(id.to_owned());
        if let Err(error) = self.start_child(id, id.to_owned(), origin, &found, &parameters) {
            self.fail(id, &error);
        }
    }

    /// Record a child execution and begin it.
    pub(super) fn start_child(
        &mut self,
        id: &str,
        child: String,
        origin: Origin,
        found: &Found,
        given: &Map<String, Value>,
    ) -> Result<(), String> {
        let task = self.tasks.get(id).ok_or("the task execution is gone")?;
        let parent = self.executions.get(&task.execution).ok_or("the execution is gone")?;
        let depth = parent.depth.saturating_add(1);
        if depth > self.settings.max_depth {
            return Err(format!(
                "executions are nested deeper than {}: does a template call itself?",
                self.settings.max_depth
            ));
        }
        if found.template.template.tasks.first().is_some_and(|task| task.action.is_trigger())
            && !matches!(origin, Origin::Trigger(_))
        {
            return Err(format!("the template {} has a trigger and cannot be a child", found.name));
        }
        self.check_records()?;
        let context = parent.context.clone();
        let pseudo = of_execution(&context, &child, self.now, &self.settings);
        let parameters = match origin {
            Origin::Trigger(_) => given.clone(),
            _ => parameters::resolve(&found.template.template, given, &pseudo).map_err(told)?,
        };
        let given_by_task = match origin {
            Origin::Trigger(_) => BTreeSet::new(),
            _ => {
                let declared =
                    given.keys().filter_map(|name| found.template.template.parameter(name));
                declared.map(|parameter| parameter.name.clone()).collect()
            }
        };
        let hidden = found.template.template.parameters.iter().filter(|own| own.no_echo);
        self.check_secrets(hidden.filter_map(|own| parameters.get(&own.name)))
            .map_err(|error| format!("Parameters: {error}"))?;
        let execution = Execution {
            id: child.clone(),
            parent: Some(parent.id.clone()),
            origin,
            depth,
            template: found.template.digest.clone(),
            template_name: found.name.clone(),
            template_version: found.version.clone(),
            parameters,
            context,
            ram_role: parent.ram_role.clone(),
            status: Status::Started,
            message: String::new(),
            waiting: None,
            outputs: Map::new(),
            item: None,
            created: self.now,
            updated: self.now,
            ended: None,
            n_started: 0,
            failure: None,
            is_cancelling: false,
            is_cancelled: false,
            next: None,
            trigger: None,
            ending: None,
            given: given_by_task,
            secrets: BTreeSet::new(),
        };
        self.keep_bytes(0, super::kept::of_execution(&execution))
            .map_err(|error| format!("Parameters: {error}"))?;
        self.keep(&found.template);
        self.add_child(id, execution);
        Ok(())
    }

    fn add_child(&mut self, id: &str, execution: Execution) {
        let child = execution.id.clone();
        self.executions.insert(child.clone(), execution);
        self.dirty_executions.insert(child.clone());
        self.learn_secrets(&child);
        self.set_role_of_child(&child);
        self.change(id, |task| task.child = Some(child.clone()));
        self.phase(id, Phase::Child);
        self.begin(&child);
    }

    /// A child that names no role has its parent's.
    fn set_role_of_child(&mut self, child: &str) {
        let role = self.executions.get(child).map(|own| own.ram_role.clone()).unwrap_or_default();
        self.set_role(child);
        self.change_execution(child, |execution| {
            if execution.ram_role.is_empty() {
                execution.ram_role = role;
            }
        });
    }

    /// One turn of an `ACS::Loop`: the tasks inside, for one item.
    pub(super) fn start_turn(&mut self, id: &str) {
        let Some(task) = self.tasks.get(id) else { return };
        let Some(parent) = self.executions.get(&task.execution) else { return };
        let turn = Execution {
            id: id.to_owned(),
            parent: Some(parent.id.clone()),
            origin: Origin::Turn(id.to_owned()),
            depth: parent.depth.saturating_add(1),
            parameters: Map::new(),
            status: Status::Started,
            message: String::new(),
            waiting: None,
            outputs: Map::new(),
            item: task.item.clone(),
            created: self.now,
            updated: self.now,
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
            ..parent.clone()
        };
        if turn.depth > self.settings.max_depth {
            let most = self.settings.max_depth;
            return self.fail(id, &format!("executions are nested deeper than {most}"));
        }
        if let Err(error) = self.check_records() {
            return self.fail(id, &error);
        }
        if let Err(error) = self.keep_bytes(0, super::kept::of_execution(&turn)) {
            return self.fail(id, &format!("the item: {error}"));
        }
        self.add_child(id, turn);
    }

    /// A child execution ended: so does the task execution that it came from.
    pub(super) fn child_ended(&mut self, id: &str, child: &str) {
        let Some(execution) = self.executions.get(child) else { return };
        let (status, message) = (execution.status, execution.message.clone());
        let outputs = Value::Object(execution.outputs.clone());
        let is_turn = matches!(execution.origin, Origin::Turn(_));
        if !self.active.contains(id) {
            return;
        }
        match status {
            Status::Success if is_turn => self.succeed_turn(id, child),
            Status::Success => self.succeed(id, &outputs),
            Status::Cancelled => self.finish(id, Status::Cancelled, &message),
            _ => self.fail(id, &message),
        }
    }
}

/// Parameters that were left out because they came out as nothing, and that have no default, are
/// given as null.
fn keep_required(found: &Found, mut given: Map<String, Value>) -> Map<String, Value> {
    for parameter in &found.template.template.parameters {
        if parameter.default.is_none() && get_any_case(&given, &parameter.name).is_none() {
            given.insert(parameter.name.clone(), Value::Null);
        }
    }
    given
}

pub(super) fn told(errors: Vec<parameters::ParameterError>) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
