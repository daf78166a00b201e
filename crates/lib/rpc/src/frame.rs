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
    #[error("a frame of {bytes} bytes is longer than the limit of {limit}")]
    TooLong {
        /// The length announced.
        bytes: u64,
        /// The length that is allowed.
        limit: usize,
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

/// Read a frame of at most [`MAX_FRAME_BYTES`].
///
/// Memory grows with what comes, not with what the length promises.
///
/// # Errors
///
/// [`FrameError::Closed`] where the stream ends before the first byte.
pub fn read(input: &mut impl Read) -> Result<Vec<u8>, FrameError> {
    read_at_most(input, MAX_FRAME_BYTES)
}

fn read_at_most(input: &mut impl Read, limit: usize) -> Result<Vec<u8>, FrameError> {
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
    if need > limit {
        return Err(FrameError::TooLong { bytes: bytes.into(), limit });
    }
    let mut frame = Vec::new();
    input.take(bytes.into()).read_to_end(&mut frame)?;
    if frame.len() < need {
        return Err(FrameError::Truncated { have: frame.len(), need });
    }
    Ok(frame)
}

/// Write a frame of at most [`MAX_FRAME_BYTES`] and flush.
///
/// # Errors
///
/// [`FrameError::TooLong`] before anything is written.
pub fn write(output: &mut impl Write, payload: &[u8]) -> Result<(), FrameError> {
    write_at_most(output, payload, MAX_FRAME_BYTES)
}

fn write_at_most(output: &mut impl Write, payload: &[u8], limit: usize) -> Result<(), FrameError> {
    let too_long = || FrameError::TooLong { bytes: payload.len() as u64, limit };
    if payload.len() > limit {
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
    receive_at_most(input, MAX_FRAME_BYTES)
}

/// Receive a message whose frame has at most `limit` bytes: for a protocol of small messages.
///
/// # Errors
///
/// As [`receive`].
pub fn receive_at_most<T: DeserializeOwned>(
    input: &mut impl Read,
    limit: usize,
) -> Result<T, FrameError> {
    decode(&read_at_most(input, limit)?)
}

/// Send a message.
///
/// # Errors
///
/// As [`write()`].
pub fn send(output: &mut impl Write, message: &impl Serialize) -> Result<(), FrameError> {
    send_at_most(output, message, MAX_FRAME_BYTES)
}

/// Send a message whose frame has at most `limit` bytes.
///
/// # Errors
///
/// As [`send`].
pub fn send_at_most(
    output: &mut impl Write,
    message: &impl Serialize,
    limit: usize,
) -> Result<(), FrameError> {
    let bytes = postcard::to_allocvec(message)
        .map_err(|error| FrameError::Malformed { bytes: 0, reason: error.to_string() })?;
    write_at_most(output, &bytes, limit)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, Call, Event, Failure, GuestPath, Request};

    fn call() -> Call {
        let path = GuestPath::new("/etc/fstab").unwrap();
        Call { id: 7, request: Request::Append { path, expected_size_bytes: 300, size_bytes: 5 } }
    }

    fn sent(message: &impl Serialize) -> Vec<u8> {
        let mut bytes = Vec::new();
        send(&mut bytes, message).unwrap();
        bytes
    }

    /// Snapshots of the wire: a change of these bytes is a new [`crate::PROTOCOL`].
    #[test]
    fn messages_have_these_bytes() {
        let call_bytes = b"\x10\0\0\0\x07\x08\x0A/etc/fstab\xAC\x02\x05";
        assert_eq!(sent(&call()), call_bytes);
        let failure =
            Failure { errno: 28, message: "write".to_owned(), path: Some(GuestPath::root()) };
        let event = Event::Done { id: 1, result: Err(failure) };
        assert_eq!(sent(&event), b"\x0D\0\0\0\x01\x01\x01\x38\x05write\x01\x01/");
        let event = Event::Done { id: 1, result: Ok(Answer::Done) };
        assert_eq!(sent(&event), b"\x04\0\0\0\x01\x01\0\0");
    }

    #[test]
    fn frames_follow_each_other() {
        let mut stream = Vec::new();
        send(&mut stream, &call()).unwrap();
        write(&mut stream, b"").unwrap();
        write(&mut stream, &[7; 5000]).unwrap();
        let mut stream = &stream[..];
        assert_eq!(receive::<Call>(&mut stream).unwrap(), call());
        assert_eq!(read(&mut stream).unwrap(), b"");
        assert_eq!(read(&mut stream).unwrap(), [7; 5000]);
        assert!(matches!(read(&mut stream), Err(FrameError::Closed)));
    }

    /// Cut anywhere, it is an error that says where, and never a message.
    #[test]
    fn a_frame_that_is_cut_off_is_refused() {
        let whole = sent(&call());
        for have in 1..whole.len() {
            let (part, need) = if have < 4 { (have, 4) } else { (have - 4, whole.len() - 4) };
            let expected =
                format!("the connection ended after {part} of the {need} bytes of a frame");
            assert_eq!(receive::<Call>(&mut &whole[..have]).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_in_both_directions() {
        let announced = (MAX_FRAME_BYTES as u32 + 1).to_le_bytes();
        let error = read(&mut &announced[..]).unwrap_err().to_string();
        assert_eq!(error, "a frame of 4194305 bytes is longer than the limit of 4194304");
        let mut output = Vec::new();
        let error = write(&mut output, &vec![0; MAX_FRAME_BYTES + 1]).unwrap_err();
        assert!(
            matches!(error, FrameError::TooLong { bytes: 4_194_305, limit: MAX_FRAME_BYTES }),
            "{error}"
        );
        assert_eq!(output, b"");
    }

    #[test]
    fn garbage_is_no_message() {
        let surplus = [&sent(&call())[4..], b"!"].concat();
        let no_path = [7, 2, 4, b'/', b'a', b'/', b'/'];
        for (garbage, reason) in [
            (&b""[..], "Hit the end of buffer"),
            (&[0xFF; 40], "varint"),
            (&[1, 99], "Serde Deserialization Error"),
            (&surplus, "1 bytes are left over"),
            (&no_path, "Serde Deserialization Error"),
        ] {
            let error = decode::<Call>(garbage).unwrap_err().to_string();
            assert!(error.contains(reason), "{garbage:x?}: {error}");
        }
    }

    /// A list that says it has 2^60 entries does not make its reader reserve them.
    #[test]
    fn a_promise_reserves_no_memory() {
        let promise = [1, 1, 0, 5, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10];
        assert!(matches!(decode::<Event>(&promise), Err(FrameError::Malformed { .. })));
    }
}
