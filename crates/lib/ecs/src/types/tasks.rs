//! Tasks, which import and export images: `CancelTask`, `DescribeTasks` and `DescribeTaskAttribute`.

use serde::{Deserialize, Serialize};

/// The request of `CancelTask`: stop a task.
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

/// The request of `DescribeTasks`: the tasks of a caller, page by page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeTasksRequest {
    /// The latest time of creation, as `yyyy-MM-ddTHH:mm:ssZ`.
    pub end_time: Option<String>,
    /// Accepted and without effect.
    pub owner_account: Option<String>,
    /// Accepted and without effect.
    pub owner_id: Option<i64>,
    /// The page, from 1.
    pub page_number: Option<i64>,
    /// Items on a page.
    pub page_size: Option<i64>,
    /// The region.
    pub region_id: Option<String>,
    /// The images that the tasks work on.
    pub resource_ids: Vec<String>,
    /// Accepted and without effect.
    pub resource_owner_account: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_id: Option<i64>,
    /// The earliest time of creation, as `yyyy-MM-ddTHH:mm:ssZ`.
    pub start_time: Option<String>,
    /// What the task does: `ImportImage` or `ExportImage`.
    pub task_action: Option<String>,
    /// Accepted and without effect: kiln has no groups of tasks.
    pub task_group_id: Option<String>,
    /// The ids of the tasks, separated by commas.
    pub task_ids: Option<String>,
    /// How far the task is, for example `Processing`.
    pub task_status: Option<String>,
}

/// The answer of `DescribeTasks`, without its `RequestId`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeTasksResponse {
    /// The page, from 1.
    pub page_number: Option<i64>,
    /// Items on a page.
    pub page_size: Option<i64>,
    /// The region.
    pub region_id: Option<String>,
    /// The tasks of this page.
    pub task_set: Option<TaskSet>,
    /// Items on all pages.
    pub total_count: Option<i64>,
}

/// The list wrapper of [`DescribeTasksResponse::task_set`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskSet {
    /// The tasks.
    pub task: Vec<Task>,
}

/// One task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Task {
    /// When it was created, as `yyyy-MM-ddTHH:mm:ssZ`.
    pub creation_time: Option<String>,
    /// When it ended, as `yyyy-MM-ddTHH:mm:ssZ`.
    pub finished_time: Option<String>,
    /// The ids of the resources.
    pub resource_id: Option<String>,
    /// Whether it can be cancelled: `true` or `false` as text.
    pub support_cancel: Option<String>,
    /// What the task does: `ImportImage` or `ExportImage`.
    pub task_action: Option<String>,
    /// The id of the task.
    pub task_id: Option<String>,
    /// How far the task is, for example `Processing`.
    pub task_status: Option<String>,
}

/// The request of `DescribeTaskAttribute`: how far a task is.
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
    /// When it was created, as `yyyy-MM-ddTHH:mm:ssZ`.
    pub creation_time: Option<String>,
    /// Operations that failed.
    pub failed_count: Option<i64>,
    /// When it ended, as `yyyy-MM-ddTHH:mm:ssZ`.
    pub finished_time: Option<String>,
    /// The operations, one for each disk.
    pub operation_progress_set: Option<Operations>,
    /// The region.
    pub region_id: Option<String>,
    /// Operations that succeeded.
    pub success_count: Option<i64>,
    /// Whether it can be cancelled: `true` or `false` as text.
    pub support_cancel: Option<String>,
    /// What the task does: `ImportImage` or `ExportImage`.
    pub task_action: Option<String>,
    /// The id of the task.
    pub task_id: Option<String>,
    /// How far the task is, with a percent sign: `45%`.
    pub task_process: Option<String>,
    /// How far the task is, for example `Processing`.
    pub task_status: Option<String>,
    /// Operations of the task: one for each disk.
    pub total_count: Option<i64>,
}

/// The list wrapper of [`DescribeTaskAttributeResponse::operation_progress_set`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Operations {
    /// The operations.
    pub operation_progress: Vec<Operation>,
}

/// What was done for one disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Operation {
    /// The code of the error, if it failed.
    pub error_code: Option<String>,
    /// What went wrong, for people.
    pub error_msg: Option<String>,
    /// `Success`, `Failed` or `Processing`.
    pub operation_status: Option<String>,
    /// What the operation works on.
    pub related_item_set: Option<RelatedItems>,
}

