//! Disks and guests for tests, built in memory: a sound one first, then one fault at a time.

pub(crate) mod systems;

use std::ops::ControlFlow;
use std::sync::Arc;

use kiln_disk::{MemSource, Source};
use kiln_volume::{
    Content, DirEntry, DiskLayout, Error, Filesystem, FsInfo, FsKind, Kind, Layout, MemFs, Node,
    Origin, Partition, PartitionType, Result, Stat, Subvolume, TableKind, Tree, Volume, Xattr,
};

pub(crate) const UUID_ROOT: &str = "3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f";
pub(crate) const UUID_BOOT: &str = "7d1e2f30-4152-4637-8899-aabbccddeeff";
pub(crate) const UUID_ESP: &str = "8F1C-22AB";
pub(crate) const UUID_SWAP: &str = "55555555-6666-4777-8888-999999999999";

const MIB: u64 = 1 << 20;
const ESP_GUID: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
const BIOS_BOOT_GUID: &str = "21686148-6449-6e6f-744e-656564454649";
const LINUX_GUID: &str = "0fc63daf-8483-4772-8e79-3d69d8477de4";

/// A disk of 6 MiB whose partitions are 1 MiB each and hold filesystems in memory.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) bytes: Vec<u8>,
    pub(crate) layout: DiskLayout,
    pub(crate) volumes: Vec<Volume>,
}

impl Disk {
    pub(crate) fn gpt() -> Self {
        Self::new(TableKind::Gpt)
    }

    pub(crate) fn mbr() -> Self {
        Self::new(TableKind::Mbr)
    }

    fn new(table: TableKind) -> Self {
        let layout = DiskLayout {
            source: MemSource::shared(Vec::new()),
            table,
            sector_bytes: 512,
            disk_id: Some("0a0b0c0d".into()),
            partitions: Vec::new(),
            hybrid_entries: Vec::new(),
            notices: Vec::new(),
        };
        Self { bytes: vec![0; 6 << 20], layout, volumes: Vec::new() }
    }

    /// Add a partition and give its volume, to be changed by the test.
    pub(crate) fn add(&mut self, guid: &str, mbr: u8, content: Content) -> &mut Volume {
        let number = self.layout.partitions.len() as u32 + 1;
        let kind = match self.layout.table {
            TableKind::Mbr => PartitionType::Mbr(mbr),
            _ => PartitionType::Gpt(guid.into()),
        };
        let start_bytes = u64::from(number) * MIB;
        self.layout.partitions.push(Partition {
            number,
            start_bytes,
            size_bytes: MIB,
            kind,
            part_uuid: Some(format!("00000000-0000-4000-8000-{number:012}")),
            part_label: Some(format!("p{number}")),
            bootable: false,
        });
        self.volumes.push(Volume {
            name: format!("disk0p{number}"),
            origin: Origin::Partition { disk: 0, number },
            source: MemSource::shared(Vec::new()),
            content,
            uuid: None,
            label: None,
            filesystem: None,
        });
        self.volumes.last_mut().unwrap()
    }

    pub(crate) fn filesystem(&mut self, guid: &str, mbr: u8, fs: Arc<dyn Filesystem>) -> usize {
        let volume = self.add(guid, mbr, Content::Ext4);
        put(volume, fs);
        self.volumes.len() - 1
    }

    /// An ESP with the UUID [`UUID_ESP`].
    pub(crate) fn esp(&mut self, fs: MemFs) -> usize {
        let fs = named(fs, FsKind::Fat32, UUID_ESP, "");
        self.filesystem(ESP_GUID, 0xEF, Arc::new(fs))
    }

    /// An ext4 partition.
    pub(crate) fn partition(&mut self, fs: MemFs, uuid: &str, label: &str) -> usize {
        let fs = named(fs, FsKind::Ext4, uuid, label);
        self.filesystem(LINUX_GUID, 0x83, Arc::new(fs))
    }

    pub(crate) fn bios_boot(&mut self) -> usize {
        self.add(BIOS_BOOT_GUID, 0x83, Content::Unknown);
        self.volumes.len() - 1
    }

    pub(crate) fn swap(&mut self) -> usize {
        let volume = self.add("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", 0x82, Content::Swap);
        volume.uuid = Some(UUID_SWAP.into());
        self.volumes.len() - 1
    }

