//! ifupdown: `eth0` asks for an address; stanzas of other NICs, and of what is built on them, go.

use std::collections::{BTreeMap, BTreeSet};

use super::super::lines::{self, Fate};
use super::super::{Draft, Stop};
use crate::check::dhcp::ifupdown;

const DROP_INS: &str = "/etc/network/interfaces.d";
const SOURCE: &str = "source /etc/network/interfaces.d/*";
const LOOPBACK: &str = "auto lo\niface lo inet loopback\n";
const ETH0: &str = "auto eth0\niface eth0 inet dhcp\n";

pub(super) fn mend(draft: &mut Draft, renders: bool) -> Result<(), Stop> {
    let whom = if renders { Whom::Static } else { Whom::ButEth0 };
    let keeps_eth0 = clear(draft, whom)?;
    if draft.tree()?.read_text(ifupdown::MAIN)?.is_none() {
        draft.write(ifupdown::MAIN, LOOPBACK, "ifupdown needs the file")?;
    }
    let reason = "eth0 gets an address by DHCP";
    if !renders && !keeps_eth0 {
        draft.rewrite(ifupdown::MAIN, reason, |text| {
            let text = lines::append(text.trim_end_matches('\n'), "");
            format!("{text}{ETH0}")
        })?;
    }
    if renders && ifupdown::report(draft.tree()?)?.ignores_rendered {
        let reason = "ifupdown reads what cloud-init writes";
        draft.rewrite(ifupdown::MAIN, reason, |text| format!("{SOURCE}\n\n{text}"))?;
    }
    Ok(())
}

/// Take all NICs away from ifupdown.
pub(super) fn leave_to_networkd(draft: &mut Draft) -> Result<(), Stop> {
    clear(draft, Whom::All).map(drop)
}

/// Whose stanzas go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whom {
    /// Those of every NIC.
    All,
    /// All but those of an `eth0` that asks for an address at boot.
    ButEth0,
    /// Those that give a static address.
    Static,
}

/// What the files together say of one name.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    methods: BTreeSet<String>,
    is_auto: bool,
    /// Ports of the bridge or bond that it is.
    ports: Option<String>,
}

/// Take stanzas away. Whether those of an `eth0` that asks for an address stay.
fn clear(draft: &mut Draft, whom: Whom) -> Result<bool, Stop> {
    let mut said = BTreeMap::new();
    let files = ifupdown::files(draft.tree()?)?;
    for path in &files {
        read(&draft.tree()?.read_text(path)?.unwrap_or_default(), &mut said);
    }
    let asks = |name: &str, said: &Said| {
        name == "eth0" && said.is_auto && said.methods.iter().all(|method| method == "dhcp")
    };
    let keeps_eth0 = whom == Whom::ButEth0 && said.iter().any(|(name, said)| asks(name, said));
    let goes: BTreeMap<&str, &Said> = said
        .iter()
        .filter(|(name, said)| match whom {
            _ if !is_nic(name, said) => false,
            Whom::All => true,
            Whom::ButEth0 => !asks(name, said),
            Whom::Static => said.methods.contains("static"),
        })
        .map(|(name, said)| (name.as_str(), said))
        .collect();
    let reason = reason(&goes);
    for path in files {
        let Some(text) = draft.tree()?.read_text(&path)? else { continue };
        let mut own = BTreeMap::new();
        read(&text, &mut own);
        if !own.keys().any(|name| goes.contains_key(name.as_str())) {
            continue;
        }
        let has_all = own.keys().all(|name| goes.contains_key(name.as_str()));
        if path.starts_with(DROP_INS) && has_all {
            draft.disable(&path, reason.as_str())?;
        } else {
            draft.rewrite(&path, reason.as_str(), |text| without(text, &goes))?;
        }
    }
    Ok(keeps_eth0)
}

fn reason(goes: &BTreeMap<&str, &Said>) -> String {
    let names: Vec<String> = goes
        .iter()
        .map(|(name, said)| match &said.ports {
            Some(ports) => format!("{name} (over {ports})"),
            None => (*name).to_owned(),
        })
        .collect();
    format!("the instance has one NIC, which asks for its address; out goes {}", names.join(", "))
}

