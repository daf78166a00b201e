//! The ECS image API.

pub mod actions;
pub mod instance_types;
