//! An image as clients read it.

use jiff::Timestamp;
use kiln_ecs::types::describe_images as wire;
use kiln_model::{
    Architecture, BootMode, DetectionStatus, Disk, DiskKind, Image, ImageStatus, ImdsSupport,
    LicenseType, OsType, Support,
};

use super::check::to_second;

/// `image` as `account` sees it at the time `now`.
#[must_use]
pub(super) fn image(image: &Image, account: &str, now: Timestamp) -> wire::Image {
    let is_own = image.owner == account;
    let is_shared = is_own && !image.shared.is_empty();
    let (os_name, os_name_en) = os_names(image);
    let text = |text: &str| Some(text.to_owned());
    wire::Image {
        architecture: text(architecture(image.architecture)),
        boot_mode: text(boot_mode(image.boot_mode)),
        creation_time: Some(to_second(image.created)),
        description: text(&image.description),
        detection_options: detection(image),
        disk_device_mappings: Some(disks(image, is_own, now)),
        features: Some(features(image)),
        image_family: text(image.family.as_deref().unwrap_or_default()),
        image_id: text(&image.id),
        image_name: text(&image.name),
        image_owner_alias: text(if is_own { "self" } else { "others" }),
        // Told of what others own only: one's own account is no news.
        image_owner_id: image.owner.parse().ok().filter(|_| !is_own),
        image_version: text(&image.version),
        is_copied: Some(image.copied_from.is_some()),
        is_public: Some(image.is_public),
        is_self_shared: text(if is_shared { "true" } else { "" }),
        is_subscribed: Some(false),
        is_support_cloudinit: Some(image.has_cloud_init),
        is_support_io_optimized: Some(true),
        license_type: text(license_type(image.license_type)),
        login_as_non_root_supported: Some(false),
        os_name: Some(os_name),
        os_name_en: Some(os_name_en),
        os_type: text(os_type(image.os_type)),
        platform: text(platform(&image.platform)),
        product_code: text(""),
        progress: Some(percent(image.progress)),
        resource_group_id: text(image.resource_group.as_deref().filter(|_| is_own).unwrap_or("")),
        secure_boot_options: Some(wire::SecureBootOptions {
            secure_boot_support: text("unsupported"),
        }),
        size: Some(i64::try_from(image.size_gib()).unwrap_or(i64::MAX)),
        status: text(status(image.status)),
        supplier_name: text(""),
        tags: Some(tags(image, is_own)),
        usable: Some(is_usable(image.status)),
        usage: text("none"),
    }
}

/// Whether an instance can be made of an image in this state.
#[must_use]
pub(super) fn is_usable(status: ImageStatus) -> bool {
    matches!(status, ImageStatus::Available | ImageStatus::Deprecated)
}

/// `0%` to `100%`.
#[must_use]
pub(super) fn percent(progress: u8) -> String {
    format!("{}%", progress.min(100))
}

/// The word of a state.
#[must_use]
pub(super) fn status(status: ImageStatus) -> &'static str {
    match status {
        ImageStatus::Creating => "Creating",
        ImageStatus::Waiting => "Waiting",
        ImageStatus::Available => "Available",
        ImageStatus::UnAvailable => "UnAvailable",
        ImageStatus::CreateFailed => "CreateFailed",
        ImageStatus::Deprecated => "Deprecated",
    }
}

/// The state of this word.
#[must_use]
pub(super) fn status_of(word: &str) -> Option<ImageStatus> {
    use ImageStatus::{Available, CreateFailed, Creating, Deprecated, UnAvailable, Waiting};
    [Creating, Waiting, Available, UnAvailable, CreateFailed, Deprecated]
        .into_iter()
        .find(|known| status(*known) == word)
}

fn architecture(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::I386 => "i386",
        Architecture::X86_64 => "x86_64",
        Architecture::Arm64 => "arm64",
    }
}

fn boot_mode(mode: BootMode) -> &'static str {
    match mode {
        BootMode::Bios => "BIOS",
        BootMode::Uefi => "UEFI",
        BootMode::UefiPreferred => "UEFI-Preferred",
    }
}

fn license_type(license: LicenseType) -> &'static str {
    match license {
        LicenseType::Auto => "Auto",
        LicenseType::Aliyun => "Aliyun",
        LicenseType::Byol => "BYOL",
    }
}

fn os_type(os_type: OsType) -> &'static str {
    match os_type {
        OsType::Linux => "linux",
        OsType::Windows => "windows",
    }
}

/// Taken without a blank, told with one.
fn platform(platform: &str) -> &str {
    if platform == "RedHat" { "Red Hat" } else { platform }
}

/// The system's name in Chinese and in English: `Ubuntu 22.04 64位`, `Ubuntu 22.04 64 bit`.
fn os_names(image: &Image) -> (String, String) {
    let known = if image.os_name.is_empty() { &image.platform } else { &image.os_name };
    let name = platform(known);
    let (bits, chinese, english) = match image.architecture {
        Architecture::I386 => (32, "", ""),
        Architecture::X86_64 => (64, "", ""),
        Architecture::Arm64 => (64, " ARM版", " for ARM"),
    };
    (format!("{name} {bits}位{chinese}"), format!("{name} {bits} bit{english}"))
}

