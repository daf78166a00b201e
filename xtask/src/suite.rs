//! `cargo xtask test`: everything that must hold, a tier at a time, on a machine that may be fresh.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Result, bail, ensure};

use crate::host::{is_root, run, tier, workspace};
use crate::{
    boots, crash, diff_walk, images, real, repair_faults, repairs, serve_tests, setup, tidy,
};

/// A tier: the name to ask for it by, and what it does.
type Tier = (&'static str, fn() -> Result<()>);

/// What the others stand on, one after the other.
const FIRST: &[Tier] = &[
    ("setup", || setup::ensure(setup::TESTS)),
    ("tidy", tidy::run),
    ("cargo", cargo_test),
    ("build", || kiln("dev").map(drop)),
];

/// Real disks: made, read, broken, mended, booted. The cheapest first.
const DISKS: &[Tier] = &[
    ("images", images::build_all),
    ("diff-walk", || {
        images::DISKS.iter().try_for_each(|disk| diff_walk::run(&images::by_name(disk.name)?))
    }),
    ("diff-map", || real::formats(&kiln("dev")?)),
    ("faults", || real::test(&kiln("dev")?)),
    ("boot", || boots::sound_disks(&kiln("dev")?)),
    ("repair", || repairs::test(&kiln("dev")?, repairs::USUAL)),
    ("repair-faults", || repair_faults::test(&kiln("dev")?)),
];

/// The server. They wait for clocks, clients and databases more than they compute, so they run beside
/// the disks.
const SERVER: &[Tier] = &[
    ("serve", || serve_tests::conformance(&kiln("dev")?)),
    ("serve-postgres", || serve_tests::on_postgres(&kiln("dev")?)),
    ("serve-faults", || serve_tests::faults(&kiln("dev")?)),
    ("serve-crash", || crash::test(&kiln("dev")?)),
];

/// Run only where they are asked for by name: they take too long for every change.
const ON_REQUEST: &[Tier] = &[("repair-matrix", || repairs::test(&kiln("dev")?, repairs::MATRIX))];

/// Install what is missing and run the tiers that `wanted` names, one after the other; where it names
/// none, all but those on request, which are told.
///
/// # Errors
///
/// The first tier that fails; a name that no tier has.
pub(crate) fn run_tiers(wanted: &[String]) -> Result<()> {
    let known: Vec<&Tier> = [FIRST, DISKS, SERVER, ON_REQUEST].into_iter().flatten().collect();
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = wanted.iter().find(|name| !names.contains(&name.as_str())) {
        bail!("no tier {unknown}; the tiers are {}", names.join(", "));
    }
    if wanted.is_empty() {
        // Asked before anything is built: a build that replaces this program leaves it without a path.
        let program = std::env::current_exe()?;
        FIRST.iter().try_for_each(|(name, work)| tier(name, work))?;
        let server = Aside::start(&program, SERVER)?;
        let disks = DISKS.iter().try_for_each(|(name, work)| tier(name, work));
        // Waited for in any case: it has servers of its own to stop.
        server.finish().and(disks)?;
        let left_out: Vec<&str> = ON_REQUEST.iter().map(|(name, _)| *name).collect();
        eprintln!("not run, ask for it by name: {}", left_out.join(", "));
        return Ok(());
    }
    let is_wanted = |name: &str| wanted.iter().any(|wanted| wanted == name);
    known.iter().filter(|(name, _)| is_wanted(name)).try_for_each(|(name, work)| tier(name, work))
}

/// Tiers in a process of their own. What they print comes in one piece at the end.
struct Aside {
    child: Child,
    printed: PathBuf,
}

impl Aside {
    fn start(program: &Path, tiers: &[Tier]) -> Result<Self> {
        let printed = workspace().join("target").join("tiers-aside.log");
        let log = File::create(&printed)?;
        let mut command = Command::new(program);
        command.arg("test").args(tiers.iter().map(|(name, _)| name)).stdin(Stdio::null());
        let child = command.stdout(log.try_clone()?).stderr(log).spawn()?;
        Ok(Self { child, printed })
    }

    fn finish(mut self) -> Result<()> {
        let status = self.child.wait()?;
        eprint!("{}", String::from_utf8_lossy(&fs::read(&self.printed)?));
        ensure!(status.success(), "the tiers that ran beside the others ended with {status}");
        Ok(())
    }
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

/// The `kiln` binary, built in `profile`; or the one that `KILN_PROGRAM` names, to try one that was
/// built elsewhere.
///
/// # Errors
///
/// Where it does not build.
pub(crate) fn kiln(profile: &str) -> Result<PathBuf> {
    if let Some(program) = std::env::var_os("KILN_PROGRAM") {
        return Ok(program.into());
    }
    // With the tests, which are there already where all are run: for the program alone, dependencies
    // would have fewer features and be compiled once more.
    let what: &[&str] =
        if profile == "dev" { &["--workspace", "--all-targets"] } else { &["-p", "kiln-cli"] };
    run(cargo().args(["build", "--locked", "--quiet", "--profile", profile]).args(what))?;
    // The folder of the profile `dev` is the only one that is not named after it.
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(workspace().join("target").join(folder).join("kiln"))
}

/// The cargo that runs this, in the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    command
}
