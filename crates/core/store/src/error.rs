//! What can go wrong with the store.

/// Why the store did not do as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The record was changed or deleted since it was read: read it again.
    #[error("the record was changed by someone else; read it again")]
    Conflict,
    /// The owner has another image of that name in the region.
    #[error("the owner already has an image of that name in the region")]
    DuplicateName,
    /// The client token is known already: read its answer.
    #[error("the client token is known already")]
    DuplicateToken,
    /// The store cannot be reached, or is busy. Trying again may help.
    #[error("the database is not available: {source}")]
    Unavailable {
        /// What the driver said.
        source: sqlx::Error,
    },
    /// What is stored cannot be read.
    #[error("{what} is stored in a form that cannot be read: {reason}")]
    Corrupt {
        /// Which record.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl StoreError {
    /// Whether the same call may succeed later without a change by the caller.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(source: sqlx::Error) -> Self {
        Self::Unavailable { source }
    }
}
