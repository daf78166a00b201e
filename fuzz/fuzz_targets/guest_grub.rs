//! Any text as grub.cfg; what follows a NUL is the environment block, what follows another an entry
//! under loader/entries.
#![no_main]
<<<<<<< HEAD

use kiln_fuzz::Firmware;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(3, |&byte| byte == 0);
    let mut part = || parts.next().unwrap_or_default();
    let files = [
        ("/boot/grub/grub.cfg", part()),
        ("/boot/grub/grubenv", part()),
        ("/boot/loader/entries/a.conf", part()),
    ];
    kiln_fuzz::check_guest(Firmware::Bios, &files);
=======
//! `grub.cfg` and grubenv: the input is the configuration of an otherwise sound root, its last
//! KiB also the environment block.

use std::sync::Arc;

use kiln_disk::MemSource;
use kiln_guest::{Declared, inspect};
use kiln_volume::{Content, Filesystem, Layout, MemFs, Origin, Volume};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut fs = MemFs::new();
    fs.file("/etc/os-release", "ID=debian\nVERSION_ID=12\n").dir("/bin");
    fs.file("/boot/vmlinuz-6.1.0", "MZ").file("/boot/grub/grub.cfg", data);
    fs.file("/boot/grub/grubenv", &data[data.len().saturating_sub(1024)..]);
    let fs: Arc<dyn Filesystem> = Arc::new(fs);
    let volume = Volume {
        name: "disk0".into(),
        origin: Origin::Disk(0),
        source: MemSource::shared(vec![0; 512]),
        content: Content::Ext4,
        uuid: Some("11-22".into()),
        label: None,
        filesystem: Some(Ok(fs)),
    };
    let layout = Layout { disks: Vec::new(), volumes: vec![volume], notices: Vec::new() };
    let _inspection = inspect(layout, Declared::default());
>>>>>>> main
});
