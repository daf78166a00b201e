//! `GUESTOS.Grub`: the boot menu leads to a kernel, an initial ramdisk and a root that are there
//! and that will still have the same names on the platform.
//!
//! Judges the default entry as the loader would run it, whatever the loader; GRUB gave the item its
//! name. Reading is the boot module's: here are only judgements.

mod devices;
mod files;
mod menu;
mod root;
#[cfg(test)]
mod tests;

pub(crate) use self::devices::{is_missing, names_what_is_there};
pub(crate) use self::files::stale_entries;
pub(crate) use self::menu::{MAX_TIMEOUT_S, filters_names};

use super::{Check, Evidence, Finding, Outcome};
use crate::boot::{BootFact, FirmwareKind};
use crate::{Guest, Inspection, Result};

pub(super) static GRUB: Check = Check {
    name: "Grub",
    summary: "the boot menu leads to a kernel, an initial ramdisk and a root that are there",
    run,
};

fn run(inspection: &Inspection) -> Result<Outcome> {
    if let Some(outcome) = super::windows(inspection) {
        return Ok(outcome);
    }
    let Some(guest) = inspection.guest().filter(|guest| guest.os.family.is_linux()) else {
        return Ok(Outcome::not_applicable("no Linux system was found"));
    };
    let mut findings: Vec<Finding> = guest.boot.facts.iter().filter_map(of_fact).collect();
    if let Some(entry) = guest.boot.default_entry().filter(|_| !guest.boot.assumed) {
        findings.extend(root::judge(guest, entry));
        findings.extend(devices::judge(&guest.layout, entry));
        findings.extend(files::judge(guest, entry)?);
        let by = |kind| inspection.firmware.chains.iter().any(|chain| chain.firmware == kind);
        let (bios, uefi) = (by(FirmwareKind::Bios), by(FirmwareKind::Uefi));
        findings.extend(menu::wrong_command(entry, bios, uefi));
        findings.extend(menu::password(entry));
    }
    findings.extend(files::judge_stale(&guest.boot));
    findings.extend(menu::timeout(&guest.boot));
    findings.extend(menu::default_file(guest)?);
    findings.extend(menu::lvm_filter(guest)?);
    let mut outcome = Outcome::judged(findings, "Valid", "Invalid").noting(evidence(guest));
    if guest.boot.default.is_none() || guest.boot.assumed {
        let why = "default_entry=assumed: no configuration tells which entry boots";
        outcome.unknown = Some((None, why.into()));
        if outcome.findings.is_empty() {
            outcome.value = "Unknown".into();
        }
    }
    Ok(outcome)
}

/// A fact of the boot chain as a finding; those of other items are left out.
fn of_fact(fact: &BootFact) -> Option<Finding> {
    let finding = match fact.code {
        "Grub.DefaultEntryInvalid" | "Grub.CoreImageStale" => {
            Finding::medium(fact.code, fact.message.clone())
        }
        code if code.starts_with("Grub.") => Finding::high(fact.code, fact.message.clone()),
        _ => return None,
    };
    let finding = finding.seen(fact.evidence.clone());
    Some(match fact.code {
        "Grub.CoreImageStale" => finding.suggest("run grub-install on the disk"),
        "Grub.ConfigMissing" | "Grub.ConfigCorrupt" => {
            finding.suggest("write the configuration anew: update-grub, or grub2-mkconfig -o")
        }
        _ => finding,
    })
}

/// The default entry, and words of its command line that a person may want to know of.
fn evidence(guest: &Guest) -> Vec<Evidence> {
    let Some(entry) = guest.boot.default_entry() else { return Vec::new() };
    let kernel = entry.kernel.as_deref().unwrap_or("no kernel");
    let text = format!("default entry: {kernel} {}", entry.cmdline);
    let mut found = vec![Evidence::line(&entry.source, entry.line, text)];
    if !guest.boot.assumed && !entry.args("console").any(|value| value.starts_with("ttyS0")) {
        found.push(Evidence::note("no console=ttyS0: the serial console stays silent"));
    }
    for word in entry.cmdline.split_ascii_whitespace() {
        if word.starts_with("xen_") || word.starts_with("vga=") {
            found.push(Evidence::note(format!("the command line holds {word}")));
        }
    }
    found
}
