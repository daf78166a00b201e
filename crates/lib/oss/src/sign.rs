//! Signatures: who asks, and whether they hold the secret.
//!
//! A request comes signed in one of four forms: version 1 (HMAC-SHA1) or version 4 (HMAC-SHA256),
//! each in the `Authorization` header or in the query of a URL that somebody else was given.
//! [`Presented::parse`] tells which form and whose access key, the caller looks its secret up, and
//! [`Presented::verify`] judges. Version 2 is refused by name: no client uses it unless told to.

mod v1;
mod v4;
#[cfg(test)]
mod vectors;

pub(crate) use v4::QUERY;

use jiff::Timestamp;
use subtle::ConstantTimeEq;

use crate::documents::Code;

pub use v1::{SUB_RESOURCES, sign as sign_v1, sign_url as sign_v1_url};
pub use v4::{sign as sign_v4, sign_url as sign_v4_url};

/// How far a client's clock may be from kiln's, in seconds, to either side.
pub const CLOCK_SKEW_S: i64 = 15 * 60;

/// Most bytes of an `Authorization` header; a real one has some 200.
pub const MAX_AUTHORIZATION_BYTES: usize = 4096;

/// The parts of an HTTP request that a signature covers, decoded once.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method, upper case.
    pub method: &'a str,
    /// The bucket; `None` for a request to the service, such as the list of buckets.
    pub bucket: Option<&'a str>,
    /// The object's key, decoded; `None` for a request to a bucket.
    pub key: Option<&'a str>,
    /// The query's pairs, decoded; a parameter without `=` has an empty value.
    pub query: &'a [(String, String)],
    /// The headers, their names in lower case.
    pub headers: &'a [(String, String)],
}

impl Request<'_> {
    /// A header's value, blanks around it cut; the first one where it is repeated.
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim())
    }

    /// A query parameter's value; the first one where it is repeated.
    fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The headers whose names are `wanted`, sorted, a line each, as both versions sign them.
    fn header_lines(&self, wanted: impl Fn(&str) -> bool) -> String {
        let mut headers: Vec<_> = self.headers.iter().filter(|(name, _)| wanted(name)).collect();
        headers.sort_by_key(|(name, _)| name);
        headers.iter().flat_map(|(name, value)| [name, ":", value.trim(), "\n"]).collect()
    }

    /// A query parameter that a signed URL cannot do without.
    fn needed(&self, name: &'static str) -> Result<&str, SignError> {
        self.parameter(name).filter(|value| !value.is_empty()).ok_or(SignError::Missing { name })
    }
}

/// Why a request was not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The header is none of the forms kiln knows.
    #[error("the Authorization header is malformed: {why}")]
    Authorization {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The header and the query both carry a signature.
    #[error("the request is signed in its Authorization header and in its query: use one of them")]
    Twice,
    /// A part of a signature that the others are useless without.
    #[error("the request is signed, but `{name}` is missing")]
    Missing {
        /// The header's or the parameter's name.
        name: &'static str,
    },
    /// A time or a number that is none.
    #[error("`{name}` is malformed: it must be {expected}")]
    Malformed {
        /// The header's or the parameter's name.
        name: &'static str,
        /// What would have been accepted.
        expected: &'static str,
    },
    /// A version of the signature that kiln does not check.
    #[error("signatures of version {version} are not supported: sign with version 1 or 4")]
    Version {
        /// The version, as the client names it.
        version: &'static str,
    },
    /// The client's clock is wrong, or the request was kept for later.
    #[error("the difference between the request time and the current time is too large")]
    Skewed,
    /// A signed URL past its time.
    #[error("the request has expired")]
    Expired,
    /// The secret is another one, or the request is not the one that was signed.
    #[error("the signature does not match: check the secret and the signing method")]
    Mismatch {
        /// What kiln signed. OSS shows it too: a client's author can only compare the two.
        string_to_sign: String,
    },
}

impl SignError {
    /// The error code that OSS answers with.
    pub fn code(&self) -> Code {
        match self {
            Self::Authorization { .. }
            | Self::Twice
            | Self::Malformed { .. }
            | Self::Version { .. } => Code::InvalidArgument,
            Self::Missing { .. } | Self::Expired => Code::AccessDenied,
            Self::Skewed => Code::RequestTimeTooSkewed,
            Self::Mismatch { .. } => Code::SignatureDoesNotMatch,
        }
    }
}

