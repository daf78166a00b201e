//! What parent and child say to each other: messages of at most [`MAX_FRAME_BYTES`] in the frames that
//! kiln and its agent use, too. The bytes of ranges and of the answer follow
//! their frame as they are, so that no length in a message makes anybody allocate.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use kiln_disk::{Error, Kind};
use kiln_rpc::FrameError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Refusal;
use crate::seal::Landlock;

/// The longest range that the child may ask for at once, in bytes.
pub const MAX_RANGE_BYTES: usize = 1 << 20;

/// The longest message.
const MAX_FRAME_BYTES: usize = 64 << 10;

/// The longest text inside a message, in bytes.
pub(crate) const MAX_TEXT_BYTES: usize = 4 << 10;

/// The parent's first message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Job {
    Check(CheckJob),
    Convert(ConvertJob),
}

/// An image to convert, or only to look at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ConvertJob {
    pub(crate) location: String,
    /// The size of a source that is asked for range by range; none where its descriptor follows.
    pub(crate) size_bytes: Option<u64>,
    pub(crate) expected_format: Option<String>,
    pub(crate) virtual_size_bytes: u64,
    /// How to write into the descriptor that follows; none where nothing is to be written.
    pub(crate) write: Option<WriteJob>,
    pub(crate) address_space_bytes: u64,
    pub(crate) cpu_seconds: u64,
}

/// How to write.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct WriteJob {
    pub(crate) zstd_level: i32,
    pub(crate) threads: u32,
    pub(crate) output_bytes: u64,
}

/// The answer to a [`ConvertJob`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ConvertAnswer {
    pub(crate) format: String,
    pub(crate) variant: String,
    pub(crate) virtual_size_bytes: u64,
    pub(crate) notes: Vec<String>,
    /// Size of the file and bytes of the disk that it has clusters for.
    pub(crate) written: Option<(u64, u64)>,
}

/// An image to check.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CheckJob {
    pub(crate) location: String,
    pub(crate) size_bytes: u64,
    pub(crate) platform: Option<String>,
    pub(crate) boot_mode: Option<String>,
    pub(crate) architecture: Option<String>,
    pub(crate) nvme: bool,
    /// Names of items; all standard ones where empty.
    pub(crate) items: Vec<String>,
    pub(crate) address_space_bytes: u64,
    pub(crate) cpu_seconds: u64,
}

/// From the child.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Ask {
    /// The rights are given up; first of all messages.
    Sealed(Landlock),
    /// The rights could not be given up; the last message.
    NotSealed(String),
    Range {
        offset: u64,
        length: u32,
    },
    Extent {
        offset: u64,
    },
    /// The last message; so many bytes of JSON follow.
    Done {
        length: u32,
    },
    /// The last message.
    Refused {
        kind: u8,
        message: String,
        hint: Option<String>,
    },
    /// Of the disk, in bytes.
    Progress {
        done: u64,
        total: u64,
    },
    /// The last message.
    NotConverted {
        refusal: Refusal,
        message: String,
        hint: Option<String>,
    },
}

/// From the parent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// The bytes of the range follow.
    Range,
    Extent {
        length_bytes: u64,
        is_zero: bool,
    },
    Failed {
        kind: u8,
        message: String,
    },
}

const KINDS: [Kind; 8] = [
    Kind::Io,
    Kind::OtherFormat,
    Kind::Unsupported,
    Kind::Corrupt,
    Kind::ExternalReference,
    Kind::OutOfRange,
    Kind::NotFound,
    Kind::Cancelled,
];

pub(crate) fn kind_code(kind: Kind) -> u8 {
    KINDS.iter().position(|known| *known == kind).unwrap_or(0) as u8
}

pub(crate) fn kind_of(code: u8) -> Kind {
    KINDS.get(usize::from(code)).copied().unwrap_or(Kind::Io)
}

/// `text`, cut to what a message may hold.
pub(crate) fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_TEXT_BYTES)].to_owned()
}

pub(crate) fn send(out: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    kiln_rpc::send_at_most(out, message, MAX_FRAME_BYTES).map_err(told)
}

/// `UnexpectedEof` where the other side is gone, `InvalidData` where it breaks the protocol.
pub(crate) fn receive<T: DeserializeOwned>(input: &mut impl Read) -> io::Result<T> {
    kiln_rpc::receive_at_most(input, MAX_FRAME_BYTES).map_err(told)
}

fn told(error: FrameError) -> io::Error {
    let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
    match error {
        FrameError::Io(error) => error,
        FrameError::Closed | FrameError::Truncated { .. } => io::ErrorKind::UnexpectedEof.into(),
        FrameError::TooLong { bytes, limit } => {
            invalid(format!("a message of {bytes} bytes exceeds {limit}"))
        }
        other => invalid(other.to_string()),
    }
}

/// The child's end: standard input and standard output, by their numbers, because the sealed child
/// may read and write no others.
#[derive(Debug, Default)]
pub struct Channel(());

impl Read for Channel {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(io::stdin().as_fd(), buf)?)
    }
}

impl Write for Channel {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(io::stdout().as_fd(), buf)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the parent said instead of what was asked for.
pub(crate) fn failed(answer: Answer) -> Error {
    match answer {
        Answer::Failed { kind, message } => Error::new(kind_of(kind), message),
        other => Error::new(Kind::Io, format!("the parent answered {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent() -> Vec<u8> {
        let mut bytes = Vec::new();
        send(&mut bytes, &Ask::Range { offset: 7, length: 9 }).unwrap();
        bytes
    }

    #[test]
    fn a_message_comes_back() {
        let message: Ask = receive(&mut &sent()[..]).unwrap();
        assert!(matches!(message, Ask::Range { offset: 7, length: 9 }));
    }

    #[test]
    fn a_spoiled_frame_is_refused() {
        let kind = |bytes: &[u8]| receive::<Ask>(&mut &bytes[..]).unwrap_err().kind();
        let mut long = sent();
        long[0] += 1;
        long.push(0);
        assert_eq!(kind(&long), io::ErrorKind::InvalidData); // a byte too many
        assert_eq!(kind(&[0xff; 64]), io::ErrorKind::InvalidData); // 4 GiB
        assert_eq!(kind(&[1, 0, 0, 0, 99]), io::ErrorKind::InvalidData); // no such message
        for end in 0..sent().len() {
            assert_eq!(kind(&sent()[..end]), io::ErrorKind::UnexpectedEof, "{end}");
        }
    }

    #[test]
    fn kinds_come_back_and_unknown_ones_are_io() {
        for kind in KINDS {
            assert_eq!(kind_of(kind_code(kind)), kind);
        }
        assert_eq!(kind_of(200), Kind::Io);
    }

    #[test]
    fn text_is_cut_between_characters() {
        let text = "ä".repeat(MAX_TEXT_BYTES);
        assert_eq!(cut(&format!("x{text}")).len(), MAX_TEXT_BYTES - 1);
        assert_eq!(cut("short"), "short");
    }
}
