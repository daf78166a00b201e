//! The router over a socket, asked as a client asks: signed, in path style.

use std::fs;
use std::path::Path;

use axum::http::HeaderMap;
use kiln_oss::sign::{Request, sign_v1};
use kiln_store::BucketSettings;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// `full` may do all, `reader` may only read; their secrets are their names backwards.
struct Keys;

impl Credentials for Keys {
    fn secret(&self, id: &str) -> Option<String> {
        ["full", "reader"].contains(&id).then(|| id.chars().rev().collect())
    }

    fn may(&self, id: &str, action: &str, resource: &str) -> bool {
        id == "full" || (action == "oss:GetObject" && resource.starts_with("acs:oss:*:*:images/"))
    }
}

struct Server {
    dir: TempDir,
    address: String,
}

struct Told {
    status: u16,
    headers: HeaderMap,
    body: String,
}

async fn server() -> Server {
    let dir = tempfile::tempdir().unwrap();
    let url = dir.path().join("images").display().to_string();
    let (name, region) = ("images".into(), "cn-hangzhou".into());
    let buckets = Buckets::new(vec![BucketSettings { name, region, url, authorized: true }]);
    let state = OssState {
        buckets: buckets.unwrap(),
        credentials: Arc::new(Keys),
        endpoint: "oss.kiln.example".into(),
        spool: dir.path().join("spool"),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router(state)).await });
    Server { dir, address }
}

impl Server {
    fn root(&self) -> std::path::PathBuf {
        self.dir.path().join("images")
    }

    /// Ask as `full`, now.
    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Told {
        self.ask_as("full", "lluf", Timestamp::now(), method, path, headers, body).await
    }

    #[expect(clippy::too_many_arguments, reason = "a request has that many parts")]
    async fn ask_as(
        &self,
        id: &str,
        secret: &str,
        at: Timestamp,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Told {
        let date = at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        let mut headers: Vec<_> = headers.iter().map(owned).collect();
        headers.push(("date".into(), date));
        headers.push(("content-type".into(), "application/octet-stream".into()));
        let uri = format!("http://{}{path}", self.address);
        let plain = axum::extract::Request::builder().uri(&uri).body(Body::empty()).unwrap();
        let asked = Asked::parse("", plain).ok().map(|(asked, _)| asked);
        if let Some(asked) = asked {
            let signed = Request { method, headers: &headers, ..asked.signed() };
            let authorization = sign_v1(&signed, id, secret).unwrap();
            headers.push(("authorization".into(), authorization));
        }
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.address);
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("content-length: {}\r\nconnection: close\r\n\r\n", body.len()));
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        // A server that has refused already does not read on.
        drop(stream.write_all(body).await);
        let mut told = Vec::new();
        drop(stream.read_to_end(&mut told).await);
        Told::parse(&String::from_utf8_lossy(&told))
    }
}

impl Told {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let (first, lines) = head.split_once("\r\n").unwrap();
        let status = first.split(' ').nth(1).unwrap().parse().unwrap();
        let pair = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.parse().unwrap(), value.parse().unwrap())
        };
        let headers: HeaderMap = lines.lines().map(pair).collect();
        Self { status, headers, body: body.into() }
    }
}

fn files(path: &Path) -> usize {
    fs::read_dir(path).map_or(0, Iterator::count)
}

#[tokio::test]
async fn an_object_comes_back_whole_and_in_part() {
    let server = server().await;
    let meta = [("x-oss-meta-a", "b")];
    let told = server.ask("PUT", "/images/a%2Fb.raw", &meta, b"123456789").await;
    assert_eq!((told.status, told.body.as_str()), (200, ""));
    assert_eq!(told.headers["etag"], "\"25F9E794323B453885F5181F1B624D0B\"");
    assert_eq!(told.headers["x-oss-hash-crc64ecma"], "11051210869376104954");
    assert_eq!(fs::read(server.root().join("a/b.raw")).unwrap(), b"123456789");
    let told = server.ask("GET", "/images/a/b.raw", &[], b"").await;
    assert_eq!((told.status, told.body.as_str()), (200, "123456789"));
    assert_eq!(told.headers["x-oss-meta-a"], "b");
    let told = server.ask("GET", "/images/a/b.raw", &[("range", "bytes=2-4")], b"").await;
    assert_eq!((told.status, told.body.as_str()), (206, "345"));
    assert_eq!(told.headers["content-range"], "bytes 2-4/9");
    let told = server.ask("GET", "/images/a/b.raw", &[("range", "bytes=9-")], b"").await;
    assert_eq!((told.status, told.headers["content-range"].to_str().unwrap()), (416, "bytes */9"));
    let told = server.ask("DELETE", "/images/a/b.raw", &[], b"").await;
    assert_eq!(told.status, 204);
    assert!(!server.root().join("a").exists(), "an empty directory is left");
    let told = server.ask("GET", "/images/a/b.raw", &[], b"").await;
    assert!(told.status == 404 && told.body.contains("<Code>NoSuchKey</Code>"), "{}", told.body);
}

#[tokio::test]
async fn a_file_that_changed_behind_the_endpoint_has_another_etag() {
    let server = server().await;
    server.ask("PUT", "/images/disk", &[], b"one").await;
    fs::write(server.root().join("disk"), b"other").unwrap();
    let told = server.ask("GET", "/images/disk", &[], b"").await;
    assert_eq!((told.status, told.body.as_str()), (200, "other"));
    assert!(told.headers["etag"].to_str().unwrap().ends_with("-1\""));
    assert!(!told.headers.contains_key("x-oss-hash-crc64ecma"));
}

