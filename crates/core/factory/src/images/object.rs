//! An object of a bucket, or a blob of a region, as a source that a blocking thread reads.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Buf as _;
use kiln_disk::{BlockSource, Error, Kind, Source, check_range};
use kiln_sandbox::Input;
use kiln_store::Operator;
use tokio::runtime::Handle;

use super::fault::{Fault, Stop};

/// How often a range is asked for in all.
const N_TRIES: u32 = 5;

/// The wait before the second try; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// Where bytes are: in a file of this machine, which is read at its full speed, or behind an API.
#[derive(Debug)]
pub(super) enum Place {
    /// A regular file.
    File(PathBuf),
    /// An object of so many bytes.
    Object {
        /// Its store.
        operator: Operator,
        /// Its key.
        key: String,
        /// Its size in bytes.
        size: u64,
    },
}

impl Place {
    /// Open it for the sandbox: a file is handed to the child, which reads it itself.
    pub(super) fn input(self) -> Result<Input, Stop> {
        if let Self::File(path) = &self {
            let file = std::fs::File::open(path).map_err(|error| {
                Fault::passing("InvalidOSSObject.Unreadable", format!("the object: {error}"))
            })?;
            return Ok(Input::File(file));
        }
        self.source().map(Input::Source)
    }

    /// Open it. What is returned blocks when it is read, and may be read on blocking threads only.
    pub(super) fn source(self) -> Result<Source, Stop> {
        match self {
            Self::File(path) => {
                let file = kiln_disk::FileSource::open(&path).map_err(|error| {
                    Fault::passing("InvalidOSSObject.Unreadable", error.to_string())
                })?;
                Ok(std::sync::Arc::new(file))
            }
            Self::Object { operator, key, size } => Ok(std::sync::Arc::new(ObjectSource {
                operator,
                key,
                size,
                runtime: Handle::current(),
            })),
        }
    }
}

/// An object behind an API. Reads go as they come: who reads is a converter or a cache, which both
/// ask for large ranges.
#[derive(Debug)]
struct ObjectSource {
    operator: Operator,
    key: String,
    size: u64,
    runtime: Handle,
}

impl ObjectSource {
    /// Read a range, and again where the store says that this may help.
    async fn fetch(
        &self,
        range: Range<u64>,
    ) -> Result<kiln_store::Buffer, kiln_store::ObjectError> {
        let mut wait = FIRST_WAIT;
        for _ in 1..N_TRIES {
            match self.operator.read_with(&self.key).range(range.clone()).await {
                Err(error) if error.is_temporary() => tokio::time::sleep(wait).await,
                ended => return ended,
            }
            wait *= 2;
        }
        self.operator.read_with(&self.key).range(range).await
    }
}

impl BlockSource for ObjectSource {
    fn size_bytes(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> kiln_disk::Result<()> {
        check_range(self.size, offset, buf.len())?;
        let range = offset..offset + buf.len() as u64;
        let mut bytes = self
            .runtime
            .block_on(self.fetch(range))
            .map_err(|error| Error::new(Kind::Io, format!("{}: {error}", self.key)).at(offset))?;
        if bytes.remaining() != buf.len() {
            let told = format!("{} ends before its {} bytes", self.key, self.size);
            return Err(Error::new(Kind::Io, told).at(offset));
        }
        bytes.copy_to_slice(buf);
        Ok(())
    }
}
