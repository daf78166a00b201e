//! Signatures of requests: [`v1`] (HMAC-SHA1, in a parameter) and [`v3`] (ACS3-HMAC-SHA256, in a
//! header), and every way in which one is refused.
//!
//! Both schemes sign the decoded request written in a canonical form, never the bytes of the wire:
//! SDKs send spaces as `+` and parameters in any order, and sign `%20` and sorted names.

mod error;
pub mod v1;
pub mod v3;

pub use error::AuthError;

use crate::params::encode;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// How far a request's clock may be from the server's, either way.
pub const MAX_CLOCK_DIFFERENCE: SignedDuration = SignedDuration::from_mins(15);

/// Everything but `A-Z a-z 0-9 - _ . ~`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What a signature is made over: a request, decoded.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The HTTP method in upper case.
    pub method: &'a str,
    /// The path, always `/` in this API. Part of what is signed.
    pub path: &'a str,
    /// Names and values, decoded once. For [`v1`] the form body's pairs follow the query's; for
    /// [`v3`] only the query's are here, the body is signed by its hash.
    pub query: &'a [(String, String)],
    /// Header names in lower case and their values as received, `host` with its port.
    pub headers: &'a [(String, String)],
    /// SHA-256 of the body in lower-case hex, computed by whoever read the body.
    pub body_sha256: &'a str,
}

impl<'a> Request<'a> {
    /// The one value of a header, trimmed. `None` where it is absent or given more than once:
    /// of two values one would be signed and the other perhaps obeyed.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let mut values = self.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.trim());
        values.next().filter(|_| values.next().is_none())
    }
}

/// Which scheme a request is signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// HMAC-SHA1 in the `Signature` parameter.
    V1,
    /// ACS3-HMAC-SHA256 in the `Authorization` header.
    V3,
}

impl Scheme {
    /// The scheme of a request, by its `Authorization` header first and its parameters next.
    ///
    /// # Errors
    ///
    /// `MissingSignature` where it has neither.
    pub fn of(request: &Request<'_>) -> Result<Self, AuthError> {
        if request
            .headers
            .iter()
            .any(|(n, v)| n == "authorization" && v.trim().starts_with("ACS3-"))
        {
            Ok(Self::V3)
        } else if request.query.iter().any(|(n, _)| n == "Signature") {
            Ok(Self::V1)
        } else {
            Err(AuthError::Missing { name: "Signature" })
        }
    }
}

/// Percent-encode as both schemes do: UTF-8 bytes, upper-case hex, `A-Z a-z 0-9 - _ . ~` kept.
pub fn enc(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// `k=v` pairs, encoded, sorted by name and joined with `&`.
///
/// A name given twice is there twice and in the order received: the last one wins later on, so
/// leaving one out or sorting by value would let a stranger choose which.
fn canonical<'a>(pairs: impl Iterator<Item = &'a (String, String)>) -> String {
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
    encode(pairs)
}

/// Read `yyyy-MM-ddTHH:mm:ssZ`, the form of `Timestamp` and `x-acs-date`, and hold it to `now`.
///
/// # Errors
///
/// `TimeFormat` for any other form, `Expired` where it is more than [`MAX_CLOCK_DIFFERENCE`] away.
pub fn check_time(text: &str, now: Timestamp) -> Result<Timestamp, AuthError> {
    let shape = b"dddd-dd-ddTdd:dd:ddZ";
    let fits = text.len() == shape.len()
        && text
            .bytes()
            .zip(shape)
            .all(|(b, s)| if *s == b'd' { b.is_ascii_digit() } else { b == *s });
    let parsed = fits.then(|| text.parse::<Timestamp>().ok()).flatten();
    let time = parsed.ok_or(AuthError::TimeFormat)?;
    if time.duration_since(now).abs() > MAX_CLOCK_DIFFERENCE {
        return Err(AuthError::Expired);
    }
    Ok(time)
}

/// Bytes of lower-case hex; `None` for anything else.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unreserved_bytes_are_kept() {
        assert_eq!(enc("aZ09-_.~"), "aZ09-_.~");
        assert_eq!(enc(" */+%&=:é"), "%20%2A%2F%2B%25%26%3D%3A%C3%A9");
    }

    #[test]
    fn a_quarter_of_an_hour_either_way_is_allowed() {
        let now: Timestamp = "2023-10-26T10:22:32Z".parse().unwrap();
        for sound in ["2023-10-26T10:07:32Z", "2023-10-26T10:37:32Z"] {
            assert!(check_time(sound, now).is_ok(), "{sound}");
        }
        for late in ["2023-10-26T10:07:31Z", "2023-10-26T10:37:33Z", "9000-12-31T00:00:00Z"] {
            assert_eq!(check_time(late, now), Err(AuthError::Expired), "{late}");
        }
        for odd in [
            "",
            "2023-10-26 10:22:32Z",
            "2023-10-26T10:22:32",
            "2023-02-30T10:22:32Z",
            "2023-10-26T10:22Z",
            "2023-10-26T1٣:22:3Z",
        ] {
            assert_eq!(check_time(odd, now), Err(AuthError::TimeFormat), "{odd}");
        }
    }

    #[test]
    fn the_scheme_is_told_by_header_then_parameter() {
        let pair = |k: &str, v: &str| vec![(k.to_owned(), v.to_owned())];
        let (header, query) = (pair("authorization", "ACS3-HMAC-SHA256 x"), pair("Signature", "x"));
        let scheme = |query, headers| {
            Scheme::of(&Request { method: "GET", path: "/", query, headers, body_sha256: "" })
        };
        assert_eq!(scheme(&query, &header), Ok(Scheme::V3));
        assert_eq!(scheme(&query, &[]), Ok(Scheme::V1));
        assert_eq!(scheme(&[], &[]), Err(AuthError::Missing { name: "Signature" }));
    }

    #[test]
    fn hex_is_read_back_and_odd_text_is_refused() {
        assert_eq!(unhex("00af09"), Some(vec![0, 0xaf, 9]));
        for odd in ["a", "AF", "g0", "é"] {
            assert_eq!(unhex(odd), None, "{odd}");
        }
    }
}
