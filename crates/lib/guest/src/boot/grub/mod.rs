//! GRUB 2: from `grub.cfg` to the menu and the entry that boots by itself.

mod eval;
mod lexer;
mod search;
#[cfg(test)]
mod tests;

use self::eval::{Item, Loads, Shell};
use super::bls::{self, BlsEntry};
use super::places::Places;
use super::{BootEntry, BootFact, Loader};
use crate::check::Evidence;

/// As deep as a menu is looked into; deeper ones are nothing a person would use.
const MAX_SUBMENUS: usize = 8;

/// A configuration, run.
#[derive(Clone, Debug, Default)]
pub(crate) struct GrubMenu {
    /// Files in the order they were read.
    pub(crate) files: Vec<String>,
    /// The volume the menu was read from.
    pub(crate) config_volume: Option<usize>,
    pub(crate) entries: Vec<BootEntry>,
    pub(crate) default: Option<usize>,
    pub(crate) timeout_s: Option<i64>,
    pub(crate) facts: Vec<BootFact>,
    /// Where an ESP stub looked for the menu and found nothing: the last search that failed.
    pub(crate) failed_search: Option<String>,
}

/// An entry with the way to it: indexes, titles and ids of each level.
struct Found {
    entry: BootEntry,
    way: Vec<Step>,
}

#[derive(Clone)]
struct Step {
    index: usize,
    id: String,
    title: String,
}

/// Run the configuration at the guest path `path`, as firmware's GRUB would from that file on.
/// `platform` is `pc` or `efi`.
pub(crate) fn menu(places: &Places<'_>, path: &str, platform: &str) -> GrubMenu {
    let mut shell = Shell::new(places, platform);
    if let Some(volume) = places.volume_of(path) {
        shell.set("root", &Places::name_of(volume));
    }
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    // $prefix is a path on a device; a guest path is found from any device that is not named.
    shell.set("prefix", &format!("(){directory}"));
    shell.set("config_directory", &format!("(){directory}"));
    let _was_read = shell.run_file(path, 0);
    let failed_search = shell.loads.search.take().filter(|(_, found)| !found).map(|(uuid, _)| uuid);
    let mut found = Vec::new();
    collect(&mut shell, &mut found);
    blscfg(&mut shell, failed_search.as_deref(), &mut found);
    let wanted = shell.get("default").to_owned();
    let default = choose(&mut shell, &wanted, &found);
    let timeout_s = shell.get("timeout").trim().parse().ok();
    GrubMenu {
        config_volume: shell.config_volume,
        entries: found.into_iter().map(|found| found.entry).collect(),
        default,
        timeout_s,
        failed_search,
        files: shell.files,
        facts: shell.facts,
    }
}

/// Run the block of every entry, submenus in place, with a list and not by recursion: menus nest
/// as deep as the image says.
fn collect(shell: &mut Shell<'_>, found: &mut Vec<Found>) {
    let locked = !shell.get("superusers").is_empty();
    let mut pending: Vec<(Vec<Step>, Item)> = numbered(&[], std::mem::take(&mut shell.items));
    while let Some((way, item)) = pending.pop() {
        if found.len() >= eval::MAX_ITEMS {
            return;
        }
        let variables = shell.variables.clone();
        shell.loads = Loads::default();
        shell.run(&item.source, item.body.clone(), 0);
        let inner = std::mem::take(&mut shell.items);
        if item.is_submenu {
            if way.len() < MAX_SUBMENUS {
                pending.extend(numbered(&way, inner));
            }
        } else {
            let mut entry = entry(shell.places, &item, std::mem::take(&mut shell.loads), locked);
            let ids: Vec<&str> = way.iter().map(|step| step.id.as_str()).collect();
            entry.selector = ids.join(">");
            found.push(Found { entry, way });
        }
        shell.variables = variables;
    }
}

/// Items with the way to each, the first last, to be taken from the end.
fn numbered(above: &[Step], items: Vec<Item>) -> Vec<(Vec<Step>, Item)> {
    let step = |(index, item): (usize, Item)| {
        let mut way = above.to_vec();
        way.push(Step { index, id: item.id.clone(), title: item.title.clone() });
        (way, item)
    };
    items.into_iter().enumerate().map(step).rev().collect()
}

fn entry(places: &Places<'_>, item: &Item, loads: Loads, locked: bool) -> BootEntry {
    let mut entry = BootEntry {
        loader: Loader::Grub2,
        id: item.id.clone(),
        selector: item.id.clone(),
        title: item.title.clone(),
        kernel: None,
        kernel_found: false,
        initrds: Vec::new(),
        missing_initrds: Vec::new(),
        cmdline: String::new(),
        command: String::new(),
        search_uuid: loads.search.map(|(uuid, _)| uuid),
        legacy_root: None,
        unrestricted: !locked || item.unrestricted,
        source: item.source.path.to_string(),
        line: item.line,
    };
    if let Some(kernel) = loads.kernel {
        let place = places.file(kernel.volume, &kernel.path);
        entry.kernel = Some(place.path);
        entry.kernel_found = place.found;
        entry.cmdline = kernel.cmdline;
        entry.command = kernel.command;
        entry.source = kernel.source.to_string();
        entry.line = kernel.line;
    }
    for (volume, path) in loads.initrds {
        entry.add_initrd(places.file(volume, &path));
    }
    entry
}

