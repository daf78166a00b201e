//! The firmware a guest starts with.

use std::fs;
use std::path::Path;

use crate::qemu::{Arch, WorkDir, install_hint};
use crate::{Error, Result};

/// Which firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// `SeaBIOS`, which comes with QEMU.
    Bios,
    /// OVMF (on Arm: AAVMF), without Secure Boot.
    Uefi,
}

impl Firmware {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bios => "bios",
            Self::Uefi => "uefi",
        }
    }
}

/// Code and template of the variables, as distributions install them: Debian and Ubuntu (the 2 MiB
/// build until Debian 12, then 4 MiB only), Fedora, Arch, openSUSE.
const X86_64: &[(&str, &str)] = &[
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    ("/usr/share/qemu/ovmf-x86_64-code.bin", "/usr/share/qemu/ovmf-x86_64-vars.bin"),
];

const AARCH64: &[(&str, &str)] = &[
    ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
    (
        "/usr/share/edk2/aarch64/QEMU_EFI-pflash.raw",
        "/usr/share/edk2/aarch64/vars-template-pflash.raw",
    ),
];

/// The arguments that give a machine UEFI, with variables of its own in `work`.
///
/// # Errors
///
/// `Missing`, with the command that installs it, where the host has none.
pub(super) fn uefi(arch: Arch, work: &WorkDir) -> Result<[String; 4]> {
    let (places, debian, fedora) = match arch {
        Arch::X86_64 => (X86_64, "ovmf", "edk2-ovmf"),
        Arch::Aarch64 => (AARCH64, "qemu-efi-aarch64", "edk2-aarch64"),
    };
    let found = places.iter().find(|(code, vars)| exists(code) && exists(vars));
    let (code, vars) = found.ok_or_else(|| Error::Missing {
        what: "UEFI firmware for QEMU".to_owned(),
        hint: install_hint(debian, fedora),
    })?;
    fs::copy(vars, work.join("vars.fd")).map_err(Error::io(*vars))?;
    let drive = |unit: u8, rest: &str| format!("if=pflash,unit={unit},format=raw,{rest}");
    Ok([
        "-drive".to_owned(),
        drive(0, &format!("readonly=on,file={code}")),
        "-drive".to_owned(),
        drive(1, "file=vars.fd"),
    ])
}

fn exists(path: &str) -> bool {
    Path::new(path).is_file()
}
