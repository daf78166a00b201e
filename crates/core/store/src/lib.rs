//! Where records, blobs and journals are kept.

#![warn(missing_docs)]

mod blobs;
mod buckets;
mod database;
mod error;
mod objects;
mod place;
mod query;
mod records;

pub use blobs::Blobs;
pub use buckets::{Bucket, BucketSettings, Buckets, ObjectMeta};
pub use database::{Database, Dialect};
pub use error::StoreError;
pub use opendal::Operator;
pub use query::{ImageQuery, Page, Scope, TaskQuery};
pub use records::{Change, Records, Token, TokenKey, Versioned};
