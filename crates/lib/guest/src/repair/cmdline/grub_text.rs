//! The text of a `grub.cfg` as commands with the place of each word, so that one word can be changed
//! and everything else stays: comments, quotes, blanks, continued lines.
//!
//! Words are split as GRUB's lexer splits them (GRUB manual, "Quoting"). Variables are not replaced:
//! a word that holds one is never equal to a plain one.

use super::ArgEdit;
use super::words::{Adding, Splice, Word, plain, spliced, splices};

/// A command and its words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::repair) struct Command {
    /// The line it starts in, counted from 1.
    pub(in crate::repair) line: u32,
    pub(in crate::repair) words: Vec<Word>,
}

/// All commands of a configuration, blocks opened: `menuentry x` is one, and what is in it follows.
/// A command whose quotes are never closed is left out: where it ends nobody can tell.
pub(in crate::repair) fn commands(text: &str) -> Vec<Command> {
    let mut found = Vec::new();
    let mut command = Command::default();
    let (mut at, mut line) = (0, 1u32);
    while let Some(c) = char_at(text, at) {
        match c {
            ' ' | '\t' | '\r' => at += 1,
            '\n' | ';' => {
                finish(&mut found, &mut command);
                line = line.saturating_add(u32::from(c == '\n'));
                at += 1;
            }
            '#' => at += text.get(at..).and_then(|rest| rest.find('\n')).unwrap_or(text.len()),
            '\\' if continues(text, at) => {
                line = line.saturating_add(1);
                at += 2;
            }
            _ => {
                let Some(word) = word(text, at) else { return found };
                let raw = text.get(word.range.clone()).unwrap_or_default();
                let is_brace = matches!(raw, "{" | "}");
                if is_brace {
                    finish(&mut found, &mut command);
                }
                if command.words.is_empty() {
                    command.line = line;
                }
                let n_lines = u32::try_from(raw.matches('\n').count()).unwrap_or(u32::MAX);
                line = line.saturating_add(n_lines);
                at = word.range.end;
                command.words.push(word);
                if is_brace {
                    finish(&mut found, &mut command);
                }
            }
        }
    }
    finish(&mut found, &mut command);
    found
}

fn finish(found: &mut Vec<Command>, command: &mut Command) {
    let mut done = std::mem::take(command);
    let is_keyword =
        |word: &Word| matches!(word.text.as_str(), "then" | "else" | "do" | "if" | "!");
    let n = done.words.iter().take_while(|word| is_keyword(word)).count();
    done.words.drain(..n);
    if !done.words.is_empty() {
        found.push(done);
    }
}

fn char_at(text: &str, at: usize) -> Option<char> {
    text.get(at..)?.chars().next()
}

fn continues(text: &str, at: usize) -> bool {
    text.get(at..).is_some_and(|rest| rest.starts_with("\\\n"))
}

fn word(text: &str, start: usize) -> Option<Word> {
    let mut out = String::new();
    let mut quote = None;
    let mut at = start;
    while let Some(c) = char_at(text, at) {
        let next = at + c.len_utf8();
        match (c, quote) {
            (' ' | '\t' | '\r' | '\n' | ';', None) => break,
            ('\\', None) if continues(text, at) => break,
            ('\'' | '"', None) => quote = Some(c),
            (_, Some(open)) if c == open => quote = None,
            ('\\', None | Some('"')) => {
                let Some(escaped) = char_at(text, next) else { break };
                if quote.is_some() && !"\"\\$".contains(escaped) {
                    out.push('\\');
                }
                out.push(escaped);
                at = next + escaped.len_utf8();
                continue;
            }
            _ => out.push(c),
        }
        at = next;
    }
    let is_whole = quote.is_none() && at > start;
    is_whole.then_some(Word { range: start..at, text: out, leads: false })
}

/// A word of `grub.cfg`: in the quotes of the word that it stands for, or quoted where it must be.
pub(in crate::repair) fn quote(new: &str, raw: &str) -> String {
    let needs = new.contains([' ', '\t', ';', '$', '"', '\\', '{', '}', '#', '<', '>', '|', '&']);
    match raw.chars().next() {
        Some(open @ ('"' | '\'')) if raw.ends_with(open) && !new.contains([open, '$', '\\']) => {
            format!("{open}{new}{open}")
        }
        _ if needs && !new.contains('\'') => format!("'{new}'"),
        _ => new.to_owned(),
    }
}

/// Whether a command loads a Linux kernel, and from which word on its arguments are. `None`: it does
/// not. Of Xen's modules only the kernel is one.
pub(in crate::repair) fn arguments(command: &Command) -> Option<usize> {
    let name = command.words.first()?.text.as_str();
    let is_module = matches!(name, "module" | "module2" | "kernel_module");
    if !is_module && !matches!(name, "linux" | "linux16" | "linuxefi") {
        return None;
    }
    let path = command.words.iter().skip(1).position(|word| !word.text.starts_with("--"))? + 1;
    let is_kernel = !is_module || command.words.get(path)?.text.contains("vmlinu");
    is_kernel.then_some(path + 1)
}

/// Whether the command is one that loads a kernel whose arguments are Linux's own to add to.
pub(super) fn is_linux(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    !name.contains("memtest") && !name.starts_with("xen")
}

