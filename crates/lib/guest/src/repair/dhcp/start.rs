//! Letting a network service start that does not.

use super::super::{Draft, Stop, units};
use super::{interfaces, networkd, no_client};
use crate::check::dhcp::{netplan, survey};
use crate::services::{self, ServiceState};
use crate::{Family, Guest};

const NETWORKD: &str = "systemd-networkd";

/// Where no network service starts, let the one start that the guest most likely used.
pub(super) fn any(draft: &mut Draft) -> Result<(), Stop> {
    if !survey(draft.guest()?)?.stacks.is_empty() {
        return Ok(());
    }
    for service in likely(draft.guest()?)? {
        if services::state(draft.tree()?, service)? == ServiceState::Absent {
            continue;
        }
        let reason = format!("no network service starts at boot, and {service} is installed");
        if units::enable(draft, service, &reason)? && !survey(draft.guest()?)?.stacks.is_empty() {
            return Ok(());
        }
    }
    Err(no_client("no network service starts at boot"))
}

/// Services in the order of likelihood. Every systemd brings networkd, so that its being there says
/// nothing unless netplan, which writes its files, is there too.
fn likely(guest: &Guest) -> Result<Vec<&'static str>, Stop> {
    let mut names = match guest.os.family {
        Family::Suse => vec!["wicked", "NetworkManager", "network"],
        Family::RedHat => vec!["NetworkManager", "network"],
        _ => vec!["networking", "NetworkManager", "network-manager", "wicked", "dhcpcd"],
    };
    let at = if netplan::is_installed(&guest.tree)? { 0 } else { names.len() };
    names.insert(at, NETWORKD);
    Ok(names)
}

/// ifupdown has no DHCP client to call; networkd is its own.
pub(super) fn networkd_instead(draft: &mut Draft) -> Result<(), Stop> {
    let tree = draft.tree()?;
    let mut is_there = false;
    for dir in ["/usr/lib", "/lib"] {
        is_there |= tree.is_file(format!("{dir}/systemd/{NETWORKD}"))?;
    }
    if !is_there || services::state(tree, NETWORKD)? == ServiceState::Absent {
        return Err(no_client("ifupdown has no DHCP client to call"));
    }
    interfaces::leave_to_networkd(draft)?;
    networkd::mend(draft, false)?;
    let reason = "ifupdown has no DHCP client to call, and systemd-networkd is one";
    units::enable(draft, NETWORKD, reason)?;
    units::enable(draft, "systemd-resolved", reason)?;
    Ok(())
}
