//! ifupdown: `/etc/network/interfaces` and what it sources (`man 5 interfaces`).

use std::collections::BTreeSet;

use kiln_volume::{Result, Tree};

use super::{Binding, Profile, Report};

pub(crate) const MAIN: &str = "/etc/network/interfaces";
const MAX_FILES: usize = 200;
const MAX_LINES: usize = 20_000;
const CLIENTS: [&str; 4] = ["dhclient", "dhcpcd", "udhcpc", "pump"];

pub(crate) fn report(tree: &Tree) -> Result<Report> {
    let read = read(tree)?;
    let mut lacks_client = true;
    for dir in ["/sbin", "/usr/sbin", "/bin", "/usr/bin"] {
        for client in CLIENTS {
            lacks_client = lacks_client && !tree.exists(format!("{dir}/{client}"))?;
        }
    }
    Ok(Report {
        profiles: read.profiles(),
        ignores_rendered: !read.sources_drop_ins && !is_rendered(tree)?,
        lacks_client,
        ..Report::default()
    })
}

/// All files that ifupdown reads, in no particular order.
pub(crate) fn files(tree: &Tree) -> Result<Vec<String>> {
    Ok(read(tree)?.seen.into_iter().collect())
}

fn read(tree: &Tree) -> Result<Reading> {
    let mut read = Reading::default();
    read.file(tree, MAIN)?;
    Ok(read)
}

/// Old cloud-init writes the main file itself.
fn is_rendered(tree: &Tree) -> Result<bool> {
    let text = tree.read_text(MAIN)?.unwrap_or_default();
    Ok(text.contains("generated from information provided by the datasource"))
}

/// A stanza `iface NAME inet METHOD`.
#[derive(Debug)]
struct Stanza {
    path: String,
    line: u32,
    name: String,
    method: String,
    mac: Option<String>,
}

#[derive(Debug, Default)]
struct Reading {
    stanzas: Vec<Stanza>,
    /// Names after `auto` and `allow-hotplug`, patterns included.
    started: BTreeSet<String>,
    sources_drop_ins: bool,
    seen: BTreeSet<String>,
}

impl Reading {
    /// Read a file and what it sources. Each file is read once, so that two that source each other
    /// come to an end.
    fn file(&mut self, tree: &Tree, path: &str) -> Result<()> {
        let mut pending = vec![path.to_owned()];
        while let Some(path) = pending.pop() {
            if self.seen.len() >= MAX_FILES || !self.seen.insert(path.clone()) {
                continue;
            }
            let text = tree.read_text(&path)?.unwrap_or_default();
            for (pattern, is_dir) in self.text(&path, &text) {
                self.sources_drop_ins |= pattern.contains("interfaces.d");
                pending.extend(expand(tree, &pattern, is_dir)?);
            }
        }
        Ok(())
    }

    /// Read text; the patterns it sources, and whether each is a directory.
    fn text(&mut self, path: &str, text: &str) -> Vec<(String, bool)> {
        let mut sources = Vec::new();
        let mut in_stanza = false;
        for (line, text) in (1u32..).zip(text.lines()).take(MAX_LINES) {
            let mut words = text.split_whitespace();
            let Some(first) = words.next().filter(|word| !word.starts_with('#')) else { continue };
            match first {
                "auto" | "allow-auto" | "allow-hotplug" => {
                    self.started.extend(words.map(str::to_owned));
                    in_stanza = false;
                }
                "source" => sources.extend(words.map(|word| (word.to_owned(), false))),
                "source-directory" => sources.extend(words.map(|word| (word.to_owned(), true))),
                "iface" => {
                    in_stanza = false;
                    let (Some(name), Some("inet"), Some(method)) =
                        (words.next(), words.next(), words.next())
                    else {
                        continue;
                    };
                    in_stanza = true;
                    let (path, name, method) =
                        (path.to_owned(), name.to_owned(), method.to_owned());
                    self.stanzas.push(Stanza { path, line, name, method, mac: None });
                }
                "mapping" | "template" => in_stanza = false,
                "hwaddress" if in_stanza => {
                    let mac = words.next_back().map(str::to_owned);
                    // A stanza's `hwaddress` sets the address; with a pattern `mac/` it selects.
                    if let Some(last) = self.stanzas.last_mut() {
                        last.mac = mac.filter(|_| last.name.starts_with("mac/"));
                    }
                }
                _ => {}
            }
        }
        sources
    }

    fn profiles(&self) -> Vec<Profile> {
        let is_started = |name: &str| {
            self.started
                .iter()
                .any(|pattern| crate::services::matches(&plain(pattern), &plain(name)))
        };
        self.stanzas
            .iter()
            .filter(|stanza| stanza.name != "lo" && stanza.method != "loopback")
            .map(|stanza| {
                let is_pattern = stanza.name.contains(['*', '?', '/']);
                let binding = match &stanza.mac {
                    Some(mac) => Binding::Mac(mac.clone()),
                    None if is_pattern => Binding::Any,
                    None => Binding::Name(stanza.name.clone()),
                };
                Profile {
                    path: stanza.path.clone(),
                    line: Some(stanza.line),
                    binding,
                    dhcp: stanza.method == "dhcp",
                    is_static: stanza.method == "static",
                    auto: is_started(&stanza.name) || (is_pattern && !self.started.is_empty()),
                }
            })
            .collect()
    }
}

/// `/eth*` is a pattern in ifupdown; the slash is not part of it.
fn plain(name: &str) -> String {
    name.trim_start_matches('/').to_owned()
}

/// The files that a `source` line means. Relative ones are relative to `/etc/network`.
fn expand(tree: &Tree, pattern: &str, is_dir: bool) -> Result<Vec<String>> {
    let pattern = match pattern.starts_with('/') {
        true => pattern.to_owned(),
        false => format!("/etc/network/{pattern}"),
    };
    let is_legal =
        |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if is_dir || tree.is_dir(&pattern)? {
        let names = tree.list(&pattern)?.into_iter().map(|entry| entry.name_lossy());
        return Ok(names
            .filter(|name| is_legal(name))
            .take(MAX_FILES)
            .map(|name| format!("{pattern}/{name}"))
            .collect());
    }
    let Some((dir, last)) = pattern.rsplit_once('/') else { return Ok(Vec::new()) };
    if !last.contains(['*', '?']) {
        return Ok(vec![pattern]);
    }
    let names = tree.list(dir)?.into_iter().map(|entry| entry.name_lossy());
    Ok(names
        .filter(|name| crate::services::matches(last, name) && !name.starts_with('.'))
        .take(MAX_FILES)
        .map(|name| format!("{dir}/{name}"))
        .collect())
}
