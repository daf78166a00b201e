//! The helper machine, for real: QEMU, a kernel of the host, the agent, and disks with every
//! filesystem. What it did is judged by the host's own tools and by mounting on the host.
//!
//! Needs root (loop mounts), QEMU, a kernel in /boot and the mkfs tools, all of which
//! `cargo xtask test` installs. Where one is missing these tests fail and say which.

mod disks;
mod edits;
mod ends;
mod exec;
mod refusals;
mod replay;

use std::io::Write as _;

use kiln_compute::helper::{Disk, Driver, HelperError, Kernel, Options, Session, Timeouts};
use kiln_compute::qemu::{Accelerator, Arch, Qemu, WorkDir};

use crate::disks::Disks;

/// What every machine here is started with. Emulation works everywhere.
struct Host {
    qemu: Qemu,
    kernel: Kernel,
    work: WorkDir,
}

impl Host {
    fn new() -> Self {
        let fail = |error: kiln_compute::Error| -> ! {
            panic!("{error}; {}", error.hint().unwrap_or("no hint"));
        };
        Self {
            qemu: Qemu::find(Arch::host()).unwrap_or_else(|error| fail(error)),
            kernel: Kernel::find(None, None).unwrap_or_else(|error| fail(error)),
            work: WorkDir::new().unwrap_or_else(|error| fail(error)),
        }
    }

    fn options(&self, disks: Vec<Disk>, drivers: &[Driver]) -> Options<'_> {
        Options {
            qemu: &self.qemu,
            work: &self.work,
            accelerator: Accelerator::Tcg,
            kernel: &self.kernel,
            disks,
            drivers: drivers.to_vec(),
            exec: false,
            timeouts: Timeouts::default(),
            on_progress: None,
        }
    }
}

/// The one long story, because each machine costs seconds: written to and killed, mounted again,
/// edited in every way, ended, and looked at.
#[test]
fn disks_are_edited() {
    let host = Host::new();
    let disks = Disks::make();
    let all = [Driver::Ext4, Driver::Xfs, Driver::Btrfs, Driver::Vfat, Driver::DeviceMapper];

    let mut session = Session::start(host.options(disks.all(), &all)).unwrap();
    replay::write_and_be_killed(&mut session, &disks);
    drop(session);
    disks.mend_esp();

    let mut session = Session::start(host.options(disks.all(), &all)).unwrap();
    assert_eq!(session.kernel_release(), host.kernel.release);
    refusals::volumes(&mut session, &disks);
    replay::mount_again(&mut session, &disks);
    edits::look(&mut session);
    edits::replace(&mut session);
    edits::add(&mut session);
    edits::take_away(&mut session);
    edits::unlock(&mut session);
    edits::other_filesystems(&mut session);
    refusals::paths(&mut session);
    refusals::space(&mut session);
    refusals::content(&mut session);
    refusals::programs(&mut session);
    let timings = session.finish().unwrap();
    // For who tunes it: the time is the machine's under whatever else runs here, so no test of it.
    writeln!(std::io::stderr(), "{timings:?}").unwrap();

    disks.check();
    edits::seen_from_the_host(&disks);
}

/// The error that a call must have: its number.
fn errno<T: std::fmt::Debug>(result: Result<T, HelperError>) -> i32 {
    let error = result.unwrap_err();
    error.errno().unwrap_or_else(|| panic!("no error of the guest's kernel: {error}"))
}
