//! Content that follows a call, frame by frame.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

use kiln_rpc::{CHUNK_BYTES, GuestPath};
use rustix::io::Errno;

use crate::failure::{Context, Result, failure};

/// What is still to come of the content of a call.
pub(crate) struct Content<'a> {
    port: &'a mut File,
    left_bytes: u64,
}

impl<'a> Content<'a> {
    pub(crate) fn new(port: &'a mut File, size_bytes: u64) -> Self {
        Self { port, left_bytes: size_bytes }
    }

    /// The next chunk. `None`: that was all.
    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        if self.left_bytes == 0 {
            return Ok(None);
        }
        let chunk = kiln_rpc::read(self.port).map_err(|error| {
            self.left_bytes = 0;
            failure(Errno::IO, format!("content: {error}"))
        })?;
        let n = chunk.len() as u64;
        if chunk.is_empty() || chunk.len() > CHUNK_BYTES || n > self.left_bytes {
            self.left_bytes = 0;
            return Err(failure(Errno::CANCELED, "the content ended before its size"));
        }
        self.left_bytes -= n;
        Ok(Some(chunk))
    }

    /// Write all of it to `file`, from its position on.
    pub(crate) fn write_to(&mut self, file: &OwnedFd, path: &GuestPath) -> Result<()> {
        let mut file = File::from(file.try_clone().at(path, "duplicate")?);
        while let Some(chunk) = self.next()? {
            file.write_all(&chunk).at(path, "write")?;
        }
        Ok(())
    }

    /// Pass over what was not wanted, so that the next frame is a call again.
    pub(crate) fn drain(mut self) {
        while let Ok(Some(_)) = self.next() {}
    }
}
