//! Starting a service of the guest at boot: the links that `systemctl enable`, `chkconfig` and
//! `rc-update` would make, made without running any of them.

use kiln_volume::Result;

use super::Draft;
use crate::services::{self, ServiceState};
use crate::syntax::ini::{self, Section};

const ETC: &str = "/etc/systemd/system";
/// Units that one `[Install]` section may name: NetworkManager, which names most, has two.
const MAX_NAMED: usize = 16;

/// Let the service `name` (without suffix) start at boot. `false`: there is no such service.
///
/// # Errors
///
/// Where the guest cannot be read, or something else is where a link has to be.
pub(super) fn enable(draft: &mut Draft, name: &str, reason: &str) -> Result<bool> {
    if services::has_systemd(draft.tree()?)? {
        let unit = if name.contains('.') { name.to_owned() } else { format!("{name}.service") };
        unmask(draft, &unit, reason)?;
        if services::unit_file(draft.tree()?, &unit)?.is_some() {
            enable_unit(draft, &unit, reason)?;
            return Ok(true);
        }
    }
    for enable in [sysv, upstart, openrc] {
        if enable(draft, name, reason)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Take away the link to `/dev/null`, or the empty file, that masks a unit.
fn unmask(draft: &mut Draft, unit: &str, reason: &str) -> Result<()> {
    // Each directory may have a mask, and the first that has the name wins.
    for dir in services::UNIT_DIRS {
        if !services::is_masked(draft.tree()?, unit)? {
            break;
        }
        let path = format!("{dir}/{unit}");
        if draft.tree()?.locate_link(&path)?.is_some() {
            draft.remove(path.as_str(), reason)?;
        }
    }
    Ok(())
}

/// Enable a unit, and those that its `[Install]` section names beside it.
fn enable_unit(draft: &mut Draft, unit: &str, reason: &str) -> Result<()> {
    let mut units = vec![unit.to_owned()];
    let mut next = 0;
    while let Some(unit) = units.get(next).cloned() {
        next += 1;
        let Some((path, text)) = services::unit_file(draft.tree()?, &unit)? else { continue };
        let sections = ini::parse(&text);
        let is_asked_for = next == 1;
        if is_asked_for && services::state(draft.tree()?, &unit)?.is_enabled() {
            return Ok(());
        }
        for link in links(&unit, &sections, is_asked_for) {
            draft.symlink(&link, &path, reason)?;
        }
        for name in names(&sections, "Also") {
            if units.len() < MAX_NAMED && !units.contains(&name) {
                units.push(name);
            }
        }
    }
    Ok(())
}

/// The links that enable `unit`. One without `[Install]` is wanted by what starts all services, if
/// it was asked for by name.
fn links(unit: &str, sections: &[Section], is_asked_for: bool) -> Vec<String> {
    let mut links = Vec::new();
    for (key, suffix) in [("WantedBy", "wants"), ("RequiredBy", "requires")] {
        let targets = names(sections, key);
        links.extend(targets.iter().map(|target| format!("{ETC}/{target}.{suffix}/{unit}")));
    }
    if links.is_empty() && is_asked_for {
        links.push(format!("{ETC}/multi-user.target.wants/{unit}"));
    }
    let aliases = names(sections, "Alias");
    links.extend(aliases.iter().filter(|alias| *alias != unit).map(|a| format!("{ETC}/{a}")));
    links
}

/// The units that a key of `[Install]` names. A name with a slash would lead elsewhere.
fn names(sections: &[Section], key: &str) -> Vec<String> {
    ini::values(sections, "Install", key)
        .flat_map(|entry| entry.value.split_whitespace())
        .filter(|name| !name.contains(['/', '%']) && !name.starts_with('.'))
        .take(MAX_NAMED)
        .map(str::to_owned)
        .collect()
}

/// Start links for the run levels that the script's head names (`# chkconfig: 2345 10 90`), or else
/// for all in which services start.
fn sysv(draft: &mut Draft, name: &str, reason: &str) -> Result<bool> {
    let tree = draft.tree()?;
    let dirs = ["/etc/rc.d/init.d", "/etc/init.d"];
    let mut script = None;
    for dir in dirs {
        let path = format!("{dir}/{name}");
        if script.is_none() && tree.is_file(&path)? {
            script = Some(path);
        }
    }
    let Some(script) = script else { return Ok(false) };
    if tree.is_dir("/etc/runlevels")? {
        return Ok(false); // OpenRC keeps its scripts in init.d too
    }
    if services::state(tree, name)?.is_enabled() {
        return Ok(true);
    }
    let text = tree.read_text(&script)?.unwrap_or_default();
    let (levels, order) = start_levels(&text);
    let base = if tree.is_dir("/etc/rc.d")? { "/etc/rc.d" } else { "/etc" };
    for level in levels {
        let link = format!("{base}/rc{level}.d/S{order:02}{name}");
        draft.symlink(&link, &format!("../init.d/{name}"), reason)?;
    }
    Ok(true)
}

/// Run levels and the place in their order.
fn start_levels(script: &str) -> (Vec<char>, u8) {
    let is_level = |c: &char| matches!(c, '2'..='5');
    for line in script.lines().take(100) {
        let Some(comment) = line.trim().strip_prefix('#') else { continue };
        let Some(values) = comment.trim().strip_prefix("chkconfig:") else { continue };
        let mut words = values.split_whitespace();
        let levels: Vec<char> = words.next().unwrap_or_default().chars().filter(is_level).collect();
        let order = words.next().and_then(|word| word.parse().ok()).filter(|order| *order < 100);
        if !levels.is_empty() {
            return (levels, order.unwrap_or(50));
        }
    }
    (vec!['2', '3', '4', '5'], 50)
}

/// Take the word `manual` out of a job's override.
fn upstart(draft: &mut Draft, name: &str, reason: &str) -> Result<bool> {
    if services::upstart(draft.tree()?, name)? == ServiceState::Absent {
        return Ok(false);
    }
    let path = format!("/etc/init/{name}.override");
    draft.rewrite(&path, reason, |text| {
        text.split_inclusive('\n').filter(|line| line.trim() != "manual").collect()
    })?;
    Ok(services::upstart(draft.tree()?, name)?.is_enabled())
}

/// A link in the run level where Alpine has the service.
fn openrc(draft: &mut Draft, name: &str, reason: &str) -> Result<bool> {
    if services::openrc(draft.tree()?, name)? == ServiceState::Absent {
        return Ok(false);
    }
    if !services::openrc(draft.tree()?, name)?.is_enabled() {
        let level = match name {
            "networking" | "cloud-init-local" => "boot",
            _ => "default",
        };
        let link = format!("/etc/runlevels/{level}/{name}");
        draft.symlink(&link, &format!("/etc/init.d/{name}"), reason)?;
    }
    Ok(true)
}
