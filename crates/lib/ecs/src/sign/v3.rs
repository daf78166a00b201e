//! Version 3: ACS3-HMAC-SHA256 over method, path, query, some headers and the body's hash, sent
//! as the header `Authorization`.

use super::{AuthError, Request, canonical, unhex};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use std::fmt;

/// The one algorithm kiln knows of this scheme.
pub const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// The hash of an empty body.
pub const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The headers that must be signed, and the parameter a client is told of where one is absent.
const REQUIRED: [(&str, Option<&str>); 6] = [
    ("host", None),
    ("x-acs-action", Some("Action")),
    ("x-acs-content-sha256", None),
    ("x-acs-date", Some("Timestamp")),
    ("x-acs-signature-nonce", Some("SignatureNonce")),
    ("x-acs-version", Some("Version")),
];

/// Longest `Authorization` header that is looked at, in bytes, and most headers it may name.
const MAX_LEN: usize = 8192;
const MAX_HEADERS: usize = 64;

/// An `Authorization` header of this scheme, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// The access key's id.
    pub credential: String,
    /// Names of the signed headers, lower case, in the order they are signed in.
    pub signed_headers: Vec<String>,
    /// The signature in lower-case hex.
    pub signature: String,
}

impl Authorization {
    /// Take `ACS3-HMAC-SHA256 Credential=…,SignedHeaders=…,Signature=…` apart.
    ///
    /// # Errors
    ///
    /// `Method` for another algorithm of the family, `Incomplete` for anything malformed: a part
    /// missing, empty, unknown or given twice, a header named twice or not in lower case.
    pub fn parse(header: &str) -> Result<Self, AuthError> {
        let (algorithm, rest) = header.trim().split_once(' ').ok_or(AuthError::Incomplete)?;
        if algorithm != ALGORITHM {
            let family = algorithm.starts_with("ACS3-");
            return Err(if family { AuthError::Method } else { AuthError::Incomplete });
        }
        if header.len() > MAX_LEN {
            return Err(AuthError::Incomplete);
        }
        let (mut credential, mut signed, mut signature) = (None, None, None);
        for part in rest.split(',') {
            let (name, value) = part.trim().split_once('=').ok_or(AuthError::Incomplete)?;
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed,
                "Signature" => &mut signature,
                _ => return Err(AuthError::Incomplete),
            };
            if value.is_empty() || slot.replace(value.to_owned()).is_some() {
                return Err(AuthError::Incomplete);
            }
        }
        let (Some(credential), Some(signed), Some(signature)) = (credential, signed, signature)
        else {
            return Err(AuthError::Incomplete);
        };
        Ok(Self { credential, signed_headers: header_names(&signed)?, signature })
    }
}

impl fmt::Display for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { credential, signed_headers, signature } = self;
        let signed = signed_headers.join(";");
        write!(
            f,
            "{ALGORITHM} Credential={credential},SignedHeaders={signed},Signature={signature}"
        )
    }
}

/// The names of a `SignedHeaders` list.
fn header_names(list: &str) -> Result<Vec<String>, AuthError> {
    let names: Vec<String> = list.split(';').take(MAX_HEADERS + 1).map(str::to_owned).collect();
    let sound = |name: &String| {
        !name.is_empty()
            && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'))
    };
    let mut sorted: Vec<_> = names.iter().collect();
    sorted.sort();
    let twice = sorted.windows(2).any(|pair| pair[0] == pair[1]);
    if names.len() > MAX_HEADERS || twice || !names.iter().all(sound) {
        return Err(AuthError::Incomplete);
    }
    Ok(names)
}

/// The canonical request, whose hash is signed.
///
/// # Errors
///
/// `Missing` or `Incomplete` where a required header is not in `signed_headers`, or a listed one
/// is absent, there twice, or holds a line break (which could pose as another header).
pub fn canonical_request(
    request: &Request<'_>,
    signed_headers: &[String],
) -> Result<String, AuthError> {
    for (name, parameter) in REQUIRED {
        if request.header(name).is_none_or(str::is_empty) {
            return Err(parameter.map_or(AuthError::Incomplete, |name| AuthError::Missing { name }));
        }
        if !signed_headers.iter().any(|signed| signed == name) {
            return Err(AuthError::Incomplete);
        }
    }
    let mut headers = String::new();
    for name in signed_headers {
        let value = request.header(name).ok_or(AuthError::Incomplete)?;
        if value.contains(['\n', '\r']) {
            return Err(AuthError::Incomplete);
        }
        headers.push_str(&format!("{name}:{value}\n"));
    }
    let (method, path) = (request.method, request.path);
    let query = canonical(request.query.iter());
    let hash = request.header("x-acs-content-sha256").unwrap_or_default();
    Ok(format!("{method}\n{path}\n{query}\n{headers}\n{}\n{hash}", signed_headers.join(";")))
}

