//! Remote images against a real server on the loopback interface: what is read, what is fetched,
//! and how a server that cannot serve is told.
#![cfg(all(feature = "http", feature = "object"))]

use std::fs;

use kiln_disk::{Kind, OpenOptions, open};
use kiln_fixtures::http::{Behaviour, Server};

const SIZE: usize = 24 << 20;

fn served(behaviour: Behaviour) -> (tempfile::TempDir, Vec<u8>, Server) {
    let folder = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> =
        (0..SIZE as u32 / 4).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    fs::create_dir(folder.path().join("bucket")).unwrap();
    fs::write(folder.path().join("bucket/disk.raw"), &bytes).unwrap();
    let server = Server::start(folder.path(), behaviour).unwrap();
    (folder, bytes, server)
}

fn open_url(url: &str) -> kiln_disk::Result<kiln_disk::Image> {
    open(url, &OpenOptions::default())
}

/// Scattered small reads fetch one block each, a sequential one few large ones; all bytes are right.
#[test]
fn reads_what_is_asked_for_and_little_more() {
    let (_folder, bytes, server) = served(Behaviour::Ranges);
    let image = open_url(&server.url("bucket/disk.raw")).unwrap();
    assert_eq!(image.source.size_bytes(), SIZE as u64);
    let before = server.body_bytes();
    let mut buf = [0; 100];
    for offset in [5_000_000, 20_000_000, 65_500] {
        image.source.read_at(offset as u64, &mut buf).unwrap();
        assert_eq!(buf[..], bytes[offset..offset + 100]);
    }
    // 65,500 + 100 crosses into block 1; block 0 is there since the format was looked for.
    assert_eq!(server.body_bytes() - before, 3 * (64 << 10));

    let requests = server.n_requests();
    let mut file = vec![0; 8 << 20];
    for (n, piece) in file.chunks_mut(64 << 10).enumerate() {
        image.source.read_at((6 << 20) + ((n as u64) << 16), piece).unwrap();
    }
    assert_eq!(file[..], bytes[6 << 20..14 << 20]);
    assert!(server.n_requests() - requests < 12, "{} requests", server.n_requests() - requests);
}

#[test]
fn a_server_without_ranges_is_told_from_a_broken_image() {
    let (_folder, _, server) = served(Behaviour::NoRanges);
    let error = open_url(&server.url("bucket/disk.raw")).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    let url = server.url("bucket/disk.raw");
    assert_eq!(error.to_string(), format!("{url}: the server does not honour Range requests"));
    assert!(error.hint_text().unwrap().starts_with("download the image"));
}

#[test]
fn a_busy_server_is_asked_again() {
    let (_folder, bytes, server) = served(Behaviour::Flaky);
    let image = open_url(&server.url("bucket/disk.raw")).unwrap();
    let mut buf = [0; 4096];
    image.source.read_at(1 << 20, &mut buf).unwrap();
    assert_eq!(buf[..], bytes[1 << 20..(1 << 20) + 4096]);
}

#[test]
fn a_file_that_changes_is_not_taken_for_one_disk() {
    let (_folder, _, server) = served(Behaviour::Changing);
    let error = open_url(&server.url("bucket/disk.raw")).unwrap_err();
    assert!(
        error.to_string().ends_with("the file changed on the server while it was read"),
        "{error}"
    );
}

#[test]
fn what_is_not_there_is_not_found() {
    let (_folder, _, server) = served(Behaviour::Ranges);
    assert_eq!(open_url(&server.url("bucket/none.raw")).unwrap_err().kind(), Kind::NotFound);
    let error = open_url("gopher://example.com/disk.raw").unwrap_err();
    assert_eq!(
        error.to_string(),
        "gopher://example.com/disk.raw: 'gopher://' locations are not supported"
    );
}

/// Both stores' clients against the same server. Nothing else in this process reads or sets these
/// variables, and they are set before the first thread that could read them.
#[test]
fn objects_are_read_by_range() {
    let (_folder, bytes, server) = served(Behaviour::Ranges);
    let endpoint = server.url("");
    let program = std::env::current_exe().unwrap();
    if std::env::var_os("AWS_ENDPOINT_URL").is_none() {
        let status = std::process::Command::new(program)
            .args(["--exact", "objects_are_read_by_range", "--nocapture"])
            .env("AWS_ENDPOINT_URL", endpoint.trim_end_matches('/'))
            .env("AWS_REGION", "us-east-1")
            .env_remove("AWS_ACCESS_KEY_ID")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    // The child's own server has another port: the parent's is the endpoint, with the same bytes.
    let image = open_url("s3://bucket/disk.raw").unwrap();
    let mut buf = vec![0; 300_000];
    image.source.read_at(7_000_000, &mut buf).unwrap();
    assert_eq!(buf[..], bytes[7_000_000..7_300_000]);
    assert_eq!(open_url("s3://bucket/none").unwrap_err().kind(), Kind::NotFound);
    assert_eq!(open_url("s3://bucket").unwrap_err().hint_text(), Some("write s3://BUCKET/KEY"));
    let error = open_url("oss://bucket/disk.raw").unwrap_err();
    assert!(error.hint_text().is_some_and(|hint| hint.contains("OSS_ENDPOINT")), "{error}");
}
