//! `cargo xtask test`: everything that must hold, a tier at a time, on a machine that may be fresh.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::host::{is_root, run, tier, workspace};
use crate::{diff_walk, images, real, setup, tidy};

/// Install what is missing and run all tiers.
///
/// # Errors
///
/// The first tier that fails.
pub(crate) fn run_all() -> Result<()> {
    tier("set-up", || setup::ensure(&[setup::FIXTURES]))?;
    tier("tidy", tidy::run)?;
    tier("unit, behaviour and command tests", cargo_test)?;
    tier("real images", images::build_all)?;
    let kiln = kiln("release")?;
    tier("diff-walk: every filesystem against the kernel", || {
        images::DISKS.iter().try_for_each(|disk| diff_walk::run(&images::by_name(disk.name)?))
    })?;
    tier("diff-map: every format against qemu-img", || real::formats(&kiln))?;
    tier("planted faults and sound disks", || real::test(&kiln))
}

fn cargo_test() -> Result<()> {
    let mut command = cargo();
    command.args(["test", "--workspace", "--locked", "--quiet"]);
    if !is_root() {
        // Tests compare with the kernel's mounts, which only root may make.
        command.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", "sudo -n -E");
        command.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", "sudo -n -E");
    }
    run(&mut command)
}

/// The `kiln` binary, built in `profile`.
///
/// # Errors
///
/// Where it does not build.
pub(crate) fn kiln(profile: &str) -> Result<PathBuf> {
    run(cargo().args(["build", "--locked", "--quiet", "-p", "kiln-cli", "--profile", profile]))?;
    Ok(workspace().join("target").join(profile).join("kiln"))
}

fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    command
}
