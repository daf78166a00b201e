//! YAML as PyYAML and libyaml read it, which is what cloud-init and netplan use: version 1.1, where
//! the plain words `yes`, `no`, `on` and `off` are booleans.
//!
//! The events come from `saphyr-parser`; the values are built here, so that an image controls
//! neither depth nor size. Aliases copy what they name and count against the same limit, which is
//! what stops "billion laughs".

use kiln_volume::{Error, Result};
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError};

/// The largest real file of cloud-init is some 5 KiB.
const MAX_BYTES: usize = 1 << 20;
const MAX_DEPTH: usize = 64;
const MAX_NODES: usize = 100_000;
/// Text that aliases may copy, in bytes.
const MAX_TEXT_BYTES: usize = 4 << 20;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Yaml {
    /// `null`, `~` or nothing.
    Null,
    /// A plain `true`, `yes`, `on` and their opposites.
    Bool(bool),
    /// Every other scalar, numbers included, as text.
    Text(String),
    /// A sequence.
    List(Vec<Yaml>),
    /// A mapping, in the order of the file; a key that comes again has replaced the earlier one.
    Map(Vec<(String, Yaml)>),
}

impl Yaml {
    /// The value of `key` in a mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Yaml> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The value at the end of a path of keys.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Yaml> {
        path.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The entries of a mapping; of anything else, none.
    pub(crate) fn entries(&self) -> &[(String, Yaml)] {
        match self {
            Self::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; of anything else, none.
    pub(crate) fn items(&self) -> &[Yaml] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// Text, numbers included.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A boolean.
    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// Set `key` of a mapping.
    pub(crate) fn set(&mut self, key: &str, value: Yaml) {
        let Self::Map(entries) = self else { return };
        match entries.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = value,
            None => entries.push((key.to_owned(), value)),
        }
    }
}

/// The first document of `bytes`. An empty one is [`Yaml::Null`].
///
/// # Errors
///
/// `Corrupt` with the line where it is not YAML; `Unsupported` where it is larger or deeper than
/// kiln reads.
pub(crate) fn parse(bytes: &[u8]) -> Result<Yaml> {
    if bytes.len() > MAX_BYTES {
        return Err(Error::unsupported(format!(
            "{} bytes of YAML, more than the {MAX_BYTES} that kiln reads",
            bytes.len()
        )));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Error::corrupt("not UTF-8").at(error.valid_up_to() as u64))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Builder::default().build(text)
}

/// A collection that is being filled.
#[derive(Debug)]
enum Open {
    List(Vec<Yaml>),
    Map {
        entries: Vec<(String, Yaml)>,
        seen: std::collections::HashMap<String, usize>,
        key: Option<String>,
    },
}

#[derive(Debug, Default)]
struct Builder {
    stack: Vec<(usize, Open)>,
    /// By anchor number. A collection gets in when it is closed, so none can hold itself.
    anchors: std::collections::HashMap<usize, Yaml>,
    n_nodes: usize,
    n_text_bytes: usize,
    root: Option<Yaml>,
}

impl Builder {
    fn build(mut self, text: &str) -> Result<Yaml> {
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| scan_error(&error))?;
            let line = span.start.line();
            match event {
                Event::Scalar(text, style, anchor, tag) => {
                    let is_text = style != ScalarStyle::Plain
                        || tag.as_ref().is_some_and(|tag| tag.suffix == "str");
                    let value = if is_text { Yaml::Text(text.into_owned()) } else { plain(&text) };
                    self.add(value, anchor, line)?;
                }
                Event::Alias(anchor) => {
                    let value = self.anchors.get(&anchor).cloned().ok_or_else(|| {
                        Error::corrupt(format!("line {line}: an alias inside what it names"))
                    })?;
                    self.add(value, 0, line)?;
                }
                Event::SequenceStart(anchor, _) => self.open(anchor, Open::List(Vec::new()))?,
                Event::MappingStart(anchor, _) => self.open(
                    anchor,
                    Open::Map { entries: Vec::new(), seen: Default::default(), key: None },
                )?,
                Event::SequenceEnd | Event::MappingEnd => self.close(line)?,
                // cloud-init and netplan read one document.
                Event::DocumentEnd => break,
                Event::Nothing
                | Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(_) => {}
            }
        }
        Ok(self.root.unwrap_or(Yaml::Null))
    }

    fn open(&mut self, anchor: usize, open: Open) -> Result<()> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(Error::unsupported(format!(
                "YAML nested deeper than the {MAX_DEPTH} levels that kiln reads"
            )));
        }
        self.stack.push((anchor, open));
        Ok(())
    }

    fn close(&mut self, line: usize) -> Result<()> {
        let Some((anchor, open)) = self.stack.pop() else { return Ok(()) };
        let value = match open {
            Open::List(items) => Yaml::List(items),
            Open::Map { entries, .. } => Yaml::Map(entries),
        };
        self.add_closed(value, anchor, line)
    }

    fn add(&mut self, value: Yaml, anchor: usize, line: usize) -> Result<()> {
        let (n_nodes, n_text_bytes) = weight(&value);
        self.n_nodes += n_nodes;
        self.n_text_bytes += n_text_bytes;
        if self.n_nodes > MAX_NODES || self.n_text_bytes > MAX_TEXT_BYTES {
            return Err(Error::unsupported(format!(
                "line {line}: more than the {MAX_NODES} YAML values or {MAX_TEXT_BYTES} bytes of \
                 text that kiln reads, aliases included"
            )));
        }
        self.add_closed(value, anchor, line)
    }

    fn add_closed(&mut self, value: Yaml, anchor: usize, line: usize) -> Result<()> {
        self.n_nodes += 1;
        if anchor != 0 {
            let (n_nodes, n_text_bytes) = weight(&value);
            self.n_nodes += n_nodes; // the copy that the anchor keeps
            self.n_text_bytes += n_text_bytes;
            if self.n_nodes > MAX_NODES {
                return Err(Error::unsupported(format!(
                    "line {line}: more than the {MAX_NODES} YAML values that kiln reads"
                )));
            }
            self.anchors.insert(anchor, value.clone());
        }
        match self.stack.last_mut() {
            None => {
                self.root.get_or_insert(value);
            }
            Some((_, Open::List(items))) => items.push(value),
            Some((_, Open::Map { entries, seen, key })) => match key.take() {
                None => *key = Some(key_text(value, line)?),
                Some(name) if name == "<<" => merge_key(entries, seen, value),
                Some(name) => put(entries, seen, name, value),
            },
        }
        Ok(())
    }
}

