//! A failed call: what the client is told, and what only the log is.

use std::error::Error as StdError;
use std::fmt::Display;

use axum::http::StatusCode;
use kiln_oss::address::AddressError;
use kiln_oss::documents::{Code, RequestError};
use kiln_oss::sign::SignError;

/// Why a call failed. `cause` goes to the log alone: a path of the host is nobody else's matter.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) string_to_sign: Option<String>,
    /// `Content-Range` beside `InvalidRange`.
    pub(super) content_range: Option<String>,
    pub(super) cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Failure {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message, string_to_sign: None, content_range: None, cause: None }
    }

    /// A failure of kiln's or of what it stands on.
    pub(super) fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { cause: Some(cause.into()), ..Self::from(Code::InternalError) }
    }

    pub(super) fn argument(name: &str, expected: impl Display) -> Self {
        Self::new(Code::InvalidArgument, format!("`{name}` must be {expected}"))
    }

    pub(super) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Self::new(code, code.message())
    }
}

impl From<AddressError> for Failure {
    fn from(error: AddressError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<SignError> for Failure {
    fn from(error: SignError) -> Self {
        let mut failure = Self::new(error.code(), error.to_string());
        if let SignError::Mismatch { string_to_sign } = error {
            failure.string_to_sign = Some(string_to_sign);
        }
        failure
    }
}

impl From<kiln_store::StoreError> for Failure {
    fn from(error: kiln_store::StoreError) -> Self {
        Self::internal(error)
    }
}

impl From<opendal::Error> for Failure {
    fn from(error: opendal::Error) -> Self {
        match error.kind() {
            opendal::ErrorKind::NotFound => Code::NoSuchKey.into(),
            _ => Self::internal(error),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind::{InvalidFilename, IsADirectory, NotADirectory};
        match error.kind() {
            NotADirectory | IsADirectory => Self::new(
                Code::InvalidObjectName,
                "the object name is not valid: a part of it up to a slash is an object, or it is \
                 such a part of another",
            ),
            InvalidFilename => Self::new(
                Code::InvalidObjectName,
                "the object name is not valid: between two slashes it is longer than 255 bytes",
            ),
            _ => Self::internal(error),
        }
    }
}
