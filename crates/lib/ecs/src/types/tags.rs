//! Tags of resources: `TagResources`, `UntagResources` and `ListTagResources`.

use super::Tag;
use serde::{Deserialize, Serialize};

/// The request of `TagResources`: give tags to resources.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TagResourcesRequest {
    /// Accepted and without effect.
    pub owner_account: Option<String>,
    /// Accepted and without effect.
    pub owner_id: Option<i64>,
    /// The region.
    pub region_id: Option<String>,
    /// The ids of the resources.
    pub resource_id: Vec<String>,
    /// Accepted and without effect.
    pub resource_owner_account: Option<String>,
    /// What kind of resources, for example `image`.
    pub resource_type: Option<String>,
    /// The tags.
    pub tag: Vec<Tag>,
}

/// The request of `UntagResources`: take tags from resources.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct UntagResourcesRequest {
    /// Remove every tag, where no name is given.
    pub all: Option<bool>,
    /// Accepted and without effect.
    pub owner_account: Option<String>,
    /// Accepted and without effect.
    pub owner_id: Option<i64>,
    /// The region.
    pub region_id: Option<String>,
    /// The ids of the resources.
    pub resource_id: Vec<String>,
    /// Accepted and without effect.
    pub resource_owner_account: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_id: Option<i64>,
    /// What kind of resources, for example `image`.
    pub resource_type: Option<String>,
    /// The names of the tags to remove.
    pub tag_key: Vec<String>,
}

/// The request of `ListTagResources`: the tags of resources.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ListTagResourcesRequest {
    /// Where the page starts, from the answer before.
    pub next_token: Option<String>,
    /// Accepted and without effect.
    pub owner_account: Option<String>,
    /// Accepted and without effect.
    pub owner_id: Option<i64>,
    /// The region.
    pub region_id: Option<String>,
    /// The ids of the resources.
    pub resource_id: Vec<String>,
    /// Accepted and without effect.
    pub resource_owner_account: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_id: Option<i64>,
    /// What kind of resources, for example `image`.
    pub resource_type: Option<String>,
    /// The tags.
    pub tag: Vec<Tag>,
    /// Filters by name and several values.
    pub tag_filter: Vec<TagFilter>,
}

/// A filter by one name and several values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TagFilter {
    /// The name of the tag.
    pub tag_key: Option<String>,
    /// The values, any of which will do.
    pub tag_values: Vec<String>,
}

/// The answer of `ListTagResources`, without its `RequestId`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ListTagResourcesResponse {
    /// Where the next page starts; absent on the last one.
    pub next_token: Option<String>,
    /// The tags of this page.
    pub tag_resources: Option<TagResources>,
}

/// The list wrapper of [`ListTagResourcesResponse::tag_resources`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TagResources {
    /// The tags.
    pub tag_resource: Vec<TagResource>,
}

/// A tag of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TagResource {
    /// The id of the resource.
    pub resource_id: Option<String>,
    /// What kind of resource.
    pub resource_type: Option<String>,
    /// The name of the tag.
    pub tag_key: Option<String>,
    /// The value of the tag, maybe empty.
    pub tag_value: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::testing;

    #[test]
    fn parameters_of_tag_resources() {
        testing::are_read_and_sent_again::<TagResourcesRequest>(&[
            "OwnerAccount=x&OwnerId=7&RegionId=x&ResourceId.1=x&ResourceId.2=y&\
             ResourceOwnerAccount=x&ResourceType=x&Tag.1.Key=x&Tag.1.Value=x&Tag.2.Key=y",
        ]);
    }

    #[test]
    fn parameters_of_untag_resources() {
        testing::are_read_and_sent_again::<UntagResourcesRequest>(&[
            "All=true&OwnerAccount=x&OwnerId=7&RegionId=x&ResourceId.1=x&ResourceId.2=y&\
             ResourceOwnerAccount=x&ResourceOwnerId=7&ResourceType=x&TagKey.1=x&TagKey.2=y",
        ]);
    }

    #[test]
    fn parameters_of_list_tag_resources() {
        testing::are_read_and_sent_again::<ListTagResourcesRequest>(&[
            "NextToken=x&OwnerAccount=x&OwnerId=7&RegionId=x&ResourceId.1=x&ResourceId.2=y&\
             ResourceOwnerAccount=x&ResourceOwnerId=7&ResourceType=x&Tag.1.Key=x&Tag.1.Value=x&\
             Tag.2.Key=y&TagFilter.1.TagKey=x&TagFilter.1.TagValues.1=x&\
             TagFilter.1.TagValues.2=y&TagFilter.2.TagKey=y",
        ]);
    }

    #[test]
    fn fields_of_list_tag_resources() {
        let json = r#"{"NextToken":"x","RequestId":"R","TagResources":{"TagResource":[{"ResourceId":"x",
            "ResourceType":"x","TagKey":"x","TagValue":"x"}]}}"#;
        let xml = "<RequestId>R</RequestId><NextToken>x</NextToken><TagResources><TagResource>\
                   <ResourceId>x</ResourceId><ResourceType>x</ResourceType><TagKey>x</TagKey>\
                   <TagValue>x</TagValue></TagResource></TagResources>";
        testing::is_written_as_it_is_read::<ListTagResourcesResponse>("ListTagResources", json);
        testing::is_written_in_xml::<ListTagResourcesResponse>("ListTagResources", json, xml);
    }
}
