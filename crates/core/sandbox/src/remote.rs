//! The image as the child sees it: every range is asked of the parent.

use std::io::{self, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kiln_disk::{BlockSource, Error, Extent, ExtentKind, Kind, Result};

use crate::wire::{self, Answer, Ask, Channel, MAX_RANGE_BYTES};

/// A source whose bytes the parent has.
#[derive(Debug)]
pub(crate) struct RemoteSource {
    size_bytes: u64,
    channel: Mutex<Channel>,
}

impl RemoteSource {
    pub(crate) fn new(size_bytes: u64, channel: Channel) -> Self {
        Self { size_bytes, channel: Mutex::new(channel) }
    }

    /// Held from a question to the end of its answer.
    fn lock(&self) -> MutexGuard<'_, Channel> {
        self.channel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, offset: u64, length: u64) -> Result<()> {
        if offset.checked_add(length).is_some_and(|end| end <= self.size_bytes) {
            return Ok(());
        }
        let message = format!("{length} bytes reach beyond the end at {}", self.size_bytes);
        Err(Error::new(Kind::OutOfRange, message).at(offset))
    }
}

fn ask(channel: &mut Channel, ask: &Ask) -> io::Result<Answer> {
    wire::send(channel, ask)?;
    wire::receive(channel)
}

impl BlockSource for RemoteSource {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.check(offset, buf.len() as u64)?;
        let mut at = offset;
        for piece in buf.chunks_mut(MAX_RANGE_BYTES) {
            let mut channel = self.lock();
            let length = piece.len() as u32; // at most MAX_RANGE_BYTES
            match ask(&mut channel, &Ask::Range { offset: at, length })? {
                Answer::Range => channel.read_exact(piece)?,
                other => return Err(wire::failed(other)),
            }
            at += u64::from(length);
        }
        Ok(())
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        self.check(offset, 1)?;
        match ask(&mut self.lock(), &Ask::Extent { offset })? {
            Answer::Extent { length_bytes, is_zero } => {
                let kind = if is_zero { ExtentKind::Zero } else { ExtentKind::Data };
                Ok(Extent { length_bytes, kind })
            }
            other => Err(wire::failed(other)),
        }
    }
}
