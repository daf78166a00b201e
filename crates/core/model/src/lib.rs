//! The words of kiln's domain, and the rules that hold wherever they are used.
//!
//! Pure values: nothing here reads a clock, a file or a database.

#![warn(missing_docs)]

mod id;
mod name;
mod policy;

pub use id::{Prefix, new_id};
pub use name::{NameFault, description, family, image_name, tag_key, tag_value};
pub use policy::{Decision, Policy, PolicyError, decide};
