//! A template's text as nodes that know where they stand.

mod json;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::HashMap;

use serde_json::{Map, Number, Value};

use crate::diagnostic::{Code, Diagnostic, Span, line_column};

/// The largest template, in bytes: the limit of the service.
pub const MAX_BYTES: usize = 64 << 10;

/// How deep lists and maps may nest.
pub(crate) const MAX_DEPTH: usize = 64;

/// How many values a text may hold.
const MAX_NODES: usize = 50_000;

/// The nodes of a text: JSON where its first letter is a brace, else YAML.
///
/// # Errors
///
/// `TooLarge` beyond the limits, `Syntax` where it is neither.
pub fn parse(text: &str) -> Result<Node, Diagnostic> {
    if text.len() > MAX_BYTES {
        let told = format!("{} bytes, more than the {MAX_BYTES} of a template", text.len());
        return Err(yaml::refuse(Code::TooLarge, 0..0, told));
    }
    // Neither parser counts byte order marks.
    let start = text.len() - text.trim_start_matches('\u{feff}').len();
    match text.get(start..).unwrap_or_default().trim_start().starts_with('{') {
        true => json::parse(text, start),
        false => yaml::parse(text, start),
    }
}

/// `entries` of a map in `text`, unless a key is there twice.
fn unique(entries: Vec<(Key, Node)>, text: &str) -> Result<Vec<(Key, Node)>, Diagnostic> {
    let mut seen: HashMap<&str, &Span> = HashMap::with_capacity(entries.len());
    for (key, _) in &entries {
        if let Some(first) = seen.insert(&key.name, &key.span) {
            let told = format!("the key `{}` is there twice in one map", key.name);
            let (line, column) = line_column(text, first.start);
            let help = Some(format!("the first one is in line {line}, column {column}"));
            let finding = yaml::refuse(Code::Syntax, key.span.clone(), told);
            return Err(Diagnostic { help, ..finding });
        }
    }
    Ok(entries)
}

/// How many nodes are in a node, itself included, and the bytes of text in them.
fn size(node: &Node) -> (usize, usize) {
    let (mut n_nodes, mut n_bytes, mut pending) = (0_usize, 0_usize, vec![node]);
    while let Some(node) = pending.pop() {
        n_nodes = n_nodes.saturating_add(1);
        n_bytes = n_bytes.saturating_add(node.text().map_or(0, str::len));
        pending.extend(node.items());
        for (key, value) in node.entries() {
            n_bytes = n_bytes.saturating_add(key.name.len());
            pending.push(value);
        }
    }
    (n_nodes, n_bytes)
}

/// A value of the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Its bytes in the text.
    pub span: Span,
}

/// What a [`Node`] is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the text, no key twice.
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key.
    pub name: String,
    /// Its bytes in the text.
    pub span: Span,
}

impl Node {
    /// The value of a key, in exactly this spelling.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entries().iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    /// The node at a way of keys from here.
    #[must_use]
    pub fn at(&self, way: &[&str]) -> Option<&Node> {
        way.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The entries of a map; of anything else, none.
    #[must_use]
    pub fn entries(&self) -> &[(Key, Node)] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; of anything else, none.
    #[must_use]
    pub fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// Text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What it is, as messages say it.
    #[must_use]
    pub const fn what(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "null",
            Kind::Bool(_) => "a boolean",
            Kind::Number(_) => "a number",
            Kind::Text(_) => "a string",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }

    /// The value without its places.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => items.iter().map(Node::to_value).collect(),
            Kind::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, node)| (key.name.clone(), node.to_value()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }
}
