//! Disks and what is mounted of them.

use std::fs::{self, File};
use std::path::Path;

use kiln_rpc::{Disk, GuestPath, Mount, Part, Partition, Volume};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::device_mapper::{Mapped, Target};
use crate::failure::{Context, Result, failure, refused};
use crate::kernel_log::KernelLog;
use crate::node::{SYSROOT, Tree, proc_path};

/// The unit of sizes and starts in /sys, whatever the disk's own sectors are.
const SECTOR_BYTES: u64 = 512;
const BLOCK: &str = "/sys/block";

/// What is mounted, and what it lies on.
#[derive(Default)]
pub(crate) struct Volumes {
    /// In the order of mounting.
    mounted: Vec<String>,
    mapped: Vec<Mapped>,
}

/// A block device of this machine.
struct Device {
    /// `vda1`.
    name: String,
    /// `254:1`.
    number: String,
}

/// The disks, by name.
pub(crate) fn disks() -> Result<Vec<Disk>> {
    let mut disks = Vec::new();
    for entry in fs::read_dir(BLOCK).when(BLOCK)? {
        let name = entry.when(BLOCK)?.file_name().to_string_lossy().into_owned();
        let dir = format!("{BLOCK}/{name}");
        // Loop devices, ram disks and mapped devices have no serial number.
        let Ok(serial) = fs::read_to_string(format!("{dir}/serial")) else { continue };
        disks.push(Disk {
            size_bytes: sectors(&dir, "size")?,
            partitions: partitions(&dir)?,
            serial: serial.trim_end().to_owned(),
            name,
        });
    }
    disks.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(disks)
}

fn partitions(disk: &str) -> Result<Vec<Partition>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(disk).when(disk)? {
        let dir = entry.when(disk)?.path();
        let dir = dir.to_string_lossy();
        if Path::new(&format!("{dir}/partition")).exists() {
            found.push(Partition {
                number: number(&dir, "partition")?.try_into().unwrap_or(u32::MAX),
                start_bytes: sectors(&dir, "start")?,
                size_bytes: sectors(&dir, "size")?,
            });
        }
    }
    found.sort_by_key(|partition| partition.number);
    Ok(found)
}

fn number(dir: &str, name: &str) -> Result<u64> {
    let path = format!("{dir}/{name}");
    let text = fs::read_to_string(&path).when(&path)?;
    text.trim_end().parse().map_err(|_| failure(Errno::IO, format!("{path} holds no number")))
}

fn sectors(dir: &str, name: &str) -> Result<u64> {
    Ok(number(dir, name)?.saturating_mul(SECTOR_BYTES))
}

impl Device {
    /// The device of `part`, if this kernel sees it where the host does.
    fn find(part: &Part) -> Result<Self> {
        let disks = disks()?;
        let disk = disks.iter().find(|disk| disk.serial == part.serial).ok_or_else(|| {
            failure(Errno::NODEV, format!("no disk has the serial number {}", part.serial))
        })?;
        let Some(wanted) = part.partition else {
            return Self::checked(disk.name.clone(), &disk.name, part, (0, disk.size_bytes));
        };
        let is_wanted = |found: &&Partition| found.number == wanted;
        let found = disk.partitions.iter().find(is_wanted).ok_or_else(|| {
            let message = format!("the kernel sees no partition {wanted} on {}", disk.name);
            failure(Errno::NODEV, message)
        })?;
        let between =
            if disk.name.ends_with(|last: char| last.is_ascii_digit()) { "p" } else { "" };
        let name = format!("{}{between}{wanted}", disk.name);
        let below = format!("{}/{name}", disk.name);
        Self::checked(name, &below, part, (found.start_bytes, found.size_bytes))
    }

    fn checked(name: String, below: &str, part: &Part, seen: (u64, u64)) -> Result<Self> {
        if seen != (part.start_bytes, part.size_bytes) {
            let (start, size) = seen;
            return Err(failure(
                Errno::STALE,
                format!(
                    "the kernel sees {name} at byte {start} with {size} bytes, and not at byte {} \
                     with {} bytes",
                    part.start_bytes, part.size_bytes
                ),
            ));
        }
        let path = format!("{BLOCK}/{below}/dev");
        let number = fs::read_to_string(&path).when(&path)?.trim_end().to_owned();
        Ok(Self { name, number })
    }
}