/// The result of the check, where there is one.
fn detection(image: &Image) -> Option<wire::DetectionOptions> {
    let detection = image.detection.as_ref()?;
    let status = match detection.status {
        DetectionStatus::Processing => "Processing",
        DetectionStatus::Finished => "Finished",
    };
    let item = |item: &kiln_model::DetectionItem| wire::DetectionItem {
        name: Some(item.name.clone()),
        risk_code: item.risk_code.clone(),
        risk_level: item.risk_level.clone(),
        value: Some(item.value.clone()),
    };
    Some(wire::DetectionOptions {
        items: Some(wire::DetectionItems { item: detection.items.iter().map(item).collect() }),
        status: Some(status.to_owned()),
    })
}

fn features(image: &Image) -> wire::ImageFeatures {
    let unsupported = || Some("unsupported".to_owned());
    let nvme = match image.nvme {
        Support::Supported => "supported",
        Support::Unsupported => "unsupported",
    };
    let imds = match image.imds {
        ImdsSupport::V1 => "v1",
        ImdsSupport::V2 => "v2",
    };
    wire::ImageFeatures {
        cpu_online_downgrade: unsupported(),
        cpu_online_upgrade: unsupported(),
        imds_support: Some(imds.to_owned()),
        memory_online_downgrade: unsupported(),
        memory_online_upgrade: unsupported(),
        nvme_support: Some(nvme.to_owned()),
    }
}

/// The disks, the system disk first: clients read the first one.
fn disks(image: &Image, is_own: bool, now: Timestamp) -> wire::DiskDeviceMappings {
    let is_made = matches!(image.status, ImageStatus::Creating | ImageStatus::Waiting);
    let elapsed = now.as_second().saturating_sub(image.created.as_second());
    let mut disks: Vec<&Disk> = image.disks.iter().collect();
    disks.sort_by_key(|disk| disk.kind != DiskKind::System);
    let disk = |disk: &Disk| {
        let declared = disk.declared_format.as_ref().map(|format| format.to_lowercase());
        // Whose image it is may keep the bucket to itself.
        let source = disk.source.as_ref().filter(|_| is_own).cloned();
        let (bucket, object) =
            source.map(|source| (source.bucket, source.object)).unwrap_or_default();
        let kind = match disk.kind {
            DiskKind::System => "system",
            DiskKind::Data => "data",
        };
        wire::ImageDisk {
            device: Some(disk.device.clone()),
            encrypted: Some(false),
            format: Some(disk.format.clone().or(declared).unwrap_or_default()),
            import_oss_bucket: Some(bucket),
            import_oss_object: Some(object),
            progress: Some(if is_made { percent(disk.progress) } else { String::new() }),
            remain_time: Some(if is_made { remaining(elapsed, disk.progress) } else { 0 }),
            size: Some(disk.size_gib.to_string()),
            snapshot_id: Some(disk.snapshot.clone()),
            kind: Some(kind.to_owned()),
        }
    };
    wire::DiskDeviceMappings { disk_device_mapping: disks.into_iter().map(disk).collect() }
}

/// Seconds that are left if it goes on as fast as until now; 0 where nothing can be said yet.
fn remaining(elapsed: i64, progress: u8) -> i64 {
    let done = i64::from(progress.min(100));
    elapsed.max(0).saturating_mul(100 - done).checked_div(done).unwrap_or(0)
}

fn tags(image: &Image, is_own: bool) -> wire::Tags {
    // Tags are the owner's; another account sees what kiln found out about the image.
    let tags = image.tags.iter().filter(|(key, _)| is_own || key.starts_with("acs:"));
    let tag = |(key, value): (&String, &String)| wire::ImageTag {
        tag_key: Some(key.clone()),
        tag_value: Some(value.clone()),
    };
    wire::Tags { tag: tags.map(tag).collect() }
}

#[cfg(test)]
mod tests {
    use kiln_model::{CopySource, Detection, DetectionItem, ObjectName};
    use serde_json::{Value, json};

    use super::*;
    use crate::ecs::actions::testing::{OWNER, sound};

    fn seen_by(account: &str, image: &Image) -> Value {
        let now = image.created + jiff::SignedDuration::from_secs(30);
        serde_json::to_value(super::image(image, account, now)).unwrap()
    }

