//! Boot Loader Specification entries (`loader/entries/*.conf`): one `key value` a line.
//!
//! GRUB's `blscfg` and systemd-boot read the same files; both show the newest first. The order is
//! that of RPM versions over the file name, rescue entries last.

use std::cmp::Ordering;

use kiln_volume::Tree;

/// As many entries as kiln reads of a directory.
const MAX_ENTRIES: usize = 1000;

/// An entry file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BlsEntry {
    /// File name without `.conf`.
    pub(crate) id: String,
    /// The file.
    pub(crate) path: String,
    pub(crate) title: String,
    pub(crate) version: String,
    /// Path of the kernel on the filesystem the file is on; `uki` where it is a unified image.
    pub(crate) linux: Option<String>,
    pub(crate) initrds: Vec<String>,
    /// All `options`, joined, variables kept.
    pub(crate) options: String,
    /// `grub_users`: who may start it.
    pub(crate) users: Option<String>,
    /// The line of the kernel, else 1.
    pub(crate) line: u32,
}

/// Read an entry file.
pub(crate) fn parse(id: &str, path: &str, text: &str) -> BlsEntry {
    let mut entry = BlsEntry { id: id.into(), path: path.into(), line: 1, ..BlsEntry::default() };
    for (line, text) in (1u32..).zip(text.lines()) {
        let text = text.trim();
        let Some((key, value)) = text.split_once([' ', '\t']) else { continue };
        let value = value.trim();
        match key {
            "title" => entry.title = value.into(),
            "version" => entry.version = value.into(),
            "linux" | "uki" | "efi" => {
                entry.linux = Some(value.into());
                entry.line = line;
            }
            // GRUB takes several on a line, the specification several lines.
            "initrd" => {
                entry.initrds.extend(value.split_whitespace().take(64).map(String::from));
            }
            "options" if entry.options.is_empty() => entry.options = value.into(),
            "options" => entry.options = format!("{} {value}", entry.options),
            "grub_users" => entry.users = Some(value.into()),
            _ => {}
        }
    }
    entry
}

/// The entries of `directory`, the one that boots by default first. What cannot be read is left
/// out.
pub(crate) fn sorted_entries(tree: &Tree, directory: &str) -> Vec<BlsEntry> {
    let mut entries = Vec::new();
    for entry in tree.list(directory).unwrap_or_default() {
        let name = entry.name_lossy();
        let Some(id) = name.strip_suffix(".conf") else { continue };
        let path = format!("{directory}/{name}");
        let text = tree.read(&path, 1 << 20).ok().flatten().unwrap_or_default();
        entries.push(parse(id, &path, &String::from_utf8_lossy(&text)));
        if entries.len() == MAX_ENTRIES {
            break;
        }
    }
    entries.sort_by(|a, b| {
        let is_rescue = |entry: &BlsEntry| entry.id.contains("-0-rescue");
        is_rescue(a).cmp(&is_rescue(b)).then_with(|| compare_versions(&b.id, &a.id))
    });
    entries
}

/// RPM's order of versions: runs of digits as numbers, runs of letters as text, a number above
/// letters, `~` below everything, `^` above the end.
pub(crate) fn compare_versions(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        a = skip_separators(a);
        b = skip_separators(b);
        for (mark, end) in [(b'~', Ordering::Less), (b'^', Ordering::Greater)] {
            match (a.first() == Some(&mark), b.first() == Some(&mark)) {
                (true, true) => {}
                (true, false) => {
                    return if mark == b'^' && !b.is_empty() { end.reverse() } else { end };
                }
                (false, true) => {
                    return if mark == b'^' && !a.is_empty() { end } else { end.reverse() };
                }
                (false, false) => continue,
            }
            a = a.get(1..).unwrap_or_default();
            b = b.get(1..).unwrap_or_default();
        }
        let (Some(first), Some(other)) = (a.first(), b.first()) else {
            return a.len().cmp(&b.len());
        };
        let numeric = first.is_ascii_digit();
        if numeric != other.is_ascii_digit() {
            return if numeric { Ordering::Greater } else { Ordering::Less };
        }
        let (run_a, rest_a) = split_run(a, numeric);
        let (run_b, rest_b) = split_run(b, numeric);
        let order = if numeric {
            let (run_a, run_b) = (without_zeroes(run_a), without_zeroes(run_b));
            run_a.len().cmp(&run_b.len()).then_with(|| run_a.cmp(run_b))
        } else {
            run_a.cmp(run_b)
        };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

fn skip_separators(bytes: &[u8]) -> &[u8] {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'~' | b'^');
    let start = bytes.iter().position(is_part).unwrap_or(bytes.len());
    bytes.get(start..).unwrap_or_default()
}

fn split_run(bytes: &[u8], numeric: bool) -> (&[u8], &[u8]) {
    let in_run = |byte: &u8| {
        if numeric { byte.is_ascii_digit() } else { byte.is_ascii_alphabetic() }
    };
    let end = bytes.iter().position(|byte| !in_run(byte)).unwrap_or(bytes.len());
    bytes.split_at_checked(end).unwrap_or((bytes, &[]))
}

fn without_zeroes(digits: &[u8]) -> &[u8] {
    let start = digits.iter().position(|&digit| digit != b'0').unwrap_or(digits.len());
    digits.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_volume::MemFs;
    use std::sync::Arc;

    #[test]
    fn versions_are_ordered_as_rpm_orders_them() {
        for (low, high) in [
            ("5.14.0-70.el9", "5.14.0-362.el9"),
            ("4.18.0-80.el8", "5.1.0-1.el8"),
            ("1.0~rc1", "1.0"),
            ("1.0", "1.0^git1"),
            ("1.0^git1", "1.0.1"),
            ("1.a", "1.1"),
            ("1.0", "1.0.1"),
            ("2.9", "2.0010"),
        ] {
            assert_eq!(compare_versions(low, high), Ordering::Less, "{low} {high}");
            assert_eq!(compare_versions(high, low), Ordering::Greater, "{high} {low}");
        }
        assert_eq!(compare_versions("1.0", "1-0"), Ordering::Equal);
    }

    #[test]
    fn the_newest_is_first_and_rescue_last() {
        let mut fs = MemFs::new();
        for name in ["ab-0-rescue", "ab-5.14.0-70.el9.x86_64", "ab-5.14.0-362.el9.x86_64"] {
            fs.file(&format!("/e/{name}.conf"), "title x\nlinux /vmlinuz\n");
        }
        fs.file("/e/README", "no entry");
        let ids: Vec<_> =
            sorted_entries(&Tree::new(Arc::new(fs)), "/e").into_iter().map(|e| e.id).collect();
        assert_eq!(ids, ["ab-5.14.0-362.el9.x86_64", "ab-5.14.0-70.el9.x86_64", "ab-0-rescue"]);
    }

    #[test]
    fn keys_are_read() {
        let text = "title EL\nversion 5\nlinux /vmlinuz-5\ninitrd /a.img $tuned_initrd\ninitrd /b\n\
                    options root=UUID=1 ro\noptions quiet\ngrub_users $grub_users\n";
        let entry = parse("id", "/p", text);
        assert_eq!((entry.linux.as_deref(), entry.line), (Some("/vmlinuz-5"), 3));
        assert_eq!(entry.initrds, ["/a.img", "$tuned_initrd", "/b"]);
        assert_eq!(entry.options, "root=UUID=1 ro quiet");
    }
}
