//! `kiln repair`: plans, refusals, and what is told before a machine is needed. Repairs themselves, on
//! real disks, are in `cargo xtask test`.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde_json::Value;

use crate::disk::Guest;
use crate::run::{kiln, kiln_snapshot, run, stderr, stdout};

/// A Debian with a kernel and a program, which what is repaired has to have.
fn debian() -> Guest {
    let elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0";
    let mut guest = Guest::debian();
    guest.file("bin/sh", elf);
    guest.file("boot/vmlinuz-6.1.0", kiln_fixtures::kernel_image::bzimage("6.1.0"));
    guest
}

/// Write the disk, with the free space that a repair keeps, and so much of GRUB that BIOS finds
/// something to start.
fn write(guest: &Guest, folder: &Path) {
    let path = guest.write_sized(folder, "disk.raw", 96 << 20);
    let disk = File::options().write(true).open(path).unwrap();
    disk.write_all_at(b"GRUB", 0x180).unwrap();
    let core_sector = 1_u64;
    disk.write_all_at(&core_sector.to_le_bytes(), 0x5C).unwrap();
    disk.write_all_at(b"core", core_sector * 512).unwrap();
}

/// The hardware clock in local time, and a line for a disk that is not there.
fn folder_with_disk() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = "UUID=22222222-0000-4000-8000-000000000001 / ext4 defaults 0 1";
    let mut guest = debian();
    guest
        .file("etc/adjtime", "0.0 0 0.0\n0\nLOCAL\n")
        .file("etc/fstab", format!("{root}\nUUID=0badcafe /data ext4 defaults 0 2\n"))
        .file("data/keep", "");
    write(&guest, folder.path());
    folder
}

