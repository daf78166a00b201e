//! Foreign data, read in a child process that can do no harm.
//!
//! A server that checks images reads what strangers upload. The parsers are written for that, and
//! still a fault in one of them, or an image made to swell in memory, must cost one failed check and
//! not the server. So [`check`] starts a child, which seals itself ([`child_main`]) before it has
//! seen a byte of the image: it has no file, no network and no other process, asks the parent for
//! ranges of the image, and has one answer to give. All that it sends is bounded and judged as
//! foreign data, too. [`convert`] has such a child decode an image and write it anew; it may read
//! one file and write one, both opened by the parent, and nothing else.

#![warn(missing_docs)]

mod child;
mod convert;
mod converting;
mod error;
mod parent;
mod passed;
mod remote;
mod seal;
mod serve;
mod wire;

pub use child::{child_main, child_with};
pub use convert::{ConvertLimits, ConvertRequest, Converted, Input, Probed, convert, probe};
pub use error::{Refusal, SandboxError};
pub use parent::{Limits, Report, Request, check};
pub use seal::Landlock;
pub use wire::{Channel, MAX_RANGE_BYTES};

/// The argument that makes a program call [`child_main`]: the first one, and the only one.
pub const CHILD_ARGUMENT: &str = "sandbox-child";
