//! The two ways to fail: an operation that the cloud refuses, and a world file that is not one.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The error answer of an operation, with the code that the real service gives.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("{code}: {message}")]
pub struct ApiFault {
    /// The HTTP status.
    pub status: u16,
    /// The error code, for example `InvalidInstanceId.NotFound`.
    pub code: String,
    /// What the service says about it, for people.
    pub message: String,
}

impl ApiFault {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into() }
    }

    pub(crate) fn missing(parameter: &str) -> Self {
        Self::new(
            400,
            "MissingParameter",
            format!(
                "The input parameter \"{parameter}\" that is mandatory for processing this \
                 request is not supplied."
            ),
        )
    }

    pub(crate) fn invalid(parameter: &str) -> Self {
        Self::new(
            400,
            "InvalidParameter",
            format!("The specified parameter {parameter} is not valid."),
        )
    }

    /// `parameter` is the name of an identifier, such as `InstanceId`.
    pub(crate) fn not_found(parameter: &str) -> Self {
        Self::new(
            404,
            &format!("Invalid{parameter}.NotFound"),
            format!("The specified {parameter} does not exist."),
        )
    }

    pub(crate) fn quota(what: &str) -> Self {
        Self::new(403, &format!("QuotaExceed.{what}"), format!("The {what} quota exceeds."))
    }
}

/// Why a text is no world.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WorldError {
    /// The text is larger than a world file may be.
    #[error("{n_bytes} bytes, more than the {max_bytes} of a world file")]
    TooLarge {
        /// Its size.
        n_bytes: usize,
        /// The largest.
        max_bytes: usize,
    },
    /// The text is neither YAML nor JSON, or nested deeper or grown by aliases beyond what is read.
    #[error("line {line}: {reason}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A field is not what the world file has there.
    #[error("{}`{field}`: {reason}", line.map(|line| format!("line {line}: ")).unwrap_or_default())]
    Field {
        /// The line, from 1; JSON worlds have none.
        line: Option<usize>,
        /// The path of the field, for example `images[0].status`.
        field: String,
        /// What is wrong and what is allowed there.
        reason: String,
    },
    /// The saved state is not one of this version.
    #[error("the saved state cannot be read: {reason}")]
    State {
        /// What is wrong with it.
        reason: String,
    },
}
