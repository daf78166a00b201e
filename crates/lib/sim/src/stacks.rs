//! Stacks of ROS: the network that a template makes for its instance.
//!
//! The resources of a stack are names only. What is answered of a stack are its outputs, in the
//! order of its template, with an identifier for each resource that they refer to.

use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    course::{Course, wire_names},
    error::ApiFault,
    operations::{Operation, Request},
    parameters::text_of,
    resources::ResourceKind,
    world::{World, done},
    yaml,
};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation { service: "ROS", api: "CreateStack", handler: create_stack },
    Operation { service: "ROS", api: "DeleteStack", handler: delete_stack },
    Operation { service: "ROS", api: "GetStack", handler: get_stack },
];

/// The largest template that ROS takes, in bytes.
const MAX_TEMPLATE_BYTES: usize = 524_288;
/// Resources and outputs of one template.
const MAX_ENTRIES: usize = 300;

wire_names! {
    /// The status of a stack.
    StackStatus {
        CreateInProgress = "CREATE_IN_PROGRESS", CreateComplete = "CREATE_COMPLETE",
        CreateFailed = "CREATE_FAILED", RollbackInProgress = "ROLLBACK_IN_PROGRESS",
        RollbackComplete = "ROLLBACK_COMPLETE", DeleteInProgress = "DELETE_IN_PROGRESS",
        DeleteComplete = "DELETE_COMPLETE",
    }
}

/// A stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stack {
    pub(crate) id: String,
    pub(crate) name: String,
    region: String,
    created: Timestamp,
    pub(crate) course: Course<StackStatus>,
    parameters: IndexMap<String, String>,
    outputs: IndexMap<String, String>,
}

impl Stack {
    /// Deleted stacks are answered still, and exist no more.
    pub(crate) fn is_gone(&self, now: Timestamp) -> bool {
        self.course.at(now) == StackStatus::DeleteComplete
    }
}

fn refused(code: &str, message: String) -> ApiFault {
    ApiFault::new(400, code, message)
}

fn create_stack(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let name = request.parameters.required("StackName")?;
    let mut stacks = world.stacks.values().filter(|stack| stack.region == request.region);
    if stacks.any(|stack| stack.name == name && !stack.is_gone(request.now)) {
        let message = format!("The Stack ({name}) already exists.");
        return Err(ApiFault::new(409, "StackExists", message));
    }
    let template = read_template(&request.parameters.required("TemplateBody")?)?;
    let mut parameters = IndexMap::new();
    for item in request.parameters.items("Parameter")? {
        parameters.insert(
            item.required("ParameterKey")?,
            item.text("ParameterValue").unwrap_or_default(),
        );
    }
    let keeps_failed = request.parameters.flag("DisableRollback")?.unwrap_or(false);
    world.room_for(1)?;
    let mut scope = Scope::of(&template, &parameters, &name);
    let outputs = scope.outputs(world, &template)?;
    let seconds = world.delays.stack;
    let started = Course::new(StackStatus::CreateInProgress, request.now);
    let course = match (world.ends_failed(ResourceKind::Stack), keeps_failed) {
        (false, _) => started.then(seconds, StackStatus::CreateComplete),
        (true, true) => started.then(seconds, StackStatus::CreateFailed),
        (true, false) => started
            .then(seconds, StackStatus::RollbackInProgress)
            .then(seconds, StackStatus::RollbackComplete),
    };
    let id = world.make_id("stack");
    let stack = Stack {
        id: id.clone(),
        name,
        region: request.region.clone(),
        created: request.now,
        course,
        parameters,
        outputs,
    };
    world.stacks.insert(id.clone(), stack);
    Ok(json!({ "StackId": id }))
}

fn read_template(text: &str) -> Result<Map<String, Value>, ApiFault> {
    let bad = |reason: String| {
        refused("StackValidationFailed", format!("The template is not valid: {reason}"))
    };
    if text.len() > MAX_TEMPLATE_BYTES {
        return Err(bad(format!("it has more than {MAX_TEMPLATE_BYTES} bytes")));
    }
    let node = yaml::parse(text).map_err(|error| bad(error.to_string()))?;
    let Value::Object(template) = node.to_value() else {
        return Err(bad("it is no mapping".to_owned()));
    };
    let n_entries = |name| template.get(name).and_then(Value::as_object).map_or(0, Map::len);
    if n_entries("Resources") > MAX_ENTRIES || n_entries("Outputs") > MAX_ENTRIES {
        return Err(bad(format!("it has more than {MAX_ENTRIES} resources or outputs")));
    }
    if n_entries("Resources") == 0 {
        return Err(bad("it has no Resources".to_owned()));
    }
    Ok(template)
}