/// `text` with the command lines of its kernels changed: of all, or of the one in line `only`.
pub(super) fn edited(text: &str, only: Option<u32>, edits: &[ArgEdit]) -> String {
    let mut changes: Vec<Splice> = Vec::new();
    for command in commands(text) {
        if let Some(at) = arguments(&command) {
            if only.is_some_and(|only| only != command.line) {
                continue;
            }
            let (before, arguments) = command.words.split_at(at.min(command.words.len()));
            let Some(path) = before.last() else { continue };
            let adding = match is_linux(&path.text) {
                true => Adding::After(path.range.end),
                false => Adding::No,
            };
            changes.extend(after(text, path, arguments, adding, edits));
        } else if let [set, value] = &command.words[..]
            && set.text == "set"
        {
            changes.extend(kernelopts(text, value, edits));
        }
    }
    spliced(text, changes)
}

/// The changes of the arguments behind `path`: a word that goes takes the blank before it along.
fn after(
    text: &str,
    path: &Word,
    arguments: &[Word],
    adding: Adding,
    edits: &[ArgEdit],
) -> Vec<Splice> {
    let mut found = splices(text, arguments, adding, quote, edits);
    let first = arguments.first().map(|first| first.range.clone());
    if let Some(first) = first
        && let Some((range, _)) = found.iter_mut().find(|(range, _)| range.end == first.end)
        && range.start < first.start
    {
        range.start = path.range.end;
    }
    found
}

/// Enterprise Linux 8 keeps the command line in a variable: `set default_kernelopts="root=... ro"`.
fn kernelopts(text: &str, word: &Word, edits: &[ArgEdit]) -> Vec<Splice> {
    let raw = text.get(word.range.clone()).unwrap_or_default();
    let Some((name, value)) = raw.split_once('=') else { return Vec::new() };
    let open = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    let inner = open.and_then(|open| value.strip_prefix(open)?.strip_suffix(open));
    let Some(inner) = inner.filter(|_| matches!(name, "kernelopts" | "default_kernelopts")) else {
        return Vec::new();
    };
    let start = word.range.start + name.len() + 2;
    let words = plain(text, start..start + inner.len(), true);
    splices(text, &words, Adding::At(start), super::words::bare, edits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_where_they_are() {
        let text = "# linux /no\nif [ a ]; then linux /a b; fi\nmenuentry 'x y' {\n\tlinux\t/k \\\n  \
                    \"root=1\" 'a b'\n}\n";
        let found: Vec<(u32, Vec<String>)> = commands(text)
            .into_iter()
            .map(|found| (found.line, found.words.into_iter().map(|word| word.text).collect()))
            .collect();
        let words = |text: &str| text.split('|').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            found,
            [
                (2, words("[|a|]")),
                (2, words("linux|/a|b")),
                (2, words("fi")),
                (3, words("menuentry|x y")),
                (3, words("{")),
                (4, words("linux|/k|root=1|a b")),
                (6, words("}")),
            ]
        );
    }

    #[test]
    fn one_word_is_changed_and_its_quotes_stay() {
        let edits = [
            ArgEdit::replace("root=/dev/sda1", "root=UUID=1"),
            ArgEdit::remove("enforcing"),
            ArgEdit::set("a", "1"),
        ];
        for (before, after) in [
            (
                "\tlinux\t/vmlinuz root=/dev/sda1 ro  quiet \n",
                "\tlinux\t/vmlinuz root=UUID=1 ro  quiet a=1 \n",
            ),
            ("linux /vmlinuz 'root=/dev/sda1' # note", "linux /vmlinuz 'root=UUID=1' a=1 # note"),
            ("linuxefi /vmlinuz \"root=/dev/sda1\";x", "linuxefi /vmlinuz \"root=UUID=1\" a=1;x"),
            ("linux16 /k enforcing=1 ro", "linux16 /k ro a=1"),
            ("linux /k \\\n enforcing=1 \\\n ro", "linux /k \\\n ro a=1"),
            ("linux /vmlinuz", "linux /vmlinuz a=1"),
            (
                "linux16 /boot/memtest86+.bin console=ttyS0",
                "linux16 /boot/memtest86+.bin console=ttyS0",
            ),
            (
                "multiboot /xen.gz x\nmodule /vmlinuz-5 root=/dev/sda1\nmodule /initrd",
                "multiboot /xen.gz x\nmodule /vmlinuz-5 root=UUID=1 a=1\nmodule /initrd",
            ),
            ("# linux /k root=/dev/sda1", "# linux /k root=/dev/sda1"),
            ("set kernelopts=\"root=/dev/sda1 ro\"", "set kernelopts=\"root=UUID=1 ro a=1\""),
            ("set root=/dev/sda1", "set root=/dev/sda1"),
            ("linux /k root=${dev} ro", "linux /k root=${dev} ro a=1"),
        ] {
            let found = edited(before, None, &edits);
            assert_eq!(found, after, "{before}");
            assert_eq!(edited(&found, None, &edits), after, "a second time: {before}");
        }
        let two = "linux /a root=/dev/sda1\nlinux /b root=/dev/sda1\n";
        let first = "linux /a root=/dev/sda1\nlinux /b root=UUID=1 a=1\n";
        assert_eq!(edited(two, Some(2), &edits), first);
    }

    #[test]
    fn any_text_is_read_to_its_end() {
        for text in ["\\", "linux \\", "'", "\"a\\", "linux /k '", "{", "}", "\u{e9}\\\u{e9}"] {
            assert_eq!(edited(text, None, &[ArgEdit::remove("x")]), text);
        }
    }
}
