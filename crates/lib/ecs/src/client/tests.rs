//! A client against a server that holds every request to its signature.

use super::*;
use crate::params::parse;
use crate::sign::AuthError;
use crate::types::tasks::{DescribeTaskAttributeRequest, DescribeTaskAttributeResponse};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

const SECRET: &str = "the secret";

/// What the server saw of one request.
#[derive(Debug)]
struct Seen {
    method: String,
    path: String,
    query: Pairs,
    headers: Pairs,
    body: String,
    verdict: Result<(), AuthError>,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The parameters, wherever they travelled.
    fn param(&self, name: &str) -> Option<String> {
        let mut all = self.query.clone();
        parse(&self.body, &mut all).unwrap();
        all.into_iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }
}

/// Answer one request after the other with `answers`, then go away.
fn serve(answers: Vec<(u16, String)>) -> (Endpoint, JoinHandle<Vec<Seen>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let server = std::thread::spawn(move || {
        answers.iter().map(|(status, body)| answer(&listener, *status, body)).collect()
    });
    (endpoint, server)
}

fn answer(listener: &TcpListener, status: u16, body: &str) -> Seen {
    let mut stream = listener.accept().unwrap().0;
    let seen = see(&stream);
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} -\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    seen
}

fn see(stream: &TcpStream) -> Seen {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (path, query_text) = target.split_once('?').unwrap_or((&target, ""));
    let (path, mut query) = (path.to_owned(), Pairs::new());
    parse(query_text, &mut query).unwrap();
    let mut headers = Pairs::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let body = String::new();
    let mut seen = Seen { method, path, query, headers, body, verdict: Ok(()) };
    let length: u64 = seen.header("content-length").map_or(0, |text| text.parse().unwrap());
    reader.take(length).read_to_string(&mut seen.body).unwrap();
    seen.verdict = verify(&seen);
    seen
}

fn verify(seen: &Seen) -> Result<(), AuthError> {
    let body_sha256 = format!("{:x}", Sha256::digest(&seen.body));
    let mut pairs = seen.query.clone();
    let request = Request {
        method: &seen.method,
        path: &seen.path,
        query: &seen.query,
        headers: &seen.headers,
        body_sha256: &body_sha256,
    };
    match Scheme::of(&request)? {
        Scheme::V3 => {
            let header = request.header("authorization").unwrap_or_default();
            v3::verify(&request, &v3::Authorization::parse(header)?, SECRET)
        }
        Scheme::V1 => {
            parse(&seen.body, &mut pairs).unwrap();
            v1::verify(&Request { query: &pairs, ..request }, SECRET)
        }
    }
}

fn client(endpoint: Endpoint, secret: &str) -> Client {
    let credentials = Credentials::new("id", secret, Some("a token".to_owned()));
    let client = Client::new(endpoint, credentials, "cn-hangzhou");
    Client { first_wait: Duration::from_millis(1), ..client }
}

fn pair(name: &str, value: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), value.to_owned())]
}

