//! Why a check in the sandbox has no result.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use kiln_disk::Kind;

/// Why [`crate::check`] has no result. In every case the child is gone when it is returned.
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
    #[error("the check was ended: it made a system call that is not allowed to it")]
    Forbidden {
        /// The start of what the child wrote to its standard error.
        said: String,
    },
    /// The child was ended by a signal that no limit explains.
    #[error("the check crashed by signal {signal}")]
    Crashed {
        /// The number of the signal.
        signal: i32,
        /// The start of what the child wrote to its standard error.
        said: String,
    },
    /// The check needs more memory than it may have.
    #[error("the check needs more memory than its limit of {limit_bytes} bytes of address space")]
    OutOfMemory {
        /// [`crate::Limits::address_space_bytes`].
        limit_bytes: u64,
    },
    /// The check needs more time of a processor than it may have.
    #[error("the check needs more than its limit of {limit_seconds} s of processor time")]
    CpuLimit {
        /// [`crate::Limits::cpu_seconds`].
        limit_seconds: u64,
    },
    /// The check was not done in time.
    #[error("the check was not done within its limit of {} s", limit.as_secs_f64())]
    TimeLimit {
        /// [`crate::Limits::wall`].
        limit: Duration,
    },
    /// The child asked for more, or answered more, than it may.
    #[error("the check exceeds its limit of {limit} {what}")]
    TooMuch {
        /// What there was too much of.
        what: &'static str,
        /// How much there may be.
        limit: u64,
    },
    /// The child ended without an answer.
    #[error("the check ended without an answer{}", code.map(|code| format!(", with exit code {code}")).unwrap_or_default())]
    NoAnswer {
        /// Its exit code; none where it closed the connection and went on.
        code: Option<i32>,
        /// The start of what the child wrote to its standard error.
        said: String,
    },
    /// The child sent what is no message.
    #[error("the check broke the protocol: {reason}")]
    Protocol {
        /// In which way.
        reason: String,
    },
}
