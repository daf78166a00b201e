//! Which entry boots by itself, wherever the loader keeps that.
//!
//! Nothing that later menus are made from changes (`GRUB_DEFAULT`): a menu that is generated anew
//! lists the kernels of that day, and its first entry is the right one then.

use super::grub_text::{self, commands};
use super::words::{Splice, spliced};
use crate::boot::grubenv;
use crate::check::driver::kernels_at;
use crate::repair::refusal::{Refusal, codes};
use crate::repair::{Draft, Stop, lines};
use crate::{BootEntry, Guest, Kernel, Loader, Result};

/// The entries that could boot instead of another one, with their kernels' versions, in the order of
/// the menu: of installed kernels, with all their files, and neither for rescue nor for Xen alone.
pub(in crate::repair) fn bootable(guest: &Guest) -> Result<Vec<(BootEntry, String)>> {
    let mut found = Vec::new();
    for entry in &guest.boot.entries {
        let Some(path) = entry.kernel.as_deref().filter(|_| entry.kernel_found) else { continue };
        let is_for_repairs = ["single", "recovery", "emergency", "rescue"].iter().any(|word| {
            entry.has_arg(word) || entry.has_arg(&format!("systemd.unit={word}.target"))
        });
        if is_for_repairs || !entry.missing_initrds.is_empty() || entry.loader == Loader::Unknown {
            continue;
        }
        let can_boot = |kernel: &&&Kernel| {
            !kernel.is_rescue && !crate::kernel::is_xen_pv_only(&kernel.version, None)
        };
        if let Some(kernel) = kernels_at(guest, path)?.iter().find(can_boot) {
            found.push((entry.clone(), kernel.version.clone()));
        }
    }
    Ok(found)
}

/// Let `entry` boot when nobody presses a key. What inspection found is looked up again.
///
/// # Errors
///
/// `Repair.NotMended` where the loader's configuration does not let it.
pub(in crate::repair) fn set_default_entry(
    draft: &mut Draft,
    entry: &BootEntry,
    reason: &str,
) -> Result<(), Stop> {
    if boots(draft.guest()?, entry) {
        return Ok(());
    }
    let done = match entry.loader {
        Loader::Grub2 => grub2(draft, entry, reason)?,
        Loader::GrubLegacy => {
            draft.rewrite(&entry.source, reason, |text| legacy(text, &entry.selector))?;
            is_default(draft, entry)?
        }
        Loader::Syslinux => {
            draft.rewrite(&entry.source, reason, |text| extlinux(text, &entry.selector))?;
            is_default(draft, entry)?
        }
        Loader::SystemdBoot | Loader::Uki => systemd_boot(draft, entry, reason)?,
        _ => false,
    };
    if done {
        return Ok(());
    }
    let reason = format!("{:?} cannot be made the entry that boots by default", entry.title);
    Err(Refusal::new(codes::NOT_MENDED, reason)
        .hint("choose the default entry in the guest (grub-set-default, grubby --set-default)")
        .into())
}

/// As [`boots`], after edits.
fn is_default(draft: &mut Draft, entry: &BootEntry) -> Result<bool> {
    draft.look_again();
    Ok(boots(draft.guest()?, entry))
}

/// Whether `entry` boots by itself, and not because another one that is asked for is not there.
fn boots(guest: &Guest, entry: &BootEntry) -> bool {
    let boot = &guest.boot;
    let default = boot.default_entry().filter(|_| !boot.assumed);
    let is_wanted = !boot.facts.iter().any(|fact| fact.code == "Grub.DefaultEntryInvalid");
    default.is_some_and(|found| {
        is_wanted && (&found.selector, &found.kernel) == (&entry.selector, &entry.kernel)
    })
}

