//! Regular expressions, with look-around: matching backtracks, so it is paid for.
//!
//! Each expression is compiled with a small limit of backtracking, which is nearly always enough,
//! and on demand with a large one, which costs accordingly.

use std::sync::Arc;

use fancy_regex::{Error, Regex, RegexBuilder, RuntimeError};
use indexmap::IndexMap;

use super::eval::Eval;
use super::meter::{R, Stop};
use super::value::Val;

const SMALL: usize = 500;
const LARGE: usize = 50_000;
/// Steps: of a match, of one that needs the large limit, of compiling.
const STEPS_SMALL: u64 = 40;
const STEPS_LARGE: u64 = 10_000;
const STEPS_COMPILE: u64 = 1000;
/// The longest expression, the largest program of one, and how many are kept, each.
const MAX_PATTERN: usize = 4096;
const MAX_PROGRAM: usize = 256 << 10;
const MAX_KEPT: usize = 32;

/// The expressions of one evaluation.
#[derive(Debug, Default)]
pub(super) struct Regexes {
    compiled: Vec<Arc<Compiled>>,
}

#[derive(Debug)]
struct Compiled {
    pattern: String,
    flags: Flags,
    limit: usize,
    regex: Regex,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Flags {
    global: bool,
    ignore_case: bool,
    extended: bool,
    dot_all: bool,
    not_empty: bool,
}

impl Flags {
    /// `s` and `l` change nothing: `^` and `$` are the ends of the text in any case, and the
    /// alternatives of an expression are tried in their order.
    fn read(text: &str) -> R<Self> {
        let mut flags = Self::default();
        for c in text.chars() {
            match c {
                'g' => flags.global = true,
                'i' => flags.ignore_case = true,
                'x' => flags.extended = true,
                'p' => flags.dot_all = true,
                'n' => flags.not_empty = true,
                's' | 'l' => {}
                _ => {
                    return Err(Stop::error(format!("{text} is not a valid modifier string")));
                }
            }
        }
        Ok(flags)
    }
}

/// The groups of a match as bytes, the whole one first.
type Groups = Vec<Option<(usize, usize)>>;

impl Eval<'_> {
    fn compiled(&mut self, pattern: &str, flags: Flags, limit: usize) -> R<Arc<Compiled>> {
        let kept = self
            .regexes
            .compiled
            .iter()
            .find(|kept| kept.pattern == pattern && kept.flags == flags && kept.limit == limit);
        if let Some(kept) = kept {
            return Ok(Arc::clone(kept));
        }
        if pattern.len() > MAX_PATTERN {
            return Err(Stop::error("the regular expression is too long"));
        }
        self.meter.tick(STEPS_COMPILE + 20 * pattern.len() as u64)?;
        let regex = RegexBuilder::new(pattern)
            .case_insensitive(flags.ignore_case)
            .verbose_mode(flags.extended)
            .dot_matches_new_line(flags.dot_all)
            .backtrack_limit(limit)
            .delegate_size_limit(MAX_PROGRAM)
            .delegate_dfa_size_limit(MAX_PROGRAM)
            .build()
            .map_err(|error| {
                Stop::error(format!("{pattern} (at 0) is not a valid regex: {error}"))
            })?;
        let compiled = Arc::new(Compiled { pattern: pattern.into(), flags, limit, regex });
        if self.regexes.compiled.len() >= MAX_KEPT {
            self.regexes.compiled.remove(0);
        }
        self.regexes.compiled.push(Arc::clone(&compiled));
        Ok(compiled)
    }

    /// The first match at or after a byte of the text.
    fn search(
        &mut self,
        pattern: &str,
        flags: Flags,
        text: &str,
        from: usize,
    ) -> R<Option<Groups>> {
        let steps = (text.len() - from) as u64 / 16;
        for (limit, price) in [(SMALL, STEPS_SMALL), (LARGE, STEPS_LARGE)] {
            let compiled = self.compiled(pattern, flags, limit)?;
            self.meter.tick(price + steps)?;
            match compiled.regex.captures_from_pos(text, from) {
                Ok(found) => {
                    return Ok(found.map(|found| {
                        let group = |i| found.get(i).map(|m| (m.start(), m.end()));
                        (0..found.len()).map(group).collect()
                    }));
                }
                Err(Error::RuntimeError(RuntimeError::BacktrackLimitExceeded)) => {}
                Err(error) => return Err(Stop::exhausted(format!("{pattern:?}: {error}"))),
            }
        }
        Err(Stop::exhausted(format!("the regular expression {pattern:?} backtracks too much")))
    }

