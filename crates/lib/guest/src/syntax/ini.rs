//! INI files as systemd and GLib write them: sections, `key=value`, comments from `#` or `;`, a
//! trailing backslash joins lines. The same section or key may come again; all are kept.

/// As many lines as kiln reads of one file.
const MAX_LINES: usize = 20_000;

/// A section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Section {
    /// Between the brackets.
    pub(crate) name: String,
    /// In order.
    pub(crate) entries: Vec<Entry>,
}

/// A `key=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Counted from 1.
    pub(crate) line: u32,
    /// Left of `=`.
    pub(crate) key: String,
    /// Right of it, without blanks around.
    pub(crate) value: String,
}

/// The sections of `text`, in order.
pub(crate) fn parse(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut pending: Option<(u32, String)> = None;
    for (line, raw) in (1u32..).zip(text.lines()).take(MAX_LINES) {
        let (line, text) = match pending.take() {
            Some((start, before)) => (start, format!("{before} {}", raw.trim())),
            None => (line, raw.trim().to_owned()),
        };
        if text.is_empty() || text.starts_with(['#', ';']) {
            continue;
        }
        if let Some(before) = text.strip_suffix('\\') {
            pending = Some((line, before.trim_end().to_owned()));
            continue;
        }
        if let Some(name) = text.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            sections.push(Section { name: name.trim().to_owned(), entries: Vec::new() });
        } else if let Some((key, value)) = text.split_once('=')
            && let Some(section) = sections.last_mut()
        {
            let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
            section.entries.push(Entry { line, key, value });
        }
    }
    sections
}

/// The last value of `key` in any section `section`.
pub(crate) fn value<'a>(sections: &'a [Section], section: &str, key: &str) -> Option<&'a Entry> {
    values(sections, section, key).last()
}

/// All values of `key` in all sections `section`, in order.
pub(crate) fn values<'a>(
    sections: &'a [Section],
    section: &str,
    key: &str,
) -> impl Iterator<Item = &'a Entry> {
    sections
        .iter()
        .filter(move |found| found.name == section)
        .flat_map(|found| &found.entries)
        .filter(move |entry| entry.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_keys_and_joined_lines_are_read() {
        let text = "x=0\n# c\n[Match]\nName = en* \n; d\n[Network]\nDHCP=yes\nDNS=1.1.1.1 \\\n 8.8.8.8\n[Match]\nName=eth*\n";
        let found = parse(text);
        let names: Vec<_> = found.iter().map(|section| section.name.as_str()).collect();
        assert_eq!(names, ["Match", "Network", "Match"]);
        assert_eq!(value(&found, "Network", "DNS").unwrap().value, "1.1.1.1 8.8.8.8");
        assert_eq!(value(&found, "Network", "DNS").unwrap().line, 8);
        let all: Vec<_> = values(&found, "Match", "Name").map(|e| e.value.as_str()).collect();
        assert_eq!(all, ["en*", "eth*"]);
        assert_eq!(value(&found, "Network", "dhcp"), None);
    }

    #[test]
    fn mutated_text_is_read_without_panic() {
        crate::syntax::mutation::mutated(
            b"[Match]\nName=en*\n[Network]\nDHCP=yes \\\n x\n",
            |text| {
                parse(&String::from_utf8_lossy(text));
            },
        );
    }
}
