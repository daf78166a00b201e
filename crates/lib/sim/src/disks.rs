//! Disks, and to which instances they are attached.

use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    course::{Course, wire_names, with_seconds},
    error::ApiFault,
    instances::{InstanceStatus, incorrect_status},
    operations::{Operation, Request},
    paging::page,
    tags::{has_tags, tag_fields},
    world::{World, done},
};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::ecs("AttachDisk", attach_disk),
    Operation::ecs("CreateDisk", create_disk),
    Operation::ecs("DeleteDisk", delete_disk),
    Operation::ecs("DescribeDisks", describe_disks),
    Operation::ecs("DetachDisk", detach_disk),
    Operation::ecs("ReplaceSystemDisk", replace_system_disk),
    Operation::ecs("ResetDisk", reset_disk),
];

wire_names! {
    /// Whether an instance boots from a disk.
    DiskKind { System = "system", Data = "data" }
}

wire_names! {
    /// The status of a disk.
    DiskStatus {
        Creating = "Creating", Available = "Available", Attaching = "Attaching",
        InUse = "In_use", Detaching = "Detaching",
    }
}

/// A disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Disk {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) region: String,
    pub(crate) zone: String,
    pub(crate) kind: DiskKind,
    pub(crate) category: String,
    pub(crate) size_gib: i64,
    /// Empty where it is attached to none.
    pub(crate) instance_id: String,
    pub(crate) device: String,
    /// Empty for a data disk.
    pub(crate) image_id: String,
    /// The snapshot it was made of.
    pub(crate) snapshot_id: Option<String>,
    pub(crate) delete_with_instance: bool,
    pub(crate) created: Timestamp,
    /// Orders disks by when they were attached last; times can be the same.
    pub(crate) attached_nth: u64,
    pub(crate) course: Course<DiskStatus>,
    pub(crate) tags: IndexMap<String, String>,
    pub(crate) made: bool,
}

impl Disk {
    /// As the virtio device of the disk shows it: 20 characters at most.
    pub(crate) fn serial_number(&self) -> String {
        self.id.strip_prefix("d-").unwrap_or(&self.id).chars().take(20).collect()
    }
}

/// What a new disk is like.
#[derive(Debug)]
pub(crate) struct NewDisk<'a> {
    pub(crate) name: String,
    pub(crate) region: &'a str,
    pub(crate) zone: &'a str,
    pub(crate) kind: DiskKind,
    pub(crate) category: String,
    pub(crate) size_gib: i64,
    pub(crate) instance_id: &'a str,
    pub(crate) device: String,
    pub(crate) image_id: &'a str,
    pub(crate) snapshot_id: Option<String>,
    pub(crate) delete_with_instance: bool,
}

impl World {
    /// The disk of this identifier in the region of the request.
    pub(crate) fn disk(&self, request: &Request<'_>, id: &str) -> Result<&Disk, ApiFault> {
        let found = self.disks.get(id).filter(|each| each.region == request.region);
        found.ok_or_else(|| ApiFault::not_found("DiskId"))
    }

    /// The disks of an instance: data disks first, what was attached last before the others. There
    /// are templates that take the first for the disk they have just attached.
    pub(crate) fn disks_of(&self, instance_id: &str) -> Vec<&Disk> {
        let mut disks: Vec<_> =
            self.disks.values().filter(|each| each.instance_id == instance_id).collect();
        disks.sort_by_key(|disk| order(disk));
        disks
    }

    /// Begin a disk; whoever calls has checked that there is room.
    pub(crate) fn make_disk(&mut self, now: Timestamp, new: NewDisk<'_>) -> String {
        let id = self.make_id("d");
        let last = match new.instance_id {
            "" => DiskStatus::Available,
            _ => DiskStatus::InUse,
        };
        let disk = Disk {
            id: id.clone(),
            name: new.name,
            region: new.region.to_owned(),
            zone: new.zone.to_owned(),
            kind: new.kind,
            category: new.category,
            size_gib: new.size_gib,
            instance_id: new.instance_id.to_owned(),
            device: new.device,
            image_id: new.image_id.to_owned(),
            snapshot_id: new.snapshot_id,
            delete_with_instance: new.delete_with_instance,
            created: now,
            attached_nth: self.make_number(),
            course: Course::new(DiskStatus::Creating, now).then(self.delays.disk, last),
            tags: IndexMap::new(),
            made: true,
        };
        self.disks.insert(id.clone(), disk);
        id
    }

    /// The first device name that no disk of the instance has.
    pub(crate) fn free_device(&self, instance_id: &str) -> String {
        let taken: Vec<_> = self.disks_of(instance_id).iter().map(|d| d.device.clone()).collect();
        let mut names = ('b'..='z').map(|letter| format!("/dev/xvd{letter}"));
        names.find(|name| !taken.contains(name)).unwrap_or_default()
    }
}

