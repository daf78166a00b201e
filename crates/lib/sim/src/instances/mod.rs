//! Instances: made of images, started, stopped and deleted.

mod create;
mod describe;

use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    course::{Course, wire_names},
    error::ApiFault,
    operations::{Operation, Request},
    world::{World, done},
};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::ecs("CreateInstance", create::create_instance),
    Operation::ecs("DeleteInstance", delete_instance),
    Operation::ecs("DeleteInstances", delete_instances),
    Operation::ecs("DescribeInstanceStatus", describe::describe_instance_status),
    Operation::ecs("DescribeInstances", describe::describe_instances),
    Operation::ecs("ModifyInstanceAttribute", modify_instance_attribute),
    Operation::ecs("RebootInstance", reboot_instance),
    Operation::ecs("RebootInstances", reboot_instances),
    Operation::ecs("RunInstances", create::run_instances),
    Operation::ecs("StartInstance", start_instance),
    Operation::ecs("StartInstances", start_instances),
    Operation::ecs("StopInstance", stop_instance),
    Operation::ecs("StopInstances", stop_instances),
];

wire_names! {
    /// The status of an instance.
    InstanceStatus {
        Pending = "Pending", Starting = "Starting", Running = "Running", Stopping = "Stopping",
        Stopped = "Stopped",
    }
}

/// An instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) image_id: String,
    pub(crate) region: String,
    pub(crate) zone: String,
    pub(crate) instance_type: String,
    pub(crate) charge_type: String,
    pub(crate) security_group_ids: Vec<String>,
    pub(crate) vswitch_id: String,
    pub(crate) key_pair: String,
    pub(crate) resource_group_id: String,
    pub(crate) bandwidth_in: i64,
    pub(crate) bandwidth_out: i64,
    pub(crate) is_protected: bool,
    pub(crate) stopped_mode: String,
    pub(crate) created: Timestamp,
    pub(crate) course: Course<InstanceStatus>,
    /// Whether the Cloud Assistant is installed; it answers while the instance runs.
    pub(crate) has_assistant: bool,
    /// Whether it will be after the next start.
    pub(crate) assistant_is_pending: bool,
    pub(crate) tags: IndexMap<String, String>,
    pub(crate) made: bool,
}

impl Instance {
    pub(crate) fn is_running(&self, now: Timestamp) -> bool {
        self.course.at(now) == InstanceStatus::Running
    }

    /// The assistant is heard of once the instance runs.
    pub(crate) fn assistant_answers(&self, now: Timestamp) -> bool {
        self.has_assistant && self.is_running(now)
    }

    /// What was installed while it ran begins to run with the next start.
    fn restart(&mut self, course: Course<InstanceStatus>) {
        self.has_assistant |= self.assistant_is_pending;
        self.assistant_is_pending = false;
        self.course = course;
    }
}

pub(crate) fn incorrect_status() -> ApiFault {
    let message = "The current status of the resource does not support this operation.";
    ApiFault::new(403, "IncorrectInstanceStatus", message)
}

impl World {
    /// The instance of this identifier in the region of the request.
    pub(crate) fn instance(&self, request: &Request<'_>, id: &str) -> Result<&Instance, ApiFault> {
        let found = self.instances.get(id).filter(|each| each.region == request.region);
        found.ok_or_else(|| ApiFault::not_found("InstanceId"))
    }
}

