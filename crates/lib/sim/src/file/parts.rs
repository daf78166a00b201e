//! The resources of a world file.

use indexmap::IndexMap;

use super::{
    fields::{Fields, entries, items, text, wrong},
    long_ago, read_check_items,
};
use crate::{
    commands::Command,
    course::Course,
    disks::{Disk, DiskKind, DiskStatus},
    error::WorldError,
    images::{Check, Image, ImageDisk, ImageStatus, Owner},
    instances::{Instance, InstanceStatus},
    launch_templates::{LaunchTemplate, Version, data_in_wire_names},
    scaling::ScalingConfiguration,
    snapshots::{Snapshot, SnapshotStatus},
    world::World,
    yaml::{Content, Node},
};

/// An identifier that nothing else has.
fn read_id(world: &World, fields: &mut Fields<'_>) -> Result<String, WorldError> {
    let id = fields.required("id")?;
    match world.holds(&id) {
        true => Err(fields.wrong("id", format!("`{id}` is here already"))),
        false => Ok(id),
    }
}

/// A region that the world has; the first, where none is named.
fn read_region(world: &World, fields: &mut Fields<'_>) -> Result<String, WorldError> {
    let Some(region) = fields.text("region")? else {
        return Ok(world.regions.first().map(|region| region.id.clone()).unwrap_or_default());
    };
    if world.has_region(&region) {
        return Ok(region);
    }
    let known: Vec<_> = world.regions.iter().map(|region| region.id.as_str()).collect();
    Err(fields.wrong("region", format!("`{region}` is not one of {}", known.join(", "))))
}

/// Tags are a mapping.
fn read_tags(fields: &mut Fields<'_>) -> Result<IndexMap<String, String>, WorldError> {
    let path = fields.path("tags");
    let Some(node) = fields.get("tags") else { return Ok(IndexMap::new()) };
    let tags = entries(node, &path)?.iter();
    tags.map(|(key, value)| Ok((key.clone(), text(value, &path)?))).collect()
}

pub(super) fn read_snapshot(world: &mut World, node: &Node, path: &str) -> Result<(), WorldError> {
    let mut fields = Fields::of(node, path)?;
    let id = read_id(world, &mut fields)?;
    let status = fields.one_of("status", SnapshotStatus::NAMES)?;
    let status = status.and_then(SnapshotStatus::named).unwrap_or(SnapshotStatus::Accomplished);
    let kind = fields.one_of("diskType", DiskKind::NAMES)?;
    let created = fields.time("created")?.unwrap_or_else(long_ago);
    let snapshot = Snapshot {
        id: id.clone(),
        name: fields.text_or("name", "")?,
        description: fields.text_or("description", "")?,
        region: read_region(world, &mut fields)?,
        disk_id: fields.text_or("diskId", "")?,
        disk_kind: kind.and_then(DiskKind::named).unwrap_or(DiskKind::System),
        size_gib: fields.number("size", 1..=65_536)?.unwrap_or(20),
        course: Course::new(status, created),
        retention_days: fields.number("retentionDays", 1..=65_536)?,
        resource_group_id: fields.text_or("resourceGroupId", "")?,
        tags: read_tags(&mut fields)?,
        made: false,
    };
    fields.finish()?;
    world.snapshots.insert(id, snapshot);
    Ok(())
}

