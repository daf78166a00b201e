//! Images beyond [`import_image`](super::import_image) and [`describe_images`](super::describe_images):
//! `CreateImage`, `ModifyImageAttribute`, `DeleteImage`, `DescribeImageFromFamily` and
//! `DescribeImageSupportInstanceTypes`.

use super::describe_images::{Image, SecureBootOptions};
use super::import_image::Features;
use super::{Filter, Tag};
use serde::{Deserialize, Serialize};

/// The request of `CreateImage`: an image from a snapshot, an instance or disks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateImageRequest {
    /// The processor architecture, for example `x86_64`.
    pub architecture: Option<String>,
    /// `BIOS`, `UEFI` or `UEFI-Preferred`.
    pub boot_mode: Option<String>,
    /// Makes a repeated request the same one.
    pub client_token: Option<String>,
    /// A text for people.
    pub description: Option<String>,
    /// `Standard` to have the image checked once it is there.
    pub detection_strategy: Option<String>,
    /// The disks, the system disk first.
    pub disk_device_mapping: Vec<NewDisk>,
    /// Only check the request.
    pub dry_run: Option<bool>,
    /// What the image can do.
    pub features: Option<NewFeatures>,
    /// The family of the image.
    pub image_family: Option<String>,
    /// The name of the image.
    pub image_name: Option<String>,
    /// The version of the image.
    pub image_version: Option<String>,
    /// The instance to make the image of.
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
    /// What is known of secure boot.
    pub secure_boot_options: Option<SecureBootOptions>,
    /// The snapshot to make the image of.
    pub snapshot_id: Option<String>,
    /// The tags.
    pub tag: Vec<Tag>,
}

/// A disk to make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NewDisk {
    /// The name of the disk, for example `/dev/xvda`.
    pub device: Option<String>,
    /// `system` or `data`.
    pub disk_type: Option<String>,
    /// The size of the disk, in GiB.
    pub size: Option<i64>,
    /// The snapshot to make the disk of.
    pub snapshot_id: Option<String>,
}

/// What the new image can do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NewFeatures {
    /// `v1` or `v2`: how instances are asked for their metadata.
    pub imds_support: Option<String>,
}

/// The answer of `CreateImage`, without its `RequestId`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateImageResponse {
    /// The id of the image.
    pub image_id: Option<String>,
}

/// The request of `ModifyImageAttribute`: change an image; what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ModifyImageAttributeRequest {
    /// `BIOS`, `UEFI` or `UEFI-Preferred`.
    pub boot_mode: Option<String>,
    /// The new text for people.
    pub description: Option<String>,
    /// Only check the request.
    pub dry_run: Option<bool>,
    /// What the image can do.
    pub features: Option<Features>,
    /// The new family; an empty text takes the image out of its family.
    pub image_family: Option<String>,
    /// The id of the image.
    pub image_id: Option<String>,
    /// The new name.
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
    /// `Deprecated` or `Available`.
    pub status: Option<String>,
}

/// The request of `DeleteImage`: delete an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeleteImageRequest {
    /// Only check the request.
    pub dry_run: Option<bool>,
    /// Delete the image though instances use it.
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

/// The request of `DescribeImageFromFamily`: the newest image of a family.
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
    /// The newest usable image of the family; absent where there is none.
    pub image: Option<Image>,
}

/// The request of `DescribeImageSupportInstanceTypes`: the instance types that can start an image.
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
    pub instance_types: Option<SupportedInstanceTypes>,
    /// The region.
    pub region_id: Option<String>,
}

/// The list wrapper of [`DescribeImageSupportInstanceTypesResponse::instance_types`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SupportedInstanceTypes {
    /// The instance types.
    pub instance_type: Vec<SupportedInstanceType>,
}

