//! Operations that have a path (ROA style): method, path, query, headers and body of their own.

use super::{CallError, Client, Pairs};
use crate::params::parse;
use crate::sign::enc;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// Methods that operations with a path have.
const METHODS: [&str; 6] = ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"];

/// A call of an operation that has a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathCall {
    /// The operation: `DescribeClusterDetail`.
    pub action: String,
    /// The version of its API.
    pub version: String,
    /// The method, in upper case.
    pub method: String,
    /// The path, perhaps with a query: `/clusters/c1?detail=true`, or `?acl` for `/?acl`.
    pub uri: String,
    /// More parameters of the query.
    pub query: Vec<(String, String)>,
    /// Headers. An empty one is not sent; those that the signature needs may not be given.
    pub headers: Vec<(String, String)>,
    /// The body; JSON where no header says otherwise.
    pub body: String,
}

impl PathCall {
    /// The path as it is sent and signed, and all of the query.
    fn target(&self) -> Result<(String, Pairs), CallError> {
        let (path, own) = self.uri.split_once('?').unwrap_or((&self.uri, ""));
        if !(path.is_empty() || path.starts_with('/')) || path.contains('#') {
            let told = format!("`{}` is no path: it begins with / or ?", self.uri);
            return Err(CallError::Setting(told));
        }
        // Encoded afresh, because the server signs what it gets: each byte in one form only.
        let part = |part: &str| enc(&percent_decode_str(part).decode_utf8_lossy());
        let path = path.split('/').map(part).collect::<Vec<_>>().join("/");
        let mut query = Pairs::new();
        parse(own, &mut query)?;
        query.extend(self.query.iter().cloned());
        Ok((if path.is_empty() { "/".to_owned() } else { path }, query))
    }

    /// The headers of the call, with names in lower case.
    fn headers(&self) -> Result<Pairs, CallError> {
        let given = self.headers.iter().filter(|(_, value)| !value.is_empty());
        let mut headers: Pairs =
            given.map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
        const OWN: [&str; 4] = ["authorization", "content-length", "host", "transfer-encoding"];
        const SIGNED: [&str; 6] = [
            "x-acs-action",
            "x-acs-content-sha256",
            "x-acs-date",
            "x-acs-security-token",
            "x-acs-signature-nonce",
            "x-acs-version",
        ];
        for (name, _) in &headers {
            if OWN.iter().chain(&SIGNED).any(|own| own == name) {
                let told = format!("the header {name} is the client's own and may not be given");
                return Err(CallError::Setting(told));
            }
        }
        let has_type = headers.iter().any(|(name, _)| name == "content-type");
        if !self.body.is_empty() && !has_type {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        Ok(headers)
    }
}

impl Client {
    /// Call an operation that has a path, once. It is signed by version 3. An answer without a body
    /// is an empty object.
    ///
    /// # Errors
    ///
    /// As [`Client::call`]; `Setting` where method, path or headers cannot be sent.
    pub fn call_path(&self, call: &PathCall) -> Result<Value, CallError> {
        let Some(method) = METHODS.into_iter().find(|own| *own == call.method) else {
            let told = format!("`{}` is none of {}", call.method, METHODS.join(", "));
            return Err(CallError::Setting(told));
        };
        if method == "HEAD" && !call.body.is_empty() {
            return Err(CallError::Setting("a call by HEAD has no body".to_owned()));
        }
        let (path, query) = call.target()?;
        let what = super::What { method, path: &path, query: &query, body: &call.body };
        let headers = self.sign_v3(&call.action, &call.version, &what, call.headers()?)?;
        let (status, body) = self.exchange(&what, &headers)?;
        match body.is_empty() && (200..300).contains(&status) {
            true => Ok(Value::Object(Map::new())),
            false => read(status, &body),
        }
    }
}

/// What an answer says: any JSON, or a text that is none. Products of this style write their errors in either case.
fn read(status: u16, body: &[u8]) -> Result<Value, CallError> {
    let value = match serde_json::from_slice(body) {
        Ok(value) => value,
        // It was done, whatever is said of it.
        Err(_) if (200..300).contains(&status) => {
            return Ok(Value::from(String::from_utf8_lossy(body).into_owned()));
        }
        Err(_) => return Err(CallError::Answer { status, why: "it is not JSON".to_owned() }),
    };
    if (200..300).contains(&status) {
        return Ok(value);
    }
    let mut fields = Map::new();
    for (name, other) in [("Code", "code"), ("Message", "message"), ("RequestId", "requestId")] {
        let own = value.get(name).or_else(|| value.get(other));
        let own = own.or_else(|| value.get("request_id").filter(|_| name == "RequestId"));
        if let Some(own) = own {
            fields.insert(name.to_owned(), own.clone());
        }
    }
    Err(CallError::of_answer(status, &Value::Object(fields)))
}
