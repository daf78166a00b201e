//! Calls of an endpoint: signed, bounded, and repeated where that cannot do harm.

mod config;
mod error;
mod paths;

pub use config::{Credentials, Endpoint};
pub use error::CallError;
pub use paths::PathCall;

use crate::error::new_request_id;
use crate::params::{encode, to_params};
use crate::sign::{Request, Scheme, v1, v3};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::time::Duration;
use ureq::Agent;

/// The version of the ECS API.
pub const VERSION: &str = "2014-05-26";

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time for one try, from the first byte sent to the last received.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest answer, in bytes.
const MAX_ANSWER: u64 = 16 << 20;
/// Longest query, in bytes; parameters beyond it travel in the body.
const MAX_QUERY: usize = 8 << 10;
/// How often a call that only reads is made again.
const MAX_RETRIES: u32 = 3;
/// The wait before the first retry; each further one takes twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(250);

type Pairs = Vec<(String, String)>;

/// A client of one endpoint, for one access key and one region.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
    endpoint: Endpoint,
    credentials: Credentials,
    region: String,
    scheme: Scheme,
    first_wait: Duration,
}

/// What is sent, but for its headers.
struct What<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a [(String, String)],
    body: &'a str,
}

impl Client {
    /// A client that signs by version 3. `region` is sent with every call that names none; an empty
    /// one is not sent.
    pub fn new(endpoint: Endpoint, credentials: Credentials, region: impl Into<String>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // What is signed is signed for one host.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(CALL_TIMEOUT))
            .user_agent(concat!("kiln/", env!("CARGO_PKG_VERSION")))
            .build();
        let (agent, region) = (Agent::new_with_config(config), region.into());
        Self { agent, endpoint, credentials, region, scheme: Scheme::V3, first_wait: FIRST_WAIT }
    }

    /// The same client, signing by `scheme`.
    #[must_use]
    pub fn with_scheme(self, scheme: Scheme) -> Self {
        Self { scheme, ..self }
    }

    /// The region that calls are for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The endpoint that is called.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Call an action of the ECS API by its types.
    ///
    /// # Errors
    ///
    /// As [`Client::call`]; `Request` where the request cannot be sent, `Answer` where the answer is
    /// not of the type.
    pub fn send<Req, Resp>(&self, action: &str, request: &Req) -> Result<Resp, CallError>
    where
        Req: Serialize,
        Resp: DeserializeOwned,
    {
        let value = self.call(action, VERSION, &to_params(request)?)?;
        serde_json::from_value(value)
            .map_err(|error| CallError::Answer { status: 200, why: error.to_string() })
    }

    /// Call an action. One that only reads is called again, at most three times, where the server or
    /// the connection fails.
    ///
    /// # Errors
    ///
    /// `Api` where the endpoint refuses the call, `Transport` where it cannot be reached, `Answer`
    /// where what it says makes no sense, `Sign` where the call cannot be signed.
    pub fn call(
        &self,
        action: &str,
        version: &str,
        params: &[(String, String)],
    ) -> Result<Value, CallError> {
        let mut params = params.to_vec();
        if !self.region.is_empty() && !params.iter().any(|(name, _)| name == "RegionId") {
            params.push(("RegionId".to_owned(), self.region.clone()));
        }
        let reads = ["Describe", "List"].iter().any(|verb| action.starts_with(verb));
        let retries = if reads { MAX_RETRIES } else { 0 };
        let mut n = 0;
        loop {
            match self.once(action, version, &params) {
                Err(error) if error.is_transient() && n < retries => {
                    std::thread::sleep(jittered(self.first_wait * 2_u32.pow(n)));
                    n += 1;
                }
                outcome => return outcome,
            }
        }
    }

    fn once(&self, action: &str, version: &str, params: &Pairs) -> Result<Value, CallError> {
        let (query, body, headers) = match self.scheme {
            Scheme::V3 => {
                let (query, body) = place(params);
                let what = What { method: "POST", path: "/", query, body: &body };
                let headers = self.sign_v3(action, version, &what, content_type(&body))?;
                (query.to_vec(), body, headers)
            }
            Scheme::V1 => self.sign_v1(action, version, params),
        };
        let what = What { method: "POST", path: "/", query: &query, body: &body };
        let (status, body) = self.exchange(&what, &headers)?;
        read(status, &body)
    }

