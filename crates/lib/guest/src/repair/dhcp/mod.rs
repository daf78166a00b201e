//! `dhcp`: the first NIC gets an address by DHCP, whatever its name and MAC.
//!
//! Each stack that starts is told so in its own files, and what gives the NIC another address, or
//! waits for a NIC of the source machine, is switched off and kept. Where cloud-init will write the
//! network configuration, it is only let through.

mod cloud_init;
mod ifcfg;
mod interfaces;
mod keyfile;
mod netplan;
mod networkd;
mod preserve;
mod resolv_conf;
mod start;
#[cfg(test)]
mod tests;

use super::cmdline::{ArgEdit, Entries, edit_args};
use super::refusal::{Refusal, codes};
use super::{Draft, Repair, Stop};
use crate::check::dhcp::naming::{self, Naming};
use crate::check::dhcp::{Stack, Survey, Surveyed, survey};

pub(super) static DHCP: Repair = Repair {
    name: "dhcp",
    items: &["Dhcp"],
    summary: "give the first NIC an address by DHCP, whatever its name and MAC",
    plan,
};

fn plan(draft: &mut Draft) -> Result<(), Stop> {
    forget_old_names(draft)?;
    if !survey(draft.guest()?)?.is_sound() {
        start::any(draft)?;
        if draft.options().preserve_static && preserve::plan(draft)? {
            return Ok(());
        }
        configure(draft)?;
    }
    resolv_conf::plan(draft)
}

/// Rules that give the old name to the old MAC: they go, and the kernel counts from `eth0` again.
///
/// A `75-persistent-net-generator.rules` that is masked stays so: it would write the first of these
/// files anew, with the MAC of the first instance.
fn forget_old_names(draft: &mut Draft) -> Result<(), Stop> {
    for finding in naming::old_names(draft.guest()?)? {
        let path = finding.evidence.first().and_then(|evidence| evidence.path.clone());
        if let Some(path) = path {
            draft.remove(&path, "it keeps a name for the MAC address of the source machine")?;
        }
    }
    Ok(())
}

/// Mend one stack after the other, as what one is given may be all the next one needs.
fn configure(draft: &mut Draft) -> Result<(), Stop> {
    if survey(draft.guest()?)?.cloud_init.is_effective() {
        cloud_init::let_through(draft)?;
    }
    let mut done: Vec<Stack> = Vec::new();
    loop {
        let survey = survey(draft.guest()?)?;
        let is_new = |found: &&Surveyed| !done.contains(&found.stack);
        let wrong = survey.wrong().find(is_new);
        let next = match wrong {
            None if !survey.is_sound() => survey.stacks.iter().find(is_new),
            wrong => wrong,
        };
        let Some(next) = next else { return Ok(()) };
        done.push(next.stack);
        mend(draft, &survey, next)?;
    }
}

fn mend(draft: &mut Draft, survey: &Survey, found: &Surveyed) -> Result<(), Stop> {
    let renders = survey.renders();
    match found.stack {
        Stack::NetworkManager => keyfile::mend(draft, renders, survey.naming)?,
        Stack::Netplan => netplan::mend(draft, renders)?,
        Stack::Networkd => networkd::mend(draft, renders)?,
        Stack::Ifupdown if found.report.lacks_client => start::networkd_instead(draft)?,
        Stack::Ifupdown => {
            interfaces::mend(draft, renders)?;
            if !renders {
                call_it_eth0(draft, survey.naming)?;
            }
        }
        Stack::Wicked => {
            ifcfg::WICKED.mend(draft)?;
            call_it_eth0(draft, survey.naming)?;
        }
        Stack::Network => {
            ifcfg::RED_HAT.mend(draft)?;
            call_it_eth0(draft, survey.naming)?;
        }
        // It asks for an address on every NIC: there is nothing to mend.
        Stack::Dhcpcd => {}
    }
    Ok(())
}

/// Stacks whose files know NICs by name only get the one name that is known before the instance type
/// is: the kernel's own. An initramfs that names NICs obeys the command line too.
fn call_it_eth0(draft: &mut Draft, naming: Naming) -> Result<(), Stop> {
    if naming == Naming::Predictable {
        let edits = [ArgEdit::set("net.ifnames", "0"), ArgEdit::set("biosdevname", "0")];
        let reason = "the network files name the NIC, and its name must be known: eth0";
        edit_args(draft, Entries::All, &edits, reason)?;
    }
    Ok(())
}

fn no_client(what: &str) -> Stop {
    let reason =
        format!("{what}, and no other network service that has a DHCP client is installed");
    Refusal::new(codes::DHCP_NO_CLIENT, reason)
        .hint("install a DHCP client in the guest: isc-dhcp-client, dhcpcd or udhcpc")
        .into()
}
