//! The machine an image is booted in.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use kiln_disk::Image;
use serde_json::json;

use crate::boot::firmware;
use crate::boot::{Bus, Firmware, Goal, Options};
use crate::qemu::{Accelerator, Arch, Qemu, WorkDir, drive};
use crate::{Error, Result};

/// Where QEMU connects its monitor.
pub(super) const MONITOR: &str = "qmp.sock";

/// Where QEMU writes the packets that go to the guest.
pub(super) const WIRE: &str = "net.pcap";

/// The command line that boots an overlay of `image`, with its console on standard output.
///
/// # Errors
///
/// Where the overlay cannot be made or firmware is missing; BIOS on Arm.
pub(super) fn command(
    qemu: &Qemu,
    accelerator: Accelerator,
    work: &WorkDir,
    image: &Image,
    options: &Options,
) -> Result<Command> {
    let mut command = qemu.machine(accelerator, work);
    command.stdout(Stdio::piped());
    command.args(platform(qemu.arch, options.firmware)?);
    if options.firmware == Firmware::Uefi {
        command.args(firmware::uefi(qemu.arch, work)?);
    }
    command.args(["-m", &options.memory_mib.to_string(), "-smp", &options.cpus.to_string()]);
    command.args(["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]);
    command.args(["-chardev", &format!("socket,id=qmp,path={MONITOR},server=off")]);
    command.args(["-mon", "chardev=qmp,mode=control"]);
    command.args(["-blockdev", &drive::overlay(qemu, work, image, "disk")?]);
    if options.bus == Bus::Scsi {
        command.args(["-device", "virtio-scsi-pci"]);
    }
    let sector_bytes = image.sector_size_bytes.unwrap_or(512);
    let sectors = format!("logical_block_size={sector_bytes},physical_block_size={sector_bytes}");
    let disk = device(options.bus, "disk", "bootindex=1");
    command.args(["-device", &format!("{disk},{sectors}")]);
    if options.data_source || options.until == Goal::CloudInit {
        seed(work)?;
        command.args(["-blockdev", &seed_node()]);
        command.args(["-device", &device(options.bus, "seed", "")]);
    }
    // The guest gets an address and reaches nothing, neither this host nor the world. Without an
    // option ROM the firmware does not try to boot from the network.
    command.args(["-netdev", "user,id=net,restrict=on"]);
    command.args(["-device", "virtio-net-pci,netdev=net,romfile="]);
    let dump = format!("filter-dump,id=wire,netdev=net,queue=tx,file={WIRE}");
    command.args(["-object", &dump]);
    Ok(command)
}

/// Debian's and the clouds' choice: the old machine for BIOS, which old kernels know, and the new one
/// for UEFI. Without graphics `SeaBIOS` and what it starts talk to the serial line.
fn platform(arch: Arch, firmware: Firmware) -> Result<[&'static str; 2]> {
    match (arch, firmware) {
        (Arch::X86_64, Firmware::Bios) => Ok(["-machine", "pc,graphics=off"]),
        (Arch::X86_64, Firmware::Uefi) => Ok(["-machine", "q35,smm=off,graphics=off"]),
        (Arch::Aarch64, Firmware::Uefi) => Ok(["-machine", "virt,gic-version=max"]),
        (Arch::Aarch64, Firmware::Bios) => Err(Error::Unsupported {
            what: "there is no BIOS on Arm".to_owned(),
            hint: "use --firmware uefi".to_owned(),
        }),
    }
}

fn device(bus: Bus, node: &str, more: &str) -> String {
    let device = match bus {
        Bus::Virtio => format!("virtio-blk-pci,drive={node}"),
        Bus::Nvme => format!("nvme,drive={node},serial=kiln-{node}"),
        Bus::Scsi => format!("scsi-hd,drive={node}"),
    };
    if more.is_empty() { device } else { format!("{device},{more}") }
}

const SEED: &str = "seed";

/// cloud-init does nothing where it finds no data source: give it the one of every hypervisor, a small
/// disk with the label `cidata` that says nothing but a name.
fn seed(work: &WorkDir) -> Result<()> {
    let folder = work.join(SEED);
    let write = |name: &str, text: &str| {
        let path: &Path = &folder.join(name);
        fs::write(path, text).map_err(Error::io(path.display().to_string()))
    };
    fs::create_dir(&folder).map_err(Error::io(folder.display().to_string()))?;
    write("meta-data", "instance-id: kiln-boot\n")?;
    write("user-data", "#cloud-config\n{}\n")
}

/// The folder as a FAT disk.
fn seed_node() -> String {
    json!({ "driver": "vvfat", "node-name": SEED, "dir": SEED, "label": "cidata", "read-only": true })
        .to_string()
}
