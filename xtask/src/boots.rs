//! Booting real images with `kiln boot`, and what its report says.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::host::{side_by_side, workspace};
use crate::images;

/// An emulated guest needs about 20 s on an idle machine of two cores, and many times that on a busy
/// one; a dracut that misses its root gives up after 120 s of its own.
const TIMEOUT_S: &str = "900";

/// The report of `kiln boot` with `arguments` (`--bus`, `--firmware`, `--until`, ...) on one image. Its
/// console is kept in `target/boots`.
///
/// # Errors
///
/// Where kiln could not boot it; that the guest failed is in the report.
pub(crate) fn boot(kiln: &Path, image: &Path, arguments: &[&str]) -> Result<Value> {
    let folder = workspace().join("target/boots");
    fs::create_dir_all(&folder)?;
    let name = image.file_stem().context("an image without a name")?.to_string_lossy();
    let words: Vec<&str> = arguments.iter().map(|word| word.trim_start_matches('-')).collect();
    let log = folder.join(format!("{name}-{}.console.log", words.join("-")));
    let mut command = Command::new(kiln);
    command.args(["boot", "--format", "json", "--cpus", "1", "--console"]).arg(log);
    if !arguments.contains(&"--timeout") {
        command.args(["--timeout", TIMEOUT_S]);
    }
    let output = command.args(arguments).arg(image).output()?;
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    let report: Value = serde_json::from_slice(&output.stdout).with_context(said)?;
    let status = i32::from(report["reached"] != true);
    ensure!(output.status.code() == Some(status), "kiln ended with {}", output.status);
    Ok(report)
}

/// In a line: what was booted and how far it came.
pub(crate) fn summary(report: &Value) -> String {
    let word = |name: &str| report[name].as_str().unwrap_or_default().to_owned();
    let stages = report["stages"].as_array().into_iter().flatten();
    let times: Vec<String> = stages
        .map(|reached| {
            let stage = reached["stage"].as_str().unwrap_or_default();
            format!("{stage} {:.1}", reached["seconds"].as_f64().unwrap_or_default())
        })
        .collect();
    let failure = report["failure"]["code"].as_str();
    let failure = failure.map(|code| format!("; {code}")).unwrap_or_default();
    format!(
        "{:6} {} {}: {}{failure}",
        word("bus"),
        word("firmware"),
        word("accelerator"),
        times.join(", ")
    )
}

/// Disks that are booted as they are; the others boot when they have been repaired.
const AS_THEY_ARE: &[(&str, &[&str])] = &[
    ("bookworm-uefi-ext4", &["--bus", "scsi"]),
    ("bullseye-bios-ext4", &["--bus", "virtio"]),
    ("trixie-uefi-ext4", &["--bus", "nvme"]),
];

/// Sound disks boot to a login prompt with an address, with the firmware that they are made for.
///
/// # Errors
///
/// Those that do not.
pub(crate) fn sound_disks(kiln: &Path) -> Result<()> {
    side_by_side(AS_THEY_ARE, |(name, arguments)| {
        let image = images::by_name(name)?;
        let report = boot(kiln, &image, &[arguments, &["--until", "network"][..]].concat())?;
        ensure!(report["reached"] == true, "{name}: {report:#}");
        let firmware = if name.contains("uefi") { "uefi" } else { "bios" };
        ensure!(report["firmware"] == firmware, "{name}: {report:#}");
        eprintln!("boots {name:20} {}", summary(&report));
        Ok(())
    })
}
