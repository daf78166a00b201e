//! What a run asks of the world.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A call of an API, as the template wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The product: `ECS`.
    pub service: String,
    /// The operation: `RunInstances`.
    pub api: String,
    /// Its parameters. Those that are null or empty text are gone already.
    pub parameters: Map<String, Value>,
    /// For operations that have a path: method, path, headers, body.
    pub roa: Option<Roa>,
    /// The region of the call.
    pub region: String,
    /// The account that calls.
    pub account: String,
    /// The user that calls.
    pub user: String,
    /// The role that calls, where the template names one.
    pub role: String,
    /// The same for the same call, made again after a crash; for no other.
    pub token: String,
    /// Whether this call may have been made before, by a process that was killed.
    pub is_repeated: bool,
}

/// The part of a call that operations with a path have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roa {
    /// `GET`, `PUT`, ...
    pub method: String,
    /// The path.
    pub uri: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// The HTTP status, 0 where there was no answer.
    pub status: u16,
    /// The code.
    pub code: String,
    /// What happened.
    pub message: String,
    /// The identifier of the request.
    pub request_id: String,
}

impl ApiError {
    /// Whether the same call may succeed a little later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.status >= 500 || self.status == 429 || self.code.starts_with("Throttling")
    }

    /// The error as the body that selectors see.
    #[must_use]
    pub fn body(&self) -> Value {
        serde_json::json!({
            "Code": self.code,
            "Message": self.message,
            "RequestId": self.request_id,
        })
    }
}

/// An HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET` or `POST`.
    pub method: String,
    /// Where to.
    pub url: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// What is added to the URL.
    pub query: Vec<(String, String)>,
    /// The body.
    pub body: Option<String>,
}

/// The answer to an HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// The body as text.
    pub body: String,
}

/// Whether a call is dangerous, by what the template says or else by its name.
#[must_use]
pub fn is_high_risk(api: &str, risk: Option<&str>) -> bool {
    match risk {
        Some(risk) => risk.eq_ignore_ascii_case("high"),
        None => {
            let name = api.to_ascii_lowercase();
            ["delete", "remove", "terminate", "drop"].iter().any(|word| name.starts_with(word))
        }
    }
}
