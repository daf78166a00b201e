#![no_main]
//! fstab and os-release: the input is both.

use std::sync::Arc;

use kiln_disk::MemSource;
use kiln_guest::{Declared, inspect};
use kiln_volume::{Content, Filesystem, Layout, MemFs, Origin, Volume};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut fs = MemFs::new();
    fs.file("/etc/os-release", data).file("/etc/fstab", data).dir("/bin").dir("/srv");
    fs.file("/etc/SuSE-release", data).file("/etc/redhat-release", data);
    let fs: Arc<dyn Filesystem> = Arc::new(fs);
    let volume = Volume {
        name: "disk0".into(),
        origin: Origin::Disk(0),
        source: MemSource::shared(vec![0; 512]),
        content: Content::Ext4,
        uuid: Some("11-22".into()),
        label: Some("a b".into()),
        filesystem: Some(Ok(fs)),
    };
    let layout = Layout { disks: Vec::new(), volumes: vec![volume], notices: Vec::new() };
    let _inspection = inspect(layout, Declared::default());
});
