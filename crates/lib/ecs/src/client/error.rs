//! Why a call failed.

use crate::params::ParamError;
use crate::sign::AuthError;
use serde_json::Value;

/// Most characters of a text of the endpoint that an error repeats.
const MAX_QUOTED: usize = 2000;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The endpoint or the access key is not given, or makes no sense.
    #[error("{0}")]
    Setting(String),
    /// The endpoint refused the call.
    #[error("{code}: {message} (status {status}, request {request_id})")]
    Api {
        /// The HTTP status.
        status: u16,
        /// The code that programs match on, for example `InvalidImageId.NotFound`.
        code: String,
        /// One sentence for a person.
        message: String,
        /// The id under which the endpoint knows the call.
        request_id: String,
    },
    /// The endpoint could not be reached, or did not answer in time.
    #[error("{endpoint}: {why}")]
    Transport {
        /// The endpoint.
        endpoint: String,
        /// What failed.
        why: String,
        /// Whether nothing of the call was sent.
        is_unsent: bool,
    },
    /// The answer is not one of this API.
    #[error("the answer cannot be read (status {status}): {why}")]
    Answer {
        /// The HTTP status.
        status: u16,
        /// What is wrong with it.
        why: String,
    },
    /// The request cannot be written as parameters.
    #[error("the request cannot be sent: {0}")]
    Request(#[from] ParamError),
    /// The request cannot be signed, for example because the action has a line break.
    #[error("the request cannot be signed: {0}")]
    Sign(#[from] AuthError),
}

impl CallError {
    /// Whether the same call may well succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Api { status, code, .. } => {
                matches!(status, 429 | 500..=599) || code.starts_with("Throttling")
            }
            Self::Answer { status, .. } => matches!(status, 429 | 500..=599),
            Self::Transport { .. } => true,
            Self::Setting(_) | Self::Request(_) | Self::Sign(_) => false,
        }
    }

    /// The code of the endpoint, where it refused the call.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Api { code, .. } => Some(code),
            _ => None,
        }
    }

    pub(super) fn transport(endpoint: &str, error: &ureq::Error) -> Self {
        let is_unsent = match error {
            ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => true,
            ureq::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
            ureq::Error::Timeout(what) => {
                matches!(what, ureq::Timeout::Resolve | ureq::Timeout::Connect)
            }
            _ => false,
        };
        Self::Transport { endpoint: endpoint.to_owned(), why: error.to_string(), is_unsent }
    }

    /// The error that an answer tells of.
    pub(super) fn of_answer(status: u16, value: &Value) -> Self {
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(quoted);
        match text("Code") {
            Some(code) => Self::Api {
                status,
                code,
                message: text("Message").unwrap_or_default(),
                request_id: text("RequestId").unwrap_or_default(),
            },
            None => Self::Answer { status, why: "it has no field Code".to_owned() },
        }
    }
}

fn quoted(text: &str) -> String {
    text.chars().take(MAX_QUOTED).collect()
}
