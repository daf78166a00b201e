//! Letting a service start at boot, by the links that `systemctl enable`, `chkconfig`, `insserv` and
//! `rc-update` make, and writing one for a program that has none.
//!
//! Sources: systemd.unit(5) "\[Install\]", chkconfig(8), insserv(8), openrc-run(8).

use kiln_volume::{Result, Tree};

use super::Draft;
use crate::services::{self, ServiceState};
use crate::syntax::ini;

const UNITS: &str = "/etc/systemd/system";
/// Where units are, the first that has a name wins.
const UNIT_DIRS: [&str; 4] =
    [UNITS, "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
const DEFAULT_TARGET: &str = "multi-user.target";
/// Run levels in which servers have their services, where a script does not say.
const DEFAULT_LEVELS: &str = "2345";
/// As late as `chkconfig` starts what says nothing of its order.
const DEFAULT_START: u8 = 50;

/// A service that kiln writes.
#[derive(Debug)]
pub(super) struct Service<'a> {
    /// Without suffix.
    pub(super) name: &'a str,
    /// One line.
    pub(super) description: &'a str,
    /// The program with its arguments, absolute and without blanks inside one.
    pub(super) command: &'a str,
    /// When it runs.
    pub(super) run: Run<'a>,
}

/// When a service's program runs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Run<'a> {
    /// Always; started again when it fails. With a path: only where that is there.
    Always(Option<&'a str>),
    /// At each boot until this path is there.
    Until(&'a str),
}

/// Let `service` be there and start at boot.
pub(super) fn add(draft: &mut Draft, service: &Service, reason: &str) -> Result<()> {
    let name = service.name;
    if services::has_systemd(draft.tree()?)? {
        draft.write(&format!("{UNITS}/{name}.service"), service.unit(), reason)?;
    } else {
        let script = if draft.tree()?.is_dir("/etc/runlevels")? {
            service.openrc_script()
        } else {
            service.sysv_script()
        };
        let path = format!("{}/{name}", script_dir(draft.tree()?)?);
        draft.write_with_mode(&path, script, 0o755, reason)?;
    }
    enable(draft, name, reason)?;
    Ok(())
}

/// Let the service `name` (without suffix, or with that of its unit) start at boot. `false`: no such
/// service is there, or it is one that cannot be enabled.
///
/// A service that starts already is left alone.
pub(super) fn enable(draft: &mut Draft, name: &str, reason: &str) -> Result<bool> {
    let state = services::state(draft.tree()?, name)?;
    match state {
        ServiceState::Enabled { .. } => return Ok(true),
        ServiceState::Absent => return Ok(false),
        ServiceState::Masked | ServiceState::Disabled | ServiceState::Static => {}
    }
    if services::has_systemd(draft.tree()?)? {
        let unit = if name.contains('.') { name.to_owned() } else { format!("{name}.service") };
        if state == ServiceState::Masked {
            unmask(draft, &unit, reason)?;
        }
        link_unit(draft, &unit, reason)?;
    }
    let name = name.strip_suffix(".service").unwrap_or(name);
    if !services::state(draft.tree()?, name)?.is_enabled() {
        link_script(draft, name, reason)?;
    }
    Ok(services::state(draft.tree()?, name)?.is_enabled())
}

/// A mask is a link to `/dev/null`, or an empty file, in the place of the unit.
fn unmask(draft: &mut Draft, unit: &str, reason: &str) -> Result<()> {
    let path = format!("{UNITS}/{unit}");
    match draft.tree()?.read_link(&path)? {
        Some(_) => draft.remove_link(&path, reason),
        None => draft.remove(&path, reason).map(drop),
    }
}

/// The links of a unit's `[Install]` section; nothing where no such unit is there.
fn link_unit(draft: &mut Draft, unit: &str, reason: &str) -> Result<()> {
    let Some((path, text)) = unit_file(draft.tree()?, unit)? else { return Ok(()) };
    let sections = ini::parse(&text);
    let values = |key: &str| -> Vec<String> {
        let values = ini::values(&sections, "Install", key);
        values
            .flat_map(|entry| entry.value.split_whitespace())
            .filter(is_unit_name)
            .map(str::to_owned)
            .collect()
    };
    let (mut wanted, required) = (values("WantedBy"), values("RequiredBy"));
    if wanted.is_empty() && required.is_empty() {
        wanted.push(DEFAULT_TARGET.to_owned());
    }
    for (targets, kind) in [(wanted, "wants"), (required, "requires")] {
        for target in targets {
            draft.symlink(&format!("{UNITS}/{target}.{kind}/{unit}"), &path, reason)?;
        }
    }
    for alias in values("Alias") {
        if alias != unit && draft.tree()?.locate_link(format!("{UNITS}/{alias}"))?.is_none() {
            draft.symlink(&format!("{UNITS}/{alias}"), &path, reason)?;
        }
    }
    Ok(())
}

/// Names out of the guest's files become parts of paths.
fn is_unit_name(name: &&str) -> bool {
    !name.contains(['/', '%']) && name.len() < 256 && !name.starts_with('.')
}

fn unit_file(tree: &Tree, unit: &str) -> Result<Option<(String, String)>> {
    for dir in UNIT_DIRS {
        let path = format!("{dir}/{unit}");
        if let Some(text) = tree.read_text(&path)? {
            return Ok(Some((path, text)));
        }
    }
    Ok(None)
}

fn script_dir(tree: &Tree) -> Result<&'static str> {
    Ok(if tree.is_dir("/etc/rc.d/init.d")? { "/etc/rc.d/init.d" } else { "/etc/init.d" })
}