    /// `_match(regex; flags; test)`: the array of matches, or whether there is one. The expression
    /// may be an array of itself and flags.
    pub(super) fn matches(&mut self, input: &Val, args: &[Val]) -> R<Val> {
        let [regex, flags, test] = args else { return Ok(Val::Null) };
        let Val::Str(text) = input else {
            let what = input.described(&mut self.meter)?;
            return Err(Stop::error(format!("{what} cannot be matched, as it is not a string")));
        };
        let (regex, flags) = match (regex, flags) {
            (Val::Arr(both), Val::Null) => {
                let part = |i: usize| both.items.get(i).cloned().unwrap_or(Val::Null);
                (part(0), part(1))
            }
            (regex, flags) => (regex.clone(), flags.clone()),
        };
        let Val::Str(pattern) = &regex else {
            let what = regex.described(&mut self.meter)?;
            return Err(Stop::error(format!("{what} cannot be matched, as it is not a string")));
        };
        let flags = match &flags {
            Val::Null => Flags::default(),
            Val::Str(flags) => Flags::read(flags)?,
            flags => {
                let what = flags.described(&mut self.meter)?;
                return Err(Stop::error(format!("{what} is not a string")));
            }
        };
        let one = test.is_true();
        let found = self.find(pattern, flags, text, one)?;
        if one { Ok(Val::Bool(!found.is_empty())) } else { self.list_from(found) }
    }

    fn find(&mut self, pattern: &str, flags: Flags, text: &str, one: bool) -> R<Vec<Val>> {
        let mut found = Vec::new();
        let (mut from, mut chars) = (0, (0, 0));
        // As in jq 1.7, an empty match at the end is found only by an expression that reaches it.
        while from < text.len() || from == 0 {
            let Some(groups) = self.search(pattern, flags, text, from)? else { break };
            let (start, end) = groups.first().copied().flatten().unwrap_or((from, from));
            let next = text[end..].chars().next().map_or(1, char::len_utf8);
            from = if end > start { end } else { end + next };
            if flags.not_empty && start == end {
                continue;
            }
            chars = (start, chars.1 + text[chars.0..start].chars().count());
            if one {
                found.push(Val::Null);
            } else {
                let val = self.found(pattern, flags, text, &groups, chars)?;
                found.push(val);
            }
            if one || !flags.global {
                break;
            }
        }
        Ok(found)
    }

    /// A match as jq tells it. `at` is a byte before all groups that matter and the characters
    /// before it, so that a long text is not counted again for each match.
    fn found(
        &mut self,
        pattern: &str,
        flags: Flags,
        text: &str,
        groups: &[Option<(usize, usize)>],
        at: (usize, usize),
    ) -> R<Val> {
        let compiled = self.compiled(pattern, flags, SMALL)?;
        let names: Vec<_> = compiled.regex.capture_names().collect();
        let mut vals = Vec::new();
        for (i, group) in groups.iter().enumerate() {
            let mut entries = IndexMap::new();
            let (offset, length, string) = match group {
                None => (Val::Int(-1), 0, Val::Null),
                Some((start, end)) => {
                    let part = &text[*start..*end];
                    let offset = if *start >= at.0 {
                        at.1 + text[at.0..*start].chars().count()
                    } else {
                        // In a look-behind.
                        self.meter.tick(*start as u64 / 16)?;
                        text[..*start].chars().count()
                    };
                    (Val::count(offset), part.chars().count(), self.meter.string(part)?)
                }
            };
            entries.insert(Arc::from("offset"), offset);
            entries.insert(Arc::from("length"), Val::count(length));
            entries.insert(Arc::from("string"), string);
            if i > 0 {
                let name = names.get(i).copied().flatten();
                entries.insert(Arc::from("name"), name.map_or(Val::Null, Val::text));
            }
            vals.push(entries);
        }
        let mut whole = vals.remove(0);
        let captures = vals.into_iter().map(|entries| self.meter.map(entries));
        let captures: Vec<_> = captures.collect::<R<_>>()?;
        let captures = self.meter.list(captures)?;
        whole.insert(Arc::from("captures"), captures);
        self.meter.map(whole)
    }
}
