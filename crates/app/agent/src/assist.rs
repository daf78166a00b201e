//! The agent as a service of an instance: its host has programs run through the port, and nothing
//! else. What kiln's own Cloud Assistant is, where the repair `assist` installed it.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kiln_rpc::{Answer, Call, Event, Exec, ExecEnd, Failure, FrameError, Request};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::exec;
use crate::failure::{Context, Result, failure};
use crate::{boot, serve};

/// The argument that makes the agent this.
pub(crate) const NAME: &str = "assist";
/// Between a host that went and the next.
const PAUSE: Duration = Duration::from_secs(1);

/// Serve one host after the other. Returns only where there is no port, and with it no host.
pub(crate) fn run() -> Failure {
    loop {
        let served = match boot::open_port() {
            Ok(mut port) => serve(&mut port),
            Err(failure) => return failure,
        };
        if let Err(failure) = served {
            boot::say(&failure.to_string());
        }
        std::thread::sleep(PAUSE);
    }
}

/// Greet a host, which waits until there is one, and answer it until it goes.
fn serve(port: &mut File) -> Result<()> {
    serve::greet(port)?;
    loop {
        let call: Call = match kiln_rpc::receive(port) {
            Err(FrameError::Closed) => return Ok(()),
            other => other.map_err(serve::lost)?,
        };
        let result = match &call.request {
            Request::Exec(exec) => run_program(exec).map(Answer::Exec),
            _ => Err(failure(Errno::PERM, "in an instance this agent only runs programs")),
        };
        let has_content = call.request.content_bytes() > 0;
        kiln_rpc::send(port, &Event::Done { id: call.id, result }).map_err(serve::lost)?;
        if has_content {
            // What would follow on the port is no call.
            return Err(failure(Errno::PERM, "the host sends content"));
        }
    }
}

fn run_program(exec: &Exec) -> Result<ExecEnd> {
    let (program, arguments) =
        exec.argv.split_first().ok_or_else(|| failure(Errno::INVAL, "no program is named"))?;
    let deadline = Instant::now() + Duration::from_millis(exec.timeout_ms);
    let (output, input) = io::pipe().when("pipe")?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir("/").process_group(0);
    command.env_clear().envs(exec.env.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null());
    command.stdout(input.try_clone().when("pipe")?).stderr(input);
    let child = command.spawn().when(program)?;
    // The command keeps both ends of the pipe that it gave to its child.
    drop(command);
    let group = Pid::from_child(&child);
    // What has left the group is a service of the instance by now.
    exec::watch((child, output), deadline, &|| {
        let _ = kill_process_group(group, Signal::KILL);
    })
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use kiln_rpc::{Greeting, PROTOCOL};

    use super::*;

    /// A host's end of a port with the agent on the other.
    fn host() -> (File, std::thread::JoinHandle<Result<()>>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut port = File::from(OwnedFd::from(theirs));
        let agent = std::thread::spawn(move || serve(&mut port));
        let mut port = File::from(OwnedFd::from(ours));
        let greeting = Greeting::decode(&kiln_rpc::read(&mut port).unwrap()).unwrap();
        assert_eq!(greeting.protocol, PROTOCOL);
        kiln_rpc::write(&mut port, &greeting.encode()).unwrap();
        (port, agent)
    }

    fn answer(port: &mut File, request: Request) -> Result<Answer> {
        kiln_rpc::send(port, &Call { id: 7, request }).unwrap();
        match kiln_rpc::receive(port).unwrap() {
            Event::Done { id: 7, result } => result,
            other => panic!("{other:?}"),
        }
    }

    fn shell(script: &str, timeout_ms: u64) -> Request {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        let env = vec![("WHO".to_owned(), "kiln".to_owned())];
        Request::Exec(Exec { argv, env, timeout_ms })
    }

    #[test]
    fn programs_run_and_nothing_else_is_done() {
        let (mut port, agent) = host();
        let answered = answer(&mut port, shell("echo $WHO; pwd; echo no >&2; exit 3", 10_000));
        let Ok(Answer::Exec(end)) = answered else { panic!("{answered:?}") };
        assert_eq!(end.status, Some(3));
        assert_eq!(String::from_utf8_lossy(&end.output), "kiln\n/\nno\n");
        let refused = answer(&mut port, Request::Disks).unwrap_err();
        assert!(refused.to_string().contains("only runs programs"), "{refused}");
        let missing = Request::Exec(Exec {
            argv: vec!["/no/such".to_owned()],
            env: Vec::new(),
            timeout_ms: 1000,
        });
        assert!(answer(&mut port, missing).unwrap_err().to_string().contains("/no/such"));
        drop(port);
        agent.join().unwrap().unwrap();
    }

    #[test]
    fn a_program_that_takes_too_long_ends_with_all_that_it_started() {
        let (mut port, _agent) = host();
        let start = Instant::now();
        let answered = answer(&mut port, shell("sleep 600 & echo $!; wait", 200));
        let Ok(Answer::Exec(end)) = answered else { panic!("{answered:?}") };
        assert!(end.timed_out && end.status.is_none());
        assert!(start.elapsed() < Duration::from_secs(60));
        let sleeper = String::from_utf8_lossy(&end.output).trim().to_owned();
        let is_running = || {
            let stat = std::fs::read_to_string(format!("/proc/{sleeper}/stat"));
            stat.is_ok_and(|stat| !stat.contains(" Z "))
        };
        while is_running() {
            assert!(start.elapsed() < Duration::from_secs(60), "{sleeper} outlives the program");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
