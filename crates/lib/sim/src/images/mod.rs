//! Images: made of instances and snapshots, named, shared and deleted.

mod copies;
mod describe;
mod share;

use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    course::{Course, wire_names},
    disks::DiskKind,
    error::ApiFault,
    instances::{InstanceStatus, incorrect_status},
    operations::{Operation, Request},
    resources::ResourceKind,
    snapshots::NewSnapshot,
    world::{World, done},
};

pub(crate) use copies::image_while_task;
pub(crate) use describe::wildcard;

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::ecs("CancelCopyImage", copies::cancel_copy_image),
    Operation::ecs("CopyImage", copies::copy_image),
    Operation::ecs("CreateImage", create_image),
    Operation::ecs("DeleteImage", delete_image),
    Operation::ecs("DescribeImageFromFamily", describe::describe_image_from_family),
    Operation::ecs("DescribeImageSharePermission", share::describe_image_share_permission),
    Operation::ecs("DescribeImages", describe::describe_images),
    Operation::ecs("ExportImage", copies::export_image),
    Operation::ecs("ImportImage", copies::import_image),
    Operation::ecs("ModifyImageAttribute", modify_image_attribute),
    Operation::ecs("ModifyImageSharePermission", share::modify_image_share_permission),
];

wire_names! {
    /// The status of an image.
    ImageStatus {
        Creating = "Creating", Waiting = "Waiting", Available = "Available",
        UnAvailable = "UnAvailable", CreateFailed = "CreateFailed", Deprecated = "Deprecated",
    }
}

wire_names! {
    /// Whose an image is.
    Owner { System = "system", Own = "self", Others = "others", Marketplace = "marketplace" }
}

/// An image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Image {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) family: String,
    /// `None` is every region, as the public images are.
    pub(crate) region: Option<String>,
    pub(crate) owner: Owner,
    pub(crate) architecture: String,
    pub(crate) os_type: String,
    pub(crate) os_name: String,
    pub(crate) platform: String,
    pub(crate) boot_mode: String,
    pub(crate) size_gib: i64,
    pub(crate) created: Timestamp,
    pub(crate) course: Course<ImageStatus>,
    pub(crate) is_copy: bool,
    /// The system disk first.
    pub(crate) disks: Vec<ImageDisk>,
    pub(crate) check: Option<Check>,
    /// Whether instances of it have the Cloud Assistant.
    pub(crate) has_assistant: bool,
    pub(crate) resource_group_id: String,
    pub(crate) tags: IndexMap<String, String>,
    /// Accounts, and since when.
    pub(crate) shared_with: IndexMap<String, Timestamp>,
    pub(crate) is_public: bool,
    pub(crate) made: bool,
}

/// A disk of an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ImageDisk {
    pub(crate) kind: DiskKind,
    pub(crate) device: String,
    pub(crate) size_gib: i64,
    pub(crate) snapshot_id: Option<String>,
}

/// The check of an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Check {
    /// From here on its items are known.
    pub(crate) finished: Timestamp,
    pub(crate) items: Vec<CheckItem>,
}

/// What a check found of one thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CheckItem {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) risk_level: Option<String>,
    pub(crate) risk_code: Option<String>,
}

impl Image {
    pub(crate) fn is_in(&self, region: &str) -> bool {
        self.region.as_deref().is_none_or(|own| own == region)
    }

    pub(crate) fn system_snapshot(&self) -> Option<&str> {
        self.disks.first().and_then(|disk| disk.snapshot_id.as_deref())
    }
}

impl World {
    /// The image of this identifier in the region of the request.
    pub(crate) fn image(&self, request: &Request<'_>, id: &str) -> Result<&Image, ApiFault> {
        let found = self.images.get(id).filter(|image| image.is_in(&request.region));
        found.ok_or_else(|| ApiFault::not_found("ImageId"))
    }

    /// The image, if an instance can be made of it.
    pub(crate) fn usable_image(&self, request: &Request<'_>, id: &str) -> Result<&Image, ApiFault> {
        let image = self.image(request, id)?;
        match image.course.at(request.now) {
            ImageStatus::Available | ImageStatus::Deprecated => Ok(image),
            _ => {
                let message = "The specified image is not available.";
                Err(ApiFault::new(403, "OperationDenied.ImageNotValid", message))
            }
        }
    }

    fn own_image(&self, request: &Request<'_>, id: &str) -> Result<&Image, ApiFault> {
        match self.image(request, id)? {
            image if image.owner == Owner::Own => Ok(image),
            _ => Err(ApiFault::not_found("ImageId")),
        }
    }

