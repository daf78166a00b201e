//! The ECS image API on the wire: types, parameters, signatures, answers and errors.
//!
//! Everything here is a pure function of bytes: no socket, no clock, no store. The server and the
//! clients own those, so the same code serves both sides and every rule can be tested alone.

#![warn(missing_docs)]

pub mod answer;
pub mod error;
pub mod params;
pub mod sign;
pub mod types;
mod xml;
