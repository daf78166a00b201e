//! Executions and task executions as they are shown: without secrets.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kiln_oos::run::{
    Execution, Firing, LoopMode, Mode, Origin, Run, SafetyCheck, Status, TaskRun, Waiting,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecutionView {
    /// Its identifier.
    pub id: String,
    /// The execution it belongs to, or nothing.
    pub parent: String,
    /// The digest of its template's text.
    pub template: String,
    /// The name of its template, or nothing.
    pub template_name: String,
    /// The version of its template, or nothing.
    pub template_version: String,
    /// The values of its parameters, masked.
    pub parameters: Map<String, Value>,
    /// What it gave back, masked; empty until its end.
    pub outputs: Map<String, Value>,
    /// Where it stands.
    pub status: Status,
    /// Why it failed or waits.
    pub message: String,
    /// What it waits for.
    pub waiting: Option<Waiting>,
    /// The mode.
    pub mode: Mode,
    /// The mode of loops.
    pub loop_mode: LoopMode,
    /// The safety check.
    pub safety_check: SafetyCheck,
    /// The role it runs as.
    pub ram_role: String,
    /// Who started it.
    pub executed_by: String,
    /// Whose it is.
    pub account: String,
    /// Where it runs.
    pub region: String,
    /// What starts it: `Other`, `TimerTrigger`, `EventTrigger`, `AlarmTrigger`.
    pub category: String,
    /// Whether it has child executions.
    pub is_parent: bool,
    /// The value of its parameter that names targets.
    pub targets: Option<Value>,
    /// What is known of its trigger.
    pub trigger: Option<Firing>,
    /// When it was recorded.
    pub created: Timestamp,
    /// When something last changed.
    pub updated: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

/// A task execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskView {
    /// Its identifier.
    pub id: String,
    /// The execution it belongs to.
    pub execution: String,
    /// The digest of the execution's template.
    pub template: String,
    /// The name of its task.
    pub name: String,
    /// Its action.
    pub action: String,
    /// The task execution whose loop it is an item of, or nothing.
    pub parent: String,
    /// The item.
    pub item: Option<Value>,
    /// The batch of the item.
    pub batch: Option<u32>,
    /// Where it stands.
    pub status: Status,
    /// Why it failed or waits.
    pub message: String,
    /// Its properties, masked.
    pub properties: Value,
    /// What it gave, masked.
    pub outputs: Map<String, Value>,
    /// The child execution, or nothing.
    pub child: String,
    /// Items, rate and counts of its loop.
    pub looped: Option<Value>,
    /// What was remarked when it was let go on.
    pub note: String,
    /// When it was recorded.
    pub created: Timestamp,
    /// When something last changed.
    pub updated: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

/// How many task executions of an execution stand where.
pub type Counters = BTreeMap<String, u64>;

impl ExecutionView {
    /// What is shown of an execution of `run`.
    #[must_use]
    pub fn of(run: &Run, execution: &Execution) -> Self {
        let masked = |map: &Map<String, Value>| match run.mask(&Value::Object(map.clone())) {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        let text = |text: &str| match run.mask(&Value::from(text)) {
            Value::String(text) => text,
            _ => String::new(),
        };
        let template = run.template(&execution.template).map(|loaded| &loaded.template);
        let parameters = template.map_or_else(Map::new, |template| {
            kiln_oos::parameters::masked(template, &execution.parameters)
        });
        let category = match template.and_then(|template| template.tasks.first()) {
            Some(task) if task.action.is_trigger() && execution.origin == Origin::Root => {
                task.action.name().trim_start_matches("ACS::").to_owned()
            }
            _ => "Other".to_owned(),
        };
        let targets = template.and_then(|template| {
            let is_target = |name: &Option<String>| name.as_deref() == Some("Targets");
            let parameter = template.parameters.iter().find(|own| is_target(&own.association))?;
            parameters.get(&parameter.name).cloned()
        });
        let context = &execution.context;
        Self {
            id: execution.id.clone(),
            parent: execution.parent.clone().unwrap_or_default(),
            template: execution.template.clone(),
            template_name: execution.template_name.clone(),
            template_version: execution.template_version.clone(),
            parameters: masked(&parameters),
            outputs: masked(&execution.outputs),
            status: execution.status,
            message: text(&execution.message),
            waiting: execution.waiting,
            mode: context.mode,
            loop_mode: context.loop_mode.unwrap_or_default(),
            safety_check: context.safety_check,
            ram_role: execution.ram_role.clone(),
            executed_by: context.user.clone(),
            account: context.account.clone(),
            region: context.region.clone(),
            category,
            is_parent: run.has_children(&execution.id),
            targets,
            trigger: execution
                .trigger
                .clone()
                .map(|firing| Firing { last_message: text(&firing.last_message), ..firing }),
            created: execution.created,
            updated: execution.updated,
            ended: execution.ended,
        }
    }
}

impl TaskView {
    /// What is shown of a task execution of `run`.
    #[must_use]
    pub fn of(run: &Run, task: &TaskRun) -> Self {
        let template = run.execution(&task.execution).map(|own| own.template.clone());
        let outputs = match run.mask(&Value::Object(task.outputs.clone())) {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        let message = match run.mask(&Value::from(task.message.as_str())) {
            Value::String(text) => text,
            _ => String::new(),
        };
        Self {
            id: task.id.clone(),
            execution: task.execution.clone(),
            template: template.unwrap_or_default(),
            name: task.name.clone(),
            action: task.action.clone(),
            parent: task.parent.clone().unwrap_or_default(),
            item: task.item.as_ref().map(|item| run.mask(item)),
            batch: task.batch,
            status: task.status,
            message,
            properties: task.properties.clone().unwrap_or_default(),
            outputs,
            child: task.child.clone().unwrap_or_default(),
            looped: task.plan.as_ref().map(|plan| run.mask(&Run::loop_facts(plan))),
            note: task.note.clone(),
            created: task.created,
            updated: task.updated,
            ended: task.ended,
        }
    }
}
