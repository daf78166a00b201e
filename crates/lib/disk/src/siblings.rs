//! The files that an image names: where kiln may look for them, and where not.
//!
//! A backing file or an extent is a name inside hostile input. It is opened only where the file it
//! resolves to, after `..` and symbolic links, lies in the folder of the image, below it, or in a
//! folder that the user allowed. Otherwise `backing file: /etc/shadow` would be a way to have the
//! machine that checks an upload read its own files.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::file::FileSource;
use crate::{Error, Kind, Result, Source};

/// Opens what an image names, relative to that image.
pub trait Siblings: Debug + Send + Sync {
    /// Open the file that the image calls `name`.
    ///
    /// # Errors
    ///
    /// [`Kind::ExternalReference`] where the name leads to where it may not; [`Kind::NotFound`]
    /// and [`Kind::Io`] as the system says.
    fn open(&self, name: &str) -> Result<Sibling>;

    /// A name of the image itself by which it is known again, for finding loops.
    fn identity(&self) -> Option<String>;
}

/// A file that an image named.
#[derive(Clone, Debug)]
pub struct Sibling {
    /// Its bytes.
    pub source: Source,
    /// Its name for messages, and its identity for finding loops.
    pub location: String,
    /// Opens what it names in turn.
    pub siblings: Arc<dyn Siblings>,
}

/// For sources that have no folder, such as memory: every name is refused.
#[derive(Clone, Copy, Debug)]
pub struct NoSiblings;

impl Siblings for NoSiblings {
    fn open(&self, name: &str) -> Result<Sibling> {
        Err(refused(name, "this image has no folder to look for it in"))
    }

    fn identity(&self) -> Option<String> {
        None
    }
}

/// The files in the folder of a local image, and in the folders that the user allowed.
#[derive(Clone, Debug)]
pub struct LocalSiblings {
    file: PathBuf,
    directory: PathBuf,
    allowed: Arc<[PathBuf]>,
}

impl LocalSiblings {
    /// For the image at `image`. Folders of `allow` that do not exist allow nothing.
    ///
    /// # Errors
    ///
    /// As the system says where the path of the image cannot be resolved.
    pub fn beside(image: &Path, allow: &[PathBuf]) -> Result<Self> {
        let located =
            |error: std::io::Error| Error::from(error).in_location(image.display().to_string());
        let file = image.canonicalize().map_err(located)?;
        let directory = match image.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let home = directory.canonicalize().map_err(located)?;
        let others = allow.iter().filter_map(|folder| folder.canonicalize().ok());
        let allowed = std::iter::once(home).chain(others).collect();
        Ok(Self { file, directory, allowed })
    }

    fn allows(&self, real: &Path) -> bool {
        self.allowed.iter().any(|folder| real.starts_with(folder))
    }

    fn resolve(&self, name: &str) -> Result<PathBuf> {
        if let Some(scheme) = url_scheme(name) {
            return Err(refused(name, &format!("'{scheme}:' names are not followed")));
        }
        let path = self.directory.join(name.strip_prefix("file:").unwrap_or(name));
        let real = path.canonicalize().map_err(|error| {
            // Whether a file outside exists is none of the image's business.
            let folder = path.parent().and_then(|parent| parent.canonicalize().ok());
            if folder.is_some_and(|folder| self.allows(&folder)) {
                Error::from(error).in_location(path.display().to_string())
            } else {
                refused(name, "it does not lead into the folder of the image")
            }
        })?;
        if self.allows(&real) {
            Ok(real)
        } else {
            Err(refused(name, "it leads out of the folder of the image"))
        }
    }
}

impl Siblings for LocalSiblings {
    fn open(&self, name: &str) -> Result<Sibling> {
        let file = self.resolve(name)?;
        let source = FileSource::open_regular(&file).map_err(|error| match error.kind() {
            Kind::Unsupported => refused(name, "it is not a regular file"),
            _ => error,
        })?;
        let directory = file.parent().unwrap_or(Path::new("/")).to_owned();
        let location = file.display().to_string();
        let siblings = Self { file, directory, allowed: Arc::clone(&self.allowed) };
        Ok(Sibling { source: Arc::new(source), location, siblings: Arc::new(siblings) })
    }

    fn identity(&self) -> Option<String> {
        Some(self.file.display().to_string())
    }
}

/// The scheme of a URL or of one of QEMU's protocol names (`json:`, `nbd:`). `file:` is a path.
fn url_scheme(name: &str) -> Option<&str> {
    let (scheme, _) = name.split_once(':')?;
    let is_scheme = scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    (is_scheme && !scheme.is_empty() && (scheme != "file" || name.starts_with("file://")))
        .then_some(scheme)
}

fn refused(name: &str, why: &str) -> Error {
    Error::new(
        Kind::ExternalReference,
        format!("the image refers to '{}': {why}", name.escape_debug()),
    )
    .hint("where the file may be trusted, allow its folder: --allow-backing DIR")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocol_names_are_told_from_paths() {
        for (name, scheme) in [
            ("json:{\"driver\":\"file\"}", Some("json")),
            ("nbd://host/x", Some("nbd")),
            ("nbd:unix:/run/x", Some("nbd")),
            ("https://host/x", Some("https")),
            ("file:///etc/passwd", Some("file")),
            ("file:base.raw", None),
            ("base.raw", None),
            ("/images/12:30.raw", None),
            ("./a:b", None),
        ] {
            assert_eq!(url_scheme(name), scheme, "{name}");
        }
    }
}