fn refusal(status: u16, code: &str) -> (u16, String) {
    let body = format!(r#"{{"RequestId":"R","Code":"{code}","Message":"No."}}"#);
    (status, body)
}

fn success() -> (u16, String) {
    (200, r#"{"RequestId":"R","TaskStatus":"Finished"}"#.to_owned())
}

#[test]
fn calls_are_signed_by_version_3() {
    let (endpoint, server) = serve(vec![success()]);
    let request =
        DescribeTaskAttributeRequest { task_id: Some("t-1 ä&".to_owned()), ..Default::default() };
    let sent: Result<DescribeTaskAttributeResponse, _> =
        client(endpoint, SECRET).send("DescribeTaskAttribute", &request);
    assert_eq!(sent.unwrap().task_status.as_deref(), Some("Finished"));
    let seen = &server.join().unwrap()[0];
    assert_eq!(seen.verdict, Ok(()));
    assert_eq!(seen.header("x-acs-action"), Some("DescribeTaskAttribute"));
    assert_eq!(seen.header("x-acs-version"), Some(VERSION));
    assert_eq!(seen.header("x-acs-security-token"), Some("a token"));
    assert_eq!(seen.param("TaskId").as_deref(), Some("t-1 ä&"));
    assert_eq!(seen.param("RegionId").as_deref(), Some("cn-hangzhou"));
    assert_eq!(seen.body, "");
}

#[test]
fn long_parameters_travel_in_the_body() {
    for scheme in [Scheme::V3, Scheme::V1] {
        let (endpoint, server) = serve(vec![success()]);
        let client = client(endpoint, SECRET).with_scheme(scheme);
        let mut params = pair("Description", &"ü".repeat(MAX_QUERY));
        params.extend(pair("RegionId", "elsewhere"));
        client.call("ImportImage", VERSION, &params).unwrap();
        let seen = &server.join().unwrap()[0];
        assert_eq!(seen.verdict, Ok(()), "{scheme:?}");
        assert_eq!(seen.param("RegionId").as_deref(), Some("elsewhere"));
        assert!(seen.query.iter().all(|(name, _)| name != "Description"));
        assert!(seen.header("content-type").unwrap().starts_with("application/x-www-form"));
    }
}

#[test]
fn version_1_signs_the_query() {
    let (endpoint, server) = serve(vec![success()]);
    let client = client(endpoint, SECRET).with_scheme(Scheme::V1);
    client.call("CancelTask", VERSION, &pair("TaskId", "t 1")).unwrap();
    let seen = &server.join().unwrap()[0];
    assert_eq!(seen.verdict, Ok(()));
    assert_eq!(seen.param("Action").as_deref(), Some("CancelTask"));
    assert_eq!(seen.param("SecurityToken").as_deref(), Some("a token"));
}

/// The server is not content with anything, or the tests above would show nothing.
#[test]
fn another_secret_makes_another_signature() {
    for scheme in [Scheme::V3, Scheme::V1] {
        let (endpoint, server) = serve(vec![success()]);
        let client = client(endpoint, "another").with_scheme(scheme);
        client.call("CancelTask", VERSION, &[]).unwrap();
        assert!(server.join().unwrap()[0].verdict.is_err());
    }
}

#[test]
fn only_calls_that_read_are_made_again() {
    let (endpoint, server) =
        serve(vec![refusal(503, "ServiceUnavailable"), refusal(400, "Throttling.User"), success()]);
    client(endpoint, SECRET).call("DescribeTasks", VERSION, &[]).unwrap();
    let seen = server.join().unwrap();
    let mut nonces: Vec<_> = seen.iter().map(|s| s.header("x-acs-signature-nonce")).collect();
    nonces.dedup();
    assert_eq!(nonces.len(), 3);
    assert!(seen.iter().all(|seen| seen.verdict.is_ok()));

    let (endpoint, server) = serve(vec![refusal(503, "ServiceUnavailable")]);
    let error = client(endpoint, SECRET).call("ImportImage", VERSION, &[]).unwrap_err();
    assert_eq!(error.code(), Some("ServiceUnavailable"));
    assert_eq!(server.join().unwrap().len(), 1);

    let (endpoint, server) = serve(vec![refusal(500, "InternalError"); 4]);
    let error = client(endpoint, SECRET).call("DescribeTasks", VERSION, &[]).unwrap_err();
    assert_eq!(error.code(), Some("InternalError"));
    assert_eq!(server.join().unwrap().len(), 4);
}

#[test]
fn refusals_keep_what_the_endpoint_said() {
    let (endpoint, _server) = serve(vec![refusal(404, "InvalidImageId.NotFound")]);
    let error = client(endpoint, SECRET).call("DescribeImages", VERSION, &[]).unwrap_err();
    let told = "InvalidImageId.NotFound: No. (status 404, request R)";
    assert_eq!(error.to_string(), told);
    assert!(!error.is_transient());
}

#[test]
fn answers_that_are_none_are_told() {
    let long = format!(r#"{{"A":"{}"}}"#, "x".repeat(MAX_ANSWER as usize));
    for (status, body, told) in [
        (200, "<html>".to_owned(), "it is not JSON"),
        (200, "[]".to_owned(), "it has no field Code"),
        (403, "{}".to_owned(), "it has no field Code"),
        (302, "{}".to_owned(), "it has no field Code"),
        (200, long, "it is longer than"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            see(&stream);
            let head = format!("HTTP/1.1 {status} -\r\nconnection: close\r\n\r\n{body}");
            // The client hangs up on a long one.
            let _ = stream.write_all(head.as_bytes());
        });
        let endpoint = Endpoint::parse(&format!("http://{address}")).unwrap();
        let error = client(endpoint, SECRET).call("CancelTask", VERSION, &[]).unwrap_err();
        assert!(matches!(error, CallError::Answer { .. }), "{error}");
        assert!(error.to_string().contains(told), "{error}");
        server.join().unwrap();
    }
}

#[test]
fn an_endpoint_that_is_not_there_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let error = client(endpoint.clone(), SECRET).call("DescribeTasks", VERSION, &[]).unwrap_err();
    assert!(error.to_string().starts_with(&format!("{endpoint}: ")), "{error}");
    let debug = format!("{:?}", client(endpoint, SECRET));
    assert!(!debug.contains(SECRET) && !debug.contains("a token"));
}

fn path_call(method: &str, uri: &str) -> PathCall {
    let (action, version) = ("DescribeClusters".to_owned(), "2015-12-15".to_owned());
    let (method, uri) = (method.to_owned(), uri.to_owned());
    PathCall { action, version, method, uri, ..PathCall::default() }
}

/// Method, path, query, headers and body arrive as they were given, and are what is signed.
#[test]
fn calls_with_a_path_are_signed_with_all_they_have() {
    let (endpoint, server) = serve(vec![success(); 3]);
    let client = client(endpoint, SECRET);
    let call = PathCall {
        query: pair("b c", "d&e"),
        headers: [("X-Own", "1"), ("X-Acs-Own", "2"), ("Content-MD5", "")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        body: r#"{"a":"ü"}"#.to_owned(),
        ..path_call("PUT", "/clusters/a%20b c/ü?x=1&acl")
    };
    client.call_path(&call).unwrap();
    client.call_path(&path_call("GET", "?acl")).unwrap();
    client.call_path(&path_call("DELETE", "/clusters/c1")).unwrap();
    let seen = server.join().unwrap();
    let verdicts: Vec<_> = seen.iter().map(|seen| seen.verdict.clone()).collect();
    assert_eq!(verdicts, [Ok(()), Ok(()), Ok(())]);
    let heads: Vec<_> = seen.iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect();
    assert_eq!(heads, ["PUT /clusters/a%20b%20c/%C3%BC", "GET /", "DELETE /clusters/c1"]);
    assert_eq!(seen[0].query, [pair("x", "1"), pair("acl", ""), pair("b c", "d&e")].concat());
    assert_eq!(seen[0].body, call.body);
    assert_eq!(seen[0].header("content-type"), Some("application/json"));
    assert_eq!((seen[0].header("x-own"), seen[0].header("content-md5")), (Some("1"), None));
    let signed = seen[0].header("authorization").unwrap();
    assert!(signed.contains("content-type;host;x-acs-action"), "{signed}");
    assert!(signed.contains("x-acs-own;x-acs-security-token"), "{signed}");
    assert_eq!(seen[1].header("x-acs-action"), Some("DescribeClusters"));
}

#[test]
fn answers_to_calls_with_a_path_are_any_json_or_nothing() {
    let refusal = (404, r#"{"code":"NoCluster","message":"No.","requestId":"R"}"#.to_owned());
    let answers = vec![(200, "[1]".to_owned()), (204, String::new()), refusal];
    let (endpoint, _server) = serve(answers);
    let client = client(endpoint, SECRET);
    let call = || client.call_path(&path_call("GET", "/clusters"));
    assert_eq!(call().unwrap(), serde_json::json!([1]));
    assert_eq!(call().unwrap(), serde_json::json!({}));
    let told = "NoCluster: No. (status 404, request R)";
    assert_eq!(call().unwrap_err().to_string(), told);
}

/// Nothing is sent to the server, which is none.
#[test]
fn what_cannot_be_signed_is_not_sent() {
    let client = client(Endpoint::parse("http://127.0.0.1:1").unwrap(), SECRET);
    let with =
        |name: &str, value: &str| PathCall { headers: pair(name, value), ..path_call("GET", "/") };
    for (call, told) in [
        (path_call("TRACE", "/"), "is none of"),
        (path_call("GET", "https://elsewhere/"), "is no path"),
        (path_call("GET", "clusters"), "is no path"),
        (with("Host", "elsewhere"), "the header host"),
        (with("X-Acs-Date", "x"), "the header x-acs-date"),
        (with("X-Acs-Own", "a\nb"), "cannot be signed"),
    ] {
        let error = client.call_path(&call).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}
