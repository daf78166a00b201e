//! Children that the kernel kills when kiln dies, whatever kiln dies of.
//!
//! A guest that outlived a killed kiln would hold memory, a processor and locks on images with
//! nobody to stop it. Only the kernel can end it then: `PR_SET_PDEATHSIG`, which has to be set
//! between fork and exec. QEMU's own `-run-with exit-with-parent` came in version 10.2.
//!
//! The signal comes when the *thread* that forked ends, not the process. So one thread, which never
//! ends, forks for everybody.

#![expect(unsafe_code, reason = "a hook between fork and exec is unsafe by its signature")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};

type Order = (Command, Sender<io::Result<Child>>);

static FORKER: Mutex<Option<Sender<Order>>> = Mutex::new(None);

/// Spawn `command`, to die with this process.
pub(super) fn spawn(mut command: Command) -> io::Result<Child> {
    die_with(getpid(), &mut command);
    let (answer, child) = mpsc::channel();
    forker()?.send((command, answer)).map_err(|_| io::ErrorKind::BrokenPipe)?;
    child.recv().map_err(|_| io::ErrorKind::BrokenPipe)?
}

fn forker() -> io::Result<Sender<Order>> {
    let mut forker = FORKER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(orders) = &*forker {
        return Ok(orders.clone());
    }
    let (orders, received) = mpsc::channel::<Order>();
    thread::Builder::new().name("forker".to_owned()).spawn(move || {
        for (mut command, answer) in received {
            // Whoever ordered has gone: then the child is dropped unkilled, but dies with kiln.
            let _ = answer.send(command.spawn());
        }
    })?;
    *forker = Some(orders.clone());
    Ok(orders)
}

fn die_with(parent: Pid, command: &mut Command) {
    let arm = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // A parent that died before this point sends no signal any more.
        if getppid() == Some(parent) {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(rustix::io::Errno::SRCH.raw_os_error()))
        }
    };
    // SAFETY: between fork and exec only what is async-signal-safe may run. This makes two system
    // calls without libc's state, takes no lock and allocates nothing.
    unsafe { command.pre_exec(arm) };
}
