//! `kiln check` on images made to break it: it ends soon, in bounded memory, without a panic, and
//! says of the file what is wrong with it.
//!
//! Each case runs the built program. Memory is watched as `VmHWM` of the child and not limited by
//! `RLIMIT_AS`, which counts the stacks that threads reserve and never touch.

#![expect(clippy::print_stdout, reason = "KILN_HOSTILE_SHOW asks for it")]

mod disks;
mod guests;
mod images;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What any check may take, of an unoptimised program on a busy machine.
const MAX_TIME: Duration = Duration::from_secs(10);
/// Of which the program itself, its libraries and its buffers are 50 MiB.
const MAX_RSS_MIB: u64 = 300;
/// How often memory is looked at: a child cannot touch much more in between.
const TICK: Duration = Duration::from_millis(2);

/// An image, and what must be said about it.
struct Case {
    name: &'static str,
    /// Makes the image in an empty folder and gives its path.
    make: fn(&Path) -> PathBuf,
    /// `check` for all but what only inspection reads.
    command: &'static [&'static str],
    status: i32,
    /// Parts of the output that name the fault.
    says: &'static [&'static str],
}

const CHECK: &[&str] = &["check", "--verbose"];

const fn case(
    name: &'static str,
    make: fn(&Path) -> PathBuf,
    status: i32,
    says: &'static [&'static str],
) -> Case {
    Case { name, make, command: CHECK, status, says }
}

/// How a child ended.
struct Ended {
    status: ExitStatus,
    peak_mib: u64,
    took: Duration,
    output: String,
}

#[test]
fn hostile_images_are_survived_and_explained() {
    let cases: Vec<&Case> = images::CASES.iter().chain(disks::CASES).chain(guests::CASES).collect();
    assert!(cases.len() >= 40);
    let next = AtomicUsize::new(0);
    let faults: Vec<String> = thread::scope(|scope| {
        let work = || {
            let next_case = || cases.get(next.fetch_add(1, Ordering::Relaxed));
            std::iter::from_fn(next_case).filter_map(|case| fault(case)).collect::<Vec<_>>()
        };
        let workers: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

/// A real image cut at many points: of what is left, every layer may say that it is cut, and none
/// may break.
#[test]
fn an_image_cut_anywhere_is_survived() {
    let folder = tempfile::tempdir().unwrap();
    let whole = guests::sound(folder.path());
    let size_bytes = fs::metadata(&whole).unwrap().len();
    let near_starts = [1, 440, 512, 1 << 20, (1 << 20) + 1024, (1 << 20) + 1500, (1 << 20) + 5000];
    let steps = (1..24).map(|step| size_bytes / 24 * step + 17);
    for cut in near_starts.into_iter().chain(steps).chain([size_bytes - 1]) {
        let path = folder.path().join(format!("cut-{cut}"));
        let tool = Command::new("cp").arg("--sparse=always").args([&whole, &path]).status();
        assert!(tool.unwrap().success());
        fs::File::options().write(true).open(&path).unwrap().set_len(cut).unwrap();
        let ended = run(CHECK, &path);
        assert_eq!(broken_law(&ended, &path), None, "cut at {cut}: {}", ended.output);
        assert!(ended.status.code().is_some_and(|code| code <= 2), "cut at {cut}");
    }
}

/// What is wrong with how kiln took `case`.
fn fault(case: &Case) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let image = (case.make)(folder.path());
    let made = start.elapsed();
    let ended = run(case.command, &image);
    if std::env::var_os("KILN_HOSTILE_SHOW").is_some() {
        println!(
            "{}: {}, made in {made:?}, {:?}, {} MiB\n{}",
            case.name, ended.status, ended.took, ended.peak_mib, ended.output
        );
    }
    let mut faults: Vec<String> = broken_law(&ended, &image).into_iter().collect();
    if ended.status.code() != Some(case.status) {
        faults.push(format!("ended with {} and not {}", ended.status, case.status));
    }
    let unsaid = case.says.iter().filter(|text| !ended.output.contains(**text));
    faults.extend(unsaid.map(|text| format!("does not say {text:?}")));
    let head: String = ended.output.chars().take(4000).collect();
    (!faults.is_empty()).then(|| format!("{}: {}\n{head}", case.name, faults.join("; ")))
}

/// What holds for every image.
fn broken_law(ended: &Ended, image: &Path) -> Option<String> {
    let limits = [
        (ended.took > MAX_TIME, format!("took {:?}", ended.took)),
        (ended.peak_mib > MAX_RSS_MIB, format!("took {} MiB", ended.peak_mib)),
        (ended.output.contains("panicked"), "panicked".to_owned()),
        (ended.status.code().is_none(), format!("ended with {}", ended.status)),
        (ended.output.contains('\x1b'), "a control sequence in the output".to_owned()),
        (
            !ended.output.contains(&image.display().to_string()),
            "does not name the image".to_owned(),
        ),
    ];
    limits.into_iter().find(|(is_broken, _)| *is_broken).map(|(_, what)| what)
}

fn run(command: &[&str], image: &Path) -> Ended {
    let files = tempfile::tempdir().unwrap();
    let (out, err) = (files.path().join("out"), files.path().join("err"));
    let start = Instant::now();
    let child = Command::new(env!("CARGO_BIN_EXE_kiln"))
        .args(command)
        .arg(image)
        .stdin(Stdio::null())
        .stdout(fs::File::create(&out).unwrap())
        .stderr(fs::File::create(&err).unwrap())
        .spawn()
        .unwrap();
    let (status, peak_mib) = watch(child, start);
    let read = |path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    let output = read(&out) + &read(&err);
    Ended { status, peak_mib, took: start.elapsed(), output }
}

/// Wait for `child`, and kill it where it breaks a limit twice over. Its peak memory in MiB.
fn watch(mut child: Child, start: Instant) -> (ExitStatus, u64) {
    let path = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    loop {
        let status = fs::read_to_string(&path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        peak_kib = peak_kib.max(kib.unwrap_or(0));
        if let Some(status) = child.try_wait().unwrap() {
            return (status, peak_kib / 1024);
        }
        if peak_kib / 1024 > 2 * MAX_RSS_MIB || start.elapsed() > 2 * MAX_TIME {
            child.kill().unwrap();
        }
        thread::sleep(TICK);
    }
}

/// Run a script in `folder`, with the folders where mkfs is.
fn sh(folder: &Path, script: &str) {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    command.args(["-ec", script]).current_dir(folder).env("PATH", path).stdin(Stdio::null());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A file of `size_bytes` that takes no room.
fn sparse(path: &Path, size_bytes: u64) {
    fs::File::create(path).unwrap().set_len(size_bytes).unwrap();
}
