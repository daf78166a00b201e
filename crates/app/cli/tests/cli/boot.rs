//! `kiln boot` where nothing can be booted, and of a disk that nothing can boot from.

use std::fs;
use std::path::Path;

use crate::run::{kiln, kiln_snapshot, run, stderr, stdout};

/// A disk of zeroes.
fn empty_disk(folder: &Path, name: &str) {
    fs::write(folder.join(name), vec![0; 1 << 20]).unwrap();
}

#[test]
fn a_missing_image_is_told() {
    let folder = tempfile::tempdir().unwrap();
    kiln_snapshot!(folder.path(), "boot absent.raw", @r"
    status: 2
    ----- stdout -----
    ----- stderr -----
    error: absent.raw: No such file or directory
    ");
}

#[test]
fn a_remote_image_is_not_booted() {
    let folder = tempfile::tempdir().unwrap();
    kiln_snapshot!(folder.path(), "boot https://example.com/disk.raw", @r"
    status: 2
    ----- stdout -----
    ----- stderr -----
    error: https://example.com/disk.raw: only an image on this machine can be booted

    hint: download it first
    ");
}

#[test]
fn wrong_arguments_are_told() {
    let folder = tempfile::tempdir().unwrap();
    for (line, told) in [
        ("boot", "<IMAGE>"),
        ("boot a.raw b.raw", "unexpected argument 'b.raw'"),
        ("boot --bus ide a.raw", "[possible values: virtio, nvme, scsi]"),
        ("boot --firmware efi a.raw", "[possible values: bios, uefi]"),
        ("boot --timeout 0 a.raw", "0 is not in 1..=86400"),
        ("boot --memory 64 a.raw", "64 is not in 128..=1048576"),
        ("boot --cpus 0 a.raw", "0 is not in 1..=255"),
        ("boot --until login --marker x a.raw", "cannot be used with"),
        ("boot --until shell a.raw", "[possible values: login, network, cloud-init]"),
    ] {
        let output = run(folder.path(), line);
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), ""), "{line}");
        assert!(stderr(&output).contains(told), "{line}: {}", stderr(&output));
    }
    let empty = kiln(folder.path()).args(["boot", "--marker", "", "a.raw"]).output().unwrap();
    assert!(stderr(&empty).contains("a value is required for '--marker"), "{}", stderr(&empty));
}

#[test]
fn without_qemu_the_command_that_installs_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    empty_disk(folder.path(), "disk.raw");
    let output = kiln(folder.path()).args(["boot", "disk.raw"]).env("PATH", "").output().unwrap();
    insta::assert_snapshot!(crate::run::transcript(&output), @r"
    status: 2
    ----- stdout -----
    ----- stderr -----
    error: qemu-system-x86_64 is not installed

    hint: sudo apt-get install qemu-system-x86 qemu-utils (Debian, Ubuntu) or sudo dnf install qemu-system-x86-core qemu-img (Fedora)
    ");
    assert!(!folder.path().join("disk.raw.console.log").exists(), "a log of nothing");
}

#[test]
fn the_image_is_never_taken_for_its_log() {
    let folder = tempfile::tempdir().unwrap();
    empty_disk(folder.path(), "disk.raw");
    std::os::unix::fs::symlink("disk.raw", folder.path().join("link")).unwrap();
    for log in ["disk.raw", "link", "./disk.raw"] {
        let output = run(folder.path(), &format!("boot --console {log} disk.raw"));
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("is the image itself"), "{}", stderr(&output));
    }
    assert_eq!(fs::metadata(folder.path().join("disk.raw")).unwrap().len(), 1 << 20);
}

#[test]
fn a_log_that_cannot_be_written_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    empty_disk(folder.path(), "disk.raw");
    kiln_snapshot!(folder.path(), "boot --console no/such/folder/log disk.raw", @r"
    status: 2
    ----- stdout -----
    ----- stderr -----
    error: cannot write the console log no/such/folder/log: No such file or directory

    hint: name another file with --console
    ");
}

/// Real QEMU, real firmware; no guest.
#[test]
fn an_empty_disk_is_not_bootable_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    empty_disk(folder.path(), "disk.raw");
    let output = run(folder.path(), "boot --accel tcg --timeout 600 --format json disk.raw");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["failure"]["code"], "Firmware.NothingToBoot", "{report:#}");
    assert_eq!((&report["reached"], &report["firmware"]), (&false.into(), &"bios".into()));
    assert_eq!(report["stages"][0]["stage"], "firmware");
    assert_eq!(report["consoleLog"], "disk.raw.console.log");
    let log = fs::read(folder.path().join("disk.raw.console.log")).unwrap();
    assert_eq!(report["consoleBytes"], log.len());
    assert!(String::from_utf8_lossy(&log).contains("No bootable device"));
}

/// A boot sector that writes to the serial port, which the firmware has set up: a marker is a goal.
#[test]
fn a_marker_is_a_goal_and_the_table_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = vec![0; 1 << 20];
    disk[..BOOT_SECTOR.len()].copy_from_slice(&BOOT_SECTOR);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    fs::write(folder.path().join("disk.raw"), &disk).unwrap();
    let output =
        run(folder.path(), "boot --accel tcg --timeout 600 --bus nvme --marker OK disk.raw");
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    let table = stdout(&output);
    assert!(table.starts_with("disk.raw  nvme disk, BIOS, TCG\n\nfirmware "), "{table}");
    assert!(table.contains("marker reached in "), "{table}");
    assert!(table.ends_with("console log: disk.raw.console.log\n"), "{table}");
    assert_eq!(fs::read(folder.path().join("disk.raw")).unwrap(), disk, "the image was written");
}

/// `mov dx,0x3f8; mov al,'O'; out dx,al; mov al,'K'; out dx,al; mov al,10; out dx,al; end: hlt; jmp end`
const BOOT_SECTOR: [u8; 15] =
    [0xba, 0xf8, 0x03, 0xb0, b'O', 0xee, 0xb0, b'K', 0xee, 0xb0, 0x0a, 0xee, 0xf4, 0xeb, 0xfd];
