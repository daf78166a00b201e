//! `POST ?delete`: many objects at a time.

use serde::{Deserialize, Serialize};

use super::RequestError;

/// Most keys of one request.
pub const MAX_DELETE_KEYS: usize = 1000;

/// What to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteRequest {
    /// Whether the answer leaves out what was deleted.
    pub is_quiet: bool,
    /// The keys, as sent; not yet checked.
    pub keys: Vec<String>,
}

/// The answer: what was deleted.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the elements are those of the reference")]
pub struct DeleteResult {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding_type: Option<&'static str>,
    pub deleted: Vec<DeleteEntry>,
}

/// One object of a [`DeleteResult`].
#[derive(Clone, Debug, Serialize)]
pub struct DeleteEntry {
    /// Its key.
    #[serde(rename = "Key")]
    pub key: String,
}

#[derive(Deserialize)]
enum Root {
    Delete(Body),
}

#[derive(Deserialize)]
struct Body {
    #[serde(rename = "Quiet", default)]
    quiet: bool,
    #[serde(rename = "Object", default)]
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    #[serde(rename = "Key")]
    key: String,
}

/// The keys that `body` lists. The caller has bounded its length.
///
/// # Errors
///
/// Another document, no key, or more than [`MAX_DELETE_KEYS`].
pub fn delete_request(body: &[u8]) -> Result<DeleteRequest, RequestError> {
    let xml = |why: String| RequestError::Xml { why };
    let text = std::str::from_utf8(body).map_err(|error| xml(error.to_string()))?;
    let Root::Delete(Body { quiet, objects }) =
        quick_xml::de::from_str(text).map_err(|error| xml(error.to_string()))?;
    match objects.len() {
        0 => Err(xml("it lists no Object".into())),
        1..=MAX_DELETE_KEYS => {
            let keys = objects.into_iter().map(|object| object.key).collect();
            Ok(DeleteRequest { is_quiet: quiet, keys })
        }
        found => Err(xml(format!("it lists {found} objects, more than {MAX_DELETE_KEYS}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_and_their_number_is_bounded() {
        let list = |n: usize| {
            format!(
                "<Delete><Quiet>true</Quiet>{}</Delete>",
                "<Object><Key>a&amp;b</Key></Object>".repeat(n)
            )
        };
        let read = delete_request(list(2).as_bytes()).unwrap();
        assert_eq!(read, DeleteRequest { is_quiet: true, keys: vec!["a&b".into(); 2] });
        assert!(delete_request(list(MAX_DELETE_KEYS).as_bytes()).is_ok());
        for body in [list(0), list(MAX_DELETE_KEYS + 1), "<Other/>".into(), "<Delete>".into()] {
            assert!(delete_request(body.as_bytes()).is_err());
        }
    }
}