/// A public image is in every region unless the file says one. An own image that names a snapshot
/// has it; the file need not list it too.
pub(super) fn read_image(world: &mut World, node: &Node, path: &str) -> Result<(), WorldError> {
    let mut fields = Fields::of(node, path)?;
    let id = read_id(world, &mut fields)?;
    let owner = fields.one_of("owner", Owner::NAMES)?;
    let owner = owner.and_then(Owner::named).unwrap_or(Owner::Own);
    let region = match (owner, read_region(world, &mut fields)?) {
        (Owner::Own, region) => Some(region),
        (_, region) => fields.get("region").map(|_| region),
    };
    let status = fields.one_of("status", ImageStatus::NAMES)?;
    let status = status.and_then(ImageStatus::named).unwrap_or(ImageStatus::Available);
    let size_gib = fields.number("size", 1..=32_768)?.unwrap_or(20);
    let snapshot_id = fields.text("snapshotId")?;
    let created = fields.time("created")?.unwrap_or_else(long_ago);
    let items_path = fields.path("checkItems");
    let check = fields.get("checkItems").map(|items| read_check_items(items, &items_path));
    let check = check.transpose()?.map(|items| Check { finished: created, items });
    let shared_with = read_accounts(&mut fields, created)?;
    let image = Image {
        id: id.clone(),
        name: fields.text("name")?.unwrap_or_else(|| id.clone()),
        description: fields.text_or("description", "")?,
        family: fields.text_or("family", "")?,
        region,
        owner,
        architecture: fields.text_or("architecture", "x86_64")?,
        os_type: fields.one_of("osType", &["linux", "windows"])?.unwrap_or("linux").to_owned(),
        os_name: fields.text_or("osName", "")?,
        platform: fields.text_or("platform", "Others Linux")?,
        boot_mode: fields
            .one_of("bootMode", &["BIOS", "UEFI", "UEFI-Preferred"])?
            .unwrap_or("BIOS")
            .to_owned(),
        size_gib,
        created,
        course: Course::new(status, created),
        is_copy: false,
        disks: vec![ImageDisk {
            kind: DiskKind::System,
            device: "/dev/xvda".into(),
            size_gib,
            snapshot_id: snapshot_id.clone(),
        }],
        check,
        has_assistant: fields.flag("cloudAssistant")?.unwrap_or(true),
        resource_group_id: fields.text_or("resourceGroupId", "")?,
        tags: read_tags(&mut fields)?,
        shared_with,
        is_public: fields.flag("public")?.unwrap_or(false),
        made: false,
    };
    fields.finish()?;
    if let Some(snapshot_id) = snapshot_id
        && let Some(region) = &image.region
        && !world.holds(&snapshot_id)
    {
        let snapshot = snapshot_of_image(&snapshot_id, region, &image);
        world.snapshots.insert(snapshot_id, snapshot);
    }
    world.images.insert(id, image);
    Ok(())
}

fn snapshot_of_image(id: &str, region: &str, image: &Image) -> Snapshot {
    Snapshot {
        id: id.to_owned(),
        name: String::new(),
        description: String::new(),
        region: region.to_owned(),
        disk_id: String::new(),
        disk_kind: DiskKind::System,
        size_gib: image.size_gib,
        course: Course::new(SnapshotStatus::Accomplished, image.created),
        retention_days: None,
        resource_group_id: String::new(),
        tags: IndexMap::new(),
        made: false,
    }
}

fn read_accounts(
    fields: &mut Fields<'_>,
    since: jiff::Timestamp,
) -> Result<IndexMap<String, jiff::Timestamp>, WorldError> {
    let path = fields.path("sharedWith");
    let Some(node) = fields.get("sharedWith") else { return Ok(IndexMap::new()) };
    items(node, &path)?.iter().map(|account| Ok((text(account, &path)?, since))).collect()
}

pub(super) fn read_instance(world: &mut World, node: &Node, path: &str) -> Result<(), WorldError> {
    let mut fields = Fields::of(node, path)?;
    let id = read_id(world, &mut fields)?;
    let region = read_region(world, &mut fields)?;
    let status = fields.one_of("status", &["Running", "Stopped"])?;
    let status = status.and_then(InstanceStatus::named).unwrap_or(InstanceStatus::Running);
    let created = fields.time("created")?.unwrap_or_else(long_ago);
    let zone = fields.text("zone")?.unwrap_or_else(|| world.first_zone(&region));
    let instance = Instance {
        id: id.clone(),
        name: fields.text("name")?.unwrap_or_else(|| id.clone()),
        description: fields.text_or("description", "")?,
        image_id: fields.text_or("imageId", "")?,
        region,
        zone,
        instance_type: fields.text_or("instanceType", "ecs.c7.large")?,
        charge_type: fields
            .one_of("chargeType", &["PostPaid", "PrePaid"])?
            .unwrap_or("PostPaid")
            .to_owned(),
        security_group_ids: fields.text("securityGroupId")?.into_iter().collect(),
        vswitch_id: fields.text_or("vSwitchId", "")?,
        key_pair: String::new(),
        resource_group_id: fields.text_or("resourceGroupId", "")?,
        bandwidth_in: 0,
        bandwidth_out: 0,
        is_protected: fields.flag("deletionProtection")?.unwrap_or(false),
        stopped_mode: "Not-applicable".into(),
        created,
        course: Course::new(status, created),
        has_assistant: fields.flag("cloudAssistant")?.unwrap_or(true),
        assistant_is_pending: false,
        tags: read_tags(&mut fields)?,
        made: false,
    };
    fields.finish()?;
    world.instances.insert(id, instance);
    Ok(())
}

