//! Any bytes as one of the files by which a guest starts, other than grub.cfg; the first byte
//! chooses which.
#![no_main]
<<<<<<< HEAD

use kiln_fuzz::Firmware;

const BIOS: &[&str] = &["/boot/grub/menu.lst", "/boot/extlinux/extlinux.conf"];
const UEFI: &[&str] = &[
    "/boot/efi/loader/loader.conf",
    "/boot/efi/loader/entries/debian.conf",
    "/boot/efi/EFI/Linux/debian.efi",
    "/boot/efi/EFI/BOOT/BOOTX64.EFI",
    "/boot/efi/EFI/debian/grub.cfg",
    "/boot/efi/EFI/debian/BOOTX64.CSV",
    "/boot/vmlinuz-6.1.0",
];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // An empty grub.cfg, or the menu of the guest below would be the one that counts.
    let grub: (&str, &[u8]) = ("/boot/grub/grub.cfg", b"");
    let Some((first, _)) = data.split_first() else { return };
    let is_bios = usize::from(*first) < BIOS.len();
    let (paths, firmware) = if is_bios { (BIOS, Firmware::Bios) } else { (UEFI, Firmware::Uefi) };
    let Some((path, content)) = kiln_fuzz::chosen(data, paths) else { return };
    let entries: (&str, &[u8]) = ("/boot/efi/loader/loader.conf", b"default *\n");
    let mut files = vec![grub, (path, content)];
    if path.contains("entries") {
        files.push(entries);
    }
    kiln_fuzz::check_guest(firmware, &files);
=======
//! Sector 0, boot loader entries, GRUB legacy, SYSLINUX, systemd-boot and unified images: the first
//! byte chooses the file that the rest is.

use std::sync::Arc;

use kiln_disk::{MemSource, Source};
use kiln_guest::{Declared, inspect};
use kiln_volume::{Content, DiskLayout, Filesystem, Layout, MemFs, Origin, TableKind, Volume};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&choice, data)) = data.split_first() else { return };
    let paths = [
        "/boot/loader/entries/a.conf",
        "/boot/grub/grub.conf",
        "/boot/extlinux.conf",
        "/boot/loader/loader.conf",
        "/boot/EFI/Linux/a.efi",
        "/boot/EFI/BOOT/BOOTX64.EFI",
    ];
    let mut fs = MemFs::new();
    fs.file("/etc/os-release", "ID=debian\nVERSION_ID=12\n").dir("/bin");
    fs.file("/boot/vmlinuz-6.1.0", "MZ").file("/boot/grub2/grub.cfg", "blscfg\n");
    fs.file(paths[usize::from(choice) % paths.len()], data);
    let fs: Arc<dyn Filesystem> = Arc::new(fs);
    let mut sector = data.to_vec();
    sector.resize(4096, 0);
    let source: Source = MemSource::shared(sector);
    let volume = Volume {
        name: "disk0".into(),
        origin: Origin::Disk(0),
        source: Arc::clone(&source),
        content: if choice & 0x80 == 0 { Content::Ext4 } else { Content::Fat },
        uuid: Some("11-22".into()),
        label: None,
        filesystem: Some(Ok(fs)),
    };
    let disk = DiskLayout {
        source,
        table: TableKind::None,
        sector_bytes: 512,
        disk_id: None,
        partitions: Vec::new(),
        notices: Vec::new(),
    };
    let layout = Layout { disks: vec![disk], volumes: vec![volume], notices: Vec::new() };
    let _inspection = inspect(layout, Declared::default());
>>>>>>> main
});
