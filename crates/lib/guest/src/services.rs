//! Which services start at boot, told without running anything: systemd's links, SysV's start
//! scripts, Upstart's jobs and OpenRC's run levels.
//!
//! `systemctl is-enabled` looks at links only in `/etc`; what starts is more than that: links that
//! packages ship in `/usr/lib`, aliases, units without `[Install]` that another unit wants, and on
//! the first boot the presets (`man 5 systemd.preset`).

use kiln_volume::{Result, Tree};

use crate::syntax::ini;

/// Where units are, the first that has a name wins. `/run` is empty in an image.
pub(crate) const UNIT_DIRS: [&str; 4] = [
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
const PRESET_DIRS: [&str; 3] =
    ["/etc/systemd/system-preset", "/usr/lib/systemd/system-preset", "/lib/systemd/system-preset"];
/// As many directories of links, and unit files that name others, as kiln looks into.
const MAX_UNITS: usize = 20_000;

/// Whether a service starts at boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServiceState {
    /// It starts; `by` is the link, the preset or the job that says so.
    Enabled {
        /// Path in the guest.
        by: String,
    },
    /// It is there and does not start.
    Disabled,
    /// It is there and cannot start.
    Masked,
    /// There is no such service.
    Absent,
    /// It has no `[Install]` section and nothing wants it: it starts on demand, if at all.
    Static,
}

impl ServiceState {
    /// Whether it starts at boot.
    pub(crate) fn is_enabled(&self) -> bool {
        matches!(self, Self::Enabled { .. })
    }
}

