//! The image service over HTTP: the ECS, OOS and OSS APIs, and what an operator needs to see.
//!
//! This crate knows HTTP and configuration. What an action does is in `kiln-factory`, what it looks
//! like on the wire in `kiln-ecs` and `kiln-oss`.

#![warn(missing_docs)]

mod accounts;
mod config;
mod ecs;
mod first_key;
mod keep;
mod listen;
mod metrics;
mod oos_api;
mod ops;
pub mod oss;
mod regions;
mod run;

pub use config::{Config, ConfigError, LogFormat, Tls};
pub use keep::Keep;
pub use run::{collect, serve};
