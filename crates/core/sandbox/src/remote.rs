//! The image as the child sees it: every range is asked of the parent.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kiln_disk::{BlockSource, Extent, ExtentKind, Result, check_range};
use serde::Serialize;

use crate::wire::{self, Answer, Ask, Channel, MAX_RANGE_BYTES};

/// The child's end of the connection, for all its threads.
#[derive(Debug)]
pub(crate) struct Line {
    channel: Mutex<Channel>,
}

impl Line {
    pub(crate) fn new(channel: Channel) -> Arc<Self> {
        Arc::new(Self { channel: Mutex::new(channel) })
    }

    /// Say something that has no answer.
    pub(crate) fn tell(&self, message: &impl Serialize) -> io::Result<()> {
        wire::send(&mut *self.lock(), message)
    }

    /// Held from a question to the end of its answer.
    fn lock(&self) -> MutexGuard<'_, Channel> {
        self.channel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A source whose bytes the parent has.
#[derive(Debug)]
pub(crate) struct RemoteSource {
    size_bytes: u64,
    line: Arc<Line>,
}

impl RemoteSource {
    pub(crate) fn new(size_bytes: u64, line: Arc<Line>) -> Self {
        Self { size_bytes, line }
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
        check_range(self.size_bytes, offset, buf.len())?;
        let mut at = offset;
        for piece in buf.chunks_mut(MAX_RANGE_BYTES) {
            let mut channel = self.line.lock();
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
        check_range(self.size_bytes, offset, 1)?;
        match ask(&mut self.line.lock(), &Ask::Extent { offset })? {
            Answer::Extent { length_bytes, is_zero } => {
                let kind = if is_zero { ExtentKind::Zero } else { ExtentKind::Data };
                Ok(Extent { length_bytes, kind })
            }
            other => Err(wire::failed(other)),
        }
    }
}
