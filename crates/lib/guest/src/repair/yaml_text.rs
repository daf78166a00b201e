//! Taking a key out of a YAML file without touching the rest: comments, order and style stay.
//!
//! The edit is by lines, and is taken only where what YAML reads afterwards is what it read before
//! without that key. So a wrong guess about the text costs the edit, and never the meaning.

use kiln_volume::Result;

use super::Draft;
use super::lines::{self, Fate};
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

/// `text` with `item` in the list of the top-level `key`, in front of `before` or else at its end.
/// `None`: there is no such list, or it is not written in a way that lets it in.
pub(super) fn with_item(text: &str, key: &str, item: &str, before: &str) -> Option<String> {
    let content = yaml::parse(text.as_bytes()).ok()?;
    let mut wanted = content.clone();
    let Yaml::List(mut items) = content.get(key)?.clone() else { return None };
    let is_it = |found: &Yaml| found.text() == Some(before);
    let place = items.iter().position(is_it).unwrap_or(items.len());
    items.insert(place, Yaml::Text(item.to_owned()));
    wanted.set(key, Yaml::List(items));
    let after = inserted(text, key, item, place)?;
    (yaml::parse(after.as_bytes()).ok()? == wanted).then_some(after)
}

/// Put an item on a line of its own in front of item number `place`, or into brackets that are
/// opened and closed on the line of the key.
fn inserted(text: &str, key: &str, item: &str, place: usize) -> Option<String> {
    let at = text.lines().position(|line| !line.starts_with([' ', '#']) && names(line, key))?;
    let head = text.lines().nth(at)?;
    if let Some((start, rest)) = head.split_once('[') {
        let (inside, end) = rest.rsplit_once(']')?;
        let mut items: Vec<&str> =
            inside.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
        items.insert(place.min(items.len()), item);
        let new = format!("{start}[{}]{end}", items.join(", "));
        return Some(nth_line(text, at, |_| Fate::Become(new.clone())));
    }
    let is_item = |line: &&(usize, &str)| line.1.trim_start().starts_with("- ");
    let own = text.lines().enumerate().skip(at + 1);
    let own: Vec<(usize, &str)> =
        own.take_while(|(_, line)| line.is_empty() || line.starts_with([' ', '-', '#'])).collect();
    let first = own.iter().find(is_item)?;
    let indent = first.1.len() - first.1.trim_start().len();
    let own_items: Vec<&(usize, &str)> = own
        .iter()
        .filter(is_item)
        .filter(|line| line.1.len() - line.1.trim_start().len() == indent)
        .collect();
    let new = format!("{}- {item}", first.1.get(..indent)?);
    let ending = if text.contains("\r\n") { "\r\n" } else { "\n" };
    match own_items.get(place) {
        Some((n, _)) => {
            Some(nth_line(text, *n, |line| Fate::Become(format!("{new}{ending}{line}"))))
        }
        None => {
            let (n, _) = own_items.last()?;
            Some(nth_line(text, *n, |line| Fate::Become(format!("{line}{ending}{new}"))))
        }
    }
}

/// `text` with another fate for its line number `at`, counted from 0.
fn nth_line(text: &str, at: usize, fate: impl Fn(&str) -> Fate) -> String {
    let mut n = 0;
    lines::edit(text, |line| {
        n += 1;
        if n == at + 1 { fate(line) } else { Fate::Keep }
    })
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
    fn items_go_where_they_belong() {
        for (before, after) in [
            ("m:\n - a\n - z\nn: 1\n", "m:\n - a\n - x\n - z\nn: 1\n"),
            ("m:\r\n- a\r\n# c\r\n- [z, 1]\r\n", "m:\r\n- a\r\n# c\r\n- [z, 1]\r\n- x\r\n"),
            ("m:\n  - a\n  -\n   - b\n", "m:\n  - a\n  -\n   - b\n"),
            ("m: [a, z] # c\n", "m: [a, x, z] # c\n"),
            ("m: []\n", "m: [x]\n"),
            ("m: [a,\n b]\n", "m: [a,\n b]\n"),
            ("m: 1\n", "m: 1\n"),
        ] {
            let found = with_item(before, "m", "x", "z").unwrap_or_else(|| before.to_owned());
            assert_eq!(found, after);
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
