//! What exists: the list that tells whether a template has cleaned up.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::world::World;

/// The kind of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResourceKind {
    /// An instance.
    Instance,
    /// A disk.
    Disk,
    /// A snapshot.
    Snapshot,
    /// An image.
    Image,
    /// One version of a launch template.
    LaunchTemplateVersion,
    /// A stack of ROS.
    Stack,
    /// The record that a command was run.
    Invocation,
}

impl ResourceKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Instance,
        Self::Disk,
        Self::Snapshot,
        Self::Image,
        Self::LaunchTemplateVersion,
        Self::Stack,
        Self::Invocation,
    ];

    /// The kind's name, as world files and reports have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Disk => "disk",
            Self::Snapshot => "snapshot",
            Self::Image => "image",
            Self::LaunchTemplateVersion => "launch-template-version",
            Self::Stack => "stack",
            Self::Invocation => "invocation",
        }
    }
}

impl std::fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that exists in the world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// What it is.
    pub kind: ResourceKind,
    /// Its identifier; of a version of a launch template, `<template>:<number>`.
    pub id: String,
    /// Its name, which may be empty.
    pub name: String,
    /// Its status, in the words of the operations.
    pub status: String,
    /// Made by an operation during the rehearsal; what the world file has is not.
    pub made_by_call: bool,
}

impl World {
    /// What exists at `now`, by kind and in the order it was made.
    pub fn resources(&self, now: Timestamp) -> Vec<Resource> {
        let resource = |kind, id: &str, name: &str, status: &str, made_by_call| Resource {
            kind,
            id: id.to_owned(),
            name: name.to_owned(),
            status: status.to_owned(),
            made_by_call,
        };
        let mut found = Vec::new();
        for each in self.instances.values() {
            let status = each.course.at(now).name();
            found.push(resource(ResourceKind::Instance, &each.id, &each.name, status, each.made));
        }
        for each in self.disks.values() {
            let status = each.course.at(now).name();
            found.push(resource(ResourceKind::Disk, &each.id, &each.name, status, each.made));
        }
        for each in self.snapshots.values().filter(|each| !self.is_expired(each, now)) {
            let status = each.course.at(now).name();
            found.push(resource(ResourceKind::Snapshot, &each.id, &each.name, status, each.made));
        }
        for each in self.images.values() {
            let status = each.course.at(now).name();
            found.push(resource(ResourceKind::Image, &each.id, &each.name, status, each.made));
        }
        for template in self.launch_templates.values() {
            for version in &template.versions {
                let id = format!("{}:{}", template.id, version.number);
                let is_default = version.number == template.default_version;
                let status = if is_default { "default" } else { "available" };
                let kind = ResourceKind::LaunchTemplateVersion;
                found.push(resource(kind, &id, &template.name, status, version.made));
            }
        }
        for each in self.stacks.values().filter(|each| !each.is_gone(now)) {
            let status = each.course.at(now).name();
            found.push(resource(ResourceKind::Stack, &each.id, &each.name, status, true));
        }
        for each in self.invocations.values() {
            let status = each.status(now).name();
            let kind = ResourceKind::Invocation;
            found.push(resource(kind, &each.id, &each.command_name, status, true));
        }
        found
    }
}
