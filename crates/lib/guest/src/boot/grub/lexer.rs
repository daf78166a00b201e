//! GRUB's shell language as a flat list of statements with their jumps resolved.
//!
//! Flat, because menus nest as deep as the image says: whoever runs the list needs no recursion.

/// More statements than any generated configuration has.
const MAX_STATEMENTS: usize = 200_000;

/// One word: text and variables.
pub(super) type Word = Vec<Part>;

/// A part of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    /// A variable; unquoted ones are split at blanks.
    Variable {
        name: String,
        quoted: bool,
    },
}

/// A statement and the line it starts in, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) line: u32,
    pub(super) kind: StatementKind,
}

/// What to do. Targets are indexes of statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StatementKind {
    Command(Vec<Word>),
    /// `then`: go on where the condition held, else at `otherwise`.
    Then {
        otherwise: usize,
    },
    /// `else` or `elif`, reached from the branch before it: go to `end`.
    Otherwise {
        end: usize,
    },
    /// `fi`, `}`: nothing to do.
    End,
    /// `for`, `while`, `until`: not run; go to `end`.
    Loop {
        end: usize,
    },
    /// A command with a block (`menuentry`, `submenu`, `function`): its words, and where it ends.
    Block {
        words: Vec<Word>,
        end: usize,
    },
}

/// A configuration, and why it would not parse.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) statements: Vec<Statement>,
    /// The line and what is wrong there.
    pub(super) problem: Option<(u32, String)>,
}

enum Token {
    Word(Word),
    End,
}

/// Parse a configuration. After a problem the rest is left out.
pub(super) fn parse(text: &str) -> Script {
    let mut builder = Builder::default();
    let mut lexer = Lexer { chars: text.chars().peekable(), line: 1, problem: None };
    let mut words = Vec::new();
    let mut start = 1;
    loop {
        if words.is_empty() {
            start = lexer.line;
        }
        match lexer.next() {
            Some(Token::Word(word)) => {
                let is_brace = is_plain(&word, "{");
                let is_end = words.is_empty() && is_plain(&word, "}");
                if is_brace && !words.is_empty() {
                    builder.open(start, std::mem::take(&mut words));
                } else if is_end {
                    builder.close(start);
                } else {
                    words.push(word);
                }
            }
            Some(Token::End) => builder.command(start, std::mem::take(&mut words)),
            None => break,
        }
        if builder.script.problem.is_some() || builder.script.statements.len() > MAX_STATEMENTS {
            break;
        }
    }
    builder.command(start, words);
    builder.finish(lexer.line, lexer.problem)
}

fn is_plain(word: &Word, text: &str) -> bool {
    matches!(&word[..], [Part::Text(found)] if found == text)
}

#[derive(Default)]
struct Builder {
    script: Script,
    open: Vec<Open>,
}

/// What is open: its line, and the statements whose target is not known yet.
enum Open {
    Block { line: u32, at: usize },
    If { line: u32, then: Option<usize>, ends: Vec<usize> },
    Loop { line: u32, at: usize },
}

impl Builder {
    fn push(&mut self, line: u32, kind: StatementKind) -> usize {
        self.script.statements.push(Statement { line, kind });
        self.script.statements.len() - 1
    }

    fn fail(&mut self, line: u32, problem: impl Into<String>) {
        self.script.problem.get_or_insert((line, problem.into()));
    }

    fn open(&mut self, line: u32, words: Vec<Word>) {
        let at = self.push(line, StatementKind::Block { words, end: usize::MAX });
        self.open.push(Open::Block { line, at });
    }

    fn close(&mut self, line: u32) {
        match self.open.pop() {
            Some(Open::Block { at, .. }) => {
                let end = self.push(line, StatementKind::End);
                self.target(at, end);
            }
            _ => self.fail(line, "a } closes nothing"),
        }
    }

    fn target(&mut self, at: usize, target: usize) {
        match self.script.statements.get_mut(at).map(|statement| &mut statement.kind) {
            Some(StatementKind::Then { otherwise }) => *otherwise = target,
            Some(
                StatementKind::Otherwise { end }
                | StatementKind::Loop { end }
                | StatementKind::Block { end, .. },
            ) => *end = target,
            _ => {}
        }
    }

    fn command(&mut self, line: u32, mut words: Vec<Word>) {
        for at in 0.. {
            let Some(first) = words.get(at) else { return };
            let keyword = match &first[..] {
                [Part::Text(text)] => text.clone(),
                _ => String::new(),
            };
            match keyword.as_str() {
                "if" => self.open.push(Open::If { line, then: None, ends: Vec::new() }),
                "then" => self.then(line),
                "elif" | "else" => self.otherwise(line),
                "fi" => self.fi(line),
                "for" | "while" | "until" => {
                    let at = self.push(line, StatementKind::Loop { end: usize::MAX });
                    self.open.push(Open::Loop { line, at });
                    return;
                }
                "do" => {}
                "done" => match self.open.pop() {
                    Some(Open::Loop { at, .. }) => {
                        let end = self.push(line, StatementKind::End);
                        self.target(at, end);
                    }
                    _ => self.fail(line, "a done without a loop"),
                },
                _ => {
                    let words = words.split_off(at);
                    self.push(line, StatementKind::Command(words));
                    return;
                }
            }
        }
    }

    fn then(&mut self, line: u32) {
        let at = self.push(line, StatementKind::Then { otherwise: usize::MAX });
        match self.open.last_mut() {
            Some(Open::If { then, .. }) if then.is_none() => *then = Some(at),
            _ => self.fail(line, "a then without its if"),
        }
    }