/// Whether a name is a NIC's, or of something that is built on NICs.
fn is_nic(name: &str, said: &Said) -> bool {
    let other = ["lo", "wl", "ww", "ppp", "tun", "tap", "docker", "veth", "virbr", "dummy"];
    let own = ["loopback", "ppp", "wvdial", "tunnel", "v4tunnel", "6to4"];
    let is_host_only = said.ports.as_deref() == Some("none");
    !other.iter().any(|start| name.starts_with(start))
        && !said.methods.iter().any(|method| own.contains(&method.as_str()))
        && !is_host_only
}

/// A line's first word, where it begins something; those of a stanza's options do not.
fn keyword(line: &str) -> Option<&str> {
    let word = line.split_whitespace().next()?;
    let is_one = matches!(
        word,
        "auto"
            | "iface"
            | "mapping"
            | "template"
            | "source"
            | "source-directory"
            | "rename"
            | "no-auto-down"
            | "no-scripts"
    ) || word.starts_with("allow-");
    is_one.then_some(word)
}

fn read(text: &str, said: &mut BTreeMap<String, Said>) {
    const MAX_LINES: usize = 20_000;
    let mut current: Option<String> = None;
    for line in text.lines().take(MAX_LINES) {
        let mut words = line.split_whitespace();
        match keyword(line) {
            Some("iface") => {
                let (Some(name), family, method) = (words.nth(1), words.next(), words.next())
                else {
                    continue;
                };
                let entry = said.entry(name.to_owned()).or_default();
                if family == Some("inet") {
                    entry.methods.extend(method.map(str::to_owned));
                }
                current = Some(name.to_owned());
            }
            Some(word) => {
                current = None;
                if word == "auto" || word.starts_with("allow-") {
                    for name in words.skip(1) {
                        said.entry(name.to_owned()).or_default().is_auto = true;
                    }
                }
            }
            None => {
                let Some(entry) = current.as_ref().and_then(|name| said.get_mut(name)) else {
                    continue;
                };
                let option = words.next().unwrap_or_default().replace('_', "-");
                let is_list = matches!(
                    option.as_str(),
                    "bridge-ports" | "bond-slaves" | "slaves" | "vlan-raw-device"
                );
                if is_list {
                    entry.ports = Some(words.collect::<Vec<_>>().join(" "));
                }
            }
        }
    }
}

/// `text` without the stanzas of the names in `goes`, and without these names after `auto`.
fn without(text: &str, goes: &BTreeMap<&str, &Said>) -> String {
    let mut in_stanza = false;
    // A line that ends in a backslash goes on in the next one.
    let mut goes_on = None;
    lines::edit(text, |line| {
        let drops = match (goes_on, keyword(line)) {
            (Some(drops), _) => drops,
            (None, Some("iface")) => {
                let name = line.split_whitespace().nth(1).unwrap_or_default();
                in_stanza = goes.contains_key(name);
                in_stanza
            }
            (None, Some(word)) => {
                in_stanza = false;
                if word == "auto" || word.starts_with("allow-") {
                    return started(line, goes);
                }
                false
            }
            // A comment at the edge of a stanza may be about what follows.
            (None, None) => in_stanza && !line.trim().is_empty() && !line.starts_with('#'),
        };
        goes_on = line.trim_end().ends_with('\\').then_some(drops);
        if drops { Fate::Drop } else { Fate::Keep }
    })
}

/// What becomes of a line that starts NICs.
fn started(line: &str, goes: &BTreeMap<&str, &Said>) -> Fate {
    let words: Vec<&str> = line.split_whitespace().collect();
    let kept: Vec<&str> =
        words.iter().skip(1).filter(|name| !goes.contains_key(**name)).copied().collect();
    match kept.len() {
        n if n + 1 == words.len() => Fate::Keep,
        0 => Fate::Drop,
        _ => Fate::Become(format!("{} {}", words.first().unwrap_or(&"auto"), kept.join(" "))),
    }
}
