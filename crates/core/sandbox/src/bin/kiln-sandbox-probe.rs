//! A child for the tests. `sandbox-child` seals itself and then misbehaves as the location of the
//! job says; `open NAME` misbehaves unsealed, to show that the misdeed is one.

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::net::UdpSocket;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use kiln_sandbox::{CHILD_ARGUMENT, Channel, child_with};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [CHILD_ARGUMENT] => child_with(misbehave),
        ["open", name] => {
            misbehave(name, Channel::default());
            ExitCode::from(9)
        }
        _ => ExitCode::from(2),
    }
}

/// Return where there is nothing to do, exit with 7 where the misdeed was done.
fn misbehave(name: &str, mut channel: Channel) -> Channel {
    // Tells the end by the misdeed from one on the way to it; there is nobody to tell of a failure.
    let _ = writeln!(std::io::stderr(), "trying: {name}");
    let done = match name {
        "fork" => process::fork(),
        "exec" => process::exec(),
        "socket" => UdpSocket::bind("127.0.0.1:0").is_ok(),
        "file" => File::open("/etc/passwd").is_ok(),
        "executable memory" => process::executable_memory(),
        "signal" => process::signal(),
        "memory" => {
            let memory = vec![1_u8; 2 << 30];
            black_box(&memory).len() == 2 << 30
        }
        "loop" => loop {
            black_box(0);
        },
        "sleep" => {
            thread::sleep(Duration::from_secs(3600));
            true
        }
        "abort" => std::process::abort(),
        "panic" => panic!("as told"),
        // Postcard: message 4 (Done), and a length of 0xFFFF_FFFF.
        "huge answer" => channel.write_all(&[6, 0, 0, 0, 4, 255, 255, 255, 255, 15]).is_ok(),
        // Message 2 (Range): offset 0, 2 MiB.
        "huge range" => channel.write_all(&[6, 0, 0, 0, 2, 0, 128, 128, 128, 1]).is_ok(),
        "garbage" => channel.write_all(&[255; 64]).is_ok(),
        "read the output" => process::read(4),
        "write the input" => process::write(3),
        "grow the input" => process::truncate(3),
        "close" => true,
        _ => return channel,
    };
    if name.starts_with("huge") || name == "garbage" {
        thread::sleep(Duration::from_secs(3600));
    }
    std::process::exit(if done { 7 } else { 8 })
}

#[allow(unsafe_code)]
mod process {
    pub(crate) fn fork() -> bool {
        // SAFETY: the process has one thread; the new one does nothing but end.
        match unsafe { libc::fork() } {
            // SAFETY: as above.
            0 => unsafe { libc::_exit(0) },
            pid => pid > 0,
        }
    }

    /// Ends with 7 by the shell.
    pub(crate) fn exec() -> bool {
        let arguments = [c"sh".as_ptr(), c"-c".as_ptr(), c"exit 7".as_ptr(), std::ptr::null()];
        // SAFETY: the list and its strings end with NUL and live as long as the process.
        unsafe { libc::execv(c"/bin/sh".as_ptr(), arguments.as_ptr()) };
        false
    }

    pub(crate) fn executable_memory() -> bool {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let rights = libc::PROT_READ | libc::PROT_EXEC;
        // SAFETY: new memory at an address of the kernel's choice, never used.
        let memory = unsafe { libc::mmap(std::ptr::null_mut(), 4096, rights, flags, -1, 0) };
        memory != libc::MAP_FAILED
    }

    pub(crate) fn read(file: i32) -> bool {
        let mut byte = [0_u8; 1];
        // SAFETY: the buffer has the one byte that is read.
        unsafe { libc::pread(file, byte.as_mut_ptr().cast(), 1, 0) >= 0 }
    }

    pub(crate) fn write(file: i32) -> bool {
        // SAFETY: the buffer has the one byte that is written.
        unsafe { libc::write(file, [1_u8].as_ptr().cast(), 1) >= 0 }
    }

    pub(crate) fn truncate(file: i32) -> bool {
        // SAFETY: no memory is involved.
        unsafe { libc::ftruncate(file, 1 << 20) == 0 }
    }

    pub(crate) fn signal() -> bool {
        // SAFETY: signal 0 is none; no memory is involved.
        unsafe { libc::kill(libc::getpid(), 0) == 0 }
    }
}
