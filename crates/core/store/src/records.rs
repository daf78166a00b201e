//! Images, tasks and client tokens, and the transactions that change them.
//!
//! Single records are read from the database, lists of images from the catalogue in memory, which
//! is first brought up to the database's revision. So a list shows every write that was committed
//! before it was asked for, by this process or another one.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use jiff::Timestamp;
use kiln_model::{Image, Task};

use crate::catalogue::Catalogue;
use crate::records_sql as sql;
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
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    database: Database,
    catalogue: RwLock<Catalogue>,
    /// Held while news are read, so that a burst of lists reads them once.
    refresh: tokio::sync::Mutex<()>,
}

impl Records {
    /// Reads all images into memory.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`, and `Corrupt` if a record cannot be read.
    pub async fn open(database: Database) -> Result<Self, StoreError> {
        let catalogue = RwLock::new(sql::load(&database).await?);
        let refresh = tokio::sync::Mutex::new(());
        Ok(Self { inner: Arc::new(Inner { database, catalogue, refresh }) })
    }

    /// Makes all of the changes, or none.
    ///
    /// # Errors
    ///
    /// `Conflict` if a record of an update or deletion is gone or has another revision, or if that
    /// of an insertion is there already; `DuplicateName` if the owner has another image of the name
    /// in the region; `DuplicateToken` if the token is known; `Unavailable`, `Refused`.
    pub async fn apply(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut transaction = self.inner.database.begin().await?;
        // The counter's row is the lock that puts writers into the order of their numbers.
        let revision = sql::next_revision(&mut transaction).await?;
        for change in &changes {
            if let Err(error) = sql::write(&mut transaction, change, revision).await {
                transaction.rollback().await?;
                return Err(error);
            }
        }
        transaction.commit().await?;
        Ok(())
    }

    /// One image.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`, `Corrupt`.
    pub async fn image(
        &self,
        region: &str,
        id: &str,
    ) -> Result<Option<Versioned<Image>>, StoreError> {
        sql::image(&self.inner.database, region, id).await
    }

    /// One task.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`, `Corrupt`.
    pub async fn task(&self, id: &str) -> Result<Option<Versioned<Task>>, StoreError> {
        sql::task(&self.inner.database, id).await
    }

    /// A page of images, from memory.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`, `Corrupt`.
    pub async fn images(&self, query: &ImageQuery) -> Result<Page<Arc<Image>>, StoreError> {
        self.refresh().await?;
        Ok(self.catalogue().images(query))
    }

    /// A page of tasks.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`, `Corrupt`.
    pub async fn tasks(&self, query: &TaskQuery) -> Result<Page<Task>, StoreError> {
        sql::tasks(&self.inner.database, query).await
    }

    /// All tasks that have not ended, oldest first.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`, `Corrupt`.
    pub async fn unfinished_tasks(&self) -> Result<Vec<Task>, StoreError> {
        sql::unfinished_tasks(&self.inner.database).await
    }

    /// How many images an account has in a region, whatever their status.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`, `Corrupt`.
    pub async fn count_images(&self, owner: &str, region: &str) -> Result<u64, StoreError> {
        self.refresh().await?;
        Ok(self.catalogue().count(owner, region))
    }

    /// What was answered to a request with this token, if it is remembered.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`, `Corrupt`.
    pub async fn token(&self, key: &TokenKey) -> Result<Option<Token>, StoreError> {
        sql::token(&self.inner.database, key).await
    }

    /// The hashes of all blobs that images of a region name.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`, `Corrupt`.
    pub async fn blob_hashes(&self, region: &str) -> Result<BTreeSet<String>, StoreError> {
        self.refresh().await?;
        Ok(self.catalogue().blob_hashes(region))
    }

    /// Forgets client tokens made before `before`, tasks that ended 30 days before it, and
    /// deletions of images a day before it.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Refused`.
    pub async fn forget_before(&self, before: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.inner.database.begin().await?;
        sql::forget_before(&mut transaction, before).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Brings the catalogue up to what the database has now.
    async fn refresh(&self) -> Result<(), StoreError> {
        let database = &self.inner.database;
        if sql::counter(database).await?.revision == self.catalogue().revision {
            return Ok(());
        }
        let _alone = self.inner.refresh.lock().await;
        let known = self.catalogue().revision;
        // The number is read before the rows: of what comes in between, the rows may be read twice.
        let now = sql::counter(database).await?.revision;
        if now == known {
            return Ok(());
        }
        let news = sql::news(database, known).await?;
        // Read after the rows: only so is it certain that no deletion was forgotten before them.
        if sql::counter(database).await?.horizon > known || now < known {
            let catalogue = sql::load(database).await?;
            *self.inner.catalogue.write().unwrap_or_else(PoisonError::into_inner) = catalogue;
            return Ok(());
        }
        let mut catalogue = self.inner.catalogue.write().unwrap_or_else(PoisonError::into_inner);
        for (revision, news) in news {
            catalogue.learn(revision, news);
        }
        catalogue.revision = now;
        Ok(())
    }

    /// Every change of the catalogue ends in a sound state, so a poisoned lock is no reason to stop.
    fn catalogue(&self) -> RwLockReadGuard<'_, Catalogue> {
        self.inner.catalogue.read().unwrap_or_else(PoisonError::into_inner)
    }
}
