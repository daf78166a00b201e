//! Words of a command line inside a larger text, and edits of them that leave every other byte alone.

use std::ops::Range;

use super::ArgEdit;

/// A word, and where it is in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::repair) struct Word {
    /// With its quotes.
    pub(in crate::repair) range: Range<usize>,
    /// Without them.
    pub(in crate::repair) text: String,
    /// First of its line with nothing of its kind before it: its blank is the one that follows.
    pub(super) leads: bool,
}

/// A piece of the text and what comes in its place.
pub(in crate::repair) type Splice = (Range<usize>, String);

/// How a text writes a word that stands in place of another one.
pub(super) type Quote = fn(new: &str, raw: &str) -> String;

/// Where a word that is not there yet may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Adding {
    /// Nowhere: this is not the place for what is missing.
    No,
    /// Behind the last word, or here where there is none, after a blank.
    After(usize),
    /// Behind the last word, or here where there is none.
    At(usize),
}

/// The words of `text` in `range`, as the kernel splits them: at blanks outside double quotes. A quote
/// that is never closed is a character like others: no word that follows it is hidden.
pub(super) fn plain(text: &str, range: Range<usize>, leads: bool) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let (mut start, mut is_quoted) = (None, false);
    let line = text.get(range.clone()).unwrap_or_default();
    for (at, c) in line.char_indices().chain([(line.len(), ' ')]) {
        let is_end = at == line.len() || (c.is_ascii_whitespace() && !is_quoted);
        let closes = || line.get(at + 1..).is_some_and(|rest| rest.contains('"'));
        if c == '"' {
            is_quoted = !is_quoted && closes();
        }
        match (start, is_end) {
            (None, false) => start = Some(at),
            (Some(from), true) => {
                start = None;
                words.push(Word {
                    range: range.start + from..range.start + at,
                    text: line.get(from..at).unwrap_or_default().to_owned(),
                    leads: leads && words.is_empty(),
                });
            }
            _ => {}
        }
    }
    words
}

/// As it is.
pub(super) fn bare(new: &str, _raw: &str) -> String {
    new.to_owned()
}

/// Whether two names are one parameter to the kernel, which tells `-` from `_` nowhere.
pub(super) fn is_same_name(a: &str, b: &str) -> bool {
    a.replace('-', "_") == b.replace('-', "_")
}

fn name_of(word: &str) -> &str {
    word.split_once('=').map_or(word, |(name, _)| name)
}

/// What becomes of a list of words.
#[derive(Debug, Default)]
struct Outcome {
    /// One a word; `None`: it goes.
    words: Vec<Option<String>>,
    added: Vec<String>,
}

impl Outcome {
    fn of(words: impl Iterator<Item = String>, edits: &[ArgEdit], may_add: bool) -> Self {
        let mut outcome = Self { words: words.map(Some).collect(), added: Vec::new() };
        for edit in edits {
            outcome.apply(edit, may_add);
        }
        outcome
    }

    fn apply(&mut self, edit: &ArgEdit, may_add: bool) {
        match edit {
            ArgEdit::Set { name, .. } => {
                let word = edit.word();
                let is_it = |found: &&mut String| is_same_name(name_of(found), name);
                // The last one counts; what stands before it may be another console.
                match self.words.iter_mut().rev().flatten().find(is_it) {
                    Some(found) => *found = word,
                    None if may_add && !self.added.contains(&word) => self.added.push(word),
                    None => {}
                }
            }
            ArgEdit::Remove { name, value } => {
                let goes = |word: &String| match value {
                    Some(_) => *word == edit.word(),
                    None => is_same_name(name_of(word), name),
                };
                for slot in &mut self.words {
                    slot.take_if(|word| goes(word));
                }
            }
            ArgEdit::Replace { word, by } => {
                for at in 0..self.words.len() {
                    if self.words.get(at).and_then(Option::as_ref) != Some(word) {
                        continue;
                    }
                    let is_there = self.words.iter().flatten().any(|found| found == by);
                    if let Some(slot) = self.words.get_mut(at) {
                        *slot = (!is_there && !by.is_empty()).then(|| by.clone());
                    }
                }
            }
        }
    }
}

/// `cmdline` after the edits.
pub(super) fn edited(cmdline: &str, edits: &[ArgEdit]) -> String {
    let words = plain(cmdline, 0..cmdline.len(), true);
    let splices = splices(cmdline, &words, Adding::At(cmdline.len()), bare, edits);
    spliced(cmdline, splices)
}

