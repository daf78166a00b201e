//! One line of a table changed, every other byte kept: spaces between fields, comments, line ends.
//!
//! Bytes and not text: a table with a mount point in Latin-1 is a table like others.

use std::ops::Range;

/// In front of a line that is switched off.
const MARK: &[u8] = b"#kiln ";

/// What becomes of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LineChange {
    /// Another device.
    Spec(String),
    /// Another filesystem type, without the options that only the old one knows.
    Type(String),
    /// These options, behind those that are there.
    AddOptions(&'static [&'static str]),
    /// Without the options of these names, with `name=value` or bare.
    DropOptions(&'static [&'static str]),
    /// Another value of an option that is there.
    SetOption { name: &'static str, value: String },
    /// A second mount of what is mounted at this place already.
    BindTo(String),
    /// Switched off.
    Comment,
}

/// Options that every filesystem knows, or that are not for the filesystem at all (mount(8)).
const GENERIC: [&str; 34] = [
    "defaults",
    "rw",
    "ro",
    "async",
    "sync",
    "dirsync",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "relatime",
    "norelatime",
    "strictatime",
    "nostrictatime",
    "lazytime",
    "nolazytime",
    "dev",
    "nodev",
    "exec",
    "noexec",
    "suid",
    "nosuid",
    "auto",
    "noauto",
    "user",
    "nouser",
    "users",
    "owner",
    "group",
    "nofail",
    "_netdev",
    "discard",
    "silent",
    "loud",
];

/// Whether `fs_type` and `other` know the same options.
fn is_same_family(fs_type: &str, other: &str) -> bool {
    let is_ext = |name: &str| matches!(name, "ext2" | "ext3" | "ext4");
    fs_type == other || (is_ext(fs_type) && is_ext(other))
}

/// `table` with line `number`, counted from 1, changed.
pub(super) fn changed(table: &[u8], number: u32, change: &LineChange) -> Vec<u8> {
    let index = usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1);
    let line = |(at, line): (usize, &[u8])| match at == index {
        true => line_changed(line, change),
        false => line.to_vec(),
    };
    let lines: Vec<Vec<u8>> = table.split(|&byte| byte == b'\n').enumerate().map(line).collect();
    lines.join(&b'\n')
}

fn line_changed(line: &[u8], change: &LineChange) -> Vec<u8> {
    match change {
        LineChange::Comment => [MARK, line].concat(),
        LineChange::Spec(spec) => with_field(line, 0, spec),
        LineChange::Type(fs_type) => {
            let line = match is_same_family(&field(line, 2), fs_type) {
                true => line.to_vec(),
                false => with_options(line, |options| options.retain(|option| is_generic(option))),
            };
            with_field(&line, 2, fs_type)
        }
        LineChange::AddOptions(added) => with_options(line, |options| {
            for option in *added {
                let name = option.split('=').next().unwrap_or(option);
                if !options.iter().any(|have| have.split('=').next() == Some(name)) {
                    options.push((*option).to_owned());
                }
            }
        }),
        LineChange::DropOptions(names) => with_options(line, |options| {
            options
                .retain(|option| !names.iter().any(|name| option.split('=').next() == Some(*name)));
        }),
        LineChange::SetOption { name, value } => with_options(line, |options| {
            for option in options {
                if option.split_once('=').is_some_and(|(have, _)| have == *name) {
                    *option = format!("{name}={value}");
                }
            }
        }),
        LineChange::BindTo(place) => {
            let is_kept = |option: &String| matches!(option.as_str(), "ro" | "nofail" | "noauto");
            let line = with_field(line, 0, place);
            let line = with_field(&line, 2, "none");
            let line = with_options(&line, |options| {
                options.retain(is_kept);
                options.insert(0, "bind".to_owned());
            });
            match fields(&line).get(5) {
                Some(_) => with_field(&line, 5, "0"),
                None => line,
            }
        }
    }
}

fn is_generic(option: &str) -> bool {
    GENERIC.contains(&option) || option.starts_with("x-") || option.starts_with("comment=")
}

