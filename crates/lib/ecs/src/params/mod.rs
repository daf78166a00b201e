//! Parameters of a request: from a query or form to pairs, from pairs to a tree, from the tree to
//! a type, and from a type back to pairs.
//!
//! The wire is flat: `Tag.1.Key=k` is field `Key` of the first of the list `Tag`. Numbers of a list
//! need not follow each other; they only give its order. An empty value is not an absent one.

mod de;
mod ser;

pub use de::from_params;
pub use ser::to_params;

use crate::error::ApiError;
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;

/// Most parameters of one request, query and form together.
pub const MAX_COUNT: usize = 2000;
/// Longest name, in bytes.
pub const MAX_NAME_LEN: usize = 256;
/// Longest value, in bytes. A command's script or a template fits.
pub const MAX_VALUE_LEN: usize = 1 << 20;
/// Most parts of a name, `A.1.B` having three; also the depth of a request type.
pub const MAX_DEPTH: usize = 8;
/// Most bytes of a name that an error repeats.
const MAX_QUOTED: usize = 64;

/// Why parameters were refused. The text names the parameter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamError {
    /// More than [`MAX_COUNT`].
    #[error("the request has more than {MAX_COUNT} parameters")]
    TooMany,
    /// A name that is empty or longer than [`MAX_NAME_LEN`] or [`MAX_DEPTH`].
    #[error(
        "{name} is not a name of 1 to {MAX_NAME_LEN} bytes and at most {MAX_DEPTH} parts between dots"
    )]
    Name {
        /// Its beginning.
        name: String,
    },
    /// A value longer than [`MAX_VALUE_LEN`].
    #[error("the value of {name} is longer than {MAX_VALUE_LEN} bytes")]
    TooLong {
        /// The parameter.
        name: String,
    },
    /// Percent-decoding does not give UTF-8.
    #[error("{name} is not UTF-8")]
    NotUtf8 {
        /// The parameter, as received.
        name: String,
    },
    /// The action needs it and it is not there.
    #[error("{name} is mandatory")]
    Missing {
        /// The parameter.
        name: String,
    },
    /// It is there and cannot be read.
    #[error("{name}: {why}")]
    Invalid {
        /// The parameter, empty where none can be named.
        name: String,
        /// What is expected, as a sentence.
        why: String,
    },
}

impl From<ParamError> for ApiError {
    fn from(error: ParamError) -> Self {
        match &error {
            ParamError::Missing { name } => Self::missing_parameter(name),
            ParamError::Invalid { name, why } => Self::invalid_parameter(name, why),
            ParamError::TooMany
            | ParamError::Name { .. }
            | ParamError::TooLong { .. }
            | ParamError::NotUtf8 { .. } => {
                let message = format!("The specified parameter is not valid: {error}.");
                Self::new(400, "InvalidParameter", message)
            }
        }
    }
}

/// The beginning of a name, for an error.
fn quoted(name: &str) -> String {
    let end = name.floor_char_boundary(MAX_QUOTED);
    name[..end].to_owned()
}

/// Decode a query or a form body (without `?`) and append its pairs to `pairs`, in order.
///
/// # Errors
///
/// Where the pairs together, a name or a value are beyond the limits of this module, or a name or
/// value is not UTF-8 once decoded.
pub fn parse(text: &str, pairs: &mut Vec<(String, String)>) -> Result<(), ParamError> {
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        if pairs.len() >= MAX_COUNT {
            return Err(ParamError::TooMany);
        }
        let (raw, value) = pair.split_once('=').unwrap_or((pair, ""));
        // A byte takes three at most.
        if raw.len() > 3 * MAX_NAME_LEN {
            return Err(ParamError::Name { name: quoted(raw) });
        }
        let not_utf8 = || ParamError::NotUtf8 { name: quoted(raw) };
        let name = decode(raw).ok_or_else(not_utf8)?;
        if name.is_empty() || name.len() > MAX_NAME_LEN || name.split('.').count() > MAX_DEPTH {
            return Err(ParamError::Name { name: quoted(&name) });
        }
        if value.len() > 3 * MAX_VALUE_LEN {
            return Err(ParamError::TooLong { name: quoted(&name) });
        }
        let value = decode(value).ok_or_else(not_utf8)?;
        if value.len() > MAX_VALUE_LEN {
            return Err(ParamError::TooLong { name: quoted(&name) });
        }
        pairs.push((name, value));
    }
    Ok(())
}

/// `+` is a space, `%XX` a byte; a `%` that starts no such byte stands for itself.
fn decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(|text| text.into_owned())
}

/// The query or form body of pairs, ready to be sent.
pub fn encode<'a>(pairs: impl IntoIterator<Item = &'a (String, String)>) -> String {
    let enc = crate::sign::enc;
    let pairs: Vec<_> = pairs.into_iter().map(|(k, v)| format!("{}={}", enc(k), enc(v))).collect();
    pairs.join("&")
}

/// Parameters by the parts of their names.
#[derive(Debug, Default)]
struct Tree<'a> {
    value: Option<&'a str>,
    children: BTreeMap<&'a str, Tree<'a>>,
}

impl<'a> Tree<'a> {
    /// The last of two equal names wins; callers need not come through `parse`.
    fn of(pairs: &'a [(String, String)]) -> Result<Self, ParamError> {
        let mut root = Self::default();
        for (name, value) in pairs {
            if name.split('.').count() > MAX_DEPTH {
                return Err(ParamError::Name { name: quoted(name) });
            }
            let leaf =
                name.split('.').fold(&mut root, |at, part| at.children.entry(part).or_default());
            leaf.value = Some(value);
        }
        Ok(root)
    }
}

#[cfg(test)]
mod tests;
