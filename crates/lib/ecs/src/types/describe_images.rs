//! `DescribeImages`: the images that a caller can see, page by page.

use super::{Filter, Tag};
use serde::{Deserialize, Serialize};

/// The request. No field is checked here beyond its type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeImagesRequest {
    /// What the image is wanted for.
    pub action_type: Option<String>,
    /// The processor architecture, for example `x86_64`.
    pub architecture: Option<String>,
    /// Only check the request.
    pub dry_run: Option<bool>,
    /// Further filters.
    pub filter: Vec<Filter>,
    /// The family of the image.
    pub image_family: Option<String>,
    /// The id of the image.
    pub image_id: Option<String>,
    /// The name of the image.
    pub image_name: Option<String>,
    /// `system`, `self`, `others` or `marketplace`.
    pub image_owner_alias: Option<String>,
    /// The account that owns the image.
    pub image_owner_id: Option<i64>,
    /// An instance type that the image must support.
    pub instance_type: Option<String>,
    /// Whether it is a community image.
    pub is_public: Option<bool>,
    /// Whether cloud-init is supported.
    pub is_support_cloudinit: Option<bool>,
    /// Whether I/O optimised instances are supported.
    pub is_support_io_optimized: Option<bool>,
    /// `linux` or `windows`.
    #[serde(rename = "OSType")]
    pub os_type: Option<String>,
    /// Accepted and without effect.
    pub owner_account: Option<String>,
    /// Accepted and without effect.
    pub owner_id: Option<i64>,
    /// The page, from 1.
    pub page_number: Option<i64>,
    /// Images on a page.
    pub page_size: Option<i64>,
    /// The region.
    pub region_id: Option<String>,
    /// The resource group.
    pub resource_group_id: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_account: Option<String>,
    /// Accepted and without effect.
    pub resource_owner_id: Option<i64>,
    /// Accepted and without effect.
    pub show_expired: Option<bool>,
    /// The snapshot behind the image.
    pub snapshot_id: Option<String>,
    /// The status; a request may list several with commas.
    pub status: Option<String>,
    /// The tags.
    pub tag: Vec<Tag>,
    /// Whether the image can be used.
    pub usable: Option<bool>,
    /// `instance` or `none`: whether an instance uses it.
    pub usage: Option<String>,
}

/// The answer, without its `RequestId`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeImagesResponse {
    /// The images of this page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<Images>,
    /// The page, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_number: Option<i64>,
    /// Images on a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<i64>,
    /// The region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region_id: Option<String>,
    /// Images on all pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_count: Option<i64>,
}

/// The list wrapper of [`DescribeImagesResponse::images`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Images {
    /// The items.
    pub image: Vec<Image>,
}

/// One image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Image {
    /// The processor architecture, for example `x86_64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// `BIOS`, `UEFI` or `UEFI-Preferred`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_mode: Option<String>,
    /// As `yyyy-MM-ddTHH:mm:ssZ`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_time: Option<String>,
    /// A text for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What the check of the image found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detection_options: Option<DetectionOptions>,
    /// The disks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_device_mappings: Option<DiskDeviceMappings>,
    /// What the image can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<ImageFeatures>,
    /// The family of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_family: Option<String>,
    /// The id of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// The name of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_name: Option<String>,
    /// `system`, `self`, `others` or `marketplace`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_owner_alias: Option<String>,
    /// The account that owns the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_owner_id: Option<i64>,
    /// The version of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_version: Option<String>,
    /// Whether it is a copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_copied: Option<bool>,
    /// Whether it is a community image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_public: Option<bool>,
    /// Whether the owner shares it: `true` or `false` as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_self_shared: Option<String>,
    /// Whether the product of the image is subscribed to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_subscribed: Option<bool>,
    /// Whether cloud-init is supported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_support_cloudinit: Option<bool>,
    /// Whether I/O optimised instances are supported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_support_io_optimized: Option<bool>,
    /// Where the licence of the system comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license_type: Option<String>,
    /// Whether the user `ecs-user` can log in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_as_non_root_supported: Option<bool>,
    /// The system in the language of the region.
    #[serde(rename = "OSName", skip_serializing_if = "Option::is_none")]
    pub os_name: Option<String>,
    /// The system in English.
    #[serde(rename = "OSNameEn", skip_serializing_if = "Option::is_none")]
    pub os_name_en: Option<String>,
    /// `linux` or `windows`.
    #[serde(rename = "OSType", skip_serializing_if = "Option::is_none")]
    pub os_type: Option<String>,
    /// The distribution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The product of the marketplace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_code: Option<String>,
    /// How far it is, with a percent sign: `100%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// The resource group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_group_id: Option<String>,
    /// What is known of secure boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secure_boot_options: Option<SecureBootOptions>,
    /// The size, in GiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// The status; a request may list several with commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Who offers the product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supplier_name: Option<String>,
    /// The tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Tags>,
    /// Whether the image can be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usable: Option<bool>,
    /// `instance` or `none`: whether an instance uses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
}

/// What the check of an image found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DetectionOptions {
    /// The findings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<DetectionItems>,
    /// The status; a request may list several with commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// The list wrapper of [`DetectionOptions::items`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DetectionItems {
    /// The items.
    pub item: Vec<DetectionItem>,
}

/// One finding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DetectionItem {
    /// The check, for example `GUESTOS.Fstab`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The code of what was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk_code: Option<String>,
    /// How bad it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk_level: Option<String>,
    /// The value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// The list wrapper of [`Image::disk_device_mappings`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DiskDeviceMappings {
    /// The disks, the system disk first.
    pub disk_device_mapping: Vec<ImageDisk>,
}

