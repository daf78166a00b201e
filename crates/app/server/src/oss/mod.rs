//! The OSS API: the buckets of the configuration, as the official client asks for them.
//!
//! A request is taken apart once, its signature checked, its right looked up, and then one
//! function per operation answers it. Objects of a local bucket are files; those of a remote one
//! are passed on to its store.

mod failure;
mod list;
mod objects;
mod receive;
mod request;
mod service;
mod sidecar;
mod uploads;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Method, header};
use axum::response::Response;
use jiff::Timestamp;
use kiln_oss::documents::{Code, Error, to_xml};
use kiln_oss::sign::Presented;
use kiln_store::{Bucket, Buckets};
use serde::Serialize;
use uuid::Uuid;

use failure::Failure;
use request::Asked;

/// Who may sign requests, and what they may do.
pub trait Credentials: Send + Sync {
    /// The secret of an access key; `None` where there is no such key or it is switched off.
    fn secret(&self, access_key_id: &str) -> Option<String>;

    /// Whether the key's holder may do `action`, such as `oss:GetObject`, to `resource`, such as
    /// `acs:oss:*:*:bucket/key`.
    fn may(&self, access_key_id: &str, action: &str, resource: &str) -> bool;
}

/// What the endpoint needs; a clone is the same one.
#[derive(Clone)]
pub struct OssState {
    /// The buckets there are.
    pub buckets: Buckets,
    /// Who may ask.
    pub credentials: Arc<dyn Credentials>,
    /// The host name that the service is known by, under which `<bucket>.<endpoint>` names a
    /// bucket; empty where clients only use path style.
    pub endpoint: String,
    /// Directory for the unfinished uploads to remote buckets. Those to a local one lie in it.
    pub spool: PathBuf,
}

impl std::fmt::Debug for OssState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OssState").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// The OSS API over HTTP, to be served at the root of its own port or host name.
pub fn router(state: OssState) -> Router {
    Router::new().fallback(handle).with_state(state)
}

type Answered = Result<Response, Failure>;

async fn handle(State(state): State<OssState>, request: axum::extract::Request) -> Response {
    let request_id = Uuid::new_v4().simple().to_string()[..24].to_ascii_uppercase();
    let is_head = request.method() == Method::HEAD;
    let host = request::host(&request);
    let mut response = match answer(&state, request).await {
        Ok(response) => response,
        Err(failure) => refusal(failure, &request_id, host, is_head),
    };
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert("x-oss-request-id", value);
    }
    response.headers_mut().insert(header::SERVER, HeaderValue::from_static("AliyunOSS"));
    response
}

fn refusal(failure: Failure, request_id: &str, host: String, is_head: bool) -> Response {
    if let Some(cause) = &failure.cause {
        tracing::error!(request_id, code = failure.code.as_str(), cause = ?cause, "OSS call failed");
    }
    let (status, range) = (failure.status(), failure.content_range);
    let document = Error {
        code: failure.code,
        message: failure.message,
        request_id: request_id.into(),
        host_id: host,
        string_to_sign: failure.string_to_sign,
    };
    let body = if is_head { String::new() } else { to_xml(&document).unwrap_or_default() };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    // What is left of a refused body is not worth reading.
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if let Some(Ok(range)) = range.map(|range| HeaderValue::from_str(&range)) {
        headers.insert(header::CONTENT_RANGE, range);
    }
    response
}

async fn answer(state: &OssState, request: axum::extract::Request) -> Answered {
    let (asked, body) = Asked::parse(&state.endpoint, request)?;
    let presented = Presented::parse(&asked.signed())?.ok_or(Code::AccessDenied)?;
    let id = presented.access_key_id();
    let secret = state.credentials.secret(id).ok_or(Code::InvalidAccessKeyId)?;
    presented.verify(&asked.signed(), &secret, Timestamp::now())?;
    let call = Call { state, asked: &asked, access_key_id: id };
    match (asked.address.bucket(), asked.address.key()) {
        (None, _) => service::service(&call),
        (Some(bucket), None) => bucket_call(&call, bucket, body).await,
        (Some(bucket), Some(key)) => object_call(&call, bucket, key, body).await,
    }
}

