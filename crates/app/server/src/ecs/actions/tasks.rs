//! `DescribeTasks` and `DescribeTaskAttribute`: how imports and exports fare.

use kiln_ecs::error::ApiError;
use kiln_model::{Step, Task, TaskAction, TaskStatus};
use kiln_store::TaskQuery;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    check::{self, given, to_minute},
    errors,
    paging::{self, Page},
    wire,
};
use crate::ecs::Call;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ListRequest {
    end_time: Option<String>,
    page_number: Option<i64>,
    page_size: Option<i64>,
    region_id: Option<String>,
    resource_ids: Vec<String>,
    start_time: Option<String>,
    task_action: Option<String>,
    task_ids: Option<String>,
    task_status: Option<String>,
}

/// The caller's imports and exports, newest first.
pub(super) async fn describe_tasks(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: ListRequest = call.parse()?;
    let region = given(request.region_id.as_ref()).unwrap_or("*");
    call.authorize("ecs:DescribeTasks", &call.resource(region, "*"))?;
    let region = &call.region(check::needed("RegionId", request.region_id.as_ref())?)?.id;
    let page = Page::of(request.page_number, request.page_size)?;
    let found = match query(&request, region, call.account(), page)? {
        None => kiln_store::Page { total: 0, items: Vec::new() },
        Some(query) => call.service.records.tasks(&query).await.map_err(errors::store)?,
    };
    let tasks: Vec<Value> = found
        .items
        .iter()
        .map(|task| {
            json!({
                "TaskId": task.id,
                "TaskAction": action(task.action),
                "TaskStatus": status(task.status),
                "ResourceId": task.image,
                "SupportCancel": supports_cancel(task),
                "CreationTime": to_minute(task.created),
                "FinishedTime": task.finished.map(to_minute).unwrap_or_default(),
            })
        })
        .collect();
    Ok(json!({
        "RegionId": region,
        "PageNumber": page.number,
        "PageSize": page.size,
        "TotalCount": paging::count(found.total),
        "TaskSet": { "Task": tasks },
    }))
}

/// What is to be looked for; `None` where nothing can be found.
fn query(
    request: &ListRequest,
    region: &str,
    owner: &str,
    page: Page,
) -> Result<Option<TaskQuery>, ApiError> {
    if request.resource_ids.len() > check::MAX_IDS {
        let why = "It lists more than 100 identifiers.";
        return Err(ApiError::invalid_parameter("ResourceIds", why));
    }
    let action = match given(request.task_action.as_ref()) {
        None => None,
        Some("ImportImage") => Some(TaskAction::ImportImage),
        Some("ExportImage") => Some(TaskAction::ExportImage),
        // Tasks that kiln does not have.
        Some("RedeployInstance" | "ModifyDiskSpec" | "ArchiveSnapshot") => return Ok(None),
        Some(_) => {
            let why = "It is `ImportImage` or `ExportImage`.";
            return Err(ApiError::invalid_parameter("TaskAction", why));
        }
    };
    // Other words have no effect, says the documentation.
    let status = match given(request.task_status.as_ref()) {
        Some("Finished") => Some(TaskStatus::Finished),
        Some("Processing") => Some(TaskStatus::Processing),
        Some("Failed") => Some(TaskStatus::Failed),
        _ => None,
    };
    let time = |name: &str, text: &Option<String>| {
        let why = "It is a time of the form yyyy-MM-ddTHH:mm:ssZ.";
        given(text.as_ref())
            .map(|text| check::second(text).ok_or_else(|| ApiError::invalid_parameter(name, why)))
            .transpose()
    };
    Ok(Some(TaskQuery {
        region: region.to_owned(),
        owner: owner.to_owned(),
        ids: check::ids("TaskIds", request.task_ids.as_ref())?,
        action,
        status,
        images: request.resource_ids.iter().filter(|id| !id.is_empty()).cloned().collect(),
        created_from: time("StartTime", &request.start_time)?,
        created_to: time("EndTime", &request.end_time)?,
        skip: page.skip(),
        take: page.take(),
    }))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct OneRequest {
    region_id: Option<String>,
    task_id: Option<String>,
}

/// One import or export of the caller's, disk by disk.
pub(super) async fn describe_task_attribute(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: OneRequest = call.parse()?;
    let region = given(request.region_id.as_ref()).unwrap_or("*");
    call.authorize("ecs:DescribeTaskAttribute", &call.resource(region, "*"))?;
    let region = &call.region(check::needed("RegionId", request.region_id.as_ref())?)?.id;
    let id = check::needed("TaskId", request.task_id.as_ref())?;
    let task = call.service.records.task(id).await.map_err(errors::store)?;
    let is_theirs = |task: &Task| {
        task.region == *region
            && task.owner == call.account()
            && task.action != TaskAction::CopyImage
    };
    let Some(task) = task.map(|task| task.value).filter(is_theirs) else {
        let message = "The specified \"TaskId\" is not found.";
        return Err(ApiError::new(400, "InvalidTaskId.NotFound", message));
    };
    let count = |word| task.steps.iter().filter(|step| step_status(step) == word).count();
    let steps: Vec<Value> = task.steps.iter().map(|step| progress(&task, step)).collect();
    Ok(json!({
        "TaskId": task.id,
        "RegionId": task.region,
        "TaskAction": action(task.action),
        "TaskStatus": status(task.status),
        "TaskProcess": wire::percent(task.progress()),
        "SupportCancel": supports_cancel(&task),
        "TotalCount": task.steps.len(),
        "SuccessCount": count("Success"),
        "FailedCount": count("Failed"),
        "CreationTime": to_minute(task.created),
        "FinishedTime": task.finished.map(to_minute).unwrap_or_default(),
        "OperationProgressSet": { "OperationProgress": steps },
    }))
}

fn progress(task: &Task, step: &Step) -> Value {
    let mut items = Vec::new();
    let mut item = |name: &str, value: &str| items.push(json!({ "Name": name, "Value": value }));
    if task.action == TaskAction::ImportImage {
        item("ImageId", &task.image);
    }
    if let Some(object) = &step.object {
        item("OSSBucket", &object.bucket);
        item("OSSObject", &object.object);
    }
    if let Some(format) = task.format.as_deref().filter(|_| task.action == TaskAction::ExportImage)
    {
        item("ImageFormat", format);
    }
    json!({
        "OperationStatus": step_status(step),
        "ErrorCode": step.error_code.as_deref().unwrap_or_default(),
        "ErrorMsg": step.error_message.as_deref().unwrap_or_default(),
        "RelatedItemSet": { "RelatedItem": items },
    })
}

/// The wire has three words for a disk; what was cancelled did not succeed.
fn step_status(step: &Step) -> &'static str {
    match step.status {
        TaskStatus::Finished => "Success",
        TaskStatus::Failed | TaskStatus::Cancelled => "Failed",
        TaskStatus::Waiting | TaskStatus::Processing => "Processing",
    }
}

