//! What stands between the menu and an unattended boot: passwords, waiting, commands that the loader
//! of this firmware does not have.

use super::super::cmdline::configurations;
use super::super::cmdline::grub_text::{Command, commands};
use super::super::cmdline::words::{Splice, Word, spliced};
use super::super::{Draft, Stop, lines};
use crate::boot::FirmwareKind;
use crate::check::grub::MAX_TIMEOUT_S;
use crate::syntax::assignments;
use crate::{Family, Guest, Loader};

/// What distributions set.
const TIMEOUT_S: i64 = 5;

/// Let the entry that boots by itself start without a password; to change it still takes one.
pub(super) fn unlock(draft: &mut Draft) -> Result<bool, Stop> {
    let Some(entry) = draft.guest()?.boot.default_entry().cloned() else { return Ok(false) };
    let reason = "nobody types the password when an instance starts";
    let (path, line) = (entry.source.as_str(), entry.line);
    Ok(match (entry.loader, entry.command.as_str()) {
        (Loader::Grub2, command) if command != "options" => {
            draft.rewrite(path, reason, |text| unrestricted(text, line))?
        }
        (Loader::GrubLegacy, _) => draft.rewrite(path, reason, |text| without_lock(text, line))?,
        _ => false,
    })
}

/// `text` with the menu entry around line `line`, and the submenus around that, open to everybody.
pub(super) fn unrestricted(text: &str, line: u32) -> String {
    let mut open: Vec<Option<Command>> = Vec::new();
    let mut last: Option<Command> = None;
    let mut splices: Vec<Splice> = Vec::new();
    for command in commands(text) {
        match command.words.first().map(|word| word.text.as_str()) {
            Some("{") => open.push(last.take()),
            Some("}") => drop(open.pop()),
            _ if command.line == line => {
                splices.extend(open.iter().flatten().filter_map(unrestricted_entry));
                break;
            }
            _ => last = Some(command),
        }
    }
    spliced(text, splices)
}

fn unrestricted_entry(command: &Command) -> Option<Splice> {
    let (name, words) = command.words.split_first()?;
    let is_open = words.iter().any(|word| word.text == "--unrestricted");
    let title = words.first().filter(|_| matches!(name.text.as_str(), "menuentry" | "submenu"))?;
    (!is_open).then(|| (title.range.end..title.range.end, " --unrestricted".to_owned()))
}

/// `text` without the `lock` of the entry that line `line` is in.
pub(super) fn without_lock(text: &str, line: u32) -> String {
    let is_title = |line: &str| line.split_ascii_whitespace().next() == Some("title");
    let index = usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(1);
    let all: Vec<&str> = text.lines().collect();
    let start = all.iter().take(index.saturating_add(1)).rposition(|line| is_title(line));
    let Some(start) = start else { return text.to_owned() };
    let length = all.iter().skip(start + 1).take_while(|line| !is_title(line)).count();
    let mut number = 0;
    lines::edit(text, |line| {
        number += 1;
        let is_inside = (start + 2..=start + 1 + length).contains(&number);
        match is_inside && line.trim() == "lock" {
            true => lines::Fate::Drop,
            false => lines::Fate::Keep,
        }
    })
}

/// Replace commands of the other firmware's GRUB.
pub(super) fn use_commands_of_firmware(draft: &mut Draft) -> Result<bool, Stop> {
    let inspection = draft.inspection();
    let is_uefi = inspection.firmware.chains.iter().any(|c| c.firmware == FirmwareKind::Uefi);
    let guest = draft.guest()?;
    let (from, to) = match (is_uefi, wants_efi_commands(guest)) {
        (true, true) => ("16", "efi"),
        (true, false) => ("16", ""),
        (false, _) => ("efi", ""),
    };
    let mut changed = false;
    for (loader, path) in configurations(guest)? {
        if loader == Loader::Grub2 {
            let reason = "GRUB for the firmware that starts the disk does not have this command";
            changed |= draft.rewrite(&path, reason, |text| with_suffix(text, from, to))?;
        }
    }
    Ok(changed)
}

/// GRUB of Enterprise Linux 7 and 8 starts kernels by UEFI with commands of its own.
fn wants_efi_commands(guest: &Guest) -> bool {
    let version = guest.os.version.as_deref().unwrap_or_default();
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    guest.os.family == Family::RedHat
        && guest.os.id.as_deref() != Some("fedora")
        && major.is_some_and(|major| (7..=8).contains(&major))
}

pub(super) fn with_suffix(text: &str, from: &str, to: &str) -> String {
    let names = [format!("linux{from}"), format!("initrd{from}")];
    let first = |command: Command| command.words.into_iter().next();
    let is_meant = |word: &Word| {
        names.contains(&word.text) && text.get(word.range.clone()) == Some(word.text.as_str())
    };
    let words = commands(text).into_iter().filter_map(first).filter(is_meant);
    let splices = words.map(|word| (word.range.end - from.len()..word.range.end, to.to_owned()));
    spliced(text, splices.collect())
}

