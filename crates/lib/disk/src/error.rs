//! One error for everything that reads an image: a stable [`Kind`] to decide by, and the place and
//! the facts to tell a person.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// What reading gives, or why it could not.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can do about an [`Error`]. Match on this: it stays, the messages come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Some other format: let the next parser try.
    OtherFormat,
    /// A sound image and a limit of kiln's: name the limit, do not call the image broken.
    Unsupported,
    /// The image breaks its own format.
    Corrupt,
    /// The image names a file that it may not make kiln open.
    ExternalReference,
    /// A read beyond the end of the disk.
    OutOfRange,
    /// There is no such file or object.
    NotFound,
    /// The operating system or a remote server failed; the image may be fine.
    Io,
    /// The caller asked for the work to stop.
    Cancelled,
}

/// What a stranger's image is refused for, where a caller has more to say about it than its
/// [`Kind`]: a service answers each with a code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// It is no disk in a format that is known: an archive, or a format that kiln does not read.
    UnknownFormat,
    /// Its data is encrypted.
    Encrypted,
    /// Its clusters, grains or blocks have a size that kiln does not read.
    UnitSize,
    /// The fields that tell the size contradict each other.
    SizeFields,
    /// The file ends before what it should hold.
    Truncated,
    /// The disk is larger than what is read.
    TooLarge,
    /// It is the difference to another image, or names other files.
    DependsOnOther,
}

/// A failed read: what went wrong, in which file, at which byte, and what to do about it.
///
/// Cloning is cheap, so that a fact that could not be read can be kept and told more than once.
#[derive(Clone, Debug)]
pub struct Error {
    inner: Arc<Inner>,
}

#[derive(Clone, Debug)]
struct Inner {
    kind: Kind,
    fault: Option<Fault>,
    message: String,
    location: Option<String>,
    offset_bytes: Option<u64>,
    hint: Option<String>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`. `message` is lower case, without a full stop, and names facts.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let inner = Inner {
            kind,
            fault: (kind == Kind::ExternalReference).then_some(Fault::DependsOnOther),
            message: message.into(),
            location: None,
            offset_bytes: None,
            hint: None,
            source: None,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The image breaks its own format.
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(Kind::Corrupt, message)
    }

    /// A sound image and a limit of kiln's.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(Kind::Unsupported, message)
    }

    fn edit(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.inner));
        self
    }

    /// The byte, counted from the start of the source that was read, where it went wrong.
    #[must_use]
    pub fn at(self, offset_bytes: u64) -> Self {
        self.edit(|inner| inner.offset_bytes = Some(offset_bytes))
    }

    /// The file or URL it happened in. The innermost name wins: an outer caller does not replace it.
    #[must_use]
    pub fn in_location(self, location: impl Into<String>) -> Self {
        self.edit(|inner| {
            inner.location.get_or_insert_with(|| location.into());
        })
    }

    /// What the user can do about it, as a command or a sentence.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        self.edit(|inner| inner.hint = Some(hint.into()))
    }

    /// What the image is refused for.
    #[must_use]
    pub fn fault(self, fault: impl Into<Option<Fault>>) -> Self {
        match fault.into() {
            Some(fault) => self.edit(|inner| inner.fault = Some(fault)),
            None => self,
        }
    }

    /// The image ends too early; tells so, and what to do.
    pub(crate) fn truncated(self) -> Self {
        self.fault(Fault::Truncated)
            .hint("the file is truncated or damaged: copy or download it again")
    }

    /// The error that caused this one.
    #[must_use]
    pub fn caused_by(self, cause: impl StdError + Send + Sync + 'static) -> Self {
        self.edit(|inner| inner.source = Some(Arc::new(cause)))
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> Kind {
        self.inner.kind
    }

    /// What the image is refused for, where that is known.
    pub fn fault_found(&self) -> Option<Fault> {
        self.inner.fault
    }

    /// The hint for the user, if there is one.
    pub fn hint_text(&self) -> Option<&str> {
        self.inner.hint.as_deref()
    }

    /// The file or URL it happened in.
    pub fn location(&self) -> Option<&str> {
        self.inner.location.as_deref()
    }

    /// The byte where it went wrong.
    pub fn offset_bytes(&self) -> Option<u64> {
        self.inner.offset_bytes
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.inner.location {
            write!(f, "{location}: ")?;
        }
        write!(f, "{}", self.inner.message)?;
        match self.inner.offset_bytes {
            Some(offset) => write!(f, " (at byte {offset})"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => Kind::NotFound,
            _ => Kind::Io,
        };
        Self::new(kind, error.to_string())
    }
}
