//! Tags of any resource.

use super::Tag;
use serde::{Deserialize, Serialize};

/// The request of `TagResources`. No field is checked here beyond its type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TagResourcesRequest {
    /// Accepted and without effect.
    pub owner_account: Option<String>,
    /// Accepted and without effect.
    pub owner_id: Option<i64>,
    /// The region.
    pub region_id: Option<String>,
    /// The id of the resource.
    pub resource_id: Vec<String>,
    /// Accepted and without effect.
    pub resource_owner_account: Option<String>,
    /// The kind of resource, for example `image`.
    pub resource_type: Option<String>,
    /// The tags.
    pub tag: Vec<Tag>,
}

/// The request of `UntagResources`. No field is checked here beyond its type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct UntagResourcesRequest {
    /// Whether to take all tags.
    pub all: Option<bool>,
    /// Accepted and without effect.
    pub owner_account: Option<String>,
    /// Accepted and without effect.
    pub owner_id: Option<i64>,
    /// The region.
    pub region_id: Option<String>,
    /// The id of the resource.
    pub resource_id: Vec<String>,
    /// Accepted and without effect.
    pub resource_owner_account: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_id: Option<i64>,
    /// The kind of resource, for example `image`.
    pub resource_type: Option<String>,
    /// The keys of tags.
    pub tag_key: Vec<String>,
}

/// The request of `ListTagResources`. No field is checked here beyond its type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ListTagResourcesRequest {
    /// Where to go on; absent on the last page.
    pub next_token: Option<String>,
    /// Accepted and without effect.
    pub owner_account: Option<String>,
    /// Accepted and without effect.
    pub owner_id: Option<i64>,
    /// The region.
    pub region_id: Option<String>,
    /// The id of the resource.
    pub resource_id: Vec<String>,
    /// Accepted and without effect.
    pub resource_owner_account: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_id: Option<i64>,
    /// The kind of resource, for example `image`.
    pub resource_type: Option<String>,
    /// The tags.
    pub tag: Vec<Tag>,
    /// Filters by tag.
    pub tag_filter: Vec<TagFilter>,
}

/// Filters by tag of [`ListTagResourcesRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TagFilter {
    /// The keys of tags.
    pub tag_key: Option<String>,
    /// The tag values.
    pub tag_values: Vec<String>,
}

/// The answer of `ListTagResources`, without its `RequestId`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ListTagResourcesResponse {
    /// Where to go on; absent on the last page.
    pub next_token: Option<String>,
    /// The tag resources.
    pub tag_resources: Option<TagResources>,
}

/// The tag resources of [`ListTagResourcesResponse`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TagResources {
    /// The tag resource.
    pub tag_resource: Vec<TagResource>,
}

/// The tag resource of [`TagResources`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TagResource {
    /// The id of the resource.
    pub resource_id: Option<String>,
    /// The kind of resource, for example `image`.
    pub resource_type: Option<String>,
    /// The keys of tags.
    pub tag_key: Option<String>,
    /// The value of the tag.
    pub tag_value: Option<String>,
}
