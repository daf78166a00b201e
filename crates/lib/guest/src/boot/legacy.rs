//! GRUB legacy (`grub.conf`, `menu.lst`): `default=N`, `title` blocks, `root (hdX,Y)` with both
//! numbers from 0, paths relative to that partition.

use super::places::Places;
use super::{BootEntry, BootFact, Loader, Menu};
use crate::check::Evidence;
use crate::inspect::devices::partition_volume;

const MAX_ENTRIES: usize = 1000;

/// Read the menu at the guest path `path`.
pub(crate) fn parse(places: &Places<'_>, path: &str, text: &str) -> Menu {
    let mut menu = Menu::default();
    let mut default = 0;
    let mut root = None;
    for (line, text) in (1u32..).zip(text.lines()) {
        let text = text.trim();
        let (key, value) = text.split_once([' ', '\t', '=']).unwrap_or((text, ""));
        let value = value.trim_matches([' ', '\t', '=']);
        if key == "title" {
            if menu.entries.len() == MAX_ENTRIES {
                break;
            }
            let id = menu.entries.len().to_string();
            menu.entries.push(BootEntry::new(Loader::GrubLegacy, &id, value, path, line));
            root = places.volume_of(path);
            continue;
        }
        let Some(entry) = menu.entries.last_mut() else {
            match key {
                "default" => default = value.parse().unwrap_or(0),
                "timeout" => menu.timeout_s = value.parse().ok(),
                "splashimage" if disk_of(value).is_some_and(|disk| disk > 0) => {
                    let message =
                        format!("{path} line {line}: splashimage is on another disk ({value})");
                    let evidence = Evidence::line(path, line, text);
                    menu.facts.push(BootFact { code: "Grub.LegacyDisk", message, evidence });
                }
                _ => {}
            }
            continue;
        };
        match key {
            "root" | "rootnoverify" | "uuid" => {
                entry.legacy_root = Some(value.to_owned());
                root = volume_of(places, value);
            }
            "kernel" => {
                let mut words = value.split_ascii_whitespace().skip_while(|w| w.starts_with("--"));
                let kernel = words.next().unwrap_or_default();
                let (volume, kernel) = split_device(places, root, kernel);
                let place = places.file(volume, kernel);
                entry.kernel = Some(place.path);
                entry.kernel_found = place.found;
                entry.cmdline = words.collect::<Vec<_>>().join(" ");
                entry.command = "kernel".into();
                entry.line = line;
            }
            "initrd" => {
                for word in value.split_ascii_whitespace().take(64) {
                    let (volume, initrd) = split_device(places, root, word);
                    entry.add_initrd(places.file(volume, initrd));
                }
            }
            "lock" => entry.unrestricted = false,
            _ => {}
        }
    }
    menu.set_default(default, path);
    menu
}

/// The disk of `(hd0,0)/path`.
fn disk_of(text: &str) -> Option<usize> {
    text.strip_prefix("(hd")?.split([',', ')']).next()?.parse().ok()
}

/// The volume that `(hd0,0)` names.
pub(crate) fn volume_of(places: &Places<'_>, text: &str) -> Option<usize> {
    let disk = disk_of(text)?;
    let partition: u32 = text.split_once(',')?.1.split([',', ')']).next()?.parse().ok()?;
    partition_volume(places.layout, disk, partition.checked_add(1)?)
}

fn split_device<'t>(
    places: &Places<'_>,
    root: Option<usize>,
    path: &'t str,
) -> (Option<usize>, &'t str) {
    match path.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
        Some((_, rest)) => (volume_of(places, path), rest),
        None => (root, path),
    }
}
