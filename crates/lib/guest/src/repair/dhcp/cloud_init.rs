//! Letting cloud-init write the network configuration, where it runs and is told not to.

use super::super::cmdline::{ArgEdit, Entries, edit_args};
use super::super::{Draft, Stop, yaml_text};
use crate::check::cloud_init::cloud_init_state;

/// As many files as may each tell cloud-init to leave the network alone.
const MAX_FILES: usize = 64;

pub(super) fn let_through(draft: &mut Draft) -> Result<(), Stop> {
    for _ in 0..MAX_FILES {
        let state = cloud_init_state(draft.guest()?)?;
        let Some(told) = state.network_disabled else { break };
        let reason = "it keeps cloud-init from setting up the network of the instance";
        let path = told.path.unwrap_or_default();
        let changed = match path.starts_with("/etc/cloud/") {
            true => yaml_text::drop_key(draft, &path, "network", reason)?,
            false => {
                let edits = [ArgEdit::remove("network-config")];
                edit_args(draft, Entries::All, &edits, reason)?
            }
        };
        if !changed {
            break;
        }
    }
    Ok(())
}