/// The links that start a script of SysV or OpenRC, and the override of an Upstart job gone.
fn link_script(draft: &mut Draft, name: &str, reason: &str) -> Result<()> {
    let held_back = format!("/etc/init/{name}.override");
    draft.rewrite(&held_back, reason, |text| {
        text.split_inclusive('\n').filter(|line| line.trim() != "manual").collect()
    })?;
    let script = format!("{}/{name}", script_dir(draft.tree()?)?);
    let Some(text) = draft.tree()?.read_text(&script)? else { return Ok(()) };
    if draft.tree()?.is_dir("/etc/runlevels")? {
        return draft.symlink(&format!("/etc/runlevels/default/{name}"), &script, reason);
    }
    let (levels, order) = start_of(&text);
    for level in levels.chars().filter(|level| ('2'..='5').contains(level)) {
        let dirs = ["/etc/rc.d/rc", "/etc/rc", "/etc/init.d/rc"].map(|at| format!("{at}{level}.d"));
        let mut there = None;
        for dir in dirs {
            if there.is_none() && draft.tree()?.is_dir(&dir)? {
                there = Some(dir);
            }
        }
        let Some(dir) = there else { continue };
        for entry in draft.tree()?.list(&dir)? {
            let link = entry.name_lossy();
            let stops = link.strip_prefix('K').and_then(|rest| rest.get(2..)) == Some(name);
            if stops {
                draft.remove_link(&format!("{dir}/{link}"), reason)?;
            }
        }
        let up = if dir.starts_with("/etc/init.d/") { ".." } else { "../init.d" };
        draft.symlink(&format!("{dir}/S{order:02}{name}"), &format!("{up}/{name}"), reason)?;
    }
    Ok(())
}