/// The list wrapper of [`Operation::related_item_set`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RelatedItems {
    /// The items.
    pub related_item: Vec<RelatedItem>,
}

/// Something that an operation works on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RelatedItem {
    /// What it is, for example `OSSObject`.
    pub name: Option<String>,
    /// Its value.
    pub value: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::testing;

    #[test]
    fn parameters_of_cancel_task() {
        testing::are_read_and_sent_again::<CancelTaskRequest>(&[
            "OwnerId=7&RegionId=x&ResourceOwnerAccount=x&ResourceOwnerId=7&TaskId=x",
        ]);
    }

    #[test]
    fn parameters_of_describe_tasks() {
        testing::are_read_and_sent_again::<DescribeTasksRequest>(&[
            "EndTime=x&OwnerAccount=x&OwnerId=7&PageNumber=7&PageSize=7&RegionId=x&\
             ResourceIds.1=x&ResourceIds.2=y&ResourceOwnerAccount=x&ResourceOwnerId=7&\
             StartTime=x&TaskAction=x&TaskGroupId=x&TaskIds=x&TaskStatus=x",
        ]);
    }

    #[test]
    fn fields_of_describe_tasks() {
        let json = r#"{"PageNumber":7,"PageSize":7,"RegionId":"x","RequestId":"R",
            "TaskSet":{"Task":[{"CreationTime":"x","FinishedTime":"x","ResourceId":"x",
            "SupportCancel":"x","TaskAction":"x","TaskId":"x","TaskStatus":"x"}]},
            "TotalCount":7}"#;
        let xml = "<RequestId>R</RequestId><PageNumber>7</PageNumber><PageSize>7</PageSize><RegionId>x\
                   </RegionId><TaskSet><Task><CreationTime>x</CreationTime><FinishedTime>x\
                   </FinishedTime><ResourceId>x</ResourceId><SupportCancel>x</SupportCancel>\
                   <TaskAction>x</TaskAction><TaskId>x</TaskId><TaskStatus>x</TaskStatus></Task>\
                   </TaskSet><TotalCount>7</TotalCount>";
        testing::is_written_as_it_is_read::<DescribeTasksResponse>("DescribeTasks", json);
        testing::is_written_in_xml::<DescribeTasksResponse>("DescribeTasks", json, xml);
    }

    #[test]
    fn parameters_of_describe_task_attribute() {
        testing::are_read_and_sent_again::<DescribeTaskAttributeRequest>(&[
            "OwnerId=7&RegionId=x&ResourceOwnerAccount=x&ResourceOwnerId=7&TaskId=x",
        ]);
    }

    #[test]
    fn fields_of_describe_task_attribute() {
        let json = r#"{"CreationTime":"x","FailedCount":7,"FinishedTime":"x",
            "OperationProgressSet":{"OperationProgress":[{"ErrorCode":"x","ErrorMsg":"x",
            "OperationStatus":"x","RelatedItemSet":{"RelatedItem":[{"Name":"x",
            "Value":"x"}]}}]},"RegionId":"x","RequestId":"R","SuccessCount":7,
            "SupportCancel":"x","TaskAction":"x","TaskId":"x","TaskProcess":"x",
            "TaskStatus":"x","TotalCount":7}"#;
        let xml = "<RequestId>R</RequestId><CreationTime>x</CreationTime><FailedCount>7</FailedCount>\
                   <FinishedTime>x</FinishedTime><OperationProgressSet><OperationProgress><ErrorCode>x\
                   </ErrorCode><ErrorMsg>x</ErrorMsg><OperationStatus>x</OperationStatus>\
                   <RelatedItemSet><RelatedItem><Name>x</Name><Value>x</Value></RelatedItem>\
                   </RelatedItemSet></OperationProgress></OperationProgressSet><RegionId>x</RegionId>\
                   <SuccessCount>7</SuccessCount><SupportCancel>x</SupportCancel><TaskAction>x\
                   </TaskAction><TaskId>x</TaskId><TaskProcess>x</TaskProcess><TaskStatus>x\
                   </TaskStatus><TotalCount>7</TotalCount>";
        testing::is_written_as_it_is_read::<DescribeTaskAttributeResponse>(
            "DescribeTaskAttribute",
            json,
        );
        testing::is_written_in_xml::<DescribeTaskAttributeResponse>(
            "DescribeTaskAttribute",
            json,
            xml,
        );
    }
}
