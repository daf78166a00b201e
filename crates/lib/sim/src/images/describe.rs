//! How images are found and shown.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Check, Image, ImageStatus, Owner};
use crate::{
    course::{parse_time, with_seconds},
    error::ApiFault,
    operations::Request,
    paging::page,
    tags::{has_tags, tag_fields},
    world::World,
};

pub(crate) fn describe_images(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let parameters = &request.parameters;
    let text = |name| parameters.text(name);
    let ids = parameters.list("ImageId")?;
    let ids = ids.map(|ids| ids.iter().flat_map(|ids| comma_list(ids)).collect::<Vec<_>>());
    let statuses = comma_list(&text("Status").unwrap_or_else(|| "Available".into()));
    let owner = text("ImageOwnerAlias");
    if owner.as_deref().is_some_and(|owner| Owner::named(owner).is_none()) {
        let message = "The specified ImageOwnerAlias value is not supported.";
        return Err(ApiFault::new(400, "InvalidImageOwnerAlias.ValueNotSupported", message));
    }
    let (after, before) = creation_range(request)?;
    let is_public = parameters.flag("IsPublic")?;
    let tags = parameters.tags()?;
    let (name, family, group) = (text("ImageName"), text("ImageFamily"), text("ResourceGroupId"));
    let (architecture, os_type) = (text("Architecture"), text("OSType"));
    let (snapshot, usage) = (text("SnapshotId"), text("Usage"));
    let is_wanted = |image: &&Image| {
        let status = image.course.at(request.now).name();
        image.is_in(&request.region)
            && statuses.iter().any(|wanted| wanted == "ALL" || wanted == status)
            && ids.as_ref().is_none_or(|ids| ids.contains(&image.id))
            && name.as_ref().is_none_or(|name| name_matches(name, &image.name))
            && owner.as_ref().is_none_or(|owner| owner == image.owner.name())
            && family.as_ref().is_none_or(|family| *family == image.family)
            && group.as_ref().is_none_or(|group| *group == image.resource_group_id)
            && architecture.as_ref().is_none_or(|wanted| *wanted == image.architecture)
            && os_type.as_ref().is_none_or(|wanted| *wanted == image.os_type)
            && is_public.is_none_or(|wanted| wanted == image.is_public)
            && usage.as_ref().is_none_or(|wanted| wanted == usage_of(world, image))
            && snapshot.as_ref().is_none_or(|wanted| {
                image.disks.iter().any(|disk| disk.snapshot_id.as_ref() == Some(wanted))
            })
            && after.is_none_or(|after| image.created >= after)
            && before.is_none_or(|before| image.created <= before)
            && has_tags(&image.tags, &tags)
    };
    let mut found: Vec<_> = world.images.values().rev().filter(is_wanted).collect();
    found.sort_by_key(|image| std::cmp::Reverse(image.created));
    let page = page(request, &found, |image| show(world, image, request.now))?;
    let mut answer = page.answer("Images", "Image");
    if let Some(fields) = answer.as_object_mut() {
        fields.insert("RegionId".into(), request.region.clone().into());
    }
    Ok(answer)
}

pub(crate) fn describe_image_from_family(
    world: &mut World,
    request: &Request<'_>,
) -> Result<Value, ApiFault> {
    let family = request.parameters.required("ImageFamily")?;
    let available = world.images.values().filter(|image| {
        image.is_in(&request.region)
            && image.owner == Owner::Own
            && image.family == family
            && image.course.at(request.now) == ImageStatus::Available
    });
    Ok(match available.max_by_key(|image| image.created) {
        Some(image) => json!({ "Image": show(world, image, request.now) }),
        None => json!({}),
    })
}

/// The filters of the creation time. Those of features that images here do not differ in are
/// passed over.
fn creation_range(
    request: &Request<'_>,
) -> Result<(Option<Timestamp>, Option<Timestamp>), ApiFault> {
    let (mut after, mut before) = (None, None);
    for filter in request.parameters.items("Filter")? {
        let time = || {
            let text = filter.text("Value").unwrap_or_default();
            let message = "The specified Filter.N.Value is not valid.";
            parse_time(&text).ok_or_else(|| ApiFault::new(404, "InvalidFilterValue", message))
        };
        match filter.text("Key").as_deref() {
            Some("CreationStartTime") => after = Some(time()?),
            Some("CreationEndTime") => before = Some(time()?),
            Some(
                "NetworkType"
                | "CpuOnlineUpgrade"
                | "CpuOnlineDowngrade"
                | "MemoryOnlineUpgrade"
                | "MemoryOnlineDowngrade",
            ) => {}
            _ => {
                let message = "The specified Filter.N.Key is not valid.";
                return Err(ApiFault::new(404, "InvalidFilterKey.NotFound", message));
            }
        }
    }
    Ok((after, before))
}

