//! Entries whose files are not there: another one boots, or they go; and entries that leave out the
//! initramfs their kernel has.

use super::super::cmdline::grub_text::{arguments, commands};
use super::super::cmdline::words::{Splice, spliced};
use super::super::cmdline::{bootable, set_default_entry};
use super::super::refusal::{Refusal, codes};
use super::super::{Draft, Stop, lines};
use crate::check::grub::stale_entries;
use crate::{BootEntry, Guest, Loader, Result};

/// Whether the menu has entries and the one that boots by default is none that starts a kernel.
pub(super) fn is_undecided(guest: &Guest) -> bool {
    guest.boot.assumed && guest.boot.entries.len() > 1
}

/// Make the first other entry with all its files the default.
pub(super) fn boot_another(draft: &mut Draft, reason: &str) -> Result<bool, Stop> {
    let guest = draft.guest()?;
    let default = guest.boot.default_entry().filter(|_| !guest.boot.assumed);
    let is_other =
        |entry: &BootEntry| default.is_none_or(|default| default.selector != entry.selector);
    let mut choices = bootable(guest)?.into_iter().map(|(entry, _)| entry).filter(is_other);
    let Some(entry) = choices.next() else {
        let reason = format!("{reason}, and no other entry of the menu has all its files");
        return Err(Refusal::new(codes::NOT_MENDED, reason)
            .hint("install a kernel in the guest and let its tools write the boot menu")
            .into());
    };
    set_default_entry(draft, &entry, reason)?;
    Ok(true)
}

/// Write down the entry that boots although another, which is not there, is asked for.
pub(super) fn keep_default(draft: &mut Draft, reason: &str) -> Result<bool, Stop> {
    let Some(entry) = draft.guest()?.boot.default_entry().cloned() else { return Ok(false) };
    set_default_entry(draft, &entry, reason)?;
    Ok(true)
}

/// Entries of the Boot Loader Specification whose kernel was removed.
pub(super) fn remove_stale(draft: &mut Draft) -> Result<bool, Stop> {
    let stale: Vec<String> =
        stale_entries(&draft.guest()?.boot).map(|entry| entry.source.clone()).collect();
    let mut changed = false;
    for path in stale {
        changed |= draft.remove(&path, "the kernel of this entry is not there any more")?;
    }
    Ok(changed)
}

/// Let the entries of the kernel that boots load its initramfs, where they load none and it has one
/// beside it.
pub(super) fn add_initrd(draft: &mut Draft) -> Result<bool, Stop> {
    const REASON: &str = "the root is found by the initramfs, which this entry does not load";
    let guest = draft.guest()?;
    let Some(default) = guest.boot.default_entry() else { return Ok(false) };
    let Some(name) = initramfs_name(guest, default)? else { return Ok(false) };
    let mut places: Vec<(Loader, String, u32)> = guest
        .boot
        .entries
        .iter()
        .filter(|entry| entry.kernel == default.kernel && entry.initrds.is_empty())
        .map(|entry| {
            let is_menu = entry.loader == Loader::Grub2 && entry.command != "options";
            let format = if is_menu { Loader::Grub2 } else { Loader::SystemdBoot };
            (format, entry.source.clone(), entry.line)
        })
        .collect();
    // From the end, so that lines in front keep their numbers.
    places.sort_by_key(|(_, path, line)| std::cmp::Reverse((path.clone(), *line)));
    places.dedup();
    let mut changed = false;
    for (format, path, line) in places {
        changed |= draft.rewrite(&path, REASON, |text| match format {
            Loader::Grub2 => in_grub_cfg(text, line, &name),
            _ => in_lines(text, line, &name),
        })?;
    }
    Ok(changed)
}

/// The file name of the initramfs of the kernel of `entry`, where it is beside the kernel.
fn initramfs_name(guest: &Guest, entry: &BootEntry) -> Result<Option<String>> {
    let Some((directory, _)) = entry.kernel.as_deref().and_then(|path| path.rsplit_once('/'))
    else {
        return Ok(None);
    };
    let kernel = guest.kernels.iter().find(|kernel| kernel.image == entry.kernel);
    let Some(path) = kernel.and_then(|kernel| kernel.initramfs.as_deref()) else { return Ok(None) };
    let is_sound = guest.tree.stat(path)?.is_some_and(|stat| stat.size_bytes > 0);
    let beside = path.strip_prefix(directory).and_then(|rest| rest.strip_prefix('/'));
    Ok(beside.filter(|name| is_sound && !name.contains('/')).map(str::to_owned))
}

/// `text` with a line that loads `name`, from where the kernel is, behind the command in line `line`.
pub(super) fn in_grub_cfg(text: &str, line: u32, name: &str) -> String {
    let mut splices: Vec<Splice> = Vec::new();
    for command in commands(text).into_iter().filter(|command| command.line == line) {
        let Some(at) = arguments(&command) else { continue };
        let Some((before, _)) = command.words.split_at_checked(at) else { continue };
        let (Some(first), Some(path), Some(last)) =
            (before.first(), before.last(), command.words.last())
        else {
            continue;
        };
        let start = text.get(..first.range.start).unwrap_or_default();
        let indent = start.rsplit('\n').next().unwrap_or_default();
        let written = text.get(path.range.clone()).unwrap_or_default();
        let directory = path.text.rsplit_once('/').map_or("", |(directory, _)| directory);
        if !indent.trim().is_empty() || written.contains(['$', '\'', '"', '\\']) {
            continue;
        }
        let suffix = first.text.trim_start_matches("linux");
        let new = format!("\n{indent}initrd{suffix}\t{directory}/{name}");
        splices.push((last.range.end..last.range.end, new));
    }
    spliced(text, splices)
}

/// As [`in_grub_cfg`], for texts of one key and value a line.
pub(super) fn in_lines(text: &str, line: u32, name: &str) -> String {
    let mut number = 0;
    lines::edit(text, |found| {
        number += 1;
        let body = found.trim_start();
        let indent = found.get(..found.len() - body.len()).unwrap_or_default();
        let key = body.split([' ', '\t']).next().unwrap_or_default();
        let path = body.split_ascii_whitespace().skip(1).find(|word| !word.starts_with("--"));
        match path {
            Some(path) if number == line => {
                let directory = path.rfind('/').and_then(|at| path.get(..=at)).unwrap_or_default();
                let is_upper = key.chars().any(char::is_uppercase);
                let word = if is_upper { "INITRD" } else { "initrd" };
                lines::Fate::Become(format!("{found}\n{indent}{word} {directory}{name}"))
            }
            _ => lines::Fate::Keep,
        }
    })
}
