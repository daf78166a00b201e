//! The report for people: what is wrong first, readable without colour.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use kiln_guest::{Evidence, Item, Level, Status};

use super::{ImageReport, Report, printable};

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
    Ok(())
}

fn image_table(image: &ImageReport, verbose: bool, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "{}  {}", image.image, headline(image))?;
    for note in &image.notes {
        writeln!(out, "note: {note}")?;
    }
    let width = |text: fn(&Item) -> usize| image.items.iter().map(text).max().unwrap_or(0);
    let names = width(|item| short_name(item).len());
    let values = width(|item| item.value.chars().count());
    for item in &image.items {
        let (word, style) = verdict(item);
        let (name, value) = (short_name(item), printable(&item.value));
        let message = if item.status == Status::Pass { "" } else { &*printable(&item.message) };
        let line = format!("{name:names$}  {value:values$}  {message}");
        writeln!(out, "{style}{word:7}{style:#}  {}", line.trim_end())?;
    }
    details(image, verbose, out)?;
    writeln!(out, "\n{}", summary(image))?;
    Ok(())
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
        words.extend(os.platform.clone());
        words.extend(os.version.clone());
        words.extend(os.architecture.clone());
        words.extend(os.kernel.clone().map(|kernel| format!("kernel {kernel}")));
    }
    format!("({})", words.join(", "))
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
            writeln!(out, "  fix: {suggestion}")?;
        }
    }
    Ok(())
}

/// `path:line: text`.
pub(crate) fn evidence_line(evidence: &Evidence) -> String {
    match (&evidence.path, evidence.line) {
        (Some(path), Some(line)) => format!("{path}:{line}: {}", printable(&evidence.text)),
        (Some(path), None) => format!("{path}: {}", printable(&evidence.text)),
        (None, _) => printable(&evidence.text),
    }
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
        "{risks}{unknown}; {} items in {} ms, {} read",
        image.items.len(),
        image.elapsed_ms,
        indicatif::HumanBytes(image.bytes_read)
    )
}
