//! A request, taken apart and decoded once.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};
use kiln_oss::address::Address;
use kiln_oss::documents::Code;
use kiln_oss::sign::{self, SUB_RESOURCES};
use percent_encoding::percent_decode_str;

use super::failure::Failure;

/// Most query parameters; the official client sends some ten.
const MAX_PARAMETERS: usize = 64;

/// Longest query, in bytes.
const MAX_QUERY_BYTES: usize = 16 << 10;

/// Sub-resources that go with an operation and name none.
const MODIFIERS: &[&str] = &[
    "continuation-token",
    "partNumber",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "security-token",
    "sequential",
];

/// What is asked, without the body.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) address: Address,
    pub(super) headers: HeaderMap,
    query: Vec<(String, String)>,
    pairs: Vec<(String, String)>,
}

impl Asked {
    /// Take `request` apart.
    pub(super) fn parse(endpoint: &str, request: Request) -> Result<(Self, Body), Failure> {
        let address = Address::parse(&host(&request), endpoint, request.uri().path())?;
        let query = pairs(request.uri().query().unwrap_or_default())?;
        let (parts, body) = request.into_parts();
        let mut pairs = Vec::with_capacity(parts.headers.len());
        for (name, value) in &parts.headers {
            // Clients sign UTF-8; a header that is none cannot have been signed.
            if let Ok(value) = std::str::from_utf8(value.as_bytes()) {
                pairs.push((name.as_str().into(), value.into()));
            }
        }
        let (method, headers) = (parts.method, parts.headers);
        Ok((Self { method, address, headers, query, pairs }, body))
    }

    /// What a signature covers.
    pub(super) fn signed(&self) -> sign::Request<'_> {
        sign::Request {
            method: self.method.as_str(),
            bucket: self.address.bucket(),
            key: self.address.key(),
            query: &self.query,
            headers: &self.pairs,
        }
    }

    /// The sub-resource that names the operation, such as `uploads`; `None` for the plain one.
    pub(super) fn operation(&self) -> Result<Option<&str>, Failure> {
        let named = |name: &&str| SUB_RESOURCES.contains(name) && !MODIFIERS.contains(name);
        let mut names = self.query.iter().map(|(name, _)| name.as_str()).filter(named);
        let first = names.next();
        match names.next() {
            None => Ok(first),
            Some(second) => Err(Failure::new(
                Code::InvalidArgument,
                format!("`{}` and `{second}` do not go together", first.unwrap_or_default()),
            )),
        }
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A number among the parameters.
    pub(super) fn number(
        &self,
        name: &str,
        lowest: u32,
        highest: u32,
    ) -> Result<Option<u32>, Failure> {
        let Some(text) = self.parameter(name).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let number = text.parse().ok().filter(|number| (lowest..=highest).contains(number));
        let expected = || Failure::argument(name, format!("a number from {lowest} to {highest}"));
        number.map(Some).ok_or_else(expected)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim())
    }

    /// The headers whose names start with `prefix`.
    pub(super) fn headers_under<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let named = move |(name, value): &'a (String, String)| {
            name.starts_with(prefix).then_some((name.as_str(), value.trim()))
        };
        self.pairs.iter().filter_map(named)
    }

    /// `Content-Length`; hyper has refused one that is no number.
    pub(super) fn length(&self) -> Option<u64> {
        self.headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
    }
}

/// The host that was asked, with its port.
pub(super) fn host(request: &Request) -> String {
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    named.or(request.uri().host()).unwrap_or_default().to_owned()
}

/// The pairs of a query, decoded. A `+` is a blank, as the official client writes one.
fn pairs(query: &str) -> Result<Vec<(String, String)>, Failure> {
    if query.len() > MAX_QUERY_BYTES {
        return Err(Failure::new(Code::InvalidURI, "the query is longer than 16384 bytes"));
    }
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        let decoded = percent_decode_str(&text).decode_utf8().map(Into::into);
        decoded.map_err(|_| Failure::new(Code::InvalidURI, "the query is not UTF-8 when decoded"))
    };
    let texts = query.split('&').filter(|text| !text.is_empty());
    let mut pairs = Vec::new();
    for text in texts {
        if pairs.len() == MAX_PARAMETERS {
            return Err(Failure::new(Code::InvalidURI, "the query has more than 64 parameters"));
        }
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        pairs.push((decoded(name)?, decoded(value)?));
    }
    Ok(pairs)
}
