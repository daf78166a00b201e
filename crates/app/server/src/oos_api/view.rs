//! Executions, tasks and templates as answers have them.

use std::collections::BTreeMap;

use kiln_ecs::error::ApiError;
use kiln_factory::executions::{ExecutionView, TaskView};
use kiln_store::{ExecutionRow, TaskRow};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::request::time;

/// A view as it is stored.
///
/// # Errors
///
/// `InternalError` where it cannot be read.
pub(super) fn read<T: DeserializeOwned>(view: &str) -> Result<T, ApiError> {
    serde_json::from_str(view).map_err(|error| {
        tracing::error!(%error, "a stored view cannot be read");
        ApiError::internal()
    })
}

/// The identifier of a template: of its name where it has one, of its text otherwise.
pub(super) fn template_id(account: &str, name: &str, digest: &str) -> String {
    if name.is_empty() {
        return format!("t-{}", digest.get(..20).unwrap_or(digest));
    }
    let mut hash = Sha256::new();
    hash.update(account);
    hash.update("/");
    hash.update(name.to_ascii_lowercase());
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t-{}", hex.get(..20).unwrap_or_default())
}

/// The account whose template it is: kiln's own names begin with `ACS`.
pub(super) fn template_owner<'a>(account: &'a str, name: &str) -> &'a str {
    if super::templates::is_reserved(name) { "ACS" } else { account }
}

/// An execution, with what is kept beside its view.
pub(super) struct Shown<'a> {
    pub(super) view: &'a ExecutionView,
    pub(super) parent: &'a str,
    pub(super) description: &'a str,
    pub(super) resource_group: &'a str,
    pub(super) tags: &'a BTreeMap<String, String>,
    pub(super) counters: Option<&'a BTreeMap<String, u64>>,
    pub(super) current: Vec<&'a TaskRow>,
    /// How many of the resources that it works on stand where.
    pub(super) resources: BTreeMap<String, u64>,
}

impl<'a> Shown<'a> {
    /// A row of the store.
    pub(super) fn of(row: &'a ExecutionRow, view: &'a ExecutionView) -> Self {
        Self {
            view,
            parent: &row.parent,
            description: &row.description,
            resource_group: &row.resource_group,
            tags: &row.tags,
            counters: None,
            current: Vec::new(),
            resources: BTreeMap::new(),
        }
    }

    /// As `StartExecution` answers it: parameters are text.
    pub(super) fn started(&self) -> Map<String, Value> {
        let mut fields = self.fields();
        let parameters = Value::Object(self.view.parameters.clone()).to_string();
        fields.insert("Parameters".to_owned(), Value::from(parameters));
        fields
    }

    /// As `ListExecutions` answers it: parameters are an object.
    pub(super) fn listed(&self) -> Map<String, Value> {
        let mut fields = self.fields();
        fields.insert("Parameters".to_owned(), Value::Object(self.view.parameters.clone()));
        fields.insert("Category".to_owned(), Value::from(self.view.category.as_str()));
        fields.insert("AccountId".to_owned(), Value::from(self.view.account.as_str()));
        let resources = json!(self.resources).to_string();
        fields.insert("ResourceStatus".to_owned(), Value::from(resources));
        if let Some(waiting) = self.view.waiting {
            fields.insert("WaitingStatus".to_owned(), Value::from(format!("{waiting:?}")));
            fields.insert("StatusReason".to_owned(), Value::from(self.view.message.as_str()));
        }
        if let Some(targets) = &self.view.targets {
            fields.insert("Targets".to_owned(), Value::from(targets.to_string()));
        }
        if let Some(trigger) = &self.view.trigger {
            let mut put = |name: &str, value: String| {
                fields.insert(name.to_owned(), Value::from(value));
            };
            put("LastTriggerTime", trigger.last.map_or_else(String::new, time));
            put("NextScheduleTime", trigger.next.map_or_else(String::new, time));
            let status = trigger.last_status.map_or("", |status| status.name());
            put("LastTriggerStatus", status.to_owned());
            put("LastTriggerStatusMessage", trigger.last_message.clone());
            put("LastTriggerOutputs", Value::Object(trigger.last_outputs.clone()).to_string());
        }
        fields
    }

    fn fields(&self) -> Map<String, Value> {
        let view = self.view;
        let owner = template_owner(&view.account, &view.template_name);
        let current = |task: &&TaskRow| json!({"TaskAction": task.action, "TaskExecutionId": task.id, "TaskName": task.name});
        let fields = json!({
            "ExecutionId": view.id,
            "TemplateId": template_id(owner, &view.template_name, &view.template),
            "TemplateName": view.template_name,
            "TemplateVersion": view.template_version,
            "Status": view.status.name(),
            "StatusMessage": view.message,
            "Mode": format!("{:?}", view.mode),
            "LoopMode": format!("{:?}", view.loop_mode),
            "SafetyCheck": format!("{:?}", view.safety_check),
            "Outputs": Value::Object(view.outputs.clone()).to_string(),
            "Counters": counters(self.counters),
            "CurrentTasks": self.current.iter().map(current).collect::<Vec<_>>(),
            "CreateDate": time(view.created),
            "StartDate": time(view.created),
            "UpdateDate": time(view.updated),
            "EndDate": view.ended.map_or_else(String::new, time),
            "ExecutedBy": view.executed_by,
            "RamRole": view.ram_role,
            "IsParent": view.is_parent,
            "ParentExecutionId": self.parent,
            "Description": self.description,
            "ResourceGroupId": self.resource_group,
            "Tags": self.tags,
        });
        match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }
}

fn counters(counts: Option<&BTreeMap<String, u64>>) -> Value {
    let Some(counts) = counts.filter(|counts| !counts.is_empty()) else { return json!({}) };
    let mut all: Map<String, Value> =
        counts.iter().map(|(status, count)| (status.clone(), Value::from(*count))).collect();
    for status in ["Failed", "Success"] {
        all.entry(status).or_insert_with(|| Value::from(0));
    }
    let total = counts.values().fold(0_u64, |total, count| total.saturating_add(*count));
    all.insert("Total".to_owned(), Value::from(total));
    Value::Object(all)
}

/// A task execution.
pub(super) fn task(view: &TaskView, template: &str) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| {
        fields.insert(name.to_owned(), value);
    };
    put("TaskExecutionId", Value::from(view.id.as_str()));
    put("ExecutionId", Value::from(view.execution.as_str()));
    put("TemplateId", Value::from(template));
    put("TaskName", Value::from(view.name.as_str()));
    put("TaskAction", Value::from(view.action.as_str()));
    put("Status", Value::from(view.status.name()));
    put("StatusMessage", Value::from(view.message.as_str()));
    put("Properties", Value::from(view.properties.to_string()));
    put("Outputs", Value::from(Value::Object(view.outputs.clone()).to_string()));
    put("ChildExecutionId", Value::from(view.child.as_str()));
    put("ParentTaskExecutionId", Value::from(view.parent.as_str()));
    if let Some(item) = &view.item {
        put("LoopItem", Value::from(kiln_oos::value::text(item).into_owned()));
    }
    if let Some(batch) = view.batch {
        put("LoopBatchNumber", Value::from(batch));
    }
    if let Some(looped) = &view.looped {
        put("Loop", looped.clone());
    }
    put("ExtraData", json!({"NotifyNote": view.note}));
    put("CreateDate", Value::from(time(view.created)));
    put("StartDate", Value::from(time(view.created)));
    put("UpdateDate", Value::from(time(view.updated)));
    put("EndDate", Value::from(view.ended.map_or_else(String::new, time)));
    Value::Object(fields)
}
