//! A Python with the official clients in it, made once for each list of requirements.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::host::{run, workspace};
use crate::setup;

/// Written last, so an environment whose making was interrupted is made again.
const DONE: &str = "complete";

/// The tests that are written in Python, and `requirements.txt`.
pub(crate) fn tests() -> PathBuf {
    workspace().join("tests").join("conformance")
}

/// The interpreter of an environment that has what `requirements.txt` pins. The environment stands
/// under `target/python` and is named by the hash of that file.
///
/// # Errors
///
/// Where Python is missing and cannot be installed, and where a package cannot be had.
pub(crate) fn environment() -> Result<PathBuf> {
    let requirements = tests().join("requirements.txt");
    let content =
        fs::read(&requirements).with_context(|| format!("reading {}", requirements.display()))?;
    let mut name = String::new();
    for byte in Sha256::digest(&content).iter().take(8) {
        let _ = write!(name, "{byte:02x}");
    }
    let folder = workspace().join("target").join("python").join(name);
    let python = folder.join("bin").join("python");
    if folder.join(DONE).exists() {
        return Ok(python);
    }
    if !can_make_environments() {
        setup::ensure(&[setup::PYTHON])?;
    }
    eprintln!("making {} of {}", folder.display(), requirements.display());
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
    run(install.arg(&requirements).stdout(Stdio::null()))?;
    fs::write(folder.join(DONE), "").context("marking the environment as complete")?;
    Ok(python)
}

/// Whether the machine's own Python has all that an environment needs: Debian's has not without
/// `python3-venv`.
fn can_make_environments() -> bool {
    let mut command = Command::new("python3");
    command.args(["-c", "import ensurepip, venv"]).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A command that runs a script, without leaving compiled files in the source tree, and with the
/// conformance tests' modules at hand.
pub(crate) fn script(python: &Path, script: &Path) -> Command {
    let mut command = Command::new(python);
    command.arg(script).env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONPATH", tests());
    command
}

/// Run pytest in `folder` with `arguments` against the server that `site` describes.
///
/// # Errors
///
/// Where a test fails, and where none was found.
pub(crate) fn pytest(folder: &Path, site: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(environment()?);
    command.args(["-m", "pytest"]).args(arguments).current_dir(folder);
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONPATH", tests()).env("KILN_SITE", site);
    run(&mut command)
}
