//! How instances are found and shown.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Instance, InstanceStatus};
use crate::{
    course::with_minutes,
    error::ApiFault,
    images::wildcard,
    operations::Request,
    paging::page,
    tags::{has_tags, tag_fields},
    world::World,
};

pub(super) fn describe_instances(
    world: &mut World,
    request: &Request<'_>,
) -> Result<Value, ApiFault> {
    let parameters = &request.parameters;
    let ids = parameters.list("InstanceId")?;
    let tags = parameters.tags()?;
    let text = |name| parameters.text(name);
    let status = text("Status");
    if status.as_deref().is_some_and(|status| InstanceStatus::named(status).is_none()) {
        let message = "The specified Status is not valid.";
        return Err(ApiFault::new(404, "InvalidStatus.NotFound", message));
    }
    let (name, image, zone) = (text("InstanceName"), text("ImageId"), text("ZoneId"));
    let (kind, vswitch, group) = (text("InstanceType"), text("VSwitchId"), text("ResourceGroupId"));
    let security_group = text("SecurityGroupId");
    let is_wanted = |instance: &&Instance| {
        instance.region == request.region
            && ids.as_ref().is_none_or(|ids| ids.contains(&instance.id))
            && status.as_ref().is_none_or(|s| s == instance.course.at(request.now).name())
            && name.as_ref().is_none_or(|name| wildcard(name, &instance.name))
            && image.as_ref().is_none_or(|image| *image == instance.image_id)
            && zone.as_ref().is_none_or(|zone| *zone == instance.zone)
            && kind.as_ref().is_none_or(|kind| *kind == instance.instance_type)
            && vswitch.as_ref().is_none_or(|vswitch| *vswitch == instance.vswitch_id)
            && group.as_ref().is_none_or(|group| *group == instance.resource_group_id)
            && security_group.as_ref().is_none_or(|g| instance.security_group_ids.contains(g))
            && has_tags(&instance.tags, &tags)
    };
    let found: Vec<_> = world.instances.values().rev().filter(is_wanted).collect();
    let page = page(request, &found, |instance| show(world, instance, request.now))?;
    Ok(page.answer("Instances", "Instance"))
}

pub(super) fn describe_instance_status(
    world: &mut World,
    request: &Request<'_>,
) -> Result<Value, ApiFault> {
    let ids = request.parameters.list("InstanceId")?;
    let zone = request.parameters.text("ZoneId");
    let is_wanted = |instance: &&Instance| {
        instance.region == request.region
            && ids.as_ref().is_none_or(|ids| ids.contains(&instance.id))
            && zone.as_ref().is_none_or(|zone| *zone == instance.zone)
    };
    let found: Vec<_> = world.instances.values().filter(is_wanted).collect();
    let page = page(
        request,
        &found,
        |instance| json!({ "InstanceId": instance.id, "Status": instance.course.at(request.now).name() }),
    )?;
    Ok(page.answer("InstanceStatuses", "InstanceStatus"))
}

fn show(world: &World, instance: &Instance, now: Timestamp) -> Value {
    let image = world.images.get(&instance.image_id);
    let family = instance.instance_type.rsplit_once('.').map_or("", |(family, _)| family);
    json!({
        "InstanceId": instance.id,
        "InstanceName": instance.name,
        "HostName": instance.name,
        "Description": instance.description,
        "ImageId": instance.image_id,
        "RegionId": instance.region,
        "ZoneId": instance.zone,
        "Status": instance.course.at(now).name(),
        "InstanceType": instance.instance_type,
        "InstanceTypeFamily": family,
        "Cpu": 2,
        "Memory": 4096,
        "OSName": image.map_or("", |image| &image.os_name),
        "OSNameEn": image.map_or("", |image| &image.os_name),
        "OSType": image.map_or("linux", |image| &image.os_type),
        "CreationTime": with_minutes(instance.created),
        "StartTime": with_minutes(instance.course.end()),
        "ExpiredTime": "2099-12-31T15:59Z",
        "AutoReleaseTime": "",
        "InstanceChargeType": instance.charge_type,
        "InstanceNetworkType": "vpc",
        "IoOptimized": true,
        "DeviceAvailable": true,
        "SerialNumber": instance.id.strip_prefix("i-").unwrap_or(&instance.id),
        "KeyPairName": instance.key_pair,
        "StoppedMode": instance.stopped_mode,
        "DeletionProtection": instance.is_protected,
        "InternetMaxBandwidthIn": instance.bandwidth_in,
        "InternetMaxBandwidthOut": instance.bandwidth_out,
        "InternetChargeType": "PayByTraffic",
        "VpcAttributes": {
            "VpcId": "", "VSwitchId": instance.vswitch_id, "NatIpAddress": "",
            "PrivateIpAddress": { "IpAddress": [] },
        },
        "PublicIpAddress": { "IpAddress": [] },
        "InnerIpAddress": { "IpAddress": [] },
        "SecurityGroupIds": { "SecurityGroupId": instance.security_group_ids },
        "NetworkInterfaces": { "NetworkInterface": [] },
        "OperationLocks": { "LockReason": [] },
        "ResourceGroupId": instance.resource_group_id,
        "Tags": tag_fields(&instance.tags),
    })
}
