//! What several fuzz targets share: a disk given by its used blocks alone, and a guest in memory
//! some files of which are the input.

use std::collections::HashMap;
use std::sync::Arc;

use kiln_disk::{BlockSource, Error, Format, Kind, MemSource, NoSiblings, OpenOptions, Result};
use kiln_disk::{Source, map, open_source};
use kiln_guest::{CHECKS, Declared, Inspection};
use kiln_volume::{
    Content, DiskLayout, FsKind, Layout, MemFs, Origin, Partition, PartitionType, TableKind, Volume,
};

const BLOCK_BYTES: usize = 4096;
const MIB: u64 = 1 << 20;

/// A disk of which only some blocks are not zero.
///
/// The smallest xfs or btrfs has many MiB, nearly all of it zeroes, and a fuzzer's time goes with
/// the length of its input. An input is therefore only the blocks that are used: each a number of 4
/// bytes (little-endian) and the 4 KiB found at that multiple of 4 KiB. `cargo xtask fuzz` makes
/// seeds of that form.
#[derive(Debug)]
pub struct Sparse {
    blocks: HashMap<u64, Vec<u8>>,
    size_bytes: u64,
}

impl Sparse {
    /// The disk of `size_bytes` that `input` describes. A last block may be cut.
    pub fn shared(input: &[u8], size_bytes: u64) -> Source {
        let records = input.chunks(4 + BLOCK_BYTES).filter_map(|record| {
            let (number, block) = record.split_first_chunk::<4>()?;
            Some((u64::from(u32::from_le_bytes(*number)), block.to_vec()))
        });
        Arc::new(Self { blocks: records.collect(), size_bytes })
    }

    /// The disk of `size_bytes` that starts with `head`.
    pub fn starting_with(head: &[u8], size_bytes: u64) -> Source {
        let blocks = (0..).zip(head.chunks(BLOCK_BYTES).map(<[u8]>::to_vec)).collect();
        Arc::new(Self { blocks, size_bytes })
    }
}

impl BlockSource for Sparse {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > self.size_bytes) {
            return Err(Error::new(Kind::OutOfRange, "outside the image"));
        }
        buf.fill(0);
        let (mut at, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let within = (at % BLOCK_BYTES as u64) as usize;
            let n = rest.len().min(BLOCK_BYTES - within);
            let (now, later) = rest.split_at_mut(n);
            let block = self.blocks.get(&(at / BLOCK_BYTES as u64));
            if let Some(used) = block.and_then(|block| block.get(within..)) {
                let n = n.min(used.len());
                now[..n].copy_from_slice(&used[..n]);
            }
            (at, rest) = (at + n as u64, later);
        }
        Ok(())
    }
}

/// Open `source` as `format` alone, read in some places, walk a part of the map.
pub fn exercise_image(source: Source, format: Format) {
    let options = OpenOptions { format: Some(format), ..OpenOptions::default() };
    let Ok(image) = open_source(source, "fuzz", Arc::new(NoSiblings), &options) else { return };
    let size = image.source.size_bytes();
    let mut buf = vec![0; 70_000];
    for at in [0, 511, size / 3, size / 2, size.saturating_sub(70_000)] {
        let length = buf.len().min(usize::try_from(size - at.min(size)).unwrap_or(usize::MAX));
        let _ = image.source.read_at(at, &mut buf[..length]);
    }
    let _ = map(&*image.source).take(1000).count();
}

/// Inspect a Debian guest that has `files` beside its own, and run every item on it.
///
/// The parsers of a guest's files are not public, and what a broken file leads to is decided by
/// those that call them: so the whole way is taken, as `kiln check` takes it.
pub fn check_guest(firmware: Firmware, files: &[(&str, &[u8])]) {
    let inspection = inspect_guest(firmware, files);
    std::hint::black_box(kiln_guest::run(&inspection, CHECKS));
}

/// Inspect a Debian guest that has `files` beside its own. A file named [`DISK`] is the first 4 KiB
/// of the disk.
pub fn inspect_guest(firmware: Firmware, files: &[(&str, &[u8])]) -> Inspection {
    let mut root = debian();
    let mut esp = MemFs::new();
    esp.file("/EFI/BOOT/BOOTX64.EFI", pe_head()).file("/EFI/debian/grubx64.efi", pe_head());
    let mut head = None;
    for (path, content) in files {
        if *path == DISK {
            head = Some(*content);
            continue;
        }
        match path.strip_prefix("/boot/efi") {
            Some(below) => esp.file(below, *content),
            None => root.file(path, *content),
        };
    }
    let esp = (firmware == Firmware::Uefi).then_some(esp);
    kiln_guest::inspect(layout(root, esp, head), Declared::default())
}

/// See [`inspect_guest`].
pub const DISK: &str = "first 4 KiB of the disk";

/// How the guest's disk starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// GRUB in the boot sector of an MBR disk.
    Bios,
    /// A GPT disk with an EFI system partition.
    Uefi,
}

