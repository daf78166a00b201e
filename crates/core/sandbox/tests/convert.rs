//! Foreign images of every format come out as the same disk; hostile ones, and a caller that has had
//! enough, end the child with the reason.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kiln_disk::{BlockSource, Error, FileSource, Kind, Source};
use kiln_sandbox::{
    ConvertLimits, ConvertRequest, Converted, Input, Refusal, SandboxError, convert, probe,
};

const PROBE: &str = env!("CARGO_BIN_EXE_kiln-sandbox-probe");
const DISK_BYTES: u64 = (24 << 20) + 3 * 512;

struct Folder(tempfile::TempDir);

impl Folder {
    /// A folder with a disk `disk.raw`: text, noise and holes.
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let raw = File::create(folder.path("disk.raw")).unwrap();
        raw.set_len(DISK_BYTES).unwrap();
        let mut state = 0x9e37_79b9_u32;
        let mut noise = |n: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if (n / 8192).is_multiple_of(2) { state.to_le_bytes()[3] } else { b'k' }
        };
        for (at, length) in [(512, 700_000), (9 << 20, 3 << 20), (DISK_BYTES - 1500, 1500)] {
            let bytes: Vec<u8> = (0..length).map(&mut noise).collect();
            raw.write_all_at(&bytes, at).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn qemu_img(&self, arguments: &[&str]) {
        let output =
            Command::new("qemu-img").current_dir(&self.0).args(arguments).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {told}");
    }

    fn make(&self, name: &str, arguments: &[&str]) {
        self.qemu_img(&[&["convert", "-f", "raw"], arguments, &["disk.raw", name]].concat());
    }

    fn request(&self, name: &str) -> ConvertRequest {
        let input = Input::File(File::open(self.path(name)).unwrap());
        self.request_of(input, name)
    }

    fn request_of(&self, input: Input, location: &str) -> ConvertRequest {
        let mut how = OpenOptions::new();
        how.read(true).write(true).create(true).truncate(true);
        let output = how.open(self.path("out.qcow2")).unwrap();
        let (location, expected_format) = (location.to_owned(), None);
        ConvertRequest { input, location, expected_format, output, zstd_level: 1, threads: 2 }
    }

    fn spoil(&self, name: &str, at: u64, bytes: &[u8]) {
        let file = OpenOptions::new().write(true).open(self.path(name)).unwrap();
        file.write_all_at(bytes, at).unwrap();
    }
}