    /// Whether one of the account's own images in a region has this name.
    fn refuse_taken_name(&self, region: &str, name: &str) -> Result<(), ApiFault> {
        let mut own = self.images.values().filter(|image| image.owner == Owner::Own);
        if own.any(|image| image.is_in(region) && image.name == name) {
            let message = "The specified Image name has already bean used.";
            return Err(ApiFault::new(400, "InvalidImageName.Duplicated", message));
        }
        Ok(())
    }

    /// The course of an image that is being made.
    fn image_course(&mut self, now: Timestamp, seconds: u32) -> Course<ImageStatus> {
        let last = match self.ends_failed(ResourceKind::Image) {
            true => ImageStatus::CreateFailed,
            false => ImageStatus::Available,
        };
        Course::new(ImageStatus::Creating, now).then(seconds, last)
    }
}

/// 2–128 letters, digits and `.:_-`, a letter first.
fn checked_name(name: &str) -> Result<(), ApiFault> {
    let n_chars = name.chars().count();
    let is_allowed = |c: char| c.is_alphanumeric() || ".:_-".contains(c);
    let is_reserved = ["aliyun", "acs:"].iter().any(|prefix| name.starts_with(prefix));
    let is_good = (2..=128).contains(&n_chars)
        && name.starts_with(char::is_alphabetic)
        && name.chars().all(is_allowed)
        && !is_reserved;
    if is_good {
        return Ok(());
    }
    let message = "The specified Image name is wrongly formed.";
    Err(ApiFault::new(400, "InvalidImageName.Malformed", message))
}

/// What a new image is made of, found before anything is changed.
#[derive(Debug)]
struct Source {
    architecture: String,
    os_type: String,
    os_name: String,
    platform: String,
    boot_mode: String,
    size_gib: i64,
    has_assistant: bool,
    /// Disks whose snapshots exist.
    disks: Vec<ImageDisk>,
    /// Disks that are to be snapshotted: identifier, kind, device, size.
    to_snapshot: Vec<(String, DiskKind, String, i64)>,
}

impl Source {
    fn of_image(image: Option<&Image>) -> Self {
        let text = |of: fn(&Image) -> &String, default: &str| {
            image.map_or_else(|| default.to_owned(), |image| of(image).clone())
        };
        Self {
            architecture: text(|image| &image.architecture, "x86_64"),
            os_type: text(|image| &image.os_type, "linux"),
            os_name: text(|image| &image.os_name, ""),
            platform: text(|image| &image.platform, "Others Linux"),
            boot_mode: text(|image| &image.boot_mode, "BIOS"),
            size_gib: 0,
            has_assistant: image.is_none_or(|image| image.has_assistant),
            disks: Vec::new(),
            to_snapshot: Vec::new(),
        }
    }

    /// Every disk of the instance gets a new snapshot.
    fn instance(world: &World, request: &Request<'_>, id: &str) -> Result<Self, ApiFault> {
        let instance = world.instance(request, id)?;
        let status = instance.course.at(request.now);
        if !matches!(status, InstanceStatus::Running | InstanceStatus::Stopped) {
            return Err(incorrect_status());
        }
        let mut source = Self::of_image(world.images.get(&instance.image_id));
        source.has_assistant = instance.has_assistant;
        let mut disks = world.disks_of(id);
        disks.sort_by_key(|disk| (disk.kind == DiskKind::Data, disk.device.clone()));
        source.size_gib = disks.first().map_or(0, |disk| disk.size_gib);
        source.to_snapshot = (disks.iter())
            .map(|disk| (disk.id.clone(), disk.kind, disk.device.clone(), disk.size_gib))
            .collect();
        Ok(source)
    }

    /// One snapshot, which the image then keeps. That of a data disk becomes a system disk where
    /// the request says what it holds, which is how a repaired disk becomes an image.
    fn snapshot(world: &World, request: &Request<'_>, id: &str) -> Result<Self, ApiFault> {
        let snapshot = world.snapshot(request, id)?;
        if !snapshot.is_ready(request.now) {
            let message = "The specified snapshot is not ready.";
            return Err(ApiFault::new(403, "InvalidSnapshotId.NotReady", message));
        }
        let says = |name| request.parameters.text(name).is_some();
        let is_described = says("Platform") || says("Architecture");
        if snapshot.disk_kind == DiskKind::Data && !is_described {
            let message = "The specified snapshot is not from system disk.";
            return Err(ApiFault::new(403, "OperationDenied", message));
        }
        let image = world.disks.get(&snapshot.disk_id).map(|disk| disk.image_id.as_str());
        let mut source = Self::of_image(image.and_then(|id| world.images.get(id)));
        source.size_gib = snapshot.size_gib;
        source.disks = vec![ImageDisk {
            kind: DiskKind::System,
            device: "/dev/xvda".into(),
            size_gib: snapshot.size_gib,
            snapshot_id: Some(id.to_owned()),
        }];
        Ok(source)
    }

