//! The syntax of LVM's metadata text: sections, integers, strings and lists.
//!
//! The same syntax as lvm.conf(5): `name { ... }`, `name = value`, comments from `#` to the end of
//! the line. The text is the image's, so depth and number of values are bounded.

use std::collections::BTreeMap;

use kiln_disk::{Error, Result};

/// Real metadata nests to four (group, volumes, volume, segment).
const MAX_DEPTH: u32 = 16;
/// A volume has about fifteen values; a text of 16 MiB has room for millions.
const MAX_VALUES: u32 = 1 << 18;

/// The names and values of a section.
pub(crate) type Section = BTreeMap<String, Value>;

/// A value of the metadata text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Integer(i64),
    Text(String),
    List(Vec<Value>),
    Section(Section),
}

impl Value {
    pub(crate) fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Integer(value) => u64::try_from(*value).ok(),
            _ => None,
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_list(&self) -> &[Self] {
        match self {
            Self::List(values) => values,
            _ => &[],
        }
    }

    pub(crate) fn as_section(&self) -> Option<&Section> {
        match self {
            Self::Section(section) => Some(section),
            _ => None,
        }
    }
}

/// Parse the whole of `text`; a NUL ends it.
///
/// # Errors
///
/// `Corrupt`, with the byte in the text, where it breaks the syntax or a bound.
pub(crate) fn parse(text: &[u8]) -> Result<Section> {
    let mut parser = Parser { text, at: 0, n_values: 0 };
    parser.section(0)
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    n_values: u32,
}

impl Parser<'_> {
    fn error(&self, message: &str) -> Error {
        Error::corrupt(format!("LVM metadata text, byte {}: {message}", self.at))
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied().filter(|&byte| byte != 0)
    }

    fn take(&mut self, expected: u8) -> bool {
        let found = self.peek() == Some(expected);
        if found {
            self.at += 1;
        }
        found
    }

    fn skip_blanks(&mut self) {
        while let Some(byte) = self.peek() {
            if byte == b'#' {
                while self.peek().is_some_and(|byte| byte != b'\n') {
                    self.at += 1;
                }
            } else if byte.is_ascii_whitespace() {
                self.at += 1;
            } else {
                break;
            }
        }
    }

    /// The bytes from here on that `accept` takes.
    fn run(&mut self, accept: impl Fn(u8) -> bool) -> String {
        let start = self.at;
        while self.peek().is_some_and(&accept) {
            self.at += 1;
        }
        String::from_utf8_lossy(self.text.get(start..self.at).unwrap_or(&[])).into_owned()
    }

    /// The names and values up to a closing brace, or at depth 0 to the end of the text.
    fn section(&mut self, depth: u32) -> Result<Section> {
        if depth > MAX_DEPTH {
            return Err(self.error("sections nest too deep"));
        }
        let mut section = Section::new();
        loop {
            self.skip_blanks();
            if self.peek().is_none() && depth == 0 {
                return Ok(section);
            }
            if depth > 0 && self.take(b'}') {
                return Ok(section);
            }
            let name = self.run(|byte| byte.is_ascii_alphanumeric() || b"_.+-".contains(&byte));
            if name.is_empty() {
                return Err(self.error("a name was expected"));
            }
            self.skip_blanks();
            self.count()?;
            let value = if self.take(b'{') {
                Value::Section(self.section(depth + 1)?)
            } else if self.take(b'=') {
                self.skip_blanks();
                self.value()?
            } else {
                return Err(self.error("`=` or `{` was expected after a name"));
            };
            section.insert(name, value);
        }
    }

    fn count(&mut self) -> Result<()> {
        self.n_values += 1;
        if self.n_values > MAX_VALUES {
            return Err(self.error("too many values"));
        }
        Ok(())
    }

    fn value(&mut self) -> Result<Value> {
        if !self.take(b'[') {
            return self.scalar();
        }
        let mut values = Vec::new();
        loop {
            self.skip_blanks();
            if self.take(b']') {
                return Ok(Value::List(values));
            }
            self.count()?;
            values.push(self.scalar()?);
            self.skip_blanks();
            if !self.take(b',') && self.peek() != Some(b']') {
                return Err(self.error("`,` or `]` was expected in a list"));
            }
        }
    }

    fn scalar(&mut self) -> Result<Value> {
        if self.take(b'"') {
            return self.string();
        }
        // Fractions occur in no field that is read here, but in lvm.conf they are legal.
        let digits = self.run(|byte| byte.is_ascii_digit() || b"+-.".contains(&byte));
        let whole = digits.split('.').next().unwrap_or_default();
        whole.parse().map(Value::Integer).map_err(|_| self.error("a value was expected"))
    }

    fn string(&mut self) -> Result<Value> {
        let mut bytes = Vec::new();
        loop {
            let Some(byte) = self.peek() else { return Err(self.error("a string has no end")) };
            self.at += 1;
            match byte {
                b'"' => return Ok(Value::Text(String::from_utf8_lossy(&bytes).into_owned())),
                b'\\' => {
                    bytes.extend(self.peek());
                    self.at += 1;
                }
                _ => bytes.push(byte),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_lists_strings_and_comments_are_read() {
        let text = b"# made by hand\nvg0 {\n\tid = \"a\\\"b\" # why\n\tseqno = 7\n\
            flags = []\n\tstripes = [\n\"pv0\", 12\n]\nempty {\n}\n}\ncontents = \"x\"\n\0rest{{";
        let parsed = format!("{:?}", parse(text).unwrap());
        insta::assert_snapshot!(parsed, @r#"{"contents": Text("x"), "vg0": Section({"empty": Section({}), "flags": List([]), "id": Text("a\"b"), "seqno": Integer(7), "stripes": List([Text("pv0"), Integer(12)])})}"#);
    }

    #[test]
    fn each_fault_is_named_with_its_byte() {
        for (text, message) in [
            ("vg {", "LVM metadata text, byte 4: a name was expected"),
            ("vg }", "LVM metadata text, byte 3: `=` or `{` was expected after a name"),
            ("a = \"b", "LVM metadata text, byte 6: a string has no end"),
            ("a = [1 2]", "LVM metadata text, byte 7: `,` or `]` was expected in a list"),
            ("a = b", "LVM metadata text, byte 4: a value was expected"),
            ("a = 99999999999999999999", "LVM metadata text, byte 24: a value was expected"),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().to_string(), message, "{text}");
        }
    }

    #[test]
    fn depth_and_number_of_values_are_bounded() {
        let deep = "a {".repeat(100_000);
        let error = parse(deep.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, "LVM metadata text, byte 51: sections nest too deep");
        let many = format!("a = [{}]", "1,".repeat(2 << 20));
        assert!(parse(many.as_bytes()).unwrap_err().to_string().ends_with("too many values"));
    }
}
