//! A machine that is killed in the middle of its work, and the next one, which replays the logs.

use kiln_compute::helper::{Attributes, HelperError, Session};
use rustix::process::{Pid, Signal, kill_process};

use crate::disks::Disks;

const FILES: [&str; 4] = ["/after", "/xfs/after", "/btrfs/after", "/lv/after"];

fn new_file() -> Attributes {
    Attributes::New { mode: 0o644, uid: 0, gid: 0, xattrs: Vec::new() }
}

/// Put a file on each filesystem, then let QEMU die.
pub(crate) fn write_and_be_killed(session: &mut Session, disks: &Disks) {
    disks.mount(session);
    for path in FILES {
        session.put(path, &b"written before the end\n"[..], 23, new_file()).unwrap();
    }
    let qemu = Pid::from_raw(session.process_id().try_into().unwrap()).unwrap();
    kill_process(qemu, Signal::KILL).unwrap();
    let error = session.put("/late", &b"x"[..], 1, new_file()).unwrap_err();
    assert!(matches!(error, HelperError::Died { .. }), "{error:?}");
    let expected = "the helper machine ended during writing /late";
    assert!(error.to_string().starts_with(expected), "{error}");
}

/// The logs are dirty, since nothing was unmounted; what was written is there.
pub(crate) fn mount_again(session: &mut Session, disks: &Disks) {
    disks.mount(session);
    for path in FILES {
        let content = session.read_all(path, 100).unwrap();
        assert_eq!(content, b"written before the end\n", "{path}");
    }
    assert_eq!(session.stat("/late").unwrap(), None);
}
