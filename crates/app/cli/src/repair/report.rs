//! What a repair would do or did: as a table with diffs, and as JSON (`docs/repair-report.md`).

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use kiln_factory::repair::{Repaired, Times};
use kiln_guest::repair::{Change, Edit, GuestCommand, Plan, Refusal, Step, StepResult, unified};
use kiln_guest::{Item, Status};
use serde::Serialize;

use crate::report::{counted, printable};

/// Names the contract; a change that a reader could trip over gets a new one.
const SCHEMA: &str = "https://kiln.images/schema/repair-report/v1";

const RED: Style = AnsiColor::Red.on_default();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const CYAN: Style = AnsiColor::Cyan.on_default();
const BOLD: Style = Style::new().bold();

/// A plan, and what came of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    schema: &'static str,
    image: String,
    output: Option<String>,
    status: &'static str,
    steps: Vec<StepReport>,
    /// The manifest, which is no repair's.
    closing: Vec<EditReport>,
    /// What the items say before and after.
    items: Vec<ItemChange>,
    unlocked: Vec<String>,
    command_output: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    boot: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    times_ms: Option<TimesReport>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StepReport {
    repair: &'static str,
    item: String,
    status: &'static str,
    edits: Vec<EditReport>,
    commands: Vec<CommandReport>,
    left: Option<String>,
    refusal: Option<Refusal>,
}

#[derive(Debug, Serialize)]
struct EditReport {
    path: String,
    to: Option<String>,
    change: &'static str,
    reason: String,
    diff: String,
}