#[test]
fn a_plan_is_shown_as_diffs() {
    let folder = folder_with_disk();
    kiln_snapshot!(folder.path(), "repair --items fstab,standardizedtimezone disk.raw", @r#"
    status: 0
    ----- stdout -----
    mend     fstab                 2 edits for Fstab
    mend     standardizedtimezone  2 edits for RtcTimeMode

    fstab
    # keep the file as it was
    copy from etc/fstab
    copy to etc/fstab.kiln-orig
    # boot waits only for devices that are there, under names that last
    --- a/etc/fstab
    +++ b/etc/fstab
    @@ -1,2 +1,2 @@
     UUID=22222222-0000-4000-8000-000000000001 / ext4 defaults 0 1
    -UUID=0badcafe /data ext4 defaults 0 2
    +#kiln UUID=0badcafe /data ext4 defaults 0 2

    standardizedtimezone
    # keep the file as it was
    copy from etc/adjtime
    copy to etc/adjtime.kiln-orig
    # the platform's clock runs in UTC
    --- a/etc/adjtime
    +++ b/etc/adjtime
    @@ -1,3 +1,3 @@
     0.0 0 0.0
     0
    -LOCAL
    +UTC

    what is done is written to /var/lib/kiln in the image

    4 edits planned; mended: RtcTimeMode, Fstab
    ----- stderr -----

    hint: -o OUT makes these changes, in a copy of the image
    "#);
    kiln_snapshot!(folder.path(), "repair --plan --no-backup --items fstab disk.raw", @r#"
    status: 0
    ----- stdout -----
    mend     fstab  1 edit for Fstab

    fstab
    # boot waits only for devices that are there, under names that last
    --- a/etc/fstab
    +++ b/etc/fstab
    @@ -1,2 +1,2 @@
     UUID=22222222-0000-4000-8000-000000000001 / ext4 defaults 0 1
    -UUID=0badcafe /data ext4 defaults 0 2
    +#kiln UUID=0badcafe /data ext4 defaults 0 2

    1 edit planned; mended: Fstab
    ----- stderr -----
    "#);
}

#[test]
fn a_plan_is_told_to_programs() {
    let folder = folder_with_disk();
    let output = run(folder.path(), "repair --format json --items standardizedtimezone disk.raw");
    let report: Value = serde_json::from_str(stdout(&output)).unwrap();
    assert_eq!(report["schema"], "https://kiln.images/schema/repair-report/v1");
    assert_eq!((&report["status"], &report["output"]), (&"Planned".into(), &Value::Null));
    let step = &report["steps"][0];
    assert_eq!(
        (&step["repair"], &step["status"]),
        (&"standardizedtimezone".into(), &"planned".into())
    );
    let changes: Vec<_> = step["edits"].as_array().unwrap().iter().map(|e| &e["change"]).collect();
    assert_eq!(changes, ["copy", "replace"]);
    assert_eq!(step["edits"][0]["to"], "/etc/adjtime.kiln-orig");
    assert!(step["edits"][1]["diff"].as_str().unwrap().contains("-LOCAL\n+UTC\n"));
    let items = report["items"].as_array().unwrap();
    let clock = items.iter().find(|item| item["name"] == "GUESTOS.RtcTimeMode").unwrap();
    assert_eq!(clock["beforeCode"], "RtcTimeMode.Local");
    assert_eq!(clock["after"], "pass");
    assert_eq!(report.get("timesMs"), None);
}

/// Nothing to do is a copy, for which no machine is needed.
#[test]
fn a_sound_image_is_copied() {
    let folder = tempfile::tempdir().unwrap();
    write(&debian(), folder.path());
    let output = kiln(folder.path())
        .args(["repair", "--items", "fstab", "disk.raw", "-o", "out.raw"])
        .env("PATH", "")
        .output()
        .unwrap();
    insta::assert_snapshot!(crate::run::transcript(&output), @r#"
    status: 0
    ----- stdout -----
    skip     fstab  already ok

    nothing to repair: out.raw is a copy
    ----- stderr -----
    "#);
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert!(read("disk.raw") == read("out.raw"));
    assert_eq!(names(folder.path()), ["disk.raw", "out.raw"]);
}

#[test]
fn refusals_are_told_and_nothing_is_written() {
    let folder = folder_with_disk();
    kiln_snapshot!(folder.path(), "repair --items virtio,standardizedtimezone disk.raw", @r#"
    status: 1
    ----- stdout -----
    refused  virtio                Repair.VirtioNoModule: kernel 6.1.0 has no module virtio, virtio_ring, virtio_pci, virtio_blk, ext4, virtio_net, and no other kernel of the boot menu could start instead
                                   fix: install a kernel with these drivers in the guest
    mend     standardizedtimezone  2 edits for RtcTimeMode

    standardizedtimezone
    # keep the file as it was
    copy from etc/adjtime
    copy to etc/adjtime.kiln-orig
    # the platform's clock runs in UTC
    --- a/etc/adjtime
    +++ b/etc/adjtime
    @@ -1,3 +1,3 @@
     0.0 0 0.0
     0
    -LOCAL
    +UTC

    what is done is written to /var/lib/kiln in the image

    2 edits planned; mended: RtcTimeMode; 1 repair refused
    ----- stderr -----

    hint: -o OUT makes these changes, in a copy of the image
    "#);
    kiln_snapshot!(folder.path(), "repair --items virtio disk.raw -o out.raw", @r#"
    status: 2
    ----- stdout -----
    refused  virtio  Repair.VirtioNoModule: kernel 6.1.0 has no module virtio, virtio_ring, virtio_pci, virtio_blk, ext4, virtio_net, and no other kernel of the boot menu could start instead
                     fix: install a kernel with these drivers in the guest

    nothing planned; 1 repair refused
    ----- stderr -----
    error: nothing was written, because some repairs are refused

    hint: --best-effort makes the other repairs; --items names the wanted ones
    "#);
    assert_eq!(names(folder.path()), ["disk.raw"]);
}

#[test]
fn what_cannot_be_asked_for_is_told() {
    let folder = folder_with_disk();
    fs::write(folder.path().join("there.raw"), "").unwrap();
    for (line, told) in [
        ("repair", "<IMAGE>"),
        ("repair absent.raw", "absent.raw: No such file"),
        ("repair https://example.com/disk.raw", "hint: download it first"),
        ("repair --items virtoi disk.raw", "did you mean virtio?"),
        ("repair --mode customized disk.raw", "hint: name some of fstab, "),
        ("repair --mode all --items fstab disk.raw", "hint: drop --mode, or --items"),
        ("repair --plan -o out.raw disk.raw", "cannot be used with"),
        ("repair --bundle nowhere disk.raw", "cannot read the bundle nowhere"),
        ("repair disk.raw -o disk.raw", "is the input, which is never written"),
        ("repair disk.raw -o ./no/such/out.raw", "there is no folder ./no/such"),
        ("repair disk.raw -o there.raw", "there.raw is there already"),
        ("repair disk.raw -o .", "names no file"),
    ] {
        let output = run(folder.path(), line);
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), ""), "{line}");
        assert!(stderr(&output).contains(told), "{line}: {}", stderr(&output));
    }
    assert_eq!(names(folder.path()), ["disk.raw", "there.raw"]);
}

/// A backing file is the input too.
#[test]
fn no_file_of_the_input_is_replaced() {
    let folder = folder_with_disk();
    let made = std::process::Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", "-b", "disk.raw", "-F", "raw", "top.qcow2"])
        .current_dir(folder.path())
        .status()
        .expect("qemu-img is in the package qemu-utils");
    assert!(made.success());
    let before = fs::read(folder.path().join("disk.raw")).unwrap();
    let output = run(folder.path(), "repair top.qcow2 --items fstab -o disk.raw --force");
    assert_eq!(output.status.code(), Some(2));
    let told = "disk.raw is a file that the input is made of";
    assert!(stderr(&output).contains(told), "{}", stderr(&output));
    assert!(fs::read(folder.path().join("disk.raw")).unwrap() == before);
    assert_eq!(names(folder.path()), ["disk.raw", "top.qcow2"]);
}

#[test]
fn without_qemu_the_command_that_installs_it_is_named() {
    let folder = folder_with_disk();
    let output = kiln(folder.path())
        .args(["repair", "--items", "standardizedtimezone", "disk.raw", "-o", "out.raw"])
        .env("PATH", "")
        .output()
        .unwrap();
    insta::assert_snapshot!(crate::run::transcript(&output), @r#"
    status: 2
    ----- stdout -----
    ----- stderr -----
    error: qemu-system-x86_64 is not installed

    hint: sudo apt-get install qemu-system-x86 qemu-utils (Debian, Ubuntu) or sudo dnf install qemu-system-x86-core qemu-img (Fedora)
    "#);
    assert_eq!(names(folder.path()), ["disk.raw"]);
}

#[test]
fn what_is_no_linux_disk_is_refused_with_its_code() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("zero.raw"), vec![0; 1 << 20]).unwrap();
    kiln_snapshot!(folder.path(), "repair zero.raw", @r#"
    status: 2
    ----- stdout -----
    ----- stderr -----
    error: Repair.SystemImageInvalid: nothing to repair: SystemImage.Empty: the image holds no data: all samples are zero
    "#);
}

#[test]
fn a_broken_package_in_the_bundle_is_told_with_its_name() {
    let folder = folder_with_disk();
    let bundle = folder.path().join("bundle/debian/12/x86_64");
    fs::create_dir_all(&bundle).unwrap();
    fs::write(bundle.join("a.deb"), "<html>").unwrap();
    let output = run(folder.path(), "repair --bundle bundle disk.raw");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("debian/12/x86_64/a.deb"), "{}", stderr(&output));
}

/// What lies in a folder, sorted: what is left of a run is seen.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
