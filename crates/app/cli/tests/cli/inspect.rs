//! `kiln inspect`: what is on a disk, for people and for programs.

use serde_json::Value;

use crate::disk::Guest;
use crate::run::{kiln_snapshot, run, stdout};

fn folder_with_disk() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    Guest::debian().write(folder.path(), "disk.raw");
    folder
}

#[test]
fn table() {
    let folder = folder_with_disk();
    kiln_snapshot!(folder.path(), "inspect --packages disk.raw", @r#"
    status: 0
    ----- stdout -----
    disk.raw  (raw, 17.00 MiB)

    disk0: MBR partition table, 12345678, 512-byte sectors
      disk0p1  ext4          [BYTES] used of 16.00 MiB  /  "root"  22222222-0000-4000-8000-000000000001

    Debian GNU/Linux 12 (bookworm) on disk0p1 (unknown architecture, boots)
      1 package
        bash 5.2.15-2+b2 amd64
    ----- stderr -----
    "#);
}

#[test]
fn json_has_the_same_facts() {
    let folder = folder_with_disk();
    let output = run(folder.path(), "inspect --format json disk.raw");
    let view: Value = serde_json::from_str(stdout(&output)).unwrap();
    assert_eq!(view["format"], "raw");
    assert_eq!(view["virtualSizeBytes"], 17 << 20);
    assert_eq!(view["disks"][0]["table"], "MBR");
    assert_eq!(view["volumes"][0]["content"], "ext4");
    assert_eq!(view["volumes"][0]["mountPoint"], "/");
    assert_eq!(view["volumes"][0]["uuid"], "22222222-0000-4000-8000-000000000001");
    assert_eq!(view["boots"], 0);
    assert_eq!(view["systems"][0]["id"], "debian");
    assert_eq!(view["systems"][0]["nPackages"], 1);
    assert_eq!(view["systems"][0].get("packages"), None);

    let output = run(folder.path(), "inspect --format json --packages disk.raw");
    let view: Value = serde_json::from_str(stdout(&output)).unwrap();
    assert_eq!(view["systems"][0]["packages"][0]["name"], "bash");
}

#[test]
fn failures() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("zero.raw"), vec![0; 1 << 20]).unwrap();
    kiln_snapshot!(folder.path(), "inspect absent.raw", @r"
    status: 2
    ----- stdout -----
    ----- stderr -----
    error: absent.raw: No such file or directory

    hint: IMAGE is a path, or an http://, https://, s3:// or oss:// URL
    ");
    kiln_snapshot!(folder.path(), "inspect zero.raw", @r"
    status: 0
    ----- stdout -----
    zero.raw  (raw, 1.00 MiB)

    disk0: no partition table, 512-byte sectors
      disk0  nothing       1.00 MiB
    ----- stderr -----
    ");
}
