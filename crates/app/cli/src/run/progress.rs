//! What a person sees of a run: finished tasks as lines, those at work below them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::Timestamp;
use kiln_factory::executions::Watch;
use kiln_oos::run::{Execution, Run, Status, TaskRun};

use crate::output;
use crate::report::printable;

/// Lines for tasks at work; what is more is not shown.
const MAX_BARS: usize = 12;

/// Items of a loop that get a line of their own when they end; failures always do.
const MAX_ITEM_LINES: u32 = 20;

/// The progress of one run on standard error.
pub(super) struct Progress {
    root: String,
    shown: Mutex<Shown>,
}

struct Shown {
    bars: MultiProgress,
    is_terminal: bool,
    open: BTreeMap<String, ProgressBar>,
    begun: BTreeSet<String>,
    ended: BTreeSet<String>,
    waiting: BTreeSet<String>,
    start: Option<Timestamp>,
}

impl Progress {
    pub(super) fn new(root: &str) -> Self {
        let shown = Shown {
            bars: MultiProgress::new(),
            is_terminal: std::io::stderr().is_terminal(),
            open: BTreeMap::new(),
            begun: BTreeSet::new(),
            ended: BTreeSet::new(),
            waiting: BTreeSet::new(),
            start: None,
        };
        output::talk(&format!("execution {root}"));
        Self { root: root.to_owned(), shown: Mutex::new(shown) }
    }

    /// Take the bars away.
    pub(super) fn end(&self) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, bar) in std::mem::take(&mut shown.open) {
            bar.finish_and_clear();
        }
    }
}

impl Watch for Progress {
    fn changed(&self, run: &Run, _executions: &[String], tasks: &[String]) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let start = run.execution(&self.root).map(|root| root.created);
        shown.start = shown.start.or(start);
        // What is inside ends before what is around it, and is named after it.
        let (ended, others): (Vec<_>, Vec<_>) =
            tasks.iter().filter_map(|id| run.task_run(id)).partition(|task| task.status.is_final());
        for task in ended.into_iter().rev().chain(others) {
            shown.task(run, task);
        }
    }
}

impl Shown {
    fn task(&mut self, run: &Run, task: &TaskRun) {
        if self.ended.contains(&task.id) {
            return;
        }
        let depth = run.execution(&task.execution).map_or(0, |own: &Execution| own.depth);
        let is_item = task.parent.is_some();
        if task.status.is_final() {
            self.ended.insert(task.id.clone());
            if let Some(bar) = self.open.remove(&task.id) {
                bar.finish_and_clear();
            }
            let is_quiet = is_item && task.position >= MAX_ITEM_LINES;
            if !is_quiet || task.status == Status::Failed {
                self.line(&self.ended_line(task, depth));
            }
            return;
        }
        if task.status == Status::Waiting && self.waiting.insert(task.id.clone()) {
            self.line(&waits_line(run, task, depth));
        }
        if self.begun.insert(task.id.clone()) && !is_item {
            if self.is_terminal {
                self.begin_bar(task, depth);
            } else {
                self.line(&format!("{}… {}  {}", indent(depth), task.name, task.action));
            }
        }
        if let (Some(bar), Some(plan)) = (self.open.get(&task.id), &task.plan) {
            let counts = plan.counts;
            let done = counts.success + counts.failed + counts.cancelled + counts.skipped;
            bar.set_message(format!("{done} of {} items", plan.n_items()));
        }
    }

    fn begin_bar(&mut self, task: &TaskRun, depth: u32) {
        if self.open.len() >= MAX_BARS {
            return;
        }
        let bar = self.bars.add(ProgressBar::new_spinner());
        if let Ok(style) =
            ProgressStyle::with_template("{prefix} {spinner} {elapsed:>4} {wide_msg}")
        {
            bar.set_style(style);
        }
        bar.set_prefix(format!("{}{}", indent(depth), printable(&task.name)));
        bar.set_message(printable(&task.action));
        bar.enable_steady_tick(Duration::from_millis(100));
        self.open.insert(task.id.clone(), bar);
    }

    fn ended_line(&self, task: &TaskRun, depth: u32) -> String {
        let (mark, word) = match task.status {
            Status::Success => ("✓", ""),
            Status::Skipped => ("–", "skipped"),
            Status::Cancelled => ("×", "cancelled"),
            _ => ("✗", "failed"),
        };
        let took = task.ended.map_or(0, |ended| ended.duration_since(task.created).as_secs());
        let item = task.item.as_ref().filter(|_| task.parent.is_some());
        let item = item
            .map_or_else(String::new, |item| format!(" [{}]", short(&kiln_oos::value::text(item))));
        let mut line = format!(
            "{} {}{mark} {}{item}  {}",
            self.clock(task.ended),
            indent(depth),
            task.name,
            task.action
        );
        if took > 0 {
            line += &format!("  {}", span(took));
        }
        if !word.is_empty() {
            line += &format!("  {word}");
        }
        if !task.message.is_empty() {
            line += &format!(": {}", task.message);
        }
        line
    }

    /// How far the run's own time is.
    fn clock(&self, at: Option<Timestamp>) -> String {
        let passed = match (at, self.start) {
            (Some(at), Some(start)) => at.duration_since(start).as_secs().max(0),
            _ => 0,
        };
        format!("{:02}:{:02}:{:02}", passed / 3600, passed / 60 % 60, passed % 60)
    }

    fn line(&self, text: &str) {
        let text = printable(text);
        if self.is_terminal {
            // Where the terminal is gone there is nobody to tell.
            let _ = self.bars.println(text);
        } else {
            output::talk(&text);
        }
    }
}

fn waits_line(run: &Run, task: &TaskRun, depth: u32) -> String {
    let root = &run.root().id;
    let what = match &task.phase {
        kiln_oos::run::Phase::Held(waiting) => format!("{waiting:?}"),
        _ => String::new(),
    };
    let command = match what.as_str() {
        "FailurePause" => format!("kiln executions retry {root}, or skip"),
        "Trigger" => format!("kiln executions trigger {root}"),
        _ => format!("kiln executions approve {root}, or reject"),
    };
    format!("{}⏸ {} waits ({what}): {command}", indent(depth), task.name)
}

fn indent(depth: u32) -> String {
    "  ".repeat(usize::try_from(depth).unwrap_or(0).min(10))
}

fn short(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn span(seconds: i64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}
