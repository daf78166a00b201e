//! Version 1: HMAC-SHA1 over a text in which the query is cut down to a fixed list.
//!
//! A parameter outside of that list is not protected by the signature. That is the version's own
//! weakness and the reason for version 4; a server that signed more would refuse every client.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use jiff::fmt::rfc2822::DateTimeParser;
use sha1::Sha1;

use super::{Form, Presented, Request, SignError, joined};

/// The query parameters that take part in a signature of version 1, sorted.
///
/// # Source
///
/// The list of the official Python client, oss2 2.19, which is the longest of the official ones.
pub const SUB_RESOURCES: &[&str] = &[
    "accessPoint",
    "accessPointPolicy",
    "acl",
    "append",
    "asyncFetch",
    "bucketArchiveDirectRead",
    "bucketInfo",
    "callback",
    "callback-var",
    "cname",
    "comp",
    "continuation-token",
    "cors",
    "delete",
    "encryption",
    "endTime",
    "group",
    "httpsConfig",
    "inventory",
    "inventoryId",
    "lifecycle",
    "link",
    "live",
    "location",
    "logging",
    "metaQuery",
    "objectInfo",
    "objectMeta",
    "partNumber",
    "policy",
    "position",
    "publicAccessBlock",
    "qos",
    "qosInfo",
    "qosRequester",
    "redundancyTransition",
    "referer",
    "regionList",
    "replication",
    "replicationLocation",
    "replicationProgress",
    "requestPayment",
    "requesterQosInfo",
    "resourceGroup",
    "resourcePool",
    "resourcePoolBuckets",
    "resourcePoolInfo",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "security-token",
    "sequential",
    "startTime",
    "stat",
    "status",
    "style",
    "styleName",
    "symlink",
    "tagging",
    "transferAcceleration",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "vod",
    "website",
    "worm",
    "wormExtend",
    "wormId",
    "x-oss-ac-forward-allow",
    "x-oss-ac-source-ip",
    "x-oss-ac-subnet-mask",
    "x-oss-ac-vpc-id",
    "x-oss-access-point-name",
    "x-oss-async-process",
    "x-oss-process",
    "x-oss-redundancy-transition-taskid",
    "x-oss-request-payer",
    "x-oss-target-redundancy-type",
    "x-oss-traffic-limit",
    "x-oss-write-get-object-response",
];

/// The value of an `Authorization` header that signs `request`; its date header must be set.
///
/// # Errors
///
/// Without a well-formed `x-oss-date` or `date` header there is nothing to sign.
pub fn sign(request: &Request<'_>, access_key_id: &str, secret: &str) -> Result<String, SignError> {
    let (date, _) = date(request)?;
    let (_, signature) = signed(request, date, secret);
    Ok(format!("OSS {access_key_id}:{signature}"))
}

/// The `Signature` parameter of a URL that holds until `expires_s`, in seconds since 1970.
pub fn sign_url(request: &Request<'_>, secret: &str, expires_s: i64) -> String {
    signed(request, &expires_s.to_string(), secret).1
}

pub(super) fn parse_header(rest: &str) -> Result<Presented, SignError> {
    match rest.trim().split_once(':') {
        Some((id, signature)) if !id.is_empty() && !signature.is_empty() => Ok(Presented {
            access_key_id: id.into(),
            signature: signature.into(),
            form: Form::V1Header,
        }),
        _ => Err(SignError::Authorization {
            why: "after `OSS ` it must have an access key ID, a colon and a signature",
        }),
    }
}

pub(super) fn parse_url(request: &Request<'_>) -> Result<Presented, SignError> {
    let expires = request.needed("Expires")?;
    // Digits only: `+1` would be read as 1, and 1 is not what the client signed.
    let expires_s = Some(expires)
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0'))
        .and_then(|text| text.parse().ok())
        .ok_or(SignError::Malformed { name: "Expires", expected: "seconds since 1970" })?;
    Ok(Presented {
        access_key_id: request.needed("OSSAccessKeyId")?.into(),
        signature: request.needed("Signature")?.into(),
        form: Form::V1Url { expires_s },
    })
}

/// The text in the date's place and the second it means. `x-oss-date` exists for clients that
/// cannot set `date`, so it wins.
pub(super) fn date<'a>(request: &'a Request<'_>) -> Result<(&'a str, i64), SignError> {
    let (name, text) = match request.header("x-oss-date").filter(|text| !text.is_empty()) {
        Some(text) => ("x-oss-date", text),
        None => ("date", request.header("date").ok_or(SignError::Missing { name: "date" })?),
    };
    let at = DateTimeParser::new().parse_timestamp(text).map_err(|_| SignError::Malformed {
        name,
        expected: "a time like `Mon, 21 Sep 2026 14:13:20 GMT`",
    })?;
    Ok((text, at.as_second()))
}

/// The string to sign and its signature.
pub(super) fn signed(request: &Request<'_>, date: &str, secret: &str) -> (String, String) {
    let text = string_to_sign(request, date);
    let mut mac =
        Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    (text, signature)
}

fn string_to_sign(request: &Request<'_>, date: &str) -> String {
    let mut text = format!(
        "{}\n{}\n{}\n{date}\n",
        request.method,
        request.header("content-md5").unwrap_or_default(),
        request.header("content-type").unwrap_or_default(),
    );
    text.push_str(&request.header_lines(|name| name.starts_with("x-oss-")));
    text.push('/');
    if let Some(bucket) = request.bucket {
        text.extend([bucket, "/", request.key.unwrap_or_default()]);
    }
    let mut parameters: Vec<_> = request
        .query
        .iter()
        .filter(|(name, _)| SUB_RESOURCES.binary_search(&name.as_str()).is_ok())
        .collect();
    parameters.sort_by_key(|(name, _)| name);
    if !parameters.is_empty() {
        text.extend(["?", &joined(parameters.into_iter())]);
    }
    text
}
