//! Why a check in the sandbox has no result.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use kiln_disk::Kind;
use serde::{Deserialize, Serialize};

/// Why an image was not converted, as far as a service tells it apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Refusal {
    /// It is no disk in a format that is known: an archive, or a format that kiln does not read.
    UnknownFormat,
    /// It is in another format than the one that was declared.
    FormatMismatch {
        /// The name of the format that it is in.
        found: String,
    },
    /// The fields that tell its size contradict each other: a dynamic VHD whose table
    /// (`MaxTableEntries` times `BlockSize`) does not cover its disk, for one.
    SizeFields,
    /// Its clusters, grains or blocks have a size that kiln does not read.
    UnitSize,
    /// The file ends before what it should hold.
    Truncated,
    /// Its data is encrypted.
    Encrypted,
    /// It has a backing file, is the difference to another image, or names other files.
    DependsOnOther,
    /// The disk is larger than the limit, or than what kiln reads at all.
    TooLarge,
    /// It breaks its own format in another way.
    Corrupt,
    /// It is sound, and uses what kiln does not read.
    Unsupported,
    /// Nothing is wrong with it as far as is known: it could not be read.
    Read,
    /// Nothing is wrong with it as far as is known: the new image could not be written.
    Write,
}

/// Why the child has no result. In every case it is gone when this is returned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The child could not be started.
    #[error("{} could not be started as the sandbox", program.display())]
    Start {
        /// What was to be run.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The child could not give up its rights, and so did not look at the image.
    #[error("the sandbox could not be sealed: {reason}")]
    Seal {
        /// Which step failed, and why.
        reason: String,
    },
    /// The image was looked at in good order, and refused.
    #[error("{message}")]
    Refused {
        /// What a caller can do about it.
        kind: Kind,
        /// What is wrong, and where.
        message: String,
        /// What the user can do about it.
        hint: Option<String>,
    },
    /// The image made the child try what it may not.
    #[error("the sandbox was ended: it made a system call that is not allowed to it")]
    Forbidden {
        /// The start of what the child wrote to its standard error.
        said: String,
    },
    /// The child was ended by a signal that no limit explains.
    #[error("the sandbox crashed by signal {signal}")]
    Crashed {
        /// The number of the signal.
        signal: i32,
        /// The start of what the child wrote to its standard error.
        said: String,
    },
    /// The check needs more memory than it may have.
    #[error("the sandbox needs more memory than its limit of {limit_bytes} bytes of address space")]
    OutOfMemory {
        /// [`crate::Limits::address_space_bytes`].
        limit_bytes: u64,
    },
    /// The check needs more time of a processor than it may have.
    #[error("the sandbox needs more than its limit of {limit_seconds} s of processor time")]
    CpuLimit {
        /// [`crate::Limits::cpu_seconds`].
        limit_seconds: u64,
    },
    /// The check was not done in time.
    #[error("the sandbox was not done within its limit of {} s", limit.as_secs_f64())]
    TimeLimit {
        /// [`crate::Limits::wall`].
        limit: Duration,
    },
    /// The child asked for more, or answered more, than it may.
    #[error("the sandbox exceeds its limit of {limit} {what}")]
    TooMuch {
        /// What there was too much of.
        what: &'static str,
        /// How much there may be.
        limit: u64,
    },
    /// The child ended without an answer.
    #[error("the sandbox ended without an answer{}", code.map(|code| format!(", with exit code {code}")).unwrap_or_default())]
    NoAnswer {
        /// Its exit code; none where it closed the connection and went on.
        code: Option<i32>,
        /// The start of what the child wrote to its standard error.
        said: String,
    },
    /// The image was looked at in good order, and not converted.
    #[error("{message}")]
    NotConverted {
        /// What a service tells apart.
        refusal: Refusal,
        /// What is wrong, and where.
        message: String,
        /// What the user can do about it.
        hint: Option<String>,
    },
    /// A conversion has not come any further for too long.
    #[error("the sandbox has not come any further for {} s", limit.as_secs_f64())]
    Idle {
        /// [`crate::ConvertLimits::idle`].
        limit: Duration,
    },
    /// The caller asked for the work to stop.
    #[error("the work was cancelled")]
    Cancelled,
    /// The child sent what is no message.
    #[error("the sandbox broke the protocol: {reason}")]
    Protocol {
        /// In which way.
        reason: String,
    },
}
