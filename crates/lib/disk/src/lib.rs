//! Virtual disks as bounded, read-only block sources, and new images made from them.
//!
//! [`open`] turns a location (a path, or a URL where the feature is on) into an [`Image`]: the disk
//! as the guest sees it, whatever format its file has. Images are hostile: every offset is checked,
//! every table is bounded, and a name found inside an image is opened only where [`OpenOptions`]
//! allows it. What is opened is never changed: [`mod@write`] only makes new streams.

#![warn(missing_docs)]

mod cache;
mod counting;
mod error;
mod fields;
mod file;
mod formats;
mod image;
mod map;
mod mapped;
#[cfg(any(feature = "http", feature = "object"))]
mod remote;
mod siblings;
mod source;
mod unpack;
pub mod write;

pub use error::{Error, Fault, Kind, Result};
pub use file::FileSource;
pub use image::{Format, Image, Link, OpenOptions, open, open_source, source};
pub use map::map;
#[cfg(feature = "object")]
pub use remote::object::store as object_store;
pub use siblings::{LocalSiblings, NoSiblings, Sibling, Siblings};
pub use source::{BlockSource, Extent, ExtentKind, MemSource, Source, Window, check_range};
