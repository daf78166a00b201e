//! Filesystems that GRUB looks for by a UUID that none of the image has: the one that holds what is
//! read from it next.

use super::super::cmdline::configurations;
use super::super::cmdline::grub_text::{Command, commands};
use super::super::cmdline::words::{Splice, Word, spliced};
use super::super::{Draft, Stop};
use super::{boot_volume, uuid_of};
use crate::boot::places::Places;
use crate::inspect::devices::by_uuid;
use crate::{Guest, Loader};

/// In every menu, and in what leads to it from the EFI system partition.
pub(super) fn mend(draft: &mut Draft) -> Result<bool, Stop> {
    let guest = draft.guest()?.clone();
    let mut changed = false;
    for (loader, path) in configurations(&guest)? {
        if loader == Loader::Grub2 {
            let reason = "no filesystem of the image has the UUID that GRUB looks for";
            changed |= draft.rewrite(&path, reason, |text| edited(&guest, text))?;
        }
    }
    Ok(changed)
}

fn edited(guest: &Guest, text: &str) -> String {
    let commands = commands(text);
    let mut splices: Vec<Splice> = Vec::new();
    for (index, command) in commands.iter().enumerate() {
        let Some(word) = wanted(command) else { continue };
        if by_uuid(&guest.layout, &word.text).is_some() {
            continue;
        }
        let next = commands.get(index + 1..).unwrap_or_default();
        let uuid = target(guest, next).and_then(|volume| uuid_of(guest, volume));
        if let Some(uuid) = uuid {
            let raw = text.get(word.range.clone()).unwrap_or_default();
            splices.push((word.range.clone(), raw.replace(&word.text, uuid)));
        }
    }
    spliced(text, splices)
}

/// The UUID that a command searches for.
fn wanted(command: &Command) -> Option<&Word> {
    let (name, arguments) = command.words.split_first()?;
    let is_search = match name.text.as_str() {
        "search.fs_uuid" => true,
        "search" => arguments.iter().any(|word| matches!(word.text.as_str(), "--fs-uuid" | "-u")),
        _ => false,
    };
    // Hints are device names, with commas.
    let is_uuid = |word: &&Word| {
        let n_digits = word.text.chars().filter(char::is_ascii_hexdigit).count();
        let is_part = |c: char| c.is_ascii_hexdigit() || c == '-';
        n_digits >= 8 && !word.text.starts_with('-') && word.text.chars().all(is_part)
    };
    arguments.iter().find(|word| is_search && is_uuid(word))
}

/// The volume that the commands after a search need. `None`: an entry of another system, or one whose
/// kernel is nowhere.
fn target(guest: &Guest, next: &[Command]) -> Option<usize> {
    let places = Places::of(guest);
    let boot = boot_volume(guest)?;
    let first =
        |command: &Command| command.words.first().map_or("", |word| word.text.as_str()).to_owned();
    let block: Vec<&Command> = next
        .iter()
        .take_while(|command| !matches!(first(command).as_str(), "}" | "menuentry" | "submenu"))
        .collect();
    let loads = |command: &&&Command| {
        let name = first(command);
        name.starts_with("linux") || name.starts_with("multiboot") || name == "chainloader"
    };
    if let Some(kernel) = block.iter().find(loads) {
        let path = kernel.words.iter().skip(1).find(|word| !word.text.starts_with("--"))?;
        let path = path.text.split_once(')').map_or(path.text.as_str(), |(_, path)| path);
        return [boot, guest.root_volume]
            .into_iter()
            .find(|volume| places.file(Some(*volume), path).found);
    }
    let prefix = block.iter().find_map(|command| match &command.words[..] {
        [set, value] if set.text == "set" => value.text.strip_prefix("prefix=")?.split_once(')'),
        _ => None,
    });
    if let Some((_, prefix)) = prefix {
        let config = format!("{prefix}/grub.cfg");
        let holds = |volume: &usize| places.find(Some(*volume), &config).is_some();
        return [boot, guest.root_volume].into_iter().find(holds);
    }
    let until_search = block.iter().take_while(|command| !first(command).starts_with("search"));
    let is_font = until_search
        .flat_map(|command| &command.words)
        .any(|word| word.text.contains("/usr/share/"));
    Some(if is_font { guest.root_volume } else { boot })
}
