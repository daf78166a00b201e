//! `kiln template`: what is wrong with a template, what it wants, and how it goes.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};
use kiln_factory::executions::Shelf;
use kiln_oos::diagnostic::{Diagnostic, Severity, line_column, render};
use kiln_oos::graph::Graph;
use kiln_oos::parameters::localized;
use kiln_oos::template::{Action, Parameter, Task, Template};
use serde_json::{Value, json};

use crate::report::printable;
use crate::{Hinted, output};

/// A template was refused.
const EXIT_REFUSED: u8 = 1;

/// The largest file that is read as a template.
const MAX_BYTES: u64 = 1 << 20;

/// Validate, describe and draw OOS templates
///
/// Exit status: 0 all is well, 1 a template has errors, 2 it could not be looked at.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  kiln template validate deploy.yml nightly.json
  kiln template show ACS-ECS-RepairImage         a template that kiln ships
  kiln template graph deploy.yml > deploy.svg
  kiln template graph --format mermaid deploy.yml
  kiln template list")]
pub(crate) struct TemplateArgs {
    #[command(subcommand)]
    command: TemplateCommand,
}

#[derive(Debug, Subcommand)]
enum TemplateCommand {
    /// Say all that is wrong with templates, with places and suggestions
    Validate {
        /// Files; - is standard input; names of templates that kiln ships
        #[arg(required = true, value_name = "TEMPLATE")]
        templates: Vec<String>,
        #[command(flatten)]
        shelf: ShelfArgs,
        /// How to print the findings
        #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
        format: ReportFormat,
        /// Refuse templates that have warnings, too
        #[arg(long)]
        strict: bool,
    },
    /// Show parameters, outputs, tasks, and the API calls it has to be allowed
    Show {
        /// A file, or the name of a template that kiln ships
        template: String,
        #[command(flatten)]
        shelf: ShelfArgs,
        /// How to print it
        #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
        format: ReportFormat,
    },
    /// Draw the flow: branches, loops, and where errors lead
    Graph {
        /// A file, or the name of a template that kiln ships
        template: String,
        #[command(flatten)]
        shelf: ShelfArgs,
        /// The kind of picture
        #[arg(long, value_enum, default_value_t = GraphFormat::Svg)]
        format: GraphFormat,
    },
    /// List the templates and actions that kiln ships, or that a folder holds
    List {
        #[command(flatten)]
        shelf: ShelfArgs,
        /// How to print them
        #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
        format: ReportFormat,
    },
}

