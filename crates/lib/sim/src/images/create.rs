//! Images made of instances and of snapshots.

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::{Image, ImageDisk, Owner, checked_name, shown_platform};
use crate::{
    disks::DiskKind,
    error::ApiFault,
    instances::{InstanceStatus, incorrect_status},
    operations::Request,
    snapshots::NewSnapshot,
    world::World,
};

pub(super) fn create_image(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let parameters = &request.parameters;
    let name = parameters.text("ImageName");
    if let Some(name) = &name {
        checked_name(name)?;
        world.refuse_taken_name(&request.region, name)?;
    }
    let source = Source::read(world, request)?;
    let tags = parameters.tags()?;
    let is_checked = match parameters.text("DetectionStrategy").as_deref() {
        None => false,
        Some("Standard") => true,
        Some(_) => return Err(ApiFault::invalid("DetectionStrategy")),
    };
    world.room_for(source.to_snapshot.len().saturating_add(1))?;
    let mut disks = source.disks;
    disks.extend(snapshot_all(world, request, source.to_snapshot));
    let id = world.make_id("m");
    let course = world.image_course(request.now, world.delays.image);
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

/// Begin the snapshots of an instance's disks, which are ready no later than the image.
fn snapshot_all(
    world: &mut World,
    request: &Request<'_>,
    disks: Vec<(String, DiskKind, String, i64)>,
) -> Vec<ImageDisk> {
    let seconds = world.delays.image.min(world.delays.snapshot);
    let snapshot = |(disk_id, kind, device, size_gib): (String, DiskKind, String, i64)| {
        let new = NewSnapshot {
            name: format!("Created_from_{disk_id}"),
            description: String::new(),
            region: &request.region,
            disk_id: &disk_id,
            disk_kind: kind,
            size_gib,
            seconds,
            retention_days: None,
            resource_group_id: String::new(),
            tags: IndexMap::new(),
        };
        let snapshot_id = Some(world.make_snapshot(request.now, new));
        ImageDisk { kind, device, size_gib, snapshot_id }
    };
    disks.into_iter().map(snapshot).collect()
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

    fn read(world: &World, request: &Request<'_>) -> Result<Self, ApiFault> {
        let text = |name| request.parameters.text(name);
        match (text("InstanceId"), text("SnapshotId")) {
            (Some(id), _) => Self::instance(world, request, &id),
            (None, _) if !request.parameters.items("DiskDeviceMapping")?.is_empty() => {
                Self::mappings(world, request)
            }
            (None, Some(id)) => Self::snapshot(world, request, &id),
            (None, None) => Err(ApiFault::missing("SnapshotId or InstanceId or DiskDeviceMapping")),
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
        let n_system = source.disks.iter().filter(|disk| disk.kind == DiskKind::System).count();
        if n_system != 1 {
            let found = if n_system == 0 { "does not contain" } else { "contains two or more" };
            let message = format!(
                "The specified parameter DiskDeviceMapping.n.SnapshotId {found} system disk \
                 snapshot."
            );
            return Err(ApiFault::new(400, "OperationDenied", message));
        }
        source.size_gib = source.disks.first().map_or(0, |disk| disk.size_gib);
        Ok(source)
    }
}