/// The entries of the Boot Loader Specification, where the configuration shows them.
fn blscfg(shell: &mut Shell<'_>, failed_search: Option<&str>, found: &mut Vec<Found>) {
    let Some((volume, path, line)) = shell.blscfg.take() else { return };
    let places = shell.places;
    let directory = places
        .find(volume, "/loader/entries")
        .or_else(|| places.find(volume, "/boot/loader/entries"))
        .or_else(|| places.find(None, "/loader/entries"));
    let Some(directory) = directory else {
        let message = format!("{path} shows boot loader entries, and there is no loader/entries");
        shell.fact("Grub.ConfigMissing", message, Evidence::line(path, line, "blscfg"));
        return;
    };
    let locked = !shell.get("superusers").is_empty();
    let entries = bls::sorted_entries(places.tree, &directory);
    let n_before = found.len();
    for (index, bls) in entries.iter().enumerate() {
        let entry = bls_entry(shell, bls, volume, failed_search, locked);
        let step = Step { index, id: bls.id.clone(), title: bls.title.clone() };
        found.insert(index.min(found.len()), Found { entry, way: vec![step] });
    }
    // They come in front of what the file itself lists: blscfg is run in 10_linux's place.
    let n_new = found.len() - n_before;
    for found in found.iter_mut().skip(n_new) {
        if let Some(first) = found.way.first_mut() {
            first.index += n_new;
        }
    }
}

fn bls_entry(
    shell: &Shell<'_>,
    bls: &BlsEntry,
    volume: Option<usize>,
    failed_search: Option<&str>,
    locked: bool,
) -> BootEntry {
    let places = shell.places;
    let mut options = expand(&bls.options, shell);
    // A block without kernelopts (copied, or made anew) makes GRUB take the default of the file.
    if options.trim().is_empty() && bls.options.contains("kernelopts") {
        shell.get("default_kernelopts").clone_into(&mut options);
    }
    let users = bls.users.as_deref().map(|users| expand(users, shell));
    let mut entry = BootEntry {
        loader: Loader::Grub2,
        id: bls.id.clone(),
        selector: bls.id.clone(),
        title: if bls.title.is_empty() { bls.id.clone() } else { bls.title.clone() },
        kernel: None,
        kernel_found: false,
        initrds: Vec::new(),
        missing_initrds: Vec::new(),
        cmdline: options.split_ascii_whitespace().collect::<Vec<_>>().join(" "),
        command: "options".into(),
        search_uuid: failed_search.map(String::from),
        legacy_root: None,
        // Fedora's menus let everybody start what is listed unless grub_users says otherwise.
        unrestricted: !locked || users.is_some_and(|users| users.trim().is_empty()),
        source: bls.path.clone(),
        line: bls.line,
    };
    if let Some(linux) = &bls.linux {
        let place = places.file(volume, linux);
        entry.kernel = Some(place.path);
        entry.kernel_found = place.found;
    }
    for initrd in &bls.initrds {
        for path in expand(initrd, shell).split_ascii_whitespace() {
            entry.add_initrd(places.file(volume, path));
        }
    }
    entry
}

/// Replace `$name` and `${name}`, as `blscfg` does in `options`.
fn expand(text: &str, shell: &Shell<'_>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let (name, after) = match after.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            Some(found) => found,
            None => {
                let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let end = after.find(|c| !is_part(c)).unwrap_or(after.len());
                after.split_at_checked(end).unwrap_or((after, ""))
            }
        };
        if out.len() < 64 << 10 {
            out.push_str(shell.get(name));
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The entry that `wanted` (the variable `default`) names: `2`, `1>0`, a title, an id.
fn choose(shell: &mut Shell<'_>, wanted: &str, found: &[Found]) -> Option<usize> {
    if found.is_empty() {
        return None;
    }
    let parts: Vec<&str> = wanted.split('>').map(str::trim).collect();
    if wanted.is_empty() {
        return Some(0);
    }
    let matches = |found: &Found| {
        parts.iter().zip(&found.way).all(|(part, step)| {
            part.parse() == Ok(step.index) || *part == step.id || *part == step.title
        }) && parts.len() <= found.way.len()
    };
    // A path that ends at a submenu boots the submenu's first entry, which comes first here.
    let whole = |found: &Found| {
        found.way.first().is_some_and(|step| wanted == step.id || wanted == step.title)
    };
    let index = found.iter().position(|found| whole(found) || matches(found));
    if index.is_none() {
        let path = shell.files.last().cloned().unwrap_or_default();
        let message =
            format!("the default entry {wanted:?} is not in the menu; GRUB boots the first");
        let evidence = Evidence::file(path, format!("default={wanted}"));
        shell.fact("Grub.DefaultEntryInvalid", message, evidence);
    }
    Some(index.unwrap_or(0))
}
