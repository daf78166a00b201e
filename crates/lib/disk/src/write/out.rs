//! The file that is being written: buffered, at any place, and with its failures told.

use std::io::{BufWriter, ErrorKind, Seek, SeekFrom, Write};

use crate::fields::length_u64;
use crate::{Error, Kind, Result};

/// An empty file to write into. What is passed over reads as zeroes and takes no room where the file
/// system can have holes.
pub(super) struct Out<W: Write + Seek> {
    out: BufWriter<W>,
    at: u64,
    end: u64,
}

impl<W: Write + Seek> Out<W> {
    pub(super) fn new(out: W) -> Result<Self> {
        let mut out = BufWriter::with_capacity(1 << 20, out);
        out.seek(SeekFrom::Start(0)).map_err(|error| failed(error, 0))?;
        Ok(Self { out, at: 0, end: 0 })
    }

    /// The length of the file so far.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn put(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        let told = |error| failed(error, at);
        if self.at != at {
            self.out.seek(SeekFrom::Start(at)).map_err(told)?;
        }
        self.out.write_all(bytes).map_err(told)?;
        self.at = at
            .checked_add(length_u64(bytes.len()))
            .ok_or_else(|| Error::unsupported("the file is longer than any can be"))?;
        self.end = self.end.max(self.at);
        Ok(())
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.put(self.end, bytes)
    }

    /// Make the file `length` bytes long where it is shorter.
    pub(super) fn extend_to(&mut self, length: u64) -> Result<()> {
        match length.checked_sub(1) {
            Some(last) if length > self.end => self.put(last, &[0]),
            _ => Ok(()),
        }
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        self.out.flush().map_err(|error| failed(error, self.at))
    }
}

/// The system's own words stay in the message: "No space left on device" is what the user must act on.
pub(super) fn failed(error: std::io::Error, at: u64) -> Error {
    let full = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    let told = Error::new(Kind::Io, format!("cannot write the image: {error}")).at(at);
    let told = if full { told.hint("make room where the image is written") } else { told };
    told.caused_by(error)
}
