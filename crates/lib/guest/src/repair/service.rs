//! A service for a program that has none, in the words of the guest's init: a unit of systemd, a
//! script for SysV's or OpenRC's.
//!
//! Sources: systemd.service(5), chkconfig(8), the LSB's "Comment Conventions for Init Scripts",
//! openrc-run(8).

use kiln_volume::{Result, Tree};

use super::{Draft, units};
use crate::services;

const UNITS: &str = "/etc/systemd/system";
const DEFAULT_TARGET: &str = "multi-user.target";

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
    units::enable(draft, name, reason).map(drop)
}

fn script_dir(tree: &Tree) -> Result<&'static str> {
    Ok(if tree.is_dir("/etc/rc.d/init.d")? { "/etc/rc.d/init.d" } else { "/etc/init.d" })
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
