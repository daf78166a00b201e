//! NetworkManager: a profile for any wired NIC; those with a static address no longer start by
//! themselves.

use super::super::{Draft, Stop, lines};
use super::ifcfg;
use crate::check::dhcp::keyfile;
use crate::check::dhcp::naming::Naming;

const FILE: &str = "/etc/NetworkManager/system-connections/kiln-dhcp.nmconnection";
const CONTENT: &str =
    "[connection]\nid=kiln-dhcp\ntype=ethernet\n[ipv4]\nmethod=auto\n[ipv6]\nmethod=auto\n";
const CONF: &str = "/etc/NetworkManager/conf.d/99-kiln.conf";

pub(super) fn mend(draft: &mut Draft, renders: bool, naming: Naming) -> Result<(), Stop> {
    let family = draft.guest()?.os.family;
    let report = keyfile::report(draft.tree()?, family)?;
    let reason = "it gives the NIC a static address";
    for profile in report.profiles.iter().filter(|profile| profile.is_static && profile.auto) {
        if !profile.path.starts_with(ifcfg::RED_HAT.dir) {
            draft.rewrite(&profile.path, reason, |text| {
                lines::set_in_section(text, "connection", "autoconnect", "false")
            })?;
        } else if naming.fits(&profile.binding) && !renders {
            ifcfg::RED_HAT.let_ask(draft, &profile.path)?;
        } else {
            draft.disable(&profile.path, reason)?;
        }
    }
    if renders {
        return Ok(());
    }
    manage(draft)?;
    let report = keyfile::report(draft.tree()?, family)?;
    let asks = report
        .profiles
        .iter()
        .any(|profile| profile.dhcp && profile.auto && naming.fits(&profile.binding));
    if !asks {
        // NetworkManager passes over profiles that others than root can read.
        draft.write_with_mode(FILE, CONTENT, 0o600, "any wired NIC gets an address by DHCP")?;
    }
    Ok(())
}

/// Undo what keeps NetworkManager away from NICs that no profile names.
fn manage(draft: &mut Draft) -> Result<(), Stop> {
    let keys = [("main", "no-auto-default"), ("keyfile", "unmanaged-devices")];
    // One key may hide the other.
    for _ in keys {
        let Some(found) = keyfile::no_default(draft.tree()?)? else { break };
        let set = keys.iter().find(|(_, key)| found.text.starts_with(key));
        let Some((section, key)) = set else { break };
        let text = draft.tree()?.read_text(CONF)?.unwrap_or_default();
        let text = lines::set_in_section(&text, section, key, "");
        draft.write(CONF, text, "NetworkManager takes care of every wired NIC")?;
    }
    Ok(())
}
