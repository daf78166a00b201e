//! Images that move: to other regions, out to a bucket and in from one.

use indexmap::IndexMap;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Image, ImageDisk, ImageStatus, Owner, checked_name, shown_platform};
use crate::{
    course::Course,
    disks::DiskKind,
    error::ApiFault,
    operations::Request,
    resources::ResourceKind,
    snapshots::NewSnapshot,
    tasks::{Task, TaskAction},
    world::{World, done},
};

/// Copies into one region are made one after the other; those that wait say so.
pub(crate) fn copy_image(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let parameters = &request.parameters;
    let source_id = parameters.required("ImageId")?;
    let region = parameters.text("DestinationRegionId").unwrap_or_else(|| request.region.clone());
    if !world.has_region(&region) {
        let message = "The destination region not found";
        return Err(ApiFault::new(400, "DestinationRegion.NotFound", message));
    }
    let source = world.own_image(request, &source_id)?.clone();
    if source.course.at(request.now) != ImageStatus::Available {
        return Err(ApiFault::new(400, "IncorrectImageStatus", "The image not available."));
    }
    let name = parameters.text("DestinationImageName");
    if let Some(name) = &name {
        checked_name(name)?;
        world.refuse_taken_name(&region, name)?;
    }
    let tags = parameters.tags()?;
    world.room_for(source.disks.len().saturating_add(1))?;
    let course = world.copy_course(&region, request.now);
    let n_seconds = u32::try_from(course.remaining(request.now)).unwrap_or(u32::MAX);
    let mut disks = Vec::new();
    for disk in &source.disks {
        let snapshot = NewSnapshot {
            name: format!("Copied_from_{source_id}"),
            description: String::new(),
            region: &region,
            disk_id: "",
            disk_kind: disk.kind,
            size_gib: disk.size_gib,
            seconds: n_seconds,
            retention_days: None,
            resource_group_id: String::new(),
            tags: IndexMap::new(),
        };
        let snapshot_id = Some(world.make_snapshot(request.now, snapshot));
        disks.push(ImageDisk { snapshot_id, ..disk.clone() });
    }
    let id = world.make_id("m");
    let image = Image {
        id: id.clone(),
        name: name.unwrap_or_else(|| id.clone()),
        description: parameters.text("DestinationDescription").unwrap_or_default(),
        family: String::new(),
        region: Some(region),
        created: request.now,
        course,
        is_copy: true,
        disks,
        resource_group_id: parameters.text("ResourceGroupId").unwrap_or_default(),
        tags,
        shared_with: IndexMap::new(),
        is_public: false,
        made: true,
        ..source
    };
    world.images.insert(id.clone(), image);
    Ok(json!({ "ImageId": id }))
}

impl World {
    fn copy_course(&mut self, region: &str, now: Timestamp) -> Course<ImageStatus> {
        let last = match self.ends_failed(ResourceKind::Image) {
            true => ImageStatus::CreateFailed,
            false => ImageStatus::Available,
        };
        let copies = self.images.values().filter(|image| image.is_copy && image.is_in(region));
        let wait = copies.map(|image| image.course.remaining(now)).max().unwrap_or(0);
        let course = match u32::try_from(wait).unwrap_or(u32::MAX) {
            0 => Course::new(ImageStatus::Creating, now),
            wait => Course::new(ImageStatus::Waiting, now).then(wait, ImageStatus::Creating),
        };
        course.then(self.delays.copy, last)
    }
}

/// A copy that is not finished is removed, and what was made for it.
pub(crate) fn cancel_copy_image(
    world: &mut World,
    request: &Request<'_>,
) -> Result<Value, ApiFault> {
    let id = request.parameters.required("ImageId")?;
    let image = world.own_image(request, &id)?;
    if !image.is_copy {
        let message = "The specified image is not the target image of a copy action.";
        return Err(ApiFault::new(400, "ImageCreatedNotFromCopy", message));
    }
    if image.course.is_over(request.now) {
        let message = "The image has completed copy.";
        return Err(ApiFault::new(400, "IncorrectImageStatus", message));
    }
    if let Some(image) = world.images.shift_remove(&id) {
        let snapshots: Vec<_> =
            image.disks.iter().filter_map(|disk| disk.snapshot_id.as_ref()).collect();
        world.snapshots.retain(|id, _| !snapshots.contains(&id));
    }
    done()
}

