//! The XML that OSS answers with, and the one body that kiln reads.
//!
//! The names are those of OSS; the order of the elements is that of its reference, because some
//! clients read by position. Writing cannot fail for a value that these types can hold.

mod complete;
mod delete;
mod error;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

pub use complete::{CompletePart, MAX_COMPLETE_BYTES, MAX_PARTS, RequestError, complete_parts};
pub use delete::{DeleteEntry, DeleteRequest, DeleteResult, MAX_DELETE_KEYS, delete_request};
pub use error::{Code, Error};

/// A document's text, its XML declaration first.
///
/// A character that XML has no way to write, as a key may contain, becomes U+FFFD: one odd key
/// must not make a whole listing unreadable. With `encoding-type=url` a client gets it unharmed.
///
/// # Errors
///
/// None for the documents of this module; quick-xml's for a value that is not XML's shape.
pub fn to_xml<T: Serialize>(document: &T) -> Result<String, quick_xml::SeError> {
    let body = quick_xml::se::to_string(document)?;
    let mut text = String::with_capacity(body.len() + 40);
    text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    for character in body.chars() {
        match character {
            // A reader would turn it into a line feed.
            '\r' => text.push_str("&#13;"),
            '\t' | '\n' => text.push(character),
            '\0'..'\x20' | '\u{fffe}' | '\u{ffff}' => text.push('\u{fffd}'),
            _ => text.push(character),
        }
    }
    Ok(text)
}

/// Who owns a bucket or an object.
#[derive(Clone, Debug, Serialize)]
pub struct Owner {
    /// The account's ID.
    #[serde(rename = "ID")]
    pub id: String,
    /// The account's name; OSS repeats the ID.
    #[serde(rename = "DisplayName")]
    pub display_name: String,
}

/// `GET /`: the buckets of an account.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the elements are those of the reference")]
pub struct ListAllMyBucketsResult {
    pub owner: Owner,
    pub buckets: Buckets,
}

/// The list inside of [`ListAllMyBucketsResult`].
#[derive(Clone, Debug, Serialize)]
pub struct Buckets {
    /// One for each bucket, by name.
    #[serde(rename = "Bucket")]
    pub bucket: Vec<BucketEntry>,
}

/// One bucket of [`ListAllMyBucketsResult`].
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the elements are those of the reference")]
pub struct BucketEntry {
    #[serde(serialize_with = "time")]
    pub creation_date: Timestamp,
    pub extranet_endpoint: String,
    pub intranet_endpoint: String,
    pub location: String,
    pub name: String,
    pub region: String,
    pub storage_class: String,
}

/// A list of objects, of either version. Only one version's elements are set: `marker` and
/// `next_marker` are of the first, the tokens, `start_after` and `key_count` of `list-type=2`.
///
/// With `encoding_type` set, the caller has passed every key and prefix through [`url_encoded`].
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the elements are those of the reference")]
pub struct ListBucketResult {
    pub name: String,
    pub prefix: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continuation_token: Option<String>,
    pub max_keys: u32,
    pub delimiter: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding_type: Option<&'static str>,
    pub is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_marker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_continuation_token: Option<String>,
    pub contents: Vec<ObjectEntry>,
    pub common_prefixes: Vec<CommonPrefix>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_count: Option<u32>,
}

/// One object of a [`ListBucketResult`]; `size` in bytes, `e_tag` with its quotes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the elements are those of the reference")]
pub struct ObjectEntry {
    pub key: String,
    #[serde(serialize_with = "time")]
    pub last_modified: Timestamp,
    pub e_tag: String,
    /// `Normal` or `Multipart`.
    pub r#type: &'static str,
    pub size: u64,
    pub storage_class: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}

/// Keys that a [`ListBucketResult`] counts as one, up to the delimiter.
#[derive(Clone, Debug, Serialize)]
pub struct CommonPrefix {
    /// What they start with, the delimiter included.
    #[serde(rename = "Prefix")]
    pub prefix: String,
}

/// `POST ?uploads`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the elements are those of the reference")]
pub struct InitiateMultipartUploadResult {
    pub bucket: String,
    pub key: String,
    pub upload_id: String,
}

/// `POST ?uploadId`; `e_tag` with its quotes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the elements are those of the reference")]
pub struct CompleteMultipartUploadResult {
    pub location: String,
    pub bucket: String,
    pub key: String,
    pub e_tag: String,
}

/// `GET ?uploadId`: the parts of an upload.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the elements are those of the reference")]
pub struct ListPartsResult {
    pub bucket: String,
    pub key: String,
    pub upload_id: String,
    pub storage_class: String,
    pub part_number_marker: u32,
    pub next_part_number_marker: u32,
    pub max_parts: u32,
    pub is_truncated: bool,
    pub part: Vec<PartEntry>,
}

/// One part of a [`ListPartsResult`]; `size` in bytes, `e_tag` with its quotes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the elements are those of the reference")]
pub struct PartEntry {
    pub part_number: u32,
    #[serde(serialize_with = "time")]
    pub last_modified: Timestamp,
    pub e_tag: String,
    pub size: u64,
}

/// `GET ?location`: the region, with its `oss-` in front.
#[derive(Clone, Debug, Serialize)]
pub struct LocationConstraint {
    /// For example `oss-cn-hangzhou`.
    #[serde(rename = "$text")]
    pub location: String,
}

/// `GET ?bucketInfo`.
#[derive(Clone, Debug, Serialize)]
pub struct BucketInfo {
    /// Its only element.
    #[serde(rename = "Bucket")]
    pub bucket: BucketDetails,
}

/// What a [`BucketInfo`] tells of a bucket.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the elements are those of the reference")]
pub struct BucketDetails {
    #[serde(serialize_with = "time")]
    pub creation_date: Timestamp,
    pub extranet_endpoint: String,
    pub intranet_endpoint: String,
    pub location: String,
    pub name: String,
    pub storage_class: String,
    pub data_redundancy_type: String,
    pub owner: Owner,
    pub access_control_list: AccessControlList,
}

/// Who may do what; kiln grants a bucket as a whole.
#[derive(Clone, Debug, Serialize)]
pub struct AccessControlList {
    /// `private`, `public-read` or `public-read-write`.
    #[serde(rename = "Grant")]
    pub grant: &'static str,
}

/// A key as `encoding-type=url` has it.
pub fn url_encoded(key: &str) -> String {
    percent_encoding::utf8_percent_encode(key, crate::sign::QUERY).to_string()
}

/// OSS always writes three digits of milliseconds.
fn time<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&at.strftime("%Y-%m-%dT%H:%M:%S.000Z"))
}

#[cfg(test)]
mod tests;