pub(super) fn read_disk(world: &mut World, node: &Node, path: &str) -> Result<(), WorldError> {
    let mut fields = Fields::of(node, path)?;
    let id = read_id(world, &mut fields)?;
    let instance_id = fields.text_or("instanceId", "")?;
    let kind = fields.one_of("type", DiskKind::NAMES)?;
    let kind = kind.and_then(DiskKind::named).unwrap_or(DiskKind::Data);
    let instance = world.instances.get(&instance_id);
    if !instance_id.is_empty() && instance.is_none() {
        let reason = format!("`{instance_id}` is not one of `instances`");
        return Err(fields.wrong("instanceId", reason));
    }
    let (region, zone) = match instance {
        Some(instance) => (instance.region.clone(), instance.zone.clone()),
        None => {
            let region = read_region(world, &mut fields)?;
            let zone = fields.text("zone")?.unwrap_or_else(|| world.first_zone(&region));
            (region, zone)
        }
    };
    let image_id = instance.filter(|_| kind == DiskKind::System).map(|i| i.image_id.clone());
    let status = if instance_id.is_empty() { DiskStatus::Available } else { DiskStatus::InUse };
    let device = match (instance_id.as_str(), kind) {
        ("", _) => String::new(),
        (_, DiskKind::System) => "/dev/xvda".into(),
        (id, DiskKind::Data) => world.free_device(id),
    };
    let created = fields.time("created")?.unwrap_or_else(long_ago);
    let disk = Disk {
        id: id.clone(),
        name: fields.text_or("name", "")?,
        region,
        zone,
        kind,
        category: fields.text_or("category", "cloud_essd")?,
        size_gib: fields.number("size", 1..=65_536)?.unwrap_or(40),
        instance_id,
        device: fields.text("device")?.unwrap_or(device),
        image_id: image_id.unwrap_or_default(),
        snapshot_id: fields.text("snapshotId")?,
        delete_with_instance: fields.flag("deleteWithInstance")?.unwrap_or(true),
        created,
        attached_nth: world.make_number(),
        course: Course::new(status, created),
        tags: read_tags(&mut fields)?,
        made: false,
    };
    fields.finish()?;
    world.disks.insert(id, disk);
    Ok(())
}

/// Every instance boots from something, also where the file does not say so.
pub(super) fn add_system_disks(world: &mut World) {
    let ids: Vec<_> = world.instances.keys().cloned().collect();
    for id in ids {
        let has_one = world.disks_of(&id).iter().any(|disk| disk.kind == DiskKind::System);
        let Some(instance) = world.instances.get(&id).filter(|_| !has_one).cloned() else {
            continue;
        };
        let image = world.images.get(&instance.image_id);
        let size_gib = image.map_or(40, |image| image.size_gib.max(40));
        let snapshot_id = image.and_then(Image::system_snapshot).map(str::to_owned);
        let disk_id = world.make_id("d");
        let disk = Disk {
            id: disk_id.clone(),
            name: String::new(),
            region: instance.region,
            zone: instance.zone,
            kind: DiskKind::System,
            category: "cloud_essd".into(),
            size_gib,
            instance_id: id,
            device: "/dev/xvda".into(),
            image_id: instance.image_id,
            snapshot_id,
            delete_with_instance: true,
            created: instance.created,
            attached_nth: 0,
            course: Course::new(DiskStatus::InUse, instance.created),
            tags: IndexMap::new(),
            made: false,
        };
        world.disks.insert(disk_id, disk);
    }
}