fn action(action: TaskAction) -> &'static str {
    match action {
        TaskAction::ImportImage => "ImportImage",
        TaskAction::ExportImage => "ExportImage",
        TaskAction::CopyImage => "CopyImage",
    }
}

fn status(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::Waiting => "Waiting",
        TaskStatus::Processing => "Processing",
        TaskStatus::Finished => "Finished",
        TaskStatus::Failed => "Failed",
        TaskStatus::Cancelled => "Cancelled",
    }
}

/// A text and no truth value, on the wire.
fn supports_cancel(task: &Task) -> &'static str {
    if task.status.is_final() || task.is_cancelled { "false" } else { "true" }
}

#[cfg(test)]
mod tests {
    use kiln_model::ObjectName;
    use kiln_store::Change;

    use super::*;
    use crate::ecs::actions::testing::{OWNER, Site};

    fn task(id: &str, action: TaskAction, status: TaskStatus) -> Task {
        let step = |status, progress| Step {
            status,
            object: Some(ObjectName { bucket: "b".to_owned(), object: "o".to_owned() }),
            progress,
            error_code: None,
            error_message: None,
        };
        Task {
            id: id.to_owned(),
            region: "cn-a".to_owned(),
            owner: OWNER.to_owned(),
            action,
            status,
            image: format!("m-{id}"),
            format: Some("qcow2".to_owned()),
            is_checked: false,
            is_cancelled: false,
            created: "2025-07-01T08:09:10Z".parse().unwrap(),
            finished: None,
            steps: vec![step(TaskStatus::Finished, 100), step(status, 10)],
        }
    }

    async fn site() -> Site {
        let mut tasks = [
            task("t-a", TaskAction::ImportImage, TaskStatus::Processing),
            task("t-b", TaskAction::ExportImage, TaskStatus::Finished),
            task("t-c", TaskAction::ImportImage, TaskStatus::Failed),
            task("t-d", TaskAction::CopyImage, TaskStatus::Processing),
            task("t-e", TaskAction::ImportImage, TaskStatus::Processing),
        ];
        tasks[1].finished = "2025-07-01T09:00:59Z".parse().ok();
        tasks[2].created = "2025-07-02T00:00:00Z".parse().unwrap();
        tasks[2].steps[1].error_code = Some("InvalidImageSize".to_owned());
        tasks[2].steps[1].error_message = Some("too small".to_owned());
        tasks[4].owner = "2".to_owned();
        let site = Site::open().await;
        site.records.apply(tasks.map(Change::InsertTask).into()).await.unwrap();
        site
    }