fn order(disk: &Disk) -> (bool, std::cmp::Reverse<u64>) {
    (disk.kind == DiskKind::System, std::cmp::Reverse(disk.attached_nth))
}

fn incorrect_disk_status() -> ApiFault {
    let message = "The current disk status does not support this operation.";
    ApiFault::new(403, "IncorrectDiskStatus", message)
}

fn create_disk(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let parameters = &request.parameters;
    let snapshot_id = parameters.text("SnapshotId");
    let size = parameters.number_in("Size", 1..=65_536)?;
    let size_gib = match &snapshot_id {
        None => size.ok_or_else(|| ApiFault::missing("Size"))?,
        Some(id) => {
            let snapshot = world.snapshot(request, id)?;
            if !snapshot.is_ready(request.now) {
                return Err(snapshot_not_ready());
            }
            snapshot.size_gib.max(size.unwrap_or(0))
        }
    };
    let zone = parameters.text("ZoneId").unwrap_or_else(|| world.first_zone(&request.region));
    let category = parameters.text("DiskCategory").unwrap_or_else(|| "cloud_essd".into());
    let tags = parameters.tags()?;
    world.room_for(1)?;
    let new = NewDisk {
        name: parameters.text("DiskName").unwrap_or_default(),
        region: &request.region,
        zone: &zone,
        kind: DiskKind::Data,
        category,
        size_gib,
        instance_id: "",
        device: String::new(),
        image_id: "",
        snapshot_id,
        delete_with_instance: false,
    };
    let id = world.make_disk(request.now, new);
    if let Some(disk) = world.disks.get_mut(&id) {
        disk.tags = tags;
    }
    Ok(json!({ "DiskId": id }))
}

pub(crate) fn snapshot_not_ready() -> ApiFault {
    let message = "The specified snapshot is not ready.";
    ApiFault::new(403, "InvalidSnapshotId.NotReady", message)
}

fn delete_disk(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let id = request.parameters.required("DiskId")?;
    if world.disk(request, &id)?.course.at(request.now) != DiskStatus::Available {
        return Err(incorrect_disk_status());
    }
    world.disks.shift_remove(&id);
    done()
}

fn attach_disk(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let parameters = &request.parameters;
    let instance_id = parameters.required("InstanceId")?;
    let disk_id = parameters.required("DiskId")?;
    let with_instance = parameters.flag("DeleteWithInstance")?.unwrap_or(false);
    let status = world.instance(request, &instance_id)?.course.at(request.now);
    if !matches!(status, InstanceStatus::Running | InstanceStatus::Stopped) {
        return Err(incorrect_status());
    }
    if world.disk(request, &disk_id)?.course.at(request.now) != DiskStatus::Available {
        return Err(incorrect_disk_status());
    }
    let device = world.free_device(&instance_id);
    let attached_nth = world.make_number();
    let seconds = world.delays.disk;
    if let Some(disk) = world.disks.get_mut(&disk_id) {
        disk.instance_id = instance_id;
        disk.device = device;
        disk.delete_with_instance = with_instance;
        disk.attached_nth = attached_nth;
        disk.course =
            Course::new(DiskStatus::Attaching, request.now).then(seconds, DiskStatus::InUse);
    }
    done()
}

fn detach_disk(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let parameters = &request.parameters;
    let instance_id = parameters.required("InstanceId")?;
    let disk_id = parameters.required("DiskId")?;
    world.instance(request, &instance_id)?;
    let seconds = world.delays.disk;
    let disk = world.disk(request, &disk_id)?;
    let is_in_use = disk.course.at(request.now) == DiskStatus::InUse;
    if disk.instance_id != instance_id || disk.kind == DiskKind::System || !is_in_use {
        return Err(incorrect_disk_status());
    }
    if let Some(disk) = world.disks.get_mut(&disk_id) {
        disk.instance_id = String::new();
        disk.device = String::new();
        disk.course =
            Course::new(DiskStatus::Detaching, request.now).then(seconds, DiskStatus::Available);
    }
    done()
}

/// The old system disk goes, and a new one is made of another image.
fn replace_system_disk(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let parameters = &request.parameters;
    let instance = world.instance(request, &parameters.required("InstanceId")?)?.clone();
    if instance.course.at(request.now) != InstanceStatus::Stopped {
        return Err(incorrect_status());
    }
    let image = world.usable_image(request, &parameters.required("ImageId")?)?.clone();
    let size = parameters.number_in("SystemDisk.Size", 1..=2048)?.unwrap_or(0);
    let old = world.disks_of(&instance.id).into_iter().find(|d| d.kind == DiskKind::System);
    let old = old.cloned();
    world.room_for(1)?;
    if let Some(old) = &old {
        world.disks.shift_remove(&old.id);
    }
    let new = NewDisk {
        name: old.as_ref().map(|old| old.name.clone()).unwrap_or_default(),
        region: &instance.region,
        zone: &instance.zone,
        kind: DiskKind::System,
        category: old.as_ref().map_or("cloud_essd".into(), |old| old.category.clone()),
        size_gib: size.max(image.size_gib),
        instance_id: &instance.id,
        device: "/dev/xvda".into(),
        image_id: &image.id,
        snapshot_id: image.system_snapshot().map(str::to_owned),
        delete_with_instance: true,
    };
    let disk_id = world.make_disk(request.now, new);
    if let Some(instance) = world.instances.get_mut(&instance.id) {
        instance.image_id = image.id;
        instance.has_assistant = image.has_assistant;
    }
    Ok(json!({ "DiskId": disk_id }))
}

