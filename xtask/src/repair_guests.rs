//! Guests that make an edit hard: protected files, links that lead out, no room, a log that was not
//! replayed, a filesystem that no kernel mounts.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::host::root_script;
use crate::repair_faults::{ITEMS, TWO_EDITS};
use crate::{images, repairs};

/// The hardware clock in local time.
const LOCAL: &str = r#"printf '0.0 0 0.0\n0\nLOCAL\n' > "$1/etc/adjtime""#;
const CLOCK: [&str; 2] = ["--items", "standardizedtimezone"];

/// Each of them.
///
/// # Errors
///
/// The first that is not mended, or not told as it must be.
pub(crate) fn test(kiln: &Path) -> Result<()> {
    immutable(kiln)?;
    links(kiln)?;
    not_shut_down(kiln)?;
    no_room(kiln)?;
    corrupt(kiln)
}

/// The report of a repair of the clock on a disk with `scripts` run on it; the result needs no more.
fn mended(kiln: &Path, disk: &str, scripts: &[&str]) -> Result<Value> {
    let broken = repairs::planted(disk, scripts)?;
    let out = images::folder().join("repaired.raw");
    let name = out.to_str().context("UTF-8")?;
    let report = repairs::repair(kiln, &broken, &[&CLOCK[..], &["--force", "-o", name]].concat())?;
    ensure!(report["status"] == "Repaired", "not repaired: {report:#}");
    let again = repairs::repair(kiln, &out, &CLOCK)?;
    ensure!(again["status"] == "NothingToDo", "a second run changes more: {again:#}");
    fs::remove_file(&out)?;
    fs::remove_file(&broken)?;
    Ok(report)
}

/// A file that `chattr +i` protects is edited, and protected again.
fn immutable(kiln: &Path) -> Result<()> {
    const PROTECT: &str = r#"chattr +i "$1/etc/adjtime""#;
    let report = mended(kiln, "bookworm-bios-ext4", &[LOCAL, PROTECT])?;
    ensure!(report["unlocked"][0] == "/etc/adjtime", "not told as unlocked: {report:#}");
    eprintln!("mended: an immutable file, which is so again");
    Ok(())
}

/// A link that climbs above the root ends at the root, as it does for the guest.
fn links(kiln: &Path) -> Result<()> {
    const LINK: &str = r#"mv "$1/etc/adjtime" "$1/etc/kiln-test-adjtime"
ln -s ../../../../../../../../etc/kiln-test-adjtime "$1/etc/adjtime""#;
    let report = mended(kiln, "bookworm-bios-ext4", &[LOCAL, LINK])?;
    let paths = report["steps"][0]["edits"].as_array().into_iter().flatten();
    let paths: Vec<&str> = paths.filter_map(|edit| edit["path"].as_str()).collect();
    ensure!(paths.contains(&"/etc/kiln-test-adjtime"), "edited elsewhere: {paths:?}");
    ensure!(!Path::new("/etc/kiln-test-adjtime").exists(), "the link led to this machine's files");
    eprintln!("mended: a file behind a link that leaves the root");
    Ok(())
}

/// The newest file is in the log of an XFS that was not unmounted, which kiln does not replay itself.
fn not_shut_down(kiln: &Path) -> Result<()> {
    const SHUT_DOWN: &str = r#"sync "$1/etc/adjtime"; xfs_io -x -c 'shutdown -f' "$1""#;
    let scripts = [LOCAL, SHUT_DOWN];
    let broken = repairs::planted("bookworm-bios-xfs", &scripts)?;
    let plan = Command::new(kiln).arg("repair").arg(&broken).args(CLOCK).output()?;
    let said = String::from_utf8_lossy(&plan.stderr);
    ensure!(plan.status.code() == Some(2), "a plan over an old state: {}: {said}", plan.status);
    ensure!(said.contains("was not shut down"), "the log is not told: {said}");
    mended(kiln, "bookworm-bios-xfs", &scripts)?;
    eprintln!("mended: a disk that was not shut down, after its log was replayed");
    Ok(())
}

fn no_room(kiln: &Path) -> Result<()> {
    const FULL: &str = r#"dd if=/dev/zero of="$1/boot/full" bs=64k 2>/dev/null || true"#;
    let broken = repairs::planted("bookworm-bios-xfs", &[repairs::NO_DRIVERS, FULL])?;
    let plan = repairs::repair(kiln, &broken, &["--items", "virtio"])?;
    ensure!(plan["steps"][0]["refusal"]["code"] == "Repair.NoSpace", "no room on /boot: {plan:#}");
    fs::remove_file(&broken)?;
    eprintln!("told: no room on /boot");
    Ok(())
}

/// A filesystem that a kernel does not mount is told with the command that mends it.
fn corrupt(kiln: &Path) -> Result<()> {
    let broken = repairs::planted("bookworm-bios-ext4", &[TWO_EDITS])?;
    // The superblock says that its group descriptors have a checksum, and one is spoilt.
    let script = "debugfs -w -R 'set_bg 3 checksum 0' \"$1?offset=2097152\"";
    root_script(script, &[&broken])?;
    let out = images::folder().join("repaired.raw");
    let mut command = Command::new(kiln);
    command.arg("repair").arg(&broken).args(["--items", ITEMS, "-o"]).arg(&out);
    let ended = command.output()?;
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.code() == Some(2), "a corrupt filesystem: {}: {said}", ended.status);
    ensure!(said.contains("e2fsck -f"), "a corrupt filesystem does not name fsck: {said}");
    ensure!(!out.exists(), "an output of a corrupt filesystem");
    fs::remove_file(&broken)?;
    eprintln!("told: a filesystem that cannot be mounted, with the command that mends it");
    Ok(())
}