    #[tokio::test]
    async fn every_filter_leaves_what_it_should() {
        let site = site().await;
        for (filters, expected) in [
            (vec![], "t-c t-a t-b"),
            (vec![("TaskIds", "t-b,t-a,t-d,t-e,t-zz")], "t-a t-b"),
            (vec![("TaskAction", "ExportImage")], "t-b"),
            (vec![("TaskAction", "ArchiveSnapshot")], ""),
            (vec![("TaskStatus", "Failed")], "t-c"),
            (vec![("TaskStatus", "Waiting")], "t-c t-a t-b"),
            (vec![("ResourceIds.1", "m-t-a")], "t-a"),
            (vec![("StartTime", "2025-07-01T12:00:00Z")], "t-c"),
            (vec![("EndTime", "2025-07-01T12:00:00Z")], "t-a t-b"),
            (vec![("PageSize", "2"), ("PageNumber", "2")], "t-b"),
        ] {
            let answer = site.ask("DescribeTasks", &filters).await.unwrap();
            let tasks = answer["TaskSet"]["Task"].as_array().unwrap();
            let ids: Vec<&str> = tasks.iter().map(|t| t["TaskId"].as_str().unwrap()).collect();
            assert_eq!(ids.join(" "), expected, "{filters:?}");
        }
        let answer = site.ask("DescribeTasks", &[("TaskIds", "t-b")]).await.unwrap();
        let expected = json!({
            "RegionId": "cn-a", "PageNumber": 1, "PageSize": 10, "TotalCount": 1,
            "TaskSet": {"Task": [{
                "TaskId": "t-b", "TaskAction": "ExportImage", "TaskStatus": "Finished",
                "ResourceId": "m-t-b", "SupportCancel": "false",
                "CreationTime": "2025-07-01T08:09Z", "FinishedTime": "2025-07-01T09:00Z",
            }]},
        });
        assert_eq!(answer, expected);
    }

    #[tokio::test]
    async fn a_task_is_told_disk_by_disk() {
        let site = site().await;
        let answer = site.ask("DescribeTaskAttribute", &[("TaskId", "t-c")]).await.unwrap();
        let items = json!({"RelatedItem": [
            {"Name": "ImageId", "Value": "m-t-c"},
            {"Name": "OSSBucket", "Value": "b"},
            {"Name": "OSSObject", "Value": "o"},
        ]});
        let expected = json!({
            "TaskId": "t-c", "RegionId": "cn-a", "TaskAction": "ImportImage",
            "TaskStatus": "Failed", "TaskProcess": "55%", "SupportCancel": "false",
            "TotalCount": 2, "SuccessCount": 1, "FailedCount": 1,
            "CreationTime": "2025-07-02T00:00Z", "FinishedTime": "",
            "OperationProgressSet": {"OperationProgress": [
                {"OperationStatus": "Success", "ErrorCode": "", "ErrorMsg": "",
                 "RelatedItemSet": items},
                {"OperationStatus": "Failed", "ErrorCode": "InvalidImageSize",
                 "ErrorMsg": "too small", "RelatedItemSet": items},
            ]},
        });
        assert_eq!(answer, expected);
        let export = site.ask("DescribeTaskAttribute", &[("TaskId", "t-b")]).await.unwrap();
        let steps = &export["OperationProgressSet"]["OperationProgress"];
        let format = json!({"Name": "ImageFormat", "Value": "qcow2"});
        assert_eq!(steps[0]["RelatedItemSet"]["RelatedItem"][2], format);
    }

    #[tokio::test]
    async fn each_fault_has_its_code() {
        let site = site().await;
        let many: Vec<String> = (1..=101).map(|n| format!("ResourceIds.{n}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|name| (&**name, "m")).collect();
        let list = "DescribeTasks";
        let one = "DescribeTaskAttribute";
        for (action, parameters, code) in [
            (list, vec![("RegionId", "")], "MissingParameter"),
            (list, vec![("RegionId", "mars")], "InvalidRegionId.NotFound"),
            (list, vec![("TaskAction", "Fly")], "InvalidParameter"),
            (list, vec![("StartTime", "2025-07-01T12:00Z")], "InvalidParameter"),
            (list, vec![("PageNumber", "0")], "InvalidParameter"),
            (list, many, "InvalidParameter"),
            (one, vec![], "MissingParameter"),
            (one, vec![("TaskId", "t-a"), ("RegionId", "mars")], "InvalidRegionId.NotFound"),
            (one, vec![("TaskId", "t-a"), ("RegionId", "cn-b")], "InvalidTaskId.NotFound"),
            (one, vec![("TaskId", "t-zz")], "InvalidTaskId.NotFound"),
            (one, vec![("TaskId", "t-d")], "InvalidTaskId.NotFound"),
            (one, vec![("TaskId", "t-e")], "InvalidTaskId.NotFound"),
        ] {
            let error = site.ask(action, &parameters).await.unwrap_err();
            assert_eq!(error, (400, code.to_owned()), "{action} {parameters:?}");
        }
        for action in [list, one] {
            let denied = site.call("nobody", action, &[("RegionId", "cn-a")]).await;
            assert_eq!(denied.unwrap_err().code, "Forbidden.RAM");
        }
    }
}
