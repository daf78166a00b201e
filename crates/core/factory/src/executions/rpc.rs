//! Calls over signed HTTP: to kiln, to the cloud, or to whatever else speaks its RPC style, or the
//! style with paths (ROA).

use std::time::Duration;

use jiff::Timestamp;
use kiln_ecs::client::{CallError, Client, Credentials, Endpoint, PathCall};
use kiln_oos::run::{ApiError, HttpAnswer, HttpRequest, Request, Roa};
use kiln_oos::value::text;
use serde_json::Value;

use super::caller::{Caller, Later, interrupted, is_repeatable};
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

    fn client(&self, request: &Request) -> Result<Client, ApiError> {
        let service = request.service.to_ascii_lowercase();
        let endpoint = match &self.settings.endpoint {
            Some(endpoint) => endpoint.clone(),
            None if service == "oss" => {
                let told = "the object store takes signatures of its own, which kiln does not make";
                return Err(refused("NotSupported", told.to_owned()));
            }
            None => format!("https://{service}.{}.aliyuncs.com", request.region),
        };
        let endpoint = Endpoint::parse(&endpoint).map_err(of_call)?;
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
        // Like an answer of the server's that it broke: to be made again.
        error @ (CallError::Transport { .. } | CallError::Answer { .. }) => {
            ApiError { status: 503, ..refused("ServiceUnavailable", error.to_string()) }
        }
        error => refused("InvalidRequest", error.to_string()),
    }
}

/// Whether a call that failed so may have been made.
fn is_unknown(error: &CallError) -> bool {
    match error {
        CallError::Transport { is_unsent, .. } => !is_unsent,
        CallError::Answer { .. } => true,
        _ => false,
    }
}

/// What is sent for a request of a template.
enum Call {
    Rpc(Vec<(String, String)>),
    Path(PathCall),
}

/// The answer to a call that nobody answered, and that may not be made again.
fn unanswered(request: &Request, error: &CallError) -> ApiError {
    let told = format!("{error}; {} takes no token: whether it was done is not known", request.api);
    refused("Interrupted", told)
}

/// The parameters of an RPC operation.
fn rpc(request: &Request) -> Vec<(String, String)> {
    let mut pairs = wire::pairs(&request.service, &request.api, &request.parameters);
    let takes_token = wire::takes_token(&request.service, &request.api);
    if takes_token && !pairs.iter().any(|(name, _)| name == "ClientToken") {
        pairs.push(("ClientToken".to_owned(), request.token.clone()));
    }
    pairs
}

/// The call of an operation with a path, whose parameters are those of the query as they are named.
fn by_path(request: &Request, roa: &Roa, version: &str) -> PathCall {
    let pair = |(name, value): (&String, &_)| (name.clone(), text(value).into_owned());
    PathCall {
        action: request.api.clone(),
        version: version.to_owned(),
        method: roa.method.clone(),
        uri: roa.uri.clone(),
        query: request.parameters.iter().map(pair).collect(),
        headers: roa.headers.clone(),
        body: roa.body.clone(),
    }
}

