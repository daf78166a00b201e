//! Parameters of a template from the command line and from a file.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use kiln_oos::parameters::localized;
use kiln_oos::template::Template;
use serde_json::{Map, Value};

use crate::Hinted;
use crate::report::printable;

/// What was given: a file first, single parameters over it.
pub(super) fn gather(single: &[String], file: Option<&Path>) -> Result<Map<String, Value>> {
    let mut given = match file {
        Some(file) => from_file(file)?,
        None => Map::new(),
    };
    for text in single {
        let Some((name, value)) = text.split_once('=') else {
            let hint = "write --param NAME=VALUE";
            return Err(Hinted::new(format!("--param {text}: there is no ="), hint).into());
        };
        given.insert(name.trim().to_owned(), Value::from(value));
    }
    Ok(given)
}

fn from_file(file: &Path) -> Result<Map<String, Value>> {
    let place = file.display();
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {place}"))?;
    let node = match kiln_oos::document::parse(&text) {
        Ok(node) => node,
        Err(finding) => {
            let (line, column) = kiln_oos::diagnostic::line_column(&text, finding.span.start);
            bail!("{place}:{line}:{column}: {}", finding.message)
        }
    };
    match node.to_value() {
        Value::Object(map) => Ok(map),
        other => bail!(
            "{place}: a map of parameters is wanted, and this is {}",
            kiln_oos::value::kind(&other)
        ),
    }
}

/// Whether all that is required was given. What is wrong with values is found when the run is made.
pub(super) fn check_given(template: &Template, given: &Map<String, Value>) -> Result<()> {
    let is_given = |name: &str| given.keys().any(|own| own.eq_ignore_ascii_case(name));
    let missing: Vec<_> = template
        .parameters
        .iter()
        .filter(|own| own.default.is_none() && !is_given(&own.name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut message = "parameters are missing:".to_owned();
    for own in &missing {
        let _ = write!(message, "\n  {} ({})", own.name, own.kind.name());
        let about = own.description.as_ref().or(own.label.as_ref()).and_then(localized);
        if let Some(about) = about {
            let _ = write!(message, "  {}", printable(&about));
        }
        if let Some(allowed) = &own.allowed_values {
            let listed: Vec<_> =
                allowed.iter().map(|value| kiln_oos::value::text(value).into_owned()).collect();
            let _ = write!(message, " [{}]", listed.join(", "));
        }
    }
    let first = missing.first().map_or("NAME", |own| own.name.as_str());
    let hint = format!("give each by --param {first}=VALUE, or all by --params FILE");
    Err(Hinted::new(message, &hint).into())
}
