//! Edits of text line by line: whatever is not edited keeps its bytes, its order and its line ending.

/// What becomes of a line.
pub(super) enum Fate {
    /// It stays.
    Keep,
    /// It goes.
    Drop,
    /// This text stands in its place; the line's ending is kept.
    Become(String),
}

/// `text` with each line's fate carried out. `fate` gets the line without its ending.
pub(super) fn edit(text: &str, mut fate: impl FnMut(&str) -> Fate) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches(['\n', '\r']);
        match fate(bare) {
            Fate::Keep => out.push_str(line),
            Fate::Drop => {}
            Fate::Become(new) => {
                out.push_str(&new);
                out.push_str(line.get(bare.len()..).unwrap_or_default());
            }
        }
    }
    out
}

/// `text` with `line` at its end, in the text's own line ending.
pub(super) fn append(text: &str, line: &str) -> String {
    let ending = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { ending };
    format!("{text}{gap}{line}{ending}")
}

/// Set `name` in text of shell assignments: the last assignment gets the value, as it is the one
/// that counts; where there is none, a line is added.
pub(super) fn assign(text: &str, name: &str, value: &str) -> String {
    let is_it = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("export ").unwrap_or(line);
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with('='))
    };
    let Some(last) = text.lines().enumerate().filter(|(_, line)| is_it(line)).last() else {
        return append(text, &format!("{name}={value}"));
    };
    let mut n = 0;
    edit(text, |_| {
        n += 1;
        if n == last.0 + 1 { Fate::Become(format!("{name}={value}")) } else { Fate::Keep }
    })
}

/// `text` without the assignments of names for which `is_dropped` is true.
pub(super) fn without(text: &str, is_dropped: impl Fn(&str) -> bool) -> String {
    edit(text, |line| {
        let line = line.trim_start();
        let line = line.strip_prefix("export ").unwrap_or(line);
        match line.split_once('=') {
            Some((name, _)) if !name.starts_with('#') && is_dropped(name) => Fate::Drop,
            _ => Fate::Keep,
        }
    })
}

/// Set `key` in section `section` of an INI file: where it is, else at the end of the section, else
/// in a section of its own.
pub(super) fn set_in_section(text: &str, section: &str, key: &str, value: &str) -> String {
    let new = format!("{key}={value}");
    let (mut inside, mut last, mut at) = (false, None, None);
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            inside = name.trim() == section;
        }
        if inside && !line.is_empty() {
            last = Some(n);
            if line.split_once('=').is_some_and(|(name, _)| name.trim() == key) {
                at = Some(n);
            }
        }
    }
    let Some(place) = at.or(last) else {
        return append(&append(text, &format!("[{section}]")), &new);
    };
    let ending = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut n = 0;
    edit(text, |line| {
        n += 1;
        match (n == place + 1, at) {
            (true, Some(_)) => Fate::Become(new.clone()),
            (true, None) => Fate::Become(format!("{line}{ending}{new}")),
            (false, _) => Fate::Keep,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_edited_keeps_its_bytes() {
        for (before, after) in [
            ("A=1\r\nB=2\r\n", "A=1\r\nB=9\r\n"),
            ("# B=1\n", "# B=1\nB=9\n"),
            ("B=1\nB=2", "B=1\nB=9"),
            ("A=1", "A=1\nB=9\n"),
            ("", "B=9\n"),
            ("  export B=1 # why\n", "B=9\n"),
        ] {
            assert_eq!(assign(before, "B", "9"), after);
            assert_eq!(assign(after, "B", "9"), after, "a second time changes nothing");
        }
        let text = "A=1\r\n# IPADDR=1\n IPADDR0=2\nX\n";
        assert_eq!(without(text, |name| name.starts_with("IPADDR")), "A=1\r\n# IPADDR=1\nX\n");
    }

    #[test]
    fn keys_are_set_where_their_section_is() {
        for (before, after) in [
            ("[a]\nx=1\n\n[b]\ny=2\n", "[a]\nx=1\nk=v\n\n[b]\ny=2\n"),
            ("[b]\nk=0\n[a]\r\nk = 0\r\n", "[b]\nk=0\n[a]\r\nk=v\r\n"),
            ("[b]\nk=0", "[b]\nk=0\n[a]\nk=v\n"),
            ("", "[a]\nk=v\n"),
            ("[a]", "[a]\nk=v"),
        ] {
            assert_eq!(set_in_section(before, "a", "k", "v"), after);
            assert_eq!(set_in_section(after, "a", "k", "v"), after, "a second time");
        }
    }
}
