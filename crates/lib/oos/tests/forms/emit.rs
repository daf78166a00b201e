//! JSON values as YAML in styles that follow from a seed: blocks and flows, plain, quoted, literal and
//! folded text, anchors and aliases, comments. Every style stands for the same value.

use serde_json::Value;

use super::random::Random;

/// What is written, and which values were given an anchor on the way.
pub(crate) struct Emitter<'r> {
    random: &'r mut Random,
    out: String,
    anchors: Vec<(Value, String)>,
}

impl<'r> Emitter<'r> {
    pub(crate) fn new(random: &'r mut Random) -> Self {
        Self { random, out: String::new(), anchors: Vec::new() }
    }

    pub(crate) fn document(mut self, value: &Value) -> String {
        for (chance, line) in [(3, "# a comment\n"), (3, "---\n")] {
            if self.random.one_in(chance) {
                self.out.push_str(line);
            }
        }
        // The first letter must not be a brace: that would be JSON.
        let Value::Object(map) = value else { panic!("a template is a map") };
        let is_marked = self.out.ends_with("---\n");
        self.block_map(map, 0);
        if is_marked && self.random.one_in(2) {
            self.out.push_str("...\n");
        }
        self.out
    }

    /// What stands behind a key or a dash: the value and the end of its line.
    fn after(&mut self, value: &Value, indent: usize) {
        if let Some(alias) = self.alias(value) {
            self.out.push_str(&format!(" *{alias}\n"));
            return;
        }
        match value {
            Value::Object(map) if !map.is_empty() && !self.random.one_in(4) => {
                self.anchor(value);
                self.end_line();
                self.block_map(map, indent + 2);
            }
            Value::Array(items) if !items.is_empty() && !self.random.one_in(4) => {
                self.anchor(value);
                self.end_line();
                self.block_list(items, indent + 2);
            }
            Value::String(text) if is_for_blocks(text) && !self.random.one_in(3) => {
                self.block_text(text, indent);
            }
            Value::Null if self.random.one_in(3) => self.out.push('\n'),
            _ => {
                self.anchor(value);
                self.out.push(' ');
                self.flow(value, false);
                self.end_line();
            }
        }
    }

    fn block_map(&mut self, map: &serde_json::Map<String, Value>, indent: usize) {
        for (key, value) in map {
            self.pad(indent);
            self.key(key);
            self.out.push(':');
            self.after(value, indent);
        }
    }

    fn block_list(&mut self, items: &[Value], indent: usize) {
        for item in items {
            self.pad(indent);
            self.out.push('-');
            match item {
                // A map may begin on the line of its dash.
                Value::Object(map) if !map.is_empty() && self.random.one_in(2) => {
                    let start = self.out.len() + 1;
                    self.block_map(map, indent + 2);
                    self.out.replace_range(start..start + indent + 1, "");
                }
                item => self.after(item, indent),
            }
        }
    }

    /// Literal text, or folded where a blank stands for the end of a line.
    fn block_text(&mut self, text: &str, indent: usize) {
        let chomp = match (text.ends_with("\n\n"), text.ends_with('\n')) {
            (true, _) => "+",
            (_, true) => "",
            _ => "-",
        };
        let is_folded = !text.contains('\n') && text.contains(' ') && self.random.one_in(2);
        let begins_with_blank = text.starts_with([' ', '\n']);
        let explicit = if begins_with_blank || self.random.one_in(3) { "2" } else { "" };
        self.out.push_str(if is_folded { " >" } else { " |" });
        self.out.push_str(explicit);
        self.out.push_str(chomp);
        self.out.push('\n');
        let body = match is_folded {
            true => text.replacen(' ', "\n", 1),
            false => text.strip_suffix('\n').unwrap_or(text).to_owned(),
        };
        for line in body.split('\n') {
            if !line.is_empty() {
                self.pad(indent + 2);
                self.out.push_str(line);
            }
            self.out.push('\n');
        }
    }