/// The string to sign of a canonical request.
pub fn string_to_sign(canonical_request: &str) -> String {
    format!("{ALGORITHM}\n{:x}", Sha256::digest(canonical_request))
}

/// Sign a request with the key `credential`; the result's text is the `Authorization` header.
///
/// # Errors
///
/// As [`canonical_request`]: what could not be verified is not signed either.
pub fn sign(
    request: &Request<'_>,
    credential: &str,
    secret: &str,
    signed_headers: &[String],
) -> Result<Authorization, AuthError> {
    let canonical_request = canonical_request(request, signed_headers)?;
    let signature = mac(&string_to_sign(&canonical_request), secret).finalize().into_bytes();
    Ok(Authorization {
        credential: credential.to_owned(),
        signed_headers: signed_headers.to_vec(),
        signature: format!("{signature:x}"),
    })
}

/// Hold a request and its body's hash to an `Authorization` header, in constant time.
///
/// # Errors
///
/// As [`canonical_request`], and `MismatchV3` where the signature or the body is not the one
/// expected.
pub fn verify(
    request: &Request<'_>,
    authorization: &Authorization,
    secret: &str,
) -> Result<(), AuthError> {
    let canonical_request = canonical_request(request, &authorization.signed_headers)?;
    let string_to_sign = string_to_sign(&canonical_request);
    let given = unhex(&authorization.signature).unwrap_or_default();
    let signed = mac(&string_to_sign, secret).verify_slice(&given).is_ok();
    let body = request.header("x-acs-content-sha256") == Some(request.body_sha256);
    if signed && body {
        return Ok(());
    }
    Err(AuthError::MismatchV3 { string_to_sign, canonical_request })
}

