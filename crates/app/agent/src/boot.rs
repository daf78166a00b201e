//! Bringing the machine up and down: the kernel's own filesystems, modules, the port.

use std::fs::{self, File};
use std::io::{self, Write};
use std::process::ExitCode;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountFlags;
use rustix::system::{RebootCommand, finit_module, reboot};

use crate::NAME;
use crate::failure::{Context, Result, failure};

/// Lines `PATH [PARAMETERS]`, in the order in which they are to be loaded.
const MODULES: &str = "/kiln/modules";
/// The name that the host gives the port.
const PORT: &str = "kiln";

/// A line on the console.
pub(crate) fn say(text: &str) {
    // Nobody is left to hear that the console failed.
    let _ = writeln!(io::stderr(), "{NAME}: {text}");
}

/// Mount what the kernel offers, load the modules, open the port.
pub(crate) fn up() -> Result<File> {
    mount_kernel("devtmpfs", "/dev")?;
    mount_kernel("proc", "/proc")?;
    mount_kernel("sysfs", "/sys")?;
    let modules = fs::read_to_string(MODULES).when(MODULES)?;
    for line in modules.lines() {
        load(line)?;
    }
    open_port()
}

/// End the machine. Returns where the kernel refuses, which makes it panic and end all the same.
pub(crate) fn down() -> ExitCode {
    // The machine is started with -no-reboot: a restart ends it, and unlike power-off needs no ACPI.
    if let Err(error) = reboot(RebootCommand::Restart) {
        say(&format!("restart: {error}"));
    }
    ExitCode::FAILURE
}

fn mount_kernel(fstype: &str, at: &str) -> Result<()> {
    let _ = fs::create_dir(at);
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    rustix::mount::mount(fstype, at, fstype, flags, None).when(&format!("mount {fstype}"))
}

fn load(line: &str) -> Result<()> {
    let (path, parameters) = line.split_once(' ').unwrap_or((line, ""));
    let file =
        rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).when(path)?;
    let parameters = std::ffi::CString::new(parameters).unwrap_or_default();
    match finit_module(&file, &parameters, 0) {
        // Built in, or loaded by the kernel itself.
        Ok(()) | Err(Errno::EXIST) => {}
        // A driver for hardware that is not there (`crc32c_intel`); what really misses it says so.
        Err(Errno::NODEV) => {}
        Err(error) => return Err(error).when(&format!("load {path}")),
    }
    // Its pages are memory that the machine can use.
    let _ = fs::remove_file(path);
    Ok(())
}

/// The port that the host gave its name.
pub(crate) fn open_port() -> Result<File> {
    let class = "/sys/class/virtio-ports";
    for entry in fs::read_dir(class).when(class)? {
        let entry = entry.when(class)?;
        let name = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
        if name.trim_end() == PORT {
            let path = format!("/dev/{}", entry.file_name().to_string_lossy());
            return File::options().read(true).write(true).open(&path).when(&path);
        }
    }
    Err(failure(Errno::NODEV, format!("no virtio-serial port is named {PORT}")))
}