    /// Several snapshots, of which exactly one is the system disk's.
    fn mappings(world: &World, request: &Request<'_>) -> Result<Self, ApiFault> {
        let mut source = Self::of_image(None);
        for (index, mapping) in request.parameters.items("DiskDeviceMapping")?.iter().enumerate() {
            let snapshot_id = mapping.text("SnapshotId");
            let snapshot = snapshot_id.as_deref().map(|id| world.snapshot(request, id));
            let snapshot = snapshot.transpose()?;
            if snapshot.is_some_and(|snapshot| !snapshot.is_ready(request.now)) {
                let message = "The specified snapshot is not ready.";
                return Err(ApiFault::new(403, "InvalidSnapshotId.NotReady", message));
            }
            let letter = (b'a'..=b'z').nth(index).map_or('z', char::from);
            let device = mapping.text("Device").unwrap_or_else(|| format!("/dev/xvd{letter}"));
            let kind = match mapping.text("DiskType").as_deref() {
                Some("system") => DiskKind::System,
                Some("data") => DiskKind::Data,
                _ if device == "/dev/xvda" => DiskKind::System,
                _ => snapshot.map_or(DiskKind::Data, |snapshot| snapshot.disk_kind),
            };
            let size = mapping.number_in("Size", 1..=32_768)?;
            let size_gib = size.unwrap_or(20).max(snapshot.map_or(0, |each| each.size_gib));
            source.disks.push(ImageDisk { kind, device, size_gib, snapshot_id });
        }
        source.disks.sort_by_key(|disk| disk.kind == DiskKind::Data);
        match source.disks.iter().filter(|disk| disk.kind == DiskKind::System).count() {
            1 => source.size_gib = source.disks.first().map_or(0, |disk| disk.size_gib),
            0 => {
                return Err(ApiFault::new(
                    400,
                    "OperationDenied",
                    "The specified parameter DiskDeviceMapping.n.SnapshotId does not contain system disk snapshot.",
                ));
            }
            _ => {
                return Err(ApiFault::new(
                    400,
                    "OperationDenied",
                    "The specified parameter DiskDeviceMapping.n.SnapshotId contains two or more system disk snapshots.",
                ));
            }
        }
        Ok(source)
    }
}

fn create_image(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let parameters = &request.parameters;
    let name = parameters.text("ImageName");
    if let Some(name) = &name {
        checked_name(name)?;
        world.refuse_taken_name(&request.region, name)?;
    }
    let source = match (parameters.text("InstanceId"), parameters.text("SnapshotId")) {
        (Some(id), _) => Source::instance(world, request, &id)?,
        (None, _) if !parameters.items("DiskDeviceMapping")?.is_empty() => {
            Source::mappings(world, request)?
        }
        (None, Some(id)) => Source::snapshot(world, request, &id)?,
        (None, None) => {
            return Err(ApiFault::missing("SnapshotId or InstanceId or DiskDeviceMapping"));
        }
    };
    let tags = parameters.tags()?;
    let is_checked = match parameters.text("DetectionStrategy").as_deref() {
        None => false,
        Some("Standard") => true,
        Some(_) => return Err(ApiFault::invalid("DetectionStrategy")),
    };
    world.room_for(source.to_snapshot.len().saturating_add(1))?;
    let seconds = world.delays.image;
    let mut disks = source.disks;
    for (disk_id, kind, device, size_gib) in source.to_snapshot {
        let snapshot = NewSnapshot {
            name: format!("Created_from_{disk_id}"),
            description: String::new(),
            region: &request.region,
            disk_id: &disk_id,
            disk_kind: kind,
            size_gib,
            seconds: seconds.min(world.delays.snapshot),
            retention_days: None,
            resource_group_id: String::new(),
            tags: IndexMap::new(),
        };
        let snapshot_id = Some(world.make_snapshot(request.now, snapshot));
        disks.push(ImageDisk { kind, device, size_gib, snapshot_id });
    }
    let id = world.make_id("m");
    let course = world.image_course(request.now, seconds);
    let check = is_checked.then(|| world.check_after(course.end()));
    let text = |name, otherwise: String| parameters.text(name).unwrap_or(otherwise);
    let image = Image {
        id: id.clone(),
        name: name.unwrap_or_else(|| id.clone()),
        description: text("Description", String::new()),
        family: text("ImageFamily", String::new()),
        region: Some(request.region.clone()),
        owner: Owner::Own,
        architecture: text("Architecture", source.architecture),
        os_type: source.os_type,
        os_name: source.os_name,
        platform: shown_platform(text("Platform", source.platform)),
        boot_mode: text("BootMode", source.boot_mode),
        size_gib: source.size_gib,
        created: request.now,
        course,
        is_copy: false,
        disks,
        check,
        has_assistant: source.has_assistant,
        resource_group_id: text("ResourceGroupId", String::new()),
        tags,
        shared_with: IndexMap::new(),
        is_public: false,
        made: true,
    };
    world.images.insert(id.clone(), image);
    Ok(json!({ "ImageId": id }))
}

