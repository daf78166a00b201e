//! `Fstab`: every device that boot waits for is one the image has, under a name the platform gives.
//!
//! systemd waits for a listed device, gives up after 90 s and drops to the emergency shell, where a
//! cloud instance has nobody to type; older systems stop at `fsck` or `mount -a`. A line with
//! `nofail` or `noauto` is not waited for, so what is wrong with it is evidence only.

pub(crate) mod entry;
pub(crate) mod table;
#[cfg(test)]
mod tests;

use kiln_volume::{Result, Tree};

use super::{Check, Evidence, Finding, Outcome};
use crate::syntax::fstab::{self, Fstab, FstabEntry, Problem, ProblemKind};
use crate::syntax::ini;
use crate::{Guest, Inspection, services};

pub(super) static FSTAB: Check = Check {
    name: "Fstab",
    summary: "every device that boot waits for is in the image, under a name that lasts",
    run: check,
};

pub(crate) const PATH: &str = "/etc/fstab";

/// A line of some table, and whether boot depends on it.
#[derive(Clone, Debug)]
pub(crate) struct Mount {
    /// The table, or the unit.
    pub(crate) path: String,
    pub(crate) entry: FstabEntry,
    pub(crate) critical: bool,
    /// The link by which a unit is started.
    pub(crate) enabled_by: Option<String>,
}

/// All that the guest mounts at boot.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) mounts: Vec<Mount>,
    /// What is wrong with lines of `/etc/fstab`.
    pub(crate) problems: Vec<Problem>,
    pub(crate) has_systemd: bool,
    /// Names in `/etc/crypttab` with the device each is opened from.
    crypttab: Vec<(String, String)>,
}

impl Table {
    /// Read `/etc/fstab` and, where systemd is the guest's init, mount units.
    pub(crate) fn read(tree: &Tree) -> Result<Self> {
        let has_systemd = services::has_systemd(tree)?;
        let bytes = tree.read(PATH, 1 << 20)?.unwrap_or_default();
        let Fstab { entries, problems } = fstab::parse(&bytes);
        let of_line = |entry: FstabEntry| {
            let critical = is_critical(&entry);
            Mount { path: PATH.into(), critical, entry, enabled_by: None }
        };
        let mut mounts: Vec<Mount> = entries.into_iter().map(of_line).collect();
        if has_systemd {
            mounts.extend(mount_units(tree)?);
        }
        Ok(Self { mounts, problems, has_systemd, crypttab: crypttab(tree)? })
    }
}

impl Mount {
    fn evidence(&self) -> Evidence {
        let FstabEntry { spec, mount_point, fs_type, options, line, .. } = &self.entry;
        let text = format!("{spec} {mount_point} {fs_type} {}", options.join(","));
        Evidence::line(&self.path, *line, text)
    }
}

/// What judging the table came to.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    pub(crate) findings: Vec<Finding>,
    notes: Vec<Evidence>,
}

impl Judged {
    /// A finding where boot depends on the line, else evidence.
    fn add(&mut self, mount: &Mount, finding: Finding) {
        if mount.critical {
            self.findings.push(finding.seen(mount.evidence()));
        } else {
            self.note(mount, &finding.message);
        }
    }

    fn note(&mut self, mount: &Mount, text: &str) {
        self.notes.push(Evidence::line(&mount.path, mount.entry.line, text));
    }
}

fn check(inspection: &Inspection) -> Result<Outcome> {
    let Some(guest) = inspection.guest() else {
        return Ok(Outcome::not_applicable("no operating system found"));
    };
    let table = Table::read(&guest.tree)?;
    let judged = judge(inspection, guest, &table)?;
    Ok(Outcome::judged(judged.findings, "Valid", "Invalid").noting(judged.notes))
}

