//! Frames: a length of 4 bytes, little endian, and that many bytes.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest frame. A chunk of content ([`crate::CHUNK_BYTES`]) fits four times; the longest
/// message is a list of directory entries, which the agent bounds itself.
pub const MAX_FRAME_BYTES: usize = 4 << 20;

/// Why a frame could not be received or sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The other side closed between two frames.
    #[error("the other side has closed the connection")]
    Closed,
    /// The stream ended in a frame.
    #[error("the connection ended after {have} of the {need} bytes of a frame")]
    Truncated {
        /// Bytes that came.
        have: usize,
        /// Bytes that the frame has, or 4 where its length did not come.
        need: usize,
    },
    /// Longer than any frame may be.
    #[error("a frame of {bytes} bytes is longer than the limit of {MAX_FRAME_BYTES}")]
    TooLong {
        /// The length announced.
        bytes: u64,
    },
    /// The bytes are no message of this protocol.
    #[error("a frame of {bytes} bytes is no message: {reason}")]
    Malformed {
        /// Length of the frame.
        bytes: usize,
        /// What the decoder says.
        reason: String,
    },
    /// The stream failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
}

/// Read a frame.
///
/// Memory grows with what comes, not with what the length promises.
///
/// # Errors
///
/// [`FrameError::Closed`] where the stream ends before the first byte.
pub fn read(input: &mut impl Read) -> Result<Vec<u8>, FrameError> {
    let mut length = Vec::with_capacity(4);
    input.by_ref().take(4).read_to_end(&mut length)?;
    let Ok(length) = <[u8; 4]>::try_from(&length[..]) else {
        return Err(match length.len() {
            0 => FrameError::Closed,
            have => FrameError::Truncated { have, need: 4 },
        });
    };
    let bytes = u32::from_le_bytes(length);
    let need = usize::try_from(bytes).unwrap_or(usize::MAX);
    if need > MAX_FRAME_BYTES {
        return Err(FrameError::TooLong { bytes: bytes.into() });
    }
    let mut frame = Vec::new();
    input.take(bytes.into()).read_to_end(&mut frame)?;
    if frame.len() < need {
        return Err(FrameError::Truncated { have: frame.len(), need });
    }
    Ok(frame)
}

/// Write a frame and flush.
///
/// # Errors
///
/// [`FrameError::TooLong`] before anything is written.
pub fn write(output: &mut impl Write, payload: &[u8]) -> Result<(), FrameError> {
    let too_long = || FrameError::TooLong { bytes: payload.len() as u64 };
    if payload.len() > MAX_FRAME_BYTES {
        return Err(too_long());
    }
    let length = u32::try_from(payload.len()).map_err(|_| too_long())?;
    // One write for what is short: each is an exit of the virtual machine.
    if payload.len() <= 4096 {
        let mut whole = Vec::with_capacity(payload.len() + 4);
        whole.extend(length.to_le_bytes());
        whole.extend(payload);
        output.write_all(&whole)?;
    } else {
        output.write_all(&length.to_le_bytes())?;
        output.write_all(payload)?;
    }
    Ok(output.flush()?)
}

/// Receive a message.
///
/// # Errors
///
/// As [`read`]; [`FrameError::Malformed`] where the frame is no `T`, or has bytes left behind it.
pub fn receive<T: DeserializeOwned>(input: &mut impl Read) -> Result<T, FrameError> {
    decode(&read(input)?)
}

/// Send a message.
///
/// # Errors
///
/// As [`write`].
pub fn send(output: &mut impl Write, message: &impl Serialize) -> Result<(), FrameError> {
    let bytes = postcard::to_allocvec(message)
        .map_err(|error| FrameError::Malformed { bytes: 0, reason: error.to_string() })?;
    write(output, &bytes)
}

fn decode<T: DeserializeOwned>(frame: &[u8]) -> Result<T, FrameError> {
    let malformed = |reason: &dyn ToString| FrameError::Malformed {
        bytes: frame.len(),
        reason: reason.to_string(),
    };
    let (message, rest) = postcard::take_from_bytes(frame).map_err(|error| malformed(&error))?;
    if !rest.is_empty() {
        return Err(malformed(&format!("{} bytes are left over", rest.len())));
    }
    Ok(message)
}
