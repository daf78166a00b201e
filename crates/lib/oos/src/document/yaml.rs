//! YAML with the core schema of 1.2. The events come from libyaml's parser in safe Rust, because
//! that is what the tools of authors read with: published templates have lines that stricter
//! parsers refuse. Nodes are built here, so that a text controls neither depth nor size: what an
//! alias copies counts again.

use std::collections::HashMap;

use libyaml_safer::{EventData, Parser, ScalarStyle};
use serde_json::Number;

use super::{Key, Kind, MAX_DEPTH, MAX_NODES, Node};
use crate::diagnostic::{Code, Diagnostic, Severity, Span};

type Result<T> = std::result::Result<T, Diagnostic>;

pub(super) fn refuse(code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
    let (severity, path, help) = (Severity::Error, String::new(), None);
    Diagnostic { severity, code, message: message.into(), path, span, help }
}

/// The one document of `text`.
pub(super) fn parse(text: &str) -> Result<Node> {
    let places = Places::new(text);
    let mut builder = Builder::default();
    let mut n_documents = 0;
    let mut input = text.as_bytes();
    let mut parser = Parser::new();
    parser.set_input_string(&mut input);
    loop {
        let event = parser.parse().map_err(|error| unreadable(text, &places, &error))?;
        let span = places.byte(event.start_mark.index)..places.byte(event.end_mark.index);
        match event.data {
            EventData::Scalar { anchor, tag, value, style, .. } => {
                let kind = scalar(&value, style, tag.as_deref(), &span)?;
                builder.add(Node { kind, span }, anchor)?;
            }
            EventData::Alias { anchor } => {
                let copy = builder.anchors.get(&anchor).cloned();
                let copy = copy.ok_or_else(|| {
                    let told = format!("the alias *{anchor} names nothing that came before");
                    refuse(Code::Syntax, span.clone(), told)
                })?;
                builder.charge(&copy, &span)?;
                builder.add(copy, None)?;
            }
            EventData::SequenceStart { anchor, .. } => builder.open(anchor, span, false)?,
            EventData::MappingStart { anchor, .. } => builder.open(anchor, span, true)?,
            EventData::SequenceEnd | EventData::MappingEnd => builder.close(&span)?,
            EventData::DocumentStart { .. } => {
                n_documents += 1;
                if n_documents > 1 {
                    let told = "a second document begins, and a template is one";
                    return Err(refuse(Code::Syntax, span, told));
                }
            }
            EventData::StreamStart { .. } | EventData::DocumentEnd { .. } => {}
            EventData::StreamEnd => break,
        }
    }
    Ok(builder.root.unwrap_or(Node { kind: Kind::Null, span: 0..0 }))
}

fn unreadable(text: &str, places: &Places, error: &libyaml_safer::Error) -> Diagnostic {
    let at = error.problem_mark().map_or(0, |mark| places.byte(mark.index));
    let told = match error.context() {
        Some(context) => format!("{}, {context}", error.problem()),
        None => error.problem().to_owned(),
    };
    refuse(Code::Syntax, at..next_char(text, at), told)
}

/// Where characters begin, counted in bytes: the parser counts in characters.
struct Places {
    starts: Option<Vec<usize>>,
    len: usize,
}

impl Places {
    fn new(text: &str) -> Self {
        let starts = (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect());
        Self { starts, len: text.len() }
    }

    fn byte(&self, character: u64) -> usize {
        let character = usize::try_from(character).unwrap_or(usize::MAX);
        match &self.starts {
            Some(starts) => starts.get(character).copied().unwrap_or(self.len),
            None => character.min(self.len),
        }
    }
}

fn next_char(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|rest| rest.chars().next()).map_or(at, |next| at + next.len_utf8())
}

/// A collection that is being filled. Of a map, keys and values by turns.
struct Open {
    anchor: Option<String>,
    start: usize,
    nodes: Vec<Node>,
    is_map: bool,
}

#[derive(Default)]
struct Builder {
    stack: Vec<Open>,
    anchors: HashMap<String, Node>,
    n_nodes: usize,
    root: Option<Node>,
}

