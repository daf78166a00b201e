//! `GUESTOS.Nvme`: the kernel that boots finds its root on an NVMe disk.
//!
//! Newer instance families attach disks as NVMe. Needed as for virtio: the driver before the root.

use crate::check::driver::{Availability, Facts, availability, default_kernel};
use crate::check::{Check, Evidence, Finding, Outcome};
use crate::inspect::{Family, Guest};
use crate::kernel::{module_parameter_type, version};
use crate::{Inspection, Result};

pub(super) static NVME: Check = Check {
    name: "Nvme",
    summary: "the kernel that boots has the NVMe driver for its root disk",
    run,
};

const DRIVERS: [&str; 2] = ["nvme_core", "nvme"];

fn run(inspection: &Inspection) -> Result<Outcome> {
    let Some(guest) = inspection.guest() else {
        return Ok(Outcome::unknown(None, "no operating system found"));
    };
    if !guest.os.family.is_linux() {
        return Ok(Outcome::not_applicable("the guest is not Linux"));
    }
    let Some(default) = default_kernel(guest)? else {
        return Ok(Outcome::unknown(None, "the kernel that boots by default cannot be told"));
    };
    let cmdline = default.entry.map_or("", |entry| &entry.cmdline);
    let facts = Facts::read(guest, &default.version, &default.initrds, cmdline, &DRIVERS)?;
    let mut outcome = judge(&facts, guest.os.family);
    if inspection.declared.nvme && outcome.findings.is_empty() && outcome.unknown.is_none() {
        outcome.findings.extend(io_timeout(guest, &facts)?);
    }
    let disk_names = cmdline.split_ascii_whitespace().filter(|word| word.contains("=/dev/vd"));
    outcome.evidence.extend(disk_names.map(|word| {
        Evidence::note(format!("`{word}` on the command line is another name on NVMe"))
    }));
    Ok(outcome)
}

/// The drivers that this item wants in the initramfs of the kernel `version`, or built in.
///
/// # Errors
///
/// What reading the guest's files says.
pub fn nvme_drivers(guest: &Guest, version: &str) -> Result<Vec<&'static str>> {
    let facts = Facts::read(guest, version, &[], "", &DRIVERS)?;
    Ok(drivers(&facts).to_vec())
}

/// The drivers this kernel can have: until Linux 4.4, `nvme` was one module.
fn drivers(facts: &Facts) -> &'static [&'static str] {
    let has_core = facts.is_installed("nvme_core");
    let is_old = version::numbers::<2>(&facts.version) < [4, 4];
    if !has_core && is_old { &DRIVERS[1..] } else { &DRIVERS }
}

/// The judgement, pure.
fn judge(facts: &Facts, family: Family) -> Outcome {
    let kernel = &facts.version;
    let mut findings: Vec<Finding> = Vec::new();
    for driver in drivers(facts) {
        let (code, message) = match availability(driver, facts) {
            Availability::BuiltIn | Availability::InInitramfs => continue,
            Availability::Unreadable(why) => {
                let why = format!("the initramfs cannot be read: {why}");
                return Outcome::unknown(Some("NVMe.InitramfsUnreadable"), why);
            }
            Availability::NotInstalled => {
                ("NVMe.NotInstalled", format!("kernel {kernel} has no driver {driver}"))
            }
            Availability::NoInitramfs => (
                "NVMe.NotInInitramfs",
                format!(
                    "kernel {kernel} has {driver} as a module, and no initramfs to load it from"
                ),
            ),
            Availability::OtherKernel(versions) => (
                "NVMe.NotInInitramfs",
                format!("the initramfs of kernel {kernel} has modules of {}", versions.join(", ")),
            ),
            Availability::NotInInitramfs(missing) => (
                "NVMe.NotInInitramfs",
                format!("the initramfs of kernel {kernel} lacks {}", missing.join(", ")),
            ),
            Availability::Blocked(why) => {
                ("NVMe.Blacklisted", format!("kernel {kernel} does not load {driver}: {why}"))
            }
        };
        // One finding a code: the first driver that fails tells enough.
        if findings.iter().any(|finding| finding.code == code) {
            continue;
        }
        let mut finding = Finding::high(code, message);
        finding = match code {
            "NVMe.NotInstalled" if version::numbers::<3>(kernel) < [2, 6, 32] => finding.seen(
                Evidence::note(format!("kernel_too_old: {kernel} is older than the NVMe driver")),
            ),
            "NVMe.NotInstalled" => finding.suggest("install a kernel that has the NVMe driver"),
            "NVMe.Blacklisted" => {
                finding.suggest("remove the blacklist entry and rebuild the initramfs")
            }
            _ => finding.suggest(super::virtio::rebuild(family, kernel, &DRIVERS)),
        };
        findings.push(finding);
    }
    Outcome::judged(findings, "Supported", "Unsupported")
}

/// The parameter and its value that the command line lacks, where NVMe is asked for.
///
/// # Errors
///
/// What reading the guest's files says.
pub(crate) fn missing_io_timeout(inspection: &Inspection) -> Result<Option<(&'static str, u32)>> {
    let Some(guest) = inspection.guest().filter(|_| inspection.declared.nvme) else {
        return Ok(None);
    };
    let Some(default) = default_kernel(guest)? else { return Ok(None) };
    let cmdline = default.entry.map_or("", |entry| &entry.cmdline);
    io_timeout_parameter(guest, &Facts::read(guest, &default.version, &[], cmdline, &DRIVERS)?)
}

/// Where NVMe is asked for: the default of 30 s lets a stalled network disk fail for good.
fn io_timeout(guest: &Guest, facts: &Facts) -> Result<Option<Finding>> {
    let Some((name, value)) = io_timeout_parameter(guest, facts)? else { return Ok(None) };
    let message = format!("`{name}` is not on the command line of kernel {}", facts.version);
    let finding = Finding::medium("NVMe.IoTimeout", message);
    Ok(Some(finding.suggest(format!("add `{name}={value}` to the kernel command line"))))
}

fn io_timeout_parameter(guest: &Guest, facts: &Facts) -> Result<Option<(&'static str, u32)>> {
    let is_set = facts.cmdline.split_ascii_whitespace().any(|word| {
        word.starts_with("nvme_core.io_timeout=") || word.starts_with("nvme.io_timeout=")
    });
    if is_set {
        return Ok(None);
    }
    let (module, name) = if drivers(facts).len() == 2 {
        ("nvme_core", "nvme_core.io_timeout")
    } else {
        ("nvme", "nvme.io_timeout")
    };
    let kind = match guest.module_path(&facts.version, module)? {
        Some(path) => module_parameter_type(&guest.tree, &path, "io_timeout")?,
        None => None,
    };
    let value = match kind.as_deref() {
        Some("byte") => 254_u32,
        _ => u32::MAX,
    };
    Ok(Some((name, value)))
}
