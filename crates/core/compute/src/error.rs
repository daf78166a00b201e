//! Why a machine could not be used. What a guest does wrong is never an error of this kind.

use std::io;
use std::process::ExitStatus;

/// What compute gives, or why it could not.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a machine could not be started, talked to or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program or file of the host that comes in a package.
    #[error("{what} is not installed")]
    Missing {
        /// The program or file.
        what: String,
        /// The command that installs it.
        hint: String,
    },
    /// A system call failed.
    #[error("{what}")]
    Io {
        /// What was being done, with the path.
        what: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A program ended although it should not have, or with a failure.
    #[error("{program} ended with {status}{}", after_colon(.said))]
    Ended {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The start of what it wrote to standard error.
        said: String,
    },
    /// A deadline passed.
    #[error("{what} took longer than {seconds} s")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// For how long.
        seconds: u64,
    },
    /// QEMU's monitor said something that is not its protocol, or refused a command.
    #[error("QEMU's monitor: {0}")]
    Monitor(String),
    /// A limit of kiln's, or of this QEMU.
    #[error("{what}")]
    Unsupported {
        /// What cannot be done.
        what: String,
        /// What can be done instead.
        hint: String,
    },
    /// The image could not be opened.
    #[error(transparent)]
    Image(#[from] kiln_disk::Error),
}

impl Error {
    /// A failed system call, for `map_err`.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what: what.into(), source }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Missing { hint, .. } | Self::Unsupported { hint, .. } => Some(hint),
            Self::Image(error) => error.hint_text(),
            _ => None,
        }
    }
}

fn after_colon(said: &str) -> String {
    match said.trim() {
        "" => String::new(),
        said => format!(": {said}"),
    }
}
