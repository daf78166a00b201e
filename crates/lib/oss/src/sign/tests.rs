use jiff::Timestamp;

use super::vectors::{ACCESS_KEY_ID, NOW_S, SECRET, VECTORS, Vector};
use super::*;

type Pairs = Vec<(String, String)>;

fn owned(pairs: &[(&str, &str)]) -> Pairs {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A recorded request that a test may spoil.
#[derive(Clone)]
struct Owned {
    method: String,
    bucket: Option<String>,
    key: Option<String>,
    query: Pairs,
    headers: Pairs,
}

impl Owned {
    fn of(vector: &Vector) -> Self {
        Self {
            method: vector.method.into(),
            bucket: vector.bucket.map(Into::into),
            key: vector.key.map(Into::into),
            query: owned(vector.query),
            headers: owned(vector.headers),
        }
    }

    fn view(&self) -> Request<'_> {
        Request {
            method: &self.method,
            bucket: self.bucket.as_deref(),
            key: self.key.as_deref(),
            query: &self.query,
            headers: &self.headers,
        }
    }

    fn judged(&self, secret: &str, now_s: i64) -> Result<(), SignError> {
        let presented = Presented::parse(&self.view())?.expect("it is signed");
        assert_eq!(presented.access_key_id(), ACCESS_KEY_ID);
        presented.verify(&self.view(), secret, at(now_s))
    }
}

fn first(form: &str) -> Owned {
    let put = |vector: &&Vector| vector.form == form && vector.key == Some("a/b c.raw");
    Owned::of(VECTORS.iter().find(put).unwrap())
}

/// Every recorded request is let in, and not with another secret, key or method.
#[test]
fn what_the_official_client_signs_is_let_in() {
    assert_eq!(VECTORS.len(), 32);
    for vector in VECTORS {
        let sound = Owned::of(vector);
        let name = format!("{} {} {:?}", vector.form, vector.method, vector.key);
        assert_eq!(sound.judged(SECRET, NOW_S), Ok(()), "{name}");
        let mut patched = sound.clone();
        patched.method = "PATCH".into();
        let mut elsewhere = sound.clone();
        elsewhere.bucket = Some("other".into());
        for (request, secret) in [(&sound, "other"), (&patched, SECRET), (&elsewhere, SECRET)] {
            let error = request.judged(secret, NOW_S).unwrap_err();
            assert_eq!(error.code(), Code::SignatureDoesNotMatch, "{name}");
        }
    }
}

/// What kiln signs is what the client signs, byte by byte.
#[test]
fn kiln_signs_as_the_official_client_does() {
    for vector in VECTORS {
        let owned = Owned::of(vector);
        let request = owned.view();
        let authorization = || request.header("authorization").unwrap().to_owned();
        let additional: &[&str] =
            if vector.key == Some("x.raw") { &["range", "if-modified-since"] } else { &[] };
        let (made, recorded) = match vector.form {
            "header" => (sign_v1(&request, ACCESS_KEY_ID, SECRET).unwrap(), authorization()),
            "v4" => (
                sign_v4(&request, ACCESS_KEY_ID, SECRET, "cn-hangzhou", additional).unwrap(),
                authorization(),
            ),
            "url" => (
                sign_v1_url(&request, SECRET, NOW_S + 600),
                request.parameter("Signature").unwrap().into(),
            ),
            _ => (
                sign_v4_url(&request, SECRET, "cn-hangzhou").unwrap(),
                request.parameter("x-oss-signature").unwrap().into(),
            ),
        };
        // The client sorts the names in the header by their first letter only.
        let recorded = recorded.replace("range;if-modified-since", "if-modified-since;range");
        assert_eq!(made, recorded);
    }
}

/// The bounds of the clock, to the second, in all four forms.
#[test]
fn time_has_two_ends() {
    for (form, from, until, early, late) in [
        ("header", -900, 900, Some("RequestTimeTooSkewed"), "RequestTimeTooSkewed"),
        ("v4", -900, 900, Some("RequestTimeTooSkewed"), "RequestTimeTooSkewed"),
        ("url", -100_000, 600, None, "AccessDenied"),
        ("v4url", -900, 600, Some("RequestTimeTooSkewed"), "AccessDenied"),
    ] {
        let request = first(form);
        let code =
            |second| request.judged(SECRET, NOW_S + second).map_err(|error| error.code().as_str());
        assert_eq!((code(from), code(until)), (Ok(()), Ok(())), "{form}");
        assert_eq!(code(until + 1), Err(late), "{form}");
        if let Some(early) = early {
            assert_eq!(code(from - 1), Err(early), "{form}");
        }
    }
}

/// A signed header that is changed or added is noticed; so is a sub-resource.
#[test]
fn what_is_signed_cannot_be_changed() {
    for form in ["header", "url", "v4", "v4url"] {
        let refused = |request: &Owned| {
            matches!(request.judged(SECRET, NOW_S), Err(SignError::Mismatch { .. }))
        };
        let mut changed = first(form);
        changed.headers[2].1 = "other".into();
        assert!(refused(&changed), "{form}: x-oss-meta-owner");
        let mut added = first(form);
        added.query.push(("acl".into(), String::new()));
        assert!(refused(&added), "{form}: acl");
        // Outside of the list of version 1: not protected, and refused by version 4.
        let mut free = first(form);
        free.query.push(("prefix".into(), "x".into()));
        assert_eq!(refused(&free), form.starts_with("v4"), "{form}: prefix");
    }
}

