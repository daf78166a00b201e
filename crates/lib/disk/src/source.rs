//! The trait every layer reads through, and the two sources that need no file.

use std::fmt;
use std::sync::Arc;

use crate::{Error, Kind, Result};

/// A shared block source. Layers (a format over a file, a partition over a format) hold one.
pub type Source = Arc<dyn BlockSource>;

/// A read-only run of bytes of fixed size.
pub trait BlockSource: fmt::Debug + Send + Sync {
    /// The size as the reader sees it, in bytes.
    fn size_bytes(&self) -> u64;

    /// Fill `buf` with the bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// [`Kind::OutOfRange`] where the range does not lie inside the source; otherwise what the
    /// format or the file below has to say.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()>;

    /// The extent that holds `offset` and how far it reaches: data, or bytes known to be zero
    /// without reading them. Sources that do not know say "data, to the end".
    ///
    /// # Errors
    ///
    /// [`Kind::OutOfRange`] where `offset` is not inside the source.
    fn extent_at(&self, offset: u64) -> Result<Extent> {
        check_range(self.size_bytes(), offset, 1)?;
        Ok(Extent { length_bytes: self.size_bytes() - offset, kind: ExtentKind::Data })
    }
}

/// A run of bytes of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// From the offset that was asked for to the end of the run; never 0.
    pub length_bytes: u64,
    /// What the run holds.
    pub kind: ExtentKind,
}

/// What an extent holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtentKind {
    /// Bytes that must be read to be known.
    Data,
    /// Zeroes, whatever the file underneath holds.
    Zero,
}

/// Refuse a range that does not lie inside `size_bytes`: what a [`BlockSource`] asks first.
///
/// # Errors
///
/// [`Kind::OutOfRange`] at `offset`.
pub fn check_range(size_bytes: u64, offset: u64, length: usize) -> Result<()> {
    let end = offset.checked_add(length as u64);
    match end {
        Some(end) if end <= size_bytes => Ok(()),
        _ => Err(Error::new(
            Kind::OutOfRange,
            format!("a read of {length} bytes ends outside the {size_bytes} bytes there are"),
        )
        .at(offset)),
    }
}

/// Bytes in memory as a block source: small images, and tests.
#[derive(Clone)]
pub struct MemSource(pub Arc<[u8]>);

impl MemSource {
    /// A shared source over `bytes`.
    pub fn shared(bytes: impl Into<Arc<[u8]>>) -> Source {
        Arc::new(Self(bytes.into()))
    }
}

impl fmt::Debug for MemSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemSource({} bytes)", self.0.len())
    }
}

impl BlockSource for MemSource {
    fn size_bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        check_range(self.size_bytes(), offset, buf.len())?;
        let start = usize::try_from(offset).map_err(|_| Error::corrupt("offset beyond memory"))?;
        buf.copy_from_slice(&self.0[start..start + buf.len()]);
        Ok(())
    }
}

/// A part of another source, for example a partition.
#[derive(Clone, Debug)]
pub struct Window {
    inner: Source,
    start_bytes: u64,
    size_bytes: u64,
}

impl Window {
    /// The `size_bytes` of `inner` that begin at `start_bytes`.
    ///
    /// # Errors
    ///
    /// [`Kind::OutOfRange`] where that is not inside `inner`.
    pub fn new(inner: Source, start_bytes: u64, size_bytes: u64) -> Result<Self> {
        match start_bytes.checked_add(size_bytes) {
            Some(end) if end <= inner.size_bytes() => Ok(Self { inner, start_bytes, size_bytes }),
            _ => Err(Error::new(
                Kind::OutOfRange,
                format!(
                    "a range of {size_bytes} bytes does not lie inside the {} bytes there are",
                    inner.size_bytes()
                ),
            )
            .at(start_bytes)),
        }
    }
}

impl BlockSource for Window {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        check_range(self.size_bytes, offset, buf.len())?;
        self.inner.read_at(self.start_bytes + offset, buf)
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        check_range(self.size_bytes, offset, 1)?;
        let extent = self.inner.extent_at(self.start_bytes + offset)?;
        let length_bytes = extent.length_bytes.min(self.size_bytes - offset);
        Ok(Extent { length_bytes, ..extent })
    }
}
