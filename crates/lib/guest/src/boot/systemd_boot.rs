//! systemd-boot: `loader/loader.conf`, entries of the Boot Loader Specification and unified images
//! in `EFI/Linux`, on the ESP and on the extended boot partition.

use super::bls;
use super::places::{Places, find_ignoring_case};
use super::{BootEntry, Loader, Menu, uki};

/// Read the menu of the ESP mounted at the guest path `esp`.
pub(crate) fn parse(places: &Places<'_>, esp: &str, config: &str) -> Menu {
    let mut menu = Menu::default();
    let mut default = String::new();
    let text = places.tree.read_text(config).ok().flatten().unwrap_or_default();
    for line in text.lines() {
        let Some((key, value)) = line.trim().split_once([' ', '\t']) else { continue };
        match key {
            "default" => value.trim().clone_into(&mut default),
            "timeout" => {
                menu.timeout_s = match value.trim() {
                    "menu-force" => Some(-1),
                    value => value.parse().ok(),
                };
            }
            _ => {}
        }
    }
    let mut tops = vec![esp.trim_end_matches('/').to_owned()];
    if esp.trim_end_matches('/') != "/boot" {
        tops.push("/boot".into());
    }
    for top in &tops {
        for found in bls::sorted_entries(places.tree, &format!("{top}/loader/entries")) {
            menu.entries.push(entry(places, &found));
        }
        menu.entries.extend(uki::entries(places, &format!("{top}/EFI/Linux")));
    }
    let index = menu.entries.iter().position(|entry| matches_glob(&default, &entry.id));
    menu.default = index.or((!menu.entries.is_empty()).then_some(0));
    menu
}

fn entry(places: &Places<'_>, found: &bls::BlsEntry) -> BootEntry {
    let title = if found.title.is_empty() { &found.id } else { &found.title };
    let mut entry = BootEntry::new(Loader::SystemdBoot, &found.id, title, &found.path, found.line);
    entry.cmdline.clone_from(&found.options);
    entry.command = "options".into();
    let volume = places.volume_of(&found.path);
    if let Some(linux) = &found.linux {
        let place = places.file(volume, linux);
        entry.kernel = Some(place.path);
        entry.kernel_found = place.found;
    }
    for initrd in &found.initrds {
        entry.add_initrd(places.file(volume, initrd));
    }
    entry
}

/// `default` is a pattern over the file name, with or without `.conf`. Only `*` is in use.
fn matches_glob(pattern: &str, id: &str) -> bool {
    let pattern = pattern.strip_suffix(".conf").unwrap_or(pattern);
    let Some((first, rest)) = pattern.split_once('*') else {
        return !pattern.is_empty() && pattern == id;
    };
    let Some(mut left) = id.strip_prefix(first) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        match left.find(part) {
            Some(at) => left = left.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}

/// The configuration of systemd-boot on the ESP mounted at `esp`.
pub(crate) fn config(places: &Places<'_>, esp: &str) -> Option<String> {
    find_ignoring_case(places.tree, &format!("{}/loader/loader.conf", esp.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::matches_glob;

    #[test]
    fn default_is_a_pattern() {
        for (pattern, id, expected) in [
            ("arch.conf", "arch", true),
            ("arch", "arch-fallback", false),
            ("debian-*", "debian-6.1", true),
            ("*-6.1.conf", "debian-6.1", true),
            ("*deb*6*", "debian-6.1", true),
            ("", "", false),
        ] {
            assert_eq!(matches_glob(pattern, id), expected, "{pattern} {id}");
        }
    }
}
