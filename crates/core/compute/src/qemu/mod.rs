//! QEMU as a child process.
//!
//! [`Qemu::find`] gives the emulator of this host, [`Qemu::machine`] the start of its command line,
//! [`Process`] runs it. Files and sockets of a machine lie in its [`WorkDir`], which is the working
//! directory of the process, so that command lines hold short relative names: an absolute path could
//! hold a comma, which separates QEMU's options, or be too long for a socket.

pub mod accel;
pub mod drive;
mod find;
mod lifeline;
mod process;
mod qmp;
mod socket;
mod work_dir;

pub use accel::{Accel, Accelerator};
pub(crate) use find::install_hint;
pub use find::{Arch, Qemu, Version, program};
pub use process::{Finished, Process, run};
pub use qmp::Qmp;
pub use socket::Listener;
pub use work_dir::WorkDir;
