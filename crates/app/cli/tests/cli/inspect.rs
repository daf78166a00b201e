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
    kiln_snapshot!(folder.path(), "inspect --packages disk.raw", @"");
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
    kiln_snapshot!(folder.path(), "inspect absent.raw", @"");
    kiln_snapshot!(folder.path(), "inspect zero.raw", @"");
}
