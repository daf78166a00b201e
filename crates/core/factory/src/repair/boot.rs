//! Booting the repaired disk before it gets its name.

use std::path::Path;

use kiln_compute::boot::{self, Firmware, Options, Report};
use kiln_compute::qemu::{Arch, Qemu, WorkDir};
use kiln_disk::Image;
use kiln_guest::{FirmwareKind, Inspection};

use crate::{Error, Result};

/// The firmware that the image is made for; BIOS where it is made for both, or for neither.
pub fn firmware(inspection: &Inspection) -> Firmware {
    let made_for = |kind| inspection.firmware.chains.iter().any(|chain| chain.firmware == kind);
    match made_for(FirmwareKind::Uefi) && !made_for(FirmwareKind::Bios) {
        true => Firmware::Uefi,
        false => Firmware::Bios,
    }
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
    let architecture = inspection.guest().and_then(|guest| guest.os.architecture.as_deref());
    let arch = if architecture == Some("arm64") { Arch::Aarch64 } else { Arch::X86_64 };
    let qemu = Qemu::find(arch)?;
    let options = Options { firmware: firmware(inspection), ..options.clone() };
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
