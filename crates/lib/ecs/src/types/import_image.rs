//! `ImportImage`: an image from files in a bucket.

use super::Tag;
use serde::{Deserialize, Serialize};

/// The request. No field is checked here beyond its type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImportImageRequest {
    /// The processor architecture, for example `x86_64`.
    pub architecture: Option<String>,
    /// `BIOS` or `UEFI`.
    pub boot_mode: Option<String>,
    /// Makes a repeated request the same one.
    pub client_token: Option<String>,
    /// A text for people.
    pub description: Option<String>,
    /// `Standard` to have the image checked once it is there.
    pub detection_strategy: Option<String>,
    /// The disks, the system disk first.
    pub disk_device_mapping: Vec<DiskDeviceMapping>,
    /// Only check the request.
    pub dry_run: Option<bool>,
    /// What the image can do.
    pub features: Option<Features>,
    /// The name of the image.
    pub image_name: Option<String>,
    /// Where the licence of the system comes from.
    pub license_type: Option<String>,
    /// `linux` or `windows`.
    #[serde(rename = "OSType")]
    pub os_type: Option<String>,
    /// Accepted and without effect.
    pub owner_id: Option<i64>,
    /// The distribution.
    pub platform: Option<String>,
    /// The region.
    pub region_id: Option<String>,
    /// The resource group.
    pub resource_group_id: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_account: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_id: Option<i64>,
    /// The role that reads the bucket.
    pub role_name: Option<String>,
    /// A place outside the region; refused by kiln.
    pub storage_location_arn: Option<String>,
    /// The tags.
    pub tag: Vec<Tag>,
}

/// A disk to import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DiskDeviceMapping {
    /// The name of the disk, for example `/dev/xvda`.
    pub device: Option<String>,
    /// The old name of `DiskImageSize`, which wins. In GiB.
    pub disk_im_size: Option<i64>,
    /// The size of the disk, in GiB.
    pub disk_image_size: Option<i64>,
    /// The format of the file, for example `qcow2`.
    pub format: Option<String>,
    /// The bucket of the file.
    #[serde(rename = "OSSBucket")]
    pub oss_bucket: Option<String>,
    /// The name of the file in its bucket.
    #[serde(rename = "OSSObject")]
    pub oss_object: Option<String>,
}

/// What the image can do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Features {
    /// `v1` or `v2`: how instances are asked for their metadata.
    pub imds_support: Option<String>,
    /// Whether NVMe is supported.
    pub nvme_support: Option<String>,
}

/// The answer, without its `RequestId`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImportImageResponse {
    /// The id of the image.
    pub image_id: Option<String>,
    /// The region.
    pub region_id: Option<String>,
    /// The id of the task that does the work.
    pub task_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::testing;

    /// Every parameter of the public model.
    const PARAMETERS: [&str; 29] = [
        "Architecture=x",
        "BootMode=x",
        "ClientToken=x",
        "Description=x",
        "DetectionStrategy=x",
        "DiskDeviceMapping.1.Device=x",
        "DiskDeviceMapping.1.DiskImSize=7",
        "DiskDeviceMapping.1.DiskImageSize=7",
        "DiskDeviceMapping.1.Format=x",
        "DiskDeviceMapping.1.OSSBucket=x",
        "DiskDeviceMapping.1.OSSObject=x",
        "DiskDeviceMapping.2.Device=x",
        "DryRun=true",
        "Features.ImdsSupport=x",
        "Features.NvmeSupport=x",
        "ImageName=x",
        "LicenseType=x",
        "OSType=x",
        "OwnerId=7",
        "Platform=x",
        "RegionId=x",
        "ResourceGroupId=x",
        "ResourceOwnerAccount=x",
        "ResourceOwnerId=7",
        "RoleName=x",
        "StorageLocationArn=x",
        "Tag.1.Key=x",
        "Tag.1.Value=x",
        "Tag.2.Key=x",
    ];

    /// Every field of the public model.
    const FULL: &str = r#"{
        "ImageId": "x",
        "RegionId": "x",
        "RequestId": "R",
        "TaskId": "x"
    }"#;

    #[test]
    fn every_parameter_is_read_and_sent_again() {
        testing::are_read_and_sent_again::<ImportImageRequest>(&PARAMETERS);
    }

    #[test]
    fn every_field_of_the_answer_is_written_as_it_is_read() {
        testing::is_written_as_it_is_read::<ImportImageResponse>("ImportImage", FULL);
    }
}
