//! Every answer has the fields of the public model only, each of its type: strictly typed clients
//! read nothing else.

use kiln_ecs::types::{describe_images, images, instance_types, regions, share, tags, tasks};
use kiln_model::{ObjectName, Step, Task, TaskAction, TaskStatus};
use kiln_store::Change;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::testing::{OWNER, Site, sound};

/// The answer without what is null, as the gateway sends it.
fn told(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(fields.map(|(name, value)| (name.clone(), told(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(told).collect()),
        other => other.clone(),
    }
}

/// Whether all of `part` is in `whole` and is the same there; what is empty may be left out.
fn is_part(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => part
            .iter()
            .all(|(name, value)| whole.get(name).is_some_and(|other| is_part(value, other))),
        (Value::Array(part), Value::Array(whole)) => {
            part.len() == whole.len() && part.iter().zip(whole).all(|(a, b)| is_part(a, b))
        }
        _ => part == whole,
    }
}

async fn is_of_model<T: Serialize + DeserializeOwned>(
    site: &Site,
    action: &str,
    pairs: &[(&str, &str)],
) {
    let answer = told(&site.ask(action, pairs).await.unwrap());
    let read: T = serde_json::from_value(answer.clone()).unwrap();
    let again = told(&serde_json::to_value(read).unwrap());
    assert!(is_part(&answer, &again), "{action}:\n{answer:#}\nis read as\n{again:#}");
    assert_ne!(answer, serde_json::json!({}), "{action}");
}

#[tokio::test]
async fn answers_are_those_of_the_public_model() {
    let mut image = sound("m-a");
    image.family = Some("fam".to_owned());
    image.tags.insert("k".to_owned(), "v".to_owned());
    image.shared.insert("2".to_owned(), image.created);
    image.is_public = true;
    let created = image.created;
    let site = Site::of([image]).await;
    let step = Step {
        status: TaskStatus::Failed,
        object: Some(ObjectName { bucket: "b".to_owned(), object: "o".to_owned() }),
        progress: 50,
        error_code: Some("c".to_owned()),
        error_message: Some("m".to_owned()),
    };
    let task = Task {
        id: "t-a".to_owned(),
        region: "cn-a".to_owned(),
        owner: OWNER.to_owned(),
        action: TaskAction::ImportImage,
        status: TaskStatus::Failed,
        image: "m-a".to_owned(),
        format: None,
        is_checked: false,
        is_cancelled: false,
        created,
        finished: Some(created),
        steps: vec![step],
    };
    site.records.apply(vec![Change::InsertTask(task)]).await.unwrap();

    let site = &site;
    let id = ("ImageId", "m-a");
    is_of_model::<describe_images::DescribeImagesResponse>(site, "DescribeImages", &[]).await;
    is_of_model::<images::DescribeImageFromFamilyResponse>(
        site,
        "DescribeImageFromFamily",
        &[("ImageFamily", "fam")],
    )
    .await;
    is_of_model::<images::DescribeImageSupportInstanceTypesResponse>(
        site,
        "DescribeImageSupportInstanceTypes",
        &[id],
    )
    .await;
    is_of_model::<share::DescribeImageSharePermissionResponse>(
        site,
        "DescribeImageSharePermission",
        &[id],
    )
    .await;
    is_of_model::<tasks::DescribeTasksResponse>(site, "DescribeTasks", &[]).await;
    is_of_model::<tasks::DescribeTaskAttributeResponse>(
        site,
        "DescribeTaskAttribute",
        &[("TaskId", "t-a")],
    )
    .await;
    let list = [("ResourceType", "image"), ("ResourceId.1", "m-a")];
    is_of_model::<tags::ListTagResourcesResponse>(site, "ListTagResources", &list).await;
    is_of_model::<regions::DescribeRegionsResponse>(site, "DescribeRegions", &[]).await;
    is_of_model::<regions::DescribeZonesResponse>(site, "DescribeZones", &[]).await;
    is_of_model::<instance_types::DescribeInstanceTypesResponse>(
        site,
        "DescribeInstanceTypes",
        &[],
    )
    .await;
}