/// In which run levels and how early a script wants to start: `# chkconfig: 2345 50 50`, or
/// `# Default-Start: 2 3 4 5`.
fn start_of(script: &str) -> (String, u8) {
    let head = script.lines().take(100);
    let field = |name: &str| {
        head.clone()
            .find_map(|line| Some(line.trim_start_matches('#').trim().strip_prefix(name)?.trim()))
    };
    if let Some(chkconfig) = field("chkconfig:") {
        let mut words = chkconfig.split_whitespace();
        let levels = words.next().filter(|levels| *levels != "-").unwrap_or(DEFAULT_LEVELS);
        let order = words.next().and_then(|order| order.parse().ok()).filter(|order| *order < 100);
        return (levels.to_owned(), order.unwrap_or(DEFAULT_START));
    }
    let levels = field("Default-Start:").filter(|levels| !levels.is_empty());
    (levels.unwrap_or(DEFAULT_LEVELS).to_owned(), DEFAULT_START)
}

impl Service<'_> {
    fn unit(&self) -> String {
        let Self { description, command, .. } = self;
        let (condition, kind) = match self.run {
            Run::Always(None) => (String::new(), "simple\nRestart=on-failure\nRestartSec=5"),
            Run::Always(Some(path)) => (
                format!("ConditionPathExists={path}\n"),
                "simple\nRestart=on-failure\nRestartSec=5",
            ),
            Run::Until(path) => (format!("ConditionPathExists=!{path}\n"), "oneshot"),
        };
        format!(
            "[Unit]\nDescription={description}\nWants=network-online.target\n\
             After=network-online.target\n{condition}\n[Service]\nType={kind}\n\
             ExecStart={command}\n\n[Install]\nWantedBy={DEFAULT_TARGET}\n"
        )
    }

    /// Whether to run, in the shell.
    fn condition(&self) -> String {
        match self.run {
            Run::Always(None) => ":".to_owned(),
            Run::Always(Some(path)) => format!("[ -e {path} ]"),
            Run::Until(path) => format!("[ ! -e {path} ]"),
        }
    }

    fn sysv_script(&self) -> String {
        let Self { name, description, command, .. } = self;
        let condition = self.condition();
        let program = command.split(' ').next().unwrap_or(command);
        let program = program.rsplit('/').next().unwrap_or(program);
        let (start, stop) = match self.run {
            Run::Until(_) => ((*command).to_owned(), ":".to_owned()),
            Run::Always(_) => {
                (format!("{command} </dev/null >/dev/null 2>&1 &"), format!("pkill -x {program}"))
            }
        };
        format!(
            "#!/bin/sh\n# chkconfig: 2345 98 10\n# description: {description}\n\
             ### BEGIN INIT INFO\n# Provides: {name}\n# Required-Start: $network $remote_fs\n\
             # Required-Stop:\n# Default-Start: 2 3 4 5\n# Default-Stop: 0 1 6\n\
             # Short-Description: {description}\n### END INIT INFO\n\n\
             case \"$1\" in\n    start)\n        {condition} || exit 0\n        {start}\n        ;;\n    \
             stop)\n        {stop}\n        ;;\n    restart)\n        \"$0\" stop\n        \"$0\" start\n        ;;\n    \
             *)\n        echo \"usage: $0 start|stop|restart\"\n        exit 2\n        ;;\nesac\n"
        )
    }

    fn openrc_script(&self) -> String {
        let Self { description, command, .. } = self;
        let (program, arguments) = command.split_once(' ').unwrap_or((command, ""));
        let condition = self.condition();
        match self.run {
            Run::Until(_) => format!(
                "#!/sbin/openrc-run\ndescription=\"{description}\"\n\ndepend() {{\n\tneed net\n}}\n\n\
                 start() {{\n\t{condition} || return 0\n\tebegin \"{description}\"\n\t{command}\n\teend $?\n}}\n"
            ),
            Run::Always(_) => format!(
                "#!/sbin/openrc-run\ndescription=\"{description}\"\ncommand=\"{program}\"\n\
                 command_args=\"{arguments}\"\ncommand_background=true\n\
                 pidfile=\"/run/${{RC_SVCNAME}}.pid\"\n\ndepend() {{\n\tneed net\n}}\n\n\
                 start_pre() {{\n\t{condition}\n}}\n"
            ),
        }
    }
}