    pub(crate) fn physical_volume(&mut self, uuid: &str) -> usize {
        let kind = "e6d6d379-f507-44c2-a23c-238f2a3df928";
        self.add(kind, 0x8E, Content::LvmPhysicalVolume).uuid = Some(uuid.into());
        self.volumes.len() - 1
    }

    /// A logical volume on the last volume that was added.
    pub(crate) fn logical_volume(&mut self, vg: &str, lv: &str, fs: MemFs, uuid: &str) -> usize {
        let on = vec![self.volumes.len() - 1];
        let mut volume = Volume {
            name: format!("/dev/{vg}/{lv}"),
            origin: Origin::Lvm { vg: vg.into(), lv: lv.into(), on, runs: Vec::new() },
            source: MemSource::shared(Vec::new()),
            content: Content::Ext4,
            uuid: None,
            label: None,
            filesystem: None,
        };
        put(&mut volume, Arc::new(named(fs, FsKind::Ext4, uuid, "")));
        self.volumes.push(volume);
        self.volumes.len() - 1
    }

    /// Put a sound GRUB into sector 0 and the gap (or the BIOS boot partition).
    pub(crate) fn grub_bios(&mut self) -> &mut Self {
        let is_bios_boot = |p: &&Partition| p.kind.is_bios_boot();
        let at = self.layout.partitions.iter().find(is_bios_boot).map_or(512, |p| p.start_bytes);
        self.bytes[0..4].copy_from_slice(&[0xEB, 0x63, 0x90, 0x10]);
        self.bytes[0x180..0x185].copy_from_slice(b"GRUB ");
        self.bytes[0x5C..0x64].copy_from_slice(&(at / 512).to_le_bytes());
        self.bytes[510..512].copy_from_slice(&[0x55, 0xAA]);
        let at = at as usize;
        self.bytes[at..at + 8].copy_from_slice(&[0x52, 0x56, 0xBE, 0x1B, 0x81, 0xE8, 0x39, 0x01]);
        self
    }

    pub(crate) fn build(mut self) -> Layout {
        let source: Source = MemSource::shared(self.bytes);
        self.layout.source = Arc::clone(&source);
        for volume in &mut self.volumes {
            let Origin::Partition { number, .. } = volume.origin else { continue };
            let partition = &self.layout.partitions[number as usize - 1];
            let window = kiln_disk::Window::new(Arc::clone(&source), partition.start_bytes, MIB);
            volume.source = Arc::new(window.unwrap());
        }
        Layout { disks: vec![self.layout], volumes: self.volumes, notices: Vec::new() }
    }
}

fn put(volume: &mut Volume, fs: Arc<dyn Filesystem>) {
    volume.content = match fs.info().kind {
        FsKind::Fat12 | FsKind::Fat16 | FsKind::Fat32 => Content::Fat,
        FsKind::Btrfs => Content::Btrfs,
        FsKind::Xfs => Content::Xfs,
        _ => Content::Ext4,
    };
    volume.uuid.clone_from(&fs.info().uuid);
    volume.label.clone_from(&fs.info().label);
    volume.filesystem = Some(Ok(fs));
}

fn named(fs: MemFs, kind: FsKind, uuid: &str, label: &str) -> MemFs {
    fs.with_info(|info| {
        info.kind = kind;
        info.uuid = Some(uuid.into());
        info.label = (!label.is_empty()).then(|| label.into());
    })
}

/// A filesystem in memory some of whose directories are btrfs subvolumes.
#[derive(Debug)]
pub(crate) struct Btrfs {
    fs: MemFs,
    default: String,
    subvolumes: Vec<Subvolume>,
}

impl Btrfs {
    /// `paths` are subvolumes, from number 256 on; `default` is one of them, or empty for the top
    /// level. Those below `.snapshots` are snapshots.
    pub(crate) fn new(fs: MemFs, uuid: &str, paths: &[&str], default: &str) -> Self {
        let fs = named(fs, FsKind::Btrfs, uuid, "");
        let tree = Tree::new(Arc::new(fs.clone()));
        let subvolumes = (256..)
            .zip(paths)
            .map(|(id, path)| Subvolume {
                id,
                path: (*path).into(),
                root: tree.locate(path).unwrap().unwrap().node,
                is_default: *path == default,
                is_snapshot: path.contains(".snapshots/"),
            })
            .collect();
        Self { fs, default: default.into(), subvolumes }
    }
}

