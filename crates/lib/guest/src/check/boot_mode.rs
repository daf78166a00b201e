//! `GUESTOS.BootMode`: by which firmware the disk starts, and whether that is the declared one.
//!
//! Only what travels with the image counts: boot code on the disk, and the loader at the
//! removable-media path of the EFI system partition.

use super::{Check, Evidence, Finding, Outcome};
use crate::boot::{BootChain, Firmware, FirmwareKind};
use crate::{Inspection, Result};

pub(super) static BOOT_MODE: Check = Check {
    name: "BootMode",
    summary: "a firmware can start the disk, and it is the declared one",
    run,
};

fn run(inspection: &Inspection) -> Result<Outcome> {
    let guest = match super::system(inspection) {
        Ok(guest) => guest,
        Err(outcome) => return Ok(*outcome),
    };
    let architecture = guest.os.architecture.as_deref();
    let declared = inspection.declared.boot_mode.as_deref();
    Ok(judge(&inspection.firmware, architecture, declared))
}

/// Facts of the firmware that this item holds against an image.
const FACTS: &[&str] = &["BootMode.NoUefiFallback", "Grub.NoBiosBootPartition"];

fn judge(firmware: &Firmware, architecture: Option<&str>, declared: Option<&str>) -> Outcome {
    let by = |kind| firmware.chains.iter().find(|chain: &&BootChain| chain.firmware == kind);
    let bios = by(FirmwareKind::Bios).filter(|_| architecture != Some("arm64"));
    let uefi = by(FirmwareKind::Uefi);
    let value = match (uefi.is_some(), bios.is_some()) {
        (true, true) => "UEFI,LEGACY",
        (true, false) => "UEFI",
        (false, true) => "LEGACY",
        (false, false) => "Unknown",
    };
    let mut findings = Vec::new();
    for fact in firmware.facts.iter().filter(|fact| FACTS.contains(&fact.code)) {
        // A BIOS chain needs no loader at the fallback path, unless UEFI is asked for.
        let is_needed = match fact.code {
            "BootMode.NoUefiFallback" => bios.is_none() || asks_for_uefi(declared),
            _ => uefi.is_none() || declared.is_some_and(|mode| mode.eq_ignore_ascii_case("BIOS")),
        };
        if is_needed {
            let finding = Finding::high(fact.code, fact.message.clone());
            findings.push(finding.seen(fact.evidence.clone()).suggest(suggestion(fact.code)));
        }
    }
    if architecture == Some("arm64") && uefi.is_none() {
        let message =
            "arm64 starts by UEFI only, and no EFI system partition holds a loader for it";
        findings.push(Finding::high("BootMode.ArmNeedsUefi", message));
    } else if uefi.is_none() && bios.is_none() && findings.is_empty() {
        let message = "neither BIOS nor UEFI finds a complete boot chain on the disk";
        let mut finding = Finding::high("BootMode.NotBootable", message);
        finding.evidence.extend(firmware.facts.iter().map(|fact| fact.evidence.clone()));
        findings.push(finding);
    } else if let Some(declared) = declared
        && findings.is_empty()
        && !is_among(declared, uefi.is_some(), bios.is_some())
    {
        let message = format!("declared as {declared}, and the disk starts by {value}");
        let text =
            format!("declare the boot mode as {}", if uefi.is_some() { "UEFI" } else { "BIOS" });
        findings.push(Finding::high("BootMode.Mismatch", message).suggest(text));
    }
    let chains = firmware.chains.iter().map(|chain| chain.evidence.clone());
    let seen: Vec<Evidence> = chains.collect();
    Outcome { findings, ..Outcome::value(value) }.noting(seen)
}

fn asks_for_uefi(declared: Option<&str>) -> bool {
    declared.is_some_and(|mode| mode.eq_ignore_ascii_case("UEFI"))
}

fn is_among(declared: &str, uefi: bool, bios: bool) -> bool {
    match declared.to_ascii_uppercase().as_str() {
        "UEFI" => uefi,
        "BIOS" | "LEGACY" => bios,
        _ => uefi || bios,
    }
}

fn suggestion(code: &str) -> &'static str {
    match code {
        "BootMode.NoUefiFallback" => {
            "install the loader at the removable-media path (grub-install --removable), or copy the \
             vendor's loader to /EFI/BOOT"
        }
        _ => "make a partition of 1 MiB of type BIOS boot and run grub-install on the disk",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::{BootFact, Loader};

    fn chain(firmware: FirmwareKind) -> BootChain {
        BootChain {
            firmware,
            loader: Loader::Grub2,
            architecture: "x86_64".into(),
            evidence: Evidence::note("seen"),
        }
    }

    fn firmware(chains: &[FirmwareKind], facts: &[&'static str]) -> Firmware {
        let fact = |code: &&'static str| BootFact {
            code,
            message: "odd".into(),
            evidence: Evidence::note("odd"),
        };
        Firmware {
            chains: chains.iter().copied().map(chain).collect(),
            facts: facts.iter().map(fact).collect(),
        }
    }

    #[test]
    fn each_fault_has_its_code_and_near_misses_none() {
        use FirmwareKind::{Bios, Uefi};
        let x86 = Some("x86_64");
        let no_fallback = &["BootMode.NoUefiFallback"][..];
        for (chains, facts, architecture, declared, value, code) in [
            (&[Bios][..], &[][..], x86, None, "LEGACY", None),
            (&[Uefi], &[], x86, None, "UEFI", None),
            (&[Uefi, Bios], &[], x86, Some("BIOS"), "UEFI,LEGACY", None),
            (&[], &[], x86, None, "Unknown", Some("BootMode.NotBootable")),
            (&[Bios], &[], x86, Some("UEFI"), "LEGACY", Some("BootMode.Mismatch")),
            (&[Bios], &[], x86, Some("UEFI-Preferred"), "LEGACY", None),
            (&[], no_fallback, x86, None, "Unknown", Some("BootMode.NoUefiFallback")),
            (&[Bios], no_fallback, x86, None, "LEGACY", None),
            (&[Bios], &[], Some("arm64"), None, "Unknown", Some("BootMode.ArmNeedsUefi")),
            (
                &[],
                &["Grub.NoBiosBootPartition"],
                x86,
                None,
                "Unknown",
                Some("Grub.NoBiosBootPartition"),
            ),
            (&[Uefi], &["Grub.NoBiosBootPartition"], x86, None, "UEFI", None),
        ] {
            let outcome = judge(&firmware(chains, facts), architecture, declared);
            let found = (outcome.value.as_str(), outcome.worst().map(|worst| worst.code));
            assert_eq!(found, (value, code), "{chains:?} {facts:?} {declared:?}");
        }
        let outcome = judge(&firmware(&[Bios], &[]), x86, Some("UEFI"));
        let message = "declared as UEFI, and the disk starts by LEGACY";
        assert_eq!(outcome.worst().unwrap().message, message);
    }
}
