//! The command line of the helper machine, and what its kernel is told.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::helper::{Options, initramfs};
use crate::qemu::Arch;
use crate::{Error, Result};

/// The name of the socket in the work folder, and of the port in the machine.
pub(super) const PORT: &str = "kiln";
const KERNEL: &str = "helper-kernel";
const INITRAMFS: &str = "helper-initramfs";

/// Enough for the kernel, the modules, and the log of a large filesystem being replayed.
const MEMORY_MIB: u32 = 384;
/// Programs of the guest want more.
const EXEC_MEMORY_MIB: u32 = 1024;

/// A disk of the helper machine.
#[derive(Clone, Debug)]
pub struct Disk {
    /// By which the agent finds it; at most 20 bytes.
    pub serial: String,
    /// Bytes of a sector: 512 or 4096. Partition tables count in these.
    pub sector_bytes: u32,
    node: Value,
}

/// Formats of a disk's file. QEMU is never left to guess it from what a guest may have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As it is.
    Raw,
    /// QEMU's, without a backing file of its own naming.
    Qcow2,
}

impl Disk {
    /// The disk in the file `path`, which is written to. A backing file that it may name is not
    /// followed.
    ///
    /// Flushes of the machine end in the host's page cache: a file that outlives the host's crash
    /// is what the caller makes of it at the end, once.
    pub fn file(serial: &str, path: PathBuf, format: Format) -> Self {
        let (driver, backing) = match format {
            Format::Raw => ("raw", None),
            Format::Qcow2 => ("qcow2", Some(Value::Null)),
        };
        let mut node = json!({
            "driver": driver,
            "cache": { "direct": false, "no-flush": true },
            "discard": "unmap",
            "file": { "driver": "file", "filename": path.to_string_lossy() },
        });
        if let Some(backing) = backing {
            node["backing"] = backing;
        }
        Self { serial: serial.to_owned(), sector_bytes: 512, node }
    }

    /// The disk that `node` describes, a value of QEMU's `-blockdev`, for example from
    /// [`crate::qemu::drive::overlay`].
    ///
    /// # Errors
    ///
    /// Where it is not JSON.
    pub fn node(serial: &str, node: &str) -> Result<Self> {
        let node = serde_json::from_str(node)
            .map_err(|error| Error::Monitor(format!("a block device: {error}")))?;
        Ok(Self { serial: serial.to_owned(), sector_bytes: 512, node })
    }

    /// With sectors of this many bytes.
    #[must_use]
    pub fn with_sector_bytes(mut self, sector_bytes: u32) -> Self {
        self.sector_bytes = sector_bytes;
        self
    }
}

/// Write kernel and initramfs into the work folder and give the command that boots them.
pub(super) fn command(options: &Options<'_>) -> Result<Command> {
    if options.qemu.arch != Arch::X86_64 {
        return Err(Error::Unsupported {
            what: format!("a helper machine on {}", options.qemu.arch.name()),
            hint: "repair the image on an x86_64 host".to_owned(),
        });
    }
    let write = |name: &str, bytes: Vec<u8>| {
        fs::write(options.work.join(name), bytes).map_err(Error::io(name))
    };
    write(KERNEL, options.kernel.unpacked()?)?;
    write(INITRAMFS, initramfs::make(options.kernel, &options.drivers)?)?;
    let mut command = options.qemu.machine(options.accelerator, options.work);
    let memory = if options.exec { EXEC_MEMORY_MIB } else { MEMORY_MIB };
    command.args(["-machine", "pc,usb=off,vmport=off,hpet=off", "-no-reboot"]);
    command.args(["-m", &memory.to_string()]);
    command.args(["-kernel", KERNEL, "-initrd", INITRAMFS, "-append", &kernel_line(options.exec)]);
    // Standard output is a pipe that kiln drains, so that a chatty guest fills no disk.
    command.args(["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]);
    command.args(["-chardev", &format!("socket,id=port,path={PORT},server=off")]);
    command.args(["-device", "virtio-serial-pci,max_ports=2"]);
    command.args(["-device", &format!("virtserialport,chardev=port,name={PORT}")]);
    for (n, disk) in options.disks.iter().enumerate() {
        let name = format!("disk{n}");
        let mut node = disk.node.clone();
        node["node-name"] = json!(name);
        let device = json!({
            "driver": "virtio-blk-pci",
            "drive": name,
            "serial": disk.serial,
            // A host disk that is full is an error at once, and not a machine that stops and waits.
            "werror": "report",
            "rerror": "report",
            "logical_block_size": disk.sector_bytes,
            "physical_block_size": disk.sector_bytes.max(512),
        });
        command.arg("-blockdev").arg(node.to_string()).arg("-device").arg(device.to_string());
    }
    command.stdout(Stdio::piped());
    Ok(command)
}

/// What is left out here is time: each word was measured (see the commit).
fn kernel_line(exec: bool) -> String {
    let mut line = "console=ttyS0 quiet loglevel=4 panic=-1 reboot=t mitigations=off nokaslr \
                    no_timer_check random.trust_cpu=on cryptomgr.notests init_on_alloc=0 \
                    lsm=capability audit=0 ipv6.disable=1 8250.nr_uarts=1 i8042.nokbd i8042.noaux"
        .to_owned();
    if exec {
        line += " kiln.exec=1";
    }
    line
}
