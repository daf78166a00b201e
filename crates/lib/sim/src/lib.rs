//! A small scripted world of ECS resources to rehearse templates in.
//!
//! A template of operations makes machines, snapshots and images of somebody's account and is to
//! leave nothing behind. Whether it does is seen here first: a [`World`] answers the operations
//! that image templates call as the cloud does, moves its resources through their states, fails
//! where the world file says so, and tells at the end what exists.
//!
//! The world is a value. It has no clock (every call brings its time), does no I/O and draws no
//! random numbers, so that the same calls at the same times give the same answers, before and
//! after [`World::save`] and [`World::load`]. States are functions of the time: nothing has to be
//! run for a machine to start.

#![warn(missing_docs)]

mod commands;
mod course;
mod disks;
mod error;
mod faults;
mod file;
mod images;
mod instances;
mod launch_templates;
mod operations;
mod paging;
mod parameters;
mod regions;
mod resources;
mod scaling;
mod snapshots;
mod stacks;
mod tags;
mod tasks;
mod world;
mod yaml;

#[cfg(test)]
mod operation_tests;
#[cfg(test)]
mod repair_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod trap_tests;
#[cfg(test)]
mod update_tests;
#[cfg(test)]
mod world_tests;

pub use error::{ApiFault, WorldError};
pub use operations::operations;
pub use resources::{Resource, ResourceKind};
pub use world::{Call, CallRecord, World};

/// Worlds that kiln ships: a name, and the text of its file.
pub const SHIPPED: &[(&str, &str)] = &[
    ("empty", include_str!("../worlds/empty.yml")),
    ("repair-image", include_str!("../worlds/repair-image.yml")),
    ("update-image", include_str!("../worlds/update-image.yml")),
];

/// The text of a world that kiln ships.
#[must_use]
pub fn shipped(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(own, _)| *own == name).map(|(_, text)| *text)
}
