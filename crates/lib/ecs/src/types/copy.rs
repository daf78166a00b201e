//! Images that go elsewhere: `CopyImage` and `CancelCopyImage` to a region, `ExportImage` to a bucket.

use super::Tag;
use serde::{Deserialize, Serialize};

/// The request of `CopyImage`: copy an image to a region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CopyImageRequest {
    /// Makes a repeated request the same one.
    pub client_token: Option<String>,
    /// A text for people, for the copy.
    pub destination_description: Option<String>,
    /// The name of the copy.
    pub destination_image_name: Option<String>,
    /// The region of the copy.
    pub destination_region_id: Option<String>,
    /// Only check the request.
    pub dry_run: Option<bool>,
    /// How to encrypt the copy; refused by kiln.
    pub encrypt_algorithm: Option<String>,
    /// Whether to encrypt the copy.
    pub encrypted: Option<bool>,
    /// The id of the image.
    pub image_id: Option<String>,
    /// The key to encrypt the copy with.
    #[serde(rename = "KMSKeyId")]
    pub kms_key_id: Option<String>,
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
    /// The id of the copy, valid at once.
    pub image_id: Option<String>,
}

/// The request of `CancelCopyImage`: stop copying an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CancelCopyImageRequest {
    /// The id of the copy.
    pub image_id: Option<String>,
    /// Accepted and without effect.
    pub owner_account: Option<String>,
    /// Accepted and without effect.
    pub owner_id: Option<i64>,
    /// The region of the copy.
    pub region_id: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_account: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_id: Option<i64>,
}

/// The request of `ExportImage`: write an image to a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ExportImageRequest {
    /// Only check the request.
    pub dry_run: Option<bool>,
    /// The format of the file, for example `qcow2`.
    pub image_format: Option<String>,
    /// The id of the image.
    pub image_id: Option<String>,
    /// The bucket to write to.
    #[serde(rename = "OSSBucket")]
    pub oss_bucket: Option<String>,
    /// What the names of the files begin with.
    #[serde(rename = "OSSPrefix")]
    pub oss_prefix: Option<String>,
    /// Accepted and without effect.
    pub owner_id: Option<i64>,
    /// The region.
    pub region_id: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_account: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_id: Option<i64>,
    /// The role that writes to the bucket.
    pub role_name: Option<String>,
}

/// The answer of `ExportImage`, without its `RequestId`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ExportImageResponse {
    /// The region.
    pub region_id: Option<String>,
    /// The id of the task that does the work.
    pub task_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::testing;

    #[test]
    fn parameters_of_copy_image() {
        testing::are_read_and_sent_again::<CopyImageRequest>(&[
            "ClientToken=x&DestinationDescription=x&DestinationImageName=x&\
             DestinationRegionId=x&DryRun=true&EncryptAlgorithm=x&Encrypted=true&ImageId=x&\
             KMSKeyId=x&OwnerAccount=x&OwnerId=7&RegionId=x&ResourceGroupId=x&\
             ResourceOwnerAccount=x&ResourceOwnerId=7&Tag.1.Key=x&Tag.1.Value=x&Tag.2.Key=y",
        ]);
    }

    #[test]
    fn fields_of_copy_image() {
        let json = r#"{"ImageId":"x","RequestId":"R"}"#;
        let xml = "<RequestId>R</RequestId><ImageId>x</ImageId>";
        testing::is_written_as_it_is_read::<CopyImageResponse>("CopyImage", json);
        testing::is_written_in_xml::<CopyImageResponse>("CopyImage", json, xml);
    }

    #[test]
    fn parameters_of_cancel_copy_image() {
        testing::are_read_and_sent_again::<CancelCopyImageRequest>(&[
            "ImageId=x&OwnerAccount=x&OwnerId=7&RegionId=x&ResourceOwnerAccount=x&\
             ResourceOwnerId=7",
        ]);
    }

    #[test]
    fn parameters_of_export_image() {
        testing::are_read_and_sent_again::<ExportImageRequest>(&[
            "DryRun=true&ImageFormat=x&ImageId=x&OSSBucket=x&OSSPrefix=x&OwnerId=7&RegionId=x&\
             ResourceOwnerAccount=x&ResourceOwnerId=7&RoleName=x",
        ]);
    }

    #[test]
    fn fields_of_export_image() {
        let json = r#"{"RegionId":"x","RequestId":"R","TaskId":"x"}"#;
        let xml = "<RequestId>R</RequestId><RegionId>x</RegionId><TaskId>x</TaskId>";
        testing::is_written_as_it_is_read::<ExportImageResponse>("ExportImage", json);
        testing::is_written_in_xml::<ExportImageResponse>("ExportImage", json, xml);
    }
}
