//! World files as trees that know their lines.
//!
//! The events come from `saphyr-parser`; the tree is built here, so that a file controls neither
//! depth nor size. Aliases copy what they name and count against the same limit. JSON is read by
//! its own parser, because some of it is no YAML; its nodes have no lines.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};
use serde_json::{Number, Value};

use crate::error::WorldError;

/// The largest world file, in bytes.
pub(crate) const MAX_BYTES: usize = 1 << 20;
const MAX_DEPTH: usize = 32;
const MAX_NODES: usize = 100_000;
/// Text in all, with what aliases copy, in bytes.
const MAX_TEXT_BYTES: usize = 4 << 20;

/// A value and the line it is on.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// From 1. JSON has none.
    pub(crate) line: Option<usize>,
    pub(crate) content: Content,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// A scalar as it is written; `is_plain` if it has no quotes and can be a number or the like.
    Scalar { text: String, is_plain: bool },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// Whether nothing is written here.
    pub(crate) fn is_null(&self) -> bool {
        match &self.content {
            Content::Scalar { text, is_plain } => *is_plain && plain(text).is_null(),
            Content::List(_) | Content::Map(_) => false,
        }
    }

    /// As JSON, with plain scalars as numbers, booleans and null where they are such.
    pub(crate) fn to_value(&self) -> Value {
        match &self.content {
            Content::Scalar { text, is_plain: true } => plain(text),
            Content::Scalar { text, .. } => Value::String(text.clone()),
            Content::List(items) => items.iter().map(Node::to_value).collect(),
            Content::Map(entries) => {
                let entries = entries.iter().map(|(key, node)| (key.clone(), node.to_value()));
                Value::Object(entries.collect())
            }
        }
    }

    fn text(text: &str, is_plain: bool) -> Self {
        Self { line: None, content: Content::Scalar { text: text.to_owned(), is_plain } }
    }

    fn of_json(value: &Value) -> Self {
        let content = match value {
            Value::String(text) => return Self::text(text, false),
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                return Self::text(&value.to_string(), true);
            }
            Value::Array(items) => Content::List(items.iter().map(Self::of_json).collect()),
            Value::Object(entries) => {
                let entries =
                    entries.iter().map(|(key, value)| (key.clone(), Self::of_json(value)));
                Content::Map(entries.collect())
            }
        };
        Self { line: None, content }
    }

    /// Number of nodes and bytes of text.
    fn weight(&self) -> (usize, usize) {
        let (mut n_nodes, mut n_bytes) = (0, 0);
        let mut pending = vec![self];
        while let Some(node) = pending.pop() {
            n_nodes += 1;
            match &node.content {
                Content::Scalar { text, .. } => n_bytes += text.len(),
                Content::List(items) => pending.extend(items),
                Content::Map(entries) => {
                    n_bytes += entries.iter().map(|(key, _)| key.len()).sum::<usize>();
                    pending.extend(entries.iter().map(|(_, node)| node));
                }
            }
        }
        (n_nodes, n_bytes)
    }
}

/// A scalar without quotes, by the core schema of YAML 1.2.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let is_numeric = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    if let Ok(number) = text.parse::<i64>() {
        return number.into();
    }
    let number = text.parse().ok().filter(|_| is_numeric).and_then(Number::from_f64);
    number.map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