/// An instance type that can start the image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SupportedInstanceType {
    /// Virtual processors.
    pub cpu_core_count: Option<i64>,
    /// The family of the type, for example `ecs.g7`.
    pub instance_type_family: Option<String>,
    /// The name of the type, for example `ecs.g7.large`.
    pub instance_type_id: Option<String>,
    /// Memory, in GiB.
    pub memory_size: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::testing;

    #[test]
    fn parameters_of_create_image() {
        testing::are_read_and_sent_again::<CreateImageRequest>(&[
            "Architecture=x&BootMode=x&ClientToken=x&Description=x&DetectionStrategy=x&\
             DiskDeviceMapping.1.Device=x&DiskDeviceMapping.1.DiskType=x&\
             DiskDeviceMapping.1.Size=7&DiskDeviceMapping.1.SnapshotId=x&\
             DiskDeviceMapping.2.Device=y&DryRun=true&Features.ImdsSupport=x&ImageFamily=x&\
             ImageName=x&ImageVersion=x&InstanceId=x&OwnerAccount=x&OwnerId=7&Platform=x&\
             RegionId=x&ResourceGroupId=x&ResourceOwnerAccount=x&ResourceOwnerId=7&\
             SecureBootOptions.SecureBootSupport=x&SnapshotId=x&Tag.1.Key=x&Tag.1.Value=x&\
             Tag.2.Key=y",
        ]);
    }

    #[test]
    fn fields_of_create_image() {
        let json = r#"{"ImageId":"x","RequestId":"R"}"#;
        let xml = "<RequestId>R</RequestId><ImageId>x</ImageId>";
        testing::is_written_as_it_is_read::<CreateImageResponse>("CreateImage", json);
        testing::is_written_in_xml::<CreateImageResponse>("CreateImage", json, xml);
    }

    #[test]
    fn parameters_of_modify_image_attribute() {
        testing::are_read_and_sent_again::<ModifyImageAttributeRequest>(&[
            "BootMode=x&Description=x&DryRun=true&Features.ImdsSupport=x&\
             Features.NvmeSupport=x&ImageFamily=x&ImageId=x&ImageName=x&LicenseType=x&\
             OwnerAccount=x&OwnerId=7&RegionId=x&ResourceOwnerAccount=x&ResourceOwnerId=7&\
             Status=x",
        ]);
    }

    #[test]
    fn parameters_of_delete_image() {
        testing::are_read_and_sent_again::<DeleteImageRequest>(&[
            "DryRun=true&Force=true&ImageId=x&OwnerAccount=x&OwnerId=7&RegionId=x&\
             ResourceOwnerAccount=x&ResourceOwnerId=7",
        ]);
    }

    #[test]
    fn parameters_of_describe_image_from_family() {
        testing::are_read_and_sent_again::<DescribeImageFromFamilyRequest>(&[
            "ImageFamily=x&OwnerAccount=x&OwnerId=7&RegionId=x&ResourceOwnerAccount=x&\
             ResourceOwnerId=7",
        ]);
    }

    #[test]
    fn fields_of_describe_image_from_family() {
        let json = r#"{"Image":{"Architecture":"x","CreationTime":"x","Description":"x",
            "DiskDeviceMappings":{"DiskDeviceMapping":[{"Device":"x","Format":"x",
            "ImportOSSBucket":"x","ImportOSSObject":"x","Size":"x","SnapshotId":"x",
            "Type":"x"}]},"ImageFamily":"x","ImageId":"x","ImageName":"x","ImageOwnerAlias":"x",
            "ImageVersion":"x","IsCopied":true,"IsSelfShared":"x","IsSubscribed":true,
            "IsSupportCloudinit":true,"IsSupportIoOptimized":true,"OSName":"x","OSType":"x",
            "Platform":"x","ProductCode":"x","Progress":"x","Size":7,"Status":"x",
            "Tags":{"Tag":[{"TagKey":"x","TagValue":"x"}]},"Usage":"x"},"RequestId":"R"}"#;
        let xml = "<RequestId>R</RequestId><Image><Architecture>x</Architecture><CreationTime>x\
                   </CreationTime><Description>x</Description><DiskDeviceMappings><DiskDeviceMapping>\
                   <Device>x</Device><Format>x</Format><ImportOSSBucket>x</ImportOSSBucket>\
                   <ImportOSSObject>x</ImportOSSObject><Size>x</Size><SnapshotId>x</SnapshotId><Type>x\
                   </Type></DiskDeviceMapping></DiskDeviceMappings><ImageFamily>x</ImageFamily>\
                   <ImageId>x</ImageId><ImageName>x</ImageName><ImageOwnerAlias>x</ImageOwnerAlias>\
                   <ImageVersion>x</ImageVersion><IsCopied>true</IsCopied><IsSelfShared>x\
                   </IsSelfShared><IsSubscribed>true</IsSubscribed><IsSupportCloudinit>true\
                   </IsSupportCloudinit><IsSupportIoOptimized>true</IsSupportIoOptimized><OSName>x\
                   </OSName><OSType>x</OSType><Platform>x</Platform><ProductCode>x</ProductCode>\
                   <Progress>x</Progress><Size>7</Size><Status>x</Status><Tags><Tag><TagKey>x</TagKey>\
                   <TagValue>x</TagValue></Tag></Tags><Usage>x</Usage></Image>";
        testing::is_written_as_it_is_read::<DescribeImageFromFamilyResponse>(
            "DescribeImageFromFamily",
            json,
        );
        testing::is_written_in_xml::<DescribeImageFromFamilyResponse>(
            "DescribeImageFromFamily",
            json,
            xml,
        );
    }

    #[test]
    fn parameters_of_describe_image_support_instance_types() {
        testing::are_read_and_sent_again::<DescribeImageSupportInstanceTypesRequest>(&[
            "ActionType=x&Filter.1.Key=x&Filter.1.Value=x&Filter.2.Key=y&ImageId=x&OwnerId=7&\
             RegionId=x&ResourceOwnerAccount=x&ResourceOwnerId=7",
        ]);
    }

    #[test]
    fn fields_of_describe_image_support_instance_types() {
        let json = r#"{"ImageId":"x","InstanceTypes":{"InstanceType":[{"CpuCoreCount":7,
            "InstanceTypeFamily":"x","InstanceTypeId":"x","MemorySize":7.5}]},"RegionId":"x",
            "RequestId":"R"}"#;
        let xml = "<RequestId>R</RequestId><ImageId>x</ImageId><InstanceTypes><InstanceType>\
                   <CpuCoreCount>7</CpuCoreCount><InstanceTypeFamily>x</InstanceTypeFamily>\
                   <InstanceTypeId>x</InstanceTypeId><MemorySize>7.5</MemorySize></InstanceType>\
                   </InstanceTypes><RegionId>x</RegionId>";
        testing::is_written_as_it_is_read::<DescribeImageSupportInstanceTypesResponse>(
            "DescribeImageSupportInstanceTypes",
            json,
        );
        testing::is_written_in_xml::<DescribeImageSupportInstanceTypesResponse>(
            "DescribeImageSupportInstanceTypes",
            json,
            xml,
        );
    }
}
