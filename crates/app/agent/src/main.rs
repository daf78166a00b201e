//! kiln's agent: PID 1 of the helper machine, in which disks of unknown guests are mounted and
//! edited, so that a hostile filesystem meets only this machine's kernel.
//!
//! As a service of an instance, `kiln-agent assist`, it runs what the instance's host asks for.
//!
//! It has no shell, no tools and no network: it loads the modules that its initramfs lists, finds
//! the virtio-serial port named `kiln`, and does what [`kiln_rpc::Request`] lists. When the host
//! goes away it ends the machine. Under emulation every instruction costs twenty times what it
//! costs outside, so it does little, and that with system calls that work on whole files.

mod assist;
mod attributes;
mod boot;
mod content;
mod device_mapper;
mod exec;
mod failure;
mod flags;
mod kernel_log;
mod node;
mod read;
mod remove;
mod serve;
mod volume;
mod write;

use std::process::ExitCode;

/// Every line on the console starts with this, which tells it from the kernel's.
const NAME: &str = "kiln-agent";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        Some(first) if first == exec::CHROOT => {
            let error = exec::replace_by(arguments);
            boot::say(&error.to_string());
            return ExitCode::from(exec::NOT_STARTED);
        }
        Some(first) if first == assist::NAME => {
            boot::say(&assist::run().to_string());
            return ExitCode::FAILURE;
        }
        _ => {}
    }
    if std::process::id() != 1 {
        boot::say(
            "this is the first process of kiln's helper machine; in an instance: kiln-agent assist",
        );
        return ExitCode::FAILURE;
    }
    match boot::up().and_then(serve::run) {
        Ok(()) => boot::down(),
        Err(failure) => {
            boot::say(&failure.to_string());
            boot::down()
        }
    }
}
