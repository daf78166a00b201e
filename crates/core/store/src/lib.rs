//! Where records, blobs and journals are kept.

#![warn(missing_docs)]

mod blobs;
mod buckets;
mod catalogue;
mod catalogue_names;
mod catalogue_set;
mod database;
mod error;
mod journal;
mod objects;
mod place;
mod query;
mod records;
mod records_sql;

pub use blobs::Blobs;
pub use buckets::{Bucket, BucketSettings, Buckets, ObjectMeta};
pub use database::{Database, Dialect, Writer};
pub use error::StoreError;
pub use journal::Journal;
pub use query::{ImageQuery, Page, Scope, TaskQuery};
pub use records::{Change, Records, Token, TokenKey, Versioned};

#[cfg(test)]
mod catalogue_tests;
#[cfg(test)]
mod records_samples;
#[cfg(test)]
mod records_tests;
