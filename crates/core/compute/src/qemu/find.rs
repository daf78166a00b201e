//! Finding QEMU on the host.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::qemu::accel::Accelerator;
use crate::qemu::{WorkDir, process};
use crate::{Error, Result};

/// How long `--version` may take; a loaded machine reads the binary from a slow disk first.
const VERSION_TIMEOUT: Duration = Duration::from_secs(30);

/// A processor architecture that kiln runs guests of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// `x86_64`, also for 32-bit guests.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

impl Arch {
    /// The architecture kiln itself runs on.
    pub fn host() -> Self {
        if cfg!(target_arch = "aarch64") { Self::Aarch64 } else { Self::X86_64 }
    }

    /// QEMU's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// Programs that emulate it. Red Hat's is outside of `PATH` and runs its own architecture only.
    fn programs(self) -> Vec<&'static str> {
        let mut programs = match self {
            Self::X86_64 => vec!["qemu-system-x86_64"],
            Self::Aarch64 => vec!["qemu-system-aarch64"],
        };
        if self == Self::host() {
            programs.push("/usr/libexec/qemu-kvm");
        }
        programs
    }

    fn hint(self) -> String {
        let (debian, fedora) = match self {
            Self::X86_64 => ("qemu-system-x86", "qemu-system-x86-core"),
            Self::Aarch64 => ("qemu-system-arm", "qemu-system-aarch64-core"),
        };
        install_hint(&format!("{debian} qemu-utils"), &format!("{fedora} qemu-img"))
    }
}

/// What installs a package, on the two families that kiln is tested on.
pub(crate) fn install_hint(debian: &str, fedora: &str) -> String {
    format!("sudo apt-get install {debian} (Debian, Ubuntu) or sudo dnf install {fedora} (Fedora)")
}

/// A version of QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// `10` of 10.0.2.
    pub major: u32,
    /// `0` of 10.0.2.
    pub minor: u32,
    /// `2` of 10.0.2.
    pub micro: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

/// The QEMU of this host.
#[derive(Clone, Debug)]
pub struct Qemu {
    /// The emulator.
    pub system: PathBuf,
    /// `qemu-img`.
    pub img: PathBuf,
    /// The architecture that it emulates.
    pub arch: Arch,
    /// Its version.
    pub version: Version,
}

impl Qemu {
    /// The emulator for `arch`, and `qemu-img`.
    ///
    /// # Errors
    ///
    /// `Missing`, with the command that installs it, where either is not found; where the emulator
    /// does not tell its version.
    pub fn find(arch: Arch) -> Result<Self> {
        let missing = |what: &str| Error::Missing { what: what.to_owned(), hint: arch.hint() };
        let mut programs = arch.programs().into_iter();
        let system = programs
            .find_map(program)
            .ok_or_else(|| missing(&format!("qemu-system-{}", arch.name())))?;
        let img = program("qemu-img").ok_or_else(|| missing("qemu-img"))?;
        let mut command = Command::new(&system);
        command.arg("--version");
        let said = process::run(command, VERSION_TIMEOUT)?.stdout_text();
        let version = parse_version(&said).ok_or_else(|| Error::Unsupported {
            what: format!("{} told no version", system.display()),
            hint: "check what `--version` prints".to_owned(),
        })?;
        Ok(Self { system, img, arch, version })
    }

    /// The start of a command line: no devices but the ones that the caller adds, no configuration
    /// of the user, no window, and a system call filter around the emulator, which runs hostile
    /// guests. It will run in `work`.
    pub fn machine(&self, accelerator: Accelerator, work: &WorkDir) -> Command {
        let mut command = Command::new(&self.system);
        command.current_dir(work.path());
        command.args(["-nodefaults", "-no-user-config", "-display", "none"]);
        let filter = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";
        command.args(["-sandbox", filter]);
        command.args(accelerator.arguments());
        command
    }
}

/// Where `name` is found: in `PATH`, or where it says if it is a path.
pub fn program(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| is_executable(path));
    }
    find_in(&env::var_os("PATH")?, name)
}

fn find_in(path: &OsStr, name: &str) -> Option<PathBuf> {
    // An empty entry would mean the current folder, which may be anybody's.
    let folders = env::split_paths(path).filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(name)).find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// From `QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)`.
fn parse_version(said: &str) -> Option<Version> {
    let (_, after) = said.split_once(" version ")?;
    let number = after.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    let mut parts = number.split('.').map(|part| part.parse().ok());
    let mut next = || parts.next().flatten();
    Some(Version { major: next()?, minor: next()?, micro: next().unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_distributions() {
        for (said, expected) in [
            ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright", "7.2.22"),
            ("QEMU emulator version 10.1.0-rc2 (v10.1.0-rc2)", "10.1.0"),
            ("QEMU emulator version 9.2", "9.2.0"),
        ] {
            assert_eq!(parse_version(said).unwrap().to_string(), expected);
        }
        for said in
            ["", "QEMU emulator version ", "QEMU emulator version x.y", "bash: no version 5"]
        {
            assert_eq!(parse_version(said), None, "{said}");
        }
    }

    #[test]
    fn only_executables_in_absolute_folders_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let (plain, tool) = (folder.path().join("plain"), folder.path().join("tool"));
        fs::write(&plain, "").unwrap();
        fs::write(&tool, "").unwrap();
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
        let path = env::join_paths(["", "relative", folder.path().to_str().unwrap()]).unwrap();
        assert_eq!(find_in(&path, "tool"), Some(tool));
        assert_eq!(find_in(&path, "plain"), None);
        assert_eq!(find_in(OsStr::new(""), "tool"), None);
    }

    #[test]
    fn a_missing_emulator_names_the_command_that_installs_it() {
        let hint = Arch::Aarch64.hint();
        assert!(hint.contains("apt-get install qemu-system-arm qemu-utils"), "{hint}");
        assert!(hint.contains("dnf install qemu-system-aarch64-core qemu-img"), "{hint}");
    }
}
