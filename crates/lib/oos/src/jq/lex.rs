//! The tokens of a script, with the bytes they stand at.
//!
//! A string with interpolation becomes a run of tokens (`Open`, text and tokens of the terms in
//! between, `Close`), so that the lexer needs a stack of its own and no recursion.

use super::JqError;

/// What a token is. Words, operators and punctuation are told apart by their text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tok {
    /// `foo`, `if`; also `a::b`, which no module can provide.
    Word,
    /// `.foo`: the text is without the dot.
    Field,
    /// `$foo`: the text is without the dollar.
    Var,
    /// `@foo`: the text is with the at.
    Format,
    Number,
    /// Operators and brackets.
    Sign,
    /// `"`: a string starts.
    Open,
    /// Text within a string, its escapes resolved.
    Text(String),
    /// `\(` within a string.
    TermOpen,
    /// The `)` that ends it.
    TermClose,
    /// `"`: a string ends.
    Close,
    End,
}

/// A token and its bytes in the script.
#[derive(Clone, Debug)]
pub(super) struct Token<'s> {
    pub(super) tok: Tok,
    pub(super) text: &'s str,
    pub(super) at: usize,
}

const SIGNS: [&str; 31] = [
    "//=", "|=", "+=", "-=", "*=", "/=", "%=", "==", "!=", "<=", ">=", "//", "..", "|", ",", "+",
    "-", "*", "/", "%", "=", "<", ">", "(", ")", "[", "]", "{", "}", ":", ";",
];

struct Lexer<'s> {
    script: &'s str,
    at: usize,
    tokens: Vec<Token<'s>>,
    /// For each string that is open: the parentheses open within its current term.
    strings: Vec<usize>,
}

/// Split a script.
///
/// # Errors
///
/// The byte of a character that starts no token, of a string that does not end, or of an escape
/// that is none.
pub(super) fn lex(script: &str) -> Result<Vec<Token<'_>>, JqError> {
    let mut lexer = Lexer { script, at: 0, tokens: Vec::new(), strings: Vec::new() };
    while lexer.next()? {}
    if !lexer.strings.is_empty() {
        return Err(JqError::syntax(script.len(), "the script ends inside a string".into()));
    }
    lexer.push(Tok::End, script.len(), script.len());
    Ok(lexer.tokens)
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        &self.script[self.at..]
    }

    fn push(&mut self, tok: Tok, from: usize, to: usize) {
        self.tokens.push(Token { tok, text: &self.script[from..to], at: from });
    }

    /// Take the bytes that match, as a token whose text leaves out `skip` bytes at its start.
    fn take(&mut self, tok: Tok, skip: usize, len: usize) {
        let start = self.at;
        self.at += len;
        let at = start + skip;
        self.tokens.push(Token { tok, text: &self.script[at..start + len], at: start });
    }

    fn next(&mut self) -> Result<bool, JqError> {
        self.space();
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(false) };
        match first {
            '"' => {
                self.take(Tok::Open, 0, 1);
                self.text()?;
            }
            '0'..='9' => self.take(Tok::Number, 0, number(rest)),
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                self.take(Tok::Number, 0, number(rest));
            }
            '.' if word(&rest[1..]) > 0 => self.take(Tok::Field, 1, 1 + word(&rest[1..])),
            '$' if word(&rest[1..]) > 0 => self.take(Tok::Var, 1, 1 + word(&rest[1..])),
            '@' if word(&rest[1..]) > 0 => self.take(Tok::Format, 0, 1 + word(&rest[1..])),
            'a'..='z' | 'A'..='Z' | '_' => {
                let mut len = word(rest);
                while rest[len..].starts_with("::") && word(&rest[len + 2..]) > 0 {
                    len += 2 + word(&rest[len + 2..]);
                }
                self.take(Tok::Word, 0, len);
            }
            _ => return self.sign(first),
        }
        Ok(true)
    }

    fn sign(&mut self, first: char) -> Result<bool, JqError> {
        let rest = self.rest();
        // `.` and `?` come after the longer signs that begin with them.
        let sign = SIGNS.iter().copied().chain([".", "?"]).find(|sign| rest.starts_with(sign));
        let Some(sign) = sign else {
            return Err(JqError::syntax(self.at, format!("unexpected character {first:?}")));
        };
        match (sign, self.strings.last_mut()) {
            ("(", Some(open)) => *open += 1,
            (")", Some(open)) if *open == 0 => {
                self.take(Tok::TermClose, 0, 1);
                self.text()?;
                return Ok(true);
            }
            (")", Some(open)) => *open -= 1,
            _ => {}
        }
        self.take(Tok::Sign, 0, sign.len());
        Ok(true)
    }

    fn space(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with('#') {
                return;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    /// Read text up to the end of the string or to a term in it. A string that resumes after a
    /// term is on the stack already: its entry is taken off first.
    fn text(&mut self) -> Result<(), JqError> {
        if self.tokens.last().is_some_and(|last| last.tok == Tok::TermClose) {
            self.strings.pop();
        }
        let start = self.at;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let end = rest.find(['"', '\\']).ok_or_else(|| {
                JqError::syntax(start, "the string that starts here does not end".into())
            })?;
            text.push_str(&rest[..end]);
            self.at += end;
            let rest = self.rest();
            if rest.starts_with('"') || rest.starts_with("\\(") {
                self.push(Tok::Text(text), start, self.at);
                if rest.starts_with('"') {
                    self.take(Tok::Close, 0, 1);
                } else {
                    self.take(Tok::TermOpen, 0, 2);
                    self.strings.push(0);
                }
                return Ok(());
            }
            text.push(self.escape()?);
        }
    }

    /// Read an escape other than `\(`.
    fn escape(&mut self) -> Result<char, JqError> {
        let at = self.at;
        let rest = &self.rest()[1..];
        let plain = match rest.chars().next() {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('u') => return self.unicode(),
            _ => return Err(JqError::syntax(at, "invalid escape in a string".into())),
        };
        self.at += 2;
        Ok(plain)
    }

    /// Read `\uXXXX`, two of them where they are a surrogate pair. A surrogate alone is U+FFFD,
    /// as in jq.
    fn unicode(&mut self) -> Result<char, JqError> {
        let unit = |text: &str| {
            let digits = text.strip_prefix("\\u")?.get(..4)?;
            let hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
            hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
        };
        let first = unit(self.rest()).ok_or_else(|| {
            JqError::syntax(self.at, "\\u in a string takes four hexadecimal digits".into())
        })?;
        self.at += 6;
        if (0xd800..0xdc00).contains(&first)
            && let Some(second) = unit(self.rest()).filter(|u| (0xdc00..0xe000).contains(u))
        {
            self.at += 6;
            let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }
}

/// The length of the identifier that `text` starts with.
fn word(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// The length of the number that `text` starts with.
fn number(text: &str) -> usize {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut len = digits(text);
    if text[len..].starts_with('.') {
        len += 1 + digits(&text[len + 1..]);
    }
    if text[len..].starts_with(['e', 'E']) {
        let signed = 1 + usize::from(text[len + 1..].starts_with(['+', '-']));
        let exponent = digits(&text[len + signed..]);
        if exponent > 0 {
            len += signed + exponent;
        }
    }
    len
}