/// The first of `paths` that the first byte of `input` chooses, and the rest as its content.
pub fn chosen<'a, 'p>(input: &'a [u8], paths: &'p [&'p str]) -> Option<(&'p str, &'a [u8])> {
    let (choice, content) = input.split_first()?;
    Some((paths.get(usize::from(*choice) % paths.len())?, content))
}

fn debian() -> MemFs {
    let mut fs = MemFs::new();
    fs.file("/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian 12\"\n")
        .file("/etc/debian_version", "12.5\n")
        .file("/etc/fstab", "UUID=11111111-2222-4333-8444-555555555555 / ext4 defaults 0 1\n")
        .file("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
        .file("/etc/shadow", "root:*:19000:0:99999:7:::\n")
        .file("/etc/ssh/sshd_config", "PermitRootLogin no\n")
        .file("/etc/cloud/cloud.cfg", "datasource_list: [AliYun]\n")
        .file("/etc/network/interfaces", "auto eth0\niface eth0 inet dhcp\n")
        .file("/boot/grub/grub.cfg", "menuentry a {\nlinux /boot/vmlinuz-6.1.0 root=/dev/vda1\n}\n")
        .file("/boot/vmlinuz-6.1.0", "MZ")
        .file("/boot/initrd.img-6.1.0", "")
        .file("/boot/config-6.1.0", "CONFIG_VIRTIO_BLK=y\n")
        .file("/usr/lib/modules/6.1.0/modules.dep", "kernel/fs/ext4.ko:\n")
        .executable("/usr/bin/cloud-init", "#!/usr/bin/python3\n")
        .executable("/usr/lib/systemd/systemd", elf_head())
        .executable("/usr/bin/bash", elf_head())
        .symlink("/usr/sbin/init", "../lib/systemd/systemd");
    for name in ["bin", "sbin", "lib"] {
        fs.symlink(&format!("/{name}"), &format!("usr/{name}"));
    }
    for name in ["/proc", "/sys", "/dev", "/run", "/tmp", "/boot/efi"] {
        fs.dir(name);
    }
    fs
}

fn elf_head() -> Vec<u8> {
    let mut head = vec![0; 64];
    head[..6].copy_from_slice(b"\x7fELF\x02\x01");
    (head[16], head[18]) = (2, 62);
    head
}

fn pe_head() -> Vec<u8> {
    let mut head = vec![0; 128];
    head[..2].copy_from_slice(b"MZ");
    head[0x3c] = 64;
    head[64..70].copy_from_slice(b"PE\0\0\x64\x86");
    head
}

fn layout(root: MemFs, esp: Option<MemFs>, head: Option<&[u8]>) -> Layout {
    let esp_type = PartitionType::Gpt("c12a7328-f81f-11d2-ba4b-00a0c93ec93b".into());
    let linux_type = PartitionType::Gpt("0fc63daf-8483-4772-8e79-3d69d8477de4".into());
    let table = if esp.is_some() { TableKind::Gpt } else { TableKind::Mbr };
    let mut disk = vec![0; BLOCK_BYTES];
    if esp.is_none() {
        disk[..4].copy_from_slice(b"\xEB\x63\x90\x10");
        disk[0x180..0x185].copy_from_slice(b"GRUB ");
        disk[510..512].copy_from_slice(b"\x55\xAA");
        (disk[0x5C], disk[512], disk[513]) = (1, 0x52, 0x56);
    }
    if let Some(head) = head {
        let n = head.len().min(disk.len());
        disk[..n].copy_from_slice(&head[..n]);
    }
    let source = Sparse::starting_with(&disk, 4 * MIB);
    let mut layout = Layout { disks: Vec::new(), volumes: Vec::new(), notices: Vec::new() };
    let mut partitions = Vec::new();
    let parts = [
        (esp, FsKind::Fat32, esp_type, "8F1C-22AB"),
        (
            Some(root),
            FsKind::Ext4,
            if table == TableKind::Gpt { linux_type } else { PartitionType::Mbr(0x83) },
            "11111111-2222-4333-8444-555555555555",
        ),
    ];
    for (fs, kind, partition_type, uuid) in parts {
        let Some(fs) = fs else { continue };
        let number = partitions.len() as u32 + 1;
        let fs = fs.with_info(|info| (info.kind, info.uuid) = (kind, Some(uuid.into())));
        partitions.push(Partition {
            number,
            start_bytes: u64::from(number) * MIB,
            size_bytes: MIB,
            kind: partition_type,
            part_uuid: Some(format!("0a0b0c0d-{number:02}")),
            part_label: None,
            bootable: table == TableKind::Mbr,
        });
        layout.volumes.push(Volume {
            name: format!("disk0p{number}"),
            origin: Origin::Partition { disk: 0, number },
            source: MemSource::shared(vec![0; 4096]),
            content: if kind == FsKind::Ext4 { Content::Ext4 } else { Content::Fat },
            uuid: Some(uuid.into()),
            label: None,
            filesystem: Some(Ok(Arc::new(fs))),
        });
    }
    layout.disks.push(DiskLayout {
        source,
        table,
        sector_bytes: 512,
        disk_id: Some("0a0b0c0d".into()),
        partitions,
        hybrid_entries: Vec::new(),
        notices: Vec::new(),
    });
    layout
}
