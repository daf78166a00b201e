//! Images behind a server: only what is read is fetched, and a server that cannot serve is told.

use std::fs;
use std::os::unix::fs::MetadataExt;

use kiln_fixtures::http::{Behaviour, Server};
use serde_json::Value;

use crate::disk::Guest;
use crate::run::{filters, run, stdout, transcript};

/// A disk with a large file in it that no check has reason to read.
fn folder_with_disk() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut guest = Guest::debian();
    let noise: Vec<u8> =
        (0..2_u32 << 20).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    guest.file("var/lib/large", noise);
    guest.write(folder.path(), "disk.raw");
    folder
}

#[test]
fn fetches_less_than_the_image_has() {
    let folder = folder_with_disk();
    let server = Server::start(folder.path(), Behaviour::Ranges).unwrap();
    let output = run(
        folder.path(),
        &format!("check --format json --fail-on never {}", server.url("disk.raw")),
    );
    assert_eq!(output.status.code(), Some(0), "{}", transcript(&output));
    let report: Value = serde_json::from_str(stdout(&output)).unwrap();
    let fetched = server.body_bytes();
    let allocated = fs::metadata(folder.path().join("disk.raw")).unwrap().blocks() * 512;
    assert!(fetched > 0 && fetched < allocated / 2, "fetched {fetched} of {allocated} bytes");
    // The byte that was asked for to learn the size is not one of the disk.
    assert_eq!(report["images"][0]["bytesRead"], fetched - 1);

    let local = run(folder.path(), "check --format json --fail-on never disk.raw");
    let local: Value = serde_json::from_str(stdout(&local)).unwrap();
    assert_eq!(report["images"][0]["items"], local["images"][0]["items"]);
}

#[test]
fn servers_that_cannot_serve() {
    let folder = folder_with_disk();
    let server = Server::start(folder.path(), Behaviour::NoRanges).unwrap();
    let without = run(folder.path(), &format!("check {}", server.url("disk.raw")));
    let server = Server::start(folder.path(), Behaviour::Ranges).unwrap();
    let absent = run(folder.path(), &format!("check {}", server.url("absent.raw")));
    insta::with_settings!({filters => filters()}, {
        insta::assert_snapshot!(transcript(&without), @r"
    status: 2
    ----- stdout -----
    ----- stderr -----
    error: http://127.0.0.1:[PORT]/disk.raw: the server does not honour Range requests

    hint: download the image and check the file, or serve it by a server with Range support
    ");
        insta::assert_snapshot!(transcript(&absent), @r"
    status: 2
    ----- stdout -----
    ----- stderr -----
    error: http://127.0.0.1:[PORT]/absent.raw: the server answered 404 Not Found
    ");
    });
}