    #[test]
    fn every_field_is_told_in_the_words_of_the_wire() {
        let mut image = sound("m-1");
        image.platform = "RedHat".to_owned();
        image.tags.insert("k".to_owned(), "v".to_owned());
        image.detection = Some(Detection {
            status: DetectionStatus::Finished,
            items: vec![DetectionItem {
                name: "Nvme".to_owned(),
                value: "Supported".to_owned(),
                risk_level: None,
                risk_code: None,
            }],
            fault: None,
        });
        image.disks[0].source =
            Some(ObjectName { bucket: "b".to_owned(), object: "o.raw".to_owned() });
        let expected = json!({
            "Architecture": "x86_64", "BootMode": "BIOS", "CreationTime": "2025-07-01T08:09:10Z",
            "Description": "",
            "DetectionOptions": {
                "Items": {"Item": [{
                    "Name": "Nvme", "Value": "Supported",
                }]},
                "Status": "Finished",
            },
            "DiskDeviceMappings": {"DiskDeviceMapping": [{
                "Device": "/dev/xvda", "Encrypted": false, "Format": "raw", "ImportOSSBucket": "b",
                "ImportOSSObject": "o.raw", "Progress": "", "RemainTime": 0, "Size": "40",
                "SnapshotId": "s-m-1", "Type": "system",
            }]},
            "Features": {
                "CpuOnlineDowngrade": "unsupported", "CpuOnlineUpgrade": "unsupported",
                "ImdsSupport": "v1", "MemoryOnlineDowngrade": "unsupported",
                "MemoryOnlineUpgrade": "unsupported", "NvmeSupport": "unsupported",
            },
            "ImageFamily": "", "ImageId": "m-1", "ImageName": "name-m-1",
            "ImageOwnerAlias": "self", "ImageVersion": "1",
            "IsCopied": false, "IsPublic": false, "IsSelfShared": "", "IsSubscribed": false,
            "IsSupportCloudinit": true, "IsSupportIoOptimized": true, "LicenseType": "Auto",
            "LoginAsNonRootSupported": false, "OSName": "Red Hat 64位",
            "OSNameEn": "Red Hat 64 bit", "OSType": "linux", "Platform": "Red Hat",
            "ProductCode": "", "Progress": "100%", "ResourceGroupId": "",
            "SecureBootOptions": {"SecureBootSupport": "unsupported"}, "Size": 40,
            "Status": "Available", "SupplierName": "",
            "Tags": {"Tag": [{"TagKey": "k", "TagValue": "v"}]},
            "Usable": true, "Usage": "none",
        });
        assert_eq!(seen_by(OWNER, &image), expected);
    }

    #[test]
    fn others_see_whose_it_is_and_not_where_it_came_from() {
        let mut image = sound("m-1");
        image.shared.insert("2".to_owned(), image.created);
        image.resource_group = Some("rg-1".to_owned());
        image.tags = [("k", "v"), ("acs:ecs:image:osVersion", "9")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        image.disks[0].source = Some(ObjectName { bucket: "b".to_owned(), object: "o".to_owned() });
        let (own, other) = (seen_by(OWNER, &image), seen_by("2", &image));
        assert_eq!(
            (&own["IsSelfShared"], &own["ResourceGroupId"]),
            (&json!("true"), &json!("rg-1"))
        );
        assert_eq!(other["ImageOwnerId"], json!(1_000_000_000_000_001_i64));
        assert_eq!(other["ImageOwnerAlias"], "others");
        for hidden in ["IsSelfShared", "ResourceGroupId"] {
            assert_eq!(other[hidden], "", "{hidden}");
        }
        let disk = &other["DiskDeviceMappings"]["DiskDeviceMapping"][0];
        assert_eq!((&disk["ImportOSSBucket"], &disk["ImportOSSObject"]), (&json!(""), &json!("")));
        assert_eq!(other["Tags"]["Tag"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn an_image_in_the_making_tells_how_far_it_is() {
        let mut image = sound("m-1");
        image.status = ImageStatus::Creating;
        image.copied_from = Some(CopySource { region: "cn-b".to_owned(), image: "m-0".to_owned() });
        let mut data = image.disks[0].clone();
        data.kind = DiskKind::Data;
        image.disks[0].progress = 25;
        image.disks.insert(0, data);
        let seen = seen_by(OWNER, &image);
        let disks = &seen["DiskDeviceMappings"]["DiskDeviceMapping"];
        assert_eq!((&disks[0]["Type"], &disks[1]["Type"]), (&json!("system"), &json!("data")));
        assert_eq!((&disks[0]["Progress"], &disks[0]["RemainTime"]), (&json!("25%"), &json!(90)));
        assert_eq!((&seen["IsCopied"], &seen["Usable"]), (&json!(true), &json!(false)));
        assert_eq!(remaining(30, 0), 0);
        assert_eq!(remaining(-30, 200), 0);
    }

    #[test]
    fn words_of_states_are_read_as_they_are_told() {
        for word in
            ["Creating", "Waiting", "Available", "UnAvailable", "CreateFailed", "Deprecated"]
        {
            assert_eq!(status_of(word).map(status), Some(word));
        }
        assert_eq!(status_of("available"), None);
    }

    #[test]
    fn arm_and_32_bits_are_in_the_name() {
        let mut image = sound("m-1");
        image.os_name = "Debian 12".to_owned();
        image.architecture = Architecture::Arm64;
        let names = ["Debian 12 64位 ARM版", "Debian 12 64 bit for ARM"].map(str::to_owned);
        assert_eq!(os_names(&image), names.into());
        image.architecture = Architecture::I386;
        assert_eq!(os_names(&image).1, "Debian 12 32 bit");
    }
}
