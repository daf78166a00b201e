//! Who may use an image: `ModifyImageSharePermission` and `DescribeImageSharePermission`.

use serde::{Deserialize, Serialize};

/// The request of `ModifyImageSharePermission`: share an image, or share it no longer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ModifyImageSharePermissionRequest {
    /// The accounts that get the image.
    pub add_account: Vec<String>,
    /// Only check the request.
    pub dry_run: Option<bool>,
    /// The id of the image.
    pub image_id: Option<String>,
    /// Whether it becomes a community image.
    pub is_public: Option<bool>,
    /// Accepted and without effect.
    pub launch_permission: Option<String>,
    /// Accepted and without effect.
    pub owner_account: Option<String>,
    /// Accepted and without effect.
    pub owner_id: Option<i64>,
    /// The region.
    pub region_id: Option<String>,
    /// The accounts that lose the image.
    pub remove_account: Vec<String>,
    /// Accepted and without effect.
    pub resource_owner_account: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_id: Option<i64>,
}

/// The request of `DescribeImageSharePermission`: the accounts that an image is shared with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeImageSharePermissionRequest {
    /// The id of the image.
    pub image_id: Option<String>,
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
    /// Accepted and without effect.
    pub resource_owner_account: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_id: Option<i64>,
}

/// The answer of `DescribeImageSharePermission`, without its `RequestId`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeImageSharePermissionResponse {
    /// The accounts of this page.
    pub accounts: Option<Accounts>,
    /// The id of the image.
    pub image_id: Option<String>,
    /// The page, from 1.
    pub page_number: Option<i64>,
    /// Items on a page.
    pub page_size: Option<i64>,
    /// The region.
    pub region_id: Option<String>,
    /// The groups that have the image.
    pub share_groups: Option<ShareGroups>,
    /// Items on all pages.
    pub total_count: Option<i64>,
}

/// The list wrapper of [`DescribeImageSharePermissionResponse::accounts`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Accounts {
    /// The accounts.
    pub account: Vec<Account>,
}

/// An account that has the image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Account {
    /// The id of the account.
    pub aliyun_id: Option<String>,
    /// Since when, as `yyyy-MM-ddTHH:mm:ssZ`.
    pub shared_time: Option<String>,
}

/// The list wrapper of [`DescribeImageSharePermissionResponse::share_groups`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ShareGroups {
    /// The groups.
    pub share_group: Vec<ShareGroup>,
}

/// A group that has the image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ShareGroup {
    /// The name of the group.
    pub group: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::testing;

    #[test]
    fn parameters_of_modify_image_share_permission() {
        testing::are_read_and_sent_again::<ModifyImageSharePermissionRequest>(&[
            "AddAccount.1=x&AddAccount.2=y&DryRun=true&ImageId=x&IsPublic=true&\
             LaunchPermission=x&OwnerAccount=x&OwnerId=7&RegionId=x&RemoveAccount.1=x&\
             RemoveAccount.2=y&ResourceOwnerAccount=x&ResourceOwnerId=7",
        ]);
    }

    #[test]
    fn parameters_of_describe_image_share_permission() {
        testing::are_read_and_sent_again::<DescribeImageSharePermissionRequest>(&[
            "ImageId=x&OwnerAccount=x&OwnerId=7&PageNumber=7&PageSize=7&RegionId=x&\
             ResourceOwnerAccount=x&ResourceOwnerId=7",
        ]);
    }

    #[test]
    fn fields_of_describe_image_share_permission() {
        let json = r#"{"Accounts":{"Account":[{"AliyunId":"x","SharedTime":"x"}]},"ImageId":"x",
            "PageNumber":7,"PageSize":7,"RegionId":"x","RequestId":"R",
            "ShareGroups":{"ShareGroup":[{"Group":"x"}]},"TotalCount":7}"#;
        let xml = "<RequestId>R</RequestId><Accounts><Account><AliyunId>x</AliyunId><SharedTime>x\
                   </SharedTime></Account></Accounts><ImageId>x</ImageId><PageNumber>7</PageNumber>\
                   <PageSize>7</PageSize><RegionId>x</RegionId><ShareGroups><ShareGroup><Group>x\
                   </Group></ShareGroup></ShareGroups><TotalCount>7</TotalCount>";
        testing::is_written_as_it_is_read::<DescribeImageSharePermissionResponse>(
            "DescribeImageSharePermission",
            json,
        );
        testing::is_written_in_xml::<DescribeImageSharePermissionResponse>(
            "DescribeImageSharePermission",
            json,
            xml,
        );
    }
}
