//! Which repairs are asked for: the vocabularies of the repair template and of the image pipeline.

use super::{REPAIRS, Repair};

/// Which set of repairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// What an instance needs to start and be reached, and the agents that the template's default
    /// names.
    #[default]
    Standard,
    /// Standard, and SELinux and the Security Center agent.
    All,
    /// Those that are named.
    Customized,
}

/// Of `Standard`: the default of the repair template, which the pipeline's list is a subset of.
const STANDARD: [&str; 8] =
    ["fstab", "grub", "virtio", "nvme", "dhcp", "growpart", "cloudinit", "assist"];
const ALL: [&str; 2] = ["selinux", "aegis"];

/// Why a selection is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// No repair has that name.
    #[error("there is no repair '{name}'")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The likeliest names.
        near: Vec<&'static str>,
    },
    /// Mode `Customized` names none.
    #[error("mode Customized names no repair")]
    Missing,
    /// Another mode than `Customized` names some.
    #[error("repairs are named, which only mode Customized takes")]
    Conflict,
}

/// The repairs of `mode`, in the order of planning. `names` may be in any case, and may be the names
/// of check items (`GUESTOS.Fstab`); `all` stands for every repair of [`Mode::All`].
///
/// # Errors
///
/// For a name that is no repair's, and where mode and names do not go together.
pub fn select(mode: Mode, names: &[String]) -> Result<Vec<&'static Repair>, SelectError> {
    let wanted = match (mode, names) {
        (Mode::Customized, []) => return Err(SelectError::Missing),
        (Mode::Customized, names) => named(names)?,
        (_, [_, ..]) => return Err(SelectError::Conflict),
        (Mode::Standard, []) => STANDARD.to_vec(),
        (Mode::All, []) => [&STANDARD[..], &ALL].concat(),
    };
    Ok(REPAIRS.iter().copied().filter(|repair| wanted.contains(&repair.name)).collect())
}

fn named(names: &[String]) -> Result<Vec<&'static str>, SelectError> {
    let mut wanted = Vec::new();
    for name in names {
        let bare = name.rsplit('.').next().unwrap_or(name).trim();
        if bare.eq_ignore_ascii_case("all") {
            wanted.extend([&STANDARD[..], &ALL].concat());
            continue;
        }
        let is_it = |repair: &&&Repair| {
            repair.name.eq_ignore_ascii_case(bare)
                || repair.items.iter().any(|item| item.eq_ignore_ascii_case(bare))
        };
        match REPAIRS.iter().find(is_it) {
            Some(repair) => wanted.push(repair.name),
            None => {
                let near = crate::check::nearest(bare, REPAIRS.iter().map(|repair| repair.name));
                return Err(SelectError::Unknown { name: name.clone(), near });
            }
        }
    }
    Ok(wanted)
}