impl Builder {
    fn open(&mut self, anchor: Option<String>, span: Span, is_map: bool) -> Result<()> {
        if self.stack.len() >= MAX_DEPTH {
            let told = format!("nested deeper than {MAX_DEPTH} levels");
            return Err(refuse(Code::TooLarge, span, told));
        }
        self.stack.push(Open { anchor, start: span.start, nodes: Vec::new(), is_map });
        Ok(())
    }

    fn close(&mut self, end: &Span) -> Result<()> {
        let Some(open) = self.stack.pop() else { return Ok(()) };
        let last = open.nodes.last().map_or(open.start, |node| node.span.end);
        // A block ends where the next thing begins, which may be lines below.
        let end = if end.end > end.start { end.end } else { last.max(open.start) };
        let span = open.start..end;
        let kind = match open.is_map {
            false => Kind::List(open.nodes),
            true => Kind::Map(entries(open.nodes)?),
        };
        self.add(Node { kind, span }, open.anchor)
    }

    fn add(&mut self, node: Node, anchor: Option<String>) -> Result<()> {
        self.n_nodes += 1;
        if let Some(anchor) = anchor {
            self.charge(&node, &node.span.clone())?;
            self.anchors.insert(anchor, node.clone());
        }
        if self.n_nodes > MAX_NODES {
            return Err(too_many(&node.span));
        }
        match self.stack.last_mut() {
            Some(open) => open.nodes.push(node),
            None => {
                self.root.get_or_insert(node);
            }
        }
        Ok(())
    }

    /// Count a node that is copied.
    fn charge(&mut self, node: &Node, span: &Span) -> Result<()> {
        self.n_nodes += super::count(node);
        if self.n_nodes > MAX_NODES { Err(too_many(span)) } else { Ok(()) }
    }
}

fn too_many(span: &Span) -> Diagnostic {
    let told = format!("more than {MAX_NODES} values, those that aliases copy included");
    refuse(Code::TooLarge, span.clone(), told)
}

fn entries(nodes: Vec<Node>) -> Result<Vec<(Key, Node)>> {
    let mut entries = Vec::with_capacity(nodes.len() / 2);
    let mut nodes = nodes.into_iter();
    while let (Some(key), Some(value)) = (nodes.next(), nodes.next()) {
        let name = match &key.kind {
            Kind::Text(text) => text.clone(),
            Kind::Null => "null".to_owned(),
            Kind::Bool(value) => value.to_string(),
            Kind::Number(number) => number.to_string(),
            Kind::List(_) | Kind::Map(_) => {
                return Err(refuse(Code::Syntax, key.span, "a list or a map as a key"));
            }
        };
        entries.push((Key { name, span: key.span }, value));
    }
    super::unique(entries)
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&str>, span: &Span) -> Result<Kind> {
    if let Some(tag) = tag {
        return match tag.strip_prefix("tag:yaml.org,2002:") {
            Some("str") => Ok(Kind::Text(text.to_owned())),
            Some("null" | "bool" | "int" | "float") => plain(text, span),
            _ => {
                let told = format!("the tag {tag} has no meaning in a template");
                Err(refuse(Code::Syntax, span.clone(), told))
            }
        };
    }
    if style == ScalarStyle::Plain { plain(text, span) } else { Ok(Kind::Text(text.to_owned())) }
}

/// A scalar without quotes, by the core schema of YAML 1.2.
fn plain(text: &str, span: &Span) -> Result<Kind> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "-.inf" | ".nan" | ".NaN" | ".NAN" => {
            let told = format!("{text} is no number that JSON has; quote it if it is text");
            return Err(refuse(Code::Syntax, span.clone(), told));
        }
        _ => match number(text) {
            Some(number) => Kind::Number(number),
            None => Kind::Text(text.to_owned()),
        },
    })
}

fn number(text: &str) -> Option<Number> {
    let radix =
        |digits: &str, radix: u32| u64::from_str_radix(digits, radix).ok().map(Number::from);
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16).filter(|_| !digits.starts_with('+'));
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8).filter(|_| !digits.starts_with('+'));
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.bytes().any(|b| b.is_ascii_digit())
        && unsigned.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b));
    if !is_number {
        return None;
    }
    let exact = text.strip_prefix('+').unwrap_or(text);
    if let Ok(number) = exact.parse::<i64>() {
        return Some(number.into());
    }
    if let Ok(number) = exact.parse::<u64>() {
        return Some(number.into());
    }
    Number::from_f64(exact.parse().ok()?)
}