/// All that is wrong with `table`. Where a line is at fault, it is the first evidence.
pub(crate) fn judge(inspection: &Inspection, guest: &Guest, table: &Table) -> Result<Judged> {
    let mut judged = Judged::default();
    syntax(&table.problems, &mut judged);
    let Table { mounts, has_systemd, crypttab, .. } = table;
    for mount in mounts {
        let context = entry::Context { guest, inspection, has_systemd: *has_systemd, crypttab };
        entry::judge(&context, mount, &mut judged)?;
    }
    table::judge(inspection, guest, mounts, &mut judged);
    Ok(judged)
}

/// What util-linux would not read. One finding for all lines of a kind: a file from Windows is
/// wrong in every line.
fn syntax(problems: &[Problem], judged: &mut Judged) {
    let mut told: Vec<ProblemKind> = Vec::new();
    for problem in problems {
        let evidence = Evidence::line(PATH, problem.line, problem.text.clone());
        if !is_fatal(problem.kind) {
            let text = format!("{}: {}", problem.kind.describe(), problem.text);
            judged.notes.push(Evidence::line(PATH, problem.line, text));
        } else if !told.contains(&problem.kind) {
            told.push(problem.kind);
            let n = problems.iter().filter(|other| other.kind == problem.kind).count();
            let others = if n > 1 { format!(" (and {} more lines)", n - 1) } else { String::new() };
            let message = format!("line {} {}{others}", problem.line, problem.kind.describe());
            let suggestion = match problem.kind {
                ProblemKind::CarriageReturn => {
                    format!("convert {PATH} to Unix line ends (dos2unix)")
                }
                _ => format!("correct or remove line {} of {PATH}", problem.line),
            };
            judged.findings.push(
                Finding::high("Fstab.SyntaxError", message).seen(evidence).suggest(suggestion),
            );
        }
    }
}

/// Whether a line with that problem is one that cannot be mounted.
fn is_fatal(kind: ProblemKind) -> bool {
    matches!(
        kind,
        ProblemKind::TooFewFields
            | ProblemKind::CarriageReturn
            | ProblemKind::NotUtf8
            | ProblemKind::ZeroByte
    )
}

/// Whether boot waits for the line and stops without it.
fn is_critical(entry: &FstabEntry) -> bool {
    !["noauto", "nofail", "x-systemd.automount"].iter().any(|option| entry.has_option(option))
}

/// Mount units that something at boot wants or requires. Only what is required stops the boot.
fn mount_units(tree: &Tree) -> Result<Vec<Mount>> {
    const DIR: &str = "/etc/systemd/system";
    const MAX_UNITS: usize = 1000;
    let mut mounts = Vec::new();
    for entry in tree.list(DIR)?.into_iter().take(MAX_UNITS) {
        let name = entry.name_lossy();
        if !name.ends_with(".mount") {
            continue;
        }
        let services::ServiceState::Enabled { by } = services::state(tree, &name)? else {
            continue;
        };
        let path = format!("{DIR}/{name}");
        let sections = ini::parse(&tree.read_text(&path)?.unwrap_or_default());
        let value = |key| ini::value(&sections, "Mount", key);
        let (Some(what), Some(place)) = (value("What"), value("Where")) else { continue };
        let text = |key, default: &str| value(key).map_or(default.to_owned(), |e| e.value.clone());
        let entry = FstabEntry {
            line: what.line,
            spec: what.value.clone(),
            mount_point: place.value.clone(),
            fs_type: text("Type", "auto"),
            options: text("Options", "defaults").split(',').map(str::to_owned).collect(),
            pass: 0,
        };
        let critical = is_critical(&entry) && by.contains(".requires/");
        mounts.push(Mount { path, entry, critical, enabled_by: Some(by) });
    }
    Ok(mounts)
}

/// Names in `/etc/crypttab` with the device each is opened from.
fn crypttab(tree: &Tree) -> Result<Vec<(String, String)>> {
    let text = tree.read_text("/etc/crypttab")?.unwrap_or_default();
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#')).take(1000);
    Ok(lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?.to_owned(), words.next()?.to_owned()))
        })
        .collect())
}
