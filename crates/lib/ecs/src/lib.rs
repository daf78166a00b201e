//! The ECS image API on the wire: types, parameters, signatures, answers and errors.
//!
//! Everything here is a pure function of bytes: no socket, no clock, no store. The server and the
//! clients own those, so the same code serves both sides and every rule can be tested alone. Only
//! the feature `client` adds one that calls an endpoint.

#![warn(missing_docs)]

pub mod answer;
#[cfg(feature = "client")]
pub mod client;
pub mod error;
pub mod params;
pub mod sign;
pub mod types;
mod xml;