async fn bucket_call(call: &Call<'_>, name: &str, body: Body) -> Answered {
    let asked = call.asked;
    let Some(bucket) = call.state.buckets.get(name) else {
        return Err(match asked.method {
            Method::PUT => Failure::new(
                Code::AccessDenied,
                "buckets are made in kiln's configuration: add this one there",
            ),
            _ => Code::NoSuchBucket.into(),
        });
    };
    match (&asked.method, asked.operation()?) {
        (&Method::GET, None) => list::list(call, bucket).await,
        (&Method::GET, Some("location")) => service::location(call, bucket),
        (&Method::GET, Some("bucketInfo")) => service::info(call, bucket),
        (&Method::HEAD, None) => service::head(call, bucket),
        (&Method::PUT, None) => service::put(call, bucket),
        (&Method::POST, Some("delete")) => objects::delete_many(call, bucket, body).await,
        (_, None) => Err(Code::MethodNotAllowed.into()),
        (_, Some(_)) => Err(Code::NotImplemented.into()),
    }
}

async fn object_call(call: &Call<'_>, name: &str, key: &str, body: Body) -> Answered {
    let asked = call.asked;
    let bucket = call.state.buckets.get(name).ok_or(Code::NoSuchBucket)?;
    objects::plain(bucket, key)?;
    match (&asked.method, asked.operation()?) {
        (&Method::GET, None) => objects::get(call, bucket, key).await,
        (&Method::HEAD, None | Some("objectMeta")) => objects::head(call, bucket, key).await,
        (&Method::PUT, None) => objects::put(call, bucket, key, body).await,
        (&Method::DELETE, None) => objects::delete(call, bucket, key).await,
        (&Method::POST, Some("uploads")) => uploads::initiate(call, bucket, key).await,
        (&Method::PUT, Some("uploadId")) => uploads::put_part(call, bucket, key, body).await,
        (&Method::GET, Some("uploadId")) => uploads::list_parts(call, bucket, key).await,
        (&Method::POST, Some("uploadId")) => uploads::complete(call, bucket, key, body).await,
        (&Method::DELETE, Some("uploadId")) => uploads::abort(call, bucket, key).await,
        (_, None) => Err(Code::MethodNotAllowed.into()),
        (_, Some(_)) => Err(Code::NotImplemented.into()),
    }
}

/// One call whose signature holds.
struct Call<'a> {
    state: &'a OssState,
    asked: &'a Asked,
    access_key_id: &'a str,
}

impl Call<'_> {
    /// Whether the caller may do `action` to the bucket, or to its object `key`.
    fn may(&self, action: &str, bucket: &str, key: Option<&str>) -> bool {
        let resource = match key {
            Some(key) => format!("acs:oss:*:*:{bucket}/{key}"),
            None => format!("acs:oss:*:*:{bucket}"),
        };
        self.state.credentials.may(self.access_key_id, action, &resource)
    }

    /// Refuse unless the caller may.
    fn authorize(&self, action: &str, bucket: &Bucket, key: Option<&str>) -> Result<(), Failure> {
        if self.may(action, &bucket.settings.name, key) {
            return Ok(());
        }
        Err(Failure::new(Code::AccessDenied, format!("your policies do not allow {action} here")))
    }
}

/// Status 200 and a document.
fn document<T: Serialize>(document: &T) -> Answered {
    let mut response = Response::new(Body::from(to_xml(document).map_err(Failure::internal)?));
    let xml = HeaderValue::from_static("application/xml");
    response.headers_mut().insert(header::CONTENT_TYPE, xml);
    Ok(response)
}