/// Let the menu wait as long as menus do.
pub(super) fn shorten_timeout(draft: &mut Draft) -> Result<bool, Stop> {
    const REASON: &str = "nobody is there to press a key when an instance starts";
    const DEFAULTS: &str = "/etc/default/grub";
    let guest = draft.guest()?;
    let mut files = configurations(guest)?;
    let systemd_boot = guest.boot.configs.iter().filter(|(l, _)| *l == Loader::SystemdBoot);
    files.extend(systemd_boot.cloned());
    let mut changed = false;
    for (loader, path) in files {
        changed |= draft.rewrite(&path, REASON, |text| match loader {
            Loader::Grub2 => grub_timeout(text),
            Loader::Syslinux => line_timeout(text, 10),
            _ => line_timeout(text, 1),
        })?;
    }
    changed |= draft.rewrite(DEFAULTS, REASON, |text| {
        let found = assignments::parse(text);
        let value = assignments::value_of(&found, "GRUB_TIMEOUT").map(|found| &found.value);
        match value.is_some_and(|value| is_too_long(value, 1)) {
            true => lines::assign(text, "GRUB_TIMEOUT", &TIMEOUT_S.to_string()),
            false => text.to_owned(),
        }
    })?;
    Ok(changed)
}

fn is_too_long(value: &str, units_per_s: i64) -> bool {
    let value = value.trim();
    if value == "menu-force" {
        return true;
    }
    // SYSLINUX takes 0 for ever, which others take for at once.
    value.parse::<i64>().is_ok_and(|timeout| {
        let waits_for_ever = timeout < 0 || (timeout == 0 && units_per_s > 1);
        waits_for_ever || timeout > MAX_TIMEOUT_S * units_per_s
    })
}

pub(super) fn grub_timeout(text: &str) -> String {
    let mut splices: Vec<Splice> = Vec::new();
    for command in commands(text) {
        let [set, value] = &command.words[..] else { continue };
        let timeout = value.text.strip_prefix("timeout=").filter(|_| set.text == "set");
        if timeout.is_some_and(|timeout| is_too_long(timeout, 1)) {
            splices.push((value.range.clone(), format!("timeout={TIMEOUT_S}")));
        }
    }
    spliced(text, splices)
}

pub(super) fn line_timeout(text: &str, units_per_s: i64) -> String {
    lines::edit(text, |line| {
        let body = line.trim_start();
        let key = body.split([' ', '\t', '=']).next().unwrap_or_default();
        let rest = body.get(key.len()..).unwrap_or_default();
        let value = rest.trim_matches([' ', '\t', '=']);
        if !key.eq_ignore_ascii_case("timeout") || !is_too_long(value, units_per_s) {
            return lines::Fate::Keep;
        }
        let before = line.strip_suffix(rest).unwrap_or_default();
        let gap: String = rest.chars().take_while(|c| matches!(c, ' ' | '\t' | '=')).collect();
        lines::Fate::Become(format!("{before}{gap}{}", TIMEOUT_S * units_per_s))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_and_what_is_around_it_are_opened() {
        let text = "submenu 'a' {\n\tmenuentry 'b' --class x {\n\t\tlinux /k\n\t}\n}\nmenuentry c --unrestricted {\n\tlinux /k\n}\n";
        let opened = "submenu 'a' --unrestricted {\n\tmenuentry 'b' --unrestricted --class x {\n\t\tlinux /k\n\t}\n}\nmenuentry c --unrestricted {\n\tlinux /k\n}\n";
        assert_eq!(unrestricted(text, 3), opened);
        assert_eq!(unrestricted(opened, 3), opened);
        assert_eq!(unrestricted(text, 7), text);
        let text = "title a\nlock\nkernel /k\ntitle b\nkernel /k\nlock\n";
        assert_eq!(without_lock(text, 3), "title a\nkernel /k\ntitle b\nkernel /k\nlock\n");
        assert_eq!(without_lock(text, 5), "title a\nlock\nkernel /k\ntitle b\nkernel /k\n");
    }

    #[test]
    fn only_commands_change() {
        let text = "echo linux16\nlinux16 /k linux16\n\tinitrd16\t/i\n";
        assert_eq!(with_suffix(text, "16", ""), "echo linux16\nlinux /k linux16\n\tinitrd\t/i\n");
        let back = with_suffix(text, "16", "efi");
        assert_eq!(back, "echo linux16\nlinuxefi /k linux16\n\tinitrdefi\t/i\n");
    }

    #[test]
    fn only_timeouts_that_are_too_long_change() {
        for (before, after) in [
            ("set timeout=-1\nset timeout=30\n", "set timeout=5\nset timeout=30\n"),
            ("set timeout=\"31\"\n# set timeout=-1\n", "set timeout=5\n# set timeout=-1\n"),
            ("set timeout=${x}\n", "set timeout=${x}\n"),
        ] {
            assert_eq!(grub_timeout(before), after);
        }
        for (before, units, after) in [
            ("timeout=60\n", 1, "timeout=5\n"),
            ("timeout 0\n", 1, "timeout 0\n"),
            ("TIMEOUT 0\n", 10, "TIMEOUT 50\n"),
            ("  timeout  menu-force\n", 1, "  timeout  5\n"),
            ("timeout 300\n", 10, "timeout 300\n"),
        ] {
            assert_eq!(line_timeout(before, units), after);
        }
    }
}