impl Filesystem for Btrfs {
    fn info(&self) -> &FsInfo {
        self.fs.info()
    }
    fn root(&self) -> Node {
        let default = self.subvolumes.iter().find(|found| found.path == self.default);
        default.map_or(self.fs.root(), |found| found.root)
    }
    fn lookup(&self, dir: Node, name: &[u8]) -> Result<Option<Node>> {
        self.fs.lookup(dir, name)
    }
    fn stat(&self, node: Node) -> Result<Stat> {
        self.fs.stat(node)
    }
    fn read_at(&self, node: Node, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.fs.read_at(node, offset, buf)
    }
    fn read_dir(&self, dir: Node, each: &mut dyn FnMut(DirEntry) -> ControlFlow<()>) -> Result<()> {
        self.fs.read_dir(dir, each)
    }
    fn read_link(&self, node: Node) -> Result<Vec<u8>> {
        self.fs.read_link(node)
    }
    fn xattrs(&self, node: Node) -> Result<Vec<Xattr>> {
        self.fs.xattrs(node)
    }
    fn subvolumes(&self) -> Result<Vec<Subvolume>> {
        Ok(self.subvolumes.clone())
    }
}

/// A filesystem whose directories cannot be read, as after an overwritten inode table.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) MemFs, pub(crate) &'static str);

impl Broken {
    fn check(&self, node: Node) -> Result<()> {
        let tree = Tree::new(Arc::new(self.0.clone()));
        match tree.locate(self.1)? {
            Some(found) if found.node == node => Err(Error::new(
                Kind::Corrupt,
                format!("inode {} has an invalid checksum", node.ino),
            )),
            _ => Ok(()),
        }
    }
}

impl Filesystem for Broken {
    fn info(&self) -> &FsInfo {
        self.0.info()
    }
    fn root(&self) -> Node {
        self.0.root()
    }
    fn lookup(&self, dir: Node, name: &[u8]) -> Result<Option<Node>> {
        self.check(dir)?;
        self.0.lookup(dir, name)
    }
    fn stat(&self, node: Node) -> Result<Stat> {
        self.check(node)?;
        self.0.stat(node)
    }
    fn read_at(&self, node: Node, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.0.read_at(node, offset, buf)
    }
    fn read_dir(&self, dir: Node, each: &mut dyn FnMut(DirEntry) -> ControlFlow<()>) -> Result<()> {
        self.check(dir)?;
        self.0.read_dir(dir, each)
    }
    fn read_link(&self, node: Node) -> Result<Vec<u8>> {
        self.0.read_link(node)
    }
    fn xattrs(&self, node: Node) -> Result<Vec<Xattr>> {
        self.0.xattrs(node)
    }
}

/// The first bytes of a 64-bit little-endian program for `machine`.
pub(crate) fn elf(machine: u16) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    bytes[0x12..0x14].copy_from_slice(&machine.to_le_bytes());
    bytes
}

/// A PE program for `machine` (0x8664, 0xAA64, 0x14C).
pub(crate) fn pe(machine: u16) -> Vec<u8> {
    let mut bytes = vec![0; 512];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[0x3C] = 0x80;
    bytes[0x80..0x84].copy_from_slice(b"PE\0\0");
    bytes[0x84..0x86].copy_from_slice(&machine.to_le_bytes());
    bytes
}

/// A GRUB environment block with these lines.
pub(crate) fn grubenv(lines: &str) -> Vec<u8> {
    let mut block = format!("# GRUB Environment Block\n{lines}").into_bytes();
    block.resize(1024, b'#');
    block
}

/// A generator for spoiled copies; the seed makes a failure repeat.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> usize {
        // xorshift64 (Marsaglia 2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize
    }

    /// A copy of `sound` with some bytes changed, a run cut out, and sometimes the end cut off.
    pub(crate) fn spoil(&mut self, sound: &[u8]) -> Vec<u8> {
        let mut bytes = sound.to_vec();
        for _ in 0..self.next() % 8 {
            let at = self.next() % bytes.len();
            bytes[at] = b"{}\"'$\\\n ;#>=0(,-\xff\0"[self.next() % 18];
        }
        let at = self.next() % bytes.len();
        let end = (at + self.next() % 40).min(bytes.len());
        bytes.drain(at..end);
        if self.next().is_multiple_of(4) {
            bytes.truncate(self.next() % bytes.len().max(1));
        }
        bytes
    }
}
