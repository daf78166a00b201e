//! Where records, blobs and journals are kept.

#![warn(missing_docs)]

mod database;
mod error;
mod journal;

pub use database::{Database, Dialect, Writer};
pub use error::StoreError;
pub use journal::Journal;
