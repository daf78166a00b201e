//! Images: made of instances and snapshots, named, shared and deleted.

mod copies;
mod create;
mod describe;
mod share;

use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    course::{Course, wire_names},
    disks::DiskKind,
    error::ApiFault,
    operations::{Operation, Request},
    resources::ResourceKind,
    world::{World, done},
};

pub(crate) use copies::image_while_task;
pub(crate) use describe::wildcard;

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::ecs("CancelCopyImage", copies::cancel_copy_image),
    Operation::ecs("CopyImage", copies::copy_image),
    Operation::ecs("CreateImage", create::create_image),
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
