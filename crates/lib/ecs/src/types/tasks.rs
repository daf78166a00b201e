//! Tasks: what takes long, how far it is, and how it ended.

use serde::{Deserialize, Serialize};

/// The request of `CancelTask`. No field is checked here beyond its type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CancelTaskRequest {
    /// Accepted and without effect.
    pub owner_id: Option<i64>,
    /// The region.
    pub region_id: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_account: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_id: Option<i64>,
    /// The id of the task.
    pub task_id: Option<String>,
}

/// The request of `DescribeTasks`. No field is checked here beyond its type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeTasksRequest {
    /// Until when.
    pub end_time: Option<String>,
    /// Accepted and without effect.
    pub owner_account: Option<String>,
    /// Accepted and without effect.
    pub owner_id: Option<i64>,
    /// The page, from 1.
    pub page_number: Option<i64>,
    /// Entries on a page.
    pub page_size: Option<i64>,
    /// The region.
    pub region_id: Option<String>,
    /// The ids of resources.
    pub resource_ids: Vec<String>,
    /// Accepted and without effect.
    pub resource_owner_account: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_id: Option<i64>,
    /// From when on.
    pub start_time: Option<String>,
    /// What the task does, for example `ImportImage`.
    pub task_action: Option<String>,
    /// The group of the task.
    pub task_group_id: Option<String>,
    /// The ids of tasks, with commas.
    pub task_ids: Option<String>,
    /// How the task stands, for example `Processing`.
    pub task_status: Option<String>,
}

/// The answer of `DescribeTasks`, without its `RequestId`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeTasksResponse {
    /// The page, from 1.
    pub page_number: Option<i64>,
    /// Entries on a page.
    pub page_size: Option<i64>,
    /// The region.
    pub region_id: Option<String>,
    /// The task set.
    pub task_set: Option<TaskSet>,
    /// Entries on all pages.
    pub total_count: Option<i64>,
}

/// The task set of [`DescribeTasksResponse`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskSet {
    /// The task.
    pub task: Vec<Task>,
}

/// The task of [`TaskSet`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Task {
    /// When it was asked for, as `yyyy-MM-ddTHH:mmZ`.
    pub creation_time: Option<String>,
    /// When it ended, as `yyyy-MM-ddTHH:mmZ`.
    pub finished_time: Option<String>,
    /// The id of the resource.
    pub resource_id: Option<String>,
    /// Whether the task can be cancelled: `true` or `false` as text.
    pub support_cancel: Option<String>,
    /// What the task does, for example `ImportImage`.
    pub task_action: Option<String>,
    /// The id of the task.
    pub task_id: Option<String>,
    /// How the task stands, for example `Processing`.
    pub task_status: Option<String>,
}

/// The request of `DescribeTaskAttribute`. No field is checked here beyond its type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeTaskAttributeRequest {
    /// Accepted and without effect.
    pub owner_id: Option<i64>,
    /// The region.
    pub region_id: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_account: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_id: Option<i64>,
    /// The id of the task.
    pub task_id: Option<String>,
}

/// The answer of `DescribeTaskAttribute`, without its `RequestId`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeTaskAttributeResponse {
    /// When it was asked for, as `yyyy-MM-ddTHH:mmZ`.
    pub creation_time: Option<String>,
    /// Parts that failed.
    pub failed_count: Option<i64>,
    /// When it ended, as `yyyy-MM-ddTHH:mmZ`.
    pub finished_time: Option<String>,
    /// The operation progress set.
    pub operation_progress_set: Option<OperationProgressSet>,
    /// The region.
    pub region_id: Option<String>,
    /// Parts that went well.
    pub success_count: Option<i64>,
    /// Whether the task can be cancelled: `true` or `false` as text.
    pub support_cancel: Option<String>,
    /// What the task does, for example `ImportImage`.
    pub task_action: Option<String>,
    /// The id of the task.
    pub task_id: Option<String>,
    /// How far it is, with a percent sign: `100%`.
    pub task_process: Option<String>,
    /// How the task stands, for example `Processing`.
    pub task_status: Option<String>,
    /// Entries on all pages.
    pub total_count: Option<i64>,
}

/// The operation progress set of [`DescribeTaskAttributeResponse`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct OperationProgressSet {
    /// The operation progress.
    pub operation_progress: Vec<OperationProgress>,
}

/// The operation progress of [`OperationProgressSet`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct OperationProgress {
    /// The code of what went wrong.
    pub error_code: Option<String>,
    /// What went wrong.
    pub error_msg: Option<String>,
    /// How the part stands, for example `Success`.
    pub operation_status: Option<String>,
    /// The related item set.
    pub related_item_set: Option<RelatedItemSet>,
}

/// The related item set of [`OperationProgress`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RelatedItemSet {
    /// The related item.
    pub related_item: Vec<RelatedItem>,
}

/// The related item of [`RelatedItemSet`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RelatedItem {
    /// The name.
    pub name: Option<String>,
    /// The value.
    pub value: Option<String>,
}