impl World {
    fn check_after(&self, available: Timestamp) -> Check {
        let finished = crate::course::after(available, self.delays.check);
        Check { finished, items: self.check_items.clone() }
    }
}

/// Requests say `RedHat`, answers `Red Hat`.
fn shown_platform(platform: String) -> String {
    if platform == "RedHat" { "Red Hat".into() } else { platform }
}

fn delete_image(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let id = request.parameters.required("ImageId")?;
    let force = request.parameters.flag("Force")?.unwrap_or(false);
    let image = world.own_image(request, &id)?;
    let refused = |code, message: &str| Err(ApiFault::new(403, code, message));
    if image.is_public {
        let message = "You can not delete public image, please modify it to private.";
        return refused("ImageIsPublic", message);
    }
    if !image.shared_with.is_empty() {
        let message = "The specified image has been shared to others.";
        return refused("ImageUseShared", message);
    }
    if !image.course.is_over(request.now) {
        return match image.is_copy {
            true => refused("OperationDenied.ImageCopying", "The specified image is copying."),
            false => refused("ImageIsCreating", "The specified image is being created."),
        };
    }
    if let Some(code) = world.task_on_image(&id, request.now) {
        return refused(code, "The specified image is being imported or exported.");
    }
    if !force && world.instances.values().any(|instance| instance.image_id == id) {
        return refused("ImageUsingByInstance", "The specified image is used by instances.");
    }
    world.images.shift_remove(&id);
    done()
}

fn modify_image_attribute(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let parameters = &request.parameters;
    let id = parameters.required("ImageId")?;
    let image = world.own_image(request, &id)?;
    let status = image.course.at(request.now);
    if status == ImageStatus::Creating || status == ImageStatus::Waiting {
        let message = "The operation cannot be performed because the image is creating.";
        return Err(ApiFault::new(403, "InvalidStatus.ImageIsCreating", message));
    }
    let name = parameters.text("ImageName").filter(|name| *name != image.name);
    if let Some(name) = &name {
        checked_name(name)?;
        world.refuse_taken_name(&request.region, name)?;
    }
    let wanted = match (parameters.text("Status").as_deref(), status) {
        (None, _) => None,
        (Some("Deprecated"), ImageStatus::Available) => Some(ImageStatus::Deprecated),
        (Some("Available"), ImageStatus::Deprecated) => Some(ImageStatus::Available),
        (Some("Deprecated"), _) => {
            let message = "The specified image status is not available.";
            return Err(ApiFault::new(403, "ImageStatus.NotAvailable", message));
        }
        (Some("Available"), _) => {
            let message = "The specified image status is not deprecated.";
            return Err(ApiFault::new(403, "ImageStatus.NotDeprecated", message));
        }
        (Some(_), _) => return Err(ApiFault::invalid("Status")),
    };
    if let Some(image) = world.images.get_mut(&id) {
        let set = |field: &mut String, value: Option<String>| {
            if let Some(value) = value {
                *field = value;
            }
        };
        set(&mut image.name, name);
        set(&mut image.description, parameters.text("Description"));
        set(&mut image.family, parameters.text("ImageFamily"));
        set(&mut image.boot_mode, parameters.text("BootMode"));
        if let Some(status) = wanted {
            image.course = Course::new(status, request.now);
        }
    }
    done()
}
