//! Which network stacks start.

use kiln_volume::{Result, Tree};

use super::{Report, ifcfg, ifupdown, keyfile, netplan, networkd};
use crate::check::Evidence;
use crate::{Family, Guest, services};

/// A network stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stack {
    NetworkManager,
    Netplan,
    Networkd,
    Ifupdown,
    Wicked,
    /// Red Hat's `network` scripts.
    Network,
    Dhcpcd,
}

impl Stack {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NetworkManager => "NetworkManager",
            Self::Netplan => "netplan",
            Self::Networkd => "systemd-networkd",
            Self::Ifupdown => "ifupdown",
            Self::Wicked => "wicked",
            Self::Network => "the service network",
            Self::Dhcpcd => "dhcpcd",
        }
    }

    /// Whether it writes `/etc/resolv.conf` itself; systemd-networkd leaves that to resolved.
    pub(crate) fn writes_resolv_conf(self) -> bool {
        !matches!(self, Self::Netplan | Self::Networkd)
    }

    /// What it would do.
    pub(crate) fn report(self, tree: &Tree, guest: &Guest) -> Result<Report> {
        match self {
            Self::NetworkManager => keyfile::report(tree, guest.os.family),
            Self::Netplan => netplan::report(tree),
            Self::Networkd => networkd::report(tree),
            Self::Ifupdown => ifupdown::report(tree),
            Self::Wicked => ifcfg::wicked(tree),
            Self::Network => ifcfg::network(tree),
            Self::Dhcpcd => dhcpcd(tree),
        }
    }
}

/// The stacks that start at boot, with what starts them.
pub(super) fn active(guest: &Guest) -> Result<Vec<(Stack, String)>> {
    let tree = &guest.tree;
    let mut found = Vec::new();
    let mut look = |stack, names: &[&str]| -> Result<()> {
        if let Some((_, by)) = services::first_enabled(tree, names)? {
            found.push((stack, by));
        }
        Ok(())
    };
    look(Stack::NetworkManager, &["NetworkManager", "network-manager"])?;
    let scripts = if guest.os.family == Family::Suse { Stack::Wicked } else { Stack::Network };
    look(Stack::Wicked, &["wicked"])?;
    look(Stack::Ifupdown, &["networking", "ifupdown"])?;
    look(Stack::Dhcpcd, &["dhcpcd"])?;
    look(Stack::Networkd, &["systemd-networkd"])?;
    if tree.is_file("/etc/init.d/network")? {
        look(scripts, &["network"])?;
    }
    // netplan's generator writes networkd's files at every boot and makes it start; what it writes
    // is in /run and not in the image.
    let networkd = found.iter().position(|(stack, _)| *stack == Stack::Networkd);
    let is_masked = services::state(tree, "systemd-networkd")? == services::ServiceState::Masked;
    if netplan::is_installed(tree)? && !is_masked && netplan::uses_networkd(tree)? {
        match networkd.and_then(|at| found.get_mut(at)) {
            Some(entry) => entry.0 = Stack::Netplan,
            None => found.push((Stack::Netplan, "/usr/sbin/netplan".into())),
        }
    }
    found.dedup_by_key(|(stack, _)| *stack);
    Ok(found)
}

/// dhcpcd asks for an address on every NIC unless its file says otherwise.
fn dhcpcd(tree: &Tree) -> Result<Report> {
    let path = "/etc/dhcpcd.conf";
    let text = tree.read_text(path)?.unwrap_or_default();
    let is_static = |line: &str| line.trim().starts_with("static ip_address=");
    let at = (1u32..).zip(text.lines()).find(|(_, line)| is_static(line));
    let notes =
        at.map(|(line, text)| Evidence::line(path, line, text.trim())).into_iter().collect();
    Ok(Report { dhcp_by_default: true, rendered_wins: true, notes, ..Report::default() })
}