type Seen = std::collections::HashMap<String, usize>;

fn put(entries: &mut Vec<(String, Yaml)>, seen: &mut Seen, name: String, value: Yaml) {
    match seen.get(&name).and_then(|&at| entries.get_mut(at)) {
        Some((_, old)) => *old = value,
        None => {
            seen.insert(name.clone(), entries.len());
            entries.push((name, value));
        }
    }
}

/// `<<: *defaults`: what the mapping itself says wins.
fn merge_key(entries: &mut Vec<(String, Yaml)>, seen: &mut Seen, value: Yaml) {
    let maps = match value {
        Yaml::List(items) => items,
        other => vec![other],
    };
    for map in maps {
        let Yaml::Map(defaults) = map else { continue };
        for (name, value) in defaults {
            if !seen.contains_key(&name) {
                put(entries, seen, name, value);
            }
        }
    }
}

fn key_text(value: Yaml, line: usize) -> Result<String> {
    match value {
        Yaml::Text(text) => Ok(text),
        Yaml::Bool(value) => Ok(value.to_string()),
        Yaml::Null => Ok("null".into()),
        Yaml::List(_) | Yaml::Map(_) => {
            Err(Error::corrupt(format!("line {line}: a list or mapping as a key")))
        }
    }
}

/// Number of values and bytes of text. Values are never deeper than the aliases in them allow.
fn weight(value: &Yaml) -> (usize, usize) {
    let (mut n_nodes, mut n_text_bytes) = (0, 0);
    let mut pending = vec![value];
    while let Some(value) = pending.pop() {
        n_nodes += 1;
        match value {
            Yaml::Text(text) => n_text_bytes += text.len(),
            Yaml::List(items) => pending.extend(items),
            Yaml::Map(entries) => {
                n_text_bytes += entries.iter().map(|(key, _)| key.len()).sum::<usize>();
                pending.extend(entries.iter().map(|(_, value)| value));
            }
            Yaml::Null | Yaml::Bool(_) => {}
        }
    }
    (n_nodes, n_text_bytes)
}

