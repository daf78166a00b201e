//! Making, changing and deleting images, and finding one of a family.

use super::{Filter, Tag, describe_images::Image};
use serde::{Deserialize, Serialize};

/// The request of `CreateImage`. No field is checked here beyond its type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateImageRequest {
    /// The processor architecture, for example `x86_64`.
    pub architecture: Option<String>,
    /// `BIOS`, `UEFI` or `UEFI-Preferred`.
    pub boot_mode: Option<String>,
    /// Makes a repeated request have one effect.
    pub client_token: Option<String>,
    /// A text for people.
    pub description: Option<String>,
    /// `Standard` for a check of the image.
    pub detection_strategy: Option<String>,
    /// The disks, the system disk first.
    pub disk_device_mapping: Vec<DiskDeviceMapping>,
    /// Only check the request.
    pub dry_run: Option<bool>,
    /// What the image can do.
    pub features: Option<Features>,
    /// The family of the image.
    pub image_family: Option<String>,
    /// The name of the image.
    pub image_name: Option<String>,
    /// The version of the image.
    pub image_version: Option<String>,
    /// The id of the instance.
    pub instance_id: Option<String>,
    /// Accepted and without effect.
    pub owner_account: Option<String>,
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
    /// What is asked of secure boot.
    pub secure_boot_options: Option<SecureBootOptions>,
    /// The id of the snapshot.
    pub snapshot_id: Option<String>,
    /// The tags.
    pub tag: Vec<Tag>,
}

/// The disks, the system disk first of [`CreateImageRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DiskDeviceMapping {
    /// The name of the disk, for example `/dev/xvda`.
    pub device: Option<String>,
    /// `system` or `data`.
    pub disk_type: Option<String>,
    /// The size, in GiB.
    pub size: Option<i64>,
    /// The id of the snapshot.
    pub snapshot_id: Option<String>,
}

/// What the image can do of [`CreateImageRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Features {
    /// `v1` or `v2`: how instances are asked for their metadata.
    pub imds_support: Option<String>,
}

/// What is asked of secure boot of [`CreateImageRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SecureBootOptions {
    /// Whether secure boot is supported.
    pub secure_boot_support: Option<String>,
}

/// The answer of `CreateImage`, without its `RequestId`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateImageResponse {
    /// The id of the image.
    pub image_id: Option<String>,
}

/// The request of `ModifyImageAttribute`. No field is checked here beyond its type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ModifyImageAttributeRequest {
    /// `BIOS`, `UEFI` or `UEFI-Preferred`.
    pub boot_mode: Option<String>,
    /// A text for people.
    pub description: Option<String>,
    /// Only check the request.
    pub dry_run: Option<bool>,
    /// What the image can do.
    pub features: Option<ModifyImageAttributeFeatures>,
    /// The family of the image.
    pub image_family: Option<String>,
    /// The id of the image.
    pub image_id: Option<String>,
    /// The name of the image.
    pub image_name: Option<String>,
    /// Where the licence of the system comes from.
    pub license_type: Option<String>,
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
    /// The status.
    pub status: Option<String>,
}

/// What the image can do of [`ModifyImageAttributeRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ModifyImageAttributeFeatures {
    /// `v1` or `v2`: how instances are asked for their metadata.
    pub imds_support: Option<String>,
    /// Whether NVMe is supported.
    pub nvme_support: Option<String>,
}

/// The request of `DeleteImage`. No field is checked here beyond its type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeleteImageRequest {
    /// Only check the request.
    pub dry_run: Option<bool>,
    /// Whether to do it although the image is used.
    pub force: Option<bool>,
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

/// The request of `DescribeImageFromFamily`. No field is checked here beyond its type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeImageFromFamilyRequest {
    /// The family of the image.
    pub image_family: Option<String>,
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

/// The answer of `DescribeImageFromFamily`, without its `RequestId`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeImageFromFamilyResponse {
    /// The image.
    pub image: Option<Image>,
}

/// The request of `DescribeImageSupportInstanceTypes`. No field is checked here beyond its type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeImageSupportInstanceTypesRequest {
    /// What the image is wanted for.
    pub action_type: Option<String>,
    /// Further filters.
    pub filter: Vec<Filter>,
    /// The id of the image.
    pub image_id: Option<String>,
    /// Accepted and without effect.
    pub owner_id: Option<i64>,
    /// The region.
    pub region_id: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_account: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_id: Option<i64>,
}

/// The answer of `DescribeImageSupportInstanceTypes`, without its `RequestId`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeImageSupportInstanceTypesResponse {
    /// The id of the image.
    pub image_id: Option<String>,
    /// The instance types.
    pub instance_types: Option<InstanceTypes>,
    /// The region.
    pub region_id: Option<String>,
}

/// The instance types of [`DescribeImageSupportInstanceTypesResponse`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstanceTypes {
    /// The instance type.
    pub instance_type: Vec<InstanceType>,
}

/// The instance type of [`InstanceTypes`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstanceType {
    /// Virtual CPUs.
    pub cpu_core_count: Option<i64>,
    /// The family of the instance type.
    pub instance_type_family: Option<String>,
    /// The id of the instance type.
    pub instance_type_id: Option<String>,
    /// Memory, in GiB.
    pub memory_size: Option<f64>,
}
