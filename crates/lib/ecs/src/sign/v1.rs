//! Version 1: HMAC-SHA1 over the sorted parameters, sent as the parameter `Signature`.

use super::{AuthError, Request, canonical, enc};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use sha1::Sha1;

/// What is signed: the method, the path and every parameter but `Signature`.
pub fn string_to_sign(request: &Request<'_>) -> String {
    let canonical = canonical(request.query.iter().filter(|(name, _)| name != "Signature"));
    format!("{}&{}&{}", request.method, enc(request.path), enc(&canonical))
}

/// The signature of a request, in base64.
pub fn sign(request: &Request<'_>, secret: &str) -> String {
    STANDARD.encode(mac(&string_to_sign(request), secret).finalize().into_bytes())
}

/// Hold a request to its `Signature` parameter, in constant time.
///
/// # Errors
///
/// `Missing` without a signature, `Incomplete` with more than one, `Method` where
/// `SignatureMethod` is not `HMAC-SHA1`, `MismatchV1` where the signature is not the one expected.
pub fn verify(request: &Request<'_>, secret: &str) -> Result<(), AuthError> {
    let values = |name: &'static str| {
        request.query.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    };
    let method = values("SignatureMethod").next_back();
    let method = method.ok_or(AuthError::Missing { name: "SignatureMethod" })?;
    if method != "HMAC-SHA1" {
        return Err(AuthError::Method);
    }
    let mut signatures = values("Signature");
    let given = signatures.next().ok_or(AuthError::Missing { name: "Signature" })?;
    if signatures.next().is_some() {
        return Err(AuthError::Incomplete);
    }
    let string_to_sign = string_to_sign(request);
    let given = STANDARD.decode(given).unwrap_or_default();
    match mac(&string_to_sign, secret).verify_slice(&given) {
        Ok(()) => Ok(()),
        Err(_) => Err(AuthError::MismatchV1 { string_to_sign }),
    }
}

fn mac(text: &str, secret: &str) -> Hmac<Sha1> {
    let key = format!("{secret}&");
    let mac = Hmac::<Sha1>::new_from_slice(key.as_bytes());
    mac.expect("HMAC takes a key of any length").chain_update(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "testsecret";

    fn pairs() -> Vec<(String, String)> {
        [
            ("Timestamp", "2016-02-23T12:46:24Z"),
            ("Format", "XML"),
            ("AccessKeyId", "testid"),
            ("Action", "DescribeRegions"),
            ("SignatureMethod", "HMAC-SHA1"),
            ("SignatureNonce", "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf"),
            ("Version", "2014-05-26"),
            ("SignatureVersion", "1.0"),
            ("Signature", "OLeaidS1JvxuMvnyHOwuJ+uX5qY="),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into()
    }

    fn request<'a>(method: &'a str, path: &'a str, query: &'a [(String, String)]) -> Request<'a> {
        Request { method, path, query, headers: &[], body_sha256: "" }
    }

    #[test]
    fn the_published_example_is_signed_and_verified() {
        let pairs = pairs();
        assert_eq!(sign(&request("GET", "/", &pairs), SECRET), "OLeaidS1JvxuMvnyHOwuJ+uX5qY=");
        assert_eq!(verify(&request("GET", "/", &pairs), SECRET), Ok(()));
    }

    /// Each byte of each name and value is changed in turn, then method, path and secret.
    #[test]
    fn each_changed_byte_is_refused() {
        let sound = pairs();
        for (at, (name, value)) in sound.iter().enumerate() {
            for byte in 0..name.len() + value.len() {
                let mut both = format!("{name}{value}").into_bytes();
                both[byte] ^= 1;
                let both = String::from_utf8(both).unwrap();
                let mut changed = sound.clone();
                changed[at] = (both[..name.len()].to_owned(), both[name.len()..].to_owned());
                let verdict = verify(&request("GET", "/", &changed), SECRET);
                assert!(verdict.is_err(), "{:?}", changed[at]);
            }
        }
        for (method, path, secret) in
            [("POST", "/", SECRET), ("GET", "/a", SECRET), ("GET", "/", "testsecreu")]
        {
            let verdict = verify(&request(method, path, &sound), secret);
            assert!(matches!(verdict, Err(AuthError::MismatchV1 { .. })), "{method} {path}");
        }
    }

    #[test]
    fn an_added_or_repeated_parameter_is_refused() {
        for (name, value, expected) in [
            ("Action", "DescribeRegions", None),
            ("New", "", None),
            ("Signature", "x", Some(AuthError::Incomplete)),
            ("SignatureMethod", "HMAC-SHA256", Some(AuthError::Method)),
        ] {
            let mut more = pairs();
            more.push((name.to_owned(), value.to_owned()));
            let error = verify(&request("GET", "/", &more), SECRET).unwrap_err();
            match expected {
                Some(expected) => assert_eq!(error, expected, "{name}"),
                None => assert!(matches!(error, AuthError::MismatchV1 { .. }), "{name}"),
            }
        }
    }
}
