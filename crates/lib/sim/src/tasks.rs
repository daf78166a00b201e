//! Tasks: the imports and exports of images.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    course::{Course, wire_names, with_minutes},
    error::ApiFault,
    images::{ImageStatus, image_while_task},
    operations::{Operation, Request},
    paging::page,
    world::{World, done},
};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::ecs("CancelTask", cancel_task),
    Operation::ecs("DescribeTaskAttribute", describe_task_attribute),
    Operation::ecs("DescribeTasks", describe_tasks),
];

wire_names! {
    /// What a task does.
    TaskAction { ImportImage = "ImportImage", ExportImage = "ExportImage" }
}

wire_names! {
    /// The status of a task.
    TaskStatus {
        Processing = "Processing", Finished = "Finished", Failed = "Failed",
        Cancelled = "Cancelled",
    }
}

/// A task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) id: String,
    region: String,
    action: TaskAction,
    /// The image it is about.
    image_id: String,
    course: Course<TaskStatus>,
    /// What it reads and makes, by name.
    items: Vec<(String, String)>,
}

impl Task {
    pub(crate) fn new(
        id: &str,
        request: &Request<'_>,
        action: TaskAction,
        image_id: &str,
        items: &[(&str, String)],
    ) -> Self {
        Self {
            id: id.to_owned(),
            region: request.region.clone(),
            action,
            image_id: image_id.to_owned(),
            course: Course::new(TaskStatus::Processing, request.now),
            items: items.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        }
    }
}

impl World {
    /// A task of an image that is being made takes as long and ends as well as that.
    pub(crate) fn start_task(&mut self, mut task: Task, now: Timestamp) {
        let image = self.images.get(&task.image_id).map(|image| &image.course);
        let (seconds, last) = match image.filter(|course| !course.is_over(now)) {
            None => (self.delays.export, TaskStatus::Finished),
            Some(course) => {
                let seconds = u32::try_from(course.remaining(now)).unwrap_or(u32::MAX);
                let is_good = course.at(course.end()) == ImageStatus::Available;
                (seconds, if is_good { TaskStatus::Finished } else { TaskStatus::Failed })
            }
        };
        task.course = task.course.then(seconds, last);
        self.tasks.insert(task.id.clone(), task);
    }

    /// The code of the refusal, where a task uses the image.
    pub(crate) fn task_on_image(&self, image_id: &str, now: Timestamp) -> Option<&'static str> {
        let mut busy = self.tasks.values().filter(|task| !task.course.is_over(now));
        busy.find(|task| task.image_id == image_id).map(|task| image_while_task(task.action))
    }

    fn task(&self, request: &Request<'_>) -> Result<&Task, ApiFault> {
        let id = request.parameters.required("TaskId")?;
        let found = self.tasks.get(&id).filter(|task| task.region == request.region);
        let message = "The specified \"TaskId\" is not found.";
        found.ok_or_else(|| ApiFault::new(400, "InvalidTaskId.NotFound", message))
    }
}

/// Cancelling an import removes its image.
fn cancel_task(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let task = world.task(request)?;
    if task.course.is_over(request.now) {
        let message = "The specified task status is not invalid.";
        return Err(ApiFault::new(403, "InvalidTaskId.IncorrectTaskStatus", message));
    }
    let (id, image_id, action) = (task.id.clone(), task.image_id.clone(), task.action);
    if action == TaskAction::ImportImage {
        world.images.shift_remove(&image_id);
    }
    if let Some(task) = world.tasks.get_mut(&id) {
        task.course = Course::new(TaskStatus::Cancelled, request.now);
    }
    done()
}

fn describe_tasks(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let parameters = &request.parameters;
    let ids = parameters.list("TaskId")?.map(|ids| {
        ids.iter().flat_map(|ids| ids.split(',')).map(|id| id.trim().to_owned()).collect::<Vec<_>>()
    });
    let resources = parameters.list("ResourceId")?;
    let (action, status) = (parameters.text("TaskAction"), parameters.text("TaskStatus"));
    // Other statuses than these have no effect as a filter.
    let status = status.filter(|name| TaskStatus::named(name).is_some());
    let is_wanted = |task: &&Task| {
        task.region == request.region
            && ids.as_ref().is_none_or(|ids| ids.contains(&task.id))
            && resources.as_ref().is_none_or(|ids| ids.contains(&task.image_id))
            && action.as_ref().is_none_or(|action| action == task.action.name())
            && status.as_ref().is_none_or(|s| s == task.course.at(request.now).name())
    };
    let found: Vec<_> = world.tasks.values().rev().filter(is_wanted).collect();
    let page = page(request, &found, |task| Value::Object(fields_of(task, request.now)))?;
    let mut answer = page.answer("TaskSet", "Task");
    if let Some(fields) = answer.as_object_mut() {
        fields.insert("RegionId".into(), request.region.clone().into());
    }
    Ok(answer)
}

fn fields_of(task: &Task, now: Timestamp) -> serde_json::Map<String, Value> {
    let is_over = task.course.is_over(now);
    let finished = if is_over { with_minutes(task.course.end()) } else { String::new() };
    let mut fields = serde_json::Map::new();
    fields.insert("TaskId".into(), task.id.clone().into());
    fields.insert("TaskAction".into(), task.action.name().into());
    fields.insert("TaskStatus".into(), task.course.at(now).name().into());
    fields.insert("ResourceId".into(), task.image_id.clone().into());
    fields.insert("SupportCancel".into(), (!is_over).to_string().into());
    fields.insert("CreationTime".into(), with_minutes(task.course.since()).into());
    fields.insert("FinishedTime".into(), finished.into());
    fields
}

fn describe_task_attribute(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let task = world.task(request)?;
    let status = task.course.at(request.now);
    let (operation, n_good, n_failed) = match status {
        TaskStatus::Processing => ("Processing", 0, 0),
        TaskStatus::Finished => ("Success", 1, 0),
        TaskStatus::Failed | TaskStatus::Cancelled => ("Failed", 0, 1),
    };
    let items: Vec<_> =
        (task.items.iter()).map(|(name, value)| json!({ "Name": name, "Value": value })).collect();
    let mut fields = fields_of(task, request.now);
    fields.insert("RegionId".into(), request.region.clone().into());
    fields.insert("TaskProcess".into(), format!("{}%", task.course.percent(request.now)).into());
    fields.insert("TotalCount".into(), 1.into());
    fields.insert("SuccessCount".into(), n_good.into());
    fields.insert("FailedCount".into(), n_failed.into());
    let progress = json!({
        "OperationStatus": operation, "ErrorCode": "", "ErrorMsg": "",
        "RelatedItemSet": { "RelatedItem": items },
    });
    fields.insert("OperationProgressSet".into(), json!({ "OperationProgress": [progress] }));
    Ok(Value::Object(fields))
}