/// Whether the guest's init is systemd.
pub(crate) fn has_systemd(tree: &Tree) -> Result<bool> {
    for path in ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"] {
        if tree.exists(path)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the service `name` (without suffix, or with that of its unit) starts at boot.
pub(crate) fn state(tree: &Tree, name: &str) -> Result<ServiceState> {
    if has_systemd(tree)? {
        let unit = if name.contains('.') { name.to_owned() } else { format!("{name}.service") };
        let found = systemd(tree, &unit)?;
        // systemd runs a SysV script where no unit of that name is there.
        if found != ServiceState::Absent {
            return Ok(found);
        }
    }
    let name = name.strip_suffix(".service").unwrap_or(name);
    for look in [sysv, upstart, openrc] {
        let found = look(tree, name)?;
        if found != ServiceState::Absent {
            return Ok(found);
        }
    }
    Ok(ServiceState::Absent)
}

/// The first of `names` that starts at boot, with what says so.
pub(crate) fn first_enabled<'a>(
    tree: &Tree,
    names: &[&'a str],
) -> Result<Option<(&'a str, String)>> {
    for name in names {
        if let ServiceState::Enabled { by } = state(tree, name)? {
            return Ok(Some((name, by)));
        }
    }
    Ok(None)
}

fn systemd(tree: &Tree, unit: &str) -> Result<ServiceState> {
    if is_masked(tree, unit)? {
        return Ok(ServiceState::Masked);
    }
    let names = names_of(tree, unit)?;
    let Some(file) = unit_file(tree, unit)? else { return Ok(ServiceState::Absent) };
    // A link outlives the unit it was made for: it counts only with a unit behind it.
    for name in &names {
        if let Some(by) = wanted_by_link(tree, name)? {
            return Ok(ServiceState::Enabled { by });
        }
    }
    let sections = ini::parse(&file.1);
    let has_install = sections.iter().any(|section| section.name == "Install");
    if !has_install {
        let by = wanted_by_unit(tree, &names)?;
        return Ok(by.map_or(ServiceState::Static, |by| ServiceState::Enabled { by }));
    }
    if is_first_boot(tree)?
        && let Some(by) = preset(tree, unit)?
    {
        return Ok(ServiceState::Enabled { by });
    }
    Ok(ServiceState::Disabled)
}

/// The highest file of that name is a link to `/dev/null`, or empty.
pub(crate) fn is_masked(tree: &Tree, unit: &str) -> Result<bool> {
    for dir in UNIT_DIRS {
        let path = format!("{dir}/{unit}");
        if let Some(target) = tree.read_link(&path)? {
            return Ok(target == b"/dev/null");
        }
        if let Some(stat) = tree.stat(&path)? {
            return Ok(stat.size_bytes == 0 && tree.is_file(&path)?);
        }
    }
    Ok(false)
}

/// The unit's path and text. An instance (`getty@tty1.service`) has the template's.
pub(crate) fn unit_file(tree: &Tree, unit: &str) -> Result<Option<(String, String)>> {
    let template = unit.split_once('@').and_then(|(name, rest)| {
        rest.rsplit_once('.').map(|(_, suffix)| format!("{name}@.{suffix}"))
    });
    for name in [Some(unit.to_owned()), template].into_iter().flatten() {
        for dir in UNIT_DIRS {
            let path = format!("{dir}/{name}");
            if let Some(text) = tree.read_text(&path)? {
                return Ok(Some((path, text)));
            }
        }
    }
    Ok(None)
}

/// The unit's name and those under which it is linked (`dbus-org....service`, `sshd.service`).
fn names_of(tree: &Tree, unit: &str) -> Result<Vec<String>> {
    let mut names = vec![unit.to_owned()];
    for dir in UNIT_DIRS {
        for entry in tree.list(dir)?.into_iter().take(MAX_UNITS) {
            let name = entry.name_lossy();
            if name == unit || name.contains(".wants") || name.contains(".requires") {
                continue;
            }
            let target = tree.read_link(format!("{dir}/{name}"))?;
            let leads_here = target.is_some_and(|target| {
                target.rsplit(|&byte| byte == b'/').next() == Some(unit.as_bytes())
            });
            if leads_here && names.len() < 64 {
                names.push(name);
            }
        }
        // The unit itself may be a link to its real name.
        if let Some(target) = tree.read_link(format!("{dir}/{unit}"))? {
            let target = String::from_utf8_lossy(&target).into_owned();
            names.extend(target.rsplit('/').next().map(str::to_owned));
        }
    }
    Ok(names)
}

fn wanted_by_link(tree: &Tree, unit: &str) -> Result<Option<String>> {
    for dir in UNIT_DIRS {
        for entry in tree.list(dir)?.into_iter().take(MAX_UNITS) {
            let name = entry.name_lossy();
            if !name.ends_with(".wants") && !name.ends_with(".requires") {
                continue;
            }
            let by = format!("{dir}/{name}/{unit}");
            if tree.locate_link(&by)?.is_some() {
                return Ok(Some(by));
            }
        }
    }
    Ok(None)
}

/// A unit that names one of `names` in `Wants=` or `Requires=`.
fn wanted_by_unit(tree: &Tree, names: &[String]) -> Result<Option<String>> {
    const MAX_UNIT_BYTES: u64 = 64 << 10;
    for dir in UNIT_DIRS {
        for entry in tree.list(dir)?.into_iter().take(MAX_UNITS) {
            let path = format!("{dir}/{}", entry.name_lossy());
            let is_unit = [".target", ".service", ".socket"].iter().any(|end| path.ends_with(end));
            if !is_unit || tree.stat(&path)?.is_none_or(|stat| stat.size_bytes > MAX_UNIT_BYTES) {
                continue;
            }
            let Some(text) = tree.read_text(&path)? else { continue };
            let wants = text.lines().any(|line| {
                let Some((key, value)) = line.split_once('=') else { return false };
                matches!(key.trim(), "Wants" | "Requires")
                    && value.split_whitespace().any(|word| names.iter().any(|name| name == word))
            });
            if wants {
                return Ok(Some(path));
            }
        }
    }
    Ok(None)
}

/// systemd applies presets when it finds no machine identity.
fn is_first_boot(tree: &Tree) -> Result<bool> {
    let text = tree.read_text("/etc/machine-id")?;
    // An empty file, which cloud images ship, is not a first boot to systemd: machine-id(5).
    Ok(text.is_none_or(|text| text.trim() == "uninitialized"))
}

/// The preset line that enables `unit`, if that is what the first matching line does.
fn preset(tree: &Tree, unit: &str) -> Result<Option<String>> {
    let mut files: Vec<(String, String)> = Vec::new();
    for dir in PRESET_DIRS {
        for entry in tree.list(dir)?.into_iter().take(MAX_UNITS) {
            let name = entry.name_lossy();
            if name.ends_with(".preset") && !files.iter().any(|(have, _)| *have == name) {
                files.push((name.clone(), format!("{dir}/{name}")));
            }
        }
    }
    if files.is_empty() {
        return Ok(None);
    }
    files.sort();
    for (_, path) in files {
        for line in tree.read_text(&path)?.unwrap_or_default().lines() {
            let mut words = line.split_whitespace();
            let (Some(verb), Some(pattern)) = (words.next(), words.next()) else { continue };
            if matches!(verb, "enable" | "disable") && matches(pattern, unit) {
                return Ok((verb == "enable").then_some(path));
            }
        }
    }
    // Where no line matches, systemd enables.
    Ok(Some("/usr/lib/systemd/system-preset".into()))
}

/// Shell patterns with `*` and `?`, as presets and network files use them. Linear in memory, and
/// bounded in time by the product of the lengths.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || text.get(t) == Some(&c) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|&c| c == '*')
}