/// What a signed request claims. Nothing of it is true before [`Presented::verify`] says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    access_key_id: String,
    signature: String,
    form: Form,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    V1Header,
    V1Url { expires_s: i64 },
    V4Header(v4::Scope),
    V4Url { scope: v4::Scope, date: String, expires_s: i64 },
}

impl Presented {
    /// Find the signature of `request`; `None` is a request that nobody signed.
    ///
    /// # Errors
    ///
    /// A signature that is there but malformed, incomplete, or there twice.
    pub fn parse(request: &Request<'_>) -> Result<Option<Self>, SignError> {
        let v4_url = request.parameter("x-oss-signature-version");
        let v1_url = request.parameter("Signature").is_some()
            || request.parameter("OSSAccessKeyId").is_some();
        let Some(authorization) = request.header("authorization") else {
            return match v4_url {
                Some(v4::ALGORITHM) => v4::parse_url(request).map(Some),
                Some("OSS2") => Err(SignError::Version { version: "2" }),
                Some(_) => Err(SignError::Malformed {
                    name: "x-oss-signature-version",
                    expected: "OSS4-HMAC-SHA256",
                }),
                None if v1_url => v1::parse_url(request).map(Some),
                None => Ok(None),
            };
        };
        if v4_url.is_some() || v1_url {
            return Err(SignError::Twice);
        }
        if authorization.len() > MAX_AUTHORIZATION_BYTES {
            return Err(SignError::Authorization { why: "it is longer than 4096 bytes" });
        }
        match authorization.split_once(' ') {
            Some(("OSS", rest)) => v1::parse_header(rest).map(Some),
            Some((v4::ALGORITHM, rest)) => v4::parse_header(rest).map(Some),
            Some(("OSS2", _)) => Err(SignError::Version { version: "2" }),
            _ => Err(SignError::Authorization {
                why: "it starts with neither `OSS ` nor `OSS4-HMAC-SHA256 `",
            }),
        }
    }

    /// The access key that the request claims to be signed with.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The region that the signature is for; version 1 names none.
    pub fn region(&self) -> Option<&str> {
        match &self.form {
            Form::V1Header | Form::V1Url { .. } => None,
            Form::V4Header(scope) | Form::V4Url { scope, .. } => Some(scope.region()),
        }
    }

    /// Check that `request`, which this was parsed from, was signed with `secret` and not too long
    /// before or after `now`.
    ///
    /// The time is judged first, as OSS does: a right signature does not outlive it.
    ///
    /// # Errors
    ///
    /// A missing or malformed date, a time out of bounds, or a signature that does not match.
    pub fn verify(
        &self,
        request: &Request<'_>,
        secret: &str,
        now: Timestamp,
    ) -> Result<(), SignError> {
        let now_s = now.as_second();
        let (string_to_sign, signature) = match &self.form {
            Form::V1Header => {
                let (date, at_s) = v1::date(request)?;
                within_skew(at_s, now_s)?;
                v1::signed(request, date, secret)
            }
            Form::V1Url { expires_s } => {
                if now_s > *expires_s {
                    return Err(SignError::Expired);
                }
                v1::signed(request, &expires_s.to_string(), secret)
            }
            Form::V4Header(scope) => {
                let (date, at_s) = v4::date(request.header("x-oss-date"), scope)?;
                within_skew(at_s, now_s)?;
                v4::payload(request)?;
                v4::signed(request, date, scope, secret)
            }
            Form::V4Url { scope, date, expires_s } => {
                let (date, at_s) = v4::date(Some(date), scope)?;
                // A URL is made to be kept; only one from the future tells of a wrong clock.
                if at_s > now_s.saturating_add(CLOCK_SKEW_S) {
                    return Err(SignError::Skewed);
                }
                if now_s > at_s.saturating_add(*expires_s) {
                    return Err(SignError::Expired);
                }
                v4::signed(request, date, scope, secret)
            }
        };
        if bool::from(signature.as_bytes().ct_eq(self.signature.as_bytes())) {
            Ok(())
        } else {
            Err(SignError::Mismatch { string_to_sign })
        }
    }
}

/// Parameters as both versions sign them; one without a value has no `=`.
fn joined<'a>(pairs: impl Iterator<Item = &'a (String, String)>) -> String {
    let text = |(name, value): &(String, String)| match value.as_str() {
        "" => name.clone(),
        value => format!("{name}={value}"),
    };
    pairs.map(text).collect::<Vec<_>>().join("&")
}

fn within_skew(at_s: i64, now_s: i64) -> Result<(), SignError> {
    if at_s.abs_diff(now_s) > CLOCK_SKEW_S.unsigned_abs() {
        return Err(SignError::Skewed);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
