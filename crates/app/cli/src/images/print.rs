//! Answers as a table, or as they came.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::Value;

use super::args::ImagesFormat;
use crate::output;
use crate::report::printable;

/// A column: its title, and where in an item its text is.
type Column = (&'static str, &'static str);

const IMAGES: &[Column] = &[
    ("IMAGE", "/ImageId"),
    ("NAME", "/ImageName"),
    ("STATUS", "/Status"),
    ("PROGRESS", "/Progress"),
    ("GIB", "/Size"),
    ("ARCH", "/Architecture"),
    ("PLATFORM", "/Platform"),
    ("CREATED", "/CreationTime"),
];
const TASKS: &[Column] = &[
    ("TASK", "/TaskId"),
    ("ACTION", "/TaskAction"),
    ("STATUS", "/TaskStatus"),
    ("IMAGE", "/ResourceId"),
    ("CREATED", "/CreationTime"),
    ("FINISHED", "/FinishedTime"),
];
const DISKS: &[Column] = &[
    ("DISK", "/Device"),
    ("KIND", "/Type"),
    ("GIB", "/Size"),
    ("FORMAT", "/Format"),
    ("BUCKET", "/ImportOSSBucket"),
    ("OBJECT", "/ImportOSSObject"),
];
const ITEMS: &[Column] =
    &[("CHECK", "/Name"), ("VALUE", "/Value"), ("RISK", "/RiskLevel"), ("CODE", "/RiskCode")];

/// Writes answers in the format that was asked for.
pub(super) struct Printer {
    pub(super) format: ImagesFormat,
}

impl Printer {
    pub(super) fn images(&self, answer: &Value) -> Result<ExitCode> {
        self.write(answer, |answer| table(answer.pointer("/Images/Image"), IMAGES))
    }

    pub(super) fn tasks(&self, answer: &Value) -> Result<ExitCode> {
        self.write(answer, |answer| table(answer.pointer("/TaskSet/Task"), TASKS))
    }

    /// The one image of an answer: its scalars, its disks, and what its check found.
    pub(super) fn image(&self, answer: &Value) -> Result<ExitCode> {
        self.write(answer, |answer| {
            let Some(image) = answer.pointer("/Images/Image/0") else { return String::new() };
            let mut out = String::new();
            for (name, value) in image.as_object().into_iter().flatten() {
                let value = text(Some(value));
                if !value.is_empty() {
                    out += &format!("{:24}{value}\n", printable(name));
                }
            }
            for (list, columns) in [
                ("/DiskDeviceMappings/DiskDeviceMapping", DISKS),
                ("/DetectionOptions/Items/Item", ITEMS),
                ("/Tags/Tag", &[("TAG", "/TagKey"), ("VALUE", "/TagValue")]),
            ] {
                let list = image.pointer(list).filter(|list| **list != Value::Array(Vec::new()));
                if list.is_some() {
                    out += &format!("\n{}", table(list, columns));
                }
            }
            out
        })
    }

    /// The named fields of an answer, one a line.
    pub(super) fn fields(&self, answer: &Value, names: &[&str]) -> Result<ExitCode> {
        self.write(answer, |answer| {
            let line = |name: &&str| {
                let value = text(answer.get(*name));
                (!value.is_empty()).then(|| format!("{name:12}{value}\n"))
            };
            names.iter().filter_map(line).collect()
        })
    }

    fn write(&self, answer: &Value, table: impl Fn(&Value) -> String) -> Result<ExitCode> {
        let text = match self.format {
            ImagesFormat::Table => table(answer),
            ImagesFormat::Json => format!("{answer:#}\n"),
        };
        output::exact(text.as_bytes()).map(|()| ExitCode::SUCCESS)
    }
}

/// A scalar as text, fit for a terminal; nothing for all else.
fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => printable(text),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
        _ => String::new(),
    }
}

fn table(list: Option<&Value>, columns: &[Column]) -> String {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    let titles = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
    let row = |item: &Value| columns.iter().map(|(_, at)| text(item.pointer(at))).collect();
    let rows: Vec<Vec<String>> = std::iter::once(titles).chain(items.map(row)).collect();
    let width =
        |n: usize| rows.iter().filter_map(|row| row.get(n)).map(|t| t.chars().count()).max();
    let widths: Vec<usize> = (0..columns.len()).map(|n| width(n).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(text, width)| format!("{text:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_as_wide_as_their_widest_text_and_fit_a_terminal() {
        let list = json!([{ "A": "ü", "B": 7 }, { "A": "long\u{1b}", "B": true }, 1]);
        let columns = [("A", "/A"), ("BB", "/B")];
        let expected = "A      BB\nü      7\nlong\u{fffd}  true\n\n";
        assert_eq!(table(Some(&list), &columns), expected);
        assert_eq!(table(None, &columns), "A  BB\n");
    }
}