/// The changes of `text` that make its `words` what `edits` want.
pub(super) fn splices(
    text: &str,
    words: &[Word],
    adding: Adding,
    quote: Quote,
    edits: &[ArgEdit],
) -> Vec<Splice> {
    let outcome =
        Outcome::of(words.iter().map(|word| word.text.clone()), edits, adding != Adding::No);
    let mut splices = Vec::new();
    let mut is_leading = false;
    for (at, (word, new)) in words.iter().zip(&outcome.words).enumerate() {
        is_leading |= word.leads;
        match new {
            Some(new) => {
                is_leading = false;
                if *new != word.text {
                    let raw = text.get(word.range.clone()).unwrap_or_default();
                    splices.push((word.range.clone(), quote(new, raw)));
                }
            }
            None if is_leading => {
                let next = words.get(at + 1).filter(|next| !next.leads);
                let end = next.map_or(word.range.end, |next| next.range.start);
                splices.push((word.range.start..end, String::new()));
            }
            None => {
                let before = at.checked_sub(1).and_then(|at| words.get(at));
                let start = before.map_or_else(
                    || blanks_before(text, word.range.start),
                    |before| before.range.end,
                );
                splices.push((start..word.range.end, String::new()));
            }
        }
    }
    splices.extend(addition(words, &outcome, adding, quote));
    splices
}

fn blanks_before(text: &str, at: usize) -> usize {
    text.get(..at).map_or(at, |before| before.trim_end_matches([' ', '\t']).len())
}

/// New words go behind the others, but in front of `--`: what follows it is init's.
fn addition(words: &[Word], outcome: &Outcome, adding: Adding, quote: Quote) -> Option<Splice> {
    if outcome.added.is_empty() {
        return None;
    }
    let added: Vec<String> = outcome.added.iter().map(|word| quote(word, "")).collect();
    let added = added.join(" ");
    let end = words.iter().find(|word| matches!(word.text.as_str(), "--" | "---"));
    if let Some(end) = end {
        return Some((end.range.start..end.range.start, format!("{added} ")));
    }
    let is_empty = !outcome.words.iter().any(Option::is_some);
    Some(match (words.last(), adding) {
        (Some(last), Adding::At(_)) if is_empty => (last.range.end..last.range.end, added),
        (Some(last), _) => (last.range.end..last.range.end, format!(" {added}")),
        (None, Adding::At(at)) => (at..at, added),
        (None, Adding::After(at)) => (at..at, format!(" {added}")),
        (None, Adding::No) => return None,
    })
}

/// `text` with each splice in place. They do not overlap.
pub(in crate::repair) fn spliced(text: &str, mut splices: Vec<Splice>) -> String {
    splices.sort_by_key(|(range, _)| (range.start, range.end));
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (range, new) in splices {
        out.push_str(text.get(at..range.start).unwrap_or_default());
        out.push_str(&new);
        at = range.end.max(at);
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: &str) -> ArgEdit {
        ArgEdit::set(name, value)
    }

    #[test]
    fn words_change_and_the_rest_stays() {
        let root = ArgEdit::replace("root=/dev/sda1", "root=UUID=6f1c");
        let no_resume = ArgEdit::replace("resume=/dev/sda3", "noresume");
        for (before, edits, after) in [
            (
                "root=/dev/sda1  ro quiet resume=/dev/sda3",
                vec![root.clone(), no_resume.clone()],
                "root=UUID=6f1c  ro quiet noresume",
            ),
            ("ro root=/dev/sda10", vec![root.clone()], "ro root=/dev/sda10"),
            ("root=UUID=6f1c root=/dev/sda1 ro", vec![root], "root=UUID=6f1c ro"),
            ("noresume resume=/dev/sda3", vec![no_resume], "noresume"),
            (
                "console=tty0 console=ttyS0 quiet",
                vec![set("console", "ttyS0,115200n8")],
                "console=tty0 console=ttyS0,115200n8 quiet",
            ),
            ("quiet", vec![set("a", "1"), set("b", "")], "quiet a=1 b"),
            ("", vec![set("a", "1")], "a=1"),
            ("ro -- single", vec![set("a", "1")], "ro a=1 -- single"),
            (
                "nvme-core.io-timeout=5",
                vec![set("nvme_core.io_timeout", "9")],
                "nvme_core.io_timeout=9",
            ),
            ("selinux=1 enforcing=1 ro", vec![ArgEdit::remove("enforcing")], "selinux=1 ro"),
            ("enforcing=1 ro", vec![ArgEdit::remove("enforcing")], "ro"),
            ("enforcing=1  enforcing=1", vec![ArgEdit::remove("enforcing"), set("a", "1")], "a=1"),
            ("x=1 x=2 y", vec![ArgEdit::remove_value("x", "1")], "x=2 y"),
            (
                "dyndbg=\"file a.c +p\" ro",
                vec![ArgEdit::remove("+p\"")],
                "dyndbg=\"file a.c +p\" ro",
            ),
        ] {
            let found = edited(before, &edits);
            assert_eq!(found, after, "{before} {edits:?}");
            assert_eq!(edited(&found, &edits), after, "a second time: {before} {edits:?}");
        }
    }
}
