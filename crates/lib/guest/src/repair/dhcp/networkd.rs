//! systemd-networkd: one file that sorts before all others and fits every Ethernet NIC.

use super::super::{Draft, Stop};
use crate::check::dhcp::networkd;

const FILE: &str = "/etc/systemd/network/05-kiln.network";
const CONTENT: &str = "[Match]\nName=e*\n[Network]\nDHCP=yes\n";

pub(super) fn mend(draft: &mut Draft, renders: bool) -> Result<(), Stop> {
    let report = networkd::report(draft.tree()?)?;
    for profile in report.profiles {
        let name = profile.path.rsplit('/').next().unwrap_or_default();
        // cloud-init's file and this one come first, save before names that sort lower still.
        let first = if renders { networkd::RENDERED } else { "05-kiln.network" };
        if profile.is_static && name < first {
            draft.disable(&profile.path, "it gives the NIC a static address")?;
        }
    }
    if renders {
        return Ok(());
    }
    let joined = networkd::joined(draft.tree()?)?;
    let mut reason = "any NIC gets an address by DHCP; the files that sort after it say nothing \
                      more about Ethernet NICs"
        .to_owned();
    if !joined.is_empty() {
        reason.push_str(&format!(", which so join no longer {}", joined.join(", ")));
    }
    draft.write(FILE, CONTENT, reason)?;
    Ok(())
}
