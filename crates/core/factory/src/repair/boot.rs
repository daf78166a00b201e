//! Booting the repaired disk before it gets its name.

use std::path::Path;

use kiln_compute::boot::{self, Firmware, Options, Report};
use kiln_compute::qemu::{Arch, Qemu, WorkDir};
use kiln_disk::Image;
use kiln_guest::{FirmwareKind, Inspection};

use crate::{Error, Result};

/// The machine that the image is made for: the processor of the system that boots, this host's where
/// none was found; and the firmware, BIOS where it is made for both, or for neither.
pub fn made_for(inspection: &Inspection) -> (Arch, Firmware) {
    let architecture = inspection.guest().and_then(|guest| guest.os.architecture.as_deref());
    let arch = match architecture {
        Some("arm64") => Arch::Aarch64,
        Some("x86_64" | "i386") => Arch::X86_64,
        _ => Arch::host(),
    };
    let has = |kind| inspection.firmware.chains.iter().any(|chain| chain.firmware == kind);
    let is_uefi_only = has(FirmwareKind::Uefi) && !has(FirmwareKind::Bios);
    let firmware = match is_uefi_only || arch == Arch::Aarch64 {
        true => Firmware::Uefi,
        false => Firmware::Bios,
    };
    (arch, firmware)
}

/// Boot an overlay of `image`; the console log stays at `log` where it does not start.
///
/// # Errors
///
/// [`Error::DoesNotBoot`], and where the machine could not be run.
pub(super) fn boot(
    image: &Image,
    inspection: &Inspection,
    options: &Options,
    work: &WorkDir,
    log: &Path,
) -> Result<Report> {
    let (arch, firmware) = made_for(inspection);
    let qemu = Qemu::find(arch)?;
    let options = Options { firmware, ..options.clone() };
    let mut console = Vec::new();
    let report = boot::run(&qemu, image, &options, &mut console, &mut |_| ())?;
    if report.reached {
        return Ok(report);
    }
    let why = match &report.failure {
        Some(failure) => failure.reason.clone(),
        None => format!("no {} within {} s", report.goal, report.seconds.as_secs()),
    };
    // By a rename, which follows no link that is there.
    let written = work.join("console.log");
    std::fs::write(&written, &console)
        .and_then(|()| std::fs::rename(&written, log))
        .map_err(Error::io(format!("cannot write {}", log.display())))?;
    Err(Error::DoesNotBoot(format!("{why} (console log: {})", log.display())))
}
