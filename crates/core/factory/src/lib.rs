//! What kiln does with images: one use case a module, for the command and the server alike.
//!
//! It puts together what the libraries know and what machines can do. No HTTP, no arguments, no
//! terminal.

pub mod bundle;
mod error;
pub mod executions;
pub mod images;
pub mod repair;

pub use error::{Error, Result};
