//! `kiln check`: the table, the status, and what happens to images that are none.

use std::fs;
use std::io::Read;
use std::process::Stdio;

use crate::disk::Guest;
use crate::run::{kiln, kiln_snapshot, run, stderr, stdout};

/// A folder with one disk, `disk.raw`, whose clock fault (Medium) and missing kernel (High) the
/// tests choose by `--item`.
fn folder_with_disk() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut guest = Guest::debian();
    guest.file("etc/adjtime", "0.0 0 0.0\n0\nLOCAL\n");
    guest.write(folder.path(), "disk.raw");
    folder
}

#[test]
fn table_of_a_system_with_faults() {
    let folder = folder_with_disk();
    kiln_snapshot!(folder.path(), "check --item Platform,RtcTimeMode,KernelVersion disk.raw", @r"
    status: 1
    ----- stdout -----
    disk.raw  (raw, Debian 12.5)
    ok       Platform       Debian
    MEDIUM   RtcTimeMode    LOCAL    /etc/adjtime says that the hardware clock runs in local time; the platform's runs in UTC
    HIGH     KernelVersion  Unknown  no kernel is installed

    RtcTimeMode.Local
      /etc/adjtime:3: LOCAL
      fix: set line 3 of /etc/adjtime to UTC (timedatectl set-local-rtc 0)

    1 high, 1 medium; [N] items in [ELAPSED], [BYTES] read
    ----- stderr -----
    ");
}

#[test]
fn items_are_given_once_in_the_order_of_the_report() {
    let folder = folder_with_disk();
    kiln_snapshot!(folder.path(), "check --item guestos.osversion --item Platform,OSVersion disk.raw", @r"
    status: 0
    ----- stdout -----
    disk.raw  (raw, Debian 12.5)
    ok       Platform   Debian
    ok       OSVersion  Debian 12.5

    no risk; [N] items in [ELAPSED], [BYTES] read
    ----- stderr -----
    ");
}

#[test]
fn verbose_gives_the_evidence_of_what_passed() {
    let folder = folder_with_disk();
    kiln_snapshot!(folder.path(), "check --verbose --item OSVersion disk.raw", @r"
    status: 0
    ----- stdout -----
    disk.raw  (raw, Debian 12.5)
    ok       OSVersion  Debian 12.5

    OSVersion
      /etc/os-release: Debian GNU/Linux 12 (bookworm)
      /etc/debian_version: 12.5

    no risk; 1 item in [ELAPSED], [BYTES] read
    ----- stderr -----
    ");
}

/// The threshold alone decides between 0 and 1: a Medium risk fails only where Medium is asked for.
#[test]
fn status_follows_the_threshold() {
    let folder = folder_with_disk();
    for (items, fail_on, status) in [
        ("Platform", "medium", 0),
        ("RtcTimeMode", "high", 0),
        ("RtcTimeMode", "medium", 1),
        ("RtcTimeMode", "never", 0),
        ("KernelVersion", "high", 1),
        ("KernelVersion", "medium", 1),
        ("KernelVersion", "never", 0),
    ] {
        let line = format!("check --item {items} --fail-on {fail_on} disk.raw");
        assert_eq!(run(folder.path(), &line).status.code(), Some(status), "{line}");
    }
    let by_default = run(folder.path(), "check --item RtcTimeMode disk.raw");
    assert_eq!(by_default.status.code(), Some(0));
}

/// One image that cannot be opened makes the status 2 and costs the others nothing.
#[test]
fn one_image_of_several_fails() {
    let folder = folder_with_disk();
    kiln_snapshot!(folder.path(), "check --item Platform disk.raw absent.raw disk.raw", @r"
    status: 2
    ----- stdout -----
    disk.raw  (raw, Debian 12.5)
    ok       Platform  Debian

    no risk; 1 item in [ELAPSED], [BYTES] read

    disk.raw  (raw, Debian 12.5)
    ok       Platform  Debian

    no risk; 1 item in [ELAPSED], [BYTES] read

    3 images: 0 at risk, 1 could not be checked
    ----- stderr -----
    error: absent.raw: No such file or directory

    hint: IMAGE is a path, or an http://, https://, s3:// or oss:// URL
    ");
    let output = run(folder.path(), "check --fail-on never absent.raw disk.raw");
    assert_eq!(output.status.code(), Some(2), "--fail-on is about risks, not about failures");
}

#[test]
fn what_is_no_disk() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("images")).unwrap();
    fs::write(folder.path().join("empty.raw"), "").unwrap();
    fs::write(folder.path().join("notes.txt"), "not a disk\n").unwrap();
    fs::write(folder.path().join("disk.raw.gz"), b"\x1F\x8B\x08\0\0\0\0\0\0\x03".repeat(60))
        .unwrap();
    kiln_snapshot!(folder.path(), "check absent.raw", @r"
    status: 2
    ----- stdout -----
    ----- stderr -----
    error: absent.raw: No such file or directory

    hint: IMAGE is a path, or an http://, https://, s3:// or oss:// URL
    ");
    kiln_snapshot!(folder.path(), "check images/", @r"
    status: 2
    ----- stdout -----
    ----- stderr -----
    error: images/: this is not a regular file or a block device

    hint: name the images in it: images/*
    ");
    kiln_snapshot!(folder.path(), "check disk.raw.gz", @r"
    status: 2
    ----- stdout -----
    ----- stderr -----
    error: disk.raw.gz: this is gzip-compressed

    hint: unpack it first
    ");
    kiln_snapshot!(folder.path(), "check ftp://host/disk.raw", @r"
    status: 2
    ----- stdout -----
    ----- stderr -----
    error: ftp://host/disk.raw: 'ftp://' locations are not supported

    hint: name a path, or an http://, https://, s3:// or oss:// URL
    ");
    kiln_snapshot!(folder.path(), "check --item SystemImage empty.raw", @r"
    status: 1
    ----- stdout -----
    empty.raw  (raw)
    HIGH     SystemImage  Invalid  the image holds no partition, filesystem or other content that kiln knows

    1 high, 0 medium; 1 item in [ELAPSED], [BYTES] read
    ----- stderr -----
    ");
    kiln_snapshot!(folder.path(), "check --item SystemImage notes.txt", @r"
    status: 1
    ----- stdout -----
    notes.txt  (raw)
    HIGH     SystemImage  Invalid  the image holds no partition, filesystem or other content that kiln knows

    1 high, 0 medium; 1 item in [ELAPSED], [BYTES] read
    ----- stderr -----
    ");
}

/// Items that all say the same are one line, and eighteen with `--verbose`.
#[test]
fn items_that_do_not_apply_are_told_once() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("zero.raw"), vec![0; 1 << 20]).unwrap();
    let short = run(folder.path(), "check zero.raw");
    assert_eq!(
        stdout(&short).matches("no operating system found").count(),
        1,
        "{}",
        stdout(&short)
    );
    let long = run(folder.path(), "check --verbose zero.raw");
    assert!(stdout(&long).matches("no operating system found").count() > 8);
    for output in [&short, &long] {
        assert!(stdout(output).contains("HIGH     SystemImage"), "{}", stdout(output));
    }
}

#[test]
fn mistakes_on_the_command_line() {
    let folder = folder_with_disk();
    let output = run(folder.path(), "check --item Platfrom disk.raw");
    assert_eq!(output.status.code(), Some(2));
    let told = stderr(&output);
    assert!(
        told.starts_with("error: there is no item 'Platfrom'; did you mean Platform?\n\nhint: the items are Platform, OSVersion, "),
        "{told}"
    );
    let output = run(folder.path(), "check --item xyzzy disk.raw");
    assert!(stderr(&output).starts_with("error: there is no item 'xyzzy'\n\nhint: "));
    kiln_snapshot!(folder.path(), "check --attach b.raw disk.raw disk.raw", @r"
    status: 2
    ----- stdout -----
    ----- stderr -----
    error: --attach adds disks to one machine: name one IMAGE, not 2
    ");
    kiln_snapshot!(folder.path(), "check --jobs 0 disk.raw", @r"
    status: 2
    ----- stdout -----
    ----- stderr -----
    error: invalid value '0' for '--jobs <N>': number would be zero for non-zero type

    For more information, try '--help'.
    ");
    kiln_snapshot!(folder.path(), "check --fail-on low disk.raw", @r"
    status: 2
    ----- stdout -----
    ----- stderr -----
    error: invalid value 'low' for '--fail-on <FAIL_ON>'
      [possible values: high, medium, never]

    For more information, try '--help'.
    ");
    kiln_snapshot!(folder.path(), "check", @r"
    status: 2
    ----- stdout -----
    ----- stderr -----
    error: the following required arguments were not provided:
      <IMAGE>...

    Usage: kiln check <IMAGE>...

    For more information, try '--help'.
    ");
}

/// Colour belongs on terminals; pipes get it only where the caller forces it.
#[test]
fn colour_only_where_it_is_wanted() {
    let folder = folder_with_disk();
    let mut command = kiln(folder.path());
    command.args(["check", "--item", "KernelVersion", "disk.raw"]);
    let has_colour =
        |command: &mut std::process::Command| command.output().unwrap().stdout.contains(&0x1B);
    assert!(!has_colour(&mut command));
    assert!(has_colour(command.env("CLICOLOR_FORCE", "1")));
    assert!(!has_colour(command.env("NO_COLOR", "1").env_remove("CLICOLOR_FORCE")));
}

/// What an image holds must not reach the terminal as a command to it.
#[test]
fn escapes_from_the_image_are_defused() {
    let folder = tempfile::tempdir().unwrap();
    let mut guest = Guest::debian();
    guest.file(
        "etc/os-release",
        "ID=debian\nVERSION_ID=12\nPRETTY_NAME=\"\x1B[31mred\x07\u{202E}\"\n",
    );
    guest.write(folder.path(), "disk.raw");
    for line in ["check --verbose disk.raw", "inspect disk.raw"] {
        let output = kiln(folder.path()).args(line.split(' ')).env("CLICOLOR_FORCE", "1").output();
        let output = output.unwrap();
        let text = stdout(&output);
        assert!(text.contains("\u{FFFD}[31mred\u{FFFD}\u{FFFD}"), "{text}");
        assert!(!text.contains("\x1B[31mred") && !text.contains(['\x07', '\u{202E}']), "{text}");
    }
}

/// `kiln check ... | head -1`: no panic, no complaint, and the status still tells what was found.
#[test]
fn a_closed_pipe_is_no_error() {
    let folder = folder_with_disk();
    for format in ["table", "json", "sarif", "junit"] {
        let mut child = kiln(folder.path())
            .args(["check", "--item", "KernelVersion", "--format", format, "disk.raw"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut told = String::new();
        child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        assert_eq!((told.as_str(), child.wait().unwrap().code()), ("", Some(1)), "{format}");
    }
}

/// The image is only read: its bytes and times are what they were.
#[test]
fn the_image_is_not_touched() {
    let folder = folder_with_disk();
    let path = folder.path().join("disk.raw");
    let before = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap());
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o444)).unwrap();
    run(folder.path(), "check disk.raw");
    run(folder.path(), "inspect --packages disk.raw");
    let after = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap());
    assert!(before == after);
}
