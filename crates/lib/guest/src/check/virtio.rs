//! `GUESTOS.Virtio`: the kernel that boots finds its disk and its network on virtio.
//!
//! The disk driver must be there before the root is: built in, or in the initial ramdisk together
//! with the transport. Images made on other hypervisors often have a ramdisk for those alone.

use kiln_volume::{Content, Origin};

use crate::check::driver::{Availability, DefaultKernel, Facts, availability, default_kernel};
use crate::check::{Check, Evidence, Finding, Outcome};
use crate::inspect::{Family, Guest};
use crate::{Inspection, Result, kernel};

pub(super) static VIRTIO: Check = Check {
    name: "Virtio",
    summary: "the kernel that boots has the virtio drivers for its disk and network",
    run,
};

/// Needed to find the root. `modules.dep` of `virtio_blk` does not name the bus driver
/// `virtio_pci`, so both are asked for.
const BOOT_DRIVERS: [&str; 4] = ["virtio", "virtio_ring", "virtio_pci", "virtio_blk"];
const NETWORK_DRIVER: &str = "virtio_net";

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
    let roots = root_drivers(guest);
    let facts = facts(guest, &default, &roots)?;
    if kernel::is_xen_pv_only(&facts.version, facts.config.as_deref()) {
        let finding = Finding::high(
            "Virtio.XenPvKernel",
            format!("kernel {} runs only as a paravirtual guest of Xen", facts.version),
        );
        let finding =
            finding.suggest("install a kernel without `xen` in its name and make it the default");
        return Ok(Outcome::judged(vec![finding], "Supported", "Unsupported"));
    }
    let mut outcome = judge(&facts, &roots, &default, guest.os.family);
    outcome.evidence.extend(evidence(&default, &facts));
    outcome.evidence.extend(other_kernels(guest, &facts.version)?);
    Ok(outcome)
}

fn facts(guest: &Guest, default: &DefaultKernel<'_>, roots: &[Vec<&str>]) -> Result<Facts> {
    let mut drivers = BOOT_DRIVERS.to_vec();
    drivers.push(NETWORK_DRIVER);
    drivers.extend(roots.iter().flatten());
    let cmdline = default.entry.map_or("", |entry| &entry.cmdline);
    Facts::read(guest, &default.version, &default.initrds, cmdline, &drivers)
}

/// What mounting the root needs: of each group, one driver.
fn root_drivers(guest: &Guest) -> Vec<Vec<&'static str>> {
    let Some(volume) = guest.layout.volumes.get(guest.root_volume) else { return Vec::new() };
    let mut groups = Vec::new();
    match volume.content {
        // ext4 mounts the older two as well.
        Content::Ext2 => groups.push(vec!["ext2", "ext4"]),
        Content::Ext3 => groups.push(vec!["ext3", "ext4"]),
        Content::Ext4 => groups.push(vec!["ext4"]),
        Content::Xfs => groups.push(vec!["xfs"]),
        Content::Btrfs => groups.push(vec!["btrfs"]),
        _ => {}
    }
    if matches!(volume.origin, Origin::Lvm { .. }) {
        groups.push(vec!["dm_mod"]);
    }
    groups
}

/// The drivers that this item wants in the initramfs of the kernel `version`, or built in: those of
/// the disk, and what mounting the root needs.
///
/// # Errors
///
/// What reading the guest's files says.
pub fn virtio_drivers(guest: &Guest, version: &str) -> Result<Vec<&'static str>> {
    let roots = root_drivers(guest);
    let candidates: Vec<&str> = roots.iter().flatten().copied().collect();
    let facts = Facts::read(guest, version, &[], "", &candidates)?;
    let chosen = roots.iter().filter_map(|group| {
        let installed = group.iter().find(|driver| facts.is_installed(driver));
        installed.or(group.last()).copied()
    });
    Ok(BOOT_DRIVERS.into_iter().chain(chosen).collect())
}

