//! What can go wrong between kiln and where it keeps things, told by what a caller can do.
//!
//! Names of hosts and paths stand in the messages; passwords of URLs never do.

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Somebody else changed the record first: read it again and decide anew.
    #[error("the record was changed by somebody else in the meantime: read it again")]
    Conflict,
    /// The owner has an image of this name in the region already.
    #[error("an image of this name exists already")]
    DuplicateName,
    /// The client token was seen before.
    #[error("the client token was used before")]
    DuplicateToken,
    /// The store does not answer, or is busy; the same call may succeed later.
    #[error("the store is unavailable: {source}")]
    Unavailable {
        /// What the driver said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What is stored is not what kiln writes.
    #[error("what is stored in {what} is damaged: {why}")]
    Corrupt {
        /// The table or object, and the key in it.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The settings name something that cannot be used.
    #[error("{what}: {why}")]
    Settings {
        /// The setting.
        what: String,
        /// What is wrong with it, and what is possible.
        why: String,
    },
    /// A setting that names no place.
    #[error("`{url}` names no place to keep objects: {why}")]
    Place {
        /// The setting.
        url: String,
        /// What is wrong with it and what to write.
        why: String,
    },
    /// Reading or writing an object failed, and would again.
    #[error("{place}: {source}")]
    Object {
        /// The bucket and the key, or the path.
        place: String,
        /// What the system or the object store said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Bytes that are not the ones they are named after.
    #[error("{place}: {why}")]
    Content {
        /// The path.
        place: String,
        /// Which size or hash was found.
        why: String,
    },
    /// There is no such record.
    #[error("there is no {what}")]
    NotFound {
        /// What was looked for.
        what: String,
    },
    /// A file of the store cannot be created or read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The database refused a statement; trying again does not help.
    #[error("the database refused: {source}")]
    Refused {
        /// What the driver said.
        #[source]
        source: sqlx::Error,
    },
    /// The tables cannot be brought to the form this version needs.
    #[error("the tables cannot be brought up to date: {source}")]
    Migration {
        /// What the driver said.
        #[source]
        source: Box<sqlx::migrate::MigrateError>,
    },
}

impl StoreError {
    /// Whether the same call may succeed later without anybody mending anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(source: sqlx::Error) -> Self {
        if is_transient(&source) {
            Self::Unavailable { source: Box::new(source) }
        } else {
            Self::Refused { source }
        }
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(source: sqlx::migrate::MigrateError) -> Self {
        match source {
            sqlx::migrate::MigrateError::Execute(error) => error.into(),
            other => Self::Migration { source: Box::new(other) },
        }
    }
}

/// Whether `error` is one of the moment: a lost connection, a lock, a server that starts or stops.
fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_code_transient(&code)),
        _ => false,
    }
}

/// SQLite: busy (5) and locked (6) with their extended codes. PostgreSQL: classes 08 (connection),
/// 40 (serialization, deadlock), 53 (resources), 57 (operator intervention), and 55P03 (lock).
fn is_code_transient(code: &str) -> bool {
    if code.len() == 5 {
        return ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class))
            || code == "55P03";
    }
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_moment_are_told_from_lasting_ones() {
        for code in ["5", "517", "6", "40001", "40P01", "08006", "57P01", "55P03"] {
            assert!(is_code_transient(code), "{code}");
        }
        for code in ["1", "19", "2067", "23505", "42P01", "", "x"] {
            assert!(!is_code_transient(code), "{code}");
        }
        assert!(StoreError::from(sqlx::Error::PoolTimedOut).is_transient());
        assert!(!StoreError::from(sqlx::Error::RowNotFound).is_transient());
        assert!(!StoreError::Conflict.is_transient());
    }
}
