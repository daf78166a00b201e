//! How instances come to be: an image, its disks, and the disks that are asked for beside them.

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::{Instance, InstanceStatus};
use crate::{
    course::Course,
    disks::{DiskKind, NewDisk, snapshot_not_ready},
    error::ApiFault,
    images::Image,
    operations::Request,
    parameters::Parameters,
    resources::ResourceKind,
    world::World,
};

/// Data disks that one request may ask for.
const MAX_DATA_DISKS: usize = 16;
/// Inbound bandwidth as answers have it; templates send more, and mean as much as there is.
const MAX_BANDWIDTH: i64 = 100;

pub(super) fn run_instances(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let n_instances = request.parameters.number_in("Amount", 1..=100)?.unwrap_or(1);
    let plan = Plan::read(world, request)?;
    let n_disks = plan.data_disks.len().saturating_add(1);
    let n_instances = usize::try_from(n_instances).unwrap_or(1);
    world.room_for(n_disks.saturating_add(1).saturating_mul(n_instances))?;
    let ids: Vec<_> = (0..n_instances).map(|_| plan.make(world, request, true)).collect();
    Ok(json!({ "InstanceIdSets": { "InstanceIdSet": ids } }))
}

/// The older operation: one instance, which is not started.
pub(super) fn create_instance(world: &mut World, request: &Request<'_>) -> Result<Value, ApiFault> {
    let plan = Plan::read(world, request)?;
    world.room_for(plan.data_disks.len().saturating_add(2))?;
    let id = plan.make(world, request, false);
    Ok(json!({ "InstanceId": id }))
}

/// What the request asks for, all of it checked.
#[derive(Debug)]
struct Plan {
    image: Image,
    template: Instance,
    category: String,
    system_size_gib: i64,
    data_disks: Vec<DataDisk>,
}

#[derive(Debug)]
struct DataDisk {
    name: String,
    category: String,
    size_gib: i64,
    snapshot_id: Option<String>,
    device: String,
    delete_with_instance: bool,
}

impl Plan {
    fn read(world: &World, request: &Request<'_>) -> Result<Self, ApiFault> {
        let parameters = &request.parameters;
        let image = world.usable_image(request, &parameters.required("ImageId")?)?.clone();
        let instance_type = parameters.required("InstanceType")?;
        let text = |name| parameters.text(name).unwrap_or_default();
        let number = |name| parameters.number_in(name, 0..=100_000);
        let category =
            parameters.text("SystemDisk.Category").unwrap_or_else(|| "cloud_essd".into());
        let size = parameters.number_in("SystemDisk.Size", 1..=2048)?;
        let mut groups = parameters.list("SecurityGroupId")?.unwrap_or_default();
        groups.retain(|group| !group.is_empty());
        let template = Instance {
            id: String::new(),
            name: text("InstanceName"),
            description: text("Description"),
            image_id: image.id.clone(),
            region: request.region.clone(),
            zone: parameters.text("ZoneId").unwrap_or_else(|| world.first_zone(&request.region)),
            instance_type,
            charge_type: parameters.text("InstanceChargeType").unwrap_or_else(|| "PostPaid".into()),
            security_group_ids: groups,
            vswitch_id: text("VSwitchId"),
            key_pair: text("KeyPairName"),
            resource_group_id: text("ResourceGroupId"),
            bandwidth_in: number("InternetMaxBandwidthIn")?.unwrap_or(0).min(MAX_BANDWIDTH),
            bandwidth_out: number("InternetMaxBandwidthOut")?.unwrap_or(0).min(MAX_BANDWIDTH),
            is_protected: parameters.flag("DeletionProtection")?.unwrap_or(false),
            stopped_mode: "Not-applicable".into(),
            created: request.now,
            course: Course::new(InstanceStatus::Pending, request.now),
            has_assistant: image.has_assistant,
            assistant_is_pending: false,
            tags: parameters.tags()?,
            made: true,
        };
        let of_image = image.disks.iter().filter(|disk| disk.kind == DiskKind::Data);
        let mut data_disks: Vec<_> = (of_image.map(|disk| DataDisk {
            name: String::new(),
            category: category.clone(),
            size_gib: disk.size_gib,
            snapshot_id: disk.snapshot_id.clone(),
            device: disk.device.clone(),
            delete_with_instance: true,
        }))
        .collect();
        for item in parameters.items("DataDisk")? {
            data_disks.push(DataDisk::read(world, request, &item)?);
        }
        if data_disks.len() > MAX_DATA_DISKS {
            return Err(ApiFault::invalid("DataDisk"));
        }
        let system_size_gib = size.unwrap_or(40).max(image.size_gib);
        Ok(Self { image, template, category, system_size_gib, data_disks })
    }