/// Where templates that are called by name are found
#[derive(Clone, Debug, Default, Parser)]
pub(crate) struct ShelfArgs {
    /// A folder with more templates and cloud product actions, searched with its folders (repeatable)
    #[arg(long, value_name = "DIR", env = "KILN_ACTIONS", value_delimiter = ':')]
    pub(crate) actions: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// For people
    Text,
    /// For programs
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum GraphFormat {
    /// A picture
    Svg,
    /// Mermaid's text, which many forges draw
    Mermaid,
    /// Graphviz's text
    Dot,
}

impl ShelfArgs {
    /// What kiln ships, and the folders.
    pub(crate) fn open(&self) -> Result<Shelf> {
        let mut shelf = Shelf::shipped();
        for folder in self.actions.iter().filter(|folder| !folder.as_os_str().is_empty()) {
            shelf.add(folder)?;
        }
        Ok(shelf)
    }
}

/// A template's text and where it came from.
pub(crate) struct Source {
    /// The file, or the name.
    pub(crate) name: String,
    /// The text.
    pub(crate) text: String,
    /// The name it is known by, where it has one.
    pub(crate) known_as: Option<String>,
}

/// The text of a file, of standard input, or of a template by name.
pub(crate) fn read(place: &str, shelf: &Shelf) -> Result<Source> {
    let name = place.to_owned();
    if place == "-" {
        let mut text = String::new();
        std::io::stdin()
            .take(MAX_BYTES)
            .read_to_string(&mut text)
            .context("cannot read standard input")?;
        return Ok(Source { name: "standard input".to_owned(), text, known_as: None });
    }
    let path = Path::new(place);
    if path.is_file() {
        let size = fs::metadata(path).with_context(|| format!("cannot read {place}"))?.len();
        anyhow::ensure!(size <= MAX_BYTES, "{place} has {size} bytes and is no template");
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {place}"))?;
        return Ok(Source { name, text, known_as: None });
    }
    if let Some(kept) = shelf.find(place) {
        let known_as = Some(kept.name.clone());
        return Ok(Source { name: kept.name.clone(), text: kept.loaded.text.clone(), known_as });
    }
    let message = format!("{place} is neither a file nor a template that kiln knows");
    Err(Hinted::new(message, "kiln template list shows those it knows").into())
}

/// Read and check a template; None where it was refused, after saying why on standard error.
pub(crate) fn checked(source: &Source, shelf: &Shelf) -> Option<Template> {
    let checked = kiln_oos::parse_template(&source.text, shelf);
    for finding in checked.diagnostics.sorted() {
        if finding.severity == Severity::Error {
            tell(source, finding);
        }
    }
    checked.template
}

fn tell(source: &Source, finding: &Diagnostic) {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    output::talk(&render(&source.name, &source.text, finding, colour));
}

pub(crate) fn run(args: &TemplateArgs) -> Result<ExitCode> {
    match &args.command {
        TemplateCommand::Validate { templates, shelf, format, strict } => {
            validate(templates, &shelf.open()?, *format, *strict)
        }
        TemplateCommand::Show { template, shelf, format } => {
            let shelf = shelf.open()?;
            show(&read(template, &shelf)?, &shelf, *format)
        }
        TemplateCommand::Graph { template, shelf, format } => {
            let shelf = shelf.open()?;
            draw(&read(template, &shelf)?, &shelf, *format)
        }
        TemplateCommand::List { shelf, format } => list(&shelf.open()?, *format),
    }
}

fn validate(
    templates: &[String],
    shelf: &Shelf,
    format: ReportFormat,
    strict: bool,
) -> Result<ExitCode> {
    let (mut reports, mut is_refused) = (Vec::new(), false);
    for place in templates {
        let source = read(place, shelf)?;
        let checked = kiln_oos::parse_template(&source.text, shelf);
        let findings = checked.diagnostics.sorted();
        let n_errors = findings.iter().filter(|own| own.severity == Severity::Error).count();
        let n_warnings = findings.len() - n_errors;
        is_refused |= n_errors > 0 || strict && n_warnings > 0;
        match format {
            ReportFormat::Text => {
                for finding in &findings {
                    tell(&source, finding);
                }
                let verdict = if n_errors > 0 { "refused" } else { "valid" };
                let counts = match (n_errors, n_warnings) {
                    (0, 0) => String::new(),
                    (errors, warnings) => {
                        format!(", {}, {}", many(errors, "error"), many(warnings, "warning"))
                    }
                };
                output::styled(
                    format!("{}: {verdict}{counts}\n", printable(&source.name)).as_bytes(),
                )?;
            }
            ReportFormat::Json => reports.push(json!({
                "template": source.name,
                "valid": n_errors == 0,
                "findings": findings.iter().map(|own| as_json(&source, own)).collect::<Vec<_>>(),
            })),
        }
    }
    if format == ReportFormat::Json {
        print_json(&Value::Array(reports))?;
    }
    Ok(if is_refused { ExitCode::from(EXIT_REFUSED) } else { ExitCode::SUCCESS })
}

fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn as_json(source: &Source, finding: &Diagnostic) -> Value {
    let (line, column) = line_column(&source.text, finding.span.start);
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    json!({
        "severity": severity,
        "code": finding.code.to_string(),
        "message": finding.message,
        "path": finding.path,
        "line": line,
        "column": column,
        "help": finding.help,
    })
}

fn print_json(value: &Value) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    output::exact(text.as_bytes())
}