/// What references in a template stand for.
#[derive(Debug)]
struct Scope {
    values: IndexMap<String, String>,
    /// Types of resources by name, which get their identifier when first referred to.
    resources: IndexMap<String, String>,
}

impl Scope {
    fn of(
        template: &Map<String, Value>,
        parameters: &IndexMap<String, String>,
        stack_name: &str,
    ) -> Self {
        let entries = |name| template.get(name).and_then(Value::as_object).into_iter().flatten();
        let mut values = IndexMap::new();
        for (name, definition) in entries("Parameters") {
            if let Some(default) = definition.get("Default") {
                values.insert(name.clone(), text_of(default));
            }
        }
        values.extend(parameters.clone());
        values.insert("ALIYUN::StackName".into(), stack_name.to_owned());
        let resources = entries("Resources").map(|(name, definition)| {
            let kind = definition.get("Type").and_then(Value::as_str).unwrap_or_default();
            (name.clone(), kind.to_owned())
        });
        Self { values, resources: resources.collect() }
    }

    fn outputs(
        &mut self,
        world: &mut World,
        template: &Map<String, Value>,
    ) -> Result<IndexMap<String, String>, ApiFault> {
        let outputs = template.get("Outputs").and_then(Value::as_object);
        let mut found = IndexMap::new();
        for (name, output) in outputs.into_iter().flatten() {
            let value = output.get("Value").unwrap_or(&Value::Null);
            found.insert(name.clone(), self.resolve(world, value)?);
        }
        Ok(found)
    }

    fn resolve(&mut self, world: &mut World, value: &Value) -> Result<String, ApiFault> {
        let reference = value.get("Ref").and_then(Value::as_str);
        let attribute = value.get("Fn::GetAtt").map(|path| match path {
            Value::Array(parts) => parts.first().map(text_of).unwrap_or_default(),
            path => text_of(path).split('.').next().unwrap_or_default().to_owned(),
        });
        let Some(name) = reference.map(str::to_owned).or(attribute) else {
            return Ok(text_of(value));
        };
        if let Some(value) = self.values.get(&name) {
            return Ok(value.clone());
        }
        let kind = self.resources.get(&name).ok_or_else(|| {
            let message = format!("The Referenced Attribute ({name}) is not in the template.");
            refused("StackValidationFailed", message)
        })?;
        let id = world.make_id(id_prefix(kind));
        self.values.insert(name, id.clone());
        Ok(id)
    }
}

fn id_prefix(kind: &str) -> &'static str {
    match kind {
        "ALIYUN::ECS::VPC" => "vpc",
        "ALIYUN::ECS::VSwitch" => "vsw",
        "ALIYUN::ECS::SecurityGroup" => "sg",
        _ => "res",
    }
}

impl World {
    fn stack(&self, request: &Request<'_>) -> Result<&Stack, ApiFault> {
        let id = request.parameters.required("StackId")?;
        let found = self.stacks.get(&id).filter(|stack| stack.region == request.region);
        let message = format!("The Stack ({id}) could not be found.");
        found.ok_or_else(|| ApiFault::new(404, "StackNotFound", message))
    }
}

fn delete_stack(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let stack = world.stack(request)?;
    let id = stack.id.clone();
    if stack.is_gone(request.now) {
        let message = format!("The Stack ({id}) could not be found.");
        return Err(ApiFault::new(404, "StackNotFound", message));
    }
    let seconds = world.delays.stack;
    if let Some(stack) = world.stacks.get_mut(&id) {
        stack.course = Course::new(StackStatus::DeleteInProgress, request.now)
            .then(seconds, StackStatus::DeleteComplete);
    }
    done()
}

fn get_stack(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let stack = world.stack(request)?;
    let status = stack.course.at(request.now);
    let outputs: Vec<_> = match status {
        StackStatus::CreateComplete => (stack.outputs.iter())
            .map(
                |(key, value)| json!({ "OutputKey": key, "OutputValue": value, "Description": "" }),
            )
            .collect(),
        _ => Vec::new(),
    };
    let parameters: Vec<_> = (stack.parameters.iter())
        .map(|(key, value)| json!({ "ParameterKey": key, "ParameterValue": value }))
        .collect();
    Ok(json!({
        "StackId": stack.id,
        "StackName": stack.name,
        "RegionId": stack.region,
        "Status": status.name(),
        "StatusReason": "",
        "CreateTime": stack.created.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
        "Parameters": parameters,
        "Outputs": outputs,
    }))
}
