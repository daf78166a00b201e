//! Ranges of an image, served to a child within limits.

use std::io::Write;

use kiln_disk::{Error, ExtentKind, Kind, Source};

use crate::SandboxError;
use crate::parent::{End, known};
use crate::wire::{self, Answer, MAX_RANGE_BYTES, cut, kind_code};

/// What a child may ask for, and what it has asked for.
#[derive(Debug)]
pub(crate) struct Served<'a> {
    pub(crate) source: &'a Source,
    pub(crate) ranges_max: u64,
    pub(crate) bytes_max: u64,
    pub(crate) ranges: u64,
    pub(crate) bytes: u64,
    /// What the source last failed with.
    pub(crate) failure: Option<Error>,
}

impl<'a> Served<'a> {
    pub(crate) fn new(source: &'a Source, ranges_max: u64, bytes_max: u64) -> Self {
        Self { source, ranges_max, bytes_max, ranges: 0, bytes: 0, failure: None }
    }

    fn count(&mut self, bytes: u64) -> Result<(), End> {
        self.ranges = self.ranges.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.ranges > self.ranges_max {
            return known(SandboxError::TooMuch { what: "reads", limit: self.ranges_max });
        }
        if self.bytes > self.bytes_max {
            return known(SandboxError::TooMuch { what: "bytes read", limit: self.bytes_max });
        }
        Ok(())
    }

    pub(crate) fn range(
        &mut self,
        stream: &mut impl Write,
        offset: u64,
        length: u32,
    ) -> Result<(), End> {
        if length as usize > MAX_RANGE_BYTES {
            let limit = MAX_RANGE_BYTES as u64;
            return known(SandboxError::TooMuch { what: "bytes in a read", limit });
        }
        self.count(u64::from(length))?;
        let mut bytes = vec![0; length as usize];
        match self.source.read_at(offset, &mut bytes) {
            Ok(()) => {
                wire::send(stream, &Answer::Range)?;
                stream.write_all(&bytes)?;
            }
            Err(error) => self.failed(stream, error)?,
        }
        Ok(())
    }

    pub(crate) fn extent(&mut self, stream: &mut impl Write, offset: u64) -> Result<(), End> {
        self.count(0)?;
        match self.source.extent_at(offset) {
            Ok(extent) => wire::send(
                stream,
                &Answer::Extent {
                    length_bytes: extent.length_bytes,
                    is_zero: extent.kind == ExtentKind::Zero,
                },
            )?,
            Err(error) => self.failed(stream, error)?,
        }
        Ok(())
    }

    fn failed(&mut self, stream: &mut impl Write, error: Error) -> Result<(), End> {
        // A cause has names of the server's own in it, which the child has no use for.
        let message = match error.kind() {
            Kind::Io | Kind::NotFound => "the source could not be read".to_owned(),
            _ => cut(&error.to_string()),
        };
        wire::send(stream, &Answer::Failed { kind: kind_code(error.kind()), message })?;
        if matches!(error.kind(), Kind::Io | Kind::NotFound) {
            self.failure = Some(error);
        }
        Ok(())
    }
}
