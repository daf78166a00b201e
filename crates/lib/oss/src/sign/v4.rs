//! Version 4: HMAC-SHA256 over the whole query, with a key that holds for one day and one region.

use hmac::{Hmac, Mac};
use jiff::civil::DateTime;
use jiff::tz::Offset;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::digest::Output;
use sha2::{Digest, Sha256};

use super::{Form, Presented, Request, SignError, joined};

/// The name of the version, in the header, the query and the string to sign.
pub(super) const ALGORITHM: &str = "OSS4-HMAC-SHA256";

/// The only payload mark of the version: it does not cover the body.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// Most names in `AdditionalHeaders`.
const MAX_ADDITIONAL: usize = 64;

/// Longest life of a signed URL, in seconds: seven days.
const MAX_EXPIRES_S: i64 = 7 * 24 * 60 * 60;

pub(crate) const QUERY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'_').remove(b'-').remove(b'~').remove(b'.');
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// What a signing key is good for, and which headers beyond the usual ones are signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    day: String,
    region: String,
    /// Sorted; lower case.
    additional: Vec<String>,
}

impl Scope {
    pub(super) fn region(&self) -> &str {
        &self.region
    }

    fn text(&self) -> String {
        format!("{}/{}/oss/aliyun_v4_request", self.day, self.region)
    }
}

/// The value of an `Authorization` header that signs `request` for `region`. Its headers
/// `x-oss-date` and `x-oss-content-sha256` must be set; `additional` names further headers to
/// sign, in lower case.
///
/// # Errors
///
/// Without a well-formed `x-oss-date` there is nothing to sign.
pub fn sign(
    request: &Request<'_>,
    access_key_id: &str,
    secret: &str,
    region: &str,
    additional: &[&str],
) -> Result<String, SignError> {
    let scope = scope_of(request.header("x-oss-date"), region, additional)?;
    let (date, _) = date(request.header("x-oss-date"), &scope)?;
    let (_, signature) = signed(request, date, &scope, secret);
    let mut text =
        format!("{ALGORITHM} Credential={access_key_id}/{}, Signature={signature}", scope.text());
    if !scope.additional.is_empty() {
        text.extend([", AdditionalHeaders=", &scope.additional.join(";")]);
    }
    Ok(text)
}

/// The `x-oss-signature` of a URL for `region`, the other parameters of which are set.
///
/// # Errors
///
/// Without a well-formed `x-oss-date` parameter there is nothing to sign.
pub fn sign_url(request: &Request<'_>, secret: &str, region: &str) -> Result<String, SignError> {
    let additional: Vec<_> = request
        .parameter("x-oss-additional-headers")
        .map(|names| names.split(';').collect())
        .unwrap_or_default();
    let scope = scope_of(request.parameter("x-oss-date"), region, &additional)?;
    let (date, _) = date(request.parameter("x-oss-date"), &scope)?;
    Ok(signed(request, date, &scope, secret).1)
}

fn scope_of(date: Option<&str>, region: &str, additional: &[&str]) -> Result<Scope, SignError> {
    let day =
        date.and_then(|text| text.get(..8)).ok_or(SignError::Missing { name: "x-oss-date" })?;
    let mut additional: Vec<_> = additional.iter().map(|&name| name.to_owned()).collect();
    additional.sort();
    Ok(Scope { day: day.into(), region: region.into(), additional })
}

pub(super) fn parse_header(rest: &str) -> Result<Presented, SignError> {
    let (mut credential, mut signature, mut additional) = (None, None, None);
    for part in rest.split(',') {
        let field = match part.trim().split_once('=') {
            Some(("Credential", value)) => credential.replace(value),
            Some(("Signature", value)) => signature.replace(value),
            Some(("AdditionalHeaders", value)) => additional.replace(value),
            _ => {
                let why = "its parts are Credential=, Signature= and AdditionalHeaders=";
                return Err(SignError::Authorization { why });
            }
        };
        if field.is_some() {
            return Err(SignError::Authorization { why: "one of its parts is there twice" });
        }
    }
    let credential = credential.ok_or(SignError::Missing { name: "Credential" })?;
    let signature = signature.ok_or(SignError::Missing { name: "Signature" })?;
    let (access_key_id, scope) = parse_scope(credential, additional)?;
    Ok(Presented { access_key_id, signature: signature.into(), form: Form::V4Header(scope) })
}

pub(super) fn parse_url(request: &Request<'_>) -> Result<Presented, SignError> {
    let expires_s = request
        .needed("x-oss-expires")?
        .parse()
        .ok()
        .filter(|seconds| (1..=MAX_EXPIRES_S).contains(seconds))
        .ok_or(SignError::Malformed { name: "x-oss-expires", expected: "1 to 604800 seconds" })?;
    let additional = request.parameter("x-oss-additional-headers");
    let (access_key_id, scope) = parse_scope(request.needed("x-oss-credential")?, additional)?;
    Ok(Presented {
        access_key_id,
        signature: request.needed("x-oss-signature")?.into(),
        form: Form::V4Url { scope, date: request.needed("x-oss-date")?.into(), expires_s },
    })
}

