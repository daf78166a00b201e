//! YAML with the core schema of 1.2. The events come from libyaml's parser in safe Rust, because
//! that is what the tools of authors read with: published templates have lines that stricter
//! parsers refuse. Nodes are built here, so that a text controls neither depth nor size: what an
//! alias copies counts again.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use libyaml_safer::{Event, EventData, Parser, ScalarStyle};
use serde_json::Number;

use super::{Key, Kind, MAX_BYTES, MAX_DEPTH, MAX_NODES, Node};
use crate::diagnostic::{Code, Diagnostic, Severity, Span};

/// Bytes of text that anchors keep and aliases copy: whole templates fit several times.
const MAX_COPIED_BYTES: usize = 4 * MAX_BYTES;

type Result<T> = std::result::Result<T, Diagnostic>;

pub(super) fn refuse(code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
    let (severity, path, help) = (Severity::Error, String::new(), None);
    Diagnostic { severity, code, message: message.into(), path, span, help }
}

/// The one document of `text` from the byte `start` to the end.
pub(super) fn parse(text: &str, start: usize) -> Result<Node> {
    // The parser panics where a block scalar or an escape runs into the end of the text: none does
    // behind a last line break.
    let body = format!("{}\n", text.get(start..).unwrap_or_default());
    let places = Places { start, len: text.len() };
    let mut builder = Builder::default();
    let mut n_documents = 0;
    let mut input = body.as_bytes();
    let mut parser = Parser::new();
    parser.set_input_string(&mut input);
    let mut at = start;
    loop {
        let event = next_event(&mut parser).ok_or_else(|| given_up(text, at))?;
        let event = event.map_err(|error| unreadable(text, &places, &error))?;
        at = places.byte(event.end_mark.index);
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
            EventData::SequenceStart { anchor, tag, .. } => {
                only_tag("seq", tag.as_deref(), &span)?;
                builder.open(anchor, span, false)?;
            }
            EventData::MappingStart { anchor, tag, .. } => {
                only_tag("map", tag.as_deref(), &span)?;
                builder.open(anchor, span, true)?;
            }
            EventData::SequenceEnd | EventData::MappingEnd => builder.close(&span, text)?,
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

/// The next event; none where the parser panics, as it does at `[!tag,` and perhaps elsewhere. It is
/// not asked again then, so nobody sees what state it is in.
fn next_event(
    parser: &mut Parser<&mut &[u8]>,
) -> Option<std::result::Result<Event, libyaml_safer::Error>> {
    catch_unwind(AssertUnwindSafe(|| parser.parse())).ok()
}

fn given_up(text: &str, at: usize) -> Diagnostic {
    let told = "what follows cannot be read as YAML";
    let help = Some("a tag and a comma side by side are a known cause".to_owned());
    Diagnostic { help, ..refuse(Code::Syntax, at..next_char(text, at), told) }
}

fn unreadable(text: &str, places: &Places, error: &libyaml_safer::Error) -> Diagnostic {
    let at = error.problem_mark().map_or(0, |mark| places.byte(mark.index));
    let told = match error.context() {
        Some(context) => format!("{}, {context}", error.problem()),
        None => error.problem().to_owned(),
    };
    refuse(Code::Syntax, at..next_char(text, at), told)
}

/// Places of the parser as places of the whole text. Unlike libyaml, this port counts bytes.
struct Places {
    /// Where the parser began.
    start: usize,
    len: usize,
}

impl Places {
    fn byte(&self, index: u64) -> usize {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        self.start.saturating_add(index).min(self.len)
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
    n_copied_bytes: usize,
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

    fn close(&mut self, end: &Span, text: &str) -> Result<()> {
        let Some(open) = self.stack.pop() else { return Ok(()) };
        let last = open.nodes.last().map_or(open.start, |node| node.span.end);
        // A block ends where the next thing begins, which may be lines below.
        let end = if end.end > end.start { end.end } else { last.max(open.start) };
        let span = open.start..end;
        let kind = match open.is_map {
            false => Kind::List(open.nodes),
            true => Kind::Map(entries(open.nodes, text)?),
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

    /// Count a node that is copied: its values, and their text, or a long text with many aliases
    /// would grow by the square.
    fn charge(&mut self, node: &Node, span: &Span) -> Result<()> {
        let (n_nodes, n_bytes) = super::size(node);
        self.n_nodes = self.n_nodes.saturating_add(n_nodes);
        self.n_copied_bytes = self.n_copied_bytes.saturating_add(n_bytes);
        if self.n_copied_bytes > MAX_COPIED_BYTES {
            let told = format!("aliases copy more than {MAX_COPIED_BYTES} bytes of text");
            return Err(refuse(Code::TooLarge, span.clone(), told));
        }
        if self.n_nodes > MAX_NODES { Err(too_many(span)) } else { Ok(()) }
    }
}

fn too_many(span: &Span) -> Diagnostic {
    let told = format!("more than {MAX_NODES} values, those that aliases copy included");
    refuse(Code::TooLarge, span.clone(), told)
}

fn entries(nodes: Vec<Node>, text: &str) -> Result<Vec<(Key, Node)>> {
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
    super::unique(entries, text)
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&str>, span: &Span) -> Result<Kind> {
    if let Some(tag) = tag {
        return match tag.strip_prefix("tag:yaml.org,2002:") {
            Some("str") => Ok(Kind::Text(text.to_owned())),
            Some("null" | "bool" | "int" | "float") => plain(text, span),
            _ => Err(unknown_tag(tag, span)),
        };
    }
    if style == ScalarStyle::Plain { plain(text, span) } else { Ok(Kind::Text(text.to_owned())) }
}

/// Refuse any tag of a collection but the one that says what it is.
fn only_tag(own: &str, tag: Option<&str>, span: &Span) -> Result<()> {
    match tag {
        Some(tag) if tag.strip_prefix("tag:yaml.org,2002:") != Some(own) => {
            Err(unknown_tag(tag, span))
        }
        _ => Ok(()),
    }
}

fn unknown_tag(tag: &str, span: &Span) -> Diagnostic {
    let told = format!("the tag {tag} has no meaning in a template");
    refuse(Code::Syntax, span.clone(), told)
}

/// A scalar without quotes, by the core schema of YAML 1.2.
fn plain(text: &str, span: &Span) -> Result<Kind> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        _ => match number(text) {
            Some(Some(number)) => Kind::Number(number),
            Some(None) => {
                let told = format!("{text} is no number that JSON has");
                let help = Some("quote it if it is text".to_owned());
                return Err(Diagnostic { help, ..refuse(Code::Syntax, span.clone(), told) });
            }
            None => Kind::Text(text.to_owned()),
        },
    })
}

/// The number that `text` is: none, or one that JSON cannot have. Integers of more than 64 bits are
/// as near as a float comes.
#[expect(clippy::option_option, reason = "no number, and a number that is none here, differ")]
fn number(text: &str) -> Option<Option<Number>> {
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            let is_whole = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
            return is_whole.then(|| whole(digits, radix));
        }
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(None);
    }
    let is_number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.bytes().any(|b| b.is_ascii_digit())
        && unsigned.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b));
    if !is_number {
        return None;
    }
    let exact = text.strip_prefix('+').unwrap_or(text);
    if let Ok(number) = exact.parse::<i64>() {
        return Some(Some(number.into()));
    }
    if let Ok(number) = exact.parse::<u64>() {
        return Some(Some(number.into()));
    }
    exact.parse().ok().map(Number::from_f64)
}

/// Digits of a radix, none of them wrong.
fn whole(digits: &str, radix: u32) -> Option<Number> {
    if let Ok(number) = u64::from_str_radix(digits, radix) {
        return Some(number.into());
    }
    let value = digits.chars().filter_map(|digit| digit.to_digit(radix));
    Number::from_f64(value.fold(0.0, |sum, digit| sum * f64::from(radix) + f64::from(digit)))
}