    fn otherwise(&mut self, line: u32) {
        let at = self.push(line, StatementKind::Otherwise { end: usize::MAX });
        let then = match self.open.last_mut() {
            Some(Open::If { then, ends, .. }) => {
                ends.push(at);
                then.take()
            }
            _ => return self.fail(line, "an else without its if"),
        };
        if let Some(then) = then {
            self.target(then, at + 1);
        }
    }

    fn fi(&mut self, line: u32) {
        let Some(Open::If { then, ends, .. }) = self.open.pop() else {
            return self.fail(line, "a fi without its if");
        };
        let end = self.push(line, StatementKind::End);
        for at in then.into_iter().chain(ends) {
            self.target(at, end);
        }
    }

    fn finish(mut self, last_line: u32, problem: Option<(u32, String)>) -> Script {
        if let Some((line, problem)) = problem {
            self.fail(line, problem);
        }
        let unclosed = match self.open.last() {
            Some(Open::Block { line, .. }) => Some((*line, "{ is never closed")),
            Some(Open::If { line, .. }) => Some((*line, "if has no fi")),
            Some(Open::Loop { line, .. }) => Some((*line, "loop has no done")),
            None => None,
        };
        if let Some((line, what)) = unclosed {
            self.fail(last_line, format!("the {what}, from line {line} on"));
        }
        self.script
    }
}

struct Lexer<'a> {
    chars: std::iter::Peekable<std::str::Chars<'a>>,
    line: u32,
    problem: Option<(u32, String)>,
}

impl Lexer<'_> {
    fn bump(&mut self) -> Option<char> {
        let c = self.chars.next();
        if c == Some('\n') {
            self.line = self.line.saturating_add(1);
        }
        c
    }

    fn next(&mut self) -> Option<Token> {
        loop {
            match self.chars.peek()? {
                ' ' | '\t' | '\r' => {
                    self.bump();
                }
                '#' => {
                    while self.chars.peek().is_some_and(|&c| c != '\n') {
                        self.bump();
                    }
                }
                ';' | '\n' => {
                    // The end belongs to the line before it: the caller reads the line first.
                    self.bump();
                    return Some(Token::End);
                }
                _ => return Some(Token::Word(self.word())),
            }
        }
    }

    fn word(&mut self) -> Word {
        let mut word = Vec::new();
        let mut text = String::new();
        let mut is_empty_word = false;
        while let Some(&c) = self.chars.peek() {
            match c {
                ' ' | '\t' | '\r' | '\n' | ';' => break,
                '\'' => {
                    is_empty_word = true;
                    self.single_quoted(&mut text);
                }
                '"' => {
                    is_empty_word = true;
                    self.double_quoted(&mut word, &mut text);
                }
                '\\' => {
                    self.bump();
                    text.extend(self.bump().filter(|&c| c != '\n'));
                }
                '$' => self.variable(&mut word, &mut text, false),
                _ => text.extend(self.bump()),
            }
        }
        if !text.is_empty() || (is_empty_word && word.is_empty()) {
            word.push(Part::Text(text));
        }
        word
    }

    fn single_quoted(&mut self, text: &mut String) {
        let line = self.line;
        self.bump();
        loop {
            match self.bump() {
                Some('\'') => return,
                Some(c) => text.push(c),
                None => return self.unterminated(line),
            }
        }
    }

    fn double_quoted(&mut self, word: &mut Word, text: &mut String) {
        let line = self.line;
        self.bump();
        loop {
            match self.chars.peek() {
                Some('"') => {
                    self.bump();
                    return;
                }
                Some('\\') => {
                    self.bump();
                    match self.bump() {
                        Some('\n') | None => {}
                        Some(c) if "\\\"$".contains(c) => text.push(c),
                        Some(c) => text.extend(['\\', c]),
                    }
                }
                Some('$') => self.variable(word, text, true),
                Some(_) => text.extend(self.bump()),
                None => return self.unterminated(line),
            }
        }
    }

    fn unterminated(&mut self, line: u32) {
        self.problem.get_or_insert((line, "a quotation mark is never closed".into()));
    }

    fn variable(&mut self, word: &mut Word, text: &mut String, quoted: bool) {
        self.bump();
        let mut name = String::new();
        match self.chars.peek() {
            Some('{') => {
                self.bump();
                while let Some(c) = self.bump().filter(|&c| c != '}') {
                    name.push(c);
                }
            }
            Some(&c) if "?@#*".contains(c) || c.is_ascii_digit() => name.extend(self.bump()),
            _ => {
                let in_name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
                while self.chars.peek().is_some_and(in_name) {
                    name.extend(self.bump());
                }
            }
        }
        if name.is_empty() {
            text.push('$');
            return;
        }
        if !text.is_empty() {
            word.push(Part::Text(std::mem::take(text)));
        }
        word.push(Part::Variable { name, quoted });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unbalanced_text_is_told_with_its_line() {
        for (text, line, message) in [
            ("menuentry 'a' {\n linux /x\n", 3, "the { is never closed, from line 1 on"),
            ("a\n}\n", 2, "a } closes nothing"),
            ("if [ a ]; then\nb\n", 3, "the if has no fi, from line 1 on"),
            ("fi\n", 1, "a fi without its if"),
            ("set a='b\n\n", 1, "a quotation mark is never closed"),
        ] {
            assert_eq!(parse(text).problem, Some((line, message.into())), "{text}");
        }
        let sound = "if [ \"${a}\" = '}' ]; then\n b ${c}\nelse\n d # }\nfi\nfunction f {\n}\n";
        assert_eq!(parse(sound).problem, None);
    }

    #[test]
    fn lines_are_those_the_command_starts_in() {
        let script = parse("\n# note\nset a=1\n\nlinux \\\n /x\nb; c\n");
        let lines: Vec<u32> = script.statements.iter().map(|statement| statement.line).collect();
        assert_eq!(lines, [3, 5, 7, 7]);
    }
}
