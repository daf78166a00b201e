//! `cargo xtask bench`: kiln beside what people use today, in one run on one machine.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kiln_fixtures::http::{Behaviour, Server};

use crate::host::{as_root, root_script, run};
use crate::{images, real, setup, suite};

const RUNS: usize = 10;
/// Whatever boots a machine for each run.
pub(crate) const BENCH_RUNS_OF_A_VM: usize = 3;

/// The full check of a Debian image, beside virt-inspector and beside decompressing its initramfs;
/// peak memory; bytes read; and what a remote check fetches.
///
/// # Errors
///
/// Where a side cannot be run. A slow side is no error: figures are reported, not asserted.
pub(crate) fn check() -> Result<()> {
    setup::ensure(&[setup::FIXTURES, setup::BENCH])?;
    let kiln = suite::kiln("release")?;
    let image = images::by_name("bookworm-bios-ext4")?;
    let initrd = initrd_of(&image)?;

    let ours = median(RUNS, || {
        quiet(Command::new(&kiln).args(["check", "--fail-on", "never"]).arg(&image))
    })?;
    let unpack = median(RUNS, || quiet(Command::new("zstd").arg("-dcq").arg(&initrd)))?;
    let peak_kib = peak_memory_kib(&kiln, &image)?;
    let report = real::check(&kiln, &image)?;
    let bytes_read = report["bytesRead"].as_u64().unwrap_or(0);
    let theirs = virt_inspector(&image)?;
    let remote = remote(&kiln, &image)?;

    say("| what | kiln | beside it | ratio |");
    say("| --- | --- | --- | --- |");
    let row = |what: &str, ours: String, theirs: String, ratio: String| {
        say(&format!("| {what} | {ours} | {theirs} | {ratio} |"));
    };
    row(
        "full check, against virt-inspector",
        ms(ours),
        ms(theirs),
        format!("{:.0}x faster", theirs.as_secs_f64() / ours.as_secs_f64()),
    );
    row(
        "full check, against `zstd -dc` of the initramfs",
        ms(ours),
        ms(unpack),
        format!("{:.2}x", ours.as_secs_f64() / unpack.as_secs_f64()),
    );
    row("peak memory", format!("{:.1} MiB", peak_kib as f64 / 1024.0), "-".into(), "-".into());
    row("bytes read", mib(bytes_read), mib(remote.allocated), share(bytes_read, remote.allocated));
    row(
        "remote check: fetched of allocated",
        format!("{} in {} requests, {}", mib(remote.fetched), remote.requests, ms(remote.time)),
        mib(remote.allocated),
        share(remote.fetched, remote.allocated),
    );
    Ok(())
}

#[derive(Debug)]
struct Remote {
    fetched: u64,
    requests: u64,
    allocated: u64,
    time: Duration,
}

/// Check the image through a server on the loopback interface that counts what it sends.
fn remote(kiln: &Path, image: &Path) -> Result<Remote> {
    use std::os::unix::fs::MetadataExt;
    let folder = image.parent().context("an image in a folder")?;
    let name = image.file_name().and_then(|name| name.to_str()).context("a name")?;
    let server = Server::start(folder, Behaviour::Ranges)?;
    let start = Instant::now();
    quiet(Command::new(kiln).args(["check", "--fail-on", "never"]).arg(server.url(name)))?;
    Ok(Remote {
        time: start.elapsed(),
        fetched: server.body_bytes(),
        requests: server.n_requests(),
        allocated: fs::metadata(image)?.blocks() * 512,
    })
}

/// What libguestfs' inspection of the same image takes, under emulation as everywhere here.
fn virt_inspector(image: &Path) -> Result<Duration> {
    median(BENCH_RUNS_OF_A_VM, || {
        quiet(libguestfs("virt-inspector")?.args(["--format=raw", "-a"]).arg(image))
    })
}

/// A program of libguestfs, whose machine is emulated.
pub(crate) fn libguestfs(program: &str) -> Result<Command> {
    // libguestfs builds its machine from the host's kernel, so there must be one to read.
    let kernels = fs::read_dir("/boot")?.flatten();
    if !kernels.into_iter().any(|e| e.file_name().to_string_lossy().starts_with("vmlinuz")) {
        setup::ensure(&[setup::HOST_KERNEL])?;
    }
    let mut command = as_root("env");
    command.args(["LIBGUESTFS_BACKEND=direct", "LIBGUESTFS_BACKEND_SETTINGS=force_tcg", program]);
    Ok(command)
}

/// The initramfs of the image, as a file on the host.
fn initrd_of(image: &Path) -> Result<PathBuf> {
    let out = images::folder().join("bench.initrd");
    let script = "mnt=$(mktemp -d); mount -o loop,ro,noload,offset=2097152 \"$1\" \"$mnt\"
                  cat \"$mnt\"/boot/initrd.img-* > \"$2\"; umount \"$mnt\"; rmdir \"$mnt\"";
    root_script(script, &[image, &out])?;
    Ok(out)
}

fn peak_memory_kib(kiln: &Path, image: &Path) -> Result<u64> {
    let log = images::folder().join("bench.time");
    let mut command = Command::new("/usr/bin/time");
    command.args(["-f", "%M", "-o"]).arg(&log).arg(kiln).args(["check", "--fail-on", "never"]);
    quiet(command.arg(image))?;
    Ok(fs::read_to_string(log)?.trim().parse()?)
}

pub(crate) fn quiet(command: &mut Command) -> Result<()> {
    run(command.stdout(Stdio::null()).stderr(File::create("/dev/null")?))
}

/// The median of `n` runs after one that warms the caches of both sides alike.
fn median(n: usize, work: impl FnMut() -> Result<()>) -> Result<Duration> {
    median_after(n, || Ok(()), work)
}

/// The same, with `prepare` before each run, whose time is not counted.
pub(crate) fn median_after(
    n: usize,
    prepare: impl Fn() -> Result<()>,
    mut work: impl FnMut() -> Result<()>,
) -> Result<Duration> {
    ensure!(n > 0, "no runs");
    prepare()?;
    work()?;
    let mut times = Vec::new();
    for _ in 0..n {
        prepare()?;
        let start = Instant::now();
        work()?;
        times.push(start.elapsed());
    }
    times.sort();
    Ok(times[n / 2])
}

pub(crate) fn ms(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1000.0)
}

pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

fn share(part: u64, whole: u64) -> String {
    format!("{:.1} %", part as f64 * 100.0 / whole.max(1) as f64)
}

#[expect(clippy::print_stdout, reason = "the table is what the command is for")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