fn go_on(_: u64, _: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn limits() -> ConvertLimits {
    ConvertLimits { cpu_seconds: 120, idle: Duration::from_secs(60), ..ConvertLimits::default() }
}

fn run(request: &ConvertRequest, limits: &ConvertLimits) -> Result<Converted, SandboxError> {
    let result = convert(Path::new(PROBE), request, limits, &go_on);
    assert_eq!(children(), Vec::<String>::new(), "{} has left a process", request.location);
    result
}

/// The processes started by this thread that are there still, also those that wait to be reaped.
fn children() -> Vec<String> {
    let list = fs::read_to_string("/proc/thread-self/children").unwrap();
    list.split_whitespace().map(str::to_owned).collect()
}

#[track_caller]
fn refusal(result: Result<Converted, SandboxError>) -> (Refusal, String) {
    match result.unwrap_err() {
        SandboxError::NotConverted { refusal, message, .. } => (refusal, message),
        other => panic!("{other:?}"),
    }
}

const FORMATS: &[(&str, &str, &[&str])] = &[
    ("a.qcow2", "qcow2", &["-O", "qcow2"]),
    ("z.qcow2", "qcow2", &["-c", "-O", "qcow2", "-o", "compression_type=zstd"]),
    ("c.qcow2", "qcow2", &["-c", "-O", "qcow2", "-o", "cluster_size=2M"]),
    ("d.vhd", "vhd", &["-O", "vpc", "-o", "force_size=on"]),
    ("f.vhd", "vhd", &["-O", "vpc", "-o", "subformat=fixed,force_size=on"]),
    ("a.vhdx", "vhdx", &["-O", "vhdx"]),
    ("m.vmdk", "vmdk", &["-O", "vmdk"]),
    ("s.vmdk", "vmdk", &["-O", "vmdk", "-o", "subformat=streamOptimized"]),
    ("copy.raw", "raw", &["-O", "raw"]),
];

#[test]
fn every_format_comes_out_as_the_same_disk() {
    let folder = Folder::new();
    for (name, format, arguments) in FORMATS {
        folder.make(name, arguments);
        let file = FileSource::open(&folder.path(name)).unwrap();
        let inputs = [
            Input::File(File::open(folder.path(name)).unwrap()),
            Input::Source(Arc::new(file) as Source),
        ];
        for input in inputs {
            let probed = probe(Path::new(PROBE), &input, name, Some(format), &limits()).unwrap();
            assert_eq!((&*probed.format, probed.virtual_size_bytes), (*format, DISK_BYTES));
            let last = Cell::new((0, 0));
            let request = folder.request_of(input, name);
            let request = ConvertRequest { expected_format: Some((*format).into()), ..request };
            let tell = |done, total| {
                assert!(done >= last.get().0, "{name}: progress went back");
                last.set((done, total));
                ControlFlow::Continue(())
            };
            let done = convert(Path::new(PROBE), &request, &limits(), &tell).unwrap();
            assert_eq!(last.get(), (DISK_BYTES, DISK_BYTES), "{name}");
            assert_eq!((&*done.format, done.virtual_size_bytes), (*format, DISK_BYTES));
            assert_eq!(done.size_bytes, fs::metadata(folder.path("out.qcow2")).unwrap().len());
            assert!((3 << 20..8 << 20).contains(&done.allocated_bytes), "{done:?}");
            folder.qemu_img(&["check", "-q", "out.qcow2"]);
            folder.qemu_img(&["compare", "-q", "-f", "raw", "disk.raw", "out.qcow2"]);
        }
    }
    // A difference is seen, or the comparisons above would prove nothing.
    folder.spoil("disk.raw", 9 << 20, b"x");
    let compare = ["compare", "-q", "-f", "raw", "disk.raw", "out.qcow2"];
    let status = Command::new("qemu-img").current_dir(&folder.0).args(compare).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

/// One fault at a time; near misses are sound in the test above.
#[test]
fn each_fault_has_its_refusal() {
    let folder = Folder::new();
    for (name, _, arguments) in FORMATS {
        folder.make(name, arguments);
    }
    folder.qemu_img(&["create", "-q", "-f", "qcow2", "-b", "disk.raw", "-F", "raw", "b.qcow2"]);
    let secret = ["--object", "secret,id=s,data=geheim"];
    let luks = ["-f", "qcow2", "-o", "encrypt.format=luks,encrypt.key-secret=s", "e.qcow2", "9M"];
    folder.qemu_img(&[&["create", "-q"], &secret[..], &luks].concat());
    // Its own backing file: never opened, so no loop.
    folder.qemu_img(&["rebase", "-u", "-b", "b.qcow2", "-F", "qcow2", "b.qcow2"]);
    let cut = |name: &str, of: &str, length: u64| {
        fs::copy(folder.path(of), folder.path(name)).unwrap();
        File::options().write(true).open(folder.path(name)).unwrap().set_len(length).unwrap();
    };
    cut("cut.qcow2", "z.qcow2", 500_000);
    cut("cut.vmdk", "s.vmdk", 500_000);
    cut("cut.vhdx", "a.vhdx", 5 << 20);
    cut("cut.vhd", "d.vhd", 3 << 20);
    fs::copy(folder.path("a.qcow2"), folder.path("huge.qcow2")).unwrap();
    folder.spoil("huge.qcow2", 24, &(1_u64 << 60).to_be_bytes());
    fs::copy(folder.path("a.qcow2"), folder.path("unit.qcow2")).unwrap();
    folder.spoil("unit.qcow2", 20, &[0, 0, 0, 25]);
    fs::write(folder.path("disk.gz"), [&b"\x1f\x8b\x08"[..], &[0; 2000]].concat()).unwrap();
    fs::copy(folder.path("d.vhd"), folder.path("size.vhd")).unwrap();
    vhd_header(&folder, "size.vhd", 512..1536, 28, &3_u32.to_be_bytes());
    fs::copy(folder.path("d.vhd"), folder.path("block.vhd")).unwrap();
    vhd_header(&folder, "block.vhd", 512..1536, 32, &(3_u32 << 20).to_be_bytes());
    fs::copy(folder.path("d.vhd"), folder.path("huge.vhd")).unwrap();
    let end = fs::metadata(folder.path("huge.vhd")).unwrap().len();
    vhd_header(&folder, "huge.vhd", end - 512..end, 48, &(1_u64 << 60).to_be_bytes());
    for (name, expected) in [
        ("b.qcow2", Refusal::DependsOnOther),
        ("e.qcow2", Refusal::Encrypted),
        ("cut.qcow2", Refusal::Truncated),
        ("cut.vmdk", Refusal::Truncated),
        ("cut.vhdx", Refusal::Truncated),
        ("cut.vhd", Refusal::Truncated),
        ("huge.qcow2", Refusal::SizeFields),
        ("huge.vhd", Refusal::TooLarge),
        ("unit.qcow2", Refusal::UnitSize),
        ("disk.gz", Refusal::UnknownFormat),
        ("size.vhd", Refusal::SizeFields),
        ("block.vhd", Refusal::UnitSize),
    ] {
        let (refusal, message) = refusal(run(&folder.request(name), &limits()));
        assert_eq!(refusal, expected, "{name}: {message}");
        assert!(message.starts_with(&format!("{name}: ")), "{message}");
    }
    let request =
        ConvertRequest { expected_format: Some("vhd".to_owned()), ..folder.request("a.qcow2") };
    let (mismatch, message) = refusal(run(&request, &limits()));
    assert_eq!(mismatch, Refusal::FormatMismatch { found: "qcow2".to_owned() });
    assert_eq!(message, "a.qcow2: this is qcow2, not vhd");
    let small = ConvertLimits { virtual_size_bytes: DISK_BYTES - 1, ..limits() };
    let (large, message) = refusal(run(&folder.request("a.qcow2"), &small));
    assert_eq!(large, Refusal::TooLarge, "{message}");
}

/// Change a field of a footer (512 bytes) or of a dynamic header (1024), and its checksum.
fn vhd_header(folder: &Folder, name: &str, place: Range<u64>, at: usize, value: &[u8]) {
    let mut header = vec![0; (place.end - place.start) as usize];
    File::open(folder.path(name)).unwrap().read_exact_at(&mut header, place.start).unwrap();
    header[at..at + value.len()].copy_from_slice(value);
    let sum_at = if header.len() == 512 { 64 } else { 36 };
    header[sum_at..sum_at + 4].fill(0);
    let sum = !header.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    header[sum_at..sum_at + 4].copy_from_slice(&sum.to_be_bytes());
    folder.spoil(name, place.start, &header);
}

/// All data of a terabyte in one cluster: looked up again and again, and held nowhere.
#[test]
fn a_loop_of_tables_costs_no_memory_and_can_be_stopped() {
    let folder = Folder::new();
    folder.qemu_img(&["create", "-q", "-f", "qcow2", "loop.qcow2", "1T"]);
    let mut l1_at = [0; 8];
    let file = File::options().read(true).write(true).open(folder.path("loop.qcow2")).unwrap();
    file.read_exact_at(&mut l1_at, 40).unwrap();
    let l1_at = u64::from_be_bytes(l1_at);
    // Every L1 entry names one table, every entry of the table the table itself.
    let table_at = file.metadata().unwrap().len().next_multiple_of(65_536);
    let entry = (1 << 63 | table_at).to_be_bytes();
    file.write_all_at(&entry.repeat(2048), l1_at).unwrap();
    file.write_all_at(&entry.repeat(8192), table_at).unwrap();
    let peak = Cell::new(0);
    let progress = |done, _| {
        peak.set(peak.get().max(peak_kib()));
        if done < 600 << 20 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let request = folder.request("loop.qcow2");
    let error = convert(Path::new(PROBE), &request, &limits(), &progress).unwrap_err();
    assert!(matches!(error, SandboxError::Cancelled), "{error:?}");
    assert_eq!(children(), Vec::<String>::new());
    assert!((1 << 10..200 << 10).contains(&peak.get()), "{} KiB", peak.get());
}

/// The most that the only child of this thread has had in memory so far.
fn peak_kib() -> u64 {
    let Some(pid) = children().pop() else { return 0 };
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or(0, |line| line.trim().trim_end_matches(" kB").parse().unwrap())
}

#[test]
fn memory_does_not_grow_with_the_disk() {
    let folder = Folder::new();
    let sparse = File::create(folder.path("sparse.raw")).unwrap();
    sparse.set_len(100 << 30).unwrap();
    for n in 0..100 {
        sparse.write_all_at(&[7; 300_000], (n << 30) + 12345).unwrap();
    }
    folder.qemu_img(&["convert", "-O", "qcow2", "sparse.raw", "sparse.qcow2"]);
    for name in ["sparse.raw", "sparse.qcow2"] {
        let peak = Cell::new(0);
        let progress = |_, _| {
            peak.set(peak.get().max(peak_kib()));
            ControlFlow::Continue(())
        };
        let request = ConvertRequest { zstd_level: 3, threads: 8, ..folder.request(name) };
        let done = convert(Path::new(PROBE), &request, &limits(), &progress).unwrap();
        assert_eq!(done.virtual_size_bytes, 100 << 30);
        assert!((1 << 10..200 << 10).contains(&peak.get()), "{name}: {} KiB", peak.get());
    }
}

/// A source whose reads take their time.
#[derive(Debug)]
struct Slow(u64, Option<u64>);

impl BlockSource for Slow {
    fn size_bytes(&self) -> u64 {
        1 << 30
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> kiln_disk::Result<()> {
        std::thread::sleep(Duration::from_millis(self.0));
        if self.1.is_some_and(|bad| offset >= bad && offset < 512 << 20) {
            return Err(Error::new(Kind::Io, "bucket b: 503 Slow Down").at(offset));
        }
        buf.fill(3);
        Ok(())
    }
}

#[test]
fn a_cancelled_child_is_dead_wherever_it_was() {
    let folder = Folder::new();
    let start = Instant::now();
    for name in ["it", "sleep", "loop"] {
        let request = folder.request_of(Input::Source(Arc::new(Slow(20, None))), name);
        let calls = Cell::new(0);
        let stop = |_, _| {
            calls.set(calls.get() + 1);
            if calls.get() < 4 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let error = convert(Path::new(PROBE), &request, &limits(), &stop).unwrap_err();
        assert!(matches!(error, SandboxError::Cancelled), "{name}: {error:?}");
        assert_eq!(children(), Vec::<String>::new(), "{name}");
    }
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn a_child_that_comes_no_further_is_ended() {
    let folder = Folder::new();
    let idle = Duration::from_millis(700);
    let short = ConvertLimits { idle, ..limits() };
    for name in ["sleep", "loop"] {
        let request = folder.request_of(Input::Source(Arc::new(Slow(0, None))), name);
        let error = run(&request, &short).unwrap_err();
        assert!(matches!(error, SandboxError::Idle { .. }), "{name}: {error:?}");
    }
}

#[test]
fn a_source_that_fails_and_an_output_that_grows_are_told() {
    let folder = Folder::new();
    let request = folder.request_of(Input::Source(Arc::new(Slow(0, Some(100 << 20)))), "it");
    let (read, message) = refusal(run(&request, &limits()));
    assert_eq!(read, Refusal::Read);
    assert!(message.contains("bucket b: 503 Slow Down"), "{message}");
    let small = ConvertLimits { output_bytes: 1 << 20, ..limits() };
    let error = run(&folder.request("disk.raw"), &small).unwrap_err();
    assert!(
        matches!(error, SandboxError::TooMuch { what: "bytes written", limit: 0x10_0000 }),
        "{error:?}"
    );
    let full = ConvertRequest {
        output: OpenOptions::new().read(true).write(true).open("/dev/full").unwrap(),
        ..folder.request("disk.raw")
    };
    let (write, message) = refusal(run(&full, &limits()));
    assert_eq!(write, Refusal::Write, "{message}");
    assert!(message.contains("No space left on device"), "{message}");
}

#[test]
fn the_files_are_for_reading_and_for_writing_only() {
    let folder = Folder::new();
    for name in ["read the output", "write the input", "grow the input"] {
        let mut request = folder.request("disk.raw");
        name.clone_into(&mut request.location);
        // The descriptor itself would allow it.
        let both = OpenOptions::new().read(true).write(true).open(folder.path("disk.raw"));
        request.input = Input::File(both.unwrap());
        let error = run(&request, &limits()).unwrap_err();
        assert!(matches!(error, SandboxError::Forbidden { .. }), "{name}: {error:?}");
    }
    assert_eq!(fs::metadata(folder.path("disk.raw")).unwrap().len(), DISK_BYTES);
}
