//! From an HTTP request to an action and back: what every request goes through, in the order of the
//! public gateway: method, common parameters, key, time, signature, nonce, version, action.
//!
//! Two APIs are served here, told apart by the version of the request: that of ECS and that of OOS.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use jiff::Timestamp;
use kiln_ecs::answer::Format;
use kiln_ecs::error::{ApiError, new_request_id};
use kiln_ecs::params::parse;
use kiln_ecs::sign::{self, AuthError, Scheme, check_time, v1, v3};
use sha2::{Digest as _, Sha256};

use super::actions::{Answer, Handler};
use super::nonces::{Nonces, Seen};
use super::{Call, Service, actions};
use crate::accounts::Key;
use crate::oos_api;

/// The version of the ECS API.
const VERSION: &str = "2014-05-26";

/// Which of the two APIs a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Api {
    Ecs,
    Oos,
}

impl Api {
    fn of(version: &str) -> Result<Self, AuthError> {
        match version {
            VERSION => Ok(Self::Ecs),
            oos_api::VERSION => Ok(Self::Oos),
            _ => Err(AuthError::Version),
        }
    }

    fn find(self, action: &str) -> Option<(&'static str, Handler)> {
        match self {
            Self::Ecs => actions::find(action),
            Self::Oos => oos_api::find(action),
        }
    }
}

/// The largest body: parameters only.
const MAX_BODY_BYTES: usize = 1 << 20;

/// How long a body may take to come in.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct Gateway {
    service: Arc<Service>,
    nonces: Nonces,
}

/// The routes of the ECS and the OOS API: any path.
pub(crate) fn router(service: Arc<Service>) -> Router {
    let gateway = Arc::new(Gateway { service, nonces: Nonces::default() });
    Router::new().fallback(serve).with_state(gateway)
}

async fn serve(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let begun = Instant::now();
    let request_id = new_request_id();
    let received = match Received::of(request).await {
        Ok(received) => received,
        Err(error) => {
            return answer(
                error.status,
                "",
                &request_id,
                Format::Json,
                error.to_json(&request_id, ""),
            );
        }
    };
    let ended = gateway.handle(&received).await;
    let format = received.format();
    let told = ended.result.and_then(|answer| {
        answer.text(format, &ended.action, &request_id).map_err(|error| {
            tracing::error!(request_id, %error, "an answer has no form");
            ApiError::internal()
        })
    });
    let (status, code, body) = match told {
        Ok(body) => (200, "OK".to_owned(), body),
        Err(error) => {
            let body = format.error(&error, &request_id, received.host());
            (error.status, error.code, body)
        }
    };
    let elapsed = begun.elapsed();
    gateway.service.metrics.request(&ended.action, &code, elapsed);
    tracing::info!(
        request_id,
        action = ended.action,
        account = ended.account,
        user = ended.user,
        code,
        elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
        "request"
    );
    answer(status, &code, &request_id, format, body)
}

fn answer(status: u16, code: &str, request_id: &str, format: Format, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(HeaderName::from_static("x-acs-request-id"), id);
    }
    // An SDK takes this header as throttling with any error, so it goes with that alone.
    if code.starts_with("Throttling") {
        headers.insert(HeaderName::from_static("x-acs-retry-after"), HeaderValue::from_static("1"));
    }
    response
}

/// A request, read and decoded.
struct Received {
    method: Method,
    path: String,
    /// Pairs of the query, then those of the form body.
    pairs: Vec<(String, String)>,
    n_query: usize,
    headers: Vec<(String, String)>,
    body_sha256: String,
}

impl Received {
    async fn of(request: Request) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let body = read(body).await?;
        let mut headers = Vec::with_capacity(parts.headers.len());
        for (name, value) in &parts.headers {
            let value = value.to_str().map_err(|_| {
                ApiError::invalid_parameter(name.as_str(), "A header must be ASCII text.")
            })?;
            headers.push((name.as_str().to_owned(), value.to_owned()));
        }
        let mut pairs = Vec::new();
        parse(parts.uri.query().unwrap_or_default(), &mut pairs)?;
        let n_query = pairs.len();
        let is_form = headers.iter().any(|(name, value)| {
            name == "content-type" && value.starts_with("application/x-www-form-urlencoded")
        });
        if is_form {
            let text = std::str::from_utf8(&body)
                .map_err(|_| ApiError::invalid_parameter("body", "A form must be UTF-8."))?;
            parse(text, &mut pairs)?;
        }
        Ok(Self {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            pairs,
            n_query,
            headers,
            body_sha256: format!("{:x}", Sha256::digest(&body)),
        })
    }

    /// What the signature of a scheme is made over.
    fn signed(&self, scheme: Scheme) -> sign::Request<'_> {
        let query = match scheme {
            Scheme::V1 => self.pairs.as_slice(),
            Scheme::V3 => self.pairs.get(..self.n_query).unwrap_or_default(),
        };
        sign::Request {
            method: self.method.as_str(),
            path: &self.path,
            query,
            headers: &self.headers,
            body_sha256: &self.body_sha256,
        }
    }

    fn scheme(&self) -> Result<Scheme, AuthError> {
        Scheme::of(&self.signed(Scheme::V1))
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        // The last one wins, as with the action's own parameters.
        self.pairs.iter().rev().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    fn mandatory(&self, name: &'static str) -> Result<&str, AuthError> {
        self.parameter(name).ok_or(AuthError::Missing { name })
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.signed(Scheme::V3).header(name)
    }

    fn host(&self) -> &str {
        self.header("host").unwrap_or_default()
    }

    /// The format of the answer, also where the parameter for it is no good.
    fn format(&self) -> Format {
        let scheme = self.scheme().unwrap_or(Scheme::V1);
        let accept = self.header("accept");
        Format::choose(self.parameter("Format"), accept, scheme)
            .or_else(|_| Format::choose(None, accept, scheme))
            .unwrap_or(Format::Json)
    }
}