fn comma_list(text: &str) -> Vec<String> {
    text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// The operation searches names for a part, or for a pattern where it has a `*`.
fn name_matches(wanted: &str, name: &str) -> bool {
    if wanted.contains('*') { wildcard(wanted, name) } else { name.contains(wanted) }
}

/// `*` is any text. Each part is taken at its first place, which is enough where the last part has
/// to be at the end.
pub(crate) fn wildcard(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

fn usage_of(world: &World, image: &Image) -> &'static str {
    match world.instances.values().any(|instance| instance.image_id == image.id) {
        true => "instance",
        false => "none",
    }
}

fn show(world: &World, image: &Image, now: Timestamp) -> Value {
    let status = image.course.at(now);
    let progress = format!("{}%", image.course.percent(now));
    let copy_progress = if image.is_copy { progress.as_str() } else { "" };
    let disks: Vec<_> = (image.disks.iter())
        .map(|disk| {
            json!({
                "Type": disk.kind.name(),
                "Device": disk.device,
                "Size": disk.size_gib.to_string(),
                "SnapshotId": disk.snapshot_id.as_deref().unwrap_or_default(),
                "Format": "",
                "ImportOSSBucket": "",
                "ImportOSSObject": "",
                "Progress": copy_progress,
                "RemainTime": image.course.remaining(now),
                "Encrypted": false,
            })
        })
        .collect();
    let mut shown = json!({
        "ImageId": image.id,
        "ImageName": image.name,
        "Description": image.description,
        "ImageFamily": image.family,
        "ImageVersion": "",
        "ImageOwnerAlias": image.owner.name(),
        "Architecture": image.architecture,
        "BootMode": image.boot_mode,
        "OSType": image.os_type,
        "OSName": image.os_name,
        "OSNameEn": image.os_name,
        "Platform": image.platform,
        "Size": image.size_gib,
        "Status": status.name(),
        "Progress": progress,
        "CreationTime": with_seconds(image.created),
        "Usage": usage_of(world, image),
        "IsCopied": image.is_copy,
        "IsPublic": image.is_public,
        "IsSubscribed": false,
        "IsSupportCloudinit": true,
        "IsSupportIoOptimized": true,
        "LoginAsNonRootSupported": false,
        "Usable": matches!(status, ImageStatus::Available | ImageStatus::Deprecated),
        "IsSelfShared": if image.shared_with.is_empty() { "" } else { "true" },
        "ProductCode": "",
        "SupplierName": "",
        "ResourceGroupId": image.resource_group_id,
        "DiskDeviceMappings": { "DiskDeviceMapping": disks },
        "Features": { "NvmeSupport": "supported", "ImdsSupport": "v1" },
        "Tags": tag_fields(&image.tags),
    });
    let is_made = matches!(status, ImageStatus::Available | ImageStatus::Deprecated);
    if let (Some(check), Some(fields), true) = (&image.check, shown.as_object_mut(), is_made) {
        fields.insert("DetectionOptions".into(), show_check(check, now));
    }
    shown
}

fn show_check(check: &Check, now: Timestamp) -> Value {
    if now < check.finished {
        return json!({ "Status": "Processing", "Items": { "Item": [] } });
    }
    let items: Vec<_> = (check.items.iter())
        .map(|item| {
            let mut shown = serde_json::Map::new();
            shown.insert("Name".into(), item.name.clone().into());
            shown.insert("Value".into(), item.value.clone().into());
            for (key, value) in [("RiskLevel", &item.risk_level), ("RiskCode", &item.risk_code)] {
                if let Some(value) = value {
                    shown.insert(key.into(), value.clone().into());
                }
            }
            Value::Object(shown)
        })
        .collect();
    json!({ "Status": "Finished", "Items": { "Item": items } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_part_and_by_pattern() {
        for (wanted, name, found) in [
            ("web", "my-web-1", true),
            ("web", "wed", false),
            ("web*", "web-1", true),
            ("web*", "my-web", false),
            ("*-1", "web-1-1", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxcyyb", false),
            ("*", "anything", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(name_matches(wanted, name), found, "{wanted} {name}");
        }
    }
}