/// Where the fields of a line are. A carriage return is no part of the last one.
fn fields(line: &[u8]) -> Vec<Range<usize>> {
    let is_blank = |byte: u8| matches!(byte, b' ' | b'\t' | b'\r');
    let mut found = Vec::new();
    let mut start = None;
    for (at, &byte) in line.iter().enumerate() {
        match (start, is_blank(byte)) {
            (None, false) => start = Some(at),
            (Some(from), true) => {
                found.push(from..at);
                start = None;
            }
            _ => {}
        }
    }
    found.extend(start.map(|from| from..line.len()));
    found
}

fn field(line: &[u8], n: usize) -> String {
    let range = fields(line).get(n).cloned().unwrap_or(0..0);
    String::from_utf8_lossy(line.get(range).unwrap_or_default()).into_owned()
}

/// `line` with field `n` replaced. Fields that it leaves out before that get their defaults.
fn with_field(line: &[u8], n: usize, value: &str) -> Vec<u8> {
    let found = fields(line);
    if let Some(range) = found.get(n) {
        let before = line.get(..range.start).unwrap_or_default();
        let after = line.get(range.end..).unwrap_or_default();
        return [before, value.as_bytes(), after].concat();
    }
    let end = found.last().map_or(line.len(), |last| last.end);
    let (mut out, rest) = (line.to_vec(), line.get(end..).unwrap_or_default());
    out.truncate(end);
    for missing in found.len()..=n {
        out.push(b' ');
        let default = if missing == 2 { "auto" } else { "defaults" };
        out.extend_from_slice(if missing == n { value.as_bytes() } else { default.as_bytes() });
    }
    // A carriage return is all that may follow the last field.
    out.extend_from_slice(rest);
    out
}

fn with_options(line: &[u8], change: impl FnOnce(&mut Vec<String>)) -> Vec<u8> {
    let old = field(line, 3);
    let mut options = split_options(if old.is_empty() { "defaults" } else { &old });
    change(&mut options);
    if options.is_empty() {
        options.push("defaults".to_owned());
    }
    with_field(line, 3, &options.join(","))
}

/// Split at commas outside double quotes.
fn split_options(text: &str) -> Vec<String> {
    let mut is_quoted = false;
    let split = text.split(|c: char| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    });
    split.map(str::to_owned).collect()
}

/// `table` with Unix line ends.
pub(super) fn with_unix_line_ends(table: &[u8]) -> Vec<u8> {
    let lines: Vec<&[u8]> = table
        .split(|&byte| byte == b'\n')
        .map(|mut line| {
            while let Some(shorter) = line.strip_suffix(b"\r") {
                line = shorter;
            }
            line
        })
        .collect();
    lines.join(&b'\n')
}

/// `table` without the zero bytes that a crash leaves.
pub(super) fn without_zeroes(table: &[u8]) -> Vec<u8> {
    table.iter().copied().filter(|&byte| byte != 0).collect()
}

/// `table` with the bytes of line `number` that are not ASCII written as `\351`, which means the same
/// to whoever mounts.
pub(super) fn escaped(table: &[u8], number: u32) -> Vec<u8> {
    let index = usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1);
    let escape = |line: &[u8]| -> Vec<u8> {
        let bytes = line.iter().map(|&byte| match byte.is_ascii() {
            true => vec![byte],
            false => format!("\\{byte:03o}").into_bytes(),
        });
        bytes.flatten().collect()
    };
    let lines = table.split(|&byte| byte == b'\n').enumerate();
    let lines: Vec<Vec<u8>> =
        lines.map(|(at, line)| if at == index { escape(line) } else { line.to_vec() }).collect();
    lines.join(&b'\n')
}

/// `table` with `line` before its first entry, behind the comments that introduce it.
pub(super) fn with_first(table: &[u8], line: &str) -> Vec<u8> {
    let is_entry = |line: &[u8]| {
        let text = line.trim_ascii_start();
        !text.is_empty() && !text.starts_with(b"#")
    };
    let mut at = 0;
    for found in table.split_inclusive(|&byte| byte == b'\n') {
        if is_entry(found) {
            let (before, after) = table.split_at_checked(at).unwrap_or((table, &[]));
            return [before, line.as_bytes(), b"\n", after].concat();
        }
        at += found.len();
    }
    with_last(table, line)
}

