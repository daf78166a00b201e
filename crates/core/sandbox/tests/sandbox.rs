//! A hostile child is stopped, with the error that tells why, and leaves no process.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kiln_disk::{Kind, MemSource, NoSiblings, OpenOptions, Source};
use kiln_guest::{CHECKS, Declared};
use kiln_sandbox::{Limits, Report, Request, SandboxError, check};

const PROBE: &str = env!("CARGO_BIN_EXE_kiln-sandbox-probe");

fn request(location: &str, bytes: Vec<u8>) -> Request {
    let source: Source = MemSource::shared(bytes);
    let declared = Declared::default();
    Request { source, location: location.to_owned(), declared, items: Vec::new() }
}

fn limits() -> Limits {
    Limits { cpu_seconds: 60, wall: Duration::from_secs(120), ..Limits::default() }
}

fn run(name: &str, limits: &Limits) -> Result<Report, SandboxError> {
    let result = check(Path::new(PROBE), &request(name, vec![0; 1 << 20]), limits);
    assert_eq!(children(), Vec::<String>::new(), "{name} has left a process");
    result
}

/// The processes started by this thread that are there still, also those that wait to be reaped.
fn children() -> Vec<String> {
    let list = fs::read_to_string("/proc/thread-self/children").unwrap();
    list.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn forbidden_calls_end_the_check() {
    for name in ["fork", "exec", "socket", "file", "executable memory", "signal"] {
        // Without the seal it is done, or the test would prove nothing.
        let free = Command::new(PROBE).args(["open", name]).status().unwrap();
        assert_eq!(free.code(), Some(7), "{name}");
        let error = run(name, &limits()).unwrap_err();
        let SandboxError::Forbidden { said } = &error else { panic!("{name}: {error:?}") };
        assert_eq!(*said, format!("trying: {name}\n"));
    }
}

#[test]
fn memory_is_limited() {
    let error = run("memory", &limits()).unwrap_err();
    assert!(matches!(error, SandboxError::OutOfMemory { limit_bytes: 0x4000_0000 }), "{error:?}");
    let enough = Limits { address_space_bytes: 4 << 30, ..limits() };
    let error = run("memory", &enough).unwrap_err();
    assert!(matches!(error, SandboxError::NoAnswer { code: Some(7), .. }), "{error:?}");
}

#[test]
fn processor_time_is_limited() {
    let error = run("loop", &Limits { cpu_seconds: 1, ..limits() }).unwrap_err();
    assert!(matches!(error, SandboxError::CpuLimit { limit_seconds: 1 }), "{error:?}");
}

#[test]
fn time_is_limited() {
    let start = Instant::now();
    let wall = Duration::from_millis(500);
    for name in ["sleep", "loop"] {
        let error = run(name, &Limits { wall, ..limits() }).unwrap_err();
        assert!(matches!(error, SandboxError::TimeLimit { .. }), "{name}: {error:?}");
    }
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

#[test]
fn crashes_and_early_ends_are_told_apart() {
    let error = run("abort", &limits()).unwrap_err();
    assert!(matches!(error, SandboxError::Crashed { signal: 6, .. }), "{error:?}");
    let error = run("panic", &limits()).unwrap_err();
    let SandboxError::NoAnswer { code: Some(101), said } = &error else { panic!("{error:?}") };
    assert!(said.contains("as told"), "{said}");
    let error = run("close", &limits()).unwrap_err();
    assert!(matches!(error, SandboxError::NoAnswer { code: Some(7), .. }), "{error:?}");
}

#[test]
fn what_the_child_sends_is_bounded() {
    for (name, what) in [
        ("huge answer", "the sandbox exceeds its limit of 8388608 bytes of answer"),
        ("huge range", "the sandbox exceeds its limit of 1048576 bytes in a read"),
        ("garbage", "the sandbox broke the protocol: a message of 4294967295 bytes exceeds 65536"),
    ] {
        assert_eq!(run(name, &limits()).unwrap_err().to_string(), what);
    }
    let few = Limits { ranges: 1, ..limits() };
    let error = run("sound", &few).unwrap_err();
    assert!(matches!(error, SandboxError::TooMuch { what: "reads", limit: 1 }), "{error:?}");
    let little = Limits { served_bytes: 10, ..limits() };
    let error = run("sound", &little).unwrap_err();
    assert!(matches!(error, SandboxError::TooMuch { what: "bytes read", .. }), "{error:?}");
}

#[test]
fn a_program_that_is_no_child_is_an_error() {
    let run = |program: &str| check(Path::new(program), &request("x", Vec::new()), &limits());
    let error = run("/no/such/program").unwrap_err();
    assert!(matches!(error, SandboxError::Start { .. }), "{error:?}");
    let error = run("/bin/true").unwrap_err();
    assert!(matches!(error, SandboxError::NoAnswer { code: Some(0), .. }), "{error:?}");
    assert_eq!(children(), Vec::<String>::new());
}

#[test]
fn an_image_can_be_refused() {
    let mut image = vec![0; 1 << 20];
    image[..8].copy_from_slice(b"QFI\xfb\0\0\0\x09");
    let error = check(Path::new(PROBE), &request("it", image), &limits()).unwrap_err();
    let SandboxError::Refused { kind, message, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*kind, Kind::Unsupported);
    assert!(message.contains("version 9"), "{message}");
}

#[test]
fn a_sound_image_gets_the_items_it_gets_outside() {
    let request = request("disk", kiln_fixtures::phony::image::debian_image(""));
    let (source, options) = (request.source.clone(), OpenOptions::default());
    let image = kiln_disk::open_source(source, "disk", Arc::new(NoSiblings), &options).unwrap();
    let inspection = kiln_guest::inspect(kiln_volume::scan(&[image.source]), Declared::default());
    let outside = serde_json::to_value(kiln_guest::run(&inspection, CHECKS)).unwrap();
    let report = check(Path::new(PROBE), &request, &limits()).unwrap();
    assert_eq!(report.answer["items"], outside);
    assert_eq!(report.answer["format"], "raw");
    assert!(outside.as_array().unwrap().iter().any(|item| item["status"] == "pass"), "{outside}");
    assert!(report.ranges > 0 && report.served_bytes > 0, "{report:?}");
}
