//! JSON with places: tokens are found here, and scalars decoded by `serde_json`.

use serde_json::Number;

use super::yaml::refuse;
use super::{Key, Kind, MAX_DEPTH, MAX_NODES, Node};
use crate::diagnostic::{Code, Diagnostic, Span};

type Result<T> = std::result::Result<T, Diagnostic>;

/// The value of `text` from the byte `start` to the end.
pub(super) fn parse(text: &str, start: usize) -> Result<Node> {
    let mut reader = Reader { text, at: start, n_nodes: 0 };
    let node = reader.value(0)?;
    reader.blank();
    match reader.rest().is_empty() {
        true => Ok(node),
        false => Err(reader.expected("the end of the text")),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    n_nodes: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn blank(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    /// Take `token` if it comes next, after blanks.
    fn take(&mut self, token: char) -> bool {
        self.blank();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len_utf8();
        }
        found
    }

    fn expected(&self, what: &str) -> Diagnostic {
        let (found, len) = match self.rest().chars().next() {
            Some(found) => (format!("`{}`", found.escape_debug()), found.len_utf8()),
            None => ("the end of the text".to_owned(), 0),
        };
        let span = self.at..self.at + len;
        refuse(Code::Syntax, span, format!("{what} is expected here, and {found} is found"))
    }

    fn value(&mut self, depth: usize) -> Result<Node> {
        self.blank();
        let start = self.at;
        self.n_nodes += 1;
        let too_large = |told| Err(refuse(Code::TooLarge, start..start + 1, told));
        if depth >= MAX_DEPTH && self.rest().starts_with(['{', '[']) {
            return too_large(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        if self.n_nodes > MAX_NODES {
            return too_large(format!("more than {MAX_NODES} values"));
        }
        let kind = match self.rest().bytes().next() {
            Some(b'{') => self.map(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Kind::Text(self.string()?.0),
            Some(b'-' | b'0'..=b'9') => Kind::Number(self.number()?),
            _ => self.word()?,
        };
        Ok(Node { kind, span: start..self.at })
    }

    fn map(&mut self, depth: usize) -> Result<Kind> {
        self.at += 1;
        let mut entries = Vec::new();
        if self.take('}') {
            return Ok(Kind::Map(entries));
        }
        loop {
            self.blank();
            if !self.rest().starts_with('"') {
                return Err(self.expected("a key in quotes"));
            }
            let (name, span) = self.string()?;
            if !self.take(':') {
                return Err(self.expected("a colon after the key"));
            }
            let value = self.value(depth + 1)?;
            entries.push((Key { name, span }, value));
            if self.take('}') {
                return Ok(Kind::Map(super::unique(entries, self.text)?));
            }
            if !self.take(',') {
                return Err(self.expected("a comma or the end of the map"));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Kind> {
        self.at += 1;
        let mut items = Vec::new();
        if self.take(']') {
            return Ok(Kind::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.take(']') {
                return Ok(Kind::List(items));
            }
            if !self.take(',') {
                return Err(self.expected("a comma or the end of the list"));
            }
        }
    }

    fn string(&mut self) -> Result<(String, Span)> {
        let start = self.at;
        let bytes = self.rest().as_bytes();
        let mut at = 1;
        loop {
            match bytes.get(at) {
                Some(b'\\') => at += 2,
                Some(b'"') => break,
                Some(_) => at += 1,
                None => {
                    let told = "the text in quotes has no end";
                    return Err(refuse(Code::Syntax, start..start + 1, told));
                }
            }
        }
        let span = start..start + at + 1;
        let raw = self.text.get(span.clone()).unwrap_or_default();
        let text = serde_json::from_str(raw).map_err(|error| {
            let at = start + error.column().saturating_sub(1).min(raw.len());
            let told = error.to_string();
            let told = told.split(" at line ").next().unwrap_or_default().to_owned();
            let at = (start..=at).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(start);
            refuse(Code::Syntax, at..span.end, told)
        })?;
        self.at = span.end;
        Ok((text, span))
    }

    fn number(&mut self) -> Result<Number> {
        let rest = self.rest();
        let len = rest.find(|c: char| !(c.is_ascii_digit() || "+-.eE".contains(c)));
        let raw = &rest[..len.unwrap_or(rest.len())];
        let number = serde_json::from_str(raw).map_err(|_| {
            let span = self.at..self.at + raw.len();
            refuse(Code::Syntax, span, format!("`{raw}` is no number"))
        })?;
        self.at += raw.len();
        Ok(number)
    }

    fn word(&mut self) -> Result<Kind> {
        for (word, kind) in
            [("true", Kind::Bool(true)), ("false", Kind::Bool(false)), ("null", Kind::Null)]
        {
            if self.rest().starts_with(word) {
                self.at += word.len();
                return Ok(kind);
            }
        }
        Err(self.expected("a value"))
    }
}
