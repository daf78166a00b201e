//! `/etc/fstab` as util-linux reads it: whitespace between fields, `#` only in front of the first
//! one, octal escapes for blanks, up to six fields (`man 5 fstab`).
//!
//! What util-linux would refuse or misread is kept as a [`Problem`] beside the entries.

/// A boot table is some ten lines; more comes from a hostile image.
const MAX_ENTRIES: usize = 10_000;

/// The lines of an fstab.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fstab {
    /// Those that have at least a device and a mount point, in order.
    pub(crate) entries: Vec<FstabEntry>,
    /// What is wrong with lines, in order.
    pub(crate) problems: Vec<Problem>,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FstabEntry {
    /// Counted from 1.
    pub(crate) line: u32,
    /// What is mounted, escapes decoded, quotes kept (`UUID="..."`).
    pub(crate) spec: String,
    /// Where, escapes decoded; `none` or `swap` for swap.
    pub(crate) mount_point: String,
    /// Filesystem type; `auto` where the line does not say.
    pub(crate) fs_type: String,
    /// Options; `defaults` where the line does not say.
    pub(crate) options: Vec<String>,
    /// Field 6; 0 where the line does not say.
    pub(crate) pass: u32,
}

impl FstabEntry {
    /// Whether the bare option `name` is set.
    pub(crate) fn has_option(&self, name: &str) -> bool {
        self.options.iter().any(|option| option == name)
    }

    /// The value of the last `name=` option.
    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().rev().find_map(|option| option.strip_prefix(name)?.strip_prefix('='))
    }

    /// Whether it is swap.
    pub(crate) fn is_swap(&self) -> bool {
        self.fs_type == "swap"
    }
}

/// A line that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Counted from 1.
    pub(crate) line: u32,
    /// What is wrong.
    pub(crate) kind: ProblemKind,
    /// The line, bytes that are not UTF-8 replaced.
    pub(crate) text: String,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProblemKind {
    /// It has no mount point.
    TooFewFields,
    /// It has more than six.
    TooManyFields,
    /// Field 5 or 6 is not a number.
    NotANumber,
    /// The options have an empty element (`rw,,noauto`).
    EmptyOption,
    /// It ends in carriage return and line feed: the last field has an invisible `\r`.
    CarriageReturn,
    /// It is not UTF-8.
    NotUtf8,
    /// It holds a zero byte.
    ZeroByte,
    /// There are more lines than kiln reads; the rest is left out.
    TooMany,
}

impl ProblemKind {
    /// For people: what the line has or lacks.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::TooFewFields => "has fewer than two fields",
            Self::TooManyFields => "has more than six fields",
            Self::NotANumber => "has a fifth or sixth field that is not a number",
            Self::EmptyOption => "has an empty mount option",
            Self::CarriageReturn => "ends in a carriage return (a Windows line end)",
            Self::NotUtf8 => "is not UTF-8",
            Self::ZeroByte => "holds a zero byte",
            Self::TooMany => "comes after more lines than kiln reads",
        }
    }
}

/// Read an fstab.
pub(crate) fn parse(bytes: &[u8]) -> Fstab {
    let mut fstab = Fstab::default();
    for (line, raw) in (1u32..).zip(bytes.split(|&byte| byte == b'\n')) {
        if fstab.entries.len() >= MAX_ENTRIES || fstab.problems.len() >= MAX_ENTRIES {
            let text = String::new();
            fstab.problems.push(Problem { line, kind: ProblemKind::TooMany, text });
            break;
        }
        parse_line(line, raw, &mut fstab);
    }
    fstab
}

fn parse_line(line: u32, raw: &[u8], fstab: &mut Fstab) {
    let text = String::from_utf8_lossy(raw);
    let body = text.trim_end_matches('\r');
    let fields: Vec<&str> = body.split([' ', '\t']).filter(|field| !field.is_empty()).collect();
    let Some(first) = fields.first() else { return };
    if first.starts_with('#') {
        return;
    }
    let mut problem = |kind| {
        let text = body.to_owned();
        fstab.problems.push(Problem { line, kind, text });
    };
    if body.len() != text.len() {
        problem(ProblemKind::CarriageReturn);
    }
    if std::str::from_utf8(raw).is_err() {
        problem(ProblemKind::NotUtf8);
    }
    if raw.contains(&0) {
        problem(ProblemKind::ZeroByte);
    }
    let Some(mount_point) = fields.get(1) else {
        problem(ProblemKind::TooFewFields);
        return;
    };
    // A comment after the sixth field is in use and harmless: util-linux stops reading there.
    if fields.get(6).is_some_and(|field| !field.starts_with('#')) {
        problem(ProblemKind::TooManyFields);
    }
    let number = |field: Option<&&str>| field.map_or(Some(0), |text| text.parse::<u32>().ok());
    if number(fields.get(4)).is_none() || number(fields.get(5)).is_none() {
        problem(ProblemKind::NotANumber);
    }
    let options = fields.get(3).copied().unwrap_or("defaults");
    let options: Vec<String> = split_options(options);
    if options.iter().any(String::is_empty) {
        problem(ProblemKind::EmptyOption);
    }
    fstab.entries.push(FstabEntry {
        line,
        spec: unescape(first),
        mount_point: unescape(mount_point),
        fs_type: fields.get(2).copied().unwrap_or("auto").to_owned(),
        options: options.into_iter().filter(|option| !option.is_empty()).collect(),
        pass: number(fields.get(5)).unwrap_or(0),
    });
}

