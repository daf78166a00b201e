//! `cargo xtask bench repair`: repairing an image, beside `virt-customize` doing less.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::bench::{BENCH_RUNS_OF_A_VM, libguestfs, median_after, ms, quiet, say};
use crate::host::run;
use crate::{images, repairs, setup, suite};

/// A fault each for fstab, the boot menu, the clock and the address, and the initramfs without
/// drivers.
const REPAIRS: &str = "fstab,grub,virtio,nvme,dhcp,standardizedtimezone";

/// Both sides on copies of one broken image, under emulation as everywhere here: medians of three runs
/// after one that warms the caches. kiln's time includes making the copy that it writes into, the
/// other's does not.
///
/// # Errors
///
/// Where a side cannot be run. A slow side is no error: figures are reported, not asserted.
pub(crate) fn repair() -> Result<()> {
    setup::ensure(&[setup::FIXTURES, setup::MACHINES, setup::BENCH])?;
    let kiln = suite::kiln("release")?;
    let broken = repairs::planted("bookworm-bios-ext4", repairs::ALL_FAULTS)?;
    let out = images::folder().join("bench.out.raw");
    let clear = || {
        let _ = fs::remove_file(&out);
        Ok(())
    };
    let ours = median_after(BENCH_RUNS_OF_A_VM, clear, || repair_once(&kiln, &broken, &out))?;
    clear()?;
    let report = last_times(&kiln, &broken, &out)?;

    let copy = images::folder().join("bench.copy.raw");
    let renew = || run(Command::new("cp").arg("--sparse=always").arg(&broken).arg(&copy));
    let edit = ["--edit", "/etc/fstab: s/defaults/defaults,nofail/"];
    let one_edit = median_after(BENCH_RUNS_OF_A_VM, renew, || virt_customize(&copy, &edit))?;
    let rebuild = ["--run-command", "update-initramfs -u"];
    // Once: it takes minutes under emulation.
    renew()?;
    let start = Instant::now();
    virt_customize(&copy, &rebuild)?;
    let rebuilt = start.elapsed();

    say("| what | kiln | beside it | ratio |");
    say("| --- | --- | --- | --- |");
    for (what, theirs) in [("doing one edit", one_edit), ("running update-initramfs -u", rebuilt)] {
        let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
        let (ours, theirs) = (ms(ours), ms(theirs));
        say(&format!(
            "| {REPAIRS}, against virt-customize {what} | {ours} | {theirs} | {ratio:.1} times faster |"
        ));
    }
    say(&format!("\nwhere the time of one run goes, in ms: {report}"));
    for made in [broken, out, copy] {
        fs::remove_file(made)?;
    }
    Ok(())
}

fn repair_once(kiln: &Path, broken: &Path, out: &Path) -> Result<()> {
    let mut command = Command::new(kiln);
    command.arg("repair").arg(broken).args(["--accel", "tcg", "--items", REPAIRS, "-o"]).arg(out);
    quiet(&mut command)
}

fn last_times(kiln: &Path, broken: &Path, out: &Path) -> Result<Value> {
    let out = out.to_str().context("UTF-8")?;
    let arguments = ["--accel", "tcg", "--items", REPAIRS, "-o", out];
    Ok(repairs::repair(kiln, broken, &arguments)?["timesMs"].clone())
}

fn virt_customize(image: &Path, what: &[&str]) -> Result<()> {
    let mut command = libguestfs("virt-customize")?;
    command.args(["--format", "raw", "-a"]).arg(image).args(what);
    quiet(&mut command)
}
