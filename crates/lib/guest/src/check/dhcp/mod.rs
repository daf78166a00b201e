//! `Dhcp`: the first NIC, whose name and MAC are not those of the source machine, gets an address
//! by DHCP at boot.
//!
//! First which network stacks start, then what each would do with a new NIC. Reading is in the
//! stacks' own files; the judgement is in `judge` and reads nothing.

mod ifcfg;
mod ifupdown;
mod judge;
mod keyfile;
mod naming;
mod netplan;
mod networkd;
mod secondary;
mod stack;
#[cfg(test)]
mod tests;

use kiln_volume::Result;

use super::cloud_init::cloud_init_state;
use super::{Check, Evidence, Finding, Outcome};
use crate::Inspection;
use judge::{Facts, Verdict};

pub(super) static DHCP: Check = Check {
    name: "Dhcp",
    summary: "the first NIC gets an address by DHCP, whatever its name and MAC",
    run: check,
};

/// Which NICs a profile is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Binding {
    /// Any, or a pattern of names.
    Any,
    /// One name.
    Name(String),
    /// One hardware address.
    Mac(String),
}

/// What a stack would do with the NICs of a binding.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Profile {
    path: String,
    line: Option<u32>,
    binding: Binding,
    /// Asks for an IPv4 address by DHCP.
    dhcp: bool,
    /// Sets an IPv4 address.
    is_static: bool,
    /// Comes up at boot without anybody asking.
    auto: bool,
}

impl Profile {
    fn evidence(&self) -> Evidence {
        let how = match (self.dhcp, self.is_static) {
            (true, _) => "DHCP",
            (false, true) => "a static address",
            (false, false) => "no address",
        };
        let who = match &self.binding {
            Binding::Any => "any NIC".to_owned(),
            Binding::Name(name) => format!("the NIC named {name}"),
            Binding::Mac(mac) => format!("the NIC with MAC {mac}"),
        };
        let when = if self.auto { "" } else { ", not at boot" };
        let text = format!("{how} for {who}{when}");
        Evidence { path: Some(self.path.clone()), line: self.line, text }
    }
}

/// All that one stack would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Report {
    profiles: Vec<Profile>,
    /// A NIC without profile gets DHCP.
    dhcp_by_default: bool,
    /// The first profile that fits a NIC is the only one it gets.
    first_wins: bool,
    /// Whether what cloud-init renders replaces or precedes the profiles that are there.
    rendered_wins: bool,
    /// The stack would not read what cloud-init renders.
    ignores_rendered: bool,
    /// Needs a DHCP client that is not there.
    lacks_client: bool,
    notes: Vec<Evidence>,
}

fn check(inspection: &Inspection) -> Result<Outcome> {
    let Some(guest) = inspection.guest() else {
        return Ok(Outcome::not_applicable("no operating system found"));
    };
    let tree = &guest.tree;
    let stacks = stack::active(guest)?;
    let cloud_init = cloud_init_state(guest)?;
    let naming = naming::of(guest)?;
    let facts = Facts {
        naming,
        renders: cloud_init.renders_network(),
        network_disabled: cloud_init
            .is_effective()
            .then(|| cloud_init.network_disabled.clone())
            .flatten(),
    };
    let mut verdicts: Vec<Verdict> = Vec::new();
    let mut notes = vec![Evidence::note(naming.describe())];
    if facts.renders {
        notes
            .push(Evidence::note("cloud-init writes the network configuration at the first start"));
    }
    for (stack, by) in &stacks {
        notes.push(Evidence::file(by, format!("starts {}", stack.name())));
        let mut report = stack.report(tree, guest)?;
        notes.append(&mut report.notes);
        verdicts.push(judge::stack(stack.name(), &report, &facts));
    }
    let mut findings = judge::combine(verdicts, &mut notes);
    if stacks.is_empty() {
        findings.push(
            Finding::high("Dhcp.NoNetworkService", "no network service starts at boot").suggest(
                "enable the one the distribution uses: NetworkManager, systemd-networkd, networking, \
                 wicked or network",
            ),
        );
    }
    let value =
        if findings.iter().any(|f| f.level == super::Level::High) { "Disabled" } else { "Enabled" };
    findings.extend(naming::old_names(guest)?);
    let rewrites = stacks.iter().any(|(stack, _)| stack.writes_resolv_conf());
    findings.extend(secondary::dns(tree, rewrites)?);
    notes.extend(secondary::gateway(tree)?);
    Ok(Outcome { findings, ..Outcome::value(value) }.noting(notes))
}