fn reset_disk(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let parameters = &request.parameters;
    let disk = world.disk(request, &parameters.required("DiskId")?)?;
    let snapshot = world.snapshot(request, &parameters.required("SnapshotId")?)?;
    if snapshot.disk_id != disk.id {
        let message = "The specified snapshot is not created from the specified disk.";
        return Err(ApiFault::new(403, "InvalidParameter.Mismatch", message));
    }
    if !snapshot.is_ready(request.now) {
        return Err(snapshot_not_ready());
    }
    let instance = world.instances.get(&disk.instance_id);
    let is_stopped =
        instance.is_some_and(|each| each.course.at(request.now) == InstanceStatus::Stopped);
    if disk.course.at(request.now) != DiskStatus::InUse || !is_stopped {
        return Err(incorrect_status());
    }
    done()
}

fn describe_disks(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let parameters = &request.parameters;
    let ids = parameters.list("DiskId")?;
    let tags = parameters.tags()?;
    let text = |name| parameters.text(name);
    let kind = text("DiskType").filter(|kind| kind != "all");
    if kind.as_deref().is_some_and(|kind| DiskKind::named(kind).is_none()) {
        let message = "The specified DiskType is not valid.";
        return Err(ApiFault::new(400, "InvalidDiskType.ValueNotSupported", message));
    }
    let status = text("Status").filter(|status| !status.eq_ignore_ascii_case("all"));
    let (instance, name, zone) = (text("InstanceId"), text("DiskName"), text("ZoneId"));
    let (snapshot, category) = (text("SnapshotId"), text("Category"));
    let is_wanted = |disk: &&Disk| {
        disk.region == request.region
            && ids.as_ref().is_none_or(|ids| ids.contains(&disk.id))
            && kind.as_ref().is_none_or(|kind| kind == disk.kind.name())
            && status.as_ref().is_none_or(|s| s == disk.course.at(request.now).name())
            && instance.as_ref().is_none_or(|instance| *instance == disk.instance_id)
            && name.as_ref().is_none_or(|name| *name == disk.name)
            && zone.as_ref().is_none_or(|zone| *zone == disk.zone)
            && category.as_ref().is_none_or(|category| *category == disk.category)
            && snapshot.as_ref().is_none_or(|s| Some(s) == disk.snapshot_id.as_ref())
            && has_tags(&disk.tags, &tags)
    };
    let mut found: Vec<_> = world.disks.values().filter(is_wanted).collect();
    found.sort_by_key(|disk| order(disk));
    Ok(page(request, &found, |disk| show(disk, request.now))?.answer("Disks", "Disk"))
}

fn show(disk: &Disk, now: Timestamp) -> Value {
    let is_attached = !disk.instance_id.is_empty();
    let attached = if is_attached { with_seconds(disk.course.since()) } else { String::new() };
    let attachment = json!({
        "InstanceId": disk.instance_id, "Device": disk.device, "AttachedTime": attached,
    });
    let attachments: &[Value] = if is_attached { std::slice::from_ref(&attachment) } else { &[] };
    json!({
        "DiskId": disk.id,
        "DiskName": disk.name,
        "SerialNumber": disk.serial_number(),
        "Description": "",
        "RegionId": disk.region,
        "ZoneId": disk.zone,
        "Type": disk.kind.name(),
        "Category": disk.category,
        "Size": disk.size_gib,
        "Status": disk.course.at(now).name(),
        "InstanceId": disk.instance_id,
        "Device": disk.device,
        "ImageId": disk.image_id,
        "SourceSnapshotId": disk.snapshot_id.as_deref().unwrap_or_default(),
        "DeleteWithInstance": disk.delete_with_instance,
        "Portable": disk.kind == DiskKind::Data,
        "Encrypted": false,
        "DiskChargeType": "PostPaid",
        "EnableAutoSnapshot": false,
        "CreationTime": with_seconds(disk.created),
        "AttachedTime": attached,
        "ExpiredTime": "2999-09-08T16:00Z",
        "MountInstances": { "MountInstance": attachments },
        "Attachments": { "Attachment": attachments },
        "OperationLocks": { "OperationLock": [] },
        "Tags": tag_fields(&disk.tags),
    })
}
