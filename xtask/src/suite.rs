//! `cargo xtask test`: everything that must hold, a tier at a time, on a machine that may be fresh.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::host::{is_root, run, tier, workspace};
use crate::{boots, diff_walk, images, real, repair_faults, repairs, setup, tidy};

/// A tier: the name to ask for it by, and what it does.
type Tier = (&'static str, fn() -> Result<()>);

/// The cheapest first.
const TIERS: &[Tier] = &[
    ("setup", || setup::ensure(&[setup::FIXTURES, setup::MACHINES])),
    ("tidy", tidy::run),
    ("cargo", cargo_test),
    ("images", images::build_all),
    ("build", || kiln("release").map(drop)),
    ("diff-walk", || {
        images::DISKS.iter().try_for_each(|disk| diff_walk::run(&images::by_name(disk.name)?))
    }),
    ("diff-map", || real::formats(&kiln("release")?)),
    ("faults", || real::test(&kiln("release")?)),
    ("boot", || boots::sound_disks(&kiln("release")?)),
    ("repair", || repairs::test(&kiln("release")?)),
    ("repair-faults", || repair_faults::test(&kiln("release")?)),
];

/// Install what is missing and run the tiers that `wanted` names; all where it names none.
///
/// # Errors
///
/// The first tier that fails; a name that no tier has.
pub(crate) fn run_tiers(wanted: &[String]) -> Result<()> {
    let names: Vec<&str> = TIERS.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = wanted.iter().find(|name| !names.contains(&name.as_str())) {
        bail!("no tier {unknown}; the tiers are {}", names.join(", "));
    }
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    for (name, work) in TIERS.iter().filter(|(name, _)| is_wanted(name)) {
        tier(name, work)?;
    }
    Ok(())
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