/// Split at commas outside double quotes (`context="a,b"`).
fn split_options(text: &str) -> Vec<String> {
    let mut options = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => {
                options.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = options.last_mut() {
            last.push_str(c.encode_utf8(&mut [0; 4]));
        }
    }
    options.iter().map(|option| unescape(option)).collect()
}

/// Decode `\040` and the other three-digit octal escapes.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'\\'
            && let Some(digits) = tail.get(..3)
            && let Some(value) = octal(digits)
        {
            out.push(value);
            rest = tail.get(3..).unwrap_or_default();
            continue;
        }
        out.push(byte);
        rest = tail;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn octal(digits: &[u8]) -> Option<u8> {
    let value = digits.iter().try_fold(0u32, |value, &digit| {
        (b'0'..=b'7').contains(&digit).then(|| value * 8 + u32::from(digit - b'0'))
    })?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(line: &str) -> FstabEntry {
        let fstab = parse(line.as_bytes());
        assert_eq!(fstab.problems, [], "{line}");
        fstab.entries.into_iter().next().unwrap()
    }

    #[test]
    fn fields_and_defaults_are_read() {
        let fstab = parse(
            b"# <file system> <mount point>\n\n  # UUID=x / y\nUUID=8a9c-11 /\t ext4  defaults,errors=remount-ro 0 1\n/dev/sdb1 /srv\n",
        );
        assert_eq!(fstab.problems, []);
        let [root, srv] = &fstab.entries[..] else { panic!("{fstab:?}") };
        assert_eq!((root.line, root.spec.as_str(), root.pass), (4, "UUID=8a9c-11", 1));
        assert_eq!(
            (root.option("errors"), root.has_option("defaults")),
            (Some("remount-ro"), true)
        );
        assert_eq!(
            (srv.fs_type.as_str(), srv.options.as_slice()),
            ("auto", &["defaults".into()][..])
        );
    }

    #[test]
    fn octal_escapes_are_decoded_and_others_kept() {
        assert_eq!(entry(r"LABEL=a\040b /mnt/my\011disk ext4").spec, "LABEL=a b");
        assert_eq!(entry(r"LABEL=a\040b /mnt/my\011disk ext4").mount_point, "/mnt/my\tdisk");
        assert_eq!(entry(r"LABEL=a\9b\ /mnt ext4").spec, r"LABEL=a\9b\");
    }

    #[test]
    fn a_comma_in_quotes_does_not_end_an_option() {
        let options = entry(r#"/dev/vda1 / ext4 rw,context="system_u:s0:c1,c2",noatime"#).options;
        assert_eq!(options, ["rw", r#"context="system_u:s0:c1,c2""#, "noatime"]);
    }

    /// One line is spoiled at a time; the problem must name it and what is wrong.
    #[test]
    fn each_problem_is_named_with_its_line() {
        for (text, line, kind) in [
            (&b"\nUUID=1\n"[..], 2, ProblemKind::TooFewFields),
            (b"a /a ext4 rw 0 0 extra\n", 1, ProblemKind::TooManyFields),
            (b"a /a ext4 rw 0 x\n", 1, ProblemKind::NotANumber),
            (b"a /a ext4 rw,,ro 0 0\n", 1, ProblemKind::EmptyOption),
            (b"a /a ext4 rw 0 0\r\n", 1, ProblemKind::CarriageReturn),
            (b"a /\xff ext4 rw 0 0\n", 1, ProblemKind::NotUtf8),
            (b"a /a\0 ext4 rw 0 0\n", 1, ProblemKind::ZeroByte),
        ] {
            let problems = parse(text).problems;
            let found: Vec<_> = problems.iter().map(|p| (p.line, p.kind)).collect();
            assert_eq!(found, [(line, kind)]);
        }
        for near_miss in ["a /a ext4 rw 0 0 # note\n", "\r\n# only a comment\r\n", "a /a\n"] {
            assert_eq!(parse(near_miss.as_bytes()).problems, [], "{near_miss:?}");
        }
    }

    #[test]
    fn no_more_lines_are_read_than_a_boot_table_can_have() {
        let fstab = parse("a /a\n".repeat(20_000).as_bytes());
        assert_eq!(fstab.entries.len(), MAX_ENTRIES);
        assert_eq!(
            fstab.problems.last().map(|p| (p.line, p.kind)),
            Some((10_001, ProblemKind::TooMany))
        );
    }
}