    /// Send a request, and take its answer in.
    fn exchange(&self, what: &What<'_>, headers: &Pairs) -> Result<(u16, Vec<u8>), CallError> {
        let What { method, path, query, body } = what;
        let mark = if query.is_empty() { "" } else { "?" };
        let mut request = ureq::http::Request::builder().method(*method).uri(format!(
            "{}{path}{mark}{}",
            self.endpoint,
            encode(*query)
        ));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let transport =
            |error: ureq::Error| CallError::transport(&self.endpoint.to_string(), &error);
        let unsent = |error: ureq::http::Error| CallError::Setting(error.to_string());
        // Where there is none, POST and PUT say so, and the others do not speak of it.
        let sent = match body.is_empty() && !["POST", "PUT", "PATCH"].contains(method) {
            true => self.agent.run(request.body(()).map_err(unsent)?),
            false => self.agent.run(request.body(*body).map_err(unsent)?),
        };
        let mut response = sent.map_err(transport)?;
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
        let body = body.map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) => {
                CallError::Answer { status, why: format!("it is longer than {MAX_ANSWER} bytes") }
            }
            error => transport(error),
        })?;
        Ok((status, body))
    }

    /// The headers of a request, signed; `more` are those that are not of every call. All that say
    /// how the request is to be taken are signed.
    fn sign_v3(
        &self,
        action: &str,
        version: &str,
        what: &What<'_>,
        more: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Pairs, CallError> {
        let body_sha256 = format!("{:x}", Sha256::digest(what.body));
        let mut headers: Pairs = [
            ("host", self.endpoint.host()),
            ("x-acs-action", action),
            ("x-acs-content-sha256", &body_sha256),
            ("x-acs-date", &now()),
            ("x-acs-signature-nonce", &new_request_id()),
            ("x-acs-version", version),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        if let Some(token) = &self.credentials.token {
            headers.push(("x-acs-security-token".to_owned(), token.clone()));
        }
        headers.extend(more);
        headers.sort();
        let is_signed = |name: &&String| {
            *name == "host" || *name == "content-type" || name.starts_with("x-acs-")
        };
        let names: Vec<String> =
            headers.iter().map(|(name, _)| name).filter(is_signed).cloned().collect();
        let request = Request {
            method: what.method,
            path: what.path,
            query: what.query,
            headers: &headers,
            body_sha256: &body_sha256,
        };
        let Credentials { id, secret, .. } = &self.credentials;
        let authorization = v3::sign(&request, id, secret, &names)?.to_string();
        headers.push(("authorization".to_owned(), authorization));
        if !headers.iter().any(|(name, _)| name == "accept") {
            headers.push(("accept".to_owned(), "application/json".to_owned()));
        }
        Ok(headers)
    }

    fn sign_v1(&self, action: &str, version: &str, params: &Pairs) -> (Pairs, String, Pairs) {
        let mut common: Pairs = [
            ("Action", action),
            ("Version", version),
            ("Format", "JSON"),
            ("AccessKeyId", &self.credentials.id),
            ("SignatureMethod", "HMAC-SHA1"),
            ("SignatureVersion", "1.0"),
            ("SignatureNonce", &new_request_id()),
            ("Timestamp", &now()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        common.extend(
            self.credentials.token.iter().map(|token| ("SecurityToken".to_owned(), token.clone())),
        );
        let (query, body) = place(params);
        let all: Pairs = common.iter().chain(params).cloned().collect();
        let request =
            Request { method: "POST", path: "/", query: &all, headers: &[], body_sha256: "" };
        let signature = v1::sign(&request, &self.credentials.secret);
        common.push(("Signature".to_owned(), signature));
        let mut headers: Pairs = vec![("host".to_owned(), self.endpoint.host().to_owned())];
        headers.extend(content_type(&body));
        common.extend(query.iter().cloned());
        (common, body, headers)
    }
}

/// The parameters of the query, and the body: one of them has all parameters.
fn place(params: &Pairs) -> (&[(String, String)], String) {
    let text = encode(params);
    if text.len() > MAX_QUERY { (&[], text) } else { (params, String::new()) }
}

fn content_type(body: &str) -> Option<(String, String)> {
    let form = "application/x-www-form-urlencoded; charset=utf-8";
    (!body.is_empty()).then(|| ("content-type".to_owned(), form.to_owned()))
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Between half of `wait` and all of it: clients that failed together must not return together.
fn jittered(wait: Duration) -> Duration {
    let [byte, ..] = *uuid::Uuid::new_v4().as_bytes();
    wait.mul_f64(0.5 + f64::from(byte) / 512.0)
}

/// What an answer says.
fn read(status: u16, body: &[u8]) -> Result<Value, CallError> {
    let value: Value = serde_json::from_slice(body).map_err(|_| CallError::Answer {
        status,
        why: "it is not JSON; is the endpoint one of this API?".to_owned(),
    })?;
    if (200..300).contains(&status) && value.is_object() {
        return Ok(value);
    }
    Err(CallError::of_answer(status, &value))
}

#[cfg(test)]
mod tests;