fn show(source: &Source, shelf: &Shelf, format: ReportFormat) -> Result<ExitCode> {
    let Some(template) = checked(source, shelf) else {
        return Ok(ExitCode::from(EXIT_REFUSED));
    };
    let calls = calls(&template, shelf);
    match format {
        ReportFormat::Json => print_json(&facts(&template, &calls))?,
        ReportFormat::Text => output::styled(page(source, &template, &calls).as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The API calls of a template and of those it calls: what it has to be allowed.
fn calls(template: &Template, shelf: &Shelf) -> BTreeSet<String> {
    let mut calls = BTreeSet::new();
    let mut seen = BTreeSet::new();
    gather(&template.tasks, shelf, &mut seen, &mut calls);
    calls
}

fn gather(
    tasks: &[Task],
    shelf: &Shelf,
    seen: &mut BTreeSet<String>,
    calls: &mut BTreeSet<String>,
) {
    for task in tasks {
        let property = |name: &str| {
            let value = match &task.properties.kind {
                kiln_oos::expr::ExprKind::Value(Value::Object(map)) => map.get(name).cloned(),
                _ => task.properties.entry(name).and_then(kiln_oos::expr::Expr::constant),
            };
            value.and_then(|value| value.as_str().map(str::to_owned))
        };
        let child = match &task.action {
            Action::ExecuteApi | Action::WaitFor | Action::CheckFor => {
                if let (Some(service), Some(api)) = (property("Service"), property("API")) {
                    calls.insert(format!("{}:{api}", service.to_lowercase()));
                }
                None
            }
            Action::SelectTargets => {
                calls.insert("ecs:DescribeInstances".to_owned());
                None
            }
            Action::Loop { tasks } => {
                gather(tasks, shelf, seen, calls);
                None
            }
            Action::Product { name } => Some(name.clone()),
            Action::Template { .. } => property("TemplateName"),
            _ => None,
        };
        if let Some(kept) = child.and_then(|name| shelf.find(&name))
            && seen.insert(kept.name.clone())
        {
            gather(&kept.loaded.template.tasks, shelf, seen, calls);
        }
    }
}

fn facts(template: &Template, calls: &BTreeSet<String>) -> Value {
    let parameter = |own: &Parameter| {
        json!({
            "name": own.name,
            "type": own.kind.name(),
            "required": own.default.is_none(),
            "default": own.default.as_ref().map(shown_default),
            "allowedValues": own.allowed_values,
            "description": own.description.as_ref().or(own.label.as_ref()).and_then(localized),
        })
    };
    json!({
        "description": template.description.as_ref().and_then(localized),
        "parameters": template.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "outputs": template.outputs.iter().map(|own| &own.name).collect::<Vec<_>>(),
        "tasks": template.tasks.iter().map(|own| json!({
            "name": own.name,
            "action": own.action.name(),
            "description": own.description.as_ref().and_then(localized),
        })).collect::<Vec<_>>(),
        "permissions": calls,
    })
}

fn shown_default(default: &kiln_oos::expr::Expr) -> String {
    match default.constant() {
        Some(Value::Null) => "null".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "''".to_owned(),
        Some(value) => kiln_oos::value::text(&value).into_owned(),
        None => "from other values".to_owned(),
    }
}

fn page(source: &Source, template: &Template, calls: &BTreeSet<String>) -> String {
    let mut page = String::new();
    let name = source.known_as.as_ref().unwrap_or(&source.name);
    let _ = writeln!(page, "{}", printable(name));
    if let Some(description) = template.description.as_ref().and_then(localized) {
        let _ = writeln!(page, "{}", printable(&description));
    }
    let rows = template.parameters.iter().map(|own| {
        let wanted = match &own.default {
            None => "required".to_owned(),
            Some(default) => shown_default(default),
        };
        let about = own.description.as_ref().or(own.label.as_ref()).and_then(localized);
        let mut about = about.unwrap_or_default();
        if let Some(allowed) = &own.allowed_values {
            let listed: Vec<_> =
                allowed.iter().map(|value| kiln_oos::value::text(value).into_owned()).collect();
            let _ = write!(about, " [{}]", listed.join(", "));
        }
        vec![own.name.clone(), own.kind.name().to_owned(), cut(&wanted, 32), about]
    });
    table(&mut page, "Parameters", &["Name", "Type", "Default", "About"], rows.collect());
    let rows = template.tasks.iter().map(|own| {
        let about = own.description.as_ref().and_then(localized).unwrap_or_default();
        vec![own.name.clone(), own.action.name().to_owned(), about]
    });
    table(&mut page, "Tasks", &["Name", "Action", "About"], rows.collect());
    let rows = template.outputs.iter().map(|own| vec![own.name.clone(), own.kind.name().into()]);
    table(&mut page, "Outputs", &["Name", "Type"], rows.collect());
    let rows = calls.iter().map(|call| vec![call.clone()]);
    table(&mut page, "Permissions", &["Call"], rows.collect());
    page
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// A table with a heading; the last column is not padded.
pub(crate) fn table(page: &mut String, heading: &str, columns: &[&str], rows: Vec<Vec<String>>) {
    if rows.is_empty() {
        return;
    }
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
        cells.chain(columns.get(at).map(|name| name.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns.len()).map(width).collect();
    let mut line = |cells: &[String]| {
        page.push_str("  ");
        for (at, cell) in cells.iter().enumerate() {
            let cell = printable(cell);
            if at + 1 == cells.len() {
                page.push_str(&cell);
            } else {
                let _ = write!(page, "{cell:<width$}  ", width = widths.get(at).unwrap_or(&0));
            }
        }
        while page.ends_with(' ') {
            page.pop();
        }
        page.push('\n');
    };
    if !heading.is_empty() {
        line(&[]);
    }
    line(&columns.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    for row in &rows {
        line(row);
    }
}

fn draw(source: &Source, shelf: &Shelf, format: GraphFormat) -> Result<ExitCode> {
    let Some(template) = checked(source, shelf) else {
        return Ok(ExitCode::from(EXIT_REFUSED));
    };
    let graph = Graph::of(&template);
    let picture = match format {
        GraphFormat::Svg => graph.svg(),
        GraphFormat::Mermaid => graph.mermaid(),
        GraphFormat::Dot => graph.dot(),
    };
    output::exact(picture.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn list(shelf: &Shelf, format: ReportFormat) -> Result<ExitCode> {
    match format {
        ReportFormat::Json => {
            let each = shelf.iter().map(|kept| {
                json!({
                    "name": kept.name,
                    "action": kept.is_action,
                    "description": kept.loaded.template.description.as_ref().and_then(localized),
                })
            });
            print_json(&each.collect())?;
        }
        ReportFormat::Text => {
            let rows = shelf.iter().map(|kept| {
                let about = kept.loaded.template.description.as_ref().and_then(localized);
                vec![kept.name.clone(), cut(&about.unwrap_or_default(), 90)]
            });
            let mut page = String::new();
            table(&mut page, "", &["Name", "About"], rows.collect());
            output::styled(page.as_bytes())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
