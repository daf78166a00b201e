//! Which accelerator a machine runs with.
//!
//! That `/dev/kvm` opens says little: in nested and restricted machines it opens, a guest starts, and
//! then hangs for ever. So `Auto` means KVM only after a guest has really run under it: a boot
//! sector, read from a disk by the firmware, that waits for timer interrupts and then leaves through
//! QEMU's debug exit.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use crate::qemu::{Arch, Process, Qemu, WorkDir};
use crate::{Error, Result};

/// What the caller wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accel {
    /// KVM where it works, else emulation.
    #[default]
    Auto,
    /// KVM, or an error.
    Kvm,
    /// Emulation.
    Tcg,
}

/// What a machine runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor runs the guest.
    Kvm,
    /// QEMU translates the guest's code.
    Tcg,
}

impl Accelerator {
    /// QEMU's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }

    /// The arguments that choose it, and the most capable processor that it offers: enterprise
    /// distributions no longer start on QEMU's default one.
    pub(super) fn arguments(self) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            Self::Tcg => ["-accel", "tcg,thread=multi", "-cpu", "max"],
        }
    }
}

const KVM: &str = "/dev/kvm";

/// How long the probe may run under KVM. Where that works it takes a tenth of this.
const KVM_PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long it may run emulated, which only tests do: on however busy a host.
const TCG_PROBE_TIMEOUT: Duration = Duration::from_secs(120);

/// How long an answer is remembered for other processes. A host's KVM changes with its kernel
/// (another boot id) or its QEMU (both are in the key), or because somebody mends it meanwhile.
const REMEMBERED_FOR: Duration = Duration::from_secs(3600);

/// Boots, waits for three timer interrupts, writes 0x2a to the debug exit. In words:
/// `sti; cld; mov cx,3; wait: hlt; loop wait; mov dx,0xf4; mov al,0x2a; out dx,al; end: hlt; jmp end`.
const PROBE_CODE: [u8; 17] = [
    0xfb, 0xfc, 0xb9, 0x03, 0x00, 0xf4, 0xe2, 0xfd, 0xba, 0xf4, 0x00, 0xb0, 0x2a, 0xee, 0xf4, 0xeb,
    0xfd,
];

/// QEMU's debug exit leaves with twice the written value plus one.
const PROBE_STATUS: i32 = 0x2a * 2 + 1;

impl Qemu {
    /// What `wanted` means on this host.
    ///
    /// # Errors
    ///
    /// Where KVM is asked for and cannot be opened, or the guest is of another architecture. That it
    /// hangs is not noticed then: who asks for it by name gets it.
    pub fn accelerator(&self, wanted: Accel) -> Result<Accelerator> {
        match wanted {
            Accel::Tcg => Ok(Accelerator::Tcg),
            Accel::Kvm => self.openable().map(|()| Accelerator::Kvm),
            Accel::Auto if self.openable().is_err() => Ok(Accelerator::Tcg),
            Accel::Auto => {
                static WORKS: OnceLock<bool> = OnceLock::new();
                let works = *WORKS.get_or_init(|| self.remembered_probe());
                Ok(if works { Accelerator::Kvm } else { Accelerator::Tcg })
            }
        }
    }

    fn openable(&self) -> Result<()> {
        if self.arch != Arch::host() {
            return Err(Error::Unsupported {
                what: format!("KVM cannot run {} on this host", self.arch.name()),
                hint: "use --accel tcg".to_owned(),
            });
        }
        let opened = OpenOptions::new().read(true).write(true).open(KVM);
        opened.map(drop).map_err(Error::io(format!("cannot open {KVM}")))
    }

    fn remembered_probe(&self) -> bool {
        let Some(memory) = Memory::of(self) else { return self.probe(Accelerator::Kvm) };
        memory.recall().unwrap_or_else(|| {
            let works = self.probe(Accelerator::Kvm);
            memory.keep(works);
            works
        })
    }

    /// Whether a guest runs under `accelerator`. Whatever goes wrong means no.
    pub fn probe(&self, accelerator: Accelerator) -> bool {
        match self.arch {
            Arch::X86_64 => self.probe_boot(accelerator).unwrap_or(false),
            // There is no debug exit on Arm's machine, and no report of an Arm host that hangs.
            Arch::Aarch64 => true,
        }
    }

    fn probe_boot(&self, accelerator: Accelerator) -> Result<bool> {
        let work = WorkDir::new()?;
        let sector = work.join("probe.raw");
        fs::write(&sector, boot_sector()).map_err(Error::io(sector.display().to_string()))?;
        let mut command: Command = self.machine(accelerator, &work);
        command.args(["-machine", "pc", "-m", "32", "-boot", "c"]);
        command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
        command.args(["-drive", "file=probe.raw,format=raw,if=ide,readonly=off"]);
        let mut process = Process::spawn(command)?;
        let timeout = match accelerator {
            Accelerator::Kvm => KVM_PROBE_TIMEOUT,
            Accelerator::Tcg => TCG_PROBE_TIMEOUT,
        };
        let status = process.wait_until(Instant::now() + timeout)?;
        Ok(status.and_then(|status| status.code()) == Some(PROBE_STATUS))
    }
}

