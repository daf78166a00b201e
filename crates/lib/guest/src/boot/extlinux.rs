//! SYSLINUX and EXTLINUX (`extlinux.conf`, `syslinux.cfg`): `label` blocks with `kernel` or
//! `linux`, `append`, `initrd`; `default` names a label. Keywords know no case.

use super::places::Places;
use super::{BootEntry, Loader, Menu};

const MAX_ENTRIES: usize = 1000;

/// Read the menu at the guest path `path`. Relative names are beside the configuration.
pub(crate) fn parse(places: &Places<'_>, path: &str, text: &str) -> Menu {
    let mut menu = Menu::default();
    let mut default = String::new();
    let mut global_append = String::new();
    for (line, text) in (1u32..).zip(text.lines()) {
        let text = text.trim();
        let (key, value) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        let value = value.trim();
        let key = key.to_ascii_lowercase();
        match (key.as_str(), menu.entries.last_mut()) {
            ("label", _) => {
                if menu.entries.len() == MAX_ENTRIES {
                    break;
                }
                let mut entry = BootEntry::new(Loader::Syslinux, value, value, path, line);
                entry.cmdline.clone_from(&global_append);
                menu.entries.push(entry);
            }
            ("default" | "ontimeout", None) => value.clone_into(&mut default),
            // In tenths of a second; 0 waits for ever.
            ("timeout", _) => {
                menu.timeout_s =
                    value.parse::<i64>().ok().map(|t| if t == 0 { -1 } else { t / 10 });
            }
            ("append", None) => value.clone_into(&mut global_append),
            ("append", Some(entry)) => append(places, path, entry, value),
            ("kernel" | "linux", Some(entry)) => {
                let place = find(places, path, value);
                entry.kernel = Some(place.path);
                entry.kernel_found = place.found;
                entry.command = key;
                entry.line = line;
            }
            ("initrd", Some(entry)) => {
                for name in value.split(',').take(64) {
                    entry.add_initrd(find(places, path, name));
                }
            }
            ("menu", Some(entry)) => {
                if let Some(title) = value.get(..6).filter(|k| k.eq_ignore_ascii_case("label ")) {
                    entry.title = value.get(title.len()..).unwrap_or_default().replace('^', "");
                } else if value.eq_ignore_ascii_case("default") {
                    entry.id.clone_into(&mut default);
                }
            }
            _ => {}
        }
    }
    let index = menu.entries.iter().position(|entry| entry.id == default);
    menu.default = index.or((!menu.entries.is_empty()).then_some(0));
    menu
}

/// `append - ` drops the global line; `initrd=` among the words names initial ramdisks.
fn append(places: &Places<'_>, path: &str, entry: &mut BootEntry, value: &str) {
    let value = if value == "-" { "" } else { value };
    for names in value.split_ascii_whitespace().filter_map(|word| word.strip_prefix("initrd=")) {
        for name in names.split(',').take(64) {
            entry.add_initrd(find(places, path, name));
        }
    }
    value.clone_into(&mut entry.cmdline);
}

fn find(places: &Places<'_>, config: &str, name: &str) -> super::places::Place {
    if name.starts_with('/') {
        return places.file(places.volume_of(config), name);
    }
    let directory = config.rsplit_once('/').map_or("", |(directory, _)| directory);
    places.at(&format!("{directory}/{name}"))
}
