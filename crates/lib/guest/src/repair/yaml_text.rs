//! Taking a key out of a YAML file without touching the rest: comments, order and style stay.
//!
//! The edit is by lines, and is taken only where what YAML reads afterwards is what it read before
//! without that key. So a wrong guess about the text costs the edit, and never the meaning.

use kiln_volume::Result;

use super::Draft;
use crate::syntax::yaml::{self, Yaml};

/// Take the top-level `key` out of the file at `path`; a file that says nothing else goes. `false`:
/// it has no such key, or its text does not let it be taken out.
///
/// # Errors
///
/// As [`Draft::remove`] and [`Draft::rewrite`].
pub(super) fn drop_key(draft: &mut Draft, path: &str, key: &str, reason: &str) -> Result<bool> {
    let Some(text) = draft.tree()?.read_text(path)? else { return Ok(false) };
    let Ok(content) = yaml::parse(text.as_bytes()) else { return Ok(false) };
    match content.entries() {
        [] => Ok(false),
        [(only, _)] if only == key => draft.remove(path, reason),
        _ => draft.rewrite(path, reason, |text| {
            without_key(text, key).unwrap_or_else(|| text.to_owned())
        }),
    }
}

/// `text` without its top-level `key`. `None`: there is none, or it cannot be taken out.
pub(super) fn without_key(text: &str, key: &str) -> Option<String> {
    let Ok(Yaml::Map(before)) = yaml::parse(text.as_bytes()) else { return None };
    let wanted: Vec<_> = before.iter().filter(|(name, _)| name != key).cloned().collect();
    if wanted.len() == before.len() {
        return None;
    }
    let after = cut(text, key);
    let is_right = match yaml::parse(after.as_bytes()) {
        Ok(Yaml::Map(found)) => found == wanted,
        Ok(Yaml::Null) => wanted.is_empty(),
        _ => false,
    };
    is_right.then_some(after)
}

/// Drop the line of `key` with those that belong to it. Comments after them belong to the next key.
fn cut(text: &str, key: &str) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut dropped = vec![false; lines.len()];
    let mut inside = None;
    for (n, line) in lines.iter().enumerate() {
        let bare = line.trim_end();
        let is_silent = bare.is_empty() || bare.trim_start().starts_with('#');
        let starts_key = !is_silent && !bare.starts_with([' ', '\t', '-', ']', '}']);
        if starts_key {
            inside = names(bare, key).then_some(n);
        }
        if let Some(first) = inside
            && !is_silent
        {
            // The silent lines between two that belong to the key belong to it too.
            dropped.iter_mut().take(n + 1).skip(first).for_each(|line| *line = true);
        }
    }
    let kept = lines.iter().zip(dropped).filter(|(_, is_dropped)| !is_dropped);
    kept.map(|(line, _)| *line).collect()
}

/// Whether a line is that of `key`.
fn names(line: &str, key: &str) -> bool {
    let Some((name, _)) = line.split_once(':') else { return false };
    name.trim().trim_matches(['"', '\'']) == key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_with_all_its_lines_and_no_other() {
        for (before, after) in [
            ("a: 1\nb: {x: 1}\nc: 2\n", "a: 1\nc: 2\n"),
            ("b:\n  x: 1\n\n  # of b\n  y: 2\n# of c\nc: 2\n", "# of c\nc: 2\n"),
            ("a: 1\nb:\n- x\n- y\nc: 2\n", "a: 1\nc: 2\n"),
            ("a: 1\r\n\"b\" : [x,\r\n  y\r\n]\r\n", "a: 1\r\n"),
            ("---\n# head\nb: 1\na: b\n", "---\n# head\na: b\n"),
            ("a: |\n  b: 1\nb: 2", "a: |\n  b: 1\n"),
        ] {
            assert_eq!(without_key(before, "b").as_deref(), Some(after), "{before}");
        }
    }

    #[test]
    fn text_that_does_not_let_go_stays() {
        for text in [
            "a: 1\n",
            "{a: 1, b: 2}\n",
            "a: &x 1\nb: 2\nc: {b: *x}\nb : 3\nz: [\nb: 1]\n",
            "b: &x {y: 1}\nc: *x\n",
            "a:\n\tb: 1\n",
            "- b: 1\n",
        ] {
            assert_eq!(without_key(text, "b"), None, "{text}");
        }
    }

    #[test]
    fn mutated_text_keeps_its_meaning() {
        let sound = b"a: [1, 2]\n# c\nb:\n - {x: 'y'}\n - |\n  b: 1\nc: \"d\"\n";
        crate::syntax::mutation::mutated(sound, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            if let Some(after) = without_key(&text, "b") {
                let entries = |text: &str| yaml::parse(text.as_bytes()).unwrap().entries().to_vec();
                let wanted: Vec<_> =
                    entries(&text).into_iter().filter(|(name, _)| name != "b").collect();
                assert_eq!(entries(&after), wanted);
            }
        });
    }
}