async fn read(body: Body) -> Result<Bytes, ApiError> {
    match tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY_BYTES)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err(ApiError::new(
            413,
            "RequestEntityTooLarge",
            format!("The body broke off or is larger than {MAX_BODY_BYTES} bytes."),
        )),
        Err(_) => Err(ApiError::new(
            408,
            "RequestTimeout",
            format!("The body did not come in within {} s.", BODY_TIMEOUT.as_secs()),
        )),
    }
}

/// How a request ended, with what is known of it for the log.
struct Ended {
    action: String,
    account: String,
    user: String,
    result: Result<Answer, ApiError>,
}

impl Gateway {
    async fn handle(&self, received: &Received) -> Ended {
        let mut ended = Ended {
            action: "-".to_owned(),
            account: String::new(),
            user: String::new(),
            result: Err(ApiError::internal()),
        };
        let accounts = self.service.accounts.now();
        let passed = self.admit(received, &accounts.keys);
        ended.result = match passed {
            Err(error) => Err(error.into()),
            Ok((key, api, action)) => {
                ended.account.clone_from(&key.caller.account);
                ended.user.clone_from(&key.caller.user);
                let call = Call {
                    service: &self.service,
                    accounts: &accounts,
                    caller: &key.caller,
                    action,
                    pairs: &received.pairs,
                    host: received.host(),
                };
                match api.find(action) {
                    Some((name, handler)) => {
                        name.clone_into(&mut ended.action);
                        let checked = match api {
                            Api::Ecs => actions::check::owner(call.pairs),
                            Api::Oos => Ok(()),
                        };
                        match checked {
                            Ok(()) => handler(&call).await,
                            Err(error) => Err(error),
                        }
                    }
                    None => Err(AuthError::UnknownAction.into()),
                }
            }
        };
        ended
    }

    /// All that comes before the action: the key that signed, and the action's name.
    fn admit<'a>(
        &self,
        received: &'a Received,
        keys: &'a std::collections::BTreeMap<String, Key>,
    ) -> Result<(&'a Key, Api, &'a str), AuthError> {
        if received.method != Method::GET && received.method != Method::POST {
            return Err(AuthError::HttpMethod);
        }
        let scheme = received.scheme()?;
        let common = match scheme {
            Scheme::V1 => Common::of_v1(received)?,
            Scheme::V3 => Common::of_v3(received)?,
        };
        let key = keys.get(&common.key).ok_or(AuthError::UnknownKey)?;
        if key.is_disabled {
            return Err(AuthError::InactiveKey);
        }
        let now = Timestamp::now();
        check_time(common.time, now)?;
        match &common.authorization {
            None => v1::verify(&received.signed(Scheme::V1), &key.secret)?,
            Some(authorization) => {
                v3::verify(&received.signed(Scheme::V3), authorization, &key.secret)?;
            }
        }
        match self.nonces.see(&common.key, common.nonce, now) {
            Seen::New => {}
            Seen::Used => return Err(AuthError::NonceUsed),
            Seen::Full => return Err(AuthError::Throttled),
            Seen::TooLong => return Err(AuthError::Incomplete),
        }
        let api = Api::of(common.version)?;
        Format::choose(received.parameter("Format"), received.header("accept"), scheme)?;
        Ok((key, api, common.action))
    }
}

/// The parameters that every request has.
struct Common<'a> {
    key: String,
    time: &'a str,
    nonce: &'a str,
    version: &'a str,
    action: &'a str,
    authorization: Option<v3::Authorization>,
}

impl<'a> Common<'a> {
    fn of_v1(received: &'a Received) -> Result<Self, AuthError> {
        let key = received.mandatory("AccessKeyId")?.to_owned();
        if received.mandatory("SignatureMethod")? != "HMAC-SHA1" {
            return Err(AuthError::Method);
        }
        if received.mandatory("SignatureVersion")? != "1.0" {
            return Err(AuthError::Incomplete);
        }
        Ok(Self {
            key,
            time: received.mandatory("Timestamp")?,
            nonce: received.mandatory("SignatureNonce")?,
            version: received.mandatory("Version")?,
            action: received.mandatory("Action")?,
            authorization: None,
        })
    }

    fn of_v3(received: &'a Received) -> Result<Self, AuthError> {
        let authorization = received.header("authorization").ok_or(AuthError::Incomplete)?;
        let authorization = v3::Authorization::parse(authorization)?;
        let header =
            |header: &str, name| received.header(header).ok_or(AuthError::Missing { name });
        Ok(Self {
            key: authorization.credential.clone(),
            time: header("x-acs-date", "Timestamp")?,
            nonce: header("x-acs-signature-nonce", "SignatureNonce")?,
            version: header("x-acs-version", "Version")?,
            action: header("x-acs-action", "Action")?,
            authorization: Some(authorization),
        })
    }
}
