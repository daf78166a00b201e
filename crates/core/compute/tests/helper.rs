//! The helper machine, for real.

use kiln_compute::helper::*;
use kiln_compute::qemu::*;
use std::io::Write as _;
use std::process::Command;

#[test]
fn smoke() {
    let qemu = Qemu::find(Arch::host()).unwrap();
    let kernel = Kernel::find(None, None).unwrap();
    let work = WorkDir::new().unwrap();
    let disk = work.join("ext4.raw");
    let tree = work.join("tree");
    std::fs::create_dir_all(tree.join("etc")).unwrap();
    std::fs::write(tree.join("etc/fstab"), "old\n").unwrap();
    let run = |script: &str| {
        assert!(
            Command::new("sh")
                .args(["-ec", script])
                .current_dir(work.path())
                .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
                .status()
                .unwrap()
                .success()
        )
    };
    run("truncate -s 64M ext4.raw; mkfs.ext4 -q -d tree ext4.raw");
    for _ in 0..3 {
        let mut s = Session::start(Options {
            qemu: &qemu,
            work: &work,
            accelerator: Accelerator::Tcg,
            kernel: &kernel,
            disks: vec![Disk::file("root", disk.clone(), Format::Raw)],
            drivers: vec![Driver::Ext4],
            exec: false,
            timeouts: Timeouts::default(),
            on_progress: None,
        })
        .unwrap();
        let disks = s.disks().unwrap();
        writeln!(std::io::stderr(), "{disks:?} {}", s.kernel_release()).unwrap();
        let part = Part {
            serial: "root".into(),
            partition: None,
            start_bytes: 0,
            size_bytes: disks[0].size_bytes,
        };
        s.mount(Volume::Part(part), "/", "ext4", &MountOptions::default()).unwrap();
        writeln!(std::io::stderr(), "{:?}", s.stat("/etc/fstab").unwrap()).unwrap();
        let e = s.put("/etc/fstab", &b"new\n"[..], 4, Attributes::Keep).unwrap();
        writeln!(std::io::stderr(), "{e:?} {:?}", s.stat("/etc/fstab").unwrap()).unwrap();
        writeln!(std::io::stderr(), "{:?}", s.read_all("/etc/fstab", 100).unwrap()).unwrap();
        writeln!(std::io::stderr(), "{:#?}", s.finish().unwrap()).unwrap();
        std::fs::remove_file(work.join("kiln")).unwrap();
        run("e2fsck -fn ext4.raw; cat /proc/loadavg");
    }
}
