//! Where records, blobs and journals are kept.

#![warn(missing_docs)]

mod database;
mod error;
mod query;
mod records;

pub use database::{Database, Dialect};
pub use error::StoreError;
pub use query::{ImageQuery, Page, Scope, TaskQuery};
pub use records::{Change, Records, Token, TokenKey, Versioned};
