//! `GUESTOS.KernelVersion`: the kernel of the default boot entry, which is there and has its
//! modules.
//!
//! Not the newest kernel, and not the one the image was made on: the one that starts when nobody
//! presses a key.

use super::{Check, Evidence, Finding, Outcome};
use crate::{Guest, Inspection, Kernel, Result};

pub(super) static KERNEL_VERSION: Check = Check {
    name: "KernelVersion",
    summary: "the kernel that boots by default is there, with its modules",
    run,
};

fn run(inspection: &Inspection) -> Result<Outcome> {
    if let Some(outcome) = super::windows(inspection) {
        return Ok(outcome);
    }
    let Some(guest) = inspection.guest().filter(|guest| guest.os.family.is_linux()) else {
        return Ok(Outcome::not_applicable("no Linux system was found"));
    };
    judge(guest)
}

fn judge(guest: &Guest) -> Result<Outcome> {
    let Some(entry) = guest.boot.default_entry().filter(|entry| entry.kernel.is_some()) else {
        let findings = vec![Finding::high("KernelVersion.NotFound", "no kernel is installed")];
        return Ok(Outcome { findings, ..Outcome::value("Unknown") });
    };
    let path = entry.kernel.as_deref().unwrap_or_default();
    let Some(version) = default_version(guest) else {
        let message = format!("the version of {path} cannot be told");
        return Ok(Outcome::unknown(None, message));
    };
    let mut findings = Vec::new();
    if !entry.kernel_found && !has_any_kernel(guest)? {
        let message = format!("the default entry boots {path}, and no kernel is in the image");
        findings.push(Finding::high("KernelVersion.NotFound", message).seen(Evidence::line(
            &entry.source,
            entry.line,
            path,
        )));
    } else if entry.kernel_found && !has_modules(guest, &version)? {
        let message =
            format!("the default kernel {version} has no directory /lib/modules/{version}");
        findings.push(
            Finding::high("KernelVersion.ModulesMissing", message)
                .seen(Evidence::file(path, "the default kernel")),
        );
    }
    if is_xen_only(&version) {
        let message = format!("the default kernel {version} runs only as a Xen guest");
        findings.push(Finding::high("KernelVersion.XenPvOnly", message));
    }
    let mut outcome = Outcome { findings, ..Outcome::value(version) };
    if guest.boot.assumed {
        outcome.evidence.push(Evidence::note("default_entry=assumed"));
    }
    Ok(outcome)
}

/// The version of the default kernel: of the kernel whose image it is, else as its name has it.
pub(super) fn default_version(guest: &Guest) -> Option<String> {
    let path = guest.boot.default_entry()?.kernel.as_deref()?;
    let is_it = |kernel: &&Kernel| kernel.image.as_deref() == Some(path);
    if let Some(kernel) = guest.kernels.iter().find(is_it) {
        return Some(kernel.version.clone());
    }
    let resolved = guest.tree.locate(path).ok().flatten();
    let resolved = resolved.map(|at| String::from_utf8_lossy(&at.path).into_owned());
    version_in_path(resolved.as_deref().unwrap_or(path)).or_else(|| version_in_path(path))
}

/// `/boot/vmlinuz-6.1.0-40-amd64`, `/lib/modules/6.1.0/vmlinuz`, `/boot/<machine>/6.1.0/linux`.
fn version_in_path(path: &str) -> Option<String> {
    let is_version =
        |text: &str| text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('.');
    let (directory, name) = path.rsplit_once('/')?;
    if let Some((_, version)) = name.split_once('-')
        && is_version(version)
    {
        return Some(version.trim_end_matches(".efi").to_owned());
    }
    let (_, parent) = directory.rsplit_once('/')?;
    is_version(parent).then(|| parent.to_owned())
}

fn has_modules(guest: &Guest, version: &str) -> Result<bool> {
    for top in ["/lib/modules", "/usr/lib/modules"] {
        let path = format!("{top}/{version}");
        let tree = &guest.tree;
        if tree.exists(format!("{path}/modules.dep"))? || tree.is_dir(format!("{path}/kernel"))? {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn has_any_kernel(guest: &Guest) -> Result<bool> {
    let is_kernel = |name: &str| {
        ["vmlinuz", "vmlinux", "Image", "bzImage", "kernel"].iter().any(|k| name.starts_with(k))
    };
    if guest.kernels.iter().any(|kernel| kernel.image.is_some())
        || guest.boot.entries.iter().any(|entry| entry.kernel_found)
    {
        return Ok(true);
    }
    for directory in ["/boot", "/lib/modules", "/usr/lib/modules"] {
        for entry in guest.tree.list(directory)? {
            let name = entry.name_lossy();
            let file = format!("{directory}/{name}");
            let is_modules = directory != "/boot";
            if (!is_modules && is_kernel(&name) && guest.tree.is_file(&file)?)
                || (is_modules && guest.tree.is_file(format!("{file}/vmlinuz"))?)
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Paravirtual kernels of the Xen age say so in their name.
pub(super) fn is_xen_only(version: &str) -> bool {
    version.ends_with("xen") || version.ends_with("-xen-amd64") || version.contains("-xen-686")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_taken_from_paths() {
        for (path, version) in [
            ("/boot/vmlinuz-6.1.0-40-cloud-amd64", Some("6.1.0-40-cloud-amd64")),
            ("/usr/lib/modules/5.14.0-1.el9.x86_64/vmlinuz", Some("5.14.0-1.el9.x86_64")),
            ("/boot/0123456789abcdef0123456789abcdef/6.6.1/linux", Some("6.6.1")),
            ("/boot/efi/EFI/Linux/debian-6.6.1.efi", Some("6.6.1")),
            ("/boot/vmlinuz-linux", None),
            ("/vmlinuz", None),
        ] {
            assert_eq!(version_in_path(path).as_deref(), version, "{path}");
        }
        assert!(is_xen_only("2.6.18-398.el5xen") && !is_xen_only("2.6.18-398.el5"));
    }
}
