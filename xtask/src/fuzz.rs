//! Every fuzz target for a while, from seeds that are real: `cargo xtask fuzz`.
//!
//! libFuzzer needs unstable compiler flags. `RUSTC_BOOTSTRAP` lets the pinned stable compiler accept
//! them, so that what is fuzzed is built by the compiler of everything else. AddressSanitizer is
//! off: kiln has no `unsafe`, and without it three times as many inputs are tried. Overflow checks
//! are on, since a release build would wrap where a debug build panics.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::fuzz_seeds;
use crate::host::{side_by_side, workspace};

/// More than any input of [`MAX_INPUT_BYTES`] has a reason to take. Two targets run at a time.
const RSS_MIB: u32 = 1024;
/// An input that takes longer is a fault, as a crash is.
const TIMEOUT_S: u32 = 10;
/// Longer inputs find nothing new in the same time.
const MAX_INPUT_BYTES: u32 = 256 << 10;

/// What libFuzzer says about one target.
#[derive(Debug)]
struct Outcome {
    n_executed: u64,
    executed_per_s: u64,
    peak_rss_mib: u64,
    /// Inputs that crashed, hung or took too much memory.
    faults: Vec<PathBuf>,
}

/// Run every target, or `only` that one, for `seconds`.
///
/// # Errors
///
/// Where a target does not build, has a fault, or ends before its time.
pub(crate) fn run(seconds: u64, only: Option<&str>) -> Result<()> {
    let names: Vec<String> = targets()?
        .into_iter()
        .filter(|name| only.is_none_or(|only| only == name.as_str()))
        .collect();
    ensure!(!names.is_empty(), "no fuzz target {}", only.unwrap_or("at all"));
    install()?;
    fuzz_seeds::make(&folder().join("corpus"))?;
    build(only)?;
    side_by_side(&names, |name| {
        ensure!(report(name, fuzz(name, seconds)), "faults in {name}");
        Ok(())
    })
}

/// Print the line of one target. Whether it has no fault.
fn report(name: &str, outcome: Result<Outcome>) -> bool {
    match outcome {
        Ok(outcome) => {
            eprintln!(
                "{name:20} {:>10} executions {:>7}/s {:>5} MiB peak rss {:>3} crashes",
                outcome.n_executed,
                outcome.executed_per_s,
                outcome.peak_rss_mib,
                outcome.faults.len()
            );
            for fault in &outcome.faults {
                eprintln!("    {}", fault.display());
            }
            outcome.faults.is_empty()
        }
        Err(error) => {
            eprintln!("{name:20} {error:#}");
            false
        }
    }
}

fn folder() -> PathBuf {
    workspace().join("fuzz")
}

fn target_folder() -> PathBuf {
    workspace().join("target/fuzz")
}

/// The targets that `fuzz/Cargo.toml` lists.
fn targets() -> Result<Vec<String>> {
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).context("fuzz/Cargo.toml")?;
    let names = manifest.split("[[bin]]").skip(1).filter_map(|section| {
        let line = section.lines().find_map(|line| line.strip_prefix("name = "))?;
        Some(line.trim_matches('"').to_owned())
    });
    Ok(names.collect())
}

fn install() -> Result<()> {
    let has_it = Command::new("cargo").args(["fuzz", "--version"]).output();
    if has_it.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    eprintln!("installing cargo-fuzz");
    let status = Command::new("cargo").args(["install", "cargo-fuzz", "--locked"]).status()?;
    ensure!(status.success(), "please run: cargo install cargo-fuzz --locked");
    Ok(())
}

fn build(only: Option<&str>) -> Result<()> {
    let mut command = Command::new("cargo");
    command.args(["fuzz", "build", "--sanitizer", "none", "--debug-assertions"]).args(only);
    command.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", target_folder());
    let status = command.current_dir(workspace()).status().context("cargo fuzz")?;
    ensure!(status.success(), "the fuzz targets do not build");
    Ok(())
}

fn fuzz(name: &str, seconds: u64) -> Result<Outcome> {
    let (corpus, artifacts) = (folder().join("corpus").join(name), artifacts(name));
    for folder in [&corpus, &artifacts] {
        fs::create_dir_all(folder)?;
    }
    let known = faults(&artifacts)?;
    let log = target_folder().join(format!("{name}.log"));
    let child = Command::new(binary(name)?)
        .arg(&corpus)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-rss_limit_mb={RSS_MIB}"))
        .arg(format!("-timeout={TIMEOUT_S}"))
        .arg(format!("-max_len={MAX_INPUT_BYTES}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg("-print_final_stats=1")
        .stdout(Stdio::null())
        .stderr(File::create(&log)?)
        .spawn()
        .with_context(|| name.to_owned())?;
    let (status, peak_rss_mib) = wait(child)?;
    let log_text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let stat = |key: &str| {
        let lines = log_text.lines().rev();
        let value = lines.filter_map(|line| line.strip_prefix("stat::")).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            (found == key).then(|| value.trim().parse().ok())?
        });
        value.unwrap_or(0)
    };
    let faults: Vec<_> =
        faults(&artifacts)?.into_iter().filter(|fault| !known.contains(fault)).collect();
    if !status.success() && faults.is_empty() {
        bail!("ended with {status}; see {}", log.display());
    }
    Ok(Outcome {
        n_executed: stat("number_of_executed_units"),
        executed_per_s: stat("average_exec_per_sec"),
        peak_rss_mib,
        faults,
    })
}

/// Wait for `child` and give its peak memory in MiB, as of the last look.
///
/// libFuzzer's own number starts from that of the process that started it.
fn wait(mut child: Child) -> Result<(ExitStatus, u64)> {
    let path = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    loop {
        let status = fs::read_to_string(&path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        peak_kib = peak_kib.max(kib.unwrap_or(0));
        if let Some(status) = child.try_wait()? {
            return Ok((status, peak_kib / 1024));
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Where cargo-fuzz put the program: below the name of the machine's own target.
fn binary(name: &str) -> Result<PathBuf> {
    for entry in fs::read_dir(target_folder())? {
        let program = entry?.path().join("release").join(name);
        if program.is_file() {
            return Ok(program);
        }
    }
    bail!("cargo fuzz built no {name}")
}

fn artifacts(name: &str) -> PathBuf {
    folder().join("artifacts").join(name)
}

/// Slow units are no fault: a busy machine makes them.
fn faults(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut faults = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with("slow-unit") {
            faults.push(entry.path());
        }
    }
    Ok(faults)
}
