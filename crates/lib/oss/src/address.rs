//! Which bucket and which key a request is about.
//!
//! A client writes `/<bucket>/<key>` (path style, to an endpoint that is a numeric address) or
//! `/<key>` to the host `<bucket>.<endpoint>`. It percent-encodes the slashes inside of a key too,
//! so the path is cut first and decoded afterwards, once: a key may contain `%2F` as text.
//!
//! kiln keeps objects as files. OSS takes `a/../b` for a plain name, a file system does not, so a
//! key with such a segment is refused here, before any code that knows of files.

use percent_encoding::percent_decode_str;

use crate::documents::Code;

/// Longest key, in bytes of UTF-8.
pub const MAX_KEY_BYTES: usize = 1023;

/// Shortest and longest name of a bucket, in bytes.
pub const BUCKET_BYTES: std::ops::RangeInclusive<usize> = 3..=63;

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// The service itself: its list of buckets.
    Service,
    /// A bucket.
    Bucket(BucketName),
    /// An object in a bucket.
    Object(BucketName, Key),
}

/// A bucket's name that is within the rules.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketName(String);

/// An object's key that is within the rules and stays inside of its bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

/// Why an address was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// A bucket that cannot exist.
    #[error(
        "the bucket name `{name}` is not valid: use 3 to 63 of a-z, 0-9 and -, \
         with a letter or digit first and last"
    )]
    Bucket {
        /// The name as sent, at most 64 characters of it.
        name: String,
    },
    /// A key that kiln does not store.
    #[error("the object name is not valid: {why}")]
    Key {
        /// Which rule it breaks.
        why: &'static str,
    },
    /// A path that is no path.
    #[error("the path of the request is not valid: {why}")]
    Path {
        /// What is wrong with it.
        why: &'static str,
    },
}

impl AddressError {
    /// The error code that OSS answers with.
    pub fn code(&self) -> Code {
        match self {
            Self::Bucket { .. } => Code::InvalidBucketName,
            Self::Key { .. } => Code::InvalidObjectName,
            Self::Path { .. } => Code::InvalidURI,
        }
    }
}

impl BucketName {
    /// Check a bucket's name.
    ///
    /// # Errors
    ///
    /// [`AddressError::Bucket`] unless it is 3 to 63 of `a-z`, `0-9` and `-`, no `-` at its ends.
    pub fn new(name: &str) -> Result<Self, AddressError> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let hyphen_at_end = name.starts_with('-') || name.ends_with('-');
        if BUCKET_BYTES.contains(&name.len()) && name.bytes().all(allowed) && !hyphen_at_end {
            return Ok(Self(name.into()));
        }
        Err(AddressError::Bucket { name: name.chars().take(64).collect() })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Key {
    /// Check a decoded key.
    ///
    /// # Errors
    ///
    /// [`AddressError::Key`] for one that is empty, over 1,023 bytes, starts with `/`, `\`,
    /// `http://` or `https://`, contains NUL, or has a segment `.` or `..`.
    pub fn new(key: &str) -> Result<Self, AddressError> {
        let refused = |why| Err(AddressError::Key { why });
        if key.is_empty() {
            return refused("it is empty");
        }
        if key.len() > MAX_KEY_BYTES {
            return refused("it is longer than 1023 bytes");
        }
        if key.starts_with(['/', '\\']) {
            return refused("it starts with a slash");
        }
        if key.starts_with("http://") || key.starts_with("https://") {
            return refused("it starts with http:// or https://");
        }
        if key.contains('\0') {
            return refused("it contains a NUL");
        }
        // Both slashes: what is a name on one system is a way out of the folder on another.
        if key.split(['/', '\\']).any(|segment| matches!(segment, "." | "..")) {
            return refused("it has a segment `.` or `..`");
        }
        Ok(Self(key.into()))
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Address {
    /// The address of a request to `host` (with or without a port) for `path`, as it was sent,
    /// without its query. `endpoint` is the name that the service is known by, such as
    /// `oss.kiln.example`; a host that is not a name under it is asked in path style.
    ///
    /// # Errors
    ///
    /// A bucket or a key outside of the rules, or a path that is not `/…` or not UTF-8 in the end.
    pub fn parse(host: &str, endpoint: &str, path: &str) -> Result<Self, AddressError> {
        let Some(path) = path.strip_prefix('/') else {
            return Err(AddressError::Path { why: "it does not start with a slash" });
        };
        let (bucket, key) = match bucket_of_host(host, endpoint) {
            Some(bucket) => (bucket.to_ascii_lowercase(), path),
            None if path.is_empty() => return Ok(Self::Service),
            None => {
                let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
                (decoded(bucket)?, key)
            }
        };
        let bucket = BucketName::new(&bucket)?;
        if key.is_empty() {
            return Ok(Self::Bucket(bucket));
        }
        // Three bytes encode one; a longer text is not worth decoding.
        if key.len() > 3 * MAX_KEY_BYTES {
            return Err(AddressError::Key { why: "it is longer than 1023 bytes" });
        }
        Ok(Self::Object(bucket, Key::new(&decoded(key)?)?))
    }

    /// The bucket's name, where there is one.
    pub fn bucket(&self) -> Option<&str> {
        match self {
            Self::Service => None,
            Self::Bucket(bucket) | Self::Object(bucket, _) => Some(bucket.as_str()),
        }
    }

    /// The object's key, where there is one.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Service | Self::Bucket(_) => None,
            Self::Object(_, key) => Some(key.as_str()),
        }
    }
}

/// `images` of `images.oss.kiln.example:8080`.
fn bucket_of_host<'a>(host: &'a str, endpoint: &str) -> Option<&'a str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let at = name.len().checked_sub(endpoint.len())?;
    let (bucket, rest) = name.split_at_checked(at)?;
    if endpoint.is_empty() || !rest.eq_ignore_ascii_case(endpoint) {
        return None;
    }
    bucket.strip_suffix('.')
}

