//! Ends that nobody wished for: a machine that does not come up, a kiln that is killed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kiln_compute::helper::{HelperError, Session};
use kiln_compute::qemu::WorkDir;

use crate::Host;

/// Set in the process that is going to be killed, and so in its QEMU: the folder to work in.
const VICTIM: &str = "KILN_TEST_HELPER_VICTIM";

/// The processes of this host that run QEMU for the victim of `folder`.
fn machines(folder: &Path) -> Vec<u32> {
    let wanted = format!("{VICTIM}={}", folder.display());
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id: &u32| {
        let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        let name = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
        name.starts_with("qemu-system")
            && environment.split(|&byte| byte == 0).any(|word| word == wanted.as_bytes())
    })
    .collect()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn nothing_is_left_of_a_killed_kiln() {
    if let Some(folder) = std::env::var_os(VICTIM) {
        let host = Host { work: WorkDir::new_in(Path::new(&folder)).unwrap(), ..Host::new() };
        let session = Session::start(host.options(Vec::new(), &[]));
        panic!("the victim lives: {session:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["ends::nothing_is_left_of_a_killed_kiln", "--exact", "--nocapture"]);
    command.env(VICTIM, folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut victim = command.spawn().unwrap();
    wait_until("the victim starts no machine", || !machines(folder.path()).is_empty());
    victim.kill().unwrap();
    victim.wait().unwrap();
    wait_until("the machine lives", || machines(folder.path()).is_empty());
    wait_until("the folder is left", || fs::read_dir(folder.path()).unwrap().count() == 0);
}

#[test]
fn a_machine_that_does_not_come_up_in_time_is_an_error() {
    let host = Host::new();
    let mut options = host.options(Vec::new(), &[]);
    // It connects at once; what takes longer is its kernel.
    options.timeouts.boot = Duration::from_millis(1500);
    let result = Session::start(options);
    // A fast machine may be there by then: its agent must be too late in any case.
    match result.map(|session| session.timings().boot) {
        Ok(boot) => assert!(boot < Duration::from_millis(1500)),
        Err(error) => {
            assert!(matches!(error, HelperError::TimedOut { seconds: 1, .. }), "{error:?}");
            let message = error.to_string();
            assert!(message.contains("took longer than 1 s for its boot"), "{message}");
        }
    }
}
