//! Copies between regions and exports to buckets.

use super::Tag;
use serde::{Deserialize, Serialize};

/// The request of `CopyImage`. No field is checked here beyond its type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CopyImageRequest {
    /// Makes a repeated request have one effect.
    pub client_token: Option<String>,
    /// The description of the copy.
    pub destination_description: Option<String>,
    /// The name of the copy.
    pub destination_image_name: Option<String>,
    /// The region of the copy.
    pub destination_region_id: Option<String>,
    /// Only check the request.
    pub dry_run: Option<bool>,
    /// How it is encrypted.
    pub encrypt_algorithm: Option<String>,
    /// Whether the copy is encrypted.
    pub encrypted: Option<bool>,
    /// The id of the image.
    pub image_id: Option<String>,
    /// The key that it is encrypted with.
    #[serde(rename = "KMSKeyId")]
    pub kmskey_id: Option<String>,
    /// Accepted and without effect.
    pub owner_account: Option<String>,
    /// Accepted and without effect.
    pub owner_id: Option<i64>,
    /// The region.
    pub region_id: Option<String>,
    /// The resource group.
    pub resource_group_id: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_account: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_id: Option<i64>,
    /// The tags.
    pub tag: Vec<Tag>,
}

/// The answer of `CopyImage`, without its `RequestId`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CopyImageResponse {
    /// The id of the image.
    pub image_id: Option<String>,
}

/// The request of `CancelCopyImage`. No field is checked here beyond its type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CancelCopyImageRequest {
    /// The id of the image.
    pub image_id: Option<String>,
    /// Accepted and without effect.
    pub owner_account: Option<String>,
    /// Accepted and without effect.
    pub owner_id: Option<i64>,
    /// The region.
    pub region_id: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_account: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_id: Option<i64>,
}

/// The request of `ExportImage`. No field is checked here beyond its type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ExportImageRequest {
    /// Only check the request.
    pub dry_run: Option<bool>,
    /// The format of the objects, for example `qcow2`.
    pub image_format: Option<String>,
    /// The id of the image.
    pub image_id: Option<String>,
    /// The bucket.
    #[serde(rename = "OSSBucket")]
    pub ossbucket: Option<String>,
    /// What the names of the objects begin with.
    #[serde(rename = "OSSPrefix")]
    pub ossprefix: Option<String>,
    /// Accepted and without effect.
    pub owner_id: Option<i64>,
    /// The region.
    pub region_id: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_account: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_id: Option<i64>,
    /// The role that the service takes on.
    pub role_name: Option<String>,
}

/// The answer of `ExportImage`, without its `RequestId`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ExportImageResponse {
    /// The region.
    pub region_id: Option<String>,
    /// The id of the task.
    pub task_id: Option<String>,
}