fn sysv(tree: &Tree, name: &str) -> Result<ServiceState> {
    let mut is_there = false;
    for dir in ["/etc/init.d", "/etc/rc.d/init.d"] {
        is_there |= tree.is_file(format!("{dir}/{name}"))?;
    }
    if !is_there || tree.is_dir("/etc/runlevels")? {
        return Ok(ServiceState::Absent); // OpenRC keeps its scripts in init.d too
    }
    let levels = [2, 3, 4, 5].iter().flat_map(|n| {
        [format!("/etc/rc{n}.d"), format!("/etc/rc.d/rc{n}.d"), format!("/etc/init.d/rc{n}.d")]
    });
    for dir in levels.chain(["/etc/rcS.d".into(), "/etc/init.d/boot.d".into()]) {
        for entry in tree.list(&dir)?.into_iter().take(MAX_UNITS) {
            let link = entry.name_lossy();
            let starts = link.strip_prefix('S').and_then(|rest| {
                let (digits, service) = rest.split_at_checked(2)?;
                digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(service)
            });
            if starts == Some(name) {
                return Ok(ServiceState::Enabled { by: format!("{dir}/{link}") });
            }
        }
    }
    Ok(ServiceState::Disabled)
}

pub(crate) fn upstart(tree: &Tree, name: &str) -> Result<ServiceState> {
    let path = format!("/etc/init/{name}.conf");
    let Some(text) = tree.read_text(&path)? else { return Ok(ServiceState::Absent) };
    let manual = |text: &str| text.lines().any(|line| line.trim() == "manual");
    let replaced = tree.read_text(format!("/etc/init/{name}.override"))?;
    if manual(&text) || replaced.is_some_and(|text| manual(&text)) {
        return Ok(ServiceState::Disabled);
    }
    let starts = text.lines().any(|line| line.trim_start().starts_with("start on"));
    Ok(if starts { ServiceState::Enabled { by: path } } else { ServiceState::Static })
}

