//! Any bytes as one of the files that a segment of drivers is made from; the first byte chooses
//! which. What is appended must read without error, and leave nothing to append.
#![no_main]

use std::sync::LazyLock;

use kiln_fixtures::cpio::Cpio;
use kiln_fixtures::module::Module;
use kiln_fuzz::Firmware;
use kiln_guest::{Inspection, Segment, SegmentRequest, driver_segment};

const INITRD: &str = "/boot/initrd.img-6.1.0";
const DIR: &str = "/usr/lib/modules/6.1.0";

/// In the order of the choice. The same files, sound, are there beside the chosen one.
static SOUND: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let initrd = Cpio::new()
        .file("usr/sbin/modprobe", "x")
        .file("usr/lib/systemd/systemd-udevd", "x")
        .file("etc/modprobe.d/a.conf", "blacklist virtio-blk\n")
        .file("usr/lib/modules/6.1.0/kernel/a.ko", "x")
        .finish();
    let file = |name: &str, text: &str| (format!("{DIR}/{name}"), text.as_bytes().to_vec());
    let module =
        |name: &str| (format!("{DIR}/kernel/{name}.ko"), Module::new(name, "6.1.0").build());
    vec![
        (INITRD.to_owned(), initrd),
        file(
            "modules.dep",
            "kernel/a.ko: kernel/virtio_blk.ko\nkernel/virtio_blk.ko: kernel/virtio.ko\n\
             kernel/virtio.ko:\nkernel/nvme.ko: kernel/nvme-core.ko\nkernel/nvme-core.ko:\n",
        ),
        file(
            "modules.alias",
            "alias virtio:d00000002v* virtio_blk\nalias pci:v*d*sv*sd*bc01sc08i02* nvme\n",
        ),
        file("modules.softdep", "softdep virtio_blk pre: nvme\n"),
        file("modules.symbols", "alias symbol:x virtio\n"),
        file("modules.devname", "virtio x c10:1\n"),
        file("modules.builtin", "kernel/fs/ext4.ko\n"),
        module("virtio_blk"),
        module("virtio"),
        module("nvme"),
        module("nvme-core"),
    ]
});

fn segment(inspection: &Inspection) -> Option<Segment> {
    let request = SegmentRequest {
        version: "6.1.0",
        initrds: &[INITRD.to_owned()],
        drivers: &["virtio_blk", "nvme"],
        ..SegmentRequest::default()
    };
    driver_segment(inspection.guest()?, &request).ok()
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, content)) = data.split_first() else { return };
    let mut files: Vec<(&str, Vec<u8>)> =
        SOUND.iter().map(|(path, data)| (path.as_str(), data.clone())).collect();
    let choice = usize::from(*choice) % files.len();
    files[choice].1 = content.to_vec();
    let inspect = |files: &[(&str, Vec<u8>)]| {
        let files: Vec<(&str, &[u8])> =
            files.iter().map(|(path, data)| (*path, &data[..])).collect();
        kiln_fuzz::inspect_guest(Firmware::Bios, &files)
    };
    let Some(first) = segment(&inspect(&files)) else { return };
    let before = files[0].1.clone();
    files[0].1.extend(first.tail());
    let mended = inspect(&files);
    let read = mended.guest().expect("as before").initramfs(&[INITRD.to_owned()]).expect("a file");
    assert_eq!(read.error, None, "{} bytes before it", before.len());
    let again = segment(&mended).expect("as before");
    assert!(again.is_empty() || !aliased(&files), "{:?}", again.files);
});

/// Whether the aliases are those that lead to the drivers: without them, no index ever will.
fn aliased(files: &[(&str, Vec<u8>)]) -> bool {
    let sound = &SOUND[2];
    files.iter().any(|(path, data)| *path == sound.0 && *data == sound.1)
}