fn decoded(text: &str) -> Result<String, AddressError> {
    let whole = text.as_bytes();
    let hex = |at: usize| whole.get(at).is_some_and(u8::is_ascii_hexdigit);
    let cut = |(at, &byte): (usize, &u8)| byte == b'%' && !(hex(at + 1) && hex(at + 2));
    if whole.iter().enumerate().any(cut) {
        return Err(AddressError::Path { why: "a % is not followed by two hexadecimal digits" });
    }
    percent_decode_str(text)
        .decode_utf8()
        .map(Into::into)
        .map_err(|_| AddressError::Path { why: "it is not UTF-8 when decoded" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDPOINT: &str = "oss.kiln.example";

    fn parsed(host: &str, path: &str) -> Result<(Option<String>, Option<String>), AddressError> {
        let address = Address::parse(host, ENDPOINT, path)?;
        Ok((address.bucket().map(Into::into), address.key().map(Into::into)))
    }

    #[test]
    fn both_styles_lead_to_the_same_object() {
        let (path, host) = ("127.0.0.1:8080", "images.OSS.kiln.example:8080");
        for (host, text, bucket, key) in [
            (path, "/", None, None),
            (path, "/images", Some("images"), None),
            (path, "/images/", Some("images"), None),
            (path, "/images/a%2Fb%20c.raw", Some("images"), Some("a/b c.raw")),
            (path, "/images/a/b%20c.raw", Some("images"), Some("a/b c.raw")),
            (path, "/images/a%252Fb", Some("images"), Some("a%2Fb")),
            (path, "/images/a+b", Some("images"), Some("a+b")),
            (path, "/images/%E9%95%9C/..x/x..", Some("images"), Some("镜/..x/x..")),
            (path, "/images/a//b/", Some("images"), Some("a//b/")),
            (host, "/", Some("images"), None),
            (host, "/a%2Fb", Some("images"), Some("a/b")),
            (ENDPOINT, "/images/a", Some("images"), Some("a")),
            ("xoss.kiln.example", "/images/a", Some("images"), Some("a")),
            ("[::1]:8080", "/images/a", Some("images"), Some("a")),
        ] {
            let wanted = (bucket.map(Into::into), key.map(Into::into));
            assert_eq!(parsed(host, text), Ok(wanted), "{host} {text}");
        }
    }

    #[test]
    fn a_key_cannot_leave_its_bucket() {
        assert!(parsed("h", "/images/a/b").is_ok());
        for (path, why) in [
            ("/images/../b", "it has a segment `.` or `..`"),
            ("/images/..", "it has a segment `.` or `..`"),
            ("/images/a%2F..%2F..%2Fetc", "it has a segment `.` or `..`"),
            ("/images/a/%2e%2E", "it has a segment `.` or `..`"),
            ("/images/a%5C..%5Cb", "it has a segment `.` or `..`"),
            ("/images/./b", "it has a segment `.` or `..`"),
            ("/images/a%00b", "it contains a NUL"),
            ("/images//etc/passwd", "it starts with a slash"),
            ("/images/%5Cx", "it starts with a slash"),
            ("/images/http:%2F%2Fx", "it starts with http:// or https://"),
        ] {
            assert_eq!(parsed("h", path), Err(AddressError::Key { why }), "{path}");
        }
    }

    #[test]
    fn the_limits_of_names() {
        let path = |bucket: usize, key: usize| {
            parsed("h", &format!("/{}/{}", "b".repeat(bucket), "%6B".repeat(key)))
        };
        assert!(path(3, 1).is_ok() && path(63, 1023).is_ok());
        assert!(path(2, 1).is_err() && path(64, 1).is_err() && path(3, 1024).is_err());
        for bucket in ["-ab", "ab-", "Abc", "a_b", "a.b", "..", "a%2Fb", "镜像镜"] {
            let error = parsed("h", &format!("/{bucket}/k")).unwrap_err();
            assert_eq!(error.code(), Code::InvalidBucketName, "{bucket}");
        }
        for text in ["", "images/a", "/images/%", "/images/a%2", "/images/%zz", "/images/%ff"] {
            let error = parsed("h", text).unwrap_err();
            assert_eq!(error.code(), Code::InvalidURI, "{text}");
        }
    }
}
