//! Calls over signed HTTP: to kiln, to the cloud, or to whatever else speaks its RPC style.

use std::time::Duration;

use jiff::Timestamp;
use kiln_ecs::client::{CallError, Client, Credentials, Endpoint};
use kiln_oos::run::{ApiError, HttpAnswer, HttpRequest, Request};
use serde_json::Value;

use super::caller::{Caller, Later, interrupted, only_reads};
use super::wire;

/// How long an HTTP request of a template may take.
const HTTP_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of the answer to an HTTP request of a template that are read.
const MAX_HTTP_ANSWER: u64 = 1 << 20;

/// Where calls go.
#[derive(Clone, Debug, Default)]
pub struct RpcSettings {
    /// The endpoint of all products; where there is none, each product's own in the region.
    pub endpoint: Option<String>,
    /// Hosts that webhooks and HTTP requests may go to.
    pub allowed_hosts: Vec<String>,
}

/// A caller that signs calls with an access key.
pub struct RpcCaller {
    settings: RpcSettings,
    credentials: Credentials,
    web: Web,
}

impl std::fmt::Debug for RpcCaller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RpcCaller").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl RpcCaller {
    /// A caller with the access key of the SDKs' environment variables.
    ///
    /// # Errors
    ///
    /// Where they are not set, or the endpoint makes no sense.
    pub fn from_environment(settings: RpcSettings) -> Result<Self, CallError> {
        let credentials = Credentials::find(None, |name| std::env::var(name).ok())?;
        Self::new(settings, credentials)
    }

    /// A caller with an access key.
    ///
    /// # Errors
    ///
    /// Where the endpoint makes no sense.
    pub fn new(settings: RpcSettings, credentials: Credentials) -> Result<Self, CallError> {
        if let Some(endpoint) = &settings.endpoint {
            Endpoint::parse(endpoint)?;
        }
        let web = Web::new(settings.allowed_hosts.clone(), "allow it by --allow-host");
        Ok(Self { settings, credentials, web })
    }

    fn client(&self, request: &Request) -> Result<Client, CallError> {
        let own = || {
            let service = request.service.to_ascii_lowercase();
            format!("https://{service}.{}.aliyuncs.com", request.region)
        };
        let endpoint = self.settings.endpoint.clone().unwrap_or_else(own);
        let endpoint = Endpoint::parse(&endpoint)?;
        Ok(Client::new(endpoint, self.credentials.clone(), request.region.clone()))
    }
}

/// Sends the HTTP requests of templates, to hosts that are allowed and to no others.
#[derive(Debug)]
pub struct Web {
    agent: ureq::Agent,
    allowed: Vec<String>,
    hint: &'static str,
}

impl Web {
    /// Requests to the hosts `allowed`. `hint` says how another one is allowed, without its name.
    #[must_use]
    pub fn new(allowed: Vec<String>, hint: &'static str) -> Self {
        // No redirects, which would lead past the list of allowed hosts.
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(HTTP_TIMEOUT))
            .build();
        Self { agent: agent.into(), allowed, hint }
    }

    /// Send a request, where its host is allowed.
    ///
    /// # Errors
    ///
    /// What is to be told, where it is not, or no answer comes.
    pub async fn send(&self, request: &HttpRequest) -> Result<HttpAnswer, String> {
        let host = host_of(&request.url)?;
        if !self.allowed.iter().any(|own| own.eq_ignore_ascii_case(&host)) {
            return Err(format!("requests to {host} are not allowed; {} {host}", self.hint));
        }
        let (agent, request) = (self.agent.clone(), request.clone());
        let sent = tokio::task::spawn_blocking(move || send(&agent, request));
        sent.await.map_err(|error| error.to_string())?
    }
}

fn refused(code: &str, message: String) -> ApiError {
    ApiError { status: 0, code: code.to_owned(), message, request_id: String::new() }
}

