//! Images, tasks and client tokens, and the transactions that change them.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use kiln_model::{Image, Task};

use crate::{Database, ImageQuery, Page, StoreError, TaskQuery};

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The record.
    pub value: T,
    /// Of the record when it was read. An update names it, and fails if it is no longer current.
    pub revision: i64,
}

/// One change of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new image.
    InsertImage(Image),
    /// Another state of an image.
    UpdateImage(Versioned<Image>),
    /// The end of an image.
    DeleteImage {
        /// Its region.
        region: String,
        /// Its identifier.
        id: String,
        /// Its revision when it was read.
        revision: i64,
    },
    /// A new task.
    InsertTask(Task),
    /// Another state of a task.
    UpdateTask(Versioned<Task>),
    /// The answer that a repeated request with the same client token gets.
    Remember(TokenKey, Token),
}

/// What a client token is known by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenKey {
    /// Account of the caller.
    pub account: String,
    /// Region of the request.
    pub region: String,
    /// Name of the action.
    pub action: String,
    /// The token itself.
    pub token: String,
}

/// What is kept of a request that had a client token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// SHA-256 of the request's parameters, 64 lower-case hexadecimal digits.
    pub parameters: String,
    /// What was answered.
    pub answer: serde_json::Value,
    /// When.
    pub created: Timestamp,
}

/// The records of one database. Clones share the lists in memory.
#[derive(Clone, Debug)]
pub struct Records {
    database: Database,
}

impl Records {
    /// Reads all images into memory.
    ///
    /// # Errors
    ///
    /// `Unavailable`, and `Corrupt` if a record cannot be read.
    pub async fn open(database: Database) -> Result<Self, StoreError> {
        Ok(Self { database })
    }

    /// Makes all of the changes, or none.
    ///
    /// # Errors
    ///
    /// `Conflict` if a record of an update or deletion is gone or has another revision, or if that
    /// of an insertion is there already; `DuplicateName` if the owner has another image of the name
    /// in the region; `DuplicateToken` if the token is known; `Unavailable`.
    pub async fn apply(&self, _changes: Vec<Change>) -> Result<(), StoreError> {
        Err(StoreError::Conflict)
    }

    /// One image.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Corrupt`.
    pub async fn image(
        &self,
        _region: &str,
        _id: &str,
    ) -> Result<Option<Versioned<Image>>, StoreError> {
        Err(StoreError::Conflict)
    }

    /// One task.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Corrupt`.
    pub async fn task(&self, _id: &str) -> Result<Option<Versioned<Task>>, StoreError> {
        Err(StoreError::Conflict)
    }

    /// A page of images, from memory.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Corrupt`.
    pub async fn images(&self, _query: &ImageQuery) -> Result<Page<Arc<Image>>, StoreError> {
        Err(StoreError::Conflict)
    }

    /// A page of tasks.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Corrupt`.
    pub async fn tasks(&self, _query: &TaskQuery) -> Result<Page<Task>, StoreError> {
        Err(StoreError::Conflict)
    }

    /// All tasks that have not ended, oldest first.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Corrupt`.
    pub async fn unfinished_tasks(&self) -> Result<Vec<Task>, StoreError> {
        Err(StoreError::Conflict)
    }

    /// How many images an account has in a region.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Corrupt`.
    pub async fn count_images(&self, _owner: &str, _region: &str) -> Result<u64, StoreError> {
        Err(StoreError::Conflict)
    }

    /// What was answered to a request with this token, if it is remembered.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Corrupt`.
    pub async fn token(&self, _key: &TokenKey) -> Result<Option<Token>, StoreError> {
        Err(StoreError::Conflict)
    }

    /// The hashes of all blobs that images of a region name.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Corrupt`.
    pub async fn blob_hashes(&self, _region: &str) -> Result<BTreeSet<String>, StoreError> {
        Err(StoreError::Conflict)
    }

    /// Forgets client tokens made before `before`, tasks that ended 30 days before it, and
    /// deletions of images a day before it.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn forget_before(&self, _before: Timestamp) -> Result<(), StoreError> {
        Err(StoreError::Conflict)
    }
}
