//! `cargo xtask bench import`: packing a raw disk as qcow2 with zstd, beside `qemu-img convert`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::bench::{mib, ms, quiet, say};
use crate::host::run;
use crate::{bench_imports, images, setup, suite};

const RUNS: usize = 3;

/// What one run took.
#[derive(Clone, Copy, Debug)]
struct Cost {
    time: Duration,
    /// Of all threads, in the program and in the kernel.
    cpu: Duration,
    peak_kib: u64,
}

/// Both sides in turn on one file, three times, after one run of each that warms the caches: the best
/// of each counts, because what disturbs a run only ever makes it slower. `qemu-img` with what makes
/// it fastest: writes out of order, 16 coroutines. Both compress at level 3.
///
/// # Errors
///
/// Where a side cannot be run, or the two disks differ. A slow side is no error: figures are reported,
/// not asserted.
pub(crate) fn import(image: Option<PathBuf>, kiln: Option<PathBuf>) -> Result<()> {
    setup::ensure(&[setup::IMPORT])?;
    let image = match image {
        Some(image) => image,
        None => {
            setup::ensure(&[setup::FIXTURES])?;
            images::by_name("bookworm-bios-ext4")?
        }
    };
    let kiln = match kiln {
        Some(kiln) => kiln,
        None => suite::kiln("release")?,
    };
    let folder = tempfile::tempdir_in(image.parent().context("an image in a folder")?)?;
    let (ours, theirs) = (folder.path().join("kiln.qcow2"), folder.path().join("qemu.qcow2"));
    let mut best: [Option<Cost>; 2] = [None, None];
    for n in 0..=RUNS {
        let costs = [
            measured(convert(&kiln, &image, &ours), folder.path())?,
            measured(qemu_img(&image, &theirs), folder.path())?,
        ];
        if n == 0 {
            continue;
        }
        for (best, cost) in best.iter_mut().zip(costs) {
            *best = Some(best.map_or(cost, |best| if cost.time < best.time { cost } else { best }));
        }
    }
    let [Some(ours_cost), Some(qemu)] = best else { anyhow::bail!("no runs") };
    run(Command::new("qemu-img").args(["check", "-q"]).arg(&ours))?;
    run(Command::new("qemu-img").args(["compare", "-q"]).arg(&theirs).arg(&ours))?;
    print(&image, (ours_cost, &ours), (qemu, &theirs))?;
    bench_imports::at_once(&kiln, &image, folder.path())
}

fn convert(kiln: &Path, image: &Path, out: &Path) -> Vec<std::ffi::OsString> {
    let words = [kiln.as_os_str(), "convert".as_ref(), "--force".as_ref(), "-O".as_ref()];
    let rest = ["qcow2".as_ref(), image.as_os_str(), out.as_os_str()];
    words.into_iter().chain(rest).map(Into::into).collect()
}

pub(crate) fn qemu_img(image: &Path, out: &Path) -> Vec<std::ffi::OsString> {
    let words = "qemu-img convert -W -m 16 -c -f raw -O qcow2 -o compression_type=zstd";
    words
        .split(' ')
        .map(std::ffi::OsString::from)
        .chain([image.as_os_str().to_owned(), out.as_os_str().to_owned()])
        .collect()
}

fn measured(words: Vec<std::ffi::OsString>, folder: &Path) -> Result<Cost> {
    let log = folder.join("time");
    let mut command = Command::new("/usr/bin/time");
    command.args(["-f", "%M %U %S", "-o"]).arg(&log).args(words);
    let start = Instant::now();
    quiet(&mut command)?;
    let time = start.elapsed();
    let told = fs::read_to_string(&log)?;
    let numbers: Vec<f64> =
        told.split_whitespace().map(str::parse).collect::<Result<_, _>>().context("GNU time")?;
    let [peak_kib, user, system] = numbers[..] else { anyhow::bail!("GNU time told {told:?}") };
    let cpu = Duration::from_secs_f64(user + system);
    Ok(Cost { time, cpu, peak_kib: peak_kib as u64 })
}

fn print(image: &Path, ours: (Cost, &Path), theirs: (Cost, &Path)) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let meta = fs::metadata(image)?;
    let (size, data) = (mib(meta.len()), mib(meta.blocks() * 512));
    say(&format!("{}: {size}, {data} of data\n", image.display()));
    say("| raw to qcow2, zstd | kiln convert | qemu-img convert -W -m 16 | ratio |");
    say("| --- | --- | --- | --- |");
    let row = |what: &str, ours: String, theirs: String, ratio: f64| {
        say(&format!("| {what} | {ours} | {theirs} | {ratio:.2} |"));
    };
    let ((kiln, ours), (qemu, theirs)) = (ours, theirs);
    let seconds = Duration::as_secs_f64;
    row("time", ms(kiln.time), ms(qemu.time), seconds(&qemu.time) / seconds(&kiln.time));
    row("processor time", ms(kiln.cpu), ms(qemu.cpu), seconds(&qemu.cpu) / seconds(&kiln.cpu));
    let peak = |cost: Cost| mib(cost.peak_kib << 10);
    let ratio = qemu.peak_kib as f64 / kiln.peak_kib as f64;
    row("peak memory", peak(kiln), peak(qemu), ratio);
    let (ours, theirs) = (fs::metadata(ours)?.len(), fs::metadata(theirs)?.len());
    row("size of the image", mib(ours), mib(theirs), theirs as f64 / ours as f64);
    Ok(())
}
