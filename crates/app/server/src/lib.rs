//! The ECS image API and the OSS API over HTTP.

#![warn(missing_docs)]

pub mod accounts;
pub mod ecs;
pub mod regions;