pub(crate) fn export_image(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let parameters = &request.parameters;
    let id = parameters.required("ImageId")?;
    let bucket = parameters.required("OSSBucket")?;
    let format = parameters.text("ImageFormat").unwrap_or_else(|| "raw".into());
    let known = ["raw", "vhd", "qcow2", "vmdk", "vdi"];
    let Some(format) = known.into_iter().find(|known| known.eq_ignore_ascii_case(&format)) else {
        let message = "The specified Image Format is wrongly formed.";
        return Err(ApiFault::new(400, "InvalidImageFormat.Malformed", message));
    };
    let image = world.own_image(request, &id)?;
    if image.course.at(request.now) != ImageStatus::Available {
        let message = "The specified Image is not available.";
        return Err(ApiFault::new(400, "IncorrectImageStatus", message));
    }
    if world.task_on_image(&id, request.now).is_some() {
        let message = "The specified Image is being exported.";
        return Err(ApiFault::new(403, "ImageIsExporting", message));
    }
    world.room_for(1)?;
    let task_id = world.make_id("tsk");
    let stem = match parameters.text("OSSPrefix") {
        Some(prefix) => format!("{prefix}_{id}_{task_id}"),
        None => format!("{id}_{task_id}"),
    };
    let extension = if format == "raw" { "raw.tar.gz" } else { format };
    let items = [
        ("OSSBucket", bucket),
        ("OSSObject", format!("{stem}.{extension}")),
        ("ImageFormat", format.to_owned()),
    ];
    let task = Task::new(&task_id, request, TaskAction::ExportImage, &id, &items);
    world.start_task(task, request.now);
    Ok(json!({ "TaskId": task_id, "RegionId": request.region }))
}

pub(crate) fn import_image(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let parameters = &request.parameters;
    let mappings = parameters.items("DiskDeviceMapping")?;
    let first = mappings.first().ok_or_else(|| ApiFault::missing("DiskDeviceMapping"))?;
    let (bucket, object) = (first.required("OSSBucket")?, first.required("OSSObject")?);
    let name = parameters.text("ImageName");
    if let Some(name) = &name {
        checked_name(name)?;
        world.refuse_taken_name(&request.region, name)?;
    }
    let tags = parameters.tags()?;
    let sizes = mappings.iter().map(|each| each.number_in("DiskImageSize", 1..=2048));
    let sizes = sizes.collect::<Result<Vec<_>, _>>()?;
    world.room_for(mappings.len().saturating_add(2))?;
    let (id, task_id) = (world.make_id("m"), world.make_id("t"));
    let course = world.image_course(request.now, world.delays.image);
    let disks = (0u8..).zip(&sizes).map(|(index, size)| ImageDisk {
        kind: if index == 0 { DiskKind::System } else { DiskKind::Data },
        device: format!("/dev/xvd{}", char::from(b'a'.saturating_add(index).min(b'z'))),
        size_gib: size.unwrap_or(40),
        snapshot_id: None,
    });
    let disks: Vec<_> = disks.collect();
    let is_checked = parameters.text("DetectionStrategy").as_deref() == Some("Standard");
    let text = |name, otherwise: &str| parameters.text(name).unwrap_or(otherwise.to_owned());
    let image = Image {
        id: id.clone(),
        name: name.unwrap_or_else(|| id.clone()),
        description: text("Description", ""),
        family: String::new(),
        region: Some(request.region.clone()),
        owner: Owner::Own,
        architecture: text("Architecture", "x86_64"),
        os_type: text("OSType", "linux"),
        os_name: String::new(),
        platform: shown_platform(text("Platform", "Others Linux")),
        boot_mode: text("BootMode", "BIOS"),
        size_gib: disks.first().map_or(40, |disk| disk.size_gib),
        created: request.now,
        check: is_checked.then(|| world.check_after(course.end())),
        course,
        is_copy: false,
        disks,
        has_assistant: true,
        resource_group_id: text("ResourceGroupId", ""),
        tags,
        shared_with: IndexMap::new(),
        is_public: false,
        made: true,
    };
    world.images.insert(id.clone(), image);
    let items = [("ImageId", id.clone()), ("OSSBucket", bucket), ("OSSObject", object)];
    let task = Task::new(&task_id, request, TaskAction::ImportImage, &id, &items);
    world.start_task(task, request.now);
    Ok(json!({ "ImageId": id, "TaskId": task_id, "RegionId": request.region }))
}

/// The code of the refusal while a task of this kind uses an image.
pub(crate) fn image_while_task(action: TaskAction) -> &'static str {
    match action {
        TaskAction::ImportImage => "ImageIsImporting",
        TaskAction::ExportImage => "ImageIsExporting",
    }
}
