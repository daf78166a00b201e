//! Paths inside the guest.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Linux's PATH_MAX, with its terminating zero.
const MAX_PATH_BYTES: usize = 4095;
/// Linux's NAME_MAX.
const MAX_NAME_BYTES: usize = 255;

/// An absolute path in the guest in its one canonical form: no empty, `.` or `..` part, no slash at
/// the end. Whether a part of it is a symbolic link is for the agent to refuse.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "serde_bytes::ByteBuf", into = "serde_bytes::ByteBuf")]
pub struct GuestPath(Vec<u8>);

/// Why bytes are not a [`GuestPath`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("guest path {path:?} {reason}")]
pub struct PathError {
    path: String,
    reason: &'static str,
}

impl GuestPath {
    /// Check `path`.
    ///
    /// # Errors
    ///
    /// Where it is not in canonical form, or longer than Linux allows.
    pub fn new(path: impl Into<Vec<u8>>) -> Result<Self, PathError> {
        let path = path.into();
        match fault(&path) {
            None => Ok(Self(path)),
            Some(reason) => {
                let shown = &path[..path.len().min(MAX_NAME_BYTES)];
                Err(PathError { path: String::from_utf8_lossy(shown).into_owned(), reason })
            }
        }
    }

    /// `/` itself.
    pub fn root() -> Self {
        Self(b"/".to_vec())
    }

    /// With the leading slash.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The way from the root: without the leading slash, `.` for the root.
    pub fn below_root(&self) -> &[u8] {
        match &self.0[1..] {
            [] => b".",
            rest => rest,
        }
    }

    /// The directory that holds it, and its name there. `None`: the root.
    pub fn split(&self) -> Option<(Self, &[u8])> {
        let at = self.0.iter().rposition(|&byte| byte == b'/')?;
        let name = &self.0[at + 1..];
        let parent = if at == 0 { Self::root() } else { Self(self.0[..at].to_vec()) };
        (!name.is_empty()).then_some((parent, name))
    }
}

fn fault(path: &[u8]) -> Option<&'static str> {
    if path.first() != Some(&b'/') {
        return Some("is not absolute");
    }
    if path.len() > MAX_PATH_BYTES {
        return Some("is longer than 4095 bytes");
    }
    if path.contains(&0) {
        return Some("has a zero byte");
    }
    if path == b"/" {
        return None;
    }
    path[1..].split(|&byte| byte == b'/').find_map(|name| match name {
        b"" => Some("has an empty part"),
        b"." | b".." => Some("has a part . or .."),
        name if name.len() > MAX_NAME_BYTES => Some("has a name longer than 255 bytes"),
        _ => None,
    })
}

impl fmt::Display for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

impl TryFrom<serde_bytes::ByteBuf> for GuestPath {
    type Error = PathError;

    fn try_from(bytes: serde_bytes::ByteBuf) -> Result<Self, PathError> {
        Self::new(bytes.into_vec())
    }
}

impl From<GuestPath> for serde_bytes::ByteBuf {
    fn from(path: GuestPath) -> Self {
        Self::from(path.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_form_is_a_path() {
        for path in ["/", "/a", "/etc/fstab", "/a b/\u{e9}", "/..a/.b/c.."] {
            assert_eq!(GuestPath::new(path).unwrap().to_string(), path);
        }
        let long_name = format!("/{}", "n".repeat(256));
        let long_path = "/n".repeat(2048);
        for (path, reason) in [
            ("", "is not absolute"),
            ("etc/fstab", "is not absolute"),
            ("/etc/", "has an empty part"),
            ("//", "has an empty part"),
            ("/etc//fstab", "has an empty part"),
            ("/etc/../x", "has a part . or .."),
            ("/.", "has a part . or .."),
            ("/a\0b", "has a zero byte"),
            (&long_name, "has a name longer than 255 bytes"),
            (&long_path, "is longer than 4095 bytes"),
        ] {
            assert_eq!(GuestPath::new(path).unwrap_err().reason, reason, "{path}");
        }
    }

    #[test]
    fn a_path_splits_into_directory_and_name() {
        let split = |path: &str| {
            let path = GuestPath::new(path).unwrap();
            path.split().map(|(dir, name)| (dir.to_string(), String::from_utf8(name.to_vec())))
        };
        assert_eq!(split("/"), None);
        assert_eq!(split("/a"), Some(("/".to_owned(), Ok("a".to_owned()))));
        assert_eq!(split("/a/b"), Some(("/a".to_owned(), Ok("b".to_owned()))));
        assert_eq!(GuestPath::root().below_root(), b".");
        assert_eq!(GuestPath::new("/a/b").unwrap().below_root(), b"a/b");
    }
}
