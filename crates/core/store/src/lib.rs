//! Where records, blobs and journals are kept.

#![warn(missing_docs)]

mod catalogue;
mod catalogue_names;
mod catalogue_set;
mod database;
mod error;
mod query;
mod records;
mod records_sql;

pub use database::{Database, Dialect};
pub use error::StoreError;
pub use query::{ImageQuery, Page, Scope, TaskQuery};
pub use records::{Change, Records, Token, TokenKey, Versioned};

#[cfg(test)]
mod catalogue_tests;
#[cfg(test)]
mod records_samples;
#[cfg(test)]
mod records_tests;