/// The judgement, pure.
fn judge(
    facts: &Facts,
    roots: &[Vec<&str>],
    default: &DefaultKernel<'_>,
    family: Family,
) -> Outcome {
    let mut verdict = Verdict::default();
    for driver in BOOT_DRIVERS {
        verdict.boot_driver(driver, availability(driver, facts));
    }
    let mut findings = verdict.findings(facts, family);
    if !facts.is_installed(NETWORK_DRIVER) {
        findings.push(Finding::high(
            "Virtio.NetNotInstalled",
            format!(
                "kernel {} has no driver {NETWORK_DRIVER}, so the instance has no network",
                facts.version
            ),
        ));
    }
    for group in roots {
        let found: Vec<Availability> =
            group.iter().map(|driver| availability(driver, facts)).collect();
        if found.iter().any(Availability::is_good) {
            continue;
        }
        let why = found.last().map_or_else(String::new, |last| describe(last, facts));
        match found.last() {
            Some(Availability::Unreadable(reason)) => verdict.unreadable = Some(reason.clone()),
            _ => findings.push(
                Finding::high(
                    "Virtio.RootFsDriverMissing",
                    format!("the root needs the driver {}, which {why}", group.join(" or ")),
                )
                .suggest(rebuild(family, &facts.version, group)),
            ),
        }
    }
    for finding in &mut findings {
        finding.evidence.extend(
            default.initrds.iter().map(|path| Evidence::file(path, "loaded by the default entry")),
        );
    }
    let unknown = verdict.unreadable.take();
    let mut outcome = Outcome::judged(findings, "Supported", "Unsupported");
    if let Some(why) = unknown {
        outcome.unknown = Some((
            Some("Virtio.InitramfsUnreadable"),
            format!("the initramfs cannot be read: {why}"),
        ));
        if outcome.findings.is_empty() {
            outcome.value = "Unknown".to_owned();
        }
    }
    outcome
}

/// One finding a code, with all the drivers it is about.
#[derive(Default)]
struct Verdict {
    failed: Vec<(&'static str, Vec<String>, Vec<String>)>,
    unreadable: Option<String>,
}

impl Verdict {
    fn boot_driver(&mut self, driver: &str, found: Availability) {
        let (code, why) = match found {
            Availability::BuiltIn | Availability::InInitramfs => return,
            Availability::Unreadable(why) => {
                self.unreadable = Some(why);
                return;
            }
            Availability::NotInstalled => ("Virtio.NotInstalled", Vec::new()),
            Availability::NoInitramfs => ("Virtio.NoInitramfs", Vec::new()),
            Availability::OtherKernel(versions) => ("Virtio.InitramfsKernelMismatch", versions),
            Availability::NotInInitramfs(missing) => ("Virtio.NotInInitramfs", missing),
            Availability::Blocked(why) => ("Virtio.Blacklisted", vec![why]),
        };
        match self.failed.iter_mut().find(|(known, _, _)| *known == code) {
            Some((_, drivers, reasons)) => {
                drivers.push(driver.to_owned());
                for reason in why {
                    if !reasons.contains(&reason) {
                        reasons.push(reason);
                    }
                }
            }
            None => self.failed.push((code, vec![driver.to_owned()], why)),
        }
    }