fn boot_sector() -> [u8; 512] {
    let mut sector = [0; 512];
    sector[..PROBE_CODE.len()].copy_from_slice(&PROBE_CODE);
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

/// The answer of an earlier process, in a file that only this user can write.
#[derive(Debug)]
struct Memory {
    file: PathBuf,
    key: String,
}

impl Memory {
    /// `None` where there is no safe place, or nothing to tell one state of the host from another.
    fn of(qemu: &Qemu) -> Option<Self> {
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let folder = runtime_folder()?;
        let mut key = String::new();
        writeln!(key, "{} {} {}", boot_id.trim(), qemu.version, qemu.system.display()).ok()?;
        Some(Self { file: folder.join("kvm-probe"), key })
    }

    fn recall(&self) -> Option<bool> {
        let age = SystemTime::now().duration_since(fs::metadata(&self.file).ok()?.modified().ok()?);
        if age.ok()? > REMEMBERED_FOR {
            return None;
        }
        match fs::read_to_string(&self.file).ok()?.strip_prefix(&self.key)? {
            "works\n" => Some(true),
            "hangs\n" => Some(false),
            _ => None,
        }
    }

    /// Best effort: an answer that cannot be kept is found out again.
    fn keep(&self, works: bool) {
        let answer = if works { "works\n" } else { "hangs\n" };
        let Some(folder) = self.file.parent() else { return };
        let Ok(mut new) = tempfile::NamedTempFile::new_in(folder) else { return };
        if new.write_all((self.key.clone() + answer).as_bytes()).is_ok() {
            let _ = new.persist(&self.file);
        }
    }
}

/// `$XDG_RUNTIME_DIR/kiln`, else `/tmp/kiln-UID`.
fn runtime_folder() -> Option<PathBuf> {
    let uid = rustix::process::getuid().as_raw();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let folder = match runtime.filter(|path| path.is_absolute()) {
        Some(runtime) => runtime.join("kiln"),
        None => PathBuf::from(format!("/tmp/kiln-{uid}")),
    };
    private_folder(&folder, uid).then_some(folder)
}

/// Make `folder` if it is not there. In `/tmp` somebody else may have been first: then it is not
/// used, or they could make kiln believe in a KVM that hangs.
fn private_folder(folder: &Path, uid: u32) -> bool {
    let made = fs::DirBuilder::new().mode(0o700).create(folder);
    if made.is_err() && !folder.exists() {
        return false;
    }
    let found = fs::symlink_metadata(folder);
    found.is_ok_and(|meta| {
        meta.is_dir() && meta.uid() == uid && meta.permissions().mode() & 0o077 == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qemu() -> Qemu {
        Qemu::find(Arch::X86_64).expect("qemu-system-x86 and qemu-utils are installed")
    }

    /// The probe itself, where it must say yes on every host: under emulation.
    #[test]
    fn the_probe_runs_to_its_end() {
        assert!(qemu().probe(Accelerator::Tcg));
    }

    #[test]
    fn a_machine_that_does_not_get_there_fails_the_probe() {
        let broken = Qemu { system: PathBuf::from("/bin/true"), ..qemu() };
        assert!(!broken.probe(Accelerator::Tcg));
        let absent = Qemu { system: PathBuf::from("/nowhere/qemu"), ..qemu() };
        assert!(!absent.probe(Accelerator::Tcg));
    }

    #[test]
    fn auto_gives_what_the_probe_says() {
        let qemu = qemu();
        let expected = qemu.openable().is_ok() && qemu.probe(Accelerator::Kvm);
        let found = qemu.accelerator(Accel::Auto).unwrap() == Accelerator::Kvm;
        assert_eq!(found, expected);
        assert_eq!(qemu.accelerator(Accel::Tcg).unwrap(), Accelerator::Tcg);
    }

    #[test]
    fn kvm_for_another_architecture_is_refused() {
        let arch = if Arch::host() == Arch::X86_64 { Arch::Aarch64 } else { Arch::X86_64 };
        let foreign = Qemu { arch, ..qemu() };
        assert!(foreign.accelerator(Accel::Kvm).unwrap_err().hint().unwrap().contains("tcg"));
        assert_eq!(foreign.accelerator(Accel::Auto).unwrap(), Accelerator::Tcg);
    }

    #[test]
    fn answers_are_remembered_for_an_hour_of_the_same_host() {
        let folder = tempfile::tempdir().unwrap();
        let memory = |key: &str| Memory { file: folder.path().join("m"), key: format!("{key}\n") };
        assert_eq!(memory("a").recall(), None);
        for works in [true, false] {
            memory("a").keep(works);
            assert_eq!(memory("a").recall(), Some(works));
            assert_eq!(memory("b").recall(), None, "of another boot");
        }
        let old = SystemTime::now() - REMEMBERED_FOR - Duration::from_secs(1);
        fs::File::options()
            .write(true)
            .open(folder.path().join("m"))
            .unwrap()
            .set_modified(old)
            .unwrap();
        assert_eq!(memory("a").recall(), None, "too old");
    }

    #[test]
    fn a_folder_that_others_can_write_is_not_used() {
        let parent = tempfile::tempdir().unwrap();
        let uid = rustix::process::getuid().as_raw();
        let ours = parent.path().join("ours");
        assert!(private_folder(&ours, uid) && private_folder(&ours, uid));
        assert!(!private_folder(&ours, uid + 1), "somebody else's");
        std::os::unix::fs::symlink(&ours, parent.path().join("link")).unwrap();
        assert!(!private_folder(&parent.path().join("link"), uid));
        fs::set_permissions(&ours, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(!private_folder(&ours, uid));
        assert!(!private_folder(&parent.path().join("no/parent"), uid));
    }
}