impl Volumes {
    pub(crate) fn mount(&mut self, tree: Option<&Tree>, request: &Mount) -> Result<()> {
        let source = self.source(&request.volume)?;
        let held = match tree {
            Some(tree) => Some(tree.directory(&request.at)?),
            None if request.at == GuestPath::root() => None,
            None => return Err(refused(&request.at, Errno::NOENT, "the root is not mounted yet")),
        };
        let is_root = held.is_none();
        let target = held.as_ref().map_or_else(|| SYSROOT.to_owned(), proc_path);
        let mut flags = MountFlags::NOATIME | MountFlags::NODEV | MountFlags::NOSUID;
        if request.read_only {
            flags |= MountFlags::RDONLY;
        }
        let options = options(request);
        let options = std::ffi::CString::new(options).unwrap_or_default();
        if is_root {
            let _ = fs::create_dir(SYSROOT);
        }
        let mut log = KernelLog::from_now();
        let fstype = &*request.fstype;
        mount(&source, &*target, fstype, flags, &*options).map_err(|error| {
            let said = log.text();
            let about = if said.is_empty() { said } else { format!("; the kernel says: {said}") };
            let message = format!("mount {source} as {fstype}: {error}{about}");
            refused(&request.at, error, &message)
        })?;
        self.mounted.push(if is_root { SYSROOT.to_owned() } else { below(&request.at) });
        Ok(())
    }

    /// The path of the block device that holds `volume`.
    fn source(&mut self, volume: &Volume) -> Result<String> {
        let segments = match volume {
            Volume::Part(part) => return Ok(format!("/dev/{}", Device::find(part)?.name)),
            Volume::Joined(segments) => segments,
        };
        let mut start = 0;
        let mut targets = Vec::new();
        for segment in segments {
            let mut stripes = Vec::new();
            for stripe in &segment.stripes {
                let offset = in_sectors(stripe.offset_bytes)?;
                stripes.push((Device::find(&stripe.part)?.number, offset));
            }
            let length = in_sectors(segment.length_bytes)?;
            let chunk = in_sectors(segment.chunk_bytes)?;
            targets.push(Target { start, length, chunk, stripes });
            start = start.saturating_add(length);
        }
        let mapped = Mapped::create(&format!("kiln-{}", self.mapped.len()), &targets)?;
        let path = mapped.path();
        self.mapped.push(mapped);
        Ok(path)
    }

    /// Unmount all, remove what was mapped, and bring every disk's content to the host.
    pub(crate) fn finish(&mut self) -> Result<()> {
        rustix::fs::sync();
        while let Some(at) = self.mounted.last() {
            unmount(&**at, UnmountFlags::NOFOLLOW).when(&format!("unmount {at}"))?;
            self.mounted.pop();
        }
        while let Some(mapped) = self.mapped.pop() {
            mapped.remove()?;
        }
        for disk in disks()? {
            let path = format!("/dev/{}", disk.name);
            let disk = File::options().read(true).write(true).open(&path).when(&path)?;
            disk.sync_all().when(&format!("flush {path}"))?;
        }
        Ok(())
    }
}

fn in_sectors(bytes: u64) -> Result<u64> {
    if !bytes.is_multiple_of(SECTOR_BYTES) {
        return Err(failure(Errno::INVAL, format!("{bytes} bytes are no whole sectors")));
    }
    Ok(bytes / SECTOR_BYTES)
}

fn options(request: &Mount) -> String {
    let mut options: Vec<String> = Vec::new();
    if !request.options.is_empty() {
        options.push(request.options.clone());
    }
    if let Some(subvolume) = &request.subvolume {
        options.push(format!("subvol={subvolume}"));
    }
    // FAT has no owners and hardly a mode: setting them is passed over rather than refused.
    if request.fstype == "vfat" {
        options.push("quiet".to_owned());
    }
    options.join(",")
}

/// The path of a mount point for `umount`. It was made without links on the way, and stays so:
/// no link of the guest can be put above a mount point.
fn below(at: &GuestPath) -> String {
    format!("{SYSROOT}{at}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_a_mount_are_joined() {
        let mount = |fstype: &str, options: &str, subvolume: Option<&str>| Mount {
            volume: Volume::Joined(Vec::new()),
            at: GuestPath::root(),
            fstype: fstype.to_owned(),
            options: options.to_owned(),
            subvolume: subvolume.map(str::to_owned),
            read_only: false,
        };
        assert_eq!(options(&mount("ext4", "", None)), "");
        assert_eq!(options(&mount("btrfs", "degraded", Some("@"))), "degraded,subvol=@");
        assert_eq!(options(&mount("vfat", "", None)), "quiet");
    }

    #[test]
    fn sizes_are_whole_sectors() {
        assert_eq!(in_sectors(1024).unwrap(), 2);
        assert_eq!(in_sectors(1000).unwrap_err().message, "1000 bytes are no whole sectors");
    }
}