/// What an operation does to one instance.
type Change = fn(&mut World, &Request<'_>, &str) -> Result<(), ApiFault>;

fn of_one(world: &mut World, request: &Request<'_>, change: Change) -> Result<Value, ApiFault> {
    let id = request.parameters.required("InstanceId")?;
    world.instance(request, &id)?;
    change(world, request, &id)?;
    done()
}

/// All or none: the change is tried on a copy.
fn of_many(world: &mut World, request: &Request<'_>, change: Change) -> Result<Value, ApiFault> {
    let ids = request.parameters.required_list("InstanceId")?;
    let status = |world: &World, id: &str| {
        world.instances.get(id).map_or("", |each| each.course.at(request.now).name())
    };
    let mut changed = world.clone();
    let mut responses = Vec::new();
    for id in &ids {
        changed.instance(request, id)?;
        let before = status(&changed, id);
        change(&mut changed, request, id)?;
        responses.push(json!({
            "InstanceId": id, "Code": "200", "Message": "success",
            "PreviousStatus": before, "CurrentStatus": status(&changed, id),
        }));
    }
    *world = changed;
    Ok(json!({ "InstanceResponses": { "InstanceResponse": responses } }))
}

fn start_instance(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    of_one(world, request, start)
}

fn start_instances(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    of_many(world, request, start)
}

fn start(world: &mut World, request: &Request<'_>, id: &str) -> Result<(), ApiFault> {
    if world.instance(request, id)?.course.at(request.now) != InstanceStatus::Stopped {
        return Err(incorrect_status());
    }
    let seconds = world.delays.instance_start;
    if let Some(instance) = world.instances.get_mut(id) {
        instance.restart(
            Course::new(InstanceStatus::Starting, request.now)
                .then(seconds, InstanceStatus::Running),
        );
    }
    Ok(())
}

fn stop_instance(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    of_one(world, request, stop)
}

fn stop_instances(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    of_many(world, request, stop)
}

fn stop(world: &mut World, request: &Request<'_>, id: &str) -> Result<(), ApiFault> {
    if !world.instance(request, id)?.is_running(request.now) {
        return Err(incorrect_status());
    }
    let mode = request.parameters.text("StoppedMode").unwrap_or_else(|| "KeepCharging".into());
    let seconds = world.delays.instance_stop;
    world.interrupt_commands(id, request.now);
    if let Some(instance) = world.instances.get_mut(id) {
        instance.stopped_mode = mode;
        instance.course = Course::new(InstanceStatus::Stopping, request.now)
            .then(seconds, InstanceStatus::Stopped);
    }
    Ok(())
}

fn reboot_instance(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    of_one(world, request, reboot)
}

fn reboot_instances(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    of_many(world, request, reboot)
}

fn reboot(world: &mut World, request: &Request<'_>, id: &str) -> Result<(), ApiFault> {
    if !world.instance(request, id)?.is_running(request.now) {
        return Err(incorrect_status());
    }
    let seconds = world.delays.reboot;
    world.interrupt_commands(id, request.now);
    if let Some(instance) = world.instances.get_mut(id) {
        instance.restart(
            Course::new(InstanceStatus::Stopping, request.now)
                .then(seconds / 2, InstanceStatus::Starting)
                .then(seconds - seconds / 2, InstanceStatus::Running),
        );
    }
    Ok(())
}

fn delete_instance(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    of_one(world, request, delete)
}

fn delete_instances(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    of_many(world, request, delete)?;
    done()
}

/// The disks that go with the instance go; the others are left, attached to nothing.
fn delete(world: &mut World, request: &Request<'_>, id: &str) -> Result<(), ApiFault> {
    let force = request.parameters.flag("Force")?.unwrap_or(false);
    let instance = world.instance(request, id)?;
    if instance.is_protected {
        let message = "The operation is not allowed due to deletion protection.";
        return Err(ApiFault::new(403, "InvalidOperation.DeletionProtection", message));
    }
    match instance.course.at(request.now) {
        InstanceStatus::Pending => {
            let message = "The specified instance status does not support this operation.";
            return Err(ApiFault::new(403, "IncorrectInstanceStatus.Initializing", message));
        }
        InstanceStatus::Stopped => {}
        _ if force => {}
        _ => return Err(incorrect_status()),
    }
    world.interrupt_commands(id, request.now);
    world.instances.shift_remove(id);
    world.disks.retain(|_, disk| disk.instance_id != id || !disk.delete_with_instance);
    for disk in world.disks.values_mut().filter(|disk| disk.instance_id == id) {
        disk.instance_id.clear();
        disk.device.clear();
        disk.course = Course::new(crate::disks::DiskStatus::Available, request.now);
    }
    Ok(())
}

fn modify_instance_attribute(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let parameters = &request.parameters;
    let id = parameters.required("InstanceId")?;
    let is_protected = parameters.flag("DeletionProtection")?;
    world.instance(request, &id)?;
    if let Some(instance) = world.instances.get_mut(&id) {
        if let Some(name) = parameters.text("InstanceName") {
            instance.name = name;
        }
        if let Some(description) = parameters.text("Description") {
            instance.description = description;
        }
        instance.is_protected = is_protected.unwrap_or(instance.is_protected);
    }
    done()
}
