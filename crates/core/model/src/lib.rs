//! The words of kiln's domain, and the rules that hold wherever they are used.
//!
//! Pure values: nothing here reads a clock, a file or a database.

#![warn(missing_docs)]

mod id;
mod image;
mod name;
mod policy;
mod task;

pub use id::{Prefix, new_id};
pub use image::{
    Architecture, Blob, BootMode, CopySource, Detection, DetectionItem, DetectionStatus, Disk,
    DiskKind, Image, ImageStatus, ImdsSupport, LicenseType, ObjectName, OsType, Support,
};
pub use name::{NameFault, description, family, image_name, tag_key, tag_value};
pub use policy::{Decision, Policy, PolicyError, decide};
pub use task::{Step, Task, TaskAction, TaskStatus};
