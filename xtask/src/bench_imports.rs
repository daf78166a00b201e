//! The part of `cargo xtask bench import` that imports through a server: as many disks at once as it
//! works on by default, beside as many `qemu-img convert`.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::bench::{mib, ms, say};
use crate::host::{run, workspace};
use crate::server::Server;
use crate::{bench_import, python};

/// How many disks: what `kiln serve` works on at once by default.
const N_DISKS: u8 = 8;

/// How often memory is looked at.
const SAMPLE: Duration = Duration::from_millis(50);

/// Where the signature of a disk is in its MBR: what makes each of the copies a disk of its own.
const SIGNATURE_AT: u64 = 440;

/// Both sides in turn, once.
///
/// # Errors
///
/// Where a side cannot be run, or an import fails.
pub(crate) fn at_once(kiln: &Path, image: &Path, folder: &Path) -> Result<()> {
    let mut server = Server::prepare(kiln, &folder.join("server"), None)?;
    let mut disks = Vec::new();
    for n in 0..N_DISKS {
        let disk = server.bucket("usable").join(format!("disk-{n}.raw"));
        run(Command::new("cp").arg("--sparse=always").args([image, &disk]))?;
        fs::File::options().write(true).open(&disk)?.write_all_at(&[n + 1; 4], SIGNATURE_AT)?;
        disks.push(disk);
    }
    run(&mut Command::new("sync"))?;
    server.start()?;
    let (ours, our_peak) = imported(&server, &disks)?;
    server.stop()?;
    let (theirs, their_peak) = converted(&disks, folder)?;
    say(&format!("\n| {N_DISKS} at once | kiln serve | {N_DISKS} qemu-img | ratio |"));
    say("| --- | --- | --- | --- |");
    let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
    say(&format!("| time | {} | {} | {ratio:.2} |", ms(ours), ms(theirs)));
    let ratio = their_peak as f64 / our_peak as f64;
    let (ours, theirs) = (mib(our_peak), mib(their_peak));
    say(&format!("| peak memory, all processes | {ours} | {theirs} | {ratio:.2} |"));
    Ok(())
}

/// The time that the client saw, and the most memory of the server with its children.
fn imported(server: &Server, disks: &[PathBuf]) -> Result<(Duration, u64)> {
    let script = workspace().join("tests").join("bench").join("imports.py");
    let mut client = python::script(&python::environment()?, &script);
    client.arg(server.site()).args(disks.iter().filter_map(|disk| disk.file_name()));
    let roots = [server.id().context("a server that runs")?];
    let (output, peak) = watched(&roots, || Ok(client.stderr(Stdio::inherit()).output()?))?;
    ensure!(output.status.success(), "the client ended with {}", output.status);
    let seconds = String::from_utf8_lossy(&output.stdout).trim().parse().context("seconds")?;
    Ok((Duration::from_secs_f64(seconds), peak))
}

fn converted(disks: &[PathBuf], folder: &Path) -> Result<(Duration, u64)> {
    let start = Instant::now();
    let mut children = Vec::new();
    for (n, disk) in disks.iter().enumerate() {
        let words = bench_import::qemu_img(disk, &folder.join(format!("{n}.qcow2")));
        let (program, arguments) = words.split_first().context("a command")?;
        children.push(Command::new(program).args(arguments).spawn()?);
    }
    let roots: Vec<u32> = children.iter().map(Child::id).collect();
    let ((), peak) = watched(&roots, || {
        for child in &mut children {
            let status = child.wait()?;
            ensure!(status.success(), "qemu-img ended with {status}");
        }
        Ok(())
    })?;
    Ok((start.elapsed(), peak))
}

/// What `work` gives, and the most memory in bytes that the processes `roots` and their descendants had
/// at one time meanwhile. What they share is counted for each.
fn watched<T>(roots: &[u32], work: impl FnOnce() -> Result<T>) -> Result<(T, u64)> {
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut peak = 0;
            while !is_done.load(Ordering::Relaxed) {
                peak = peak.max(resident_bytes(roots));
                std::thread::sleep(SAMPLE);
            }
            peak
        });
        let outcome = work();
        is_done.store(true, Ordering::Relaxed);
        let peak = watcher.join().map_err(|_| anyhow::anyhow!("the watcher panicked"))?;
        Ok((outcome?, peak))
    })
}

fn resident_bytes(roots: &[u32]) -> u64 {
    let mut processes: HashMap<u32, (u32, u64)> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(id) = entry.file_name().to_string_lossy().parse() else { continue };
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let field = |name: &str| -> Option<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        let parent = field("PPid:").and_then(|id| u32::try_from(id).ok()).unwrap_or(0);
        processes.insert(id, (parent, field("VmRSS:").unwrap_or(0) << 10));
    }
    let is_ours = |mut id: u32| {
        // A chain of parents is short; a loop cannot be, but /proc changes while it is read.
        for _ in 0..64 {
            if roots.contains(&id) {
                return true;
            }
            let Some((parent, _)) = processes.get(&id) else { return false };
            id = *parent;
        }
        false
    };
    processes.iter().filter(|(id, _)| is_ours(**id)).map(|(_, (_, bytes))| bytes).sum()
}