#[test]
fn a_malformed_signature_says_what_is_wrong() {
    let parse = |headers: &[(&str, &str)], query: &[(&str, &str)]| {
        let (query, headers) = (owned(query), owned(headers));
        let request =
            Request { method: "GET", bucket: None, key: None, query: &query, headers: &headers };
        Presented::parse(&request)
    };
    assert_eq!(parse(&[], &[("prefix", "a")]), Ok(None));
    let long = format!("OSS a:{}", "b".repeat(MAX_AUTHORIZATION_BYTES));
    let names = format!(
        "OSS4-HMAC-SHA256 AdditionalHeaders={}, Credential=a/b/c/oss/aliyun_v4_request, Signature=0",
        "a;".repeat(65)
    );
    for (authorization, message) in [
        (
            "",
            "the Authorization header is malformed: it starts with neither `OSS ` nor `OSS4-HMAC-SHA256 `",
        ),
        (
            "Bearer x",
            "the Authorization header is malformed: it starts with neither `OSS ` nor `OSS4-HMAC-SHA256 `",
        ),
        (
            "OSS ak",
            "the Authorization header is malformed: after `OSS ` it must have an access key ID, a colon and a signature",
        ),
        (
            "OSS2 AccessKeyId:a,Signature:b",
            "signatures of version 2 are not supported: sign with version 1 or 4",
        ),
        ("OSS4-HMAC-SHA256 Credential=a", "the request is signed, but `Signature` is missing"),
        (
            "OSS4-HMAC-SHA256 Credential=a, Credential=b",
            "the Authorization header is malformed: one of its parts is there twice",
        ),
        (
            "OSS4-HMAC-SHA256 Credential=a/20260921/r/ecs/aliyun_v4_request, Signature=0",
            "`Credential` is malformed: it must be <access key>/<yyyyMMdd>/<region>/oss/aliyun_v4_request",
        ),
        (&names, "`AdditionalHeaders` is malformed: it must be at most 64 names of headers"),
        (&long, "the Authorization header is malformed: it is longer than 4096 bytes"),
    ] {
        let error = parse(&[("authorization", authorization)], &[]).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    let url = [("OSSAccessKeyId", "a"), ("Signature", "b"), ("Expires", "+5")];
    assert!(matches!(parse(&[], &url), Err(SignError::Malformed { name: "Expires", .. })));
    assert_eq!(parse(&[], &url[..2]), Err(SignError::Missing { name: "Expires" }));
    assert_eq!(parse(&[("authorization", "OSS a:b")], &url), Err(SignError::Twice));
}

/// A day's key must not sign another day, and a date must be one.
#[test]
fn dates_are_checked() {
    for (form, name) in [("header", "date"), ("v4", "x-oss-date")] {
        let sound = first(form);
        let place = sound.headers.iter().position(|(header, _)| header == name).unwrap();
        for text in ["", "yesterday", "20260922T141320Z", "99999999T999999Z"] {
            let mut request = sound.clone();
            request.headers[place].1 = text.into();
            let error = request.judged(SECRET, NOW_S).unwrap_err();
            assert!(matches!(error, SignError::Malformed { .. }), "{form} {text}: {error}");
        }
        let mut request = sound.clone();
        request.headers.remove(place);
        assert_eq!(request.judged(SECRET, NOW_S), Err(SignError::Missing { name }));
    }
}

/// Version 4 has one mark for the payload, and a request must bear it.
#[test]
fn the_payload_mark_is_checked() {
    let name = "x-oss-content-sha256";
    let sound = first("v4");
    let place = sound.headers.iter().position(|(header, _)| header == name).unwrap();
    let mut other = sound.clone();
    other.headers[place].1 = "e3b0c442".into();
    let expected = "UNSIGNED-PAYLOAD";
    assert_eq!(other.judged(SECRET, NOW_S), Err(SignError::Malformed { name, expected }));
    other.headers.remove(place);
    assert_eq!(other.judged(SECRET, NOW_S), Err(SignError::Missing { name }));
}

/// HTTP lets anybody on the way add blanks around a value; they are not signed.
#[test]
fn blanks_around_a_value_are_not_signed() {
    for form in ["header", "url", "v4", "v4url"] {
        let mut padded = first(form);
        for (_, value) in &mut padded.headers {
            *value = format!(" {value}\t");
        }
        assert_eq!(padded.judged(SECRET, NOW_S), Ok(()), "{form}");
    }
}

/// `x-oss-date` takes the place of `date` in version 1, and its clock is the one that counts.
#[test]
fn the_service_s_own_date_wins() {
    let mut request = first("header");
    request.headers.retain(|(name, _)| name != "authorization");
    let earlier = "Mon, 21 Sep 2026 13:13:20 GMT";
    request.headers.push(("x-oss-date".into(), earlier.into()));
    let authorization = sign_v1(&request.view(), ACCESS_KEY_ID, SECRET).unwrap();
    request.headers.push(("authorization".into(), authorization));
    assert_eq!(request.judged(SECRET, NOW_S), Err(SignError::Skewed));
    assert_eq!(request.judged(SECRET, NOW_S - 3600), Ok(()));
}

/// `binary_search` needs the order.
#[test]
fn the_list_of_sub_resources_is_sorted() {
    assert!(SUB_RESOURCES.is_sorted());
    assert_eq!(SUB_RESOURCES.len(), 86);
}