/// The access key and the scope of `<ak>/<yyyyMMdd>/<region>/oss/aliyun_v4_request`.
fn parse_scope(credential: &str, additional: Option<&str>) -> Result<(String, Scope), SignError> {
    let parts: Vec<_> = credential.splitn(6, '/').collect();
    let [id, day, region, "oss", "aliyun_v4_request"] = parts[..] else {
        return Err(SignError::Malformed {
            name: "Credential",
            expected: "<access key>/<yyyyMMdd>/<region>/oss/aliyun_v4_request",
        });
    };
    if id.is_empty() || region.is_empty() {
        return Err(SignError::Missing { name: "Credential" });
    }
    let mut names: Vec<_> = additional
        .unwrap_or_default()
        .split(';')
        .filter(|name| !name.is_empty())
        .take(MAX_ADDITIONAL + 1)
        .map(str::to_owned)
        .collect();
    if names.len() > MAX_ADDITIONAL {
        return Err(SignError::Malformed {
            name: "AdditionalHeaders",
            expected: "at most 64 names of headers",
        });
    }
    names.sort();
    Ok((id.into(), Scope { day: day.into(), region: region.into(), additional: names }))
}

/// The text of the date and the second it means. The scope's day must be that of the date, or a
/// leaked key of one day would sign requests of all others.
pub(super) fn date<'a>(text: Option<&'a str>, scope: &Scope) -> Result<(&'a str, i64), SignError> {
    let text = text.ok_or(SignError::Missing { name: "x-oss-date" })?;
    let malformed =
        SignError::Malformed { name: "x-oss-date", expected: "a time like `20260921T141320Z`" };
    let at = DateTime::strptime("%Y%m%dT%H%M%SZ", text)
        .ok()
        .filter(|_| text.len() == 16)
        .and_then(|at| Offset::UTC.to_timestamp(at).ok())
        .ok_or(malformed)?;
    if !text.starts_with(&scope.day) || scope.day.len() != 8 {
        return Err(SignError::Malformed {
            name: "Credential",
            expected: "of the same day as x-oss-date",
        });
    }
    Ok((text, at.as_second()))
}

/// A mark other than the usual would promise a check of the body, which nobody makes.
pub(super) fn payload(request: &Request<'_>) -> Result<(), SignError> {
    let name = "x-oss-content-sha256";
    match request.header(name) {
        Some(UNSIGNED) => Ok(()),
        Some(_) => Err(SignError::Malformed { name, expected: UNSIGNED }),
        None => Err(SignError::Missing { name }),
    }
}

/// The string to sign and its signature.
pub(super) fn signed(
    request: &Request<'_>,
    date: &str,
    scope: &Scope,
    secret: &str,
) -> (String, String) {
    let hash = Sha256::digest(canonical_request(request, &scope.additional));
    let text = format!("{ALGORITHM}\n{date}\n{}\n{hash:x}", scope.text());
    let key = [&scope.day, &scope.region, "oss", "aliyun_v4_request"]
        .into_iter()
        .fold(format!("aliyun_v4{secret}").into_bytes(), |key, part| hmac(&key, part).to_vec());
    let signature = format!("{:x}", hmac(&key, &text));
    (text, signature)
}

fn canonical_request(request: &Request<'_>, additional: &[String]) -> String {
    let mut text = format!("{}\n/", request.method);
    if let Some(bucket) = request.bucket {
        let key = request.key.unwrap_or_default();
        text.extend(utf8_percent_encode(bucket, PATH));
        text.push('/');
        text.extend(utf8_percent_encode(key, PATH));
    }
    text.push('\n');
    let encoded = |text: &str| utf8_percent_encode(text, QUERY).to_string();
    let mut query: Vec<_> = request
        .query
        .iter()
        .filter(|(name, _)| name != "x-oss-signature")
        .map(|(name, value)| (encoded(name), encoded(value)))
        .collect();
    query.sort();
    text.extend([&joined(query.iter()), "\n"]);
    let usual = ["content-type", "content-md5"];
    text.push_str(&request.header_lines(|name| {
        name.starts_with("x-oss-")
            || usual.contains(&name)
            || additional.iter().any(|also| also == name)
    }));
    let payload = request.header("x-oss-content-sha256").unwrap_or(UNSIGNED);
    text.extend(["\n", &additional.join(";"), "\n", payload]);
    text
}

fn hmac(key: &[u8], text: &str) -> Output<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes()
}