impl Caller for RpcCaller {
    fn call<'a>(
        &'a self,
        request: &'a Request,
        _now: Timestamp,
    ) -> Later<'a, Result<Value, ApiError>> {
        Box::pin(async move {
            let Some(version) = wire::version(&request.service) else {
                let told = format!("kiln does not know the product {}", request.service);
                return Err(refused("NotSupported", told));
            };
            if request.is_repeated && !is_repeatable(request) {
                return Err(interrupted(request));
            }
            let call = match &request.roa {
                None => Call::Rpc(rpc(request)),
                Some(roa) => Call::Path(by_path(request, roa, version)),
            };
            let client = self.client(request)?;
            let api = request.api.clone();
            let call = move || match &call {
                Call::Rpc(pairs) => client.call(&api, version, pairs),
                Call::Path(call) => client.call_path(call),
            };
            match tokio::task::spawn_blocking(call).await {
                Ok(Err(error)) if is_unknown(&error) && !is_repeatable(request) => {
                    Err(unanswered(request, &error))
                }
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

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use kiln_ecs::params::parse;
    use kiln_ecs::sign::{AuthError, Request as Signed, v3};
    use serde_json::json;
    use sha2::{Digest, Sha256};

    use super::*;

    /// The first line of a request, the version of its API, its body, and whether it is signed well.
    type Seen = (String, String, String, Result<(), AuthError>);

    /// Hold one request to its signature and answer it.
    fn serve(status: u16, answer: &'static str) -> (RpcCaller, JoinHandle<Seen>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut lines = BufReader::new(&stream);
            let mut line = || {
                let mut line = String::new();
                lines.read_line(&mut line).unwrap();
                line.trim_end().to_owned()
            };
            let first = line();
            let mut headers = Vec::new();
            while let Some((name, value)) = line().split_once(':') {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            let header = |name: &str| {
                let own = headers.iter().find(|(own, _)| own == name);
                own.map_or(String::new(), |(_, value)| value.clone())
            };
            let mut body = String::new();
            let length = header("content-length").parse().unwrap_or(0);
            lines.take(length).read_to_string(&mut body).unwrap();
            let mut words = first.split(' ');
            let (method, target) = (words.next().unwrap(), words.next().unwrap());
            let (path, text) = target.split_once('?').unwrap_or((target, ""));
            let mut query = Vec::new();
            parse(text, &mut query).unwrap();
            let body_sha256 = &format!("{:x}", Sha256::digest(&body));
            let (query, headers) = (&query, &headers);
            let signed = Signed { method, path, query, headers, body_sha256 };
            let verdict = v3::Authorization::parse(&header("authorization"))
                .and_then(|authorization| v3::verify(&signed, &authorization, "secret"));
            let head = format!("HTTP/1.1 {status} -\r\ncontent-length: {}\r\n\r\n", answer.len());
            stream.write_all(format!("{head}{answer}").as_bytes()).unwrap();
            (format!("{method} {target}"), header("x-acs-version"), body, verdict)
        });
        let settings = RpcSettings { endpoint: Some(endpoint), allowed_hosts: Vec::new() };
        (RpcCaller::new(settings, Credentials::new("id", "secret", None)).unwrap(), server)
    }

    fn request(service: &str, method: &str, uri: &str) -> Request {
        let roa = Roa {
            method: method.to_owned(),
            uri: uri.to_owned(),
            headers: vec![("x-oss-acl".to_owned(), "private".to_owned())],
            body: "<a/>".to_owned(),
        };
        let Value::Object(parameters) = json!({"BucketName": "b 1", "n": 2, "list": ["x"]}) else {
            panic!("a map")
        };
        Request {
            service: service.to_owned(),
            api: "PutBucketACL".to_owned(),
            parameters,
            roa: Some(roa),
            region: "cn-a".to_owned(),
            account: "1".to_owned(),
            user: "1".to_owned(),
            role: String::new(),
            token: "t".to_owned(),
            is_repeated: false,
        }
    }

    async fn call(caller: &RpcCaller, request: &Request) -> Result<Value, ApiError> {
        caller.call(request, Timestamp::UNIX_EPOCH).await
    }

    #[tokio::test]
    async fn an_operation_with_a_path_is_called_and_signed() {
        let (caller, server) = serve(200, "");
        let answer = call(&caller, &request("OSS", "PUT", "?acl")).await;
        assert_eq!(answer, Ok(json!({})));
        let (line, version, body, verdict) = server.join().unwrap();
        assert_eq!(line, "PUT /?acl=&BucketName=b%201&n=2&list=%5B%22x%22%5D");
        assert_eq!((version.as_str(), body.as_str(), verdict), ("2019-05-17", "<a/>", Ok(())));

        let (caller, server) = serve(404, r#"{"code":"ErrorClusterNotFound","message":"No."}"#);
        let error = call(&caller, &request("cs", "GET", "/clusters/c1")).await.unwrap_err();
        assert_eq!((error.status, error.code.as_str()), (404, "ErrorClusterNotFound"));
        let (line, version, _, verdict) = server.join().unwrap();
        assert!(line.starts_with("GET /clusters/c1?"), "{line}");
        assert_eq!((version.as_str(), verdict), ("2015-12-15", Ok(())));
    }

    /// Nobody knows whether the one that was killed has made the call. A GET does no harm twice.
    #[tokio::test]
    async fn a_call_with_a_path_is_made_again_only_where_it_reads() {
        let (caller, server) = serve(200, "{}");
        let again = |method| Request { is_repeated: true, ..request("CS", method, "/clusters") };
        let error = call(&caller, &again("POST")).await.unwrap_err();
        assert_eq!(error.code, "Interrupted");
        assert_eq!(call(&caller, &again("GET")).await, Ok(json!({})));
        assert_eq!(server.join().unwrap().3, Ok(()));
    }

    /// Faults planted: an answer that a gateway broke, a text that is no JSON, and nobody listening.
    #[tokio::test]
    async fn what_may_have_been_done_is_not_done_again() {
        let (caller, server) = serve(502, "bad gateway");
        let error = call(&caller, &request("CS", "POST", "/clusters")).await.unwrap_err();
        assert_eq!((error.status, error.code.as_str()), (0, "Interrupted"), "{error}");
        assert_eq!(server.join().unwrap().3, Ok(()));
        // The same of an operation without a path and without a token, and of one that reads.
        for (api, told) in
            [("RebootInstance", (0, "Interrupted")), ("DescribeX", (503, "ServiceUnavailable"))]
        {
            let (caller, server) = serve(400, "what?");
            let sent = Request { api: api.to_owned(), roa: None, ..request("ECS", "", "") };
            let error = call(&caller, &sent).await.unwrap_err();
            assert_eq!((error.status, error.code.as_str()), told, "{error}");
            assert_eq!(server.join().unwrap().3, Ok(()));
        }
        let (caller, server) = serve(200, "<done/>");
        assert_eq!(call(&caller, &request("CS", "POST", "/clusters")).await, Ok(json!("<done/>")));
        assert_eq!(server.join().unwrap().3, Ok(()));
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let endpoint = Some(format!("http://{free}"));
        let settings = RpcSettings { endpoint, allowed_hosts: Vec::new() };
        let caller = RpcCaller::new(settings, Credentials::new("id", "secret", None)).unwrap();
        let error = call(&caller, &request("CS", "POST", "/clusters")).await.unwrap_err();
        assert_eq!(error.status, 503, "{error}");
    }

    #[tokio::test]
    async fn what_cannot_be_called_says_why() {
        let settings = RpcSettings::default();
        let caller = RpcCaller::new(settings, Credentials::new("id", "secret", None)).unwrap();
        for (service, uri, told) in [
            ("OSS", "?acl", "the object store takes signatures of its own"),
            ("NOSUCH", "/", "kiln does not know the product NOSUCH"),
            ("CS", "https://elsewhere/", "`https://elsewhere/` is no path"),
        ] {
            let error = call(&caller, &request(service, "PUT", uri)).await.unwrap_err();
            assert!(error.message.contains(told), "{error}");
        }
        let world = super::super::SimCaller::new(kiln_sim::World::parse("{}").unwrap());
        let sent = request("CS", "GET", "/clusters");
        let error = world.call(&sent, Timestamp::UNIX_EPOCH).await.unwrap_err();
        assert!(error.message.contains("PutBucketACL of CS has a path (URI)"), "{error}");
    }
}