/// The environment block, where the configuration takes the default from it; else the configuration.
fn grub2(draft: &mut Draft, entry: &BootEntry, reason: &str) -> Result<bool, Stop> {
    let configs: Vec<String> = draft
        .guest()?
        .boot
        .configs
        .iter()
        .filter(|(loader, _)| *loader == Loader::Grub2)
        .map(|(_, path)| path.clone())
        .collect();
    for config in &configs {
        let directory = config.rsplit_once('/').map_or("", |(directory, _)| directory);
        let block = format!("{directory}/grubenv");
        let text = draft.tree()?.read_text(config)?.unwrap_or_default();
        // An entry for the next start only comes before the default one.
        set_variable(draft, &block, "next_entry", "", reason)?;
        if takes_saved(&text) {
            set_variable(draft, &block, "saved_entry", &entry.selector, reason)?;
        }
        if is_default(draft, entry)? {
            return Ok(true);
        }
    }
    for config in &configs {
        draft.rewrite(config, reason, |text| grub_cfg(text, &entry.selector))?;
        if is_default(draft, entry)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the configuration takes its default from the environment block.
fn takes_saved(text: &str) -> bool {
    commands(text).iter().any(|command| match &command.words[..] {
        [set, value] => {
            let value = value.text.strip_prefix("default=").filter(|_| set.text == "set");
            value.is_some_and(|value| value.contains("saved_entry"))
        }
        _ => false,
    })
}

/// Give a variable of an environment block its value; an empty one only where it has another.
fn set_variable(
    draft: &mut Draft,
    path: &str,
    name: &str,
    value: &str,
    reason: &str,
) -> Result<(), Stop> {
    let bytes = draft.tree()?.read(path, 1 << 20)?;
    let known = bytes.as_deref().and_then(|bytes| grubenv::raw_value(bytes, name));
    let value = value.replace('\\', "\\\\");
    if known.as_deref().unwrap_or_default() == value {
        return Ok(());
    }
    let Some(after) = grubenv::with_raw(&bytes.unwrap_or_default(), name, &value) else {
        let reason = format!("{path} has 1024 bytes and no room for {name}={value}");
        return Err(Refusal::new(codes::NOT_MENDED, reason).into());
    };
    draft.write(path, after, reason)?;
    Ok(())
}

/// `text` with every `set default=` of a plain value naming `selector`, or one in front of all.
fn grub_cfg(text: &str, selector: &str) -> String {
    let word = format!("default={selector}");
    let mut splices: Vec<Splice> = Vec::new();
    for command in commands(text) {
        let [set, value] = &command.words[..] else { continue };
        let is_plain = value.text.starts_with("default=") && !value.text.contains('$');
        if set.text == "set" && is_plain {
            let raw = text.get(value.range.clone()).unwrap_or_default();
            let quoted = match raw.strip_prefix("default=") {
                Some(inner) => format!("default={}", grub_text::quote(selector, inner)),
                None => grub_text::quote(&word, raw),
            };
            splices.push((value.range.clone(), quoted));
        }
    }
    if splices.is_empty() {
        return format!("set default={}\n{text}", grub_text::quote(selector, "''"));
    }
    spliced(text, splices)
}

/// `text` with `default` in front of the first entry naming the entry of that number.
fn legacy(text: &str, number: &str) -> String {
    let (mut is_there, mut has_entry) = (false, false);
    let changed = lines::edit(text, |line| {
        let key = line.trim_start().split([' ', '\t', '=']).next().unwrap_or_default();
        has_entry |= key == "title";
        if has_entry || key != "default" {
            return lines::Fate::Keep;
        }
        is_there = true;
        lines::Fate::Become(format!("default={number}"))
    });
    if is_there { changed } else { format!("default={number}\n{text}") }
}

/// `text` with its default, in each of the ways of saying it that it uses, naming the label.
fn extlinux(text: &str, label: &str) -> String {
    let words = |line: &str| {
        let mut words = line.split_ascii_whitespace().map(str::to_ascii_lowercase);
        (words.next().unwrap_or_default(), words.next().unwrap_or_default())
    };
    let name_of = |line: &str| {
        let key = line.trim_start().get(..5)?;
        let is_label = key.eq_ignore_ascii_case("label") && words(line).0 == "label";
        is_label.then(|| line.trim_start().get(5..).unwrap_or_default().trim().to_owned())
    };
    if !text.lines().any(|line| name_of(line).as_deref() == Some(label)) {
        return text.to_owned();
    }
    let is_mark = |line: &str| words(line) == ("menu".into(), "default".into());
    let has_mark = text.lines().any(is_mark);
    let (mut is_there, mut has_label) = (false, false);
    let changed = lines::edit(text, |line| {
        let key = words(line).0;
        if let Some(name) = name_of(line) {
            has_label = true;
            return match has_mark && name == label {
                true => lines::Fate::Become(format!("{line}\n  MENU DEFAULT")),
                false => lines::Fate::Keep,
            };
        }
        if is_mark(line) {
            return lines::Fate::Drop;
        }
        if has_label || has_mark || !matches!(key.as_str(), "default" | "ontimeout") {
            return lines::Fate::Keep;
        }
        is_there = true;
        let key = line.trim_start().get(..key.len()).unwrap_or_default();
        lines::Fate::Become(format!("{key} {label}"))
    });
    if is_there || has_mark { changed } else { format!("DEFAULT {label}\n{text}") }
}

fn systemd_boot(draft: &mut Draft, entry: &BootEntry, reason: &str) -> Result<bool, Stop> {
    let configs = &draft.guest()?.boot.configs;
    let config = configs.iter().find(|(loader, _)| *loader == Loader::SystemdBoot);
    let Some((_, path)) = config.cloned() else { return Ok(false) };
    let suffix = if entry.loader == Loader::Uki { ".efi" } else { ".conf" };
    let line = format!("default {}{suffix}", entry.selector);
    let text = draft.tree()?.read_text(&path)?.unwrap_or_default();
    let mut is_there = false;
    let changed = lines::edit(&text, |found| {
        if found.split_ascii_whitespace().next() != Some("default") {
            return lines::Fate::Keep;
        }
        is_there = true;
        lines::Fate::Become(line.clone())
    });
    let changed = if is_there { changed } else { lines::append(&text, &line) };
    draft.write(&path, changed, reason)?;
    Ok(is_default(draft, entry)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repair::{Bundle, Options, Staging};
    use crate::testing::systems::*;
    use crate::testing::{Disk, UUID_ROOT, grubenv};
    use crate::{Declared, inspect};

    /// Make each entry of a disk's menu the default, in turn; the menu must say so.
    fn each_in_turn(name: &str, disk: Disk) {
        let mut staging = Staging::new(&inspect(disk.build(), Declared::default()));
        let entries = staging.inspection().guest().unwrap().boot.entries.clone();
        assert!(entries.len() > 1, "{name}");
        for entry in entries.iter().rev() {
            let (options, bundle) = (Options::default(), Bundle::default());
            let mut draft = Draft::new(&mut staging, &options, &bundle);
            set_default_entry(&mut draft, entry, "a test").unwrap();
            let default = draft.guest().unwrap().boot.default_entry().unwrap();
            assert_eq!((name, &default.title), (name, &entry.title));
            let mut again = Draft::new(&mut staging, &options, &bundle);
            set_default_entry(&mut again, entry, "a test").unwrap();
            assert!(again.is_empty(), "{name}: a second time");
        }
    }

    #[test]
    fn every_entry_of_every_loader_can_be_the_default() {
        let mut saved = debian();
        let text = DEBIAN_GRUB_CFG.replace("default=\"0\"", "default=\"${saved_entry}\"");
        assert_ne!(text, DEBIAN_GRUB_CFG);
        saved.file("/boot/grub/grub.cfg", text);
        let mut next = debian();
        next.file("/boot/grub/grubenv", grubenv("next_entry=0\n"));
        let (root, mut boot) = el6();
        let text = String::from_utf8(boot.content("/grub/grub.conf").unwrap().to_vec()).unwrap();
        let (_, entry) = text.split_once("title").unwrap();
        boot.file("/grub/grub.conf", format!("{text}title other{entry}"));
        for (name, disk) in [
            ("default=0", bios_disk(debian())),
            ("saved", bios_disk(saved)),
            ("next_entry", bios_disk(next)),
            ("BLS", two_partitions(el(9))),
            ("BLS with kernelopts", two_partitions(el(8))),
            ("legacy", legacy_disk((root, boot))),
            ("systemd-boot", arch()),
        ] {
            each_in_turn(name, disk);
        }
    }

    #[test]
    fn texts_keep_what_is_not_the_default() {
        for (before, after) in [
            (
                "if [ x ]; then\n set default=\"${next_entry}\"\nelse\n set default=\"0\"\nfi\n",
                "if [ x ]; then\n set default=\"${next_entry}\"\nelse\n set default=\"a>b\"\nfi\n",
            ),
            ("set default='0'\n", "set default='a>b'\n"),
            ("set default=0; x\n", "set default='a>b'; x\n"),
            ("set timeout=1\n", "set default='a>b'\nset timeout=1\n"),
        ] {
            assert_eq!(grub_cfg(before, "a>b"), after);
        }
        for (before, after) in [
            ("# x\ndefault 0\ntitle a\n", "# x\ndefault=2\ntitle a\n"),
            ("title a\ndefault b\n", "default=2\ntitle a\ndefault b\n"),
        ] {
            assert_eq!(legacy(before, "2"), after);
        }
        for (before, after) in [
            ("default a\nlabel a\nlabel b\n", "default b\nlabel a\nlabel b\n"),
            (
                "DEFAULT menu.c32\nLABEL a\n  MENU DEFAULT\nLABEL b\n",
                "DEFAULT menu.c32\nLABEL a\nLABEL b\n  MENU DEFAULT\n",
            ),
            ("timeout 1\nlabel a\nlabel b\n", "DEFAULT b\ntimeout 1\nlabel a\nlabel b\n"),
            ("default a\nontimeout a\nlabel b\n", "default b\nontimeout b\nlabel b\n"),
        ] {
            assert_eq!(extlinux(before, "b"), after);
        }
    }

    #[test]
    fn mutated_files_never_panic() {
        let text = "set default=\"0\"\nset 'default=1'\ndefault 0\ntitle x\nDEFAULT a\nLABEL a\n  MENU \
                    DEFAULT\nLABEL b\nontimeout a\n";
        crate::syntax::mutation::mutated(text.as_bytes(), |bytes| {
            let text = String::from_utf8_lossy(bytes);
            for edit in [grub_cfg, legacy, extlinux] {
                let once = edit(&text, "b");
                // A mark behind the last line ends that line.
                assert_eq!(edit(&once, "b").trim_end(), once.trim_end(), "{text}");
            }
        });
    }

    #[test]
    fn kernels_for_rescue_are_no_choice() {
        let choices = |disk: Disk| {
            let inspection = inspect(disk.build(), Declared::default());
            let found = bootable(inspection.guest().unwrap()).unwrap();
            found.into_iter().map(|(_, version)| version).collect::<Vec<_>>()
        };
        assert_eq!(choices(two_partitions(el(9))), ["5.14.0-503.el9.x86_64"]);
        assert_eq!(choices(bios_disk(debian())), ["6.1.0-40-amd64"; 2]);
        let mut fs = debian();
        let words = format!("root=UUID={UUID_ROOT}");
        fs.file("/boot/grub/grub.cfg", DEBIAN_GRUB_CFG.replace(&words, "single"));
        assert_eq!(choices(bios_disk(fs)), [""; 0]);
    }
}