    fn findings(&self, facts: &Facts, family: Family) -> Vec<Finding> {
        let kernel = &facts.version;
        let finding = |(code, drivers, why): &(&'static str, Vec<String>, Vec<String>)| {
            let (drivers, why) = (drivers.join(", "), why.join(", "));
            let message = match *code {
                "Virtio.NotInstalled" => format!("kernel {kernel} has no driver {drivers}"),
                "Virtio.NoInitramfs" => format!(
                    "kernel {kernel} has {drivers} as modules, and no initramfs to load them from"
                ),
                "Virtio.InitramfsKernelMismatch" => {
                    format!("the initramfs of kernel {kernel} has modules of {why}")
                }
                "Virtio.NotInInitramfs" => {
                    format!("the initramfs of kernel {kernel} lacks {why}")
                }
                _ => format!("kernel {kernel} does not load {drivers}: {why}"),
            };
            let finding = Finding::high(code, message);
            match *code {
                "Virtio.NotInstalled" => {
                    finding.suggest("install a kernel that has the virtio drivers and make it the default")
                }
                "Virtio.Blacklisted" => finding.suggest(
                    "remove the blacklist entry and rebuild the initramfs, or run the repair `virtio`",
                ),
                _ => finding.suggest(rebuild(family, kernel, &["virtio_blk", "virtio_pci"])),
            }
        };
        self.failed.iter().map(finding).collect()
    }
}

/// Why a driver is not there, as the end of "which ...".
fn describe(found: &Availability, facts: &Facts) -> String {
    match found {
        Availability::BuiltIn | Availability::InInitramfs => "is there".to_owned(),
        Availability::NotInstalled => format!("kernel {} does not have", facts.version),
        Availability::NoInitramfs => "is a module, and there is no initramfs".to_owned(),
        Availability::Unreadable(why) => format!("may be in the initramfs: {why}"),
        Availability::OtherKernel(versions) => {
            format!("the initramfs has for {} only", versions.join(", "))
        }
        Availability::NotInInitramfs(missing) => {
            format!("the initramfs lacks ({})", missing.join(", "))
        }
        Availability::Blocked(why) => format!("is not loaded: {why}"),
    }
}

/// The command that rebuilds the initramfs of `kernel` with `drivers`.
pub(super) fn rebuild(family: Family, kernel: &str, drivers: &[&str]) -> String {
    let names = drivers.join(" ");
    let command = match family {
        Family::Debian => format!(
            "update-initramfs -u -k {kernel}` after adding `{names}` to `/etc/initramfs-tools/modules"
        ),
        Family::Suse => {
            format!("dracut -f --add-drivers \"{names}\" /boot/initrd-{kernel} {kernel}")
        }
        Family::Arch => {
            format!("mkinitcpio -P` after adding `{names}` to MODULES in `/etc/mkinitcpio.conf")
        }
        Family::Alpine => format!(
            "mkinitfs {kernel}` after adding `virtio nvme` to features in `/etc/mkinitfs/mkinitfs.conf"
        ),
        _ => format!("dracut -f --add-drivers \"{names}\" /boot/initramfs-{kernel}.img {kernel}"),
    };
    format!("run `{command}` in the guest, or the repair `virtio`")
}

fn evidence(default: &DefaultKernel<'_>, facts: &Facts) -> Vec<Evidence> {
    let mut all = Vec::new();
    let told = match default.entry {
        Some(entry) => {
            Evidence::line(&entry.source, entry.line, format!("boots kernel {}", facts.version))
        }
        None => Evidence::note(format!("default_entry=assumed: kernel {}", facts.version)),
    };
    all.push(told);
    if let super::driver::Ramdisk::Read(initramfs) = &facts.ramdisk {
        let path = default.initrds.first().cloned().unwrap_or_default();
        let text = format!("{:?}: {}", initramfs.generator, initramfs.segments.join("; "));
        all.push(Evidence::file(path, text));
    }
    all
}

/// The other kernels, which do not count: what the listing of their modules says.
fn other_kernels(guest: &Guest, default: &str) -> Result<Vec<Evidence>> {
    let mut all = Vec::new();
    for kernel in guest.kernels.iter().filter(|k| k.version != default && !k.is_rescue).take(8) {
        let facts = Facts::read(guest, &kernel.version, &[], "", &BOOT_DRIVERS)?;
        let absent: Vec<&str> =
            BOOT_DRIVERS.into_iter().filter(|driver| !facts.is_installed(driver)).collect();
        if !absent.is_empty() {
            let text = format!("the other kernel {} has no {}", kernel.version, absent.join(", "));
            all.push(Evidence::note(text));
        }
    }
    Ok(all)
}
