//! The report for people: what is wrong first, readable without colour.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use kiln_guest::{Evidence, Item, Level, Status};

use super::{ImageReport, Report, counted, printable};

const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default();
const DIM: Style = Style::new().dimmed();

pub(crate) fn write(report: &Report, verbose: bool, out: &mut dyn Write) -> Result<()> {
    for (n, image) in report.images.iter().filter(|image| image.error.is_none()).enumerate() {
        if n > 0 {
            writeln!(out)?;
        }
        image_table(image, verbose, out)?;
    }
    if report.images.len() > 1 {
        writeln!(out, "\n{}", overview(report))?;
    }
    Ok(())
}

fn image_table(image: &ImageReport, verbose: bool, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "{}  {}", printable(&image.image), headline(image))?;
    for note in &image.notes {
        writeln!(out, "note: {}", printable(note))?;
    }
    let rows: Vec<Row> = image.items.iter().map(Row::of).collect();
    let repeated = if verbose { None } else { repeated_message(&image.items) };
    let is_shown =
        |row: &&Row| !row.is_not_applicable || Some(&*row.message) != repeated.as_deref();
    let width = |text: fn(&Row) -> usize| rows.iter().filter(is_shown).map(text).max().unwrap_or(0);
    let names = width(|row| row.name.chars().count());
    let values = width(|row| row.value.chars().count());
    for row in rows.iter().filter(is_shown) {
        let Row { word, style, name, value, message, .. } = row;
        let line = format!("{name:names$}  {value:values$}  {message}");
        writeln!(out, "{style}{word:7}{style:#}  {}", line.trim_end())?;
    }
    if let Some(message) = &repeated {
        let n_hidden = rows.iter().filter(|row| !is_shown(row)).count();
        writeln!(out, "{DIM}n/a{DIM:#}      {n_hidden} more items: {message}")?;
    }
    details(image, verbose, out)?;
    writeln!(out, "\n{}", summary(image))?;
    Ok(())
}

/// An item as a line of the table.
struct Row {
    word: &'static str,
    style: Style,
    name: String,
    value: String,
    message: String,
    is_not_applicable: bool,
}

impl Row {
    fn of(item: &Item) -> Self {
        let (word, style) = verdict(item);
        // A passing item's message says its value again.
        let message = if item.status == Status::Pass { "" } else { &*item.message };
        Self {
            word,
            style,
            name: short_name(item).to_owned(),
            value: printable(&item.value),
            message: printable(message),
            is_not_applicable: item.status == Status::NotApplicable,
        }
    }
}

/// The reason for which most items do not apply, where one line can stand for them all: a disk with
/// nothing on it would otherwise be told in eighteen lines that say the same.
fn repeated_message(items: &[Item]) -> Option<String> {
    const WORTH_A_LINE: usize = 4;
    let skipped = items.iter().filter(|item| item.status == Status::NotApplicable);
    let first = skipped.clone().next()?;
    let n_same = skipped.filter(|item| item.message == first.message).count();
    (n_same >= WORTH_A_LINE).then(|| printable(&first.message))
}

fn short_name(item: &Item) -> &str {
    item.name.trim_start_matches("GUESTOS.")
}

fn verdict(item: &Item) -> (&'static str, Style) {
    match (item.status, item.risk_level) {
        (Status::Risk, Some(Level::High)) => ("HIGH", RED),
        (Status::Risk, _) => ("MEDIUM", YELLOW),
        (Status::Pass, _) => ("ok", GREEN),
        (Status::Unknown, _) => ("unknown", YELLOW),
        (Status::NotApplicable, _) => ("n/a", DIM),
    }
}

fn headline(image: &ImageReport) -> String {
    let mut words = Vec::new();
    words.extend(image.format.clone());
    if let Some(os) = &image.os {
        let name = [os.platform.as_deref(), os.version.as_deref()];
        let name: Vec<&str> = name.into_iter().flatten().collect();
        words.extend((!name.is_empty()).then(|| name.join(" ")));
        words.extend(os.architecture.clone());
        words.extend(os.kernel.clone().map(|kernel| format!("kernel {kernel}")));
    }
    printable(&format!("({})", words.join(", ")))
}

fn details(image: &ImageReport, verbose: bool, out: &mut dyn Write) -> Result<()> {
    let worth_it = |item: &&Item| verbose || matches!(item.status, Status::Risk | Status::Unknown);
    for item in image.items.iter().filter(worth_it) {
        let (_, style) = verdict(item);
        let code = item.risk_code.as_deref().unwrap_or(short_name(item));
        if item.evidence.is_empty() && item.suggestion.is_none() {
            continue;
        }
        writeln!(out, "\n{style}{code}{style:#}")?;
        for evidence in &item.evidence {
            writeln!(out, "  {}", evidence_line(evidence))?;
        }
        if let Some(suggestion) = &item.suggestion {
            writeln!(out, "  fix: {}", printable(suggestion))?;
        }
    }
    Ok(())
}

/// `path:line: text`.
pub(crate) fn evidence_line(evidence: &Evidence) -> String {
    printable(&match (&evidence.path, evidence.line) {
        (Some(path), Some(line)) => format!("{path}:{line}: {}", evidence.text),
        (Some(path), None) => format!("{path}: {}", evidence.text),
        (None, _) => evidence.text.clone(),
    })
}

fn summary(image: &ImageReport) -> String {
    let count = |level| {
        let at = |item: &&Item| item.status == Status::Risk && item.risk_level == Some(level);
        image.items.iter().filter(at).count()
    };
    let (high, medium) = (count(Level::High), count(Level::Medium));
    let unknown = image.items.iter().filter(|item| item.status == Status::Unknown).count();
    let risks = match (high, medium) {
        (0, 0) => "no risk".to_owned(),
        (high, medium) => format!("{high} high, {medium} medium"),
    };
    let unknown = if unknown > 0 { format!(", {unknown} undecided") } else { String::new() };
    format!(
        "{risks}{unknown}; {} in {} ms, {} read",
        counted(image.items.len(), "item"),
        image.elapsed_ms,
        indicatif::HumanBytes(image.bytes_read)
    )
}

fn overview(report: &Report) -> String {
    let at_risk = |image: &&ImageReport| image.items.iter().any(|i| i.status == Status::Risk);
    let n_at_risk = report.images.iter().filter(at_risk).count();
    let n_failed = report.images.iter().filter(|image| image.error.is_some()).count();
    let n_images = counted(report.images.len(), "image");
    format!("{n_images}: {n_at_risk} at risk, {n_failed} could not be checked")
}
