//! Snapshots: what disks are kept in, and images are made of.

use indexmap::IndexMap;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    course::{Course, wire_names, with_seconds},
    disks::DiskKind,
    error::ApiFault,
    operations::{Operation, Request},
    paging::page,
    resources::ResourceKind,
    tags::{has_tags, tag_fields},
    world::{World, done},
};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::ecs("CreateSnapshot", create_snapshot),
    Operation::ecs("DeleteSnapshot", delete_snapshot),
    Operation::ecs("DescribeSnapshots", describe_snapshots),
];

wire_names! {
    /// The status of a snapshot.
    SnapshotStatus { Progressing = "progressing", Accomplished = "accomplished", Failed = "failed" }
}

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) region: String,
    /// The disk it is of; empty where the world file names none.
    pub(crate) disk_id: String,
    pub(crate) disk_kind: DiskKind,
    pub(crate) size_gib: i64,
    pub(crate) course: Course<SnapshotStatus>,
    pub(crate) retention_days: Option<i64>,
    pub(crate) resource_group_id: String,
    pub(crate) tags: IndexMap<String, String>,
    pub(crate) made: bool,
}

impl Snapshot {
    pub(crate) fn is_ready(&self, now: Timestamp) -> bool {
        self.course.at(now) == SnapshotStatus::Accomplished
    }
}

impl World {
    /// The snapshot of this identifier in the region of the request.
    pub(crate) fn snapshot(&self, request: &Request<'_>, id: &str) -> Result<&Snapshot, ApiFault> {
        let found = self.snapshots.get(id).filter(|each| each.region == request.region);
        found.ok_or_else(|| ApiFault::not_found("SnapshotId"))
    }

    /// Whether the retention of a snapshot is over. One that an image is made of stays.
    pub(crate) fn is_expired(&self, snapshot: &Snapshot, now: Timestamp) -> bool {
        let Some(days) = snapshot.retention_days else { return false };
        let life = SignedDuration::from_secs(days.saturating_mul(86_400));
        now.duration_since(snapshot.course.since()) > life && !self.is_in_image(&snapshot.id)
    }

    fn is_in_image(&self, snapshot_id: &str) -> bool {
        let mut disks = self.images.values().flat_map(|image| &image.disks);
        disks.any(|disk| disk.snapshot_id.as_deref() == Some(snapshot_id))
    }

    /// Begin a snapshot of a disk that exists; whoever calls has checked that there is room.
    pub(crate) fn make_snapshot(&mut self, now: Timestamp, of: NewSnapshot<'_>) -> String {
        let last = match self.ends_failed(ResourceKind::Snapshot) {
            true => SnapshotStatus::Failed,
            false => SnapshotStatus::Accomplished,
        };
        let id = self.make_id("s");
        let snapshot = Snapshot {
            id: id.clone(),
            name: of.name,
            description: of.description,
            region: of.region.to_owned(),
            disk_id: of.disk_id.to_owned(),
            disk_kind: of.disk_kind,
            size_gib: of.size_gib,
            course: Course::new(SnapshotStatus::Progressing, now).then(of.seconds, last),
            retention_days: of.retention_days,
            resource_group_id: of.resource_group_id,
            tags: of.tags,
            made: true,
        };
        self.snapshots.insert(id.clone(), snapshot);
        id
    }
}

/// What a new snapshot is of.
#[derive(Debug)]
pub(crate) struct NewSnapshot<'a> {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) region: &'a str,
    pub(crate) disk_id: &'a str,
    pub(crate) disk_kind: DiskKind,
    pub(crate) size_gib: i64,
    pub(crate) seconds: u32,
    pub(crate) retention_days: Option<i64>,
    pub(crate) resource_group_id: String,
    pub(crate) tags: IndexMap<String, String>,
}

fn create_snapshot(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let parameters = &request.parameters;
    let disk = world.disk(request, &parameters.required("DiskId")?)?.clone();
    let name = parameters.text("SnapshotName").unwrap_or_default();
    let n_chars = name.chars().count();
    if n_chars == 1 || n_chars > 128 || name.starts_with("auto") || name.starts_with("http") {
        let message = "The specified SnapshotName is not valid.";
        return Err(ApiFault::new(400, "InvalidSnapshotName.Malformed", message));
    }
    let retention_days = parameters.number_in("RetentionDays", 1..=65_536)?;
    let tags = parameters.tags()?;
    let mut of_disk = world.snapshots.values().filter(|each| each.disk_id == disk.id);
    if of_disk.any(|each| !each.course.is_over(request.now)) {
        let message = "A previous snapshot creation is in process.";
        return Err(ApiFault::new(403, "IncorrectDiskStatus.CreatingSnapshot", message));
    }
    world.room_for(1)?;
    let id = world.make_snapshot(
        request.now,
        NewSnapshot {
            name,
            description: parameters.text("Description").unwrap_or_default(),
            region: &request.region,
            disk_id: &disk.id,
            disk_kind: disk.kind,
            size_gib: disk.size_gib,
            seconds: world.delays.snapshot,
            retention_days,
            resource_group_id: parameters.text("ResourceGroupId").unwrap_or_default(),
            tags,
        },
    );
    Ok(json!({ "SnapshotId": id }))
}