#[derive(Debug, Serialize)]
struct CommandReport {
    argv: Vec<String>,
    reason: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemChange {
    name: String,
    before: Status,
    before_code: Option<String>,
    after: Status,
    after_code: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TimesReport {
    plan: u64,
    machine: u64,
    mount: u64,
    edits: u64,
    unmount: u64,
    copy: u64,
    commit: u64,
    verify: u64,
    boot: u64,
    total: u64,
}

impl Report {
    /// Of what would be done.
    pub(super) fn planned(image: &str, plan: &Plan) -> Self {
        let status = if plan.is_empty() { "NothingToDo" } else { "Planned" };
        Self {
            schema: SCHEMA,
            image: image.to_owned(),
            output: None,
            status,
            steps: plan.steps.iter().map(step).collect(),
            closing: plan.closing.iter().map(edit).collect(),
            items: changes(&plan.before, &plan.after),
            unlocked: Vec::new(),
            command_output: Vec::new(),
            boot: None,
            times_ms: None,
        }
    }

    /// Of what was done.
    pub(super) fn repaired(image: &str, output: &Path, repaired: &Repaired) -> Self {
        let plan = &repaired.plan;
        let status = if plan.is_empty() { "NothingToDo" } else { "Repaired" };
        Self {
            output: Some(output.display().to_string()),
            status,
            items: changes(&plan.before, &repaired.items),
            unlocked: repaired.unlocked.clone(),
            command_output: repaired.output.clone(),
            boot: repaired.boot.as_ref().and_then(|boot| serde_json::to_value(boot).ok()),
            times_ms: Some(TimesReport::from(&repaired.times)),
            ..Self::planned(image, plan)
        }
    }

    /// For people: a line a repair, then the diffs.
    pub(super) fn table(&self, verbose: bool) -> Result<String> {
        let mut text = String::new();
        let width = self.steps.iter().map(|step| step.repair.len()).max().unwrap_or(0);
        for step in &self.steps {
            let (word, style, what) = step.line();
            writeln!(text, "{style}{word:8}{style:#} {:width$}  {what}", step.repair)?;
            if let Some(hint) = step.refusal.as_ref().and_then(|refusal| refusal.hint.as_deref()) {
                writeln!(text, "{:9}{:width$}  fix: {}", "", "", printable(hint))?;
            }
        }
        for step in self.steps.iter().filter(|step| step.has_work()) {
            writeln!(text, "\n{BOLD}{}{BOLD:#}", step.repair)?;
            step.edits.iter().try_for_each(|edit| diff(&mut text, &edit.diff))?;
            for command in &step.commands {
                writeln!(text, "# {}\nrun {}", command.reason, printable(&command.argv.join(" ")))?;
            }
        }
        if let [manifest, ..] = &self.closing[..] {
            writeln!(text, "\nwhat is done is written to {} in the image", manifest.path)?;
        }
        writeln!(text, "\n{}", self.summary())?;
        if let (true, Some(times)) = (verbose, &self.times_ms) {
            writeln!(text, "{}", times.line())?;
        }
        Ok(text)
    }

    fn summary(&self) -> String {
        let n_edits = self.steps.iter().map(|step| step.edits.len()).sum();
        let edits = counted(n_edits, "edit");
        let n_refused = self.steps.iter().filter(|step| step.refusal.is_some()).count();
        let refused = match n_refused {
            0 => String::new(),
            n => format!("; {} refused", counted(n, "repair")),
        };
        let fixed = self.items.iter().filter(|item| {
            matches!(item.before, Status::Risk | Status::Unknown) && item.after == Status::Pass
        });
        let fixed: Vec<&str> = fixed.map(|item| item.name.trim_start_matches("GUESTOS.")).collect();
        let fixed = match fixed.is_empty() {
            true => String::new(),
            false => format!("; mended: {}", fixed.join(", ")),
        };
        match (&self.output, self.status) {
            (None, "NothingToDo") if n_refused > 0 => format!("nothing planned{refused}"),
            (None, "NothingToDo") => "nothing to repair".to_owned(),
            (Some(out), "NothingToDo") => {
                format!("nothing to repair: {} is a copy{refused}", printable(out))
            }
            (None, _) => format!("{edits} planned{fixed}{refused}"),
            (Some(out), _) => {
                let boot = self.boot.as_ref().map_or("", |_| "; it boots");
                format!("{edits} made: {}{fixed}{refused}{boot}", printable(out))
            }
        }
    }
}

impl StepReport {
    fn has_work(&self) -> bool {
        !self.edits.is_empty() || !self.commands.is_empty()
    }

    fn line(&self) -> (&'static str, Style, String) {
        match (self.status, &self.refusal) {
            (_, Some(refusal)) => {
                ("refused", YELLOW, printable(&format!("{}: {}", refusal.code, refusal.reason)))
            }
            ("planned", None) => {
                let commands = match self.commands.len() {
                    0 => String::new(),
                    n => format!(", {}", counted(n, "command")),
                };
                let left = match &self.left {
                    Some(left) => format!("; left: {}", printable(left)),
                    None => String::new(),
                };
                let edits = counted(self.edits.len(), "edit");
                ("mend", GREEN, format!("{edits}{commands} for {}{left}", self.item))
            }
            (status, None) => ("skip", Style::new(), status.replace('_', " ")),
        }
    }
}

/// A diff, coloured as `git diff` does. The text comes from the guest.
fn diff(text: &mut String, diff: &str) -> std::fmt::Result {
    for line in diff.lines() {
        let style = match line.as_bytes().first() {
            Some(b'+') => GREEN,
            Some(b'-') => RED,
            Some(b'@') => CYAN,
            _ => Style::new(),
        };
        writeln!(text, "{style}{}{style:#}", printable(line))?;
    }
    Ok(())
}

fn step(step: &Step) -> StepReport {
    let (status, left, refusal) = match &step.result {
        StepResult::Skipped(why) => (*why, None, None),
        StepResult::Planned { left, .. } => ("planned", left.clone(), None),
        StepResult::Refused(refusal) => ("refused", None, Some(refusal.clone())),
    };
    StepReport {
        repair: step.repair,
        item: step.item.to_owned(),
        status,
        edits: step.edits().iter().map(edit).collect(),
        commands: step.commands().iter().map(command).collect(),
        left,
        refusal,
    }
}

fn edit(edit: &Edit) -> EditReport {
    let to = match &edit.change {
        Change::Copy { to, .. } | Change::Rename { to } => Some(to.clone()),
        _ => None,
    };
    EditReport {
        path: edit.path.clone(),
        to,
        change: edit.change.name(),
        reason: edit.reason.clone(),
        diff: unified(edit),
    }
}

fn command(command: &GuestCommand) -> CommandReport {
    CommandReport { argv: command.argv.clone(), reason: command.reason.clone() }
}

fn changes(before: &[Item], after: &[Item]) -> Vec<ItemChange> {
    let pairs = before.iter().filter_map(|item| {
        after.iter().find(|after| after.name == item.name).map(|after| (item, after))
    });
    pairs
        .map(|(before, after)| ItemChange {
            name: before.name.clone(),
            before: before.status,
            before_code: before.risk_code.clone(),
            after: after.status,
            after_code: after.risk_code.clone(),
        })
        .collect()
}

impl From<&Times> for TimesReport {
    fn from(times: &Times) -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            plan: ms(times.plan),
            machine: ms(times.machine),
            mount: ms(times.mount),
            edits: ms(times.edits),
            unmount: ms(times.unmount),
            copy: ms(times.copy),
            commit: ms(times.commit),
            verify: ms(times.verify),
            boot: ms(times.boot),
            total: ms(times.total),
        }
    }
}

impl TimesReport {
    fn line(&self) -> String {
        format!(
            "{} ms: plan {}, helper VM up {}, mount {}, edits {}, unmount {}, wait for the copy {}, \
             commit {}, verify {}, boot {}",
            self.total,
            self.plan,
            self.machine,
            self.mount,
            self.edits,
            self.unmount,
            self.copy,
            self.commit,
            self.verify,
            self.boot
        )
    }
}