    /// A value on one line.
    fn flow(&mut self, value: &Value, is_inside: bool) {
        match value {
            Value::Null => {
                let all = ["null", "~", "Null", "!!null null"];
                let style = self.pick(&all);
                self.out.push_str(style);
            }
            Value::Bool(true) => {
                let style = self.pick(&["true", "True", "TRUE"]);
                self.out.push_str(style);
            }
            Value::Bool(false) => {
                let style = self.pick(&["false", "False", "FALSE"]);
                self.out.push_str(style);
            }
            Value::Number(number) => match number.as_u64() {
                Some(whole) if self.random.one_in(4) => self.out.push_str(&format!("0x{whole:x}")),
                Some(whole) if self.random.one_in(8) => self.out.push_str(&format!("+{whole}")),
                _ => self.out.push_str(&number.to_string()),
            },
            Value::String(text) => self.line_text(text, is_inside),
            Value::Array(items) => {
                self.out.push('[');
                for (at, item) in items.iter().enumerate() {
                    self.out.push_str(if at > 0 { ", " } else { "" });
                    self.flow(item, true);
                }
                self.out.push(']');
            }
            Value::Object(map) => {
                self.out.push('{');
                for (at, (key, value)) in map.iter().enumerate() {
                    self.out.push_str(if at > 0 { ", " } else { "" });
                    self.key(key);
                    self.out.push_str(": ");
                    self.flow(value, true);
                }
                self.out.push('}');
            }
        }
    }

    fn key(&mut self, key: &str) {
        // Keys that are no text become text: `true: 1` has the key `true`.
        if matches!(key, "true" | "null" | "1") && self.random.one_in(2) {
            self.out.push_str(key);
        } else {
            self.line_text(key, true);
        }
    }

    fn line_text(&mut self, text: &str, is_inside: bool) {
        match self.random.below(4) {
            0 | 1 if is_plain(text, is_inside) => self.out.push_str(text),
            2 if is_printed(text) => {
                self.out.push_str(&format!("'{}'", text.replace('\'', "''")));
            }
            _ => self.out.push_str(&quoted(text)),
        }
    }

    fn alias(&mut self, value: &Value) -> Option<String> {
        let (_, name) = self.anchors.iter().find(|(own, _)| own == value)?;
        self.random.one_in(2).then(|| name.clone())
    }

    /// Name a value that stands next, so that an alias can stand for it later.
    fn anchor(&mut self, value: &Value) {
        let is_worth_it = matches!(value, Value::Array(_) | Value::Object(_) | Value::String(_));
        // Anchored text counts against a limit; a few are enough.
        if is_worth_it && self.anchors.len() < 10 && self.random.one_in(3) {
            let name = format!("a{}", self.anchors.len());
            self.out.push_str(&format!(" &{name}"));
            self.anchors.push((value.clone(), name));
        }
    }

    fn end_line(&mut self) {
        let end = self.pick(&["\n", "\n", "\n", " # why\n", "  \n", "\n\n"]);
        self.out.push_str(end);
    }

    fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        let n = u64::try_from(all.len()).unwrap();
        all[usize::try_from(self.random.below(n)).unwrap()]
    }

    fn pad(&mut self, indent: usize) {
        self.out.push_str(&" ".repeat(indent));
    }
}

/// JSON's quotes are YAML's, but for characters that YAML wants escaped.
fn quoted(text: &str) -> String {
    let mut out = Value::from(text).to_string();
    for c in ['\u{7f}', '\u{85}', '\u{2028}', '\u{2029}', '\u{feff}'] {
        out = out.replace(c, &format!("\\u{:04x}", u32::from(c)));
    }
    out
}

/// Whether single quotes can hold it on one line.
fn is_printed(text: &str) -> bool {
    text.chars().all(|c| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}'))
}

/// Whether a block can hold it: printed lines, none of them of blanks alone.
fn is_for_blocks(text: &str) -> bool {
    let mut lines = text.split('\n');
    let is_line = |line: &str| {
        let is_blank = !line.is_empty() && line.trim().is_empty();
        !is_blank && is_printed(&line.replace('\t', " "))
    };
    !text.trim().is_empty() && !text.starts_with('\n') && lines.all(is_line)
}

/// Whether it is itself without quotes: text, and not something of the core schema.
fn is_plain(text: &str, is_inside: bool) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || "_./-$".contains(c);
    let begins = text.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '/');
    let words = text.chars().all(|c| is_word(c) || c == ' ' || c == ':' && !is_inside);
    let looks_like_number = text.starts_with(|c: char| c.is_ascii_digit())
        && (text.parse::<f64>().is_ok() || text.starts_with("0x") || text.starts_with("0o"));
    let is_core = matches!(text.to_ascii_lowercase().as_str(), "null" | "true" | "false");
    let has_colon = text.contains(": ") || text.ends_with(':');
    begins && words && !text.ends_with(' ') && !looks_like_number && !is_core && !has_colon
}
