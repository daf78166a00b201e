//! The judgement: from what a stack would do to what is wrong with it. Pure.

use super::naming::Naming;
use super::{Binding, Profile, Report};
use crate::check::{Evidence, Finding};

/// What holds for all stacks.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) naming: Naming,
    /// cloud-init will write the network configuration.
    pub(super) renders: bool,
    /// cloud-init will run, and something tells it to leave the network alone.
    pub(super) network_disabled: Option<Evidence>,
}

/// What one stack comes to.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// The first NIC gets an address by DHCP.
    Dhcp(Vec<Evidence>),
    /// It has nothing to say about NICs: another stack may.
    Nothing(Finding),
    /// It would do something wrong.
    Wrong(Finding),
}

/// Judge one stack.
pub(super) fn stack(name: &str, report: &Report, facts: &Facts) -> Verdict {
    let verdict = address(name, report, facts);
    if report.lacks_client && !matches!(verdict, Verdict::Wrong(_)) {
        return match verdict {
            Verdict::Nothing(finding) => Verdict::Nothing(finding),
            _ => Verdict::Wrong(
                Finding::high("Dhcp.NoClient", format!("{name} has no DHCP client to call"))
                    .suggest("install a DHCP client: isc-dhcp-client, dhcpcd or udhcpc"),
            ),
        };
    }
    verdict
}

fn address(name: &str, report: &Report, facts: &Facts) -> Verdict {
    let evidence = || report.profiles.iter().map(Profile::evidence).collect::<Vec<_>>();
    let used: Vec<&Profile> = report.profiles.iter().filter(|profile| profile.auto).collect();
    let fits = |profile: &&&Profile| facts.naming.fits(&profile.binding);
    if facts.renders && !report.ignores_rendered {
        let winner = used.iter().find(|p| fits(p) && p.is_static && !p.dhcp);
        return match winner {
            Some(profile) if !report.rendered_wins => {
                Verdict::Wrong(static_address(name, &[profile]))
            }
            _ => Verdict::Dhcp(evidence()),
        };
    }
    let fitting: Vec<&Profile> = used.iter().filter(fits).copied().collect();
    let first = fitting.first().filter(|_| report.first_wins);
    let is_dhcp = match first {
        Some(profile) => profile.dhcp,
        None => fitting.iter().any(|profile| profile.dhcp),
    };
    if is_dhcp {
        return Verdict::Dhcp(evidence());
    }
    let statics: Vec<&Profile> = used.iter().copied().filter(|profile| profile.is_static).collect();
    if let Some(profile) = fitting.iter().find(|profile| profile.is_static) {
        return Verdict::Wrong(static_address(name, &[profile]));
    }
    if let Some(profile) = used.iter().find(|p| p.dhcp && matches!(p.binding, Binding::Name(_))) {
        return Verdict::Wrong(bound_to_name(name, profile, report.dhcp_by_default, facts.naming));
    }
    if let Some(profile) = used.iter().find(|p| p.dhcp && matches!(p.binding, Binding::Mac(_))) {
        if report.dhcp_by_default {
            return Verdict::Dhcp(evidence());
        }
        return Verdict::Wrong(bound_to_mac(name, profile));
    }
    let bound_by_mac = |p: &&Profile| matches!(p.binding, Binding::Mac(_));
    let is_passed_by = report.dhcp_by_default && statics.iter().all(bound_by_mac);
    if !statics.is_empty() && !is_passed_by {
        return Verdict::Wrong(static_address(name, &statics));
    }
    if report.dhcp_by_default {
        return Verdict::Dhcp(evidence());
    }
    Verdict::Nothing(nothing(name, report, facts))
}

fn with_evidence(finding: Finding, profiles: &[&Profile]) -> Finding {
    profiles.iter().fold(finding, |finding, profile| finding.seen(profile.evidence()))
}

fn static_address(name: &str, profiles: &[&Profile]) -> Finding {
    let path = profiles.first().map_or("", |profile| profile.path.as_str());
    let message = format!("{name} gives the NIC a static address ({path})");
    with_evidence(Finding::high("Dhcp.StaticAddress", message), profiles).suggest(format!(
        "set DHCP in {path} and remove the address, the gateway and the name servers"
    ))
}

fn bound_to_mac(name: &str, profile: &Profile) -> Finding {
    let path = &profile.path;
    let message = format!("{name}'s DHCP is bound to a MAC address of the source machine ({path})");
    with_evidence(Finding::high("Dhcp.BoundToMac", message), &[profile])
        .suggest(format!("remove the hardware address from {path}"))
}

fn bound_to_name(name: &str, profile: &Profile, has_default: bool, naming: Naming) -> Finding {
    let Binding::Name(nic) = &profile.binding else { return bound_to_mac(name, profile) };
    let path = &profile.path;
    let mut message =
        format!("{name}'s DHCP is bound to the name {nic} ({path}), and {}", naming.describe());
    if has_default {
        message.push_str("; its default profile will be used instead");
    }
    with_evidence(Finding::medium("Dhcp.BoundToName", message), &[profile]).suggest(format!(
        "match any NIC in {path} (a pattern like en* or eth*), or put net.ifnames=0 biosdevname=0 on \
         the command line and name the NIC eth0"
    ))
}

fn nothing(name: &str, report: &Report, facts: &Facts) -> Finding {
    if let Some(evidence) = &facts.network_disabled {
        let message = format!(
            "cloud-init is told to leave the network alone, and {name} has no DHCP configuration"
        );
        let file = evidence.path.clone().unwrap_or_default();
        return Finding::high("Dhcp.CloudInitNetDisabled", message).seen(evidence.clone()).suggest(
            format!(
                "remove `network: {{config: disabled}}` from {file}, or configure DHCP in {name}"
            ),
        );
    }
    let finding =
        Finding::high("Dhcp.NoConfig", format!("{name} has no configuration for a new NIC"))
            .suggest(format!("configure DHCP for any NIC in {name}"));
    report.profiles.iter().fold(finding, |finding, profile| finding.seen(profile.evidence()))
}

/// Several stacks may start. A wrong address from one is wrong whatever the others do; otherwise
/// one that works is enough.
pub(super) fn combine(verdicts: Vec<Verdict>, notes: &mut Vec<Evidence>) -> Vec<Finding> {
    let works = works(&verdicts);
    let mut findings: Vec<Finding> = Vec::new();
    let mut idle: Vec<Finding> = Vec::new();
    for verdict in verdicts {
        match verdict {
            Verdict::Dhcp(evidence) => notes.extend(evidence),
            Verdict::Wrong(finding) if !counts(&finding, works) => {
                notes.push(Evidence::note(finding.message));
            }
            Verdict::Wrong(finding) => findings.push(finding),
            Verdict::Nothing(finding) => idle.push(finding),
        }
    }
    if !works && findings.is_empty() {
        findings.extend(idle.into_iter().next());
    }
    findings.dedup_by_key(|finding| finding.code);
    findings
}

/// Whether a stack gives the first NIC an address by DHCP.
pub(super) fn works<'a>(verdicts: impl IntoIterator<Item = &'a Verdict>) -> bool {
    verdicts.into_iter().any(|verdict| matches!(verdict, Verdict::Dhcp(_)))
}

/// Whether what is wrong with one stack is wrong with the guest.
pub(super) fn counts(finding: &Finding, works: bool) -> bool {
    !works || finding.code == "Dhcp.StaticAddress"
}
