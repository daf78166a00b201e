//! Bringing to the disk what another thread writes, while it writes.

use std::fs::File;
use std::io;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// How often. Each time costs little where little is new.
const INTERVAL: Duration = Duration::from_millis(100);

/// Run `work`, which writes `file`, and have what it wrote on the disk when this returns.
///
/// The disk works while `work` computes, where a sync at the end would wait for all that was written.
///
/// # Errors
///
/// What a sync failed with: the system tells a failure once, so no later sync may be relied on. What
/// `work` gave is lost then.
pub fn write_behind<T>(file: &File, work: impl FnOnce() -> T) -> io::Result<T> {
    thread::scope(|scope| {
        let (ended, is_ended) = channel::<()>();
        let syncing = thread::Builder::new().spawn_scoped(scope, move || {
            while let Err(RecvTimeoutError::Timeout) = is_ended.recv_timeout(INTERVAL) {
                file.sync_data()?;
            }
            file.sync_all()
        })?;
        let made = work();
        drop(ended);
        let synced = syncing.join();
        synced.map_err(|_| io::Error::other("the thread that syncs stopped"))??;
        Ok(made)
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};

    use super::*;

    #[test]
    fn what_was_made_is_given_and_a_failure_is_told() {
        let mut file = tempfile::tempfile().unwrap();
        let made = write_behind(&file, || (&file).write_all(b"disk").map(|()| 4)).unwrap();
        assert_eq!(made.unwrap(), 4);
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "disk");
        // A socket is no file: there is nothing that could be synced.
        let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let file = File::from(std::os::fd::OwnedFd::from(socket));
        let error = write_behind(&file, || ()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
    }
}
