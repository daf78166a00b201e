//! Machines that kiln starts: QEMU on this host.
//!
//! [`qemu`] finds the emulator, decides how it is accelerated, and runs it so that it never outlives
//! kiln. What is done with a machine stands on top of it: [`helper`] edits the disks of a guest in one.
//!
//! An image is never written here, and never named to QEMU in a way that lets the image name other
//! files: see [`qemu::drive`].

mod error;
pub mod helper;
pub mod qemu;

pub use error::{Error, Result};
