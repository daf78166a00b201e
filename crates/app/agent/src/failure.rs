//! Failures as the host gets them: the kernel's number, what was tried, the path.

use std::io;

use kiln_rpc::{Failure, GuestPath};
use rustix::io::Errno;

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// A failure of the agent's own judgement.
pub(crate) fn failure(errno: Errno, message: impl Into<String>) -> Failure {
    Failure { errno: errno.raw_os_error(), message: message.into(), path: None }
}

/// Makes a kernel's error a [`Failure`].
pub(crate) trait Context<T> {
    /// `what` was tried with `path`.
    fn at(self, path: &GuestPath, what: &str) -> Result<T>;

    /// `what` was tried, with no path of the guest.
    fn when(self, what: &str) -> Result<T>;
}

impl<T, E: Into<io::Error>> Context<T> for std::result::Result<T, E> {
    fn at(self, path: &GuestPath, what: &str) -> Result<T> {
        self.when(what).map_err(|failure| Failure { path: Some(path.clone()), ..failure })
    }

    fn when(self, what: &str) -> Result<T> {
        self.map_err(|error| {
            let error: io::Error = error.into();
            let errno = error.raw_os_error().unwrap_or(Errno::IO.raw_os_error());
            Failure { errno, message: format!("{what}: {error}"), path: None }
        })
    }
}

/// `message` about `path`.
pub(crate) fn refused(path: &GuestPath, errno: Errno, message: &str) -> Failure {
    Failure { path: Some(path.clone()), ..failure(errno, message) }
}
