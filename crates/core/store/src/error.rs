//! What can go wrong where things are kept.

use std::error::Error as StdError;

/// Why something could not be kept or found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A database or an object store did not answer; trying again may help.
    #[error("the store is not available")]
    Unavailable {
        /// What it said.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A setting that names no place.
    #[error("`{url}` names no place to keep objects: {why}")]
    Place {
        /// The setting.
        url: String,
        /// What is wrong with it and what to write.
        why: String,
    },
    /// Reading or writing failed, and would again.
    #[error("{place}")]
    Object {
        /// The bucket and the key, or the path.
        place: String,
        /// What the system or the object store said.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// Bytes that are not the ones they are named after.
    #[error("{place}: {why}")]
    Content {
        /// The path.
        place: String,
        /// Which size or hash was found.
        why: String,
    },
}

impl StoreError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