pub(crate) fn openrc(tree: &Tree, name: &str) -> Result<ServiceState> {
    for level in ["sysinit", "boot", "default"] {
        let by = format!("/etc/runlevels/{level}/{name}");
        if tree.locate_link(&by)?.is_some() {
            return Ok(ServiceState::Enabled { by });
        }
    }
    let is_there = tree.is_file(format!("/etc/init.d/{name}"))? && tree.is_dir("/etc/runlevels")?;
    Ok(if is_there { ServiceState::Disabled } else { ServiceState::Absent })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_volume::MemFs;
    use std::sync::Arc;

    const UNIT: &str = "/usr/lib/systemd/system/a.service";
    const INSTALL: &str = "[Service]\nExecStart=/a\n[Install]\nWantedBy=multi-user.target\n";

    fn systemd_fs() -> MemFs {
        let mut fs = MemFs::new();
        fs.executable("/usr/lib/systemd/systemd", "").file(UNIT, INSTALL);
        fs.symlink("/lib", "usr/lib").file("/etc/machine-id", "0123\n");
        fs
    }

    fn state_in(fs: &MemFs) -> ServiceState {
        state(&Tree::new(Arc::new(fs.clone())), "a").unwrap()
    }

    fn by(path: &str) -> ServiceState {
        ServiceState::Enabled { by: path.into() }
    }

    #[test]
    fn systemd_links_in_etc_and_usr_enable() {
        let mut fs = systemd_fs();
        assert_eq!(state_in(&fs), ServiceState::Disabled);
        let link = "/usr/lib/systemd/system/x.target.wants/a.service";
        fs.symlink(link, "../a.service");
        assert_eq!(state_in(&fs), by(link));
        let link = "/etc/systemd/system/multi-user.target.requires/a.service";
        fs.symlink(link, UNIT);
        assert_eq!(state_in(&fs), by(link));
        fs.remove(UNIT);
        assert_eq!(state_in(&fs), ServiceState::Absent, "a link without a unit starts nothing");
    }

    #[test]
    fn masks_win_over_links() {
        for mask in ["link", "empty"] {
            let mut fs = systemd_fs();
            fs.symlink("/etc/systemd/system/multi-user.target.wants/a.service", UNIT);
            match mask {
                "link" => fs.symlink("/etc/systemd/system/a.service", "/dev/null"),
                _ => fs.file("/etc/systemd/system/a.service", ""),
            };
            assert_eq!(state_in(&fs), ServiceState::Masked, "{mask}");
        }
    }

    #[test]
    fn aliases_count() {
        let mut fs = systemd_fs();
        fs.symlink("/etc/systemd/system/b.service", UNIT);
        fs.symlink("/etc/systemd/system/multi-user.target.wants/b.service", "../b.service");
        assert_eq!(state_in(&fs), by("/etc/systemd/system/multi-user.target.wants/b.service"));
    }

    #[test]
    fn units_without_install_need_somebody_who_wants_them() {
        let mut fs = systemd_fs();
        fs.file(UNIT, "[Service]\nExecStart=/a\n");
        assert_eq!(state_in(&fs), ServiceState::Static);
        fs.file("/usr/lib/systemd/system/b.target", "[Unit]\nWants=c.service a.service\n");
        assert_eq!(state_in(&fs), by("/usr/lib/systemd/system/b.target"));
    }

    #[test]
    fn presets_count_only_on_the_first_boot() {
        let preset = "/usr/lib/systemd/system-preset/90-x.preset";
        let mut fs = systemd_fs();
        fs.file(preset, "enable a.service\n");
        assert_eq!(state_in(&fs), ServiceState::Disabled, "this machine has booted before");
        fs.file("/etc/machine-id", "");
        assert_eq!(state_in(&fs), ServiceState::Disabled, "an empty one is no first boot either");
        fs.file("/etc/machine-id", "uninitialized\n");
        assert_eq!(state_in(&fs), by(preset));
        fs.file("/usr/lib/systemd/system-preset/10-y.preset", "# x\ndisable a.*\n");
        assert_eq!(state_in(&fs), ServiceState::Disabled, "the first line that matches wins");
        fs.file("/etc/systemd/system-preset/10-y.preset", "");
        assert_eq!(state_in(&fs), by(preset), "the file in /etc replaces that in /usr");
    }

    #[test]
    fn sysv_needs_a_start_link_in_a_normal_level() {
        let mut fs = MemFs::new();
        fs.executable("/etc/rc.d/init.d/a", "").symlink("/etc/init.d", "rc.d/init.d");
        fs.symlink("/etc/rc.d/rc3.d/K90a", "../init.d/a").symlink("/etc/rc.d/rc6.d/S90a", "x");
        fs.symlink("/etc/rc.d/rc3.d/S10ab", "../init.d/ab");
        assert_eq!(state_in(&fs), ServiceState::Disabled);
        fs.symlink("/etc/rc.d/rc3.d/S90a", "../init.d/a");
        assert_eq!(state_in(&fs), by("/etc/rc.d/rc3.d/S90a"));
    }

    #[test]
    fn upstart_jobs_start_unless_manual() {
        let mut fs = MemFs::new();
        fs.file("/etc/init/a.conf", "description x\nstart on runlevel [2345]\n");
        assert_eq!(state_in(&fs), by("/etc/init/a.conf"));
        fs.file("/etc/init/a.override", "manual\n");
        assert_eq!(state_in(&fs), ServiceState::Disabled);
    }

    #[test]
    fn openrc_run_levels_enable() {
        let mut fs = MemFs::new();
        fs.executable("/etc/init.d/a", "").dir("/etc/runlevels/default");
        assert_eq!(state_in(&fs), ServiceState::Disabled);
        fs.symlink("/etc/runlevels/default/a", "/etc/init.d/a");
        assert_eq!(state_in(&fs), by("/etc/runlevels/default/a"));
    }

    #[test]
    fn patterns_match_as_in_the_shell() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("en*", "ens5", true),
            ("en*5", "ens55", true),
            ("e?s5", "ens5", true),
            ("en", "ens5", false),
            ("*x", "ens5", false),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
        let long = "a".repeat(2000);
        assert!(!matches(&format!("{}b", "*a".repeat(200)), &long));
    }
}
