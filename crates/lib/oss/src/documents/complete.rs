//! The body of `POST ?uploadId`: the parts that make the object, in order.

use serde::Deserialize;

use super::Code;

/// Most parts of an upload.
pub const MAX_PARTS: usize = 10_000;

/// Largest body that is read; 10,000 parts with all that clients write come to some 1.5 MiB.
pub const MAX_COMPLETE_BYTES: usize = 4 << 20;

/// Longest ETag that is looked at, in bytes; an MD5 has 32.
const MAX_ETAG_BYTES: usize = 64;

/// One part, as the client believes it to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletePart {
    /// 1 to 10,000.
    pub number: u32,
    /// Without its quotes, upper case.
    pub etag: String,
}

/// Why the body was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Too many bytes.
    #[error("the body is {found} bytes long, more than {MAX_COMPLETE_BYTES}")]
    Size {
        /// Its length in bytes.
        found: usize,
    },
    /// Not the document it should be.
    #[error("the body is not a CompleteMultipartUpload document: {why}")]
    Xml {
        /// The reader's own words.
        why: String,
    },
    /// Nothing to put together.
    #[error("the list of parts is empty")]
    Empty,
    /// More than an upload can have.
    #[error("the list has {found} parts, more than {MAX_PARTS}")]
    Count {
        /// How many.
        found: usize,
    },
    /// A number that no part can have.
    #[error("PartNumber {found} is outside 1..=10000")]
    Number {
        /// The number.
        found: u32,
    },
    /// A number that is not above the one before.
    #[error("PartNumber {found} comes after {before}: list the parts in ascending order")]
    Order {
        /// The number before.
        before: u32,
        /// The number.
        found: u32,
    },
    /// An ETag that none of kiln's parts has.
    #[error("the ETag of part {number} is empty or longer than 64 bytes")]
    Etag {
        /// The part's number.
        number: u32,
    },
}

impl RequestError {
    /// The error code that OSS answers with.
    pub fn code(&self) -> Code {
        match self {
            Self::Xml { .. } | Self::Empty => Code::MalformedXML,
            Self::Size { .. } | Self::Count { .. } | Self::Number { .. } => Code::InvalidArgument,
            Self::Order { .. } => Code::InvalidPartOrder,
            Self::Etag { .. } => Code::InvalidPart,
        }
    }
}

/// An enum, because that is how quick-xml is made to look at the root's name.
#[derive(Deserialize)]
enum Root {
    CompleteMultipartUpload(Body),
}

#[derive(Deserialize)]
struct Body {
    #[serde(rename = "Part", default)]
    parts: Vec<RawPart>,
}

#[derive(Deserialize)]
struct RawPart {
    #[serde(rename = "PartNumber")]
    number: u32,
    #[serde(rename = "ETag")]
    etag: String,
}

/// The parts that `body` lists: at least one, their numbers ascending.
///
/// # Errors
///
/// A body over [`MAX_COMPLETE_BYTES`] or that is another document, and lists that no upload has.
pub fn complete_parts(body: &[u8]) -> Result<Vec<CompletePart>, RequestError> {
    if body.len() > MAX_COMPLETE_BYTES {
        return Err(RequestError::Size { found: body.len() });
    }
    let xml = |why: String| RequestError::Xml { why };
    let text = std::str::from_utf8(body).map_err(|error| xml(error.to_string()))?;
    let Root::CompleteMultipartUpload(Body { parts }) =
        quick_xml::de::from_str(text).map_err(|error| xml(error.to_string()))?;
    if parts.is_empty() {
        return Err(RequestError::Empty);
    }
    if parts.len() > MAX_PARTS {
        return Err(RequestError::Count { found: parts.len() });
    }
    let mut before = 0;
    let mut checked = Vec::with_capacity(parts.len());
    for RawPart { number, etag } in parts {
        if number == 0 || number as usize > MAX_PARTS {
            return Err(RequestError::Number { found: number });
        }
        if number <= before {
            return Err(RequestError::Order { before, found: number });
        }
        let etag = etag.trim().trim_matches('"').to_ascii_uppercase();
        if etag.is_empty() || etag.len() > MAX_ETAG_BYTES {
            return Err(RequestError::Etag { number });
        }
        before = number;
        checked.push(CompletePart { number, etag });
    }
    Ok(checked)
}
