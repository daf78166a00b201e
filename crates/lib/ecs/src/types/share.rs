//! Which accounts may use an image.

use serde::{Deserialize, Serialize};

/// The request of `ModifyImageSharePermission`. No field is checked here beyond its type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ModifyImageSharePermissionRequest {
    /// Accounts that the image is shared with from now on.
    pub add_account: Vec<String>,
    /// Only check the request.
    pub dry_run: Option<bool>,
    /// The id of the image.
    pub image_id: Option<String>,
    /// Whether it is a community image.
    pub is_public: Option<bool>,
    /// Accepted and without effect.
    pub launch_permission: Option<String>,
    /// Accepted and without effect.
    pub owner_account: Option<String>,
    /// Accepted and without effect.
    pub owner_id: Option<i64>,
    /// The region.
    pub region_id: Option<String>,
    /// Accounts that it is no longer shared with.
    pub remove_account: Vec<String>,
    /// Accepted and without effect.
    pub resource_owner_account: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_id: Option<i64>,
}

/// The request of `DescribeImageSharePermission`. No field is checked here beyond its type.
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
    /// Entries on a page.
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
    /// The accounts.
    pub accounts: Option<Accounts>,
    /// The id of the image.
    pub image_id: Option<String>,
    /// The page, from 1.
    pub page_number: Option<i64>,
    /// Entries on a page.
    pub page_size: Option<i64>,
    /// The region.
    pub region_id: Option<String>,
    /// The share groups.
    pub share_groups: Option<ShareGroups>,
    /// Entries on all pages.
    pub total_count: Option<i64>,
}

/// The accounts of [`DescribeImageSharePermissionResponse`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Accounts {
    /// The account.
    pub account: Vec<Account>,
}

/// The account of [`Accounts`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Account {
    /// The account.
    pub aliyun_id: Option<String>,
    /// Since when.
    pub shared_time: Option<String>,
}

/// The share groups of [`DescribeImageSharePermissionResponse`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ShareGroups {
    /// The share group.
    pub share_group: Vec<ShareGroup>,
}

/// The share group of [`ShareGroups`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ShareGroup {
    /// The group.
    pub group: Option<String>,
}
