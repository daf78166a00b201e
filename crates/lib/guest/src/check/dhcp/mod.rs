//! `Dhcp`: the first NIC, whose name and MAC are not those of the source machine, gets an address
//! by DHCP at boot.
//!
//! First which network stacks start, then what each would do with a new NIC. Reading is in the
//! stacks' own files; the judgement is in `judge` and reads nothing.

pub(crate) mod ifcfg;
pub(crate) mod ifupdown;
mod judge;
pub(crate) mod keyfile;
pub(crate) mod naming;
pub(crate) mod netplan;
pub(crate) mod networkd;
pub(crate) mod secondary;
mod stack;
#[cfg(test)]
mod tests;

use kiln_volume::Result;

use super::cloud_init::{CloudInitState, cloud_init_state};
use super::{Check, Evidence, Finding, Outcome};
use crate::{Guest, Inspection};
use judge::{Facts, Verdict};
use naming::Naming;
pub(crate) use stack::Stack;

pub(super) static DHCP: Check = Check {
    name: "Dhcp",
    summary: "the first NIC gets an address by DHCP, whatever its name and MAC",
    run: check,
};

/// Which NICs a profile is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    /// Any, or a pattern of names.
    Any,
    /// One name.
    Name(String),
    /// One hardware address.
    Mac(String),
}

/// What a stack would do with the NICs of a binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) path: String,
    line: Option<u32>,
    pub(crate) binding: Binding,
    /// Asks for an IPv4 address by DHCP.
    pub(crate) dhcp: bool,
    /// Sets an IPv4 address.
    pub(crate) is_static: bool,
    /// Comes up at boot without anybody asking.
    pub(crate) auto: bool,
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
pub(crate) struct Report {
    pub(crate) profiles: Vec<Profile>,
    /// A NIC without profile gets DHCP.
    dhcp_by_default: bool,
    /// The first profile that fits a NIC is the only one it gets.
    first_wins: bool,
    /// Whether what cloud-init renders replaces or precedes the profiles that are there.
    rendered_wins: bool,
    /// The stack would not read what cloud-init renders.
    pub(crate) ignores_rendered: bool,
    /// Needs a DHCP client that is not there.
    pub(crate) lacks_client: bool,
    notes: Vec<Evidence>,
}

/// What the guest would do with the first NIC, before anything is said about it.
#[derive(Debug)]
pub(crate) struct Survey {
    /// How the first NIC will be called.
    pub(crate) naming: Naming,
    /// What cloud-init will do.
    pub(crate) cloud_init: CloudInitState,
    /// The stacks that start.
    pub(crate) stacks: Vec<Surveyed>,
}

/// A stack that starts.
#[derive(Debug)]
pub(crate) struct Surveyed {
    pub(crate) stack: Stack,
    /// What starts it: a path.
    by: String,
    pub(crate) report: Report,
    verdict: Verdict,
}

impl Survey {
    /// Whether cloud-init writes the network configuration at the first start.
    pub(crate) fn renders(&self) -> bool {
        self.cloud_init.renders_network()
    }

    /// Whether the first NIC gets an address by DHCP from one stack, and a wrong one from none.
    pub(crate) fn is_sound(&self) -> bool {
        judge::works(self.stacks.iter().map(|found| &found.verdict))
            && self.wrong().next().is_none()
    }

    /// Whether `/etc/resolv.conf` is written by a stack that has a NIC to set up.
    pub(crate) fn writes_resolv_conf(&self) -> bool {
        self.stacks.iter().any(|found| {
            found.stack.writes_resolv_conf() && !matches!(found.verdict, Verdict::Nothing(_))
        })
    }

    /// The stacks whose own configuration is wrong for the guest.
    pub(crate) fn wrong(&self) -> impl Iterator<Item = &Surveyed> {
        let works = judge::works(self.stacks.iter().map(|found| &found.verdict));
        self.stacks.iter().filter(move |found| {
            matches!(&found.verdict, Verdict::Wrong(finding) if judge::counts(finding, works))
        })
    }
}

/// Look at the stacks that start, and at what they would do.
///
/// # Errors
///
/// What could not be read.
pub(crate) fn survey(guest: &Guest) -> Result<Survey> {
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
    let mut stacks = Vec::new();
    for (stack, by) in stack::active(guest)? {
        let report = stack.report(&guest.tree, guest)?;
        let verdict = judge::stack(stack.name(), &report, &facts);
        stacks.push(Surveyed { stack, by, report, verdict });
    }
    Ok(Survey { naming, cloud_init, stacks })
}

fn check(inspection: &Inspection) -> Result<Outcome> {
    let Some(guest) = inspection.guest() else {
        return Ok(Outcome::not_applicable("no operating system found"));
    };
    let tree = &guest.tree;
    let survey = survey(guest)?;
    let mut notes = vec![Evidence::note(survey.naming.describe())];
    if survey.renders() {
        notes
            .push(Evidence::note("cloud-init writes the network configuration at the first start"));
    }
    let rewrites = survey.writes_resolv_conf();
    let is_idle = survey.stacks.is_empty();
    let mut verdicts: Vec<Verdict> = Vec::new();
    for Surveyed { stack, by, report, verdict } in survey.stacks {
        notes.push(Evidence::file(by, format!("starts {}", stack.name())));
        notes.extend(report.notes);
        verdicts.push(verdict);
    }
    let mut findings = judge::combine(verdicts, &mut notes);
    if is_idle {
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
    findings.extend(secondary::dns(tree, rewrites)?);
    notes.extend(secondary::gateway(tree)?);
    Ok(Outcome { findings, ..Outcome::value(value) }.noting(notes))
}
