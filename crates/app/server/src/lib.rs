//! The ECS image API and the OSS API over HTTP.

#![warn(missing_docs)]

pub mod oss;