fn of_call(error: CallError) -> ApiError {
    match error {
        CallError::Api { status, code, message, request_id, .. } => {
            ApiError { status, code, message, request_id }
        }
        // Nobody knows whether the call was made: like an answer of the server's that it broke.
        error @ (CallError::Transport { .. } | CallError::Answer { .. }) => {
            ApiError { status: 503, ..refused("ServiceUnavailable", error.to_string()) }
        }
        error => refused("InvalidRequest", error.to_string()),
    }
}

impl Caller for RpcCaller {
    fn call<'a>(
        &'a self,
        request: &'a Request,
        _now: Timestamp,
    ) -> Later<'a, Result<Value, ApiError>> {
        Box::pin(async move {
            if request.roa.is_some() {
                let told =
                    format!("{} has a path, and kiln calls RPC operations only", request.api);
                return Err(refused("NotSupported", told));
            }
            let Some(version) = wire::version(&request.service) else {
                let told = format!("kiln does not know the product {}", request.service);
                return Err(refused("NotSupported", told));
            };
            let mut pairs = wire::pairs(&request.service, &request.api, &request.parameters);
            let reads = only_reads(&request.api);
            let takes_token = wire::takes_token(&request.service, &request.api);
            if request.is_repeated && !reads && !takes_token {
                return Err(interrupted(request));
            }
            if takes_token && !pairs.iter().any(|(name, _)| name == "ClientToken") {
                pairs.push(("ClientToken".to_owned(), request.token.clone()));
            }
            let client = self.client(request).map_err(of_call)?;
            let api = request.api.clone();
            let call = move || client.call(&api, version, &pairs);
            match tokio::task::spawn_blocking(call).await {
                Ok(answer) => answer.map_err(of_call),
                Err(error) => Err(refused("InternalError", error.to_string())),
            }
        })
    }

    fn http<'a>(&'a self, request: &'a HttpRequest) -> Later<'a, Result<HttpAnswer, String>> {
        Box::pin(self.web.send(request))
    }
}

fn send(agent: &ureq::Agent, request: HttpRequest) -> Result<HttpAnswer, String> {
    let mut builder = ureq::http::Request::builder().method(request.method.as_str());
    let query = request.query.iter().map(|(name, value)| {
        let enc = kiln_ecs::sign::enc;
        format!("{}={}", enc(name), enc(value))
    });
    let query = query.collect::<Vec<_>>().join("&");
    let mark = if request.url.contains('?') { '&' } else { '?' };
    builder = builder.uri(match query.is_empty() {
        true => request.url.clone(),
        false => format!("{}{mark}{query}", request.url),
    });
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    let built = builder.body(request.body.unwrap_or_default());
    let built = built.map_err(|error| error.to_string())?;
    let mut answer = agent.run(built).map_err(|error| error.to_string())?;
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(MAX_HTTP_ANSWER).read_to_vec();
    let body = body.map_err(|error| error.to_string())?;
    Ok(HttpAnswer { status, body: String::from_utf8_lossy(&body).into_owned() })
}

/// The host of an http or https URL, without port.
fn host_of(url: &str) -> Result<String, String> {
    let refused = || format!("`{url}` is no http or https URL");
    let uri: ureq::http::Uri = url.parse().map_err(|_| refused())?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(host)) => Ok(host.to_owned()),
        _ => Err(refused()),
    }
}

/// A caller for looking at records: it answers nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoCaller;

impl Caller for NoCaller {
    fn call<'a>(
        &'a self,
        _request: &'a Request,
        _now: Timestamp,
    ) -> Later<'a, Result<Value, ApiError>> {
        Box::pin(async { Err(refused("NotSupported", "nothing is called here".to_owned())) })
    }

    fn http<'a>(&'a self, _request: &'a HttpRequest) -> Later<'a, Result<HttpAnswer, String>> {
        Box::pin(async { Err("nothing is called here".to_owned()) })
    }
}