/// A command is its identifier, or that and what is known of it.
pub(super) fn read_command(world: &mut World, node: &Node, path: &str) -> Result<(), WorldError> {
    let command = match &node.content {
        Content::Scalar { .. } => {
            let id = text(node, path)?;
            Command { name: id.clone(), id, kind: "RunShellScript".into(), content: String::new() }
        }
        _ => {
            let mut fields = Fields::of(node, path)?;
            let id = fields.required("id")?;
            let kinds = ["RunShellScript", "RunBatScript", "RunPowerShellScript"];
            let command = Command {
                name: fields.text("name")?.unwrap_or_else(|| id.clone()),
                id,
                kind: fields.one_of("type", &kinds)?.unwrap_or("RunShellScript").to_owned(),
                content: fields
                    .long_text("content", crate::commands::MAX_TEXT_BYTES / 4)?
                    .unwrap_or_default(),
            };
            fields.finish()?;
            command
        }
    };
    if command.id.is_empty() {
        return Err(wrong(node, path, "the identifier of a command is needed"));
    }
    world.commands.insert(command.id.clone(), command);
    Ok(())
}

pub(super) fn read_launch_template(
    world: &mut World,
    node: &Node,
    path: &str,
) -> Result<(), WorldError> {
    let mut fields = Fields::of(node, path)?;
    let id = read_id(world, &mut fields)?;
    let name = fields.required("name")?;
    let region = read_region(world, &mut fields)?;
    let created = fields.time("created")?.unwrap_or_else(long_ago);
    let versions_path = fields.path("versions");
    let written = fields.get("versions").map(|node| items(node, &versions_path));
    let mut versions: Vec<Version> = Vec::new();
    for (index, item) in written.transpose()?.unwrap_or_default().iter().enumerate() {
        let version = read_version(item, &format!("{versions_path}[{index}]"), index)?;
        if versions.iter().any(|known| known.number >= version.number) {
            return Err(wrong(item, &versions_path, "versions are in the order of their numbers"));
        }
        versions.push(version);
    }
    if versions.is_empty() {
        return Err(fields.wrong("versions", "one version at least is needed"));
    }
    let latest_version = versions.last().map_or(1, |version| version.number);
    let default_version = fields.number("defaultVersion", 1..=i64::MAX)?.unwrap_or(latest_version);
    if !versions.iter().any(|version| version.number == default_version) {
        let reason = format!("{default_version} is not the number of one of `versions`");
        return Err(fields.wrong("defaultVersion", reason));
    }
    let tags = read_tags(&mut fields)?;
    fields.finish()?;
    let template = LaunchTemplate {
        id: id.clone(),
        name,
        region,
        default_version,
        latest_version,
        created,
        versions,
        tags,
    };
    world.launch_templates.insert(id, template);
    Ok(())
}

fn read_version(node: &Node, path: &str, index: usize) -> Result<Version, WorldError> {
    let mut fields = Fields::of(node, path)?;
    let following = i64::try_from(index).unwrap_or(i64::MAX).saturating_add(1);
    let data = fields.get("data").map(Node::to_value);
    let data = match data {
        None => serde_json::Map::new(),
        Some(serde_json::Value::Object(data)) => data_in_wire_names(data),
        Some(_) => return Err(fields.wrong("data", "a mapping is expected")),
    };
    let version = Version {
        number: fields.number("number", 1..=i64::MAX)?.unwrap_or(following),
        description: fields.text_or("description", "")?,
        created: fields.time("created")?.unwrap_or_else(long_ago),
        data,
        made: false,
    };
    fields.finish()?;
    Ok(version)
}

pub(super) fn read_scaling_configuration(
    world: &mut World,
    node: &Node,
    path: &str,
) -> Result<(), WorldError> {
    let mut fields = Fields::of(node, path)?;
    let id = read_id(world, &mut fields)?;
    let known = ScalingConfiguration {
        id: id.clone(),
        name: fields.text("name")?.unwrap_or_else(|| id.clone()),
        group_id: fields.text_or("groupId", "")?,
        region: read_region(world, &mut fields)?,
        image_id: fields.text_or("imageId", "")?,
        instance_type: fields.text_or("instanceType", "ecs.c7.large")?,
    };
    fields.finish()?;
    world.scaling_configurations.insert(id, known);
    Ok(())
}
