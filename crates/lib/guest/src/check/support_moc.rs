//! `GUESTOS.SupportMocInstanceTypes`: the system starts on current instance families.
//!
//! Which systems are too old is data, in `moc.tsv`; the rest follows from the virtio drivers, the
//! architecture and the firmware.

use crate::boot::FirmwareKind;
use crate::check::driver::default_kernel;
use crate::check::virtio::VIRTIO;
use crate::check::{Check, Finding, Outcome, Status};
use crate::inspect::Family;
use crate::kernel::version::numbers;
use crate::{Inspection, Result, kernel};

pub(super) static SUPPORT_MOC: Check = Check {
    name: "SupportMocInstanceTypes",
    summary: "the system starts on current instance families",
    run,
};

const TABLE: &str = include_str!("moc.tsv");

/// A line of the table.
struct Row<'a> {
    platform: &'a str,
    min_version: &'a str,
    min_kernel: &'a str,
    note: &'a str,
}

fn rows(table: &str) -> impl Iterator<Item = Row<'_>> {
    table.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut fields = line.split('\t');
        let [platform, min_version, min_kernel, note] =
            [fields.next()?, fields.next()?, fields.next()?, fields.next()?];
        Some(Row { platform, min_version, min_kernel, note })
    })
}

fn run(inspection: &Inspection) -> Result<Outcome> {
    let Some(guest) = inspection.guest() else {
        return Ok(Outcome::unknown(None, "no operating system found"));
    };
    let family = guest.os.family;
    if !family.is_linux() && family != Family::Bsd {
        return Ok(Outcome::not_applicable("the guest is neither Linux nor BSD"));
    }
    let default = if family.is_linux() { default_kernel(guest)? } else { None };
    let mut reasons = Vec::new();
    let (id, version) = (guest.os.id.as_deref(), guest.os.version.as_deref());
    let kernel_version = default.as_ref().map(|default| default.version.as_str());
    reasons.extend(too_old(TABLE, id.unwrap_or(""), version, kernel_version));
    let image = default.as_ref().and_then(|default| default.entry?.kernel.as_deref());
    let of_kernel = match image {
        Some(path) => kernel::image_architecture(&guest.tree, path)?,
        None => None,
    };
    let architecture = of_kernel.or(guest.os.architecture.as_deref());
    if matches!(architecture, Some("i386" | "i686")) {
        reasons.push("its kernel has 32 bits, and current families run 64 only".to_owned());
    }
    let has_uefi = inspection.firmware.chains.iter().any(|c| c.firmware == FirmwareKind::Uefi);
    if architecture == Some("arm64") && !has_uefi {
        reasons.push("arm64 instances start by UEFI, and the disk has no UEFI loader".to_owned());
    }
    let virtio = if family.is_linux() { Some((VIRTIO.run)(inspection)?) } else { None };
    if let Some(worst) = virtio.as_ref().and_then(Outcome::worst) {
        reasons.push(format!("it needs virtio: {}", worst.message));
    }
    let findings: Vec<Finding> = reasons
        .into_iter()
        .map(|why| Finding::high("SupportMocInstanceTypes.Unsupported", why))
        .collect();
    let is_open = virtio.is_some_and(|virtio| virtio.status() == Status::Unknown);
    if findings.is_empty() && is_open {
        return Ok(Outcome::unknown(None, "whether virtio works could not be decided"));
    }
    Ok(Outcome::judged(findings, "Supported", "Unsupported"))
}

/// Why the table calls a system too old.
fn too_old(table: &str, id: &str, version: Option<&str>, kernel: Option<&str>) -> Option<String> {
    let id = if id.starts_with("opensuse") { "opensuse" } else { id };
    let own: Vec<Row<'_>> = rows(table).filter(|row| row.platform == id).collect();
    let mut row = None;
    if let Some(found) = version {
        let number = numbers::<2>(found);
        row = own.iter().find(|row| numbers::<1>(row.min_version)[0] == number[0]);
        let lowest = own.iter().min_by_key(|row| numbers::<2>(row.min_version));
        if let Some(row) = row.or(lowest)
            && number < numbers::<2>(row.min_version)
        {
            return Some(format!("{id} {found} is older than {}: {}", row.min_version, row.note));
        }
    }
    let kernel = kernel?;
    let any = rows(table).find(|row| row.platform == "*");
    let row = row.or(any.as_ref()).filter(|row| row.min_kernel != "-")?;
    let is_old = numbers::<4>(kernel) < numbers::<4>(row.min_kernel);
    is_old.then(|| format!("kernel {kernel} is older than {}: {}", row.min_kernel, row.note))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_knows_what_is_too_old() {
        let old = |id, version, kernel| too_old(TABLE, id, Some(version), Some(kernel));
        assert_eq!(
            old("centos", "5.8", "2.6.18-308.el5").as_deref(),
            Some("centos 5.8 is older than 5.11: virtio-pci and MSI-X defects")
        );
        assert_eq!(
            old("centos", "5.11", "2.6.18-371.el5").as_deref(),
            Some("kernel 2.6.18-371.el5 is older than 2.6.18-398: virtio-pci and MSI-X defects")
        );
        assert_eq!(
            old("rhel", "6.4", "2.6.32-358.el6").as_deref(),
            Some("rhel 6.4 is older than 6.5: early virtio drivers")
        );
        assert_eq!(
            old("gentoo", "1", "2.6.31").as_deref(),
            Some("kernel 2.6.31 is older than 2.6.32: virtio-pci and MSI-X defects")
        );
        assert!(old("centos", "4.9", "2.6.9").is_some() && old("ubuntu", "11.10", "3.2").is_some());
        for (id, version, kernel) in [
            ("centos", "5.11", "2.6.18-398.el5"),
            ("centos", "7.9.2009", "3.10.0-1160.el7"),
            ("debian", "12", "6.1.0-40-amd64"),
            ("ubuntu", "12.04", "3.2.0-23-generic"),
            ("sles", "11-SP3", "3.0.76-0.11-default"),
            ("opensuse-leap", "15.6", "6.4.0"),
            ("foo", "1", "5.4.0"),
        ] {
            assert_eq!(old(id, version, kernel), None, "{id} {version}");
        }
        assert_eq!(rows(TABLE).count(), 10, "a line of the table lacks a column");
    }
}