/// One disk of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageDisk {
    /// The name of the disk, for example `/dev/xvda`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Whether the disk is encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// The format of the file, for example `qcow2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The bucket it came from.
    #[serde(rename = "ImportOSSBucket", skip_serializing_if = "Option::is_none")]
    pub import_oss_bucket: Option<String>,
    /// The file it came from.
    #[serde(rename = "ImportOSSObject", skip_serializing_if = "Option::is_none")]
    pub import_oss_object: Option<String>,
    /// How far it is, with a percent sign: `100%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// What is left to do, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remain_time: Option<i64>,
    /// The size, in GiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// The snapshot behind the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<String>,
    /// `system` or `data`.
    #[serde(rename = "Type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// What an image can do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageFeatures {
    /// Whether CPUs can be removed while running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_online_downgrade: Option<String>,
    /// Whether CPUs can be added while running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_online_upgrade: Option<String>,
    /// `v1` or `v2`: how instances are asked for their metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imds_support: Option<String>,
    /// Whether memory can be removed while running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_online_downgrade: Option<String>,
    /// Whether memory can be added while running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_online_upgrade: Option<String>,
    /// Whether NVMe is supported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nvme_support: Option<String>,
}

/// What is known of secure boot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SecureBootOptions {
    /// Whether secure boot is supported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secure_boot_support: Option<String>,
}

/// The list wrapper of [`Image::tags`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Tags {
    /// The tags.
    pub tag: Vec<ImageTag>,
}

/// A tag in an answer, whose fields are named otherwise than in a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageTag {
    /// The name of the tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag_key: Option<String>,
    /// The value of the tag, maybe empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag_value: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::testing;

    /// Every parameter of the public model.
    const PARAMETERS: [&str; 32] = [
        "ActionType=x",
        "Architecture=x",
        "DryRun=true",
        "Filter.1.Key=x",
        "Filter.1.Value=x",
        "Filter.2.Key=x",
        "ImageFamily=x",
        "ImageId=x",
        "ImageName=x",
        "ImageOwnerAlias=x",
        "ImageOwnerId=7",
        "InstanceType=x",
        "IsPublic=true",
        "IsSupportCloudinit=true",
        "IsSupportIoOptimized=true",
        "OSType=x",
        "OwnerAccount=x",
        "OwnerId=7",
        "PageNumber=7",
        "PageSize=7",
        "RegionId=x",
        "ResourceGroupId=x",
        "ResourceOwnerAccount=x",
        "ResourceOwnerId=7",
        "ShowExpired=true",
        "SnapshotId=x",
        "Status=x",
        "Tag.1.Key=x",
        "Tag.1.Value=x",
        "Tag.2.Key=x",
        "Usable=true",
        "Usage=x",
    ];

    /// Every field of the public model.
    const FULL: &str = r#"{
        "Images": {
            "Image": [
                {
                    "Architecture": "x",
                    "BootMode": "x",
                    "CreationTime": "x",
                    "Description": "x",
                    "DetectionOptions": {
                        "Items": {
                            "Item": [
                                {
                                    "Name": "x",
                                    "RiskCode": "x",
                                    "RiskLevel": "x",
                                    "Value": "x"
                                }
                            ]
                        },
                        "Status": "x"
                    },
                    "DiskDeviceMappings": {
                        "DiskDeviceMapping": [
                            {
                                "Device": "x",
                                "Encrypted": true,
                                "Format": "x",
                                "ImportOSSBucket": "x",
                                "ImportOSSObject": "x",
                                "Progress": "x",
                                "RemainTime": 7,
                                "Size": "x",
                                "SnapshotId": "x",
                                "Type": "x"
                            }
                        ]
                    },
                    "Features": {
                        "CpuOnlineDowngrade": "x",
                        "CpuOnlineUpgrade": "x",
                        "ImdsSupport": "x",
                        "MemoryOnlineDowngrade": "x",
                        "MemoryOnlineUpgrade": "x",
                        "NvmeSupport": "x"
                    },
                    "ImageFamily": "x",
                    "ImageId": "x",
                    "ImageName": "x",
                    "ImageOwnerAlias": "x",
                    "ImageOwnerId": 7,
                    "ImageVersion": "x",
                    "IsCopied": true,
                    "IsPublic": true,
                    "IsSelfShared": "x",
                    "IsSubscribed": true,
                    "IsSupportCloudinit": true,
                    "IsSupportIoOptimized": true,
                    "LicenseType": "x",
                    "LoginAsNonRootSupported": true,
                    "OSName": "x",
                    "OSNameEn": "x",
                    "OSType": "x",
                    "Platform": "x",
                    "ProductCode": "x",
                    "Progress": "x",
                    "ResourceGroupId": "x",
                    "SecureBootOptions": {
                        "SecureBootSupport": "x"
                    },
                    "Size": 7,
                    "Status": "x",
                    "SupplierName": "x",
                    "Tags": {
                        "Tag": [
                            {
                                "TagKey": "x",
                                "TagValue": "x"
                            }
                        ]
                    },
                    "Usable": true,
                    "Usage": "x"
                }
            ]
        },
        "PageNumber": 7,
        "PageSize": 7,
        "RegionId": "x",
        "RequestId": "R",
        "TotalCount": 7
    }"#;

    #[test]
    fn every_parameter_is_read_and_sent_again() {
        testing::are_read_and_sent_again::<DescribeImagesRequest>(&PARAMETERS);
    }

    #[test]
    fn every_field_of_the_answer_is_written_as_it_is_read() {
        testing::is_written_as_it_is_read::<DescribeImagesResponse>("DescribeImages", FULL);
    }
}