fn delete_snapshot(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let id = request.parameters.required("SnapshotId")?;
    let force = request.parameters.flag("Force")?.unwrap_or(false);
    world.snapshot(request, &id)?;
    if world.is_in_image(&id) {
        let message = "The snapshot has been used to create user defined image(s).";
        return Err(ApiFault::new(403, "SnapshotCreatedImage", message));
    }
    let mut disks = world.disks.values();
    if !force && disks.any(|disk| disk.snapshot_id.as_deref() == Some(&id)) {
        let message = "The snapshot has been used to create disk(s).";
        return Err(ApiFault::new(403, "SnapshotCreatedDisk", message));
    }
    world.snapshots.shift_remove(&id);
    done()
}

fn describe_snapshots(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let parameters = &request.parameters;
    let ids = parameters.list("SnapshotId")?;
    let tags = parameters.tags()?;
    let status = parameters.text("Status").filter(|status| status != "all");
    if status.as_deref().is_some_and(|status| SnapshotStatus::named(status).is_none()) {
        let message = "The specified Status is not valid.";
        return Err(ApiFault::new(404, "InvalidStatus.NotFound", message));
    }
    let text = |name| parameters.text(name);
    let (disk, instance, name) = (text("DiskId"), text("InstanceId"), text("SnapshotName"));
    let kind = text("SourceDiskType").map(|kind| kind.to_ascii_lowercase());
    let is_wanted = |snapshot: &&Snapshot| {
        let instance_id = world.disks.get(&snapshot.disk_id).map(|d| d.instance_id.as_str());
        snapshot.region == request.region
            && ids.as_ref().is_none_or(|ids| ids.contains(&snapshot.id))
            && disk.as_ref().is_none_or(|disk| *disk == snapshot.disk_id)
            && instance.as_deref().is_none_or(|instance| instance_id == Some(instance))
            && name.as_ref().is_none_or(|name| *name == snapshot.name)
            && kind.as_ref().is_none_or(|kind| kind == snapshot.disk_kind.name())
            && status.as_ref().is_none_or(|s| s == snapshot.course.at(request.now).name())
            && has_tags(&snapshot.tags, &tags)
    };
    let found: Vec<_> = world.snapshots.values().rev().filter(is_wanted).collect();
    let page = page(request, &found, |each| show(world, each, request.now))?;
    Ok(page.answer("Snapshots", "Snapshot"))
}

fn show(world: &World, snapshot: &Snapshot, now: Timestamp) -> Value {
    let in_disk = world.disks.values().any(|d| d.snapshot_id.as_deref() == Some(&snapshot.id));
    let usage = match (world.is_in_image(&snapshot.id), in_disk) {
        (true, true) => "image_disk",
        (true, false) => "image",
        (false, true) => "disk",
        (false, false) => "none",
    };
    let mut shown = json!({
        "SnapshotId": snapshot.id,
        "SnapshotName": snapshot.name,
        "Description": snapshot.description,
        "RegionId": snapshot.region,
        "Status": snapshot.course.at(now).name(),
        "Progress": format!("{}%", snapshot.course.percent(now)),
        "RemainTime": snapshot.course.remaining(now),
        "SourceDiskId": snapshot.disk_id,
        "SourceDiskSize": snapshot.size_gib.to_string(),
        "SourceDiskType": snapshot.disk_kind.name(),
        "SourceStorageType": "disk",
        "SnapshotType": "user",
        "Usage": usage,
        "CreationTime": with_seconds(snapshot.course.since()),
        "LastModifiedTime": with_seconds(snapshot.course.since()),
        "Encrypted": false,
        "Available": snapshot.is_ready(now),
        "InstantAccess": false,
        "ProductCode": "",
        "Category": "standard",
        "ResourceGroupId": snapshot.resource_group_id,
        "Tags": tag_fields(&snapshot.tags),
    });
    if let (Some(days), Some(fields)) = (snapshot.retention_days, shown.as_object_mut()) {
        fields.insert("RetentionDays".into(), days.into());
    }
    shown
}
