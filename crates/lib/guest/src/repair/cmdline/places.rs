//! Which files hold a guest's command lines, and what each is.

use std::collections::BTreeSet;

use kiln_volume::{Result, Tree};

use super::formats::{self, assigned};
use super::words::is_same_name;
use super::{ArgEdit, Entries, grub_text};
use crate::boot::places::find_ignoring_case;
use crate::{Guest, Loader};

/// Vendor directories of an ESP, entries of a menu, snippets of `grub.d`: a few each.
const MAX_FILES: usize = 1000;

/// A file with command lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) path: String,
    pub(super) format: Format,
}

/// What a file is, and which of its command lines are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// `grub.cfg`: all kernels, or the one in a line.
    Grub(Option<u32>),
    /// An entry of the Boot Loader Specification, and whether it is the place for new words.
    Bls { may_add: bool },
    /// `grub.conf`, `menu.lst`, likewise.
    Legacy(Option<u32>),
    /// `extlinux.conf`: all labels, or the one that holds a line.
    Extlinux(Option<u32>),
    /// Shell assignments, and which of those in the file is the place for new words.
    Shell { add_to: Option<usize>, add_line: bool },
    /// `/etc/kernel/cmdline`.
    Whole,
    /// `grubenv`.
    Environment,
}

impl Format {
    /// `text` with the edits made.
    pub(super) fn edited(&self, text: &str, edits: &[ArgEdit]) -> String {
        match self {
            Self::Grub(only) => grub_text::edited(text, *only, edits),
            Self::Bls { may_add } => formats::bls(text, *may_add, edits),
            Self::Legacy(only) => formats::legacy(text, *only, edits),
            Self::Extlinux(only) => formats::extlinux(text, *only, edits),
            Self::Shell { add_to, add_line } => {
                let changed = formats::shell(text, SHELL_NAMES, *add_to, edits);
                let added = super::words::edited("", edits);
                if !add_line || added.is_empty() {
                    return changed;
                }
                let gap = if changed.is_empty() || changed.ends_with('\n') { "" } else { "\n" };
                format!("{changed}{gap}GRUB_CMDLINE_LINUX=\"{added}\"\n")
            }
            Self::Whole => formats::whole(text, edits),
            Self::Environment => text.to_owned(),
        }
    }
}

/// Variables that tools make entries from: `grub-mkconfig`, perl-Bootloader of SUSE 11, Alpine's
/// `update-extlinux`.
const SHELL_NAMES: &[&str] = &[
    "GRUB_CMDLINE_LINUX",
    "GRUB_CMDLINE_LINUX_DEFAULT",
    "GRUB_CMDLINE_LINUX_RECOVERY",
    "GRUB_CMDLINE_LINUX_XEN_REPLACE",
    "GRUB_CMDLINE_LINUX_XEN_REPLACE_DEFAULT",
    "DEFAULT_APPEND",
    "FAILSAFE_APPEND",
    "XEN_KERNEL_APPEND",
    "default_kernel_opts",
];

/// Where the words of `edits` are or belong, each file once.
pub(super) fn of(guest: &Guest, entries: Entries, edits: &[ArgEdit]) -> Result<Vec<Place>> {
    let mut places = match entries {
        Entries::All => all(guest)?,
        Entries::Default => default(guest),
    };
    places.extend(persistent(&guest.tree, edits)?);
    existing(&guest.tree, places)
}

/// The files of every menu that are there, each once, with whose they are.
pub(in crate::repair) fn configurations(guest: &Guest) -> Result<Vec<(Loader, String)>> {
    let found = existing(&guest.tree, all(guest)?)?.into_iter();
    let configuration = |place: Place| match place.format {
        Format::Grub(_) => Some((Loader::Grub2, place.path)),
        Format::Legacy(_) => Some((Loader::GrubLegacy, place.path)),
        Format::Extlinux(_) => Some((Loader::Syslinux, place.path)),
        _ => None,
    };
    Ok(found.filter_map(configuration).collect())
}

/// Those of `places` where a file is, each file once.
fn existing(tree: &Tree, places: Vec<Place>) -> Result<Vec<Place>> {
    let mut seen = BTreeSet::new();
    let mut kept = Vec::new();
    for place in places {
        // `/etc/grub.conf` is a link to the menu, `grubenv` one into the ESP.
        if let Some(at) = tree.locate(&place.path)?
            && tree.is_file(&place.path)?
            && seen.insert(at.path)
        {
            kept.push(place);
        }
    }
    Ok(kept)
}

/// The files of every menu, the loader's that runs and those it would fall back to.
fn all(guest: &Guest) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    let mut add = |path: String, format| places.push(Place { path, format });
    for (loader, path) in &guest.boot.configs {
        match loader {
            Loader::Grub2 => add(path.clone(), Format::Grub(None)),
            Loader::GrubLegacy => add(path.clone(), Format::Legacy(None)),
            Loader::Syslinux => add(path.clone(), Format::Extlinux(None)),
            _ => {}
        }
    }
    for directory in ["/boot/grub2", "/boot/grub"] {
        add(format!("{directory}/grub.cfg"), Format::Grub(None));
        add(format!("{directory}/custom.cfg"), Format::Grub(None));
        add(format!("{directory}/grubenv"), Format::Environment);
    }
    for path in ["/boot/grub/grub.conf", "/boot/grub/menu.lst", "/etc/grub.conf"] {
        add(path.to_owned(), Format::Legacy(None));
    }
    for path in [
        "/boot/extlinux/extlinux.conf",
        "/boot/extlinux.conf",
        "/boot/syslinux/syslinux.cfg",
        "/boot/syslinux/extlinux.conf",
    ] {
        add(path.to_owned(), Format::Extlinux(None));
    }
    for esp in ["/boot/efi", "/efi", "/boot"] {
        let Some(efi) = find_ignoring_case(&guest.tree, &format!("{esp}/EFI")) else { continue };
        for vendor in guest.tree.list(&efi)?.iter().take(MAX_FILES) {
            let directory = format!("{efi}/{}", vendor.name_lossy());
            add(format!("{directory}/grub.cfg"), Format::Grub(None));
            add(format!("{directory}/grub.conf"), Format::Legacy(None));
            add(format!("{directory}/grubenv"), Format::Environment);
        }
    }
    places.extend(bls(&guest.tree)?);
    Ok(places)
}

