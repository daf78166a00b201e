//! One mapping of a world file: its fields are asked for by name, and what nobody asked for is an
//! error that names what there is.

use crate::{
    error::WorldError,
    yaml::{Content, Node},
};

/// The longest text of one field, in characters, where no other bound is set.
const MAX_CHARS: usize = 256;

/// The fields of one mapping.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    path: String,
    line: Option<usize>,
    entries: &'a [(String, Node)],
    known: Vec<&'static str>,
}

/// An error at a node.
pub(super) fn wrong(node: &Node, field: &str, reason: impl Into<String>) -> WorldError {
    WorldError::Field { line: node.line, field: field.to_owned(), reason: reason.into() }
}

/// The items of a list; nothing written is an empty one.
pub(super) fn items<'a>(node: &'a Node, path: &str) -> Result<&'a [Node], WorldError> {
    match &node.content {
        Content::List(items) => Ok(items),
        _ if node.is_null() => Ok(&[]),
        _ => Err(wrong(node, path, "a list is expected")),
    }
}

/// The entries of a mapping; nothing written is an empty one.
pub(super) fn entries<'a>(node: &'a Node, path: &str) -> Result<&'a [(String, Node)], WorldError> {
    match &node.content {
        Content::Map(entries) => Ok(entries),
        _ if node.is_null() => Ok(&[]),
        _ => Err(wrong(node, path, "a mapping is expected")),
    }
}

/// The text of a scalar.
pub(super) fn text(node: &Node, path: &str) -> Result<String, WorldError> {
    bounded_text(node, path, MAX_CHARS)
}

fn bounded_text(node: &Node, path: &str, max_chars: usize) -> Result<String, WorldError> {
    match &node.content {
        Content::Scalar { text, .. } if text.chars().count() > max_chars => {
            Err(wrong(node, path, format!("longer than {max_chars} characters")))
        }
        Content::Scalar { text, .. } => Ok(text.clone()),
        _ => Err(wrong(node, path, "a text is expected")),
    }
}

impl<'a> Fields<'a> {
    pub(super) fn of(node: &'a Node, path: &str) -> Result<Self, WorldError> {
        let entries = entries(node, path)?;
        Ok(Self { path: path.to_owned(), line: node.line, entries, known: Vec::new() })
    }

    /// The path of a field here.
    pub(super) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// A field that is written and not null.
    pub(super) fn get(&mut self, name: &'static str) -> Option<&'a Node> {
        self.known.push(name);
        let entry = self.entries.iter().find(|(key, _)| key == name);
        entry.map(|(_, node)| node).filter(|node| !node.is_null())
    }

    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, WorldError> {
        self.get(name).map(|node| text(node, &self.path(name))).transpose()
    }

    /// A text of up to `max_chars`.
    pub(super) fn long_text(
        &mut self,
        name: &'static str,
        max_chars: usize,
    ) -> Result<Option<String>, WorldError> {
        self.get(name).map(|node| bounded_text(node, &self.path(name), max_chars)).transpose()
    }

    pub(super) fn text_or(
        &mut self,
        name: &'static str,
        otherwise: &str,
    ) -> Result<String, WorldError> {
        Ok(self.text(name)?.unwrap_or_else(|| otherwise.to_owned()))
    }

    pub(super) fn required(&mut self, name: &'static str) -> Result<String, WorldError> {
        match self.text(name)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(self.wrong(name, "this field is needed")),
        }
    }

    /// A whole number within a range.
    pub(super) fn number(
        &mut self,
        name: &'static str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Result<Option<i64>, WorldError> {
        let Some(node) = self.get(name) else { return Ok(None) };
        let number = text(node, &self.path(name))?.parse().ok();
        let number = number.filter(|number| range.contains(number));
        let reason = || format!("a whole number from {} to {}", range.start(), range.end());
        number.map(Some).ok_or_else(|| wrong(node, &self.path(name), reason()))
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Result<Option<bool>, WorldError> {
        self.one_of(name, &["true", "false"]).map(|found| found.map(|text| text == "true"))
    }

    /// A text out of a list, in any letter case; the answer is spelt as the list has it.
    pub(super) fn one_of(
        &mut self,
        name: &'static str,
        allowed: &[&'static str],
    ) -> Result<Option<&'static str>, WorldError> {
        let Some(node) = self.get(name) else { return Ok(None) };
        let written = text(node, &self.path(name))?;
        let found = allowed.iter().find(|allowed| allowed.eq_ignore_ascii_case(&written));
        let reason = || format!("`{written}` is not one of {}", allowed.join(", "));
        found.copied().map(Some).ok_or_else(|| wrong(node, &self.path(name), reason()))
    }

    /// A time of transition: seconds, or text like `90s` and `5m`.
    pub(super) fn seconds(&mut self, name: &'static str) -> Result<Option<u32>, WorldError> {
        let Some(node) = self.get(name) else { return Ok(None) };
        let written = text(node, &self.path(name))?;
        let seconds = match written.parse::<i64>() {
            Ok(seconds) => Some(seconds),
            Err(_) => written.parse::<jiff::SignedDuration>().ok().map(|time| time.as_secs()),
        };
        let seconds = seconds.filter(|seconds| (0..=86_400).contains(seconds));
        let reason = "a time from 0s to 24h, as seconds or like `90s` and `5m`";
        let seconds = seconds.and_then(|seconds| u32::try_from(seconds).ok());
        seconds.map(Some).ok_or_else(|| wrong(node, &self.path(name), reason))
    }

    /// A point in time.
    pub(super) fn time(
        &mut self,
        name: &'static str,
    ) -> Result<Option<jiff::Timestamp>, WorldError> {
        let Some(node) = self.get(name) else { return Ok(None) };
        let time = crate::course::parse_time(&text(node, &self.path(name))?);
        let reason = "a time in UTC, like 2026-01-31 or 2026-01-31T12:00:00Z";
        time.map(Some).ok_or_else(|| wrong(node, &self.path(name), reason))
    }

    /// The error that a field here is wrong.
    pub(super) fn wrong(&self, name: &str, reason: impl Into<String>) -> WorldError {
        let entry = self.entries.iter().find(|(key, _)| key == name);
        let line = entry.map_or(self.line, |(_, node)| node.line);
        WorldError::Field { line, field: self.path(name), reason: reason.into() }
    }

    /// Refuse fields that were not asked for.
    pub(super) fn finish(self) -> Result<(), WorldError> {
        let unknown = self.entries.iter().find(|(key, _)| !self.known.contains(&key.as_str()));
        let Some((key, node)) = unknown else { return Ok(()) };
        let name: String = key.chars().take(64).collect();
        let reason = format!("there is no such field; there are {}", self.known.join(", "));
        Err(wrong(node, &self.path(&name), reason))
    }
}
