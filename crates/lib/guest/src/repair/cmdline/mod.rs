//! The kernel command line, in every file in which a guest keeps it.
//!
//! A boot menu has it once an entry, and the files that the next kernel's entry is made from have it
//! again. An edit that leaves one of them out comes undone with an update, or misses the kernel that
//! boots. Nothing is generated anew: words change, everything else stays byte by byte.

mod default;
mod formats;
pub(super) mod grub_text;
mod places;
pub(super) mod words;

use super::refusal::{Refusal, codes};
use super::{Draft, Stop};
use crate::boot::grubenv;
use crate::{BootEntry, Guest, Loader};

use self::places::{Format, Place};

pub(super) use self::default::{bootable, set_default_entry};
pub(super) use self::places::configurations;

/// Which entries of the boot menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entries {
    /// All that there are.
    All,
    /// The one that boots by itself. Files that later entries are made from change too.
    Default,
}

/// A change of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ArgEdit {
    /// Let the last `name=` have `value`, which is empty for a bare word; add it where none is.
    Set {
        /// The parameter; `-` and `_` are the same, as to the kernel.
        name: String,
        /// Its value.
        value: String,
    },
    /// Take away every `name` and `name=...`; with `value`, only `name=value`.
    Remove {
        /// The parameter.
        name: String,
        /// The only value that is meant.
        value: Option<String>,
    },
    /// Put the word `by` where exactly `word` is; nothing, where `by` is there already.
    Replace {
        /// `root=/dev/sda1`.
        word: String,
        /// `root=UUID=...`; empty: nothing.
        by: String,
    },
}

impl ArgEdit {
    pub(super) fn set(name: &str, value: &str) -> Self {
        Self::Set { name: name.to_owned(), value: value.to_owned() }
    }

    pub(super) fn remove(name: &str) -> Self {
        Self::Remove { name: name.to_owned(), value: None }
    }

    pub(super) fn remove_value(name: &str, value: &str) -> Self {
        Self::Remove { name: name.to_owned(), value: Some(value.to_owned()) }
    }

    pub(super) fn replace(word: impl Into<String>, by: impl Into<String>) -> Self {
        Self::Replace { word: word.into(), by: by.into() }
    }

    /// The word it writes or, for the last value, takes away.
    fn word(&self) -> String {
        match self {
            Self::Set { name, value } if value.is_empty() => name.clone(),
            Self::Set { name, value } | Self::Remove { name, value: Some(value) } => {
                format!("{name}={value}")
            }
            Self::Remove { name, value: None } => name.clone(),
            Self::Replace { by, .. } => by.clone(),
        }
    }
}

/// Change the arguments of the guest's kernels, wherever they are kept. `false`: nothing to change.
/// What inspection found is looked up again after a change.
///
/// # Errors
///
/// `Repair.UkiSigned` where the command line of the entry that boots is inside a unified kernel
/// image, `Repair.NotMended` where the environment block of GRUB has no room for it.
pub(super) fn edit_args(
    draft: &mut Draft,
    entries: Entries,
    edits: &[ArgEdit],
    reason: &str,
) -> Result<bool, Stop> {
    refuse_unified(draft.guest()?, edits)?;
    let mut changed = false;
    for Place { path, format } in places::of(draft.guest()?, entries, edits)? {
        changed |= match format {
            Format::Environment => environment(draft, &path, edits, reason)?,
            format => draft.rewrite(&path, reason, |text| format.edited(text, edits))?,
        };
    }
    if changed {
        draft.look_again();
    }
    Ok(changed)
}

/// What a unified image is started with cannot be changed without signing it again.
fn refuse_unified(guest: &Guest, edits: &[ArgEdit]) -> Result<(), Refusal> {
    let unified = guest.boot.default_entry().filter(|entry| entry.loader == Loader::Uki);
    match unified {
        Some(BootEntry { source, cmdline, .. }) if words::edited(cmdline, edits) != *cmdline => {
            let reason = format!(
                "{source} is a unified kernel image: its command line is part of what is signed"
            );
            Err(Refusal::new(codes::UKI_SIGNED, reason)
                .hint("change the command line where the image is built (ukify, kernel-install)"))
        }
        _ => Ok(()),
    }
}

fn environment(
    draft: &mut Draft,
    path: &str,
    edits: &[ArgEdit],
    reason: &str,
) -> Result<bool, Stop> {
    let Some(bytes) = draft.tree()?.read(path, 1 << 20)? else { return Ok(false) };
    let Some(value) = grubenv::raw_value(&bytes, "kernelopts") else { return Ok(false) };
    let edited = words::edited(&value, edits);
    if edited == value {
        return Ok(false);
    }
    let Some(after) = grubenv::with_raw(&bytes, "kernelopts", &edited) else {
        let reason = format!("{path} has 1024 bytes and no room for kernelopts={edited}");
        return Err(Refusal::new(codes::NOT_MENDED, reason).into());
    };
    draft.write(path, after, reason)?;
    Ok(true)
}

#[cfg(test)]
mod tests;
