//! What turns cloud-init off with everything else in place.

use super::super::cmdline::{ArgEdit, Entries, edit_args};
use super::super::lines::{self, Fate};
use super::super::{Draft, Stop, units};
use crate::check::cloud_init::cloud_init_state;
use crate::services::{self, ServiceState};

/// Its stages, those of the versions since 24.3 among them.
const STAGES: [&str; 6] = [
    "cloud-init-local",
    "cloud-init-main",
    "cloud-init-network",
    "cloud-init",
    "cloud-config",
    "cloud-final",
];

pub(super) fn turn_on(draft: &mut Draft) -> Result<(), Stop> {
    let is_off = |draft: &Draft| -> Result<bool, Stop> {
        Ok(!cloud_init_state(draft.guest()?)?.disabled_by.is_empty())
    };
    if !is_off(draft)? {
        return Ok(());
    }
    let reason = "it turns cloud-init off";
    draft.remove("/etc/cloud/cloud-init.disabled", reason)?;
    draft.rewrite("/etc/cloud/ds-identify.cfg", reason, without_policy)?;
    edit_args(draft, Entries::All, &[ArgEdit::remove_value("cloud-init", "disabled")], reason)?;
    for stage in STAGES {
        if services::state(draft.tree()?, stage)? != ServiceState::Absent {
            units::enable(draft, stage, "cloud-init starts in stages, and this is one")?;
        }
    }
    if is_off(draft)? {
        units::enable(draft, "cloud-init.target", "nothing else starts the stages of cloud-init")?;
    }
    Ok(())
}

/// `text` without the policy that turns cloud-init off; then the built-in one counts.
fn without_policy(text: &str) -> String {
    lines::edit(text, |line| {
        let policy = line.trim().strip_prefix("policy:").map(str::trim);
        match policy.and_then(|policy| policy.split(',').next()) {
            Some("disabled") => Fate::Drop,
            _ => Fate::Keep,
        }
    })
}
