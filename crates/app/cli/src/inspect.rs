//! `kiln inspect`: what is on the disk, without any judgement.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use indicatif::HumanBytes;
use kiln_guest::{BootChain, BootEntry, Declared, FirmwareKind, Guest, Kernel, Loader, Package};
use kiln_volume::{Layout, Origin, TableKind, Volume};
use serde::Serialize;

use crate::args::{InspectArgs, InspectFormat};
use crate::open::{self, Opened};
use crate::report::{chain, counted, hint, printable};
use crate::{EXIT_FAILED, output};

/// The drivers a kernel is listed with: what a cloud's disks, networks and roots need.
const DRIVERS: [&str; 9] = [
    "virtio_pci",
    "virtio_blk",
    "virtio_scsi",
    "virtio_net",
    "nvme",
    "ext4",
    "xfs",
    "btrfs",
    "dm_mod",
];

/// Show what is on one image.
pub(crate) fn run(args: &InspectArgs) -> Result<ExitCode> {
    let opened = match open::inspect(&args.image, &args.open, Declared::default()) {
        Ok(opened) => opened,
        Err(error) => {
            let hint = hint(&args.image, &error);
            output::error(&chain(&args.image, &error), hint.as_deref());
            return Ok(ExitCode::from(EXIT_FAILED));
        }
    };
    let view = View::of(&opened, args.packages);
    let mut out = Vec::new();
    match args.format {
        InspectFormat::Json => {
            serde_json::to_writer_pretty(&mut out, &view)?;
            writeln!(out)?;
            output::exact(&out)?;
        }
        InspectFormat::Table => {
            view.write(&mut out)?;
            output::styled(&out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    image: String,
    format: String,
    virtual_size_bytes: u64,
    notes: Vec<String>,
    disks: Vec<DiskView>,
    volumes: Vec<VolumeView>,
    firmware: Vec<String>,
    windows: Option<String>,
    systems: Vec<SystemView>,
    /// Index into `systems` of the one that boots.
    boots: Option<usize>,
    bytes_read: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DiskView {
    table: &'static str,
    id: Option<String>,
    sector_bytes: u32,
    size_bytes: u64,
    notices: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct VolumeView {
    name: String,
    size_bytes: u64,
    used_bytes: Option<u64>,
    content: &'static str,
    uuid: Option<String>,
    label: Option<String>,
    part_uuid: Option<String>,
    /// What the table says that a partition is for, where a loader relies on it.
    part_role: Option<&'static str>,
    mount_point: Option<String>,
    error: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SystemView {
    os: Option<String>,
    id: Option<String>,
    version: Option<String>,
    platform: Option<String>,
    architecture: Option<String>,
    root: String,
    kernels: Vec<KernelView>,
    boot_entries: Vec<EntryView>,
    n_packages: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    packages: Option<Vec<Package>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct KernelView {
    version: String,
    image: Option<String>,
    initramfs: Option<String>,
    drivers: Vec<DriverView>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DriverView {
    name: &'static str,
    /// `builtin`, `initramfs`, `module` (a file of the root filesystem only) or `absent`.
    place: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryView {
    title: String,
    is_default: bool,
    kernel: Option<String>,
    initrds: Vec<String>,
    cmdline: String,
    source: String,
    line: u32,
}

impl View {
    fn of(opened: &Opened, with_packages: bool) -> Self {
        let inspection = &opened.inspection;
        let layout = &*inspection.layout;
        let image = opened.images.first();
        Self {
            image: image.map(|image| image.location.clone()).unwrap_or_default(),
            format: image.map(|image| image.format.to_string()).unwrap_or_default(),
            virtual_size_bytes: image.map_or(0, |image| image.source.size_bytes()),
            notes: opened.images.iter().flat_map(|image| image.notes.clone()).collect(),
            disks: layout.disks.iter().map(DiskView::of).collect(),
            volumes: (0..layout.volumes.len())
                .map(|index| VolumeView::of(layout, index, inspection.guest()))
                .collect(),
            firmware: inspection.firmware.chains.iter().map(starts_with).collect(),
            windows: inspection.windows.clone(),
            systems: inspection
                .systems
                .iter()
                .map(|guest| SystemView::of(guest, with_packages))
                .collect(),
            boots: inspection.chosen,
            bytes_read: opened.bytes_read(),
        }
    }

    fn write(&self, out: &mut dyn Write) -> Result<()> {
        let size = HumanBytes(self.virtual_size_bytes);
        writeln!(out, "{}  ({}, {size})", printable(&self.image), self.format)?;
        for note in &self.notes {
            writeln!(out, "note: {}", printable(note))?;
        }
        for (n, disk) in self.disks.iter().enumerate() {
            let mut words = vec![match disk.table {
                "none" => "no partition table".to_owned(),
                table => format!("{table} partition table"),
            }];
            words.extend(disk.id.clone());
            words.push(format!("{}-byte sectors", disk.sector_bytes));
            writeln!(out, "\ndisk{n}: {}", words.join(", "))?;
            for notice in &disk.notices {
                writeln!(out, "  note: {}", printable(notice))?;
            }
        }
        self.write_volumes(out)?;
        if !self.firmware.is_empty() {
            writeln!(out)?;
        }
        for chain in &self.firmware {
            writeln!(out, "starts with {chain}")?;
        }
        if let Some(windows) = &self.windows {
            writeln!(out, "\nWindows: {}", printable(windows))?;
        }
        for (n, system) in self.systems.iter().enumerate() {
            system.write(self.boots == Some(n), out)?;
        }
        Ok(())
    }

    fn write_volumes(&self, out: &mut dyn Write) -> Result<()> {
        let names = self.volumes.iter().map(|volume| volume.name.len()).max().unwrap_or(0);
        for volume in &self.volumes {
            let used = volume.used_bytes.map(|used| format!("{} used of ", HumanBytes(used)));
            let mut words =
                vec![format!("{}{}", used.unwrap_or_default(), HumanBytes(volume.size_bytes))];
            words.extend(volume.part_role.map(str::to_owned));
            words.extend(volume.mount_point.clone());
            words.extend(volume.label.as_ref().map(|label| format!("\"{label}\"")));
            words.extend(volume.uuid.clone());
            words.extend(volume.error.as_ref().map(|error| format!("unreadable: {error}")));
            let text = printable(&words.join("  "));
            writeln!(out, "  {:names$}  {:12}  {text}", volume.name, volume.content)?;
        }
        Ok(())
    }
}

/// A boot chain in words.
fn starts_with(chain: &BootChain) -> String {
    let loader = match chain.loader {
        Loader::Grub2 => "GRUB 2",
        Loader::GrubLegacy => "GRUB legacy",
        Loader::Syslinux => "Syslinux",
        Loader::SystemdBoot => "systemd-boot",
        Loader::Uki => "a unified kernel image",
        Loader::WindowsBootManager => "Windows Boot Manager",
        Loader::Unknown => "an unknown loader",
    };
    let firmware = match chain.firmware {
        FirmwareKind::Bios => "BIOS",
        FirmwareKind::Uefi => "UEFI",
    };
    format!("{loader} by {firmware} ({})", chain.architecture)
}

impl DiskView {
    fn of(disk: &kiln_volume::DiskLayout) -> Self {
        Self {
            table: match disk.table {
                TableKind::None => "none",
                TableKind::Mbr => "MBR",
                TableKind::Gpt => "GPT",
                TableKind::HybridGpt => "hybrid GPT",
            },
            id: disk.disk_id.clone(),
            sector_bytes: disk.sector_bytes,
            size_bytes: disk.source.size_bytes(),
            notices: disk.notices.iter().map(|notice| notice.message.clone()).collect(),
        }
    }
}

impl VolumeView {
    fn of(layout: &Layout, index: usize, guest: Option<&Guest>) -> Self {
        let volume: &Volume = &layout.volumes[index];
        let info = volume.info();
        let mount = guest.and_then(|guest| guest.mounts.iter().find(|mount| mount.volume == index));
        let partition = match volume.origin {
            Origin::Partition { disk, number } => layout
                .disks
                .get(disk)
                .and_then(|disk| disk.partitions.iter().find(|p| p.number == number)),
            _ => None,
        };
        Self {
            name: volume.name.clone(),
            size_bytes: volume.source.size_bytes(),
            used_bytes: info.and_then(|info| info.size_bytes.checked_sub(info.free_bytes?)),
            content: volume.content.name(),
            uuid: volume.uuid.clone(),
            label: volume.label.clone(),
            part_uuid: partition.and_then(|partition| partition.part_uuid.clone()),
            part_role: partition.and_then(|partition| match &partition.kind {
                kind if kind.is_esp() => Some("EFI system"),
                kind if kind.is_bios_boot() => Some("BIOS boot"),
                _ => None,
            }),
            mount_point: mount.map(|mount| mount.path.clone()),
            error: volume
                .filesystem
                .as_ref()
                .and_then(|fs| fs.as_ref().err())
                .map(ToString::to_string),
        }
    }
}

impl SystemView {
    fn of(guest: &Guest, with_packages: bool) -> Self {
        let packages: Option<Vec<Package>> =
            guest.packages().ok().map(|dbs| dbs.into_iter().flat_map(|db| db.packages).collect());
        let default = guest.boot.default;
        Self {
            os: guest.os.pretty_name.clone(),
            id: guest.os.id.clone(),
            version: guest.os.version.clone(),
            platform: guest.os.platform.clone(),
            architecture: guest.os.architecture.clone(),
            root: guest
                .layout
                .volumes
                .get(guest.root_volume)
                .map(|v| v.name.clone())
                .unwrap_or_default(),
            kernels: guest.kernels.iter().map(|kernel| KernelView::of(guest, kernel)).collect(),
            boot_entries: guest
                .boot
                .entries
                .iter()
                .enumerate()
                .map(|(n, entry)| EntryView::of(entry, default == Some(n)))
                .collect(),
            n_packages: packages.as_ref().map(Vec::len),
            packages: packages.filter(|_| with_packages),
        }
    }

    fn write(&self, boots: bool, out: &mut dyn Write) -> Result<()> {
        let name = self.os.as_deref().unwrap_or("unknown system");
        let boots = if boots { ", boots" } else { "" };
        let architecture = self.architecture.as_deref().unwrap_or("unknown architecture");
        writeln!(
            out,
            "\n{} on {} ({}{boots})",
            printable(name),
            self.root,
            printable(architecture)
        )?;
        for kernel in &self.kernels {
            writeln!(out, "  kernel {}", printable(&kernel.version))?;
            kernel.write_drivers(out)?;
        }
        for entry in &self.boot_entries {
            let mark = if entry.is_default { '*' } else { ' ' };
            writeln!(out, " {mark}entry {}", printable(&entry.title))?;
            writeln!(out, "    {}", printable(&entry.cmdline))?;
        }
        match self.n_packages {
            Some(n) => writeln!(out, "  {}", counted(n, "package"))?,
            None => writeln!(out, "  packages: the database could not be read")?,
        }
        for package in self.packages.iter().flatten() {
            let line = [&*package.name, &*package.version, &*package.architecture].join(" ");
            writeln!(out, "    {}", printable(&line))?;
        }
        Ok(())
    }
}

impl KernelView {
    fn of(guest: &Guest, kernel: &Kernel) -> Self {
        let modules = guest.modules(&kernel.version).ok();
        let initrds: Vec<String> = kernel.initramfs.iter().cloned().collect();
        let initramfs = guest.initramfs(&initrds).ok();
        let place = |name: &str| {
            let key = (kernel.version.clone(), name.to_owned());
            let builtin = modules.as_ref().and_then(|m| m.builtin.as_ref());
            if builtin.is_some_and(|builtin| builtin.contains(name)) {
                "builtin"
            } else if initramfs.as_ref().is_some_and(|i| i.modules.contains_key(&key)) {
                "initramfs"
            } else if modules.as_ref().is_some_and(|m| m.files.contains_key(name)) {
                "module"
            } else {
                "absent"
            }
        };
        Self {
            version: kernel.version.clone(),
            image: kernel.image.clone(),
            initramfs: kernel.initramfs.clone(),
            drivers: DRIVERS.iter().map(|name| DriverView { name, place: place(name) }).collect(),
        }
    }
}

impl KernelView {
    /// The drivers by where they are, a line a place.
    fn write_drivers(&self, out: &mut dyn Write) -> Result<()> {
        for place in ["builtin", "initramfs", "module", "absent"] {
            let there = self.drivers.iter().filter(|driver| driver.place == place);
            let names: Vec<_> = there.map(|driver| driver.name).collect();
            if !names.is_empty() {
                writeln!(out, "    {place:9}  {}", names.join(" "))?;
            }
        }
        Ok(())
    }
}

impl EntryView {
    fn of(entry: &BootEntry, is_default: bool) -> Self {
        Self {
            title: entry.title.clone(),
            is_default,
            kernel: entry.kernel.clone(),
            initrds: entry.initrds.clone(),
            cmdline: entry.cmdline.clone(),
            source: entry.source.clone(),
            line: entry.line,
        }
    }
}
