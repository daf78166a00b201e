//! kiln is killed with SIGKILL: what it started dies, and what it made is removed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kiln_compute::qemu::{Process, WorkDir};

/// Set in the process that is going to be killed: the folder to work in.
const VICTIM: &str = "KILN_TEST_VICTIM_FOLDER";

#[test]
fn nothing_is_left_of_a_killed_kiln() {
    if let Some(folder) = std::env::var_os(VICTIM) {
        return live_until_killed(Path::new(&folder));
    }
    let parent = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["nothing_is_left_of_a_killed_kiln", "--exact", "--nocapture"]);
    command.env(VICTIM, parent.path()).stdout(Stdio::piped());
    let mut victim = command.spawn().unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let id =
        lines.map_while(Result::ok).find_map(|line| line.rsplit_once("child ")?.1.parse().ok());
    let id: u32 = id.expect("the victim tells its child");
    assert!(is_running(id));
    assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 1);

    victim.kill().unwrap();
    victim.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let is_empty = || std::fs::read_dir(parent.path()).unwrap().count() == 0;
    while (is_running(id) || !is_empty()) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
    assert!(!is_running(id), "the child lives");
    assert!(is_empty(), "the folder is left");
}

fn live_until_killed(folder: &Path) {
    let work = WorkDir::new_in(folder).unwrap();
    std::fs::write(work.join("overlay.qcow2"), "x").unwrap();
    let mut command = Command::new("/bin/sleep");
    command.arg("600");
    let process = Process::spawn(command).unwrap();
    #[expect(clippy::print_stdout, reason = "the test that kills this reads it")]
    {
        println!("child {}", process.id());
    }
    thread::sleep(Duration::from_secs(600));
}

fn is_running(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}