    /// Make one instance of the plan.
    fn make(&self, world: &mut World, request: &Request<'_>, is_started: bool) -> String {
        let id = world.make_id("i");
        let zone = self.template.zone.clone();
        let disk = |kind, name: &str, category: &str, size_gib, device: &str| NewDisk {
            name: name.to_owned(),
            region: &request.region,
            zone: &zone,
            kind,
            category: category.to_owned(),
            size_gib,
            instance_id: &id,
            device: device.to_owned(),
            image_id: "",
            snapshot_id: None,
            delete_with_instance: true,
        };
        world.make_disk(
            request.now,
            NewDisk {
                image_id: &self.image.id,
                snapshot_id: self.image.system_snapshot().map(str::to_owned),
                ..disk(DiskKind::System, "", &self.category, self.system_size_gib, "/dev/xvda")
            },
        );
        for data in &self.data_disks {
            let device = match data.device.as_str() {
                "" => world.free_device(&id),
                device => device.to_owned(),
            };
            world.make_disk(
                request.now,
                NewDisk {
                    snapshot_id: data.snapshot_id.clone(),
                    delete_with_instance: data.delete_with_instance,
                    ..disk(DiskKind::Data, &data.name, &data.category, data.size_gib, &device)
                },
            );
        }
        let instance = Instance {
            id: id.clone(),
            name: match self.template.name.as_str() {
                "" => id.clone(),
                name => name.to_owned(),
            },
            course: course(world, request, is_started),
            tags: IndexMap::clone(&self.template.tags),
            ..self.template.clone()
        };
        world.instances.insert(id.clone(), instance);
        id
    }
}

/// One that ends badly never gets beyond its last step but one.
fn course(world: &mut World, request: &Request<'_>, is_started: bool) -> Course<InstanceStatus> {
    let fails = world.ends_failed(ResourceKind::Instance);
    let seconds = world.delays.instance_start;
    let pending = Course::new(InstanceStatus::Pending, request.now);
    let early = seconds / 4;
    match (is_started, fails) {
        (true, false) => pending
            .then(early, InstanceStatus::Starting)
            .then(seconds - early, InstanceStatus::Running),
        (true, true) => pending.then(early, InstanceStatus::Starting),
        (false, false) => pending.then(early, InstanceStatus::Stopped),
        (false, true) => pending,
    }
}

impl DataDisk {
    fn read(world: &World, request: &Request<'_>, item: &Parameters) -> Result<Self, ApiFault> {
        let snapshot_id = item.text("SnapshotId");
        let size = item.number_in("Size", 1..=65_536)?;
        let size_gib = match &snapshot_id {
            None => size.unwrap_or(40),
            Some(id) => {
                let message = "The specified DataDisk.n.SnapshotId does not exist.";
                let missing = || ApiFault::new(404, "InvalidDataDiskSnapshotId.NotFound", message);
                let snapshot = world.snapshot(request, id).map_err(|_| missing())?;
                if !snapshot.is_ready(request.now) {
                    return Err(snapshot_not_ready());
                }
                snapshot.size_gib
            }
        };
        Ok(Self {
            name: item.text("DiskName").unwrap_or_default(),
            category: item.text("Category").unwrap_or_else(|| "cloud_essd".into()),
            size_gib,
            snapshot_id,
            device: item.text("Device").unwrap_or_default(),
            delete_with_instance: item.flag("DeleteWithInstance")?.unwrap_or(true),
        })
    }
}
