//! How many bytes an image really costs: a wrapper at the very bottom that counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::fields::length_u64;
use crate::{BlockSource, Extent, Result, Source};

/// Bytes read so far, shared by all files of one image.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Bytes read from the files of the image since it was opened.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Count bytes that came from elsewhere than a watched source: a server.
    #[cfg(any(feature = "http", feature = "object"))]
    pub(crate) fn add(&self, n_bytes: usize) {
        self.0.fetch_add(length_u64(n_bytes), Ordering::Relaxed);
    }

    /// `inner`, with its reads counted here.
    pub(crate) fn watch(&self, inner: Source) -> Source {
        Arc::new(Counted { inner, counter: self.clone() })
    }
}

#[derive(Debug)]
struct Counted {
    inner: Source,
    counter: Counter,
}

impl BlockSource for Counted {
    fn size_bytes(&self) -> u64 {
        self.inner.size_bytes()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.inner.read_at(offset, buf)?;
        self.counter.0.fetch_add(length_u64(buf.len()), Ordering::Relaxed);
        Ok(())
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        self.inner.extent_at(offset)
    }
}
