//! Where records, blobs and journals are kept.

#![warn(missing_docs)]

mod blobs;
mod buckets;
mod catalogue;
mod catalogue_names;
mod catalogue_set;
mod database;
mod error;
mod executions;
mod favorites;
mod journal;
mod listing;
mod objects;
mod once;
mod parameters;
mod place;
mod query;
mod records;
mod records_sql;
mod rows;
mod tags;
mod templates;

pub use blobs::Blobs;
pub use buckets::{Bucket, BucketSettings, Buckets, ObjectMeta};
pub use database::{Database, Dialect, Writer};
pub use error::StoreError;
pub use executions::{
    Batch, Committer, Depth, ExecutionChange, ExecutionQuery, ExecutionRow, ExecutionSort,
    Executions, LogQuery, LogRow, Logs, Stored, TaskExecutionQuery, TaskExecutionSort, TaskRow,
};
pub use journal::Journal;
pub use listing::{Listing, PageOf};
pub use once::Once;
pub use parameters::{
    PARAMETER_VERSIONS, ParameterChange, ParameterQuery, ParameterRow, ParameterSort,
    ParameterVersion, Parameters,
};
pub use query::{ImageQuery, Page, Scope, TaskQuery};
pub use records::{Change, Records, Token, TokenKey, Versioned};
pub use tags::{Kind as TagKind, ResourceTag, TagChange, Tags};
pub use templates::{
    TEMPLATE_VERSIONS, TemplateQuery, TemplateRow, TemplateSort, TemplateVersion, Templates,
};

#[cfg(test)]
mod both;
#[cfg(test)]
mod catalogue_tests;
#[cfg(test)]
mod parameters_tests;
#[cfg(test)]
mod records_samples;
#[cfg(test)]
mod records_tests;
#[cfg(test)]
mod templates_tests;