fn mac(text: &str, secret: &str) -> Hmac<Sha256> {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes());
    mac.expect("HMAC takes a key of any length").chain_update(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "YourAccessKeySecret";
    const HEADER: &str = "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders=host;\
        x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,Signature=\
        06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0";

    type Pairs = Vec<(String, String)>;

    fn sound() -> (Pairs, Pairs) {
        let owned = |(k, v): (&str, &str)| (k.to_owned(), v.to_owned());
        let query = [
            ("RegionId", "cn-shanghai"),
            ("ImageId", "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"),
        ];
        let headers = [
            ("host", "ecs.cn-shanghai.aliyuncs.com"),
            ("x-acs-action", "RunInstances"),
            ("x-acs-content-sha256", EMPTY_SHA256),
            ("x-acs-date", "2023-10-26T10:22:32Z"),
            ("x-acs-signature-nonce", "3156853299f313e23d1673dc12e1703d"),
            ("x-acs-version", "2014-05-26"),
        ];
        (query.map(owned).into(), headers.map(owned).into())
    }

    fn check(query: &Pairs, headers: &Pairs, header: &str) -> Result<(), AuthError> {
        let request =
            Request { method: "POST", path: "/", query, headers, body_sha256: EMPTY_SHA256 };
        verify(&request, &Authorization::parse(header)?, SECRET)
    }

    #[test]
    fn the_published_example_is_signed_and_verified() {
        let (query, headers) = sound();
        let request = Request {
            method: "POST",
            path: "/",
            query: &query,
            headers: &headers,
            body_sha256: EMPTY_SHA256,
        };
        let names: Vec<_> = headers.iter().map(|(name, _)| name.clone()).collect();
        let canonical = canonical_request(&request, &names).unwrap();
        assert_eq!(
            string_to_sign(&canonical),
            "ACS3-HMAC-SHA256\n7ea06492da5221eba5297e897ce16e55f964061054b7695beedaac1145b1e259"
        );
        let signed = sign(&request, "YourAccessKeyId", SECRET, &names).unwrap();
        assert_eq!(signed.to_string(), HEADER);
        assert_eq!(check(&query, &headers, HEADER), Ok(()));
        for changed in [
            Request { method: "GET", ..request },
            Request { path: "/a", ..request },
            Request { body_sha256: "00", ..request },
        ] {
            let verdict = verify(&changed, &signed, SECRET);
            assert!(matches!(verdict, Err(AuthError::MismatchV3 { .. })), "{changed:?}");
        }
        assert!(verify(&request, &signed, "YourAccessKeySecreT").is_err());
    }

    /// Each byte of the query, of the headers and of the signature is changed in turn.
    #[test]
    fn each_changed_byte_is_refused() {
        let flip = |(name, value): &(String, String), byte: usize| {
            let mut both = format!("{name}{value}").into_bytes();
            both[byte] ^= 1;
            let both = String::from_utf8(both).unwrap();
            (both[..name.len()].to_owned(), both[name.len()..].to_owned())
        };
        let (query, headers) = sound();
        for (at, pair) in query.iter().enumerate() {
            for byte in 0..pair.0.len() + pair.1.len() {
                let mut changed = query.clone();
                changed[at] = flip(pair, byte);
                assert!(check(&changed, &headers, HEADER).is_err(), "{:?}", changed[at]);
            }
        }
        for (at, pair) in headers.iter().enumerate() {
            for byte in 0..pair.0.len() + pair.1.len() {
                let mut changed = headers.clone();
                changed[at] = flip(pair, byte);
                assert!(check(&query, &changed, HEADER).is_err(), "{:?}", changed[at]);
            }
        }
        let credential = "ACS3-HMAC-SHA256 Credential=".len()
            .."ACS3-HMAC-SHA256 Credential=YourAccessKeyId".len();
        for byte in (0..HEADER.len()).filter(|byte| !credential.contains(byte)) {
            let mut changed = HEADER.as_bytes().to_vec();
            changed[byte] ^= 1;
            let changed = String::from_utf8(changed).unwrap();
            assert!(check(&query, &headers, &changed).is_err(), "{changed}");
        }
    }

    #[test]
    fn malformed_headers_are_told_apart_from_other_algorithms() {
        for (header, expected) in [
            ("", AuthError::Incomplete),
            ("Basic abc", AuthError::Incomplete),
            ("ACS3-HMAC-SM3 Credential=a,SignedHeaders=host,Signature=00", AuthError::Method),
            ("ACS3-HMAC-SHA256 Credential=a,SignedHeaders=host", AuthError::Incomplete),
            ("ACS3-HMAC-SHA256 Credential=,SignedHeaders=host,Signature=0", AuthError::Incomplete),
            (
                "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=host;host,Signature=0",
                AuthError::Incomplete,
            ),
            ("ACS3-HMAC-SHA256 Credential=a,SignedHeaders=Host,Signature=0", AuthError::Incomplete),
            (
                "ACS3-HMAC-SHA256 Credential=a,Credential=b,SignedHeaders=host,Signature=0",
                AuthError::Incomplete,
            ),
        ] {
            assert_eq!(Authorization::parse(header), Err(expected), "{header}");
        }
        let many: Vec<_> = (0..=MAX_HEADERS).map(|n| format!("h{n}")).collect();
        let header =
            format!("{ALGORITHM} Credential=a,SignedHeaders={},Signature=0", many.join(";"));
        assert_eq!(Authorization::parse(&header), Err(AuthError::Incomplete));
    }

    #[test]
    fn an_absent_unsigned_or_repeated_header_is_refused() {
        let (query, sound) = sound();
        let mut headers = sound.clone();
        headers.retain(|(name, _)| name != "x-acs-date");
        assert_eq!(check(&query, &headers, HEADER), Err(AuthError::Missing { name: "Timestamp" }));
        let mut headers = sound.clone();
        headers.push(("x-acs-action".to_owned(), "DeleteImage".to_owned()));
        assert_eq!(check(&query, &headers, HEADER), Err(AuthError::Missing { name: "Action" }));
        let unsigned = HEADER.replace("x-acs-action;", "");
        assert_eq!(check(&query, &sound, &unsigned), Err(AuthError::Incomplete));
    }
}
