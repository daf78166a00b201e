//! Why a request of the image service is refused before any work is done.

use kiln_store::StoreError;

/// What a use case of the image service gives, or why it could not.
pub type Result<T, E = Refusal> = std::result::Result<T, E>;

/// Why a request is refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No bucket of that name.
    #[error("there is no bucket {bucket}")]
    BucketNotFound {
        /// Its name.
        bucket: String,
    },
    /// The bucket is elsewhere.
    #[error("the bucket {bucket} is in the region {region}")]
    BucketElsewhere {
        /// Its name.
        bucket: String,
        /// Where it is.
        region: String,
    },
    /// The service may not use the bucket.
    #[error("the bucket {bucket} may not be used")]
    BucketForbidden {
        /// Its name.
        bucket: String,
    },
    /// No such object.
    #[error("there is no object {object} in the bucket {bucket}")]
    ObjectNotFound {
        /// The bucket.
        bucket: String,
        /// The key.
        object: String,
    },
    /// The object has no bytes.
    #[error("the object {object} is empty")]
    ObjectEmpty {
        /// The key.
        object: String,
    },
    /// The object is being imported already.
    #[error("the object {object} is being imported")]
    ObjectBusy {
        /// The key.
        object: String,
    },
    /// The image's file is not what was declared, or cannot be read.
    #[error("{0}")]
    Format(String),
    /// The header of a VHD contradicts itself.
    #[error("the size of the VHD does not fit its table")]
    VhdSize,
    /// The unit of allocation of the file is one that is not read.
    #[error("{0}")]
    BlockSize(String),
    /// The size that was asked for is too small for the image.
    #[error("{0}")]
    ImageSize(String),
    /// An image of this name is there.
    #[error("an image of that name is there")]
    NameTaken,
    /// The account has all the images that it may have.
    #[error("the account has all the {limit} images that it may have in a region")]
    Quota {
        /// How many.
        limit: u64,
    },
    /// No such image, or not one that the caller may use.
    #[error("there is no image {image}")]
    ImageNotFound {
        /// Its identifier.
        image: String,
    },
    /// The image is not in a state for it.
    #[error("the image is not available")]
    NotAvailable,
    /// An import makes the image.
    #[error("the image is being imported")]
    Importing,
    /// An export reads the image.
    #[error("the image is being exported")]
    Exporting,
    /// A copy makes the image, or reads it.
    #[error("the image is being copied")]
    Copying,
    /// Others have the image.
    #[error("the image is shared with other accounts")]
    Shared,
    /// Everyone has the image.
    #[error("the image is public")]
    Public,
    /// An image of another account can be copied within its region only.
    #[error("the image of another account can be copied within its region only")]
    SameRegionOnly,
    /// The licence of the system forbids an export.
    #[error("the licence of Windows forbids an export")]
    License,
    /// An export has limits that this image exceeds.
    #[error("{0}")]
    TooLarge(String),
    /// What is cancelled is no copy.
    #[error("the image was not made by a copy")]
    NotCopied,
    /// What is cancelled has ended.
    #[error("it has ended already")]
    Ended,
    /// No such task.
    #[error("there is no task {task}")]
    TaskNotFound {
        /// Its identifier.
        task: String,
    },
    /// The client token was used by a request that came in at the same time.
    #[error("the client token is in use")]
    TokenInUse,
    /// A folder of this machine cannot be used.
    #[error("{what}")]
    Io {
        /// What was tried, with the path.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The database or an object store.
    #[error(transparent)]
    Store(StoreError),
    /// The journal.
    #[error("the journal: {0}")]
    Journal(String),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::DuplicateName => Self::NameTaken,
            StoreError::DuplicateToken => Self::TokenInUse,
            other => Self::Store(other),
        }
    }
}
