//! Shell-style assignments (`os-release(5)`, `/etc/default/grub`, `lsb-release`): one `NAME=value`
//! a line, quotes and backslashes as the shell takes them off. No expansion.

/// As many assignments as kiln reads of one file.
const MAX_ASSIGNMENTS: usize = 10_000;

/// An assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    /// Counted from 1.
    pub(crate) line: u32,
    /// Left of `=`.
    pub(crate) name: String,
    /// Right of it, unquoted.
    pub(crate) value: String,
}

/// All assignments of `text`, in order. Other lines are skipped.
pub(crate) fn parse(text: &str) -> Vec<Assignment> {
    let mut found = Vec::new();
    for (line, text) in (1u32..).zip(text.lines()) {
        let text = text.trim();
        let text = text.strip_prefix("export ").unwrap_or(text);
        let Some((name, value)) = text.split_once('=') else { continue };
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.trim_end_matches('+').chars().all(is_name) {
            continue;
        }
        found.push(Assignment { line, name: name.to_owned(), value: unquote(value) });
        if found.len() == MAX_ASSIGNMENTS {
            break;
        }
    }
    found
}

/// The last value of `name`, where it is not empty: a later assignment replaces an earlier one.
pub(crate) fn last<'a>(assignments: &'a [Assignment], name: &str) -> Option<&'a Assignment> {
    assignments
        .iter()
        .rev()
        .find(|found| found.name == name)
        .filter(|found| !found.value.is_empty())
}

/// One shell word: up to the first blank or `#` outside quotes.
fn unquote(value: &str) -> String {
    let mut out = String::new();
    let mut quote = None;
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (_, Some(open)) if c == open => quote = None,
            ('\\', None | Some('"')) => match chars.next() {
                Some(next) if quote.is_none() || "\"\\$`".contains(next) => out.push(next),
                Some(next) => out.extend(['\\', next]),
                None => {}
            },
            (' ' | '\t' | ';', None) => break,
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_taken_off_as_the_shell_does() {
        for (text, value) in [
            ("A=debian", "debian"),
            (r#"A="Debian GNU/Linux 12 (bookworm)""#, "Debian GNU/Linux 12 (bookworm)"),
            (r#"A='it is' # note"#, "it is"),
            (r#"A="a \"b\" \c""#, r#"a "b" \c"#),
            (r"A=a\ b", "a b"),
            ("A=", ""),
            ("export A=x", "x"),
        ] {
            assert_eq!(parse(text)[0].value, value, "{text}");
        }
        assert_eq!(parse("# A=1\nnonsense\nA B=2\n=3\n"), []);
    }

    #[test]
    fn the_last_assignment_wins() {
        let found = parse("ID=debian\nX=1\nID=ubuntu\nY=\n");
        assert_eq!(last(&found, "ID").map(|a| (a.line, a.value.as_str())), Some((3, "ubuntu")));
        assert_eq!(last(&found, "Y"), None);
    }
}
