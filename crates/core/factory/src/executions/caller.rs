//! Who answers the calls of a run.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use jiff::Timestamp;
use kiln_oos::run::{ApiError, Found, HttpAnswer, HttpRequest, Request};
use serde_json::Value;

use super::wire;

/// A future of a trait object.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Answers the API calls of runs: kiln's own actions in process, an endpoint over signed HTTP, or a
/// world that is made up.
pub trait Caller: Send + Sync {
    /// Make a call. `now` is the time of the run, which is not always that of the clock.
    ///
    /// A request that [may have been made before](Request::is_repeated) and whose operation takes
    /// no token must not be made again, unless it changes nothing: it is answered by
    /// [`interrupted`].
    fn call<'a>(
        &'a self,
        request: &'a Request,
        now: Timestamp,
    ) -> Later<'a, Result<Value, ApiError>>;

    /// Make an HTTP request of a template: a webhook, `ACS::ExecuteHttpRequest`.
    fn http<'a>(&'a self, request: &'a HttpRequest) -> Later<'a, Result<HttpAnswer, String>>;
}

/// Finds what templates name.
pub trait Library: Send + Sync {
    /// The template of a name in any letter case, in a version or the latest.
    fn template<'a>(
        &'a self,
        account: &'a str,
        name: &'a str,
        version: Option<&'a str>,
    ) -> Later<'a, Result<Found, String>>;

    /// A parameter of the parameter store.
    fn parameter<'a>(
        &'a self,
        account: &'a str,
        name: &'a str,
        secret: bool,
    ) -> Later<'a, Result<Value, String>>;
}

/// Words that the operations begin with that change nothing.
const READS: [&str; 6] = ["describe", "list", "get", "query", "search", "check"];

/// Whether an operation changes nothing, by its name.
#[must_use]
pub fn only_reads(api: &str) -> bool {
    let api = api.to_ascii_lowercase();
    READS.iter().any(|word| api.starts_with(word))
}

/// Whether a call may be made twice with the effect of one: it reads, or it takes a token.
#[must_use]
pub fn is_repeatable(request: &Request) -> bool {
    match &request.roa {
        Some(roa) => ["GET", "HEAD"].contains(&roa.method.as_str()),
        None => only_reads(&request.api) || wire::takes_token(&request.service, &request.api),
    }
}

/// The answer to a call of which nobody knows whether it was made.
#[must_use]
pub fn interrupted(request: &Request) -> ApiError {
    ApiError {
        status: 0,
        code: "Interrupted".to_owned(),
        message: format!(
            "kiln was stopped while {} was under way, and it takes no token: whether it was done \
             is not known",
            request.api
        ),
        request_id: String::new(),
    }
}

/// The refusal of an operation with a path, by who cannot call any: `who` does not.
#[must_use]
pub fn has_path(request: &Request, who: &str) -> ApiError {
    ApiError {
        status: 0,
        code: "NotSupported".to_owned(),
        message: format!("{} of {} has a path (URI), and {who}", request.api, request.service),
        request_id: String::new(),
    }
}

/// Several callers that share one: `Arc<dyn Caller>` is a caller.
impl<C: Caller + ?Sized> Caller for Arc<C> {
    fn call<'a>(
        &'a self,
        request: &'a Request,
        now: Timestamp,
    ) -> Later<'a, Result<Value, ApiError>> {
        (**self).call(request, now)
    }

    fn http<'a>(&'a self, request: &'a HttpRequest) -> Later<'a, Result<HttpAnswer, String>> {
        (**self).http(request)
    }
}
