//! Where records, blobs and journals are kept.

#![warn(missing_docs)]

mod blobs;
mod buckets;
mod error;
mod place;

pub use blobs::Blobs;
pub use buckets::{Bucket, BucketSettings, Buckets, ObjectMeta};
pub use error::StoreError;
