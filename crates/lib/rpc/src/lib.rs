//! What kiln and its agent say to each other, over any pair of byte streams.
//!
//! The agent runs in a machine that works on hostile disks, so each side takes the other for an
//! enemy: every length is bounded, every path is checked when it is decoded ([`GuestPath`]), and
//! nothing that arrives can make the receiver panic or reserve more than [`MAX_FRAME_BYTES`].
//!
//! A conversation: each side sends its [`Greeting`] first, whose form never changes. Then the host
//! sends a [`Call`] at a time; the agent may send [`Event::Progress`] and ends with
//! [`Event::Done`]. File content that goes with a call ([`Request::content_bytes`]) follows it in
//! frames of its own, unencoded, because every byte that passes a decoder in an emulated machine
//! costs twenty times what it costs here.
//!
//! Nothing here opens a file or a socket.

mod frame;
mod greeting;
mod message;
mod path;

pub use frame::{
    FrameError, MAX_FRAME_BYTES, read, receive, receive_at_most, send, send_at_most, write,
};
pub use greeting::{Greeting, PROTOCOL};
pub use message::{
    Answer, Attributes, AttributesChange, CHUNK_BYTES, Call, Disk, Edited, Entry, Event, Exec,
    ExecEnd, Failure, FileKind, Mount, Part, Partition, Request, Segment, Space, Stat, Stripe,
    Volume, Xattr,
};
pub use path::{GuestPath, PathError};