fn bls(tree: &Tree) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    for top in ["/boot", "/boot/efi", "/efi"] {
        let directory = format!("{top}/loader/entries");
        for entry in tree.list(&directory)?.iter().take(MAX_FILES) {
            let name = entry.name_lossy();
            if name.ends_with(".conf") {
                places.push(bls_entry(tree, format!("{directory}/{name}"))?);
            }
        }
    }
    Ok(places)
}

/// An entry whose options are a variable gets new words where that is kept, with all the others.
fn bls_entry(tree: &Tree, path: String) -> Result<Place> {
    let text = tree.read_text(&path)?.unwrap_or_default();
    let is_shared = text.contains("$kernelopts") || text.contains("${kernelopts}");
    Ok(Place { path, format: Format::Bls { may_add: !is_shared } })
}

/// The files that the entry which boots is in.
fn default(guest: &Guest) -> Vec<Place> {
    let Some(entry) = guest.boot.default_entry().filter(|_| !guest.boot.assumed) else {
        return Vec::new();
    };
    let only = Some(entry.line);
    let path = entry.source.clone();
    match (entry.loader, entry.command.as_str()) {
        (Loader::Grub2 | Loader::SystemdBoot, "options") => {
            let Ok(place) = bls_entry(&guest.tree, path) else { return Vec::new() };
            let mut places = Vec::new();
            if place.format == (Format::Bls { may_add: false }) {
                let configs = guest.boot.configs.iter().map(|(_, path)| path);
                for path in configs {
                    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
                    places.push(Place {
                        path: format!("{directory}/grubenv"),
                        format: Format::Environment,
                    });
                    // No kernel is in line 0: only the variable for the command line is changed.
                    places.push(Place { path: path.clone(), format: Format::Grub(Some(0)) });
                }
            }
            places.insert(0, place);
            places
        }
        (Loader::Grub2, _) => vec![Place { path, format: Format::Grub(only) }],
        (Loader::GrubLegacy, _) => vec![Place { path, format: Format::Legacy(only) }],
        (Loader::Syslinux, _) => vec![Place { path, format: Format::Extlinux(only) }],
        _ => Vec::new(),
    }
}

/// What the entries of later kernels are made from.
fn persistent(tree: &Tree, edits: &[ArgEdit]) -> Result<Vec<Place>> {
    let mut places: Vec<Place> = ["/etc/kernel/cmdline", "/usr/lib/kernel/cmdline"]
        .into_iter()
        .map(|path| Place { path: path.to_owned(), format: Format::Whole })
        .collect();
    for path in ["/etc/sysconfig/bootloader", "/etc/update-extlinux.conf"] {
        let format = Format::Shell { add_to: None, add_line: false };
        places.push(Place { path: path.to_owned(), format });
    }
    places.extend(grub_defaults(tree, edits)?);
    Ok(places)
}

/// `/etc/default/grub` and its snippets: the last assignment of `GRUB_CMDLINE_LINUX` counts, so a
/// word that none of them has yet goes there.
fn grub_defaults(tree: &Tree, edits: &[ArgEdit]) -> Result<Vec<Place>> {
    const MAIN: &str = "/etc/default/grub";
    const SNIPPETS: &str = "/etc/default/grub.d";
    let mut names: Vec<String> = tree
        .list(SNIPPETS)?
        .iter()
        .map(kiln_volume::DirEntry::name_lossy)
        .filter(|name| name.ends_with(".cfg"))
        .take(MAX_FILES)
        .collect();
    names.sort();
    let mut paths = vec![MAIN.to_owned()];
    paths.extend(names.iter().map(|name| format!("{SNIPPETS}/{name}")));
    let (mut target, mut second) = (None, None);
    let mut is_there = false;
    for path in &paths {
        let Some(text) = tree.read_text(path)? else { continue };
        for (index, value) in assigned(&text).iter().enumerate() {
            match value.name {
                "GRUB_CMDLINE_LINUX" => target = Some((path.clone(), index)),
                "GRUB_CMDLINE_LINUX_DEFAULT" => second = Some((path.clone(), index)),
                _ => continue,
            }
            is_there |= value.words(&text).iter().any(|word| sets(edits, &word.text));
        }
    }
    let target = target.or(second);
    let place = |path: String| {
        let mine = target.as_ref().filter(|(target, _)| *target == path && !is_there);
        let add_line = target.is_none() && path == MAIN;
        Place { format: Format::Shell { add_to: mine.map(|(_, index)| *index), add_line }, path }
    };
    Ok(paths.into_iter().map(place).collect())
}

fn sets(edits: &[ArgEdit], word: &str) -> bool {
    let name = word.split_once('=').map_or(word, |(name, _)| name);
    edits
        .iter()
        .any(|edit| matches!(edit, ArgEdit::Set { name: set, .. } if is_same_name(set, name)))
}