/// The first document of `text`. An empty one is null.
pub(crate) fn parse(text: &str) -> Result<Node, WorldError> {
    if text.len() > MAX_BYTES {
        return Err(WorldError::TooLarge { n_bytes: text.len(), max_bytes: MAX_BYTES });
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('{')
        && let Ok(value) = serde_json::from_str::<Value>(text)
    {
        return Ok(Node::of_json(&value));
    }
    Builder::default().build(text)
}

/// A collection that is being filled.
#[derive(Debug)]
enum Open {
    List(Vec<Node>),
    Map { entries: Vec<(String, Node)>, key: Option<String>, seen: HashMap<String, usize> },
}

#[derive(Debug, Default)]
struct Builder {
    stack: Vec<(usize, usize, Open)>,
    /// By number. A collection gets in when it is closed, so that none can hold itself.
    anchors: HashMap<usize, Node>,
    n_nodes: usize,
    n_bytes: usize,
    root: Option<Node>,
}

impl Builder {
    fn build(mut self, text: &str) -> Result<Node, WorldError> {
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| scan_error(&error))?;
            let line = span.start.line();
            match event {
                Event::Scalar(text, style, anchor, tag) => {
                    self.count(1, text.len(), line)?;
                    let content = scalar(&text, style == ScalarStyle::Plain, tag.as_deref());
                    self.add(Node { line: Some(line), content }, anchor, line)?;
                }
                Event::Alias(anchor) => {
                    let copy = self.anchors.get(&anchor).cloned();
                    let copy = copy.ok_or_else(|| syntax(line, "an alias inside what it names"))?;
                    let (n_nodes, n_bytes) = copy.weight();
                    self.count(n_nodes, n_bytes, line)?;
                    self.add(copy, 0, line)?;
                }
                Event::SequenceStart(anchor, _) => {
                    self.open(anchor, line, Open::List(Vec::new()))?;
                }
                Event::MappingStart(anchor, _) => {
                    let (entries, seen) = (Vec::new(), HashMap::new());
                    self.open(anchor, line, Open::Map { entries, key: None, seen })?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.close(line)?,
                Event::DocumentEnd => break,
                Event::Nothing
                | Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(_) => {}
            }
        }
        Ok(self.root.unwrap_or_else(|| Node::text("", true)))
    }

    fn count(&mut self, n_nodes: usize, n_bytes: usize, line: usize) -> Result<(), WorldError> {
        self.n_nodes = self.n_nodes.saturating_add(n_nodes);
        self.n_bytes = self.n_bytes.saturating_add(n_bytes);
        if self.n_nodes > MAX_NODES || self.n_bytes > MAX_TEXT_BYTES {
            return Err(syntax(
                line,
                &format!(
                    "more than {MAX_NODES} values or {MAX_TEXT_BYTES} bytes of text, aliases \
                     included"
                ),
            ));
        }
        Ok(())
    }

    fn open(&mut self, anchor: usize, line: usize, open: Open) -> Result<(), WorldError> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(syntax(line, &format!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.count(1, 0, line)?;
        self.stack.push((anchor, line, open));
        Ok(())
    }

    fn close(&mut self, end_line: usize) -> Result<(), WorldError> {
        let Some((anchor, line, open)) = self.stack.pop() else { return Ok(()) };
        let content = match open {
            Open::List(items) => Content::List(items),
            Open::Map { entries, .. } => Content::Map(entries),
        };
        self.add(Node { line: Some(line), content }, anchor, end_line)
    }

    fn add(&mut self, node: Node, anchor: usize, line: usize) -> Result<(), WorldError> {
        if anchor != 0 {
            let (n_nodes, n_bytes) = node.weight();
            self.count(n_nodes, n_bytes, line)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.stack.last_mut() {
            None => {
                self.root.get_or_insert(node);
            }
            Some((_, _, Open::List(items))) => items.push(node),
            Some((_, _, Open::Map { entries, key, seen })) => match key.take() {
                None => match node.content {
                    Content::Scalar { text, .. } => *key = Some(text),
                    _ => return Err(syntax(line, "a list or mapping as a key")),
                },
                Some(name) => {
                    if seen.insert(name.clone(), entries.len()).is_some() {
                        return Err(syntax(line, &format!("`{name}` is here twice")));
                    }
                    entries.push((name, node));
                }
            },
        }
        Ok(())
    }
}

/// A tag like `!Ref` is the short form of a function of a stack's template.
fn scalar(text: &str, is_plain: bool, tag: Option<&Tag>) -> Content {
    let content = Content::Scalar { text: text.to_owned(), is_plain };
    let Some(tag) = tag else { return content };
    let function = match (tag.handle.as_str(), tag.suffix.as_str()) {
        ("!", "Ref") => "Ref".to_owned(),
        ("!", name) => format!("Fn::{name}"),
        (_, "str") => return Content::Scalar { text: text.to_owned(), is_plain: false },
        _ => return content,
    };
    Content::Map(vec![(function, Node::text(text, false))])
}

fn syntax(line: usize, reason: &str) -> WorldError {
    WorldError::Syntax { line, reason: reason.to_owned() }
}

fn scan_error(error: &ScanError) -> WorldError {
    syntax(error.marker().line(), error.info())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn plain_words_are_typed_and_quoted_ones_are_text() {
        let found = parse("a: 1\nb: '1'\nc: 1.5\nd: true\ne: ~\nf: inf\ng: [x, yes]\nh: !Ref V\n");
        assert_eq!(
            found.unwrap().to_value(),
            json!({"a": 1, "b": "1", "c": 1.5, "d": true, "e": null, "f": "inf", "g": ["x", "yes"],
                "h": {"Ref": "V"}})
        );
        assert!(parse("").unwrap().is_null());
        assert!(parse("# nothing\n").unwrap().is_null());
    }

    #[test]
    fn json_that_is_no_yaml_is_read() {
        let found = parse("{\n\t\"a\": \"\\ud83d\\ude00\"}").unwrap();
        assert_eq!(found.to_value(), json!({"a": "😀"}));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, line) in [
            ("a: 1\nb: [1\nc: 2\n", 3),
            ("a: 1\na: 2\n", 2),
            ("a: 1\n? [x]\n: 1\n", 2),
            ("a: *b\n", 1),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("line {line}: ")), "{text:?}: {error}");
        }
    }

    #[test]
    fn depth_size_and_aliases_are_bounded() {
        let laughs = (0..30).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, n| {
            format!("{text}a{}: &a{} [*a{n},*a{n},*a{n},*a{n},*a{n},*a{n},*a{n}]\n", n + 1, n + 1)
        });
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), "*a,".repeat(1000));
        for (text, told) in [
            ("[".repeat(100), "nested deeper than 32 levels"),
            (laughs, "more than 100000 values"),
            (long, "more than 100000 values or 4194304 bytes"),
            ("x".repeat(MAX_BYTES + 1), "more than the 1048576 of a world file"),
            ("a: &a [*a]\n".into(), "an alias inside what it names"),
        ] {
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
