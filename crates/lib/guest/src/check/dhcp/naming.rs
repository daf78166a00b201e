//! What the first NIC will be called on the platform, and rules that remember the old one.

use kiln_volume::Result;

use super::Binding;
use crate::check::{Evidence, Finding, Level};
use crate::{Family, Guest};

/// How NICs are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// `eth0`, by the kernel.
    Kernel,
    /// By place (`ens5`, `enp0s5`): not known before the instance type is.
    Predictable,
}

impl Naming {
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Kernel => "the first NIC will be eth0",
            Self::Predictable => "the first NIC will be named by its place (ens5, enp0s5)",
        }
    }

    /// Whether a profile is for the platform's first NIC. Patterns are taken to be.
    pub(crate) fn fits(self, binding: &Binding) -> bool {
        match binding {
            Binding::Any => true,
            Binding::Name(name) => self == Self::Kernel && name == "eth0",
            Binding::Mac(_) => false,
        }
    }
}

/// How `guest` names its NICs.
pub(super) fn of(guest: &Guest) -> Result<Naming> {
    if guest.os.family == Family::Alpine || has_old_udev(guest) {
        return Ok(Naming::Kernel);
    }
    let entry = guest.boot.default_entry();
    if entry.and_then(|entry| entry.arg("net.ifnames")) == Some("0") {
        return Ok(Naming::Kernel);
    }
    for path in
        ["/etc/udev/rules.d/80-net-setup-link.rules", "/etc/systemd/network/99-default.link"]
    {
        if guest.tree.read_link(path)?.as_deref() == Some(b"/dev/null") {
            return Ok(Naming::Kernel);
        }
    }
    Ok(Naming::Predictable)
}

fn major(guest: &Guest) -> Option<u32> {
    guest.os.version.as_deref()?.split('.').next()?.parse().ok()
}

/// udev before 197 kept `eth0` for the MAC it saw first, in a file that it wrote itself.
fn has_old_udev(guest: &Guest) -> bool {
    let Some(major) = major(guest) else { return false };
    match (guest.os.family, guest.os.id.as_deref().unwrap_or_default()) {
        (Family::RedHat, "fedora") => major < 19,
        (Family::RedHat, "centos" | "rhel" | "ol" | "scientific") => major <= 6,
        (Family::Debian, "debian") => major <= 8,
        (Family::Debian, "ubuntu") => major <= 14,
        (Family::Suse, "sles" | "sled") => major <= 12,
        _ => false,
    }
}

/// Rules that give the old name to the old MAC, so that the new NIC becomes `eth1`.
pub(crate) fn old_names(guest: &Guest) -> Result<Vec<Finding>> {
    const RULES: &str = "/etc/udev/rules.d/70-persistent-net.rules";
    let mut findings = Vec::new();
    let text = guest.tree.read_text(RULES)?.unwrap_or_default();
    let rule = (1u32..).zip(text.lines()).find(|(_, line)| {
        let line = line.trim();
        !line.starts_with('#') && line.contains("ATTR{address}==") && line.contains("NAME")
    });
    if let Some((line, text)) = rule {
        let level = if has_old_udev(guest) { Level::High } else { Level::Medium };
        findings.push(
            Finding::new("Dhcp.PersistentNetRules", level, format!("{RULES} keeps a name for the MAC address of the source machine, so the new NIC gets another"))
                .seen(Evidence::line(RULES, line, text.trim()))
                .suggest(format!("empty {RULES}")),
        );
    }
    for entry in guest.tree.list("/etc/systemd/network")?.into_iter().take(1000) {
        let path = format!("/etc/systemd/network/{}", entry.name_lossy());
        if !path.ends_with(".link") {
            continue;
        }
        let sections = crate::syntax::ini::parse(&guest.tree.read_text(&path)?.unwrap_or_default());
        let mac = ["MACAddress", "PermanentMACAddress"]
            .iter()
            .find_map(|key| crate::syntax::ini::value(&sections, "Match", key));
        if let Some(mac) = mac {
            findings.push(
                Finding::medium(
                    "Dhcp.PersistentNetRules",
                    format!("{path} names the NIC with a MAC address of the source machine"),
                )
                .seen(Evidence::line(&path, mac.line, format!("{}={}", mac.key, mac.value)))
                .suggest(format!("remove {path}")),
            );
        }
    }
    Ok(findings)
}