/// `table` with `line` at its end.
pub(super) fn with_last(table: &[u8], line: &str) -> Vec<u8> {
    let gap: &[u8] = if table.is_empty() || table.ends_with(b"\n") { b"" } else { b"\n" };
    [table, gap, line.as_bytes(), b"\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn becomes(line: &str, change: &LineChange, after: &str) {
        let table = format!("# before\n{line}\n# after\n");
        let found = changed(table.as_bytes(), 2, change);
        assert_eq!(String::from_utf8(found).unwrap(), format!("# before\n{after}\n# after\n"));
    }

    #[test]
    fn one_field_changes_and_the_layout_stays() {
        let spec = LineChange::Spec("UUID=6f1c".into());
        becomes(
            "/dev/sda2\t  /   ext4  rw 0 1 # root",
            &spec,
            "UUID=6f1c\t  /   ext4  rw 0 1 # root",
        );
        becomes("  /dev/sda2 / ext4\r", &spec, "  UUID=6f1c / ext4\r");
        let nofail = LineChange::AddOptions(&["nofail", "x-systemd.device-timeout=5s"]);
        becomes(
            "/dev/sdb1        /data        xfs   defaults           0 0",
            &nofail,
            "/dev/sdb1        /data        xfs   defaults,nofail,x-systemd.device-timeout=5s           0 0",
        );
        becomes(
            "/dev/sdb1 /data",
            &nofail,
            "/dev/sdb1 /data auto defaults,nofail,x-systemd.device-timeout=5s",
        );
        becomes(
            "/dev/sdb1 /data xfs x-systemd.device-timeout=9",
            &nofail,
            "/dev/sdb1 /data xfs x-systemd.device-timeout=9,nofail",
        );
        becomes(
            "a /b xfs context=\"x,y\"",
            &nofail,
            "a /b xfs context=\"x,y\",nofail,x-systemd.device-timeout=5s",
        );
        becomes(
            "nas:/vol1 /mnt nfs rw 0 0",
            &LineChange::AddOptions(&["_netdev", "nofail"]),
            "nas:/vol1 /mnt nfs rw,_netdev,nofail 0 0",
        );
        becomes(".host:/   /mnt vmhgfs", &LineChange::Comment, "#kiln .host:/   /mnt vmhgfs");
    }

    #[test]
    fn a_type_takes_the_options_of_the_old_one_along() {
        let xfs = LineChange::Type("xfs".into());
        becomes("a / ext4 noatime,errors=remount-ro 0 1", &xfs, "a / xfs noatime 0 1");
        becomes("a / ext4 errors=remount-ro 0 1", &xfs, "a / xfs defaults 0 1");
        becomes("a /", &xfs, "a / xfs defaults");
        let ext4 = LineChange::Type("ext4".into());
        becomes("a / ext3 errors=remount-ro 0 1", &ext4, "a / ext4 errors=remount-ro 0 1");
    }

    #[test]
    fn options_are_dropped_and_replaced() {
        let drop = LineChange::DropOptions(&["subvol", "subvolid"]);
        becomes("a /b ext4 subvol=@,rw 0 0", &drop, "a /b ext4 rw 0 0");
        becomes("a /b ext4 subvol=@ 0 0", &drop, "a /b ext4 defaults 0 0");
        let set = LineChange::SetOption { name: "subvol", value: "@/home".into() };
        becomes("a /b btrfs rw,subvol=@home 0 0", &set, "a /b btrfs rw,subvol=@/home 0 0");
        let bind = LineChange::BindTo("/a".into());
        becomes("UUID=1 /b ext4 ro,noatime 0 2", &bind, "/a /b none bind,ro 0 0");
    }

    #[test]
    fn whole_tables_are_cleaned() {
        assert_eq!(with_unix_line_ends(b"a\r\nb\r\r\n\r\nc"), b"a\nb\n\nc");
        assert_eq!(without_zeroes(b"a\0\0b"), b"ab");
        assert_eq!(escaped(b"caf\xe9\ncaf\xe9\n", 2), b"caf\xe9\ncaf\\351\n");
        assert_eq!(with_first(b"# note\n\na /b\n", "x /"), b"# note\n\nx /\na /b\n");
        assert_eq!(with_first(b"# note", "x /"), b"# note\nx /\n");
        assert_eq!(with_last(b"", "x /"), b"x /\n");
    }
}
