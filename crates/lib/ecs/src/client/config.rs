//! Where to call and as whom, from arguments or from the variables that the SDKs read.

use super::CallError;
use std::fmt;

/// The variables that name an endpoint, the first one that is set.
const ENDPOINTS: [&str; 2] = ["KILN_ENDPOINT", "ALIBABA_CLOUD_ECS_ENDPOINT"];
const KEY_ID: &str = "ALIBABA_CLOUD_ACCESS_KEY_ID";
const KEY_SECRET: &str = "ALIBABA_CLOUD_ACCESS_KEY_SECRET";
const TOKEN: &str = "ALIBABA_CLOUD_SECURITY_TOKEN";

/// A host, perhaps with a port, that serves the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    secure: bool,
    host: String,
}

impl Endpoint {
    /// The endpoint `http://host[:port]`, `https://host[:port]`, or `host[:port]` for https.
    ///
    /// # Errors
    ///
    /// `Setting` where the text is none of these, for example because it has a path.
    pub fn parse(text: &str) -> Result<Self, CallError> {
        let (secure, host) = match text.trim().split_once("://") {
            Some(("https", host)) => (true, host),
            Some(("http", host)) => (false, host),
            Some(_) => return Err(not_an_endpoint(text)),
            None => (true, text.trim()),
        };
        let host = host.strip_suffix('/').unwrap_or(host);
        let known = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        if host.is_empty() || !host.chars().all(known) {
            return Err(not_an_endpoint(text));
        }
        // A default port is no part of the Host header that clients send.
        let default = if secure { ":443" } else { ":80" };
        let host = host.strip_suffix(default).unwrap_or(host).to_owned();
        let endpoint = Self { secure, host };
        let uri: Result<ureq::http::Uri, _> = endpoint.to_string().parse();
        uri.map(|_| endpoint).map_err(|_| not_an_endpoint(text))
    }

    /// The endpoint that is given, else the one of `KILN_ENDPOINT` or
    /// `ALIBABA_CLOUD_ECS_ENDPOINT`.
    ///
    /// # Errors
    ///
    /// `Setting` where there is none, and as [`Endpoint::parse`].
    pub fn find(
        given: Option<&str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, CallError> {
        let found = given.map(str::to_owned).or_else(|| {
            ENDPOINTS.iter().find_map(|name| variable(name).filter(|text| !text.is_empty()))
        });
        match found {
            Some(text) => Self::parse(&text),
            None => Err(CallError::Setting(format!("no endpoint: {} is not set", ENDPOINTS[0]))),
        }
    }

    /// Host and port as in the `Host` header.
    pub fn host(&self) -> &str {
        &self.host
    }
}

fn not_an_endpoint(text: &str) -> CallError {
    CallError::Setting(format!("{text:?} is no endpoint: http(s)://host[:port] is expected"))
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.secure { "https" } else { "http" }, self.host)
    }
}

/// An access key, perhaps a temporary one. Its secret is not in its `Debug` text.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) token: Option<String>,
}

impl Credentials {
    /// The key `id` with its secret, and the token of a temporary one.
    pub fn new(id: impl Into<String>, secret: impl Into<String>, token: Option<String>) -> Self {
        Self { id: id.into(), secret: secret.into(), token }
    }

    /// The key of the SDKs' variables, with `id` in place of theirs where it is given. The secret
    /// only ever comes from its variable: arguments can be seen by every user of the machine.
    ///
    /// # Errors
    ///
    /// `Setting` where the key's id or secret is neither given nor set.
    pub fn find(
        id: Option<&str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, CallError> {
        let get = |name: &str| variable(name).filter(|text| !text.is_empty());
        let need = |name: &str| {
            get(name).ok_or_else(|| CallError::Setting(format!("no access key: {name} is not set")))
        };
        let id = id.map_or_else(|| need(KEY_ID), |id| Ok(id.to_owned()))?;
        Ok(Self { id, secret: need(KEY_SECRET)?, token: get(TOKEN) })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_hosts_with_a_scheme_or_without() {
        for (text, expected) in [
            ("ecs.example.com", "https://ecs.example.com"),
            ("https://ecs.example.com:443/", "https://ecs.example.com"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), expected);
        }
        for text in ["", "ftp://a", "http://", "http://a/b", "http://u:p@a", "a?b", "a b", "a:b:c"]
        {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn arguments_come_before_variables() {
        let variable = |name: &str| match name {
            "ALIBABA_CLOUD_ECS_ENDPOINT" => Some("b".to_owned()),
            KEY_ID => Some("id".to_owned()),
            KEY_SECRET => Some("hidden".to_owned()),
            TOKEN => Some(String::new()),
            _ => None,
        };
        assert_eq!(Endpoint::find(Some("a"), variable).unwrap().host(), "a");
        assert_eq!(Endpoint::find(None, variable).unwrap().host(), "b");
        assert!(Endpoint::find(None, |_| None).is_err());
        let found = Credentials::find(None, variable).unwrap();
        assert_eq!(found, Credentials::new("id", "hidden", None));
        assert_eq!(Credentials::find(Some("other"), variable).unwrap().id, "other");
        assert!(Credentials::find(Some("other"), |_| None).is_err());
        let token = Credentials::new("id", "hidden", Some("hidden".to_owned()));
        assert!(!format!("{token:?}").contains("hidden"));
    }
}
