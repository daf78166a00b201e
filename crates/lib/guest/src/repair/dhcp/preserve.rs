//! Option `preserve_static`: the address, the gateway and the name servers of the source stay, and
//! only what binds them to its hardware goes.

use super::super::lines::{self, Fate};
use super::super::refusal::{Refusal, codes};
use super::super::{Draft, Stop};
use super::{call_it_eth0, ifcfg, interfaces, netplan, networkd};
use crate::check::dhcp::{Profile, Stack, Survey, survey};

/// What the item says of a guest with a static address, which is what was asked for.
const KEPT: &str = "Dhcp.StaticAddress";
/// Keeps cloud-init from giving the NIC another address.
const CLOUD_INIT: &str = "/etc/cloud/cloud.cfg.d/99-kiln-network.cfg";
const DISABLED: &str = "network: {config: disabled}\n";
const REASON: &str = "the static address is kept, for whatever NIC the instance has";

/// Keep the one static address that there is. `false`: there is none to keep.
///
/// # Errors
///
/// A refusal where there are several, as which of them the instance's NIC has cannot be told.
pub(super) fn plan(draft: &mut Draft) -> Result<bool, Stop> {
    let survey = survey(draft.guest()?)?;
    let found = statics(&survey);
    let (stack, profile) = match &found[..] {
        [] => return Ok(false),
        [one] => *one,
        several => return Err(ambiguous(several).into()),
    };
    draft.keep(KEPT);
    if survey.renders() {
        draft.write(CLOUD_INIT, DISABLED, "cloud-init would give the NIC another address")?;
    }
    let path = profile.path.as_str();
    match stack {
        Stack::NetworkManager if !path.starts_with(ifcfg::RED_HAT.dir) => {
            draft.rewrite(path, REASON, unbound_keyfile)?;
        }
        Stack::NetworkManager | Stack::Network => {
            ifcfg::RED_HAT.keep(draft, path)?;
            call_it_eth0(draft, survey.naming)?;
        }
        Stack::Wicked => {
            ifcfg::WICKED.keep(draft, path)?;
            call_it_eth0(draft, survey.naming)?;
        }
        Stack::Netplan => netplan::keep(draft)?,
        Stack::Networkd => networkd::keep(draft, path)?,
        Stack::Ifupdown => {
            interfaces::keep(draft)?;
            call_it_eth0(draft, survey.naming)?;
        }
        Stack::Dhcpcd => {}
    }
    Ok(true)
}

/// The profiles that give a static address at boot. NetworkManager reads the files of Red Hat's
/// scripts too, so that one file may be in two reports.
fn statics(survey: &Survey) -> Vec<(Stack, &Profile)> {
    let mut found: Vec<(Stack, &Profile)> = Vec::new();
    for surveyed in &survey.stacks {
        for profile in &surveyed.report.profiles {
            let is_known = found.iter().any(|(_, known)| *known == profile);
            if profile.is_static && profile.auto && !is_known {
                found.push((surveyed.stack, profile));
            }
        }
    }
    found
}

fn ambiguous(several: &[(Stack, &Profile)]) -> Refusal {
    let paths: Vec<&str> = several.iter().map(|(_, profile)| profile.path.as_str()).collect();
    let reason = format!(
        "{} static addresses ({}), and which one the instance's NIC is to have cannot be told",
        several.len(),
        paths.join(", ")
    );
    Refusal::new(codes::NOT_MENDED, reason)
        .hint("leave one of them in the guest, or repair without preserve_static")
}

fn unbound_keyfile(text: &str) -> String {
    let keys = ["interface-name", "mac-address", "cloned-mac-address"];
    lines::edit(text, |line| match line.split_once('=') {
        Some((key, _)) if keys.contains(&key.trim()) => Fate::Drop,
        _ => Fate::Keep,
    })
}