#[tokio::test]
async fn what_is_refused_leaves_no_object() {
    let server = server().await;
    let wrong = [("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")];
    let told = server.ask("PUT", "/images/a", &wrong, b"x").await;
    assert!(told.status == 400 && told.body.contains("InvalidDigest"), "{}", told.body);
    for path in ["/images/..%2Fa", "/images/.kiln%2Fmeta", "/images/a%2F%2Fb", "/images/a%2F"] {
        let told = server.ask("PUT", path, &[], b"x").await;
        assert!(told.body.contains("InvalidObjectName"), "{path}: {}", told.body);
    }
    assert_eq!(files(&server.root().join(".kiln/tmp")), 0);
    server.ask("PUT", "/images/a", &[], b"x").await;
    let told = server.ask("PUT", "/images/a/b", &[], b"x").await;
    assert!(told.body.contains("InvalidObjectName"), "{}", told.body);
    let told = server.ask("PUT", "/images/a", &[("x-oss-forbid-overwrite", "true")], b"y").await;
    assert!(told.body.contains("FileAlreadyExists"), "{}", told.body);
    assert_eq!(fs::read(server.root().join("a")).unwrap(), b"x");
    assert_eq!(files(&server.root().join(".kiln/tmp")), 0);
}

#[tokio::test]
async fn who_may_not_is_told_why() {
    let server = server().await;
    server.ask("PUT", "/images/a", &[], b"x").await;
    let now = Timestamp::now();
    let early = Timestamp::from_second(now.as_second() - 16 * 60).unwrap();
    for (id, secret, at, method, code) in [
        ("reader", "redaer", now, "GET", None),
        ("reader", "redaer", now, "PUT", Some("AccessDenied")),
        ("reader", "redaer", now, "DELETE", Some("AccessDenied")),
        ("full", "wrong", now, "GET", Some("SignatureDoesNotMatch")),
        ("nobody", "ydobon", now, "GET", Some("InvalidAccessKeyId")),
        ("full", "lluf", early, "GET", Some("RequestTimeTooSkewed")),
    ] {
        let told = server.ask_as(id, secret, at, method, "/images/a", &[], b"").await;
        let found = code.is_none_or(|code| told.body.contains(&format!("<Code>{code}</Code>")));
        assert!(found && (told.status == 200) == code.is_none(), "{id} {method}: {}", told.body);
    }
    assert_eq!(fs::read(server.root().join("a")).unwrap(), b"x");
}

#[tokio::test]
async fn parts_become_an_object() {
    let server = server().await;
    let told = server.ask("POST", "/images/big?uploads", &[], b"").await;
    let id = told.body.split("<UploadId>").nth(1).and_then(|text| text.get(..32)).unwrap();
    let part = |n: u32| format!("/images/big?partNumber={n}&uploadId={id}");
    let first = vec![b'x'; 102_400];
    let etag_1 = server.ask("PUT", &part(1), &[], &first).await.headers["etag"].clone();
    let etag_2 = server.ask("PUT", &part(2), &[], b"end").await.headers["etag"].clone();
    let list = |etags: [&axum::http::HeaderValue; 2]| {
        let part = |(at, etag): (usize, &&axum::http::HeaderValue)| {
            let etag = etag.to_str().unwrap();
            format!("<Part><PartNumber>{}</PartNumber><ETag>{etag}</ETag></Part>", at + 1)
        };
        let parts: String = etags.iter().enumerate().map(part).collect();
        format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
    };
    let whole = format!("/images/big?uploadId={id}");
    let told = server.ask("POST", &whole, &[], list([&etag_2, &etag_2]).as_bytes()).await;
    assert!(told.body.contains("InvalidPart"), "{}", told.body);
    let told = server.ask("POST", &whole, &[], list([&etag_1, &etag_2]).as_bytes()).await;
    assert!(told.status == 200 && told.body.contains("-2\""), "{}", told.body);
    let kept = fs::read(server.root().join("big")).unwrap();
    assert_eq!((kept.len(), kept.ends_with(b"xend")), (102_403, true));
    assert_eq!(files(&server.root().join(".kiln/uploads")), 0);
    let told = server.ask("POST", &whole, &[], list([&etag_1, &etag_2]).as_bytes()).await;
    assert!(told.body.contains("NoSuchUpload"), "{}", told.body);
}

#[tokio::test]
async fn pages_of_a_list_meet_without_gap_or_overlap() {
    let server = server().await;
    for key in ["a", "b/1", "b/2", "b-", "b0", "c/d/e"] {
        let file = server.root().join(key);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, b"x").unwrap();
    }
    for (query, wanted) in [
        ("", "a b- b/1 b/2 b0 c/d/e"),
        ("delimiter=%2F", "a b- b/ b0 c/"),
        ("delimiter=%2F&prefix=b", "b- b/ b0"),
        ("delimiter=%2F&prefix=b%2F", "b/1 b/2"),
        ("prefix=c%2Fd", "c/d/e"),
        ("prefix=x", ""),
    ] {
        for max in [1, 2, 100] {
            let (mut found, mut marker) = (Vec::new(), String::new());
            loop {
                let path = format!("/images?max-keys={max}&marker={marker}&{query}");
                let told = server.ask("GET", &path, &[], b"").await;
                let texts = |open: &str| {
                    let cut = |text: &str| text.split('<').next().unwrap().to_owned();
                    told.body.split(open).skip(1).map(cut).collect::<Vec<_>>()
                };
                found.extend(texts("<Key>"));
                found.extend(texts("<CommonPrefixes><Prefix>"));
                match texts("<NextMarker>").pop() {
                    Some(next) => marker = next.replace('/', "%2F"),
                    None => break,
                }
            }
            found.sort();
            assert_eq!(found.join(" "), wanted, "{query} by {max}");
        }
    }
}
