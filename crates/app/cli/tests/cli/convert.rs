//! `kiln convert`: every format out, and nothing there where it failed.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use crate::run::{kiln_snapshot, run, stderr, stdout};

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let disk = File::create(folder.path().join("disk.raw")).unwrap();
    disk.set_len(10 << 20).unwrap();
    disk.write_all_at(&[b'a'; 300_000], 1 << 20).unwrap();
    disk.write_all_at(b"end", (10 << 20) - 3).unwrap();
    folder
}

fn qemu_img(folder: &Path, arguments: &str) -> bool {
    let mut command = Command::new("qemu-img");
    command.current_dir(folder).args(arguments.split(' ')).output().unwrap().status.success()
}

/// The names in the folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn each_format_is_written_and_holds_the_disk() {
    let folder = folder();
    let at = folder.path();
    for (arguments, out, format) in [
        ("", "a.qcow2", "qcow2"),
        ("--level 0 --threads 3", "b.qcow2", "qcow2"),
        ("--level 9", "c.vmdk", "vmdk"),
        ("", "d.vhd", "vpc"),
        ("", "e.VDI", "vdi"),
        ("", "f.raw", "raw"),
        ("", "g.img", "qcow2"),
        ("-O vhd", "h.img", "vpc"),
    ] {
        let output = run(at, &format!("convert {arguments} disk.raw {out}"));
        assert_eq!(output.status.code(), Some(0), "{out}: {}", stderr(&output));
        assert!(stdout(&output).starts_with(&format!("{out}: ")), "{}", stdout(&output));
        assert!(qemu_img(at, &format!("compare -q -f raw -F {format} disk.raw {out}")), "{out}");
    }
    // And from one of them back.
    assert_eq!(run(at, "convert c.vmdk back.raw").status.code(), Some(0));
    assert!(fs::read(at.join("back.raw")).unwrap() == fs::read(at.join("disk.raw")).unwrap());
    // A difference is seen.
    assert!(!qemu_img(at, "compare -q -f raw -F raw disk.raw a.qcow2"));
}

#[test]
fn the_line_names_what_came_of_it() {
    let folder = folder();
    kiln_snapshot!(folder.path(), "convert disk.raw new.vhd", @r"
    status: 0
    ----- stdout -----
    new.vhd: vhd, a disk of 10.00 MiB in 4.00 MiB, from raw in [ELAPSED]
    ----- stderr -----
    ");
}

#[test]
fn what_is_there_is_replaced_only_when_told() {
    let folder = folder();
    fs::write(folder.path().join("out.qcow2"), "precious").unwrap();
    kiln_snapshot!(folder.path(), "convert disk.raw out.qcow2", @r"
    status: 2
    ----- stdout -----
    ----- stderr -----
    error: out.qcow2 exists

    hint: --force replaces it
    ");
    assert_eq!(fs::read(folder.path().join("out.qcow2")).unwrap(), b"precious");
    assert_eq!(run(folder.path(), "convert --force disk.raw out.qcow2").status.code(), Some(0));
    assert!(qemu_img(folder.path(), "check -q out.qcow2"));
    let output = run(folder.path(), "convert --force disk.raw ./disk.raw");
    assert_eq!(stderr(&output), "error: ./disk.raw is the image itself\n");
}

#[test]
fn a_failure_leaves_nothing() {
    let folder = folder();
    let at = folder.path();
    assert_eq!(run(at, "convert disk.raw whole.qcow2").status.code(), Some(0));
    let whole = fs::read(at.join("whole.qcow2")).unwrap();
    fs::write(at.join("cut.qcow2"), &whole[..whole.len() / 2]).unwrap();
    let before = names(at);
    for (line, told) in [
        ("convert cut.qcow2 out.raw", "past the end of the file"),
        ("convert missing.raw out.raw", "No such file"),
        ("convert disk.raw missing/out.raw", "cannot write missing/out.raw"),
        ("convert --level 3 disk.raw out.vhd", "vhd is not compressed"),
        ("convert --level 10 disk.raw out.vmdk", "the levels of vmdk are from 1 to 9"),
        ("convert --threads 0 disk.raw out.raw", "0 is not in 1..=256"),
        ("convert -O qed disk.raw out.raw", "invalid value 'qed'"),
    ] {
        let output = run(at, line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(stderr(&output).contains(told), "{line}: {}", stderr(&output));
    }
    assert_eq!(names(at), before);
}

#[test]
fn the_help_has_examples() {
    let folder = tempfile::tempdir().unwrap();
    let help = run(folder.path(), "convert --help");
    for part in ["Examples:\n  kiln convert disk.vmdk", "Exit status: 0 OUT is written", "--force"]
    {
        assert!(stdout(&help).contains(part), "{part} is not in\n{}", stdout(&help));
    }
}