/// A scalar without quotes, as YAML 1.1 resolves it in PyYAML (which knows no single `y` and `n`).
fn plain(text: &str) -> Yaml {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Yaml::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Yaml::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            Yaml::Bool(false)
        }
        other => Yaml::Text(other.to_owned()),
    }
}

fn scan_error(error: &ScanError) -> Error {
    let at = error.marker();
    Error::corrupt(format!("line {}, column {}: {}", at.line(), at.col() + 1, error.info()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Yaml {
        Yaml::Text(value.into())
    }

    #[test]
    fn words_are_booleans_as_in_yaml_1_1_and_quoted_ones_are_text() {
        let found =
            parse(b"a: off\nb: 'off'\nc: Yes\nd: y\ne: ~\nf: 19.1\ng: [on, x]\nh: !!str no\n")
                .unwrap();
        assert_eq!(found.get("a"), Some(&Yaml::Bool(false)));
        assert_eq!(found.get("b"), Some(&text("off")));
        assert_eq!(found.get("c"), Some(&Yaml::Bool(true)));
        assert_eq!(found.get("d"), Some(&text("y")));
        assert_eq!(found.get("e"), Some(&Yaml::Null));
        assert_eq!(found.get("f"), Some(&text("19.1")));
        assert_eq!(found.get("g").unwrap().items(), [Yaml::Bool(true), text("x")]);
        assert_eq!(found.get("h"), Some(&text("no")));
    }

    #[test]
    fn later_keys_replace_and_merge_keys_do_not() {
        let found = parse(b"x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\nz: 1\nz: 2\n").unwrap();
        assert_eq!(found.at(&["y", "a"]), Some(&text("1")));
        assert_eq!(found.at(&["y", "b"]), Some(&text("3")));
        assert_eq!(found.get("z"), Some(&text("2")));
    }

    #[test]
    fn empty_and_second_documents() {
        assert_eq!(parse(b"").unwrap(), Yaml::Null);
        assert_eq!(parse(b"# only a comment\n").unwrap(), Yaml::Null);
        assert_eq!(parse(b"a: 1\n---\na: 2\n").unwrap().get("a"), Some(&text("1")));
    }

    #[test]
    fn what_is_not_yaml_is_corrupt_with_its_line() {
        for bad in ["a:\n\t- b\n", "a: [1\nb: 2\n", "a: b: c\n", "a: 'x\n", "a: *nothing\n"] {
            let error = parse(bad.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), kiln_volume::Kind::Corrupt, "{bad:?}");
            assert!(error.to_string().starts_with("line "), "{bad:?}: {error}");
        }
        assert_eq!(parse(b"a: \xff").unwrap_err().kind(), kiln_volume::Kind::Corrupt);
    }

    #[test]
    fn depth_size_and_aliases_are_bounded() {
        let deep = "[".repeat(100);
        let laughs = (0..30).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, n| {
            format!("{text}a{}: &a{} [*a{n},*a{n},*a{n},*a{n},*a{n},*a{n},*a{n}]\n", n + 1, n + 1)
        });
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), "*a,".repeat(1000));
        for text in [deep, laughs, long, "x".repeat(MAX_BYTES + 1)] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().kind(), kiln_volume::Kind::Unsupported);
        }
        assert!(parse(b"a: &a [*a]\n").is_err());
    }

    #[test]
    fn mutated_files_are_read_without_panic() {
        let sound = b"#cloud-config\nusers:\n   - default\ndatasource_list: [ NoCloud, AliYun ]\nx: &x {a: off, b: 'c'}\ny: *x\nz: |\n  text\n  more\n";
        assert!(parse(sound).is_ok());
        crate::syntax::mutation::mutated(sound, |bytes| drop(parse(bytes)));
    }
}
